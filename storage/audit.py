"""The audit as a chain of segments: what a row's digest and a segment's head are made of, in every store.

A chain over single rows would make every write wait for the one before it; so rows are committed with a digest of
their own, and one sealer chains those that are committed, segment by segment, afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning.bookkeeping import Segment
from provisioning.texts import to_operator
from storage.records import Plain, from_micros

_BEFORE_THE_FIRST = "0" * 64


def digest(plain: Plain) -> str:
    """SHA-256 of an audit row in canonical form (sorted keys, no spaces, UTF-8), hex.

    The row's number is no part of it, so that a move to another store leaves every digest as it is.
    """
    canonical = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def head(former: str, digests: Iterable[str]) -> str:
    """SHA-256 over the head before ("" for the first segment) and the digests of the rows, in their order; hex."""
    chain = hashlib.sha256((former or _BEFORE_THE_FIRST).encode())
    for each in digests:
        chain.update(each.encode())
    return chain.hexdigest()


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An audit row that stands in no segment yet."""

    sequence: int
    at: int  # microseconds
    digest: str


def next_segment(former: Segment | None, rows: Sequence[Unsealed], now: datetime) -> Segment:
    """The segment that these rows, in order of their numbers, make behind the former one."""
    return Segment(
        number=former.number + 1 if former else 1,
        first=rows[0].sequence,
        last=rows[-1].sequence,
        count=len(rows),
        newest=from_micros(max(row.at for row in rows)),
        head=head(former.head if former else "", (row.digest for row in rows)),
        sealed_at=now,
    )


class Chain:
    """Walks the segments in their order and says what is wrong with the rows of each."""

    def __init__(self) -> None:
        self._head, self._number = "", 0
        self.last = 0  # number of the last row seen

    def fault(self, segment: Segment, digests: Sequence[str]) -> str | None:
        """For the operator; None where all is well.

        `digests` are those of the rows after `last` up to the segment's last one, so that a row put in between two
        segments is found as well.
        """
        former, number = self._head, self._number + 1
        self._head, self._number, self.last = segment.head, segment.number, segment.last
        if segment.number != number:
            return to_operator("segment {number} of the audit is missing", number=number)
        if segment.dropped and not digests:
            return None
        if len(digests) == segment.count and head(former, digests) == segment.head:
            return None
        return to_operator("rows of segment {number} of the audit were changed, added or taken away", number=number)
