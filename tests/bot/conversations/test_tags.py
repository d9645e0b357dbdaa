"""Tags: words of one's own on devices, which then stand wherever a site can."""

import pytest

from tests.bot.chat import Channel, House, Someone

MACS = [f"80-5E-C0-11-22-{n:02X}" for n in range(6)]


@pytest.fixture
async def list_of_six(house: House, dana: Someone, sam: Someone) -> None:
    """Four devices of Oslo, two of Bergen; 2.10 of Oslo and 1.14 of Bergen are in a lobby."""
    places = ("Oslo/2/2.10", "Oslo/2/2.11", "Oslo/2/2.12", "Oslo/2/2.13", "Bergen/1/1.14", "Bergen/1/1.15")
    await dana.says("add " + "\n".join(f"{mac} {place}" for mac, place in zip(MACS, places, strict=True)))
    await dana.says("tag 2.10 Lobby")
    await dana.says("tag 1.14 Lobby")


pytestmark = pytest.mark.usefixtures("list_of_six")


async def test_a_tag_is_kept_as_written_and_compared_without_its_case(dana: Someone) -> None:
    assert (await dana.says("device 2.10")).facts["Tags"] == "Lobby"
    card = await dana.says("tag 2.10 LOBBY")
    assert card.title == "Nothing changed: 2.10"
    assert "1 had it already." in card.all
    assert (await dana.says("devices LoBBy")).title.startswith("2 devices")
    assert (await dana.says("device 2.10")).facts["Tags"] == "Lobby"


async def test_a_device_has_several_tags(dana: Someone) -> None:
    assert (await dana.says("tag oslo 2.10 East wing")).title == "1 device tagged with East wing"
    assert (await dana.says("device 2.10")).facts["Tags"] == "East wing, Lobby"
    assert (await dana.says("untag 2.10 lobby")).title == "1 device no longer has the tag lobby"
    assert (await dana.says("device 2.10")).facts["Tags"] == "East wing"


@pytest.mark.parametrize("tag", ["a, b", "#", "x" * 41])
async def test_what_is_no_tag_is_said_so(dana: Someone, tag: str) -> None:
    assert "A tag is a word or a few" in (await dana.says(f"tag 2.10 {tag}")).text


async def test_a_device_has_twenty_tags_at_most(dana: Someone) -> None:
    for n in range(19):
        await dana.says(f"tag 2.10 tag{n}")
    refused = await dana.says("tag 2.10 one more")
    assert refused.text == "2.10 has 20 tags, which is the most. Take one away with untag first."
    card = await dana.says("tag oslo one more")
    assert card.title == "3 devices tagged with one more"
    assert "1 has as many tags as it can." in card.all


async def test_tags_are_listed_with_their_counts(dana: Someone) -> None:
    await dana.says("tag bergen West")
    card = await dana.says("tags")
    assert card.title == "2 tags"
    assert [text for text in card.texts if text.startswith("#")] == ["#lobby", "#west"]
    assert card.texts.count("2 devices") == 2


async def test_many_devices_are_asked_about_first(house: House, dana: Someone) -> None:
    rows = "\n".join(f"80-5E-C0-11-33-{n:02X} Bodø/1/{n}" for n in range(101))
    await dana.says(f"add {rows}")
    asked = await dana.says("tag bodø fiber")
    assert asked.title == "Tag 101 devices of Bodø with fiber?"
    assert (await dana.says("tags")).title == "1 tag"
    done = await dana.presses("Tag 101", on=dana.titled("Tag 101 devices of Bodø with fiber?"))
    assert done.title == "101 devices tagged with fiber"
    assert (await dana.says("untag bodø fiber")).title == "Take the tag fiber from 101 devices?"
    assert (await dana.presses("Untag 101")).title == "101 devices no longer have the tag fiber"
    assert (await dana.says("untag bodø fiber")).title == "Nothing changed: Bodø"


async def test_a_tag_stands_where_a_site_can(house: House, dana: Someone, sam: Someone) -> None:
    assert (await dana.says("issue lobby to Sam")).title == "2 codes issued to Sam"
    assert (await sam.says("list")).title == "0 of 2 done"
    assert (await dana.says("reissue lobby")).title == "Void every live code of #Lobby and issue new ones?"
    assert (await dana.presses("Reissue")).title == "2 codes issued to Sam"
    await dana.says("issue 2.11")
    assert (await dana.says("codes lobby")).title == "2 live codes: #Lobby"
    assert (await dana.says("revoke #lobby")).title == "Revoke every live code of #Lobby?"
    await dana.presses("Revoke")
    assert (await dana.says("codes lobby")).title == "0 live codes: #Lobby"
    assert (await dana.says("codes")).title == "1 live code"
    assert "#Lobby" in (await dana.says("assign lobby to Sam")).all


async def test_the_form_offers_the_tag(dana: Someone, sam: Someone) -> None:
    form = await dana.says("issue lobby")
    assert form.title == "Issue codes: #Lobby"
    assert [choice["title"] for choice in form.inputs["target"]["choices"]] == ["#Lobby (2 waiting)"]
    assert (await dana.presses("Issue 2", technician="-")).title == "2 codes issued"


async def test_of_a_site_and_a_tag_of_one_name_the_site_is_meant(dana: Someone) -> None:
    await dana.says("tag 2.11 Bergen")
    assert (await dana.says("rollout bergen")).title == "Bergen rollout"
    assert (await dana.says("rollout #bergen")).title == "#Bergen rollout"
    assert (await dana.says("devices bergen")).title.startswith("2 devices")
    assert (await dana.says("devices #bergen")).title.startswith("1 device")


async def test_a_tag_called_like_a_place_is_asked_about(dana: Someone, sam: Someone) -> None:
    await dana.says("add 80-5E-C0-11-44-01 Oslo/1/Lobby")
    asked = await dana.says("issue lobby to Sam")
    assert asked.title == '"lobby" can mean more than one. Which one?'
    assert asked.buttons == ["#Lobby, all that ha…", "Oslo/1/Lobby · 44:01"]
    assert (await dana.presses(asked.buttons[0])).title == "2 codes issued to Sam"


async def test_what_is_tagged_may_be_asked_about_as_well(dana: Someone) -> None:
    await dana.says("add 80-5E-C0-11-44-01 Bergen/2/2.10")
    asked = await dana.says("tag 2.10 East wing")
    assert asked.title == '"2.10" can mean more than one. Which one?'
    assert (await dana.presses(asked.buttons[0])).title == "1 device tagged with East wing"


async def test_only_admins_tag(sam: Someone) -> None:
    for said in ("tag 2.10 mine", "untag 2.10 lobby", "tags"):
        assert "Only admins" in (await sam.says(said)).text


async def test_a_channel_follows_a_tag(house: House, dana: Someone, sam: Someone) -> None:
    channel: Channel = house.channel()
    await channel.says("connect lobby", by=dana)
    card = channel.titled("#Lobby rollout")
    assert "0 of 2 provisioned" in card.all
    assert "This channel follows #Lobby now." in channel.titles
    await dana.says("issue lobby to Sam")
    device = house.device(MACS[4])  # in Bergen
    assert (await device.provision((await sam.says("code 1.14")).code)).status == 200
    await house.passes(seconds=31)
    assert "1 of 2 provisioned" in card.all
    assert "1.14, called in" in card.all
    assert any("#Lobby: 50 %" in text or "#Lobby: the first" in text for text in channel.titles)
    await sam.says("problem 2.10 broken screen")
    assert any("Problem at Oslo" in post.text for post in channel.replies)


async def test_tagging_moves_the_card_of_a_tag(house: House, dana: Someone) -> None:
    channel = house.channel()
    await channel.says("connect lobby", by=dana)
    card = channel.titled("#Lobby rollout")
    await dana.says("tag bergen lobby")
    await house.passes(seconds=31)
    assert "0 of 3 provisioned" in card.all
    await dana.says("untag #lobby lobby")
    await house.passes(seconds=31)
    assert "0 of 0 provisioned" in card.all


async def test_a_channel_of_a_tag_hears_of_many_ended_codes_of_that_tag_alone(house: House, dana: Someone) -> None:
    channel, other = house.channel("lobby"), house.channel("east")
    await dana.says("tag oslo lobby")
    await dana.says("tag bergen lobby")
    await dana.says("tag 2.10 east")
    await channel.says("connect lobby", by=dana)
    await other.says("connect east", by=dana)
    await dana.says("issue all to Sam for 1h")
    await house.passes(minutes=61)
    assert "6 codes ended unused." in channel.titles
    assert not any("ended unused" in title for title in other.titles)
