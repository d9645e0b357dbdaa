"""The local page speaks its reader's language: every text comes from one table, none stands in its files."""

import re
from collections.abc import Iterator

import pytest
from aiohttp import web

from bot.demo import page
from bot.demo.connector import LocalConnector
from bot.demo.page_texts import SUGGESTIONS, TEXTS, negotiated, page_texts
from bot.demo.people import LOCAL_PEOPLE
from bot.handlers import all_routes
from tests.pseudo import CLOSE, OPEN, pseudo

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in page.STATIC.glob("*.js")}
PLATFORM = {
    "Enter",
    "Authorization",
    "Bearer x",
    "Web",
    "Column",
    "Fact",
    "Files",
}  # capitalised words that no person reads
HTML = (page.STATIC / "index.html").read_text(encoding="utf-8")


@pytest.fixture
async def client(aiohttp_client):
    app = web.Application()
    app.add_routes(page.routes(LocalConnector(), organisation="Contoso", people=LOCAL_PEOPLE))
    return await aiohttp_client(app)


# ── one table ────────────────────────────────────────────────────────────────────────────────────────────────────


def keys_of(scripts: dict[str, str], html: str) -> tuple[set[str], set[str]]:
    """The keys that the page names, and the beginnings of those that it puts together."""
    code = "\n".join(scripts.values())
    named = re.findall(r'\bwords\("([^"]*)"', code) + re.findall(r'data-text="([^"]*)"', html)
    return set(named), set(re.findall(r"\bwords\(`(\w+\.)\$\{", code))


def test_the_page_asks_for_what_the_table_has_and_for_all_of_it() -> None:
    named, begun = keys_of(SCRIPTS, HTML)
    assert named - TEXTS.keys() == set()
    assert {start for start in begun if not any(key.startswith(start) for key in TEXTS)} == set()
    assert {key for key in TEXTS.keys() - named if not key.startswith(tuple(begun))} == set()


def test_every_look_up_is_one_that_can_be_checked() -> None:
    calls = [call for text in SCRIPTS.values() for call in re.findall(r"(?<!function )\bwords\(([^,)]*)", text)]
    assert [call for call in calls if not re.match(r'"[\w.]+"$|`\w+\.\$\{|node\.dataset', call)] == []
    assert len(calls) > 60


def test_places_in_a_text_are_filled_by_whoever_asks_for_it() -> None:
    """`config.bot` is what fills {name} where the page says whom it is about."""
    code = "\n".join(SCRIPTS.values())
    for key, text in TEXTS.items():
        for place in re.findall(r"\{(\w+)\}", text):
            calls = re.findall(rf'\bwords\("{re.escape(key)}", ([^)]*)', code)
            assert calls, key
            assert all(f"{place}:" in call or (place, call) == ("name", "line.config.bot") for call in calls), key


def test_what_the_page_proposes_is_a_command() -> None:
    router = all_routes()
    assert [text for texts in SUGGESTIONS.values() for text in texts if router.match(text) is None] == []


# ── nothing left in the files ────────────────────────────────────────────────────────────────────────────────────


def sentences(script: str) -> Iterator[str]:
    """String literals with a capitalised word, or with two words and a full stop; not the names of a platform."""
    code = re.sub(r"^\s*//.*$|^import .*$|\s// .*$", "", script, flags=re.MULTILINE)
    for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`', code):
        said = re.sub(r"\$\{[^}]*\}", "x", "".join(literal))
        if re.search(r"(?<![\w.-])[A-Z][a-z]+(?![\w.:-])|\w \w+[.!?…]$", said) and said not in PLATFORM:
            yield "".join(literal)


def test_forgotten_sentences_are_found() -> None:
    script = '// A comment "Is fine"\nel("p", {class: "wide"}, "Try again", `Hello ${name} you.`, "it ended.", "No")'
    assert list(sentences(script)) == ["Try again", "Hello ${name} you.", "it ended.", "No"]


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_no_sentence_is_left_in_a_script(name: str) -> None:
    assert list(sentences(SCRIPTS[name])) == []


def test_nothing_can_be_read_in_the_html_but_its_title() -> None:
    visible = re.sub(r"<title>.*?</title>", "", HTML)
    assert re.findall(r"[A-Za-z]+", re.sub(r"<[^>]*>", " ", visible)) == []
    assert re.findall(r'\b(?:alt|title|placeholder|aria-label)="([^"]+)"', HTML) == []


# ── in the reader's language ─────────────────────────────────────────────────────────────────────────────────────


def test_every_text_can_be_translated_and_keeps_its_places() -> None:
    with pseudo():
        told = page_texts()
    assert told.keys() == TEXTS.keys()
    assert {key: text for key, text in told.items() if text != f"{OPEN}{TEXTS[key]}{CLOSE}"} == {}


async def test_the_page_is_told_its_texts_and_their_language(client) -> None:
    async with client.get("/demo/config.json", headers={"Accept-Language": "nb-NO,nb;q=0.9,en;q=0.8"}) as response:
        told = await response.json()
        assert response.headers["Vary"] == "Accept-Language"
    assert told["locale"] == "en"
    assert told["texts"] == dict(TEXTS)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        ("en;q=0.5, nb", "nb"),
        ("nb;q=0, fr", "en"),
        ("de-AT", "de"),
        ("DE-de", "de"),
        ("pt-BR;q=0.3,fr", "pt-BR"),
        ("*", "en"),
        ("", "en"),
        ("nb;q=high", "en"),
        (";;,,q=,=;q=nan,../../etc/passwd", "en"),
    ],
)
def test_a_browser_gets_the_language_that_it_likes_best(header: str, language: str) -> None:
    assert negotiated(header, frozenset({"en", "nb", "de", "pt-BR"})).lower() == language.lower()
