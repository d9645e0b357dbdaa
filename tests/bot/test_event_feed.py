"""The stream of events through the whole service: pages, waiting, tokens; the same events as webhooks, never a code."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from bot import event_feed
from provisioning.service import streaming
from tests.bot.chat import House, open_house
from tests.receiver import Receiver, whsec
from tests.secret_files import private

TOKEN = "e" * 43
A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, EVENTS_TOKEN=TOKEN) as house:
        await house.dana.says("hi")
        yield house


class Reader:
    """Another system that follows the links."""

    def __init__(self, house: House, query: str = "") -> None:
        self.house, self.next = house, f"{event_feed.PATH}{query}"

    async def reads(self, wait: float = 0) -> list[dict[str, Any]]:
        query = f"{'&' if '?' in self.next else '?'}wait={wait}" if wait else ""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.house.http.get(self.house.url + self.next + query, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "application/cloudevents-batch+json"
            assert answer.headers["Cache-Control"] == "no-store"
            self.next = str(answer.links["next"]["url"].relative())
            events: list[dict[str, Any]] = json.loads(await answer.text())
        for event in events:
            parsed = JSONFormat().read(CloudEvent, json.dumps(event).encode())
            assert parsed.get_type() == event["type"]
        return events


async def begins_to_wait(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> asyncio.Task[list[dict[str, Any]]]:
    """The page is asked for, and the service has begun to wait for something to put on it."""
    store, opened = reader.house.provisioning.store, asyncio.Event()
    watch = store.watch

    def noticed(*topics: str) -> Any:
        opened.set()
        return watch(*topics)

    with monkeypatch.context() as patch:
        patch.setattr(store, "watch", noticed)
        waiting = asyncio.create_task(reader.reads(wait=30))
        await opened.wait()
    return waiting


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("provisioning.") for event in events]


async def test_a_day_page_by_page(house: House) -> None:
    sam = await house.technician("Sam")
    await house.dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await house.dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)
    whole = await Reader(house).reads()
    assert types(whole) == [
        "access.granted",
        *["device.added", "device.added"],
        *["code.issued", "code.issued"],
        "device.provisioned",
    ]
    reader, found = Reader(house, "?limit=4"), []
    for _page in range(3):
        found += await reader.reads()
    assert found == whole and await reader.reads() == []
    for event in whole:
        house.no_code_in(json.dumps(event), "the stream")


async def test_the_stream_tells_what_webhooks_tell(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        private(tmp_path / "hooks", f"ops {receiver.url} {whsec()}")
        settings = {"EVENTS_TOKEN": TOKEN, "WEBHOOKS_FILE": str(tmp_path / "hooks")}
        async with open_house(tmp_path, **settings) as house:
            sam = await house.technician("Sam")
            await house.dana.says(f"add {A} Oslo/2/2.14")
            await house.dana.says("issue oslo to Sam")
            await house.device(A).provision(sam.card.code)
            await sam.says("problem 2.14 wet")
            rows = "\n".join(f"805EC01{n:05X};Bergen/{n}" for n in range(30))
            await house.dana.sends_file("list.csv", f"MAC id;Location\n{rows}")
            await house.dana.presses("Add 30")
            assert await Reader(house).reads() == [got.event for got in receiver.got]
            assert receiver.types[-1] == "provisioning.import.finished"


async def test_from_now_on(house: House) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    reader = Reader(house, "?after=latest")
    assert await reader.reads() == []
    await house.dana.says("move 2.14 to Oslo/2/2.15")
    assert types(await reader.reads()) == ["device.moved"]


async def test_whoever_waits_is_woken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "ASK_AGAIN", 30.0)
    reader = Reader(house)
    await reader.reads()
    waiting = await begins_to_wait(reader, monkeypatch)
    async with asyncio.timeout(5):
        await house.dana.says(f"add {A} Oslo/2/2.14")
        assert types(await waiting) == ["device.added"]


async def test_facts_that_stay_inside_wake_nobody_with_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says("issue oslo")
    reader = Reader(house, "?after=latest")
    await reader.reads()
    waiting = await begins_to_wait(reader, monkeypatch)
    async with asyncio.timeout(10):
        await house.dana.says("code 2.14")  # that it was shown is for the audit
        await house.dana.says("move 2.14 to Oslo/2/2.15")
        assert types(await waiting) == ["device.moved"]


async def test_waiting_ends_with_the_service(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(house, "?after=latest")
    waiting = await begins_to_wait(reader, monkeypatch)
    async with asyncio.timeout(5):
        house.provisioning.release_polls()
        assert await waiting == []


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({}, "", 401, "events_token_refused"),
        ({"Authorization": "Bearer " + "x" * 43}, "", 401, "events_token_refused"),
        ({"Authorization": f"Basic {TOKEN}"}, "", 401, "events_token_refused"),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, "", 401, "events_token_refused"),
        ({}, f"?token={TOKEN}", 401, "events_token_refused"),
        *(
            ({"Authorization": f"Bearer {TOKEN}"}, query, 400, "invalid_parameter")
            for query in ("?after=x", "?after=-1", "?after=1&after=2", "?limit=0", "?limit=1001", "?limit=x", "?wait=x")
        ),
    ],
)
async def test_refusals(house: House, headers: dict[str, str], query: str, status: int, code: str) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    async with house.http.get(house.url + event_feed.PATH + query, headers=headers) as answer:
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["code"]) == (status, code)
        assert status != 401 or answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Oslo" not in json.dumps(body)


async def test_a_place_far_ahead_is_empty(house: House) -> None:
    reader = Reader(house, "?after=999999999999")
    assert await reader.reads() == []


async def test_without_a_token_there_is_nothing(tmp_path: Path) -> None:
    async with (
        open_house(tmp_path) as house,
        house.http.get(house.url + event_feed.PATH, headers={"Authorization": "Bearer "}) as answer,
    ):
        assert answer.status == 404


async def test_no_more_than_sixteen_read_at_once(house: House) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def status() -> int:
        query = "?after=latest&wait=30"
        async with house.http.get(house.url + event_feed.PATH + query, headers=headers) as answer:
            assert answer.status == 200 or answer.headers["Retry-After"] == "5"
            return answer.status

    reading = [asyncio.create_task(status()) for _reader in range(event_feed.READERS + 4)]
    done, _pending = await asyncio.wait(reading, timeout=3)
    assert [task.result() for task in done] == [429] * 4
    house.provisioning.release_polls()
    assert sorted(await asyncio.gather(*reading)) == [200] * event_feed.READERS + [429] * 4
