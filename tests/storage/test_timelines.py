"""What the `Store` port says of timelines, on every backend there is."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest

from provisioning.batches import Batch
from provisioning.errors import UnreadableText
from provisioning.model import Change, Device, State, stored
from provisioning.ports import Span, TimelineRow
from storage.kinds import KINDS
from tests.storage.samples import NOW, device, import_of, rich_device

HOUR = timedelta(hours=1)
LAST = timedelta(microseconds=1)


def at(hours):
    return NOW + hours * HOUR


def provisioned(number, hours, location="Oslo/1", **more):
    return device(number, location, provisioned_at=at(hours), **more)


async def of_hours(store, begin=0, end=4, index="provisioned_at", **equals):
    """(site, hour, count) of each row."""
    rows = await store.timeline(index, at(begin), at(end), HOUR, **equals)
    assert all(row.start.tzinfo is UTC for row in rows)
    return [(row.site, (row.start - NOW) / HOUR, row.count) for row in rows]


async def test_devices_are_counted_by_site_and_step(store):
    moments = [("Oslo/1", 0.5), ("OSLO/2", 1), ("Oslo", 1.5), ("Bergen/1", 3.5), ("Zürich/1", 2.5), ("oslo/3", 0.25)]
    puts = tuple(provisioned(n, hours, place) for n, (place, hours) in enumerate(moments))
    await store.save(Change(puts=(*puts, device(90), device(91, "Bergen/2"))))
    assert await store.timeline("provisioned_at", NOW, at(4), HOUR) == [
        TimelineRow("bergen", at(3), 1),
        TimelineRow("oslo", at(0), 3),
        TimelineRow("oslo", at(1), 1),
        TimelineRow("zürich", at(2), 1),
    ]
    assert await store.timeline("provisioned_at", NOW, at(4), 5 * HOUR) == [
        TimelineRow("bergen", NOW, 1),
        TimelineRow("oslo", NOW, 4),
        TimelineRow("zürich", NOW, 1),
    ]


async def test_where_nothing_happened_there_is_nothing(store):
    assert await of_hours(store) == []
    await store.save(Change(puts=(device(1), provisioned(2, 9))))
    assert await of_hours(store) == await of_hours(store, 4, 4) == await of_hours(store, 9, 10) == []
    assert await of_hours(store, 10, 1) == []


async def test_a_step_is_open_below_and_closed_above(store):
    edges = (NOW, NOW + LAST, at(1), at(1) + LAST, at(2) - LAST, at(2), at(2) + LAST)
    await store.save(Change(puts=tuple(device(n, provisioned_at=moment) for n, moment in enumerate(edges))))
    assert await of_hours(store, 0, 2) == [("oslo", 0, 2), ("oslo", 1, 3)]
    assert await of_hours(store, 0, 1.5) == [("oslo", 0, 2), ("oslo", 1, 1)]
    assert await of_hours(store, -1, 0) == [("oslo", -1, 1)]
    assert await store.timeline("provisioned_at", at(2), at(2) + LAST, LAST) == [TimelineRow("oslo", at(2), 1)]


async def test_the_last_step_ends_with_the_span(store):
    await store.save(Change(puts=(provisioned(1, 0.5), provisioned(2, 1.2), provisioned(3, 1.4))))
    assert await of_hours(store, 0, 1.3) == [("oslo", 0, 1), ("oslo", 1, 1)]


async def test_moments_count_whatever_their_zone_and_before_1970(store):
    east = timezone(HOUR * 9)
    old = NOW.replace(year=1969)
    await store.save(Change(puts=(device(1, provisioned_at=at(0.5).astimezone(east)), device(2, provisioned_at=old))))
    rows = await store.timeline("provisioned_at", NOW.astimezone(east), at(1).astimezone(east), HOUR)
    assert rows == [TimelineRow("oslo", NOW, 1)]
    rows = await store.timeline("provisioned_at", old - 2.5 * HOUR, old, HOUR)
    assert rows == [TimelineRow("oslo", old - HOUR / 2, 1)]


async def test_every_time_of_a_device_has_its_timeline(store):
    one = replace(rich_device(1), provisioned_at=NOW)
    await store.save(Change(puts=(one,)))
    for index in KINDS[Device].times:
        there = await store.count(Device, span=Span(index, at(-1), at(99)))
        rows = await store.timeline(index, at(-1), at(99), 10 * HOUR)
        assert sum(row.count for row in rows) == there, index
    assert await of_hours(store, -1, 1, "installed_at") == [("oslo", -1, 1)]


async def test_it_follows_every_change(store):
    one = provisioned(1, 0.5)
    await store.save(Change(puts=(one,)))
    assert await of_hours(store) == [("oslo", 0, 1)]
    moved = replace(stored(one), location="Bergen/1", provisioned_at=at(2.5))
    await store.save(Change(puts=(moved,)))
    assert await of_hours(store) == [("bergen", 2, 1)]
    await store.save(Change(puts=(replace(stored(moved), provisioned_at=None),)))
    assert await of_hours(store) == []


async def test_what_is_not_listed_is_not_counted(store):
    one = provisioned(1, 0.5, removed_at=NOW)
    await store.save(Change(puts=(one, provisioned(2, 1.5))))
    assert await of_hours(store) == [("oslo", 1, 1)]
    assert await of_hours(store, site="oslo") == [("oslo", 1, 1)]
    await store.save(Change(puts=(replace(stored(one), removed_at=None),)))
    assert await of_hours(store) == [("oslo", 0, 1), ("oslo", 1, 1)]


async def test_what_an_unfinished_import_holds_is_counted_for_those_who_name_it(store):
    hidden = provisioned(2, 1.5, batch="i", tags=("lobby",))
    await store.save(Change(puts=(import_of("i", hides=True), provisioned(1, 0.5), hidden)))
    for more in ({}, {"site": "oslo"}):
        assert await of_hours(store, **more) == [("oslo", 0, 1)]
    assert await of_hours(store, tag="lobby") == []
    assert await of_hours(store, batch="i") == [("oslo", 1, 1)]
    await store.save(Change(puts=(replace(await store.get(Batch, "i"), hides=False),)))
    for more in ({}, {"site": "oslo"}):
        assert await of_hours(store, **more) == [("oslo", 0, 1), ("oslo", 1, 1)]
    assert await of_hours(store, tag="lobby") == [("oslo", 1, 1)]


@pytest.mark.parametrize(
    ("asked", "hours"),
    [
        ({"site": "oslo"}, [0, 2]),
        ({"tag": "LOBBY"}, [0, 1]),
        ({"tag": "lobby", "site": "oslo"}, [0]),
        ({"technician": "kim"}, [1, 2]),
        ({"state": State.SIGNED_IN}, [2]),
        ({"installed": True}, [2]),
        ({"problem": False, "site": "oslo"}, [0, 2]),
        ({"location": "bergen/2"}, [1]),
        ({"site": "nowhere"}, []),
        ({"site": None}, []),
    ],
    ids=str,
)
async def test_it_is_about_those_that_the_question_names(store, asked, hours):
    first = provisioned(1, 0.5, "Oslo/1", tags=("Lobby", "east"))
    second = provisioned(2, 1.5, "Bergen/2", tags=("lobby",), technician="kim")
    third = provisioned(3, 2.5, "Oslo/3", technician="kim", state=State.SIGNED_IN, installed=rich_device(1).installed)
    await store.save(Change(puts=(first, second, third)))
    assert sorted(hour for _, hour, _ in await of_hours(store, **asked)) == hours


@pytest.mark.parametrize("seed", range(3))
async def test_it_agrees_with_counting_one_by_one(store, seed):
    chance = random.Random(seed)
    step, since = timedelta(microseconds=chance.randint(1, 10**9)), at(chance.random())
    until = since + step * chance.randint(1, 40) + timedelta(microseconds=chance.randint(0, 10**6))
    span = until - since
    moments = [since + span * chance.uniform(-0.1, 1.1) for _ in range(300)]
    rows = [device(n, f"Site {n % 4}", provisioned_at=at, tags=("x",) * (n % 2)) for n, at in enumerate(moments)]
    await store.save(Change(puts=tuple(rows)))
    counted = Counter(
        (each.site.casefold(), -((since - each.provisioned_at) // step) - 1)
        for each in rows
        if since < each.provisioned_at <= until
    )
    expected = [TimelineRow(site, since + n * step, counted[site, n]) for site, n in sorted(counted)]
    assert await store.timeline("provisioned_at", since, until, step) == expected
    tagged = await store.timeline("provisioned_at", since, until, step, tag="x")
    asked = {"tag": "x", "removed": False, "span": Span("provisioned_at", since, until)}
    assert sum(row.count for row in tagged) == await store.count(Device, **asked)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"step": timedelta(0)}, "a step takes time"),
        ({"step": -HOUR}, "a step takes time"),
        ({"until": at(10_000) + LAST}, "10000 steps at once, not 10001"),
        ({"index": "colour"}, "colour"),
        ({"index": "site"}, "no time"),
        ({"index": "text"}, "no time"),
        ({"colour": "red"}, "colour"),
        ({"removed": True}, "listed"),
        ({"since": NOW.replace(tzinfo=None)}, "zone"),
        ({"until": NOW.replace(tzinfo=None)}, "zone"),
    ],
    ids=str,
)
async def test_a_question_that_makes_no_sense_is_a_fault_of_the_caller(store, changed, said):
    await store.save(Change(puts=(provisioned(1, 0.5),)))
    with pytest.raises(ValueError, match=said):
        await store.timeline(**({"index": "provisioned_at", "since": NOW, "until": at(4), "step": HOUR} | changed))


async def test_ten_thousand_steps_are_answered(store):
    await store.save(Change(puts=(provisioned(1, 0.5), provisioned(2, 9_999.5))))
    assert await of_hours(store, 0, 10_000) == [("oslo", 0, 1), ("oslo", 9_999, 1)]


@pytest.mark.parametrize("name", ["site", "tag"])
@pytest.mark.parametrize("hostile", ["a\x00", "\ud83d"])
async def test_hostile_text_is_refused(store, name, hostile):
    await store.save(Change(puts=(provisioned(1, 0.5, tags=("a",)),)))
    with pytest.raises(UnreadableText):
        await of_hours(store, **{name: hostile})
