"""Webhooks through the whole service and a real receiver: signed, in order, retried, dead, sent again; never a code."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from standardwebhooks import Webhook

from bot.composition import build_provisioning
from bot.webhooks import Hooks
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change
from provisioning.webhooks import lane_of
from tests.bot.chat import House, open_house, restarted
from tests.cards.samples import HOSTILE
from tests.receiver import DROPS, HANGS, SECRET, Receiver, whsec
from tests.secret_files import private

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"
PATH = "/hooks/t0ken-in-the-path?key=t0ken-in-the-query"


@asynccontextmanager
async def house_for(folder: Path, *lines: str) -> AsyncIterator[House]:
    """The service with these endpoints; a retry is due as soon as a test lets time go by."""
    private(folder / "hooks", "\n".join(lines))
    async with open_house(folder, WEBHOOKS_FILE=str(folder / "hooks")) as house:
        await house.dana.says("hi")
        yield house


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def house(tmp_path: Path, receiver: Receiver) -> AsyncIterator[House]:
    async with house_for(tmp_path, f"ops {receiver.url}{PATH} {whsec()}  # the operations room") as house:
        yield house


@asynccontextmanager
async def sending(house: House) -> AsyncIterator[None]:
    """Events go out by themselves, as they do beside a running service."""
    task = asyncio.create_task(house.hooks.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def letters(house: House, name: str = "ops") -> list[OutboxMessage]:
    rows = await house.store.find(OutboxMessage, lane=lane_of(name, MessageStatus.UNDELIVERABLE), limit=1000)
    return list(rows.rows)


def impatient(house: House) -> None:
    """A receiver that hangs is waited for a moment only."""
    house.hooks._timeout = aiohttp.ClientTimeout(total=0.2)


# ---------------------------------------------------------------------- what goes out


async def test_a_day_goes_out_signed_in_order_and_without_a_code(house: House, receiver: Receiver) -> None:
    dana, sam = house.dana, await house.technician("Sam")
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)
    await sam.says("install 2.14 hangs beside the door")
    await sam.says("problem 2.16 the wall is wet")
    await house.passes(hours=25)
    await dana.says("remove 2.16")
    await dana.presses("Remove")
    assert [each.removeprefix("provisioning.") for each in receiver.types] == [
        "access.granted",
        *["device.added", "device.added"],
        *["code.issued", "code.issued"],
        "device.provisioned",
        "install.confirmed",
        "problem.reported",
        "code.ended",
        "device.removed",
    ]
    added = receiver.taken[1].event
    assert added["subject"] == "805EC0112233" and added["data"]["location"] == "Oslo/2/2.14"
    assert [each.event["time"] for each in receiver.taken] == sorted(each.event["time"] for each in receiver.taken)
    assert len(house.keys.digits) >= 2
    for each in receiver.got:
        house.no_code_in(each.body + json.dumps(dict(each.headers)), "a webhook")
        for own in ("wet", "beside the door", "127.0.0.1"):
            assert own not in each.body


async def test_the_library_accepts_it_as_it_comes(house: House, receiver: Receiver) -> None:
    house.clock.advance(datetime.now(UTC) - house.clock.now())  # it refuses what is older than five minutes
    await house.dana.says(f"add {A} Oslo/2/2.14")
    [got] = receiver.got
    assert Webhook(SECRET).verify(got.body, dict(got.headers))["subject"] == "805EC0112233"
    assert got.path == PATH and "cookie" not in {name.lower() for name in got.headers}


@pytest.mark.parametrize("text", [text for text in HOSTILE if "/" not in text][:8])
async def test_a_place_with_whatever_people_type(house: House, receiver: Receiver, text: str) -> None:
    await house.dana.says(f"add {A} Oslo/{text}"[:220])
    for got in receiver.got:
        device = await house.record(A)
        assert got.event["data"]["location"] == device.location


async def test_without_endpoints_there_is_not_one_more_row(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says(f"add {A} Oslo/2/2.14")
        rows = (await house.store.find(OutboxMessage, limit=1000)).rows
        assert not [row for row in rows if row.lane.startswith("hook:")]
        card = await house.dana.says("webhooks")
        assert card.title == "0 webhook endpoints" and "WEBHOOKS_FILE" in card.all


async def test_an_endpoint_gets_the_types_it_wants(tmp_path: Path, receiver: Receiver) -> None:
    lines = (
        f"all {receiver.url}/all {whsec()}",
        f"some {receiver.url}/some {whsec()} types=provisioning.device.moved,provisioning.tag",
    )
    with pytest.raises(Exception, match=r"provisioning\.tag"):
        async with house_for(tmp_path, *lines):
            pass
    async with house_for(tmp_path, lines[0], lines[1].replace(",provisioning.tag", "")) as house:
        await house.dana.says(f"add {A} Oslo/2/2.14")
        await house.dana.says("move 2.14 to Oslo/2/2.15")
    got = [(each.path, each.type.removeprefix("provisioning.device.")) for each in receiver.got]
    assert sorted(got) == [("/all", "added"), ("/all", "moved"), ("/some", "moved")]
    assert receiver.tries.most_common(1)[0][1] == 2  # the same event has the same id at both


async def test_while_a_secret_is_rotated_old_and_new_are_good(tmp_path: Path, receiver: Receiver) -> None:
    async with house_for(tmp_path, f"ops {receiver.url} {whsec(b'n' * 32)} {whsec()}") as house:
        await house.dana.says(f"add {A} Oslo/2/2.14")
    [got] = receiver.taken
    moment = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
    assert Webhook(b"n" * 32).sign(got.id, moment, got.body) in got.headers["webhook-signature"]


# ---------------------------------------------------------------------- what is not taken


@pytest.mark.parametrize("answer", [500, 503, 429, 301, 404, HANGS, DROPS])
async def test_it_comes_again_with_its_id_and_in_order(house: House, receiver: Receiver, answer: int | str) -> None:
    impatient(house)
    receiver.answers(answer, answer)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says("move 2.14 to Oslo/2/2.15")
    assert len(receiver.got) == 1, "nothing is sent past an event that was not taken"
    for _again in range(3):
        await house.passes(minutes=6)
    assert [each.id for each in receiver.got[:3]] == [receiver.got[0].id] * 3
    assert [t.rpartition(".")[2] for t in receiver.types][:2] == ["added", "moved"]
    stamps = [int(each.headers["webhook-timestamp"]) for each in receiver.got[:3]]
    assert all(later > earlier for earlier, later in pairwise(stamps)), "each attempt is signed anew"
    assert not await letters(house)


async def test_a_pause_it_asks_for_is_kept(house: House, receiver: Receiver) -> None:
    receiver.headers = {"Retry-After": "600"}
    receiver.answers(429)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.passes(minutes=9)
    assert len(receiver.got) == 1
    await house.passes(minutes=2)
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("header", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "9" * 400, "soon", "-1"])
async def test_a_pause_that_is_none_stops_nothing(house: House, receiver: Receiver, header: str) -> None:
    receiver.headers = {"Retry-After": header}
    receiver.answers(503)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.passes(hours=1, minutes=10)
    assert receiver.types == ["provisioning.device.added"]


async def test_a_fault_of_ours_at_one_endpoint_is_none_of_the_others(tmp_path: Path, receiver: Receiver) -> None:
    lines = (f"bad {receiver.url}/bad {whsec()}", f"ops {receiver.url}/ops {whsec()}")
    async with house_for(tmp_path, *lines) as house:
        house.by_itself = False
        house.expected_errors.add("events wait for their sender")
        now = house.clock.now()
        broken = OutboxMessage(
            kind=MessageKind.WEBHOOK,
            recipient=lane_of("bad"),
            subject="",
            lane=lane_of("bad"),
            created_at=now,
            due_at=now,
            status=MessageStatus.OUTGOING,
        )
        await house.store.save(Change(puts=(broken,)))
        async with sending(house):
            for room in range(3):
                await house.dana.says(f"add 805EC01122{room:02} Oslo/{room}")
                await receiver.until(room + 1)
    assert {each.path for each in receiver.got} == {"/ops"}


async def test_a_redirect_is_not_followed(house: House, receiver: Receiver) -> None:
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    receiver.answers(always=301)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    for _hour in range(26):
        await house.passes(hours=1)
    assert {each.path for each in receiver.got} == {PATH}
    assert {letter.failure for letter in await letters(house)} >= {"redirected 301"}
    card = await house.dana.says("webhooks ops")
    assert "answered 301: redirects are not followed, so its address has to be corrected" in card.all


async def test_what_it_will_never_take_holds_up_nothing(house: House, receiver: Receiver) -> None:
    receiver.answers(422)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says("move 2.14 to Oslo/2/2.15")
    assert receiver.types == ["provisioning.device.moved"]
    [letter] = await letters(house)
    assert letter.failure == "not_taken 422"


async def test_an_endpoint_that_is_gone_is_left_alone_until_somebody_says_so(house: House, receiver: Receiver) -> None:
    receiver.answers(410, always=410)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says("move 2.14 to Oslo/2/2.15")
    await house.dana.says("move 2.15 to Oslo/2/2.16")
    assert len(receiver.got) == 1
    assert [letter.failure for letter in await letters(house)] == ["gone 410", "off", "off"]
    await house.passes(minutes=1)
    await house.dana.says("webhooks again ops")  # it still is gone: asked once, and left alone again
    assert len(receiver.got) == 2
    receiver.answers()
    await house.passes(minutes=1)
    answer = await house.dana.says("webhooks again ops")
    assert answer.title == "3 events are sent again"
    assert [t.rpartition(".")[2] for t in receiver.types] == ["added", "moved", "moved"]
    await house.dana.says("move 2.16 to Oslo/2/2.17")
    assert len(receiver.taken) == 4


async def test_one_that_hangs_delays_no_chat_and_no_other_endpoint(tmp_path: Path, receiver: Receiver) -> None:
    async with Receiver() as hanging:
        hanging.answers(always=HANGS)
        lines = (f"dead {hanging.url} {whsec()}", f"ops {receiver.url} {whsec()}")
        async with house_for(tmp_path, *lines) as house, sending(house):
            house.by_itself = False
            await house.dana.says(f"add {A} Oslo/2/2.14")
            await hanging.hanging.wait()
            kim = house.person("Kim")
            await kim.says("hi")
            await kim.presses("Ask for access")
            await house.relay.drain()
            house.collect()
            assert "Kim" in house.dana.card.all, "the admins were asked"
            await house.dana.says("move 2.14 to Oslo/2/2.15")
            await receiver.until(2)
            assert receiver.types == ["provisioning.device.added", "provisioning.device.moved"]
            assert len(hanging.got) == 1


async def test_nobody_answers_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with house_for(tmp_path, f"ops http://127.0.0.1:{port}/ {whsec()}") as house:
        await house.dana.says(f"add {A} Oslo/2/2.14")
        card = await house.dana.says("webhooks")
        assert "1 waiting (no connection could be made)" in card.all
        assert f"ops: 127.0.0.1:{port}" in card.all


# ---------------------------------------------------------------------- dead letters


async def test_dead_letters_are_shown_and_sent_again_with_the_ids_they_had(house: House, receiver: Receiver) -> None:
    receiver.answers(always=500)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says("move 2.14 to Oslo/2/2.15")
    for _hour in range(26):
        await house.passes(hours=1)
    first = {each.id for each in receiver.got}
    assert len(await letters(house)) >= 2
    card = await house.dana.says("webhooks")
    assert "nothing delivered in 7 days" in card.all and "dead letters" in card.all and card.buttons == ["Send again"]
    detail = await house.dana.says("webhooks ops")
    assert "provisioning.device.added" in detail.all
    assert "answered 500: something is wrong on its side" in detail.all
    for shown in (card.all, detail.all, json.dumps(card.card), json.dumps(detail.card)):
        for secret in ("t0ken", "whsec_", "/hooks"):
            assert secret not in shown
    receiver.answers()
    count = len(await letters(house))
    done = await house.dana.presses("Send again", on=detail)
    assert done.title == f"{count} events are sent again"
    assert not await letters(house)
    assert receiver.taken[0].type == "provisioning.device.added" and {t.id for t in receiver.taken} >= first
    assert "WebhookReplayed" in await house.facts("ops")
    assert "last delivered" in (await house.dana.says("webhooks")).all
    assert (await house.dana.says("webhooks again")).title == "There was nothing to send again"


async def test_an_unknown_endpoint_is_said_to_be_one(house: House) -> None:
    assert 'There is no webhook endpoint "nowhere"' in (await house.dana.says("webhooks nowhere")).all
    assert 'There is no webhook endpoint "nowhere"' in (await house.dana.says("webhooks again nowhere")).all


async def test_technicians_see_nothing_of_it(house: House) -> None:
    sam = await house.technician("Sam")
    for words in ("webhooks", "webhooks ops", "webhooks again ops"):
        assert "Only admins can do that" in (await sam.says(words)).all


# ---------------------------------------------------------------------- restarts


async def test_a_restart_loses_nothing_and_doubles_nothing_that_was_answered(house: House, receiver: Receiver) -> None:
    receiver.answers(204, always=500)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says("move 2.14 to Oslo/2/2.15")
    assert len(receiver.taken) == 1
    receiver.answers()
    async with restarted(house):
        await house.passes(minutes=6)
    assert [t.rpartition(".")[2] for t in receiver.types] == ["added", "moved"]
    assert receiver.tries[receiver.taken[0].id] == 1


async def test_a_clean_stop_waits_for_the_answer(house: House, receiver: Receiver) -> None:
    house.by_itself = False
    receiver.slow()
    async with sending(house):
        await house.dana.says(f"add {A} Oslo/2/2.14")
        await receiver.hanging.wait()
        asyncio.get_running_loop().call_later(0.05, receiver.goes_on)
    async with restarted(house):
        house.by_itself = True
        await house.passes(seconds=1)  # the endpoint was let go of, so nobody waits for a lease
    assert set(receiver.tries.values()) == {1} and receiver.types == ["provisioning.device.added"]


async def test_two_instances_send_each_event_once_and_in_order(house: House, receiver: Receiver) -> None:
    house.by_itself = False
    other = Hooks(build_provisioning(house.settings, house.store, house.clock), jitter=lambda: 0.0)
    [endpoint] = house.provisioning.policy.webhooks
    for room in range(10):
        await house.dana.says(f"add 805EC01122{room:02} Oslo/{room}")
    await asyncio.gather(*(hooks.forward(endpoint) for hooks in (house.hooks, other, house.hooks, other)[:2]))
    assert [each.event["data"]["location"] for each in receiver.got] == [f"Oslo/{room}" for room in range(10)]
    await other.close()


async def test_killed_while_the_answer_was_on_its_way_it_comes_once_more(house: House, receiver: Receiver) -> None:
    house.by_itself = False
    receiver.answers(HANGS)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    [endpoint] = house.provisioning.policy.webhooks
    task = asyncio.create_task(house.hooks.forward(endpoint))
    await receiver.hanging.wait()
    for each in (task, house.hooks._under_way["ops"]):
        each.cancel()
    await asyncio.wait({task})
    async with restarted(house):
        house.by_itself = True
        await house.passes(minutes=2)  # the lease runs out
    assert set(receiver.tries.values()) == {2} and receiver.types == ["provisioning.device.added"]


async def test_an_endpoint_that_was_taken_out_of_the_file(house: House, receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers(always=500)
    await house.dana.says(f"add {A} Oslo/2/2.14")
    private(tmp_path / "hooks", "# none\n")
    async with restarted(house):
        await house.passes(minutes=6)
    [letter] = await letters(house)
    assert (letter.failure, letter.status) == ("unknown_endpoint", MessageStatus.UNDELIVERABLE)
    private(tmp_path / "hooks", f"ops {receiver.url} {whsec()}")
    receiver.answers()
    async with restarted(house):
        await house.dana.says("webhooks again")
    assert receiver.types == ["provisioning.device.added"]


# ---------------------------------------------------------------------- many


async def test_an_import_is_one_event_and_its_undo_says_what_went(house: House, receiver: Receiver) -> None:
    rows = "\n".join(f"805EC01{n:05X};Oslo/1/{n}" for n in range(300))
    await house.dana.sends_file("list.csv", f"MAC id;Location\n{rows}")
    await house.dana.presses("Add 300")
    [event] = [each.event for each in receiver.taken if "device.added" in each.type or "import" in each.type]
    assert (event["type"], event["data"]["added"]) == ("provisioning.import.finished", 300)


async def test_a_restart_of_the_clock_is_no_matter(house: House, receiver: Receiver) -> None:
    house.clock.advance(timedelta(days=-1))
    await house.dana.says(f"add {A} Oslo/2/2.14")
    assert receiver.types == ["provisioning.device.added"]
