"""What the labels of metrics may hold: all of it, known beforehand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from provisioning.events import Event
from provisioning.messages import MessageKind
from provisioning.model import State
from provisioning.provider_errors import PROVIDER_ERRORS
from provisioning.signin import Stage
from provisioning.throttle import EXEMPT, FLEET

OTHER: Final = "other"


class Outcome(StrEnum):
    """What became of a message in the outbox."""

    QUEUED = "queued"  # asked for, also where one that says the same waits already and is enough
    TAKEN = "taken"  # its turn came for the first time
    SENT = "sent"
    EDITED = "edited"  # a card that stands in a chat was drawn anew
    RETRIED = "retried"  # did not get through, comes again
    DROPPED = "dropped"  # nothing to say any more when its turn came
    UNDELIVERABLE = "undeliverable"


class Lane(StrEnum):
    """Whose turn a message waits for."""

    CHAT = "chat"
    CHANNEL = "channel"
    CARD = "card"
    WEBHOOK = "webhook"
    BEYOND = "beyond"  # waits behind the rows that were told apart


class Call(StrEnum):
    SEND = "send"
    UPDATE = "update"
    DELETE = "delete"
    OPEN_CHAT = "open_chat"
    MEMBER = "member"
    MEMBERS = "members"


class Origin(StrEnum):
    TURN = "turn"  # an answer to what somebody said or pressed, in the same call
    OUTBOX = "outbox"


class Result(StrEnum):
    OK = "ok"
    THROTTLED = "throttled"  # 429 and 412
    UNREACHABLE = "unreachable"  # 403 and 404
    POST_GONE = "post_gone"
    REJECTED = "rejected"
    TRY_AGAIN = "try_again"  # 5xx, a time-out, a network fault
    OTHER = "other"


class Ways(StrEnum):
    """What a turn began with."""

    MESSAGE = "message"
    PRESS = "press"
    REFRESH = "refresh"
    JOINED = "joined"
    LEFT = "left"
    CONSENT = "consent"
    SEARCH = "search"


class Status(StrEnum):
    """How a request was answered (RFC 9110, 15)."""

    DONE = "2xx"
    ELSEWHERE = "3xx"
    REFUSED = "4xx"
    FAULT = "5xx"
    ABORTED = "aborted"  # whoever asked hung up, or the service ended

    @classmethod
    def of(cls, status: int) -> Status:
        return _STATUSES.get(status // 100, cls.ABORTED)


_STATUSES: Final = {int(each.value[0]): each for each in Status if each is not Status.ABORTED}


class Saved(StrEnum):
    """What became of a unit that was to be saved."""

    OK = "ok"
    CONFLICT = "conflict"  # somebody was faster: the use case runs again
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"  # it holds what no store can keep: whoever sent it is told
    OTHER = "other"


class Heard(StrEnum):
    """What came of a device's MAC and code."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"  # the same call again, answered again
    REFUSED = "refused"
    EXPIRED = "expired"  # the right code, too late
    INVALID = "invalid"  # no MAC or no complete code: costs no try
    RESET_REQUIRED = "reset_required"
    SLOWED_PAIR = "slowed_pair"  # told to wait, by the limit of its MAC and network
    SLOWED_NETWORK = "slowed_network"
    SLOWED_FLEET = "slowed_fleet"
    SLOWED_EXEMPT = "slowed_exempt"  # by the second limit of the fleet
    FAULT = "fault"  # the store was away, or a fault of ours


class Budget(StrEnum):
    """The limits of the whole fleet."""

    FLEET = FLEET.name
    EXEMPT = EXEMPT.name  # of networks that the first one does not concern


# What devices, Teams and operators ask; the pages of local mode are `other`.
POLLED: Final = frozenset({"/api/v1/device", "/api/v1/events"})
ROUTES: Final = frozenset(
    {
        "/api/messages",
        "/api/v1/provision",
        "/api/v1/device/commands/{id}",
        "/api/v1/device/factory-reset",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/version",
        "/metrics",
        *POLLED,
    }
)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BEGUN: Final = "begun"

LABELS: Final[Mapping[str, Collection[str]]] = {
    "kind": frozenset(MessageKind),
    "outcome": frozenset(Outcome),
    "lane": frozenset(Lane),
    "call": frozenset(Call),
    "origin": frozenset(Origin),
    "result": frozenset(Result),
    "trigger": frozenset(Ways),
    "heard": frozenset(Heard),
    "budget": frozenset(Budget),
    "route": ROUTES | {OTHER},
    "poll": POLLED,
    "method": METHODS | {OTHER},
    "status": frozenset(Status),
    "saved": frozenset(Saved),
    "state": frozenset(State),
    "fact": Event.registry.keys(),
    "flow": {BEGUN, *(stage.value for stage in Stage if not stage.live)},
    "stage": frozenset(stage.value for stage in Stage if not stage.live),
    "reason": PROVIDER_ERRORS.keys() | {OTHER},
}
OWN: Final = frozenset({"version", "store", "mode", "process"})  # each has one value, known when the service starts
