"""The audit's chain: whatever is done to sealed facts, or to what a segment says of them, is found."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.bookkeeping import Segment
from provisioning.events import DeviceAdded
from provisioning.model import Change
from storage import open_store
from storage.audit import Chain, Unsealed, digest, head, next_segment, without_rows
from storage.records import encode_event, micros
from storage.tinydb_backup import FileFault, check_copy
from storage.tinydb_layout import LAYOUTS
from storage.tinydb_rows import checksum
from tests.fakes import FakeClock
from tests.storage.samples import NOW

DAY = timedelta(days=1)
LATE = NOW + 9 * DAY
SIZE, COUNT = 4, 4  # facts of a segment, and segments


def fact(number, actor="dana"):
    return DeviceAdded(at=NOW + timedelta(minutes=number), actor=actor, subject=f"s{number}", location="Oslo")


# ------------------------------------------------------------------ the pure functions


class Facts:
    """Rows by their numbers, and the segments over them; whoever tampers changes both."""

    def __init__(self):
        self.rows = {n: digest(encode_event(fact(n))) for n in range(1, SIZE * COUNT + 1)}
        self.segments = []
        for start in range(1, SIZE * COUNT + 1, SIZE):
            rows = [Unsealed(n, micros(fact(n).at), self.rows[n]) for n in range(start, start + SIZE)]
            self.segments.append(next_segment(self.segments[-1] if self.segments else None, rows, NOW + DAY))

    def segment(self, number, /, **fields):
        self.segments[number - 1] = replace(self.segments[number - 1], **fields)

    def drop(self, number, at=LATE):
        for n in range((number - 1) * SIZE + 1, number * SIZE + 1):
            self.rows.pop(n)
        self.segment(number, dropped_at=at)

    def fault(self):
        chain = Chain()
        for segment in self.segments:
            found = [text for n, text in sorted(self.rows.items()) if chain.last < n <= segment.last]
            if said := chain.fault(segment, found):
                return said
        return None


def whole(*dropped):
    facts = Facts()
    for number in dropped:
        facts.drop(number)
    return facts


@pytest.mark.parametrize("dropped", [(), (1,), (1, 2), (1, 2, 3, 4)])
def test_what_nobody_touched_is_well(dropped):
    assert whole(*dropped).fault() is None


def moved(facts):
    facts.rows[5], facts.rows[6] = facts.rows[6], facts.rows[5]


def renumbered(facts):
    facts.segments[1:] = [replace(each, number=each.number - 1) for each in facts.segments[2:]]


TAMPERING = {
    "a fact changed": lambda f: f.rows.update({5: "0" * 64}),
    "a fact gone": lambda f: f.rows.pop(5),
    "two facts exchanged": moved,
    "a fact put in before all others": lambda f: f.rows.update({0: "0" * 64}),
    "a fact with a negative number": lambda f: f.rows.update({-7: "0" * 64}),
    "a fact with the lowest number": lambda f: f.rows.update({-(2**62) + 1: "0" * 64}),
    "newest earlier, so that it is dropped": lambda f: f.segment(2, newest=NOW - 999 * DAY),
    "newest later, so that it stays": lambda f: f.segment(2, newest=LATE),
    "sealed earlier": lambda f: f.segment(2, sealed_at=NOW - DAY),
    "sealed later": lambda f: f.segment(2, sealed_at=LATE),
    "begins in the segment before": lambda f: f.segment(2, first=1),
    "begins earlier": lambda f: f.segment(1, first=0),
    "begins behind its end": lambda f: f.segment(2, first=10**9),
    "begins later": lambda f: f.segment(2, first=6),
    "ends later": lambda f: f.segment(4, last=99),
    "ends earlier": lambda f: f.segment(4, last=15),
    "another count": lambda f: f.segment(2, count=3),
    "no count": lambda f: f.segment(2, count=0),
    "another head": lambda f: f.segment(2, head="ab" * 32),
    "another number": lambda f: f.segment(2, number=3),
    "the first segment gone": lambda f: f.segments.pop(0),
    "a segment gone from the middle": lambda f: f.segments.pop(1),
    "a segment gone and the others renumbered": renumbered,
    "two segments exchanged": lambda f: f.segments.insert(1, f.segments.pop(2)),
    "dropped in the middle": lambda f: f.drop(2),
    "dropped at the end": lambda f: f.drop(4),
    "dropped before it was sealed": lambda f: f.drop(1, NOW),
    "dropped, but its facts are there": lambda f: f.segment(1, dropped_at=LATE),
    "dropped, but one fact is there": lambda f: (f.drop(1), f.rows.update({2: "0" * 64})),
    "no longer dropped": lambda f: (f.drop(1), f.segment(1, dropped_at=None)),
    "dropped and longer than it was": lambda f: (f.drop(1), f.segment(1, last=7)),
    "dropped with more facts than numbers": lambda f: (f.drop(1), f.segment(1, count=5)),
    "dropped with another head": lambda f: (f.drop(1), f.segment(1, head="ab" * 32)),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found(how):
    facts = whole()
    TAMPERING[how](facts)
    assert "of the audit" in (facts.fault() or "nothing found")


def test_a_head_binds_everything_that_a_segment_says_but_when_it_is_dropped():
    segment = whole().segments[0]
    others = {"number": 2, "first": 0, "last": 5, "count": 5, "newest": LATE, "sealed_at": LATE}
    heads = [head("", replace(segment, **{name: value}), ["ab"]) for name, value in others.items()]
    assert len({*heads, head("", segment, ["ab"]), head("ab", segment, ["ab"]), head("", segment, [])}) == 9
    assert head("", replace(segment, dropped_at=LATE, version=7), ["ab"]) == head("", segment, ["ab"])


def test_a_fact_from_the_future_does_not_make_its_segment_young_for_ever():
    rows = [Unsealed(1, micros(NOW), "a"), Unsealed(2, micros(NOW + 3650 * DAY), "b")]
    segment = next_segment(None, rows, NOW + DAY)
    assert segment.newest == NOW + DAY
    assert without_rows(segment, NOW + DAY, LATE) is None
    assert without_rows(segment, NOW + 2 * DAY, LATE) == replace(segment, dropped_at=LATE)


def test_a_clock_that_was_put_back_drops_nothing_before_it_was_sealed():
    facts = Facts()
    dropped = without_rows(facts.segments[0], LATE, NOW)
    assert dropped == replace(facts.segments[0], dropped_at=facts.segments[0].sealed_at)
    facts.drop(1, dropped.dropped_at)
    assert facts.fault() is None


# ------------------------------------------------------------------ a store on the disk


@pytest.fixture
async def file(folder):
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    for number in range(1, SIZE * COUNT + 1):
        await store.save(Change(events=(fact(number),)))
    while await store.seal(NOW + DAY, SIZE):
        pass
    assert await store.drop_audit(NOW + timedelta(minutes=SIZE + 1), LATE) == SIZE
    assert await store.count(Segment) == COUNT
    await store.close()
    return folder / "store.sqlite3"


def put(connection, table, row, **fields):
    """As somebody would who knows how a row is written: with its checksum and all that stands beside it."""
    layout = next(each for each in LAYOUTS if each.table == table)
    found = connection.execute(f'SELECT doc FROM "doc:{table}" WHERE id = ?', (row,)).fetchone()
    plain = (json.loads(found[0]) if found else encode_event(fact(99, "mallory"))) | fields
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    names = ("id", "doc", "crc", *(f'"{name}"' for name in layout.columns))
    connection.execute(f'DELETE FROM "doc:{table}" WHERE id = ?', (row,))
    values = (row, text, checksum(row, text), *layout.values(plain))
    marks = ", ".join("?" * len(values))
    connection.execute(f'INSERT INTO "doc:{table}" ({", ".join(names)}) VALUES ({marks})', values)


def gone(table, condition):
    return lambda connection: connection.execute(f'DELETE FROM "doc:{table}" WHERE {condition}')


def changed(table, row, **fields):
    return lambda connection: put(connection, table, row, **fields)


def dropped_in_the_middle(connection):
    put(connection, "segments", 3, dropped_at=LATE.isoformat())
    gone("audit", "id BETWEEN 9 AND 12")(connection)


ON_THE_DISK = {
    "a fact changed": changed("audit", 6, actor="mallory"),
    "a fact gone": gone("audit", "id = 6"),
    "a fact numbered 0": changed("audit", 0),
    "a fact with a negative number": changed("audit", -7),
    "newest earlier": changed("segments", 2, newest="1999-01-01T00:00:00+00:00"),
    "newest later": changed("segments", 2, newest="2999-01-01T00:00:00+00:00"),
    "sealed earlier": changed("segments", 2, sealed_at="1999-01-01T00:00:00+00:00"),
    "begins earlier": changed("segments", 3, first=5),
    "begins later": changed("segments", 2, first=10**9),
    "another count": changed("segments", 2, count=3),
    "dropped in the middle": dropped_in_the_middle,
    "dropped too early": changed("segments", 1, dropped_at="2001-01-01T00:00:00+00:00"),
    "no longer dropped": changed("segments", 1, dropped_at=None),
    "the first segment gone": gone("segments", "id = 1"),
    "a segment gone": gone("segments", "id = 3"),
}


async def test_a_file_that_nobody_touched_is_well(file):
    assert check_copy(file, deep=True)


@pytest.mark.parametrize("how", ON_THE_DISK)
async def test_tampering_with_a_file_is_found(file, how):
    with closing(sqlite3.connect(file)) as connection, connection:
        ON_THE_DISK[how](connection)
    with pytest.raises(FileFault, match="of the audit"):
        check_copy(file)
