"""Sign-out from afar: asked for by an admin, done by the device, on one card that changes by itself."""

import pytest

from tests.bot.chat import House, Someone
from tests.bot.conversations.remote import ACCOUNT, MAC, called_in, sign_in, signed_in, standing


async def commands(device) -> dict[str, str]:
    """Name → id of what the device is asked for."""
    return {each["name"]: each["id"] for each in (await device.status()).body["commands"]}


async def test_a_device_signs_out_and_the_card_says_so(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    card = await standing(dana, "sign out 2.14")
    assert card.title == "Asked 2.14 to sign out. Not done yet."
    assert "Asked by you 07:30, just now." in card.texts
    assert card.buttons == ["Take back"]
    before = len(dana.posts)
    answer = await device.settles((await commands(device))["sign_out"])
    assert answer.status == 204
    assert card.title == "2.14 signed out 07:30"
    assert card.buttons == ["Sign in", "Show it"]
    assert len(dana.posts) == before, "a card that changed at once needs no message"
    shown = await dana.says("device 2.14")
    assert shown.title == "2.14: signed out"
    assert shown.facts["Signed in"] == f"no longer; last as {ACCOUNT}"
    assert "sign out done 07:30" in shown.facts["History"]
    assert shown.buttons[0] == "Sign in"
    assert (await device.status()).body["state"] == "signed_out"
    await sign_in(house)  # with nobody on site
    assert (await device.status()).body["account"] == ACCOUNT


async def test_a_device_that_is_away_gets_it_later_and_its_admin_is_told(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    card = await standing(dana, "sign out 2.14")
    await house.passes(minutes=3)
    again = await standing(dana, "sign out 2.14")
    assert again.texts[0] == "Asked already 3 min ago, not done yet."
    assert len((await house.record(MAC)).waiting_commands) == 1
    assert (await dana.says("device 2.14")).facts["Asked"] == "sign out, asked by Dana 07:30, 3 min ago, not yet done"
    await house.passes(minutes=60)
    before = len(dana.posts)
    await device.settles((await commands(device))["sign_out"])
    assert len(dana.posts) == before + 1
    assert dana.last.title == "2.14 signed out 08:33" == dana.last.summary
    assert card.title == again.title == dana.last.title


async def test_what_was_asked_can_be_taken_back(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    card = await standing(dana, "sign out 2.14")
    assert (await dana.presses("Take back", on=card)).title == "Taken back: 2.14 stays signed in"
    assert await commands(device) == {}
    assert (await dana.says("take back 2.14")).text == "2.14 is asked for nothing."
    assert (await dana.says("sign out 2.14")).title == "Asked 2.14 to sign out. Not done yet."
    assert (await dana.says("take back 2.14")).title == "Taken back: 2.14 stays signed in"


async def test_a_device_that_refuses_says_why_in_its_own_words(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    card = await standing(dana, "sign out 2.14")
    await device.settles((await commands(device))["sign_out"], "failed", "[a call](https://evil.example) is *going on*")
    assert dana.last.title == card.title == "2.14 did not sign out"
    assert 'It says: "[a call](https://evil.example) is *going on*"' in card.all
    assert "](" not in str(card.card), "the device's words are no link"
    assert card.buttons == ["Try again", "Show it"]
    assert (await dana.says("device 2.14")).title == "2.14: signed in"
    assert (await dana.presses("Try again", on=card)).title == "Asked 2.14 to sign out. Not done yet."


@pytest.mark.parametrize("words", ["sign out 2.14", "restart 2.14", "diagnose 2.14"])
async def test_a_device_that_never_called_cannot_be_asked(house: House, dana: Someone, words: str) -> None:
    await dana.says(f"add {MAC} Oslo/2/2.14")
    assert "has not called in yet" in (await dana.says(words)).text


async def test_only_what_is_signed_in_signs_out(house: House, dana: Someone) -> None:
    await called_in(house)
    assert (await dana.says("sign out 2.14")).text == "2.14 is not signed in."
    assert (await dana.says("sign out oslo")).title == "No device of Oslo is signed in"


async def test_more_than_one_device_is_asked_about_first(house: House, dana: Someone) -> None:
    one = await signed_in(house)
    await signed_in(house, "80-5E-C0-11-22-34", "Oslo/2/2.15", "room-2.15@contoso.com")
    await called_in(house, "80-5E-C0-11-22-35", "Oslo/2/2.16")
    asked = await dana.says("sign out oslo")
    assert asked.title == "Sign out 2 devices of Oslo?"
    assert await commands(one) == {}
    assert (await dana.presses("Sign out", on=asked)).title == "2 devices asked to sign out: Oslo"
    assert list(await commands(one)) == ["sign_out"]
    assert len((await house.record("805EC0112235")).commands) == 0
    assert (await dana.says("sign out oslo")).title == "Sign out 2 devices of Oslo?"
    assert (await dana.presses("Sign out")).title == "Nothing new: they were asked already"


async def test_only_admins_ask(house: House, dana: Someone, sam: Someone) -> None:
    await signed_in(house, to="Sam")
    for words in ("sign out 2.14", "restart 2.14", "diagnose 2.14", "take back 2.14"):
        assert "Only admins" in (await sam.says(words)).text
    assert (await house.record(MAC)).commands == ()


async def test_a_reset_ends_what_was_asked(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    card = await standing(dana, "sign out 2.14")
    command = (await commands(device))["sign_out"]
    await device.is_reset()
    assert card.title == "2.14 began anew: it is not asked for this any more"
    assert (await device.settles(command)).status == 401
