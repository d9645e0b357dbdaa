"""The whole story on the local page, typed and pressed as people do, through the real doors of the real service."""

import re

import pytest

from tests.e2e.stage import DIGITS, MOVED, expect

M14, M16, M18 = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"


def grant_sam(desk):
    desk.presses("technician", "Ask for access")
    desk.sees("technician", "You have asked for access.")
    desk.presses("admin", "Technician", on="Sam Technician asks for access")
    desk.sees_card("technician", "No devices today. I will write when there are.")


def test_from_a_mac_address_to_an_installed_device(desk):
    ask_and_grant(desk)
    add_by_form(desk)
    add_by_typing(desk)
    connect_the_channel(desk)
    issue_to_sam(desk)
    code = provision_the_first(desk)
    confirm_and_go_on(desk)
    report_a_problem(desk)
    the_rollout_card_moves(desk)
    end_sams_access(desk)
    nothing_is_lost_by_a_reload(desk)
    for pane in ("admin", "channel"):
        desk.sees_no(pane, code)
        desk.sees_no(pane, DIGITS)


def ask_and_grant(desk):
    desk.sees("technician", "You have no access yet.")
    desk.says("technician", "next")
    desk.sees_card("technician", "You have no access yet.", "Admins: Dana Admin.")
    grant_sam(desk)
    desk.sees_card("admin", "Sam Technician", "Technician, by Dana Admin")
    desk.sees_no("admin", "asks for access")


def add_by_form(desk):
    desk.says("admin", "add")
    desk.presses("admin", "Add", on="Add a device")
    desk.sees("admin", "The MAC stands on the device's label.")
    desk.fills("admin", "MAC id", "80-5E-C0-11-22")
    desk.fills("admin", "Location", "Oslo/2/2.14")
    desk.presses("admin", "Add", on="Add a device")
    desk.sees("admin", re.compile("10 digits"))
    assert desk.pane("admin").get_by_label("Location").last.input_value() == "Oslo/2/2.14"
    desk.fills("admin", "MAC id", "805e.c011.2233")
    desk.presses("admin", "Add", on="Add a device")
    desk.sees_card("admin", "1 device saved", "2.14, ends 22:33")


def add_by_typing(desk):
    desk.says("admin", f"add {M16} Oslo/2/2.16\n{M18.replace('-', ':').lower()} Oslo/2/2.18")
    desk.sees_card("admin", "2 devices saved", "2.16, ends 22:34", "2.18, ends 22:35")
    desk.says("admin", "device 2.16")
    desk.sees_card("admin", "2.16: waiting for activation", M16, "Oslo, floor 2, room 2.16")


def connect_the_channel(desk):
    expect(desk.pane("channel").get_by_text("Hello. Mention me and say connect")).to_have_count(1)
    desk.says("channel", "connect oslo")
    desk.sees("channel", "This channel follows Oslo now.")
    desk.sees_card("channel", "Oslo rollout", "0 of 3 provisioned, 0 installed, 0 problems", "□□□□□□□□□□ 0 %")


def issue_to_sam(desk):
    desk.says("admin", "issue codes oslo")
    desk.sees_card("admin", "Issue codes", "Oslo (3 waiting)")
    desk.chooses("admin", "Technician", "Sam Technician")
    desk.presses("admin", "Issue 3")
    desk.sees_card("admin", "3 codes issued to Sam Technician", "Sam Technician: delivered")


def provision_the_first(desk):
    desk.sees_card("technician", "Next: Oslo, floor 2, room 2.14", "MAC ends 22:33", "1 of 3")
    code = desk.code()
    desk.says("channel", "code 2.16")
    desk.sees("channel", "I wrote to you in chat.")
    desk.sees_card("admin", "Oslo, floor 2, room 2.16", "With Sam Technician.")
    assert desk.code("admin") != code
    desk.provisions(M14, code)
    desk.sees("device", "Contoso")
    desk.sees("device", "Waiting for remote sign-in")
    desk.sees_card("technician", "Provisioned", "The screen should show Contoso.", "Oslo, floor 2, room 2.14")
    desk.sees_no("technician", code)
    return code


def confirm_and_go_on(desk):
    desk.presses("technician", "Confirm install", on="Provisioned")
    desk.fills("technician", "Note", "left of the door")
    desk.presses("technician", "Save")
    desk.sees_card("technician", "Saved", "Oslo, floor 2, room 2.14", "left of the door")
    desk.sees_card("technician", "Next: Oslo, floor 2, room 2.16", "2 of 3")


def report_a_problem(desk):
    code = desk.code()
    desk.presses("technician", "Problem", on="room 2.16")
    desk.presses("technician", "Send", on="Problem with 2.16")
    desk.sees("technician", "Choose what is wrong.")
    desk.pane("technician").get_by_label("Broken").check()
    desk.fills("technician", "Note", "cracked screen")
    desk.presses("technician", "Send", on="Problem with 2.16")
    desk.sees_card("technician", "Problem sent", "Broken: cracked screen")
    desk.sees_card("technician", "Next: Oslo, floor 2, room 2.18")
    desk.sees_no("technician", code)
    desk.sees_card("admin", "Problem: Oslo, floor 2, room 2.16", "Broken: cracked screen")
    thread = desk.pane("channel").locator(".thread").filter(has_text="Oslo rollout").last
    expect(thread.locator(".replies")).to_contain_text("Problem at Oslo, floor 2, room 2.16: Broken: cracked screen")


def the_rollout_card_moves(desk):
    desk.sees_card("channel", "1 of 3 provisioned, 1 installed, 1 problem", "33 %", wait=MOVED)
    desk.presses("channel", "Details", on="Oslo rollout")
    desk.sees_card("channel", "1 device has a problem.")
    desk.presses("channel", "Back", on="1 device has a problem.")


def end_sams_access(desk):
    code = desk.code()
    desk.says("admin", "revoke access Sam")
    desk.sees_card("admin", "Sam Technician:", "Access ends at once")
    desk.presses("admin", "Revoke now")
    desk.sees_card("admin", "Sam Technician has no access since")
    desk.sees_card("technician", "Access ended")
    desk.sees_no("technician", code)
    desk.says("technician", "next")
    expect(desk.pane("technician").locator(".message").last).to_contain_text("You have no access yet.")
    desk.sees_card("channel", "3 added, 0 with a live code, 0 signed in.", wait=MOVED)


def nothing_is_lost_by_a_reload(desk):
    desk.presses("channel", "Sam")  # who reads the card as it stands; an admin's client asks for theirs now and then
    said = [desk.pane(name).locator(".log-list").inner_text() for name in ("admin", "technician", "channel")]
    desk.page.reload()
    desk.sees_card("admin", "Sam Technician has no access since")
    desk.presses("channel", "Sam")
    for name, before in zip(("admin", "technician", "channel"), said, strict=True):
        expect(desk.pane(name).locator(".message")).not_to_have_count(0)
        assert desk.pane(name).locator(".log-list").inner_text() == before
    desk.sees("device", "Contoso")


def test_by_keyboard_alone(desk):
    desk.tabs_to("technician", "Ask for access")
    desk.types("", then="Enter")
    desk.sees_card("admin", "Sam Technician asks for access")
    desk.tabs_to("admin", "Technician", back=True)
    desk.types("", then="Enter")
    desk.sees_card("technician", "No devices today.")
    desk.tabs_to("admin", "Message Provisioning Bot")
    desk.types("add", then="Enter")
    desk.sees_card("admin", "Add a device")
    desk.tabs_to("admin", "Location", back=True)
    desk.types("Oslo/2/2.14")
    desk.tabs_to("admin", "MAC id", back=True)
    desk.types(M14)
    desk.tabs_to("admin", "Add")
    desk.types("", then="Enter")
    desk.sees_card("admin", "1 device saved")
    desk.tabs_to("admin", "Message Provisioning Bot")
    desk.types("issue 2.14 to Sam Technician", then="Enter")
    desk.sees_card("technician", "Next: Oslo, floor 2, room 2.14")
    code = desk.code()
    desk.tabs_to("device", "Enter the code")
    desk.types(code, then="Enter")
    desk.sees("device", "Contoso")
    desk.sees_card("technician", "Provisioned")
    desk.tabs_to("technician", "Confirm install", back=True)
    desk.types("", then="Enter")
    desk.sees_card("technician", "Mounted, cabled, screen on")
    desk.tabs_to("technician", "Save")
    desk.types("", then="Enter")
    desk.sees_card("technician", "Saved", "Oslo, floor 2, room 2.14")


@pytest.mark.parametrize("desk", [(390, 844)], indirect=True)
def test_on_a_phone_sized_screen_one_pane_at_a_time(desk):
    expect(desk.pane("technician")).to_be_hidden()
    desk.turns_to("Technician")
    expect(desk.pane("admin")).to_be_hidden()
    desk.presses("technician", "Ask for access")
    desk.turns_to("Admin")
    desk.presses("admin", "Technician", on="Sam Technician asks for access")
    desk.sees_card("admin", "Technician, by Dana Admin")
    desk.says("admin", f"add {M14} Oslo/2/2.14")
    desk.sees_card("admin", "1 device saved")
    desk.says("admin", "issue 2.14 to Sam Technician")
    desk.sees_card("admin", "1 code issued to Sam Technician")
    desk.turns_to("Technician")
    desk.sees_card("technician", "Next: Oslo, floor 2, room 2.14")
    code = desk.code()
    within(desk)
    desk.turns_to("Device")
    desk.provisions(M14, code)
    desk.sees("device", "Contoso")
    desk.turns_to("Technician")
    desk.sees_card("technician", "Provisioned", "The screen should show Contoso.")
    for tab in ("Admin", "Technician", "Channel", "Device"):
        desk.turns_to(tab)
        within(desk)


def within(desk):
    """Nothing runs off the side of the screen, and no button's title is cut off."""
    assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cut = (
        "() => [...document.querySelectorAll('button.action')].filter((b) => b.scrollWidth > b.clientWidth + 1).length"
    )
    assert desk.page.evaluate(cut) == 0
