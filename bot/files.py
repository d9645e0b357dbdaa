"""Files in and out of Teams: fetched from and put to addresses that came from outside, each of which is a credential.

Nothing of ours goes along: no cookie, no proxy of the environment, and no token but to the service that keeps pictures
for this bot alone. Logs name hosts, never addresses.
"""

from __future__ import annotations

import asyncio
import copy
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from bot.adapter_trust import TokenUnavailableError
from bot.file_hosts import CheckedResolver, FileError, FileHostRefused, FileHosts
from provisioning.texts import N_

log = structlog.get_logger(__name__)

Progress = Callable[[int, int | None], None]

MIB: Final = 1024 * 1024
FILE_LIMIT: Final = 20  # MiB
CHUNK_BYTES: Final = 256 * 1024
PART_BYTES: Final = 16 * 320 * 1024  # an upload session takes multiples of 320 KiB
UNPACKED: Final = ("identity", "gzip", "deflate")
ANSWER_LIMIT: Final = 64 * 1024
HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "ProvisioningBot"}


class FileTooLarge(FileError):
    code = "file_too_large"
    message = N_("This file is larger than {limit} MiB. Split it, or save it as CSV, which is smaller.")

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)
        self.limit = limit


class FileStalled(FileError):
    code = "file_stalled"
    message = N_("The file stopped coming. Nothing was saved; please send it again.")


class FileGone(FileError):
    code = "file_gone"
    message = N_("The link to this file has ended: Teams gives it for some minutes. Please send the file again.")


class FileUnreachable(FileError):
    code = "file_unreachable"
    message = N_("The place where Teams keeps this file does not answer as it should. Please try again in a minute.")


class TokenRefused(FileGone):
    """The service does not take the bot's token."""


class PlaceGone(FileError):
    """The upload address of an accepted file has ended."""

    code = "file_place_gone"
    message = N_("The place for this file has ended: Teams gives it for some minutes. Please ask for the file again.")


class PlaceFull(FileError):
    code = "file_place_full"
    message = N_("There is no room left where your files are kept. Make room, and ask for the file again.")


_ENDED: Final = (401, 403, 404, 410)
_FETCHING: Final[Mapping[int, type[FileError]]] = dict.fromkeys(_ENDED, FileGone)
_PUTTING: Final[Mapping[int, type[FileError]]] = {**dict.fromkeys(_ENDED, PlaceGone), 413: PlaceFull, 507: PlaceFull}


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. `idle`: without a byte; `total`: for one file; `pauses`: before each further try to put a part."""

    idle: float = 10.0
    total: float = 120.0
    pauses: Sequence[float] = (0.5, 2.0)


class Pass(Protocol):
    """What the bot shows to the service that keeps pictures for it."""

    async def get(self) -> str:
        """A token. Errors: `TokenUnavailableError`."""
        ...

    def forget(self, token: str) -> None:
        """It was refused; the next call gets another."""
        ...


class Files:
    """Errors of both ways: the `FileError` tree, each with a sentence for whoever sent or took the file.

    `limit` is in MiB, and of what a file is once it is unpacked. `service` are the hosts that the bot's own `token` may
    go to. `resolver`, `tls` and `hosts` are for tests.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        local: bool = False,
        limit: int = FILE_LIMIT,
        hosts: FileHosts | None = None,
        service: FileHosts | None = None,
        token: Pass | None = None,
        patience: Patience = Patience(),
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limit = limit
        self._hosts = hosts or FileHosts(allowed_hosts, local=local)
        self._service, self._token = service, token
        self._patience, self._resolver, self._tls = patience, resolver, tls

    def up_to(self, limit: int) -> Files:
        """The same for files of at most so many MiB, and of no more than these."""
        narrower = copy.copy(self)
        narrower.limit = min(self.limit, limit)
        return narrower

    # ------------------------------------------------------------------ in

    async def fetch(self, url: str, *, progress: Progress | None = None) -> bytes:
        """The whole file. `progress` hears after each piece how many bytes are here, and of how many where known."""
        place = self._hosts.check(url)
        with _told(place, FileStalled):
            return await self._get(self._hosts, place, {}, progress)

    async def fetch_own(self, url: str) -> bytes:
        """What the service keeps for this bot alone: with its token. From every other host as `fetch`, without."""
        if self._service is None or self._token is None or not self._service.names(url):
            return await self.fetch(url)
        place = self._service.check(url)
        with _told(place, FileStalled):
            token = await self._token.get()
            try:
                return await self._get(self._service, place, {"Authorization": f"Bearer {token}"}, None)
            except TokenRefused:
                self._token.forget(token)
            return await self._get(self._service, place, {"Authorization": f"Bearer {await self._token.get()}"}, None)

    async def _get(self, hosts: FileHosts, place: URL, headers: Mapping[str, str], progress: Progress | None) -> bytes:
        async with (
            self._session(hosts) as session,
            session.get(place, headers=headers, allow_redirects=False) as answer,
        ):
            if headers and answer.status == 401:
                raise TokenRefused
            _check_status(answer.status, _FETCHING)
            return await self._read(answer, progress)

    async def _read(self, answer: aiohttp.ClientResponse, progress: Progress | None) -> bytes:
        announced = answer.content_length
        packing = answer.headers.get("Content-Encoding", "identity").lower()
        if packing not in UNPACKED:
            raise FileUnreachable
        if (announced or 0) > self.limit * MIB:
            raise FileTooLarge(self.limit)
        # What comes packed although it was not asked for is unpacked piece by piece, and counted as it is then.
        content = io.BytesIO()
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            content.write(chunk)
            if content.tell() > self.limit * MIB:
                raise FileTooLarge(self.limit)
            if progress:
                progress(content.tell(), announced if packing == "identity" else None)
        return content.getvalue()

    # ------------------------------------------------------------------ out

    async def put(self, url: str, content: bytes) -> None:
        """Puts the whole file into an upload session, part by part; a part that was lost on the way is sent again."""
        if not content:
            raise ValueError("an upload session takes no empty file")
        place = self._hosts.check(url)
        with _told(place, FileUnreachable):
            async with self._session(self._hosts) as session:
                await self._put_parts(session, place, content)

    async def _put_parts(self, session: aiohttp.ClientSession, place: URL, content: bytes) -> None:
        start, pauses = 0, iter(self._patience.pauses)
        while start < len(content):
            try:
                start = await _put_part(session, place, content, start)
            except (FileUnreachable, aiohttp.ClientError, TimeoutError, OSError):
                pause = next(pauses, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                start = await _expected(session, place, start)

    # ------------------------------------------------------------------ the wire

    @asynccontextmanager
    async def _session(self, hosts: FileHosts) -> AsyncIterator[aiohttp.ClientSession]:
        """For one file, so that nothing is left of it: neither a connection nor a cookie."""
        resolver = self._resolver or aiohttp.DefaultResolver()
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(hosts, resolver), use_dns_cache=False, ssl=self._tls or True
        )
        idle = self._patience.idle
        try:
            async with (
                asyncio.timeout(self._patience.total),
                aiohttp.ClientSession(
                    connector=connector,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers=HEADERS,
                    timeout=aiohttp.ClientTimeout(total=None, connect=idle, sock_connect=idle, sock_read=idle),
                    trust_env=False,
                ) as session,
            ):
                yield session
        finally:
            if self._resolver is None:
                await resolver.close()


async def _put_part(session: aiohttp.ClientSession, place: URL, content: bytes, start: int) -> int:
    """Where the next part starts, as the session says; the end of the file once it has everything."""
    end = min(start + PART_BYTES, len(content))
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"bytes {start}-{end - 1}/{len(content)}",
    }
    part = io.BytesIO(memoryview(content)[start:end])
    async with session.put(place, data=part, headers=headers, allow_redirects=False) as answer:
        _check_status(answer.status, _PUTTING)
        following = _next_expected(await _short_body(answer)) if answer.status == 202 else None
    if following is None:
        following = end
    if following <= start:
        raise FileUnreachable  # it took nothing
    return following


async def _expected(session: aiohttp.ClientSession, place: URL, start: int) -> int:
    """Where the session wants to go on: what was lost may have been its answer only."""
    try:
        async with session.get(place, allow_redirects=False) as answer:
            _check_status(answer.status, _PUTTING)
            following = _next_expected(await _short_body(answer))
    except (FileUnreachable, aiohttp.ClientError, TimeoutError, OSError):
        return start
    return start if following is None else following


async def _short_body(answer: aiohttp.ClientResponse) -> bytes:
    return await answer.content.read(ANSWER_LIMIT)


def _next_expected(body: bytes) -> int | None:
    """The start of the first range that is missing ("26-" or "26-127"); None where none is named."""
    try:
        first = json.loads(body)["nextExpectedRanges"][0]
        return int(first.partition("-")[0])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _check_status(status: int, kinds: Mapping[int, type[FileError]]) -> None:
    if 300 <= status < 400:
        raise FileHostRefused  # wherever it leads, it was not checked
    if not 200 <= status < 300:
        raise kinds.get(status, FileUnreachable)


@contextmanager
def _told(place: URL, late: type[FileError]) -> Iterator[None]:
    """What goes wrong becomes one of ours, and one line for the operator. The address stays out of both."""
    try:
        yield
    except FileError as error:
        log.warning("a file did not pass", host=place.host, reason=error.code)
        raise
    except TimeoutError:
        log.warning("a file did not pass", host=place.host, reason=FileStalled.code)
        raise late from None
    except TokenUnavailableError:  # ours to repair: the operator reads it
        log.error("no token for a picture", host=place.host)
        raise FileUnreachable from None
    except (aiohttp.ClientError, OSError, UnicodeError) as error:  # the last: a name no resolver takes
        log.warning("a file did not pass", host=place.host, reason=type(error).__name__)
        raise FileUnreachable from None
