"""The audit for whoever takes it away as evidence: who and what it speaks of, and that it was taken."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from provisioning.errors import ProvisioningError, Unavailable
from provisioning.events import Event
from provisioning.model import Change, Person
from provisioning.ports import Clock
from provisioning.rollouts import Rollout
from provisioning.texts import to_operator
from provisioning.trail import Trail
from storage import open_store
from storage.kinds import KINDS
from storage.records import decode, decode_event
from storage.tinydb_backup import FileFault, check_target, give_name, remove, sync
from storage.tinydb_file import LOCK, OURS_ALONE
from storage.transfer import folder_of


async def spoken_of(trail: Trail) -> tuple[list[Person], dict[str, Rollout]]:
    """The people and the channels that facts name by id."""
    people, channels = list[Person](), dict[str, Rollout]()
    async for chunk in trail.rows(KINDS[Person].table):
        people += [decode(Person, plain) for _, plain in chunk]
    async for chunk in trail.rows(KINDS[Rollout].table):
        channels |= {rollout.key: rollout for rollout in (decode(Rollout, plain) for _, plain in chunk)}
    return people, channels


def event_of(plain: Mapping[str, Any]) -> Event | None:
    """The fact of a document; None where it is none that this version can read."""
    try:
        return decode_event(dict(plain))
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


async def note(url: str, clock: Clock, event: Event) -> str:
    """Writes a fact into the store. Returns why it could not be, for the operator; empty: it stands there.

    An embedded store is written by one process alone, so not beside the service that has it.
    """
    folder = folder_of(url)
    if folder and not _free(folder):
        return to_operator("a service has the store, and it alone writes there")
    try:
        store = await open_store(url, clock=clock)
        try:
            await store.save(Change(events=(event,)))
        finally:
            await store.close()
    except Unavailable as fault:
        return fault.reason
    except ProvisioningError as fault:
        return str(fault)
    return ""


def _free(folder: Path) -> bool:
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    except OSError:  # a read-only mount: opening the store says so
        return True
    lock.release()
    return True


@contextmanager
def private_file(path: Path, url: str, *, force: bool) -> Iterator[TextIO]:
    """A file that only its owner may read; it gets its name once it is whole, in the place of another only by force.

    Errors: `FileFault`, OSError.
    """
    check_target(path, folder_of(url))
    if os.path.lexists(path) and not force:
        raise FileFault(to_operator("{path} is there already. Name another file, or say --force.", path=path))
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OURS_ALONE)
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        sync(part)
        if force:
            part.replace(path)
        else:
            give_name(part, path)
        sync(path.parent)
    except BaseException:
        remove(part)
        raise
