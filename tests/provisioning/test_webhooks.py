"""Webhooks without a network: who gets which event, how it is signed, when it is tried again and given up."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from provisioning.cloudevents import CloudEvent
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.webhooks import (
    BROKEN,
    FAILURES,
    FINAL,
    GIVE_UP_AFTER,
    GONE,
    NO_CONNECTION,
    SLOW,
    UNKNOWN,
    Endpoint,
    Failure,
    after_failure,
    again,
    asked_again_at,
    deliveries,
    failure_words,
    name_of,
    signed,
)

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
OPS = Endpoint("ops", "https://ops.contoso.com/hooks/s3cret-path?token=t0ken", (OLD,))
EVENT = CloudEvent("0" * 32, "provisioning.device.moved", "805EC0112233", '{"id":"0"}')


def message(**more: object) -> OutboxMessage:
    [made] = deliveries([EVENT], [OPS], NOW)
    return replace(made, leased_until=NOW, **more)  # type: ignore[arg-type]


# ------------------------------------------------------------------ who gets what


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ((), True),
        (("provisioning.device",), True),
        (("provisioning",), True),
        (("provisioning.device.moved",), True),
        (("provisioning.problem", "provisioning.device.moved"), True),
        (("provisioning.dev",), False),
        (("provisioning.device.moved.on",), False),
        (("provisioning.device.added",), False),
    ],
)
def test_an_endpoint_gets_the_types_it_wants(types: tuple[str, ...], wanted: bool) -> None:
    assert bool(deliveries([EVENT], [replace(OPS, types=types)], NOW)) is wanted


def test_each_endpoint_has_a_lane_of_its_own() -> None:
    siem = Endpoint("siem", "https://siem.contoso.com", (NEW,))
    made = deliveries([EVENT, replace(EVENT, id="1" * 32)], [OPS, siem], NOW)
    assert [(name_of(m), dict(m.params)["event"][0]) for m in made] == [
        ("ops", "0"),
        ("siem", "0"),
        ("ops", "1"),
        ("siem", "1"),
    ]
    assert len({m.lane for m in made}) == 2 and {m.kind for m in made} == {MessageKind.WEBHOOK}


def test_nothing_of_an_endpoint_shows_but_its_name_and_host() -> None:
    shown = repr(OPS) + str(OPS)
    assert "ops" in shown and OPS.host == "ops.contoso.com"
    for secret in ("s3cret-path", "t0ken", "ooo", repr(OLD)):
        assert secret not in shown


# ------------------------------------------------------------------ signed


def whsec(secret: bytes) -> str:
    return "whsec_" + b64encode(secret).decode()


def test_the_library_of_standard_webhooks_accepts_it() -> None:
    now, body = datetime.now(UTC), json.dumps({"a": "ä"}).encode()
    headers = signed("id1", body, [OLD], now)
    assert Webhook(whsec(OLD)).verify(body, headers) == {"a": "ä"}
    for wrong in (body + b" ", b"{}"):
        with pytest.raises(WebhookVerificationError):
            Webhook(whsec(OLD)).verify(wrong, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(OTHER)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(OLD)).verify(body, headers | {"webhook-id": "id2"})
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(whsec(OLD)).verify(body, signed("id1", body, [OLD], now - timedelta(minutes=6)))


def test_while_a_secret_is_rotated_both_are_good() -> None:
    headers = signed("id1", b"{}", [NEW, OLD], datetime.now(UTC))
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (OLD, NEW):
        assert Webhook(whsec(secret)).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec(OTHER)).verify(b"{}", headers)


# ------------------------------------------------------------------ what was not taken


@pytest.mark.parametrize(
    "status", [301, 302, 307, 401, 403, 404, 405, 408, 409, 418, 425, 429, 500, 502, 503, 504, 599]
)
def test_it_comes_again(status: int) -> None:
    fate = after_failure(message(), Failure.of(status), NOW, 0.5)
    assert (fate.status, fate.attempts) == (MessageStatus.OUTGOING, 1) and fate.due_at > NOW
    assert f"answered {status}" in failure_words(fate.failure)


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_it_is_a_dead_letter_at_once(status: int) -> None:
    """Where the endpoint says that it will never take this event, those behind it need not wait a day."""
    fate = after_failure(message(), Failure.of(status), NOW, 0.5)
    assert fate.status is MessageStatus.UNDELIVERABLE and fate.settled_at == NOW
    assert f"answered {status}" in failure_words(fate.failure)


@pytest.mark.parametrize("why", [SLOW, NO_CONNECTION, BROKEN])
def test_no_answer_is_no_refusal(why: str) -> None:
    fate = after_failure(message(), Failure(why), NOW, 0.5)
    assert fate.status is MessageStatus.OUTGOING and failure_words(fate.failure) == FAILURES[why]


def test_a_pause_it_asked_for_is_kept() -> None:
    fate = after_failure(message(), Failure.of(429, 90.0), NOW, 0.0)
    assert fate.due_at == NOW + timedelta(seconds=90)


def test_pauses_grow_to_five_minutes() -> None:
    pauses, each = [], message()
    for _attempt in range(12):
        each = after_failure(each, Failure.of(500), NOW, 1.0)
        pauses.append((each.due_at - NOW).total_seconds())
    assert pauses == sorted(pauses) and (pauses[0], pauses[-1]) == (2, 300)


def test_after_a_day_it_is_given_up() -> None:
    assert after_failure(message(), Failure(SLOW), NOW + GIVE_UP_AFTER, 0).status is MessageStatus.OUTGOING
    late = NOW + GIVE_UP_AFTER + timedelta(seconds=1)
    fate = after_failure(message(), Failure.of(500), late, 0)
    assert (fate.status, fate.settled_at) == (MessageStatus.UNDELIVERABLE, late)
    assert failure_words(fate.failure) == "answered 500: something is wrong on its side"


def test_sent_again_it_is_the_same_event_with_a_day_before_it() -> None:
    late = NOW + timedelta(days=3)
    dead = after_failure(message(attempts=99), Failure.of(410), NOW, 0)
    fresh = again(dead, late)
    assert (fresh.status, fresh.attempts, fresh.failure, fresh.due_at) == (MessageStatus.OUTGOING, 0, "", late)
    assert (fresh.id, fresh.lane, dict(fresh.params)["event"]) == (dead.id, message().lane, EVENT.id)
    assert dead.lane != fresh.lane, "what is settled stands in nobody's way"
    assert asked_again_at(fresh) == late and asked_again_at(dead) is None
    assert after_failure(fresh, Failure.of(500), late + GIVE_UP_AFTER, 0).status is MessageStatus.OUTGOING
    assert dict(again(fresh, late + timedelta(days=1)).params).keys() == dict(fresh.params).keys()


def test_every_failure_has_words() -> None:
    assert FAILURES.keys() >= FINAL and {GONE, UNKNOWN} <= FINAL
    for why in FAILURES:
        words = failure_words(Failure(why, 500).word)
        assert "{" not in words and words != why
    assert failure_words("throttled") == "throttled"  # a word of another table is left as it is
    assert failure_words("") == ""
