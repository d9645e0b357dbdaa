"""The configured OpenID provider, asked by the service's own client: sign-in by a code (RFC 8628).

The provider may be down when the service starts, and come and go: what it publishes is fetched when first needed. A
device code can be redeemed once, so whatever the check of its ID token needs is at hand before it is.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus

import structlog

from bot.identity_asking import AT_START, OF_A_POLL, REQUEST_SECONDS, Answer, Asking, Sessions
from bot.identity_discovery import (
    DEVICE_CODE,
    WELL_KNOWN,
    Description,
    entra_tenant,
    is_guid,
    read_description,
    sound_url,
)
from bot.identity_tokens import Expected, PublishedKey, UnknownKey, read_keys, verified
from bot.kept import Kept
from provisioning.provider_errors import (
    AuthorizationPending,
    DiscoveryWrong,
    ProviderAway,
    ProviderError,
    TokenUntrusted,
)
from provisioning.signin import INTERVAL, Account, DeviceGrant

log = structlog.get_logger(__name__)

SCOPE: Final = "openid profile email"
LONGEST_LIFE: Final = timedelta(days=1)
SLOWEST_POLL: Final = timedelta(minutes=5)
MOST_UNVERIFIED: Final = 1000  # tokens that wait for a key
_DEVICE_CODE: Final = re.compile(r"[ -~]{1,8192}")  # VSCHAR of RFC 6749, appendix A
_USER_CODE: Final = re.compile(r"[!-~][ -~]{0,62}[!-~]")


class OpenIdProvider:
    """The `IdentityProvider` over HTTP."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str = "",
        *,
        tenant: str = "",
        local: bool = False,
        now: Callable[[], datetime],
        seconds: float = REQUEST_SECONDS,
        sessions: Sessions | None = None,
    ) -> None:
        """Opens nothing yet.

        `tenant`: of Entra the id of the only tenant whose accounts count, and what fills an issuer that leaves the
        place open. `local`: http is fine on loopback. `now`: aware. `seconds`: the limit of one request. `sessions`:
        somebody else's client session; without it an own one is opened at the first request.
        """
        self._issuer, self._client_id, self._secret = issuer, client_id, client_secret
        self._tenant, self._local, self._now = tenant, local, now
        self._asking = Asking(sessions, seconds)
        self._description = Kept("discovery", self._fetch_description, self._seconds, ProviderError)
        self._keys = Kept("keys of the identity provider", self._fetch_keys, self._seconds, ProviderError)
        self._unverified: dict[bytes, str] = {}  # hash of the device code → ID token

    async def begin(self) -> DeviceGrant:
        """Ask for a code (RFC 8628, 3.1 and 3.2).

        Errors: the `ProviderError` tree; `ProviderAway`, `DiscoveryWrong` and `NoDeviceFlow` also before any code is
        asked for, as the keys are fetched first.
        """
        provider = await self._ready()
        answer = await self._post(provider, provider.device_endpoint, {"scope": SCOPE})
        if not answer.ok:
            raise _heard(answer.fault(AT_START))
        return _grant(answer.body, local=self._local)

    async def redeem(self, device_code: str) -> Account:
        """One poll (RFC 8628, 3.4 and 3.5), and the check of what it brings.

        Errors: the `ProviderError` tree. After `ProviderAway` the next call goes on where this one stopped: a token
        whose key could not be fetched is kept in memory, by the hash of its code, and nothing is redeemed twice. A
        restart in between loses it; the provider then answers `GrantUnknown`.
        """
        provider = await self._ready()
        place = hashlib.sha256(device_code.encode()).digest()
        token = self._unverified.pop(place, "") or await self._poll(provider, device_code)
        try:
            return await self._verified(token, provider)
        except ProviderAway:
            while len(self._unverified) >= MOST_UNVERIFIED:
                del self._unverified[next(iter(self._unverified))]
            self._unverified[place] = token
            raise
        except ProviderError as refused:
            log.warning("ID token refused", error=refused.code, why=refused.detail)
            raise

    async def examine(self) -> str:
        """Whether all is there that a sign-in needs; nothing is asked for. Returns the issuer's name.

        Errors: `ProviderAway`, `DiscoveryWrong`, `NoDeviceFlow`.
        """
        return (await self._ready()).issuer

    async def close(self) -> None:
        """Whoever is asking gets `ProviderAway`, now and from now on."""
        await self._asking.close()
        for kept in (self._description, self._keys):
            await kept.close()

    def _seconds(self) -> float:
        return self._now().timestamp()

    async def _ready(self) -> Description:
        """The description, with the keys at hand."""
        provider = await self._description.get()
        await self._keys.get()
        return provider

    async def _poll(self, provider: Description, device_code: str) -> str:
        form = {"grant_type": DEVICE_CODE, "device_code": device_code}
        answer = await self._post(provider, provider.token_endpoint, form)
        if answer.garbled:  # whatever stands in between: the provider may answer the next time
            raise _heard(ProviderAway(f"HTTP {answer.status}"))
        if not answer.ok:
            raise _heard(answer.fault(OF_A_POLL))
        token = answer.body.get("id_token")
        if not isinstance(token, str) or not token:
            raise _heard(TokenUntrusted("id_token"))
        return token

    async def _verified(self, token: str, provider: Description) -> Account:
        """A key we do not know may be new: the keys are fetched once more, and only then the token is refused."""
        home = entra_tenant(provider.issuer)
        tenant = self._tenant if is_guid(self._tenant) else ""
        expected = Expected(provider.issuer, self._client_id, provider.algorithms, home, tenant)
        try:
            return verified(token, await self._keys.get(), expected, self._now())
        except UnknownKey:
            if not await self._keys.renew():
                raise ProviderAway(retry_after=self._keys.renewable_in) from None
        try:
            return verified(token, await self._keys.get(), expected, self._now())
        except UnknownKey:
            raise TokenUntrusted("kid") from None

    # ------------------------------------------------------------------ requests

    async def _fetch_description(self) -> Description:
        if not sound_url(self._issuer, local=self._local):
            raise DiscoveryWrong("issuer")
        document = _published(await self._asking.get(self._issuer.rstrip("/") + WELL_KNOWN), "")
        return read_description(document, self._issuer, self._tenant, local=self._local)

    async def _fetch_keys(self) -> Sequence[PublishedKey]:
        provider = await self._description.get()
        return read_keys(_published(await self._asking.get(provider.jwks_uri), "jwks_uri"))

    async def _post(self, provider: Description, url: str, form: Mapping[str, str]) -> Answer:
        """As our client (RFC 6749, 2.3.1). Its id is in the form too: Entra wants it there in any case."""
        form, headers = {"client_id": self._client_id, **form}, {}
        if self._secret and provider.secret_in_form:
            form["client_secret"] = self._secret
        elif self._secret:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        return await self._asking.post(url, form, headers)


def _published(answer: Answer, name: str) -> Mapping[str, Any]:
    """The document, or `DiscoveryWrong` with what is wrong about it; `ProviderAway` where that may pass."""
    if answer.ok:
        return answer.body
    fault = answer.fault({})
    if isinstance(fault, ProviderAway):
        raise fault
    raise DiscoveryWrong(name or answer.number or f"HTTP {answer.status}")


def _heard(error: ProviderError) -> ProviderError:
    if not isinstance(error, AuthorizationPending):
        log.info("identity provider refused", error=error.code, detail=error.detail)
    return error


# ------------------------------------------------------------------ the answer that holds the codes


def _grant(body: Mapping[str, Any], *, local: bool) -> DeviceGrant:
    """Errors: `ProviderError` with the name of what is wrong. `verification_uri_complete`, with the code, is not read.

    A page whose address holds the code is refused: whoever follows a link must not approve by that alone.
    """
    device_code, user_code = body.get("device_code"), body.get("user_code")
    page = body.get("verification_uri") or body.get("verification_url")  # the name in the drafts of RFC 8628
    if not isinstance(device_code, str) or not _DEVICE_CODE.fullmatch(device_code):
        raise _heard(ProviderError("device_code"))
    if not isinstance(user_code, str) or not _USER_CODE.fullmatch(user_code):
        raise _heard(ProviderError("user_code"))
    if not isinstance(page, str) or not sound_url(page, local=local) or user_code in page:
        raise _heard(ProviderError("verification_uri"))
    life, pause = _span(body, "expires_in"), INTERVAL
    if body.get("interval") is not None:
        pause = _span(body, "interval")
    pause = min(max(pause, timedelta(seconds=1)), SLOWEST_POLL)
    return DeviceGrant(device_code, user_code, page, min(life, LONGEST_LIFE), pause)


def _span(body: Mapping[str, Any], name: str) -> timedelta:
    """Seconds, above zero; also written as a text, as Entra's older endpoint and AD FS do."""
    value = body.get(name)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:  # nor NaN
        raise _heard(ProviderError(name))
    return timedelta(seconds=min(value, LONGEST_LIFE.total_seconds()))
