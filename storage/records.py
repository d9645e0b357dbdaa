"""The one codec every store uses: records ⇄ plain JSON-able documents, and what no store can keep."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from provisioning.errors import TextTooLong, UnreadableText
from provisioning.events import Event
from provisioning.making import maker
from provisioning.model import Record

R = TypeVar("R", bound=Record)
T = TypeVar("T")
Plain = dict[str, Any]
Convert = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AS_IT_IS = (str, int, bool, float)
LONGEST_TEXT = 65_536  # characters of one string; people type 200, a list of 200 000 MACs is many short strings


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC: how a time stands in an index. ValueError for one without a zone."""
    if moment.tzinfo is None:
        raise ValueError("A time without a zone cannot be stored.")
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
    if hint is time:
        return time.isoformat, time.fromisoformat
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("_value_"), {member.value: member for member in hint}.__getitem__
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


def once(make: Callable[[Any], T]) -> Callable[[Any], T]:
    """Made once for each class."""
    return cache(make)


@once
def _plan(kind: Any) -> tuple[tuple[str, Convert | None, Convert | None], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, *_converters(hints[each.name])) for each in fields(kind))


@once
def _encoder(kind: Any) -> Convert:
    names = tuple(name for name, _, _ in _plan(kind))
    convert = tuple((at, out) for at, (_, out, _) in enumerate(_plan(kind)) if out)
    values = attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)

    if getattr(kind, "sparse", False):
        return _sparse_encoder(kind, values)

    def encode_one(record: Any) -> Plain:
        found = list(values(record))
        for at, out in convert:
            value = found[at]
            if value is not None:
                found[at] = out(value)
        return dict(zip(names, found, strict=True))

    return encode_one


def _sparse_encoder(kind: Any, values: Callable[[Any], Any]) -> Convert:
    """Of a class whose fields are plain texts, numbers and tuples of them: what is as by default is left out."""
    defaults = tuple((each.name, each.default) for each in fields(kind))

    def encode_one(record: Any) -> Plain:
        return {
            name: value for (name, default), value in zip(defaults, values(record), strict=True) if value != default
        }

    return encode_one


@once
def _decoder(kind: Any) -> Convert:
    names = tuple(name for name, _, _ in _plan(kind))
    convert = tuple((at, come_in) for at, (_, _, come_in) in enumerate(_plan(kind)) if come_in)
    values = itemgetter(*names) if len(names) > 1 else lambda plain: (plain[names[0]],)
    make, make_older = maker(kind), _older_decoder(kind)

    def decode_one(plain: Plain) -> Any:
        try:
            found = list(values(plain))  # a field that a later program added is passed over
        except KeyError:
            return make_older(plain)
        for at, come_in in convert:
            value = found[at]
            if value is not None:
                found[at] = come_in(value)
        return make(found)

    return decode_one


def _older_decoder(kind: Any) -> Convert:
    """For documents that were written before a field existed, and for sparse ones: what is missing is as by default."""
    plan = _plan(kind)

    def decode_one(plain: Plain) -> Any:
        known = {}
        for name, _, come_in in plan:
            if name in plain:
                value = plain[name]
                known[name] = come_in(value) if come_in and value is not None else value
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
    # half a pair stands there as it is; the escape may also be a backslash that somebody typed: so hits are looked at
    if "\\u0000" in text or not (text.isascii() or _HALF_A_PAIR.search(text) is None):
        for each in _strings(plain):
            check_text(each)
    return text


def record_json(plain: Plain) -> str:
    """The text of a record or a fact: as `to_json`, and no string in it longer than `LONGEST_TEXT`.

    Errors: `UnreadableText`, `TextTooLong`.
    """
    text = to_json(plain)
    if len(text) > LONGEST_TEXT:
        for each in _strings(plain):
            if len(each) > LONGEST_TEXT:
                raise TextTooLong(length=len(each), limit=LONGEST_TEXT)
    return text


def _strings(plain: Any) -> Iterator[str]:
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            yield key
            yield from _strings(value)
    elif isinstance(plain, list | tuple):
        for value in plain:
            yield from _strings(value)


_HOSTILE = re.compile("[\x00\ud800-\udfff]")
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def check_text(text: str) -> None:
    """Raises `UnreadableText` for a string that not every store can keep or compare."""
    if _HOSTILE.search(text):
        raise UnreadableText
