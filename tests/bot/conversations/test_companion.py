"""Companion to the Teams admin centre: Microsoft's codes reach the technician like ours, and work nowhere here."""

from datetime import timedelta

import pytest

from provisioning import lifecycle
from provisioning.model import Actor, Authority, Role
from tests.bot.chat import House, Someone

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"
OSLO = f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01"
CURE = "make a new one there and upload the file."


async def brings(house: House, mac: str, digits: str, *, hours: float = 24) -> None:
    """An upload brings a code that the Teams admin centre made, `hours` before its end."""
    core, device = house.provisioning, await house.record(mac)
    actor = Actor(id=house.dana.object_id, name="Dana", tenant="", roles=frozenset({Role.ADMIN}))
    made = house.clock.now() - timedelta(hours=24 - hours)
    code = core.keys.receive(device.mac, digits, device.issued + 1, made, timedelta(hours=24), actor.id)

    async def decide() -> tuple[object, None]:
        return lifecycle.receive_code(device, code, actor, house.clock.now()), None

    await core.unit(actor, decide)  # type: ignore[arg-type]
    await house.after_step()


@pytest.fixture
async def companion(house: House, dana: Someone, sam: Someone) -> None:
    """Three devices of Sam's in Oslo: 2.14 with a code of the Teams admin centre, the others with none."""
    await dana.says(OSLO)
    await dana.says("assign oslo to Sam")
    await brings(house, A, "482913")


async def test_the_technician_gets_microsofts_code_like_ours_and_reads_whose_it_is(
    house: House, sam: Someone, companion: None
) -> None:
    card = sam.card
    assert card.title == "Next: Oslo, floor 2, room 2.14"
    assert card.code == "482913" and "482 913" in card.texts
    assert "code from the Teams admin centre, valid until 07:30 tomorrow" in card.texts
    assert "Then Microsoft's sign-in page shows Contoso: confirm that here." in card.all
    assert card.buttons == ["Confirm install", "Problem", "List"]


async def test_the_screen_is_the_technicians_word_and_never_our_knowledge(
    house: House, dana: Someone, sam: Someone, companion: None
) -> None:
    await house.passes(minutes=28)
    form = await sam.presses("Confirm install")
    assert form.facts["Device"] == "calls Microsoft's service, not this one"
    assert form.inputs["screen"]["title"] == "The screen shows Contoso"
    assert form.inputs["screen"]["value"] == "false"
    saved = await sam.presses("Save", screen="true", note="left of the door")
    assert saved.title == "Saved 07:58."
    assert "installed; the screen showed Contoso, says Sam 07:58." in saved.all

    device = await house.record(A)
    assert device.installed and device.installed.screen and not device.installed.mounting_only
    assert device.provisioned_at is None and not device.provisioned
    assert device.code and device.code.sealed is None
    assert (await house.facts(device.mac))[-2:] == ["CodeUsed", "InstallConfirmed"]
    shown = await dana.says("device 2.14")
    assert shown.title == "2.14: confirmed on site"
    assert shown.facts["Installed"] == "the screen showed Contoso, says Sam 07:58"
    assert shown.facts["Code"] == "of the Teams admin centre, used, as said on site"
    assert "Called in" not in shown.facts
    assert "confirmed on site" in (await dana.says("devices oslo")).all
    assert not any("Provisioned" in post.all for post in sam.posts)
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"


async def test_a_sip_phone_shows_nobodys_page(house: House, dana: Someone, sam: Someone) -> None:
    line = f"{A},Oslo/2/2.14,482913,sip"
    await dana.sends_file("t.csv", f"MAC id,Location,Verification code,Type\n{line}\n")
    await dana.presses(dana.last.buttons[0])
    await dana.says("assign 2.14 to Sam")
    card = await sam.says("code 2.14")
    assert card.code == "482913" and "Microsoft's sign-in page" not in card.all
    form = await sam.presses("Confirm install", on=card)
    assert form.inputs["screen"]["title"] == "The display shows that it is registered"
    saved = await sam.presses("Save", on=form, screen="true")
    assert "installed; its display showed that it is registered, says Sam 07:30." in saved.all


async def test_a_second_tap_says_what_was_saved(house: House, sam: Someone, companion: None) -> None:
    old = sam.card.copy()
    await sam.presses("Confirm install")
    await sam.presses("Save", screen="true")
    await house.passes(minutes=3)
    assert (await sam.presses("Confirm install", on=old)).title == "Already saved 07:30 by you."
    assert (await sam.says("install 2.14")).title == "Already saved 07:30 by you."
    assert (await house.facts((await house.record(A)).mac)).count("InstallConfirmed") == 1


async def test_what_the_screen_shows_is_asked_and_the_mounting_can_stand_alone(
    house: House, sam: Someone, companion: None
) -> None:
    await sam.presses("Confirm install")
    again = await sam.presses("Save", note="socket is loose")
    assert "Not ticked. If it does not show that yet, choose Mounting only." in again.texts
    assert again.inputs["note"]["value"] == "socket is loose"
    assert (await house.record(A)).installed is None
    saved = await sam.presses("Mounting only")
    assert "mounted; whether the screen shows Contoso was not said." in saved.all and "socket is loose" in saved.all
    device = await house.record(A)
    assert device.installed and device.installed.mounting_only and not device.installed.screen
    assert device.live_code(house.clock.now())

    card = await sam.says("2.14")
    assert card.code == "482913" and "Confirm install" in card.buttons
    await sam.presses("Confirm install", on=card)
    assert "the screen showed Contoso, says Sam 07:30" in (await sam.presses("Save", screen="true")).all
    assert (await house.record(A)).installed != device.installed


async def test_typed_it_asks_for_the_screen_too(house: House, sam: Someone, companion: None) -> None:
    form = await sam.says("install 2.14 left of the door")
    assert form.title == "Confirm install" and form.inputs["note"]["value"] == "left of the door"
    assert (await sam.presses("Save", screen="true")).title == "Saved 07:30."


@pytest.mark.parametrize("words", ["new code 2.14", "reissue 2.14"])
async def test_no_new_code_of_ours_kills_a_live_one_of_microsoft(
    house: House, dana: Someone, sam: Someone, companion: None, words: str
) -> None:
    asked = await (sam if words.startswith("new") else dana).says(words)
    assert "Teams admin centre" in asked.all
    device = await house.record(A)
    assert device.code and device.code.authority is Authority.TEAMS and device.live_code(house.clock.now())


async def test_an_ended_code_asks_the_admin_who_reads_where_a_new_one_is_made(
    house: House, dana: Someone, sam: Someone, companion: None
) -> None:
    card = sam.card
    await house.passes(hours=24, minutes=1)
    assert card.title == "This code ended at 07:30."
    assert "An admin has to make a new one in the Teams admin centre." in card.texts
    assert card.buttons == ["Ask admin", "Confirm", "Problem"]
    told = await sam.presses("Ask admin")
    assert told.title == "Asked Dana 07:31, you get it here."
    assert dana.card.title == "Sam needs a code, Oslo, floor 2, room 2.14"
    assert "Make a new one in the Teams admin centre, then upload the file here." in dana.card.texts
    assert "Issue" not in dana.card.buttons
    assert (await dana.says("device 2.14")).facts["Code"] == "of the Teams admin centre, ended 07:30"
    await brings(house, A, "771204")
    assert sam.card.code == "771204"


async def test_it_may_have_been_used_at_the_last_minute(house: House, sam: Someone, companion: None) -> None:
    await house.passes(hours=24, minutes=1)
    await sam.presses("Confirm")
    assert (await sam.presses("Save", screen="true")).title == "Saved 07:31."


async def test_admins_see_whose_code_it_is(house: House, dana: Someone, sam: Someone, companion: None) -> None:
    assert (await dana.says("device 2.14")).facts["Code"] == "code of the Teams admin centre, until 07:30 tomorrow"
    assert "code of the Teams admin centre, until 07:30 tomorrow" in (await dana.says("devices oslo")).all
    await dana.says("issue 2.16")
    page = await dana.says("codes oslo")
    assert page.title == "2 live codes: Oslo"
    assert "482 913" in page.texts and "Sam, until 07:30 tomorrow, Teams admin centre" in page.texts
    assert "Sam, until 07:30 tomorrow" in page.texts
    assert "Those of the Teams admin centre work with Microsoft's service alone, the others with ours." in page.texts
    card = await dana.says("code 2.14")
    assert card.code == "482913" and card.buttons == ["Revoke code"]


# ------------------------------------------------------------------ at our own door


async def test_our_device_api_never_accepts_it(house: House, sam: Someone, companion: None) -> None:
    """Twelve digits with a right check digit, so that it goes all the way; answered like any wrong code."""
    await brings(house, A, "482913760254")
    right = await house.device(A).provision("482913760254")
    unknown = await house.device("80-5E-C0-99-99-99").provision("482913760254")
    for answer in (right, unknown):
        answer.headers.pop("Date", None)
        answer.headers.pop("X-Request-ID", None)  # each request has its own
    assert (right.status, right.code) == (403, "code_refused")
    assert (right.status, right.body, right.headers) == (unknown.status, unknown.body, unknown.headers)
    device = await house.record(A)
    assert not device.provisioned and device.live_code(house.clock.now())

    await house.passes(hours=24, minutes=1)
    late = await house.device(A).provision("482913760254")
    assert (late.status, late.body) == (403, right.body)  # never 410: we would not know


async def test_six_digits_are_no_complete_code_and_cost_no_try(house: House, sam: Someone, companion: None) -> None:
    before = await house.everything("Attempts", "Device")
    answer = await house.device(A).provision("482913")
    assert (answer.status, answer.code) == (422, "invalid_code")
    assert await house.everything("Attempts", "Device") == before


async def test_failures_at_our_door_never_end_it_and_slow_down_alike(
    house: House, dana: Someone, sam: Someone, companion: None
) -> None:
    """120 wrong codes: ours would be revoked at 100; the answers are those of an unknown MAC, status by status."""
    known, unknown = [], []
    for _ in range(120):
        house.clock.advance(timedelta(minutes=10))
        for mac, answers in ((A, known), ("80-5E-C0-99-99-99", unknown)):
            answers.append((await house.device(mac).provision("000000000000")).status)
    assert known == unknown == [403] * 120
    facts = await house.facts((await house.record(A)).mac)
    assert "CodeLocked" not in facts and "CodeRevoked" not in facts
    assert (await house.record(A)).live_code(house.clock.now())
    assert not [post for post in dana.posts if post.title.startswith("Too many wrong codes")]


async def test_before_the_end_the_admin_reads_where_new_ones_are_made(
    house: House, dana: Someone, sam: Someone, companion: None
) -> None:
    await brings(house, B, "771204")
    await house.passes(hours=23)
    assert (
        "code from the Teams admin centre, ends 07:30, less than an hour left"
        in sam.titled("Next: Oslo, floor 2, room 2.14").texts
    )
    assert sam.card.title == "2 codes end by 07:30" and "2 need an admin." in sam.card.texts
    assert sam.card.buttons == ["List"]
    assert dana.card.summary == "Oslo: 2 codes end by 07:30" and not dana.card.buttons
    assert "2 come from the Teams admin centre: make new ones there and upload the file." in dana.card.texts
    told = await sam.says("renew")
    assert told.title == "No new code could be made here" and told.texts[-1].startswith("2 come from the Teams")
    assert (await dana.says("extend")).title == "No new code could be made here"


async def test_at_the_device_an_ended_code_asks_the_admin(
    house: House, dana: Someone, sam: Someone, companion: None
) -> None:
    assert (await sam.says("start 2.14")).code == "482913"
    await house.passes(hours=24)
    assert (await sam.says("start 2.14")).title == "Asked Dana 07:30, you get it here."
    assert "Make a new one in the Teams admin centre, then upload the file here." in dana.card.texts
    refused = await dana.presses("Refuse")
    assert refused.title.startswith("Dana refused a new code for Oslo, floor 2, room 2.14")
    assert sam.card.title == "Dana refused a new code 07:30"


async def test_what_is_seen_on_site_can_be_typed(house: House, sam: Someone, companion: None) -> None:
    form = await sam.says("install 2.14 left")
    hint = "Or type: screen 2.14 and a note, mounted 2.14 and a note, or 2.14 to go back"
    assert form.title == "Confirm install" and hint in form.texts
    assert (await sam.says("mounted 2.14 no power yet")).title == "Saved 07:30."
    word = (await house.record(A)).installed
    assert word and (word.mounting_only, word.screen, word.note) == (True, False, "no power yet")
    assert "installed; the screen showed Contoso, says Sam 07:30." in (await sam.says("screen 2.14 left")).all
    word = (await house.record(A)).installed
    assert word and (word.mounting_only, word.screen, word.note) == (False, True, "left")
    assert (await sam.says("screen 2.14")).title == "Already saved 07:30 by you."
    helped = await sam.says("help screen")
    assert "screen" in helped.title and "its screen shows your organisation" in helped.all
