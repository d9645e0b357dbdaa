"""The one codec every store uses, and the named indexes by which records are found."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from provisioning.errors import UnreadableText
from provisioning.events import Event
from provisioning.model import (
    Attempts,
    Batch,
    Device,
    Operation,
    OutboxMessage,
    Person,
    Post,
    Record,
    Rollout,
)

R = TypeVar("R", bound=Record)
T = TypeVar("T")
Plain = dict[str, Any]
IndexedValue = str | int | bool | None
Convert = Callable[[Any], Any]

# ------------------------------------------------------------------ the codec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AS_IT_IS = (str, int, bool, float)


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC: how a time stands in an index."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    return _EPOCH + value * _MICROSECOND


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC. ValueError, a fault in the caller, for a time without a zone."""
    if moment.tzinfo is UTC:
        return moment.isoformat()
    if moment.tzinfo is None:
        raise ValueError("A time without a zone cannot be stored.")
    return moment.astimezone(UTC).isoformat()


def _time_in(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _converters(hint: Any) -> tuple[Convert | None, Convert | None]:
    """How a value of this type goes out and comes in; None where it stays as it is."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _converters(inner)  # None itself is passed over where a field is converted
    if origin is frozenset:
        out, come_in = (convert or _same for convert in _converters(arguments[0]))
        return lambda value: sorted(map(out, value)), lambda value: frozenset(map(come_in, value))
    if origin is tuple:
        return _tuple_converters(arguments)
    if hint is datetime:
        return time_text, _time_in
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("value"), {member.value: member for member in hint}.__getitem__
    if isinstance(hint, type) and is_dataclass(hint):
        return _encoder(hint), _decoder(hint)
    if hint in _AS_IT_IS:
        return None, None
    raise TypeError(f"The codec knows no way to store {hint!r}.")


def _tuple_converters(arguments: tuple[Any, ...]) -> tuple[Convert, Convert]:
    if arguments[-1] is Ellipsis:
        out, come_in = _converters(arguments[0])
        return (
            list if out is None else lambda value: [out(item) for item in value],
            tuple if come_in is None else lambda value: tuple(map(come_in, value)),
        )
    outs, ins = zip(*((o or _same, i or _same) for o, i in map(_converters, arguments)), strict=True)
    return (
        lambda value: [out(item) for out, item in zip(outs, value, strict=True)],
        lambda value: tuple(come_in(item) for come_in, item in zip(ins, value, strict=True)),
    )


def _same(value: Any) -> Any:
    return value


def _once(make: Callable[[Any], T]) -> Callable[[Any], T]:
    """Made once for each class."""
    return cache(make)


@_once
def _plan(kind: Any) -> tuple[tuple[str, Convert | None, Convert | None], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, *_converters(hints[each.name])) for each in fields(kind))


@_once
def _encoder(kind: Any) -> Convert:
    names = tuple(name for name, _, _ in _plan(kind))
    convert = tuple((name, out) for name, out, _ in _plan(kind) if out)
    values = attrgetter(*names)

    def encode_one(record: Any) -> Plain:
        plain = dict(zip(names, values(record), strict=True))
        for name, out in convert:
            value = plain[name]
            if value is not None:
                plain[name] = out(value)
        return plain

    return encode_one


@_once
def _decoder(kind: Any) -> Convert:
    names = {name for name, _, _ in _plan(kind)}
    convert = tuple((name, come_in) for name, _, come_in in _plan(kind) if come_in)

    def decode_one(plain: Plain) -> Any:
        # a document written before a field existed takes its default; one that a later program added is passed over
        known = plain.copy() if plain.keys() <= names else {name: plain[name] for name in names & plain.keys()}
        for name, come_in in convert:
            value = known.get(name)
            if value is not None:
                known[name] = come_in(value)
        return kind(**known)

    return decode_one


def encode(record: Record) -> Plain:
    """A record as plain JSON-able values: times as ISO 8601 in UTC, enums by value, sets sorted."""
    plain: Plain = _encoder(type(record))(record)
    return plain


def decode(kind: type[R], plain: Plain) -> R:
    """The record a document stands for; fields it misses take their defaults."""
    record: R = _decoder(kind)(plain)
    return record


def encode_event(event: Event) -> Plain:
    plain: Plain = _encoder(type(event))(event)
    return {"event": event.name} | plain


def decode_event(plain: Plain) -> Event:
    """A fact whose class is gone is still told by whom, about what and when."""
    event: Event = _decoder(Event.registry.get(plain["event"], Event))(plain)
    return event


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def to_json(plain: Any) -> str:
    """The text that is stored. Refuses what not every store can keep: U+0000 and halves of a surrogate pair."""
    text = _JSON.encode(plain)
    # the escape may also be a backslash that somebody typed, so only a hit is looked at closely
    if not text.isascii() or "\\u0000" in text:
        _refuse_hostile(plain)
    return text


def _refuse_hostile(plain: Any) -> None:
    if isinstance(plain, str):
        check_text(plain)
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            _refuse_hostile(key)
            _refuse_hostile(value)
    elif isinstance(plain, list | tuple):
        for value in plain:
            _refuse_hostile(value)


_HOSTILE = re.compile("[\x00\ud800-\udfff]")


def check_text(text: str) -> None:
    """Raises `UnreadableText` for a string that not every store can keep or compare."""
    if _HOSTILE.search(text):
        raise UnreadableText


# ------------------------------------------------------------------ the named indexes

_BEHIND = "\x1f"  # sorts before everything people type, so "2.1" comes before "2.1 left"
_LATEST = 10**17  # microseconds; newest first is "least time left until then" first
_DIGITS = re.compile(r"\d+")


def natural(text: str) -> str:
    """A form whose plain order is the order people expect: 2.9 before 2.14."""
    return _DIGITS.sub(lambda run: run.group().zfill(12), text.casefold())


def _newest_first(moment: datetime, key: str) -> str:
    return f"{_LATEST - micros(moment):018d}{_BEHIND}{key}"


def _code_until(device: Device) -> int | None:
    return micros(device.code.expires_at) if device.code and device.code.sealed is not None else None


def _hashed_until(device: Device) -> int | None:
    code = device.code
    return micros(code.expires_at) if code and code.sealed is None and code.digest is not None else None


def _device_text(device: Device) -> str:
    pairs = [device.mac[i : i + 2] for i in range(0, len(device.mac), 2)]
    written = (device.mac, "-".join(pairs), ":".join(pairs), device.account, device.asset_tag, device.notes)
    return "\n".join((device.location, *written, device.model, *device.tags)).casefold()


@dataclass(frozen=True)
class Kind:
    """How the records of one class are kept: their table, their indexes, their order (None: as they came in)."""

    cls: type[Any]
    table: str
    indexes: Mapping[str, Callable[[Any], IndexedValue]]
    order: Callable[[Any], str] | None = None
    narrow: frozenset[str] = frozenset()  # indexes of which one value names a handful of records
    broad: frozenset[str] = frozenset()  # those of which one value names a good part of them
    flags: frozenset[str] = frozenset()  # yes or no
    rare: frozenset[str] = frozenset()  # flags of which a yes names a handful
    small: bool = False  # there are never many records of this kind


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
            "installed": lambda device: device.installed is not None,
            "problem": lambda device: device.problem is not None,
            "removed": lambda device: device.removed,
            "open": lambda device: device.open_job,
            "text": _device_text,
        },
        order=lambda device: f"{natural(device.location)}{_BEHIND}{device.mac}",
        narrow=frozenset({"place", "location", "suffix", "token"}),
        broad=frozenset({"state"}),
        flags=frozenset({"installed", "problem", "removed", "open"}),
        rare=frozenset({"problem"}),
    ),
    Kind(
        Person,
        "people",
        {
            "name": lambda person: person.name.casefold(),
            "upn": lambda person: person.upn.casefold() or None,
            "teams_id": lambda person: person.teams_id or None,
            "admin": lambda person: "admin" in person.roles,
            "technician": lambda person: "technician" in person.roles,
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
        {"by": lambda batch: batch.by, "kind": lambda batch: batch.kind},
        order=lambda batch: _newest_first(batch.at, batch.id),
        broad=frozenset({"kind"}),
    ),
    Kind(Attempts, "attempts", {}, order=lambda attempts: attempts.slot),
    Kind(Operation, "operations", {"at": lambda operation: micros(operation.at)}, order=lambda operation: operation.id),
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
        },
        narrow=frozenset({"unique", "lane"}),
        broad=frozenset({"status", "kind"}),
    ),
)

KINDS: Mapping[type[Any], Kind] = {kind.cls: kind for kind in _KINDS}
INDEXES: Mapping[type[Any], Mapping[str, Callable[[Any], IndexedValue]]] = {k.cls: k.indexes for k in _KINDS}


def numbered(after: str) -> int | None:
    """A place in a list that is ordered by number; None for one that no page of it ever named."""
    return int(after) if re.fullmatch("[0-9]{1,18}", after) else None


def check_question(kind: type[Any], names: set[str], limit: int = 1) -> Kind:
    """The kind's entry; ValueError (a fault in the caller) for an unknown index or a limit outside 1 … 1000."""
    entry = KINDS[kind]
    if unknown := names - entry.indexes.keys():
        raise ValueError(f"{kind.__name__} has no index {', '.join(sorted(unknown))}")
    if not 1 <= limit <= 1000:
        raise ValueError(f"1 to 1000 rows at once, not {limit}")
    return entry
