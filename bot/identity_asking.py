"""One question to the identity provider: within limits, without redirects; and what its error codes mean to us."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import structlog

from provisioning.provider_errors import (
    AuthorizationDeclined,
    AuthorizationPending,
    BlockedByPolicy,
    ClientRefused,
    ConsentMissing,
    GrantEnded,
    GrantUnknown,
    NoDeviceFlow,
    PollSlower,
    ProviderAway,
    ProviderError,
)

log = structlog.get_logger(__name__)

Sessions = Callable[[], aiohttp.ClientSession]

ANSWER_BYTES: Final = 256 * 1024
REQUEST_SECONDS: Final = 5.0  # for the whole of one request
LONGEST_RETRY: Final = 3600.0  # seconds; whoever asks us to come back later than that gets asked then
OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
BUSY: Final = (408, 429)
SERVER_FAULT: Final = 500
CHUNK: Final = 64 * 1024
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}

# RFC 6749, 5.2 and 4.1.2.1: errors of any endpoint.
_ANYWHERE: Final[Mapping[str, type[ProviderError]]] = {
    "invalid_client": ClientRefused,
    "unauthorized_client": ClientRefused,
    "unsupported_grant_type": NoDeviceFlow,
    "temporarily_unavailable": ProviderAway,
    "server_error": ProviderAway,
}
AT_START: Final[Mapping[str, type[ProviderError]]] = {
    **_ANYWHERE,
    "unsupported_response_type": NoDeviceFlow,
}  # of the device authorization endpoint; the errors of a poll mean nothing there
OF_A_POLL: Final[Mapping[str, type[ProviderError]]] = {
    **_ANYWHERE,
    "authorization_pending": AuthorizationPending,
    "slow_down": PollSlower,
    "access_denied": AuthorizationDeclined,
    "authorization_declined": AuthorizationDeclined,  # Entra's word for it
    "expired_token": GrantEnded,
    "code_expired": GrantEnded,
    "invalid_grant": GrantUnknown,
    "bad_verification_code": GrantUnknown,  # Entra's
    "consent_required": ConsentMissing,
    "interaction_required": BlockedByPolicy,  # Entra's: Conditional Access wants what this flow cannot give
}  # RFC 8628, 3.5

# Entra says "invalid_grant" or "access_denied" of several things. Its suberror, else its number, tells them apart;
# without either the plain meaning stands, as Microsoft changes the numbers.
_GENERAL: Final = (GrantUnknown, AuthorizationDeclined)
_POLICY_SUBERRORS: Final = ("message_only", "basic_action", "additional_action", "protection_policy_required")
_POLICY_NUMBERS: Final = re.compile(r"53\d{3,4}|50005|50076|50079|50097|50105|50131|50158")
_ENDED_NUMBERS: Final = ("70019", "70020")
_CONSENT_SUBERROR, _CONSENT_NUMBER = "consent_required", "65001"

_CODE: Final = re.compile(r"[a-z_]{1,60}")
_AADSTS: Final = re.compile(r"AADSTS(\d{4,8})\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Its texts are never shown nor logged; only `error` and `number`, which are cut to codes."""

    status: int
    body: Mapping[str, Any] = field(repr=False)  # empty where it was no JSON object, or too large
    retry_after: float = 0.0  # seconds; 0 where the provider named none

    @property
    def ok(self) -> bool:
        return self.status == OK and bool(self.body) and "error" not in self.body

    @property
    def garbled(self) -> bool:
        """No answer of a provider's, though no fault either: a proxy's page, a redirect, half a document."""
        return self.status < BAD_REQUEST and not self.body

    @property
    def error(self) -> str:
        """The OAuth error code (RFC 6749, 5.2): at most 60 of a-z and `_`; empty where there is none."""
        match = _CODE.match(str(self.body.get("error", "")).lower())
        return match[0] if match else ""

    @property
    def number(self) -> str:
        """Entra's number for it, `AADSTS53003`; for people alone, as they look it up by that. Empty elsewhere."""
        codes = self.body.get("error_codes")
        if isinstance(codes, list) and codes and type(codes[0]) is int and 0 < codes[0] < 10**8:
            return f"AADSTS{codes[0]}"
        match = _AADSTS.search(str(self.body.get("error_description", ""))[:400])
        return match[0] if match else ""

    def fault(self, table: Mapping[str, type[ProviderError]]) -> ProviderError:
        """The error that this answer stands for."""
        kind = _refined(table.get(self.error), self)
        unnamed = self.number or self.error or f"HTTP {self.status}"
        if kind is ProviderAway or (kind is None and self.status in BUSY):
            return ProviderAway(unnamed, self.retry_after)
        if kind is None and self.status == UNAUTHORIZED:
            kind = ClientRefused  # RFC 6749, 5.2: authentication of the client failed
        return ProviderError(unnamed) if kind is None else kind(self.number)


def _refined(kind: type[ProviderError] | None, answer: Answer) -> type[ProviderError] | None:
    if kind not in _GENERAL:
        return kind
    number = answer.number.removeprefix("AADSTS")
    if answer.body.get("suberror") in _POLICY_SUBERRORS or _POLICY_NUMBERS.fullmatch(number):
        return BlockedByPolicy
    if answer.body.get("suberror") == _CONSENT_SUBERROR or number == _CONSENT_NUMBER:
        return ConsentMissing
    return GrantEnded if number in _ENDED_NUMBERS else kind


class Asking:
    """Sends requests, one session for all of them, opened at the first."""

    def __init__(self, sessions: Sessions | None, seconds: float = REQUEST_SECONDS) -> None:
        """`sessions`: where the session is somebody else's, who closes it. `seconds`: the limit of one request."""
        self._sessions, self._limit = sessions, aiohttp.ClientTimeout(total=seconds)
        self._own: aiohttp.ClientSession | None = None
        self._closed = False

    async def get(self, url: str) -> Answer:
        """Errors: `ProviderAway` on no answer, a time-out or 5xx. Everything else is an answer, redirects too."""
        return await self._ask("GET", url, None, {})

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """A form, as RFC 6749 has it. Errors: as `get`."""
        return await self._ask("POST", url, urlencode(form).encode(), {**FORM, **headers})

    async def close(self) -> None:
        self._closed = True
        if self._own is not None:
            await self._own.close()

    async def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        headers = {"Accept": "application/json", **headers}
        try:
            async with self._session().request(
                method, url, data=body, headers=headers, allow_redirects=False, timeout=self._limit
            ) as response:
                answered = _object(await _read(response))
                wait = _seconds(response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
            log.warning("identity provider does not answer", error=type(error).__name__)
            raise ProviderAway from None
        if response.status >= SERVER_FAULT:
            log.warning("identity provider does not answer", status=response.status)
            raise ProviderAway(f"HTTP {response.status}", wait)
        return Answer(response.status, answered, wait)

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise aiohttp.ClientConnectionError
        if self._sessions is not None:
            return self._sessions()
        if self._own is None:
            self._own = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._own


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body; nothing of one that is too large, also once unpacked."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > ANSWER_BYTES:
            response.close()
            return b""
    return bytes(body)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(text: str) -> float:
    """Retry-After in seconds (RFC 9110, 10.2.3); one with a date counts as none."""
    return min(float(text), LONGEST_RETRY) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else 0.0
