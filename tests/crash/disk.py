"""A disk that may lose whatever was not synced, and every state that a power loss may leave on it.

The model. A file is what it held at its last sync, and then the writes and truncates since, in order. The folder is
the same: its names as of its last sync, and then the links and unlinks since. When the power fails, any subset of what
is pending may have reached the disk. Of the pending operations are tried: none, all, each prefix, all but each one,
each one alone, and the last write torn at each sector of 512 bytes from either end; where that is many, a sample.
The model is harder than real disks and file systems are: they may write back early, but ext4 and XFS keep renames and
lengths in order, and an fsync of a new file keeps its name; here only a sync of the folder does.
What is believed: a sync that returned, sectors that are whole, and that other files do not change by themselves.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.crash.vfs import Op

SECTOR = 512

Image = dict[str, bytes]  # a folder: its files by name


@dataclass(frozen=True, slots=True)
class Pending:
    """An operation that the disk may forget; `file` stays the same when a name is used again."""

    op: Op
    file: int


@dataclass
class Disk:
    names: dict[str, int] = field(default_factory=dict)  # as they are on the disk
    contents: dict[int, bytes] = field(default_factory=dict)  # as they are on the disk
    pending: list[Pending] = field(default_factory=list)
    _live: dict[str, int] = field(default_factory=dict)  # as the process sees the names

    @classmethod
    def holding(cls, image: Image) -> Disk:
        names = {name: number for number, name in enumerate(image)}
        return cls(names, {names[name]: content for name, content in image.items()}, [], dict(names))

    def apply(self, op: Op) -> None:
        if op.kind == "link":
            self._live[op.name] = max(self.contents, default=-1) + 1
            self.contents[self._live[op.name]] = b""
        if op.kind in ("link", "write", "truncate"):
            self.pending.append(Pending(op, self._live[op.name]))
        elif op.kind == "unlink":
            self.pending.append(Pending(op, self._live.pop(op.name)))
        elif op.kind == "sync":
            self._settle([each for each in self.pending if each.file == self._live[op.name] and _is_data(each)])
        elif op.kind == "sync_names":
            self._settle([each for each in self.pending if not _is_data(each)])

    def _settle(self, kept: Sequence[Pending]) -> None:
        self.names, self.contents = self._with(kept)
        settled = set(map(id, kept))
        self.pending = [each for each in self.pending if id(each) not in settled]

    def image(self, kept: Iterable[Pending]) -> Image:
        """What is found after a power loss that let these of the pending operations reach the disk."""
        names, contents = self._with(kept)
        return {name: contents[file] for name, file in names.items()}

    def _with(self, kept: Iterable[Pending]) -> tuple[dict[str, int], dict[int, bytes]]:
        names, changed = dict(self.names), {}
        for each in kept:
            if each.op.kind == "link":
                names[each.op.name] = each.file
            elif each.op.kind == "unlink":
                names.pop(each.op.name, None)
            else:
                content = changed.setdefault(each.file, bytearray(self.contents[each.file]))
                _change(content, each.op)
        return names, self.contents | {file: bytes(content) for file, content in changed.items()}


def _is_data(each: Pending) -> bool:
    return each.op.kind in ("write", "truncate")


def _change(content: bytearray, op: Op) -> None:
    if op.kind == "write":
        content.extend(bytes(max(0, op.at - len(content))))
        content[op.at : op.at + len(op.data)] = op.data
    elif op.at <= len(content):
        del content[op.at :]
    else:
        content.extend(bytes(op.at - len(content)))


def after(log: Iterable[Op], start: Image | None = None) -> Image:
    """The folder as the process itself saw it after these operations."""
    disk = Disk.holding(start or {})
    for op in log:
        disk.apply(op)
    return disk.image(disk.pending)


def read_in(folder: Path) -> Image:
    """The files of SQLite that lie there."""
    return {path.name: path.read_bytes() for path in folder.glob("*.sqlite3*")}


def write_out(image: Image, folder: Path) -> None:
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)


# ------------------------------------------------------------------ every power loss


@dataclass(frozen=True)
class State:
    """What may be found after a power loss, put together when it is asked for."""

    disk: Disk
    kept: Sequence[Pending]
    acknowledged: Mapping[int, int]  # units of each writer that must be there

    @property
    def image(self) -> Image:
        return self.disk.image(self.kept)


def power_losses(log: Sequence[Op], rng: random.Random, each: int, start: Image | None = None) -> list[State]:
    """The states that a power loss after any of these operations may leave, some `each` for one operation.

    Where several moments may leave the same state, the one counts by which most was acknowledged.
    """
    disk, acknowledged = Disk.holding(start or {}), dict[int, int]()
    states: dict[object, State] = {}
    for place, op in enumerate(log):
        if op.kind == "ack":
            acknowledged[op.at] = acknowledged.get(op.at, 0) + 1
        else:
            disk.apply(op)
        if place + 1 == len(log) or log[place + 1].kind != "ack":
            now, there = replace(disk, pending=[]), dict(acknowledged)
            for kept in _some_subsets(tuple(disk.pending), rng, each):
                states[id(now.contents), tuple(map(id, kept))] = State(now, kept, there)
    return list(states.values())


def _some_subsets(pending: Sequence[Pending], rng: random.Random, most: int) -> list[Sequence[Pending]]:
    always = [(), pending]
    others = list(_subsets(pending))
    return always + (others if len(others) <= most else rng.sample(others, most))


def _subsets(pending: Sequence[Pending]) -> Iterator[Sequence[Pending]]:
    for place in range(len(pending)):
        yield pending[:place]
        yield (*pending[:place], *pending[place + 1 :])
        yield (pending[place],)
    if pending and pending[-1].op.kind == "write":
        for torn in _torn(pending[-1].op):
            yield (*pending[:-1], replace(pending[-1], op=torn))


def _torn(op: Op) -> Iterator[Op]:
    """A write of which only the first or only the last sectors reached the disk."""
    first = SECTOR - op.at % SECTOR
    for cut in range(first, len(op.data), SECTOR):
        yield replace(op, data=op.data[:cut])
        yield replace(op, at=op.at + cut, data=op.data[cut:])
