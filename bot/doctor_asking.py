"""What `doctor` finds out by asking others: the clock, our own credentials, the identity provider, our public address.

Each question has its time limit, and all are asked at once. Nothing is changed anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from bot.adapter import Adapter
from bot.adapter_trust import ScopedToken, TokenUnavailableError
from bot.clock_check import ClockCheck
from bot.identity import OpenIdProvider
from bot.operations import PROJECT
from provisioning.provider_errors import ProviderError
from provisioning.texts import _

LIMIT: Final = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class Heard:
    """`what` was asked, and what came of it: `said`, or `faults` with their cures."""

    what: str
    said: str = ""
    faults: Sequence[str] = ()


async def ask(clocks: ClockCheck, adapter: Adapter, provider: OpenIdProvider, public_url: str) -> Sequence[Heard]:
    """In local mode the clock alone: nobody else is there to be asked. Closes what it was given."""
    questions: list[Awaitable[Heard]] = [_clock(clocks)]
    if adapter.token:
        questions += [_token(adapter.token), _provider(provider)]
    if public_url:
        questions.append(_public_url(public_url))
    try:
        return await asyncio.gather(*questions)
    finally:
        await adapter.close()
        await provider.close()


async def _clock(clocks: ClockCheck) -> Heard:
    faults = await clocks.faults()
    asked = ", ".join(clocks.compared)
    said = _("agrees with {names}", names=asked) if asked else _("nobody could be asked what time it is")
    return Heard(_("Clock"), said, faults)


async def _token(token: ScopedToken) -> Heard:
    """Whether our own credentials are good for calls to Teams."""
    what = _("Credentials of the bot")
    try:
        await token.get()
    except TokenUnavailableError as error:
        cure = _("Look at CLIENT_ID, TENANT_ID and when the secret or certificate ends.")
        fault = _("no token was given ({reason}). {cure}", reason=error.reason, cure=cure)
        return Heard(what, faults=[fault])
    return Heard(what, _("a token was given"))


async def _provider(provider: OpenIdProvider) -> Heard:
    """Whether the identity provider publishes what remote sign-in needs."""
    what = _("Identity provider")
    try:
        return Heard(what, _("{issuer} offers sign-in by a code", issuer=await provider.examine()))
    except ProviderError as error:
        return Heard(what, faults=[f"OIDC_ISSUER: {error.sentence}"])


async def _public_url(url: str) -> Heard:
    """Whether what devices are told leads to a service like this one. It need not run yet."""
    what = "PUBLIC_URL"
    try:
        async with aiohttp.ClientSession(timeout=LIMIT) as client, client.get(f"{url}/version") as answer:
            found = await answer.json(content_type=None)
        if answer.ok and found["name"] == PROJECT:
            return Heard(what, _("version {version} answers there", version=found["version"]))
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Heard(what, _("nobody answers there now; look again when the service runs"))
    except (ValueError, LookupError, TypeError):
        pass
    return Heard(what, faults=[_("something else answers at {url}. Look at the address and the proxy.", url=url)])
