"""Conversation 8: one living card in the channel, replies where something matters, never a code."""

from datetime import timedelta

import pytest

from tests.bot.chat import Channel, House, Post, Someone
from tests.connector import Fault

MACS = [f"80-5E-C0-11-22-{n:02X}" for n in range(8)]


@pytest.fixture
def channel(house: House) -> Channel:
    return house.channel()


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone, channel: Channel) -> None:
    """Eight devices of Oslo are with Sam; the channel follows them."""
    await dana.says("add " + "\n".join(f"{mac} Oslo/2/2.{n:02}" for n, mac in enumerate(MACS, 10)))
    await dana.says("issue oslo to Sam for 48h")
    await channel.says("connect oslo", by=dana)


def living(channel: Channel) -> Post:
    cards = [post for post in channel.posts if post.card]
    assert len(cards) == 1, channel.titles
    return cards[0]


async def calls_in(house: House, sam: Someone, count: int) -> None:
    """The next devices call in and are confirmed."""
    for _device in range(count):
        card = await sam.says("next")
        mac = next(mac for mac in MACS if mac in card.all)
        assert (await house.device(mac).provision(card.code)).status == 200
        await sam.says(f"install {mac}")


async def test_connecting_posts_the_living_card(house: House, dana: Someone, channel: Channel, day: None) -> None:
    card = living(channel)
    assert card.title == "Oslo rollout"
    assert "0 of 8 provisioned, 0 installed, 0 problems" in card.texts
    assert "□□□□□□□□□□ 0 %" in card.texts
    assert "Updated 07:30." in card.all
    assert card.buttons == ["Details"] and not card.thread
    assert "This channel follows Oslo now." in channel.titles
    details = await dana.presses("Details", chat=channel)
    assert "8 devices wait for activation." in details.all
    assert living(channel).title == "Oslo rollout"  # what one presses is for their eyes


async def test_the_card_is_edited_at_most_every_30_seconds(
    house: House, sam: Someone, channel: Channel, day: None
) -> None:
    card = living(channel)
    await calls_in(house, sam, 1)
    assert card.edits == 0
    await house.passes(seconds=29)
    assert card.edits == 0
    await house.passes(seconds=1)
    assert card.edits == 1
    assert "1 of 8 provisioned, 1 installed, 0 problems" in card.texts
    assert "Last: 2.10, Sam 07:30. Updated 07:30." in card.all
    await calls_in(house, sam, 1)
    await house.passes(seconds=10)
    await calls_in(house, sam, 1)
    assert card.edits == 1
    await house.passes(seconds=20)
    assert card.edits == 2 and "3 of 8 provisioned" in card.all
    assert "■■■□□□□□□□ 37 %" in card.texts


async def test_start_and_milestones_are_told_once_in_the_thread(
    house: House, sam: Someone, channel: Channel, day: None
) -> None:
    for _step in range(8):
        await calls_in(house, sam, 1)
        await house.passes(seconds=60)
    said = [post.text for post in channel.replies]
    assert said == [
        "Oslo: the first device called in. The rollout has started.",
        "Oslo: 25 % of the devices have called in.",
        "Oslo: 50 % of the devices have called in.",
        "Oslo: 75 % of the devices have called in.",
        "Oslo: 100 %. Every device has called in.",
    ]
    assert {post.thread for post in channel.replies} == {living(channel).id}
    await house.passes(hours=1)
    assert len(channel.replies) == 5


async def test_several_milestones_passed_together_are_one_reply(
    house: House, sam: Someone, channel: Channel, day: None
) -> None:
    await calls_in(house, sam, 6)
    await house.passes(seconds=30)
    assert [post.text for post in channel.replies] == [
        "Oslo: the first device called in. The rollout has started.",
        "Oslo: 75 % of the devices have called in.",
    ]


async def test_a_problem_is_a_reply_that_mentions_the_owner(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await sam.says("problem 2.10 no power")
    (reply,) = channel.replies
    assert reply.thread == living(channel).id and reply.mentions == [dana.teams_id]
    assert "<at>Dana</at> Problem at Oslo, floor 2, room 2.10" in reply.text and "no power" in reply.text
    assert not any(mac in reply.text for mac in MACS)


async def test_the_end_of_more_than_five_codes_is_told(house: House, channel: Channel, day: None) -> None:
    await house.passes(hours=49)
    assert "8 codes ended unused." in [post.text for post in channel.replies]


async def test_a_code_asked_for_in_the_channel_goes_to_the_own_chat(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    before = len(channel.posts)
    for words in ("next", "code 2.11", "my devices", "/my devices", "2.12"):
        answer = await channel.says(words, by=sam)
        assert answer.text == "I wrote to you in chat.", words
    assert (await channel.says("codes", by=dana)).text == "I wrote to you in chat."
    assert (await channel.says("code 2.10", by=dana)).text == "I wrote to you in chat."
    assert not [post for post in channel.posts[before:] if post.card]
    assert [post.code for post in sam.posts if post.code] == [sam.with_button("Confirm install").code]
    assert dana.card.code


async def test_whoever_never_wrote_gets_a_chat_opened_or_is_told_how(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    kim = house.person("Kim")
    await dana.says(f"grant {kim.object_id} technician")
    house.chats[f"a:{kim.teams_id}"] = kim  # where the connector opens it
    assert (await channel.says("list", by=kim)).text == "I wrote to you in chat."
    assert kim.last.title == "0 of 0 done"

    lee = house.person("Lee")
    await dana.says(f"grant {lee.object_id} technician")
    await channel.says("help", by=lee)
    house.chats[f"a:{lee.teams_id}"] = lee
    house.connector.troubled(f"a:{lee.teams_id}", Fault(403))
    said = await channel.says("list", by=lee)
    assert said.text == "I cannot write to you. Open a chat with me, say hi, and ask again."


async def test_a_deleted_card_is_posted_again_once_then_the_admin_is_asked(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    channel.deletes(living(channel))
    await calls_in(house, sam, 1)
    await house.passes(seconds=30)
    assert living(channel).title == "Oslo rollout" and "1 of 8" in living(channel).all

    channel.deletes(living(channel))
    await calls_in(house, sam, 1)
    await house.passes(seconds=30)
    assert not [post for post in channel.posts if post.card]
    assert dana.card.title == "The card of Oslo was deleted twice"

    await calls_in(house, sam, 1)
    await house.passes(minutes=10)
    assert not [post for post in channel.posts if post.card]
    assert dana.titles.count("The card of Oslo was deleted twice") == 1
    await channel.says("rollout", by=dana)
    assert "3 of 8" in living(channel).all


async def test_replies_find_the_card_that_stands_now(house: House, sam: Someone, channel: Channel, day: None) -> None:
    channel.deletes(living(channel))
    await calls_in(house, sam, 1)
    await house.passes(seconds=30)
    await sam.says("problem 2.17 no power")
    assert channel.replies[-1].thread == living(channel).id


async def test_rollout_and_details_for_anybody_in_the_channel(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    kim = house.person("Kim")
    assert (await channel.says("rollout", by=kim)).text.startswith("Oslo rollout.")
    eve = house.channel("elsewhere")
    assert "This channel follows no rollout. Say connect and a site" in (await eve.says("rollout", by=kim)).text


async def test_asked_again_the_one_living_card_goes_on_living(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    card = living(channel)
    asked = await channel.says("rollout", by=dana)
    assert asked.text.startswith("Oslo rollout.") and not asked.card
    await calls_in(house, sam, 1)
    await house.passes(seconds=30)
    assert card.edits == 1
    await channel.says("connect oslo", by=dana)  # wanted anew further down: from here on that one lives
    fresh = [post for post in channel.posts if post.card][-1]
    await calls_in(house, sam, 1)
    await house.passes(seconds=30)
    assert (card.edits, fresh.edits) == (1, 1)


async def test_only_admins_connect_and_only_in_a_channel(
    house: House, dana: Someone, sam: Someone, channel: Channel
) -> None:
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    assert (await channel.says("connect oslo", by=sam)).text == "Only admins can do that. Ask one of your admins."
    assert (await dana.says("connect oslo")).text == "That works in a channel: mention me there."
    assert 'Nothing matches "bergen"' in (await channel.says("connect bergen", by=dana)).text
    assert (await channel.says("connect", by=dana)).title == "All sites rollout"


async def test_disconnect_ends_it(house: House, dana: Someone, sam: Someone, channel: Channel, day: None) -> None:
    said = await channel.says("disconnect", by=dana)
    assert said.text == "This channel no longer follows Oslo. The card above stays as it is."
    standing = len(channel.posts)
    await calls_in(house, sam, 3)
    await sam.says("problem 2.17 no power")
    await house.passes(minutes=1)
    assert len(channel.posts) == standing


async def test_a_moved_device_counts_where_it_went(house: House, dana: Someone, channel: Channel, day: None) -> None:
    house.clock.advance(timedelta(minutes=1))
    await dana.says("move 2.10 to Bergen/1/1.01")
    await house.passes(seconds=30)
    assert "0 of 7 provisioned" in living(channel).all
