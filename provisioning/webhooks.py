"""Webhooks: which event goes where, how it is signed, and what becomes of one that was not taken. Pure."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from provisioning import notifications
from provisioning.cloudevents import CloudEvent
from provisioning.delivery_errors import DeliveryError, Rejected, Throttled, TryAgain
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.texts import N_, _

GIVE_UP_AFTER: Final = timedelta(hours=24)
REPLAYED: Final = "replayed"  # the parameter that says when an event was sent again on an admin's word
_LANE: Final = "hook:"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go, as the file of endpoints says.

    `secrets` are keys of HMAC-SHA256, the newest first; while one is rotated each of them signs.
    """

    name: str
    url: str = field(repr=False)  # some carry a token in their path
    secrets: tuple[bytes, ...] = field(repr=False)
    types: tuple[str, ...] = ()  # types, or the beginnings of some up to a dot; none: all

    @property
    def host(self) -> str:
        """All of its address that anybody gets to see."""
        return urlsplit(self.url).netloc

    def wants(self, type_: str) -> bool:
        return not self.types or any(type_ == wanted or type_.startswith(f"{wanted}.") for wanted in self.types)


def lane_of(name: str, status: MessageStatus = MessageStatus.OUTGOING) -> str:
    """One lane for each endpoint: its events go out in order, and a dead one delays nothing else.

    What is settled leaves it for a lane of its own, so that finding the next event costs the same after millions.
    """
    return f"{_LANE}{name}" if status is MessageStatus.OUTGOING else f"{_LANE}{name}:{status}"


def name_of(message: OutboxMessage) -> str:
    """The endpoint an event goes to."""
    return message.recipient.removeprefix(_LANE)


def settled(message: OutboxMessage, status: MessageStatus, now: datetime) -> OutboxMessage:
    return replace(notifications.settled(message, status, now), lane=lane_of(name_of(message), status))


def deliveries(events: Sequence[CloudEvent], endpoints: Sequence[Endpoint], now: datetime) -> tuple[OutboxMessage, ...]:
    """One message for each endpoint and event it wants."""
    return tuple(
        OutboxMessage(
            kind=MessageKind.WEBHOOK,
            recipient=lane_of(endpoint.name),
            subject=event.subject,
            lane=lane_of(endpoint.name),
            created_at=now,
            due_at=now,
            status=MessageStatus.OUTGOING,
            params=(("body", event.json), ("event", event.id), ("type", event.type)),
        )
        for event in events
        for endpoint in endpoints
        if endpoint.wants(event.type)
    )


def signed(id_: str, body: bytes, secrets: Sequence[bytes], now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks (spec 1.0): id, seconds since 1970, and a signature over both and the body.

    The moment is that of this attempt, so that a receiver can refuse what was recorded and is sent again much later.
    """
    seconds = str(int(now.timestamp()))
    content = b".".join((id_.encode(), seconds.encode(), body))
    macs = (b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": id_,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }


# ------------------------------------------------------------------ what was not taken

REDIRECTED, GONE, OFF, NOT_TAKEN, SHUT_OUT = "redirected", "gone", "off", "not_taken", "shut_out"
BUSY, FAULTY, ANSWERED, SLOW, NO_CONNECTION = "busy", "faulty", "answered", "slow", "no_connection"
UNTRUSTED, BROKEN, UNKNOWN = "untrusted", "broken", "unknown_endpoint"
FINAL: Final = frozenset({GONE, OFF, NOT_TAKEN, UNKNOWN})  # trying again would not help

FAILURES: Final[Mapping[str, str]] = {
    REDIRECTED: N_("answered {status}: redirects are not followed, so its address has to be corrected"),
    GONE: N_("answered {status}: it is gone, and nothing is sent to it until you say so"),
    OFF: N_("not sent: it had answered that it is gone"),
    NOT_TAKEN: N_("answered {status}: it does not take this event"),
    SHUT_OUT: N_("answered {status}: it does not let us in, or is not at this address"),
    BUSY: N_("answered {status}: it asks for patience"),
    FAULTY: N_("answered {status}: something is wrong on its side"),
    ANSWERED: N_("answered {status}, which says neither yes nor no"),
    SLOW: N_("did not answer in time"),
    NO_CONNECTION: N_("no connection could be made"),
    UNTRUSTED: N_("its certificate is not trusted"),
    BROKEN: N_("the connection broke off before it answered"),
    UNKNOWN: N_("is not in the file of endpoints any more"),
}
_BY_STATUS: Final[Mapping[int, str]] = {
    410: GONE,
    **dict.fromkeys((400, 413, 415, 422), NOT_TAKEN),
    **dict.fromkeys((401, 403, 404, 405), SHUT_OUT),
    **dict.fromkeys((408, 425, 429, 503), BUSY),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an endpoint did not take an event; `retry_after` in seconds, where it asked for a pause."""

    why: str
    status: int = 0
    retry_after: float | None = None

    @classmethod
    def of(cls, status: int, retry_after: float | None = None) -> Failure:
        """What a status that is not 2xx means."""
        by_class = {3: REDIRECTED, 5: FAULTY}
        return cls(_BY_STATUS.get(status, by_class.get(status // 100, ANSWERED)), status, retry_after)

    @property
    def word(self) -> str:
        """As it is kept with the message."""
        return f"{self.why} {self.status}" if self.status else self.why

    @property
    def final(self) -> bool:
        return self.why in FINAL

    @property
    def error(self) -> DeliveryError:
        if self.final:
            return Rejected()
        return Throttled(self.retry_after) if self.retry_after is not None else TryAgain()


def failure_words(word: str) -> str:
    """A failure as people read it: `answered 500: something is wrong on its side`."""
    why, _blank, status = word.partition(" ")
    return _(FAILURES[why], status=status) if why in FAILURES else word


def after_failure(message: OutboxMessage, failure: Failure, now: datetime, jitter: float) -> OutboxMessage:
    """Again after the pause it asked for, or a doubling one of at most five minutes; after 24 h it is a dead letter."""
    over = now - message.created_at > GIVE_UP_AFTER
    fate = notifications.after_failure(message, Rejected() if over else failure.error, now, jitter)
    return replace(fate, failure=failure.word, lane=lane_of(name_of(message), fate.status))


def again(message: OutboxMessage, now: datetime) -> OutboxMessage:
    """A dead letter on its way again, with the id it had: whoever got it after all knows it."""
    kept = tuple((name, value) for name, value in message.params if name != REPLAYED)
    return replace(
        message,
        status=MessageStatus.OUTGOING,
        lane=lane_of(name_of(message)),
        created_at=now,
        due_at=now,
        attempts=0,
        failure="",
        settled_at=None,
        leased_until=None,
        params=(*kept, (REPLAYED, now.isoformat())),
    )


def asked_again_at(message: OutboxMessage) -> datetime | None:
    """When an admin had it sent again."""
    moment = dict(message.params).get(REPLAYED)
    return datetime.fromisoformat(moment) if moment else None
