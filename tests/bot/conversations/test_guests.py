"""Guests have no role, whatever they say and however often."""

from tests.bot.chat import House
from tests.connector import Fault


async def test_the_second_word_of_a_guest_is_no_less_a_guests(house: House) -> None:
    gus, dana = house.person("Gus", guest=True), house.dana
    await dana.says("hi")
    for text in ("hi", "hi again", "hello"):
        await gus.says(text)
        assert "guest" in (await dana.says(f"grant {gus.object_id} admin")).all
    await dana.says("grant gus@contoso.com admin")
    assert (await gus.says("devices")).title == "You have no access yet."


async def test_a_guest_stays_one_while_teams_cannot_say(house: House) -> None:
    gus, dana = house.person("Gus", guest=True), house.dana
    await dana.says("hi")
    await gus.says("hi")
    house.connector.answers(Fault(503))
    await gus.says("hi")
    assert "guest" in (await dana.says(f"grant {gus.object_id} admin")).all
