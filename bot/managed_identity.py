"""Tokens by the managed identity of the machine the bot runs on: no secret at all.

MSAL knows how each kind of machine is asked (App Service and Container Apps, virtual machines, Azure Arc …), but only
in a blocking way. So it runs in a thread of its own, and its requests come back to our session, which has time limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msal

from bot.adapter_trust import FETCH_LIMIT, FETCH_SECONDS, Granted, Sessions, TokenUnavailableError, granted

SECONDS_OVER: Final = 2.0  # that the thread waits longer than the loop's own limit: it ends even where the loop does
# What MSAL lets through of a request that failed, and of an answer that is not what it expects.
_FAILURES: Final = (
    aiohttp.ClientError,
    OSError,
    CancelledError,
    ValueError,
    RuntimeError,
    AttributeError,
    TypeError,
    KeyError,
)


@dataclass(frozen=True, slots=True)
class _Response:
    """What MSAL reads of a response."""

    status_code: int
    text: str = field(repr=False)
    headers: Mapping[str, str]


class _Http:
    """The HTTP client that MSAL calls from its thread."""

    def __init__(self, sessions: Sessions, loop: asyncio.AbstractEventLoop) -> None:
        self._sessions, self._loop = sessions, loop

    def get(self, url: str, *, params: Mapping[str, str], headers: Mapping[str, str], **_: Any) -> _Response:
        asked = asyncio.run_coroutine_threadsafe(self._get(url, params, headers), self._loop)
        return asked.result(FETCH_SECONDS + SECONDS_OVER)

    async def _get(self, url: str, params: Mapping[str, str], headers: Mapping[str, str]) -> _Response:
        async with self._sessions().get(
            url, params=params, headers=headers, timeout=FETCH_LIMIT, allow_redirects=False
        ) as response:
            return _Response(response.status, await response.text(), response.headers)


class ManagedIdentity:
    """Tokens of a user-assigned managed identity."""

    def __init__(self, client_id: str, sessions: Sessions) -> None:
        self._identity = msal.UserAssignedManagedIdentity(client_id=client_id)
        self._sessions = sessions
        self._pauses: dict[str, Any] = {}  # where MSAL notes how long a machine that said 429 or 5xx is left alone

    async def grant(self, resource: str) -> Granted:
        """As `Grants` has it; asked anew each time, as what MSAL itself would keep is the token that was refused."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, "managed-identity")  # once an hour or so
        try:
            answer = await loop.run_in_executor(thread, self._ask, resource, loop)
        except _FAILURES as error:
            raise TokenUnavailableError(type(error).__name__) from None
        finally:
            thread.shutdown(wait=False)
        return granted(answer)

    def _ask(self, resource: str, loop: asyncio.AbstractEventLoop) -> Any:
        client = msal.ManagedIdentityClient(
            self._identity, http_client=_Http(self._sessions, loop), http_cache=self._pauses
        )
        return client.acquire_token_for_client(resource=resource)
