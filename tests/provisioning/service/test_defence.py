"""An attack on the codes of the whole fleet: it is noticed, told once, decided about, and over one day."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from provisioning.bookkeeping import Attempts
from provisioning.defence import COUNTED, NAMED, note
from provisioning.errors import CodeRefused, Forbidden, SlowDown
from provisioning.messages import MessageKind
from provisioning.model import Change
from provisioning.service import Provisioning
from provisioning.service.guarding import NetworkTrusted, NetworkUnreadable
from provisioning.throttle import EXEMPT_SLOT, FLEET, FLEET_SLOT
from tests.provisioning.world import DANA, KEYS, LEE, POLICY, SAM, A, B, C, World, member

TRUSTED = replace(POLICY, trusted_networks=(ip_network("192.168.0.0/16"),))


@pytest.fixture
async def listed(world: World) -> World:
    """2.14 has a live code; 599 wrong codes were counted in these ten minutes."""
    world.core = Provisioning(world.store, world.clock, KEYS, TRUSTED)
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"), (C, "Oslo/3"))
    await world.issue("oslo", SAM)
    await world.delivers()
    await nearly(world)
    return world


async def nearly(world: World, slot: str = FLEET_SLOT, failures: int = FLEET.free - 1) -> None:
    """One wrong code less than the fleet bears."""
    known = await world.store.get(Attempts, slot) or Attempts(slot=slot)
    spent = replace(known, failures=failures, since=world.clock.now(), blocked_until=None, networks=44)
    await world.store.save(Change(puts=(spent,)))


async def guess(world: World, source: str, mac: str = A) -> str:
    """One wrong code from there: what limit it met, or that it was refused."""
    try:
        await world.calls(mac, "000000000000", source)
    except CodeRefused:
        return "refused"
    except SlowDown as refusal:
        return refusal.limit
    raise AssertionError("a wrong code was accepted")


async def attacks(world: World) -> list[str]:
    return await world.facts("attack")


# ------------------------------------------------------------------ it begins


async def test_the_six_hundredth_wrong_code_is_an_attack_and_the_admins_hear_once(listed: World) -> None:
    await listed.core.meet(member(LEE, "Lee Moe"), None)
    assert await guess(listed, "10.9.1.1") == "refused"
    assert await attacks(listed) == ["AttackBegan"]
    assert [(m.recipient, m.subject) for m in await listed.told(MessageKind.ATTACK)] == [(DANA, "attack")]
    for n in range(20):
        assert await guess(listed, f"10.9.{n}.1") == "fleet"
    assert await attacks(listed) == ["AttackBegan"]
    assert len(await listed.told(MessageKind.ATTACK)) == 1
    siege = await listed.core.siege(await listed.dana())
    assert (siege.failures, siege.networks, siege.device_count) == (600, 45, 1)
    assert [device.mac for device in siege.devices] == [A]
    assert siege.attack.shut_until == listed.clock.now() + timedelta(minutes=10)


async def test_who_is_turned_away_costs_the_store_nothing_until_the_next_sweep(listed: World) -> None:
    await guess(listed, "10.9.1.1")
    before = (await listed.store.find(Attempts, limit=1000)).rows
    for n in range(200):
        await guess(listed, f"10.{n % 20}.7.1")
    assert (await listed.store.find(Attempts, limit=1000)).rows == before
    await listed.core.sweep()
    siege = await listed.core.siege(await listed.dana())
    assert len(siege.attack.turned) == NAMED
    assert {each.calls for each in siege.attack.turned} == {10}
    assert siege.asked == siege.attack.turned[0]


def test_whom_an_instance_remembers_is_bounded_and_the_most_frequent_stay() -> None:
    calls: dict[tuple[str, bool], int] = {}
    for n in range(5000):
        note(calls, f"10.{n % 250}.{n % 7}.0/24", exempt=False)
        note(calls, "10.99.99.0/24", exempt=False)
        assert len(calls) <= COUNTED
    assert max(calls, key=calls.__getitem__) == ("10.99.99.0/24", False)
    assert sum(calls.values()) == 10_000


async def test_the_networks_are_counted_without_a_list_of_them(listed: World) -> None:
    await nearly(listed, failures=0)
    await listed.store.save(Change(puts=(replace(await _row(listed, FLEET_SLOT), networks=0, since=None),)))
    for n in range(30):
        await guess(listed, f"10.9.{n % 3}.1", mac=f"805EC0AA{n:04X}")
    fleet = await _row(listed, FLEET_SLOT)
    assert (fleet.failures, fleet.networks) == (30, 3)
    listed.later(minutes=10)
    await guess(listed, "10.9.1.1", mac="805EC0AA9999")
    fleet = await _row(listed, FLEET_SLOT)
    assert (fleet.failures, fleet.networks) == (1, 1)


async def _row(world: World, slot: str) -> Attempts:
    row = await world.store.get(Attempts, slot)
    assert row is not None
    return row


# ------------------------------------------------------------------ what an admin says


async def test_allowed_a_network_gets_through_for_a_day_and_shares_the_second_budget(listed: World) -> None:
    await guess(listed, "10.9.1.1")
    assert await guess(listed, "10.7.7.7") == "fleet"
    assert await listed.core.allow_network(await listed.dana(), "10.7.7.0/24") == "10.7.7.0/24"
    assert await guess(listed, "10.7.7.7") == "refused"
    assert (await _row(listed, EXEMPT_SLOT)).failures == 1
    await listed.calls(A, await listed.digits(A), "10.7.7.8")
    assert await guess(listed, "10.7.8.8") == "fleet"
    listed.later(hours=24)
    await nearly(listed)
    await guess(listed, "10.9.1.1", mac=B)
    assert await guess(listed, "10.7.7.7", mac=B) == "fleet"


async def test_denied_it_stays_shut_for_a_day_and_nobody_is_asked_about_it_again(listed: World) -> None:
    await listed.calls(C, await listed.digits(C), "10.7.7.8")  # known, for a device was provisioned from there
    await guess(listed, "10.9.1.1")
    for _ in range(9):
        await guess(listed, "10.8.8.8")
    await guess(listed, "10.8.9.9")
    await listed.core.write_turned_away()
    dana = await listed.dana()
    assert (await listed.core.siege(dana)).asked.network == "10.8.8.0/24"  # type: ignore[union-attr]
    await listed.core.deny_network(dana, "10.8.8.0/24")
    assert (await listed.core.siege(dana)).asked.network == "10.8.9.0/24"  # type: ignore[union-attr]
    assert await guess(listed, "10.8.8.8") == "fleet"
    await listed.core.deny_network(await listed.dana(), "10.7.7.1")  # an address stands for its network
    assert await guess(listed, "10.7.7.8") == "fleet"
    assert (await attacks(listed))[-2:] == ["NetworkDenied", "NetworkDenied"]
    listed.later(hours=23)
    await listed.core.sweep()
    await nearly(listed)
    await guess(listed, "10.9.1.1", mac=B)
    for _ in range(5):
        await guess(listed, "10.8.8.8", mac=B)
    await listed.core.write_turned_away()
    assert (await listed.core.siege(await listed.dana())).asked is None
    listed.later(hours=1)
    assert (await listed.core.siege(await listed.dana())).asked is not None


async def test_the_latest_word_counts(listed: World) -> None:
    await guess(listed, "10.9.1.1")
    for word, met in (("deny", "fleet"), ("allow", "refused"), ("deny", "fleet")):
        use = listed.core.allow_network if word == "allow" else listed.core.deny_network
        await use(await listed.dana(), "2001:db8:1:2::/64")
        assert await guess(listed, "2001:db8:1:2::77") == met
    assert len((await listed.core.siege(await listed.dana())).attack.verdicts) == 1


async def test_words_about_networks_are_bounded(listed: World) -> None:
    for n in range(60):
        await listed.core.allow_network(await listed.dana(), f"10.3.{n}.0")
    assert len((await listed.core.siege(await listed.dana())).attack.verdicts) == 50


@pytest.mark.parametrize(
    "text", ["", "oslo", "10.0.0.0/8", "10.1.2.0/33", "2001:db8::/48", "10.1.2", "/24", "10.1.2.0/"]
)
async def test_what_is_no_network_is_not_guessed_at(listed: World, text: str) -> None:
    if text == "10.1.2.0/":
        text += "x"
    with pytest.raises(NetworkUnreadable):
        await listed.core.allow_network(await listed.dana(), text)


async def test_what_the_configuration_trusts_is_changed_there(listed: World) -> None:
    for use in (listed.core.allow_network, listed.core.deny_network):
        with pytest.raises(NetworkTrusted):
            await use(await listed.dana(), "192.168.4.0/24")


async def test_a_technician_has_no_say(listed: World) -> None:
    for use in (listed.core.siege, listed.core.allow_network, listed.core.deny_network):
        with pytest.raises(Forbidden):
            await use(await listed.sam(), *(["10.1.2.0/24"] if use != listed.core.siege else []))


# ------------------------------------------------------------------ the second budget, and the end


async def test_known_networks_have_a_budget_of_their_own_and_that_is_told_too(listed: World) -> None:
    await nearly(listed, EXEMPT_SLOT)
    assert await guess(listed, "192.168.1.1") == "refused"
    assert await guess(listed, "192.168.2.2") == "exempt"
    assert await guess(listed, "10.1.1.1") == "refused"
    siege = await listed.core.siege(await listed.dana())
    assert siege.attack.exempt_until is not None and siege.attack.spent == 2
    assert await attacks(listed) == ["AttackBegan"]


async def test_ten_minutes_after_the_last_stop_it_is_over(listed: World) -> None:
    await guess(listed, "10.9.1.1")
    card = await listed.shows(DANA, "attack", view="attack_now")
    for _ in range(3):  # it goes on
        listed.later(minutes=10)
        await listed.core.sweep()
        await nearly(listed)
        await guess(listed, "10.9.1.1", mac=B)
        assert await guess(listed, "10.9.7.1") == "fleet"
    listed.later(minutes=19)
    await listed.core.sweep()
    assert (await listed.core.siege(await listed.dana())).attack.on
    assert [m.subject for m in await listed.told(MessageKind.EDIT)] == [card.key]
    listed.later(minutes=1)
    await listed.core.sweep()
    siege = await listed.core.siege(await listed.dana())
    assert (siege.attack.on, siege.attack.spent) == (False, 4)
    assert await attacks(listed) == ["AttackBegan", "AttackEnded"]
    assert [m.recipient for m in await listed.told(MessageKind.ATTACK_OVER)] == [DANA]
    await nearly(listed)
    await guess(listed, "10.9.1.1", mac=C)
    assert (await attacks(listed))[-1] == "AttackBegan"


async def test_two_instances_share_what_they_know_and_what_was_decided(listed: World) -> None:
    other = World(listed.store, listed.clock, Provisioning(listed.store, listed.clock, KEYS, TRUSTED))
    await guess(listed, "10.9.1.1")
    assert await guess(other, "10.9.1.2") == "fleet"
    for each in (listed, other, other):
        await guess(each, "10.5.5.5")
    await listed.core.sweep()
    await other.core.sweep()
    assert (await other.core.siege(await listed.dana())).attack.turned[0].calls == 3
    await other.core.allow_network(await listed.dana(), "10.5.5.5")
    assert await guess(listed, "10.5.5.5", mac=C) == "refused"
