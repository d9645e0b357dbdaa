"""The Teams door: a thin adapter on botbuilder-core, which checks who calls and holds the clients that call back.

The SDK's own companion for aiohttp serialises answers twice, answers 500 to bad tokens and bad bodies, and makes two
REST clients and asks for a token on every turn. Its public seams let all of that be put right from outside; each says
what it saves, and tests/bot/test_sdk_seams.py fails where an update closes one.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Collection, Sequence
from typing import Any, Final, Protocol

import aiohttp
import structlog
from aiohttp import web
from botbuilder.core import CloudAdapterBase, InvokeResponse, TurnContext
from botbuilder.schema import Activity, ActivityTypes, ChannelAccount, ConversationAccount
from botframework.connector.auth import (
    AppCredentials,
    AuthenticateRequestResult,
    AuthenticationConfiguration,
    BotFrameworkAuthentication,
    BotFrameworkAuthenticationFactory,
    ClaimsIdentity,
    ConnectorFactory,
    JwtTokenExtractor,
    ServiceClientCredentialsFactory,
)

from bot.activity import CONSENT_INVOKE, SEARCH_INVOKE, Json, locale_of, tenant_of
from bot.adapter_http import BODY_SECONDS, RefusedError, ServiceHosts, bearer, read_activity
from bot.adapter_trust import KeysUnavailableError, Now, ScopedToken, SigningKeys, Tokens
from bot.clouds import PUBLIC, Cloud
from bot.credentials import Credentials
from bot.messenger import CALL_SECONDS, Connectors, plain
from bot.turnstile import Turnstile
from provisioning.delivery_errors import DeliveryError
from provisioning.errors import ProvisioningError, Unavailable
from provisioning.texts import N_, Speech, _, speaking

log = structlog.get_logger(__name__)

TOAST_TYPE: Final = "application/vnd.microsoft.activity.message"
FRAMES_LOGGED: Final = 12
CALLS_AT_ONCE: Final = 200  # to one host
SORRY: Final = N_("That did not work; the fault is ours and has been logged. Please try again.")


class Bot(Protocol):
    """What stands behind the adapter."""

    async def on_turn(self, context: TurnContext, raw: Json) -> None: ...


class _OwnId(ServiceClientCredentialsFactory):
    """Which app id is ours. The SDK's own factories also hold the secret, which no part of the SDK needs here."""

    def __init__(self, app_id: str | None) -> None:
        self._app_id = app_id

    async def is_valid_app_id(self, app_id: str) -> bool:
        return app_id == self._app_id

    async def is_authentication_disabled(self) -> bool:
        return self._app_id is None

    async def create_credentials(self, *_: Any) -> AppCredentials:
        raise PermissionError("the SDK makes no calls of its own")


class _Authentication(BotFrameworkAuthentication):
    """The SDK's token check, with our clients in the place of new ones."""

    def __init__(self, checker: BotFrameworkAuthentication, connectors: Connectors) -> None:
        self._checker, self._connectors = checker, connectors

    async def authenticate_request(self, activity: Activity, auth_header: str | None) -> AuthenticateRequestResult:
        result = await self._checker.authenticate_request(activity, auth_header)
        result.connector_factory = self._connectors
        return result

    async def authenticate_streaming_request(self, *_: Any) -> AuthenticateRequestResult:
        raise PermissionError("streaming is not served")

    def create_connector_factory(self, claims_identity: ClaimsIdentity) -> ConnectorFactory:
        return self._connectors

    async def create_user_token_client(self, claims_identity: ClaimsIdentity) -> None:
        """The SDK makes this second client on every turn, for 3.7 ms of CPU; nobody here uses it."""


class Adapter(CloudAdapterBase):
    """`credentials` None is local mode: nobody is verified, only loopback services are called, without a token."""

    def __init__(
        self,
        credentials: Credentials | None,
        *,
        allowed_service_hosts: Collection[str],
        cloud: Cloud = PUBLIC,
        body_seconds: float = BODY_SECONDS,
        now: Now = time.monotonic,
        calls: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        """`now`: seconds, by which keys and tokens grow old. `calls`: what is done to every call of ours."""
        self.local = credentials is None
        self._credentials, self._cloud, self._body_seconds = credentials, cloud, body_seconds
        self._hosts = ServiceHosts(allowed_service_hosts, local=self.local)
        self._keys = SigningKeys(cloud.openid_url, self.session, now)
        self._calls = list(calls)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        # None in local mode
        self.tokens = Tokens(credentials.grants(cloud, self.session), now) if credentials else None
        self._turnstile = Turnstile()
        self.connectors = Connectors(self.session, self._hosts, self.tokens, cloud.scope, self._turnstile)
        # for pictures, which the SDK cannot fetch
        self.token = ScopedToken(self.tokens, cloud.scope) if self.tokens else None
        super().__init__(_Authentication(self._checker(), self.connectors))
        self.on_turn_error = _turn_failed

    def _checker(self) -> BotFrameworkAuthentication:
        return BotFrameworkAuthenticationFactory.create(
            to_channel_from_bot_login_url=self._cloud.login,
            to_channel_from_bot_oauth_scope=self._cloud.scope,
            to_bot_from_channel_token_issuer=self._cloud.issuer,
            oauth_url=self._cloud.scope,
            to_bot_from_channel_open_id_metadata_url=self._cloud.openid_url,
            # Emulators and other bots are no callers of ours: their tokens meet keys that do not know them.
            to_bot_from_emulator_open_id_metadata_url=self._cloud.openid_url,
            credential_factory=_OwnId(self._credentials.app_id if self._credentials else None),
            auth_configuration=AuthenticationConfiguration(),
        )

    def session(self) -> aiohttp.ClientSession:
        """The one client session of the adapter, opened at its first use."""
        if self._closed:
            raise aiohttp.ClientConnectionError("the adapter is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # For each host, so that however many calls hang at the connector, keys and tokens are fetched as ever.
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=CALLS_AT_ONCE, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=self._calls,
            )
        return self._session

    async def close(self) -> None:
        """Whoever waits for keys or a token gets none, now and from now on."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
        await self._keys.close()
        if self.tokens is not None:
            await self.tokens.close()

    async def process(self, request: web.Request, bot: Bot) -> web.Response:
        """One HTTP request of Teams: refused with 4xx, or carried out and acknowledged."""
        try:
            header = None if self.local else bearer(request)
            raw = await read_activity(request, self._body_seconds)
            await self._turnstile.through()
            activity = _envelope(raw)
            caller = await self._verify(raw, activity, header)
        except RefusedError as refused:
            log.info("activity refused", status=refused.status, reason=str(refused))
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            return web.json_response({"error": str(refused)}, status=refused.status, headers=headers)
        with structlog.contextvars.bound_contextvars(activity_id=activity.id):
            try:
                return _response(await self.process_activity(caller, activity, lambda turn: bot.on_turn(turn, raw)))
            except Exception as error:  # behind the turn: an answer that is no JSON
                _log_failure(error)
                body = _apology(activity.name, _(SORRY)) if activity.type == ActivityTypes.invoke else None
                return _response(InvokeResponse(status=200, body=body))

    async def _verify(self, raw: Json, activity: Activity, header: str | None) -> AuthenticateRequestResult:
        """Who calls. Errors: `RefusedError` 401 (not verified), 403 (verified, not allowed), 503 (cannot tell)."""
        if self._credentials is None:
            self._hosts.check(activity.service_url)
            return await self.bot_framework_authentication.authenticate_request(activity, None)
        # The seam of the SDK for keys is a table of the class, so each adapter lays its own keys there before use.
        JwtTokenExtractor.metadataCache[self._cloud.openid_url] = self._keys
        try:
            caller = await self.bot_framework_authentication.authenticate_request(activity, header)
        except KeysUnavailableError:
            raise RefusedError(503, "the signing keys cannot be fetched now") from None
        except Exception as error:
            # The SDK raises whatever its parts raise (PyJWT, IndexError, bare Exception): all mean a bad token.
            log.info("token refused", error=type(error).__name__)
            raise RefusedError(401, "the token is not valid") from None
        claims = caller.claims_identity.claims
        # PyJWT checks times only where there are any, and takes "12" and false for numbers.
        if not _is_number(claims.get("exp")) or not _is_number(claims.get("nbf", 0)):
            raise RefusedError(401, "the token has no end or no beginning")
        # On its way for emulators and other bots the SDK checks neither who the token is from nor for which service.
        said = (claims.get("iss"), claims.get("aud"), claims.get("serviceurl"))
        if said != (self._cloud.issuer, self._credentials.app_id, activity.service_url):
            raise RefusedError(401, "the token is for somebody else")
        if activity.channel_id != "msteams":
            raise RefusedError(403, "only Teams is served")
        if tenant_of(raw) != self._credentials.tenant_id.lower():
            raise RefusedError(403, "another organisation's bot")
        self._hosts.check(activity.service_url)
        return caller


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _envelope(raw: Json) -> Activity:
    """What the SDK itself needs to know, in 0.007 ms; its deserialiser takes 0.13 and raises on odd fields."""
    return Activity(
        type=raw["type"],
        id=raw.get("id"),
        name=raw.get("name"),
        channel_id=raw.get("channelId"),
        service_url=raw["serviceUrl"],
        conversation=ConversationAccount(id=raw["conversation"]["id"]),
        from_property=_account(raw["from"]),
        recipient=_account(raw.get("recipient") or {}),
        locale=locale_of(raw) or None,
        delivery_mode=raw.get("deliveryMode"),
    )


def _account(raw: Json) -> ChannelAccount:
    return ChannelAccount(id=raw.get("id"), name=raw.get("name"))


def _response(answer: InvokeResponse | None) -> web.Response:
    """Serialised once: models where they stand, dicts and lists as they are."""
    if answer is None or answer.body is None:
        return web.Response(status=200 if answer is None else int(answer.status))
    body = json.dumps(answer.body, default=plain)
    return web.Response(text=body, status=int(answer.status), content_type="application/json")


async def answer_invoke(context: TurnContext, body: Any, status: int = 200) -> None:
    """Leaves the answer to an invoke in the turn, which goes out in-line: no call to the connector, nothing copied.

    A toast's value is a string, so no model of the SDK fits it.
    """
    if context.activity.delivery_mode == "expectReplies":
        value: Any = {"status": status, "body": body}
        await context.send_activity(Activity(type=ActivityTypes.invoke_response, value=value))
    else:
        value = InvokeResponse(status=status, body=body)
        await context.adapter.send_activities(context, [Activity(type=ActivityTypes.invoke_response, value=value)])


async def _turn_failed(context: TurnContext, error: Exception) -> None:
    """Says one plain sentence. For an invoke it must be put into the turn, or the SDK answers 501."""
    _log_failure(error)
    with speaking(Speech.of(context.activity.locale, None)):
        sentence = error.sentence if isinstance(error, ProvisioningError) else _(SORRY)
    if context.activity.type == ActivityTypes.invoke:
        await answer_invoke(context, _apology(context.activity.name, sentence))
    if _waits_for_words(context.activity) and not isinstance(error, DeliveryError):
        try:
            await context.send_activity(sentence)
        except Exception as second:
            log.error("nor could that be said", error=type(second).__name__)


def _waits_for_words(activity: Activity) -> bool:
    """Whoever takes a file hears of a fault as whoever writes: Teams shows nothing of the answer to it."""
    return activity.type == ActivityTypes.message or activity.name == CONSENT_INVOKE


def _apology(invoke: str | None, sentence: str) -> dict[str, Any] | None:
    """The sentence, in the form that this invoke's client shows."""
    if invoke == CONSENT_INVOKE:
        return None
    return search_message(sentence) if invoke == SEARCH_INVOKE else _toast(sentence)


def _toast(sentence: str) -> dict[str, Any]:
    return {"statusCode": 200, "type": TOAST_TYPE, "value": sentence}


def search_message(sentence: str) -> dict[str, Any]:
    """What a search shows in the place of results."""
    return {"composeExtension": {"type": "message", "text": sentence}}


def _log_failure(error: Exception) -> None:
    """The way through our code and nothing else: messages and local variables may hold codes and what people typed."""
    if isinstance(error, Unavailable):  # no fault of the turn; the sweep tells of it, once
        log.info("a turn could not be saved")
        return
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("a turn failed", error=type(error).__name__, frames=frames[-FRAMES_LOGGED:])
