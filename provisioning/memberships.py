"""What the directory says of somebody: the roles that groups give them, and how long that counts. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

ASK_EVERY: Final = timedelta(minutes=15)  # of somebody who writes
LOOK_EVERY: Final = timedelta(minutes=30)  # of somebody who has a role by a group and does not write
ASK_AGAIN: Final = timedelta(minutes=1)  # where the directory gave no answer
COUNTS_FOR: Final = timedelta(hours=24)  # without a newer answer; after that the role is gone
AHEAD: Final = timedelta(hours=24)  # a note from further ahead was made by a clock that was wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The last question about somebody, and the last answer. `roles` are values of `Role`."""

    asked_at: datetime
    answered_at: datetime | None = None
    mapping: str = ""  # the configuration that was answered for, see `mapping_of`
    roles: frozenset[str] = frozenset()
    ending: bool = False  # access ended, and not all of their codes and jobs have been given back yet

    def counts(self, now: datetime, mapping: str) -> bool:
        """Whether its roles are theirs now: neither too old, nor an answer about other groups."""
        if self.answered_at is None or self.mapping != mapping:
            return False
        return -AHEAD <= now - self.answered_at <= COUNTS_FOR

    def answers_later_than(self, asked: datetime) -> bool:
        """Whether a question that was asked after that one has its answer already."""
        return self.answered_at is not None and asked < self.asked_at <= self.answered_at

    def due(self, now: datetime, mapping: str, every: timedelta) -> bool:
        """Whether the directory is to be asked anew."""
        answered = self.answered_at is not None and self.answered_at >= self.asked_at and self.mapping == mapping
        return not timedelta() <= now - self.asked_at < (every if answered else min(every, ASK_AGAIN))


def mapping_of(groups: Mapping[str, Iterable[str]]) -> str:
    """A digest of which groups give which roles: what was answered under another mapping does not count."""
    lines = sorted(f"{role}:{group}" for role, ids in groups.items() for group in ids)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] if lines else ""
