"""Conversation 9: an admin signs a device in from afar; the code is theirs alone, and the card says how it goes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cards.views.signing import Around, sign_in_card
from provisioning.commands import CommandName
from provisioning.provider_errors import (
    AuthorizationDeclined,
    BlockedByPolicy,
    ClientRefused,
    ClockOff,
    DiscoveryWrong,
    GrantEnded,
    GrantUnknown,
    NoDeviceFlow,
    OtherTenant,
    PollSlower,
    ProviderAway,
    ProviderError,
    TokenUntrusted,
)
from tests.bot.chat import CallingDevice, House, Post, Someone, restarted

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"
ROOM = "room-2.14@contoso.com"
TITLE = "Sign in Oslo 2.14, 80-5E-C0-11-22-33"


@pytest.fixture
async def desk(house: House, dana: Someone, sam: Someone) -> CallingDevice:
    """2.14 was installed by Sam and waits for sign-in; Dana said which account it is for."""
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue 2.14 to Sam")
    device = house.device(A)
    await device.provision(sam.card.code)
    await dana.says(f"account 2.14 {ROOM}")
    return device


async def signed_in(house: House, dana: Someone, account: str = ROOM) -> None:
    """Whoever is meant types the code that stands on the newest card."""
    house.provider.approved(dana.card.code, account)
    await house.polls()


# ------------------------------------------------------------------ as it should be


async def test_an_admin_signs_a_device_in(house: House, dana: Someone, desk: CallingDevice) -> None:
    card = await dana.says("sign in 2.14")
    assert card.title == TITLE and card.summary == "Sign in Oslo 2.14"
    assert card.code == house.provider.grants[0].user_code
    assert "WDJB BBBC" in card.texts
    assert "asked by you 07:30" in card.texts and "Ends 07:45, 15 min from 07:30." in card.texts
    assert "Type it at login.example/device yourself, in any browser." in card.texts
    assert "Continue only if you asked for this." in card.texts
    assert card.facts["Account"] == ROOM and card.facts["Device"].startswith("Oslo, floor 2, room 2.14")
    assert card.buttons == ["Open page", "New code", "Cancel"]
    assert card.action("Open page")["url"] == "https://login.example/device"

    await house.polls()
    assert dana.card.title == TITLE and dana.card.edits == 0  # nobody has typed it yet
    house.clock.advance(timedelta(minutes=2))
    await signed_in(house, dana)
    assert dana.card.title == f"Signed in as {ROOM}, 07:32" and dana.card.edits == 1
    assert not dana.card.code and dana.card.buttons == []
    assert "The device learns it with its next call; nobody has to be there." in dana.card.texts
    told = (await desk.status()).body
    assert (told["state"], told["account"]) == ("signed_in", ROOM)
    facts = await house.facts(A.replace("-", ""))
    assert facts[-3:] == ["SignInAsked", "SignInCodeShown", "DeviceSignedIn"]


async def test_another_spelling_of_the_account_is_the_same_one(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    await dana.says("sign in 2.14")
    await signed_in(house, dana, "Room-2.14@Contoso.com")
    assert dana.card.title == f"Signed in as {ROOM}, 07:30"
    assert (await house.record(A)).signed_in_as == "Room-2.14@Contoso.com"


async def test_a_known_person_is_told_by_their_object_id(house: House, dana: Someone, desk: CallingDevice) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, teams_accounts=True)
    await dana.says("sign in 2.14 as sam@contoso.com")
    house.provider.approved(dana.card.code, "sam@contoso.com", id_="somebody-elses-id")
    await house.polls()
    assert dana.card.title == "Wrong account: Oslo 2.14"


async def test_what_is_said_to_a_sip_phone_fits_it(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {B} Oslo/2/2.16")
    await dana.says("issue 2.16 to Sam")
    body = {"mac": B, "code": f"*55*{sam.card.code}", "type": "sip"}
    async with house.http.post(f"{house.url}/api/v1/provision", json=body) as answer:
        assert answer.status == 200
    await house.settled()
    card = await dana.says("sign in 2.16 as room-2.16@contoso.com")
    assert any("On the phone itself nothing is typed." in text for text in card.texts)
    await signed_in(house, dana, "room-2.16@contoso.com")
    assert "Nothing else is needed on the phone." in dana.card.texts


async def test_the_account_said_last_is_the_one_that_stays(house: House, dana: Someone, desk: CallingDevice) -> None:
    card = await dana.says("sign in 2.14 as lobby@contoso.com")
    assert card.facts["Account"] == "lobby@contoso.com"
    assert "lobby@contoso.com is to be signed in." in (await dana.says("account 2.14")).all


# ------------------------------------------------------------------ codes come and go


async def test_a_new_code_ends_the_former_one(house: House, dana: Someone, desk: CallingDevice) -> None:
    first = (await dana.says("sign in 2.14")).code
    fresh = await dana.presses("New code")
    assert fresh.title == TITLE and fresh.code not in ("", first)
    house.provider.approved(first, ROOM)
    await house.polls()
    assert dana.card.title == TITLE and house.provider.polled == [house.provider.grants[1].device_code]


async def test_cancel_takes_the_code_away(house: House, dana: Someone, desk: CallingDevice) -> None:
    old = (await dana.says("sign in 2.14")).copy()
    over = await dana.presses("Cancel")
    assert over.title == "Cancelled: Oslo 2.14" and not over.code
    assert "By you 07:30. The code is worth nothing here." in over.texts
    house.provider.approved(old.code, ROOM)
    await house.polls()
    assert house.provider.polled == [] and (await house.record(A)).signed_in_at is None
    assert (await dana.presses("New code")).title == TITLE


async def test_a_press_on_the_card_of_a_former_code_does_nothing(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    old = (await dana.says("sign in 2.14")).copy()
    code = (await dana.presses("New code")).code
    cancelled = await dana.presses("Cancel", on=old)
    assert "No sign-in of 2.14 is under way." in cancelled.texts and cancelled.code == code
    again = await dana.acts(old, "sign_in", {**old.action("New code")["data"], "op": "another press"})
    assert "This card was out of date." in again.all and again.code == code
    assert len(house.provider.grants) == 2 and (await house.record(A)).live_sign_in


async def test_everything_can_be_typed(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    assert (await dana.says("cancel sign in 2.14")).title == "Cancelled: Oslo 2.14"
    assert (await dana.says("cancel sign in 2.14")).all == "No sign-in of 2.14 is under way.\n"
    assert (await dana.says(f"SIGN IN {A} as {ROOM}")).code
    assert "asks" not in (await dana.says("sign in nowhere")).all and dana.last.text.startswith("Nothing matches")


async def test_a_press_that_arrives_twice_asks_for_one_code(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    await dana.presses("New code")
    await dana.repeats()
    await dana.repeats(new_id=True)
    assert len(house.provider.grants) == 2 and dana.card.code == house.provider.grants[1].user_code


async def test_a_code_that_ended_is_not_shown_even_before_the_next_poll(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    await dana.says("sign in 2.14")
    house.clock.advance(timedelta(minutes=16))
    await dana.says("tag 2.14 lobby")  # its card is drawn anew for some other reason
    assert dana.titled("Ended: Oslo 2.14").code == ""
    await house.polls()
    assert (await house.facts(A.replace("-", "")))[-1] == "SignInEnded"


async def test_it_goes_on_after_a_restart(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    house.provider.approved(dana.card.code, ROOM)
    async with restarted(house):
        await house.polls()
        assert dana.card.title == f"Signed in as {ROOM}, 07:30" and not dana.card.code


# ------------------------------------------------------------------ two admins


async def test_a_second_admin_who_asks_gets_a_code_of_their_own(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    lee = await house.admin("Lee")
    mine = await dana.says("sign in 2.14")
    house.clock.advance(timedelta(minutes=1))
    theirs = await lee.says("sign in 2.14")
    card = dana.titled("This code is over: Oslo 2.14")
    assert "Lee asked for a new one 07:31." in card.texts and not card.code
    assert card.buttons == ["Show it"] and "Or type: sign in 2.14" in card.texts
    house.provider.approved(mine.code, ROOM)
    await house.polls()
    assert lee.card.title == TITLE and (await house.record(A)).signed_in_at is None

    house.provider.approved(theirs.code, ROOM)
    await house.polls()
    assert lee.card.title == f"Signed in as {ROOM}, 07:31"
    assert card.title == "This code is over: Oslo 2.14"  # it stays as it was


async def test_a_second_admin_may_cancel_it_and_is_named(house: House, dana: Someone, desk: CallingDevice) -> None:
    lee = await house.admin("Lee")
    await dana.says("sign in 2.14")
    said = await lee.says("cancel sign in 2.14")
    assert not said.code and "By Lee 07:30. The code is worth nothing here." in said.texts
    card = dana.titled("Cancelled: Oslo 2.14")
    assert "By Lee 07:30. The code is worth nothing here." in card.texts and not card.code


async def test_an_answer_that_comes_too_late_is_discarded(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    house.provider.approved(dana.card.code, ROOM)
    [(mac, flow)] = await house.provisioning.live_sign_ins()
    answer = await house.provisioning.ask_provider(mac, flow.id)
    assert answer
    await dana.presses("Cancel")
    assert await house.provisioning.take_answer(mac, flow.id, answer) is None
    assert (await house.record(A)).signed_in_at is None and dana.card.title == "Cancelled: Oslo 2.14"


# ------------------------------------------------------------------ every end


@pytest.mark.parametrize(
    ("answer", "title", "words", "button"),
    [
        (GrantEnded(), "Ended: Oslo 2.14", "Nobody typed the code in time. A new one takes a second.", "New code"),
        (AuthorizationDeclined(), "Declined: Oslo 2.14", "Whoever typed the code declined.", "Try again"),
        (
            BlockedByPolicy("AADSTS53003"),
            "Blocked by Conditional Access: Oslo 2.14",
            f"Allow device code flow for the network of the device or for {ROOM}, then try again.",
            "Try again",
        ),
        (OtherTenant(), "Not signed in: Oslo 2.14", "An account of another organisation approved.", "Try again"),
        (TokenUntrusted("aud"), "Not signed in: Oslo 2.14", "The identity provider's answer cannot", "Try again"),
        (ClockOff("10"), "Not signed in: Oslo 2.14", "differ by 10 minutes", "Try again"),
        (GrantUnknown(), "Not signed in: Oslo 2.14", "does not know this code any more", "Try again"),
        (ClientRefused(), "Not signed in: Oslo 2.14", "OIDC_CLIENT_ID and its secret", "Try again"),
        (ProviderError("x"), "Not signed in: Oslo 2.14", "did not do what it should", "Try again"),
    ],
)
async def test_however_it_ends_the_code_is_gone_and_one_button_leads_on(
    house: House,
    dana: Someone,
    desk: CallingDevice,
    answer: ProviderError,
    title: str,
    words: str,
    button: str,
) -> None:
    await dana.says("sign in 2.14")
    house.provider.answers(dana.card.code, answer)
    await house.polls()
    card = dana.titled(title)
    assert words in card.all and not card.code and card.buttons == [button] and card.edits in (0, 1)
    record = await house.record(A)
    assert record.sign_in and (record.sign_in.sealed, record.sign_in.page) == ("", "")
    assert (await desk.status()).body["state"] == "waiting_for_sign_in"
    assert (await dana.presses(button, on=card)).title == TITLE


async def test_the_number_of_a_policy_is_small_print(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    house.provider.answers(dana.card.code, BlockedByPolicy("AADSTS50097"))
    await house.polls()
    assert "AADSTS50097" in dana.card.texts and "AADSTS50097" not in dana.card.title


async def test_a_wrong_account_is_pushed(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    standing = dana.card
    await signed_in(house, dana, "kim@contoso.com")
    assert standing.title == "Wrong account: Oslo 2.14" and not standing.code
    pushed = dana.last
    assert pushed is not standing and pushed.summary == "Another account approved at Oslo 2.14: not signed in"
    assert f"kim@contoso.com approved, {ROOM} was intended. The device is not signed in." in pushed.all
    assert (await house.record(A)).signed_in_as == ""
    assert (await dana.presses("Try again", on=pushed)).code


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ProviderAway(), "The identity provider does not answer. Try again in a minute"),
        (DiscoveryWrong(), "OIDC_ISSUER"),
        (NoDeviceFlow(), "This identity provider offers no sign-in by code."),
        (BlockedByPolicy("AADSTS7000218"), "Allow device code flow"),
    ],
)
async def test_there_is_not_even_a_code(
    house: House, dana: Someone, desk: CallingDevice, fault: ProviderError, words: str
) -> None:
    house.provider.begins.append(fault)
    card = await dana.says("sign in 2.14")
    assert words in card.all and not card.code and card.buttons == ["Try again"]
    assert (await dana.presses("Try again")).code


async def test_without_a_provider_it_is_refused_in_words(house: House, dana: Someone, desk: CallingDevice) -> None:
    house.provisioning.provider = None
    assert "OIDC_ISSUER" in (await dana.says("sign in 2.14")).all


async def test_a_provider_that_does_not_answer_is_asked_on(house: House, dana: Someone, desk: CallingDevice) -> None:
    code = (await dana.says("sign in 2.14")).code
    house.provider.answers(code, ProviderAway(), ProviderAway(), ProviderAway(), PollSlower())
    await house.polls()
    assert "does not answer" not in dana.card.all
    house.clock.advance(timedelta(minutes=1))
    await house.polls()
    silent = "The identity provider does not answer since 07:31. I go on asking until 07:45."
    assert silent in dana.card.texts and dana.card.code == code
    await house.polls()
    assert silent in dana.card.texts and dana.card.edits == 1
    await house.polls()
    assert "does not answer" not in dana.card.all and dana.card.code == code
    await signed_in(house, dana)
    assert dana.card.title == f"Signed in as {ROOM}, 07:31"


# ------------------------------------------------------------------ in the middle of it


async def test_the_device_is_reset_in_the_middle(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    house.provider.approved(dana.card.code, ROOM)
    await desk.is_reset()
    card = dana.titled("Cancelled: Oslo 2.14")
    assert "The device was reset 07:30: a new life began, and it needs a code first." in card.all and not card.code
    assert card.buttons == ["Issue code"] and "Or type: issue 2.14" in card.texts
    await house.polls()
    assert house.provider.polled == [] and (await house.record(A)).signed_in_at is None


async def test_the_device_is_taken_off_the_list_in_the_middle(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("sign in 2.14")
    standing = dana.card
    await dana.says("remove 2.14")
    await dana.presses("Remove")
    assert standing.title == "This device is off the list." and not standing.code
    assert standing.buttons == ["Waiting list"] and "Or type: sign in" in standing.texts
    await house.polls()
    assert house.provider.polled == []


async def test_taken_off_the_list_and_put_back_it_was_no_reset(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    await dana.says("sign in 2.14")
    house.by_itself = False
    await dana.says("remove 2.14")
    await dana.presses("Remove")
    await dana.says(f"add {A} Oslo/2/2.14")
    core, person = house.provisioning, await house.provisioning.who(dana.object_id)
    assert person
    actor = core.actor_of(person)
    card = sign_in_card(await core.sign_in_facts(actor, A), Around(actor.id, house.clock.now()))
    assert "The device was taken off the list 07:30." in card.how
    assert [button.title for button in card.buttons] == ["New code"]


@pytest.mark.parametrize(
    ("fault", "detail", "sentence"),
    [
        (ProviderError("AADSTS1"), False, "Try again; if it stays so, tell your operator this: AADSTS1"),
        (ProviderError(), False, "Try again; if it stays so, ask your operator."),
        (ClientRefused("AADSTS7000218"), True, "OIDC_CLIENT_ID"),
        (TokenUntrusted("aud"), True, "cannot be trusted"),
        (AuthorizationDeclined("AADSTS50126"), True, "declined"),
        (ClockOff("7"), False, "differ by 7 minutes"),
    ],
)
async def test_what_the_provider_said_stands_on_the_card_once(
    house: House, dana: Someone, desk: CallingDevice, fault: ProviderError, detail: bool, sentence: str
) -> None:
    await dana.says("sign in 2.14")
    house.provider.answers(dana.card.code, fault)
    await house.polls()
    assert sentence in dana.card.all
    assert (fault.detail in dana.card.texts) is detail


async def test_a_companion_device_has_its_account_from_elsewhere(house: House, dana: Someone) -> None:
    await dana.sends_file("t.csv", f"MAC id,Location,Verification code\n{A},Oslo/2/2.14,123456\n")
    await dana.presses(dana.last.buttons[0])
    for text in ("account 2.14", f"account 2.14 {ROOM}", "reset 2.14", "reset 2.14 confirm 2233"):
        assert "belongs to the Teams admin centre" in (await dana.says(text)).all, text
    assert (await house.record(A)).account == ""


async def test_whoever_loses_their_role_loses_the_code(house: House, dana: Someone, desk: CallingDevice) -> None:
    lee = await house.admin("Lee")
    code = (await lee.says("sign in 2.14")).code
    await dana.says("revoke access Lee")
    await dana.presses("Revoke now")
    assert lee.card.title == "Access ended" and not lee.card.code
    house.provider.approved(code, ROOM)
    await house.polls()
    record = await house.record(A)
    assert house.provider.polled == [] and record.signed_in_at is None
    assert record.sign_in and (record.sign_in.stage, record.sign_in.why) == ("cancelled", "asker_gone")
    assert "This code is over" not in dana.card.all and (await dana.says("sign in 2.14")).code


# ------------------------------------------------------------------ who gets to see it


async def test_asked_for_in_a_channel_it_is_written_to_the_asker(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    channel = house.channel()
    said = await channel.says("sign in 2.14", by=dana)
    assert said.text == "I wrote to you in chat." and dana.card.code
    await signed_in(house, dana)
    assert dana.card.title == f"Signed in as {ROOM}, 07:30"
    await channel.says("sign in", by=dana)
    assert channel.last.text == "I wrote to you in chat."
    assert dana.card.title == "Waiting for sign-in"


async def test_a_technician_signs_nothing_in(house: House, sam: Someone, desk: CallingDevice) -> None:
    for text in ("sign in", "sign in 2.14", "sign in all", "account 2.14 x@contoso.com", "cancel sign in 2.14"):
        assert "Only admins can do that." in (await sam.says(text)).all, text
    assert house.provider.grants == []


# ------------------------------------------------------------------ accounts


async def test_without_an_account_the_form_asks_for_it(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("account 2.14 none")
    form = await dana.says("sign in 2.14")
    assert form.title == TITLE and list(form.inputs) == ["account"] and form.buttons == ["Sign in", "Cancel"]
    assert form.inputs["account"]["value"] == "" and "is not an account" not in form.all
    wrong = await dana.presses("Sign in", account="room-2.14")
    assert wrong.inputs["account"]["value"] == "room-2.14"
    assert '"room-2.14" is not an account; it looks like room-2.14@contoso.com.' in wrong.texts
    assert house.provider.grants == []
    card = await dana.presses("Sign in", account=f" {ROOM} ")
    assert card.code and card.facts["Account"] == ROOM and (await house.record(A)).account == ROOM


async def test_a_wrong_account_that_was_typed_comes_back_in_the_form(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    form = await dana.says("sign in 2.14 as room 2.14")
    assert form.inputs["account"]["value"] == "room 2.14" and "is not an account" in form.all
    assert (await house.record(A)).account == ROOM and house.provider.grants == []


async def test_which_account_is_intended_is_said_and_changed(house: House, dana: Someone, desk: CallingDevice) -> None:
    await dana.says("account 2.14")
    card = dana.card
    assert card.title == "Oslo 2.14: account" and f"{ROOM} is to be signed in." in card.all
    assert card.buttons == ["Sign in"]
    await dana.says("account Oslo 2.14 lobby@contoso.com")
    assert "lobby@contoso.com is to be signed in." in card.all  # both cards are one fact
    none = await dana.says("account 2.14 none")
    assert "No account is intended yet." in none.all and none.buttons == []
    assert (await house.record(A)).account == ""
    wrong = await dana.says("account 2.14 lobby")
    assert wrong.all.startswith('"lobby" is not an account')
    assert (await house.facts(A.replace("-", ""))).count("AccountChosen") == 3


async def test_an_account_may_be_chosen_before_the_device_called(house: House, dana: Someone) -> None:
    await dana.says(f"add {B} Oslo/2/2.16")
    card = await dana.says("account 2.16 room-2.16@contoso.com")
    assert "It has not called in yet; its code comes first." in card.all and card.buttons == []
    said = await dana.says("sign in 2.16")
    assert said.text == "2.16 has not called in yet: its code comes first, then it can be signed in."


async def test_a_word_that_means_two_devices_is_asked_without_the_account_on_a_button(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    await dana.says(f"add {B} Bergen/2/2.14")
    asked = await dana.says(f"sign in 2.14 as {ROOM}")
    assert asked.title == '"2.14" can mean more than one. Which one?' and asked.buttons == []
    assert "Oslo/2/2.14 · 22:33" in asked.all and "Type it again with the MAC, or its last 4 digits." in asked.texts
    choice = await dana.says("sign in 2.14")
    assert [button for button in choice.buttons if "Oslo" in button] or len(choice.buttons) == 2
    assert (await dana.presses(choice.buttons[0], on=choice)).title


# ------------------------------------------------------------------ again


async def signed_out(house: House, desk: CallingDevice) -> None:
    """The device does as it was asked."""
    dana = await house.provisioning.who(house.dana.object_id)
    assert dana
    asked = await house.provisioning.ask_device(house.provisioning.actor_of(dana), A, CommandName.SIGN_OUT)
    await house.provisioning.settle_command(desk.token, asked.command.id, done=True)


async def test_a_signed_out_device_is_signed_in_again_with_nobody_on_site(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    await dana.says("sign in 2.14")
    await signed_in(house, dana)
    refused: Post = await dana.says("sign in 2.14")
    assert refused.text == f"2.14 is signed in as {ROOM}. Sign it out first: sign out 2.14"
    await signed_out(house, desk)
    listed = await dana.says("sign in again")
    assert listed.title == "Signed out: 1" and ROOM in listed.all
    assert (await dana.presses("Sign in 2.14")).code
    await signed_in(house, dana)
    told = (await desk.status()).body
    assert (told["state"], told["account"]) == ("signed_in", ROOM)


async def test_the_same_account_is_known_by_its_object_id_then(
    house: House, dana: Someone, desk: CallingDevice
) -> None:
    await dana.says("sign in 2.14")
    house.provider.approved(dana.card.code, ROOM, id_="the-rooms-id")
    await house.polls()
    await signed_out(house, desk)
    await dana.says("sign in 2.14")
    house.provider.approved(dana.card.code, "renamed@contoso.com", id_="THE-ROOMS-ID")
    await house.polls()
    assert dana.card.title == f"Signed in as {ROOM}, 07:30"
