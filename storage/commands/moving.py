"""`migrate`, `export-json` and `import-json`: everything from one store, or file, to another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from provisioning.texts import _
from storage.commands.ground import WrongUse, progress, say
from storage.json_transfer import JsonSource, JsonTarget
from storage.tinydb_backup import check_target
from storage.transfer import Source, Target, copy, folder_of, open_source, open_target, shown


async def carry(source: str, target: str) -> None:
    """Where the source is an embedded store nobody else may use it meanwhile: what is changed later would be lost."""
    folders = [folder.resolve() if (folder := folder_of(url)) else url for url in (source, target)]
    if folders[0] == folders[1]:
        raise WrongUse(_("{url} cannot be carried to itself.", url=shown(source)))
    counts = await _copy(open_source(source, alone=True), open_target(target))
    say(_("{count} rows are there: {tables}.", count=sum(counts.values()), tables=_listed(counts)))
    say(_("Next: set STORE_URL={url} and start the service. {old} is as it was.", url=shown(target), old=shown(source)))


async def write_json(url: str, file: Path, *, force: bool) -> None:
    check_target(file, folder_of(url))
    counts = await _copy(open_source(url), JsonTarget(file, force=force))
    say(_("{file}: {count} rows ({tables}).", file=file, count=sum(counts.values()), tables=_listed(counts)))


async def read_json(file: Path, url: str) -> None:
    counts = await _copy(JsonSource(file), open_target(url))
    said = _("{count} rows are in {url}: {tables}.", count=sum(counts.values()), url=shown(url), tables=_listed(counts))
    say(said)


async def _copy(source: Source, target: Target) -> Mapping[str, int]:
    async with source, target:
        with progress() as show:
            counts = await copy(source, target, show)
    for table in getattr(source, "others", ()):
        said = _('"{table}" is a table of your own: it was left out.', table=table)
        typer.echo(said, err=True)
    return counts


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in counts.items() if count) or "0"
