"""Cards that stand in the chat for a while: what is pressed on them is what they show, or nothing is done."""

from tests.bot.chat import House, Someone

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-77-22-33"


async def test_undo_takes_back_what_its_own_card_added(house: House, dana: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    first = dana.card
    await dana.says(f"add {B} Oslo/2/2.16")
    assert (await dana.presses("Undo", on=first)).title == "Undone: 1 device taken off the list"
    assert (await house.record(A)).removed and not (await house.record(B)).removed


async def test_an_old_undo_says_why_nothing_is_taken_back(house: House, dana: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    first = dana.card.copy()
    await dana.says("undo")
    await dana.says(f"add {B} Oslo/2/2.16")
    again = await dana.presses("Undo", on=first)
    assert "This was undone already." in again.all
    second = dana.titled("1 device saved")
    await house.passes(minutes=11)
    await dana.says(f"add {C} Oslo/2/2.18")
    late = await dana.presses("Undo", on=second)
    assert "Too late to undo" in late.all
    assert not (await house.record(B)).removed and not (await house.record(C)).removed
    assert (await dana.says("undo")).title == "Undone: 1 device taken off the list"
    assert (await house.record(C)).removed
