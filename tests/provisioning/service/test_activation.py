"""The device's own road: MAC + code for a token, once; what strangers learn (nothing); reset and second life."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from provisioning.bookkeeping import Attempts
from provisioning.codes import hash_token
from provisioning.errors import (
    CodeExpired,
    CodeRefused,
    DeviceResetRequired,
    InvalidCode,
    InvalidMac,
    ResetRequired,
    SlowDown,
    TokenRefused,
)
from provisioning.messages import MessageKind
from provisioning.model import Change, State
from provisioning.service import Policy, Provisioning
from provisioning.service.activation import ProvisionCall
from provisioning.service.lookup import Target
from tests.provisioning.world import DANA, KEYS, SAM, TENANT, A, B, C, D, World, wrong

STRANGER = "805EC0FFFF01"  # a MAC that is on no list


@pytest.fixture
async def listed(world: World) -> World:
    """2.14 has a live code in Sam's hands."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("2.14", SAM)
    await world.delivers()
    return world


async def answer(world: World, mac: str, code: str, source: str = "10.1.2.3", **more: str) -> str:
    try:
        await world.calls(mac, code, source, **more)
    except (CodeRefused, CodeExpired, DeviceResetRequired, InvalidCode, InvalidMac) as refusal:
        return refusal.code
    except SlowDown as refusal:
        return f"slow_down {refusal.retry_after}"
    return "200"


# ------------------------------------------------------------------ the way it should go


async def test_the_right_mac_and_code_are_worth_a_token_once(listed: World) -> None:
    code = await listed.digits(A)
    got = await listed.calls("80:5e:c0:11:22:33", f"*55*{code}#")
    assert (got.tenant_name, got.location, got.state, got.life) == ("Contoso", "Oslo/2/2.14", "waiting_for_sign_in", 1)
    status = await listed.core.device_status(got.token, since=None, wait=0)
    assert (status.state, status.location) == (State.WAITING_FOR_SIGN_IN, "Oslo/2/2.14")
    assert await answer(listed, A, code) == "code_refused"


async def test_the_device_says_what_it_is_in_plain_text(listed: World) -> None:
    call = ProvisionCall(A, await listed.digits(A), "::1", type="phone", model="T5\u202e8\x00", serial="s" * 500)
    await listed.core.provision(call)
    device = await listed.device(A)
    assert (device.type, device.model, device.serial) == ("phone", "T58", "s" * 64)


async def test_the_code_is_erased_and_its_card_changes_when_the_device_called_in(listed: World) -> None:
    card = await listed.shows(SAM, A, code=True)
    await listed.provisions(A)
    assert (await listed.device(A)).code is None
    told = {m.kind: m for m in await listed.told()}
    assert set(told) == {MessageKind.EDIT, MessageKind.SIGN_INS_WAITING}
    assert (told[MessageKind.EDIT].subject, told[MessageKind.SIGN_INS_WAITING].recipient) == (card.key, DANA)
    assert (await listed.facts(A))[-1] == "DeviceProvisioned"


# ------------------------------------------------------------------ refusals


async def test_every_refusal_reads_the_same(listed: World) -> None:
    code = await listed.digits(A)
    await listed.issue("2.16", SAM)
    revoked = await listed.digits(B)
    await listed.core.revoke(await listed.dana(), Target(device=await listed.device(B)))
    used = await listed.digits(A)
    await listed.provisions(A)
    await listed.add((C, "Oslo/3"))
    answers = [
        await answer(listed, STRANGER, code, "10.0.1.1"),  # on no list
        await answer(listed, C, code, "10.0.2.1"),  # no code
        await answer(listed, B, revoked, "10.0.3.1"),
        await answer(listed, A, used, "10.0.4.1"),
        await answer(listed, A, wrong(used), "10.0.5.1"),
    ]
    assert answers == ["code_refused"] * 5


async def test_every_refusal_is_a_unit_of_the_same_shape(listed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever measures learns nothing: as many rows are read and written for any MAC."""
    await listed.add((C, "Oslo/3"), (D, "Oslo/4"))
    await listed.issue("oslo", SAM)
    code, expired = await listed.digits(A), await listed.digits(B)
    await listed.core.revoke(await listed.dana(), Target(device=await listed.device(C)))
    await listed.provisions(A)
    listed.later(hours=25)
    await listed.issue(D, SAM)
    shapes: set[tuple[int, int]] = set()
    save, get, reads = listed.store.save, listed.store.get, 0

    async def counted(kind: type, key: str) -> object:
        nonlocal reads
        reads += 1
        return await get(kind, key)

    async def measured(change: Change) -> None:
        shapes.add((reads, len(change.puts) + len(change.deletes) + len(change.events)))
        await save(change)

    monkeypatch.setattr(listed.store, "save", measured)
    monkeypatch.setattr(listed.store, "get", counted)
    monkeypatch.setattr(listed.store, "find", lambda *_, **__: pytest.fail("a refusal looks for nobody"))
    cases = {STRANGER: code, A: code, B: expired, C: code, D: code}
    for number, (mac, presented) in enumerate(cases.items()):
        reads = 0
        assert await answer(listed, mac, presented, f"10.{number}.0.1") in ("code_refused", "code_expired")
    assert len(shapes) == 1


async def test_only_the_right_code_hears_that_it_ended(listed: World) -> None:
    code = await listed.digits(A)
    listed.later(hours=24)
    assert await answer(listed, A, code) == "code_expired"
    await listed.core.sweep()
    assert await answer(listed, A, code) == "code_expired"
    assert await answer(listed, A, wrong(code)) == "code_refused"
    assert await answer(listed, B, code) == "code_refused"


async def test_after_seven_more_days_even_the_right_code_is_a_wrong_one(listed: World) -> None:
    code = await listed.digits(A)
    listed.later(days=8, seconds=1)
    assert await answer(listed, A, code) == "code_refused"
    await listed.core.sweep()
    await listed.core.sweep()
    assert (await listed.device(A)).code is None


async def test_the_order_of_answers(listed: World) -> None:
    code = await listed.digits(A)
    token = (await listed.calls(A, code)).token
    assert await answer(listed, "805EC0", "x", token=token) == "invalid_mac"
    assert await answer(listed, A, "x", token=token) == "reset_required"
    assert await answer(listed, B, "x", token=token) == "invalid_code"
    assert await answer(listed, A, "x", token="guess") == "invalid_code"
    for _ in range(6):
        await answer(listed, A, wrong(code))
    assert await answer(listed, A, "x") == "invalid_code"
    assert await answer(listed, A, code) == "slow_down 2"


async def test_a_mistyped_code_costs_no_try(listed: World) -> None:
    code = await listed.digits(A)
    for _ in range(20):
        assert await answer(listed, A, code[:-1] + str((int(code[-1]) + 1) % 10)) == "invalid_code"
    assert await answer(listed, A, code) == "200"


# ------------------------------------------------------------------ the lost answer


async def test_a_lost_answer_is_given_again_with_a_new_token(listed: World) -> None:
    code = await listed.digits(A)
    lost = await listed.calls(A, code, retry_key="key-1")
    again = await listed.calls(A, code, retry_key="key-1")
    assert again.token != lost.token
    with pytest.raises(TokenRefused):
        await listed.core.device_status(lost.token, since=None, wait=0)
    assert await listed.core.device_status(again.token, since=None, wait=0)
    assert (await listed.facts(A))[-2:] == ["DeviceProvisioned", "ProvisionRepeated"]


async def test_a_lost_answer_is_given_again_though_others_at_the_site_mistyped(listed: World) -> None:
    code = await listed.digits(A)
    await listed.calls(A, code, retry_key="key-1")
    for n in range(30):
        await answer(listed, f"805EC0BB{n:04X}", "000000000000")
    assert (await answer(listed, B, "000000000000")).startswith("slow_down")
    assert await answer(listed, A, code, retry_key="key-1") == "200"


@pytest.mark.parametrize("retry_key", ["", "key-2"])
async def test_without_the_same_key_a_used_code_is_refused(listed: World, retry_key: str) -> None:
    code = await listed.digits(A)
    await listed.calls(A, code, retry_key="key-1")
    assert await answer(listed, A, code, retry_key=retry_key) == "code_refused"


async def test_the_key_is_good_for_ten_minutes_and_for_this_life(listed: World) -> None:
    code = await listed.digits(A)
    got = await listed.calls(A, code, retry_key="key-1")
    listed.later(minutes=9)
    got = await listed.calls(A, code, retry_key="key-1")
    listed.later(minutes=1)
    assert await answer(listed, A, code, retry_key="key-1") == "code_refused"
    await listed.core.report_reset(got.token)
    assert await answer(listed, A, code, retry_key="key-1") == "code_refused"


async def test_a_removed_device_is_not_answered_again(listed: World) -> None:
    code = await listed.digits(A)
    await listed.calls(A, code, retry_key="key-1")
    await listed.core.remove(await listed.dana(), A)
    assert await answer(listed, A, code, retry_key="key-1") == "code_refused"


# ------------------------------------------------------------------ limits


async def test_a_known_and_an_unknown_mac_are_answered_alike_forty_times(listed: World) -> None:
    async def forty(mac: str, source: str) -> list[str]:
        answers = []
        for _ in range(40):
            answers.append(await answer(listed, mac, "000000000000", source))
            listed.later(seconds=7)
        return answers

    known, unknown = await forty(A, "10.1.0.1"), await forty(STRANGER, "10.2.0.1")
    assert known == unknown
    assert "code_refused" in known
    assert any(each.startswith("slow_down") for each in known)


async def test_after_a_hundred_wrong_codes_from_everywhere_the_code_dies_and_the_admin_hears(listed: World) -> None:
    code, card = await listed.digits(A), await listed.shows(SAM, A, code=True)
    for n in range(100):
        assert await answer(listed, A, wrong(code), f"10.{n}.0.1") == "code_refused"
    assert await answer(listed, A, code, "10.200.0.1") == "code_refused"
    assert (await listed.device(A)).code is None
    assert [(m.recipient, m.subject) for m in await listed.told(MessageKind.CODE_LOCKED)] == [(DANA, A)]
    assert [m.subject for m in await listed.told(MessageKind.EDIT)] == [card.key]
    await listed.issue("2.14")
    assert await answer(listed, A, await listed.digits(A), "10.201.0.1") == "200"


async def test_random_macs_grow_nothing_beyond_the_fixed_table(listed: World) -> None:
    before = await listed.facts()
    for n in range(20):
        await answer(listed, f"805EC0CC{n:04X}", "000000000000")
    assert await listed.facts() == before
    slots = (await listed.store.find(Attempts, limit=1000)).rows
    assert {row.slot.split(":")[0] for row in slots} == {"pair", "net", "fleet", "blank"}


async def _spend_the_fleets_budget(world: World) -> None:
    for n in range(600):
        await answer(world, f"805EC0DD{n:04X}", "000000000000", f"172.{16 + n // 250}.{n % 250}.1")


async def test_when_the_whole_fleets_budget_is_spent_trusted_and_known_networks_go_on() -> None:
    """Over memory alone: the arithmetic is the same, and 600 durable units are not needed to see it."""
    from storage.memory_store import MemoryStore
    from tests.fakes import FakeClock

    clock = FakeClock()
    policy = Policy("Contoso", TENANT, frozenset({DANA}), trusted_networks=(ip_network("192.168.0.0/16"),))
    memory = MemoryStore()
    world = await World(memory, clock, Provisioning(memory, clock, KEYS, policy)).people()
    await world.add((A, "Oslo/1"), (B, "Oslo/2"), (C, "Oslo/3"), (D, "Oslo/4"))
    await world.issue("oslo", SAM)
    assert await answer(world, D, await world.digits(D), "10.5.0.1") == "200"  # this network is known from now on
    await _spend_the_fleets_budget(world)
    assert (await answer(world, A, await world.digits(A), "10.77.0.1")).startswith("slow_down")
    assert await answer(world, A, await world.digits(A), "192.168.3.4") == "200"
    assert await answer(world, B, await world.digits(B), "::ffff:192.168.9.9") == "200"
    assert await answer(world, C, await world.digits(C), "10.5.0.99") == "200"


async def test_a_clock_that_went_back_silences_nobody_and_revives_nothing(listed: World) -> None:
    code = await listed.digits(A)
    for _ in range(6):
        await answer(listed, A, wrong(code))
    assert (await answer(listed, A, code)).startswith("slow_down")
    listed.clock.advance(-timedelta(hours=2))
    assert await answer(listed, A, code) == "200"


async def test_a_clock_that_jumps_ahead_accepts_no_expired_code(listed: World) -> None:
    code = await listed.digits(A)
    listed.later(hours=25)
    await listed.core.sweep()
    listed.clock.advance(-timedelta(hours=25))
    assert await answer(listed, A, code) == "code_expired"


# ------------------------------------------------------------------ token, reset, second life


async def test_a_device_hears_of_a_change_while_it_waits(listed: World) -> None:
    token = (await listed.provisions(A)).token
    seen = await listed.core.device_status(token, since=None, wait=0)
    waiting = asyncio.create_task(listed.core.device_status(token, since=seen.revision, wait=20))
    await asyncio.sleep(0)
    await listed.core.move(await listed.dana(), A, "Oslo/9")
    assert (await waiting).location == "Oslo/9"


async def test_calls_are_written_together_once_a_minute_and_known_at_once(
    listed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, writes, record = (await listed.provisions(A)).token, [], listed.store.record_seen

    async def counted(seen: dict[str, object]) -> None:
        writes.append(seen)
        await record(seen)  # type: ignore[arg-type]

    monkeypatch.setattr(listed.store, "record_seen", counted)
    for _ in range(13):
        await listed.core.device_status(token, since=None, wait=0)
        assert (await listed.core.facts(await listed.dana(), A)).last_seen == listed.clock.now()
        listed.later(seconds=10)
    assert len(writes) == 2  # the provisioning had been written already


async def test_waiting_devices_are_let_go_when_the_service_ends(listed: World) -> None:
    token = (await listed.provisions(A)).token
    seen = await listed.core.device_status(token, since=None, wait=0)
    waiting = asyncio.create_task(listed.core.device_status(token, since=seen.revision, wait=20))
    await asyncio.sleep(0)
    listed.core.release_polls()
    assert (await waiting).revision == seen.revision


async def _removed(world: World) -> None:
    await world.core.remove(await world.dana(), A)


async def _reset_by_an_admin(world: World) -> None:
    await world.core.order_reset(await world.dana(), A, A[-4:])


async def _given_another_token(world: World) -> None:
    device = await world.device(A)
    await world.store.save(Change(puts=(replace(device, token=hash_token("another")),)))


@pytest.mark.parametrize(
    ("ended", "refusal"),
    [(_removed, TokenRefused), (_reset_by_an_admin, DeviceResetRequired), (_given_another_token, TokenRefused)],
)
async def test_a_token_that_dies_while_its_device_waits_is_refused_at_once(
    listed: World, ended: Callable[[World], Awaitable[None]], refusal: type[Exception]
) -> None:
    token = (await listed.provisions(A)).token
    seen = await listed.core.device_status(token, since=None, wait=0)
    waiting = asyncio.create_task(listed.core.device_status(token, since=seen.revision, wait=20))
    await asyncio.sleep(0)
    await ended(listed)
    with pytest.raises(refusal):
        await waiting


@pytest.mark.parametrize("token", ["", "guess", "\x00"])
async def test_no_token_no_answer(listed: World, token: str) -> None:
    with pytest.raises(TokenRefused):
        await listed.core.device_status(token, since=None, wait=0)
    with pytest.raises(TokenRefused):
        await listed.core.report_reset(token)


async def test_a_factory_reset_begins_a_second_life(listed: World) -> None:
    first = await listed.provisions(A)
    with pytest.raises(ResetRequired):
        await listed.issue("2.14")
    await listed.core.confirm(await listed.sam(), "2.14")
    await listed.core.report_reset(first.token)
    device = await listed.device(A)
    assert (device.state, device.life, device.installed) == (State.WAITING_FOR_ACTIVATION, 2, None)
    for use in (listed.core.report_reset(first.token), listed.core.device_status(first.token, since=None, wait=0)):
        with pytest.raises(TokenRefused):
            await use
    await listed.issue("2.14")
    assert (await listed.provisions(A)).life == 2


async def test_removal_and_adding_again_is_no_way_round_a_reset(listed: World) -> None:
    token = (await listed.provisions(A)).token
    await listed.core.remove(await listed.dana(), A)
    with pytest.raises(TokenRefused):
        await listed.core.device_status(token, since=None, wait=0)
    await listed.add((A, "Bergen/1"))
    device = await listed.device(A)
    assert (device.state, device.life) == (State.WAITING_FOR_SIGN_IN, 1)
    with pytest.raises(ResetRequired):
        await listed.issue(A)


@pytest.mark.parametrize("listed_again", [True, False])
async def test_a_removed_device_reports_its_reset_and_begins_a_new_life(listed: World, *, listed_again: bool) -> None:
    token = (await listed.provisions(A)).token
    await listed.core.remove(await listed.dana(), A)
    if listed_again:
        await listed.add((A, "Bergen/1"))
        await listed.core.remove(await listed.dana(), A)
        await listed.add((A, "Bergen/2"))
    call = ProvisionCall(A, "000000000000", "10.1.2.3", token=token)
    with pytest.raises((CodeRefused, InvalidCode)):  # never 409: the token opens nothing
        await listed.core.provision(call)
    with pytest.raises(TokenRefused):
        await listed.core.device_status(token, since=None, wait=0)
    await listed.core.report_reset(token)
    device = await listed.device(A)
    assert (device.state, device.life, device.reset_token) == (State.WAITING_FOR_ACTIVATION, 2, "")
    with pytest.raises(TokenRefused):
        await listed.core.report_reset(token)
    if not listed_again:
        await listed.add((A, "Bergen/2"))
    await listed.issue(A)
    assert (await listed.provisions(A)).life == 2
