"""A refused code that is another device's: who is looked at, what is kept, and what never changes by it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.codes import Key, Keyring
from provisioning.errors import CodeRefused, OutOfDate
from provisioning.events import CodeShown
from provisioning.messages import MessageKind, Post
from provisioning.model import Change, Device
from provisioning.service import nearmiss
from provisioning.service.lookup import Target
from storage.memory_store import MemoryStore
from tests.provisioning.world import DANA, KIM, SAM, A, B, World, chat_of

STRANGER = "805EC0FFFF01"
SOURCE = "10.1.2.3"


@pytest.fixture
async def listed(world: World) -> World:
    """Sam has 2.14 and 2.16; the card of 2.14, with its code, stands in his chat."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("oslo", SAM)
    await world.delivers()
    await world.shows(SAM, A, code=True, view=nearmiss.CARD)
    return world


async def strays(world: World, caller: str, code: str) -> None:
    """The device is refused, and what follows its answer has been done."""
    with pytest.raises(CodeRefused):
        await world.calls(caller, code)
    await world.core.diagnose(caller, code, SOURCE)


async def test_it_is_kept_on_the_device_whose_code_it_is_and_without_the_code(listed: World) -> None:
    code = await listed.digits(A)
    before = await listed.device(A)
    await strays(listed, B, code)
    device = await listed.device(A)
    assert device.stray and (device.stray.mac, device.stray.at, device.stray.told) == (B, listed.clock.now(), SAM)
    assert replace(device, stray=None, version=before.version) == before  # nothing is provisioned, no try is counted
    (fact,) = [row.event for row in (await listed.store.history(A)).rows if row.event.name == "CodeStrayed"]
    assert (fact.actor, fact.caller, fact.source) == ("device", B, SOURCE)  # type: ignore[attr-defined]
    assert code not in repr(fact) and code not in repr(device)


async def test_its_card_is_drawn_anew_and_nobody_else_hears_of_it(listed: World) -> None:
    await strays(listed, B, await listed.digits(A))
    assert [(m.kind, m.recipient) for m in await listed.told()] == [(MessageKind.EDIT, SAM)]


async def test_where_no_card_stands_a_message_is_sent_once(listed: World) -> None:
    for post in (await listed.store.find(Post, limit=10)).rows:
        await listed.core.forget(post.key)
    code = await listed.digits(A)
    for caller in (B, B, STRANGER):
        await strays(listed, caller, code)
    assert [(m.kind, m.recipient, m.subject) for m in await listed.told()] == [(MessageKind.STRAY, SAM, A)]


async def test_an_admins_card_of_the_device_is_no_card_of_its_technicians(listed: World) -> None:
    for post in (await listed.store.find(Post, limit=10)).rows:
        await listed.core.forget(post.key)
    await listed.shows(DANA, A)
    await strays(listed, B, await listed.digits(A))
    assert MessageKind.STRAY in [m.kind for m in await listed.told(reader=SAM)]


async def test_of_two_calls_at_once_one_is_told(listed: World) -> None:
    code = await listed.digits(A)
    await asyncio.gather(*(listed.core.diagnose(B, code, SOURCE) for _ in range(8)))
    assert (await listed.facts(A)).count("CodeStrayed") == 1


@pytest.mark.parametrize("what", ["issue", "revoke", "remove", "provision", "swap"])
async def test_what_ends_it(listed: World, what: str) -> None:
    code = await listed.digits(A)
    await strays(listed, B, code)
    dana, target = await listed.dana(), Target(device=await listed.device(A))
    if what == "issue":
        await listed.issue(A, SAM, void=True)
    elif what == "revoke":
        await listed.core.revoke(dana, target)
    elif what == "remove":
        await listed.core.remove(dana, A)
    elif what == "provision":
        await listed.calls(A, code)
    else:
        await listed.core.swap(dana, A, B)
    assert (await listed.device(A)).stray is None


async def test_a_code_that_changed_before_it_was_noted_is_nothing(listed: World) -> None:
    code = await listed.digits(A)
    with pytest.raises(CodeRefused):
        await listed.calls(B, code)
    await listed.issue(A, SAM, void=True)
    await listed.core.diagnose(B, code, SOURCE)
    assert (await listed.device(A)).stray is None


async def test_whoever_was_told_is_the_only_one_to_know(listed: World) -> None:
    await strays(listed, B, await listed.digits(A))
    sam, kim = await listed.sam(), await listed.kim()
    assert await listed.core.astray(sam, await listed.device(A))
    assert await listed.core.astray(kim, await listed.device(A)) is None
    assert await listed.core.astray(await listed.dana(), await listed.device(A)) is None
    await listed.core.assign(await listed.dana(), Target(device=await listed.device(A)), await listed.person(KIM))
    for actor in (sam, kim):
        assert await listed.core.astray(actor, await listed.device(A)) is None


async def test_a_swap_happens_once_however_often_it_is_pressed(listed: World) -> None:
    await strays(listed, B, await listed.digits(A))
    await listed.core.swap_stray(await listed.sam(), A)
    for device in (A, B):
        with pytest.raises(OutOfDate):
            await listed.core.swap_stray(await listed.sam(), device)
    assert [(await listed.device(mac)).place for mac in (A, B)] == ["2.16", "2.14"]


async def test_not_ours_to_compare(listed: World) -> None:
    """Whatever is provisioned, off the list, long ended or with nobody is no candidate."""
    code = await listed.digits(A)
    device = await listed.device(A)
    assert device.code
    core, now = listed.core, listed.clock.now()
    long_ago = replace(device.code, expires_at=now - timedelta(days=7))
    assert core._could_be(device, B) and core._could_be(replace(device, code=replace(device.code, sealed=None)), B)
    for other in (
        replace(device, code=None),
        replace(device, code=long_ago),
        replace(device, code=replace(device.code, digest=None)),
        replace(device, removed_at=now),
        replace(device, technician=""),
    ):
        assert not core._could_be(other, B)
    assert not core._could_be(device, A) and code


# ------------------------------------------------------------------ how much is looked at


class Counting(Keyring):
    """Counts what is compared."""

    compared = 0

    def matches(self, mac: str, code: object, presented: str) -> bool:
        self.compared += 1
        return super().matches(mac, code, presented)  # type: ignore[arg-type]


@pytest.fixture
async def crowd(world: World) -> World:
    """Six hundred devices of Sam's, each with the code of A under a digest that is none of theirs; the card of each
    stands in his chat, the newest last.
    """
    if not isinstance(world.store, MemoryStore):
        pytest.skip("what is counted is the same over every store")
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("oslo", SAM)
    device, now = await world.device(A), world.clock.now()
    macs = [f"805EC1{number:06X}" for number in range(600)]
    many = tuple(replace(device, mac=mac, location=f"Oslo/9/{mac}", version=0) for mac in macs)
    posts = tuple(
        Post(
            conversation=chat_of(SAM),
            activity_id=mac,
            reader=SAM,
            subject=mac,
            view=nearmiss.CARD,
            shows_code=True,
            posted_at=now + timedelta(seconds=number),
        )
        for number, mac in enumerate(macs)
    )
    shown = tuple(CodeShown(at=post.posted_at, actor=SAM, subject=post.subject, issue=1, reader=SAM) for post in posts)
    await world.store.save(Change(puts=(*many, *posts), events=shown))
    world.later(minutes=15)
    world.core.keys = Counting([Key("k1", b"k" * 32)])
    return world


async def test_of_an_unknown_caller_five_hundred_cards_are_looked_at_and_none_before_half_an_hour(crowd: World) -> None:
    await crowd.core.diagnose(STRANGER, "482913760254", SOURCE)
    assert crowd.core.keys.compared == nearmiss.MOST_SHOWN
    crowd.later(minutes=15 + 9)  # cards of before the 540th second are older than that now
    crowd.core.keys = Counting([Key("k1", b"k" * 32)])
    await crowd.core.diagnose(STRANGER, "482913760254", SOURCE)
    assert crowd.core.keys.compared == 60


async def test_of_a_technicians_device_all_of_theirs_and_others_get_their_turns(crowd: World) -> None:
    turns, done = 0, asyncio.create_task(crowd.core.diagnose("805EC1000000", "482913760254", SOURCE))
    while not done.done():
        turns += 1
        await asyncio.sleep(0)
    # A and all but the caller; and the codes shown lately, as with an unknown MAC, so that the time tells nothing
    assert crowd.core.keys.compared == 600 + nearmiss.MOST_SHOWN
    assert turns >= 600 // nearmiss.AT_ONCE


async def test_a_code_in_a_strangers_hands_reaches_one_card(crowd: World) -> None:
    code = await crowd.digits(A)
    await crowd.core.hold(await crowd.sam(), A)
    await crowd.shows(SAM, A, code=True, view=nearmiss.CARD)
    await crowd.delivers()
    for number in range(5):
        await crowd.core.diagnose(f"805EC2{number:06X}", code, SOURCE)
    assert len([m for m in await crowd.told() if m.kind in (MessageKind.EDIT, MessageKind.STRAY)]) == 1
    assert [d.mac for d in (await crowd.store.find(Device, limit=1000)).rows if d.stray] == [A]
