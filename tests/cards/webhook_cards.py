"""The cards of webhooks, with endpoints that do well, hang, and are gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import webhooks
from provisioning.cloudevents import CloudEvent
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.service.webhooks import EndpointState, Replayed
from provisioning.webhooks import FAILURES, Endpoint, Failure, deliveries, settled

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
TYPES = ("device.provisioned", "problem.reported", "device.account_chosen", "code.issued", "device.moved")
HOST = "hooks-for-the-operations-room.provisioning.contoso.example"


def webhook_cards() -> dict[str, View]:
    ops = Endpoint("ops", f"https://{HOST}/t0ken", (b"s" * 32,))
    well = EndpointState(ops, NOW - timedelta(minutes=3), 0, None, 0, ())
    letters = [_letter(ops, number, why) for number, why in enumerate(FAILURES)]
    late = replace(letters[0], status=MessageStatus.OUTGOING, failure="faulty 500")
    hanging = replace(well, endpoint=replace(ops, name="a-name-of-20-letters"), waiting=12_345, next_one=late)
    dead = [replace(hanging, dead_count=1_234, dead=tuple(letters[at : at + 5])) for at in range(0, len(letters), 5)]
    never = replace(well, delivered_at=None)
    return {
        "webhooks-none": webhooks.webhooks_card([], NOW),
        "webhooks-well": webhooks.webhooks_card([well, never], NOW),
        "webhooks-dead": webhooks.webhooks_card([well, dead[0]], NOW),
        "webhooks-many": webhooks.webhooks_card([dead[0]] * 25, NOW),
        "webhook-well": webhooks.endpoint_card(well, NOW),
        **{f"webhook-dead-{number}": webhooks.endpoint_card(state, NOW) for number, state in enumerate(dead)},
        "webhooks-again": webhooks.replayed_card(Replayed(("ops",), 1_234, 0)),
        "webhooks-again-more": webhooks.replayed_card(Replayed(("ops",), 5_000, 1_234)),
        "webhooks-again-none": webhooks.replayed_card(Replayed((), 0, 0)),
    }


def _letter(endpoint: Endpoint, number: int, why: str) -> OutboxMessage:
    event = CloudEvent("0", f"provisioning.{TYPES[number % len(TYPES)]}", "805EC0112233", "{}")
    [message] = deliveries([event], [endpoint], NOW - timedelta(hours=30 * number))
    return replace(settled(message, MessageStatus.UNDELIVERABLE, NOW), failure=Failure(why, 500).word)
