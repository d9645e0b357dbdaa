"""Where two things meet at one device: two admins, a command taken back while it is done, a list left and joined."""

from dataclasses import replace
from datetime import timedelta

from provisioning.model import State
from tests.bot.chat import House, Someone
from tests.bot.conversations.remote import MAC, called_in, signed_in

A, B = MAC, "80-5E-C0-11-22-34"


async def two_wait(house: House, dana: Someone) -> None:
    for mac, place in ((A, "2.14"), (B, "2.16")):
        await called_in(house, mac, f"Oslo/2/{place}")
        await dana.says(f"account {mac} room-{place}@contoso.com")


async def test_a_run_that_begins_anew_leaves_the_code_of_another_admin_alone(house: House, dana: Someone) -> None:
    await two_wait(house, dana)
    lee = await house.admin("Lee")
    assert "2.14" in (await dana.says("sign in oslo")).title
    await dana.says("sign in stop")
    code = (await lee.says("sign in 2.14")).code
    assert "2.16" in (await dana.says("sign in oslo")).title
    assert lee.card.code == code
    house.provider.approved(code, "room-2.14@contoso.com")
    await house.polls()
    assert (await house.record(A)).state is State.SIGNED_IN


async def test_what_was_done_before_it_was_taken_back_counts(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    await dana.says("sign out 2.14")
    (command,) = (await device.status()).body["commands"]
    await dana.presses("Take back")
    assert (await device.settles(command["id"])).status == 204
    assert (await house.record(MAC)).state is State.SIGNED_OUT
    assert dana.card.title.startswith("2.14 signed out")


async def test_what_was_not_done_and_was_taken_back_stays_as_it_is(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    await dana.says("sign out 2.14")
    (command,) = (await device.status()).body["commands"]
    await dana.presses("Take back")
    assert (await device.settles(command["id"], "failed")).status == 204
    assert (await house.record(MAC)).state is State.SIGNED_IN


async def test_one_that_left_the_list_and_came_back_is_not_promised_anything(house: House, dana: Someone) -> None:
    device = await called_in(house)
    await dana.says("remove 2.14")
    await dana.presses("Remove")
    await dana.says(f"add {MAC} Oslo/2/2.14")
    for said in ("sign in 2.14 as room-2.14@contoso.com", "restart 2.14"):
        assert (await dana.says(said)).text == (
            "2.14 was off the list, so nothing reaches it any more until it is reset. Say: reset 2.14"
        )
    listed = await dana.says("sign in")
    assert any("needs a factory reset first" in text for text in listed.texts)
    assert not any(title.startswith("Sign in") for title in listed.buttons)
    assert "needs a factory reset" in (await dana.says("device 2.14")).facts["Contact"]
    await dana.says("reset 2.14 confirm 2233")
    assert (await device.is_reset()).status == 204
    assert (await house.record(MAC)).life == 2


async def test_an_account_that_is_chosen_while_another_is_signed_in_stays_chosen(house: House, dana: Someone) -> None:
    await called_in(house)
    lee = await house.admin("Lee")
    code = (await dana.says("sign in 2.14 as room-2.14@contoso.com")).code
    await lee.says("account 2.14 other@contoso.com")
    house.provider.approved(code, "room-2.14@contoso.com")
    await house.polls()
    device = await house.record(MAC)
    assert (device.signed_in_as, device.account) == ("room-2.14@contoso.com", "other@contoso.com")


async def test_an_account_that_was_made_anew_is_believed_once_an_admin_says_so(
    house: House, dana: Someone, sam: Someone
) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, teams_accounts=True)
    await called_in(house)
    code = (await dana.says("sign in 2.14 as sam@contoso.com")).code
    house.provider.approved(code, "sam@contoso.com", id_="another-object")
    await house.polls()
    assert dana.card.title == "Wrong account: Oslo 2.14"
    assert any("say so: account 2.14 sam@contoso.com" in text for text in dana.card.texts)
    await dana.says("account 2.14 sam@contoso.com")
    code = (await dana.says("sign in 2.14")).code
    house.provider.approved(code, "sam@contoso.com", id_="another-object")
    await house.polls()
    device = await house.record(MAC)
    assert (device.state, device.signed_in_id, device.account_anew) == (State.SIGNED_IN, "another-object", False)


async def test_a_provisioned_device_makes_nobody_look_for_codes(house: House, dana: Someone, sam: Someone) -> None:
    device = await called_in(house)
    await dana.says(f"add {B} Oslo/2/2.16")
    await dana.says("issue 2.16 to Sam")
    code = sam.card.code
    before = await house.facts()
    headers = {"Authorization": f"Bearer {device.token}"}
    answer = await device._call("POST", "/api/v1/provision", headers, json={"mac": MAC, "code": code})
    assert (answer.status, answer.code) == (409, "reset_required")
    assert [name for name in (await house.facts())[len(before) :] if name != "ResetDoubted"] == []


async def test_skipped_ones_that_were_signed_in_elsewhere_are_not_counted_twice(house: House, dana: Someone) -> None:
    await two_wait(house, dana)
    await called_in(house, "80-5E-C0-11-22-35", "Oslo/2/2.18")
    await dana.says("account 2.18 room-2.18@contoso.com")
    lee = await house.admin("Lee")
    await dana.says("sign in oslo")
    await dana.says("sign in skip")
    code = (await lee.says("sign in 2.14")).code
    house.provider.approved(code, "room-2.14@contoso.com")
    await house.polls()
    stopped = await dana.says("sign in stop")
    assert "2 still wait" in stopped.all


async def test_devices_that_fall_silent_one_by_one_are_one_push(house: House, dana: Someone) -> None:
    devices = [await called_in(house, f"80-5E-C0-11-33-0{n}", f"Oslo/3/3.0{n}") for n in range(3)]
    before = len(dana.posts)
    for minute in range(140):
        for number, device in enumerate(devices):
            if minute < 40 + 3 * number:
                await device.status()
        await house.passes(minutes=1)
    pushed = [post.title for post in dana.posts[before:] if "offline" in post.title.casefold()]
    assert pushed == ["3 devices offline"]


async def test_a_command_that_fell_due_between_two_calls_is_soon_found(house: House, dana: Someone) -> None:
    device = await called_in(house)
    await dana.says("restart 2.14 at 08:00")
    revision = (await device.status()).body["revision"]
    house.clock.advance(timedelta(minutes=30, seconds=5))
    headers = {"Authorization": f"Bearer {device.token}"}
    answer = await device._call("GET", f"/api/v1/device?since={revision}&wait=30", headers)
    assert [command["name"] for command in answer.body["commands"]] == ["restart"]
