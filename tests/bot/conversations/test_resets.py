"""Factory reset and further lives: ordered by an admin, told by the device, or suspected where one was done by hand."""

import pytest

from tests.bot.chat import House, Someone
from tests.bot.conversations.remote import MAC, called_in, sign_in, signed_in, standing


async def test_an_admin_ends_a_life_and_its_history_stays(house: House, dana: Someone, sam: Someone) -> None:
    device = await signed_in(house, to="Sam")
    form = await dana.says("reset 2.14")
    assert form.title == "Reset Oslo 2.14?"
    assert "Type 2233 to confirm." in form.texts
    wrong = await dana.presses("Reset", on=form, digits="2234")
    assert wrong.title == "Reset Oslo 2.14?"
    assert (await house.record(MAC)).life == 1
    card = await dana.presses("Reset", on=wrong, digits=" 2233 ")
    assert card.title == "Reset asked 07:30"
    assert "Oslo, floor 2, room 2.14: waiting for activation (life 2), history kept." in card.texts
    assert card.buttons == ["Code to Sam", "Show it"]
    assert (await device.status()).code == "reset_required"
    assert "DeviceSignedIn" in await house.facts("805EC0112233")

    issued = await dana.presses("Code to Sam", on=card)
    assert issued.title == "1 code issued to Sam"
    job = await standing(sam, "code 2.14")
    assert job.texts[0] == "Reset first: device settings, factory reset."
    assert (await device.is_reset()).status == 204
    assert job.texts[0] != "Reset first: device settings, factory reset.", "the device said that it was done"
    assert (await house.record(MAC)).life == 2
    assert (await device.provision((await sam.says("code 2.14")).code)).body["device"]["life"] == 2


async def test_typed_in_one_line(house: House, dana: Someone) -> None:
    await signed_in(house)
    assert (
        await dana.says("reset 2.14 confirm 9999")
    ).text == "Type the last four digits of its MAC, 2233, to confirm."
    card = await dana.says("reset 2.14 confirm 2233")
    assert card.title == "Reset asked 07:30"
    assert card.buttons == ["Issue code", "Show it"]
    assert "needs a code, no reset" in (await dana.says("reset 2.14")).text
    assert (await dana.says("device 2.14")).facts["Factory reset"].startswith("asked")
    assert (await dana.presses("Issue code", on=card)).title == "1 code issued"


async def test_issue_is_refused_until_then_in_the_words_of_the_product(house: House, dana: Someone) -> None:
    await signed_in(house)
    said = await dana.says("issue 2.14")
    assert "It cannot be provisioned again until it is reset to factory settings." in said.all


async def test_a_technician_orders_no_reset_unasked(house: House, dana: Someone, sam: Someone) -> None:
    await called_in(house, to="Sam")
    assert "Only admins" in (await sam.says("reset 2.14")).text
    assert "Only admins" in (await sam.says("reset 2.14 confirm 2233")).text
    assert (await house.record(MAC)).life == 1


async def test_a_device_that_calls_again_is_asked_about_once_an_hour(house: House, dana: Someone) -> None:
    device = await called_in(house)
    await house.passes(seconds=31)  # that it waits for sign-in has been told
    stranger = house.device("80-5E-C0-FF-FF-01")
    code = "000000000000"
    refused, unknown = await device.provision(code), await stranger.provision(code)
    assert (refused.status, refused.body) == (unknown.status, unknown.body) == (403, unknown.body)
    card = dana.last
    assert card.title == "2.14 was provisioned already and called again 07:30. Was it reset?"
    assert card.summary == "2.14 called again. Was it reset?"
    assert card.buttons == ["Reset", "Ignore"]
    before = len(dana.posts)
    await device.provision(code)
    await house.passes(minutes=59)
    await device.provision(code)
    assert len(dana.posts) == before
    await house.passes(minutes=2)
    await device.provision(code)
    assert len(dana.posts) == before + 1

    form = (await dana.presses("Reset")).copy()
    assert form.title == "Reset Oslo 2.14?"
    assert (await dana.presses("Reset", on=form, digits="2233")).title == "Reset asked 08:31"


async def test_with_its_own_token_it_is_told_so_and_an_admin_is_asked(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    headers = {"Authorization": f"Bearer {device.token}"}
    body = {"mac": MAC, "code": "0000 0000 0000"}
    answer = await device._call("POST", "/api/v1/provision", headers, json=body)
    assert (answer.status, answer.code) == (409, "reset_required")
    assert dana.last.title == "2.14 was provisioned already and called again 07:30. Was it reset?"


async def test_it_may_be_ignored_and_both_admins_see_it(house: House, dana: Someone) -> None:
    device = await called_in(house)
    lee = await house.admin("Lee")
    await device.provision("000000000000")
    theirs, mine = lee.last, dana.last
    assert (await lee.presses("Ignore", on=theirs)).title == "Ignored by Lee: Oslo, floor 2, room 2.14 stays as it is"
    assert mine.title == theirs.title and mine.buttons == []
    assert (await device.status()).status == 200
    assert "out of date" in (await dana.says("ignore 2.14")).text


async def test_its_technician_is_asked_and_may_reset_it(house: House, dana: Someone, sam: Someone) -> None:
    device = await called_in(house, to="Sam")
    await sam.says("install 2.14")
    before = len(dana.posts)
    await device.provision("000000000000")
    card = sam.last
    assert card.title == "2.14 was provisioned already and called again 07:30. Was it reset?"
    assert len(dana.posts) == before
    form = (await sam.presses("Reset", on=card)).copy()
    assert form.title == "Reset Oslo 2.14?"
    job = await sam.presses("Reset", on=form, digits="2233")
    assert job.texts[0] == "Reset: 2.14 begins life 2."
    assert "I'm at the device" in job.buttons
    assert (await device.provision((await sam.presses("I'm at the device", on=job)).code)).status == 200


async def test_ignoring_takes_the_right_away_again(house: House, dana: Someone, sam: Someone) -> None:
    device = await called_in(house, to="Sam")
    await device.provision("000000000000")
    await sam.says("ignore 2.14")
    assert "Only admins" in (await sam.says("reset 2.14 confirm 2233")).text


async def test_removing_and_adding_is_no_way_round(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    await dana.says("remove 2.14")
    await dana.presses("Remove")
    await dana.says(f"add {MAC} Oslo/2/2.14")
    said = await dana.says("issue 2.14")
    assert "until it is reset to factory settings" in said.all
    assert (await device.status()).status == 401
    assert (await device.is_reset()).status == 204
    assert (await house.record(MAC)).life == 2
    assert (await dana.says("issue 2.14")).title == "1 code issued"


async def test_a_reset_in_the_middle_of_a_sign_in_ends_it(house: House, dana: Someone) -> None:
    device = await called_in(house)
    person = await house.provisioning.who(dana.object_id)
    assert person
    actor = house.provisioning.actor_of(person)
    facts = await house.provisioning.begin_sign_in(actor, MAC, "room@contoso.com")
    await dana.says("reset 2.14 confirm 2233")
    house.provider.approved(facts.user_code, "room@contoso.com")
    await house.polls()
    record = await house.record(MAC)
    assert record.state.value == "waiting_for_activation"
    assert record.sign_in and record.sign_in.stage.value == "cancelled" and not record.sign_in.sealed
    assert (await device.status()).code == "reset_required"


async def test_a_second_life_is_signed_in_again(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    await device.is_reset()
    await dana.says("issue 2.14")
    assert (await device.provision((await dana.says("code 2.14")).code)).body["device"]["life"] == 2
    await sign_in(house)
    assert (await dana.says("device 2.14")).facts["Life"] == "2"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("sip", "Reset first: the phone's own menu, reset to factory settings."),
        ("panel", "Reset first: device settings of the panel, factory reset."),
    ],
)
async def test_what_is_done_on_site_is_said_as_the_device_has_it(
    house: House, dana: Someone, sam: Someone, kind: str, line: str
) -> None:
    await dana.sends_file("types.csv", f"MAC id,Location,Type\n{MAC},Oslo/2/2.14,{kind}\n")
    await dana.presses("Add 1")
    await dana.says("issue 2.14 to Sam")
    job = await standing(sam, "code 2.14")
    assert (await house.device(MAC).provision(job.code)).status == 200
    assert ("The screen should show Contoso." in job.texts) is (kind != "sip")
    await dana.says("reset 2.14 confirm 2233")
    await dana.says("issue 2.14 to Sam")
    job = await sam.says("code 2.14")
    assert job.texts[0] == line
    if kind == "sip":
        assert f"Dial *55*{job.code} and send" in job.texts
