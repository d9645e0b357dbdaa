"""A problem on site: told, and over once somebody has helped."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from provisioning.hours import Hours
from tests.bot.chat import House, Someone

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def trouble(house: House, dana: Someone, sam: Someone) -> None:
    """Sam's only device has a problem."""
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    await sam.says("problem 2.14 dark screen")


async def test_an_admin_solves_it_and_the_technician_gets_the_device_again(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    assert (await sam.says("next")).title == "1 device left, with a problem"
    solved = await dana.presses("Solved", on=dana.titled("Problem: Oslo, floor 2, room 2.14"))
    assert "The problem is solved." in solved.all and "problem" not in solved.title
    assert sam.card.title == "Next: Oslo, floor 2, room 2.14" and sam.card.code
    assert "ProblemSolved" in await house.facts(A.replace("-", ""))
    assert "No problem is reported there." in (await dana.says("solved 2.14")).all


async def test_the_device_card_has_the_button_while_there_is_a_problem(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    assert (await dana.says("device 2.14")).buttons == ["Show code", "New code", "Solved"]
    assert (await dana.presses("Solved", on=dana.card)).buttons == ["Show code", "New code", "Revoke code"]


async def test_a_code_that_an_admin_issues_ends_it(house: House, dana: Someone, sam: Someone, trouble: None) -> None:
    await dana.says("reissue 2.14")
    assert (await sam.says("next")).code == house.keys.digits[-1]


async def test_on_an_installed_device_the_technician_ends_it(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    await house.device(A).provision(house.keys.digits[-1])
    await sam.says("install 2.14 behind the pillar")
    await sam.says("problem 2.14 no light")
    assert (await house.record(A)).problem
    again = await sam.says("install 2.14")
    assert again.title.startswith("Already saved") and "behind the pillar" in again.all
    assert (await house.record(A)).problem is None


async def test_only_admins_say_it_is_solved(house: House, sam: Someone, trouble: None) -> None:
    await sam.says("solved 2.14")
    assert (await house.record(A)).problem


async def test_a_code_in_a_note_is_not_kept(house: House, dana: Someone, sam: Someone, trouble: None) -> None:
    code = house.keys.digits[-1]
    shown = f"{code[:4]} {code[4:8]} {code[8:]}"
    await sam.says(f"problem 2.14 refuses {shown} since 10 o'clock, {code}!")
    problem = (await house.record(A)).problem
    assert problem and problem.note == "refuses •••• since 10 o'clock, ••••!"


async def test_an_admin_answers_from_the_card_and_the_technician_gets_it(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    told = dana.titled("Problem: Oslo, floor 2, room 2.14")
    assert told.buttons == ["Answer", "Show it", "Solved"]
    form = await dana.presses("Answer", on=told)
    assert form.title == "Answer: Oslo, floor 2, room 2.14" and "dark screen (Sam 07:30)" in form.texts
    empty = await dana.presses("Send", on=form)
    assert "Write what the technician should do." in empty.texts
    house.clock.advance(timedelta(minutes=8))
    answered = await dana.presses("Send", on=empty, words="use the left socket")
    assert "Dana 07:38: use the left socket" in answered.texts
    assert answered.buttons == ["Answer again", "Show it", "Solved"]

    assert sam.card.summary == "Dana answers about Oslo, floor 2, room 2.14"
    assert sam.card.title == "Answer to your problem" and "Dana 07:38: use the left socket" in sam.card.texts
    assert sam.card.code and sam.card.buttons == ["Confirm install", "Problem", "List"]
    assert (await sam.says("next")).title == "Answer to your problem"  # the device is worked on again
    assert (await dana.says("device 2.14")).facts["Answer"] == "Dana 07:38: use the left socket"


async def test_every_admin_sees_who_answered_and_when_it_was_solved(house: House, dana: Someone, sam: Someone) -> None:
    lee = await house.admin("Lee")
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    await sam.says("problem 2.14 dark screen")
    card = lee.titled("Problem: Oslo, floor 2, room 2.14")
    await dana.says("answer 2.14 swap the cable")
    assert "Dana 07:30: swap the cable" in card.texts
    await dana.says("solved 2.14")
    assert card.title == "Solved: Oslo, floor 2, room 2.14" and not card.buttons


async def test_a_late_answer_hears_that_the_problem_is_over(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    form = await dana.presses("Answer", on=dana.titled("Problem: Oslo, floor 2, room 2.14"))
    await dana.says("solved 2.14")
    late = await dana.presses("Send", on=form, words="use the left socket")
    assert "No problem is reported at 2.14 any more." in late.all
    assert "ProblemAnswered" not in await house.facts(A.replace("-", ""))


async def test_only_admins_answer(house: House, sam: Someone, trouble: None) -> None:
    assert "Only admins can do that" in (await sam.says("answer 2.14 do it yourself")).all


async def test_an_answer_at_night_waits_unless_the_problem_is_of_this_night(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(quiet=(time(19), time(7))))
    await dana.says("reissue 2.14 for 48h")
    await sam.says("problem 2.14 dark screen")
    house.clock.advance(timedelta(hours=14))  # 21:30
    await dana.says("answer 2.14 use the left socket")
    assert "use the left socket" not in sam.last.all
    await sam.says("problem 2.14 still dark")
    await dana.says("answer 2.14 then the right one")
    assert sam.card.title == "Answer to your problem" and "Dana 21:30: then the right one" in sam.card.texts


async def test_a_problem_solved_at_night_brings_the_device_to_whoever_reported_it_tonight(
    house: House, dana: Someone, sam: Someone, trouble: None
) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(quiet=(time(19), time(7))))
    house.clock.advance(timedelta(hours=14))  # 21:30
    await sam.says("problem 2.14 still dark")
    await dana.says("solved 2.14")
    assert sam.card.title == "Next: Oslo, floor 2, room 2.14"


async def test_whoever_lost_the_right_is_not_told_of_a_problem(house: House, dana: Someone, sam: Someone) -> None:
    lee = await house.admin("Lee")
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    house.by_itself = False
    await sam.says("problem 2.14 dark screen")
    await dana.says("revoke access Lee")
    await dana.presses("Revoke now")
    await house.settled()
    assert "Problem" not in " ".join(lee.titles)
