"""Messages: claimed, sent, tried again, given up; cards that stand in chats."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.delivery_errors import PostGone, Throttled, TryAgain, Unreachable
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from tests.provisioning.world import DANA, SAM, A, B, World, channel


@pytest.fixture
async def waiting(world: World) -> World:
    """Sam is to be told of a new job."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.delivers()
    await world.issue("2.14", SAM)
    return world


async def claimed(world: World) -> OutboxMessage:
    (message,) = await world.core.claim()
    return message


async def status(world: World, message: OutboxMessage) -> MessageStatus:
    kept = await world.store.get(OutboxMessage, message.id)
    assert kept is not None
    return kept.status


# ------------------------------------------------------------------ the relay's road


async def test_a_message_is_claimed_once_and_again_when_its_lease_ran_out(waiting: World) -> None:
    message = await claimed(waiting)
    assert await waiting.core.claim() == []
    waiting.later(seconds=61)
    assert (await claimed(waiting)).id == message.id


async def test_a_sent_message_leaves_a_card_that_follows_its_device(waiting: World) -> None:
    message = await claimed(waiting)
    version = (await waiting.device(A)).version
    post = Post(
        conversation=channel("x"),
        activity_id="a1",
        reader=SAM,
        subject=A,
        view="next_device",
        revision=version,
        posted_at=waiting.clock.now(),
        message=message.id,
    )
    await waiting.core.sent(message, post)
    assert (await status(waiting, message), await waiting.told()) == (MessageStatus.SENT, [])
    await waiting.provisions(A)
    assert [m.subject for m in await waiting.told(MessageKind.EDIT)] == [post.key]


async def test_what_changed_while_a_card_was_under_way_is_caught_up(waiting: World) -> None:
    message, version = await claimed(waiting), (await waiting.device(A)).version
    await waiting.provisions(A)
    card = Post(
        conversation=channel("x"),
        activity_id="a1",
        reader=SAM,
        subject=A,
        view="next_device",
        revision=version,
        posted_at=waiting.clock.now(),
    )
    await waiting.core.sent(message, card)
    assert [(m.kind, m.subject) for m in await waiting.told(MessageKind.EDIT)] == [(MessageKind.EDIT, card.key)]


@pytest.mark.parametrize("again", [False, True])
async def test_what_changed_while_a_channels_card_was_under_way_is_looked_for_once(waiting: World, again: bool) -> None:
    place, now = channel("x"), waiting.clock.now()
    card = Post(
        conversation=place, activity_id="a1", reader=place.id, subject=place.id, view="v", posted_at=now, drawn="1 of 2"
    )
    if again:
        await waiting.core.remember(replace(card, activity_id="deleted", edited_at=now))
        await waiting.core.posted_again(await claimed(waiting), card, replace(card, activity_id="deleted"))
        assert await waiting.core.post(f"{place.id}|deleted") is None
    else:
        await waiting.core.remember(card)
    (edit,) = await waiting.told(MessageKind.EDIT)
    assert (edit.subject, edit.due_at - now) == (card.key, timedelta(seconds=30))
    waiting.later(seconds=31)
    (message,) = [claimed for claimed in await waiting.core.claim() if claimed.id == edit.id]
    await waiting.core.sent(message, replace(card, edited_at=waiting.clock.now()))
    assert await waiting.told(MessageKind.EDIT) == []


async def test_a_new_card_under_an_id_that_is_known_takes_the_former_one_s_place(waiting: World) -> None:
    """A connector should give each post an id of its own; where it begins anew, nobody's turn fails."""
    card = await waiting.shows(SAM, A)
    await waiting.core.remember(replace(card, version=0, view="next_device"), new=True)
    stands = await waiting.core.post(card.key)
    assert stands is not None
    assert (stands.view, stands.version) == ("next_device", card.version + 1)


async def test_that_a_card_was_seen_while_its_edit_was_under_way_is_not_forgotten(waiting: World) -> None:
    known = await waiting.core.post((await waiting.shows(SAM, A)).key)
    assert known is not None
    message = await claimed(waiting)
    await waiting.core.opened(known.key)
    await waiting.core.sent(message, replace(known, edited_at=waiting.clock.now()), known=known)
    kept = await waiting.core.post(known.key)
    assert kept is not None
    assert (kept.opened_at, kept.edited_at, kept.version) == (waiting.clock.now(),) * 2 + (known.version + 2,)
    assert await status(waiting, message) is MessageStatus.SENT


async def test_that_a_card_was_seen_is_not_forgotten_by_a_later_edit(waiting: World) -> None:
    card = await waiting.shows(SAM, A)
    await waiting.core.opened(card.key)
    await waiting.core.sent(await claimed(waiting), replace(card, edited_at=waiting.clock.now()))
    kept = await waiting.core.post(card.key)
    assert kept is not None
    assert kept.opened_at == waiting.clock.now()


async def test_a_failed_message_comes_back_after_its_pause_and_keeps_its_place(waiting: World) -> None:
    message = await claimed(waiting)
    fate = await waiting.core.failed(message, Throttled(20.0), jitter=0.5)
    assert (fate.status, fate.attempts) == (MessageStatus.WAITING, 1)
    assert await waiting.core.claim() == []
    waiting.later(seconds=22)
    assert (await claimed(waiting)).id == message.id


async def test_a_chat_that_answers_403_is_given_up_and_the_admins_hear_in_the_same_save(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, saves, save = await claimed(waiting), [], waiting.store.save

    async def counted(change: object) -> None:
        saves.append(change)
        await save(change)  # type: ignore[arg-type]

    monkeypatch.setattr(waiting.store, "save", counted)
    await waiting.core.failed(message, Unreachable(), jitter=0)
    assert await status(waiting, message) is MessageStatus.UNDELIVERABLE
    assert [(m.kind, m.recipient, m.subject) for m in await waiting.told()] == [(MessageKind.UNREACHABLE, DANA, SAM)]
    assert not (await waiting.person(SAM)).reachable
    assert len(saves) == 1


async def test_a_dropped_message_is_settled(waiting: World) -> None:
    message = await claimed(waiting)
    await waiting.core.dropped(message)
    waiting.later(hours=1)
    assert await waiting.core.claim() == []


async def test_a_relay_that_was_overtaken_leaves_it_to_the_faster_one(waiting: World) -> None:
    slow = await claimed(waiting)
    waiting.later(seconds=61)
    await waiting.core.sent(await claimed(waiting), None)
    before = await waiting.store.get(OutboxMessage, slow.id)
    await waiting.core.failed(slow, TryAgain(), 0.5)
    await waiting.core.dropped(slow)
    await waiting.core.sent(slow, None)
    assert await waiting.store.get(OutboxMessage, slow.id) == before


# ------------------------------------------------------------------ cards


async def test_one_edit_of_a_card_waits_at_a_time(waiting: World) -> None:
    await waiting.delivers()
    card = await waiting.shows(SAM, A)
    await waiting.core.move(await waiting.dana(), A, "Oslo/8")
    await waiting.core.move(await waiting.dana(), A, "Oslo/9")
    assert [m.subject for m in await waiting.told()] == [card.key]


async def test_a_change_while_an_edit_is_under_way_makes_another(waiting: World) -> None:
    await waiting.delivers()
    card = await waiting.shows(SAM, A)
    await waiting.core.move(await waiting.dana(), A, "Oslo/8")
    under_way = await claimed(waiting)
    await waiting.core.move(await waiting.dana(), A, "Oslo/9")
    await waiting.core.sent(under_way, card)
    assert [m.subject for m in await waiting.told()] == [card.key]


async def test_the_pressed_card_is_not_edited_for_its_own_press(waiting: World) -> None:
    await waiting.delivers()
    mine, other = await waiting.shows(SAM, A), await waiting.shows(DANA, A)
    await waiting.core.report(replace(await waiting.sam(), post=mine.key), A, "broken")
    assert [m.subject for m in await waiting.told(MessageKind.EDIT)] == [other.key]


async def test_a_forgotten_card_is_left_alone(waiting: World) -> None:
    await waiting.delivers()
    card = await waiting.shows(SAM, A)
    await waiting.core.forget(card.key)
    await waiting.core.forget(card.key)
    await waiting.core.move(await waiting.dana(), A, "Oslo/8")
    assert await waiting.told() == []


async def test_a_channels_deleted_card_is_posted_again_once_then_the_admins_are_asked(waiting: World) -> None:
    message = await claimed(waiting)
    card = await waiting.shows("channel-oslo", "channel-oslo", view="rollout")
    assert await waiting.core.card_gone(card, message)
    again = await waiting.shows("channel-oslo", "channel-oslo", view="rollout")
    await waiting.core.remember(replace(again, reposted=True))
    reposted = await waiting.core.post(again.key)
    assert reposted is not None
    assert not await waiting.core.card_gone(reposted, message)
    assert [m.recipient for m in await waiting.told(MessageKind.CARD_GONE)] == [DANA]
    assert isinstance(PostGone().code, str)


# ------------------------------------------------------------------ what people see of it


async def test_a_technician_can_be_reminded(waiting: World) -> None:
    await waiting.delivers()
    await waiting.core.remind(await waiting.dana(), await waiting.person(SAM))
    assert [(m.kind, m.recipient) for m in await waiting.told()] == [(MessageKind.NEW_JOBS, SAM)]


async def test_the_ledger_says_when_a_hand_over_arrived_and_was_opened(waiting: World) -> None:
    since, sam = waiting.clock.now(), await waiting.person(SAM)
    assert (await waiting.core.delivery(sam, since)).delivered_at is None
    waiting.later(minutes=1)
    card = await waiting.shows(SAM, A)
    waiting.later(minutes=5)
    await waiting.core.opened(card.key)
    ledger = await waiting.core.delivery(sam, since)
    assert (ledger.delivered_at, ledger.opened_at) == (since + timedelta(minutes=1), since + timedelta(minutes=6))


async def test_a_ledger_drawn_before_its_technician_was_reached_is_drawn_anew_once(world: World) -> None:
    drawn = world.clock.now()
    world.later(seconds=1)
    await world.shows(SAM, A)
    ledger = await world.shows(DANA, SAM, view="issued")
    assert not await world.told(MessageKind.EDIT)  # Sam had been reached when it was drawn
    await world.core.remember(replace(ledger, posted_at=drawn))
    assert [m.subject for m in await world.told(MessageKind.EDIT)] == [ledger.key]
    await world.delivers()
    await world.core.remember(replace(ledger, posted_at=drawn, edited_at=world.clock.now()))
    assert not await world.told(MessageKind.EDIT)  # an edit gives rise to no further one
