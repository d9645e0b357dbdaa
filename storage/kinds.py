"""The kinds of records there are, and the named indexes by which they are found: one table for every store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts, Lease, Operation, Segment
from provisioning.errors import TextTooLong
from provisioning.jobs import Job
from provisioning.mac import vendor
from provisioning.messages import OutboxMessage, Post
from provisioning.model import Device, Person, Role
from provisioning.photos import Photo
from provisioning.ports import IndexValue, Span, TallyRow
from provisioning.rollouts import Rollout
from provisioning.searching import text_of
from provisioning.uploads import Upload, UploadPart
from storage.records import check_text, micros

IndexedValue = str | int | bool | None
LONGEST_INDEXED = 2_600  # bytes of an index's value and its place together: PostgreSQL's B-tree takes 2 704

_BEHIND = "\x1f"  # sorts before everything people type, so "2.1" comes before "2.1 left"
_LATEST = 10**17  # microseconds; newest first is "least time left until then" first
_DIGITS = re.compile(r"\d+")
_PREFIX = re.compile("[0-9A-F]{6}")


def natural(text: str) -> str:
    """A form whose plain order is the order people expect: 2.9 before 2.14."""
    return _DIGITS.sub(lambda run: run.group().zfill(12), text.casefold())


def _newest_first(moment: datetime, key: str) -> str:
    return f"{_LATEST - micros(moment):018d}{_BEHIND}{key}"


def _code_until(device: Device) -> int | None:
    return micros(device.code.expires_at) if device.code and device.code.sealed is not None else None


def _provisioned_at(device: Device) -> int | None:
    return micros(device.provisioned_at) if device.provisioned_at else None


def _installed_at(device: Device) -> int | None:
    return micros(device.installed.at) if device.installed else None


def _hashed_until(device: Device) -> int | None:
    code = device.code
    return micros(code.expires_at) if code and code.sealed is None and code.digest is not None else None


def _sign_in_until(device: Device) -> int | None:
    """Of a live one: when its code ends, or since when it waits for one."""
    sign_in = device.sign_in
    return micros(sign_in.expires_at or sign_in.asked_at) if sign_in and sign_in.live else None


def _offline_since(device: Device) -> int | None:
    return micros(device.offline_since) if device.offline_since else None


@lru_cache(maxsize=1024)
def _vendor(prefix: str) -> str | None:
    """By the registry that netaddr brings along: where that is another, `revision` is one more."""
    return vendor(f"{prefix}000000").casefold() or None if _PREFIX.fullmatch(prefix) else None


def _tags(device: Device) -> tuple[str, ...]:
    return tuple(sorted({tag.casefold() for tag in device.tags})) if device.tags else ()


@dataclass(frozen=True)
class Kind:
    """How the records of one class are kept: their table, their indexes, their order (None: as they came in)."""

    cls: type[Any]
    table: str
    indexes: Mapping[str, Callable[[Any], IndexedValue]]
    order: Callable[[Any], str] | None = None
    lists: Mapping[str, Callable[[Any], tuple[str, ...]]] = field(default_factory=dict)  # indexes of several values
    narrow: frozenset[str] = frozenset()  # indexes of which one value names a handful of records
    broad: frozenset[str] = frozenset()  # those of which one value names a good part of them
    flags: frozenset[str] = frozenset()  # yes or no
    rare: frozenset[str] = frozenset()  # flags of which a yes names a handful
    times: frozenset[str] = frozenset()  # indexes that hold moments, in microseconds
    small: bool = False  # there are never many records of this kind
    revision: int = 1  # one more where an index or the order comes out otherwise for a record that is stored already


_KINDS = (
    Kind(
        Device,
        "devices",
        {
            "site": lambda device: device.site.casefold(),
            "place": lambda device: device.place.casefold(),
            "location": lambda device: device.location.casefold(),
            "suffix": lambda device: device.mac[-4:].upper(),
            "state": lambda device: device.state.value,
            "technician": lambda device: device.technician,
            "token": lambda device: device.token or device.reset_token or None,
            "code_until": _code_until,
            "hashed_until": _hashed_until,
            "provisioned_at": _provisioned_at,
            "installed": lambda device: device.installed is not None,
            "installed_at": _installed_at,
            "sign_in_until": _sign_in_until,
            "offline_since": _offline_since,
            "stale": lambda device: device.stale,
            "problem": lambda device: device.problem is not None,
            "removed": lambda device: device.removed,
            "open": lambda device: device.open_job,
            "batch": lambda device: device.batch or None,
            "vendor": lambda device: _vendor(device.mac[:6]),
            "text": text_of,
        },
        lists={"tag": _tags},
        order=lambda device: f"{natural(device.location)}{_BEHIND}{device.mac}",
        narrow=frozenset({"place", "location", "suffix", "token"}),
        broad=frozenset({"state", "vendor"}),
        flags=frozenset({"installed", "problem", "removed", "open", "stale"}),
        rare=frozenset({"problem", "stale"}),
        times=frozenset(
            {"code_until", "hashed_until", "provisioned_at", "installed_at", "sign_in_until", "offline_since"}
        ),
        revision=5,
    ),
    Kind(
        Person,
        "people",
        {
            "name": lambda person: person.name.casefold(),
            "upn": lambda person: person.upn.casefold() or None,
            "teams_id": lambda person: person.teams_id or None,
            "admin": lambda person: person.listed_as(Role.ADMIN),
            "technician": lambda person: person.listed_as(Role.TECHNICIAN),
            "asked": lambda person: person.asked_at is not None,
            "text": lambda person: f"{person.name}\n{person.upn}".casefold(),
        },
        order=lambda person: f"{person.name.casefold()}{_BEHIND}{person.id}",
        narrow=frozenset({"name", "upn", "teams_id"}),
        flags=frozenset({"admin", "technician", "asked"}),
        rare=frozenset({"admin", "asked"}),
    ),
    Kind(
        Rollout,
        "rollouts",
        {"site": lambda rollout: rollout.site.casefold()},
        order=lambda rollout: rollout.key,
        small=True,
    ),
    Kind(
        Post,
        "posts",
        {
            "reader": lambda post: post.reader,
            "subject": lambda post: post.subject,
            "shows_code": lambda post: post.shows_code,
            "message": lambda post: post.message or None,
            "view": lambda post: post.view,
            "conversation": lambda post: post.conversation.id,
        },
        order=lambda post: _newest_first(post.posted_at, post.key),
        narrow=frozenset({"message", "subject"}),
        broad=frozenset({"view"}),
        flags=frozenset({"shows_code"}),
        rare=frozenset({"shows_code"}),
    ),
    Kind(
        Batch,
        "batches",
        {"by": lambda batch: batch.by, "kind": lambda batch: batch.kind, "hides": lambda batch: batch.hides},
        order=lambda batch: _newest_first(batch.at, batch.id),
        broad=frozenset({"kind"}),
        flags=frozenset({"hides"}),
        rare=frozenset({"hides"}),
    ),
    Kind(
        Upload,
        "uploads",
        {
            "by": lambda upload: upload.by,
            "state": lambda upload: upload.state.value,
            "at": lambda upload: micros(upload.at),
            "unfinished": lambda upload: upload.unfinished,
        },
        order=lambda upload: _newest_first(upload.at, upload.id),
        flags=frozenset({"unfinished"}),
        rare=frozenset({"unfinished"}),
        times=frozenset({"at"}),
    ),
    Kind(UploadPart, "upload_parts", {"upload": lambda part: part.upload}, order=lambda part: part.key),
    Kind(
        Job,
        "jobs",
        {"by": lambda job: job.by, "at": lambda job: micros(job.at), "running": lambda job: job.running},
        order=lambda job: _newest_first(job.at, job.id),
        flags=frozenset({"running"}),
        rare=frozenset({"running"}),
        times=frozenset({"at"}),
    ),
    Kind(Photo, "photos", {"device": lambda photo: photo.device}, order=lambda photo: photo.key),
    Kind(Attempts, "attempts", {}, order=lambda attempts: attempts.slot),
    Kind(
        Operation,
        "operations",
        {"at": lambda operation: micros(operation.at)},
        order=lambda operation: operation.id,
        times=frozenset({"at"}),
    ),
    Kind(Lease, "leases", {}, order=lambda lease: lease.name, small=True),
    Kind(
        Segment,
        "segments",
        {"dropped": lambda segment: segment.dropped, "newest": lambda segment: micros(segment.newest)},
        order=lambda segment: segment.key,
        flags=frozenset({"dropped"}),
        times=frozenset({"newest"}),
    ),
    Kind(
        OutboxMessage,
        "outbox",
        {
            "status": lambda message: message.status.value,
            "recipient": lambda message: message.recipient,
            "subject": lambda message: message.subject,
            "lane": lambda message: message.lane,
            "unique": lambda message: message.unique or None,
            "kind": lambda message: message.kind.value,
            "created": lambda message: micros(message.created_at),
            "settled": lambda message: micros(message.settled_at) if message.settled_at else None,
        },
        narrow=frozenset({"unique", "lane"}),
        broad=frozenset({"status", "kind"}),
        times=frozenset({"created", "settled"}),
        revision=2,
    ),
)

KINDS: Mapping[type[Any], Kind] = {kind.cls: kind for kind in _KINDS}
INDEXES: Mapping[type[Any], Mapping[str, Callable[[Any], IndexedValue]]] = {k.cls: k.indexes for k in _KINDS}


def columns_of(kind: Kind, record: Any) -> tuple[IndexedValue, ...]:
    """What stands beside a record: its key, its place in the order (where the kind has one), its indexes.

    Errors: `TextTooLong` for what is longer than an index can hold.
    """
    place = kind.order(record) if kind.order else ""
    key: str = record.key
    room = LONGEST_INDEXED // 4 - len(place)  # up to here it is short enough in any script
    values: list[IndexedValue] = [key, place] if kind.order else [key]
    if len(key) > room:
        _check_length(key + place)
    for name, index in kind.indexes.items():
        value = index(record)
        values.append(value)
        if isinstance(value, str) and len(value) > room and name != "text":
            _check_length(value + place)
    for several in kind.lists.values():
        listed = several(record)
        values.append(json.dumps(listed, ensure_ascii=False) if listed else None)
        for each in listed:
            if len(each) > room:
                _check_length(each + place)
    return tuple(values)


def _check_length(indexed: str) -> None:
    length = len(indexed.encode(errors="replace"))
    if length > LONGEST_INDEXED:
        raise TextTooLong(length=length, limit=LONGEST_INDEXED)


_TALLIED = {"removed", "site", "state", "installed", "problem", "open"}


def is_tallied(kind: type[Any], contains: str | None, span: Span | None, equals: Mapping[str, Any]) -> bool:
    """Whether the count is kept beside the devices: of those that are listed, by what the tally tells apart."""
    asked = contains is None and span is None and equals.keys() <= _TALLIED
    return kind is Device and asked and equals.get("removed") is False and equals.get("site", "") is not None


def sum_tally(rows: Iterable[TallyRow], equals: Mapping[str, Any]) -> int:
    """The devices of a tally for which all of this holds."""
    asked = {name: value for name, value in equals.items() if name != "removed"}
    if "open" in asked:  # a listed device is open until it is installed
        asked["open"] = not asked["open"]
    fields = {"open": "installed"}
    return sum(
        row.count for row in rows if all(getattr(row, fields.get(name, name)) == value for name, value in asked.items())
    )


def numbered(after: str) -> int | None:
    """A place in a list that is ordered by number; None for one that no page of it ever named."""
    return int(after) if re.fullmatch("[0-9]{1,18}", after) else None


def names_asked(contains: str | None, span: Span | None, equals: Mapping[str, Any]) -> set[str]:
    """The indexes that a question is about."""
    return {*equals, *(["text"] if contains is not None else []), *([span.index] if span else [])}


def check_question(kind: type[Any], names: set[str], limit: int = 1) -> Kind:
    """The kind's entry; ValueError (a fault in the caller) for an unknown index or a limit outside 1 … 1000."""
    entry = KINDS[kind]
    if unknown := names - entry.indexes.keys() - entry.lists.keys():
        raise ValueError(f"{kind.__name__} has no index {', '.join(sorted(unknown))}")
    if not 1 <= limit <= 1000:
        raise ValueError(f"1 to 1000 rows at once, not {limit}")
    return entry


def check_values(kind: type[Any], index: str, values: Collection[str], limit: int) -> Kind:
    """The kind's entry; ValueError (a fault in the caller) for an index that is not narrow, or for more than 1000."""
    entry = check_question(kind, {index}, limit)
    if index not in entry.narrow or entry.order is None:
        raise ValueError(f"one value of {index} may name many of {kind.__name__}")
    check_keys(values)
    return entry


def place_of(kind: type[Any], record: Any) -> str:
    """Where a record stands in the order of its kind; ValueError (a fault in the caller) for a kind without one."""
    order = KINDS[kind].order
    if order is None:
        raise ValueError(f"{kind.__name__} has no order")
    return order(record)


def check_keys(keys: Collection[str]) -> None:
    """ValueError, a fault in the caller, for more than 1000; `UnreadableText` for one that nothing can have."""
    if len(keys) > 1000:
        raise ValueError(f"1000 records at once, not {len(keys)}")
    for key in keys:
        check_text(key)


def sees_hidden(kind: type[Any], equals: Mapping[str, Any]) -> bool:
    """Whether a question sees the devices of unfinished imports: it names the import. Nothing else is ever hidden."""
    return kind is not Device or "batch" in equals


def holds(kind: Kind, record: Any, name: str, value: IndexValue) -> bool:
    """Whether an index of a record has this value, or has it among its values."""
    if several := kind.lists.get(name):
        return isinstance(value, str) and value.casefold() in several(record)
    return kind.indexes[name](record) == value
