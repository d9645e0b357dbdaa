"""Devices that stop calling: offline after a while, back with the next call, stale after long, never dropped."""

from dataclasses import replace

from tests.bot.chat import House, Someone
from tests.bot.conversations.remote import called_in


async def runs(house: House, minutes: int, *calling) -> None:
    """Time goes by as the service sees it; these devices call every ten minutes."""
    for _ in range(minutes // 10):
        await house.passes(minutes=10)
        for device in calling:
            assert (await device.status()).status == 200


async def test_a_silent_device_is_told_after_half_an_hour_and_its_return_is_seen(house: House, dana: Someone) -> None:
    device = await called_in(house)
    other = await called_in(house, "80-5E-C0-11-22-34", "Oslo/2/2.15")
    await runs(house, 30, device, other)
    before = len(dana.posts)
    await runs(house, 20, other)
    assert len(dana.posts) == before
    await runs(house, 30, other)
    card = dana.last
    assert card.title == "1 device offline"
    assert card.summary == "1 device offline, Oslo"
    assert "offline since 08:00, 40 min ago, waiting for sign-in" in card.all
    told = len(dana.posts)
    assert (await dana.says("device 2.14")).facts["Contact"] == "offline since 08:00, 50 min ago"
    assert "offline since 08:00" in (await dana.says("devices oslo")).all
    await device.status()
    await house.passes(minutes=1)
    assert card.title == "All devices are online again"
    assert len([p for p in dana.posts if p.title == "1 device offline"]) == 0 and len(dana.posts) == told + 2
    assert (await dana.says("device 2.14")).facts["Contact"] == "online"
    assert (await house.facts("805EC0112233"))[-2:] == ["DeviceOffline", "DeviceOnline"]


async def test_many_at_once_are_one_message_to_each_and_one_line_in_the_channel(house: House, dana: Someone) -> None:
    lee = await house.admin("Lee")
    channel = house.channel()
    for n in range(5):
        await called_in(house, f"80-5E-C0-11-22-4{n}", f"Oslo/2/2.2{n}")
    await called_in(house, "80-5E-C0-11-22-50", "Bergen/1/1.01")
    await channel.says("connect oslo", by=dana)
    await house.passes(seconds=31)  # that they wait for sign-in has been told
    before, theirs = len(dana.posts), len(lee.posts)
    await runs(house, 80)
    assert (len(dana.posts), len(lee.posts)) == (before + 1, theirs + 1)
    assert dana.last.title == dana.last.summary == "6 devices offline"
    said = [post.text for post in channel.replies if "offline" in post.text]
    assert said == ["5 devices are offline: 2.20, 2.21, 2.22 and 2 more."]


async def test_the_lists(house: House, dana: Someone, sam: Someone) -> None:
    assert (await dana.says("offline")).title == "No device is offline"
    for n in range(12):
        await called_in(house, f"80-5E-C0-11-22-{n:02X}", f"Oslo/2/2.{n:02}")
    await called_in(house, "80-5E-C0-11-22-50", "Bergen/1/1.01")
    await runs(house, 80)
    page = await dana.says("offline")
    assert page.title == "13 devices offline"
    assert "1 to 10 of 13." in page.all
    more = await dana.presses("More", on=page)
    assert "11 to 13 of 13." in more.all
    assert (await dana.says("offline oslo")).title == "12 devices offline: Oslo"
    assert (await dana.says("devices offline bergen")).title == "1 device offline: Bergen"
    assert (await dana.says("stale")).title == "Every device was heard of lately"
    assert "Only admins" in (await sam.says("devices offline")).text
    assert (await sam.says("offline")).title == "No devices today. I will write when there are."


async def test_after_long_a_device_is_flagged_and_never_dropped(house: House, dana: Someone) -> None:
    await called_in(house)
    await runs(house, 80)
    for _ in range(31):
        await house.passes(days=1)
    await house.passes(minutes=1)
    card = dana.titled("1 device has not called for 30 days")
    assert "It stays on the list." in card.texts
    assert (await dana.presses("Show", on=card)).title == "1 device not heard of for long"
    assert "not heard of for long" in (await dana.says("device 2.14")).facts["Contact"]
    assert (await dana.says("devices oslo")).title == "1 device: Oslo"


async def test_never_means_never(house: House, dana: Someone) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, offline_after=None)
    await called_in(house)
    await house.passes(seconds=31)  # that it waits for sign-in has been told
    before = len(dana.posts)
    await runs(house, 120)
    assert len(dana.posts) == before
    assert (await dana.says("offline")).title == "No device is offline"
