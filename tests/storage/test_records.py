"""The codec: whatever a record holds comes back, and what a store could not keep is refused beforehand."""

import json
import types
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, time, timedelta, timezone
from enum import Enum
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.errors import UnreadableText
from provisioning.events import Event
from storage.kinds import INDEXES, KINDS, natural
from storage.records import decode, decode_event, encode, encode_event, to_json
from tests.profiles import examples
from tests.storage.samples import NOW, device, one_of_each

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
PLAIN = {
    str: TEXT,
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    time: st.times(),
    datetime: st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=ZONES),
}


def anything(hint):
    """Any value of a field's type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.none() | anything(arguments[0])
    if origin is frozenset:
        return st.frozensets(anything(arguments[0]))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(anything, arguments))
    if origin is tuple:
        return st.lists(anything(arguments[0]), max_size=3).map(tuple)
    if is_dataclass(hint):
        return record_of(hint)
    return st.sampled_from(hint) if issubclass(hint, Enum) else PLAIN[hint]


def record_of(kind):
    hints = get_type_hints(kind)
    return st.builds(kind, **{each.name: anything(hints[each.name]) for each in fields(kind)})


def through_json(plain):
    return json.loads(to_json(plain))


@pytest.mark.parametrize("record", one_of_each(), ids=lambda record: type(record).__name__)
def test_every_kind_comes_back_as_it_was(record):
    assert decode(type(record), through_json(encode(record))) == record


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=examples(30))
@given(data=st.data())
def test_any_record_comes_back_and_can_be_indexed(kind, data):
    record = data.draw(record_of(kind))
    assert decode(kind, through_json(encode(record))) == record
    for index in INDEXES[kind].values():
        assert isinstance(index(record), str | int | bool | None)


@pytest.mark.parametrize("name", Event.registry)
@settings(max_examples=examples(5))
@given(data=st.data())
def test_any_fact_comes_back_as_it_was(name, data):
    event = data.draw(record_of(Event.registry[name]))
    back = decode_event(through_json(encode_event(event)))
    assert back == event
    assert type(back) is type(event)


@pytest.mark.parametrize("record", one_of_each(), ids=lambda record: type(record).__name__)
def test_what_comes_back_is_a_record_like_any_other(record):
    back = decode(type(record), encode(record))
    assert type(back) is type(record)
    assert hash(back) == hash(record)
    assert replace(back) == record
    with pytest.raises(FrozenInstanceError):
        back.version = 7


@dataclass(frozen=True, slots=True)
class _Even:
    half: int
    version: int = 0

    def __post_init__(self):
        object.__setattr__(self, "version", 2 * self.half)


def test_what_a_class_does_with_its_fields_is_done_to_what_comes_back():
    assert decode(_Even, {"half": 4, "version": 0}).version == 8


def test_times_come_back_in_utc():
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
    back = decode(type(device()), through_json(encode(replace(device(), added_at=there))))
    assert back.added_at == NOW
    assert back.added_at.tzinfo is UTC


def test_a_time_without_a_zone_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="zone"):
        encode(replace(device(), added_at=datetime(2026, 3, 2)))


def test_a_document_from_before_a_field_existed_takes_its_default():
    plain = encode(device(notes="x"))
    del plain["notes"], plain["life"]
    assert decode(type(device()), plain) == device()


def test_a_field_this_program_does_not_know_is_passed_over():
    assert decode(type(device()), encode(device()) | {"shoe_size": 44}) == device()


def test_a_fact_whose_class_is_gone_is_still_told():
    plain = {
        "event": "DeviceRepainted",
        "at": NOW.isoformat(),
        "actor": "dana",
        "subject": "805EC0000001",
        "hue": "red",
    }
    assert decode_event(plain) == Event(at=NOW, actor="dana", subject="805EC0000001")


@pytest.mark.parametrize("hostile", ["a\x00b", "\ud800", "x\udfffy"])
def test_what_no_store_can_keep_is_refused(hostile):
    for record in (device(notes=hostile), device(tags=("ok", hostile))):
        with pytest.raises(UnreadableText):
            to_json(encode(record))


@pytest.mark.parametrize("odd", ["\\u0000", "\\", '"', "’); DROP TABLE devices; --", "\u2028", "😀", "\u202e", "\x1f"])
def test_what_only_looks_hostile_is_kept(odd):
    assert decode(type(device()), through_json(encode(device(notes=odd)))).notes == odd


def test_natural_order_counts_as_people_do():
    said = ["Oslo/10", "oslo/2/2.14", "Oslo/2/2.9", "Bergen/1", "Oslo/2"]
    assert sorted(said, key=natural) == ["Bergen/1", "Oslo/2", "Oslo/2/2.9", "oslo/2/2.14", "Oslo/10"]
