"""Facts about what a person or a channel (the subject) wants to hear."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesMuted(Event):
    topic: str  # or `everything`
    until: datetime | None  # None: until they are unmuted


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesUnmuted(Event):
    topic: str  # or `everything`


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingChosen(Event):
    """All of it at once, as it stands since; the words are those that are typed."""

    muted: tuple[str, ...]
    digest: str
    quiet: str
