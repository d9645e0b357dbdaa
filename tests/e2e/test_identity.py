"""Our half of remote sign-in against a certified provider: people at its pages, its pace, its outages."""

import asyncio
import time
from datetime import timedelta

import pytest

from bot.settings import load_settings
from provisioning import provider_errors as wrong
from provisioning.signin import INTERVAL, same_account
from tests.e2e.openid import CONFIDENTIAL, ELLIPTIC, OTHER, PLAIN, QUICK, ROOM
from tests.e2e.people import INTERRUPTED, Person, approve


@pytest.fixture
async def idp(openid):
    async with openid.asked_by() as asking:
        yield asking


# ------------------------------------------------------------------ people at its pages


async def test_pending_until_somebody_approves_and_used_up_after_that(openid, idp):
    grant = await idp.begin()
    assert grant.verification_uri == openid.page
    assert (grant.expires_in, grant.interval) == (timedelta(seconds=600), INTERVAL)
    for _ in range(2):
        with pytest.raises(wrong.AuthorizationPending):
            await idp.redeem(grant.device_code)
    await approve(grant)
    account = await idp.redeem(grant.device_code)
    assert (account.name, len(account.id), account.tenant != "") == (ROOM, 36, True)
    with pytest.raises(wrong.GrantUnknown):
        await idp.redeem(grant.device_code)


async def test_another_account_approves(idp):
    grant = await idp.begin()
    await approve(grant, OTHER)
    account = await idp.redeem(grant.device_code)
    assert not same_account(account, ROOM)
    assert same_account(account, OTHER)


async def test_an_ordinary_provider_knows_a_subject_and_an_address(idp):
    grant = await idp.begin()
    await approve(grant, PLAIN)
    account = await idp.redeem(grant.device_code)
    assert (account.id, account.names, account.tenant) == ("jo", ("jo@plain.example",), "")


@pytest.mark.parametrize("how", ["declines", "cancels_at_sign_in"])
async def test_declined_on_its_page(idp, how):
    grant = await idp.begin()
    async with Person() as person:
        assert INTERRUPTED in await getattr(person, how)(grant)
    with pytest.raises(wrong.AuthorizationDeclined):
        await idp.redeem(grant.device_code)


async def test_expired_for_real(openid, idp):
    openid.codes_live(1)
    grant = await idp.begin()
    assert grant.expires_in == timedelta(seconds=1)
    await asyncio.sleep(1.05)
    with pytest.raises(wrong.GrantEnded):
        await idp.redeem(grant.device_code)


async def test_a_code_that_expired_long_ago_is_not_known_any_more(openid, idp):
    grant = await idp.begin()
    openid.moves_clock(700)
    with pytest.raises(wrong.GrantUnknown):
        await idp.redeem(grant.device_code)


async def test_two_flows_beside_each_other_are_not_mixed_up(idp):
    first, second = await idp.begin(), await idp.begin()
    await approve(second, OTHER)
    with pytest.raises(wrong.AuthorizationPending):
        await idp.redeem(first.device_code)
    assert (await idp.redeem(second.device_code)).name == OTHER


# ------------------------------------------------------------------ clients


@pytest.mark.parametrize("client", [CONFIDENTIAL, ELLIPTIC])
async def test_other_clients(openid, client):
    async with openid.asked_by(client) as idp:
        grant = await idp.begin()
        await approve(grant)
        assert (await idp.redeem(grant.device_code)).name == ROOM


@pytest.mark.parametrize("client, secret", [(CONFIDENTIAL, "another"), ("nobody", "")])
async def test_a_client_that_the_provider_refuses(openid, client, secret):
    async with openid.asked_by(client, secret) as idp:
        with pytest.raises(wrong.ClientRefused):
            await idp.begin()


async def test_neither_secret_nor_token_is_in_what_the_adapter_says_of_itself(openid, idp):
    grant = await idp.begin()
    assert grant.device_code not in repr(grant)
    assert grant.user_code not in repr(grant)
    openid.layer.forge("tampered with")
    await approve(grant)
    with pytest.raises(wrong.TokenUntrusted) as raised:
        await idp.redeem(grant.device_code)
    assert "eyJ" not in repr(raised.value) + str(raised.value.detail)


async def test_as_an_operator_configures_it(openid):
    settings = load_settings(openid.environment(CONFIDENTIAL), None)
    secret = settings.oidc_client_secret.get_secret_value()
    async with openid.asked_by(settings.oidc_client_id, secret, issuer=settings.oidc_issuer) as idp:
        grant = await idp.begin()
        await approve(grant)
        assert (await idp.redeem(grant.device_code)).name == ROOM
    asked = [each for each in openid.layer.seen if each.place in ("start", "poll")]
    assert all(each.authorization.startswith("Basic ") and "client_secret" not in each.form for each in asked)


# ------------------------------------------------------------------ the pace


async def test_interval_and_slow_down(openid, idp):
    openid.layer.interval = 7
    openid.layer.next("poll", "slow_down", "slow_down")
    grant = await idp.begin()
    assert grant.interval == timedelta(seconds=7)
    for _ in range(2):
        with pytest.raises(wrong.PollSlower):
            await idp.redeem(grant.device_code)
    with pytest.raises(wrong.AuthorizationPending) as raised:
        await idp.redeem(grant.device_code)
    assert raised.type is wrong.AuthorizationPending
    assert openid.layer.count("poll") == 3  # one request for each poll, none by itself


@pytest.mark.parametrize("interval", ["soon", -5, 0, 10**9, None])
async def test_an_interval_that_makes_no_sense(openid, idp, interval):
    openid.layer.edit("start", lambda answer: answer | {"interval": interval})
    try:
        grant = await idp.begin()
    except wrong.ProviderError:
        return
    assert timedelta() < grant.interval <= timedelta(minutes=10)


async def test_a_description_is_read_once_for_many_flows(openid, idp):
    for _ in range(3):
        await idp.begin()
    assert (openid.layer.count("discovery"), openid.layer.count("start")) == (1, 3)


# ------------------------------------------------------------------ outages


async def test_a_provider_that_is_away_at_the_start_and_comes_back(openid, idp):
    openid.goes_away()
    with pytest.raises(wrong.ProviderAway):
        await idp.begin()
    openid.comes_back()
    grant = await idp.begin()
    await approve(grant)
    assert (await idp.redeem(grant.device_code)).name == ROOM


async def test_a_provider_that_goes_away_in_the_middle_and_comes_back(openid, idp):
    grant = await idp.begin()
    openid.goes_away()
    for _ in range(2):
        with pytest.raises(wrong.ProviderAway):
            await idp.redeem(grant.device_code)
    openid.comes_back()
    with pytest.raises(wrong.AuthorizationPending):
        await idp.redeem(grant.device_code)
    await approve(grant)
    assert (await idp.redeem(grant.device_code)).name == ROOM


@pytest.mark.parametrize("fault", [500, 502, 503, 429, "drop", "hang", "html", "half", "redirect"])
@pytest.mark.parametrize("place", ["discovery", "start", "poll"])
async def test_one_answer_fails_and_the_next_does_not(openid, idp, place, fault):
    grant = await idp.begin() if place == "poll" else None
    openid.layer.next(place, *[fault] * (2 if (place, fault) == ("discovery", "drop") else 1))  # aiohttp GETs again
    began = time.monotonic()
    with pytest.raises(wrong.ProviderError) as raised:
        await (idp.redeem(grant.device_code) if grant else idp.begin())
    assert time.monotonic() - began < QUICK + 1
    if fault not in ("html", "half", "redirect"):
        assert raised.type is wrong.ProviderAway
    assert openid.layer.count("page") == 0  # no redirect is followed: a secret goes to known addresses alone
    grant = grant or await idp.begin()
    with pytest.raises(wrong.AuthorizationPending):
        await idp.redeem(grant.device_code)


async def test_a_busy_provider_says_when_to_come_back(openid, idp):
    grant = await idp.begin()
    openid.layer.retry_after = 7
    openid.layer.next("poll", 503, 429)
    for _ in range(2):
        with pytest.raises(wrong.ProviderAway) as raised:
            await idp.redeem(grant.device_code)
        assert raised.value.retry_after == 7


async def test_no_code_is_redeemed_while_the_keys_are_out_of_reach(openid, idp):
    """A device code is spent by its first success, so the keys come first."""
    openid.layer.next("keys", 503, "drop", "drop")  # aiohttp asks once more by itself where it may
    for _ in range(2):
        with pytest.raises(wrong.ProviderAway):
            await idp.begin()
    grant = await idp.begin()
    await approve(grant)
    async with openid.asked_by() as restarted:
        openid.layer.next("keys", 503)
        with pytest.raises(wrong.ProviderAway):
            await restarted.redeem(grant.device_code)
        assert openid.layer.count("poll") == 0
        assert (await restarted.redeem(grant.device_code)).name == ROOM


async def test_whoever_waits_is_let_go_at_the_end(openid):
    async with openid.asked_by(seconds=30) as idp:
        grants = [await idp.begin() for _ in range(2)]
        openid.layer.next("poll", "hang", "hang")
        waiting = [asyncio.create_task(idp.redeem(grant.device_code)) for grant in grants]
        await asyncio.to_thread(openid.layer.waits_for, "poll", 2)
        waiting[0].cancel()
        await idp.close()
        ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [type(each) for each in ended] == [asyncio.CancelledError, wrong.ProviderAway]


async def test_a_hundred_flows_at_once(openid):
    async with openid.asked_by(seconds=20) as idp:
        grants = await asyncio.gather(*(idp.begin() for _ in range(100)))
        assert len({grant.device_code for grant in grants}) == 100
        await approve(grants[57], OTHER)
        found = await asyncio.gather(*(idp.redeem(grant.device_code) for grant in grants), return_exceptions=True)
    assert found.pop(57).name == OTHER
    assert {type(each) for each in found} == {wrong.AuthorizationPending}
    assert (openid.layer.count("discovery"), openid.layer.count("keys")) == (1, 1)


# ------------------------------------------------------------------ what it says of itself


def without(*names):
    return lambda answer: {name: value for name, value in answer.items() if name not in names}


@pytest.mark.parametrize(
    "change, error",
    [
        (lambda answer: answer | {"issuer": "https://elsewhere.example"}, wrong.DiscoveryWrong),
        (without("issuer"), wrong.DiscoveryWrong),
        (without("token_endpoint"), wrong.DiscoveryWrong),
        (without("jwks_uri"), wrong.DiscoveryWrong),
        (lambda answer: answer | {"token_endpoint": "http://192.0.2.1/token"}, wrong.DiscoveryWrong),
        (lambda answer: answer | {"token_endpoint": "file:///etc/passwd"}, wrong.DiscoveryWrong),
        (lambda answer: answer | {"jwks_uri": 7}, wrong.DiscoveryWrong),
        (without("device_authorization_endpoint"), wrong.NoDeviceFlow),
    ],
)
async def test_a_wrong_description_and_then_the_right_one(openid, idp, change, error):
    openid.layer.edit("discovery", change)
    with pytest.raises(error):
        await idp.begin()
    openid.reset()
    await idp.begin()


@pytest.mark.parametrize(
    "change",
    [
        without("device_code"),
        without("user_code"),
        without("verification_uri"),
        without("expires_in"),
        lambda answer: answer | {"verification_uri": "javascript:alert(1)"},
        lambda answer: answer | {"verification_uri": "http://192.0.2.1/device"},
        lambda answer: answer | {"expires_in": "soon"},
        lambda answer: answer | {"expires_in": -1},
        lambda answer: answer | {"user_code": "A" * 4000},
        lambda answer: answer | {"user_code": ["A"]},
    ],
)
async def test_an_answer_to_the_start_that_cannot_be_used(openid, idp, change):
    openid.layer.edit("start", change)
    with pytest.raises(wrong.ProviderError):
        await idp.begin()
