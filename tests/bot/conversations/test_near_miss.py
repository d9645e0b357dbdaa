"""Conversation 6: the right code on the wrong device; its technician learns which is which, and nobody else."""

from typing import Any

import pytest

from provisioning.messages import OutboxMessage, Post
from tests.bot.chat import House, Someone
from tests.provisioning.world import wrong

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"
UNKNOWN = "80-5E-C0-44-77-10"
SWAPPED = "That code is for MAC ending 22:33. The device that called ends 22:34 (room 2.16)."


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Sam has two devices in Oslo; the code of 2.14 stands on his phone."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")


# ------------------------------------------------------------------ both are Sam's


async def test_the_code_of_one_room_on_the_phone_of_another(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    card, messages, admins = sam.card, len(sam.posts), dana.posts[-1].copy()
    refused = await house.device(B).provision(card.code)
    assert (refused.status, refused.code) == (403, "code_refused")
    assert card.title == SWAPPED and card.edits == 1
    assert card.buttons == ["Code for 22:34", "Swapped", "Not mine"]
    assert card.code and "Or type: code 22:34, swap 2.14 2.16, not mine 2.14" in card.texts
    assert len(sam.posts) == messages and dana.posts[-1].all == admins.all
    assert "CodeStrayed" in await house.facts(A.replace("-", ""))
    assert not (await house.record(B)).provisioned

    other = await sam.presses("Code for 22:34")
    assert other.title == "Oslo, floor 2, room 2.16" and other.code
    assert (await house.device(B).provision(other.code)).status == 200
    back = await sam.says("code 2.14")
    assert back.title == "Oslo, floor 2, room 2.14" and back.code


async def test_they_hang_in_each_others_room(house: House, sam: Someone, day: None) -> None:
    await house.device(B).provision(sam.card.code)
    old = sam.card.copy()
    swapped = await sam.presses("Swapped")
    assert "room 2.14" in swapped.title and "MAC ends 22:34" in swapped.all and swapped.code
    assert [(await house.record(mac)).place for mac in (A, B)] == ["2.16", "2.14"]
    for mac in (A, B):
        assert (await house.facts(mac.replace("-", ""))).count("DevicesSwapped") == 1
    again = await sam.presses("Swapped", on=old)
    assert [(await house.record(mac)).place for mac in (A, B)] == ["2.16", "2.14"], again.all
    assert (await house.device(B).provision(swapped.code)).status == 200


async def test_not_mine_brings_the_card_back_and_is_not_told_again(house: House, sam: Someone, day: None) -> None:
    code = sam.card.code
    await house.device(B).provision(code)
    back = await sam.presses("Not mine")
    assert back.title == "Oslo, floor 2, room 2.14" and back.code == code
    await house.device(B).provision(code)
    assert sam.card.title == "Oslo, floor 2, room 2.14"
    assert (await house.facts(A.replace("-", ""))).count("CodeStrayed") == 1

    fresh = await sam.says("new code 2.14")  # another code is another matter
    await house.device(B).provision(fresh.code)
    assert sam.card.title == SWAPPED


async def test_everything_can_be_typed(house: House, sam: Someone, day: None) -> None:
    code = sam.card.code
    await house.device(B).provision(code)
    assert (await sam.says("not mine 2.14")).title == "Oslo, floor 2, room 2.14"
    assert (await sam.says("not mine 2.14")).title == "Oslo, floor 2, room 2.14"
    assert (await sam.says("code 22:34")).title == "Oslo, floor 2, room 2.16"
    assert (await sam.says("swap 2.14 2.16")).title == "Swapped"


async def test_two_calls_in_a_row_are_told_once(house: House, sam: Someone, day: None) -> None:
    card, code = sam.card, sam.card.code
    for _again in range(3):
        await house.device(B).provision(code)
    assert card.edits == 1
    assert (await house.facts(A.replace("-", ""))).count("CodeStrayed") == 1


async def test_the_device_calls_with_its_own_code_and_the_card_says_so(house: House, sam: Someone, day: None) -> None:
    card, code = sam.card, sam.card.code
    await house.device(B).provision(code)
    await house.device(A).provision(code)
    assert card.title == "Provisioned 07:30" and (await house.record(A)).stray is None


async def test_once_the_other_one_is_in_there_is_nothing_to_explain(house: House, sam: Someone, day: None) -> None:
    first = await sam.says("2.16")
    second = await sam.says("2.14")
    await house.device(B).provision(second.code)
    house.clock.advance(house.clock.now() - house.clock.now().replace(second=0, minute=29))
    assert (await house.device(B).provision(first.code)).status == 200
    assert (await sam.opens(sam.card)).title == "Oslo, floor 2, room 2.14"


async def test_a_caller_that_was_provisioned_before(house: House, sam: Someone, day: None) -> None:
    other = await sam.says("2.16")
    await house.device(B).provision(other.code)
    await house.passes(minutes=5)
    mine = await sam.says("2.14")
    await house.device(B).provision(mine.code)
    assert sam.card.title == SWAPPED and "The device that called was provisioned before." in sam.card.texts
    assert sam.card.buttons == ["Swapped", "Not mine"]


async def test_a_code_that_ended_lately_is_known_as_well(house: House, sam: Someone, day: None) -> None:
    code = sam.card.code
    await house.passes(hours=30)
    await house.device(B).provision(code)
    assert sam.card.title == SWAPPED and not sam.card.code
    await house.passes(days=8)
    await sam.presses("Not mine")
    await house.device(B).provision(code)
    assert (await house.facts(A.replace("-", ""))).count("CodeStrayed") == 1


async def test_a_code_from_paper_where_no_card_stands(house: House, dana: Someone, sam: Someone, day: None) -> None:
    code = sam.card.code
    await sam.presses("List")  # the card with the code is the list now …
    await sam.says("2.16")  # … and the phone shows another one
    before = len(sam.posts)
    await house.device(B).provision(code)
    assert len(sam.posts) == before + 1 and sam.card.title == SWAPPED and not sam.card.code
    assert sam.card.summary == "2.14: its code was typed on another device"
    await house.device(C).provision(code)  # a stranger: the card is edited, there is no second one
    assert len(sam.posts) == before + 1


async def test_a_wrong_code_of_nobodys_is_nothing_to_tell(house: House, sam: Someone, day: None) -> None:
    before = sam.card.copy()
    await house.device(B).provision(wrong(sam.card.code))
    await house.device(A).provision(wrong(sam.card.code))
    await house.device(B).provision("1234")
    assert sam.card.all == before.all and (await house.record(A)).stray is None


# ------------------------------------------------------------------ who learns what


async def test_nobody_else_learns_anything(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim, channel = await house.technician("Kim"), house.channel()
    await channel.says("connect oslo", by=dana)
    await dana.says(f"add {C} Oslo/2/2.18")
    await dana.says("issue 2.18 to Kim")
    shown = await dana.says("device 2.14")
    before = {chat.conversation: [post.all for post in chat.posts] for chat in (dana, kim, channel)}
    await house.device(B).provision(sam.card.code)
    assert sam.card.title == SWAPPED
    assert {chat.conversation: [post.all for post in chat.posts] for chat in (dana, kim, channel)} == before
    assert "22:34" not in (await dana.says("device 2.14")).all and shown


async def test_a_device_of_kims_hears_nothing_of_sams_codes(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = await house.technician("Kim")
    await dana.says(f"add {C} Oslo/2/2.18")
    await dana.says("issue 2.18 to Kim")
    mine, hers = sam.card.all, kim.card.all
    await house.device(C).provision(sam.card.code)  # candidates are the devices of whoever has the caller
    assert (sam.card.all, kim.card.all) == (mine, hers)


async def test_a_device_that_changed_hands_meanwhile_tells_its_new_holder_nothing(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = await house.technician("Kim")
    await house.device(B).provision(sam.card.code)
    await dana.says("assign 2.14 to Kim")
    assert kim.card.title == "Next: Oslo, floor 2, room 2.14"
    assert sam.card.title == "This device is with somebody else now."
    assert "22:34" not in kim.card.all


async def test_the_caller_changed_hands_meanwhile_and_its_room_is_not_named(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.technician("Kim")
    await house.device(B).provision(sam.card.code)
    old = sam.card.copy()
    await dana.says("assign 2.16 to Kim")
    opened = await sam.opens(sam.card)
    assert opened.title == "That code is for MAC ending 22:33. The device that called ends 22:34."
    assert "That one is not with you." in opened.texts and "2.16" not in opened.all
    assert opened.buttons == ["Not mine", "List"]
    await sam.presses("Swapped", on=old)
    assert (await house.record(A)).place == "2.14"


async def test_a_device_of_nobodys_tells_nobody(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue 2.14")
    code = await dana.says("code 2.14")
    before = await house.everything("Device")
    posts = len(dana.posts)
    await house.device(UNKNOWN).provision(code.code)
    assert await house.everything("Device") == before and len(dana.posts) == posts


async def test_strangers_who_guess_fill_no_chat(house: House, sam: Someone, day: None) -> None:
    code, before = sam.card.code, len(sam.posts)
    for number in range(6):
        await house.device(f"80-5E-C0-99-00-{number:02X}").provision(code)
    assert len(sam.posts) == before and sam.card.title == "This device is not on the list"
    assert len([post for post in sam.posts if "not on the list" in post.all]) == 1


async def test_a_code_that_was_not_shown_lately_is_not_looked_for(house: House, sam: Someone, day: None) -> None:
    code = sam.card.code
    await house.passes(minutes=31)
    await house.device(UNKNOWN).provision(code)
    assert sam.card.title == "Next: Oslo, floor 2, room 2.14"
    await sam.says("2.14")
    await house.device(UNKNOWN).provision(code)
    assert sam.card.title == "This device is not on the list"


async def test_the_answer_is_the_same_byte_for_byte(house: House, sam: Someone, day: None) -> None:
    code = sam.card.code
    answers = []
    for mac, digits in ((B, code), (B, wrong(code)), (UNKNOWN, code), (UNKNOWN, wrong(code))):
        body = {"mac": mac, "code": digits}
        async with house.http.post(f"{house.url}/api/v1/provision", json=body) as answer:
            headers = [(name, value) for name, value in answer.headers.items() if name not in ("Date", "X-Request-ID")]
            answers.append((answer.status, headers, await answer.read()))
        await house.after_step()
    assert answers.count(answers[0]) == 4
    assert (await house.record(A)).stray


async def test_the_store_is_asked_no_more_before_the_answer(
    house: House, sam: Someone, day: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, counts, asked = sam.card.code, list[list[str]](), list[str]()
    store = house.provisioning.store
    for name in ("get", "get_many", "find", "count", "save"):
        work = getattr(store, name)

        async def noted(*args: Any, _name: str = name, _work: Any = work, **fields: Any) -> Any:
            asked.append(_name)
            return await _work(*args, **fields)

        monkeypatch.setattr(store, name, noted)
    begin = house.diagnoses.begin

    def begun(mac: str, code: str, source: str) -> None:
        counts.append([*asked])
        begin(mac, code, source)

    monkeypatch.setattr(house.diagnoses, "begin", begun)
    for mac, digits in ((B, wrong(code)), (B, code), (UNKNOWN, wrong(code)), (UNKNOWN, code)):
        asked.clear()
        await house.device(mac).provision(digits)
    assert counts == [counts[0]] * 4
    assert {*counts[0]} == {"get", "get_many", "save"}
    assert sam.card.title == "This device is not on the list"


# ------------------------------------------------------------------ not on the list


async def test_an_unknown_device_is_added_by_an_admin_and_goes_on(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    card = sam.card
    house.clock.advance(house.clock.now().replace(minute=52) - house.clock.now())
    await house.device(UNKNOWN).provision(card.code)
    assert card.title == "This device is not on the list" and "(ends 77:10, Yealink)" in card.all
    assert card.buttons == ["Ask admin", "Not mine"]

    house.clock.advance(house.clock.now().replace(minute=55) - house.clock.now())
    asked = await sam.presses("Ask admin")
    assert "Asked 07:55. You get the answer here." in asked.texts and asked.buttons == ["Not mine", "List"]
    assert "Asked 07:55. You get the answer here." in (await sam.says("ask admin 2.14")).texts
    assert (await house.facts()).count("StrayAsked") == 1

    question = dana.card
    assert question.summary == "Sam is at a device that is not on the list"
    assert question.title == "Unknown 80-5E-C0-44-77-10 next to Oslo 2.14, Sam on site."
    assert "On site: Sam, who typed the code of Oslo 2.14 on it 07:52." in question.texts
    assert question.buttons == ["Add and issue", "Refuse"]

    form = await dana.presses("Add and issue")
    assert form.inputs["location"]["value"] == "Oslo/2/"
    again = await dana.presses("Add and issue", location="Oslo/2/")
    assert "Type the room as well, behind the last slash." in again.texts
    before = len(sam.posts)
    done = await dana.presses("Add and issue", location="Oslo/2/2.15")
    assert done.title == "Oslo, floor 2, room 2.15 is with Sam now"

    assert len(sam.posts) == before + 1
    assert sam.card.title == "Oslo, floor 2, room 2.15" and "MAC ends 77:10" in sam.card.all
    assert (await house.device(UNKNOWN).provision(sam.card.code)).status == 200
    assert sam.card.title == "Provisioned 07:55"


async def test_two_admins_and_one_answer(house: House, dana: Someone, sam: Someone, day: None) -> None:
    lee = await house.admin("Lee")
    await house.device(UNKNOWN).provision(sam.card.code)
    await sam.presses("Ask admin")
    old = lee.with_button("Refuse").copy()
    refused = await dana.presses("Refuse")
    assert refused.title == "Refused by Dana 07:30"
    assert lee.card.title == "Refused by Dana 07:30"
    assert "Dana refused 07:30." in sam.card.texts and sam.card.buttons == ["Not mine", "List"]
    late = await lee.presses("Add and issue", on=old)
    assert "Refused by Dana 07:30" in late.all
    await sam.presses("Not mine")
    assert sam.card.code and sam.card.title == "Oslo, floor 2, room 2.14"


async def test_a_device_of_nobodys_is_assigned_and_issued(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await dana.says(f"add {C} Oslo/2/2.18")
    await house.device(C).provision(sam.card.code)
    assert sam.card.title == "That code is for MAC ending 22:33. The device that called ends 22:35."
    assert "2.18" not in sam.card.all and sam.card.buttons == ["Ask admin", "Not mine"]
    await sam.says("ask admin 2.14")
    assert dana.card.title == "Sam is at Oslo, floor 2, room 2.18, which is with nobody."
    assert dana.card.buttons == ["Assign and issue", "Refuse"]
    await dana.presses("Assign and issue")
    assert sam.card.title == "Oslo, floor 2, room 2.18" and sam.card.code
    twice = await dana.presses("Assign and issue", on=dana.card) if "Assign and issue" in dana.card.buttons else None
    assert twice is None and len([d for d in house.keys.digits if d]) == 3


async def test_the_admin_adds_it_by_hand_and_the_card_knows(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    card = sam.card
    await house.device(UNKNOWN).provision(card.code)
    await sam.presses("Ask admin")
    question = dana.card
    await dana.says(f"add {UNKNOWN} Oslo/2/2.15")
    await dana.says(f"issue {UNKNOWN} to Sam")
    late = await dana.presses("Add and issue", on=question)
    assert late.title == "Oslo, floor 2, room 2.15 has its technician now."
    assert (await sam.opens(card)).title.endswith("The device that called ends 77:10 (room 2.15).")


# ------------------------------------------------------------------ a slip of the finger


@pytest.mark.parametrize("said", ["code {}", "{}", "install {} on the wall", "problem {} no power", "new code {}"])
async def test_a_mac_off_by_one_digit_is_asked(house: House, sam: Someone, day: None, said: str) -> None:
    asked = await sam.says(said.format("80-5E-C0-11-22-73"))
    assert asked.title == "Did you mean …22:33 (2.14)?" and asked.buttons == ["Yes", "No"]
    assert "80-5E-C0-11-22-73 is not on the list." in asked.texts
    before = await house.everything("Device")
    no = await sam.presses("No")
    assert no.title == "Nothing was done. Read the label once more, or type the room."
    assert await house.everything("Device") == before
    await sam.says(said.format("80-5E-C0-11-22-73"))
    done = await sam.presses("Yes")
    assert "2.14" in done.all or "Not called in yet" in done.title


async def test_with_several_near_ones_they_are_listed(house: House, sam: Someone, day: None) -> None:
    asked = await sam.says("code 80-5E-C0-11-22-3F")  # one digit off both
    assert asked.buttons == ["2.14, ends 22:33", "2.16, ends 22:34"]


async def test_nothing_is_suggested_of_anothers_devices(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    assert "I know no device" in (await kim.says("code 80-5E-C0-11-22-73")).all


# ------------------------------------------------------------------ too many


async def test_the_code_died_and_the_technicians_card_says_what_to_do(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    card, code = sam.card, sam.card.code
    for _try in range(400):
        if not (await house.record(A)).code:
            break
        await house.passes(seconds=301)
        await house.device(A).provision(wrong(code))
    time = f"{(await house.record(A)).locked_at:%H:%M}"
    assert card.title == f"Too many wrong codes: this code was ended {time}." and not card.code
    assert "Get a new code, and type it on the device whose MAC ends 22:33." in card.texts
    assert dana.card.title == "Too many wrong codes for Oslo, floor 2, room 2.14"
    fresh = await sam.presses(card.buttons[0], on=card)
    assert fresh.code and (await house.record(A)).locked_at is None


async def test_no_digit_of_it_stays_anywhere(house: House, sam: Someone, day: None) -> None:
    """The rest is checked at the end of every conversation: no code in the logs nor in the files of the store."""
    await house.device(B).provision(sam.card.code)
    for kind in (OutboxMessage, Post):
        for row in (await house.store.find(kind, limit=100)).rows:
            house.no_code_in(repr(row), kind.__name__)


# ------------------------------------------------------------------ odd ends


async def test_with_nothing_open_it_says_so(house: House, dana: Someone, sam: Someone, day: None) -> None:
    nothing = "Nothing is open about another device and the code of 2.14. For help, type: problem 2.14"
    assert (await sam.says("ask admin 2.14")).text == nothing
    assert (await dana.says("refuse stray 2.14")).text == nothing
    kim = await house.technician("Kim")
    for words in ("not mine 2.14", "ask admin 2.14"):
        assert "I know no device" in (await kim.says(words)).all, words


async def test_whoever_asked_has_no_access_any_more(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.device(UNKNOWN).provision(sam.card.code)
    await sam.presses("Ask admin")
    old, question = dana.card.copy(), dana.card
    await dana.says("revoke access Sam")
    await dana.presses("Revoke now")
    assert question.title == "This is settled: the device that called is not asked for any more."
    await dana.presses("Add and issue", on=old)
    assert len((await house.everything("Device"))["Device"]) == 2
    assert sam.card.title == "Access ended"
    assert not sam.card.code


async def test_somebody_who_is_admin_and_technician(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await dana.says("grant Sam admin")
    code = (await sam.says("code 2.14")).code
    await house.device(UNKNOWN).provision(code)
    assert sam.card.title == "This device is not on the list"
    await sam.presses("Ask admin")
    assert "Asked 07:30. You get the answer here." in sam.card.all  # another admin answers, nobody asks themselves
    assert dana.card.buttons == ["Add and issue", "Refuse"]


async def test_two_devices_in_one_room(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    await house.device(B).provision(sam.card.code)
    assert sam.card.title == "That code is for MAC ending 22:33. The device that called ends 22:34 (room 2.14)."
    assert (await sam.presses("Code for 22:34")).code


async def test_the_unknown_device_was_once_on_the_list_and_needs_a_reset(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await dana.says(f"add {C} Oslo/2/2.18")
    await dana.says("issue 2.18 to Sam")
    await house.device(C).provision((await sam.says("2.18")).code)
    await dana.says("remove 2.18")
    await dana.presses("Remove")
    await house.device(C).provision((await sam.says("2.14")).code)
    await sam.presses("Ask admin", on=sam.with_button("Ask admin"))
    await dana.presses("Add and issue")
    answer = await dana.presses("Add and issue", location="Oslo/2/2.18")
    assert "it is reset" in answer.all or "factory reset" in answer.all
    assert (await house.record(C)).removed


async def test_a_question_stays_asked_while_the_technician_works_on(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    code = sam.card.code
    await house.device(UNKNOWN).provision(code)
    await sam.presses("Ask admin")
    question = dana.card
    assert (await house.device(A).provision(code)).status == 200  # the right phone meanwhile
    form = await dana.presses("Add and issue", on=question)
    done = await dana.presses("Add and issue", on=form, location="Oslo/2/2.15")
    assert done.title == "Oslo, floor 2, room 2.15 is with Sam now"
    assert sam.card.title == "Oslo, floor 2, room 2.15" and sam.card.code


async def test_where_another_card_is_in_sight_a_message_is_sent(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    code = sam.card.code
    await house.passes(minutes=1)
    await sam.says("2.16")  # 2.14's card is further up now
    before = len(sam.posts)
    await house.device(UNKNOWN).provision(code)
    assert len(sam.posts) == before + 1
    assert sam.card.title == "This device is not on the list"
