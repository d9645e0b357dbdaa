"""The ledger: facts and messages of a device, a person, or everything; newest first and stable while rows come."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.delivery_errors import Blocked, Throttled
from provisioning.errors import Ambiguous, Forbidden, NearMiss, OutOfDate
from provisioning.events import DeviceMoved
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change
from provisioning.notifications import tell
from provisioning.ports import AuditRow
from provisioning.service import ledger
from provisioning.service.ledger import PAGE, Entry, LedgerPage, Mark, NobodyAndNothing, Sending, Show
from tests.provisioning.world import DANA, KIM, SAM, A, B, C, World


async def whole(world: World, text: str = "", show: str = Show.ALL) -> list[Entry]:
    """Every page of it, one after another."""
    entries: list[Entry] = []
    after: str | None = None
    while True:
        page = await world.core.audit(await world.dana(), text, show, after)
        assert len(page.entries) <= PAGE
        entries += page.entries
        after = page.after
        if after is None:
            return entries


async def first(world: World, text: str = "", show: str = Show.ALL) -> LedgerPage:
    return await world.core.audit(await world.dana(), text, show)


def facts(entries: list[Entry]) -> list[str]:
    return [entry.event.name for entry in entries if isinstance(entry, AuditRow)]


def messages(entries: list[Entry]) -> list[OutboxMessage]:
    return [entry.message for entry in entries if isinstance(entry, Sending)]


@pytest.fixture
async def day(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    world.later(minutes=1)
    await world.issue("2.14", SAM)


# ------------------------------------------------------------------ whose


async def test_of_a_device_its_facts_and_what_was_told_of_it(world: World, day: None) -> None:
    await world.delivers()
    await world.shows(SAM, A, code=True)
    world.later(minutes=5)
    await world.core.revoke(await world.dana(), await world.core.target(await world.dana(), "2.14"))
    found = await whole(world, "2.14")
    assert facts(found) == list(reversed(await world.facts(A)))
    assert [m.kind for m in messages(found)] == [MessageKind.EDIT]
    moments = [e.event.at if isinstance(e, AuditRow) else e.message.created_at for e in found]
    assert moments == sorted(moments, reverse=True)


async def test_of_a_person_what_they_did_what_was_done_to_them_and_what_they_were_told(world: World, day: None) -> None:
    sam = await world.sam()
    await world.core.report(sam, "2.14", "network")
    found = await whole(world, "Sam Fox")
    assert "AccessGranted" in facts(found) and "ProblemReported" in facts(found)
    assert {m.recipient for m in messages(found)} == {SAM}
    assert "CodeIssued" not in facts(found), "that was Dana"
    assert "CodeIssued" in facts(await whole(world, "Dana Berg"))


async def test_a_removed_device_by_its_mac(world: World, day: None) -> None:
    await world.core.remove(await world.dana(), "2.16")
    assert facts(await whole(world, B))[0] == "DeviceRemoved"
    with pytest.raises(NobodyAndNothing):
        await whole(world, "2.16")


async def test_what_a_word_means_is_asked_never_assumed(world: World, day: None) -> None:
    await world.add((C, "Sam Fox"))
    with pytest.raises(Ambiguous) as asked:
        await whole(world, "Sam Fox")
    assert [choice.value for choice in asked.value.choices] == [C, SAM]
    with pytest.raises(NobodyAndNothing):
        await whole(world, "nobody at all")
    with pytest.raises(NearMiss):
        await whole(world, A[:-1] + "9")


async def test_only_admins(world: World, day: None) -> None:
    with pytest.raises(Forbidden):
        await world.core.audit(await world.sam(), "2.14")


# ------------------------------------------------------------------ messages


async def test_what_did_not_arrive_stands_first(world: World, day: None) -> None:
    (message,) = await world.core.claim()
    await world.core.failed(message, Blocked(), 0)
    world.later(minutes=1)
    await world.core.move(await world.dana(), "2.16", "Oslo/3")
    page = await first(world)
    assert [m.status for m in messages(list(page.entries[:1]))] == [MessageStatus.UNDELIVERABLE]
    assert facts(list(page.entries))[0] == "DeviceMoved"
    assert (page.failed, page.waiting) == (1, 1)
    assert [m.recipient for m in messages(await whole(world, show=Show.FAILED))] == [SAM]
    assert [m.kind for m in messages(await whole(world, show=Show.WAITING))] == [MessageKind.UNREACHABLE]


async def test_one_that_is_tried_again_waits_with_its_tries(world: World, day: None) -> None:
    (message,) = await world.core.claim()
    await world.core.failed(message, Throttled(5), 0)
    (waiting,) = messages(await whole(world, "Sam Fox", Show.WAITING))
    assert waiting.attempts == 1


async def test_the_next_devices_message_is_found_by_the_card_it_left(world: World, day: None) -> None:
    (message,) = await world.delivers()
    post = await world.shows(SAM, A, code=True)
    known = await world.core.post(post.key)
    assert known
    await world.store.save(Change(puts=(replace(known, message=message.id),)))
    (found,) = [entry for entry in await whole(world, "2.14", Show.MESSAGES) if isinstance(entry, Sending)]
    assert found.message.id == message.id and found.post and found.post.subject == A


async def test_an_event_that_did_not_arrive_and_one_that_waits(world: World, day: None) -> None:
    event = replace(tell(MessageKind.WEBHOOK, "hook:itsm", A, world.clock.now()), status=MessageStatus.OUTGOING)
    dead = replace(event, id="dead", status=MessageStatus.UNDELIVERABLE, failure="redirected 301")
    await world.store.save(Change(puts=(event, dead)))
    assert event.id in {m.id for m in messages(await whole(world, show=Show.WAITING))}
    assert [m.id for m in messages(await whole(world, A, Show.FAILED))] == ["dead"]
    page = await first(world, A)
    assert (page.failed, page.waiting) == (1, 1)


# ------------------------------------------------------------------ pages


def moved(world: World, number: int) -> DeviceMoved:
    return DeviceMoved(at=world.clock.now(), actor=DANA, subject=A, before=str(number), after="x")


async def test_no_row_is_shown_twice_or_left_out_while_rows_come(world: World, day: None) -> None:
    for number in range(25):
        world.later(seconds=1)
        told = tell(MessageKind.PROBLEM_ANSWERED, SAM, A, world.clock.now(), n=str(number))
        await world.store.save(Change(puts=(told,), events=(moved(world, number),)))
    there = await whole(world, A)
    seen: list[Entry] = []
    after: str | None = None
    for number in range(100, 200):
        page = await world.core.audit(await world.dana(), A, Show.ALL, after)
        seen += page.entries
        world.later(seconds=1)
        told = tell(MessageKind.PROBLEM_ANSWERED, KIM, A, world.clock.now(), n=str(number))
        await world.store.save(Change(puts=(told,), events=(moved(world, number),)))
        after = page.after
        if after is None:
            break
    assert seen == there


async def test_facts_of_a_clock_that_went_back_are_all_there(world: World, day: None) -> None:
    for number in range(30):
        event = replace(moved(world, number), at=world.clock.now() - timedelta(seconds=number % 7))
        await world.store.save(Change(events=(event,)))
    assert facts(await whole(world, A)) == list(reversed(await world.facts(A)))


async def test_many_messages_of_one_moment(world: World, day: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "AT_ONCE", 8)
    for moment in range(3):
        world.later(hours=moment)
        told = [tell(MessageKind.PROBLEM_ANSWERED, SAM, A, world.clock.now(), n=f"{moment}.{n}") for n in range(20)]
        await world.store.save(Change(puts=tuple(told)))
    found = messages(await whole(world, "Sam Fox", Show.MESSAGES))
    assert len(found) == len({m.id for m in found}) == 62
    assert [m.created_at for m in found] == sorted((m.created_at for m in found), reverse=True)


async def test_what_somebody_did_long_ago_is_looked_for_page_by_page(
    world: World, day: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SCAN", 0)
    await world.core.report(await world.sam(), "2.14", "network")
    for number in range(300):
        world.later(seconds=1)
        await world.store.save(Change(events=(moved(world, number),)))
    page = await first(world, "Sam Fox")
    assert not page.entries and page.after and page.back_to
    assert "ProblemReported" in facts(await whole(world, "Sam Fox"))
    assert len(messages(await whole(world, "Sam Fox"))) == len(messages(await whole(world, "Sam Fox", Show.MESSAGES)))


@pytest.mark.parametrize("after", ["x", "1", "1|2", "9" * 40, "1|2|3|4", "1|99999999999999999|x", "-1||", "'; --"])
async def test_a_place_that_no_page_named(world: World, day: None, after: str) -> None:
    try:
        page = await world.core.audit(await world.dana(), A, Show.ALL, after)
    except OutOfDate:
        return
    assert page.entries or page.after is None


def test_a_mark_is_read_as_it_was_written(world: World) -> None:
    mark = Mark("17", world.clock.now(), "ab01")
    assert Mark.read(str(mark)) == mark
    assert Mark.read(None) == Mark()
