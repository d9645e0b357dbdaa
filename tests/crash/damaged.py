"""A file cut short, and one changed byte: read rightly or refused, never served wrongly, never written over."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.errors import Unavailable
from provisioning.model import Device
from storage import tinydb_writer
from storage.tinydb_backup import FileFault, check_copy
from tests.crash import Result, scratch, swapped
from tests.crash.disk import Image, after, read_in, write_out
from tests.crash.stories import examine, opened, read_all, told_after, unit, violations
from tests.crash.vfs import Op, hidden, recording

_DATABASE, _LOG = "store.sqlite3", "store.sqlite3-wal"
_WRITER = 1
_FEW, _MANY = 8, 60  # units: so that each byte of the log counts; so that not most of the database file is empty
_HEADER, _FRAME_HEADER, _PAGE = 32, 24, 4096
_FRAME = _FRAME_HEADER + _PAGE
_EACH = 5  # places for each trial asked for


async def written(folder: Path, units: int) -> tuple[Image, Image]:
    """A new store with its units in the log, and the same store after it was closed, all in the database file."""
    in_log = await written_on(folder, 0, units)
    return in_log, read_in(folder)


async def written_on(folder: Path, begun: int, units: int) -> Image:
    """The store while these units stand in its log."""
    there = read_in(folder)
    log: list[Op] = []
    with recording(log), swapped(tinydb_writer, "_IDLE_SECONDS", 600):
        async with opened(folder) as store:
            for n in range(begun, begun + units):
                await store.save(unit(_WRITER, n))
            return after(log, there)


def commits(log: bytes) -> list[int]:
    """Where each transaction of a log ends (https://www.sqlite.org/fileformat2.html#the_write_ahead_log)."""
    starts = range(_HEADER, len(log) - _FRAME + 1, _FRAME)
    return [start + _FRAME for start in starts if any(log[start + 4 : start + 8])]


def whole_units(ends: list[int], length: int) -> int:
    """Units in so much of a log that ends with a few; the transactions before them made the tables."""
    return max(0, sum(end <= length for end in ends) - (len(ends) - _FEW))


async def _log_violations(folder: Path, image: Image, units: int, where: str) -> list[str]:
    """The log must open to exactly so many units."""
    write_out(image, folder)
    found = await examine(folder, {})
    shutil.rmtree(folder)
    said = list(found.violations)
    if not said and found.units.get(_WRITER, 0) != units:
        said.append(f"opened to {found.units} instead of {units} units")
    return [f"{where}: {what}" for what in said]


# ------------------------------------------------------------------ cut


def log_cuts(log: bytes, rng: random.Random, most: int) -> list[int]:
    """So many places around the edges of frames, and so many bytes of the last two transactions."""
    edges = [start + step for start in range(_HEADER, len(log), _FRAME) for step in (-1, 0, 1, 23, 24)]
    tail = range(commits(log)[-3], len(log))
    return sorted({0, *(cut for among in (edges, tail) for cut in rng.sample(among, min(len(among), most)))})


async def cut_log(trials: int, seed: int) -> Result:
    name = "cut: the log"
    if reason := hidden():
        return Result(name, "", skipped=reason)
    with scratch() as folder:
        image, _ = await written(folder / "written", _FEW)
        log, said = image[_LOG], list[str]()
        ends, cuts = commits(log), log_cuts(log, random.Random(seed), trials * _EACH)
        for cut in cuts:
            shorter = image | {_LOG: log[:cut]}
            said += await _log_violations(folder / str(cut), shorter, whole_units(ends, cut), f"cut at {cut}")
    return Result(name, f"{len(cuts)} cuts of {len(log)} bytes: always a whole prefix", said)


async def cut_database(trials: int, seed: int) -> Result:
    """To no less than a byte: an empty file is what a first start may leave, and becomes a new store.

    Where nothing but zeros is cut off within the last page, the file is still whole.
    """
    name = "cut: the database"
    if reason := hidden():
        return Result(name, "", skipped=reason)
    rng, found = random.Random(seed), Damages()
    with scratch() as folder:
        _, image = await written(folder / "written", _MANY)
        content = image[_DATABASE]
        edges = [page + step for page in range(0, len(content), _PAGE) for step in (-1, 0, 1)]
        cuts = [cut for cut in edges if 0 < cut < len(content)]
        cuts = rng.sample(cuts, min(len(cuts), trials)) + [rng.randrange(1, len(content)) for _ in range(trials)]
        for cut in cuts:
            await found.look(folder / "cut", content[:cut], f"cut at {cut}", must_be_found=any(content[cut:]))
    return Result(name, f"{len(cuts)} cuts of {len(content)} bytes: {found.figures}", found.violations)


async def cut_beside_log(trials: int, seed: int) -> Result:
    """What is cut off may stand in the log too; then everything is there, and else the store is refused."""
    name = "cut: the database beside its log"
    if reason := hidden():
        return Result(name, "", skipped=reason)
    rng, said, whole = random.Random(seed), list[str](), 0
    with scratch() as folder:
        await written(folder / "written", _MANY)
        image, units = await written_on(folder / "written", _MANY, _FEW), _MANY + _FEW
        for _ in range(trials):
            cut = rng.randrange(1, len(image[_DATABASE]))
            write_out(image | {_DATABASE: image[_DATABASE][:cut]}, folder / "cut")
            found = await examine(folder / "cut", {_WRITER: units})
            shutil.rmtree(folder / "cut")
            whole += not found.violations
            said += [] if found.refused else [f"cut at {cut}: {what}" for what in found.violations]
    return Result(name, f"{trials} cuts: {whole} mended from the log, the others refused", said)


# ------------------------------------------------------------------ flipped


def flipped(content: bytes, rng: random.Random, among: Sequence[int]) -> tuple[int, bytes]:
    at = rng.choice(among)
    return at, content[:at] + bytes([content[at] ^ rng.randint(1, 255)]) + content[at + 1 :]


async def flipped_log(trials: int, seed: int) -> Result:
    name = "flipped: the log"
    if reason := hidden():
        return Result(name, "", skipped=reason)
    rng, said = random.Random(seed), list[str]()
    with scratch() as folder:
        image, _ = await written(folder / "written", _FEW)
        ends = commits(image[_LOG])
        for trial in range(trials * _EACH):
            at, changed = flipped(image[_LOG], rng, range(len(image[_LOG])))
            units = whole_units(ends, at if at >= _HEADER else 0)
            said += await _log_violations(folder / str(trial), image | {_LOG: changed}, units, f"flipped at {at}")
    return Result(name, f"{trials * _EACH} flips: always the whole units before it", said)


async def flipped_database(trials: int, seed: int) -> Result:
    """Every other time a byte that is not zero, for most zeros are room that nobody uses."""
    name = "flipped: the database"
    if reason := hidden():
        return Result(name, "", skipped=reason)
    rng, found = random.Random(seed), Damages()
    with scratch() as folder:
        _, image = await written(folder / "written", _MANY)
        used = [at for at, byte in enumerate(image[_DATABASE]) if byte]
        for trial in range(trials * _EACH):
            among = used if trial % 2 else range(len(image[_DATABASE]))
            at, changed = flipped(image[_DATABASE], rng, among)
            await found.look(folder / "flipped", changed, f"flipped at {at}")
    return Result(name, f"{trials * _EACH} flips: {found.figures}", found.violations)


# ------------------------------------------------------------------ what a damaged database file is taken for


@dataclass
class Damages:
    """How damage was found: when the store opened, when it was read, by verify; or not, where nothing lives."""

    opening: int = 0
    reading: int = 0
    verifying: int = 0
    harmless: int = 0
    missing: int = 0  # of those that verify found: rows that could not be seen before it ran

    def __post_init__(self) -> None:
        self.violations: list[str] = []

    @property
    def figures(self) -> str:
        found = f"found by opening {self.opening}, reading {self.reading}, verify {self.verifying}"
        found += f" ({self.missing} hid rows until then)" * bool(self.missing)
        return f"{found}; without effect {self.harmless}"

    async def look(self, folder: Path, content: bytes, where: str, *, must_be_found: bool = False) -> None:
        write_out({_DATABASE: content}, folder)
        try:
            noticed = await self._look_inside(folder)
            if must_be_found and not noticed:
                self.violations.append(f"{where}: nobody noticed")
        except AssertionError as error:
            noticed = False
            self.violations.append(f"{where}: {error}")
        except Exception as error:
            noticed = True
            self.violations.append(f"{where}: {type(error).__name__} left the store: {error}")
        if noticed and (folder / _DATABASE).read_bytes() != content:
            self.violations.append(f"{where}: damage was found and written over")
        shutil.rmtree(folder)

    async def _look_inside(self, folder: Path) -> bool:
        """True where the damage was found. Raises AssertionError for what was served and is not what was written."""
        try:
            async with opened(folder) as store:
                return await self._read(store)
        except Unavailable:
            self.opening += 1
            return True

    async def _read(self, store: Any) -> bool:
        try:
            missing = await missing_rows(store)
        except Unavailable as refused:
            self.reading += 1
            assert found_anew(store), f"verify finds nothing, and a read says: {refused.reason}"
            return True
        try:
            await store.verify(deep=True)
        except Unavailable:
            self.verifying += 1
            self.missing += missing > 0
            return True
        assert not missing, "rows are missing, and verify found nothing"
        await goes_on(store)
        self.harmless += 1
        return False


def found_anew(store: Any) -> bool:
    """Whether verify names a fault without having been told of one."""
    try:
        check_copy(store.db.rows.file.path, deep=True)
    except FileFault:
        return True
    return False


def _served(found: dict[int, Any]) -> Iterator[Any]:
    for told in found.values():
        yield from told.records.values()
        yield from told.facts


async def missing_rows(store: Any) -> int:
    """How many rows are not to be seen; AssertionError where one is seen that was not written so."""
    due = told_after(_WRITER, _MANY)
    written_rows = [*due.records.values(), *due.facts]
    served = list(_served(await read_all(store)))
    by_key = [await store.get(type(record), record.key) for record in due.records.values()]
    served += [record for record in by_key if record]
    assert all(row in written_rows for row in served), "another row was served than was written"
    tally = sum(row.count for row in await store.tally())
    devices = sum(isinstance(record, Device) for record in due.records.values())
    return sum(row not in served for row in written_rows) + by_key.count(None) + abs(devices - tally)


async def goes_on(store: Any) -> None:
    """What verify let pass must do no harm to the next unit either."""
    await store.save(unit(_WRITER, _MANY))
    await store.verify(deep=True)
    said = violations(await read_all(store), {_WRITER: _MANY + 1})
    assert not said, said[0]
