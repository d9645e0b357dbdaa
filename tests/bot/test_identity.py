"""Sign-in by a code at a real OpenID provider on loopback: well-behaved, away, lying or hostile."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.util import int_to_base64
from structlog.testing import capture_logs

from bot.identity import OpenIdProvider
from bot.identity_asking import ANSWER_BYTES
from bot.identity_discovery import expected_issuer, sound_url
from provisioning.ports import IdentityProvider
from provisioning.provider_errors import (
    AuthorizationDeclined,
    AuthorizationPending,
    BlockedByPolicy,
    ClientRefused,
    ClockOff,
    ConsentMissing,
    DiscoveryWrong,
    GrantEnded,
    GrantUnknown,
    NoDeviceFlow,
    OtherTenant,
    PollSlower,
    ProviderAway,
    ProviderError,
    TokenUntrusted,
)
from provisioning.signin import Account
from tests.fakes import FakeClock
from tests.file_host import server_tls
from tests.openid import CLIENT_ID, DEVICE_CODE, DROPS, HANGS, Answer, OpenId, hmac_of_public, new_key, refusal, signed

HASTY = 0.2  # seconds, for what never answers
HOME = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ABROAD = "9188040d-6c67-4c5b-b112-36a304b66dad"
ENTRA = "https://login.microsoftonline.com"
CHINA = "https://login.partner.microsoftonline.cn"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def openid(clock: FakeClock) -> AsyncIterator[OpenId]:
    async with OpenId(clock.now) as openid:
        yield openid


@pytest.fixture
async def provider(openid: OpenId, clock: FakeClock) -> AsyncIterator[OpenIdProvider]:
    provider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=clock.now, seconds=30)
    yield provider
    await provider.close()


@pytest.fixture
async def hasty(openid: OpenId, clock: FakeClock) -> AsyncIterator[OpenIdProvider]:
    """Gives up soon."""
    provider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=clock.now, seconds=HASTY)
    yield provider
    await provider.close()


async def fault_of(asked: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await asked
    return caught.value


async def redeem(provider: IdentityProvider) -> Account:
    return await provider.redeem(DEVICE_CODE)


# ---------------------------------------------------------------------- the whole way


async def test_a_code_is_shown_polled_and_redeemed(openid: OpenId, provider: OpenIdProvider) -> None:
    grant = await provider.begin()
    assert (grant.device_code, grant.user_code) == (DEVICE_CODE, "WDJB-MJHT")
    assert grant.verification_uri == "https://example.com/device"
    assert (grant.expires_in, grant.interval) == (timedelta(minutes=30), timedelta(seconds=5))
    assert dict(openid.asked["device"][0].form) == {"client_id": CLIENT_ID, "scope": "openid profile email"}

    assert type(await fault_of(redeem(provider))) is AuthorizationPending
    openid.approves(preferred_username="Room@contoso.com", email="room@contoso.com")
    assert await redeem(provider) == Account("248289761001", ("Room@contoso.com",))
    assert dict(openid.asked["token"][0].form) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": DEVICE_CODE,
        "client_id": CLIENT_ID,
    }
    assert openid.counts == {"discovery": 1, "keys": 1, "device": 1, "token": 2}


async def test_nothing_is_asked_before_it_is_needed_and_closing_is_for_good(openid: OpenId, clock: FakeClock) -> None:
    provider: IdentityProvider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=clock.now)
    await provider.close()
    assert openid.counts.total() == 0
    assert type(await fault_of(provider.begin())) is ProviderAway


async def test_closing_ends_what_is_under_way(openid: OpenId, provider: OpenIdProvider) -> None:
    openid.answers["discovery"] = HANGS
    asking = asyncio.create_task(provider.begin())
    await openid.heard("discovery")
    await provider.close()
    assert type(await fault_of(asking)) is ProviderAway


async def test_a_session_of_somebody_else_stays_open(openid: OpenId, clock: FakeClock) -> None:
    async with aiohttp.ClientSession() as session:
        provider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=clock.now, sessions=lambda: session)
        await provider.begin()
        await provider.close()
        assert not session.closed


async def test_logs_hold_no_code_no_token_and_no_text_of_the_provider(openid: OpenId, hasty: OpenIdProvider) -> None:
    with capture_logs() as logs:
        await hasty.begin()
        openid.answers["token"] = refusal("invalid_grant")
        await fault_of(redeem(hasty))
        openid.answers["token"] = refusal("<b>WORDS</b>\n")
        await fault_of(redeem(hasty))
        openid.approves(aud="else")
        await fault_of(redeem(hasty))
        openid.answers["token"] = HANGS
        await fault_of(redeem(hasty))
    text = repr(logs)
    assert [log["event"] for log in logs] == [
        "identity provider refused",
        "identity provider refused",
        "ID token refused",
        "identity provider does not answer",
    ]
    assert not [word for word in (DEVICE_CODE, "WDJB", "eyJ", "secret-access", "words", "<b>") if word in text]


async def test_a_code_is_not_in_a_repr(provider: OpenIdProvider) -> None:
    text = repr(await provider.begin())
    assert "WDJB" not in text
    assert DEVICE_CODE not in text


# ---------------------------------------------------------------------- what a poll may hear

POLLS: list[tuple[Answer, type[ProviderError], str]] = [
    (refusal("authorization_pending"), AuthorizationPending, ""),
    (refusal("authorization_pending", 428), AuthorizationPending, ""),
    (refusal("authorization_pending", 200), AuthorizationPending, ""),
    (refusal("slow_down"), PollSlower, ""),
    (refusal("slow_down", 429), PollSlower, ""),
    (refusal("access_denied"), AuthorizationDeclined, ""),
    (refusal("access_denied", 403), AuthorizationDeclined, ""),
    (refusal("authorization_declined"), AuthorizationDeclined, ""),
    (refusal("expired_token"), GrantEnded, ""),
    (refusal("expired_token", error_codes=[70020]), GrantEnded, "AADSTS70020"),
    (refusal("code_expired"), GrantEnded, ""),
    (refusal("invalid_grant"), GrantUnknown, ""),
    (refusal("invalid_grant", error_codes=[7000014]), GrantUnknown, "AADSTS7000014"),
    (refusal("invalid_grant", error_codes=[70019]), GrantEnded, "AADSTS70019"),
    (refusal("invalid_grant", error_codes=[70020]), GrantEnded, "AADSTS70020"),
    (refusal("bad_verification_code"), GrantUnknown, ""),
    (refusal("bad_verification_code", error_codes=[70018]), GrantUnknown, "AADSTS70018"),
    (refusal("invalid_client", 401), ClientRefused, ""),
    (refusal("invalid_client", 401, error_codes=[7000218]), ClientRefused, "AADSTS7000218"),
    (refusal("unauthorized_client"), ClientRefused, ""),
    (Answer("no", 401), ClientRefused, ""),
    (refusal("interaction_required", error_codes=[50076]), BlockedByPolicy, "AADSTS50076"),
    (refusal("invalid_grant", suberror="message_only"), BlockedByPolicy, ""),
    (refusal("invalid_grant", suberror="basic_action"), BlockedByPolicy, ""),
    (refusal("invalid_grant", suberror="protection_policy_required"), BlockedByPolicy, ""),
    (refusal("invalid_grant", suberror="bad_token"), GrantUnknown, ""),
    (refusal("invalid_grant", error_codes=[53003]), BlockedByPolicy, "AADSTS53003"),
    (refusal("access_denied", error_codes=[53003]), BlockedByPolicy, "AADSTS53003"),
    (refusal("access_denied", error_codes=[530035]), BlockedByPolicy, "AADSTS530035"),
    (refusal("invalid_grant", error_codes=[50105]), BlockedByPolicy, "AADSTS50105"),
    (Answer({"error": "invalid_grant", "error_description": "AADSTS53000: x"}, 400), BlockedByPolicy, "AADSTS53000"),
    (refusal("authorization_pending", error_codes=[53003]), AuthorizationPending, "AADSTS53003"),
    (refusal("unsupported_grant_type"), NoDeviceFlow, ""),
    (refusal("temporarily_unavailable"), ProviderAway, "temporarily_unavailable"),
    (refusal("server_error"), ProviderAway, "server_error"),
    (Answer("busy", 429), ProviderAway, "HTTP 429"),
    (Answer("late", 408), ProviderAway, "HTTP 408"),
    (refusal("authorization_pending", 500), ProviderAway, "HTTP 500"),
    (refusal("invalid_grant", 503), ProviderAway, "HTTP 503"),
    (Answer("<html>", 502), ProviderAway, "HTTP 502"),
    (HANGS, ProviderAway, ""),
    (DROPS, ProviderAway, ""),
    (refusal("Invalid_Scope"), ProviderError, "invalid_scope"),
    (refusal("invalid_scope", error_codes=[70011]), ProviderError, "AADSTS70011"),
    (refusal("a" * 500), ProviderError, "a" * 60),
    (refusal("<script>"), ProviderError, "HTTP 400"),
    (Answer({"error": ["x"], "error_codes": ["53003"]}, 400), ProviderError, "HTTP 400"),
    (Answer({"error": {"code": 1}, "error_codes": [True], "error_description": 7}, 400), ProviderError, "HTTP 400"),
    (Answer({}, 400), ProviderError, "HTTP 400"),
    (Answer("no JSON", 400), ProviderError, "HTTP 400"),
    (refusal("invalid_grant", suberror="consent_required"), ConsentMissing, ""),
    (refusal("invalid_grant", error_codes=[65001]), ConsentMissing, "AADSTS65001"),
    (refusal("consent_required"), ConsentMissing, ""),
    (Answer("no JSON"), ProviderAway, "HTTP 200"),
    (Answer([1, 2]), ProviderAway, "HTTP 200"),
    (Answer(b"\xff\xfe"), ProviderAway, "HTTP 200"),
    (Answer("[" * 100_000), ProviderAway, "HTTP 200"),
    (Answer({"id_token": "x" * ANSWER_BYTES}), ProviderAway, "HTTP 200"),
    (Answer("", 204), ProviderAway, "HTTP 204"),
    (Answer({"access_token": "x"}), TokenUntrusted, "id_token"),
    (Answer({"id_token": 7}), TokenUntrusted, "id_token"),
]


@pytest.mark.parametrize(("answer", "kind", "detail"), POLLS, ids=lambda value: str(value)[:60])
async def test_what_a_poll_hears(
    openid: OpenId,
    provider: OpenIdProvider,
    hasty: OpenIdProvider,
    answer: Answer,
    kind: type[ProviderError],
    detail: str,
) -> None:
    openid.answers["token"] = answer
    fault = await fault_of(redeem(hasty if answer is HANGS else provider))
    assert (type(fault), fault.detail) == (kind, detail)


STARTS: list[tuple[Answer, type[ProviderError], str]] = [
    (refusal("invalid_client", 401), ClientRefused, ""),
    (refusal("unauthorized_client", error_codes=[700016]), ClientRefused, "AADSTS700016"),
    (refusal("unsupported_grant_type"), NoDeviceFlow, ""),
    (refusal("access_denied"), ProviderError, "access_denied"),
    (refusal("slow_down"), ProviderError, "slow_down"),
    (refusal("invalid_scope"), ProviderError, "invalid_scope"),
    (refusal("temporarily_unavailable"), ProviderAway, "temporarily_unavailable"),
    (Answer("", 503), ProviderAway, "HTTP 503"),
    (Answer("", 404), ProviderError, "HTTP 404"),
    (Answer("x" * (ANSWER_BYTES + 1)), ProviderError, "HTTP 200"),
    (HANGS, ProviderAway, ""),
]


@pytest.mark.parametrize(("answer", "kind", "detail"), STARTS, ids=lambda value: str(value)[:60])
async def test_what_the_start_hears(
    openid: OpenId,
    provider: OpenIdProvider,
    hasty: OpenIdProvider,
    answer: Answer,
    kind: type[ProviderError],
    detail: str,
) -> None:
    openid.answers["device"] = answer
    fault = await fault_of((hasty if answer is HANGS else provider).begin())
    assert (type(fault), fault.detail) == (kind, detail)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("999999", 3600.0), ("-5", 0.0), ("1e3", 0.0), ("Fri, 31 Dec 2027 23:59:59 GMT", 0.0)],
)
@pytest.mark.parametrize("endpoint", ["discovery", "keys", "device"])
@pytest.mark.parametrize("status", [429, 503])
async def test_when_to_come_back(
    openid: OpenId, provider: OpenIdProvider, endpoint: str, status: int, text: str, seconds: float
) -> None:
    openid.answers[endpoint] = Answer("", status, {"Retry-After": text})
    fault = await fault_of(provider.begin())
    assert isinstance(fault, ProviderAway)
    assert fault.retry_after == seconds


async def test_a_packed_bomb_is_not_unpacked(openid: OpenId, provider: OpenIdProvider) -> None:
    bomb = gzip.compress(json.dumps({"id_token": "x" * 20_000_000}).encode())
    openid.answers["token"] = Answer(bomb, headers={"Content-Encoding": "gzip"})
    assert type(await fault_of(redeem(provider))) in (ProviderError, ProviderAway)


@pytest.mark.parametrize("endpoint", ["discovery", "keys", "device", "token"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(
    openid: OpenId, provider: OpenIdProvider, clock: FakeClock, endpoint: str, status: int
) -> None:
    async with OpenId(clock.now) as elsewhere:
        openid.answers[endpoint] = Answer("", status, {"Location": f"{elsewhere.root}/token"})
        fault = await fault_of(redeem(provider) if endpoint == "token" else provider.begin())
        expected = {
            "discovery": (DiscoveryWrong, f"HTTP {status}"),
            "keys": (DiscoveryWrong, "jwks_uri"),
            "token": (ProviderAway, f"HTTP {status}"),  # a proxy's: the code is still worth a poll
        }
        assert (type(fault), fault.detail) == expected.get(endpoint, (ProviderError, f"HTTP {status}"))
        assert elsewhere.counts.total() == 0


# ---------------------------------------------------------------------- the answer with the codes

LIMITS = [
    ({"expires_in": 900.5}, timedelta(seconds=900.5), timedelta(seconds=5)),
    ({"expires_in": "900"}, timedelta(seconds=900), timedelta(seconds=5)),
    ({"expires_in": 10**30}, timedelta(days=1), timedelta(seconds=5)),
    ({"expires_in": 60, "interval": None}, timedelta(seconds=60), timedelta(seconds=5)),
    ({"expires_in": 60, "interval": "7"}, timedelta(seconds=60), timedelta(seconds=7)),
    ({"expires_in": 60, "interval": 0.01}, timedelta(seconds=60), timedelta(seconds=1)),
    ({"expires_in": 60, "interval": 10**9}, timedelta(seconds=60), timedelta(minutes=5)),
]


@pytest.mark.parametrize(("changed", "life", "pause"), LIMITS)
async def test_times_stay_within_reason(
    openid: OpenId, provider: OpenIdProvider, changed: dict[str, Any], life: timedelta, pause: timedelta
) -> None:
    openid.answers["device"] = Answer(openid.grant(**changed))
    grant = await provider.begin()
    assert (grant.expires_in, grant.interval) == (life, pause)


PAGES = [
    ("https://login.microsoft.com/device", True),
    ("https://www.google.com/device?x=1#y", True),
    ("http://127.0.0.1:3000/device", True),
    ("http://[::1]:3000/device", True),
    ("http://localhost/device", True),
    ("http://example.com/device", False),
    ("http://127.0.0.1.example.com/", False),
    ("http://2130706433/", False),
    ("https://user@example.com/device", False),
    ("https://user:pw@example.com/", False),
    ("https://example.com@evil.example/", False),
    ("https://@example.com/", False),
    ("https://exa mple.com/", False),
    ("https://example.com\\@evil.example/", False),
    ("https://example.com/\n", False),
    ("https://bücher.example/", False),
    ("https://example.com:99999/", False),
    ("https://example.com:0/", False),
    ("https://[::1/", False),
    ("https:///device", False),
    ("https:device", False),
    ("javascript:alert(1)", False),
    ("ftp://example.com/", False),
    ("//example.com/", False),
    ("https://example.com/" + "x" * 2048, False),
    ("https://example.com/?user_code=WDJB-MJHT", False),
    ("", False),
    (7, False),
    (None, False),
]


@pytest.mark.parametrize("name", ["verification_uri", "verification_url"])
@pytest.mark.parametrize(("page", "sound"), PAGES, ids=lambda value: str(value)[:40])
async def test_the_page_where_the_code_is_typed(
    openid: OpenId, provider: OpenIdProvider, name: str, page: object, sound: bool
) -> None:
    openid.answers["device"] = Answer(openid.grant(verification_uri=None) | {name: page})
    if sound:
        assert (await provider.begin()).verification_uri == page
    else:
        fault = await fault_of(provider.begin())
        assert (type(fault), fault.detail) == (ProviderError, "verification_uri")


@pytest.mark.parametrize(("page", "sound"), PAGES, ids=lambda value: str(value)[:40])
def test_http_counts_in_local_mode_alone(page: object, sound: bool) -> None:
    secret = "WDJB" in str(page)  # not a matter of the address
    assert sound_url(page, local=True) == (sound or secret)
    assert sound_url(page, local=False) == (str(page).startswith("https:") and (sound or secret))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("device_code", "user_code") for value in (None, "", 7, ["x"], "a\nb", "x" * 9000)),
        ("device_code", "ünprintable"),
        ("user_code", "W"),
        ("user_code", " WDJB"),
        ("user_code", "WDJB\u202eMJHT"),
        ("user_code", "x" * 65),
        *(("expires_in", value) for value in (None, 0, -1, "soon", True, [1], float("nan"), "-5", "")),
        *(("interval", value) for value in (0, -5, "often", True, {"s": 5}, float("nan"))),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_malformed_answer_gives_no_code(
    openid: OpenId, provider: OpenIdProvider, name: str, value: object
) -> None:
    openid.answers["device"] = Answer(openid.grant() | {name: value})
    fault = await fault_of(provider.begin())
    assert (type(fault), fault.detail) == (ProviderError, name)


# ---------------------------------------------------------------------- what the provider says about itself

WRONG: list[tuple[str, object, type[ProviderError], str]] = [
    ("issuer", None, DiscoveryWrong, "issuer"),
    ("issuer", 7, DiscoveryWrong, "issuer"),
    ("issuer", "http://127.0.0.1:1", DiscoveryWrong, "issuer"),
    ("device_authorization_endpoint", None, NoDeviceFlow, ""),
    ("device_authorization_endpoint", "", NoDeviceFlow, ""),
    ("grant_types_supported", ["authorization_code"], NoDeviceFlow, ""),
    ("grant_types_supported", [], NoDeviceFlow, ""),
    ("grant_types_supported", "all", DiscoveryWrong, "grant_types_supported"),
    *(
        (name, value, DiscoveryWrong, name)
        for name in ("device_authorization_endpoint", "token_endpoint", "jwks_uri")
        for value in (7, ["x"], "/token", "http://example.com/x", "ftp://127.0.0.1/", "http://a@127.0.0.1/")
    ),
    ("token_endpoint", None, DiscoveryWrong, "token_endpoint"),
    ("jwks_uri", None, DiscoveryWrong, "jwks_uri"),
    ("id_token_signing_alg_values_supported", ["HS256", "none"], DiscoveryWrong, ""),
    ("id_token_signing_alg_values_supported", "RS256", DiscoveryWrong, ""),
    ("id_token_signing_alg_values_supported", [["RS256"]], DiscoveryWrong, ""),
    ("token_endpoint_auth_methods_supported", {"x": 1}, DiscoveryWrong, ""),
]


@pytest.mark.parametrize(("name", "value", "kind", "detail"), WRONG, ids=lambda value: str(value)[:40])
async def test_a_wrong_description_is_refused_and_not_kept(
    openid: OpenId, provider: OpenIdProvider, name: str, value: object, kind: type[ProviderError], detail: str
) -> None:
    openid.document = {name: value}
    fault = await fault_of(provider.begin())
    assert (type(fault), fault.detail) == (kind, detail or ("" if kind is NoDeviceFlow else name))
    assert openid.counts["device"] == 0
    openid.document = {"grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"]}
    assert (await provider.begin()).user_code == "WDJB-MJHT"


@pytest.mark.parametrize(
    ("answer", "kind", "detail"),
    [
        (Answer("", 404), DiscoveryWrong, "HTTP 404"),
        (refusal("invalid_tenant", error_codes=[90002]), DiscoveryWrong, "AADSTS90002"),
        (Answer("<html>"), DiscoveryWrong, "HTTP 200"),
        (Answer([]), DiscoveryWrong, "HTTP 200"),
        (Answer("x" * (ANSWER_BYTES + 1)), DiscoveryWrong, "HTTP 200"),
        (Answer("", 500), ProviderAway, "HTTP 500"),
        (Answer("", 429), ProviderAway, "HTTP 429"),
        (HANGS, ProviderAway, ""),
        (DROPS, ProviderAway, ""),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_no_description_and_then_one(
    openid: OpenId,
    provider: OpenIdProvider,
    hasty: OpenIdProvider,
    answer: Answer,
    kind: type[ProviderError],
    detail: str,
) -> None:
    openid.answers["discovery"] = answer
    fault = await fault_of((hasty if answer is HANGS else provider).begin())
    assert (type(fault), fault.detail) == (kind, detail)
    del openid.answers["discovery"]
    await provider.begin()


async def test_a_provider_that_is_not_there_yet(clock: FakeClock, unused_tcp_port: int) -> None:
    openid = OpenId(clock.now)
    openid.port = unused_tcp_port
    provider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=clock.now, seconds=30)
    assert type(await fault_of(provider.begin())) is ProviderAway
    async with openid:
        await provider.begin()
    await provider.close()


@pytest.mark.parametrize("issuer", ["http://example.com", "https://me@example.com", "nonsense", ""])
async def test_an_issuer_that_must_not_be_asked(clock: FakeClock, issuer: str) -> None:
    provider = OpenIdProvider(issuer, CLIENT_ID, local=True, now=clock.now)
    assert (await fault_of(provider.begin())).detail == "issuer"
    assert type(await fault_of(redeem(provider))) is DiscoveryWrong


async def test_http_off_local_mode_is_not_asked(openid: OpenId, clock: FakeClock) -> None:
    provider = OpenIdProvider(openid.issuer, CLIENT_ID, now=clock.now)
    assert type(await fault_of(provider.begin())) is DiscoveryWrong
    assert openid.counts.total() == 0


async def test_many_at_once_ask_once(openid: OpenId, provider: OpenIdProvider) -> None:
    await asyncio.gather(*(provider.begin() for _ in range(50)))
    assert openid.counts == {"discovery": 1, "keys": 1, "device": 50}


async def test_many_at_once_wait_for_one_that_hangs(openid: OpenId, hasty: OpenIdProvider) -> None:
    openid.answers["discovery"] = HANGS
    faults = await asyncio.gather(*(fault_of(redeem(hasty)) for _ in range(50)))
    assert {type(fault) for fault in faults} == {ProviderAway}
    assert openid.counts == {"discovery": 1}


async def test_whoever_gives_up_takes_it_from_nobody_else(openid: OpenId, hasty: OpenIdProvider) -> None:
    openid.answers["discovery"] = HANGS
    first, second = (asyncio.create_task(hasty.begin()) for _ in range(2))
    await openid.heard("discovery")
    first.cancel()
    assert type(await fault_of(second)) is ProviderAway
    assert first.cancelled()


async def test_a_description_is_kept_a_day_and_longer_while_the_provider_is_away(
    openid: OpenId, provider: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.begin()
    clock.advance(timedelta(hours=23))
    await provider.begin()
    assert (openid.counts["discovery"], openid.counts["keys"]) == (1, 1)
    clock.advance(timedelta(hours=2))
    openid.answers["discovery"] = openid.answers["keys"] = Answer("", 503)
    for _ in range(5):
        await provider.begin()
    assert (openid.counts["discovery"], openid.counts["keys"]) == (2, 2)
    del openid.answers["discovery"]
    clock.advance(2 * MINUTE)
    await provider.begin()
    await provider.begin()
    assert (openid.counts["discovery"], openid.counts["keys"]) == (3, 3)


async def test_a_clock_that_was_set_back_keeps_nothing_from_being_asked(
    openid: OpenId, provider: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.begin()
    clock.advance(timedelta(hours=-2))
    await provider.begin()
    assert openid.counts["discovery"] == 2


@pytest.mark.parametrize(
    ("configured", "published", "tenant", "expected"),
    [
        ("https://id.example", "https://id.example", "", "https://id.example"),
        ("https://id.example", "https://id.example/", "", "https://id.example/"),
        ("https://id.example/", "https://id.example", "", None),
        ("https://id.example", "https://ID.example", "", None),
        ("https://id.example", "https://id.example//", "", None),
        ("https://id.example/{tenantid}", "https://id.example/{tenantid}", HOME, "https://id.example/{tenantid}"),
        ("https://id.example/contoso.com/v2.0", f"https://id.example/{HOME}/v2.0", HOME, None),
        (f"{ENTRA}/{HOME}/v2.0", f"{ENTRA}/{HOME}/v2.0", "", f"{ENTRA}/{HOME}/v2.0"),
        (f"{ENTRA}/{HOME}/v2.0", f"{ENTRA}/{ABROAD}/v2.0", "", None),
        (f"{ENTRA}/{HOME}/v2.0", f"{ENTRA}/{ABROAD}/v2.0", ABROAD, None),
        (f"{ENTRA}/{HOME.upper()}/v2.0", f"{ENTRA}/{HOME}/v2.0", "", f"{ENTRA}/{HOME}/v2.0"),
        (f"{ENTRA}/contoso.com/v2.0", f"{ENTRA}/{HOME}/v2.0", "", f"{ENTRA}/{HOME}/v2.0"),
        (f"{ENTRA}/contoso.com/v2.0", f"https://login.microsoftonline.us/{HOME}/v2.0", "", None),
        (f"{ENTRA}/contoso.com/v2.0", f"{ENTRA}/{HOME}/v1.0", "", None),
        (f"{ENTRA}/contoso.com/v2.0", f"{ENTRA}/contoso.com/v2.0", "", None),
        (f"{ENTRA}/common/v2.0", f"{ENTRA}/{{tenantid}}/v2.0", HOME, f"{ENTRA}/{HOME}/v2.0"),
        (f"{ENTRA}/organizations/v2.0", f"{ENTRA}/{{tenantid}}/v2.0", HOME, f"{ENTRA}/{HOME}/v2.0"),
        (f"{ENTRA}/common/v2.0", f"{ENTRA}/{{tenantid}}/v2.0", "", None),
        (f"{ENTRA}/common/v2.0", f"{ENTRA}/{{tenantid}}/v2.0", "contoso.com", None),
        (f"{ENTRA}/common/v2.0", f"{ENTRA}/{HOME}/v2.0", HOME, None),
        (f"{ENTRA}/{HOME}/v2.0", f"{ENTRA}/{{tenantid}}/v2.0", ABROAD, None),
        (f"{CHINA}/contoso.cn/v2.0", f"{CHINA}/{HOME}/v2.0", "", f"{CHINA}/{HOME}/v2.0"),
    ],
)
def test_the_issuer_is_the_configured_one(configured: str, published: str, tenant: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(DiscoveryWrong):
            expected_issuer(configured, published, tenant)
    else:
        assert expected_issuer(configured, published, tenant) == expected


# ---------------------------------------------------------------------- who we are


@pytest.mark.parametrize(
    ("secret", "methods", "basic", "posted"),
    [
        ("", None, False, False),
        ("", ["client_secret_post"], False, False),
        ("s", None, True, False),
        ("s", ["client_secret_basic"], True, False),
        ("s", ["client_secret_post", "client_secret_basic"], True, False),
        ("s", ["client_secret_post", "private_key_jwt"], False, True),
        ("s", ["none"], True, False),
        ("s", [], True, False),
    ],
)
async def test_how_the_client_shows_who_it_is(
    openid: OpenId, clock: FakeClock, secret: str, methods: list[str] | None, basic: bool, posted: bool
) -> None:
    openid.document = {"token_endpoint_auth_methods_supported": methods}
    provider = OpenIdProvider(openid.issuer, CLIENT_ID, secret, local=True, now=clock.now)
    await provider.begin()
    await fault_of(redeem(provider))
    await provider.close()
    for asked in (*openid.asked["device"], *openid.asked["token"]):
        assert asked.form["client_id"] == CLIENT_ID
        assert ("Authorization" in asked.headers) == basic
        assert asked.form.get("client_secret") == (secret if posted else None)
    for asked in (*openid.asked["discovery"], *openid.asked["keys"]):
        assert "Authorization" not in asked.headers


async def test_id_and_secret_are_encoded_before_they_are_joined(openid: OpenId, clock: FakeClock) -> None:
    """RFC 6749, 2.3.1: so that a colon in the id, or an umlaut, does no harm."""
    provider = OpenIdProvider(openid.issuer, "a:b c", "p%ß+/~", local=True, now=clock.now)
    await provider.begin()
    await provider.close()
    scheme, _, pair = openid.asked["device"][0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"a%3Ab+c:p%25%C3%9F%2B%2F~")


# ---------------------------------------------------------------------- ID tokens

HOUR = 3600
NOW = int(FakeClock().now().timestamp())

GOOD: list[dict[str, Any]] = [
    {},
    {"aud": [CLIENT_ID]},
    {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID},
    {"azp": CLIENT_ID},
    {"iat": NOW + 299},
    {"nbf": NOW + 299},
    {"iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3900},
    {"iat": NOW - 6 * HOUR},
    {"iat": NOW - HOUR, "exp": NOW - 299},
    {"exp": NOW + 0.5, "iat": NOW - 0.5},
    {"nonce": "x", "acr": None, "tid": "not-asked-for"},
]


@pytest.mark.parametrize("claims", GOOD, ids=str)
async def test_a_sound_token(openid: OpenId, provider: OpenIdProvider, claims: dict[str, Any]) -> None:
    openid.approves(**claims)
    assert (await redeem(provider)).id == "248289761001"


BAD: list[tuple[dict[str, Any], type[ProviderError], str]] = [
    ({"iss": None}, TokenUntrusted, "iss"),
    ({"iss": "https://evil.example"}, TokenUntrusted, "iss"),
    ({"iss": ["x"]}, TokenUntrusted, "iss"),
    ({"aud": None}, TokenUntrusted, "aud"),
    ({"aud": "another"}, TokenUntrusted, "aud"),
    ({"aud": []}, TokenUntrusted, "aud"),
    ({"aud": {CLIENT_ID: 1}}, TokenUntrusted, "aud"),
    ({"aud": [CLIENT_ID, "other"]}, TokenUntrusted, "azp"),
    ({"aud": [CLIENT_ID, "other"], "azp": "other"}, TokenUntrusted, "azp"),
    ({"azp": "other"}, TokenUntrusted, "azp"),
    ({"sub": None}, TokenUntrusted, "sub"),
    ({"sub": ""}, TokenUntrusted, "sub"),
    ({"sub": 7}, TokenUntrusted, "sub"),
    ({"sub": "x" * 256}, TokenUntrusted, "sub"),
    ({"sub": "a\nb"}, TokenUntrusted, "sub"),
    ({"exp": None}, TokenUntrusted, "exp"),
    ({"exp": "later"}, TokenUntrusted, "exp"),
    ({"exp": True}, TokenUntrusted, "exp"),
    ({"exp": float("inf")}, TokenUntrusted, "exp"),
    ({"exp": float("nan")}, TokenUntrusted, "exp"),
    ({"exp": 10**400}, TokenUntrusted, "exp"),
    ({"exp": NOW - 301}, TokenUntrusted, "exp"),  # issued now, ended before: no clock explains that
    ({"iat": None}, TokenUntrusted, "iat"),
    ({"iat": -1}, TokenUntrusted, "iat"),
    ({"nbf": "soon"}, TokenUntrusted, "nbf"),
    ({"nbf": NOW + 301}, TokenUntrusted, "nbf"),
    ({"iat": NOW - HOUR, "exp": NOW - 300}, ClockOff, "60"),
    ({"iat": NOW + 600, "exp": NOW + HOUR}, ClockOff, "10"),
    ({"iat": NOW + 600, "nbf": NOW + 600, "exp": NOW + HOUR}, ClockOff, "10"),
]


@pytest.mark.parametrize(("claims", "kind", "detail"), BAD, ids=lambda value: str(value)[:60])
async def test_a_token_that_says_the_wrong_thing(
    openid: OpenId, provider: OpenIdProvider, claims: dict[str, Any], kind: type[ProviderError], detail: str
) -> None:
    openid.approves(**claims)
    fault = await fault_of(redeem(provider))
    assert (type(fault), fault.detail) == (kind, detail)


async def test_our_clock_ten_minutes_behind(openid: OpenId, clock: FakeClock) -> None:
    ours = FakeClock(clock.now() - 10 * MINUTE)
    provider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=ours.now)
    openid.approves()
    fault = await fault_of(redeem(provider))
    assert (type(fault), fault.detail) == (ClockOff, "10")
    ours.advance(6 * MINUTE)
    await redeem(provider)
    await provider.close()


def tampered(openid: OpenId) -> str:
    head, _, signature = openid.token().split(".")
    _, claims, _ = openid.token(sub="somebody-else").split(".")
    return f"{head}.{claims}.{signature}"


def foreign(openid: OpenId) -> str:
    """Signed by somebody else, who names our key."""
    return signed({"alg": "RS256", "kid": "k1"}, openid.claims(), new_key("RS256", "stranger"))


def with_own_key(openid: OpenId) -> str:
    key = new_key("RS256", "stranger")
    header = {"alg": "RS256", "kid": "k1", "jwk": key.as_dict(private=False), "jku": "https://evil.example/keys"}
    return signed(header, openid.claims(), key)


FORGERIES: list[tuple[Callable[[OpenId], object], str]] = [
    (tampered, "signature"),
    (foreign, "signature"),
    (with_own_key, "signature"),
    (lambda o: signed({"alg": "none"}, o.claims(), None), "alg"),
    (lambda o: signed({"alg": "none", "kid": "k1"}, o.claims(), None), "alg"),
    (lambda o: signed({"alg": "None", "kid": "k1"}, o.claims(), None), "alg"),
    (lambda o: signed({"kid": "k1"}, o.claims(), None), "id_token"),
    (lambda o: signed({"alg": ["RS256"], "kid": "k1"}, o.claims(), None), "alg"),
    (lambda o: signed({"alg": "RS256", "kid": "k1"}, o.claims(), None), "signature"),
    (lambda o: hmac_of_public(o.key, o.claims()), "alg"),
    (lambda o: o.token()[:-4], "signature"),
    (lambda o: o.token() + "AAAA", "signature"),
    (lambda o: o.token({"crit": ["exp"], "exp": 1}), "crit"),
    (lambda o: o.token({"crit": ["b64"], "b64": False}), "crit"),
    (lambda o: signed({"alg": "RS256", "kid": "k1"}, ["no", "claims"], o.key), "id_token"),
    (lambda o: o.token().replace(".", "!", 1), "id_token"),
    (lambda o: "a.b.c", "id_token"),
    (lambda o: "..", "id_token"),
    (lambda o: "é.é.é", "id_token"),
    (lambda o: "x" * 200_000, "id_token"),
    (lambda o: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0....", "id_token"),
]


@pytest.mark.parametrize(("forge", "detail"), FORGERIES)
async def test_a_forged_token(
    openid: OpenId, provider: OpenIdProvider, forge: Callable[[OpenId], object], detail: str
) -> None:
    openid.gives(forge(openid))
    fault = await fault_of(redeem(provider))
    assert (type(fault), fault.detail) == (TokenUntrusted, detail)


@pytest.mark.parametrize(
    "algorithm",
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
)
async def test_the_algorithms_that_count(openid: OpenId, provider: OpenIdProvider, algorithm: str) -> None:
    openid.rotate("other")
    openid.rotate("one", algorithm, keep=True)
    openid.approves()
    await redeem(provider)
    openid.gives(signed({"alg": algorithm, "kid": "one"}, openid.claims(), new_key(algorithm, "stranger")))
    assert (await fault_of(redeem(provider))).detail == "signature"


async def test_an_algorithm_that_the_provider_does_not_name(openid: OpenId, provider: OpenIdProvider) -> None:
    openid.document = {"id_token_signing_alg_values_supported": ["ES256", "HS256"]}
    openid.approves()
    assert (await fault_of(redeem(provider))).detail == "alg"
    openid.gives(hmac_of_public(openid.key, openid.claims()))
    assert (await fault_of(redeem(provider))).detail == "alg"


async def test_a_key_signs_with_its_own_algorithm_alone(openid: OpenId, provider: OpenIdProvider) -> None:
    openid.key_members = {"alg": "RS512"}
    openid.approves()
    fault = await fault_of(redeem(provider))
    assert type(fault) is ProviderAway  # another key of that name may have been published since


# ---------------------------------------------------------------------- its keys


async def test_keys_change(openid: OpenId, provider: OpenIdProvider, clock: FakeClock) -> None:
    openid.approves()
    await redeem(provider)
    clock.advance(MINUTE)
    openid.rotate("k2", keep=True)
    openid.approves()
    await redeem(provider)
    clock.advance(MINUTE)
    openid.rotate("k3", "ES256")
    openid.approves()
    await redeem(provider)
    assert openid.counts == {"discovery": 1, "keys": 3, "token": 3}


async def test_a_key_that_was_withdrawn(openid: OpenId, provider: OpenIdProvider, clock: FakeClock) -> None:
    openid.approves()
    await redeem(provider)
    old = openid.key
    openid.rotate("k2")
    clock.advance(timedelta(hours=25))
    openid.gives(signed({"alg": "RS256", "kid": old.kid}, openid.claims(), old))
    assert type(await fault_of(redeem(provider))) is ProviderAway
    clock.advance(MINUTE)
    fault = await fault_of(redeem(provider))
    assert (type(fault), fault.detail) == (TokenUntrusted, "kid")


async def test_invented_key_ids_do_not_hammer_the_provider(
    openid: OpenId, provider: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.begin()
    clock.advance(MINUTE)
    for number in range(20):
        openid.approves({"kid": f"invented-{number}"})
        fault = await fault_of(provider.redeem(f"code-{number}"))
        assert type(fault) is (TokenUntrusted if number == 0 else ProviderAway)
    assert openid.counts["keys"] == 2


async def test_a_token_whose_key_is_not_known_yet_is_redeemed_once(
    openid: OpenId, provider: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.begin()
    openid.rotate("k2")
    openid.answers["token"] = refusal("invalid_grant")  # from the second time on
    openid.next["token"].append(Answer({"id_token": openid.token()}))
    fault = await fault_of(redeem(provider))
    assert isinstance(fault, ProviderAway)
    assert fault.retry_after == 60

    clock.advance(MINUTE)
    openid.answers["keys"] = Answer("", 503)
    assert type(await fault_of(redeem(provider))) is ProviderAway
    assert type(await fault_of(redeem(provider))) is ProviderAway

    clock.advance(MINUTE)
    del openid.answers["keys"]
    assert (await redeem(provider)).id == "248289761001"
    assert openid.counts == {"discovery": 1, "device": 1, "token": 1, "keys": 3}
    assert type(await fault_of(redeem(provider))) is GrantUnknown


async def test_waiting_tokens_are_few(
    openid: OpenId, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.identity.MOST_UNVERIFIED", 2)
    await provider.begin()
    openid.approves({"kid": "new"})
    for code in ("a", "b", "c"):
        await fault_of(provider.redeem(code))
    assert openid.counts["token"] == 3
    for code in ("c", "b"):
        await fault_of(provider.redeem(code))
    assert openid.counts["token"] == 3
    await fault_of(provider.redeem("a"))
    assert openid.counts["token"] == 4


async def test_keys_away_from_the_start_spend_no_code(openid: OpenId, provider: OpenIdProvider) -> None:
    openid.approves()
    openid.answers["keys"] = Answer("", 503, {"Retry-After": "9"})
    fault = await fault_of(redeem(provider))
    assert isinstance(fault, ProviderAway)
    assert (fault.retry_after, openid.counts["token"]) == (9, 0)
    assert type(await fault_of(provider.begin())) is ProviderAway
    assert openid.counts["device"] == 0
    del openid.answers["keys"]
    await redeem(provider)


async def test_known_keys_serve_while_theirs_are_away(
    openid: OpenId, provider: OpenIdProvider, clock: FakeClock
) -> None:
    await provider.begin()
    openid.answers["keys"] = Answer("", 503)
    clock.advance(timedelta(days=3))
    openid.approves()
    await redeem(provider)
    await redeem(provider)
    assert openid.counts["keys"] == 2


SHORT = rsa.generate_private_key(65537, 1024).public_key().public_numbers()

USELESS: list[Any] = [
    {"kty": "RSA", "kid": "k1", "n": int_to_base64(SHORT.n), "e": int_to_base64(SHORT.e)},
    "x",
    None,
    7,
    {},
    {"kty": ["RSA"]},
    {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "k1"},
    {"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"},
    {"kty": "RSA", "kid": "k1", "n": "!" * 400, "e": "AQAB"},
    {"kty": "RSA", "kid": "k1", "n": 5, "e": "AQAB"},
    {"kty": "RSA", "kid": "k1"},
    {"kty": "EC", "kid": "k1", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    {"kty": "EC", "kid": "k1", "crv": "P-9", "x": "AAAA", "y": "AAAA"},
    {"kty": "OKP", "kid": "k1", "crv": "Ed25519", "x": "AAAA"},
    {"kty": "AKP", "kid": "k1", "alg": "ML-DSA-44", "pub": "AAAA"},
    {**new_key("RS256", "k1").as_dict(private=False), "use": "enc"},
    {**new_key("RS256", "k1").as_dict(private=False), "use": None, "key_ops": ["encrypt"]},
    {**new_key("RS256", "k1").as_dict(private=False), "key_ops": 7},
]


@pytest.mark.parametrize("useless", USELESS, ids=[f"useless-{n}" for n in range(len(USELESS))])
async def test_a_useless_key_is_passed_over(openid: OpenId, provider: OpenIdProvider, useless: Any) -> None:
    openid.answers["keys"] = Answer({"keys": [useless]})
    fault = await fault_of(provider.begin())
    assert (type(fault), fault.detail) == (DiscoveryWrong, "jwks_uri")
    openid.answers["keys"] = Answer({"keys": [useless, openid.key.as_dict(private=False)]})
    openid.approves()
    await redeem(provider)


@pytest.mark.parametrize(
    "answer", [Answer({}), Answer({"keys": 7}), Answer("x"), Answer("", 404), Answer({"keys": []})]
)
async def test_no_keys(openid: OpenId, provider: OpenIdProvider, answer: Answer) -> None:
    openid.answers["keys"] = answer
    fault = await fault_of(provider.begin())
    assert (type(fault), fault.detail) == (DiscoveryWrong, "jwks_uri")


async def test_a_token_without_a_key_id(openid: OpenId, provider: OpenIdProvider, clock: FakeClock) -> None:
    """RFC 7515, 4.1.4: fine where one key alone can be meant."""
    openid.rotate("k2", "ES256", keep=True)
    openid.approves({"kid": None})
    await redeem(provider)
    clock.advance(MINUTE)
    openid.rotate("k3", "ES256", keep=True)
    openid.approves({"kid": "k3"})
    await redeem(provider)
    clock.advance(MINUTE)
    openid.approves({"kid": None})
    fault = await fault_of(redeem(provider))
    assert (type(fault), fault.detail) == (TokenUntrusted, "kid")


async def test_a_certificate_in_the_header_is_not_read(openid: OpenId, provider: OpenIdProvider) -> None:
    openid.approves({"x5c": ["A" * 4000], "x5t": "abc", "unheard-of": 1})
    await redeem(provider)


# ---------------------------------------------------------------------- whom a token is about


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        ({}, ()),
        ({"preferred_username": "a@x.y", "upn": "b@x.y", "email": "c@x.y"}, ("a@x.y", "b@x.y", "c@x.y")),
        ({"preferred_username": "a@x.y", "upn": "A@X.Y", "email": "a@x.y"}, ("a@x.y",)),
        ({"email": "c@x.y", "email_verified": True}, ("c@x.y",)),
        ({"email": "c@x.y", "email_verified": False}, ()),
        ({"email": "c@x.y", "email_verified": "false"}, ()),
        ({"upn": "c@x.y", "email": "c@x.y", "email_verified": False}, ("c@x.y",)),
        ({"preferred_username": 7, "upn": ["b@x.y"], "email": {"x": 1}}, ()),
        ({"preferred_username": "a\nb", "upn": "x" * 321, "email": ""}, ()),
        ({"name": "Room", "unique_name": "r@x.y"}, ()),
    ],
    ids=str,
)
async def test_the_names_of_an_account(
    openid: OpenId, provider: OpenIdProvider, claims: dict[str, Any], names: tuple[str, ...]
) -> None:
    openid.approves(**claims)
    assert (await redeem(provider)).names == names


async def test_the_object_id_names_an_account(openid: OpenId, provider: OpenIdProvider) -> None:
    openid.approves(oid="8a6f", tid="t-1")
    assert await redeem(provider) == Account("8a6f", (), "t-1")


# ---------------------------------------------------------------------- Entra


class Names(AbstractResolver):
    """Microsoft's host is at our door."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        assert host == "login.microsoftonline.com"
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=2, proto=0, flags=0)]

    async def close(self) -> None: ...


@pytest.fixture
async def entra(clock: FakeClock) -> AsyncIterator[OpenId]:
    async with OpenId(clock.now, server_tls(), f"{ENTRA}/{HOME}/v2.0") as entra:
        yield entra


Open = Callable[..., OpenIdProvider]


@pytest.fixture
async def at_entra(entra: OpenId, clock: FakeClock) -> AsyncIterator[Open]:
    connector = aiohttp.TCPConnector(resolver=Names(entra.port), ssl=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield lambda issuer=f"{ENTRA}/{HOME}/v2.0", tenant="": OpenIdProvider(
            issuer, CLIENT_ID, tenant=tenant, now=clock.now, sessions=lambda: session
        )


@pytest.mark.parametrize(
    ("issuer", "tenant"),
    [
        (f"{ENTRA}/{HOME}/v2.0", ""),
        (f"{ENTRA}/{HOME}/v2.0", HOME.upper()),
        (f"{ENTRA}/contoso.com/v2.0", ""),
        (f"{ENTRA}/contoso.com/v2.0", "contoso.com"),
    ],
)
async def test_an_account_of_our_tenant(entra: OpenId, at_entra: Open, issuer: str, tenant: str) -> None:
    provider = at_entra(issuer, tenant)
    entra.key_members = {"issuer": f"{ENTRA}/{{tenantid}}/v2.0"}
    assert (await provider.begin()).user_code == "WDJB-MJHT"
    entra.approves(tid=HOME, oid="8a6f", preferred_username="room@contoso.com", ver="2.0")
    assert await redeem(provider) == Account("8a6f", ("room@contoso.com",), HOME)
    assert entra.asked["discovery"][0].path == f"{issuer.removeprefix(ENTRA)}/.well-known/openid-configuration"


async def test_a_tenant_that_the_description_leaves_open(entra: OpenId, at_entra: Open) -> None:
    entra.document = {"issuer": f"{ENTRA}/{{tenantid}}/v2.0"}
    provider = at_entra(f"{ENTRA}/organizations/v2.0", HOME)
    entra.approves(tid=HOME)
    assert (await redeem(provider)).tenant == HOME
    entra.approves(tid=ABROAD, iss=f"{ENTRA}/{ABROAD}/v2.0")
    assert type(await fault_of(redeem(provider))) is OtherTenant
    assert type(await fault_of(at_entra(f"{ENTRA}/organizations/v2.0").begin())) is DiscoveryWrong


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"tid": ABROAD}, OtherTenant),
        ({"tid": ABROAD, "iss": f"{ENTRA}/{ABROAD}/v2.0"}, OtherTenant),
        ({"tid": HOME, "iss": f"{ENTRA}/{ABROAD}/v2.0"}, OtherTenant),
        ({}, TokenUntrusted),
        ({"tid": ["x"]}, TokenUntrusted),
        ({"tid": HOME, "iss": f"https://sts.windows.net/{HOME}/"}, TokenUntrusted),
        ({"tid": HOME, "iss": f"{ENTRA}/{HOME}/v1.0"}, TokenUntrusted),
        ({"tid": HOME, "iss": f"{ENTRA}/{{tenantid}}/v2.0"}, TokenUntrusted),
        ({"tid": HOME, "iss": f"https://login-microsoftonline.com/{HOME}/v2.0"}, TokenUntrusted),
    ],
    ids=str,
)
async def test_a_token_of_another_tenant(
    entra: OpenId, at_entra: Open, claims: dict[str, Any], kind: type[ProviderError]
) -> None:
    entra.approves(**claims)
    assert type(await fault_of(redeem(at_entra()))) is kind


async def test_the_configured_tenant_counts_too(entra: OpenId, at_entra: Open) -> None:
    entra.approves(tid=HOME)
    assert type(await fault_of(redeem(at_entra(tenant=ABROAD)))) is OtherTenant


async def test_a_key_that_is_for_another_tenant(entra: OpenId, at_entra: Open) -> None:
    entra.key_members = {"issuer": f"{ENTRA}/{ABROAD}/v2.0"}
    entra.approves(tid=HOME)
    fault = await fault_of(redeem(at_entra()))
    assert (type(fault), fault.detail) == (TokenUntrusted, "iss")
