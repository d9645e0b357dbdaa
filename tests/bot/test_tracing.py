"""Traces: who sees which spans, what they hold, and that a collector that is away costs nothing."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.demo.people import LOCAL_ADMIN
from bot.tracing import UNTRACED
from tests.bot.chat import House, open_house
from tests.collector import Collector
from tests.connector import TENANT, FakeConnector, activity
from tests.running import Running

HOUSE = Path(__file__).parents[2]
A = "80-5E-C0-11-22-33"
INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5
TRACE, SPAN = "a1b2c3d4" * 4, "e5f6a7b8" * 2


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # milliseconds
    async with Collector() as collector:
        yield collector


@pytest.fixture
async def house(tmp_path: Path, collector: Collector) -> AsyncIterator[House]:
    async with open_house(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as house:
        await house.dana.says("hi")
        yield house


async def test_a_turn_is_a_request_that_holds_it_and_what_it_did(house: House, collector: Collector) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    turn = await collector.span("turn add")
    request = await collector.parent(turn)
    assert (request.name, request.kind, request.parent) == ("POST /api/messages", SERVER, "")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/messages",
        "http.response.status_code": 200,
    }
    assert (turn.kind, turn.attributes) == (INTERNAL, {"turn.trigger": "message", "turn.route": "add"})
    inside = collector.below(turn)
    (send,) = [span for span in inside if span.name == "teams send"]
    assert (send.kind, send.attributes) == (CLIENT, {"server.address": "127.0.0.1", "chat.kind": "personal"})
    assert ["DeviceAdded"] in [span.attributes.get("unit.facts") for span in inside if span.name == "save unit"]
    assert {span.trace for span in (request, turn, *inside)} == {request.trace}
    assert request.service["service.name"] == "provisioning-bot"
    assert request.service["service.instance.id"] == house.provisioning.instance


async def test_the_call_to_teams_carries_the_trace(house: House, collector: Collector) -> None:
    await house.dana.says("help")
    send = await collector.span("teams send")
    assert f"00-{send.trace}-{send.id}" in [call.traceparent.rpartition("-")[0] for call in house.connector.calls]


async def test_a_provision_call_is_a_request_that_saves(house: House, collector: Collector) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says(f"issue {A}")
    code = (await house.dana.says(f"code {A}")).code
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"}  # of a trusted proxy, as loopback is in local mode
    body = {"mac": A, "code": code}
    async with house.http.post(f"{house.url}/api/v1/provision", json=body, headers=headers) as answer:
        assert answer.status == 200
    request = await collector.span("POST /api/v1/provision")
    assert (request.trace, request.parent) == (TRACE, SPAN)
    (saved,) = [span for span in collector.below(request) if "DeviceProvisioned" in span.attributes["unit.facts"]]
    assert saved.name == "save unit" and saved.attributes["unit.records"] >= 1


async def test_sign_ins_ask_the_provider_within_the_turn(house: House, collector: Collector) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says(f"issue {A}")
    code = (await house.dana.says(f"code {A}")).code
    await house.device(A).provision(code)
    await house.dana.says("sign in 2.14 as room-2.14@contoso.com")
    begin = await collector.span("identity provider begin")
    assert begin.kind == CLIENT and not begin.failed
    turn = await collector.parent(begin)
    assert turn.name.startswith("turn ")


async def test_what_fails_says_its_class_alone(
    house: House, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"no room for {A}")

    house.expected_errors |= {"a turn failed"}
    monkeypatch.setattr("bot.door.Door._search", broken)
    await house.dana.searches("2.14")
    turn = await collector.span("turn search")
    assert turn.failed and turn.attributes["error.type"] == "RuntimeError"


async def test_no_span_holds_who_or_what_it_was_about(house: House, collector: Collector) -> None:
    sam = await house.technician("Sam")
    await house.dana.says(f"add {A} Oslo/2/2.14")
    await house.dana.says(f"issue {A} to Sam")
    code = (await house.dana.says(f"code {A}")).code
    await house.device(A).provision("123456789010")
    await house.device(A).provision(code)
    await collector.span("POST /api/v1/provision")
    await house.dana.says("devices")
    await collector.span("turn devices")
    told = repr([(span.name, span.attributes) for span in collector.spans])
    for word in (code, "805EC0112233", A, sam.object_id, sam.teams_id, sam.conversation, "Sam", "Oslo", "2.14", "Dana"):
        assert word not in told, word


async def test_machines_that_ask_all_day_are_not_traced(house: House, collector: Collector) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/version", "/openapi.json"):
        async with house.http.get(house.url + path) as answer:
            assert answer.status == 200
    await collector.span("GET /openapi.json")
    assert not [span.name for span in collector.spans if span.name[4:] in UNTRACED]


# ------------------------------------------------------------------ the real service


FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds between two batches


async def test_a_message_of_the_outbox_is_linked_to_the_unit_that_queued_it(
    tmp_path: Path, collector: Collector
) -> None:
    alex = {"id": "29:alex", "name": "Alex", "aadObjectId": LOCAL_ADMIN.aad_object_id}
    sam = {"id": "29:sam", "name": "Sam", "aadObjectId": "00000000-0000-4000-8000-00000000005a"}
    said = [(alex, "hi"), (sam, "hi"), (alex, f"grant {sam['aadObjectId']} technician")]
    said += [(alex, f"add {A} Oslo/2/2.14"), (alex, f"issue {A} to Sam")]
    async with (
        Running(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **FAST) as service,
        FakeConnector() as connector,
    ):
        for person in (alex, sam):
            connector.knows(person["id"], name=person["name"], aadObjectId=person["aadObjectId"])
        async with aiohttp.ClientSession() as client:
            for number, (person, text) in enumerate(said):
                place = {"id": f"a:{person['id']}", "conversationType": "personal", "tenantId": TENANT}
                sent = activity(connector, text=text, id=f"170000000000{number}", from_=person, conversation=place)
                async with client.post(f"{service.url}/api/messages", json=sent) as answer:
                    assert answer.status == 200
        await collector.span("deliver new_jobs")
        await service.stop()
    delivered = [span for span in collector.spans if span.name.startswith("deliver ")]
    saved = {span.id for span in collector.spans if span.name == "save unit"}
    assert delivered, {span.name for span in collector.spans}
    assert all(span.kind == CONSUMER and span.parent == "" for span in delivered)
    assert [link for span in delivered for link in span.links if link in saved]


@pytest.mark.parametrize("trouble", ["hangs", "refuses", "is away"])
async def test_a_collector_in_trouble_is_told_once_and_holds_up_neither_turn_nor_end(
    tmp_path: Path, collector: Collector, trouble: str
) -> None:
    collector.hangs, collector.refuses = trouble == "hangs", trouble == "refuses"
    endpoint = "http://127.0.0.1:9" if trouble == "is away" else collector.url
    async with Running(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **FAST) as service, FakeConnector() as connector:
        async with aiohttp.ClientSession() as client:
            for number in range(40):
                sent = activity(connector, text="help", id=f"17000000000{number}")
                async with client.post(f"{service.url}/api/messages", json=sent) as answer:
                    assert answer.status == 200
                if number % 10 == 0:
                    await asyncio.sleep(0.1)  # so that several batches are tried
        for _ in range(200):
            if "traces are not taken" in service.logged:
                break
            await asyncio.sleep(0.05)
        took = await service.stop()
        log = service.logged
    assert took < 8
    assert log.count("traces are not taken") == 1, log
    assert "Traceback" not in log


def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys\n"
        "from bot.composition import build_traces\n"
        "from bot.settings import load_settings\n"
        "from bot.untraced import Untraced\n"
        "assert type(build_traces(load_settings({}, None), None)) is Untraced\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
