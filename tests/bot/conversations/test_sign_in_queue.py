"""Conversation 9 for many: who waits is pushed once and kept up to date; one after the other, one code at a time."""

from datetime import timedelta

import pytest

from provisioning.model import Person
from provisioning.provider_errors import AuthorizationDeclined, GrantEnded, ProviderAway, WrongAccount
from tests.bot.chat import CallingDevice, House, Post, Someone, restarted

A, B, C, D = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35", "80-5E-C0-44-55-66"
ACCOUNTS = {"2.14": "room-2.14@contoso.com", "2.16": "room-2.16@contoso.com", "2.18": "room-2.18@contoso.com"}


async def provisioned(house: House, mac: str, location: str, account: str = "") -> CallingDevice:
    """Listed by Dana, installed on site."""
    await house.dana.says(f"add {mac} {location}")
    if account:
        await house.dana.says(f"account {mac} {account}")
    await house.dana.says(f"issue {mac}")
    device = house.device(mac)
    await device.provision((await house.dana.says(f"code {mac}")).code)
    return device


@pytest.fixture
async def floor(house: House, dana: Someone) -> dict[str, CallingDevice]:
    """Three devices of Oslo wait, each with its account; nobody was told yet."""
    macs = dict(zip(ACCOUNTS, (A, B, C), strict=True))
    return {place: await provisioned(house, macs[place], f"Oslo/2/{place}", ACCOUNTS[place]) for place in ACCOUNTS}


async def approved(house: House, dana: Someone) -> None:
    """The account on the newest card types its code."""
    house.provider.approved(dana.card.code, dana.card.facts["Account"])
    await house.polls()


async def ended(house: House, dana: Someone, answer: Exception | None = None) -> None:
    house.provider.answers(dana.card.code, answer or GrantEnded())  # type: ignore[arg-type]
    await house.polls()


# ------------------------------------------------------------------ who waits


async def test_devices_that_call_in_are_pushed_together_once(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    before = len(dana.posts)
    await house.passes(seconds=31)
    assert len(dana.posts) == before + 1
    card = dana.card
    assert card.summary == "3 devices wait for sign-in, Oslo" and card.title == "Waiting for sign-in: 3"
    assert "Oslo, floor 2, room 2.14, ends 22:33" in card.texts
    assert "room-2.14@contoso.com, called in just now" in card.texts
    assert card.buttons == ["Sign in 2.14", "Sign in all", "Later"]

    await provisioned(house, D, "Bergen/1/1.01")
    before = len(dana.posts)
    await house.passes(minutes=1)
    assert len(dana.posts) == before and card.title == "Waiting for sign-in: 4"  # the list says it by itself
    assert "no account yet, called in 1 min ago" in card.texts


async def test_ten_minutes_later_it_is_pushed_again(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await house.passes(seconds=31)
    await house.passes(minutes=11)
    await provisioned(house, D, "Bergen/1/1.01")
    before = len(dana.posts)
    await house.passes(seconds=31)
    assert len(dana.posts) == before + 1 and dana.card.summary == "4 devices wait for sign-in"


async def test_nothing_is_pushed_where_somebody_is_at_it_already(house: House, dana: Someone) -> None:
    await provisioned(house, A, "Oslo/2/2.14", ACCOUNTS["2.14"])
    await dana.says("sign in 2.14")
    before = len(dana.posts)
    await house.passes(seconds=31)
    assert len(dana.posts) == before
    await approved(house, dana)
    assert dana.card.title.startswith("Signed in as") and dana.card.buttons == []


async def test_the_list_leads_to_one_device_after_the_other(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await house.passes(seconds=31)
    card = await dana.presses("Sign in 2.14")
    assert card.title == f"Sign in Oslo 2.14, {A}" and card.code
    await approved(house, dana)
    assert dana.card.buttons == ["Next device"]
    assert (await dana.presses("Next device")).title == f"Sign in Oslo 2.16, {B}"
    await approved(house, dana)
    assert (await dana.says("sign in next")).title == f"Sign in Oslo 2.18, {C}"
    await approved(house, dana)
    assert dana.card.buttons == []
    assert (await dana.says("sign in next")).title == "Waiting for sign-in"


async def test_later_does_nothing(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    await dana.says("sign in")
    assert (await dana.presses("Later")).title == "Nothing was done."
    assert house.provider.grants == []


async def test_a_long_list_has_pages(house: House, dana: Someone) -> None:
    for number in range(12):
        await provisioned(house, f"80-5E-C0-33-00-{number:02X}", f"Oslo/3/3.{number:02}")
    card = await dana.says("sign in")
    assert card.title == "Waiting for sign-in: 12" and card.buttons == ["Sign in 3.00", "Sign in all", "More"]
    assert any("1 to 10, counted 07:30." in text for text in card.texts)
    more = await dana.presses("More")
    assert (
        "Oslo, floor 3, room 3.11, ends 00:0B" in more.texts
        and "Oslo, floor 3, room 3.00, ends 00:00" not in more.texts
    )
    assert any("11 to 12, counted 07:30." in text for text in more.texts)


async def test_a_list_that_stands_says_who_is_at_it(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    lee = await house.admin("Lee")
    await lee.says("sign in")
    standing = lee.card
    await dana.says("sign in 2.14")
    await house.passes(seconds=31)
    assert "room-2.14@contoso.com, called in just now, Dana is at it since 07:30" in standing.texts
    assert standing.buttons[0] == "Sign in 2.16"
    house.provider.approved(house.provider.grants[0].user_code, ACCOUNTS["2.14"])
    await house.polls()
    await house.passes(seconds=31)
    assert standing.title == "Waiting for sign-in: 2"


# ------------------------------------------------------------------ one after the other


async def test_the_next_code_comes_when_the_last_one_is_done_expired_or_skipped(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    first = await dana.says("sign in oslo")
    assert first.title == f"Sign in Oslo 2.14, {A}" and first.buttons == ["Open page", "Skip", "Stop"]
    assert any(text.startswith("1 of 3. Or type: sign in skip, sign in stop") for text in first.texts)

    await approved(house, dana)
    assert dana.posts[-2].title.startswith("Signed in as room-2.14") and dana.posts[-2].buttons == []
    assert dana.card.summary == "Next: Oslo 2.16 (2 of 3)" and dana.card.code
    assert len(house.provider.grants) == 2

    await ended(house, dana)
    assert dana.posts[-2].title == "Ended: Oslo 2.16"
    assert dana.card.summary == "Next: Oslo 2.18 (3 of 3)"

    over = await dana.presses("Skip")
    assert over.title == "All done: 1 signed in, 2 skipped" and over.buttons == ["List"]
    assert len(house.provider.grants) == 3 and await house.provisioning.live_sign_ins() == []
    assert (await dana.presses("List")).title == "Waiting for sign-in: 2, Oslo"


async def test_all_done_is_pushed(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    await dana.says("sign in all")
    for _device in ACCOUNTS:
        await approved(house, dana)
    assert dana.last.summary == dana.last.title == "All done: 3 signed in" and dana.last.buttons == []
    for place, device in floor.items():
        told = (await device.status()).body
        assert (told["state"], told["account"]) == ("signed_in", ACCOUNTS[place])
    assert (await dana.says("sign in all")).title == "No device waits for sign-in."


async def test_skip_and_stop_are_pressed_and_typed(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await dana.says("sign in all")
    first = dana.card.copy()
    second = await dana.says("sign in skip")
    assert second.title == f"Sign in Oslo 2.16, {B}" and dana.posts[-2].title == "Cancelled: Oslo 2.14"
    stale = await dana.acts(first, "sign_in_skip", {**first.action("Skip")["data"], "op": "late"})
    assert "This card was out of date." in stale.all
    assert (await house.record(B)).live_sign_in  # the one whose turn it is was not skipped by an old card

    stopped = await dana.presses("Stop", on=dana.titled(f"Sign in Oslo 2.16, {B}"))
    assert stopped.title == "Stopped" and "0 signed in, 1 skipped, 2 still wait." in stopped.texts
    assert await house.provisioning.live_sign_ins() == []
    assert (await dana.says("sign in stop")).title == "Stopped"
    assert (await dana.presses("Go on", on=dana.card)).title == f"Sign in Oslo 2.16, {B}"
    assert (await dana.says("sign in go on")).code == dana.card.code  # one code at a time
    assert len(house.provider.grants) == 3


async def test_a_press_or_word_that_arrives_twice_skips_once(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await dana.says("sign in all")
    await dana.repeats()
    assert len(house.provider.grants) == 1
    await dana.presses("Skip")
    await dana.repeats()
    await dana.repeats(new_id=True)
    assert len(house.provider.grants) == 2 and (await house.record(B)).live_sign_in
    await dana.says("sign in skip")
    await dana.repeats()
    assert len(house.provider.grants) == 3 and (await house.record(C)).live_sign_in


async def test_a_run_that_begins_anew_takes_the_place_of_the_former(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await provisioned(house, D, "Bergen/1/1.01", "lobby@contoso.com")
    old = (await dana.says("sign in oslo")).code
    again = await dana.says("sign in oslo")
    assert again.title == f"Sign in Oslo 2.14, {A}" and again.code != old
    bergen = await dana.says("sign in bergen")
    assert bergen.title == f"Sign in Bergen 1.01, {D}"
    assert len(await house.provisioning.live_sign_ins()) == 1
    await approved(house, dana)
    assert dana.last.title == "All done: 1 signed in"


async def test_a_device_without_an_account_is_asked_for_it_first(house: House, dana: Someone) -> None:
    await provisioned(house, A, "Oslo/2/2.14")
    await provisioned(house, B, "Oslo/2/2.16", ACCOUNTS["2.16"])
    form = await dana.says("sign in oslo")
    assert list(form.inputs) == ["account"] and form.buttons == ["Sign in", "Skip", "Stop"]
    assert form.summary == "Next: Oslo 2.14 (1 of 2)"
    assert (await dana.says("sign in next")).inputs  # it stays its turn
    card = await dana.presses("Sign in", account=ACCOUNTS["2.14"])
    assert card.code and card.buttons == ["Open page", "Skip", "Stop"]
    await approved(house, dana)
    assert dana.card.summary == "Next: Oslo 2.16 (2 of 2)"
    await approved(house, dana)
    assert dana.last.title == "All done: 2 signed in"


async def test_a_device_without_an_account_can_be_skipped(house: House, dana: Someone) -> None:
    await provisioned(house, A, "Oslo/2/2.14", ACCOUNTS["2.14"])
    await provisioned(house, B, "Oslo/2/2.16")
    await dana.says("sign in all")
    await approved(house, dana)
    assert dana.card.summary == "Next: Oslo 2.16 (2 of 2)" and dana.card.inputs
    assert (await dana.presses("Skip")).title == "All done: 1 signed in, 1 skipped"


async def test_codes_that_nobody_types_make_it_wait(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await dana.says("sign in all")
    await ended(house, dana)
    assert dana.card.summary == "Next: Oslo 2.16 (2 of 3)"
    await ended(house, dana)
    assert dana.last.title == "I wait: nobody typed the last codes" and dana.last.buttons == ["Go on", "Stop"]
    assert await house.provisioning.live_sign_ins() == []
    back = await dana.presses("Go on")  # those whose code nobody typed come again
    assert back.title == f"Sign in Oslo 2.14, {A}"
    assert any(text.startswith("1 of 3.") for text in back.texts)


async def test_whoever_declines_does_not_hold_up_the_others(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await dana.says("sign in all")
    await ended(house, dana, AuthorizationDeclined())
    assert dana.titled("Declined: Oslo 2.14").buttons == ["Try again"]
    assert dana.card.summary == "Next: Oslo 2.16 (2 of 3)"
    await ended(house, dana, WrongAccount("kim@contoso.com"))
    assert dana.titled("Wrong account: Oslo 2.16") and dana.card.code
    assert "Next: Oslo 2.18 (3 of 3)" in {post.summary for post in dana.posts}


async def test_a_provider_that_is_down_makes_it_stand_still(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    await dana.says("sign in all")
    house.provider.begins.append(ProviderAway())
    await approved(house, dana)
    still = dana.last
    assert still.title == "Signing in stands still" and "The identity provider does not answer." in still.all
    assert "1 signed in, 0 skipped, 2 still wait." in still.texts and still.buttons == ["Go on", "Stop"]
    house.provider.begins.append(ProviderAway())
    failed = await dana.presses("Go on")
    assert failed.title == "Signing in stands still" and dana.last.id == still.id  # said once, as the answer
    assert (await dana.says("sign in go on")).title == f"Sign in Oslo 2.16, {B}"
    await approved(house, dana)
    assert dana.card.summary == "Next: Oslo 2.18 (3 of 3)"


async def test_a_provider_that_is_down_at_the_start(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    house.provider.begins.append(ProviderAway())
    said = await dana.says("sign in all")
    assert "The identity provider does not answer." in said.all and said.buttons == ["Go on", "Stop"]
    assert len(dana.posts) and (await dana.presses("Go on")).title == f"Sign in Oslo 2.14, {A}"


async def test_a_run_outlives_a_restart(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    await dana.says("sign in all")
    async with restarted(house):
        await approved(house, dana)
        assert dana.card.summary == "Next: Oslo 2.16 (2 of 3)" and dana.card.code


# ------------------------------------------------------------------ what comes in between


async def test_another_admin_takes_the_device_whose_turn_it_is(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    lee = await house.admin("Lee")
    await dana.says("sign in all")
    await lee.says("sign in 2.14")
    card = dana.titled("This code is over: Oslo 2.14")
    assert card.buttons == ["Next device", "Stop"]
    assert (await dana.presses("Next device", on=card)).title == f"Sign in Oslo 2.16, {B}"
    await approved(house, lee)
    await approved(house, dana)
    assert dana.card.summary.startswith("Next: Oslo 2.18")


async def test_a_second_admin_gets_other_devices(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    lee = await house.admin("Lee")
    await dana.says("sign in all")
    assert (await lee.says("sign in all")).title == f"Sign in Oslo 2.16, {B}"
    await approved(house, dana)
    assert dana.card.title == f"Sign in Oslo 2.18, {C}"
    await approved(house, lee)
    assert lee.last.title == "All done: 1 signed in"


@pytest.mark.parametrize("how", ["reset", "removed", "cancelled"])
async def test_the_device_whose_turn_it_is_drops_out(
    house: House, dana: Someone, floor: dict[str, CallingDevice], how: str
) -> None:
    await dana.says("sign in all")
    if how == "reset":
        await floor["2.14"].is_reset()
        card = dana.titled("Cancelled: Oslo 2.14")
        assert card.buttons == ["Issue code", "Next device", "Stop"]
        assert "Or type: issue 2.14, sign in go on, sign in stop" in card.texts
    elif how == "removed":
        await dana.says("remove 2.14")
        await dana.presses("Remove")
        card = dana.titled("This device is off the list.")
        assert card.buttons == ["Next device", "Stop"] and "Or type: sign in next, sign in stop" in card.texts
        assert (await dana.presses("Next device", on=card)).title == f"Sign in Oslo 2.16, {B}"
        return
    else:
        over = await dana.says("cancel sign in 2.14")
        assert over.buttons == ["New code", "Next device", "Stop"]
    following = await dana.says("sign in next")
    assert following.title == f"Sign in Oslo 2.16, {B}"


async def test_whoever_loses_their_role_signs_in_nobody_any_more(
    house: House, dana: Someone, floor: dict[str, CallingDevice]
) -> None:
    lee = await house.admin("Lee")
    await lee.says("sign in all")
    await dana.says("revoke access Lee")
    await dana.presses("Revoke now")
    before: list[Post] = list(lee.posts)
    await house.polls()
    assert len(house.provider.grants) == 1 and lee.posts == before
    person = await house.store.get(Person, lee.object_id)
    assert person and person.signing and person.signing.paused == "asker_gone"
    assert (await dana.says("sign in all")).title == f"Sign in Oslo 2.14, {A}"


async def test_there_is_no_run_to_go_on_with(house: House, dana: Someone) -> None:
    for text in ("sign in skip", "sign in stop", "sign in go on"):
        assert (await dana.says(text)).text == "You sign in no devices one after the other. Say: sign in all"
    assert (await dana.says("sign in all")).title == "No device waits for sign-in."
    assert (await dana.says("sign in")).title == "Waiting for sign-in"


async def test_an_account_is_for_one_device(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    said = await dana.says("sign in oslo as lobby@contoso.com")
    assert said.text == "An account is signed in on one device: name that device."
    assert house.provider.grants == []


async def test_a_tag_is_signed_in_too(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    await dana.says("tag 2.16 lobby")
    assert (await dana.says("sign in #lobby")).title == f"Sign in Oslo 2.16, {B}"
    await approved(house, dana)
    assert dana.last.title == "All done: 1 signed in"


async def test_what_was_said_of_it_stays_true(house: House, dana: Someone, floor: dict[str, CallingDevice]) -> None:
    """A run that goes on while its messages wait tells of the present, once."""
    await dana.says("sign in all")
    house.by_itself = False
    code = dana.card.code
    house.provider.approved(code, ACCOUNTS["2.14"])
    await house.polls()
    house.provider.answers(house.provider.grants[1].user_code, GrantEnded())
    house.clock.advance(timedelta(minutes=1))
    await house.polls()
    house.by_itself = True
    await house.settled()
    summaries = [post.summary for post in dana.posts if post.summary.startswith("Next:")]
    assert summaries == ["Next: Oslo 2.14 (1 of 3)", "Next: Oslo 2.18 (3 of 3)"]
