"""The ledger's cards: every fact there is, messages in each of their states; every text of a user's is `user`."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from datetime import timedelta
from typing import Any, get_type_hints

from cards.view import View
from cards.views.audit import audit_card
from provisioning.conversations import Conversation, ConversationKind
from provisioning.events import Event
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.model import Device, Person
from provisioning.ports import AuditRow
from provisioning.rollouts import Rollout
from provisioning.service.ledger import PAGE, About, Entry, LedgerPage, Sending, Show
from tests.cards.sheet_cards import NOW

CHANNEL = "19:oslo@thread.tacv2"
GONE = "19:gone@thread.tacv2"


def audit_cards(device: Device, user: str = "Sam Technician", words: str = "left of the door") -> dict[str, View]:
    """Named views."""
    page = _page(device, user)
    facts = [AuditRow(number, _fact(kind, device.mac, words)) for number, kind in enumerate(Event.registry.values())]
    pages = [tuple(facts[n : n + PAGE]) for n in range(0, len(facts), PAGE)]
    sendings = _sendings(device)
    person = About(person=Person(id="sam", name=user))
    return {
        **{f"audit-facts-{n}": _drawn(replace(page, entries=rows)) for n, rows in enumerate(pages)},
        **{f"audit-messages-{n}": _drawn(replace(page, entries=rows)) for n, rows in enumerate(sendings)},
        "audit-device": _drawn(replace(page, about=About(device.mac), entries=pages[0], show=Show.ALL)),
        "audit-removed": _drawn(replace(page, about=About("805EC0FFFFFF"), entries=pages[1], after=None)),
        "audit-person": _drawn(replace(page, about=person, entries=sendings[0], back_to=NOW)),
        **{f"audit-none-{show}": _drawn(replace(page, show=show, after=None)) for show in Show},
    }


def _drawn(page: LedgerPage) -> View:
    return audit_card(page, NOW)


def _page(device: Device, user: str) -> LedgerPage:
    where = Conversation(CHANNEL, ConversationKind.CHANNEL, "", "t", "b", name=user)
    rollout = Rollout(channel=where, site=user, connected_by="dana", connected_by_name=user, started_at=NOW)
    return LedgerPage(
        about=About(),
        show=Show.MESSAGES,
        entries=(),
        after="123456789|1772438400000000|0123456789abcdef",
        people={"dana": user, "sam": user},
        devices={device.mac: device},
        channels={CHANNEL: rollout},
        failed=12,
        waiting=3,
    )


def _fact(kind: type[Event], mac: str, words: str) -> Event:
    hints = get_type_hints(kind)
    given: dict[str, Any] = {"at": NOW, "actor": "dana", "subject": mac}
    for each in fields(kind):
        if each.name not in given and (each.default is MISSING or hints[each.name] is str):
            given[each.name] = _value(hints[each.name], words)
    return kind(**given)


def _value(hint: Any, words: str) -> Any:
    if hint is str:
        return words
    if hint in (bool, int):
        return hint(2)
    return (words, words) if "tuple" in str(hint) else NOW


def _sendings(device: Device) -> list[tuple[Entry, ...]]:
    """Ten rows each: as long as they get, in a chat and in a channel, and of each state."""
    tries = tuple(NOW - timedelta(minutes=n) for n in (50, 40, 30))
    rows: list[Entry] = []
    for recipient in ("sam", CHANNEL, GONE):
        base = OutboxMessage(
            kind=MessageKind.STRAY,
            recipient=recipient,
            subject=device.mac,
            lane=recipient,
            created_at=NOW - timedelta(days=1),
            due_at=NOW,
        )
        done = replace(base, settled_at=NOW, retried=tries, attempts=3)
        post = Post(
            conversation=Conversation("a:sam", ConversationKind.PERSONAL, "", "t", "b"),
            activity_id="1",
            reader=recipient,
            subject=device.mac,
            view="job",
            posted_at=NOW,
            edited_at=NOW,
            opened_at=NOW,
        )
        rows += [
            Sending(base),
            Sending(replace(base, retried=tries * 3, attempts=12, failure="throttled")),
            Sending(replace(done, status=MessageStatus.SENT), post),
            Sending(replace(done, status=MessageStatus.SENT, kind=MessageKind.EDIT), post),
            Sending(replace(done, status=MessageStatus.DROPPED, failure="muted")),
            *(
                Sending(replace(done, status=MessageStatus.UNDELIVERABLE, failure=failure))
                for failure in ("blocked", "chat_gone", "unreachable", "card_too_large", "rejected")
            ),
        ]
    return [tuple(rows[n : n + PAGE]) for n in range(0, len(rows), PAGE)]
