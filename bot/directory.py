"""Who is in which Entra group: asked of Microsoft Graph in the app's own name, within some seconds.

Needs the application permissions User.Read.All and GroupMember.Read.All (directoryObject: checkMemberGroups).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import aiohttp
import structlog

from bot.adapter_trust import ScopedToken, TokenUnavailableError
from bot.setting_values import GUID
from provisioning.directory_errors import DirectoryAway, DirectoryRefuses

log = structlog.get_logger(__name__)

GROUPS_A_CALL: Final = 20  # as many as Graph takes (directoryObject: checkMemberGroups)
CALL_SECONDS: Final = 5.0
ALL_SECONDS: Final = 10.0  # for every call about one person, waits included
ANSWER_LIMIT: Final = 64 * 1024  # bytes; 20 ids take less than one KiB
REST: Final = 5.0  # seconds after a throttled call that names no time
LONGEST_REST: Final = 300.0
GONE: Final = "Request_ResourceNotFound"  # Graph's word for an account that does not exist


class GraphDirectory:
    """The `Directory` of a tenant. Trouble is told once in the log, with its cure, and its end as well."""

    def __init__(
        self,
        url: str,
        token: ScopedToken,
        sessions: Callable[[], aiohttp.ClientSession],
        *,
        call_seconds: float = CALL_SECONDS,
        all_seconds: float = ALL_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._token, self._sessions = url, token, sessions
        self._call_seconds, self._all_seconds, self._now = call_seconds, all_seconds, now
        self._trouble = ""
        self._rests_until = float("-inf")

    async def groups_of(self, person_id: str, among: Collection[str]) -> frozenset[str]:
        """See `Directory`. A part of an answer is none: all calls succeed, or `DirectoryAway`."""
        if not GUID.fullmatch(person_id):  # not an account of Entra
            return frozenset()
        found = set[str]()
        try:
            async with asyncio.timeout(self._all_seconds):
                for part in _parts(sorted(among)):
                    found |= await self._check(person_id, part)
        except TimeoutError:
            raise self._troubled(DirectoryAway("no answer in time")) from None
        except DirectoryAway as away:
            raise self._troubled(away) from None
        if self._trouble:
            log.info("Microsoft Graph answers again")
        self._trouble = ""
        return frozenset(found & set(among))

    def _troubled(self, away: DirectoryAway) -> DirectoryAway:
        if self._trouble != away.code:
            self._trouble = away.code
            log.warning("groups cannot be looked up", reason=away.why, told=away.sentence)
        return away

    async def _check(self, person_id: str, groups: Sequence[str]) -> set[str]:
        """One call; once more with a new token where Graph does not take the one at hand."""
        for last in (False, True):
            token = await self._bearer()
            status, answer, headers = await self._post(person_id, groups, token)
            if status == 401 and not last:
                self._token.forget(token)
                continue
            return self._read(status, answer, headers)
        raise AssertionError("the second call always ends it")

    async def _bearer(self) -> str:
        if (rest := self._rests_until - self._now()) > 0:
            raise DirectoryAway(f"throttled for {rest:.0f} s")
        try:
            return await self._token.get()
        except TokenUnavailableError as error:
            raise DirectoryAway(f"no token: {error}") from None

    async def _post(self, person_id: str, groups: Sequence[str], token: str) -> tuple[int, Any, Mapping[str, str]]:
        url = f"{self._url}/v1.0/users/{person_id.lower()}/checkMemberGroups"
        try:
            async with self._sessions().post(
                url,
                json={"groupIds": list(groups)},
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                timeout=aiohttp.ClientTimeout(total=self._call_seconds),
                allow_redirects=False,
            ) as response:
                raw = await _body(response)
                return response.status, _json(raw), response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise DirectoryAway(type(error).__name__) from None

    def _read(self, status: int, answer: Any, headers: Mapping[str, str]) -> set[str]:
        """The groups of an answer. Errors: `DirectoryAway`, `DirectoryRefuses`."""
        if status == 200:
            ids = answer.get("value") if isinstance(answer, dict) else None
            if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
                raise DirectoryAway("an answer that names no groups")
            return {each.lower() for each in ids}
        code = _error_code(answer)
        if status == 404 and code == GONE:
            return set()
        if status in (401, 403):
            raise DirectoryRefuses(f"{status} {code}".strip())
        if status in (429, 503, 504):
            self._rests_until = self._now() + _retry_after(headers)
        raise DirectoryAway(f"{status} {code}".strip())


def _parts(groups: Sequence[str]) -> Iterator[Sequence[str]]:
    return (groups[start : start + GROUPS_A_CALL] for start in range(0, len(groups), GROUPS_A_CALL))


async def _body(response: aiohttp.ClientResponse) -> bytes:
    raw = b""
    async for chunk in response.content.iter_chunked(16 * 1024):
        raw += chunk
        if len(raw) > ANSWER_LIMIT:
            raise DirectoryAway("an answer that does not end")
    return raw


def _json(raw: bytes) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _error_code(answer: Any) -> str:
    """Graph's word for what is wrong, safe to log; empty where it gives none."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code[:80] if isinstance(code, str) and code.replace("_", "").isalnum() else ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds (RFC 9110, 10.2.3); a date, or nothing, is some seconds."""
    asked = headers.get("Retry-After", "")
    return min(float(asked), LONGEST_REST) if asked.isascii() and asked.isdigit() and len(asked) < 9 else REST
