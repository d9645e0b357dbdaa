"""Codes that devices present, in `/metrics`: what came of each, how much of the limits is used, an attack."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.measuring import _heard
from bot.metric_labels import Heard
from provisioning import throttle
from provisioning.bookkeeping import Attempts
from provisioning.errors import CodeRefused, SlowDown, Unavailable
from provisioning.model import Change
from provisioning.service.activation import ProvisionCall
from provisioning.throttle import EXEMPT_SLOT, FLEET, FLEET_SLOT
from tests.bot.chat import House, open_house
from tests.bot.test_metrics import of
from tests.provisioning.world import wrong

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


async def counted(house: House) -> dict[str, float]:
    page = await of(house)
    return {heard: n for heard in Heard if (n := page.get(f"provision_calls_total{{{heard}}}", 0))}


async def test_each_answer_is_counted_once(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        await house.dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
        await house.technician("Sam")
        await house.dana.says("issue oslo to Sam")
        a, b = house.device(A), house.device(B)
        codes = {}
        for mac in (A, B):
            record = await house.record(mac)
            assert record.code is not None
            codes[mac] = house.keys.unseal(record.mac, record.code)
        assert (await a.provision(codes[A], retry_key="k" * 22)).status == 200
        assert (await a.provision(codes[A], retry_key="k" * 22)).status == 200
        assert (await a.provision(codes[A])).status == 403
        assert (await a.provision("1")).status == 422
        assert (await a.provision(codes[A], mac="80")).status == 422
        for _ in range(6):
            await b.provision(wrong(codes[B]))
        assert (await b.provision(codes[B])).status == 429
        house.clock.advance(throttle.PAIR.window)
        assert (await b.provision(codes[B])).status == 410
        assert await counted(house) == {
            Heard.ACCEPTED: 1,
            Heard.REPEATED: 1,
            Heard.REFUSED: 7,
            Heard.INVALID: 2,
            Heard.SLOWED_PAIR: 1,
            Heard.EXPIRED: 1,
        }
        page = await of(house)
        assert page["code_budget_used_ratio{exempt}"] == pytest.approx(1 / 600)
        assert page["attack_began_timestamp_seconds{}"] == 0


async def test_an_attack_shows_and_ends(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        row = Attempts(slot=FLEET_SLOT, failures=FLEET.free - 1, since=house.clock.now())
        await house.store.save(Change(puts=(row, replace(row, slot=EXEMPT_SLOT, failures=100))))
        with pytest.raises(CodeRefused):
            await house.provisioning.provision(ProvisionCall("805EC0FF0001", "000000000000", "10.1.1.1"))
        page = await of(house)
        assert (page["code_budget_used_ratio{fleet}"], page["code_budget_used_ratio{exempt}"]) == (1, 100 / 600)
        assert page["attack_began_timestamp_seconds{}"] == house.clock.now().timestamp()


async def test_a_code_that_died_of_wrong_ones_is_counted(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        await house.dana.says(f"add {A} Oslo/2/2.14")
        await house.technician("Sam")
        await house.dana.says("issue oslo to Sam")
        record = await house.record(A)
        assert record.code is not None
        code = wrong(house.keys.unseal(record.mac, record.code))
        for n in range(100):
            with pytest.raises(CodeRefused):
                await house.provisioning.provision(ProvisionCall(A, code, f"10.{n}.1.1"))
        assert (await of(house))["codes_locked_total{}"] == 1


@pytest.mark.parametrize("limit", [throttle.PAIR, throttle.NETWORK, throttle.FLEET, throttle.EXEMPT])
def test_every_limit_has_its_label(limit: throttle.Limit) -> None:
    assert _heard(SlowDown(3, limit.name)) == f"slowed_{limit.name}"


def test_a_fault_is_no_refusal() -> None:
    assert _heard(Unavailable("away")) is Heard.FAULT
