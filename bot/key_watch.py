"""The key file is looked at while the service runs: a new key is taken without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from bot.key_file import BadKeyFile, read_key_file
from provisioning.errors import StoreError
from provisioning.texts import _

if TYPE_CHECKING:
    from provisioning.service import Provisioning

log = structlog.get_logger(__name__)

KEY_SECONDS: Final = 2.0  # between two looks at the key file; `rotate-keys` waits for several of them


async def watch_keys(provisioning: Provisioning, path: Path | None, every: float = KEY_SECONDS) -> None:
    """Takes what is in the file as soon as it is another, looking every `every` seconds; without a file, for ever idle.

    A file that cannot be used changes nothing: the keys that are there stay, and the log says so once. So does one
    that leaves out the key which codes are made with now: that is another file, and no rotation. Any other key that
    is gone from the file is gone from here.
    """
    if path is None:
        await asyncio.Event().wait()
        return
    told = ""
    while True:
        await provisioning.clock.sleep(every)
        try:
            taken = provisioning.keys.take(await asyncio.to_thread(read_key_file, path))
        except (BadKeyFile, ValueError) as fault:
            if str(fault) != told:
                log.error("the key file cannot be used, the keys read before stay", file=str(path), reason=str(fault))
            told = str(fault)
            continue
        told = ""
        if taken:
            log.info("the keys of codes were read anew", keys=provisioning.keys.ids)


async def tell_missing_keys(provisioning: Provisioning, every: float = KEY_SECONDS) -> None:
    """After the start, and whenever there are other keys, live codes that cannot be read are counted and told.

    In a large store that takes a while, in which `watch_keys` has to go on looking.
    """
    looked: tuple[str, ...] = ()
    while True:
        if (ids := provisioning.keys.ids) != looked:
            await _tell_missing(provisioning)
            looked = ids
        await provisioning.clock.sleep(every)


async def foreign_keys(provisioning: Provisioning) -> list[str]:
    """Why the service must not start with these keys, in a line; nothing where it may.

    A store that cannot be read now is told of elsewhere.
    """
    try:
        found = await provisioning.foreign_keys()
    except StoreError:
        return []
    return [said_of_foreign(found)] if found else []


def said_of_foreign(ids: Iterable[str]) -> str:
    """Why nothing works with these keys, while there are live codes of the keys with these ids alone."""
    return _(
        "CODE_KEYS, CODE_KEY_FILE: these are other keys than those of the live codes in the store ({ids}), so "
        "every device would be refused. Give the right keys. If they are lost for good, say python app.py restore "
        "--codes-only, which ends those codes.",
        ids=", ".join(sorted(ids)),
    )


async def _tell_missing(provisioning: Provisioning) -> None:
    """Live codes that nobody can use until their key is back."""
    try:
        missing = await provisioning.codes_without_key()
    except StoreError as fault:
        log.warning("whether all codes can be read could not be looked at", reason=str(fault))
        return
    if missing:
        log.error("live codes cannot be read: their keys are missing", codes=missing.total(), keys=sorted(missing))
