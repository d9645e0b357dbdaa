"""Further lives: ordered by an admin, told by the device, suspected where a device was reset by hand."""

import pytest

from provisioning.errors import (
    CodeRefused,
    DeviceNotFound,
    DeviceResetRequired,
    Forbidden,
    OutOfDate,
    ResetRequired,
    TokenRefused,
)
from provisioning.messages import MessageKind
from provisioning.model import State
from provisioning.service.resetting import NothingToReset, WrongConfirmation
from provisioning.signin import Stage
from tests.fakes import FakeProvider
from tests.provisioning.remote import ACCOUNT, asks, called_in, signs_in
from tests.provisioning.world import DANA, SAM, A, B, World, wrong

DIGITS = A[-4:]
STRANGER = "805EC0FFFF01"


async def reset(world: World, mac: str = A) -> None:
    await world.core.order_reset(await world.dana(), mac, mac[-4:])


async def test_an_admins_reset_is_final_and_keeps_the_history(world: World) -> None:
    token = await called_in(world, A)
    await signs_in(world, A)
    before = await world.facts(A)
    await reset(world)
    device = await world.device(A)
    assert (device.state, device.life, device.provisioned_at) == (State.WAITING_FOR_ACTIVATION, 2, None)
    assert (device.account, device.technician, device.token) == (ACCOUNT, SAM, "")
    assert device.reset_awaited
    assert await world.facts(A) == [*before, "ResetOrdered"]
    with pytest.raises(DeviceResetRequired):
        await asks(world, token)
    await world.core.report_reset(token)
    device = await world.device(A)
    assert (device.life, device.reset_awaited) == (2, False), "no life more"
    with pytest.raises(TokenRefused):
        await asks(world, token)
    with pytest.raises(TokenRefused):
        await world.core.report_reset(token)
    assert (await world.facts(A))[-1] == "ResetReported"


async def test_a_new_life_needs_a_new_code_and_ends_what_is_left_of_the_old_token(world: World) -> None:
    token = await called_in(world, A)
    await reset(world)
    await world.issue(A, SAM)
    fresh = (await world.provisions(A)).token
    assert (await asks(world, fresh)).life == 2
    for call in (asks(world, token), world.core.report_reset(token)):
        with pytest.raises(TokenRefused):
            await call


async def test_the_device_itself_may_say_that_it_was_reset(world: World) -> None:
    token = await called_in(world, A)
    await world.core.report_reset(token)
    device = await world.device(A)
    assert (device.life, device.state, device.reset_awaited) == (2, State.WAITING_FOR_ACTIVATION, False)
    with pytest.raises(NothingToReset):
        await reset(world)


@pytest.mark.parametrize("typed", ["", "2234", "33", "22-3", A])
async def test_nothing_is_reset_by_a_slip(world: World, typed: str) -> None:
    await called_in(world, A)
    with pytest.raises(WrongConfirmation):
        await world.core.order_reset(await world.dana(), A, typed)
    assert (await world.device(A)).life == 1


async def test_what_was_never_provisioned_needs_no_reset(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    with pytest.raises(NothingToReset):
        await world.core.reset_outlook(await world.dana(), A)


async def test_until_then_it_gets_no_code(world: World) -> None:
    await called_in(world, A)
    with pytest.raises(ResetRequired):
        await world.issue(A)


async def test_removing_and_adding_again_is_no_way_round(world: World) -> None:
    token = await called_in(world, A)
    await reset(world)
    await world.core.remove(await world.dana(), A)
    await world.add((A, "Oslo/2/2.14"))
    device = await world.device(A)
    assert (device.life, device.state) == (2, State.WAITING_FOR_ACTIVATION)
    await world.core.report_reset(token)
    assert (await world.device(A)).life == 2


async def test_a_reset_in_the_middle_of_a_sign_in_ends_it_and_its_late_result_is_discarded(world: World) -> None:
    await called_in(world, A)
    provider = world.core.provider = FakeProvider()
    facts = await world.core.begin_sign_in(await world.dana(), A, ACCOUNT)
    assert facts.flow
    provider.approved(facts.user_code, ACCOUNT)
    answer = await world.core.ask_provider(A, facts.flow.id)
    await reset(world)
    assert answer is not None
    assert await world.core.take_answer(A, facts.flow.id, answer) is None
    device = await world.device(A)
    assert device.state is State.WAITING_FOR_ACTIVATION
    assert device.sign_in and (device.sign_in.stage, device.sign_in.sealed) == (Stage.CANCELLED, "")
    assert await world.core.live_sign_ins() == []


# ---------------------------------------------------------------------- was it reset by hand?


async def calls_again(world: World, mac: str = A) -> None:
    with pytest.raises(CodeRefused):
        await world.calls(mac, wrong("482913760257"))
    await world.core.diagnose(mac, wrong("482913760257"), "10.1.2.3")


async def test_its_technician_is_asked_at_most_hourly(world: World) -> None:
    await called_in(world, A)
    await world.delivers()
    await calls_again(world)
    (told,) = await world.told(MessageKind.RESET_DOUBTED)
    assert (told.recipient, told.subject) == (SAM, A)
    await world.delivers()
    world.later(minutes=59)
    await calls_again(world)
    assert await world.told(MessageKind.RESET_DOUBTED) == []
    world.later(minutes=2)
    await calls_again(world)
    assert len(await world.told(MessageKind.RESET_DOUBTED)) == 1
    assert (await world.facts(A)).count("ResetDoubted") == 2


async def test_of_a_device_with_nobody_the_admins_are_asked(world: World) -> None:
    await called_in(world, A, to="")
    await world.delivers()
    await calls_again(world)
    assert [m.recipient for m in await world.told(MessageKind.RESET_DOUBTED)] == [DANA]


async def test_with_its_own_token_as_well_whatever_code_it_types(world: World) -> None:
    token = await called_in(world, A)
    await world.delivers()
    with pytest.raises(DeviceResetRequired):
        await world.calls(A, "12", token=token)
    await world.core.diagnose(A, "12", "10.1.2.3")
    assert len(await world.told(MessageKind.RESET_DOUBTED)) == 1


async def test_of_strangers_and_of_devices_that_wait_for_their_code_nobody_is_asked(world: World) -> None:
    await called_in(world, A)
    await world.add((B, "Oslo/2/2.16"))
    await world.delivers()
    for mac in (STRANGER, B):
        await calls_again(world, mac)
    await world.core.remove(await world.dana(), A)
    await calls_again(world)
    assert await world.told(MessageKind.RESET_DOUBTED) == []


async def test_a_technician_may_reset_what_they_were_asked_about_and_nothing_else(world: World) -> None:
    await called_in(world, A)
    await called_in(world, B, "Oslo/2/2.16")
    sam = await world.sam()
    with pytest.raises(Forbidden):
        await world.core.order_reset(sam, A, DIGITS)
    await calls_again(world)
    with pytest.raises(Forbidden):
        await world.core.order_reset(await world.sam(), B, B[-4:])
    with pytest.raises(DeviceNotFound):
        await world.core.order_reset(await world.kim(), A, DIGITS)
    assert await world.core.doubted(await world.kim(), A) is None
    assert (await world.core.order_reset(await world.sam(), A, DIGITS)).life == 2
    assert await world.core.doubted(await world.sam(), A) is None


async def test_after_a_day_that_right_is_over(world: World) -> None:
    await called_in(world, A)
    await calls_again(world)
    world.later(days=1)
    with pytest.raises(Forbidden):
        await world.core.order_reset(await world.sam(), A, DIGITS)
    assert await world.core.doubted(await world.sam(), A) is None


async def test_it_is_ignored_once_and_asked_again_an_hour_later(world: World) -> None:
    await called_in(world, A)
    await calls_again(world)
    assert (await world.core.dismiss_doubt(await world.sam(), A)).doubt_ended_by == "Sam Fox"
    with pytest.raises(OutOfDate):
        await world.core.dismiss_doubt(await world.dana(), A)
    with pytest.raises(Forbidden):
        await world.core.order_reset(await world.sam(), A, DIGITS)
    await world.delivers()
    await calls_again(world)
    assert await world.told(MessageKind.RESET_DOUBTED) == []
    world.later(hours=1)
    await calls_again(world)
    assert len(await world.told(MessageKind.RESET_DOUBTED)) == 1
    assert (await world.core.doubted(await world.sam(), A)) is not None
