"""Our own card renderer against the reference renderer, card by card, in a real browser."""

import json
from pathlib import Path

import pytest

from cards.render import render
from tests.cards.real_cards import real_cards
from tests.cards.samples import HOSTILE, every_shape

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "bot" / "demo" / "static"
MODULES = HERE / "node_modules"
REFERENCE = MODULES / "adaptivecards" / "dist" / "adaptivecards.min.js"
MARKDOWN = MODULES / "markdown-it" / "dist" / "markdown-it.min.js"
TYPES = {".js": "text/javascript", ".json": "application/json", ".css": "text/css"}
PAGE = '<!doctype html><link rel="stylesheet" href="/demo/static/card.css"><div id="box"></div>'

BUSY = ("upload", "next", "install")  # the shapes that say most of what people typed

if not REFERENCE.exists():
    pytest.skip("the reference renderer is not installed: run make e2e", allow_module_level=True)


def sample_cards():
    return json.loads((HERE / "renderer_cards.json").read_text(encoding="utf-8"))


def product_cards():
    """Every card of the product in each of its states."""
    return {f"product-{name}": render(view, operation="op-1") for name, view in real_cards().items()}


def shapes_of_cards():
    """Each shape once as it is, and the busy ones once with every hostile text in it."""
    texts = {"": "Oslo/Floor 2/2.14", **{f"-hostile-{number}": text for number, text in enumerate(HOSTILE)}}
    shapes = ((tail, name, view) for tail, text in texts.items() for name, view in every_shape(text).items())
    return {
        f"shape-{name}{tail}": render(view, operation="op-1")
        for tail, name, view in shapes
        if tail == "" or name in BUSY
    }


CARDS = {**sample_cards(), **product_cards(), **shapes_of_cards()}


@pytest.fixture(scope="module")
def browser_page(chromium):
    page = chromium.new_page(viewport={"width": 400, "height": 900})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.route("http://localhost/**", serve)
    page.goto("http://localhost/")
    for script in (REFERENCE, MARKDOWN, HERE / "renderer_compare.js"):
        page.add_script_tag(path=str(script))
    yield page
    page.close()


def serve(route):
    path = route.request.url.split("localhost", 1)[1]
    if path.startswith("/demo/static/"):
        file = STATIC / path.rsplit("/", 1)[1]
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
    else:
        route.fulfill(body=PAGE, content_type="text/html")


def compare(page, card, how=""):
    page.errors.clear()
    result = page.evaluate("([card, how]) => compare(card, how)", [card, how])
    assert page.errors == []
    return result["ours"], result["theirs"]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_the_same_as_in_the_reference(browser_page, name):
    ours, theirs = compare(browser_page, CARDS[name])
    for part in ("texts", "emphasised", "inputs", "buttons"):
        assert ours[part] == theirs[part], part


@pytest.mark.parametrize("how", ["", "empty", "junk", "full"])
@pytest.mark.parametrize("name", CARDS)
def test_a_press_checks_and_sends_the_same_as_in_the_reference(browser_page, name, how):
    ours, theirs = compare(browser_page, CARDS[name], how)
    assert ours["outcomes"] == theirs["outcomes"]


def test_a_card_of_a_later_version_shows_its_fallback_text(browser_page):
    card = {
        "type": "AdaptiveCard",
        "version": "1.6",
        "fallbackText": "Use a newer app.",
        "body": [{"type": "Carousel"}],
    }
    ours, _ = compare(browser_page, card)
    assert ours["texts"] == "Useanewerapp." and ours["buttons"] == []


def test_hostile_text_never_becomes_markup(browser_page):
    attack = "<img src=x onerror=alert(1)><script>alert(1)</script>[x](javascript:alert(1))"
    card = {
        "type": "AdaptiveCard",
        "version": "1.5",
        "body": [
            {"type": "TextBlock", "text": attack, "wrap": True},
            {"type": "FactSet", "facts": [{"title": attack, "value": attack}]},
            {"type": "Input.Text", "id": attack, "label": attack, "placeholder": attack, "value": attack},
            {"type": "Input.ChoiceSet", "id": "c", "label": attack, "choices": [{"title": attack, "value": attack}]},
        ],
        "actions": [
            {"type": "Action.Submit", "title": attack},
            {"type": "Action.OpenUrl", "title": "o", "url": "javascript:1"},
        ],
    }
    found = browser_page.evaluate(
        """async (card) => {
            const { renderCard } = await import("/demo/static/cards.js");
            const root = renderCard(card, {});
            return root.querySelectorAll("img, script, iframe, a[href^='javascript']").length;
        }""",
        card,
    )
    assert found == 0


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"body": 5}, {"version": {}, "body": [None, 3, {"type": []}]}])
def test_a_broken_card_breaks_nothing(browser_page, junk):
    count = browser_page.evaluate(
        """async (card) => {
            const { renderCard } = await import("/demo/static/cards.js");
            return renderCard(card, {}).querySelectorAll("*").length;
        }""",
        junk,
    )
    assert count >= 0


def test_hostile_markdown_is_read_in_linear_time(browser_page):
    spent = browser_page.evaluate(
        """async () => {
            const { markdown } = await import("/demo/static/markdown.js");
            const began = performance.now();
            for (const part of ["*a ", "**a ", "[a", "_a*b_", "&#", "\\\\", "- ", "*_*_", "[a](", "**a*"])
                markdown(part.repeat(20000));
            return performance.now() - began;
        }"""
    )
    assert spent < 4_000
