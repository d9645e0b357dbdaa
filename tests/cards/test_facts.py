"""Every fact there is has a human sentence, whatever it holds; and every message says what it is and why it failed."""

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from string import Formatter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import provisioning.service  # every error class is declared once this is loaded
from cards.views.audit import KINDS, SETTLED, why_words
from cards.views.facts import SENTENCES, STAGES, WHERE, Known, fact_words
from provisioning.delivery_errors import DeliveryError
from provisioning.events import (
    CodeIssued,
    DeviceFreed,
    DeviceMoved,
    DeviceTagged,
    Event,
    FactsRedacted,
    InstallConfirmed,
    ProvisionRefused,
    SignInEnded,
)
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.signin import Stage
from tests.cards.samples import HOSTILE
from tests.profiles import examples
from tests.pseudo import pseudo
from tests.storage.test_records import record_of

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
KNOWN = Known({"dana": "Dana", "sam": "Sam"}, {}, {}, NOW)
A = "805EC0112233"


@pytest.mark.parametrize("name", Event.registry)
def test_every_fact_has_a_sentence_of_its_own(name: str) -> None:
    assert name in SENTENCES


@pytest.mark.parametrize("name", [name for name in SENTENCES if name in Event.registry])
def test_a_sentence_speaks_of_what_the_fact_holds(name: str) -> None:
    has = {field.name for field in fields(Event.registry[name])}
    for sentence in (SENTENCES[name], *WHERE.get(name, {}).values()):
        assert {place for _, place, _, _ in Formatter().parse(sentence) if place} <= has
    assert WHERE.get(name, {}).keys() <= has


@pytest.mark.parametrize("name", Event.registry)
@settings(max_examples=examples(15), suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_a_fact_holds_can_be_said(name: str, data: st.DataObject) -> None:
    said = fact_words(data.draw(record_of(Event.registry[name])), KNOWN)
    assert said and "\n" not in said and "{" not in SENTENCES[name].format_map(_Any())
    assert len(said) < 400


class _Any(dict):
    def __missing__(self, key: str) -> str:
        return key


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (
            CodeIssued(at=NOW, actor="dana", subject=A, issue=2, expires_at=NOW.replace(hour=9), voided=True),
            "Code 2 made, valid until 09:00; the one before died",
        ),
        (DeviceMoved(at=NOW, actor="dana", subject=A, before="Oslo/1", after="Oslo/2"), "Moved from Oslo/1 to Oslo/2"),
        (DeviceTagged(at=NOW, actor="dana", subject=A, tag="lobby"), "Tagged lobby"),
        (DeviceTagged(at=NOW, actor="dana", subject=A, tag="lobby", removed=True), "Tag lobby taken away"),
        (
            DeviceFreed(at=NOW, actor="dana", subject=A, former="3f2a0000-0000-4000-8000-0000000000a1"),
            "With nobody any more, before with a former person (3f2a…)",
        ),
        (
            FactsRedacted(at=NOW, actor="dana", subject="sam", rows=("1:ab", "2:cd")),
            "Words that led to a person who left were taken out of 2 facts",
        ),
        (InstallConfirmed(at=NOW, actor="sam", subject=A, mounting_only=False), "Installed"),
        (InstallConfirmed(at=NOW, actor="sam", subject=A, mounting_only=True), "Mounted"),
        (
            ProvisionRefused(at=NOW, actor="device", subject=A, reason="code_expired", source="10.1.2.3"),
            "A call from 10.1.2.3 was refused. This code has ended. Ask for a new one",
        ),
        (
            SignInEnded(at=NOW, actor="service", subject=A, stage="ended", why="expired_token"),
            "Sign-in ended: nobody typed the code in time.",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_sentences(fact: Event, said: str) -> None:
    assert fact_words(fact, KNOWN).startswith(said.rstrip("."))


def test_the_end_of_a_sign_in_is_said_whatever_it_was() -> None:
    assert STAGES.keys() == {stage.value for stage in Stage if not stage.live} - {"signed_in"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    fact = DeviceMoved(at=NOW, actor="sam", subject=A, before=text, after=text)
    said = fact_words(fact, KNOWN)
    assert "\n" not in said and not re.search(r"\]\(|<at>", said)


# ------------------------------------------------------------------ messages


def every(kind: type[DeliveryError]) -> set[type[DeliveryError]]:
    return {kind}.union(*(every(narrower) for narrower in kind.__subclasses__()))


def message(**more: object) -> OutboxMessage:
    base = OutboxMessage(kind=MessageKind.NEW_JOBS, recipient="sam", subject="", lane="sam", created_at=NOW, due_at=NOW)
    return replace(base, **more)


@pytest.mark.parametrize("kind", MessageKind)
def test_every_message_says_what_it_is(kind: MessageKind) -> None:
    assert kind.value in KINDS


@pytest.mark.parametrize("error", sorted(every(DeliveryError), key=str))
@pytest.mark.parametrize("status", [MessageStatus.UNDELIVERABLE, MessageStatus.WAITING])
def test_every_failure_is_said_in_words_never_as_its_code(error: type[DeliveryError], status: MessageStatus) -> None:
    assert provisioning.service
    for recipient in ("sam", "19:gone@thread.tacv2"):
        said = why_words(message(failure=error.code, status=status, recipient=recipient), KNOWN)
        assert said and "_" not in said and recipient not in said.split()
        assert error is DeliveryError or said != DeliveryError.message.rstrip(".")


def test_a_failure_of_a_newer_version_is_no_code_either() -> None:
    assert "x9" not in why_words(message(failure="x9", status=MessageStatus.UNDELIVERABLE), KNOWN)
    assert why_words(message(failure="device_not_found", status=MessageStatus.DROPPED), KNOWN) == SETTLED


def test_why_an_endpoint_did_not_take_an_event() -> None:
    event = message(kind=MessageKind.WEBHOOK, recipient="hook:itsm", failure="redirected 301")
    assert why_words(event, KNOWN).startswith("answered 301: redirects are not followed")


def test_a_fact_is_said_in_the_readers_language() -> None:
    with pseudo():
        assert fact_words(InstallConfirmed(at=NOW, actor="sam", subject=A, mounting_only=False), KNOWN)[0] == "⟦"
