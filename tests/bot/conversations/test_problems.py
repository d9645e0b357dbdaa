"""A problem on site: told, and over once somebody has helped."""

import pytest

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
