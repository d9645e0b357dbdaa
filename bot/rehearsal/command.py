"""`python app.py rehearse`: a rollout played through on a copy of the data."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bot.rehearsal.options import MINUTES, Options
from provisioning.rehearsals import Report, Slip
from provisioning.texts import N_, _

if TYPE_CHECKING:
    from provisioning.ports import Store
    from provisioning.service import Policy

REHEARSE: Final = N_(
    "Play a rollout through with simulated people on a copy of the data: how long it takes, what goes wrong, what to "
    "change. Nothing is changed and nobody is told."
)
MADE_UP: Final = 100  # devices, where the store is empty and nobody said how many
MEMORY: Final = 1536 * 1024 * 1024  # bytes that a rehearsal begun in chat may take
SAY_EVERY: Final = 1.0  # seconds between two lines of progress for a program

Copies = Callable[[], "Store"]
Show = Callable[[str, int, int, str], None]  # what is under way, how much is done, of how much, and a word to it


@dataclass(frozen=True, slots=True)
class Backstage:
    """Given by whoever registers the command.

    policy: the deployment's, as the settings say. copies: fresh copies of a store's data; without an address, of an
    empty one.
    guarded: works on a store, by default the configured one, and makes one line and an exit code of a fault.
    """

    policy: Callable[[], Policy]
    copies: Callable[[str, Callable[[str, int, int], None]], Coroutine[Any, Any, Copies]]
    guarded: Callable[[str, Callable[[str], None]], None]


Site = Annotated[str, typer.Argument(help=N_("A site or #tag; left out: everything."))]
Devices = Annotated[int, typer.Option(min=0, max=20_000, help=N_("So many made-up devices, and no data."))]
Technicians = Annotated[int, typer.Option(min=0, max=500, help=N_("So many; left out: those there are."))]
Minutes = Annotated[float, typer.Option("--minutes-per-device", min=0.5, max=600, help=N_("From box to screen."))]
Start = Annotated[str, typer.Option(help=N_('"2026-12-01 08:00"; left out: the next working morning.'))]
IssuedBefore = Annotated[float, typer.Option(min=0, max=720, help=N_("Hours between issuing codes and the start."))]
OnSite = Annotated[
    bool | None, typer.Option("--on-site/--at-once", help=N_("When codes are made; left out: as the policy says."))
]
Lifetime = Annotated[float, typer.Option(min=0, max=2160, help=N_("Hours that codes live; 0: as configured."))]
Mistakes = Annotated[float, typer.Option(min=0, max=100, help=N_("Times the usual rate of mistakes."))]
Rates = Annotated[list[str] | None, typer.Option(help=N_("One rate per thousand devices: typo=60. Repeatable."))]
SignIn = Annotated[bool, typer.Option("--sign-in", help=N_("One admin signs in whatever called in."))]
Seed = Annotated[int, typer.Option(help=N_("Another seed, another day; the same seed, the same report."))]
Runs = Annotated[int, typer.Option(min=1, max=50, help=N_("So many seeds, for the spread of the end."))]
StoreUrl = Annotated[str, typer.Option(help=N_("The store: tinydb:PATH or postgresql://…; left out: STORE_URL."))]
AsJson = Annotated[bool, typer.Option("--json", help=N_("Report and progress as JSON."))]
Gently = Annotated[
    bool, typer.Option("--gently", hidden=True, help=N_("Give way to the service beside, within bounds."))
]


def rehearse_command(backstage: Backstage) -> Callable[..., None]:
    """The command itself; its options are those of `Options`."""

    def rehearse(
        site: Site = "",
        devices: Devices = 0,
        technicians: Technicians = 0,
        minutes: Minutes = MINUTES,
        start: Start = "",
        issued_before: IssuedBefore = 0.0,
        on_site: OnSite = None,
        lifetime: Lifetime = 0.0,
        mistakes: Mistakes = 1.0,
        rate: Rates = None,
        sign_in: SignIn = False,
        seed: Seed = 7,
        runs: Runs = 1,
        store: StoreUrl = "",
        as_json: AsJson = False,
        gently: Gently = False,
    ) -> None:
        policy = backstage.policy()
        options = Options(
            site=site,
            devices=devices,
            technicians=technicians,
            minutes=minutes,
            start=_moment(start, policy.timezone),
            issued_before=issued_before,
            on_site=on_site,
            lifetime=lifetime or None,
            mistakes=mistakes,
            rates=dict(map(_rate, rate or ())),
            sign_in=sign_in,
            seed=seed,
            runs=runs,
        )
        _run(backstage, options, policy, store, as_json=as_json, gently=gently)

    return rehearse


def _moment(text: str, zone: tzinfo) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(_("Write it like 2026-12-01 08:00."), param_hint="--start") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _rate(text: str) -> tuple[Slip, int]:
    name, _sign, number = text.partition("=")
    try:
        return Slip(name.strip()), int(number)
    except ValueError:
        names = ", ".join(Slip)
        raise typer.BadParameter(_("Write NAME=NUMBER; names: {names}", names=names), param_hint="--rate") from None


def _give_way() -> None:
    """To the service beside which it runs; and the memory that it may take."""
    from provisioning.confinement import NICER, limit_memory

    if hasattr(os, "nice"):
        os.nice(2 * NICER)
    limit_memory(MEMORY)


# ------------------------------------------------------------------ carried out


def _run(backstage: Backstage, options: Options, policy: Policy, store: str, *, as_json: bool, gently: bool) -> None:
    if gently:
        _give_way()
    began = time.monotonic()

    def work(url: str) -> None:
        with _lines() if as_json else _bars() as show:
            source = "" if options.devices else url
            copies = asyncio.run(backstage.copies(source, lambda _table, done, of: show(_("reading"), done, of, "")))
            report = _rehearsed(copies, options, policy, show, began)
        typer.echo(to_json(report)) if as_json else print_report(report)

    backstage.guarded(store, work)


def _rehearsed(copies: Copies, options: Options, policy: Policy, show: Show, began: float) -> Report:
    from bot.rehearsal.play import play
    from bot.rehearsal.report import report_of
    from provisioning.model import Device

    made_up = bool(options.devices) or (not options.site and asyncio.run(copies().count(Device, removed=False)) == 0)
    if made_up and not options.devices:
        options = replace(options, devices=MADE_UP)
    played = []
    for run in range(options.runs):
        what = _("run {n} of {total}", n=run + 1, total=options.runs) if options.runs > 1 else _("rehearsing")

        def moved(done: int, total: int, at: datetime, what: str = what) -> None:
            show(what, done, total, at.isoformat(timespec="minutes"))

        seeded = replace(options, seed=options.seed + run)
        played.append(play(copies(), policy, seeded, made_up=made_up, show=moved))
    return report_of(played, options, made_up=made_up, seconds=time.monotonic() - began)


def to_json(report: Report) -> str:
    """One line. `from_json` reads it."""
    from pydantic import TypeAdapter

    return json.dumps(TypeAdapter(Report).dump_python(report, mode="json"), ensure_ascii=False)


def from_json(text: str | bytes) -> Report:
    """Errors: ValueError."""
    from pydantic import TypeAdapter

    return TypeAdapter(Report).validate_json(text)


def print_report(report: Report) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from cards.views.rehearsal import NOBODY_TOLD, headline, sections
    from cards.words import plain

    console = Console(soft_wrap=False, highlight=False)
    console.print(plain(headline(report)), style="bold", markup=False)
    for section in sections(report):
        console.print(f"\n{section.title}", style="bold", markup=False)
        for line in section.lines:
            console.print(Padding(Text(plain(line)), (0, 0, 0, 2)))
    console.print(f"\n{_(NOBODY_TOLD)}", style="italic", markup=False)


# ------------------------------------------------------------------ progress, on stderr


@contextmanager
def _lines() -> Iterator[Show]:
    """For a program: a line of JSON each second."""
    said = 0.0

    def show(what: str, done: int, total: int, at: str) -> None:
        nonlocal said
        if done == total or time.monotonic() - said >= SAY_EVERY:
            said = time.monotonic()
            typer.echo(json.dumps({"what": what, "done": done, "total": total, "at": at}), err=True)

    yield show


@contextmanager
def _bars() -> Iterator[Show]:
    """For people: a bar; where there is no terminal, what a pipe takes: nothing but the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        known = dict[str, TaskID]()

        def show(what: str, done: int, total: int, at: str) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=None)
            bars.update(known[what], completed=done, total=total or None, description=f"{what} {at}".strip())

        yield show
