"""What a store still needs keys for, read beside a service that runs on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from provisioning.errors import Unavailable
from provisioning.key_use import KINDS as KEYED
from provisioning.key_use import KeyUses, Need
from provisioning.model import Device, Record
from storage.kinds import KINDS
from storage.records import decode
from storage.transfer import Progress, Source, TransferFault, open_source


async def key_uses(url: str, oldest: str, clock: Callable[[], datetime], progress: Progress) -> KeyUses:
    """Every use of a key in one committed state; `oldest` is the key of what names none. Nothing is written.

    Errors: `TransferFault`, `Unavailable` where the store cannot be read.
    """
    uses = KeyUses(oldest)
    async with open_source(url, as_is=True) as source:
        sizes = await source.sizes()
        for kind in KEYED:
            await _look_through(source, kind, uses, clock, partial(progress, KINDS[kind].table), sizes)
    return uses


async def live_codes(url: str, now: datetime) -> Mapping[str, int]:
    """How many live codes each key has; nothing for a store that cannot be read, which is told elsewhere."""
    uses = KeyUses("")
    try:
        async with open_source(url, as_is=True) as source:
            await _look_through(source, Device, uses, lambda: now, lambda _done, _total: None, {})
    except (TransferFault, Unavailable):
        return {}
    return {key: needs[Need.LIVE_CODE].count for key, needs in uses.found.items() if Need.LIVE_CODE in needs}


async def _look_through(
    source: Source,
    kind: type[Record],
    uses: KeyUses,
    clock: Callable[[], datetime],
    progress: Callable[[int, int], None],
    sizes: Mapping[str, int],
) -> None:
    table, done = KINDS[kind].table, 0
    async for chunk in source.rows(table):
        for _number, plain in chunk:
            uses.see(decode(kind, plain), clock())
        done += len(chunk)
        progress(done, sizes.get(table, 0))
