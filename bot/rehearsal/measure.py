"""What a rehearsal writes down while it plays: facts as they are saved, messages that got through, people's minutes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from provisioning.delivery_errors import DeliveryError
from provisioning.events import CodeEnded, DeviceProvisioned, DeviceSignedIn, InstallConfirmed
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change
from provisioning.rehearsals import Slip
from provisioning.service import Provisioning

Told = Callable[[OutboxMessage], None]


@dataclass(slots=True)
class Diary:
    """One technician's minutes."""

    name: str
    made_up: bool
    devices: int = 0
    installed: int = 0
    work: float = 0.0
    walk: float = 0.0
    lost: float = 0.0
    idle: float = 0.0
    done_at: datetime | None = None


@dataclass(slots=True)
class Record:
    """Everything that is counted in one run."""

    diaries: dict[str, Diary] = field(default_factory=dict)
    slips: Counter[Slip] = field(default_factory=Counter)
    minutes: defaultdict[Slip, float] = field(default_factory=lambda: defaultdict(float))
    ended: list[datetime] = field(default_factory=list)  # codes that nobody used
    reached: dict[str, datetime] = field(default_factory=dict)  # MAC → when somebody stood before it first
    provisioned: set[str] = field(default_factory=set)
    installed: dict[str, datetime] = field(default_factory=dict)
    signed_in: set[str] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    edits_asked: int = 0
    edits_sent: int = 0
    edits_over: int = 0
    delays: list[float] = field(default_factory=list)
    undelivered: int = 0

    def slip(self, slip: Slip, minutes: float = 0.0) -> None:
        self.slips[slip] += 1
        self.minutes[slip] += minutes

    def saw(self, change: Change) -> None:
        """A unit that was saved."""
        for event in change.events:
            if isinstance(event, CodeEnded):
                self.ended.append(event.at)
            elif isinstance(event, DeviceProvisioned):
                self.provisioned.add(event.subject)
            elif isinstance(event, InstallConfirmed):
                self.installed.setdefault(event.subject, event.at)
            elif isinstance(event, DeviceSignedIn):
                self.signed_in.add(event.subject)
        self.edits_asked += sum(
            isinstance(put, OutboxMessage) and put.kind is MessageKind.EDIT and not put.version for put in change.puts
        )


class ObservedProvisioning(Provisioning):
    """The use cases as they are; what becomes of messages is written down."""

    record: Record
    hears: Told  # somebody's phone shows it now
    _due: dict[str, datetime]

    def observed_by(self, record: Record, hears: Told) -> None:
        self.record, self.hears, self._due = record, hears, {}

    async def claim(self, *limit: int) -> Sequence[OutboxMessage]:
        messages = await super().claim(*limit)
        for message in messages:
            self._due.setdefault(message.id, message.due_at)
        return messages

    async def sent(self, message: OutboxMessage, *rest: Any, **how: Any) -> None:
        await super().sent(message, *rest, **how)
        due = self._due.pop(message.id, message.due_at)
        self.record.delays.append((self.now() - due).total_seconds())
        self.record.told[message.kind.value] += 1
        self.record.edits_sent += message.kind is MessageKind.EDIT
        self.hears(message)

    async def dropped(self, message: OutboxMessage, *rest: Any, **how: Any) -> None:
        await super().dropped(message, *rest, **how)
        self._due.pop(message.id, None)
        self.record.edits_over += message.kind is MessageKind.EDIT

    async def failed(self, message: OutboxMessage, error: DeliveryError, *rest: Any, **how: Any) -> OutboxMessage:
        fate = await super().failed(message, error, *rest, **how)
        self.record.undelivered += fate.status is MessageStatus.UNDELIVERABLE
        return fate
