"""Who may come in: a bad token is answered 401, a verified stranger 403; neither runs a turn or calls anybody."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from bot.adapter import Adapter
from bot.adapter_http import RefusedError, ServiceHosts
from bot.credentials import Credentials
from tests.bot.echo import Echo, guarded, post
from tests.connector import APP_ID, APP_PASSWORD, SIGNING_KEY, TENANT, FakeConnector, FakeIdentity, activity, serving


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


@pytest.fixture
async def identity() -> AsyncIterator[FakeIdentity]:
    async with FakeIdentity() as identity:
        yield identity


# ---------------------------------------------------------------------- bad tokens

Make = Callable[[FakeIdentity, FakeConnector], str | None]

STRANGER = rsa.generate_private_key(65537, 2048)
SHORT = rsa.generate_private_key(65537, 1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
HOUR = 3600
EMULATOR = "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"


def part(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def rs(algorithm: str = "RS256", key: Any = SIGNING_KEY) -> Callable[[bytes], bytes]:
    return lambda data: JWSRegistry.algorithms[algorithm].sign(data, RSAKey.import_key(key))


def by_hand(
    header: object, claims: object, sign: Callable[[bytes], bytes] | None = None, *, raw: bytes | None = None
) -> str:
    """A token no library would write; `raw` is the payload as it is."""
    payload = json.dumps(claims).encode() if raw is None else raw
    signed = part(header if isinstance(header, bytes) else json.dumps(header).encode()) + b"." + part(payload)
    return (signed + b"." + part((sign or rs())(signed))).decode()


def within(seconds: int) -> Callable[[], int]:
    """That many seconds from when the token is made."""
    return lambda: int(time.time()) + seconds


def made(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: value() if callable(value) else value for name, value in claims.items()}


def claims_of(connector: FakeConnector, **changed: Any) -> dict[str, Any]:
    sound = {"iss": FakeIdentity.issuer, "aud": APP_ID, "serviceurl": connector.url, "exp": int(time.time()) + HOUR}
    return {**sound, **made(changed)}


def headed(sign: Callable[[bytes], bytes] | None = None, **header: Any) -> Make:
    """Sound claims under another header; a member given as None is left out."""
    members = {"alg": "RS256", "kid": "key-1", "typ": "JWT", **header}
    said = {name: value for name, value in members.items() if value is not None}
    return lambda identity, connector: by_hand(said, claims_of(connector), sign)


def claiming(**claims: Any) -> Make:
    """A sound token but for these claims; None leaves one out."""
    return lambda identity, connector: identity.token(connector, **made(claims))


def saying(**claims: Any) -> Make:
    """As `claiming`, for what no library would put in: None stays, types are not looked at."""
    header = {"alg": "RS256", "kid": "key-1", "typ": "JWT"}
    return lambda identity, connector: by_hand(header, claims_of(connector, **claims))


def holding(payload: bytes) -> Make:
    header = {"alg": "RS256", "kid": "key-1", "typ": "JWT"}
    return lambda identity, connector: by_hand(header, None, raw=payload)


def bent(bend: Callable[[list[str]], Sequence[str]], joined: str = ".") -> Make:
    """A sound token whose three parts were changed afterwards."""
    return lambda identity, connector: joined.join(bend(identity.token(connector).split(".")))


def signed_with(kid: str) -> Make:
    return lambda identity, connector: identity.token(connector, kid=kid, key=identity.keys[kid])


def hs256(identity: FakeIdentity, connector: FakeConnector) -> str:
    """Signed with the public key as if it were a shared secret."""
    public = identity.keys["key-1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": "key-1", "typ": "JWT"}
    return by_hand(header, claims_of(connector), lambda data: hmac.digest(public, data, hashlib.sha256))


def es256(identity: FakeIdentity, connector: FakeConnector) -> str:
    return jwt.encode(claims_of(connector), CURVE, "ES256", headers={"kid": "key-1"})


def short(data: bytes) -> bytes:
    return SHORT.sign(data, PKCS1v15(), SHA256())


OWN_JWK = {**RSAKey.import_key(STRANGER).as_dict(private=False), "kid": "key-1", "endorsements": ["msteams"]}

BAD_TOKENS: dict[str, Make] = {
    # no token
    "none at all": lambda identity, connector: None,
    "garbage": lambda identity, connector: "garbage",
    "three parts of garbage": lambda identity, connector: "a.b.c",
    "three empty parts": lambda identity, connector: "..",
    "long garbage": lambda identity, connector: "a" * 2000 + "." + "b" * 2000 + "." + "c" * 2000,
    "two words": lambda identity, connector: identity.token(connector) + " x",
    "two parts": bent(lambda parts: parts[:2]),
    "five parts": bent(lambda parts: [*parts, "a", "b"]),
    "padded": bent(lambda parts: [parts[0], parts[1] + "==", parts[2]]),
    "padded at the end": bent(lambda parts: [parts[0], parts[1], parts[2] + "=="]),
    "with foreign letters": bent(lambda parts: [parts[0], parts[1], parts[2] + "!"]),
    "with a tab": bent(lambda parts: [parts[0], parts[1], "\t" + parts[2]]),
    "in standard base64": bent(lambda parts: [parts[0], parts[1], "+/" + parts[2][2:]]),
    "not ASCII": bent(lambda parts: [parts[0], parts[1], "å" + parts[2]]),
    # signature
    "no signature": bent(lambda parts: [parts[0], parts[1], ""]),
    "half a signature": bent(lambda parts: [parts[0], parts[1], parts[2][:170]]),
    "a bent signature": bent(lambda parts: [parts[0], parts[1], ("B" if parts[2][0] == "A" else "A") + parts[2][1:]]),
    "claims changed afterwards": bent(lambda parts: [parts[0], part(b'{"aud": "x"}').decode(), parts[2]]),
    "header changed afterwards": bent(lambda parts: [part(b'{"alg":"RS256"}').decode(), parts[1], parts[2]]),
    "wrong signature": lambda identity, connector: identity.token(connector, key=STRANGER),
    "HS256 with the public key": hs256,
    "algorithm none": headed(lambda data: b"", alg="none"),
    "algorithm None": headed(lambda data: b"", alg="None"),
    "algorithm none, signed": headed(alg="none"),
    "no algorithm": headed(alg=None),
    "algorithm in small letters": headed(alg="rs256"),
    "algorithm a list": headed(alg=["RS256"]),
    "algorithm a number": headed(alg=256),
    "RS384": headed(rs("RS384"), alg="RS384"),
    "RS512": headed(rs("RS512"), alg="RS512"),
    "PS256": headed(rs("PS256"), alg="PS256"),
    "RS512 named RS256": headed(rs("RS512")),
    "ES256": es256,
    # key
    "unknown key": lambda identity, connector: identity.token(connector, kid="key-9", key=STRANGER),
    "no key named": lambda identity, connector: identity.token(connector, kid=None),
    "key named by nothing": headed(kid=""),
    "key named by a number": headed(kid=1),
    "key named by a list": headed(kid=["key-1"]),
    "key named in capitals": headed(kid="KEY-1"),
    "key named by a path": headed(kid="../../dev/null"),
    "key in its own header": headed(rs(key=STRANGER), kid="key-9", jwk=OWN_JWK),
    "key in its own header under a good name": headed(rs(key=STRANGER), jwk=OWN_JWK),
    "key at an address of its own": headed(rs(key=STRANGER), kid="key-9", jku="http://127.0.0.1:9/keys"),
    "certificate in its own header": headed(rs(key=STRANGER), kid="key-9", x5c=["MIIB"], x5u="http://127.0.0.1:9/"),
    "a key endorsed for nobody": signed_with("loose"),
    "a key endorsed for another channel": signed_with("slack"),
    "a key whose endorsement is a word": signed_with("word"),
    "a key that is too short": headed(short, kid="short"),
    # header
    "header no object": lambda identity, connector: by_hand([], claims_of(connector)),
    "header no JSON": lambda identity, connector: by_hand(b"{alg:RS256}", claims_of(connector)),
    "header empty": lambda identity, connector: by_hand({}, claims_of(connector)),
    "header nested": lambda identity, connector: by_hand(b"[" * 4000, claims_of(connector)),
    "header with something critical": headed(crit=["exp"], exp=2**40),
    "header with an unknown critical thing": headed(crit=["http://example.com/x"], **{"http://example.com/x": 1}),
    "payload not encoded": headed(b64=False, crit=["b64"]),
    # claims
    "claims a list": holding(b"[]"),
    "claims a text": holding(b'"claims"'),
    "claims null": holding(b"null"),
    "claims empty": holding(b"{}"),
    "claims nothing": holding(b""),
    "claims no JSON": holding(b"hello"),
    "claims no UTF-8": holding(b'{"iss": "\xff"}'),
    "claims nested": holding(b'{"iss":' * 500 + b"1" + b"}" * 500),
    "claims nested beyond the parser": holding(b"[" * 3500),
    # times
    "expired": claiming(exp=within(-HOUR)),
    "expired beyond the leeway": claiming(exp=within(-330)),
    "expired long ago": claiming(exp=1),
    "expired before time began": claiming(exp=-1e300),
    "never ending": claiming(exp=None),
    "ending null": saying(exp=None),
    "ending in words": claiming(exp="tomorrow"),
    "ending in digits": claiming(exp=lambda: str(int(time.time()) + HOUR)),
    "ending true": claiming(exp=True),
    "ending in a list": saying(exp=lambda: [int(time.time()) + HOUR]),
    "ending not a number": holding(b'{"exp": NaN}'),
    "ending at infinity": saying(exp=float("inf")),
    "not yet valid": claiming(nbf=within(HOUR)),
    "not yet valid beyond the leeway": claiming(nbf=within(330)),
    "valid from a word": claiming(nbf="now"),
    "valid from false": saying(nbf=False),
    "valid from digits": claiming(nbf=lambda: str(int(time.time()) - HOUR)),
    "valid from null": saying(nbf=None),
    "valid from a list": saying(nbf=[1]),
    "issued in the future": claiming(iat=within(HOUR)),
    "issued in a list": saying(iat=[1]),
    # who, for whom
    "other issuer": claiming(iss="https://evil.example"),
    "no issuer": claiming(iss=None),
    "issuer null": saying(iss=None),
    "issuer with a slash": claiming(iss=FakeIdentity.issuer + "/"),
    "issuer in capitals": claiming(iss=FakeIdentity.issuer.upper()),
    "issuer in a list": saying(iss=[FakeIdentity.issuer]),
    "issuer a number": saying(iss=7),
    "other bot": claiming(aud="another-app"),
    "no audience": claiming(aud=None),
    "audience empty": claiming(aud=""),
    "audience with a blank": claiming(aud=APP_ID + " "),
    "audience in capitals": claiming(aud=APP_ID.upper() + "A"),
    "audience in a list": saying(aud=[APP_ID]),
    "audience among others": saying(aud=["another-app", APP_ID]),
    "audience an object": saying(aud={"id": APP_ID}),
    "other service": claiming(serviceurl="https://evil.example"),
    "no service": claiming(serviceurl=None),
    "service null": saying(serviceurl=None),
    "service empty": claiming(serviceurl=""),
    "service a list": lambda identity, connector: identity.token(connector, serviceurl=[connector.url]),
    "service with a slash": lambda identity, connector: identity.token(connector, serviceurl=connector.url + "/"),
    "service beside it": lambda identity, connector: identity.token(connector, serviceurl=connector.url + "1"),
    "an emulator's": claiming(iss=EMULATOR, ver="1.0", appid=APP_ID),
    "an emulator's of version 2": claiming(iss=EMULATOR, ver="2.0", azp=APP_ID),
    "another bot's": claiming(iss=EMULATOR, ver="1.0", appid="other"),
    "another bot's of version 2": claiming(iss=EMULATOR, ver="2.0", azp="other"),
    "another bot's in our issuer's name": claiming(ver="2.0", azp="other"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
async def test_a_bad_token_is_401(connector: FakeConnector, identity: FakeIdentity, case: str) -> None:
    """The SDK answers 500 to bad tokens, and lets seven kinds through (no end, key without endorsements …)."""
    identity.keys |= {"loose": STRANGER, "slack": STRANGER, "word": STRANGER, "short": SHORT}
    identity.endorsements |= {"loose": [], "slack": ["slack"], "word": "msteams"}  # type: ignore[dict-item]
    bot = Echo()
    async with serving(guarded(identity), bot) as client:
        response = await post(client, activity(connector), BAD_TOKENS[case](identity, connector))
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert set(await response.json()) == {"error"}
    assert bot.turns == 0
    assert connector.calls == []
    assert identity.token_fetches == 0


GOOD_TOKENS: dict[str, Make] = {
    "as Teams sends it": claiming(),
    "by hand": headed(),
    "expired within the leeway": claiming(exp=within(-60)),
    "valid within the leeway": claiming(nbf=within(60)),
    "with more claims": claiming(tid="x", sub="y", jti="z", iat=within(0)),
    "without a beginning": claiming(nbf=None),
    "of the other key": signed_with("key-2"),
    "of a key endorsed for others too": signed_with("many"),
}


@pytest.mark.parametrize("case", GOOD_TOKENS)
async def test_the_gate_does_not_close_on_good_ones(
    connector: FakeConnector, identity: FakeIdentity, case: str
) -> None:
    identity.keys |= {"key-2": STRANGER, "many": STRANGER}
    identity.endorsements |= {"many": ["slack", "msteams"]}
    bot = Echo()
    async with serving(guarded(identity), bot) as client:
        assert (await post(client, activity(connector), GOOD_TOKENS[case](identity, connector))).status == 200
    assert bot.turns == 1


async def test_another_scheme_is_401(connector: FakeConnector, identity: FakeIdentity) -> None:
    token = identity.token(connector)
    headers = ("", "Basic dTpw", "Bearer", "bearer x", "Bearer  ", token, f"bearer {token}", f"BEARER {token}")
    odd = (
        f"Bearer  {token}",
        f"Bearer\t{token}",
        f"Bearer {token},",
        f"Bearer {token} Bearer {token}",
        f"Token {token}",
    )
    async with serving(guarded(identity), Echo()) as client:
        for header in (*headers, *odd):
            response = await client.post("/api/messages", json=activity(connector), headers={"Authorization": header})
            assert response.status == 401, header


async def test_two_tokens_at_once_are_none(connector: FakeConnector, identity: FakeIdentity) -> None:
    bot, token = Echo(), f"Bearer {identity.token(connector)}"
    async with serving(guarded(identity), bot) as client:
        headers = [("Authorization", token), ("Authorization", token)]
        response = await client.post("/api/messages", json=activity(connector), headers=headers)
        assert response.status in (400, 401)  # 400 where aiohttp itself refuses it
    assert bot.turns == 0


async def test_nobody_fills_our_memory_without_a_token(connector: FakeConnector, identity: FakeIdentity) -> None:
    """The answer comes before the body does."""
    async with serving(guarded(identity), Echo()) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(
            b"POST /api/messages HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nContent-Length: 200000\r\n\r\n"
        )
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        writer.close()
        await writer.wait_closed()


# ---------------------------------------------------------------------- verified, and not allowed

ELSEWHERE = "99999999-3c4e-4d0b-9a51-0c7a5be0d001"
NOT_ALLOWED: dict[str, tuple[dict[str, Any], int]] = {
    "another organisation": ({"channelData": {"tenant": {"id": ELSEWHERE}}}, 403),
    "no organisation": ({"channelData": {}, "conversation": {"id": "a:sam"}}, 403),
    "another organisation's conversation": (
        {"channelData": {}, "conversation": {"id": "a", "tenantId": ELSEWHERE}},
        403,
    ),
    "an organisation that is none": ({"channelData": {"tenant": {"id": [TENANT]}}, "conversation": {"id": "a"}}, 403),
    "another channel": ({"channelId": "webchat"}, 401),  # no key is endorsed for it
    "another channel whose key is good": ({"channelId": "slack"}, 403),
    "no channel": ({"channelId": None}, 403),
    "an empty channel": ({"channelId": ""}, 403),
    "the channel in capitals": ({"channelId": "MSTeams"}, 401),
    "the emulator": ({"channelId": "emulator"}, 401),
    "another service": ({"serviceUrl": "https://smba.trafficmanager.net/emea/"}, 401),
}


@pytest.mark.parametrize("case", NOT_ALLOWED)
async def test_a_verified_stranger_is_refused(connector: FakeConnector, identity: FakeIdentity, case: str) -> None:
    """The SDK lets a token through for another tenant and for no channel."""
    identity.endorsements["key-1"] = ["msteams", "slack"]
    fields, status = NOT_ALLOWED[case]
    bot = Echo()
    async with serving(guarded(identity), bot) as client:
        response = await post(client, activity(connector, **fields), identity.token(connector))
        assert response.status == status
    assert bot.turns == 0
    assert connector.calls == []


async def test_the_bots_token_goes_to_allowed_hosts_only(connector: FakeConnector, identity: FakeIdentity) -> None:
    adapter = Adapter(
        Credentials(APP_ID, APP_PASSWORD, TENANT), allowed_service_hosts=("teams.example",), cloud=identity.cloud()
    )
    async with serving(adapter, Echo()) as client:
        assert (await post(client, activity(connector), identity.token(connector))).status == 403
    assert connector.calls == []
    assert identity.token_fetches == 0


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://smba.trafficmanager.net/emea/", True),
        ("https://eu.smba.trafficmanager.net", True),
        ("https://SMBA.trafficmanager.net/emea/6f1d1a52/", True),
        ("http://smba.trafficmanager.net/", False),
        ("https://evilsmba.trafficmanager.net.evil.example/", False),
        ("https://xsmba.trafficmanager.net/", False),
        ("https://smba.trafficmanager.net@evil.example/", False),
        ("https://smba.trafficmanager.net\\@evil.example/", False),
        ("https://smba.trafficmanager.net/?x=1", False),
        ("https://smba.trafficmanager.net/#x", False),
        ("https://smba.trafficmanager.net:99999/", False),
        ("https://[::1", False),
        ("https://127.0.0.1/", False),
        ("http://localhost:3978/", False),
        ("", False),
    ],
)
def test_service_hosts(url: str, good: bool) -> None:
    hosts = ServiceHosts(("smba.trafficmanager.net",), local=False)
    try:
        assert hosts.check(url) == url.rstrip("/")
        assert good
    except RefusedError as refused:
        assert refused.status == 403
        assert not good
