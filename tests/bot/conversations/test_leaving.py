"""Conversation 11: a technician leaves, or cannot be reached any more."""

from dataclasses import replace

import pytest

from tests.bot.chat import House, Someone
from tests.connector import Fault

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")


async def test_jobs_go_to_somebody_else_with_new_codes(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    old, card = sam.card.code, sam.card
    await house.passes(minutes=28)
    await sam.opens(card)
    form = await dana.says("revoke access Sam")
    assert "Last opened a card 07:58." in form.texts
    assert form.title == "Sam: 2 live codes, 2 open jobs"
    assert "Revoke now" in form.buttons and "Cancel" in form.buttons
    assert [choice["title"] for choice in form.inputs["heir"]["choices"]] == ["nobody", "Kim"]

    ended = await dana.presses("Revoke now", heir=kim.object_id)
    assert ended.title == "Sam has no access since 07:58."
    assert "2 codes dead, 2 jobs to Kim with new codes." in ended.all
    assert card.title == "Access ended" and not any(post.code for post in sam.posts)
    assert kim.card.title == "Next: Oslo, floor 2, room 2.14" and kim.card.code != old
    assert kim.card.summary == "2 devices from Sam"
    assert (await house.device(A).provision(old)).code == "code_refused"
    assert (await sam.says("next")).title == "You have no access yet."
    assert (await house.device(A).provision(kim.card.code)).status == 200


async def test_nobody_takes_them(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await dana.says("revoke access Sam")
    ended = await dana.presses("Revoke now")
    assert "2 codes dead, 2 jobs with nobody now." in ended.all
    assert (await house.record(A)).technician == ""


async def test_the_heir_can_be_typed(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    form = await dana.says("revoke access Sam to Kim")
    assert form.inputs["heir"]["value"] == kim.object_id
    assert "2 jobs to Kim" in (await dana.presses("Revoke now")).all


async def test_a_form_that_was_overtaken_comes_back_fresh(house: House, dana: Someone, sam: Someone, day: None) -> None:
    form = await dana.says("revoke access Sam")
    lee = await house.admin("Lee")
    await lee.says("grant Sam admin")
    again = await dana.presses("Revoke now", on=form)
    assert "out of date" in again.all
    assert (await sam.says("devices")).title == "2 devices"


async def test_the_admin_by_configuration_stays(house: House, dana: Someone) -> None:
    assert "Dana is an admin by configuration (ADMINS)" in (await dana.says("revoke access Dana")).all


async def test_whoever_blocks_the_bot_is_told_to_the_admins_once(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    house.by_itself = False
    house.connector.troubled(sam.conversation, Fault(403), Fault(403), Fault(403))
    await dana.says("reissue 2.14")
    await house.settled()
    await dana.says("reissue 2.16")
    await house.settled()
    assert dana.titles.count("I cannot reach Sam.") == 1
    assert "With them: 2 live codes, 2 open jobs." in dana.titled("I cannot reach Sam.").all
    house.by_itself = True
    assert (await dana.presses("Give jobs away")).title == "Sam: 2 live codes, 2 open jobs"


async def test_whoever_removes_the_app_is_told_and_whoever_comes_back_is_reached(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await sam.uninstalls()
    assert dana.card.title == "I cannot reach Sam."
    assert "I cannot reach Sam" in (await dana.says("issue oslo to Sam")).all
    await sam.installs()
    await dana.says("reissue 2.14")
    assert sam.card.code == house.keys.digits[-1]


async def test_whoever_cannot_take_the_jobs_is_refused_before_the_form(
    house: House, dana: Someone, sam: Someone
) -> None:
    assert "Choose somebody else" in (await dana.says("revoke access Sam to Sam")).text
    assert "Dana is not a technician yet" in (await dana.says("revoke access Sam to Dana")).text


async def test_back_keeps_the_site_of_a_rollout(house: House, dana: Someone) -> None:
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    card = await dana.says("rollout oslo")
    back = await dana.acts(card, "rollout_card", {"site": "Oslo"})  # the button of a card from before this version
    assert back.title == "Oslo rollout" and "1 device waits for activation." in back.all


async def test_new_codes_are_promised_only_where_one_died(house: House, dana: Someone, sam: Someone) -> None:
    await house.technician("Kim")
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14\n80-5E-C0-11-22-34 Oslo/2/2.16")
    await dana.says("issue 2.14 to Sam")
    await dana.says("assign oslo to Sam")
    await dana.says("revoke access Sam to Kim")
    ended = await dana.presses("Revoke now")
    assert "1 code dead, 2 jobs to Kim, 1 with new codes." in ended.all


async def test_the_push_says_whose_devices_they_were(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    await dana.says("assign oslo to Kim")
    assert kim.card.title == "Next: Oslo, floor 2, room 2.14" and kim.card.summary == "Devices from Sam"


async def test_the_same_card_is_offered_when_the_app_is_removed(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = await house.technician("Kim")
    await sam.uninstalls()
    assert "With them: 2 live codes, 2 open jobs." in dana.card.all
    assert (await sam.says("next")).title != "You have no access yet."  # nothing is taken away unasked
    await sam.uninstalls()
    form = await dana.presses("Give jobs away")
    assert form.title == "Sam: 2 live codes, 2 open jobs"
    ended = await dana.presses("Revoke now", on=form, heir=kim.object_id)
    assert "2 jobs to Kim with new codes" in ended.all and kim.card.summary == "2 devices from Sam"


async def test_where_the_deployment_says_so_an_access_ends_by_itself(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, revoke_leavers=True)
    code = sam.card.code
    await sam.uninstalls()
    assert dana.card.title == "I cannot reach Sam: access ended"
    assert "2 codes dead, 2 jobs with nobody now." in dana.card.texts
    assert (await house.device(A).provision(code)).code == "code_refused"
    assert (await sam.says("next")).title == "You have no access yet."
    assert (await house.record(A)).technician == ""


async def test_so_too_where_the_chat_answers_403(house: House, dana: Someone, sam: Someone, day: None) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, revoke_leavers=True)
    house.connector.troubled(sam.conversation, Fault(403), Fault(403), Fault(403))
    await dana.says("reissue 2.14")
    assert dana.titles.count("I cannot reach Sam: access ended") == 1
    assert (await house.record(B)).technician == ""


async def test_whoever_never_opened_a_chat_has_not_left(house: House, dana: Someone) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, revoke_leavers=True)
    zoe = house.person("Zoe")
    await dana.says("grant zoe@contoso.com technician")
    await house.passes(minutes=5)
    assert "access ended" not in " ".join(dana.titles)
    await zoe.says("hi")
    assert "No devices today" in (await zoe.says("next")).all


async def test_somebody_who_left_is_forgotten_after_a_question(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    assert "still has access" in (await dana.says("forget Sam")).all
    await dana.says("revoke access Sam")
    await dana.presses("Revoke now")
    question = await dana.says("forget Sam")
    assert question.title == "Forget Sam?"
    assert "This cannot be undone." in question.all
    done = await dana.presses("Forget")
    mark = f"a former person ({sam.object_id[:4]}…)"
    assert (done.title, "Sam" in done.all) == (f"Forgotten: {mark}", False)
    await house.passes(minutes=1)
    ledger = await dana.says("audit")
    assert "Sam" not in ledger.all
    assert mark in (await dana.says(f"audit {A}")).all
    assert (await dana.says("forget Sam")).title != "Forget Sam?"
    assert (await sam.says("hi")).title == "You have no access yet."


async def test_only_an_admin_forgets(house: House, dana: Someone, sam: Someone) -> None:
    kim = await house.technician("Kim")
    assert "Only admins" in (await kim.says("forget Sam")).all
