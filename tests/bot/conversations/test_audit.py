"""The ledger in chat: what happened and what arrived, in words; 1:1, for admins alone."""

import pytest

from provisioning.messages import MessageKind
from provisioning.model import Change
from provisioning.notifications import tell
from tests.bot.chat import House, Post, Someone
from tests.cards.samples import HOSTILE
from tests.connector import Fault

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")


def line(card: Post, word: str) -> str:
    """The lines of the row with this word."""
    return "\n".join(text for text in card.texts if word in text)


async def test_what_happened_to_a_device(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    await house.passes(minutes=1)
    card = await dana.says("audit 2.14")
    assert card.title == "Ledger: 2.14, ends 22:33"
    for said in ("Put on the list at Oslo/2/2.14", "Code 1 made, valid until", "Provisioned, calling"):
        assert said in card.all
    assert "Code 1 shown to Sam\nby Sam, 07:30" in card.all
    assert "To Sam: devices handed over\nqueued 07:30, sent 07:30, edited 07:30" in card.all
    older = await dana.presses("Facts", on=card)
    assert older.title == "Facts: 2.14, ends 22:33"


async def test_somebody_who_blocked_the_bot(house: House, dana: Someone, sam: Someone, day: None) -> None:
    house.connector.troubled(sam.conversation, *[Fault(403)] * 4)
    await dana.says("reissue 2.14")
    await house.passes(minutes=5)
    card = await dana.says("audit Sam")
    assert "I cannot reach Sam: they blocked or removed the bot" in card.all
    assert "did not arrive" in card.all
    everything = await dana.says("audit")
    assert "cannot reach Sam" in everything.texts[2] + everything.texts[3] + everything.texts[4]
    failed = await dana.presses("Not arrived", on=everything)
    assert (
        failed.title == "Not arrived: everything" and "queued 07:30, given up 07:30: I cannot reach Sam" in failed.all
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "I cannot reach the channel rollout: the bot was removed from its team"),
        (404, "the channel rollout is gone: it does not exist any more, or the bot was removed from its team"),
    ],
)
async def test_a_channel_that_is_gone(house: House, dana: Someone, day: None, status: int, said: str) -> None:
    channel = house.channel()
    await channel.says("connect oslo", by=dana)
    house.connector.troubled(channel.conversation, *[Fault(status)] * 8)
    told = tell(MessageKind.CODES_ENDED, channel.conversation, channel.conversation, house.clock.now(), count="6")
    await house.store.save(Change(puts=(told,)))
    await house.passes(minutes=2)
    card = await dana.says("audit")
    assert said in card.all
    assert channel.conversation not in card.all


async def test_tried_again_then_sent(house: House, dana: Someone, sam: Someone, day: None) -> None:
    house.connector.troubled(sam.conversation, Fault(429, {"Retry-After": "30"}), Fault(503))
    await dana.says("reissue 2.16")
    waiting = await dana.says("audit Sam")
    assert "1 message waits" in waiting.all and "due 07:3" in waiting.all
    for _round in range(4):
        await house.passes(minutes=1)
    sent = await dana.says("audit Sam")
    assert "waits" not in sent.all
    messages = await dana.presses("Messages", on=sent)
    assert "To Sam: devices handed over" in messages.all and "sent 07:3" in messages.all


async def test_an_edit_is_among_them(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.passes(minutes=3)
    await dana.says("move 2.14 to Oslo/2/2.15")
    card = await dana.presses("Messages", on=await dana.says("audit Sam"))
    assert "To Sam: a card redrawn" in card.all
    assert "2.15, ends 22:33, queued 07:33, edited 07:33" in card.all


async def test_what_is_not_worth_saying_any_more(house: House, dana: Someone, sam: Someone, day: None) -> None:
    house.by_itself = False
    await dana.says("assign 2.16 to Sam")
    told = tell(MessageKind.PROBLEM_ANSWERED, sam.object_id, A.replace("-", ""), house.clock.now())
    await house.store.save(Change(puts=(told,)))
    await house.settled()
    card = await dana.presses("Messages", on=await dana.says("audit Sam"))
    assert "not sent 07:30: there was nothing to say any more" in card.all


async def test_pages_go_back_to_the_beginning(house: House, dana: Someone, sam: Someone, day: None) -> None:
    for number in range(12):
        await house.passes(seconds=1)
        await dana.says(f"move 2.16 to Oslo/3/{number}")
        await dana.says(f"move {B} to Oslo/2/2.16")
    card, seen = await dana.says(f"audit {B}"), 0
    for _page in range(20):
        seen += card.all.count("Moved from")
        if "Older" not in card.buttons:
            break
        card = await dana.presses("Older", on=card)
    assert seen == 24
    assert "Put on the list at Oslo/2/2.16" in card.all


@pytest.mark.parametrize("name", HOSTILE[:4])
async def test_hostile_names_do_no_harm(house: House, dana: Someone, name: str) -> None:
    someone = house.person(name[:150].strip() or "x")
    await someone.says("hi")
    await dana.says(f"grant {someone.object_id} technician")
    await dana.says(f"audit {someone.object_id}")
    assert "Made Technician" in dana.card.all


async def test_two_of_a_name_are_asked_for(house: House, dana: Someone) -> None:
    await house.technician("Kim Berg")
    await house.technician("Kim Lund")
    asked = await dana.says("audit Kim")
    assert "can mean more than one" in asked.title
    shown = await dana.presses(asked.buttons[0], on=asked)
    assert shown.title.startswith("Ledger: Kim")


async def test_admins_alone_and_in_their_own_chat(house: House, dana: Someone, sam: Someone, day: None) -> None:
    assert (await sam.says("audit 2.14")).all.startswith("Only admins")
    said = await house.channel().says("audit 2.14", by=dana)
    assert "I wrote to you in chat." in said.all and dana.card.title.startswith("Ledger: 2.14")


async def test_nobody_and_nothing(house: House, dana: Someone) -> None:
    assert "I know no device and nobody called" in (await dana.says("audit xyzzy")).all
    assert (await dana.says("audit")).title == "Ledger: everything"
