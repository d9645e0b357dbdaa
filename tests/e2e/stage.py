"""The real service in a process of its own, and the local page in a headless browser: what the stories play on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

HOUSE = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DIGITS = re.compile(r"\d{4} \d{4} \d{4}")
FOCUSED = """([pane, name]) => {
  const here = document.activeElement;
  const labels = [...here.labels ?? []].map((label) => label.textContent);
  const named = [here.getAttribute("aria-label"), here.textContent, ...labels];
  return Boolean(here.closest(`#${pane}`)) && named.some((words) => words?.replace(" *", "").trim() === name);
}"""
SOON = 10_000  # milliseconds until something that the outbox does has come to pass
MOVED = 45_000  # the living card is edited every 30 s at the most


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Service:
    """`python app.py` in local mode with a store of its own; stops as an operator would stop it."""

    def __init__(self, folder: Path, **more: str):
        """more: further variables of its environment."""
        self.folder = folder
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env |= {"PORT": str(free_port()), "STORE_URL": f"tinydb:{folder / 'store'}", "LOG_FORMAT": "json", **more}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(HOUSE / "app.py")],
                cwd=folder,
                env=env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        ready = self._process.stdout.readline()
        if "is ready: " not in ready:
            self._process.communicate(timeout=15)
            raise RuntimeError(self.log.read_text())
        self.url = ready.rsplit(" ", 1)[1].strip()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=15)
        assert self._process.returncode == 0, self.log.read_text()


class Desk:
    """Somebody in front of the page. Notes what a story must not see: errors, and calls to other machines."""

    def __init__(self, page: Page, url: str):
        self.page, self.url = page, url
        self.faults: list[str] = []
        self.abroad: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        page.on("request", self._note)
        page.goto(url)
        expect(page.locator("#pane-device")).to_contain_text("Enter the code", timeout=SOON)
        expect(self.pane("admin")).to_contain_text("you installed this for Contoso", timeout=SOON)

    def _note(self, request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and where.hostname != "127.0.0.1":
            self.abroad.append(request.url)

    # ------------------------------------------------------------------ doing

    def pane(self, name: str) -> Locator:
        return self.page.locator(f"#pane-{name}")

    def says(self, pane: str, text: str) -> None:
        """Types as people do, Shift+Enter between lines."""
        box = self.pane(pane).locator(".compose-text")
        box.click()
        for number, line in enumerate(text.split("\n")):
            if number:
                box.press("Shift+Enter")
            box.press_sequentially(line)
        box.press("Enter")

    def card(self, pane: str, text: str) -> Locator:
        """The newest card with this text."""
        return self.pane(pane).locator(".card").filter(has_text=text).last

    def presses(self, pane: str, title: str, *, on: str = "") -> None:
        place = self.card(pane, on) if on else self.pane(pane)
        place.get_by_role("button", name=title, exact=True).last.click()

    def fills(self, pane: str, label: str, value: str) -> None:
        self.pane(pane).get_by_label(label).last.fill(value)

    def chooses(self, pane: str, label: str, value: str) -> None:
        self.pane(pane).get_by_label(label).last.select_option(label=value)

    def provisions(self, mac: str, code: str) -> None:
        """At the device: MAC and code are typed, the code by its keypad."""
        device = self.pane("device")
        device.get_by_label("MAC address").fill(mac)
        keypad = device.get_by_role("group", name="Keypad")
        for digit in code.replace(" ", ""):
            keypad.get_by_role("button", name=re.compile(rf"^{digit}")).click()
        device.get_by_role("button", name="Provision").click()

    # ------------------------------------------------------------------ seeing

    def sees(self, pane: str, text: str | re.Pattern[str], wait: int = SOON) -> None:
        expect(self.pane(pane).get_by_text(text).filter(visible=True).last).to_be_visible(timeout=wait)

    def sees_card(self, pane: str, *texts: str, wait: int = SOON) -> Locator:
        """A card that holds all these texts; returns the newest."""
        cards = self.pane(pane).locator(".card")
        for text in texts:
            cards = cards.filter(has_text=text)
        expect(cards.last).to_be_visible(timeout=wait)
        return cards.last

    def width(self, shown: Locator) -> float:
        """In pixels, of what may be drawn anew just while it is measured."""
        boxes = (shown.bounding_box() for _ in range(20))
        return next(box["width"] for box in boxes if box)

    def sees_no(self, pane: str, text: str | re.Pattern[str], wait: int = SOON) -> None:
        expect(self.pane(pane)).not_to_contain_text(text, timeout=wait)

    def code(self, pane: str = "technician") -> str:
        """The one code that this phone shows."""
        shown = self.pane(pane).locator("button.code")
        expect(shown).to_have_count(1, timeout=SOON)
        return shown.inner_text()

    # ------------------------------------------------------------------ by keyboard, and on a phone

    def tabs_to(self, pane: str, name: str, *, back: bool = False) -> None:
        """Tab (or Shift+Tab) until what has the focus in this pane carries this name."""
        for _ in range(80):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            if self.page.evaluate(FOCUSED, [f"pane-{pane}", name]):
                return
        raise AssertionError(f"the keyboard does not reach {name!r} in {pane}")

    def types(self, text: str, then: str = "") -> None:
        self.page.keyboard.type(text)
        if then:
            self.page.keyboard.press(then)

    def turns_to(self, tab: str) -> None:
        """On a small screen one pane is in sight."""
        self.page.locator("#tabs").get_by_role("button", name=re.compile(f"^{tab}")).click()
