"""Who is told what, how often a card is edited, and what becomes of a message that could not be delivered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.conversations import Conversation, ConversationKind
from provisioning.delivery_errors import DeliveryError, PostGone, Rejected, Throttled, TryAgain, Unreachable
from provisioning.events import (
    AccessAsked,
    AccessGranted,
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
    DeviceOffline,
    DeviceProvisioned,
    DeviceReplaced,
    DeviceReset,
    DevicesSwapped,
    DeviceStale,
    Event,
    GroupLeft,
    InstallConfirmed,
    NetworkAllowed,
    PersonUnreachable,
    PhotoKept,
    PhotoSkipped,
    ProblemAnswered,
    ProblemReported,
    ProblemSolved,
    ResetDoubted,
    SignInEnded,
    StrayAsked,
)
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.notifications import TOLD, Audience, Followers, after_failure, edit, folded, follows, messages, tell
from provisioning.rollouts import Rollout

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MAC, OTHER = "805EC0112233", "805EC0112234"


def conversation(id_: str, kind: ConversationKind = ConversationKind.CHANNEL) -> Conversation:
    return Conversation(id=id_, kind=kind, service_url="", tenant="t", bot_id="b")


def rollout(name: str, site: str) -> Rollout:
    return Rollout(channel=conversation(name), site=site, connected_by="dana", connected_by_name="Dana", started_at=NOW)


def post(key: str = "p", kind: ConversationKind = ConversationKind.PERSONAL, **more: object) -> Post:
    made = Post(
        conversation=conversation("c", kind), activity_id=key, reader="sam", subject=MAC, view="device", posted_at=NOW
    )
    return replace(made, **more)


HEARERS = Audience(
    admins=("dana", "lee"),
    rollouts=(rollout("oslo", "Oslo"), rollout("all", ""), rollout("bergen", "Bergen")),
    sites={MAC: "oslo", OTHER: "oslo"},
    technicians={MAC: "sam"},
)

told = MessageKind
CASES: list[tuple[Callable[..., Event], str, set[tuple[MessageKind, str]]]] = [
    (AccessAsked, "mia", {(told.ACCESS_ASKED, "dana"), (told.ACCESS_ASKED, "lee")}),
    (lambda **e: AccessGranted(role="admin", **e | {"subject": "mia"}), "dana", {(told.ACCESS_GRANTED, "mia")}),
    (lambda **e: CodeIssued(issue=1, expires_at=NOW, **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: CodeIssued(issue=1, expires_at=NOW, **e), "sam", set()),
    (lambda **e: CodeReceived(issue=1, expires_at=NOW, **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: DeviceAssigned(technician="sam", **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: CodeIssued(issue=1, expires_at=NOW, asked_by="sam", **e), "dana", {(told.CODE_ANSWERED, "sam")}),
    (lambda **e: CodeIssued(issue=1, expires_at=NOW, asked_by="kim", **e), "dana", {(told.NEW_JOBS, "sam")}),
    (CodeDenied, "dana", {(told.CODE_ANSWERED, "sam")}),
    (
        lambda **e: CodeLocked(issue=1, failures=100, **e),
        "service",
        {(told.CODE_LOCKED, "dana"), (told.CODE_LOCKED, "lee")},
    ),
    (
        lambda **e: StrayAsked(caller=OTHER, **e),
        "sam",
        {(told.STRAY_ASKED, "dana"), (told.STRAY_ASKED, "lee")},
    ),
    (
        lambda **e: ChannelLost(site="Oslo", why="blocked", **e),
        "service",
        {(told.CHANNEL_LOST, "dana"), (told.CHANNEL_LOST, "lee")},
    ),
    (
        lambda **e: AttackBegan(failures=600, networks=9, **e),
        "service",
        {(told.ATTACK, "dana"), (told.ATTACK, "lee")},
    ),
    (
        lambda **e: AttackEnded(began=NOW, spent=2, **e),
        "service",
        {(told.ATTACK_OVER, "dana"), (told.ATTACK_OVER, "lee")},
    ),
    (lambda **e: NetworkAllowed(network="10.1.2.0/24", **e), "dana", set()),
    (lambda **e: GroupLeft(role="admin", **e), "service", set()),
    (
        lambda **e: GroupLeft(role="admin", ended=True, **e),
        "service",
        {(told.LEFT_GROUP, "dana"), (told.LEFT_GROUP, "lee")},
    ),
    (PersonUnreachable, "service", {(told.UNREACHABLE, "dana"), (told.UNREACHABLE, "lee")}),
    (
        lambda **e: ProblemReported(kind="broken", **e),
        "sam",
        {(told.PROBLEM_REPORTED, reader) for reader in ("dana", "lee", "oslo", "all")} | {(told.NEXT_DEVICE, "sam")},
    ),
    (lambda **e: DeviceHandedOver(technician="sam", **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: DeviceReplaced(former=OTHER, **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: DevicesSwapped(other=OTHER, **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: ProblemSolved(kind="broken", **e), "dana", {(told.NEW_JOBS, "sam")}),
    (lambda **e: ProblemAnswered(kind="broken", **e), "dana", {(told.PROBLEM_ANSWERED, "sam")}),
    (lambda **e: InstallConfirmed(mounting_only=False, **e), "sam", {(told.NEXT_DEVICE, "sam")}),
    (
        lambda **e: InstallConfirmed(mounting_only=False, room="2.20", **e),
        "sam",
        {(told.NEXT_DEVICE, "sam"), (told.ROOM_DIFFERS, "dana"), (told.ROOM_DIFFERS, "lee")},
    ),
    (lambda **e: InstallConfirmed(mounting_only=False, photo=True, **e), "sam", set()),
    (lambda **e: PhotoKept(life=1, **e), "sam", {(told.NEXT_DEVICE, "sam")}),
    (PhotoSkipped, "sam", {(told.NEXT_DEVICE, "sam")}),
    (
        lambda **e: DeviceProvisioned(life=1, source="", **e),
        "device",
        {(told.SIGN_INS_WAITING, "dana"), (told.SIGN_INS_WAITING, "lee")},
    ),
    (
        lambda **e: SignInEnded(stage="wrong_account", why="wrong_account", asked_by="dana", **e),
        "service",
        {(told.SIGN_IN_REFUSED, "dana")},
    ),
    (lambda **e: SignInEnded(stage="ended", why="expired_token", asked_by="dana", **e), "service", set()),
    (
        lambda **e: CommandSettled(command="restart", status="done", asked_by="lee", late=True, **e),
        "device",
        {(told.COMMAND_SETTLED, "lee")},
    ),
    (
        lambda **e: CommandSettled(command="restart", status="failed", asked_by="lee", **e),
        "device",
        {(told.COMMAND_SETTLED, "lee")},
    ),
    (
        lambda **e: CommandSettled(command="diagnostics", status="done", asked_by="lee", **e),
        "device",
        {(told.COMMAND_SETTLED, "lee")},
    ),
    (lambda **e: CommandSettled(command="restart", status="done", asked_by="lee", **e), "device", set()),
    (
        lambda **e: CommandSettled(command="restart", status="done", asked_by="gone", late=True, **e),
        "device",
        set(),
    ),
    (lambda **e: ResetDoubted(source="", technician="sam", **e), "device", {(told.RESET_DOUBTED, "sam")}),
    (
        lambda **e: ResetDoubted(source="", **e),
        "device",
        {(told.RESET_DOUBTED, "dana"), (told.RESET_DOUBTED, "lee")},
    ),
    (
        lambda **e: DeviceOffline(since=NOW, **e),
        "service",
        {(told.DEVICES_OFFLINE, reader) for reader in ("dana", "lee", "oslo", "all")},
    ),
    (
        lambda **e: DeviceStale(since=NOW, **e),
        "service",
        {(told.DEVICES_STALE, "dana"), (told.DEVICES_STALE, "lee")},
    ),
]


@pytest.mark.parametrize(("fact", "actor", "heard"), CASES)
def test_who_is_told_what(fact: Callable[..., Event], actor: str, heard: set[tuple[MessageKind, str]]) -> None:
    out = messages([fact(at=NOW, actor=actor, subject=MAC)], HEARERS, NOW)
    assert {(message.kind, message.recipient) for message in out} == heard
    assert len(out) == len(heard)


def test_every_fact_that_is_told_has_its_case() -> None:
    made = {type(fact(at=NOW, actor="a", subject=MAC)) for fact, _, heard in CASES if heard}
    assert made == set(TOLD)


def test_an_admin_is_not_told_of_their_own_doing() -> None:
    out = messages([AccessAsked(at=NOW, actor="dana", subject=MAC)], HEARERS, NOW)
    assert [message.recipient for message in out] == ["lee"]


def test_many_facts_of_one_unit_are_one_message_to_each_reader() -> None:
    facts = [CodeIssued(at=NOW, actor="dana", subject=mac, issue=1, expires_at=NOW) for mac in (MAC, OTHER)]
    hearers = replace(HEARERS, technicians={MAC: "sam", OTHER: "sam"})
    assert [m.recipient for m in messages(facts, hearers, NOW)] == ["sam"]


def test_what_is_told_of_many_devices_waits_a_little_and_holds_up_nothing() -> None:
    facts = [DeviceProvisioned(at=NOW, actor="device", subject=mac, life=1, source="") for mac in (MAC, OTHER)]
    out = messages(facts, HEARERS, NOW)
    assert {(m.recipient, m.subject, m.due_at - NOW) for m in out} == {
        ("dana", "", timedelta(seconds=30)),
        ("lee", "", timedelta(seconds=30)),
    }
    assert not {m.lane for m in out} & {"dana", "lee"}


def test_problems_of_two_devices_are_two_messages() -> None:
    facts = [ProblemReported(at=NOW, actor="sam", subject=mac, kind="broken") for mac in (MAC, OTHER)]
    assert len([m for m in messages(facts, HEARERS, NOW) if m.recipient == "dana"]) == 2


def test_every_card_is_edited_but_the_one_that_was_pressed() -> None:
    hearers = Audience(posts=(post("a"), post("b")), pressed=post("a").key)
    out = messages([DeviceReset(at=NOW, actor="device", subject=MAC, life=2)], hearers, NOW)
    assert [(m.kind, m.subject) for m in out] == [(MessageKind.EDIT, post("b").key)]


# ------------------------------------------------------------------ edits


def test_two_edits_of_one_card_are_one_and_of_two_cards_two() -> None:
    assert edit(post("a"), NOW).unique == edit(post("a"), NOW + timedelta(seconds=5)).unique
    assert edit(post("a"), NOW).unique != edit(post("b"), NOW).unique


@pytest.mark.parametrize(
    ("kind", "edited", "due"),
    [
        (ConversationKind.PERSONAL, 0, 0),
        (ConversationKind.CHANNEL, 0, 30),
        (ConversationKind.CHANNEL, -20, 10),
        (ConversationKind.CHANNEL, -30, 0),
        (ConversationKind.CHANNEL, -300, 0),
        (ConversationKind.GROUP, -20, 10),
    ],
)
def test_a_card_in_a_channel_is_edited_every_half_minute_at_most(kind: ConversationKind, edited: int, due: int) -> None:
    card = post(kind=kind, posted_at=NOW - timedelta(days=1), edited_at=NOW + timedelta(seconds=edited))
    assert edit(card, NOW).due_at == NOW + timedelta(seconds=due)


def test_a_living_card_holds_up_no_reply_and_a_chat_keeps_its_order() -> None:
    assert edit(post(kind=ConversationKind.CHANNEL), NOW).lane != "sam"
    assert edit(post(), NOW).lane == tell(MessageKind.NEW_JOBS, "sam", "", NOW).lane == "sam"


# ------------------------------------------------------------------ failures


def message(**more: object) -> OutboxMessage:
    return replace(tell(MessageKind.NEW_JOBS, "sam", "", NOW), leased_until=NOW, **more)


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (Unreachable(), MessageStatus.UNDELIVERABLE),
        (Rejected(), MessageStatus.UNDELIVERABLE),
        (PostGone(), MessageStatus.UNDELIVERABLE),
        (DeliveryError(), MessageStatus.UNDELIVERABLE),
        (Throttled(5.0), MessageStatus.WAITING),
        (Throttled(), MessageStatus.WAITING),
        (TryAgain(), MessageStatus.WAITING),
    ],
)
def test_what_is_final_and_what_is_tried_again(error: DeliveryError, fate: MessageStatus) -> None:
    after = after_failure(message(), error, NOW, 0.5)
    assert (after.status, after.leased_until, after.attempts) == (fate, None, 1)
    assert (after.settled_at is None) is (fate is MessageStatus.WAITING)


@pytest.mark.parametrize(
    ("attempts", "jitter", "seconds"), [(0, 1.0, 2), (0, 0.0, 1), (3, 1.0, 16), (20, 1.0, 300), (5000, 1.0, 300)]
)
def test_pauses_double_to_five_minutes_and_are_spread(attempts: int, jitter: float, seconds: int) -> None:
    after = after_failure(message(attempts=attempts), TryAgain(), NOW, jitter)
    assert after.due_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("asked", "jitter", "seconds"), [(40.0, 0.0, 40), (40.0, 1.0, 44), (0.5, 1.0, 2), (900.0, 0.0, 900)]
)
def test_a_pause_the_service_asked_for_is_kept(asked: float, jitter: float, seconds: float) -> None:
    assert after_failure(message(), Throttled(asked), NOW, jitter).due_at == NOW + timedelta(seconds=seconds)


def test_after_two_days_a_message_is_given_up() -> None:
    late = NOW + timedelta(hours=48)
    assert after_failure(message(), TryAgain(), late, 0).status is MessageStatus.WAITING
    late += timedelta(seconds=1)
    assert after_failure(message(), TryAgain(), late, 0).status is MessageStatus.UNDELIVERABLE


# ------------------------------------------------------------------ who follows what


@pytest.mark.parametrize(
    ("site", "tags", "expected"),
    [
        ("Oslo", (), {"all", "oslo"}),
        ("OSLO", ("Lobby",), {"all", "oslo", "lobby"}),
        ("Bergen", ("lobby", "east"), {"all", "lobby", "east of oslo"}),
        ("lobby", (), {"all"}),
        ("", (), {"all"}),
    ],
)
def test_a_device_is_followed_by_everything_its_site_and_each_of_its_tags(
    site: str, tags: tuple[str, ...], expected: set[str]
) -> None:
    everything = [
        rollout("all", ""),
        rollout("oslo", "Oslo"),
        replace(rollout("lobby", ""), tag="LOBBY"),
        replace(rollout("east of oslo", "Oslo"), tag="east"),
    ]
    found = [each.key for each in Followers(everything).of(site.casefold(), folded(tags))]
    one_by_one = [each.key for each in everything if follows(each, site.casefold(), folded(tags))]
    assert len(found) == len(expected)
    assert {*found} == {*one_by_one} == {conversation(name).id for name in expected}
