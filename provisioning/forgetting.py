"""What leads from an object id to a person, and how it is taken out of whatever holds it. Pure.

The id itself stays: it is the pseudonym (Regulation (EU) 2016/679, article 4 (5)) under which facts go on telling who
did what. What would turn it into a person again, a name, a UPN, an address in Teams, gives way to its first four signs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from provisioning.batches import Batch
from provisioning.model import Person

T = TypeVar("T")

KIND = "forget"  # of the batch that holds what is to be erased, until it is
SHOWN = 4  # signs of an id that stand for the person
# Names of places, and what finds a record again: a room that is called after somebody is for an admin to rename.
_LEFT_AS_THEY_ARE = frozenset(
    {"mac", "id", "device", "location", "site", "sites", "tag", "tags", "channel", "key", "pieces", "operation"}
)


@dataclass(frozen=True)
class Trace:
    """What a person left: their id, and the words that lead to them."""

    id: str
    name: str
    upn: str
    teams_id: str
    chat: str  # conversation id

    @classmethod
    def of(cls, person: Person) -> Trace:
        return cls(person.id, person.name, person.upn, person.teams_id, person.chat.id if person.chat else "")

    @classmethod
    def in_batch(cls, batch: Batch) -> Trace:
        return cls(batch.technician, *batch.kept)

    @property
    def kept(self) -> tuple[str, ...]:
        """As a batch keeps it."""
        return self.name, self.upn, self.teams_id, self.chat

    @property
    def pseudonym(self) -> str:
        """How facts go on calling them: by their id, but for the one of a grant that waited for a UPN."""
        return self.without(self.id)

    @property
    def mark(self) -> str:
        """What stands in the place of a name."""
        return f"{self.id.removeprefix('upn:')[:SHOWN]}…" if "@" not in self.id else "…"

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        """A name of one word is found where it stands alone: it may be a word of something else as well."""
        parts = {self.upn, self.teams_id, self.chat, self.name if " " in self.name.strip() else ""} - {""}
        if not parts:
            return None
        longest_first = sorted(parts, key=lambda part: (-len(part), part))
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)

    def without(self, text: str) -> str:
        """The text without what leads to this person."""
        if self.name and text.strip().casefold() == self.name.strip().casefold():
            return self.mark
        return self._words.sub(self.mark, text) if self._words else text

    def scrubbed(self, value: T) -> T:
        """A record, or a part of one, without it; the same object where nothing of it changes."""
        found = self._scrub(value)
        return value if found == value else found

    def _scrub(self, value: Any) -> Any:
        if type(value) is str:  # no member of an enumeration
            return self.without(value)
        if isinstance(value, tuple):
            return tuple(map(self._scrub, value))
        if is_dataclass(value) and not isinstance(value, type):
            changed = self._changed(value)
            return replace(value, **changed) if changed else value
        return value

    def _changed(self, record: Any) -> Mapping[str, Any]:
        found = dict[str, Any]()
        for each in fields(record):
            if each.name not in _LEFT_AS_THEY_ARE:
                value = getattr(record, each.name)
                if (said := self._scrub(value)) != value:
                    found[each.name] = said
        return found
