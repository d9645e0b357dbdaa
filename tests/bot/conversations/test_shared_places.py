"""What is everybody's stays everybody's: a channel's card, its eyes, and ids that two chats happen to share."""

from tests.bot.chat import House, Someone


async def test_an_old_client_pressing_details_leaves_the_living_card(house: House, dana: Someone) -> None:
    channel = house.channel()
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    await channel.says("connect oslo", by=dana)
    card = next(post for post in channel.posts if post.card)
    await dana.presses("Details", chat=channel, submit=True)
    assert card.title == "Oslo rollout" and card.edits == 0
    assert "1 device waits for activation." in channel.posts[-1].all


async def test_lists_of_devices_and_people_are_not_for_the_channel(house: House, dana: Someone) -> None:
    channel = house.channel()
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    for asked in ("devices", "device 2.14", "find oslo", "people", "whoami"):
        assert (await channel.says(asked, by=dana)).text == "I wrote to you in chat."
    assert not any("22-33" in post.text or post.card for post in channel.posts)


async def test_the_same_activity_id_in_two_chats_is_two_activities(house: House, dana: Someone) -> None:
    lee = await house.admin("Lee")
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14", id="77")
    assert (await lee.says("add 80-5E-C0-11-22-34 Oslo/2/2.15", id="77")).title == "1 device saved"


async def test_activities_without_an_id_are_each_carried_out(house: House, dana: Someone) -> None:
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14", id="")
    assert (await dana.says("add 80-5E-C0-11-22-34 Oslo/2/2.15", id="")).title == "1 device saved"
