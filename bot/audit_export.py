"""`python app.py audit export`: the facts as a file that can be checked without the store."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from provisioning.errors import InvalidMac
from provisioning.mac import normalise
from provisioning.texts import N_, _

if TYPE_CHECKING:
    from cards.views.facts import Known
    from provisioning.bookkeeping import Segment
    from provisioning.events import Event
    from provisioning.model import Person
    from provisioning.rollouts import Rollout
    from provisioning.trail import KeptFact, Trail

EXPORT: Final = N_(
    "Write the facts into a file, also while the service runs: each with who, what, when, in words, and its digest. A "
    "JSONL file ends with the chain, so that it can be checked without the store."
)
OPERATOR: Final = "operator"
COLUMNS: Final = ("number", "at", "kind", "actor", "subject", "words", "fact", "digest", "segment")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # moments within sentences are told with their year


class Form(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Given by whoever registers the command.

    note: writes a fact into the store and returns why it could not.
    place: a private file that gets its name at the end.
    guarded: works on a store, by default the configured one, and makes one line and an exit code of a fault.
    """

    now: Callable[[], datetime]
    trail: Callable[[str], Trail]
    spoken_of: Callable[[Trail], Coroutine[Any, Any, tuple[list[Person], dict[str, Rollout]]]]
    event_of: Callable[[Mapping[str, Any]], Event | None]
    note: Callable[[str, Event], Coroutine[Any, Any, str]]
    place: Callable[[Path, str, bool], AbstractContextManager[TextIO]]
    guarded: Callable[[str, Callable[[str], None]], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which facts: all, or those in a span of time, and about a device or of a person."""

    since: datetime | None = None
    until: datetime | None = None  # before it
    person: str = ""  # as typed
    mac: str = ""

    @property
    def everything(self) -> bool:
        return self == Wanted()


File = Annotated[Path, typer.Argument(help=N_("Where to; only its owner may read it."))]
Since = Annotated[str, typer.Option(help=N_("The first day, or moment, in UTC: 2026-12-01."))]
Until = Annotated[str, typer.Option(help=N_("The last day, or a moment, in UTC."))]
Whose = Annotated[str, typer.Option(help=N_("Only facts of or about this person: object id, UPN or name."))]
Which = Annotated[str, typer.Option("--device", help=N_("Only facts about this device: its MAC in any notation."))]
AsForm = Annotated[Form, typer.Option("--format", help=N_("jsonl, which can be checked, or csv for a spreadsheet."))]
Force = Annotated[bool, typer.Option("--force", help=N_("Put it in the place of a file that is there."))]
StoreUrl = Annotated[str, typer.Option(help=N_("The store: tinydb:PATH or postgresql://…; left out: STORE_URL."))]


def export_command(stage: Callable[[], Evidence]) -> Callable[..., None]:
    """The command itself; the stage is built once it is typed."""

    def export(
        file: File,
        since: Since = "",
        until: Until = "",
        person: Whose = "",
        device: Which = "",
        form: AsForm = Form.JSONL,
        force: Force = False,
        store: StoreUrl = "",
    ) -> None:
        wanted = Wanted(_moment(since, "--since"), _moment(until, "--until", end=True), person.strip(), _mac(device))
        evidence = stage()
        evidence.guarded(store, lambda url: asyncio.run(_export(evidence, url, file, wanted, form, force=force)))

    return export


def _moment(text: str, option: str, *, end: bool = False) -> datetime | None:
    """A day as its begin, or as its end; a moment as it is."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        whole_day = date.fromisoformat(text) if len(text) <= len("2026-12-01") else None
    except ValueError:
        raise typer.BadParameter(_("Write it like 2026-12-01 08:00."), param_hint=option) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if end and whole_day else moment


def _mac(text: str) -> str:
    try:
        return normalise(text) if text else ""
    except InvalidMac as fault:
        raise typer.BadParameter(str(fault), param_hint="--device") from None


async def _export(evidence: Evidence, url: str, file: Path, wanted: Wanted, form: Form, *, force: bool) -> None:
    """The audit has it first, where it can be written."""
    from provisioning.events import AuditExported  # all facts there are: commands that tell none start without them

    count = 0
    with evidence.place(file, url, force) as out:
        async with evidence.trail(url) as trail:
            people, channels = await evidence.spoken_of(trail)
            whose = _person(people, wanted.person)
        subject = wanted.mac or whose or "all"
        event = AuditExported(
            at=evidence.now(), actor=OPERATOR, subject=subject, form=form, since=wanted.since, until=wanted.until
        )
        why_not = await evidence.note(url, event)
        async with evidence.trail(url) as trail:
            segments = [each.segment for each in await trail.segments() if each.segment]
            writer = _Writer(out, form, evidence, _known(people, channels))
            async for fact, number in _asked(trail, segments, wanted, whose):
                writer.write(fact, number)
                count += 1
            writer.end(segments, whole=wanted.everything)
    typer.echo(_("{file}: {count} facts.", file=file, count=count))
    if why_not:
        typer.echo(_("The audit itself does not say that they were taken: {why}.", why=why_not), err=True)


def _person(people: Sequence[Person], text: str) -> str:
    """The id of whom is meant; a word that fits nobody is one, of somebody who is not known any more."""
    word = text.casefold()
    found = {person.id for person in people if word in (person.id.casefold(), person.upn.casefold())}
    found = found or {person.id for person in people if word and word == person.name.casefold()}
    if len(found) > 1:
        raise typer.BadParameter(_("Several people are called so. Write the object id."), param_hint="--person")
    return found.pop() if text and found else text


def _known(people: Sequence[Person], channels: Mapping[str, Rollout]) -> Known:
    from cards.views.facts import Known

    return Known({person.id: person.name or person.upn for person in people}, {}, channels, _LONG_AGO)


async def _asked(
    trail: Trail, segments: Sequence[Segment], wanted: Wanted, whose: str
) -> AsyncIterator[tuple[KeptFact, int | None]]:
    """The facts that are asked for, each with the number of its segment; None for one that stands in none yet."""
    at = 0
    async for facts in trail.facts():
        for fact in facts:
            while at < len(segments) and fact.number > segments[at].last:
                at += 1
            if _is_asked(fact.plain or {}, wanted, whose):
                yield fact, segments[at].number if at < len(segments) else None


def _is_asked(plain: Mapping[str, Any], wanted: Wanted, whose: str) -> bool:
    if wanted.since or wanted.until:
        try:
            at = datetime.fromisoformat(str(plain.get("at")))
            if (wanted.since and at < wanted.since) or (wanted.until and at >= wanted.until):
                return False
        except (ValueError, TypeError):  # no time, or one without a zone: `audit verify` finds such a fact
            return False
    named = {each for value in plain.values() for each in (value if isinstance(value, list) else [value])}
    return {each for each in (whose, wanted.mac) if each} <= named


class _Writer:
    """A line for each fact, and in JSONL one for the chain behind them."""

    def __init__(self, file: TextIO, form: Form, evidence: Evidence, known: Known) -> None:
        self._file, self._form, self._evidence, self._known = file, form, evidence, known
        self._rows = csv.writer(file)
        if form is Form.CSV:
            self._rows.writerow(COLUMNS)

    def write(self, fact: KeptFact, segment: int | None) -> None:
        plain = fact.plain or {}
        told = (plain.get("at"), plain.get("event"), plain.get("actor"), plain.get("subject"))
        row = (fact.number, *told, self._words(plain), plain, fact.digest, segment)
        if self._form is Form.JSONL:
            self._line(dict(zip(COLUMNS, row, strict=True)))
        else:
            self._rows.writerow(_cells(row))

    def end(self, segments: Sequence[Segment], *, whole: bool) -> None:
        if self._form is Form.JSONL:
            self._line({"chain": [_sealed(segment) for segment in segments], "whole": whole})

    def _line(self, value: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")

    def _words(self, plain: Mapping[str, Any]) -> str:
        from cards.views.facts import fact_words
        from cards.words import plain as unmarked
        from cards.words import without_controls

        event = self._evidence.event_of(plain)
        return without_controls(unmarked(fact_words(event, self._known)), keep="") if event else ""


def _cells(row: Sequence[Any]) -> Iterator[str]:
    """No cell is a formula to a spreadsheet."""
    from provisioning.sheets.guard import guarded

    for value in row:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else "" if value is None else str(value)
        yield guarded(text)


def _sealed(segment: Segment) -> dict[str, Any]:
    """What a head is made over, as it goes in: moments in microseconds since 1970, UTC."""
    micros = timedelta(microseconds=1)
    values = {each.name: getattr(segment, each.name) for each in fields(segment) if each.name != "version"}
    return {
        name: (value - _LONG_AGO) // micros if isinstance(value, datetime) else value for name, value in values.items()
    }
