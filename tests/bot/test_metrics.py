"""The metrics: their names, their labels, who may read them, and that they count right."""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import chain
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bot.limits import Network
from bot.measuring import RESULTS, CountingStore, Measures, TimedMessenger, TimedReceiver
from bot.metric_labels import LABELS, OWN, Call, Lane, Origin, Outcome, Result, Ways
from bot.metrics import METRICS, PREFIX, Metrics
from bot.metrics_page import READ_EVERY, READ_ROWS, Page
from bot.turn import Answer, Chat, Incoming, Sender, Trigger
from provisioning.conversations import Conversation
from provisioning.delivery_errors import Blocked, DeliveryError, Throttled
from provisioning.errors import Conflict, Duplicate, StoreError, TextTooLong, Unavailable, UnreadableText
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change
from provisioning.notifications import tell
from provisioning.ports import Message, Messenger, Store
from provisioning.ports import Page as Rows
from provisioning.provider_errors import AuthorizationDeclined
from provisioning.service import Provisioning
from storage.memory_store import MemoryStore
from tests.bot.chat import House, open_house
from tests.connector import Fault
from tests.fakes import FakeClock
from tests.monitoring import rules
from tests.provisioning.world import KEYS, POLICY, SAM, chat_of
from tests.readme import README

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"
Client = TestClient[web.Request, web.Application]
LOOPBACK = (ip_network("127.0.0.0/8"),)

# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_wants(metric) -> None:
    """https://prometheus.io/docs/practices/naming/: one prefix, snake case, base units, counters end in _total."""
    assert re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)+", metric.name)
    assert metric.name.endswith("_total") is (metric.kind is Counter)
    if metric.kind is Histogram:
        assert metric.name.endswith("_seconds") and list(metric.bounds) == sorted(set(metric.bounds))
    if metric.kind is Gauge:
        units = ("_seconds", "_messages", "_bytes", "_devices", "_codes", "_polls", "_sign_ins", "_faults", "_ratio")
        assert metric.name.endswith((*units, "_info"))
    assert metric.help.endswith(".")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_its_labels_hold_few_values_all_known_beforehand(metric) -> None:
    assert set(metric.labels) <= LABELS.keys() | OWN
    series = math.prod(len(LABELS.get(label, ["one"])) for label in metric.labels)
    assert series * (len(metric.bounds) + 2 if metric.kind is Histogram else 1) <= 1500


def test_no_label_can_hold_a_person_a_mac_or_a_conversation() -> None:
    metrics = Metrics(FakeClock())
    for value in ("805EC0112233", SAM, "19:x@thread.tacv2", ""):
        with pytest.raises(ValueError, match="lane"):
            metrics.observe("outbox_delivery_seconds", 1, lane=value)
    with pytest.raises(ValueError, match="no Counter"):
        metrics.count("outbox_delivery_seconds", lane=Lane.CHAT)


def test_every_turn_and_every_failed_call_has_its_label() -> None:
    assert set(Ways) == set(Trigger) - {Trigger.NOTICE}
    assert set(DeliveryError.__subclasses__()) == set(RESULTS)


# ------------------------------------------------------------------ who may read


class Deployment:
    """A service of which the page is asked; the store may be away."""

    def __init__(self, start: Callable[[web.Application], Awaitable[Client]]) -> None:
        self.clock, self.store, self._start, self.seconds = FakeClock(), MemoryStore(), start, 0.0
        self.metrics = Metrics(self.clock)
        self.faults: list[str] = []

    async def check(self) -> Sequence[str]:
        return self.faults

    async def client(self, trusted: Sequence[Network] = LOOPBACK, proxies: Sequence[Network] = ()) -> Client:
        page = Page(
            self.metrics,
            self.store,
            trusted,
            proxies,
            clock=self.clock,
            check=self.check,
            now=lambda: self.seconds,
        )
        app = web.Application()
        app.router.add_get("/metrics", page.answer)
        return await self._start(app)


@pytest.fixture
def deployment(aiohttp_client: Callable[[web.Application], Awaitable[Client]]) -> Deployment:
    return Deployment(aiohttp_client)


@pytest.mark.parametrize(
    ("trusted", "proxies", "claimed", "status"),
    [
        ("127.0.0.0/8", "", "", 200),
        ("10.0.0.0/8", "", "", 403),
        ("10.0.0.0/8", "", "10.1.2.3", 403),  # nobody trusts whoever claims that
        ("10.0.0.0/8", "127.0.0.0/8", "10.1.2.3", 200),
        ("127.0.0.0/8", "127.0.0.0/8", "192.0.2.1", 403),  # the proxy is trusted, its client is not
        ("10.0.0.0/8", "127.0.0.0/8", "10.1.2.3, 192.0.2.1", 403),  # left of it stands the client's own claim
        ("::1/128", "127.0.0.0/8", "nonsense", 403),
    ],
)
async def test_trusted_networks_alone(
    deployment: Deployment, trusted: str, proxies: str, claimed: str, status: int
) -> None:
    client = await deployment.client([ip_network(trusted)], [ip_network(proxies)] if proxies else ())
    answer = await client.get("/metrics", headers={"X-Forwarded-For": claimed} if claimed else {})
    assert answer.status == status
    assert ("python_info" in await answer.text()) is (status == 200)


async def test_the_page_is_prometheus_text_or_openmetrics(deployment: Deployment) -> None:
    client = await deployment.client()
    deployment.metrics.count("connector_throttled_total", origin=Origin.TURN)
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain" and answer.headers["Cache-Control"] == "no-store"
    names = {family.name for family in text_string_to_metric_families(await answer.text())}
    assert {PREFIX + metric.name.removesuffix("_total") for metric in METRICS} <= names
    assert "python_gc_objects_collected" in names
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert [family.name for family in openmetrics(await answer.text()) if "throttled" in family.name]


# ------------------------------------------------------------------ what waits


def waiting(clock: FakeClock, recipient: str = SAM, **more: object) -> OutboxMessage:
    return replace(tell(MessageKind.NEW_JOBS, recipient, "", clock.now()), **{"unique": "", **more})


async def scraped(client: Client) -> Mapping[str, float]:
    return values(await (await client.get("/metrics")).text())


def values(text: str) -> dict[str, float]:
    def name(sample: Sample) -> str:
        labels = ",".join(sample.labels[label] for label in sorted(sample.labels))
        return f"{sample.name}{{{labels}}}".removeprefix(PREFIX)

    return {name(sample): sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


async def test_depth_and_age_are_told_apart_by_lane(deployment: Deployment) -> None:
    clock, client = deployment.clock, await deployment.client()
    event = waiting(clock, "hook:itsm", kind=MessageKind.WEBHOOK, status=MessageStatus.OUTGOING)
    told = [waiting(clock), waiting(clock, "19:oslo@thread.tacv2"), waiting(clock, kind=MessageKind.EDIT), event]
    await deployment.store.save(Change(puts=tuple(told)))
    clock.advance(timedelta(seconds=90))
    await deployment.store.save(Change(puts=(waiting(clock),)))
    now = await scraped(client)
    assert [now[f"outbox_waiting_messages{{{lane}}}"] for lane in Lane] == [2, 1, 1, 1, 0]
    assert [now[f"outbox_oldest_waiting_seconds{{{lane}}}"] for lane in Lane] == [90, 90, 90, 90, 0]
    assert now["outbox_read_timestamp_seconds{}"] == clock.now().timestamp()


async def test_what_waits_for_its_time_is_old_and_not_late(deployment: Deployment) -> None:
    clock, client = deployment.clock, await deployment.client()
    now = clock.now()
    held = waiting(clock, due_at=now + timedelta(hours=10))
    under_way = waiting(clock, leased_until=now + timedelta(hours=1))
    due = waiting(clock, "19:oslo@thread.tacv2", due_at=now + timedelta(seconds=60))
    await deployment.store.save(Change(puts=(held, under_way, due)))
    clock.advance(timedelta(seconds=90))
    page = await scraped(client)
    assert (page["outbox_oldest_waiting_seconds{chat}"], page["outbox_overdue_seconds{chat}"]) == (90, 0)
    assert page["outbox_overdue_seconds{channel}"] == 30


async def test_what_was_read_is_good_for_some_seconds(deployment: Deployment) -> None:
    client = await deployment.client()
    await scraped(client)
    await deployment.store.save(Change(puts=(waiting(deployment.clock),)))
    assert (await scraped(client))["outbox_waiting_messages{chat}"] == 0
    deployment.seconds = READ_EVERY
    assert (await scraped(client))["outbox_waiting_messages{chat}"] == 1


async def test_a_long_queue_is_counted_whole_and_told_apart_at_its_head(deployment: Deployment) -> None:
    client = await deployment.client()
    for _part in range(3):
        await deployment.store.save(Change(puts=tuple(waiting(deployment.clock) for _ in range(500))))
    now = await scraped(client)
    assert (now["outbox_waiting_messages{chat}"], now["outbox_waiting_messages{beyond}"]) == (
        READ_ROWS,
        1500 - READ_ROWS,
    )


class Away(MemoryStore):
    async def count(self, *_: object, **__: object) -> int:
        raise Unavailable("gone")


class Slow(MemoryStore):
    async def find(self, *_: object, **__: object) -> Rows:
        await FakeClock().sleep(1)
        raise AssertionError


@pytest.mark.parametrize("store", [Away, Slow])
async def test_while_the_store_is_away_or_slow_the_page_shows_what_was_read_before(
    deployment: Deployment, store: type[MemoryStore]
) -> None:
    deployment.metrics.waits(3, [waiting(deployment.clock)] * 3)
    deployment.store = store()
    began = datetime.now(UTC)
    assert (await scraped(await deployment.client()))["outbox_waiting_messages{chat}"] == 3
    assert datetime.now(UTC) - began < timedelta(seconds=2)


# ------------------------------------------------------------------ counting


class Deaf:
    """A messenger that answers as it is told to."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = list(answers)

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_calls_are_counted_by_how_they_ended(deployment: Deployment) -> None:
    times = iter([0.0, 0.2, 1.0, 1.3, 2.0, 2.1, 3.0, 3.1])
    deaf: Messenger = Deaf("1", Throttled(3), Blocked(), RuntimeError())  # type: ignore[assignment]
    messenger = TimedMessenger(deaf, deployment.metrics, Origin.OUTBOX, now=lambda: next(times))
    assert await messenger.send(chat_of(SAM), Message("hi")) == "1"
    for wrong in (Throttled, Blocked, RuntimeError):
        with pytest.raises(wrong):
            await messenger.send(chat_of(SAM), Message("hi"))
    now = await scraped(await deployment.client())
    counts = {r: now.get(f"connector_call_seconds_count{{{Call.SEND},{Origin.OUTBOX},{r}}}", 0) for r in Result}
    assert {result: count for result, count in counts.items() if count} == {
        Result.OK: 1,
        Result.THROTTLED: 1,
        Result.UNREACHABLE: 1,
        Result.OTHER: 1,
    }
    assert now["connector_throttled_total{outbox}"] == 1
    assert now["connector_call_seconds_bucket{send,0.25,outbox,ok}"] == 1


async def test_a_message_is_counted_at_each_step_once(deployment: Deployment) -> None:
    clock = deployment.clock
    store = CountingStore(deployment.store, deployment.metrics)
    await store.save(Change(puts=(waiting(clock, unique="x"),)))
    await store.save(Change(puts=(waiting(clock, unique="x"),)))  # one is enough: the store leaves this one out
    (message,) = await store.claim(clock.now(), timedelta(seconds=60), 8)
    tried = replace(message, attempts=1, leased_until=None)
    await store.save(Change(puts=(tried,)))
    (message,) = await store.claim(clock.now(), timedelta(seconds=60), 8)
    await store.save(Change(puts=(replace(message, leased_until=None),)))  # put off for the pace's sake
    clock.advance(timedelta(seconds=20))
    (message,) = await store.claim(clock.now(), timedelta(seconds=60), 8)
    await store.save(Change(puts=(replace(message, status=MessageStatus.SENT, settled_at=clock.now()),)))
    now = await scraped(await deployment.client())
    counted = {outcome: now.get(f"outbox_messages_total{{new_jobs,{outcome}}}", 0) for outcome in Outcome}
    assert {outcome: count for outcome, count in counted.items() if count} == {
        Outcome.QUEUED: 2,
        Outcome.TAKEN: 1,
        Outcome.RETRIED: 1,
        Outcome.SENT: 1,
    }
    assert now["outbox_delivery_seconds_sum{chat}"] == 20


async def test_an_event_for_an_endpoint_is_counted_too(deployment: Deployment) -> None:
    clock, store = deployment.clock, CountingStore(deployment.store, deployment.metrics)
    event = waiting(clock, "hook:itsm", kind=MessageKind.WEBHOOK, status=MessageStatus.OUTGOING)
    await store.save(Change(puts=(event,)))
    tried = replace(event, attempts=1, version=1)
    await store.save(Change(puts=(tried,)))
    await store.save(Change(puts=(replace(tried, version=2, status=MessageStatus.SENT, settled_at=clock.now()),)))
    now = await scraped(await deployment.client())
    assert [now[f"outbox_messages_total{{webhook,{outcome}}}"] for outcome in ("queued", "retried", "sent")] == [
        1,
        1,
        1,
    ]
    assert now["outbox_delivery_seconds_count{webhook}"] == 1


async def test_what_was_not_saved_is_not_counted(deployment: Deployment) -> None:
    store = CountingStore(deployment.store, deployment.metrics)
    message = waiting(deployment.clock)
    await store.save(Change(puts=(message,)))
    with pytest.raises(Exception, match="faster"):
        await store.save(Change(puts=(replace(message, version=7, status=MessageStatus.DROPPED),)))
    now = await scraped(await deployment.client())
    assert "outbox_messages_total{new_jobs,dropped}" not in now


def test_everything_else_passes_through(deployment: Deployment) -> None:
    store = CountingStore(deployment.store, deployment.metrics)
    asked = [name for name in vars(Store) if not name.startswith("_")]
    assert asked and all(callable(getattr(store, name)) for name in asked)


# ------------------------------------------------------------------ a story


async def of(house: House) -> dict[str, float]:
    async with house.http.get(f"{house.url}/metrics") as answer:
        assert answer.status == 200
        return values(await answer.text())


async def test_a_story_is_counted_right(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        sam = await house.technician("Sam")
        await house.dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
        before = await of(house)
        house.connector.troubled(sam.conversation, Fault(429, {"Retry-After": "5"}))
        await house.dana.says("issue oslo to Sam")
        await house.passes(seconds=30)
        card = await house.dana.says("device 2.14")
        await house.dana.presses("New code", on=card)
        house.connector.troubled(sam.conversation, *[Fault(403)] * 9)
        await house.dana.says("reissue 2.16")
        await house.passes(seconds=30)
        after = await of(house)
        outbox = {
            (kind, outcome): after.get(name, 0) - before.get(name, 0)
            for kind in MessageKind
            for outcome in Outcome
            if (name := f"outbox_messages_total{{{kind},{outcome}}}") in after
        }
        assert outbox["new_jobs", "retried"] == 1
        assert outbox["new_jobs", "sent"] >= 1
        assert outbox["new_jobs", "undeliverable"] >= 1
        assert outbox["unreachable", "sent"] == 1
        assert outbox["edit", "edited"] >= 1
        assert after["outbox_waiting_messages{chat}"] == 0
        assert after["turn_seconds_count{message}"] - before["turn_seconds_count{message}"] == 3
        assert after["turn_seconds_count{press}"] - before.get("turn_seconds_count{press}", 0) == 1
        assert (
            after["connector_call_seconds_count{send,turn,ok}"] > before["connector_call_seconds_count{send,turn,ok}"]
        )
        assert not [name for name in after if "805E" in name or "19:" in name or sam.object_id in name]


class Broken:
    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        raise OSError


async def test_a_turn_that_ends_with_a_fault_is_counted(deployment: Deployment) -> None:
    times = iter([1.0, 1.3])
    receiver = TimedReceiver(Broken(), deployment.metrics, now=lambda: next(times))
    person = Sender("29:x", "x", "t")
    with pytest.raises(OSError):
        await receiver.receive(Incoming(Trigger.PRESS, "1", chat_of(SAM), person), None)  # type: ignore[arg-type]
    now = await scraped(await deployment.client())
    assert now["turn_faults_total{press}"] == 1
    assert now["turn_seconds_sum{press}"] == pytest.approx(0.3)


# ------------------------------------------------------------------ the store, devices, sign-ins


async def test_what_the_store_holds_and_whether_the_service_is_ready(deployment: Deployment) -> None:
    deployment.faults = ["The disk is full.", "The clock is off."]
    page = await scraped(await deployment.client())
    assert (page["listed_devices{signed_in}"], page["live_codes{}"], page["open_sign_ins{}"]) == (0, 0, 0)
    assert page["readiness_faults{}"] == 2
    assert page["store_read_timestamp_seconds{}"] == deployment.clock.now().timestamp()
    assert (page["store_verified_timestamp_seconds{}"], page["swept_timestamp_seconds{}"]) == (0, 0)


async def test_a_check_that_breaks_is_a_fault(deployment: Deployment) -> None:
    async def breaks() -> Sequence[str]:
        raise OSError

    deployment.check = breaks  # type: ignore[method-assign]
    assert (await scraped(await deployment.client()))["readiness_faults{}"] == 1


async def test_counters_of_few_series_begin_with_0(deployment: Deployment) -> None:
    page = await scraped(await deployment.client())
    assert page["turn_faults_total{press}"] == page["facts_total{DeviceProvisioned}"] == 0
    assert page["sign_ins_total{begun}"] == page["sign_in_failures_total{wrong_account}"] == 0


async def test_the_page_says_what_runs_here(tmp_path: Path) -> None:
    async with open_house(tmp_path, CODE_DIGITS="8") as house:
        text = await (await house.http.get(f"{house.url}/metrics")).text()
        page = await of(house)
    (info,) = [line for line in text.splitlines() if line.startswith("provisioning_build_info{")]
    assert f'process="{house.provisioning.instance}"' in info and 'mode="local"' in info
    assert page["guess_try_ratio{}"] == pytest.approx(1e-7)
    assert page["guess_day_bound_ratio{}"] == pytest.approx(172_800 / 1e7)


async def test_devices_codes_and_facts_are_counted(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        await house.technician("Sam")
        await house.dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
        await house.dana.says("issue oslo to Sam")
        code = (await house.dana.says(f"code {A}")).code
        assert (await house.device(A).provision(code)).status == 200
        assert (await house.device(B).provision("123456789010")).status in (403, 422)
        page = await of(house)
    assert page["listed_devices{waiting_for_activation}"] == page["listed_devices{waiting_for_sign_in}"] == 1
    assert (page["live_codes{}"], page["problem_devices{}"], page["installed_devices{}"]) == (1, 0, 0)
    assert [page[f"facts_total{{{fact}}}"] for fact in ("DeviceAdded", "CodeIssued", "DeviceProvisioned")] == [2, 2, 1]
    assert page["store_save_seconds_count{ok}"] > 5


async def test_sign_ins_are_counted_from_their_beginning_to_their_end(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        await house.dana.says(f"add {A} Oslo/2/2.14")
        await house.dana.says(f"issue {A}")
        code = (await house.dana.says(f"code {A}")).code
        await house.device(A).provision(code)
        await house.dana.says("sign in 2.14 as room-2.14@contoso.com")
        house.provider.answers(house.user_codes[-1], AuthorizationDeclined())
        assert (await of(house))["open_sign_ins{}"] == 1
        house.clock.advance(timedelta(seconds=20))
        await house.polls()
        await house.dana.says("sign in 2.14 as room-2.14@contoso.com")
        house.provider.approved(house.user_codes[-1], "room-2.14@contoso.com")
        house.clock.advance(timedelta(seconds=40))
        await house.polls()
        page = await of(house)
    assert [page[f"sign_ins_total{{{flow}}}"] for flow in ("begun", "declined", "signed_in")] == [2, 1, 1]
    assert page["sign_in_failures_total{access_denied}"] == 1
    assert (page["sign_in_seconds_sum{declined}"], page["sign_in_seconds_sum{signed_in}"]) == (20, 40)


class Beaten(MemoryStore):
    def __init__(self, *faults: StoreError) -> None:
        super().__init__()
        self.faults = list(faults)

    async def save(self, change: Change) -> None:
        if self.faults:
            raise self.faults.pop(0)
        await super().save(change)


async def test_units_are_timed_by_what_became_of_them(deployment: Deployment) -> None:
    times = iter([0.0, 0.1, 1.0, 1.2, 2.0, 2.3, 3.0, 3.4])
    beaten = Beaten(Conflict(), Duplicate("unique", "x"), Unavailable("gone"))
    store = CountingStore(beaten, deployment.metrics, now=lambda: next(times))
    for _ in range(3):
        with pytest.raises(StoreError):
            await store.save(Change())
    await store.save(Change())
    page = await scraped(await deployment.client())
    assert page["store_save_seconds_sum{conflict}"] == pytest.approx(0.3)
    assert page["store_save_seconds_sum{unavailable}"] == pytest.approx(0.3)
    assert page["store_save_seconds_sum{ok}"] == pytest.approx(0.4)


async def test_what_somebody_sent_and_no_store_can_keep_is_no_fault_of_the_store(deployment: Deployment) -> None:
    store = CountingStore(deployment.store, deployment.metrics)
    for text, refusal in (("\x00", UnreadableText), ("x" * 70_000, TextTooLong)):
        with pytest.raises(refusal):
            await store.save(Change(puts=(replace(waiting(deployment.clock), subject=text),)))
    page = await scraped(await deployment.client())
    assert (page["store_save_seconds_count{refused}"], page["store_save_seconds_count{other}"]) == (2, 0)
    (alarmed,) = [rule["expr"] for rule in rules() if rule["alert"] == "ProvisioningStoreFault"]
    assert "refused" not in alarmed


async def test_the_event_loop_s_lag_is_felt(deployment: Deployment) -> None:
    core = Provisioning(deployment.store, deployment.clock, KEYS, POLICY)
    measures = Measures(core)
    watching = asyncio.create_task(measures.loop_lag(0.01))
    await asyncio.sleep(0)
    await asyncio.to_thread(time.sleep, 0.05)
    time.sleep(0.1)  # noqa: ASYNC251 - the loop is kept from others, which is what is measured
    await asyncio.sleep(0.02)
    watching.cancel()
    page = values(measures.metrics.page("")[0].decode())
    assert 0.05 < page["event_loop_lag_seconds_sum{}"] < 5


def test_readme_lists_every_metric() -> None:
    part = README.read_text(encoding="utf-8").partition("### Metrics and the ledger")[2].partition("\n### ")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in part.splitlines() if row.startswith("| `")]
    assert sorted(chain(*rows)) == sorted(metric.name for metric in METRICS)
