"""The audit held against its chain, fact by fact: what `audit verify` finds, and how the chain stands."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioning.bookkeeping import Segment
from provisioning.texts import N_, to_operator
from provisioning.trail import KeptFact, KeptSegment
from storage.audit import ORIGINAL, Chain, own_digest

REDACTED = "FactsRedacted"  # the fact that names what redacted facts say since; see provisioning/events/people.py
_NAMED = re.compile(r"(-?\d{1,19}):([0-9a-f]{64})")
_ROWS = N_("{fault}: rows {first} to {last}, {found} of {count} are there")


@dataclass(slots=True)
class Standing:
    """How a chain stands, once everything was seen."""

    dropped: list[Segment] = field(default_factory=list)  # by retention: only what they were sealed with is left
    kept: list[Segment] = field(default_factory=list)
    unsealed: int = 0  # rows behind the last segment
    redacted: int = 0
    since: str = ""  # when the first fact that is there happened, as it says itself (ISO 8601)
    until: str = ""

    @property
    def newest(self) -> Segment | None:
        """The segment whose head is worth noting."""
        segments = self.kept or self.dropped
        return segments[-1] if segments else None


class Tracing:
    """Holds each fact against its digest, each segment against its head, and noted heads against all of them.

    A fault is one line for the operator that names segment and rows. Facts come in order of their numbers; what is
    remembered of them is one segment's digests, and what was redacted.
    """

    def __init__(self, segments: Sequence[KeptSegment], noted: Sequence[str] = ()) -> None:
        self.standing = Standing()
        self._rows, self._noted = segments, noted
        self._waiting = deque(each.segment for each in segments if each.segment)
        self._heads = {each.segment.head for each in segments if each.segment}
        self._chain = Chain()
        self._digests: list[str] = []
        self._redacted: dict[int, str] = {}  # number → digest of what it says now
        self._vouched: dict[int, str] = {}  # the same as a later fact says it

    def begin(self) -> Iterator[str]:
        """Segments that cannot be read, and heads that were noted elsewhere and are gone."""
        for each in self._rows:
            if each.segment is None:
                yield to_operator('row {row} of "{table}" is no document of its kind', row=each.row, table="segments")
        for head in self._noted:
            if head.casefold() not in self._heads:
                yield to_operator(
                    "the noted head {head} stands in no segment: the chain was cut off behind it, or written anew",
                    head=head,
                )

    def see(self, facts: Iterable[KeptFact]) -> Iterator[str]:
        for fact in facts:
            while self._waiting and fact.number > self._waiting[0].last:
                yield from self._close(self._waiting.popleft())
            if self._waiting:
                self._digests.append(fact.digest)
            else:
                self.standing.unsealed += 1
            yield from self._look_at(fact)

    def end(self) -> Iterator[str]:
        while self._waiting:
            yield from self._close(self._waiting.popleft())
        self.standing.redacted = len(self._redacted)
        for number, own in self._redacted.items():
            if self._vouched.get(number) != own:
                yield to_operator("row {row} of the audit was redacted, and no fact behind it says so", row=number)

    def _look_at(self, fact: KeptFact) -> Iterator[str]:
        plain = fact.plain
        own = own_digest(plain) if plain is not None else ""
        if plain is None or plain.get(ORIGINAL, own) != fact.digest:
            where = (
                to_operator("segment {number}", number=self._waiting[0].number)
                if self._waiting
                else to_operator("no segment yet")
            )
            yield to_operator("row {row} of the audit ({where}) was changed", row=fact.number, where=where)
            return
        if ORIGINAL in plain:
            self._redacted[fact.number] = own
        if plain.get("event") == REDACTED:
            self._vouched |= _named_in(plain, fact.number)
        at = str(plain.get("at", ""))
        self.standing.since, self.standing.until = self.standing.since or at, at

    def _close(self, segment: Segment) -> Iterator[str]:
        digests, self._digests = self._digests, []
        (self.standing.dropped if segment.dropped else self.standing.kept).append(segment)
        if fault := self._chain.fault(segment, digests):
            yield to_operator(
                _ROWS, fault=fault, first=segment.first, last=segment.last, found=len(digests), count=segment.count
            )


def _named_in(plain: Mapping[str, Any], behind: int) -> dict[int, str]:
    """What a fact says that earlier ones say now; of later ones it can say nothing."""
    rows = plain.get("rows")
    named = (_NAMED.fullmatch(str(each)) for each in (rows if isinstance(rows, list) else ()))
    return {int(each[1]): each[2] for each in named if each and int(each[1]) < behind}
