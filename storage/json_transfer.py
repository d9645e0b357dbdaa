"""A JSON file as source and as target of a transfer: one that stock TinyDB opens, `TinyDB(file)`.

Such a file is for reading and for moving, and lies around. A code in it could come back to life long after it was used
or revoked, so codes, the answers that could be given again for one, and sign-ins that are under way are neither written
nor taken.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import types
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Self, TextIO, Union, get_args, get_origin, get_type_hints

from provisioning.commands import CommandStatus
from provisioning.errors import ProvisioningError
from provisioning.events import Event
from provisioning.mac import normalise
from provisioning.model import Device
from provisioning.signin import Stage
from provisioning.texts import N_, to_operator
from provisioning.uploads import Upload, UploadPart
from storage.kinds import KINDS, columns_of
from storage.records import Plain, decode, decode_event, record_json
from storage.tinydb_backup import sync
from storage.transfer import AUDIT, CHUNK, SEEN, TABLES, Chunk, TransferFault, bad_row, check_counts

ABOUT, FORMAT = "provisioning-bot", 2  # a table of one row that says what the file is; it comes first
_CODES = N_("Codes are left out. Issue new ones after an import.")
_LEFT_OUT: Mapping[str, Plain] = {
    KINDS[Device].table: {"code": None, "retry_key": "", "retry_until": None},
    KINDS[Upload].table: {"codes": 0},
}
_LARGEST = 2**53  # what every program that reads JSON tells from its neighbours
_DEEPEST = 32  # lists and documents within each other
_YEARS = range(1970, 3000)


class JsonTarget:
    """A file that is written row by row, so that never more than a chunk is in memory; it gets its name at the end."""

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self._path, self._force = path, force
        self._part = path.with_name(f"{path.name}.part")

    async def __aenter__(self) -> Self:
        if self._path.exists() and not self._force:
            said = to_operator("{path} is there already. Name another file, or say --force.", path=self._path)
            raise TransferFault(said)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._part.unlink, missing_ok=True)

    async def fill(self, tables: Mapping[str, AsyncIterator[Chunk]], sizes: Mapping[str, int]) -> Mapping[str, int]:
        file, counts = await asyncio.to_thread(self._begin), {}
        try:
            for table, chunks in tables.items():
                file.write(f",\n{json.dumps(table)}: {{")
                counts[table] = 0
                async for chunk in chunks:
                    await asyncio.to_thread(file.writelines, _lines(table, chunk, first=not counts[table]))
                    counts[table] += len(chunk)
                file.write("}")
            check_counts(sizes, counts)
            file.write("}\n")
            await asyncio.to_thread(self._finish, file)
        finally:
            file.close()
        return counts

    def _begin(self) -> TextIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._part.unlink(missing_ok=True)
        descriptor = os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        file = os.fdopen(descriptor, "w", encoding="utf-8", newline="\n")
        about = {"format": FORMAT, "codes": to_operator(_CODES)}
        file.write(f'{{"{ABOUT}": {{"1": {json.dumps(about, ensure_ascii=False)}}}')
        return file

    def _finish(self, file: TextIO) -> None:
        file.flush()
        os.fsync(file.fileno())
        file.close()
        self._part.replace(self._path)
        sync(self._path.parent)


def _lines(table: str, chunk: Chunk, *, first: bool) -> Iterator[str]:
    for number, plain in chunk:
        yield f'{"" if first else ","}\n"{number}": {record_json(_without_code(table, plain))}'
        first = False


def _without_code(table: str, plain: Plain) -> Plain:
    if table == KINDS[UploadPart].table:
        return plain | {each: [row | {"code": ""} for row in plain.get(each, [])] for each in ("rows", "bad")}
    return plain | _LEFT_OUT.get(table, {}) | (_under_way(plain) if table == KINDS[Device].table else {})


def _under_way(plain: Plain) -> Plain:
    """What a device is in the middle of does not go on after an import: a live sign-in, what it was asked to do."""
    sign_in, commands = plain.get("sign_in"), plain.get("commands") or []
    live = sign_in is not None and Stage(sign_in["stage"]).live
    settled = [each for each in commands if each["status"] != CommandStatus.ASKED.value]
    return {"sign_in": None if live else sign_in, "commands": settled}


class JsonSource:
    """A file that is read into memory and looked through before anything of it is used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: dict[str, list[tuple[int, Plain]]] = {}

    async def __aenter__(self) -> Self:
        self._tables = await asyncio.to_thread(self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tables = {}

    async def sizes(self) -> Mapping[str, int]:
        return {table: len(self._tables.get(table, ())) for table in TABLES}

    async def rows(self, table: str) -> AsyncIterator[Chunk]:
        rows = self._tables.get(table, [])
        for start in range(0, len(rows), CHUNK):
            yield rows[start : start + CHUNK]

    def _read(self) -> dict[str, list[tuple[int, Plain]]]:
        try:
            with self._path.open(encoding="utf-8-sig") as file:
                data = json.load(file, parse_constant=_no_number, parse_int=_whole, object_pairs_hook=_object)
        except OSError as error:
            said = to_operator("{path} cannot be read: {error}.", path=self._path, error=error.strerror or error)
            raise TransferFault(said) from error
        except _Twice as error:
            said = to_operator('{path}: "{key}" is there twice in one place.', path=self._path, key=error)
            raise TransferFault(said) from error
        except (ValueError, RecursionError) as error:
            said = to_operator("{path} is cut short or is no JSON: {error}.", path=self._path, error=error)
            raise TransferFault(said) from error
        self._check_format(data)
        unknown = sorted(data.keys() - set(TABLES) - {ABOUT, "_default"})
        if unknown:
            said = to_operator('{path} has a table "{table}" that is not known.', path=self._path, table=unknown[0])
            raise TransferFault(said)
        if data.get("_default"):
            said = N_('{path} has rows in "_default", which are not carried. Take them out first: db.drop_tables().')
            raise TransferFault(to_operator(said, path=self._path))
        return {table: _checked(table, data.get(table, {})) for table in TABLES}

    def _check_format(self, data: Any) -> None:
        """Errors: `TransferFault` for a file that `export-json` did not write, or that of a newer version did."""
        about = data.get(ABOUT) if isinstance(data, dict) else None
        first = about.get("1") if isinstance(about, dict) else None
        number = first.get("format") if isinstance(first, dict) else None
        if type(number) is not int or number < 1:
            said = N_('{path} was not written by export-json: it has no table "{table}".')
            raise TransferFault(to_operator(said, path=self._path, table=ABOUT))
        if number > FORMAT:
            said = N_("{path} was written by a newer version (format {number}, this one knows {known}).")
            raise TransferFault(to_operator(said, path=self._path, number=number, known=FORMAT))


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else math.inf  # refused where its row is known


class _Twice(ValueError):
    """JSON leaves open which of two values for one key counts; so none does."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1)[:40])
    return found


# ------------------------------------------------------------------ every document looked through


def _checked(table: str, rows: Any) -> list[tuple[int, Plain]]:
    if not isinstance(rows, dict):
        raise TransferFault(to_operator('"{table}" is no table: rows by their numbers are.', table=table))
    check = _CHECKS[table]
    found: dict[int, Plain] = {}
    keys: set[str] = set()
    for number, plain in rows.items():
        try:
            row = _row_number(number)
            _check_plain(plain)
            key = check(plain)
            if row in found or (key and key in keys):
                raise ValueError(to_operator('"{key}" is there twice', key=key or number))
            record_json(plain)
        except (ProvisioningError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            why = to_operator("{field} is missing", field=error) if isinstance(error, KeyError) else error
            raise bad_row(table, number[:20], why) from error
        keys.add(key)
        found[row] = _without_code(table, plain)
    return sorted(found.items())


def _row_number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= _LARGEST:
        return int(text)
    raise ValueError(to_operator("a row is numbered from 1 to 2^53"))


def _check_plain(plain: Any) -> None:
    """Numbers that every store and program can keep, and nothing nested deeper than anything of ours is."""
    if not isinstance(plain, dict):
        raise ValueError(to_operator("it is no document"))
    level: list[Any] = [plain]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for each in level:
            inner += each.values() if isinstance(each, dict) else each
        for value in inner:
            if isinstance(value, int | float) and not abs(value) <= _LARGEST:
                raise ValueError(to_operator("a number is larger than 2^53"))
        level = [value for value in inner if isinstance(value, dict | list)]
    if level:
        raise ValueError(to_operator("it is nested too deeply"))


class _RecordCheck:
    """Raises an error that says what is wrong with a document of this kind; else its key."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def __call__(self, plain: Plain) -> str:
        _check_fits(self._kind, plain, "")
        record: Any = decode(self._kind, plain)
        if record.version < 1:
            raise ValueError(to_operator("a version counts from 1"))
        if self._kind is Device:
            _check_mac(record.mac)
        columns_of(KINDS[self._kind], record)
        return str(record.key)


def _check_mac(mac: str) -> None:
    if normalise(mac) != mac:
        raise _misfit("mac", mac)


def _check_fact(plain: Plain) -> str:
    _check_fits(str, plain["event"], "event")
    kind = Event.registry.get(plain["event"], Event)
    _check_fits(kind, {name: value for name, value in plain.items() if name != "event"}, "")
    decode_event(plain)
    return ""


def _check_seen(plain: Plain) -> str:
    _check_fits(str, plain["mac"], "mac")
    _check_mac(plain["mac"])
    _check_moment(plain["at"], "at")
    return str(plain["mac"])


_CHECKS = {kind.table: _RecordCheck(kind.cls) for kind in KINDS.values()} | {AUDIT: _check_fact, SEEN: _check_seen}


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


def _check_fits(hint: Any, value: Any, place: str) -> None:
    """Holds a plain value against the type it is to become. Errors: ValueError, TypeError that name the field."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is not None:
            (inner,) = (each for each in arguments if each is not type(None))
            _check_fits(inner, value, place)
    elif origin in (frozenset, tuple):
        if not isinstance(value, list):
            raise _misfit(place, value)
        each = arguments[:1] * len(value) if origin is frozenset or arguments[-1] is Ellipsis else arguments
        for one, part in zip(each, value, strict=True):
            _check_fits(one, part, place)
    elif isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(value, dict):
            raise _misfit(place, value)
        for name, inner in _hints(hint):
            if name in value:  # one that is missing takes its default, or is missed by the decoder
                _check_fits(inner, value[name], f"{place}.{name}".lstrip("."))
    elif isinstance(hint, type) and issubclass(hint, Enum):
        hint(value)
    elif hint in (str, int, bool, float):
        if type(value) is not hint and not (hint is float and type(value) is int):
            raise _misfit(place, value)
    else:
        _check_moment(value, place)


def _check_moment(value: Any, place: str) -> None:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.tzinfo is None or moment.astimezone(UTC).year not in _YEARS:
        raise _misfit(place, value)


def _misfit(place: str, value: Any) -> ValueError:
    return ValueError(to_operator("{field} cannot be {value}", field=place, value=repr(value)[:40]))
