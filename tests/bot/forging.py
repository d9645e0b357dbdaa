"""Forged presses: what real cards carry, taken from the people who got them and changed by strategy.

A `Harvest` listens to every card the bot gives out. A `Forgery` is one request of a client that lies: the data of
somebody else's real button, with fields gone, added, swapped, of the wrong type, old or replayed.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.handlers import all_routes
from cards.render import render
from tests.bot.chat import House
from tests.cards.real_cards import real_cards
from tests.cards.rules import of_type
from tests.profiles import examples

Data = dict[str, Any]

ROUTES = list(all_routes().routes.values())
VERBS = sorted(all_routes().actions)
NAMES = sorted({name for route in ROUTES for name in list(inspect.signature(route.handler).parameters)[1:]})
WAYS = ("execute", "submit", "open")  # adaptiveCard/action by hand, a plain Submit's message, a client that refreshes
NOT_SERVED = ("task/fetch", "task/submit", "signin/verifyState", "composeExtension/submitAction", "config/fetch", "x")

TEMPTING: tuple[Any, ...] = (
    *("all", "oslo", "*", "-", "", "0", "1", "-1", "1e9", "999999999", "true", "false", "admin", "service", "device"),
    *(
        "x" * 31_000,
        "\0",
        "../..",
        "{}",
        "Oslo/2/2.14",
        "\u202e\u200b",
        "=1+1",
        "<at>x</at>",
        "[x](http://x)",
        "🤖" * 200,
    ),
    *(0, -1, 2**53, 1e308, True, None, [], {}, [[]], {"a": {"b": []}}),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # half a surrogate pair is refused with 400 before anything is read: see test_bodies
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=5,
)


class Harvest:
    """Every button that was on a card since, by its verb; who got the card; and every id that a card carried."""

    def __init__(self, house: House) -> None:
        self.buttons: dict[str, dict[str, list[Data]]] = defaultdict(lambda: defaultdict(list))  # conversation → verb
        self.contexts: list[Data] = []  # of files that were offered
        self._checked: Callable[[Data, str], None] = house.check_card
        house.check_card = self._take  # type: ignore[method-assign]

    def _take(self, card: Data, conversation: str) -> None:
        self._checked(card, conversation)
        inputs = {part["id"]: part.get("value", "") for part in of_type(card, "Input.")}
        actions = [*of_type(card, "Action.Execute"), *([card["refresh"]["action"]] if "refresh" in card else [])]
        for action in actions:
            data = {**action.get("data", {}), **inputs}
            if data not in self.buttons[conversation][action["verb"]]:
                self.buttons[conversation][action["verb"]].append(data)

    def of(self, *conversations: str) -> dict[str, list[Data]]:
        """The buttons that these chats got, by verb."""
        found: dict[str, list[Data]] = defaultdict(list)
        for conversation in conversations:
            for verb, datas in self.buttons[conversation].items():
                found[verb] += datas
        return found

    @property
    def values(self) -> list[Any]:
        """Everything that stands in a field of a button anywhere: MACs, people, batches, revisions, operations."""
        datas = [data for verbs in self.buttons.values() for many in verbs.values() for data in many]
        plain = {json.dumps(value) for data in datas for value in data.values()}
        return [json.loads(text) for text in sorted(plain)]


@cache
def shapes() -> dict[str, list[Data]]:
    """What each button of the product carries, by its verb, from the samples of every card there is."""
    found: dict[str, list[Data]] = defaultdict(list)
    for view in real_cards().values():
        card = render(view, operation="shape")
        inputs = {part["id"]: part.get("value", "") for part in of_type(card, "Input.")}
        for action in of_type(card, "Action.Execute"):
            data = {**action.get("data", {}), **inputs}
            if all(data.keys() != known.keys() for known in found[action["verb"]]):
                found[action["verb"]].append(data)
    return found


@dataclass(frozen=True)
class Forgery:
    verb: str
    data: Data
    way: str
    post: int  # which of the forger's own posts it claims to be pressed on

    def value(self) -> Data:
        if self.way == "submit":
            return {**self.data, "verb": self.verb}
        action = {"type": "Action.Execute", "verb": self.verb, "data": self.data}
        return {"action": action, "trigger": "automatic" if self.way == "open" else "manual"}


@dataclass
class Forger:
    """Makes forgeries of other people's buttons; `ids` are what may stand in the place of anything."""

    harvest: Mapping[str, list[Data]]
    ids: list[Any]
    live: Data  # by name of a field: somebody else's thing of this stage, for what no card of it carries

    def real(self, verb: str) -> list[Data]:
        route = all_routes().actions[verb]
        names = list(inspect.signature(route.handler).parameters)[1:]
        bare = {name: self.live[name] for name in names if name in self.live}
        filled = [{name: self.live.get(name, value) for name, value in shape.items()} for shape in shapes()[verb]]
        return [*self.harvest.get(verb, ())[-12:], *filled, {**bare, "op": "forged", "rev": "1"}]

    def forgeries(self, verb: str) -> st.SearchStrategy[Forgery]:
        @st.composite
        def forged(draw: st.DrawFn) -> Forgery:
            data = copy.deepcopy(draw(st.sampled_from(self.real(verb))))
            for _ in range(draw(st.integers(0, 3))):
                self._mutate(draw, data)
            return Forgery(verb, data, draw(st.sampled_from(WAYS)), draw(st.integers(0, 9)))

        return forged()

    def _mutate(self, draw: st.DrawFn, data: Data) -> None:
        foreign = st.sampled_from(self.ids)
        odd = st.sampled_from(TEMPTING) | JSON
        here = st.sampled_from(sorted(data)) if data else st.just("op")
        kind = draw(st.sampled_from(["foreign", "foreign", "missing", "extra", "odd", "old", "replayed"]))
        if kind == "missing":
            data.pop(draw(here), None)
        elif kind == "extra":
            data[draw(st.sampled_from(NAMES) | st.text("abc_", max_size=5))] = draw(foreign | odd)
        elif kind == "old":
            data["rev"] = draw(st.sampled_from(["0", "1", "2", 3, "-1", "999999999"]))
        elif kind == "replayed":
            data["op"] = draw(foreign)
        else:
            data[draw(here)] = copy.deepcopy(draw(foreign if kind == "foreign" else odd))

    def gathered(self, verb: str, count: int) -> list[Forgery]:
        """So many forgeries of one verb, the same in each run of the house's profile."""
        found: list[Forgery] = []

        @settings(max_examples=examples(count), phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(self.forgeries(verb))
        def gather(forgery: Forgery) -> None:
            found.append(forgery)

        gather()
        return found[: examples(count)]
