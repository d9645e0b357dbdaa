"""What our half of remote sign-in believes of a certified provider's answers, and of those forged on the way."""

import pytest

from provisioning import provider_errors as wrong
from tests.e2e.entra import (
    BLOCKED,
    BLOCKED_ANEW,
    BLOCKED_AS_GRANT,
    BLOCKED_BY_SECURITY,
    CONTOSO,
    FABRIKAM,
    NAME,
    NO_CONSENT,
    PAGE,
    UNAVAILABLE,
)
from tests.e2e.forging import CLAIMS, KINDS
from tests.e2e.openid import CONFIDENTIAL, GUEST, OTHER, PUBLIC, ROOM, Clock
from tests.e2e.people import Person, approve

CONFUSIONS = [kind for kind in KINDS if kind.startswith(("alg", "HS256"))]  # that a client's secret might allow


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def idp(openid, clock):
    async with openid.asked_by(now=clock) as asking:
        yield asking


# ------------------------------------------------------------------ keys


async def test_keys_change_between_code_and_token(openid, idp, clock):
    grant = await idp.begin()
    await approve(grant)
    openid.rotates_keys()
    clock.goes_on(seconds=61)
    assert (await idp.redeem(grant.device_code)).name == ROOM
    assert openid.layer.count("keys") == 2  # once at first, once for the kid that it did not know


async def test_keys_change_twice_within_a_minute(openid, idp, clock):
    """We ask for keys once a minute; the token waits for it, and its code is not redeemed again."""
    await idp.begin()
    openid.rotates_keys()
    grant = await idp.begin()
    await approve(grant)
    with pytest.raises(wrong.ProviderAway) as raised:
        await idp.redeem(grant.device_code)
    assert 0 < raised.value.retry_after <= 60
    clock.goes_on(seconds=61)
    assert (await idp.redeem(grant.device_code)).name == ROOM
    assert (openid.layer.count("poll"), openid.layer.count("keys")) == (1, 2)


async def test_new_keys_are_out_of_reach_for_a_while(openid, idp, clock):
    grant = await idp.begin()
    await approve(grant)
    openid.rotates_keys()
    for faults in ([503], ["drop", "drop"]):
        clock.goes_on(seconds=61)
        openid.layer.next("keys", *faults)
        with pytest.raises(wrong.ProviderAway):
            await idp.redeem(grant.device_code)
    clock.goes_on(seconds=61)
    assert (await idp.redeem(grant.device_code)).name == ROOM
    assert openid.layer.count("poll") == 1


async def test_many_unknown_kids_do_not_become_many_requests_for_keys(openid, idp, clock):
    openid.layer.forge("an unknown kid")
    for _ in range(4):
        grant = await idp.begin()
        await approve(grant)
        clock.goes_on(seconds=16)
        with pytest.raises((wrong.TokenUntrusted, wrong.ProviderAway)):
            await idp.redeem(grant.device_code)
    assert openid.layer.count("keys") == 2  # in 64 seconds


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"keys": []},
        lambda _: {"keys": "none"},
        lambda _: {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, 7, None]},
        lambda _: {},
    ],
)
async def test_a_set_of_keys_that_holds_none(openid, idp, change):
    openid.layer.edit("keys", change)
    with pytest.raises(wrong.DiscoveryWrong):
        await idp.begin()


# ------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    "client, kind", [(PUBLIC, kind) for kind in KINDS] + [(CONFIDENTIAL, kind) for kind in CONFUSIONS]
)
async def test_a_forged_token_is_refused(openid, clock, client, kind):
    async with openid.asked_by(client, now=clock) as idp:
        grant = await idp.begin()
        openid.layer.forge(kind)
        await approve(grant)
        pages = openid.layer.count("page")
        clock.goes_on(seconds=61)
        with pytest.raises(wrong.TokenUntrusted) as raised:
            await idp.redeem(grant.device_code)
        assert "eyJ" not in repr(raised.value) + raised.value.detail
        assert openid.layer.count("page") == pages  # no address in a token is ever asked


async def test_a_forgery_in_one_flow_harms_no_other(openid, idp):
    first, second = await idp.begin(), await idp.begin()
    await approve(first)
    await approve(second)
    openid.layer.forge("tampered with")
    with pytest.raises(wrong.TokenUntrusted):
        await idp.redeem(first.device_code)
    openid.reset()
    assert (await idp.redeem(second.device_code)).name == ROOM


@pytest.mark.parametrize("what", CLAIMS)
async def test_a_token_that_claims_what_is_not_so_is_refused(openid, idp, what):
    grant = await idp.begin()
    openid.layer.claims(CLAIMS[what])
    await approve(grant)
    expected = wrong.ClockOff if what == "expired" else wrong.TokenUntrusted
    with pytest.raises(expected):
        await idp.redeem(grant.device_code)


async def test_an_address_that_nobody_verified_names_nobody(openid, idp):
    openid.layer.claims(lambda claims: claims | {"email": OTHER, "email_verified": False})
    grant = await idp.begin()
    await approve(grant)
    assert (await idp.redeem(grant.device_code)).names == (ROOM,)


# ------------------------------------------------------------------ clocks


@pytest.mark.parametrize("seconds", [-240, 240])
async def test_a_clock_four_minutes_off_is_borne(openid, idp, seconds):
    openid.moves_clock(seconds)
    grant = await idp.begin()
    await approve(grant)
    assert (await idp.redeem(grant.device_code)).name == ROOM


@pytest.mark.parametrize("minutes", [-70, 10])
async def test_a_clock_far_off_is_named(openid, idp, minutes):
    """Its tokens live an hour: behind, they are expired when they come; ahead, they are issued in the future."""
    openid.codes_live(3600)
    grant = await idp.begin()
    await approve(grant)
    openid.moves_clock(minutes * 60)
    with pytest.raises(wrong.ClockOff) as raised:
        await idp.redeem(grant.device_code)
    assert raised.value.detail == str(abs(minutes))


# ------------------------------------------------------------------ Entra ID


async def test_entra_signs_a_room_in(entra):
    async with entra.asked_by() as idp:
        grant = await idp.begin()
        assert (grant.verification_uri, grant.interval.total_seconds()) == (PAGE, 5)
        with pytest.raises(wrong.AuthorizationPending):
            await idp.redeem(grant.device_code)
        await approve(grant, page=entra.page)
        account = await idp.redeem(grant.device_code)
        assert (account.name, len(account.id), account.tenant) == (ROOM, 36, CONTOSO)
        with pytest.raises(wrong.GrantUnknown):  # bad_verification_code
            await idp.redeem(grant.device_code)


@pytest.mark.parametrize("place", [CONTOSO, "contoso.example", "common"])
async def test_entra_known_by_id_by_name_and_by_common(entra, place):
    async with entra.asked_by(issuer=f"https://{NAME}/{place}/v2.0", tenant=CONTOSO) as idp:
        grant = await idp.begin()
        await approve(grant, page=entra.page)
        assert (await idp.redeem(grant.device_code)).tenant == CONTOSO
        grant = await idp.begin()
        await approve(grant, GUEST, page=entra.page)
        with pytest.raises(wrong.OtherTenant):
            await idp.redeem(grant.device_code)


async def test_entra_declined_and_ended(entra):
    async with entra.asked_by() as idp, Person(entra.page) as person:
        grant = await idp.begin()
        await person.declines(grant)
        with pytest.raises(wrong.AuthorizationDeclined):
            await idp.redeem(grant.device_code)
        grant = await idp.begin()
        entra.moves_clock(605)
        with pytest.raises(wrong.GrantEnded):
            await idp.redeem(grant.device_code)


@pytest.mark.parametrize(
    "refusal, number",
    [(BLOCKED, 53003), (BLOCKED_AS_GRANT, 53003), (BLOCKED_BY_SECURITY, 530032), (BLOCKED_ANEW, 999123)],
)
async def test_entra_blocks_by_policy(entra, refusal, number):
    entra.layer.next("poll", refusal)
    async with entra.asked_by() as idp:
        grant = await idp.begin()
        with pytest.raises(wrong.BlockedByPolicy) as raised:
            await idp.redeem(grant.device_code)
        assert raised.value.detail == f"AADSTS{number}"


async def test_entra_says_something_else(entra):
    entra.layer.next("poll", "slow_down", UNAVAILABLE, NO_CONSENT)
    async with entra.asked_by() as idp:
        grant = await idp.begin()
        for expected in (wrong.PollSlower, wrong.ProviderAway, wrong.ProviderError):
            with pytest.raises(expected) as raised:
                await idp.redeem(grant.device_code)
        assert not isinstance(raised.value, wrong.AuthorizationPending | wrong.ProviderAway)
        assert raised.value.detail == "AADSTS65001"


async def test_a_client_secret_that_entra_refuses(entra):
    async with entra.asked_by(CONFIDENTIAL, "another") as idp:
        with pytest.raises(wrong.ClientRefused) as raised:
            await idp.begin()
        assert raised.value.detail == "AADSTS7000215"


@pytest.mark.parametrize(
    "claims",
    [
        {"tid": FABRIKAM},
        {"tid": FABRIKAM, "iss": f"https://{NAME}/{FABRIKAM}/v2.0"},
        {"iss": f"https://{NAME}/{FABRIKAM}/v2.0"},
        {"tid": None},
    ],
)
async def test_a_token_of_another_tenant(entra, claims):
    entra.layer.claims(lambda true: true | claims)
    async with entra.asked_by() as idp:
        grant = await idp.begin()
        await approve(grant, page=entra.page)
        with pytest.raises((wrong.OtherTenant, wrong.TokenUntrusted)):
            await idp.redeem(grant.device_code)


async def test_the_same_spellings_of_an_ordinary_provider(entra_like):
    """As in local mode: Entra's words at an address that is not Entra's."""
    async with entra_like.asked_by() as idp, Person() as person:
        grant = await idp.begin()
        entra_like.layer.next("poll", BLOCKED)
        with pytest.raises(wrong.BlockedByPolicy):
            await idp.redeem(grant.device_code)
        await person.declines(grant)
        with pytest.raises(wrong.AuthorizationDeclined):
            await idp.redeem(grant.device_code)
