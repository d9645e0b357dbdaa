"""What stories from afar begin with: a device that called in, one that is signed in, and what it is given."""

from __future__ import annotations

from provisioning.model import State
from provisioning.service.activation import DeviceStatus
from tests.fakes import FakeProvider
from tests.provisioning.world import SAM, World

ACCOUNT = "room-2.14@contoso.com"


async def called_in(world: World, mac: str, place: str = "Oslo/2/2.14", *, to: str = SAM) -> str:
    """Its token; it waits for sign-in."""
    await world.add((mac, place))
    await world.issue(mac, to)
    return (await world.provisions(mac)).token


async def signs_in(world: World, mac: str, account: str = ACCOUNT) -> None:
    """Dana asks, and the intended account approves."""
    provider = world.core.provider = FakeProvider()
    facts = await world.core.begin_sign_in(await world.dana(), mac, account)
    provider.approved(facts.user_code, account)
    for listed, flow in await world.core.live_sign_ins():
        answer = await world.core.ask_provider(listed, flow.id)
        if answer is not None:
            await world.core.take_answer(listed, flow.id, answer)
    assert (await world.device(mac)).state is State.SIGNED_IN


async def asks(world: World, token: str) -> DeviceStatus:
    """The device asks how it stands, and waits for nothing."""
    return await world.core.device_status(token, since=None, wait=0)


async def given(world: World, token: str) -> dict[str, str]:
    """Name → id of what it finds."""
    return {name: id_ for id_, name in (await asks(world, token)).commands}
