"""The local page in a language in which every text wears brackets: what stands outside of them was forgotten."""

import re

import pytest

from bot.demo.page_texts import SUGGESTIONS
from bot.demo.people import LOCAL_BOT, LOCAL_CHANNEL, LOCAL_PEOPLE
from provisioning.languages import offered
from tests.pseudo import CLOSE, OPEN

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make e2e")

READABLE = """() => {
  const own = (node) => !node.closest('.bubble, .card-frame, .push, .avatar, .key small, script, style');
  const nodes = [...document.body.querySelectorAll('*')].filter(own);
  const texts = nodes.flatMap((node) => [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data));
  const labels = ['aria-label', 'title', 'placeholder', 'alt'];
  return [document.title, ...texts, ...nodes.flatMap((node) => labels.map((name) => node.getAttribute(name) ?? ''))];
}"""
DATA = [
    "Contoso",
    LOCAL_BOT.name,
    LOCAL_CHANNEL.name,
    LOCAL_CHANNEL.team_name,
    *(person.name for person in LOCAL_PEOPLE),
    *(person.name.split()[0] for person in LOCAL_PEOPLE),
    *(name for _tag, name in offered()),
    *(text for texts in SUGGESTIONS.values() for text in texts),
]


def bracketed(route):
    answer = route.fetch()
    told = answer.json()
    told["texts"] = {key: f"{OPEN}{text}{CLOSE}" for key, text in told["texts"].items()}
    route.fulfill(response=answer, json=told | {"locale": "en-x-pseudo"})


def forgotten(page):
    for text in page.evaluate(READABLE):
        rest = re.sub(f"{OPEN}[^{CLOSE}]*{CLOSE}", " ", text)
        for known in sorted(DATA, key=len, reverse=True):
            rest = rest.replace(known, " ")
        if re.search(r"[^\W\d_]{2,}", re.sub(r"(?:[0-9A-F]{2}[-:])+[0-9A-F]{2}", " ", rest)):
            yield text


def test_every_text_of_the_page_is_told_in_the_readers_language(chromium, service):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.route("**/demo/config.json", bracketed)
    page.goto(service.url)
    sync_api.expect(page.locator("#pane-device")).to_contain_text(f"{OPEN}Enter the code{CLOSE}")
    sync_api.expect(page.locator("html")).to_have_attribute("lang", "en-x-pseudo")
    assert list(forgotten(page)) == []
    device = page.locator("#pane-device")
    device.get_by_role("button", name="Provision").click()
    sync_api.expect(device).to_contain_text("Type the code first.")
    device.get_by_role("button", name="Factory reset").click()
    device.get_by_role("button", name="Add a device").click()
    page.locator("#pane-channel .chip").first.click()
    page.locator("#pane-channel .thread .reply").first.click()
    sync_api.expect(page.locator("#pane-channel .replying")).to_contain_text(f"{OPEN}Replying to ")
    assert list(forgotten(page)) == []
    context.close()
