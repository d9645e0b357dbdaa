"""The audit as a chain of segments: what a row's digest and a segment's head are made of, in every store.

A chain over single rows would make every write wait for the one before it; so rows are committed with a digest of
their own, and one sealer chains those that are committed, segment by segment, afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from provisioning.bookkeeping import Segment
from provisioning.texts import to_operator
from storage.records import Plain, from_micros, micros

Words = Callable[[str], str]

_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_BEFORE_THE_FIRST = "0" * 64
BEFORE_ALL = -(2**62)  # below the number of any row, also of one that somebody else numbered
_BEHIND_ALL = 2**62
_FIXED = {"event", "at", "original"}  # what a fact is and when it happened
ORIGINAL = "original"  # of a fact that was redacted: the digest of what it said when it was told


def digest(plain: Mapping[str, Any]) -> str:
    """What the chain binds of an audit row: `own_digest` of it as it was told, also where it was redacted since.

    The row's number is no part of it, so that a move to another store leaves every digest as it is.
    """
    return str(plain[ORIGINAL]) if ORIGINAL in plain else own_digest(plain)


def own_digest(plain: Mapping[str, Any]) -> str:
    """SHA-256 of a document as it stands, in canonical form (sorted keys, no spaces, UTF-8), hex."""
    return hashlib.sha256(_CANONICAL.encode(plain).encode()).hexdigest()


def redacted(plain: Mapping[str, Any], words: Words) -> Plain | None:
    """The document with each of its texts as `words` says it, and the digest of what it said when it was told.

    None where nothing of it changes.
    """
    said = {name: value if name in _FIXED else _through(value, words) for name, value in plain.items()}
    return None if said == plain else {**said, ORIGINAL: digest(plain)}


def _through(value: Any, words: Words) -> Any:
    if isinstance(value, str):
        return words(value)
    return [_through(each, words) for each in value] if isinstance(value, list) else value


def named(number: int, plain: Mapping[str, Any]) -> str:
    """How `FactsRedacted` names a row and what it says since."""
    return f"{number}:{own_digest(plain)}"


def head(former: str, segment: Segment, digests: Iterable[str]) -> str:
    """SHA-256 over the head before ("" for the first segment), what the segment says of itself, and the digests of its
    rows, in their order; hex.

    Not over `dropped_at`, which comes later, nor over `head` and `version`.
    """
    own = (segment.number, segment.first, segment.last, segment.count)
    times = (micros(segment.newest), micros(segment.sealed_at))
    chain = hashlib.sha256(f"{former or _BEFORE_THE_FIRST} {' '.join(map(str, own + times))}\n".encode())
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
    """The segment that these rows, in order of their numbers, make behind the former one.

    A fact that claims to be from the future counts as one from now: else it would be kept, and with it all behind it,
    until that future has come. ValueError for a time without a zone.
    """
    micros(now)
    segment = Segment(
        number=former.number + 1 if former else 1,
        first=rows[0].sequence,
        last=rows[-1].sequence,
        count=len(rows),
        newest=min(from_micros(max(row.at for row in rows)), now),
        head="",
        sealed_at=now,
    )
    return replace(segment, head=head(former.head if former else "", segment, (row.digest for row in rows)))


def without_rows(segment: Segment, before: datetime, now: datetime) -> Segment | None:
    """What stays of a segment whose facts are all from before `before`; None for one that is kept.

    Nothing is dropped before it was sealed, even where the clock was put back in between. ValueError for a time
    without a zone.
    """
    micros(before), micros(now)
    return replace(segment, dropped_at=max(now, segment.sealed_at)) if segment.newest < before else None


def bounded(after: int) -> int:
    """A number that a reader gave, as one that every store can compare with."""
    return min(max(after, BEFORE_ALL), _BEHIND_ALL)


class Chain:
    """Walks the segments in their order and says what is wrong with the rows of each."""

    def __init__(self) -> None:
        self._head, self._number = "", 0
        self._kept = False  # one was passed that has its rows
        self.last = BEFORE_ALL  # number of the last row seen

    def fault(self, segment: Segment, digests: Sequence[str]) -> str | None:
        """For the operator; None where all is well.

        `digests` are those of the rows after `last` up to the segment's last one, so that a row put in between two
        segments, or before the first, is found as well.
        """
        former, number, last = self._head, self._number + 1, self.last
        kept, self._kept = self._kept, self._kept or not segment.dropped
        self._head, self._number, self.last = segment.head, segment.number, segment.last
        if segment.number != number:
            return to_operator("segment {number} of the audit is missing", number=number)
        if not last < segment.first <= segment.last or not 0 < segment.count <= segment.last - segment.first + 1:
            return to_operator("segment {number} of the audit was changed", number=number)
        if segment.dropped_at is None:
            well = len(digests) == segment.count and head(former, segment, digests) == segment.head
        elif kept or segment.dropped_at < segment.sealed_at:
            return to_operator("segment {number} of the audit was dropped out of turn", number=number)
        else:
            well = not digests
        if well:
            return None
        return to_operator("rows of segment {number} of the audit were changed, added or taken away", number=number)
