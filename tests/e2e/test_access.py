"""The page for everybody: in German and English, by day, by night and in the system's own colours, under one thumb."""

import os
from pathlib import Path
from typing import Any

import pytest

from cards.words import code_groups
from provisioning.codes import generate
from tests.e2e.test_story import M14

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make e2e")

PHONE = {"width": 360, "height": 740}
THUMB = 44  # CSS pixels of a target (WCAG 2.5.5)
SHOTS = os.environ.get("SHOTS")  # a folder that pictures of every pane go to
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"color_scheme": "dark", "forced_colors": "active"},
    "contrast": {"color_scheme": "light", "contrast": "more"},
}
WORDS = {
    "en-GB": {
        "hello": "you installed this for Contoso",
        "saved": "2 devices saved",
        "codes": "2 codes issued to Sam Technician",
        "rollout": "Oslo rollout",
        "next": "Next: Oslo, floor 2, room 2.14",
        "problem": "Problem",
        "wrong": "What is wrong?",
        "list": "0 of 2 done",
        "provision": "Provision",
    },
    "de-DE": {
        "hello": "Sie haben dies für Contoso installiert",
        "saved": "2 Geräte gespeichert",
        "codes": "2 Codes an Sam Technician ausgegeben",
        "rollout": "Rollout: Oslo",
        "next": "Als Nächstes: Oslo, Etage 2, Raum 2.14",
        "problem": "Problem",
        "wrong": "Was stimmt nicht?",
        "list": "0 von 2 erledigt",
        "provision": "Bereitstellen",
    },
}
MEASURES = (Path(__file__).parent / "access.js").read_text(encoding="utf-8")


class Phone:
    """Somebody with a phone in one hand: one pane at a time."""

    def __init__(self, page: Any, locale: str, look: str):
        self.page, self.words, self.name = page, WORDS[locale], f"{locale[:2]}-{look}"

    def turns_to(self, pane: str) -> None:
        self.page.locator(f'.tab[data-pane="{pane}"]').tap()

    def pane(self, name: str) -> Any:
        return self.page.locator(f"#pane-{name}")

    def says(self, pane: str, text: str) -> None:
        box = self.pane(pane).locator(".compose-text")
        box.fill(text)
        box.press("Enter")

    def sees(self, pane: str, text: str) -> None:
        sync_api.expect(self.pane(pane).get_by_text(text).filter(visible=True).last).to_be_visible(timeout=15_000)

    def presses(self, pane: str, title: str) -> None:
        self.pane(pane).get_by_role("button", name=title, exact=True).last.tap()

    def looks(self, what: str) -> None:
        """A picture for people, and what a machine can say about it."""
        if SHOTS:
            self.page.wait_for_timeout(700)
            self.page.screenshot(path=Path(SHOTS) / f"{self.name}-{what}.png")
        self.page.wait_for_timeout(1000)  # a card that just came is still flashing
        found = self.page.evaluate(f"(thumb) => {{ {MEASURES} return measured(thumb); }}", THUMB)
        assert found == {"wide": [], "small": [], "pale": [], "stray": []}, what


@pytest.fixture
def phone(chromium, service, request):
    locale, look = request.param
    context = chromium.new_context(
        viewport=PHONE, locale=locale, timezone_id="Europe/Berlin", has_touch=True, device_scale_factor=2, **LOOKS[look]
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(service.url)
    yield Phone(page, locale, look)
    context.close()
    assert faults == []


@pytest.mark.parametrize("phone", [(lang, look) for lang in WORDS for look in LOOKS], indirect=True, ids="-".join)
def test_a_day_on_a_small_phone(phone: Phone) -> None:
    words = phone.words
    phone.sees("admin", words["hello"])
    phone.looks("1-welcome")
    phone.says("admin", "grant 6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e technician")
    phone.says("admin", "add 80-5E-C0-11-22-33 Oslo/2/2.14\n80-5E-C0-11-22-34 Oslo/2/2.16")
    phone.sees("admin", words["saved"])
    phone.turns_to("channel")
    phone.says("channel", "connect oslo")
    phone.sees("channel", words["rollout"])
    phone.looks("2-channel")
    phone.turns_to("admin")
    phone.says("admin", "issue oslo to Sam")
    phone.sees("admin", words["codes"])
    phone.looks("3-issued")
    phone.turns_to("technician")
    phone.sees("technician", words["next"])
    phone.looks("4-next")
    phone.presses("technician", words["problem"])
    phone.sees("technician", words["wrong"])
    phone.looks("5-problem")
    phone.says("technician", "list")
    phone.sees("technician", words["list"])
    phone.looks("6-list")
    phone.turns_to("device")
    phone.sees("device", words["provision"])
    phone.looks("7-device")


@pytest.mark.parametrize("phone", [("en-GB", "light")], indirect=True, ids="-".join)
def test_the_page_and_the_bot_follow_the_language_that_is_chosen(phone: Phone) -> None:
    page = phone.page
    phone.sees("admin", WORDS["en-GB"]["hello"])
    page.get_by_label("Language").select_option(label="Deutsch")
    sync_api.expect(page.locator("html")).to_have_attribute("lang", "de")
    sync_api.expect(page.locator(".tab").first).to_contain_text("Admin")
    phone.says("admin", "hi")
    phone.sees("admin", WORDS["de-DE"]["hello"])
    page.reload()
    sync_api.expect(page.get_by_label("Sprache")).to_have_value("de")


def at_the_device(phone: Phone) -> Any:
    phone.turns_to("device")
    phone.sees("device", phone.words["provision"])
    return phone.pane("device")


@pytest.mark.parametrize("phone", [(lang, "light") for lang in WORDS], indirect=True, ids="-".join)
def test_many_simulated_devices_fit_on_a_small_phone(phone: Phone) -> None:
    device = at_the_device(phone)
    switcher = device.locator(".segmented.devices")
    for number in range(2, 7):
        switcher.locator("> button").first.tap()
        sync_api.expect(switcher.locator(".pills button")).to_have_count(number)
        inside(switcher.locator(".pills button").last, switcher.locator(".pills"))
        inside(device.locator(".device-state"), device)
        phone.looks(f"8-devices-{number}")
    switcher.locator(".pills button").first.focus()
    inside(switcher.locator(".pills button").first, switcher.locator(".pills"))
    phone.page.reload()
    sync_api.expect(switcher.locator(".pills button")).to_have_count(6)
    inside(switcher.locator(".pills button").last, switcher.locator(".pills"))


@pytest.mark.parametrize("phone", [(lang, "light") for lang in WORDS], indirect=True, ids="-".join)
def test_what_the_device_refuses_can_be_read_on_a_small_phone(phone: Phone) -> None:
    device = at_the_device(phone)
    typed = ((M14, code_groups(generate(12))), (M14, "4829 1376 0257"), ("80-5E", "4829 1376 0257"), ("", ""))
    for number, (mac, code) in enumerate(typed):
        device.locator(".mac").fill(mac)
        device.locator(".code").fill(code)
        device.locator(".provision-button").tap()
        sync_api.expect(device.locator(".device-note")).to_be_visible()
        for part in (".device-state", ".provision-button", ".device-note"):
            inside(device.locator(part), device.locator(".device-screen"))
        phone.looks(f"9-refused-{number}")
    phone.page.set_viewport_size({"width": 360, "height": 640})  # not all of it fits there
    device.locator(".mac").fill("80-5E")
    device.locator(".provision-button").tap()
    sync_api.expect(device.locator(".device-note")).to_be_visible()
    inside(device.locator(".device-note"), device.locator(".device-screen"))


def inside(node: Any, place: Any) -> None:
    """All of it can be seen there."""
    sync_api.expect(node).to_be_in_viewport(ratio=0.95)
    its, frame = node.bounding_box(), place.bounding_box()
    assert frame["x"] - 1 <= its["x"] and its["x"] + its["width"] <= frame["x"] + frame["width"] + 1
    assert frame["y"] - 1 <= its["y"] and its["y"] + its["height"] <= frame["y"] + frame["height"] + 1
