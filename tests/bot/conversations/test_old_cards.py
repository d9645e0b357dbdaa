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


async def test_an_old_card_never_ends_a_newer_code(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue 2.14 to Sam")
    old = (await dana.says("device 2.14")).copy()
    await dana.says("reissue 2.14")
    code = sam.card.code
    for button in ("New code", "Revoke code"):
        answer = await dana.presses(button, on=old)
        assert "This card was out of date." in answer.all and answer.title.startswith("2.14: ")
    assert sam.card.code == code == house.keys.digits[-1] and (await house.record(A)).code


async def test_an_old_form_moves_nothing(house: House, dana: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("device 2.14")
    form = (await dana.presses("Move")).copy()
    await dana.says("move 2.14 to Oslo/3/3.01")
    answer = await dana.presses("Move", on=form, location="Oslo/2/2.15")
    assert "This card was out of date." in answer.all and answer.title.startswith("3.01: ")
    assert (await house.record(A)).location == "Oslo/3/3.01"


async def test_an_old_card_makes_no_second_new_code_but_unrelated_changes_are_no_matter(
    house: House, dana: Someone, sam: Someone
) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue 2.14 to Sam")
    await house.passes(hours=25)
    old = sam.card.copy()
    await dana.says("move 2.14 to Oslo/2/2.15")
    fresh = await sam.presses("Get new code", on=old)
    assert fresh.code == house.keys.digits[-1] and "out of date" not in fresh.all
    again = await sam.presses("Get new code", on=old)
    assert again.code == fresh.code and "This card was out of date." in again.all
    assert len(house.keys.digits) == 2


async def test_of_two_admins_who_answer_the_second_reads_what_the_first_said(house: House, dana: Someone) -> None:
    kim, ann = await house.admin("Kim"), house.person("Ann")
    await ann.says("hi")
    await ann.presses("Ask for access")
    old = kim.titled("Ann asks for access").copy()
    await dana.presses("Technician", on=dana.titled("Ann asks for access"))
    for button in ("Refuse", "Admin", "Technician"):
        answer = await kim.presses(button, on=old)
        assert "Technician, by Dana 07:30" in answer.all, answer.all
        assert "This card was out of date." in answer.all and "Kim" not in answer.all
    assert (await ann.says("whoami")).facts["Role"] == "Technician"


async def test_the_card_of_a_device_that_left_says_what_became_of_it(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")
    card = sam.card
    await dana.says(f"replace 2.14 with {C}")
    assert card.title == "This device was replaced by MAC ends 22:33."
    assert sam.card is not card
    other = await sam.says("code 2.16")
    await dana.says("remove 2.16")
    assert (await dana.presses("Remove")).title == "Oslo, floor 2, room 2.16 is off the list"
    assert house.posts[sam.conversation, other.id].title == "This device is off the list."


async def test_after_a_swap_both_technicians_are_told(house: House, dana: Someone, sam: Someone) -> None:
    kim = await house.technician("Kim")
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/3/3.16")
    await dana.says("issue 2.14 to Sam")
    await dana.says("issue 3.16 to Kim")
    before = sam.card, kim.card
    await dana.says("swap 2.14 and 3.16")
    assert sam.card is not before[0] and kim.card is not before[1]
    assert before[0].title == "This device is with somebody else now."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.14" and kim.card.title == "Next: Oslo, floor 3, room 3.16"
