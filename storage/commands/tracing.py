"""`audit verify`: the chain of facts alone, held against every fact, beside the running service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer

from provisioning.bookkeeping import Segment
from provisioning.texts import _
from storage.chain import Standing, Tracing
from storage.commands.ground import progress, say
from storage.transfer import AUDIT, open_trail


async def trace(url: str, heads: Sequence[str]) -> None:
    """Faults go to stderr, a line each; then the exit code is 1."""
    faults = 0
    async with open_trail(url) as trail:
        total, done = (await trail.sizes())[AUDIT], 0
        tracing = Tracing(await trail.segments(), heads)
        with progress() as show:
            show(_("facts"), 0, total)
            faults += _told(tracing.begin())
            async for facts in trail.facts():
                faults += _told(tracing.see(facts))
                done += len(facts)
                show(_("facts"), done, total)
            faults += _told(tracing.end())
    for line in _lines(tracing.standing):
        say(line)
    if faults:
        typer.echo(_("{count} faults: the audit is not what was sealed.", count=faults), err=True)
        raise typer.Exit(1)
    say(_("All is well."))
    if heads:
        say(_("Heads noted earlier that stand in the chain: {count}.", count=len(heads)))


def _told(faults: Iterable[str]) -> int:
    count = 0
    for fault in faults:
        typer.echo(fault, err=True)
        count += 1
    return count


def _lines(stands: Standing) -> list[str]:
    """Which segments there are, what retention dropped, what stands in none yet, and the head to note."""
    said = list[str]()
    if stands.dropped:
        said.append(
            _(
                "Dropped, being older than they are kept: segments {first} to {last}, {count} facts, the newest from "
                "{time}.",
                **_range(stands.dropped),
            )
        )
    if stands.kept:
        said.append(
            _("Sealed: segments {first} to {last}, {count} facts, the newest from {time}.", **_range(stands.kept))
        )
    said.append(_("In no segment yet: {count} facts.", count=stands.unsealed))
    if stands.since:
        said.append(_("Facts from {since} to {until}.", since=stands.since, until=stands.until))
    if stands.redacted:
        said.append(_("Redacted, each named by a later fact: {count}.", count=stands.redacted))
    if newest := stands.newest:
        said.append(_("Head of segment {number}: {head}", number=newest.number, head=newest.head))
        said.append(_("Note it elsewhere; {command} finds out later.", command=f"audit verify --head {newest.head}"))
    return said


def _range(segments: Sequence[Segment]) -> dict[str, object]:
    return {
        "first": segments[0].number,
        "last": segments[-1].number,
        "count": sum(each.count for each in segments),
        "time": f"{max(each.newest for each in segments):%Y-%m-%d %H:%M:%S} UTC",
    }
