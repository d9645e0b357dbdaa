"""Everything a store keeps, carried from one store to another: what a source gives, what a target takes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

from provisioning.bookkeeping import Segment
from provisioning.texts import N_, to_operator
from provisioning.trail import Trail
from storage.audit import Chain, digest
from storage.kinds import KINDS
from storage.records import Plain, decode

AUDIT, SEEN = "audit", "seen"
TABLES = (*(kind.table for kind in KINDS.values()), AUDIT, SEEN)  # the order in which they are carried
CHUNK = 1000  # rows at once

Chunk = Sequence[tuple[int, Plain]]  # row number and document, in order of the numbers
Progress = Callable[[str, int, int], None]  # what is under way, how much of it is done, how much there is

_FORMS = N_("Write tinydb:PATH or postgresql://USER:PASSWORD@HOST/NAME.")


_FORM = re.compile("[a-z][a-z0-9+.-]{0,19}")
_HOST = r"(?:[\w.%-]*|\[[0-9A-Fa-f:.%]+\])(?::\d{1,5})?"
_PLACE = re.compile(rf"(?P<place>{_HOST}(?:,{_HOST})*(?:/[^/:\s?#]*)?)(?:[?#].*)?")


class TransferFault(Exception):
    """What keeps a transfer from being done, in one line for the operator; the target is as it was."""


class NoSuchStore(TransferFault):
    """An address that names no store."""


class Source(Protocol):
    """One committed state of a store, held still from entering to leaving, whatever is written meanwhile."""

    async def __aenter__(self) -> Source:
        """Errors: `TransferFault`, and `Unavailable` where the store cannot be read."""
        ...

    async def __aexit__(self, *_: object) -> None: ...

    async def sizes(self) -> Mapping[str, int]:
        """How many rows each of `TABLES` has."""
        ...

    def rows(self, table: str) -> AsyncIterator[Chunk]:
        """The rows of a table in order of their numbers, up to `CHUNK` at once; each was checked as on any read.

        A document is what `encode` makes of a record (`encode_event` of a fact, `{"mac", "at"}` of a call), with its
        version. The numbers of `audit` and `outbox` mean something: segments name the first, lanes are ordered by the
        second.
        """
        ...


class Target(Protocol):
    """An empty store that is filled at one go."""

    async def __aenter__(self) -> Target:
        """Errors: `TransferFault` where there is a row already, `Unavailable` where the store cannot be used."""
        ...

    async def __aexit__(self, *_: object) -> None: ...

    async def fill(self, tables: Mapping[str, AsyncIterator[Chunk]], sizes: Mapping[str, int]) -> Mapping[str, int]:
        """Takes every table, keeping the numbers of the rows, and returns how many rows now stand in each.

        All or nothing: an exception out of one of the iterators, a crash, or a count that differs from `sizes` (see
        `check_counts`; asked of the store itself, before it is committed) leaves the store empty. What is given a
        number next gets one behind these.
        """
        ...


async def copy(source: Source, target: Target, progress: Progress) -> Mapping[str, int]:
    """Carries everything from the source to the target, both entered; returns the rows of each table, as counted there.

    Errors: `TransferFault` for a table that does not arrive whole, or an audit whose chain is broken.
    """
    sizes = await source.sizes()
    chain = _ChainCheck()
    tables = {table: _watched(source.rows(table), table, sizes[table], progress, chain) for table in TABLES}
    counts = await target.fill(tables, sizes)
    check_counts(sizes, counts)
    return counts


def check_counts(expected: Mapping[str, int], found: Mapping[str, int]) -> None:
    """Errors: `TransferFault` that names the first table whose count is another."""
    for table in TABLES:
        if expected.get(table, 0) != found.get(table, 0):
            said = N_('"{table}" has {expected} rows where it comes from and {found} where it went.')
            counts = {"expected": expected.get(table, 0), "found": found.get(table, 0)}
            raise TransferFault(to_operator(said, table=table, **counts))


def bad_row(table: str, row: object, why: object) -> TransferFault:
    return TransferFault(to_operator('row {row} of "{table}" cannot be taken: {why}', row=row, table=table, why=why))


async def _watched(
    chunks: AsyncIterator[Chunk], table: str, total: int, progress: Progress, chain: _ChainCheck
) -> AsyncIterator[Chunk]:
    done = 0
    progress(table, done, total)
    async for chunk in chunks:
        chain.see(table, chunk)
        yield chunk
        done += len(chunk)
        progress(table, done, total)
    if table == AUDIT:
        chain.end()


class _ChainCheck:
    """Holds the audit against its segments while both pass by, the segments first."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._digests: list[str] = []
        self._chain = Chain()

    def see(self, table: str, chunk: Chunk) -> None:
        if table == KINDS[Segment].table:
            self._segments += [decode(Segment, plain) for _, plain in chunk]
            self._segments.sort(key=lambda segment: segment.key, reverse=True)
        elif table == AUDIT:
            for number, plain in chunk:
                while self._segments and number > self._segments[-1].last:
                    self._close()
                if self._segments:
                    self._digests.append(digest(plain))

    def end(self) -> None:
        while self._segments:
            self._close()

    def _close(self) -> None:
        fault = self._chain.fault(self._segments.pop(), self._digests)
        self._digests = []
        if fault:
            raise TransferFault(fault)


# ------------------------------------------------------------------ by address


def folder_of(url: str) -> Path | None:
    """The folder of an embedded store; None for a PostgreSQL database. Errors: `NoSuchStore` for anything else."""
    form, _, rest = url.partition(":")
    if form in ("postgresql", "postgres"):
        return None
    if form == "tinydb" and rest:
        return Path(rest)
    raise NoSuchStore(to_operator('"{url}" names no store.', url=shown(url)) + f" {to_operator(_FORMS)}")


def shown(url: str) -> str:
    """A store's address as it may be shown: without a password and without options, which may hold one.

    A password is often put in without its signs encoded. So only what cannot be read in another way is shown: where an
    "@", or what ends a host, stands anywhere else than it must, nothing but the form is.
    """
    if url.startswith("tinydb:"):
        return url
    form, there, rest = url.partition("://")
    if not there or not _FORM.fullmatch(form):
        return "…"
    secret, there, place = rest.rpartition("@")
    user, found = secret.partition(":")[0] + there, _PLACE.fullmatch(place)
    usual = found and not any(sign in secret for sign in "@/?#") and not any(sign.isspace() for sign in user)
    return f"{form}://{user}{found['place']}" if found and usual else f"{form}://…"


def open_source(url: str, *, alone: bool = False, as_is: bool = False) -> Source:
    """What a store holds; `alone` refuses a store that a service is using, and keeps others away.

    A database of an older version is brought to this one, or refused `as_is`, as an embedded store always is.
    """
    folder = folder_of(url)
    if folder is None:
        source: Source = _postgres().postgres_source(url, alone=alone, as_is=as_is)
        return source
    from storage.tinydb_transfer import TinySource

    return TinySource(folder, alone=alone)


def open_trail(url: str) -> Trail:
    """A store's audit as it is kept, beside the running service. Errors: as of `Source`."""
    folder = folder_of(url)
    if folder is None:
        trail: Trail = _postgres().postgres_source(url)
        return trail
    from storage.tinydb_transfer import TinySource

    return TinySource(folder)


def open_target(url: str) -> Target:
    """An empty store to fill, made where it is missing."""
    folder = folder_of(url)
    if folder is None:
        target: Target = _postgres().postgres_target(url)
        return target
    from storage.tinydb_transfer import TinyTarget

    return TinyTarget(folder)


def _postgres() -> ModuleType:
    try:
        return import_module("storage.postgres_transfer")
    except ImportError as error:
        raise TransferFault(to_operator("PostgreSQL cannot be used here: {error}.", error=error)) from error
