"""Devices that call at the same moment: saved together, and each still answered for itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from provisioning.errors import CodeRefused, Conflict, Unavailable
from provisioning.messages import MessageKind
from provisioning.model import Change, Device, State
from provisioning.ports import Store
from provisioning.service.activation import ProvisionCall, Provisioned
from provisioning.service.gathering import MOST, Gathering
from provisioning.throttle import FLEET_SLOT, known_network
from tests.provisioning.world import DANA, SAM, A, B, C, D, World, wrong


@dataclass
class Slow:
    """Saves when it is told to."""

    parts: list[Change] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def save(self, change: Change) -> None:
        self.parts.append(change)
        await self.go.acquire()
        if self.faults:
            raise self.faults.pop(0)


def touching(world: World, *macs: str) -> Change:
    now = world.clock.now()
    return Change(puts=tuple(Device(mac=mac, location="Oslo", added_at=now, added_by=DANA) for mac in macs))


async def settled(*tasks: asyncio.Task[bool]) -> list[bool]:
    return list(await asyncio.gather(*tasks))


async def begun(gathering: Gathering, *changes: Change) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(gathering.saved(change)) for change in changes]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


# ------------------------------------------------------------------ what goes together


async def test_changes_that_come_while_one_is_being_saved_are_saved_in_one_piece(world: World) -> None:
    slow = Slow()
    gathering = Gathering(slow.save)
    first = await begun(gathering, touching(world, A))
    rest = await begun(gathering, touching(world, B), touching(world, C), touching(world, D))
    assert len(slow.parts) == 1
    slow.go.release()
    slow.go.release()
    assert await settled(*first, *rest) == [True] * 4
    assert [[record.key for record in part.puts] for part in slow.parts] == [[A], [B, C, D]]


async def test_what_touches_the_same_record_never_goes_together_and_is_decided_anew(world: World) -> None:
    slow = Slow()
    gathering = Gathering(slow.save)
    tasks = await begun(gathering, touching(world, A), touching(world, A, B), touching(world, C))
    late = await begun(gathering, touching(world, C, D), touching(world, D))
    slow.go.release()
    slow.go.release()
    assert await settled(*tasks, *late) == [True, False, True, False, True]


async def test_no_more_go_together_than_hold_the_loop_for_some_milliseconds(world: World) -> None:
    slow = Slow()
    gathering = Gathering(slow.save)
    tasks = await begun(gathering, *(touching(world, f"805EC00000{n:02X}") for n in range(MOST + 1)))
    slow.go.release()
    slow.go.release()
    assert all(await settled(*tasks))
    assert [len(part.puts) for part in slow.parts] == [MOST, 1]


@pytest.mark.parametrize("fault", [Conflict(), Unavailable("away")])
async def test_the_fault_of_a_piece_is_heard_by_each_of_it_and_whoever_waits_is_saved_after(
    world: World, fault: Exception
) -> None:
    slow = Slow(faults=[fault])
    gathering = Gathering(slow.save)
    tasks = await begun(gathering, touching(world, A), touching(world, B))
    waiting = await begun(gathering, touching(world, C), touching(world, A))
    slow.go.release()
    for task in tasks:
        with pytest.raises(type(fault)):
            await task
    slow.go.release()
    assert await settled(*waiting) == [True, True]


async def test_whoever_hung_up_takes_nobody_along(world: World) -> None:
    slow = Slow()
    gathering = Gathering(slow.save)
    gone, stays = await begun(gathering, touching(world, A), touching(world, B))
    gone.cancel()
    slow.go.release()
    assert await stays
    later = await begun(gathering, touching(world, C))
    slow.go.release()
    assert await settled(*later) == [True]


async def test_what_nobody_waits_for_any_more_is_not_saved(world: World) -> None:
    slow = Slow()
    gathering = Gathering(slow.save)
    first = await begun(gathering, touching(world, A))
    gone, stays = await begun(gathering, touching(world, B), touching(world, C))
    gone.cancel()
    slow.go.release()
    slow.go.release()
    assert await settled(*first, stays) == [True, True]
    assert [[record.key for record in part.puts] for part in slow.parts] == [[A], [C]]


# ------------------------------------------------------------------ devices that call at once


@pytest.fixture
async def crowd(world: World) -> World:
    await world.add((A, "Oslo/1"), (B, "Oslo/2"), (C, "Bergen/1"), (D, "Bergen/2"))
    await world.issue("all", SAM)
    await world.delivers()
    return world


@dataclass
class Failing:
    """A store that saves no more than one device at a time, or saves and cannot say so the first time."""

    store: Store
    lost: bool = False
    activations: list[int] = field(default_factory=list)  # of each piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def save(self, change: Change) -> None:
        self.activations.append(sum(isinstance(record, Device) for record in change.puts))
        if not self.lost and self.activations[-1] > 1:
            raise Conflict
        await self.store.save(change)
        if self.lost and len(self.activations) == 1:
            raise Unavailable("the connection was lost")


async def heard(world: World, *calls: ProvisionCall) -> list[Provisioned | BaseException]:
    return await asyncio.gather(*(world.core.provision(call) for call in calls), return_exceptions=True)


async def test_a_crowd_is_activated_with_a_fact_each_and_one_message_to_its_admin(crowd: World) -> None:
    calls = [ProvisionCall(mac, await crowd.digits(mac), f"10.1.{n}.7") for n, mac in enumerate((A, B, C, D))]
    answers = await heard(crowd, *calls)
    assert [each.mac for each in answers if isinstance(each, Provisioned)] == [A, B, C, D]
    assert len({each.token for each in answers if isinstance(each, Provisioned)}) == 4
    for each in (A, B, C, D):
        assert (await crowd.device(each)).state is State.WAITING_FOR_SIGN_IN
        assert (await crowd.facts(each)).count("DeviceProvisioned") == 1
    assert len(await crowd.told(MessageKind.SIGN_INS_WAITING, DANA)) == 1


async def test_a_crowd_of_one_network_makes_it_known_once(crowd: World) -> None:
    calls = [ProvisionCall(mac, await crowd.digits(mac), "10.1.2.3") for mac in (A, B, C, D)]
    assert all(isinstance(each, Provisioned) for each in await heard(crowd, *calls))
    known = await crowd.core._attempts(known_network(crowd.core.keys, "10.1.2.3"))
    assert (known.version, known.since) == (1, crowd.clock.now())


async def test_the_same_code_at_the_same_moment_is_taken_once(crowd: World) -> None:
    call = ProvisionCall(A, await crowd.digits(A), "10.1.2.3")
    answers = await heard(crowd, *[call] * 5)
    assert sum(isinstance(each, Provisioned) for each in answers) == 1
    assert sum(isinstance(each, CodeRefused) for each in answers) == 4
    assert (await crowd.facts(A)).count("DeviceProvisioned") == 1


async def test_a_call_that_is_repeated_at_the_same_moment_is_answered_each_time(crowd: World) -> None:
    call = ProvisionCall(A, await crowd.digits(A), "10.1.2.3", retry_key="k" * 22)
    answers = await heard(crowd, *[call] * 3)
    assert all(isinstance(each, Provisioned) for each in answers)
    assert (await crowd.facts(A)).count("DeviceProvisioned") == 1


async def test_wrong_codes_in_the_crowd_are_each_counted(crowd: World) -> None:
    right = [ProvisionCall(mac, await crowd.digits(mac), "10.1.2.3") for mac in (A, B)]
    false = [ProvisionCall(mac, wrong(await crowd.digits(mac)), "10.9.2.3") for mac in (C, D)]
    answers = await heard(crowd, right[0], false[0], right[1], false[1])
    assert [type(each) for each in answers] == [Provisioned, CodeRefused, Provisioned, CodeRefused]
    fleet = await crowd.core._attempts(FLEET_SLOT)
    assert fleet.failures == 2


async def test_where_the_answer_of_the_store_is_lost_no_device_is_refused_the_code_that_it_used(crowd: World) -> None:
    """It may be saved or not. A refusal would count as a wrong code of each, which stops the network of a crowd."""
    calls = [ProvisionCall(mac, await crowd.digits(mac), f"10.1.{n}.7") for n, mac in enumerate((A, B, C))]
    crowd.core.store = Failing(crowd.store, lost=True)
    answers = [type(each) for each in await heard(crowd, *calls)]
    assert Unavailable in answers
    assert {*answers} <= {Unavailable, Provisioned}  # who was saved apart from them
    for mac in (A, B, C):
        assert "ProvisionRefused" not in await crowd.facts(mac)


async def test_where_one_of_a_piece_is_at_fault_each_is_saved_alone_at_once(crowd: World) -> None:
    calls = [ProvisionCall(mac, await crowd.digits(mac), f"10.1.{n}.7") for n, mac in enumerate((A, B, C, D))]
    crowd.core.store = failing = Failing(crowd.store)
    assert all(isinstance(each, Provisioned) for each in await heard(crowd, *calls))
    assert failing.activations.count(1) == 4
    assert sum(many > 1 for many in failing.activations) <= 2  # nobody was tried together with others twice
