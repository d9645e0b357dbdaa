"""What a store still needs keys for, read beside a service that runs on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from provisioning.key_use import KINDS as KEYED
from provisioning.key_use import KeyUses
from storage.kinds import KINDS
from storage.records import decode
from storage.transfer import Progress, open_source


async def key_uses(url: str, oldest: str, clock: Callable[[], datetime], progress: Progress) -> KeyUses:
    """Every use of a key in one committed state; `oldest` is the key of what names none. Nothing is written.

    Errors: `TransferFault`, `Unavailable` where the store cannot be read.
    """
    uses = KeyUses(oldest)
    async with open_source(url) as source:
        sizes = await source.sizes()
        for kind in KEYED:
            table, done = KINDS[kind].table, 0
            async for chunk in source.rows(table):
                for _number, plain in chunk:
                    uses.see(decode(kind, plain), clock())
                done += len(chunk)
                progress(table, done, sizes[table])
    return uses
