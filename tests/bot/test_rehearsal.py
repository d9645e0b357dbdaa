"""Rehearsals: the real use cases, doors and relay on a copy, with simulated people, devices and Teams."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.rehearsal.calendar import Calendar
from bot.rehearsal.command import from_json, to_json
from bot.rehearsal.options import MISTAKES, Options
from bot.rehearsal.play import Played, play
from bot.rehearsal.report import report_of
from bot.rehearsal.teams import Screen, SimulatedTeams
from bot.rehearsal.virtual_time import ReachedOut, Standstill, VirtualClock, VirtualLoop, sealed_off
from provisioning.codes import Key, Keyring
from provisioning.conversations import Conversation, ConversationKind
from provisioning.delivery_errors import Throttled
from provisioning.errors import NothingMatches
from provisioning.events import CodeShown
from provisioning.messages import OutboxMessage, Post
from provisioning.model import Change, Device, Person, Role
from provisioning.pacing import unlimited
from provisioning.ports import Message
from provisioning.rehearsals import Conflict, Cure, Report, Slip
from provisioning.rollouts import Rollout
from provisioning.service import Policy
from storage.memory_store import MemoryStore

START = datetime(2026, 12, 1, 8, tzinfo=UTC)  # a Tuesday
POLICY = Policy(organisation="Contoso")
FEW = Options(devices=12, technicians=2, start=START, mistakes=0)
KEYS = Keyring([Key("real", bytes(32))])


def rehearsed(options: Options, store: MemoryStore | None = None, policy: Policy = POLICY) -> tuple[Report, Played]:
    """As the command does it."""
    played = play(store or MemoryStore(), policy, options, made_up=store is None, show=lambda *_: None)
    return report_of([played], options, made_up=store is None, seconds=0), played


def chat(name: str) -> Conversation:
    return Conversation(f"a:{name}", ConversationKind.PERSONAL, "https://smba.trafficmanager.net/emea/", "t", "28:bot")


def listed(*devices: Device, people: tuple[Person, ...] = (), rollouts: tuple[Rollout, ...] = ()) -> MemoryStore:
    store = MemoryStore()
    store.load([replace(row, version=1) for row in (*devices, *people, *rollouts)])
    return store


def device(number: int, location: str = "", **more: object) -> Device:
    place = location or f"Oslo/{number // 10}/{number // 10}.{number % 10:02d}"
    return Device(mac=f"805EC0{number * 37:06X}", location=place, added_at=START, added_by="dana", **more)


SAM = Person(id="sam", name="Sam", upn="sam@contoso.com", teams_id="29:sam", roles=frozenset({Role.TECHNICIAN}))
SAM = replace(SAM, chat=chat("sam"))
DANA = Person(id="dana", name="Dana", teams_id="29:dana", roles=frozenset({Role.ADMIN}), chat=chat("dana"))


# ---------------------------------------------------------------------- time that jumps


def test_an_hour_passes_at_once_and_in_order() -> None:
    woken: list[str] = []

    async def sleeps(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(name)

    async def hour() -> datetime:
        clock = VirtualClock(START)
        await asyncio.gather(sleeps("late", 3600), sleeps("early", 60), sleeps("first", 0.5))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return clock.now()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        now = runner.run(hour())
    assert woken == ["first", "early", "late"]
    assert now == START + timedelta(seconds=3605)


def test_whoever_waits_for_nothing_is_told() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    loop = VirtualLoop()
    with pytest.raises(Standstill):
        loop.run_until_complete(loop.create_task(waits()))
    loop.close()


async def test_a_day_of_work_is_counted_with_its_breaks_and_over_the_weekend() -> None:
    calendar = Calendar(time(8), time(16, 30), ZoneInfo("Europe/Oslo"), frozenset(range(5)))
    monday = datetime(2026, 11, 30, 7, tzinfo=UTC)  # 08:00 in Oslo
    assert calendar.after(monday, 60) == monday + timedelta(hours=1)
    assert calendar.after(monday, 150) == monday + timedelta(minutes=165)  # the break at 10
    friday = datetime(2026, 12, 4, 15, tzinfo=UTC)  # 16:00
    assert calendar.after(friday, 60) == datetime(2026, 12, 7, 7, 30, tzinfo=UTC)
    assert calendar.left(friday) == timedelta(minutes=30)
    assert calendar.left(friday + timedelta(hours=2)) == timedelta(0)


# ---------------------------------------------------------------------- no way out


def test_nothing_in_a_rehearsal_reaches_the_network() -> None:
    with sealed_off():
        with pytest.raises(ReachedOut), socket.socket() as plug:
            plug.connect(("127.0.0.1", 9))
        with pytest.raises(ReachedOut):
            socket.getaddrinfo("teams.example", 443)
    with socket.socket() as plug:
        plug.settimeout(0.2)
        with pytest.raises(OSError, match=r"refused|timed out"):
            plug.connect(("127.0.0.1", 9))


def test_a_whole_rehearsal_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("bot.rehearsal.virtual_time._refuse", lambda event, _args: asked.append(event))
    rehearsed(replace(FEW, mistakes=20, sign_in=True))
    assert not [event for event in asked if event.startswith("socket.")]


def test_nobody_of_the_copy_can_be_reached() -> None:
    channel = replace(chat("x"), id="19:oslo", kind=ConversationKind.CHANNEL, name="rollout")
    rollout = Rollout(channel=channel, site="Oslo", connected_by="dana", connected_by_name="Dana", started_at=START)
    kim = replace(SAM, id="kim", name="Kim", teams_id="29:kim", chat=chat("kim"))
    store = listed(device(1), device(2), people=(SAM, DANA, kim), rollouts=(rollout,))
    _report, played = rehearsed(replace(FEW, devices=0, technicians=0), store)
    urls = {screen.conversation.service_url for screen in played.teams.screens.values()}
    for kind, of in ((Person, "chat"), (Rollout, "channel"), (Post, "conversation")):
        rows = asyncio.run(store.find(kind, limit=1000)).rows
        urls |= {getattr(row, of).service_url for row in rows if getattr(row, of)}
    assert urls == {"https://rehearsal.invalid/"}


def test_no_code_of_the_data_lives_in_the_copy() -> None:
    code = KEYS.issue("805EC0000025", "482913760257", 1, START, timedelta(days=30), "dana")
    store = listed(device(1, code=code, technician="sam", issued=1), people=(SAM, DANA))
    rehearsed(replace(FEW, devices=0, technicians=0), store)
    found = asyncio.run(store.get(Device, "805EC0000025"))
    assert found
    assert found.code is None or found.code.key_id == "rehearsal"


# ---------------------------------------------------------------------- what is found


def test_everything_is_installed_where_nothing_goes_wrong() -> None:
    report, _played = rehearsed(FEW)
    assert (report.devices, report.installed, report.provisioned, report.unfinished) == (12, 12, 12, 0)
    assert report.start == START
    assert report.end and START + timedelta(minutes=40) < report.end < START + timedelta(hours=3)
    assert [load.installed for load in report.loads] == [6, 6]
    assert all(load.work > 0 and load.walk > 0 and load.lost == 0 for load in report.loads)
    assert not any(counted.count for counted in report.slips)
    assert report.dying.count == 0
    assert not report.traffic.held


def test_every_mistake_occurs_and_is_told() -> None:
    often = dict.fromkeys(MISTAKES, 150)
    options = replace(FEW, devices=120, technicians=4, rates=often, issued_before=22)
    report, _played = rehearsed(options)
    assert {counted.slip for counted in report.slips if counted.count and counted.minutes} == set(Slip)
    assert report.stuck
    assert report.installed + report.stuck == report.devices
    assert sum(load.lost for load in report.loads) > 0


def test_the_same_seed_gives_the_same_report_and_another_one_another() -> None:
    options = replace(FEW, mistakes=3)
    first, again, other = (rehearsed(replace(options, seed=seed))[0] for seed in (7, 7, 8))
    assert first == again
    assert first.end != other.end


def test_a_swap_is_told_to_the_technician_and_both_devices_are_installed() -> None:
    _report, played = rehearsed(replace(FEW, technicians=1, rates={Slip.SWAP: 300}, seed=3))
    assert played.record.slips[Slip.SWAP]
    assert len(played.record.installed) == 12


def test_codes_issued_on_friday_are_dead_on_monday_and_on_site_none_is() -> None:
    monday = datetime(2026, 12, 7, 8, tzinfo=UTC)
    options = replace(FEW, start=monday, issued_before=66)
    report, _played = rehearsed(options)
    assert report.dying.count == 12
    assert report.dying.hours == ((datetime(2026, 12, 5, 14, tzinfo=UTC), 12),)
    assert report.dying.needed >= 66
    assert {advice.cure for advice in report.advice} >= {Cure.ON_SITE, Cure.LIFETIME}
    assert next(c.count for c in report.slips if c.slip is Slip.DEAD_CODE) == 12
    on_site, _played = rehearsed(replace(options, on_site=True))
    assert on_site.dying.count == 0
    assert on_site.dying.on_site
    assert on_site.installed == 12
    longer, _played = rehearsed(replace(options, lifetime=float(report.dying.needed)))
    assert longer.dying.count == 0


def test_more_technicians_end_on_the_first_day() -> None:
    report, _played = rehearsed(replace(FEW, devices=80, technicians=1))
    assert report.end and report.end.date() > START.date()
    more = next(advice for advice in report.advice if advice.cure is Cure.MORE_HANDS)
    assert more.at and more.at.date() == START.date()
    better, _played = rehearsed(replace(FEW, devices=80, technicians=1 + more.number))
    assert better.end and abs(better.end - more.at) < timedelta(hours=1, minutes=30)


def test_one_admin_signs_in_what_called_in() -> None:
    report, _played = rehearsed(replace(FEW, sign_in=True))
    assert report.signed_in == 12


def test_one_device() -> None:
    report, _played = rehearsed(replace(FEW, devices=1, technicians=1))
    assert (report.devices, report.installed) == (1, 1)


def test_no_technicians() -> None:
    report, _played = rehearsed(replace(FEW, devices=0, technicians=0), listed(device(1), people=(DANA,)))
    assert (report.installed, report.unfinished, report.end) == (0, 1, None)
    assert Conflict.NOBODY in {found.conflict for found in report.conflicts}


def test_a_site_that_nobody_knows() -> None:
    with pytest.raises(NothingMatches):
        rehearsed(replace(FEW, devices=0, site="Bergen"), listed(device(1), people=(SAM, DANA)))


def test_one_site_of_several() -> None:
    store = listed(device(1), device(2, "Bergen/1/1.01"), people=(SAM, DANA))
    report, _played = rehearsed(replace(FEW, devices=0, technicians=0, site="oslo"), store)
    assert (report.scope, report.devices, report.installed) == ("Oslo", 1, 1)


def test_conflicts_of_the_data_are_named() -> None:
    silent = replace(SAM, id="kim", name="Kim", chat=None)
    near = [device(9, f"Oslo/3/3.0{n}", technician="kim") for n in (1, 2)]
    near = [replace(each, mac=f"805EC0AAAA0{n}") for n, each in enumerate(near)]
    code = KEYS.issue("805EC0000025", "482913760257", 1, START, timedelta(minutes=-5), "dana")
    code = replace(code, expires_at=START + timedelta(minutes=1))
    store = listed(
        device(1, "Oslo/2/2.14", code=code, issued=1, technician="sam"),
        device(2, "Oslo/2/2.14", serial="S1"),
        device(3, "Oslo/2/2.15", serial="s1", technician="gone"),
        device(4, "Lobby"),
        *near,
        people=(SAM, DANA, silent),
    )
    report, _played = rehearsed(replace(FEW, devices=0, technicians=0), store)
    found = {each.conflict: each.count for each in report.conflicts}
    assert found == {
        Conflict.SAME_PLACE: 2,
        Conflict.NEIGHBOURS: 2,
        Conflict.SAME_SERIAL: 2,
        Conflict.NO_TECHNICIAN: 2,
        Conflict.UNKNOWN_TECHNICIAN: 1,
        Conflict.NO_FLOOR: 1,
        Conflict.NO_CHAT: 1,
        Conflict.NO_CHANNEL: 1,
        Conflict.SHORT_CODES: 1,
    }
    assert Cure.FIX_DATA in {advice.cure for advice in report.advice}
    assert report.installed == 6


def test_each_does_what_is_theirs_in_the_data() -> None:
    kim = replace(SAM, id="kim", name="Kim", teams_id="29:kim", chat=chat("kim"))
    devices = [device(n, technician="sam" if n < 9 else "kim") for n in range(1, 11)]
    report, _played = rehearsed(replace(FEW, devices=0, technicians=0), listed(*devices, people=(SAM, DANA, kim)))
    assert {load.name: load.installed for load in report.loads} == {"Sam": 8, "Kim": 2}
    assert Cure.SPLIT in {advice.cure for advice in report.advice}


# ---------------------------------------------------------------------- messages


def test_what_is_told_goes_through_the_relay_and_a_code_is_read_on_the_phone() -> None:
    store = MemoryStore()
    played = play(store, POLICY, FEW, made_up=True, show=lambda *_: None)
    kinds = dict(report_of([played], FEW, made_up=True, seconds=0).traffic.told)
    assert kinds["next_device"] >= 10
    assert kinds["edit"] >= 12
    assert kinds["rollout_started"] == 1
    shown = [row.event for row in asyncio.run(store.history(limit=1000)).rows if isinstance(row.event, CodeShown)]
    assert len({event.subject for event in shown}) == 12
    waiting = asyncio.run(store.find(OutboxMessage, status="waiting", limit=1000)).rows
    assert all(message.due_at > played.start for message in waiting)


def test_teams_takes_no_more_than_its_limits() -> None:
    async def floods() -> tuple[list[float], SimulatedTeams]:
        teams, waits = SimulatedTeams(unlimited(asyncio.get_running_loop().time)), list[float]()
        teams.add(Screen(chat("sam"), "Sam"))
        for _number in range(12):
            try:
                await teams.send(chat("sam"), Message(summary="x", text="x"))
            except Throttled as error:
                waits.append(error.retry_after or 0)
                await asyncio.sleep(error.retry_after or 0)
        return waits, teams

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        waits, teams = runner.run(floods())
    screen = teams.screens["a:sam"]
    assert waits
    assert screen.refused == len(waits)
    assert screen.delayed > 0
    assert all(most <= limit.calls for limit, most in screen.meter.peaks.items())


def test_a_report_goes_through_json_unchanged() -> None:
    report, _played = rehearsed(replace(FEW, mistakes=5))
    assert from_json(to_json(report)) == report


async def test_the_memory_store_wakes_who_watches() -> None:
    store = MemoryStore()
    async with store.watch("805EC0000025") as watch:
        await store.save(Change(puts=(device(1),)))
        assert await watch.wait(1)
