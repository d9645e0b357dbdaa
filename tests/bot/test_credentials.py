"""The bot's own tokens by secret, certificate and managed identity: asked for once, renewed in time, never shown."""

import asyncio
import hashlib
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from bot.adapter import Adapter
from bot.adapter_trust import TOKEN_LIFE, Granted, ScopedToken, Tokens, TokenUnavailableError, granted
from bot.certificate import BadCertificate, CertificateProof, read_certificate
from bot.clouds import PUBLIC, US_GOVERNMENT, Cloud
from bot.composition import build_adapter
from bot.credentials import Credentials
from bot.settings import load_settings
from tests import certificates
from tests.bot.echo import Echo, post
from tests.bot.stalls import Stalls
from tests.connector import APP_ID, APP_PASSWORD, TENANT, FakeConnector, FakeIdentity, activity, serving

SCOPE = "https://api.example"
IDENTITY_HEADER = "the-header-of-the-machine"


class TokenServer:
    """Entra's token endpoint, an IDENTITY_ENDPOINT and IMDS, strict as the real ones, on loopback.

    `refusals` are answered first, one a request: a status and a body. `free` cleared: no answer comes.
    """

    def __init__(self, certificate: Any = None) -> None:
        self.certificate = certificate
        self.asked: list[Mapping[str, str]] = []
        self.refusals: list[tuple[int, str]] = []
        self.seconds = 3600
        self.scope = SCOPE
        self.ids: set[str] = set()
        self.free = asyncio.Event()
        self.free.set()
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post(f"/{TENANT}/oauth2/v2.0/token", self._by_assertion)
        app.router.add_get("/msi/token", self._by_header)
        app.router.add_get("/metadata/identity/oauth2/token", self._by_metadata)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.free.set()
        await self._runner.cleanup()

    @property
    def cloud(self) -> Cloud:
        return Cloud(FakeIdentity.issuer, f"{self.url}/openid", SCOPE, self.url)

    async def _by_assertion(self, request: web.Request) -> web.Response:
        """RFC 7523, 3, as Entra reads it: checked with another library than the one that signs."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        fault = await self._fault(form)
        if fault:
            return fault
        try:
            self._check(form, str(request.url))
        except (jwt.PyJWTError, AssertionError, KeyError) as error:
            return web.json_response({"error": "invalid_client", "error_description": repr(error)}, status=401)
        return web.json_response({**self._token(), "expires_in": self.seconds})

    def _check(self, form: Mapping[str, str], url: str) -> None:
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert form["scope"] == f"{SCOPE}/.default"
        assert "client_secret" not in form
        signed = form["client_assertion"]
        header = jwt.get_unverified_header(signed)
        der = self.certificate.public_bytes(Encoding.DER)
        assert header["x5t#S256"] == urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        assert header["typ"] == "JWT"
        claims = jwt.decode(
            signed,
            self.certificate.public_key(),
            ["PS256"],
            audience=url,
            issuer=form["client_id"],
            options={"require": ["exp", "nbf", "iat", "jti", "sub", "iss", "aud"]},
        )
        assert claims["sub"] == claims["iss"] == APP_ID
        assert 0 < claims["exp"] - claims["nbf"] <= 600
        assert claims["jti"] not in self.ids
        self.ids.add(claims["jti"])

    async def _by_header(self, request: web.Request) -> web.Response:
        """App Service and Container Apps; `expires_on` is a text there."""
        fault = await self._fault(request.query)
        if fault:
            return fault
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER or request.query.get("client_id") != APP_ID:
            return web.json_response({"statusCode": 400, "message": "No User Assigned identity found"}, status=400)
        assert (request.query["api-version"], request.query["resource"]) == ("2019-08-01", self.scope)
        return web.json_response({**self._token(), "expires_on": str(int(time.time()) + self.seconds)})

    async def _by_metadata(self, request: web.Request) -> web.Response:
        """A virtual machine; `expires_in` is a text there."""
        fault = await self._fault(request.query)
        if fault:
            return fault
        assert request.headers["Metadata"] == "true"
        assert (request.query["client_id"], request.query["resource"]) == (APP_ID, SCOPE)
        return web.json_response({**self._token(), "expires_in": str(self.seconds)})

    def _token(self) -> dict[str, Any]:
        return {"access_token": f"secret-token-{len(self.asked)}", "token_type": "Bearer", "resource": SCOPE}

    async def _fault(self, asked: Mapping[str, str]) -> web.Response | None:
        self.asked.append(dict(asked))
        await self.free.wait()
        if not self.refusals:
            return None
        status, body = self.refusals.pop(0)
        return web.Response(status=status, text=body, content_type="application/json")


def by_certificate(path: Path) -> Credentials:
    return Credentials(APP_ID, "", TENANT, path)


MANAGED = Credentials(APP_ID, "", TENANT, managed=True)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TokenServer]:
    async with TokenServer(certificates.good(tmp_path)[1]) as server:
        yield server


@pytest.fixture
def on_app_service(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)


@pytest.fixture
def on_a_machine(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.url)


def adapter_of(credentials: Credentials, cloud: Cloud) -> Adapter:
    return Adapter(credentials, allowed_service_hosts=("127.0.0.1",), cloud=cloud)


async def token_of(credentials: Credentials, server: TokenServer) -> str:
    adapter = adapter_of(credentials, server.cloud)
    try:
        assert adapter.tokens is not None
        return await adapter.tokens.get(SCOPE)
    finally:
        await adapter.close()


# ---------------------------------------------------------------------- the three kinds


async def test_a_certificate_stands_for_the_secret(server: TokenServer, tmp_path: Path) -> None:
    path = tmp_path / "bot.pem"
    assert await token_of(by_certificate(path), server) == "secret-token-1"
    assert await token_of(by_certificate(path), server) == "secret-token-2"
    assert len(server.ids) == 2


async def test_another_certificate_is_refused(server: TokenServer, tmp_path: Path) -> None:
    other = certificates.written(
        tmp_path, certificates.rsa_key("x"), certificates.certificate_for(certificates.rsa_key("x"))
    )
    with pytest.raises(TokenUnavailableError, match="invalid_client"):
        await token_of(by_certificate(other), server)


async def test_a_renewed_certificate_counts_without_a_restart(server: TokenServer, tmp_path: Path) -> None:
    adapter = adapter_of(by_certificate(tmp_path / "bot.pem"), server.cloud)
    assert adapter.tokens is not None
    first = await adapter.tokens.get(SCOPE)
    key = certificates.rsa_key("next")
    server.certificate = certificates.certificate_for(key)
    certificates.written(tmp_path, key, server.certificate)
    adapter.tokens.forget(SCOPE, first)
    assert await adapter.tokens.get(SCOPE) == "secret-token-2"
    (tmp_path / "bot.pem").unlink()
    adapter.tokens.forget(SCOPE, "secret-token-2")
    with pytest.raises(TokenUnavailableError, match="cannot be read"):
        await adapter.tokens.get(SCOPE)
    await adapter.close()


@pytest.mark.usefixtures("on_app_service")
async def test_the_managed_identity_of_an_app_service(server: TokenServer) -> None:
    assert await token_of(MANAGED, server) == "secret-token-1"


@pytest.mark.usefixtures("on_a_machine")
async def test_the_managed_identity_of_a_machine(server: TokenServer) -> None:
    assert await token_of(MANAGED, server) == "secret-token-1"


CONFIGURED = {
    "CLIENT_ID": APP_ID,
    "TENANT_ID": TENANT,
    "ADMINS": TENANT,
    "ORGANISATION": "Contoso",
    "CODE_KEYS": f"k1:{b64encode(bytes(32)).decode()}",
}


@pytest.mark.usefixtures("on_app_service")
@pytest.mark.parametrize(
    ("service", "scope"),
    [("", "https://api.botframework.com"), ("https://botframework.azure.us", "https://api.botframework.us")],
)
async def test_from_the_settings_to_a_token(server: TokenServer, service: str, scope: str) -> None:
    server.scope = scope
    environ = {**CONFIGURED, "MicrosoftAppType": "UserAssignedMSI", "ChannelService": service}
    adapter = build_adapter(load_settings(environ, None))
    assert adapter.token is not None
    assert (adapter.token.scope, await adapter.token.get()) == (scope, "secret-token-1")
    await adapter.close()


async def test_a_token_is_asked_for_where_the_cloud_is(tmp_path: Path) -> None:
    """Nobody is asked here: the address stands in what the certificate signs."""
    path, _ = certificates.good(tmp_path)
    for cloud, login in (
        (PUBLIC, "https://login.microsoftonline.com"),
        (US_GOVERNMENT, "https://login.microsoftonline.us"),
    ):
        form = await CertificateProof(path, APP_ID, cloud.token_url(TENANT))()
        claims = jwt.decode(form["client_assertion"], options={"verify_signature": False})
        assert claims["aud"] == f"{login}/{TENANT}/oauth2/v2.0/token"


@pytest.mark.usefixtures("on_app_service")
async def test_a_managed_identity_s_token_that_was_refused_is_not_given_again(server: TokenServer) -> None:
    """MSAL keeps tokens too, and would give the same one again."""
    adapter = adapter_of(MANAGED, server.cloud)
    token = adapter.token
    assert isinstance(token, ScopedToken)
    refused = await token.get()
    token.forget(refused)
    assert (refused, await token.get()) == ("secret-token-1", "secret-token-2")
    await adapter.close()


@pytest.mark.usefixtures("on_app_service")
async def test_a_machine_that_says_too_many_is_left_alone(server: TokenServer) -> None:
    server.refusals = [(429, "{}")]
    adapter = adapter_of(MANAGED, server.cloud)
    assert adapter.tokens is not None
    for _ in range(10):
        with pytest.raises(TokenUnavailableError):
            await adapter.tokens.get(SCOPE)
    assert len(server.asked) == 1
    await adapter.close()


NO_LIFETIME = [10**400, float("inf"), float("nan"), -1, "soon", None, 86_401]


@pytest.mark.parametrize("said", NO_LIFETIME, ids=lambda said: str(said)[:8])
def test_a_lifetime_that_none_can_have_is_taken_for_the_usual_hour(said: object) -> None:
    assert granted({"access_token": "x", "expires_in": said}) == Granted("x", TOKEN_LIFE)


@pytest.mark.parametrize("said", [0, 1, "3599", 86_400])
def test_a_lifetime_that_one_can_have_counts(said: int | str) -> None:
    assert granted({"access_token": "x", "expires_in": said}) == Granted("x", float(said))


# ---------------------------------------------------------------------- failures


FAULTS: dict[str, tuple[int, str]] = {
    "refused": (401, '{"error": "invalid_client", "error_description": "secret-description"}'),
    "an error page": (502, "<html>secret-page</html>"),
    "a list": (200, "[]"),
    "no token": (200, "{}"),
    "a token that is none": (200, '{"access_token": ["x"], "expires_in": 10, "expires_on": 10}'),
    "nonsense": (200, '{"access_token": "x", "expires_on": "secret-nonsense"}'),
    "an error that is none": (400, '{"error": {"secret-code": 1}}'),
}


@pytest.mark.usefixtures("on_app_service")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["certificate", "managed identity"])
async def test_no_token_is_one_sentence_without_secrets(
    server: TokenServer, tmp_path: Path, kind: str, fault: str
) -> None:
    if (kind, fault) == ("certificate", "nonsense"):
        return  # to a token endpoint `expires_on` means nothing
    server.refusals = [FAULTS[fault]]
    with capture_logs() as logs, pytest.raises(TokenUnavailableError) as refused:
        await token_of(MANAGED if kind == "managed identity" else by_certificate(tmp_path / "bot.pem"), server)
    assert str(refused.value).startswith("No token for the bot's own calls (")
    assert str(refused.value).endswith("Check its credentials and the way to Entra.")
    assert "secret" not in str(refused.value) + json.dumps(logs)
    assert refused.value.__cause__ is None


@pytest.mark.usefixtures("on_app_service")
async def test_a_machine_that_hangs_blocks_nothing_and_is_given_up(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.managed_identity.FETCH_LIMIT", aiohttp.ClientTimeout(total=2))
    server.free.clear()
    async with Stalls() as stalls:
        with pytest.raises(TokenUnavailableError, match="TimeoutError"):
            await token_of(MANAGED, server)
    assert stalls.longest < 1  # two, if it were kept from its work; a busy machine may hold it up
    print(f"longest stall of the loop while the managed identity hung: {stalls.longest * 1000:.1f} ms")


async def test_an_unreachable_token_endpoint_is_one_sentence(server: TokenServer, tmp_path: Path) -> None:
    cloud = Cloud(FakeIdentity.issuer, "", SCOPE, "http://127.0.0.1:9")
    adapter = adapter_of(by_certificate(tmp_path / "bot.pem"), cloud)
    assert adapter.tokens is not None
    with pytest.raises(TokenUnavailableError, match="ClientConnectorError"):
        await adapter.tokens.get(SCOPE)
    await adapter.close()


# ---------------------------------------------------------------------- how often


@pytest.mark.parametrize("kind", ["secret", "certificate", "managed identity"])
@pytest.mark.usefixtures("on_app_service")
async def test_forty_turns_at_once_ask_for_one_token(server: TokenServer, tmp_path: Path, kind: str) -> None:
    async with FakeConnector() as connector, FakeIdentity() as identity:
        credentials = {
            "secret": Credentials(APP_ID, APP_PASSWORD, TENANT),
            "certificate": by_certificate(tmp_path / "bot.pem"),
            "managed identity": MANAGED,
        }[kind]
        login = identity.url if kind == "secret" else server.url
        cloud = Cloud(identity.issuer, f"{identity.url}/openid", SCOPE, login)
        bot = Echo()
        async with serving(adapter_of(credentials, cloud), bot) as client:
            answers = await asyncio.gather(
                *(post(client, activity(connector, id=f"m{n}"), identity.token(connector)) for n in range(40))
            )
        assert {answer.status for answer in answers} == {200}
        assert bot.turns == len(connector.sends) == 40
        assert len({call.authorization for call in connector.calls}) == 1
        assert (identity.token_fetches + len(server.asked), identity.key_fetches) == (1, 1)


async def test_forty_turns_with_a_refused_token_ask_for_one_more(server: TokenServer) -> None:
    async with FakeConnector() as connector, FakeIdentity() as identity:
        credentials = Credentials(APP_ID, APP_PASSWORD, TENANT)
        async with serving(adapter_of(credentials, identity.cloud()), Echo()) as client:
            await post(client, activity(connector), identity.token(connector))
            connector.refused.add(connector.calls[-1].authorization)
            answers = await asyncio.gather(
                *(post(client, activity(connector, id=f"m{n}"), identity.token(connector)) for n in range(40))
            )
    assert {answer.status for answer in answers} == {200}
    assert identity.token_fetches == 2


class Granting:
    """Gives tokens of `seconds`; `away` refuses, `free` cleared lets whoever asks wait."""

    def __init__(self) -> None:
        self.count = 0
        self.free = asyncio.Event()
        self.free.set()
        self.clock = 1000.0
        self.seconds = 3600.0
        self.away = False

    async def grant(self, resource: str) -> Granted:
        self.count += 1
        number = self.count
        await self.free.wait()
        if self.away:
            raise TokenUnavailableError("away")
        return Granted(f"{resource} {number}", self.seconds)


@pytest.fixture
def granting() -> Granting:
    return Granting()


@pytest.fixture
def tokens(granting: Granting) -> Tokens:
    return Tokens(granting, lambda: granting.clock)


async def test_a_token_is_renewed_minutes_before_its_end(granting: Granting, tokens: Tokens) -> None:
    for moment, count in ((0, 1), (3299, 1), (3300, 2), (6599, 2), (6600, 3)):
        granting.clock = 1000.0 + moment
        await tokens.get("a")
        assert granting.count == count, moment


async def test_a_short_lived_token_is_not_renewed_all_the_time(granting: Granting, tokens: Tokens) -> None:
    granting.seconds = 120
    for moment in range(0, 600, 5):
        granting.clock = 1000.0 + moment
        await tokens.get("a")
    assert granting.count == 600 / 60


async def test_a_good_token_serves_while_no_new_one_is_given(granting: Granting, tokens: Tokens) -> None:
    first = await tokens.get("a")
    granting.away = True
    granting.clock += 3300
    for _ in range(100):
        assert await tokens.get("a") == first
    assert granting.count == 2
    granting.clock += 300 - 5
    with pytest.raises(TokenUnavailableError):
        await tokens.get("a")


async def test_no_turn_waits_while_a_token_is_renewed(granting: Granting, tokens: Tokens) -> None:
    """The token endpoint hangs all the while."""
    first = await tokens.get("a")
    granting.clock += 3300
    granting.free.clear()
    turns = [asyncio.create_task(tokens.get("a")) for _ in range(40)]
    for _ in range(10):  # a few steps of the loop, and no waiting
        await asyncio.sleep(0)
    assert [turn.done() and turn.result() for turn in turns] == [first] * 40
    granting.clock += 290
    assert await tokens.get("a") == first
    assert granting.count == 2
    granting.free.set()
    await tokens.close()  # what is under way arrives
    assert (await tokens.get("a"), granting.count) == ("a 2", 2)


class Rest:
    """Each sleep ends when the test says so."""

    def __init__(self) -> None:
        self.slept: asyncio.Queue[float] = asyncio.Queue()
        self._over = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.slept.put_nowait(seconds)
        await self._over.acquire()

    async def over(self) -> float:
        """One sleep ends, and what follows is done."""
        self._over.release()
        return await self.slept.get()


async def test_a_token_in_use_is_renewed_while_nobody_calls(granting: Granting, tokens: Tokens) -> None:
    rest = Rest()
    keeping = asyncio.create_task(tokens.keep_fresh(rest.sleep))
    pause = await rest.slept.get()
    await rest.over()
    assert granting.count == 0, "nobody has asked for any"
    first = await tokens.get("a")
    for _ in range(int(3240 // pause)):
        granting.clock += pause
        await rest.over()
    assert granting.count == 1, "it is good for some minutes yet"
    granting.clock += pause
    await rest.over()
    await tokens.close()  # what is under way arrives
    assert (first, await tokens.get("a"), granting.count) == ("a 1", "a 2", 2)
    granting.away = True
    granting.clock += 3600
    for _ in range(3):
        await rest.over()
    assert granting.count == 5, "an outage ends no loop"
    granting.away = False
    await rest.over()
    assert (await tokens.get("a"), granting.count) == ("a 6", 6)
    keeping.cancel()


async def test_each_scope_has_its_own_token(granting: Granting, tokens: Tokens) -> None:
    graph, connector = await tokens.get("https://graph.microsoft.com"), await tokens.get("https://api.example")
    assert (graph, connector) == ("https://graph.microsoft.com 1", "https://api.example 2")
    assert await tokens.get("https://graph.microsoft.com/.default") == graph
    tokens.forget("https://graph.microsoft.com", connector)  # not that one's
    assert await tokens.get("https://graph.microsoft.com") == graph
    tokens.forget("https://graph.microsoft.com", graph)
    assert await tokens.get("https://graph.microsoft.com") == "https://graph.microsoft.com 3"


# ---------------------------------------------------------------------- the file, and what is never shown


@pytest.mark.parametrize("case", certificates.BAD)
def test_a_bad_certificate_is_told_in_one_line(tmp_path: Path, case: str) -> None:
    path, said = certificates.bad(tmp_path)[case]
    with pytest.raises(BadCertificate) as bad:
        read_certificate(path, datetime.now(UTC))
    assert said in str(bad.value)
    assert "\n" not in str(bad.value)
    assert str(path) in str(bad.value)


def test_every_bad_certificate_is_tried(tmp_path: Path) -> None:
    assert set(certificates.bad(tmp_path)) == set(certificates.BAD)


def test_others_in_the_file_are_passed_over(tmp_path: Path) -> None:
    own, other = (
        certificates.certificate_for(certificates.rsa_key()),
        certificates.certificate_for(certificates.rsa_key("ca")),
    )
    path = certificates.written(tmp_path, other, own, certificates.rsa_key())
    assert read_certificate(path, datetime.now(UTC)).ends == own.not_valid_after_utc


def test_nothing_secret_is_printed(tmp_path: Path) -> None:
    path, _ = certificates.good(tmp_path)
    certificate = read_certificate(path, datetime.now(UTC))
    numbers = certificates.rsa_key().private_numbers()
    assert APP_PASSWORD not in repr(Credentials(APP_ID, APP_PASSWORD, TENANT))
    assert "secret-token" not in repr(Granted("secret-token", 1.0))
    assert str(numbers.d) not in repr(certificate)
    assert "RSAKey" not in repr(certificate)
