"""The copy of the store, and somebody who sees everything that is saved in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from provisioning.model import Change
from provisioning.ports import Store

Witness = Callable[[Change], None]


class WitnessedStore:
    """A `Store` (see `as_store`): but for `save`, all of it is the copy's own."""

    def __init__(self, store: Store, witness: Witness) -> None:
        self._store, self._witness = store, witness

    def as_store(self) -> Store:
        return cast(Store, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save(self, change: Change) -> None:
        await self._store.save(change)
        self._witness(change)
