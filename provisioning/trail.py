"""The audit as it is kept, row by row: for whoever holds it against its chain, or takes it away as evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provisioning.bookkeeping import Segment


@dataclass(frozen=True, slots=True)
class KeptFact:
    """One row of the audit. `plain` is its document, None where that cannot be read as it was written.

    `digest` is what stands beside it: SHA-256 of the document as the fact was told, hex.
    """

    number: int
    plain: Mapping[str, Any] | None
    digest: str


@dataclass(frozen=True, slots=True)
class KeptSegment:
    """A row of the chain; `segment` is None where it cannot be read as it was written."""

    row: int
    segment: Segment | None


class Trail(Protocol):
    """One committed state of an audit, held still from entering to leaving, whatever is written meanwhile.

    Errors: a fault of the store as one line for the operator.
    """

    async def __aenter__(self) -> Trail: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def sizes(self) -> Mapping[str, int]:
        """How many rows each table has, `audit` among them."""
        ...

    def rows(self, table: str) -> AsyncIterator[Sequence[tuple[int, dict[str, Any]]]]:
        """The documents of a table of records, by their numbers."""
        ...

    async def segments(self) -> Sequence[KeptSegment]:
        """The chain, in its order."""
        ...

    def facts(self) -> AsyncIterator[Sequence[KeptFact]]:
        """The audit's rows in order of their numbers, some at a time."""
        ...
