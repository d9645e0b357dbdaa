"""A label and an install photographed on a phone 360 pixels wide, through the real doors of the real service."""

import re

import pytest

from tests.e2e.stage import SOON, expect
from tests.e2e.test_story import M14, M16
from tests.labels import encoded, scanned, view_of_a_wall

PHONE = (360, 740)


def takes(desk, pane, name, content):
    picture = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    desk.pane(pane).locator(".picture-chooser").set_input_files(picture)


@pytest.mark.parametrize("desk", [PHONE], indirect=True)
def test_a_label_is_read_and_a_photo_is_kept(desk):
    desk.turns_to("Technician")
    desk.says("technician", "next")
    grant(desk)
    desk.turns_to("Technician")
    takes(desk, "technician", "label.jpg", scanned(f"MAC: {M16}"))
    card = desk.sees_card("technician", "Oslo, floor 2, room 2.16", "valid until", wait=4 * SOON)
    assert desk.width(card) <= PHONE[0]
    desk.presses("technician", "Confirm install")
    desk.presses("technician", "Mounting only")
    desk.presses("technician", "Save, add photo")
    desk.sees_card("technician", "Send one photo now, or skip it.")
    takes(desk, "technician", "wall.jpg", encoded(view_of_a_wall()))
    desk.sees_card("technician", "Photo kept with 2.16.", wait=4 * SOON)
    desk.sees_card("technician", "Next: Oslo, floor 2, room 2.14")

    desk.turns_to("Admin")
    desk.says("admin", "2.16")
    desk.sees_card("admin", "2.16: waiting for activation", "Sam Technician")
    desk.presses("admin", "Photo")
    picture = desk.pane("admin").get_by_role("img", name=re.compile(r"^Oslo 2\.16, Sam Technician \d\d:\d\d\.jpg$"))
    expect(picture).to_be_visible(timeout=SOON)
    assert desk.width(picture) <= PHONE[0]
    expect(picture).to_be_in_viewport()


def grant(desk):
    desk.presses("technician", "Ask for access")
    desk.sees("technician", "You have asked for access.")
    desk.turns_to("Admin")
    desk.presses("admin", "Technician", on="Sam Technician asks for access")
    desk.says("admin", f"add {M14} Oslo/2/2.14\n{M16} Oslo/2/2.16")
    desk.sees_card("admin", "2 devices saved")
    desk.says("admin", "issue oslo to Sam")
