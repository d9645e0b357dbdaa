"""Cards come out whole: every shape, with every text a person or an attacker may have typed."""

import dataclasses
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from cards import view as shapes
from cards.render import TEMPLATES, ascii_at_most, environment, render
from cards.view import Button, Input, Notice, Tone, View
from provisioning.delivery_errors import CardTooLarge
from tests.cards import rules
from tests.cards.rules import assert_good, check
from tests.cards.samples import CODE, HOSTILE, MAC, every_shape

OPERATION = "op-4f1c"
SAMPLES = every_shape()


def skeleton(value: Any) -> Any:
    """The structure of a card without its words."""
    if isinstance(value, dict):
        return {key: skeleton(item) for key, item in value.items()}
    return [skeleton(item) for item in value] if isinstance(value, list) else type(value).__name__


def strings(value: Any) -> Iterator[str]:
    """Every value of a card that is a string."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(part)


def with_every_text(value: Any, text: str) -> Any:
    """A view (or part of one) with `text` in every string a builder might put user text into, not escaped."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {"verb", "id", "url", "refresh_verb", "notice_tone"}
        changed = {
            field.name: with_every_text(getattr(value, field.name), text)
            for field in dataclasses.fields(value)
            if field.name not in kept
        }
        return dataclasses.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(with_every_text(item, text) for item in value)
    if isinstance(value, dict):
        return dict.fromkeys(value, text)
    return text if type(value) is str and value else value


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_samples_show_every_shape() -> None:
    declared = {
        cls for cls in vars(shapes).values() if isinstance(cls, type) and issubclass(cls, View) and cls is not View
    }
    assert {type(view) for view in SAMPLES.values()} == declared


@pytest.mark.parametrize("text", ["Oslo/Floor 2/2.14", *HOSTILE], ids=lambda text: ascii(text[:12]))
def test_a_card_is_good_whatever_people_typed(text: str) -> None:
    for name, view in every_shape(text).items():
        card = render(view, operation=OPERATION)
        assert_good(card)
        assert skeleton(card) == skeleton(render(SAMPLES[name], operation=OPERATION)), name


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_text_that_a_builder_forgot_to_escape_adds_no_element(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cards.render._LIMIT", 10**6)  # no builder puts as much text everywhere
    for view in SAMPLES.values():
        card = render(with_every_text(view, text), operation=OPERATION)
        json.dumps(card).encode()
        assert skeleton(card) == skeleton(render(with_every_text(view, "word"), operation=OPERATION))


@pytest.mark.parametrize(
    "hidden", ["\0", "\t", "\x1b", "\x7f", "\x85", "\xad", "\u202e", "\ufeff", "\ud800", "\U000e0041"]
)
def test_what_nobody_sees_is_in_no_card(hidden: str) -> None:
    for view in SAMPLES.values():
        card = render(with_every_text(view, f"a{hidden}b"), operation=OPERATION)
        assert hidden not in "".join(strings(card))
        assert "ab" in "".join(strings(card))


@given(st.text())
def test_json_in_ascii_is_no_longer_than_is_reckoned(text: str) -> None:
    written = json.dumps(text, ensure_ascii=False)
    assert len(json.dumps(text)) <= ascii_at_most(written)


@given(st.text())
def test_any_text_at_all_makes_the_same_card(text: str) -> None:
    card = render(with_every_text(SAMPLES["next"], text or "x"), operation=OPERATION)
    assert skeleton(card) == skeleton(render(SAMPLES["next"], operation=OPERATION))


def test_a_list_of_ten_long_rows_stays_below_the_limit() -> None:
    """A location has 200 characters at most, and each may cost six bytes."""
    view = dataclasses.replace(SAMPLES["codes"], rows=tuple(shapes.Row("家" * 200, "室" * 100) for _ in range(10)))
    assert_good(render(view, operation=OPERATION))


# ── what a card says ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_stands_once_and_not_in_what_is_kept_or_pushed() -> None:
    view = SAMPLES["next"]
    card = render(view, operation=OPERATION)
    code = next(part for part in card["body"] if part.get("id") == "code")
    assert code["text"] == "4829 1376 0257"
    card["body"].remove(code)
    digits = re.sub(r"\D", "", card["fallbackText"] + view.push)
    assert CODE not in digits
    assert CODE not in re.sub(r"\W", "", json.dumps(card))
    assert "Valid until 07:30 tomorrow" in card["fallbackText"]


def test_fallback_and_push_are_plain_text() -> None:
    view = Notice(title="Hello **Dana**", lines=("See [help](https://example.com), a\\_b",))
    card = render(view, operation=OPERATION)
    assert card["fallbackText"] == "Hello Dana\nSee help (https://example.com), a_b"
    assert view.push == "Hello Dana"


def test_a_button_carries_its_record_and_the_operation_both_ways() -> None:
    action = render(SAMPLES["next"], operation=OPERATION)["actions"][0]
    assert action["data"] == {"mac": MAC, "verb": "install", "subject": MAC, "rev": 4, "op": OPERATION}
    assert action["fallback"]["data"] == action["data"]


def test_data_of_a_button_cannot_replace_what_the_card_vouches_for() -> None:
    button = Button("list", "List", {"op": "x", "verb": "grant", "rev": "9", "subject": "y"})
    card = render(Notice(title="T", buttons=(button,), subject="s", revision=1), operation=OPERATION)
    assert card["actions"][0]["data"] == {"op": OPERATION, "verb": "list", "rev": 1, "subject": "s"}


def test_cancel_sends_no_inputs() -> None:
    actions = render(SAMPLES["install"], operation=OPERATION)["actions"]
    assert [action["associatedInputs"] for action in actions] == ["Auto", "Auto", "None"]


def test_a_card_refreshes_for_its_readers_and_no_more_than_teams_takes() -> None:
    view = dataclasses.replace(SAMPLES["next"], readers=tuple(f"29:{n}" for n in range(80)))
    card = render(view, operation=OPERATION)
    assert card["refresh"]["userIds"] == list(view.readers[:60])
    assert card["refresh"]["action"]["data"]["verb"] == "device.refresh"
    assert "refresh" not in render(dataclasses.replace(view, readers=()), operation=OPERATION)


def test_a_form_comes_back_with_the_error_at_its_input() -> None:
    body = render(SAMPLES["refused"], operation=OPERATION)["body"]
    at = next(i for i, part in enumerate(body) if part.get("id") == "note")
    assert body[at - 1]["color"] == "Attention"
    assert body[at - 1]["text"] == body[at]["errorMessage"]


def test_a_notice_stands_apart_or_shares_the_title_s_background() -> None:
    def backgrounds(**values: Any) -> list[str]:
        body = render(Notice(title="T", notice="N", **values), operation=OPERATION)["body"]
        return [part["style"] for part in body]

    assert backgrounds() == ["emphasis", "default"]
    assert backgrounds(tone=Tone.GOOD) == ["good"]
    assert backgrounds(notice_tone=Tone.GOOD) == ["good", "default"]
    assert backgrounds(tone=Tone.ATTENTION, notice_tone=Tone.PLAIN) == ["emphasis", "attention"]


# ── templates ────────────────────────────────────────────────────────────────────────────────────────────────────

TEMPLATE_NAMES = sorted(path.name for path in TEMPLATES.iterdir())
USED_ELSEWHERE = {"summary": "push", "notice_tone": "notice_style"}  # field → the property made of it


def parse(name: str) -> nodes.Template:
    return environment().parse((TEMPLATES / name).read_text(encoding="utf-8"))


def uses(tree: nodes.Node, name: str) -> set[str]:
    """Attributes that a template reads of the variable `name`."""
    return {
        found.attr
        for found in tree.find_all(nodes.Getattr)
        if isinstance(found.node, nodes.Name) and found.node.name == name
    }


def lineage(name: str) -> Iterator[nodes.Template]:
    tree = parse(name)
    yield tree
    for extends in tree.find_all(nodes.Extends):
        assert isinstance(extends.template, nodes.Const)
        yield from lineage(extends.template.value)


def fields(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def loose_outputs(tree: nodes.Template) -> Iterator[int]:
    """Lines of what is printed neither through `tojson` nor by a macro."""
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    files = {imported.target for imported in tree.find_all(nodes.Import)}
    for output in tree.find_all(nodes.Output):
        for printed in output.nodes:
            if isinstance(printed, nodes.TemplateData):
                continue
            called = printed.node if isinstance(printed, nodes.Call) else None
            ours = isinstance(called, nodes.Name) and called.name in macros
            theirs = (
                isinstance(called, nodes.Getattr) and isinstance(called.node, nodes.Name) and called.node.name in files
            )
            if not (ours or theirs or (isinstance(printed, nodes.Filter) and printed.name == "tojson")):
                yield output.lineno


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_a_template_prints_values_through_tojson_only(name: str) -> None:
    assert list(loose_outputs(parse(name))) == []


@pytest.mark.parametrize(
    "source", ["{{ view.title }}", "{{ view.title|upper }}", "{{ view.f() }}", "{{ x|tojson|upper }}"]
)
def test_a_loose_value_is_found(source: str) -> None:
    assert list(loose_outputs(environment().parse(source))) == [1]


@pytest.mark.parametrize(
    "cls", sorted({type(view) for view in SAMPLES.values()}, key=str), ids=lambda cls: cls.__name__
)
def test_a_template_shows_all_of_its_view_and_nothing_else(cls: type[View]) -> None:
    used = set().union(*(uses(tree, "view") for tree in lineage(cls.template)))
    declared = (fields(cls) - USED_ELSEWHERE.keys()) | {"notice_style"}
    assert used == declared


@pytest.mark.parametrize("name", ["Button", "Fact", "Row"])
def test_a_part_shows_all_of_its_model_and_nothing_else(name: str) -> None:
    used = uses(parse("_parts.j2"), name.lower())
    assert used == fields(getattr(shapes, name))


@pytest.mark.parametrize("cls", Input.__subclasses__(), ids=lambda cls: cls.__name__)
def test_an_input_shows_all_of_its_model_and_nothing_else(cls: type[Input]) -> None:
    macros = {macro.name: macro for macro in parse("_inputs.j2").find_all(nodes.Macro)}
    used = set().union(*(uses(macros[name], "field") for name in ("input", "common", cls.kind)))
    assert used - {"kind"} == fields(cls)


def test_templates_hold_no_words() -> None:
    """Whatever people read comes from a view, where it passes through gettext."""
    for name in TEMPLATE_NAMES:
        for output in parse(name).find_all(nodes.TemplateData):
            loose = re.sub(r'"(?:[^"\\]|\\.)*"', "", output.data)
            assert not re.search(r"[A-Za-z]{2,}", re.sub(r"\b(true|false)\b", "", loose)), (name, loose)
            assert not re.search(r'"(text|title|label|placeholder|errorMessage)": "', output.data), (name, output.data)


# ── the rules themselves ─────────────────────────────────────────────────────────────────────────────────────────

FORM, CODE_CARD = "install", "next"
CROOKED: dict[rules.Rule, tuple[str, list[str | int], Any]] = {
    rules.envelope: (FORM, ["version"], "1.6"),
    rules.size: (FORM, ["body", 1, "text"], "x" * rules.LARGEST),
    rules.single_column: (FORM, ["body", 1], {"type": "Table", "columns": [], "rows": []}),
    rules.nothing_unsteady: (FORM, ["body", 1], {"type": "ProgressBar"}),
    rules.few_actions: (CODE_CARD, ["actions", 0, "title"], "Confirm installation now"),
    rules.execute_with_fallback: (FORM, ["actions", 0, "fallback", "data"], {}),
    rules.data_of_buttons: (FORM, ["actions", 0, "data", "who"], "sam@contoso.com"),
    rules.readable_text: (FORM, ["body", 1, "wrap"], False),
    rules.no_hidden_characters: (FORM, ["body", 1, "text"], "a\u202eb"),
    rules.code_stays_in_its_place: (CODE_CARD, ["fallbackText"], "Code 4829-1376-0257"),
    rules.inputs_explain_themselves: (FORM, ["body", 2, "label"], ""),
    rules.heard_as_well_as_seen: (CODE_CARD, ["speak"], "Your code: 4829 1376 0257"),
    rules.one_heading: (FORM, ["body", 1, "style"], "heading"),
    rules.pictures_have_words: (FORM, ["body", 1], {"type": "Image", "url": "https://contoso.com/x.png"}),
    rules.no_colour_alone: (FORM, ["body", 1], {"type": "TextBlock", "text": "● 3", "color": "Good", "wrap": True}),
    rules.themes_decide_colours: (FORM, ["body", 1, "color"], "#ff0000"),
    rules.refresh_for_readers: (CODE_CARD, ["refresh", "userIds"], []),
    rules.local_page_can_draw_it: (FORM, ["body", 1, "maxWidth"], "10px"),
    rules.official_schema: (FORM, ["body", 1, "size"], "Huge"),
}


def test_every_rule_has_a_card_that_breaks_it() -> None:
    assert CROOKED.keys() == set(rules.RULES)


@pytest.mark.parametrize("rule", CROOKED, ids=lambda rule: rule.__name__)
def test_a_crooked_card_is_found_by(rule: rules.Rule) -> None:
    sample, path, value = CROOKED[rule]
    if rule is rules.local_page_can_draw_it and not rules.ELEMENTS_OF_THE_PAGE.exists():
        pytest.skip("the page of local mode lists no elements")
    card = deepcopy(render(SAMPLES[sample], operation=OPERATION))
    assert check(card) == []
    place: Any = card
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert list(rule(card)) != []


def test_cards_also_keep_the_published_schema() -> None:
    """The one that Microsoft publishes, in case the packaged copy strays from it."""
    if not rules.OFFICIAL_SCHEMA.exists():
        pytest.skip(f"no {rules.OFFICIAL_SCHEMA.name} beside the clone")
    for name in ("next", "refused", "upload"):
        card = json.dumps(render(SAMPLES[name], operation=OPERATION))
        assert rules.schema_faults(card, rules.OFFICIAL_SCHEMA) == []


@pytest.mark.parametrize("text", ["Oslo/Floor 2/2.14", "家" * 60, *HOSTILE], ids=lambda text: ascii(text[:12]))
def test_a_card_that_is_not_measured_is_smaller_than_it_could_be_at_most(text: str) -> None:
    for view in every_shape(text).values():
        written = environment().get_template(view.template).render(view=view, operation=OPERATION, locale="en")
        card = render(view, operation=OPERATION)
        words = sum(len(json.dumps(card[name])) for name in ("speak", "fallbackText"))
        assert len(json.dumps(card)) - words <= 2 * ascii_at_most(written)


def test_a_card_that_teams_would_not_take_is_never_handed_out() -> None:
    with pytest.raises(CardTooLarge):
        render(Notice(title="T", lines=("x" * 29_000,)), operation=OPERATION)
