"""The `Store` port, sentence by sentence, on every backend there is."""

import asyncio
from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest

from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts, Segment
from provisioning.errors import Conflict, Duplicate, TextTooLong, UnreadableText
from provisioning.events import DeviceAdded, DeviceMoved
from provisioning.messages import MessageStatus, OutboxMessage, Post
from provisioning.model import Change, Device, Person, State, stored
from provisioning.ports import Page, Span, TallyRow
from storage.audit import digest, head
from storage.kinds import INDEXES
from storage.records import encode_event
from tests.storage.samples import CODE, NOW, device, message, one_of_each, rich_device

LEASE = timedelta(seconds=30)


def added(subject, location="Oslo"):
    return DeviceAdded(at=NOW, actor="dana", subject=subject.key, location=location)


async def all_pages(ask, limit):
    """Every row, page by page."""
    rows, after = [], None
    while True:
        page = await ask(after=after, limit=limit)
        assert len(page.rows) <= limit
        rows += page.rows
        if page.after is None:
            return rows
        after = page.after


# ------------------------------------------------------------------ units of work


@pytest.mark.parametrize("record", one_of_each(), ids=lambda record: type(record).__name__)
async def test_a_record_comes_back_with_its_version(store, record):
    await store.save(Change(puts=(record,)))
    assert await store.get(type(record), record.key) == stored(record)
    await store.save(Change(puts=(stored(record),)))
    assert (await store.get(type(record), record.key)).version == 2
    await store.save(Change(deletes=(replace(record, version=2),)))
    assert await store.get(type(record), record.key) is None


async def test_what_is_not_there_is_none(store):
    assert await store.get(Device, "805EC0FFFFFF") is None
    assert (await store.find(Device)).rows == ()
    assert await store.count(Device) == 0
    assert await store.tally() == []
    assert (await store.history()).rows == ()
    assert await store.next_due() is None


async def test_times_come_back_aware_in_utc(store):
    await store.save(Change(puts=(rich_device(1),)))
    found = await store.get(Device, rich_device(1).mac)
    assert {found.added_at.tzinfo, found.code.expires_at.tzinfo, *(at.tzinfo for at in found.renewals)} == {UTC}


async def test_a_second_record_with_a_key_is_a_duplicate(store):
    await store.save(Change(puts=(device(1),)))
    with pytest.raises(Duplicate) as refusal:
        await store.save(Change(puts=(device(1, "Bergen/1"),)))
    assert refusal.value.key == device(1).mac
    assert (await store.get(Device, device(1).mac)).site == "Oslo"


@pytest.mark.parametrize("version", [1, 3])
async def test_a_version_that_was_not_read_last_is_a_conflict(store, version):
    await store.save(Change(puts=(device(1),)))
    await store.save(Change(puts=(stored(device(1)),)))
    for change in (
        Change(puts=(device(1, version=version),)),
        Change(deletes=(device(1, version=version),)),
        Change(puts=(device(2, version=version),)),
        Change(deletes=(device(2, version=version),)),
    ):
        with pytest.raises(Conflict):
            await store.save(change)


@pytest.mark.parametrize(
    "spoiler",
    [
        Change(puts=(device(1),)),
        Change(puts=(device(9, version=4),)),
        Change(deletes=(device(9, version=1),)),
    ],
    ids=["duplicate", "conflict", "delete"],
)
async def test_a_unit_applies_all_or_nothing(store, spoiler):
    first = device(1)
    await store.save(Change(puts=(first,), events=(added(first),)))
    unit = Change(puts=(device(2), replace(stored(first), notes="new"), message("m1")), events=(added(device(2)),))
    with pytest.raises((Conflict, Duplicate)):
        await store.save(unit + spoiler)
    assert await store.get(Device, device(2).mac) is None
    assert (await store.get(Device, first.mac)).notes == ""
    assert await store.get(OutboxMessage, "m1") is None
    assert len((await store.history()).rows) == 1
    await store.save(unit)
    assert (await store.get(Device, first.mac)).notes == "new"


async def test_of_many_who_change_one_version_one_wins(store):
    await store.save(Change(puts=(device(1),)))
    attempts = [store.save(Change(puts=(replace(stored(device(1)), notes=str(n)),))) for n in range(20)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19


async def test_a_unit_of_many_records_is_one_unit(store):
    await store.save(
        Change(puts=tuple(device(n) for n in range(500)), events=tuple(added(device(n)) for n in range(500)))
    )
    assert await store.count(Device) == 500


# ------------------------------------------------------------------ finding


EXAMPLES = [
    (type(record), name, index(record), stored(record))
    for record in one_of_each()
    for name, index in INDEXES[type(record)].items()
    if name != "text" and index(record) is not None
]


@pytest.mark.parametrize(
    ("kind", "name", "value", "record"), EXAMPLES, ids=[f"{k.__name__}-{n}-{v}" for k, n, v, _ in EXAMPLES]
)
async def test_every_index_finds_and_counts(store, kind, name, value, record):
    await store.save(Change(puts=one_of_each()))
    page = await store.find(kind, **{name: value})
    assert record in page.rows
    expected = sum(INDEXES[kind][name](other) == value for other in one_of_each() if type(other) is kind)
    assert len(page.rows) == expected == await store.count(kind, **{name: value})
    other = (not value) if isinstance(value, bool) else f"{value}?"
    assert record not in (await store.find(kind, **{name: other})).rows


async def test_those_ahead_of_a_record_are_counted(store):
    walked = [device(n, location=f"Oslo/2/2.{n}", technician="kim", tags=("lobby",)) for n in (2, 9, 10, 21)]
    await store.save(Change(puts=(*walked, device(5, location="Oslo/2/2.5", technician="lee"))))
    mine = {"technician": "kim", "open": True, "removed": False}
    assert [await store.count(Device, ahead_of=each, **mine) for each in walked] == [0, 1, 2, 3]
    assert [await store.count(Device, ahead_of=each) for each in walked] == [0, 2, 3, 4]  # not of a tally
    assert await store.count(Device, ahead_of=walked[2], tag="lobby") == 2
    assert await store.count(Device, ahead_of=device(7, location="Oslo/2/2.9999"), **mine) == 4  # it is none of them
    with pytest.raises(ValueError, match="order"):
        await store.count(OutboxMessage, ahead_of=message("m1"))


async def test_every_index_has_an_example():
    named = {(kind, name) for kind, name, _, _ in EXAMPLES}
    assert named == {(kind, name) for kind, names in INDEXES.items() for name in names if name != "text"}


async def test_indexes_follow_a_change(store):
    await store.save(Change(puts=(device(1, technician="kim", token="ab"),)))
    await store.save(Change(puts=(replace(stored(device(1)), location="Bergen/1", technician="lee"),)))
    for gone in ({"site": "oslo"}, {"technician": "kim"}, {"token": "ab"}):
        assert (await store.find(Device, **gone)).rows == ()
    assert len((await store.find(Device, site="bergen", technician="lee", removed=False, open=True)).rows) == 1


async def test_a_value_that_is_not_there_never_matches(store):
    await store.save(Change(puts=(device(1), message("m1"))))
    assert await store.count(Device, token="") == 0
    assert await store.count(OutboxMessage, unique="") == 0


async def test_each_value_finds_what_it_finds_alone(store):
    card = next(record for record in one_of_each() if isinstance(record, Post))
    cards = [
        replace(card, activity_id=f"{subject}{n}", subject=subject, posted_at=NOW + timedelta(seconds=n))
        for subject, count in (("a", 3), ("b", 1), ("c", 2))
        for n in range(count)
    ]
    await store.save(Change(puts=tuple(cards)))
    asked = ["c", "nothing", "a", "c", "b'%"]
    alone = [(await store.find(Post, subject=value, limit=2)).rows for value in ("c", "nothing", "a", "b'%")]
    found = await store.find_each(Post, "subject", asked, limit=2)
    assert list(found) == [row for rows in alone for row in rows]
    assert [row.activity_id for row in found] == ["c1", "c0", "a2", "a1"]
    assert list(await store.find_each(Post, "subject", [])) == []
    assert len(await store.find_each(Post, "subject", [*"ab", *map(str, range(900))])) == 4  # more than one thread's


async def test_each_place_shows_no_device_of_an_import_that_hides(store):
    seen, hidden = device(1, location="Oslo/2/2.14"), device(2, location="Oslo/2/2.14", batch="b1")
    batch = next(record for record in one_of_each() if isinstance(record, Batch))
    await store.save(Change(puts=(seen, hidden, replace(batch, id="b1", hides=True))))
    assert [row.mac for row in await store.find_each(Device, "place", [seen.place.casefold()])] == [seen.mac]


@pytest.mark.parametrize(
    ("kind", "index", "values"),
    [
        (Post, "reader", ["kim"]),
        (Post, "elsewhere", ["x"]),
        (OutboxMessage, "unique", ["x"]),
        (Post, "subject", ["x"] * 1001),
    ],
)
async def test_each_of_many_is_a_fault_of_the_caller(store, kind, index, values):
    with pytest.raises(ValueError, match=r"may name many|no index|at once"):
        await store.find_each(kind, index, values)


async def test_an_unknown_index_is_a_fault_of_the_caller(store):
    for question in ({"colour": "red"}, {"span": Span("colour", after=NOW)}):
        with pytest.raises(ValueError, match="colour"):
            await store.find(Device, **question)
        with pytest.raises(ValueError, match="colour"):
            await store.count(Device, **question)
    with pytest.raises(ValueError, match="text"):
        await store.find(Attempts, contains="x")


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_page_has_1_to_1000_rows(store, limit):
    with pytest.raises(ValueError, match="1000"):
        await store.find(Device, limit=limit)
    with pytest.raises(ValueError, match="1000"):
        await store.history(limit=limit)


async def test_devices_stand_in_natural_order(store):
    places = ["Oslo/2/2.14", "Oslo/10", "oslo/2/2.9", "Bergen/1", "Oslo/2"]
    await store.save(Change(puts=tuple(device(n, place) for n, place in enumerate(places))))
    found = [row.location for row in (await store.find(Device)).rows]
    assert found == ["Bergen/1", "Oslo/2", "oslo/2/2.9", "Oslo/2/2.14", "Oslo/10"]


async def test_devices_at_one_place_stand_by_mac(store):
    await store.save(Change(puts=tuple(device(n, "Oslo/1") for n in (3, 1, 2))))
    assert [row.mac[-1] for row in (await store.find(Device)).rows] == ["1", "2", "3"]


async def test_people_stand_by_name_and_batches_and_posts_newest_first(store):
    post = next(record for record in one_of_each() if isinstance(record, Post))
    batch = next(record for record in one_of_each() if isinstance(record, Batch))
    later = NOW + timedelta(minutes=1)
    await store.save(
        Change(
            puts=(
                *(Person(id=name, name=name) for name in ("lee", "Kim", "anna")),
                post,
                replace(post, activity_id="2", posted_at=later),
                batch,
                replace(batch, id="b0", at=later),
                replace(batch, id="a9"),
            )
        )
    )
    assert [row.name for row in (await store.find(Person)).rows] == ["anna", "Kim", "lee"]
    assert [row.activity_id for row in (await store.find(Post)).rows] == ["2", "1:2"]
    assert [row.id for row in (await store.find(Batch)).rows] == ["b0", "a9", "b1"]


async def test_messages_stand_as_they_came_in(store):
    for identity in ("z", "a", "m"):
        await store.save(Change(puts=(message(identity),)))
    assert [row.id for row in await all_pages(lambda **page: store.find(OutboxMessage, **page), 2)] == ["z", "a", "m"]


async def test_a_message_that_comes_back_stands_at_the_end(store):
    await store.save(Change(puts=(message("a"), message("b"))))
    await store.save(Change(deletes=(stored(message("a")),)))
    await store.save(Change(puts=(message("a"),)))
    assert [row.id for row in (await store.find(OutboxMessage)).rows] == ["b", "a"]


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
async def test_pages_put_together_are_the_whole(store, limit):
    await store.save(Change(puts=tuple(device(n, f"Oslo/{n % 3}") for n in range(10))))
    rows = await all_pages(lambda **page: store.find(Device, site="oslo", **page), limit)
    assert rows == list((await store.find(Device, site="oslo")).rows)
    assert len(rows) == 10


async def test_a_page_stays_stable_while_rows_are_inserted(store):
    await store.save(Change(puts=tuple(device(n, f"Oslo/{n}") for n in range(0, 40, 2))))
    rows, after = [], None
    for number in range(1, 100, 2):
        page = await store.find(Device, after=after, limit=3)
        rows += page.rows
        after = page.after
        if after is None:
            break
        await store.save(Change(puts=(device(number, f"Oslo/{number}"),)))
    macs = [row.mac for row in rows]
    assert len(set(macs)) == len(macs)
    assert {device(n).mac for n in range(0, 40, 2)} <= set(macs)


async def test_a_page_goes_on_where_its_last_row_was_removed(store):
    await store.save(Change(puts=tuple(device(n, f"Oslo/{n}") for n in range(6))))
    page = await store.find(Device, limit=2)
    await store.save(Change(deletes=(page.rows[-1],)))
    assert [row.location for row in (await store.find(Device, after=page.after)).rows] == [
        f"Oslo/{n}" for n in (2, 3, 4, 5)
    ]


async def test_a_place_that_no_page_named_goes_nowhere_and_harms_nothing(store):
    await store.save(Change(puts=(message("m1"), device(1)), events=(added(device(1)),)))
    assert (await store.find(OutboxMessage, after="'; --")).rows == ()
    assert (await store.history(after="'; --")).rows == ()
    assert (await store.history(after="9" * 40)).rows == ()
    assert (await store.find(Device, after="'; DROP TABLE devices; --")).rows != ()


async def test_a_span_is_open_below_and_closed_above(store):
    hours = [1, 2, 3]
    codes = [replace(CODE, expires_at=NOW + timedelta(hours=h)) for h in hours]
    await store.save(Change(puts=tuple(device(n, code=code) for n, code in zip(hours, codes, strict=True))))
    await store.save(Change(puts=(device(8), device(9, code=replace(CODE, sealed=None)))))

    async def found(index, **span):
        named = {name: NOW + timedelta(hours=h) for name, h in span.items()}
        page = await store.find(Device, span=Span(index, **named))
        assert await store.count(Device, span=Span(index, **named)) == len(page.rows)
        return [int(row.mac[-1]) for row in page.rows]

    assert await found("code_until") == [1, 2, 3]
    assert await found("code_until", after=1) == [2, 3]
    assert await found("code_until", until=2) == [1, 2]
    assert await found("code_until", after=1, until=2) == [2]
    assert await found("hashed_until", until=100) == [9]
    assert await found("hashed_until", until=0) == []


HOSTILE = ["%", "_", "'", '"', "\\", "100%_", "' OR 1=1 --", "*", "?", "[a-z]", "\n", "ß", "İ", "😀", "\u202e"]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_contains_takes_every_sign_literally(store, hostile):
    await store.save(Change(puts=(device(1, notes=f"x{hostile}y"), device(2, notes="plain"))))
    assert [row.mac for row in (await store.find(Device, contains=f"X{hostile}y")).rows] == [device(1).mac]
    assert await store.count(Device, contains=f"x{hostile}y") == 1
    assert await store.count(Device, contains=f"x{hostile}z") == 0


@pytest.mark.parametrize(
    "said", ["a1b2", "C0-00-A1-B2", "c0:00:a1", "LOBBY", "room-2", "at-77", "door", "t57w", "MØTEROM"]
)
async def test_contains_looks_into_everything_people_know_a_device_by(store, said):
    await store.save(Change(puts=(rich_device(0xA1B2), device(2))))
    assert [row.mac for row in (await store.find(Device, contains=said)).rows] == ["805EC000A1B2"]


async def test_contains_does_not_reach_across_fields(store):
    await store.save(Change(puts=(device(1, account="ab", asset_tag="cd"),)))
    assert await store.count(Device, contains="abcd") == 0


@pytest.mark.parametrize("hostile", ["a\x00", "\ud83d"])
async def test_hostile_text_is_refused_wherever_it_comes_in(store, hostile):
    first = device(1)
    for refused in (
        store.save(Change(puts=(first, device(2, notes=hostile)))),
        store.save(
            Change(puts=(first,), events=(DeviceMoved(at=NOW, actor="d", subject="s", before=hostile, after=""),))
        ),
        store.get(Device, hostile),
        store.find(Device, site=hostile),
        store.find(Device, contains=hostile),
        store.find(Device, after=hostile),
        store.count(Device, contains=hostile),
        store.record_seen({hostile: NOW}),
        store.count(Device, site=hostile),
        store.tally(hostile),
        store.history(hostile),
        store.last_seen([hostile]),
        store.silent(None, NOW, beyond=hostile),
    ):
        with pytest.raises(UnreadableText):
            await refused
    assert await store.get(Device, first.mac) is None


NAIVE = NOW.replace(tzinfo=None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.find(Device, span=Span("code_until", after=NAIVE)),
        lambda store: store.count(Device, span=Span("code_until", until=NAIVE)),
        lambda store: store.claim(NAIVE, LEASE, 1),
        lambda store: store.record_seen({device(1).mac: NAIVE}),
        lambda store: store.silent(NAIVE, NOW),
        lambda store: store.silent(None, NAIVE),
        lambda store: store.save(Change(puts=(replace(device(1), added_at=NAIVE),))),
        lambda store: store.save(Change(events=(replace(added(device(1)), at=NAIVE),))),
        lambda store: store.seal(NAIVE),
    ],
    ids=["find", "count", "claim", "record_seen", "silent since", "silent until", "record", "fact", "seal"],
)
async def test_a_time_without_a_zone_is_a_fault_of_the_caller(store, ask):
    await store.save(Change(puts=(device(2), message("m1")), events=(added(device(2)),)))
    with pytest.raises(ValueError, match="zone"):
        await ask(store)


@pytest.mark.parametrize(
    "long",
    [
        device(2, notes="n" * 1_000_000),
        device(2, "Oslo/" + "\N{GRINNING FACE}" * 1000),
        device(2, technician="t" * 3000),
    ],
    ids=["notes", "location", "technician"],
)
async def test_text_that_is_too_long_is_refused_with_its_unit(store, long):
    with pytest.raises(TextTooLong):
        await store.save(Change(puts=(device(1), long)))
    assert await store.count(Device) == 0


async def test_a_fact_that_is_too_long_is_refused_with_its_unit(store):
    fact = DeviceMoved(at=NOW, actor="d", subject="s", before="b" * 1_000_000, after="")
    with pytest.raises(TextTooLong):
        await store.save(Change(puts=(device(1),), events=(fact,)))
    assert await store.count(Device) == 0


async def test_the_longest_location_people_may_type_is_kept(store):
    """200 characters, every second one a digit, which the natural order writes out at length."""
    one = device(1, "Ω7" * 100)
    await store.save(Change(puts=(one,)))
    assert (await store.find(Device, site=one.location.casefold())).rows == (stored(one),)


# ------------------------------------------------------------------ counts


async def test_the_tally_follows_every_change(store):
    def row(site, state, count, *, installed=False, problem=False):
        return TallyRow(site, state, installed, problem, count)

    waiting, here = State.WAITING_FOR_ACTIVATION, State.SIGNED_IN
    await store.save(Change(puts=(device(1), device(2), device(3, "Bergen/1"))))
    assert await store.tally() == [row("bergen", waiting, 1), row("oslo", waiting, 2)]
    assert await store.tally("oslo") == [row("oslo", waiting, 2)]

    moved = replace(stored(device(1)), location="OSLO/9", state=here, installed=rich_device(1).installed)
    await store.save(Change(puts=(moved,)))
    assert await store.tally("oslo") == [row("oslo", here, 1, installed=True), row("oslo", waiting, 1)]

    await store.save(Change(puts=(replace(stored(device(2)), removed_at=NOW),)))
    assert await store.tally("oslo") == [row("oslo", here, 1, installed=True)]

    back = await store.get(Device, device(2).mac)
    await store.save(Change(puts=(replace(back, removed_at=None, problem=rich_device(1).problem),)))
    assert row("oslo", waiting, 1, problem=True) in await store.tally("oslo")

    with pytest.raises(Conflict):
        await store.save(Change(puts=(device(7), device(8, version=3))))
    await store.save(Change(deletes=(stored(moved), stored(device(3)))))
    assert await store.tally() == [row("oslo", waiting, 1, problem=True)]
    assert await store.tally("nowhere") == []


# ------------------------------------------------------------------ history


async def test_history_is_newest_first_and_by_subject(store):
    facts = tuple(added(device(n % 3), str(n)) for n in range(10))
    for fact in facts:
        await store.save(Change(events=(fact,)))
    whole = await all_pages(store.history, 3)
    assert [row.event for row in whole] == list(reversed(facts))
    assert [row.sequence for row in whole] == sorted((row.sequence for row in whole), reverse=True)
    of_one = await all_pages(lambda **page: store.history(device(1).mac, **page), 2)
    assert [row.event.location for row in of_one] == ["7", "4", "1"]


async def test_facts_of_one_unit_keep_their_order(store):
    await store.save(Change(events=(added(device(1), "first"), added(device(1), "second"))))
    assert [row.event.location for row in (await store.history()).rows] == ["second", "first"]


# ------------------------------------------------------------------ the audit's chain


async def test_committed_facts_are_chained_segment_by_segment(store):
    assert await store.seal(NOW) == 0
    await store.save(Change(events=tuple(added(device(n)) for n in range(5))))
    assert [await store.seal(NOW, limit=3), await store.seal(NOW, limit=3), await store.seal(NOW, limit=3)] == [3, 2, 0]
    first, second = (await store.find(Segment)).rows
    assert [(s.number, s.count, s.last - s.first) for s in (first, second)] == [(1, 3, 2), (2, 2, 1)]
    assert second.first > first.last
    assert first.sealed_at == first.newest == NOW
    digests = [digest(encode_event(added(device(n)))) for n in range(5)]
    assert first.head == head("", first, digests[:3])
    assert second.head == head(first.head, second, digests[3:])
    await store.verify()


async def test_old_segments_are_dropped_whole_and_their_heads_stay(store):
    for day in range(3):
        at = NOW + timedelta(days=day)
        await store.save(Change(events=(replace(added(device(day)), at=at), replace(added(device(9)), at=at))))
        await store.seal(at)
    late = NOW + timedelta(days=9)
    assert await store.drop_audit(NOW, late) == 0
    assert await store.drop_audit(NOW + timedelta(days=1, seconds=1), late) == 2
    assert await store.drop_audit(NOW + timedelta(days=1, seconds=1), late) == 2
    assert await store.drop_audit(NOW + timedelta(days=1, seconds=1), late) == 0
    assert [row.event.at for row in (await store.history()).rows] == [NOW + timedelta(days=2)] * 2
    assert [segment.dropped_at for segment in (await store.find(Segment)).rows] == [late, late, None]
    assert await store.count(Segment, dropped=False) == 1
    await store.verify()
    await store.save(Change(events=(added(device(4)),)))
    assert await store.seal(late) == 1
    await store.verify()


async def test_numbers_go_on_behind_facts_that_were_dropped(store):
    await store.save(Change(events=(added(device(1)), added(device(2)))))
    await store.seal(NOW)
    (last, *_), late = (await store.history()).rows, NOW + timedelta(days=9)
    assert await store.drop_audit(late, late) == 2
    await store.save(Change(events=(added(device(3)),)))
    assert (await store.history()).rows[0].sequence > last.sequence
    assert await store.seal(late) == 1
    await store.verify(deep=True)


async def test_a_fact_older_than_its_neighbours_waits_for_them(store):
    """A segment goes when its newest fact is old enough, and none goes before the one in front of it."""
    await store.save(Change(events=(added(device(1)),)))
    await store.seal(NOW)
    await store.save(Change(events=(replace(added(device(2)), at=NOW - timedelta(days=9)),)))
    await store.seal(NOW)
    assert await store.drop_audit(NOW, NOW) == 0
    assert len((await store.history()).rows) == 2


# ------------------------------------------------------------------ the outbox


async def claimed(store, seconds=0, limit=10):
    return [row.id for row in await store.claim(NOW + timedelta(seconds=seconds), LEASE, limit)]


async def settle(store, identity, status=MessageStatus.SENT):
    row = await store.get(OutboxMessage, identity)
    await store.save(Change(puts=(replace(row, status=status, leased_until=None, settled_at=NOW),)))


async def test_a_lane_goes_out_in_order_one_at_a_time(store):
    await store.save(Change(puts=(message("a1", "a"), message("a2", "a"), message("b1", "b"))))
    assert await claimed(store) == ["a1", "b1"]
    assert await claimed(store) == []
    await settle(store, "a1")
    assert await claimed(store) == ["a2"]
    await settle(store, "b1", MessageStatus.UNDELIVERABLE)
    await settle(store, "a2", MessageStatus.DROPPED)
    assert await claimed(store, 3600) == []


async def test_a_head_that_waits_for_a_retry_holds_its_lane(store):
    await store.save(Change(puts=(message("a1", "a"), message("a2", "a"), message("b1", "b", after=5))))
    assert await claimed(store) == ["a1"]
    row = await store.get(OutboxMessage, "a1")
    later = NOW + timedelta(seconds=60)
    await store.save(Change(puts=(replace(row, leased_until=None, due_at=later, attempts=1),)))
    assert await claimed(store, 10) == ["b1"]
    assert await store.next_due() == NOW + timedelta(seconds=10) + LEASE
    assert await claimed(store, 60) == ["b1", "a1"]


async def test_a_claim_says_what_it_stored(store):
    await store.save(Change(puts=(message("a1"),)))
    (row,) = await store.claim(NOW, LEASE, 1)
    assert row == replace(message("a1"), version=2, leased_until=NOW + LEASE)
    assert await store.get(OutboxMessage, "a1") == row


async def test_a_lease_that_ran_out_may_be_claimed_again(store):
    await store.save(Change(puts=(message("a1"), message("a2"))))
    assert await claimed(store) == ["a1"]
    assert await claimed(store, LEASE.seconds - 1) == []
    assert await claimed(store, LEASE.seconds) == ["a1"]
    late = replace(message("a1"), version=2, status=MessageStatus.SENT)
    with pytest.raises(Conflict):
        await store.save(Change(puts=(late,)))


async def test_a_claim_takes_the_longest_due_and_no_more_than_asked(store):
    await store.save(Change(puts=tuple(message(str(n), lane=str(n), after=9 - n) for n in range(10))))
    assert await claimed(store, 5) == ["9", "8", "7", "6", "5", "4"]
    assert await claimed(store, 9, limit=3) == ["3", "2", "1"]


async def test_next_due_is_the_earliest_head_or_the_end_of_a_lease(store):
    await store.save(Change(puts=(message("a1", "a", after=50), message("a2", "a"), message("b1", "b", after=20))))
    assert await store.next_due() == NOW + timedelta(seconds=20)
    assert await claimed(store, 20) == ["b1"]
    assert await store.next_due() == NOW + timedelta(seconds=50)
    assert await claimed(store, 50) == ["b1", "a1"]
    assert await store.next_due() == NOW + timedelta(seconds=50) + LEASE
    for identity in ("a1", "b1", "a2"):
        await settle(store, identity)
    assert await store.next_due() is None


async def test_one_word_waits_once(store):
    await store.save(Change(puts=(message("a1", unique="w"), message("a2", unique="w"), message("b1"), message("b2"))))
    await store.save(Change(puts=(message("a3", unique="w"), message("c1", unique="v"))))
    assert [row.id for row in (await store.find(OutboxMessage)).rows] == ["a1", "b1", "b2", "c1"]
    assert await claimed(store) == ["a1"]
    await store.save(Change(puts=(message("a4", unique="w"),)))  # the leased one was drawn from an older state
    await store.save(Change(puts=(message("a5", unique="w"),)))
    assert [row.id for row in (await store.find(OutboxMessage, unique="w")).rows] == ["a1", "a4"]
    await settle(store, "a1")
    await settle(store, "a4")
    await store.save(Change(puts=(message("a6", unique="w"),)))
    assert await store.count(OutboxMessage, unique="w", status="waiting") == 1


async def test_messages_of_a_unit_come_in_their_order_whichever_are_left_out(store):
    await store.save(Change(puts=(message("m5", "a", unique="w"),)))
    said = ("m9", "v"), ("m8", "w"), ("m2", ""), ("m1", "v"), ("m7", "u"), ("m0", "")
    await store.save(Change(puts=tuple(message(name, "a", unique=word) for name, word in said)))
    for name in ("m5", "m9", "m2", "m7", "m0"):
        assert await claimed(store) == [name]
        await settle(store, name)
    assert await claimed(store) == []


@pytest.mark.parametrize("state", [{"leased_until": NOW + LEASE}, {"status": MessageStatus.SENT}])
async def test_a_word_that_does_not_wait_unleased_in_its_own_unit_is_said_again(store, state):
    await store.save(Change(puts=(message("m2", "a", unique="w", **state), message("m1", "a", unique="w"))))
    assert await store.count(OutboxMessage, unique="w") == 2


@pytest.mark.parametrize("word", ["", "w"])
@pytest.mark.parametrize("before", [True, False])
async def test_a_message_that_is_there_already_undoes_its_unit(store, word, before):
    if before:
        await store.save(Change(puts=(message("m1"),)))
    first = () if before else (message("m1"),)
    with pytest.raises(Duplicate):
        await store.save(Change(puts=(message("m8"), *first, message("m1", unique=word), message("m9", unique="v"))))
    assert await store.count(OutboxMessage) == int(before)


@pytest.mark.parametrize("how", ["settled", "taken back"])
async def test_a_word_that_goes_in_a_unit_makes_room_for_the_next(store, how):
    await store.save(Change(puts=(message("m1", unique="edit:1"),)))
    former, new = stored(message("m1", unique="edit:1")), message("m2", unique="edit:1")
    settled = replace(former, status=MessageStatus.SENT)
    await store.save(Change(puts=(settled, new)) if how == "settled" else Change(puts=(new,), deletes=(former,)))
    assert await store.get(OutboxMessage, "m2")


async def test_claims_at_once_never_share_a_message(store):
    await store.save(Change(puts=tuple(message(str(n), lane=str(n)) for n in range(60))))
    claims = await asyncio.gather(*(store.claim(NOW, LEASE, 7) for _ in range(12)))
    taken = [row.id for rows in claims for row in rows]
    assert sorted(taken, key=int) == [str(n) for n in range(60)]


# ------------------------------------------------------------------ last seen


async def test_last_seen_keeps_the_latest_call_and_no_version(store):
    await store.save(Change(puts=(device(1),)))
    later = NOW + timedelta(seconds=5)
    await store.record_seen({device(1).mac: later, device(2).mac: NOW})
    await store.record_seen({device(1).mac: NOW})
    await store.record_seen({})
    seen = await store.last_seen([device(1).mac, device(2).mac, device(3).mac])
    assert seen == {device(1).mac: later, device(2).mac: NOW}
    assert seen[device(1).mac].tzinfo is UTC
    assert (await store.get(Device, device(1).mac)).version == 1


async def test_last_seen_takes_a_whole_fleet(store):
    fleet = {f"805EC1{n:06X}": NOW for n in range(1200)}
    await store.record_seen(fleet)
    assert await store.last_seen(list(fleet)) == fleet


async def test_two_who_note_one_call_at_once_keep_the_later(store):
    later = NOW + timedelta(seconds=5)
    for n in range(20):
        times = (later, NOW) if n % 2 else (NOW, later)
        await asyncio.gather(*(store.record_seen({device(n).mac: at}) for at in times))
    assert set((await store.last_seen([device(n).mac for n in range(20)])).values()) == {later}
    assert len((await store.silent(NOW, later)).rows) == 20


# ------------------------------------------------------------------ who is silent


def at(seconds):
    return NOW + timedelta(seconds=seconds)


async def test_nobody_called_and_nobody_is_silent(store):
    assert await store.silent(None, NOW) == Page((), None)


async def test_the_silent_are_those_whose_last_call_lies_in_the_window_the_longest_silent_first(store):
    await store.save(Change(puts=(device(1),)))  # the others are on no list
    await store.record_seen({device(n).mac: at(9 - n) for n in range(10)})

    async def found(after, until):
        page = await store.silent(None if after is None else at(after), at(until))
        assert page.after is None
        assert all(moment.tzinfo is UTC for _, moment in page.rows)
        return [(int(mac[-1]), (moment - NOW).total_seconds()) for mac, moment in page.rows]

    assert await found(2, 4) == [(6, 3), (5, 4)]
    assert await found(None, 1) == [(9, 0), (8, 1)]
    assert await found(-1, 0) == [(9, 0)]
    assert await found(8, 100) == [(0, 9)]
    assert await found(9, 100) == await found(None, -1) == await found(4, 4) == await found(4, 2) == []
    assert await found(2.999999, 3) == await found(2.5, 3.000001) == [(6, 3)]


async def test_whoever_calls_again_is_silent_since_then(store):
    await store.record_seen({device(1).mac: NOW, device(2).mac: NOW})
    await store.record_seen({device(1).mac: at(60), device(2).mac: at(-60)})
    assert (await store.silent(None, NOW)).rows == ((device(2).mac, NOW),)
    assert (await store.silent(NOW, at(60))).rows == ((device(1).mac, at(60)),)


@pytest.mark.parametrize("limit", [1, 3, 7, 24, 25, 500])
@pytest.mark.parametrize("begin", [None, NOW], ids=["ever", "since"])
async def test_pages_of_the_silent_put_together_are_the_whole(store, limit, begin):
    """Eight at each moment, so that pages end within one."""
    noted = {device(n).mac: at(n * 7 % 4) for n in range(32)}
    await store.record_seen(noted)
    rows = await all_pages(lambda after, limit: store.silent(begin, at(3), beyond=after, limit=limit), limit)
    within = [(moment, mac) for mac, moment in noted.items() if begin is None or begin < moment]
    assert [(moment, mac) for mac, moment in rows] == sorted(within)


async def test_a_page_of_the_silent_stays_stable_while_devices_call(store):
    await store.record_seen({device(n).mac: at(n) for n in range(20)})
    rows, beyond = [], None
    for n in range(100):
        page = await store.silent(None, at(19), beyond=beyond, limit=3)
        rows += page.rows
        beyond = page.after
        if beyond is None:
            break
        last = rows[-1][0]  # calls again, another one is new among those passed already
        await store.record_seen({last: at(1000), f"805EC1{n:06X}": at(0)})
    assert [mac for mac, _ in rows] == [device(n).mac for n in range(20)]


async def test_a_page_of_the_silent_may_go_on_in_another_window(store):
    await store.record_seen({device(n).mac: at(n) for n in range(6)})
    place = (await store.silent(None, at(5), limit=2)).after
    assert [int(mac[-1]) for mac, _ in (await store.silent(at(3), at(5), beyond=place)).rows] == [4, 5]
    assert [int(mac[-1]) for mac, _ in (await store.silent(at(-9), at(2), beyond=place)).rows] == [2]


@pytest.mark.parametrize("beyond", ["'; --", "", "9" * 40, "5", "1" * 30 + " x", "x 805EC0000001"])
async def test_behind_a_place_that_no_page_named_nobody_is_silent(store, beyond):
    await store.record_seen({device(1).mac: NOW})
    assert await store.silent(None, NOW, beyond=beyond) == Page((), None)


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_of_the_silent_has_1_to_1000_rows(store, limit):
    with pytest.raises(ValueError, match="1000"):
        await store.silent(None, NOW, limit=limit)


async def test_a_window_goes_by_the_moment_whatever_its_zone(store):
    east = timezone(timedelta(hours=9))
    await store.record_seen({device(1).mac: NOW.astimezone(east)})
    assert (await store.silent(at(-1).astimezone(east), NOW.astimezone(east))).rows == ((device(1).mac, NOW),)
    assert (await store.silent(NOW.astimezone(east), at(1))).rows == ()


# ------------------------------------------------------------------ watching


async def test_a_watch_wakes_for_its_topics_alone(store):
    async with store.watch(device(1).mac, "outbox") as watch, store.watch(device(2).mac) as other:
        assert not await watch.wait(0)
        await store.save(Change(puts=(device(1),)))
        assert await watch.wait(5)
        assert not await watch.wait(0)
        await store.save(Change(puts=(message("m1"),)))
        assert await watch.wait(5)
        assert not await other.wait(0)


async def test_a_change_between_opening_and_waiting_is_not_lost(store):
    async with store.watch(device(1).mac) as watch:
        for change in (device(1), stored(device(1))):
            await store.save(Change(puts=(change,)))
        assert await watch.wait(0)
        assert not await watch.wait(0)


async def test_a_refused_unit_wakes_nobody(store):
    async with store.watch(device(1).mac) as watch:
        with pytest.raises(Conflict):
            await store.save(Change(puts=(device(1, version=7),)))
        assert not await watch.wait(0)


async def test_a_watcher_sees_the_change_that_woke_it(store):
    async with store.watch(device(1).mac) as watch:
        waiting = asyncio.create_task(watch.wait(10))
        await store.save(Change(puts=(device(1),)))
        assert await waiting
        assert await store.get(Device, device(1).mac) is not None


async def test_waiting_can_be_cancelled_and_forgets_nothing(store):
    async with store.watch(device(1).mac) as watch:
        waiting = asyncio.create_task(watch.wait(60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await store.save(Change(puts=(device(1),)))
        assert await watch.wait(5)


async def test_a_released_watch_waits_no_more_and_forgets_no_change(store):
    async with store.watch(device(1).mac) as watch:
        waiting = asyncio.create_task(watch.wait(60))
        await asyncio.sleep(0)
        watch.release()
        assert not await waiting
        assert not await watch.wait(60)
        await store.save(Change(puts=(device(1),)))
        assert await watch.wait(60)


async def test_many_watch_and_each_wakes(store):
    async def one(opened):
        async with store.watch(device(1).mac) as watch:
            opened.release()
            return await watch.wait(20)

    opened = asyncio.Semaphore(0)
    watchers = [asyncio.create_task(one(opened)) for _ in range(500)]
    for _ in watchers:
        await opened.acquire()
    await store.save(Change(puts=(device(1),)))
    assert all(await asyncio.gather(*watchers))


async def test_closing_releases_those_who_wait(store):
    async with store.watch("outbox") as watch:
        waiting = asyncio.create_task(watch.wait(60))
        await asyncio.sleep(0)
        await store.close()
        assert await waiting


async def test_a_healthy_store_says_so(store):
    await store.check()
