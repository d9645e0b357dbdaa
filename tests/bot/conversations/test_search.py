"""The compose box finds devices by MAC or place, and what goes into a message shows only what is for everybody."""

import json

import pytest

from tests.bot.chat import House, Someone

Y = "80-5E-C0"
LIST = f"""add {Y}-11-22-33 Oslo/2/2.14
{Y}-11-22-34 Oslo/2/2.16
{Y}-AB-CD-EF Bergen/1/1.10"""


@pytest.fixture
async def three(dana: Someone, sam: Someone) -> None:
    """2.14 and 1.10 are with Sam; 2.14 has a problem."""
    await dana.says(LIST)
    await dana.says("issue 2.14 to Sam")
    await dana.says("issue 1.10 to Sam")
    await sam.says("problem 2.14 the wall is gone")


pytestmark = pytest.mark.usefixtures("three")


@pytest.mark.parametrize(
    ("typed", "titles"),
    [
        ("cd:ef", ["1.10, ends CD:EF"]),
        ("11-22", ["2.14, ends 22:33", "2.16, ends 22:34"]),
        ("oslo 2.16", ["2.16, ends 22:34"]),
        ("2.1", ["2.14, ends 22:33", "2.16, ends 22:34"]),
        ("sam", []),
        ("x" * 500, []),
    ],
)
async def test_admins_find_by_mac_and_place(dana: Someone, typed: str, titles: list[str]) -> None:
    assert (await dana.searches(typed)).titles == titles


async def test_a_result_says_where_it_is_and_how_it_stands(dana: Someone) -> None:
    found = await dana.searches("oslo")
    assert found.texts == [
        "Oslo, floor 2 · waiting for activation, problem",
        "Oslo, floor 2 · waiting for activation",
    ]


async def test_nothing_typed_shows_problems_then_what_is_to_be_done(dana: Someone) -> None:
    assert (await dana.searches()).titles == ["2.14, ends 22:33", "1.10, ends CD:EF", "2.16, ends 22:34"]


async def test_technicians_find_their_own(dana: Someone, sam: Someone, house: House) -> None:
    assert (await sam.searches("oslo")).titles == ["2.14, ends 22:33"]
    assert (await sam.searches()).titles == ["2.14, ends 22:33", "1.10, ends CD:EF"]
    kim = await house.technician("Kim")
    assert (await kim.searches("oslo")).titles == []


async def test_nobody_else_finds_anything(house: House) -> None:
    eve = house.person("Eve")
    assert (await eve.searches("oslo")).titles == []
    assert (await eve.searches()).titles == []


async def test_the_card_in_a_message_is_for_everybody(dana: Someone, sam: Someone) -> None:
    card = (await dana.searches("2.14")).cards[0]
    said = json.dumps(card)
    assert not card["actions"] and "refresh" not in card
    assert "Oslo, floor 2, room 2.14" in said and "MAC ends 22:33" in said
    assert "As it stood at Mon 2 Mar 07:30." in said
    for secret in ("80-5E-C0", "805EC0", "wall", "Sam", "@"):
        assert secret not in said


async def test_at_most_25_at_once_and_the_rest_on_asking(dana: Someone) -> None:
    await dana.says("add " + "\n".join(f"{Y}-33-44-{n:02X} Bodø/1/{n}" for n in range(60)))
    first, second, third = [(await dana.searches("bodø", skip=skip)).titles for skip in (0, 25, 50)]
    assert (len(first), len(second), len(third)) == (25, 25, 10)
    assert len({*first, *second, *third}) == 60
