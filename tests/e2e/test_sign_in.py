"""Remote sign-in as an admin does it: asked for in the chat, typed in a browser, seen on the device's screen."""

import re
from datetime import timedelta

import pytest

from provisioning.signin import DeviceGrant
from tests.e2e.stage import Desk, Service, expect

MAC = "80-5E-C0-11-22-33"
USER_CODE = r"\b[A-Z0-9]{4}[ -][A-Z0-9]{4}\b"
ROOM, LOBBY = "room-2.14@contoso.example", "lobby@contoso.example"


def provisioned(desk):
    desk.says("admin", f"add {MAC} Oslo/2/2.14")
    desk.sees_card("admin", "1 device saved")
    desk.says("admin", "issue 2.14")
    desk.sees_card("admin", "1 code issued")
    desk.says("admin", "code 2.14")
    desk.provisions(MAC, desk.code("admin"))
    desk.sees("device", "Waiting for remote sign-in")


def asked(desk):
    """The code of the newest sign-in on the admin's phone."""
    card = desk.sees_card("admin", "Sign in Oslo 2.14", "Continue only if you asked for this.")
    found = re.search(USER_CODE, card.inner_text())
    assert found
    return found[0]


def types_at_the_demo_provider(desk, code, account, answer="Approve"):
    """In the tab that [Open page] opens."""
    with desk.page.context.expect_page() as opened:
        desk.card("admin", "Continue only if you asked for this.").get_by_text("Open page").click()
    page = opened.value
    page.get_by_label(re.compile("code", re.IGNORECASE)).fill(code)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label(account, exact=True).check()
    page.get_by_role("button", name=answer).click()
    page.locator("h1").wait_for()
    page.close()


def hears_401(desk):
    """The device's poll is refused, as its life is over; a browser notes that on its console."""
    for _ in range(100):
        if any("401" in fault for fault in desk.faults):
            break
        desk.page.wait_for_timeout(100)
    desk.faults = [fault for fault in desk.faults if "401" not in fault]


def test_signed_in_from_a_chat_and_a_browser_then_out_and_into_a_second_life(desk):
    provisioned(desk)
    desk.says("admin", f"sign in 2.14 as {ROOM}")
    types_at_the_demo_provider(desk, asked(desk), LOBBY)
    desk.sees_card("admin", "Wrong account: Oslo 2.14", LOBBY, ROOM)
    desk.presses("admin", "Try again")
    types_at_the_demo_provider(desk, asked(desk), ROOM)
    desk.sees_card("admin", f"Signed in as {ROOM}")
    desk.sees("device", re.compile(re.escape(ROOM)))
    expect(desk.pane("admin")).not_to_have_text(re.compile(USER_CODE))
    desk.says("admin", "sign out 2.14")
    desk.sees_card("admin", re.compile("2.14 signed out"))
    desk.says("admin", "diagnose 2.14")
    desk.sees_card("admin", "2.14 says how it is", "network good")
    desk.says("admin", "reset 2.14")
    desk.fills("admin", "Last four digits of its MAC", "2233")
    desk.presses("admin", "Reset", on="Reset Oslo 2.14?")
    desk.sees_card("admin", "Reset asked", "life 2")
    hears_401(desk)


def test_declined_at_the_page_is_said_on_the_card(desk):
    provisioned(desk)
    desk.says("admin", f"account 2.14 {ROOM}")
    desk.sees_card("admin", ROOM)
    desk.says("admin", "sign in 2.14")
    types_at_the_demo_provider(desk, asked(desk), ROOM, "Decline")
    desk.sees_card("admin", "Declined: Oslo 2.14")


@pytest.fixture
def certified(chromium, tmp_path, openid):
    """The service with the certified provider instead of the demo one, and the page on it."""
    service = Service(tmp_path, **openid.environment())
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    desk = Desk(context.new_page(), service.url)
    yield desk
    context.close()
    service.stop()
    assert (desk.faults, desk.abroad) == ([], [])


def test_signed_in_at_a_certified_provider(certified, openid, chromium):
    from tests.e2e.people import approves_in_browser

    desk = certified
    provisioned(desk)
    openid.layer.interval = 1
    desk.says("admin", f"sign in 2.14 as {ROOM}")
    code = asked(desk)
    grant = DeviceGrant("", code, openid.page, timedelta(minutes=10))
    window = chromium.new_context()
    approves_in_browser(window.new_page(), grant, ROOM)
    window.close()
    desk.sees_card("admin", f"Signed in as {ROOM}")
    desk.sees("device", re.compile(re.escape(ROOM)))


def test_an_outage_in_the_middle_is_survived_and_one_at_the_start_is_told(certified, openid):
    desk = certified
    provisioned(desk)
    openid.layer.interval = 1
    openid.goes_away()
    desk.says("admin", f"sign in 2.14 as {ROOM}")
    desk.sees_card("admin", "Not signed in: Oslo 2.14", "does not answer")
    openid.comes_back()
    desk.presses("admin", "Try again")
    code = asked(desk)
    openid.goes_away()
    desk.sees_card("admin", code, "The identity provider does not answer since", wait=30_000)
    openid.comes_back()
    expect(desk.card("admin", code)).not_to_contain_text("does not answer", timeout=60_000)
