"""Somebody left and is forgotten: nothing leads from their id to them, and the audit's chain still holds."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest

from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts
from provisioning.defence import Attack, Verdict
from provisioning.errors import LastAdmin, NoAccess, OutOfDate
from provisioning.forgetting import Trace
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import Change, Device, Person, Role
from provisioning.onsite import Answered, Installation, Problem
from provisioning.photos import Photo, pieces_of
from provisioning.ports import Store
from provisioning.rollouts import Rollout
from provisioning.service.forgetting import StillAnAccount, StillHasAccess, StillWorks
from provisioning.throttle import ATTACK_SLOT
from storage.kinds import KINDS
from storage.records import encode, encode_event
from tests.provisioning.world import DANA, KIM, SAM, A, B, World, channel, chat_of, member

WORDS = ("sam fox", "sam@contoso.com", f"29:{SAM}", f"chat-{SAM}")


async def dump(store: Store) -> str:
    """Everything that is kept, facts as well, as one text in small letters."""
    said = list[str]()
    for kind in KINDS:
        after = None
        while True:
            page = await store.find(kind, after=after, limit=200)
            said += [json.dumps(encode(row), ensure_ascii=False) for row in page.rows]
            if (after := page.after) is None:
                break
    facts = await store.facts(limit=1000)
    return "\n".join([*said, *(json.dumps(encode_event(row.event), ensure_ascii=False) for row in facts)]).casefold()


@pytest.fixture
async def left(world: World) -> World:
    """Sam was everywhere a person's name is kept, and has no access any more."""
    core, now = world.core, world.clock.now()
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("oslo", SAM)
    await core.choose_account(await world.dana(), A, "sam@contoso.com")
    await core.choose_account(await world.dana(), A, "none")
    await core.grant(await world.dana(), "sam.fox.old@contoso.com", Role.TECHNICIAN)
    await world.shows(SAM, A, code=True)
    named = {"by": SAM, "by_name": "Sam Fox"}
    device = await world.device(B)
    device = replace(
        device,
        installed=Installation(**named, at=now, note="ask Sam Fox, sam@contoso.com"),
        problem=Problem("no network", "told by SAM FOX", SAM, "Sam Fox", now, Answered("yes", SAM, "Sam Fox", now)),
        doubt_ended_by="Sam Fox",
        signed_in_as="Sam@Contoso.com",
        notes="Samantha Foxworth's room",
    )
    rollout = Rollout(channel=channel(), site="Oslo", connected_by=SAM, connected_by_name="Sam Fox", started_at=now)
    photo = Photo(device=B, life=1, **named, at=now, width=1, height=1, pieces=pieces_of(b"x"))
    batch = Batch(kind="add", **named, at=now, macs=(A,))
    event = OutboxMessage(
        kind=MessageKind.WEBHOOK, recipient="x", subject=A, lane="x", created_at=now, due_at=now,
        params=(("event", '{"data":{"account":"sam@contoso.com"}}'),),
    )  # fmt: skip
    verdict = Verdict(network="10.1.2.0/24", allowed=True, by_name="Sam Fox", at=now)
    attack = Attempts(slot=ATTACK_SLOT, attack=Attack(verdicts=(verdict,)))
    await world.store.save(Change(puts=(device, rollout, photo, batch, event, attack)))
    await core.revoke_access(await world.dana(), SAM, KIM)
    return world


async def forget(world: World, id_: str = SAM) -> None:
    person = await world.core.to_forget(await world.dana(), id_)
    await world.core.forget_person(await world.dana(), id_, person.version)


async def test_nothing_that_is_kept_leads_to_them_any_more(left: World) -> None:
    before = await dump(left.store)
    assert all(word in before for word in WORDS)
    await forget(left)
    assert await left.store.get(Person, SAM) is None
    await left.core.sweep()
    after = await dump(left.store)
    assert [word for word in WORDS if word in after] == []
    assert SAM in after and "samantha foxworth" in after
    assert await left.store.count(Batch, kind="forget") == 0
    await left.store.verify(deep=True)


async def test_what_they_did_stays_under_their_id(left: World) -> None:
    installed = (await left.device(B)).installed
    await forget(left)
    await left.core.sweep()
    device = await left.device(B)
    assert installed and device.installed == replace(installed, by_name="0000…", note="ask 0000…, 0000…")
    assert device.signed_in_as == "0000…"
    facts = await left.facts()
    assert facts.count("PersonForgotten") == 1
    assert facts[-1] == "FactsRedacted"
    assert {post.reader for post in (await left.store.find(Post, limit=100)).rows} & {SAM} == set()


async def test_who_comes_back_is_met_anew_and_keeps_what_is_new(left: World) -> None:
    await forget(left)
    left.later(seconds=1)
    await left.core.meet(member(SAM, "Sam Fox", upn="sam@contoso.com"), chat_of(SAM))
    await left.core.grant(await left.dana(), SAM, Role.TECHNICIAN)
    told = await left.told(MessageKind.ACCESS_GRANTED, SAM)
    assert len(told) == 1
    await left.core.sweep()
    person = await left.person(SAM)
    assert (person.name, person.roles, await left.told(MessageKind.ACCESS_GRANTED, SAM)) == (
        "Sam Fox",
        {Role.TECHNICIAN},
        told,
    )


async def test_it_may_break_off_and_goes_on(left: World) -> None:
    await forget(left)
    turns = iter([True, True, False])

    async def still() -> bool:
        return next(turns)

    await left.core.erase_forgotten(still)
    assert await left.store.count(Batch, kind="forget") == 1
    await left.core.sweep()
    assert [word for word in WORDS if word in await dump(left.store)] == []


async def test_others_get_their_turns_meanwhile(left: World) -> None:
    """Orders may name thousands of devices each: all of a page at once would hold up the service for half a second."""
    now = left.clock.now()
    orders = [Batch(kind="add", by=DANA, by_name="Dana", at=now, macs=(A,) * 1000) for _ in range(40)]
    await left.store.save(Change(puts=tuple(orders)))
    await forget(left)
    turns, over = 0, False

    async def others() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await asyncio.sleep(0)

    asking = asyncio.create_task(others())
    await left.core.sweep()
    over = True
    await asking
    assert turns > len(orders)


async def test_a_grant_that_waited_in_vain_is_forgotten_with_its_upn(world: World) -> None:
    waiting = await world.core.grant(await world.dana(), "lee@contoso.com", Role.TECHNICIAN)
    await world.core.revoke_access(await world.dana(), waiting.id)
    assert "lee@contoso.com" in await dump(world.store)
    await forget(world, waiting.id)
    await world.core.sweep()
    assert "lee@contoso.com" not in await dump(world.store)


async def test_who_still_is_somebody_here_is_not_forgotten(world: World) -> None:
    core, asks = world.core, partial(world.core.to_forget)
    dana = await world.dana()
    with pytest.raises(LastAdmin):
        await asks(dana, DANA)
    with pytest.raises(StillHasAccess):
        await asks(dana, SAM)
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("2.14", SAM)
    sam = await world.person(SAM)
    await world.store.save(Change(puts=(replace(sam, roles=frozenset()),)))  # an end that broke off
    with pytest.raises(StillWorks):
        await asks(dana, SAM)
    await core.revoke_access(await world.dana(), SAM)
    await core.choose_account(await world.dana(), A, "Sam@Contoso.com")
    with pytest.raises(StillAnAccount):
        await asks(dana, SAM)
    with pytest.raises(NoAccess):
        await asks(await world.actor(SAM), KIM)


async def test_the_question_is_about_what_it_showed(left: World) -> None:
    person = await left.core.to_forget(await left.dana(), SAM)
    await left.core.meet(member(SAM, "Sam Foxx", upn="sam@contoso.com"), None)
    with pytest.raises(OutOfDate):
        await left.core.forget_person(await left.dana(), SAM, person.version)
    assert await left.person(SAM)
    assert await left.store.get(Device, A)


def test_a_name_of_one_word_is_found_where_it_stands_alone() -> None:
    trace = Trace("3f2a0000", "Max", "max@contoso.com", "", "")
    assert trace.without("max") == "3f2a…"
    assert trace.without("Max-Planck-Saal") == "Max-Planck-Saal"
    assert trace.without("MAX@contoso.com, Max") == "3f2a…, Max"
    assert trace.without("climax@contoso.com") == "climax@contoso.com"
    assert Trace("x", "", "", "", "").without("anything") == "anything"


def test_words_are_changed_once() -> None:
    trace = Trace("3f2a0000", "Sam Fox", "sam@contoso.com", "29:x", "a:y")
    said = trace.without("Sam Fox (sam@contoso.com, 29:x, a:y)")
    assert said == "3f2a… (3f2a…, 3f2a…, 3f2a…)" == trace.without(said)
