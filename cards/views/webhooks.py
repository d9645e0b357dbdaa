"""Cards of webhooks: where events go, what did not arrive and why, and what is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cards.view import Button, ListCard, Notice, Row, Tone
from cards.words import age, clock, escape
from provisioning.messages import OutboxMessage
from provisioning.service.webhooks import EndpointState, Replayed
from provisioning.texts import _, ngettext
from provisioning.webhooks import failure_words

PAGE = 10
LONGEST_HOST = 60


def webhooks_card(states: Sequence[EndpointState], now: datetime) -> ListCard:
    """All endpoints, a row each."""
    dead = sum(state.dead_count for state in states)
    title = ngettext("{n} webhook endpoint", "{n} webhook endpoints", len(states))
    again = Button("webhooks_again", _("Send again"), {"endpoint": _only([s for s in states if s.dead_count])})
    left = len(states) - PAGE
    return ListCard(
        title=title,
        summary=title,
        tone=Tone.WARNING if dead else Tone.PLAIN,
        rows=tuple(_row(state, now) for state in states[:PAGE]),
        empty="" if states else _("Events go nowhere. The setting WEBHOOKS_FILE names the file of endpoints."),
        buttons=(again,) if dead else (),
        small=(
            *((ngettext("{n} more is not shown.", "{n} more are not shown.", left),) if left > 0 else ()),
            *((_("Or type: webhooks {name}, webhooks again {name}", name=states[0].endpoint.name),) if states else ()),
        ),
    )


def endpoint_card(state: EndpointState, now: datetime) -> ListCard:
    """One endpoint, with its oldest dead letters."""
    name = state.endpoint.name
    again = Button("webhooks_again", _("Send again"), {"endpoint": name})
    left = state.dead_count - len(state.dead)
    return ListCard(
        title=_("Webhook {name}", name=name),
        tone=Tone.WARNING if state.dead_count else Tone.PLAIN,
        lines=(_host(state), _standing(state, now)),
        rows=tuple(_letter(message, now) for message in state.dead),
        empty="" if state.dead else _("Everything arrived, or is on its way."),
        buttons=(again,) if state.dead_count else (),
        small=(
            *((ngettext("{n} younger one is not shown.", "{n} younger ones are not shown.", left),) if left else ()),
            _("Or type: webhooks again {name}", name=name),
        ),
    )


def _only(dead: Sequence[EndpointState]) -> str:
    """Where one endpoint alone has dead letters, its name; else empty, which stands for all."""
    return dead[0].endpoint.name if len(dead) == 1 else ""


def _host(state: EndpointState) -> str:
    """Never more of an address than its host: the rest may be a secret."""
    return escape(state.endpoint.host[:LONGEST_HOST])


def _row(state: EndpointState, now: datetime) -> Row:
    return Row(
        title=_("{name}: {host}", name=state.endpoint.name, host=_host(state)),
        detail=_standing(state, now),
        tone=Tone.ATTENTION if state.dead_count else Tone.PLAIN,
    )


def _standing(state: EndpointState, now: datetime) -> str:
    """`last delivered 07:52, 12 waiting since 07:53: answered 500 …, 3 dead letters since Mon 07:40`."""
    last = state.delivered_at
    parts = [_("last delivered {time}", time=clock(last, now)) if last else _("nothing delivered in 7 days")]
    if state.next_one:
        said = ngettext("{n} waiting", "{n} waiting", state.waiting)
        why = failure_words(state.next_one.failure)
        parts.append(f"{said} ({escape(why)})" if why else said)
    if state.dead:
        said = ngettext("{n} dead letter", "{n} dead letters", state.dead_count)
        parts.append(_("{letters}, the oldest {age}", letters=said, age=age(state.dead[0].created_at, now)))
    return ", ".join(parts) + "."


def _letter(message: OutboxMessage, now: datetime) -> Row:
    type_ = dict(message.params).get("type", "")
    title = _("{event}, {age}", event=escape(type_), age=age(message.created_at, now))
    return Row(title=title, detail=escape(failure_words(message.failure)), tone=Tone.ATTENTION)


def replayed_card(done: Replayed) -> Notice:
    """What is on its way again."""
    if not done.count:
        return Notice(title=_("There was nothing to send again"), small=(_("Or type: webhooks"),))
    left = ngettext("{n} dead letter is left.", "{n} dead letters are left.", done.left)
    return Notice(
        title=ngettext("{n} event is sent again", "{n} events are sent again", done.count),
        tone=Tone.GOOD,
        lines=(
            _("Each has the id it had, so that a receiver knows one it got already."),
            *((left,) if done.left else ()),
        ),
        buttons=(Button("webhooks", _("Show webhooks"), {"endpoint": ""}),),
        small=(_("Or type: webhooks"),),
    )
