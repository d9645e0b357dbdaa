"""One table of what people can say and press: matching, parameters, help and suggestions all come from it."""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_type_hints

import structlog
from rapidfuzz import fuzz, process

from bot.turn import Reply, Turn
from provisioning.access import Permission, allowed
from provisioning.errors import OutOfDate, TextTooLong
from provisioning.messages import MessageKind
from provisioning.model import Actor

Handler = Callable[..., Awaitable[Reply | None]]
H = TypeVar("H", bound=Handler)

SUGGEST_FROM = 65  # similarity in per cent from which a word counts as a slip of the finger
LONGEST_GUESS = 80  # characters of a suggestion that repeats what was typed
FAULT = "fault"  # an argument of forms that the door fills, and no client
LONGEST = 32_000  # characters of a message or of one value of a card; Teams itself takes 28 KB


class Where(StrEnum):
    """Where a command makes sense; elsewhere the answer says so."""

    ANYWHERE = "anywhere"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Command:
    """One way to say it: `issue <target> [to <person>]`. Literals match in any case, `<name>`s are the arguments."""

    usage: str
    pattern: re.Pattern[str]
    words: str  # the leading literal words
    begins: re.Pattern[str]  # with which a text begins that is meant like this

    @classmethod
    def of(cls, usage: str) -> Command:
        if not re.match(r"\w+(\s|$)", usage):
            raise ValueError(f"no word of its own stands before the rest of {usage}")
        words = re.match(r"[^<\[]*", usage)
        leading = (words[0] if words else "").strip()
        begins = re.escape(leading).replace(r"\ ", r"\s+") + r"(\s|$)"
        whole = re.compile(_regex(usage), re.IGNORECASE | re.DOTALL)
        return cls(usage, whole, leading, re.compile(begins, re.IGNORECASE))


@dataclass(slots=True)
class Route:
    """A plain function and everything that leads to it."""

    name: str
    handler: Handler
    summary: str
    commands: list[Command] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    notices: list[MessageKind] = field(default_factory=list)
    draws: bool = False  # it redraws a living card
    needs: tuple[Permission, ...] = ()
    where: Where = Where.ANYWHERE
    form: Handler | None = None  # comes back, filled in, when the input was wrong
    shown: bool = True  # listed by help
    fresh: bool = False  # changes what its card shows: a press on an old card is answered with the fresh one

    async def run(self, turn: Turn, values: Mapping[str, Any]) -> Reply | None:
        """The handler, whose name stands in every line that is logged from here on in this turn."""
        structlog.contextvars.bind_contextvars(route=self.name)
        return await self.handler(turn, **self.arguments(values))

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The handler's arguments from a match or from a card's data. Errors: `OutOfDate` where one is missing."""
        found: dict[str, Any] = {}
        for name, parameter in _parameters(self.handler).items():
            if name == FAULT:
                continue
            if name in values and values[name] is not None:
                found[name] = _convert(values[name], parameter.annotation)
            elif parameter.default is inspect.Parameter.empty:
                raise OutOfDate
        return found

    def meant(self, values: Mapping[str, Any], text: str) -> str:
        """The argument that `text` stands in, fillers before it or not; empty where it is spread over several."""
        wanted = _letters(text)
        return next((n for n in _parameters(self.handler) if _letters(str(values.get(n, ""))).endswith(wanted)), "")

    def allowed(self, actor: Actor) -> bool:
        return not self.needs or allowed(actor, *self.needs)


@dataclass(frozen=True, slots=True)
class Match:
    route: Route
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Half:
    """The words are a command's, what should follow is missing or wrong."""

    route: Route


@dataclass(frozen=True, slots=True)
class _Table:
    """All there is to say and press: commands, those of most literal words first, also by their first word; and verbs.

    A text is tried with the few commands of its first word: with all 106 it took 260 µs.
    """

    commands: Sequence[tuple[Command, Route]]
    by_word: Mapping[str, Sequence[tuple[Command, Route]]]
    actions: Mapping[str, Route]

    @classmethod
    def of(cls, routes: Collection[Route]) -> _Table:
        pairs = [(command, route) for route in routes for command in route.commands]
        commands = sorted(pairs, key=lambda pair: -len(pair[0].words.split()))
        by_word: dict[str, list[tuple[Command, Route]]] = {}
        for pair in commands:
            by_word.setdefault(_first(pair[0].words), []).append(pair)
        return cls(commands, by_word, {verb: route for route in routes for verb in route.verbs})

    def meant(self, said: str) -> Sequence[tuple[Command, Route]]:
        """The commands that `said` may be. Beyond ASCII there are more ways to write a letter in another case."""
        word = _first(said)
        return self.by_word.get(word, ()) if word.isascii() else self.commands


class Router:
    """Declares routes by stacked decorators on one plain function; routers of features are joined into one."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self._made: _Table | None = None  # at its first use

    def command(
        self, *usages: str, needs: Iterable[Permission] = (), where: Where = Where.ANYWHERE, shown: bool = True
    ) -> Callable[[H], H]:
        """What people type. The function's docstring is its help."""

        def declare(handler: H) -> H:
            route = self._route(handler)
            route.commands = [Command.of(usage) for usage in usages]
            route.needs, route.where, route.shown = tuple(needs), where, shown
            self._made = None
            return handler

        return declare

    def action(
        self, verb: str, *, form: Handler | None = None, needs: Iterable[Permission] = (), fresh: bool = False
    ) -> Callable[[H], H]:
        """A button's verb. `form` draws the card again when an input was wrong; `fresh` refuses old cards."""

        def declare(handler: H) -> H:
            route = self._route(handler)
            route.verbs.append(verb)
            self._made = None
            route.form, route.fresh = form or route.form, fresh or route.fresh
            route.needs = route.needs or tuple(needs)
            return handler

        return declare

    def notice(self, kind: MessageKind) -> Callable[[H], H]:
        """What the outbox says when this is to be told."""

        def declare(handler: H) -> H:
            self._route(handler).notices.append(kind)
            return handler

        return declare

    def view(self, handler: H) -> H:
        """Draws a living card anew, from ids; shows no more than its reader may see."""
        self._route(handler).draws = True
        return handler

    def _route(self, handler: Handler) -> Route:
        name: str = handler.__name__
        summary = (inspect.getdoc(handler) or "").split("\n")[0]
        route = self.routes.setdefault(name, Route(name, handler, summary))
        if route.handler is not handler:
            raise ValueError(f"two handlers are called {name}")
        return route

    def include(self, *others: Router) -> Router:
        for other in others:
            for route in other.routes.values():
                if route.name in self.routes:
                    raise ValueError(f"two handlers are called {route.name}")
                self.routes[route.name] = route
        self._made = None
        return self

    # -------------------------------------------------------------- finding

    @property
    def _table(self) -> _Table:
        if self._made is None:
            self._made = _Table.of(self.routes.values())
        return self._made

    @property
    def actions(self) -> Mapping[str, Route]:
        return self._table.actions

    @property
    def told(self) -> dict[MessageKind, Route]:
        return {kind: route for route in self.routes.values() for kind in route.notices}

    def match(self, text: str) -> Match | Half | None:
        """The command with the most literal words that fits; a `Half` where only its words do.

        Errors: `TextTooLong`.
        """
        if len(text) > LONGEST:
            raise TextTooLong(length=len(text), limit=LONGEST)
        lines = text.strip().removeprefix("/").splitlines()
        said = "\n".join(line.strip() for line in lines if line.strip())  # long blanks would cost quadratic time
        half: Route | None = None
        for command, route in self._table.meant(said):
            if found := command.pattern.fullmatch(said):
                return Match(route, {name: value.strip() for name, value in found.groupdict().items() if value})
            if half is None and command.begins.match(said):
                half = route
        return Half(half) if half else None

    def suggest(self, text: str, actor: Actor) -> str:
        """The nearest command this person may use, with what else was typed where that fits; empty where nothing is
        near. It is never run on a guess.
        """
        words = {c.words: c for r in self.routes.values() if r.shown and r.allowed(actor) for c in r.commands}
        said = " ".join(text.casefold().split()[:2])
        candidates = [said, said.split(" ")[0]] if said else []
        hits = (
            (hit[1], hit[0], word)
            for word in candidates
            if (hit := process.extractOne(word, list(words), scorer=fuzz.ratio))
        )
        score, near, meant = max(hits, key=lambda hit: hit[0], default=(0.0, "", ""))
        if score < SUGGEST_FROM:
            return ""
        rest = text.split()[len(meant.split()) :]
        whole = " ".join([near, *rest])
        fits = rest and len(whole) <= LONGEST_GUESS and words[near].pattern.fullmatch(whole)
        return whole if fits else words[near].usage

    def help_for(self, actor: Actor) -> list[Route]:
        """Everything this person may say, in the order it was declared."""
        return [route for route in self.routes.values() if route.commands and route.shown and route.allowed(actor)]


def _regex(usage: str) -> str:
    """`[…]` is optional, `<name>` takes what is there, `a|b` either word, blanks are any white space."""
    out = ""
    for part in re.findall(r"\[|\]|<\w+>|[^\s\[\]<>]+", usage):
        if part == "[":
            out += "(?:"
        elif part == "]":
            out += ")?"
        elif part.startswith("<"):
            out += rf"{_gap(out)}(?P<{part[1:-1]}>\S.*?)"
        else:
            out += _gap(out) + "(?:" + "|".join(re.escape(word) for word in part.split("|")) + ")"
    return out


def _first(text: str) -> str:
    """The first word, in one case."""
    return text.split(None, 1)[0].casefold() if text else ""


def _letters(text: str) -> str:
    """What two notations of one MAC or place have in common."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _gap(before: str) -> str:
    return r"\s+" if before else ""


@cache
def _parameters(handler: Handler) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(handler, localns={"Turn": Turn, "Reply": Reply})
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    return {p.name: p.replace(annotation=hints.get(p.name, str)) for p in parameters if p.kind is not p.VAR_KEYWORD}


def _convert(value: Any, wanted: Any) -> Any:
    """Card data is the client's: whatever is not what the handler takes is an old or a forged card."""
    if isinstance(value, dict | list) or len(text := str(value)) > LONGEST:
        raise OutOfDate
    if wanted is bool:
        return text.casefold() in ("true", "1", "yes")
    if wanted is int or wanted == (int | None):
        if not re.fullmatch(r"\d{1,9}", text):
            raise OutOfDate
        return int(text)
    return text
