"""`python app.py rotate-keys`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from provisioning.texts import N_, _

if TYPE_CHECKING:
    from provisioning.key_use import KeyUses

ROTATE_KEYS: Final = N_(
    "Give codes a new key while the services run: it is written into CODE_KEY_FILE as the second key, and becomes the "
    "first once every service has read it. Nothing is refused meanwhile. Where the keys are in CODE_KEYS, it says "
    "which two deployments do the same."
)
Retire = Annotated[
    bool,
    typer.Option("--retire", help=N_("Instead: drop the keys that nothing in the store needs any more, say the rest.")),
]
Wait = Annotated[
    float | None,
    typer.Option(min=0, max=3600, help=N_("Seconds for every service to read the file; 15. More for a slow mount.")),
]


@dataclass(frozen=True, slots=True)
class KeyGround:
    """Given by whoever registers the command.

    uses: what the configured store needs keys for, told the id of the oldest one. guarded: runs the work, and makes
    one line and an exit code of a fault of the store.
    """

    uses: Callable[[str], Awaitable[KeyUses]]
    guarded: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


def rotate_keys_command(ground: KeyGround) -> Callable[..., None]:
    """The command itself."""

    def rotate_keys(retire: Retire = False, wait: Wait = None) -> None:
        from bot.key_rotation import WAIT_SECONDS

        seconds = WAIT_SECONDS if wait is None else wait
        ground.guarded(lambda: _work(ground, retire, seconds))

    return rotate_keys


async def _work(ground: KeyGround, retire: bool, seconds: float) -> None:
    from bot import key_rotation
    from bot.key_file import BadKeyFile

    try:
        path = _key_file()
        if path is None:
            await _by_hand(ground, retire)
        elif retire:
            gone = await key_rotation.retire(path, ground.uses, asyncio.sleep, typer.echo, seconds)
            typer.echo(_("Dropped: {ids}.", ids=", ".join(gone)) if gone else _("Nothing to drop."))
        else:
            await key_rotation.rotate(path, asyncio.sleep, typer.echo, seconds)
            typer.echo(_("Done. Save a copy of {path} apart from the backups of the store.", path=path))
    except (key_rotation.RotationFault, BadKeyFile) as fault:
        typer.echo(fault, err=True)
        raise typer.Exit(1 if isinstance(fault, key_rotation.RotationFault) else 2) from None


def _key_file() -> Path | None:
    """Of all settings only this one: keys can be changed whatever else is wrong. None: they are in CODE_KEYS."""
    from bot.settings import BadConfiguration, gather

    try:
        given = gather(os.environ)
    except BadConfiguration as bad:
        typer.echo("\n".join(bad.faults), err=True)
        raise typer.Exit(2) from None
    keys, file = given.get("CODE_KEYS"), given.get("CODE_KEY_FILE")
    if keys is None and file is None:
        typer.echo(_("CODE_KEYS and CODE_KEY_FILE are not set: there are no keys to change."), err=True)
        raise typer.Exit(2)
    return Path(file.value) if file and keys is None else None


async def _by_hand(ground: KeyGround, retire: bool) -> None:
    """Exit code 2: it is for the operator to do."""
    from bot import key_rotation
    from bot.key_file import read_keys
    from bot.settings import gather

    if retire:
        try:
            keys = read_keys(gather(os.environ)["CODE_KEYS"].value)
        except ValueError as bad:
            typer.echo(f"CODE_KEYS: {bad}", err=True)
            raise typer.Exit(2) from None
        for line in key_rotation.told((await ground.uses(keys[-1].id)).found, keys):
            typer.echo(line)
    else:
        steps, key = key_rotation.by_hand()
        for line in steps:
            typer.echo(line, err=True)
        typer.echo(key)
    raise typer.Exit(2)
