"""A rollout: a site, a tag or everything in motion, followed by one channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.conversations import Conversation
from provisioning.telling import EVERYTHING_TOLD, Telling


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A site or a tag in motion, followed by one channel; the channel's conversation id is its key."""

    channel: Conversation
    site: str  # with no tag either: follows every site
    connected_by: str
    connected_by_name: str
    started_at: datetime
    reached: tuple[int, ...] = ()  # milestones already told, in per cent
    tag: str = ""  # followed instead of a site
    on_site: bool = False  # its codes start on site: made when a technician stands before the device
    lead: str = ""  # person id: is mentioned where nobody else is named
    technicians: tuple[str, ...] = ()  # person ids: who does the work unless a device says otherwise
    lifetime_hours: int = 0  # of its codes; 0: the deployment's
    planned_start: datetime | None = None
    planned_end: datetime | None = None
    paused_at: datetime | None = None  # nobody is pushed and no code starts on site until it goes on
    reminded_at: datetime | None = None  # whoever has open devices there was written to
    finished_at: datetime | None = None  # the card stands as it was then
    lost: str = ""  # why the channel cannot be written to any more: the code of a delivery error
    telling: Telling = EVERYTHING_TOLD  # what the channel wants to hear about, and when
    digested_on: str = ""  # the day, on its calendar, whose digest was looked at last (ISO 8601)
    version: int = 0

    @property
    def key(self) -> str:
        return self.channel.id

    @property
    def paused(self) -> bool:
        return self.paused_at is not None

    @property
    def finished(self) -> bool:
        return self.finished_at is not None

    @property
    def scope(self) -> str:
        return f"#{self.tag}" if self.tag else self.site  # as it is said
