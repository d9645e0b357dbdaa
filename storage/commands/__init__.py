"""The operator's commands on a store: `backup`, `restore`, `verify`, `audit`, `migrate`, `export-json` and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.texts import N_
from storage.commands.ground import Ground, WrongUse, run

cli = typer.Typer(add_completion=False)
audit = typer.Typer(help=N_("The chain of facts: hold it against every fact, or take the facts away as evidence."))
cli.add_typer(audit, name="audit")

Store = Annotated[str, typer.Option(help=N_("The store: tinydb:PATH or postgresql://…; left out: STORE_URL."))]
Force = Annotated[bool, typer.Option("--force", help=N_("Put it in the place of a file that is there."))]
Yes = Annotated[bool, typer.Option("--yes", help=N_("Do not ask."))]
Heads = Annotated[
    list[str] | None,
    typer.Option("--head", help=N_("A head that was noted earlier: it must still stand in the chain. Repeatable.")),
]
CodesOnly = Annotated[
    bool,
    typer.Option(
        "--codes-only",
        help=N_("Only void every code of the present state: after pg_restore, before the service starts."),
    ),
]

__all__ = ["Ground", "WrongUse", "audit", "cli"]


def _ground(context: typer.Context) -> Ground:
    ground = context.find_object(Ground)
    if ground is None:
        raise AssertionError("whoever registers these commands gives them their ground")
    return ground


@cli.command(help=N_("Copy an embedded store into one file while the service runs, and check the copy."))
def backup(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help=N_("Where to; else backups/provisioning-TIME.sqlite3 beside the store."))
    ] = None,
    store: Store = "",
) -> None:
    from storage.commands.safety import back_up

    run(_ground(context), store, lambda ground, url: back_up(ground, url, file))


@cli.command(help=N_("Put a backup in the place of the state, also while the service runs. Every code dies."))
def restore(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help=N_("A file that backup wrote."))] = None,
    store: Store = "",
    yes: Yes = False,
    codes_only: CodesOnly = False,
) -> None:
    from storage.commands.safety import restore_backup, void_codes

    if codes_only:
        run(_ground(context), store, lambda ground, url: void_codes(ground, url, file))
    else:
        run(_ground(context), store, lambda ground, url: restore_backup(ground, url, file, yes=yes))


@cli.command(help=N_("Read the whole store through, also while the service runs: checksums, indexes, counts, audit."))
def verify(context: typer.Context, store: Store = "") -> None:
    from storage.commands.safety import verify_store

    run(_ground(context), store, verify_store)


@audit.command(name="verify", help=N_("Hold the chain of facts against every fact, also while the service runs."))
def audit_verify(context: typer.Context, head: Heads = None, store: Store = "") -> None:
    from storage.commands.tracing import trace

    run(_ground(context), store, lambda _ground, url: trace(url, head or ()))


@cli.command(help=N_("Carry everything from one store to another, empty one. The service must be stopped."))
def migrate(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help=N_("The store to read: tinydb:PATH or postgresql://…"))],
    target: Annotated[str, typer.Argument(metavar="TO", help=N_("The empty store to fill."))],
) -> None:
    from storage.commands.moving import carry

    run(_ground(context), source, lambda _ground, url: carry(url, target))


@cli.command(
    name="export-json", help=N_("Write everything into a JSON file that TinyDB opens, while the service runs.")
)
def export_json(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help=N_("Where to."))],
    store: Store = "",
    force: Force = False,
) -> None:
    from storage.commands.moving import write_json

    run(_ground(context), store, lambda _ground, url: write_json(url, file, force=force))


@cli.command(
    name="import-json",
    help=N_("Fill an empty store from a file of export-json. It is read into memory: 1 GB a million rows."),
)
def import_json(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help=N_("A file that export-json wrote."))],
    store: Store = "",
) -> None:
    from storage.commands.moving import read_json

    run(_ground(context), store, lambda _ground, url: read_json(file, url))
