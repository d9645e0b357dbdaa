"""Who is told what: facts and an audience become outbox messages; and when a failed delivery is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import Protocol

from provisioning.commands import CommandName
from provisioning.delivery_errors import DeliveryError, Rejected, Throttled, TryAgain, Unreachable
from provisioning.events import (
    AccessAsked,
    AccessGranted,
    AccountChosen,
    AttackBegan,
    AttackEnded,
    ChannelLost,
    CodeDenied,
    CodeIssued,
    CodeLocked,
    CodeReceived,
    CommandSettled,
    DeviceAssigned,
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
    Event,
    GroupLeft,
    InstallConfirmed,
    NetworkAllowed,
    NetworkDenied,
    PersonUnreachable,
    PhotoKept,
    PhotoSkipped,
    ProblemAnswered,
    ProblemReported,
    ProblemSolved,
    ResetDoubted,
    ResetOrdered,
    SignInAsked,
    SignInEnded,
    StrayAsked,
)
from provisioning.making import changed
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.onsite import CodeRequest
from provisioning.rollouts import Rollout

GRAVE = frozenset({"wrong_account", "account_elsewhere", "token_untrusted"})  # ends of a sign-in that are told
PACE = timedelta(seconds=30)  # a living card in a channel is edited at most this often
LONGEST_PAUSE = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=48)
KEPT_TRIES = 10  # of a message; the latest ones
# Cards that stand in chats and change with many devices or calls: the subject of their posts.
QUEUE, OFFLINE, ATTACK = "sign-ins", "offline", "attack"
BOARDS: Mapping[type[Event], str] = {
    DeviceProvisioned: QUEUE,
    SignInAsked: QUEUE,
    SignInEnded: QUEUE,
    DeviceSignedIn: QUEUE,
    DeviceSignedOut: QUEUE,
    AccountChosen: QUEUE,
    DeviceReset: QUEUE,
    ResetOrdered: QUEUE,
    DeviceRemoved: QUEUE,
    DeviceMoved: QUEUE,
    DeviceOffline: OFFLINE,
    DeviceOnline: OFFLINE,
    AttackBegan: ATTACK,
    AttackEnded: ATTACK,
    NetworkAllowed: ATTACK,
    NetworkDenied: ATTACK,
}
# What is told of many devices at once waits a little, on a lane of its own, so that it comes once.
GATHERED: Mapping[MessageKind, timedelta] = {
    MessageKind.SIGN_INS_WAITING: timedelta(seconds=30),
    MessageKind.DEVICES_OFFLINE: timedelta(seconds=30),
    MessageKind.DEVICES_STALE: timedelta(seconds=30),
}
QUIET_LANE = "quiet:{person}:{kind}"


@dataclass(frozen=True)
class Audience:
    """Everybody whom the facts of one unit may concern, loaded beforehand."""

    admins: tuple[str, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    posts: tuple[Post, ...] = ()  # cards to draw anew
    sites: Mapping[str, str] = field(default_factory=dict)  # MAC → case-folded site
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)  # MAC → case-folded tags
    technicians: Mapping[str, str] = field(default_factory=dict)  # MAC → person id
    pressed: str = ""  # key of the post that is being answered

    def channels(self, mac: str) -> Iterator[Rollout]:
        """Those that follow it and can be written to."""
        site = self.sites.get(mac)
        return iter(()) if site is None else self._reached.of(site, self.tags.get(mac, frozenset()))

    @cached_property
    def _reached(self) -> Followers:
        return Followers(rollout for rollout in self.rollouts if not rollout.lost)


class Scope(Protocol):
    """A site, a tag, or (both empty) everything."""

    @property
    def site(self) -> str: ...

    @property
    def tag(self) -> str: ...


def follows(scope: Scope, site: str, tags: Collection[str]) -> bool:
    """Whether a device of this site with these tags (both case-folded) belongs there."""
    return scope.tag.casefold() in tags if scope.tag else scope.site.casefold() in ("", site)


class Followers:
    """Rollouts by what they follow. From the second device on that is quicker than to ask each of forty."""

    def __init__(self, rollouts: Iterable[Rollout]) -> None:
        self._by_scope: dict[tuple[str, str], list[Rollout]] = {}
        for rollout in rollouts:
            self._by_scope.setdefault(_scope(rollout), []).append(rollout)

    def of(self, site: str, tags: Collection[str]) -> Iterator[Rollout]:
        """Those that `follows` names for a device of this site with these tags, the narrowest last."""
        return chain.from_iterable(self._by_scope.get(scope, ()) for scope in _scopes(site, tags))


def _scope(scope: Scope) -> tuple[str, str]:
    """Its tag, or its site where it has none, case-folded."""
    return (scope.tag.casefold(), "") if scope.tag else ("", scope.site.casefold())


def _scopes(site: str, tags: Collection[str]) -> Collection[tuple[str, str]]:
    """All that a device belongs to, each once: the narrowest last."""
    return dict.fromkeys((("", ""), ("", site), *((tag, "") for tag in sorted(tags))))


def folded(tags: Collection[str]) -> frozenset[str]:
    """Tags as they are compared."""
    return frozenset(tag.casefold() for tag in tags)


def _to_admins(event: Event, audience: Audience) -> Iterator[str]:
    return iter(admin for admin in audience.admins if admin != event.actor)


def _to_admins_of_another_room(event: Event, audience: Audience) -> Iterator[str]:
    """Whoever keeps the list is told where it is wrong."""
    return _to_admins(event, audience) if isinstance(event, InstallConfirmed) and event.room else iter(())


def _to_admins_of_an_end(event: Event, audience: Audience) -> Iterator[str]:
    """Whose last role went with a group: what they had in hand is nobody's now."""
    ended = isinstance(event, GroupLeft) and event.ended
    return (admin for admin in audience.admins if ended and admin != event.subject)


def _to_subject(event: Event, audience: Audience) -> Iterator[str]:
    return iter((event.subject,))


def _to_technician(event: Event, audience: Audience) -> Iterator[str]:
    """Whoever holds the device, unless they did it themselves."""
    technician = audience.technicians.get(event.subject, "")
    return iter((technician,) if technician and technician != event.actor else ())


def _to_surprised(event: Event, audience: Audience) -> Iterator[str]:
    """Whoever holds the device and did not ask for its code."""
    return (reader for reader in _to_technician(event, audience) if reader != getattr(event, "asked_by", ""))


def _to_whoever_waits(event: Event, audience: Audience) -> Iterator[str]:
    """Whoever holds the device and asked for its code."""
    return (reader for reader in _to_technician(event, audience) if reader == getattr(event, "asked_by", ""))


def _to_actor(event: Event, audience: Audience) -> Iterator[str]:
    return iter((event.actor,))


def _to_channels(event: Event, audience: Audience) -> Iterator[str]:
    return (rollout.key for rollout in audience.channels(event.subject))


def _to_whoever_asked(event: Event, audience: Audience) -> Iterator[str]:
    """Where it took so long, or went so wrong, that a changed card is not enough; and whoever waits for a note."""
    if not isinstance(event, CommandSettled) or event.status not in ("done", "failed"):
        return iter(())
    worth_it = event.late or event.status == "failed" or event.command == CommandName.DIAGNOSTICS
    return iter((event.asked_by,) if worth_it and event.asked_by in audience.admins else ())


def _to_whoever_was_refused(event: Event, audience: Audience) -> Iterator[str]:
    """A wrong account, or a token that cannot be trusted, is more than a card that changed."""
    grave = isinstance(event, SignInEnded) and event.why in GRAVE
    return iter((event.asked_by,) if isinstance(event, SignInEnded) and grave else ())


def _to_holder_or_admins(event: Event, audience: Audience) -> Iterator[str]:
    """Its technician, who may stand in front of it; else the admins."""
    technician = event.technician if isinstance(event, ResetDoubted) else ""
    return iter((technician,) if technician else audience.admins)


def _to_actor_unless_photo(event: Event, audience: Audience) -> Iterator[str]:
    """The next device waits for the photo that follows: one thing at a time."""
    follows = isinstance(event, InstallConfirmed) and event.photo
    had_it = isinstance(event, PhotoKept) and not event.awaited
    return iter(() if follows or had_it else (event.actor,))


Readers = Callable[[Event, Audience], Iterator[str]]

TOLD: Mapping[type[Event], tuple[tuple[MessageKind, Readers], ...]] = {
    AccessAsked: ((MessageKind.ACCESS_ASKED, _to_admins),),
    AccessGranted: ((MessageKind.ACCESS_GRANTED, _to_subject),),
    CodeIssued: ((MessageKind.NEW_JOBS, _to_surprised), (MessageKind.CODE_ANSWERED, _to_whoever_waits)),
    CodeReceived: ((MessageKind.NEW_JOBS, _to_technician),),
    DeviceAssigned: ((MessageKind.NEW_JOBS, _to_technician),),
    DeviceHandedOver: ((MessageKind.NEW_JOBS, _to_technician),),
    DeviceReplaced: ((MessageKind.NEW_JOBS, _to_technician),),
    DevicesSwapped: ((MessageKind.NEW_JOBS, _to_technician),),
    CodeDenied: ((MessageKind.CODE_ANSWERED, _to_technician),),
    CodeLocked: ((MessageKind.CODE_LOCKED, _to_admins),),
    StrayAsked: ((MessageKind.STRAY_ASKED, _to_admins),),
    DeviceProvisioned: ((MessageKind.SIGN_INS_WAITING, _to_admins),),
    SignInEnded: ((MessageKind.SIGN_IN_REFUSED, _to_whoever_was_refused),),
    CommandSettled: ((MessageKind.COMMAND_SETTLED, _to_whoever_asked),),
    ResetDoubted: ((MessageKind.RESET_DOUBTED, _to_holder_or_admins),),
    DeviceOffline: ((MessageKind.DEVICES_OFFLINE, _to_admins), (MessageKind.DEVICES_OFFLINE, _to_channels)),
    DeviceStale: ((MessageKind.DEVICES_STALE, _to_admins),),
    AttackBegan: ((MessageKind.ATTACK, _to_admins),),
    AttackEnded: ((MessageKind.ATTACK_OVER, _to_admins),),
    GroupLeft: ((MessageKind.LEFT_GROUP, _to_admins_of_an_end),),
    PersonUnreachable: ((MessageKind.UNREACHABLE, _to_admins),),
    ChannelLost: ((MessageKind.CHANNEL_LOST, _to_admins),),
    ProblemReported: (
        (MessageKind.PROBLEM_REPORTED, _to_admins),
        (MessageKind.PROBLEM_REPORTED, _to_channels),
        (MessageKind.NEXT_DEVICE, _to_actor),
    ),
    ProblemAnswered: ((MessageKind.PROBLEM_ANSWERED, _to_technician),),
    ProblemSolved: ((MessageKind.NEW_JOBS, _to_technician),),
    InstallConfirmed: (
        (MessageKind.NEXT_DEVICE, _to_actor_unless_photo),
        (MessageKind.ROOM_DIFFERS, _to_admins_of_another_room),
    ),
    PhotoKept: ((MessageKind.NEXT_DEVICE, _to_actor_unless_photo),),
    PhotoSkipped: ((MessageKind.NEXT_DEVICE, _to_actor),),
}


def messages(events: Sequence[Event], audience: Audience, now: datetime) -> tuple[OutboxMessage, ...]:
    """What the facts of one unit give rise to; each is drawn when it is sent."""
    told = {
        (kind, reader, _about(kind, event)): None
        for event in events
        for kind, readers in TOLD.get(type(event), ())
        for reader in readers(event, audience)
    }
    edits = tuple(edit(post, now) for post in audience.posts if post.key != audience.pressed)
    fresh = (tell(kind, reader, about, now, **_whose(kind, reader, events)) for kind, reader, about in told)
    return (*map(_gathered, fresh), *edits)


def _gathered(message: OutboxMessage) -> OutboxMessage:
    pause = GATHERED.get(message.kind)
    if pause is None:
        return message
    return changed(message, due_at=message.due_at + pause, lane=f"{message.kind}:{message.recipient}")


def _whose(kind: MessageKind, reader: str, events: Sequence[Event]) -> dict[str, str]:
    """Of devices that come to somebody, who had them: where that is one person. Of an outcome, which command's."""
    if kind is MessageKind.COMMAND_SETTLED:
        return {"command": next(e.command_id for e in events if isinstance(e, CommandSettled))}
    if kind is not MessageKind.NEW_JOBS:
        return {}
    had = {e.former for e in events if isinstance(e, DeviceAssigned) and e.technician == reader}
    return {"former": had.pop()} if len(had) == 1 and "" not in had else {}


def _about(kind: MessageKind, event: Event) -> str:
    """Some messages are about whatever is there when they go out, not about one thing."""
    whatever = (MessageKind.NEXT_DEVICE, MessageKind.NEW_JOBS, *GATHERED)
    return "" if kind in whatever else event.subject


def tell(kind: MessageKind, reader: str, subject: str, now: datetime, **params: str) -> OutboxMessage:
    """One message; while one of the same kind about the same thing waits for the same reader, one is enough."""
    more = ":".join(params.values())
    return OutboxMessage(
        kind=kind,
        recipient=reader,
        subject=subject,
        lane=reader,
        created_at=now,
        due_at=now,
        unique=f"{kind}:{reader}:{subject}:{more}",
        params=tuple(sorted(params.items())),
    )


def ask(mac: str, request: CodeRequest) -> tuple[OutboxMessage, ...]:
    """Each admin in their turn, on lanes of their own: whoever comes later holds up nothing until then."""
    return tuple(
        changed(
            tell(MessageKind.CODE_WANTED, admin, mac, request.at, asked=request.at.isoformat()),
            due_at=due,
            lane=f"wanted:{mac}:{place}",
        )
        for place, (admin, due) in enumerate(request.turns)
    )


def held_back(message: OutboxMessage, until: datetime) -> OutboxMessage:
    """The same for later, on a lane of its own: what waits holds up no answer, and nothing that comes by day."""
    lane = QUIET_LANE.format(person=message.recipient, kind=message.kind)
    return changed(message, due_at=until, lane=lane, unique=f"{message.unique}:quiet")


def edit(post: Post, now: datetime) -> OutboxMessage:
    """Redraw a post. In a channel, and where it lists many, at most every 30 s, on a lane of its own: nothing waits."""
    living = not post.conversation.personal or post.subject in BOARDS.values()
    last = post.edited_at or post.posted_at
    due = max(now, last + PACE) if living else now
    return OutboxMessage(
        kind=MessageKind.EDIT,
        recipient=post.reader,
        subject=post.key,
        lane=f"card:{post.key}" if living else post.reader,
        created_at=now,
        due_at=due,
        unique=f"edit:{post.key}",
    )


def after_failure(message: OutboxMessage, error: DeliveryError, now: datetime, jitter: float) -> OutboxMessage:
    """What becomes of a message whose delivery failed; `jitter` in 0…1 spreads the retries.

    403, 404 and rejected content are final. 412, 429 and faults come back after `Retry-After` or a doubling pause.
    """
    attempts = message.attempts + 1
    tried = changed(message, attempts=attempts, failure=error.code, retried=(*message.retried, now)[-KEPT_TRIES:])
    final = isinstance(error, Unreachable | Rejected) or now - message.created_at > GIVE_UP_AFTER
    if final or not isinstance(error, Throttled | TryAgain):
        return settled(tried, MessageStatus.UNDELIVERABLE, now)
    doubling = min(2.0 ** min(attempts, 30), LONGEST_PAUSE.total_seconds()) * (0.5 + jitter / 2)
    asked = error.retry_after if isinstance(error, Throttled) and error.retry_after else 0.0
    pause = max(asked * (1 + jitter / 10), doubling)
    return postponed(tried, now + timedelta(seconds=pause))


def postponed(message: OutboxMessage, due: datetime) -> OutboxMessage:
    """Not now, for no fault of its own; it keeps its place in its lane."""
    return changed(message, due_at=due, leased_until=None)


def settled(message: OutboxMessage, status: MessageStatus, now: datetime) -> OutboxMessage:
    return changed(message, status=status, settled_at=now, leased_until=None)
