"""A channel that is gone, a team that put the bot out, a team of another name: said once, and nothing else waits."""

import pytest

from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.rollouts import Rollout
from tests.bot.chat import Channel, House, Someone
from tests.connector import BOT_ID, Fault

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
def channel(house: House) -> Channel:
    return house.channel()


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone, channel: Channel) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")
    await channel.says("connect oslo", by=dana)


async def rollout(house: House, channel: Channel) -> Rollout:
    found = await house.store.get(Rollout, channel.conversation)
    assert found
    return found


def warnings(someone: Someone) -> list[str]:
    return [title for title in someone.titles if title.startswith("I cannot write into")]


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "The bot was removed from the team."), (404, "The channel does not exist any more.")],
)
async def test_admins_hear_once_that_a_channel_is_lost_and_everybody_else_hears_what_they_should(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None, status: int, words: str
) -> None:
    house.connector.troubled(channel.conversation, *[Fault(status)] * 20)
    await house.device(A).provision(sam.card.code)
    for _minute in range(3):
        await house.passes(minutes=1)
        await sam.says(f"problem {B} it is broken")
    assert warnings(dana) == [f"I cannot write into channel {channel.name}"]
    card = next(post for post in dana.posts if post.card and "I cannot write into" in post.all)
    assert words in card.all
    rows = (await house.store.find(OutboxMessage, limit=1000)).rows
    lost = [row for row in rows if row.recipient == channel.conversation and row.status is not MessageStatus.SENT]
    assert lost and {row.status for row in lost} == {MessageStatus.UNDELIVERABLE}
    assert {row.failure for row in lost} == {"blocked" if status == 403 else "chat_gone"}
    assert not await house.waiting()
    assert (await house.facts(channel.conversation)).count("ChannelLost") == 1


async def test_a_channel_that_is_heard_from_again_is_kept_up_to_date_again(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    house.connector.troubled(channel.conversation, Fault(403))
    await house.device(A).provision(sam.card.code)
    await house.passes(minutes=1)
    assert (await rollout(house, channel)).lost == "blocked"
    await channel.says("rollout", by=dana)
    assert (await rollout(house, channel)).lost == ""
    await house.passes(minutes=1)
    assert "1 of 2" in channel.posts[-1].all


async def test_a_team_that_puts_the_bot_out_loses_its_channels_at_once(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    activity = dana._activity("conversationUpdate", channel, text=None, membersRemoved=[{"id": BOT_ID}])
    await dana._post(activity)
    await house.settled()
    assert (await rollout(house, channel)).lost == "blocked"
    assert len(warnings(dana)) == 1


async def test_a_renamed_channel_is_known_by_its_new_name(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    channel.name = "Rollout north"
    await channel.says("rollout", by=dana)
    found = await rollout(house, channel)
    assert (found.channel.name, found.site, found.lost) == ("Rollout north", "Oslo", "")
