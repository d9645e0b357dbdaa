"""Conversation 1: the app is installed, and somebody without a role asks for one."""

import pytest

from tests.bot.chat import OTHER_TENANT, House, Someone


async def test_the_first_admin_is_welcomed_once_and_shown_what_to_do(house: House) -> None:
    hello = await house.dana.installs()

    assert hello and hello.title == "Hello Dana, you installed this for Contoso."
    assert hello.summary == "Set up device provisioning, 2 steps"
    assert "You are the first admin (from configuration)." in hello.all
    assert "1 Add devices." in hello.all and "2 Give codes to a technician." in hello.all
    assert "In a channel, mention me and say connect. help shows all." in hello.texts
    assert hello.buttons == ["Add one", "Try 3 samples"]
    assert await house.dana.installs() is None


async def test_three_samples_to_try_with_and_back_again(house: House, dana: Someone) -> None:
    added = await dana.presses("Try 3 samples")
    assert added.title == "3 devices saved"
    print(added.all)
    assert added.all.count(", ends ") == 3
    assert "by Dana 07:30. Undo until 07:40." in added.all

    undone = await dana.presses("Undo")
    assert undone.title == "Undone: 3 devices taken off the list"
    assert (await dana.says("devices")).title == "0 devices"


async def test_adding_by_the_form_names_what_is_wrong_and_keeps_what_was_typed(house: House, dana: Someone) -> None:
    form = await dana.presses("Add one")
    assert list(form.inputs) == ["mac", "location"]

    again = await dana.presses("Add", mac="80-5E-C0-11-22", location="Oslo/2/2.14")
    assert '"80-5E-C0-11-22" has the wrong length: 10 digits, a MAC has 12. Compare it with the label.' in again.texts
    assert again.inputs["mac"]["value"] == "80-5E-C0-11-22"
    assert again.inputs["location"]["value"] == "Oslo/2/2.14"

    nowhere = await dana.presses("Add", mac="80-5E-C0-11-22-33", location="  ")
    assert "A location is needed, like Oslo/2/2.14" in nowhere.all
    assert nowhere.inputs["mac"]["value"] == "80-5E-C0-11-22-33"

    saved = await dana.presses("Add", location="Oslo/2/2.14")
    assert saved.title == "1 device saved"
    assert saved.buttons == ["Issue codes", "Undo", "Add another"]
    assert (await house.record("80-5E-C0-11-22-33")).location == "Oslo/2/2.14"


async def test_cancelling_a_form_needs_nothing_filled_in(house: House, dana: Someone) -> None:
    await dana.says("add")
    assert (await dana.presses("Cancel")).title == "Nothing was done."


async def test_somebody_without_a_role_asks_and_becomes_a_technician(house: House, dana: Someone) -> None:
    lee, kim = await house.admin("Lee"), house.person("Kim")

    hello = await kim.installs()
    assert hello and hello.title == "You have no access yet."
    assert "Admins: Dana and Lee." in hello.texts
    asked = await kim.presses("Ask for access")
    assert asked.title == "You have asked for access." and not asked.buttons

    assert dana.card.title == "Kim asks for access" and dana.card.summary == "Kim asks for access"
    assert dana.card.buttons == ["Technician", "Admin", "Refuse"]
    answered = await dana.presses("Technician")
    assert answered.title == "Kim" and "Technician, by Dana 07:30" in answered.texts
    assert "Technician, by Dana 07:30" in lee.card.texts and not lee.card.buttons
    assert kim.card.title == "No devices today. I will write when there are."


@pytest.mark.parametrize(("button", "command"), [("Admin", "devices"), ("Technician", "next")])
async def test_each_role_can_be_granted_from_the_card(house: House, dana: Someone, button: str, command: str) -> None:
    kim = house.person("Kim")
    await kim.says("hi")
    await kim.presses("Ask for access")
    await dana.presses(button)
    assert "no access" not in (await kim.says(command)).all


async def test_refused_people_may_ask_again(house: House, dana: Someone) -> None:
    kim = house.person("Kim")
    await kim.says("devices")
    assert kim.card.title == "You have no access yet."
    await kim.presses("Ask for access")
    refused = await dana.presses("Refuse")
    assert refused.title == "Kim" and "no access" in refused.all
    assert (await kim.says("hi")).buttons == ["Ask for access"]
    await kim.presses("Ask for access")
    assert dana.card.title == "Kim asks for access"


async def test_asking_twice_asks_the_admins_once(house: House, dana: Someone) -> None:
    kim = house.person("Kim")
    form = await kim.says("hi")
    await kim.presses("Ask for access", on=form)
    await kim.presses("Ask for access", on=form)
    assert dana.titles.count("Kim asks for access") == 1


async def test_another_organisation_is_refused_and_nothing_is_kept_of_it(house: House, dana: Someone) -> None:
    before = await house.everything()
    eve = house.person("Eve", tenant=OTHER_TENANT)
    sentence = "You are signed in to another organisation. I only work for Contoso."
    assert (await eve.says("devices")).text == sentence
    assert (await eve.acts(dana.card, "samples", {})).toast == sentence
    assert await house.everything() == before


async def test_a_guest_of_ours_gets_no_role(house: House, dana: Someone) -> None:
    gus = house.person("Gus", guest=True)
    await gus.says("hi")
    answer = await dana.says(f"grant {gus.object_id} admin")
    assert "Gus is a guest in your organisation." in answer.all
    assert (await gus.says("devices")).title == "You have no access yet."


async def test_a_grant_by_upn_waits_for_its_account(house: House, dana: Someone) -> None:
    await dana.says("grant kim@contoso.com technician")
    kim = house.person("Kim")
    assert (await kim.says("hi")).title == "Hello Kim."


async def test_whoami_help_and_people_answer_everybody(house: House, dana: Someone, sam: Someone) -> None:
    kim = house.person("Kim")
    me = await kim.says("whoami")
    assert me.facts == {"Name": "Kim", "Account": "kim@contoso.com", "Role": "no access", "Object id": kim.object_id}
    assert "ask" not in (await sam.says("help")).all.casefold().split()
    assert "hello" in (await kim.says("help")).all
    people = await dana.says("people")
    assert people.title == "3 people"
    assert "Technician, sam@contoso.com" in people.all


async def test_empty_states_say_what_comes_next(house: House, dana: Someone, sam: Someone) -> None:
    assert (await dana.says("devices")).buttons == ["Add one"]
    assert "No device waits for a code" in (await dana.says("issue")).title
    assert "No code is live." in (await dana.says("codes")).all
    assert (await sam.says("next")).title == "No devices today. I will write when there are."
    assert "No devices today. I will write when there are." in (await sam.says("list")).all
    nobody = await dana.says("assign all to Kim")
    assert 'I know nobody called "Kim".' in nobody.all
