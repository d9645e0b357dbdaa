"""`backup`, `restore` and `verify`."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import typer
from filelock import FileLock, Timeout

from provisioning.codes import Key, Keyring
from provisioning.errors import Unavailable
from provisioning.ports import Store
from provisioning.service.restoring import Restoring
from provisioning.service.unit import Policy
from provisioning.texts import _
from storage import open_store, tinydb_backup, tinydb_restore
from storage.commands.ground import Ground, Show, WrongUse, progress, say
from storage.tinydb_backup import FileFault, check_copy, taken_at
from storage.tinydb_file import FILE, LOCK
from storage.tinydb_store import open_tiny_store
from storage.transfer import folder_of, open_source, shown

LOOK_SECONDS = 0.2
PATIENCE = 30  # seconds; then it is said that the store's owner has not yet taken a restore

# ------------------------------------------------------------------ backup


def back_up(ground: Ground, url: str, file: Path | None) -> None:
    folder = folder_of(url)
    if folder is None:
        command = 'pg_dump --format=custom --file=provisioning.dump "$STORE_URL"'
        raise WrongUse(_("{url}: PostgreSQL has its own backup. Use: {command}", url=shown(url), command=command))
    now = ground.clock.now()
    target = file or folder.resolve().parent / "backups" / f"provisioning-{now:%Y%m%dT%H%M%SZ}.sqlite3"
    with progress() as show:
        tinydb_backup.back_up(folder / FILE, target, now, partial(show, _("pages copied")))
    size = target.stat().st_size / 1e6
    say(_("{file}: {size} MB, checked. Keep it apart from the keys of the codes.", file=target, size=f"{size:.1f}"))


# ------------------------------------------------------------------ restore


def restore_backup(ground: Ground, url: str, file: Path | None, *, yes: bool) -> None:
    folder = folder_of(url)
    if folder is None:
        first = 'pg_restore --clean --if-exists --dbname="$STORE_URL" provisioning.dump'
        second = "python app.py restore --codes-only"
        said = _("{url}: stop the service, use {first}, then {second}.", url=shown(url), first=first, second=second)
        raise WrongUse(said)
    if file is None:
        raise WrongUse(_("Name the backup to restore, or say --codes-only."))
    if not folder.is_dir():
        said = _(
            "{folder} is not there. Look at STORE_URL or --store; if the store belongs there, make the folder first: "
            "mkdir -p -m 700 {folder}",
            folder=folder,
        )
        raise FileFault(said)
    tinydb_restore.check_backup(file)
    taken = taken_at(file)
    if not yes:
        _ask(_("Put the state of {taken} in the place of {store}?", taken=f"{taken:%Y-%m-%d %H:%M} UTC", store=url))
    with _only_one(folder):
        codes = asyncio.run(_restore(ground, folder, file))
    say(_("The state of {taken} is in place.", taken=f"{taken:%Y-%m-%d %H:%M} UTC"))
    if kept := max(folder.glob("before-restore-*.sqlite3"), key=lambda path: path.stat().st_mtime, default=None):
        say(_("What it replaced is kept in {kept}.", kept=kept))
    say(_next_steps(codes))


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise WrongUse(_("Nobody can be asked here. Say --yes."))
    if not typer.confirm(question, err=True):
        raise WrongUse(_("Nothing was changed."))


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / tinydb_restore.RESTORE_LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FileFault(_("Another restore into {folder} is under way.", folder=folder)) from None
    try:
        yield
    finally:
        lock.release()


async def _restore(ground: Ground, folder: Path, file: Path) -> int:
    with progress() as show:
        void = partial(_void_in, ground, file, show)
        token, codes = await tinydb_restore.prepare(file, folder, void, partial(show, _("pages copied")))
        try:
            await _handed_over(ground, folder, token, show)
        except asyncio.CancelledError:
            said = _("It still waits in {path}. Delete that file to call it off.", path=folder / tinydb_restore.WAITING)
            typer.echo(said, err=True)
            raise
    return codes


def _next_steps(codes: int) -> str:
    said = _("Codes voided: {codes}. Next: an admin says {command}, and looks at {people}.")
    return said.format(codes=codes, command='"issue all"', people='"people"')


async def _void_in(ground: Ground, file: Path, show: Show, folder: Path) -> int:
    store = await open_tiny_store(folder, clock=ground.clock)
    try:
        return await _over(ground, store).void_codes(taken_at(file), partial(show, _("devices looked through")))
    finally:
        await store.close()


def _over(ground: Ground, store: Store) -> Restoring:
    """The use case alone: voiding needs no key and nothing that a deployment decides."""
    return Restoring(store, ground.clock, Keyring([Key("none", secrets.token_bytes(32))]), Policy(organisation=""))


async def _handed_over(ground: Ground, folder: Path, token: str, show: Show) -> None:
    """Until whoever owns the store has applied what waits: the service that runs, or else this process.

    Errors: `FileFault` with the reason where it could not be applied; then the state is as it was.
    """
    waited = 0.0
    while tinydb_restore.waits(folder):
        if _free(folder):
            await _apply(ground, folder)
            continue
        show(_("waiting for the service"), int(waited), 0)
        await asyncio.sleep(LOOK_SECONDS)
        if waited < PATIENCE <= waited + LOOK_SECONDS:
            said = _("The process that holds {lock} has not taken it yet.", lock=folder / LOCK)
            typer.echo(said, err=True)
        waited += LOOK_SECONDS
    if not tinydb_restore.applied(folder, token):
        raise FileFault(tinydb_restore.failure(folder) or _nobody_says_why(folder))


def _nobody_says_why(folder: Path) -> str:
    said = _(
        "The restore was not applied, and {path} could not be written, which would say why. Look into the log of the "
        "service, and whether the disk is full.",
        path=folder / tinydb_restore.FAILED,
    )
    return said


async def _apply(ground: Ground, folder: Path) -> None:
    """To open a store is to apply what waits."""
    try:
        store = await open_tiny_store(folder, clock=ground.clock)
    except Unavailable:
        if _free(folder):
            raise
        return  # a service was faster to open it
    await store.close()


def _free(folder: Path) -> bool:
    """No process owns the store."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    lock.release()
    return True


async def void_codes(ground: Ground, url: str, file: Path | None) -> None:
    """An embedded store is refused while a service has it. Of a database nobody can say who uses it: codes that are
    issued meanwhile die as well."""
    if file is not None:
        raise WrongUse(_("--codes-only is about the present state: leave out the file."))
    folder = folder_of(url)
    if folder and not (folder / FILE).exists():
        raise FileFault(_("{folder} holds no store.", folder=folder))
    store = await open_store(url, clock=ground.clock)
    try:
        with progress() as show:
            codes = await _over(ground, store).void_codes(None, partial(show, _("devices looked through")))
    finally:
        await store.close()
    say(_next_steps(codes))


# ------------------------------------------------------------------ verify


def verify_store(ground: Ground, url: str) -> None:
    folder = folder_of(url)
    with progress() as show:
        show(_("reading everything"), 0, 0)
        count = check_copy(folder / FILE, deep=True) if folder else asyncio.run(_verify_database(ground, url))
    say(_("{count} rows checked: all is well.", count=count))


async def _verify_database(ground: Ground, url: str) -> int:
    async with open_source(url) as source:
        count = sum((await source.sizes()).values())
    store = await open_store(url, clock=ground.clock)
    try:
        await store.verify(deep=True)
    finally:
        await store.close()
    return count
