"""What of a fact goes out of the house: one CloudEvents 1.0 event, or nothing. Deny by default, one table. Pure.

Whoever gets these events can do no harm with them: no code, no token, no address a device called from, no words that
somebody typed about a person or a problem. A fact without a row here stays inside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from provisioning.events import (
    AccessGranted,
    AccessRevoked,
    AccountChosen,
    AddUndone,
    AttackBegan,
    AttackEnded,
    ChannelConnected,
    ChannelDisconnected,
    ChannelLost,
    CodeDenied,
    CodeEnded,
    CodeIssued,
    CodeLocked,
    CodeRequested,
    CodeRevoked,
    CodeUsed,
    CommandAsked,
    CommandSettled,
    CommandWithdrawn,
    DeviceAdded,
    DeviceAssigned,
    DeviceChanged,
    DeviceHandedOver,
    DeviceMoved,
    DeviceOffline,
    DeviceOnline,
    DeviceProvisioned,
    DeviceRemoved,
    DeviceReplaced,
    DeviceReset,
    DeviceSignedIn,
    DeviceSignedOut,
    DevicesSwapped,
    DeviceStale,
    DeviceTagged,
    DoubtDismissed,
    Event,
    GroupJoined,
    GroupLeft,
    ImportFinished,
    ImportUndone,
    InstallConfirmed,
    PersonUnreachable,
    PhotoKept,
    ProblemAnswered,
    ProblemReported,
    ProblemSolved,
    ResetDoubted,
    ResetOrdered,
    ResetReported,
    RolloutFinished,
    RolloutPaused,
    RolloutPlanned,
    RolloutResumed,
    SignInAsked,
    SignInEnded,
)

PREFIX: Final = "provisioning."  # of every type
MEDIA_TYPE: Final = "application/cloudevents+json"  # CloudEvents 1.0, JSON event format, 3
BATCH_TYPE: Final = "application/cloudevents-batch+json"  # the same, 4

# Of each fact that goes out: its type without the prefix, and the fields that go along beside who did it and when.
PUBLISHED: Final[Mapping[type[Event], tuple[str, tuple[str, ...]]]] = {
    DeviceAdded: ("device.added", ("location",)),  # of an import only its end, see `published`
    AddUndone: ("device.add_undone", ("location",)),
    DeviceAssigned: ("device.assigned", ("technician", "former")),
    DeviceHandedOver: ("device.handed_over", ("technician",)),
    DeviceChanged: ("device.changed", ("columns",)),
    DeviceMoved: ("device.moved", ("before", "after")),
    DeviceRemoved: ("device.removed", ("location",)),
    DeviceReplaced: ("device.replaced", ("former",)),
    DevicesSwapped: ("device.swapped", ("other",)),
    DeviceTagged: ("device.tagged", ("tag", "removed")),
    DeviceProvisioned: ("device.provisioned", ("life",)),
    DeviceReset: ("device.reset", ("life",)),
    ResetOrdered: ("device.reset_ordered", ("life",)),
    ResetReported: ("device.reset_reported", ("life",)),
    ResetDoubted: ("device.reset_doubted", ()),
    DoubtDismissed: ("device.reset_denied", ()),
    AccountChosen: ("device.account_chosen", ("account", "former")),
    DeviceSignedIn: ("device.signed_in", ("account",)),
    DeviceSignedOut: ("device.signed_out", ("account",)),
    DeviceOffline: ("device.offline", ("since",)),
    DeviceOnline: ("device.online", ("since",)),
    DeviceStale: ("device.stale", ("since",)),
    SignInAsked: ("sign_in.asked", ("account", "replaced")),
    SignInEnded: ("sign_in.ended", ("stage", "why")),
    CommandAsked: ("command.asked", ("command", "due_at")),
    CommandSettled: ("command.settled", ("command", "status")),
    CommandWithdrawn: ("command.withdrawn", ("command",)),
    CodeIssued: ("code.issued", ("issue", "expires_at", "voided")),
    CodeRequested: ("code.requested", ()),
    CodeDenied: ("code.denied", ()),
    CodeRevoked: ("code.revoked", ("issue",)),
    CodeUsed: ("code.used", ("issue",)),
    CodeEnded: ("code.ended", ("issue",)),
    CodeLocked: ("code.locked", ("issue", "failures")),
    InstallConfirmed: ("install.confirmed", ("mounting_only", "screen")),
    PhotoKept: ("install.photo_kept", ("life",)),
    ProblemReported: ("problem.reported", ("kind",)),
    ProblemAnswered: ("problem.answered", ("kind",)),
    ProblemSolved: ("problem.solved", ("kind",)),
    ImportFinished: ("import.finished", ("added", "changed")),
    ImportUndone: ("import.undone", ("stayed",)),
    ChannelConnected: ("channel.connected", ("site",)),
    ChannelDisconnected: ("channel.disconnected", ("site",)),
    ChannelLost: ("channel.lost", ("site", "why")),
    RolloutPlanned: ("rollout.planned", ("site", "lead", "lifetime_hours", "planned_start", "planned_end")),
    RolloutPaused: ("rollout.paused", ("site",)),
    RolloutResumed: ("rollout.resumed", ("site",)),
    RolloutFinished: ("rollout.finished", ("site", "total", "provisioned", "installed")),
    AccessGranted: ("access.granted", ("role",)),
    AccessRevoked: ("access.revoked", ("codes", "jobs", "heir")),
    GroupJoined: ("access.group_joined", ("role",)),
    GroupLeft: ("access.group_left", ("role", "unconfirmed", "ended")),
    PersonUnreachable: ("person.unreachable", ()),
    AttackBegan: ("attack.began", ("failures", "networks", "exempt")),
    AttackEnded: ("attack.ended", ("began", "spent")),
}
# A fact of each of these says by `batch` that it holds only once an import is finished: ten thousands in one go.
_OF_IMPORTS: Final = (DeviceAdded,)


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """A fact as others read it. The same fact has the same `id` wherever and whenever it is made."""

    id: str
    type: str
    subject: str
    json: str  # structured mode: the event with all its attributes, one JSON object


def source_of(tenant: str) -> str:
    """Where all our events come from: a URI reference (CloudEvents 1.0, `source`)."""
    return f"/provisioning-bot/{quote(tenant, safe='')}"


def published(event: Event) -> bool:
    """Whether others may read this fact."""
    return type(event) in PUBLISHED and not (isinstance(event, _OF_IMPORTS) and event.batch)


def cloud_event(event: Event, source: str) -> CloudEvent | None:
    """The fact as a CloudEvents 1.0 event; None for one that stays inside.

    Its id is a digest of all that goes out, so that webhook and stream, and every retry and replay, name it alike.
    """
    if not published(event):
        return None
    type_, names = PUBLISHED[type(event)]
    body: dict[str, Any] = {"specversion": "1.0", "source": source, "type": PREFIX + type_, "time": _time(event.at)}
    if event.subject:
        body["subject"] = event.subject
    body["datacontenttype"] = "application/json"
    body["data"] = {"actor": event.actor, **{name: _plain(getattr(event, name)) for name in names}}
    id_ = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]
    text = json.dumps({"id": id_, **body}, ensure_ascii=False, separators=(",", ":"))
    return CloudEvent(id_, PREFIX + type_, event.subject, text)


def _time(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    return list(value) if isinstance(value, tuple) else value
