"""Codes that start on site: handed over without a code, so that none dies before somebody is at the device."""

import pytest

from tests.bot.chat import House, Someone

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"


@pytest.fixture
async def oslo(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Bergen/1/1.01")


@pytest.mark.parametrize("words", ["issue oslo to Sam on site", "issue oslo to Sam starting on site"])
async def test_devices_are_handed_over_and_no_code_is_made(
    house: House, dana: Someone, sam: Someone, oslo: None, words: str
) -> None:
    handed = await dana.says(words)
    assert handed.title == "2 devices handed to Sam"
    assert "Codes start on site, so none can end before." in handed.all
    assert house.keys.digits == []
    assert "room 2.14" in sam.card.title and not sam.card.code
    await house.passes(days=3)  # a weekend, and nothing died
    assert "CodeEnded" not in await house.facts()
    assert (await house.facts(A.replace("-", ""))) == ["DeviceAdded", "DeviceHandedOver"]


async def test_a_live_code_is_kept(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    await dana.says("issue 2.14 to Sam")
    handed = await dana.says("issue oslo to Sam on site")
    assert handed.title == "1 device handed to Sam" and "1 had a live code and keeps it." in handed.all
    assert (await house.record(A)).code and not (await house.record(B)).code


async def test_somebody_has_to_be_there(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    await dana.says("assign 2.14 to Sam")
    said = "Codes start on site, so somebody has to be there. Say: issue 2.16 to Sam on site"
    assert said in (await dana.says("issue 2.16 on site")).all
    assert (await dana.says("issue 2.14 on site")).title == "1 device handed to Sam"
    form = await dana.says("issue oslo")
    handed = await dana.presses("Issue 2", on=form, start="on site")
    assert "1 is with nobody who could start its code: name a technician." in handed.all


async def test_the_rollout_says_how_codes_start(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    channel = house.channel()
    await channel.says("connect oslo", by=dana)
    assert "Oslo: codes start on site from now on" in (await channel.says("policy on site", by=dana)).text
    assert "Codes start on site." in (await dana.presses("Details", chat=channel)).all
    form = await dana.says("issue oslo")
    assert form.inputs["start"]["value"] == "on site"
    assert (await dana.says("issue oslo to Sam")).title == "2 devices handed to Sam"
    assert (await dana.says("issue bergen to Sam")).title == "1 code issued to Sam"
    assert (await dana.says("issue 2.14 to Sam at once")).title == "1 code issued to Sam"
    assert "codes are made at once" in (await channel.says("policy at once", by=dana)).text
    assert (await dana.says("issue oslo to Sam")).title == "1 code issued to Sam"


async def test_a_channel_hears_of_it_in_its_own_language(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    lee, channel = await house.admin("Lee"), house.channel()
    await channel.says("connect oslo", by=dana)
    await lee.says("language german")
    assert "codes start on site from now on" in (await channel.says("policy on site", by=lee)).text


async def test_the_policy_is_the_admins(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    channel = house.channel()
    await channel.says("connect oslo", by=dana)
    assert "Only admins can do that" in (await channel.says("policy on site", by=sam)).text
    assert "policy on site, policy at once" in (await channel.says("policy whenever", by=dana)).text
    assert "ChannelConnected" in await house.facts() and "StartChosen" not in await house.facts()


async def test_several_technicians_share_them(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    kim = await house.technician("Kim")
    handed = await dana.says("issue oslo to Sam and Kim on site")
    assert handed.title == "2 devices handed to Sam and Kim"
    assert "room 2.14" in sam.card.title and "room 2.16" in kim.card.title


async def test_mounted_before_it_called_in_is_told_apart_everywhere(
    house: House, dana: Someone, sam: Someone, oslo: None
) -> None:
    channel = house.channel()
    await dana.says("issue oslo to Sam")
    await channel.says("connect oslo", by=dana)
    await sam.says("install 2.14")
    await sam.presses("Mounting only")
    await sam.presses("Save")
    await house.passes(seconds=30)
    assert "0 of 2 provisioned, 1 installed, 0 problems. 1 of the installed has not called in" in channel.card.texts
    assert "1 of them has not called in here." in (await dana.presses("Details", chat=channel)).all
    assert (await dana.says("device 2.14")).facts["Installed"] == "Sam 07:30, mounting only"
    assert "mounting only" in (await dana.says("devices oslo")).all
    await house.device(A).provision(house.keys.digits[0])
    await house.passes(seconds=60)
    assert "1 of 2 provisioned, 1 installed, 0 problems" in channel.card.texts


async def test_a_wish_for_a_code_ends_when_the_device_is_handed_over(
    house: House, dana: Someone, sam: Someone, oslo: None
) -> None:
    await dana.says("issue 2.14 to Sam on site")
    for _again in range(6):
        await sam.says("new code 2.14")
    assert (await house.record(A)).request
    await dana.says("revoke 2.14")
    kim = await house.technician("Kim")
    await dana.says("issue 2.14 to Kim on site")
    assert (await house.record(A)).request is None
    assert kim.card.buttons[0] == "I'm at the device"


async def test_the_only_technician_is_chosen_already(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    form = await dana.says("issue oslo")
    assert form.inputs["technician"]["value"] == sam.object_id
    await dana.says("assign 2.14 to Sam")
    assert (await dana.says("issue oslo")).inputs["technician"]["value"] == "-"


async def test_the_list_says_what_stands_with_each_code(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    await dana.says("issue 2.14 to Sam")
    await dana.says("issue 2.16 to Sam on site")
    listed = await sam.says("list")
    assert "2.14, ends 22:33, waiting" in listed.texts and "2.16, ends 22:34, code starts on site" in listed.texts
    await house.passes(hours=25)
    assert "2.14, ends 22:33, code ended" in (await sam.says("list")).texts
