"""The ledger as people read it: facts, and each message with who, when queued, tried, sent, edited, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cards.view import Button, ListCard, Row, Tone
from cards.views.common import short
from cards.views.facts import Known, fact_words
from cards.words import clock, listing, mac_dashed
from provisioning.delivery_errors import DeliveryError
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.ports import AuditRow
from provisioning.service.ledger import Entry, LedgerPage, Sending, Show
from provisioning.service.outbox import UNCHANGED
from provisioning.texts import N_, _, ngettext
from provisioning.webhooks import failure_words, name_of

TRIES = 3  # moments of tries that are named
WAYS = 3  # other views that are offered beside [Older]

# What a message is, after "To Sam: ".
KINDS: Mapping[str, str] = {
    "edit": N_("a card redrawn"),
    "next_device": N_("the next device"),
    "morning": N_("the day begins"),
    "new_jobs": N_("devices handed over"),
    "access_granted": N_("access granted"),
    "access_asked": N_("somebody asks for access"),
    "code_wanted": N_("a code is asked for"),
    "code_answered": N_("the code that was asked for"),
    "code_locked": N_("too many wrong codes"),
    "stray": N_("another device called with a code of theirs"),
    "stray_asked": N_("a device is asked for"),
    "stray_added": N_("the device that was asked for"),
    "problem_reported": N_("a problem"),
    "room_differs": N_("it hangs elsewhere"),
    "problem_answered": N_("a problem was answered"),
    "left_group": N_("somebody left an Entra group"),
    "unreachable": N_("somebody cannot be reached"),
    "rollout_started": N_("the rollout begins"),
    "milestone": N_("a milestone"),
    "codes_ending": N_("codes end soon"),
    "codes_to_extend": N_("codes to extend"),
    "codes_ended": N_("codes ended"),
    "photo_missing": N_("a photo did not come"),
    "sign_ins_waiting": N_("devices wait for sign-in"),
    "sign_in_refused": N_("a sign-in was refused"),
    "next_sign_in": N_("the next sign-in"),
    "reset_doubted": N_("was it reset?"),
    "command_settled": N_("a device answered"),
    "devices_offline": N_("devices are offline"),
    "devices_stale": N_("devices are not heard of"),
    "card_gone": N_("the channel's card was deleted"),
    "channel_lost": N_("a channel cannot be written to"),
    "codes_dying": N_("codes die"),
    "attack": N_("an attack on codes"),
    "attack_over": N_("an attack on codes is over"),
    "digest": N_("how things stand today"),
    "reminder": N_("a reminder"),
    "rollout_turned": N_("the rollout was paused, goes on, or ended"),
    "webhook": N_("an event"),
}
# Why it did not get through, where its reader is part of the sentence: to a person, and to a channel. By the code that
# is kept with a message; for every other one its error's own sentence stands.
REASONS: Mapping[str, tuple[str, str]] = {
    "blocked": (
        N_("I cannot reach {who}: they blocked or removed the bot"),
        N_("I cannot reach {who}: the bot was removed from its team"),
    ),
    "chat_gone": (
        N_("I cannot reach {who}: the chat does not exist any more"),
        N_("{who} is gone: it does not exist any more, or the bot was removed from its team"),
    ),
    "unreachable": (
        N_("I cannot reach {who}: they have to open the app and say hi once"),
        N_("{who} follows nothing any more"),
    ),
    "muted": (N_("{who} has muted this"), N_("{who} has muted this")),
}
SETTLED = N_("there was nothing to say any more")
DROPPED: Mapping[str, str] = {UNCHANGED: N_("the card said the same already")}
TONES: Mapping[MessageStatus, Tone] = {MessageStatus.UNDELIVERABLE: Tone.ATTENTION}
WAY: Mapping[Show, str] = {
    Show.ALL: N_("All"),
    Show.FACTS: N_("Facts"),
    Show.MESSAGES: N_("Messages"),
    Show.FAILED: N_("Not arrived"),
    Show.WAITING: N_("Waiting"),
}
TITLES: Mapping[Show, str] = {
    Show.ALL: N_("Ledger: {whose}"),
    Show.FACTS: N_("Facts: {whose}"),
    Show.MESSAGES: N_("Messages: {whose}"),
    Show.FAILED: N_("Not arrived: {whose}"),
    Show.WAITING: N_("To be sent: {whose}"),
}
EMPTY: Mapping[Show, str] = {
    Show.ALL: N_("Nothing is known of it yet."),
    Show.FACTS: N_("Nothing happened yet."),
    Show.MESSAGES: N_("No message was sent or waits. They are kept for a week once they were sent."),
    Show.FAILED: N_("Every message arrived, or waits for its turn."),
    Show.WAITING: N_("No message waits."),
}


def audit_card(page: LedgerPage, now: datetime) -> ListCard:
    known = Known(page.people, page.devices, page.channels, now, page.about.word)
    return ListCard(
        title=_(TITLES[page.show], whose=_whose(page, known)),
        lines=tuple(filter(None, (_counted(page),))),
        rows=tuple(_row(entry, known) for entry in page.entries),
        empty="" if page.entries else _(EMPTY[page.show]),
        small=(*_looked(page, known), _("What is answered at once, in the same chat, is not listed among messages.")),
        buttons=_ways(page),
    )


def _whose(page: LedgerPage, known: Known) -> str:
    if page.about.person:
        return known.who(page.about.person.id)
    device = page.devices.get(page.about.mac)
    return short(device) if device else mac_dashed(page.about.mac) or _("everything")


def _counted(page: LedgerPage) -> str:
    """How it stands with messages, whatever page this is."""
    words = []
    if page.failed:
        words.append(ngettext("{n} message did not arrive.", "{n} messages did not arrive.", page.failed))
    if page.waiting:
        words.append(ngettext("{n} message waits.", "{n} messages wait.", page.waiting))
    return " ".join(words)


def _looked(page: LedgerPage, known: Known) -> tuple[str, ...]:
    typed = _("Or type: audit, and a device or a person")
    if page.back_to is None:
        return (typed,)
    return (_("Looked through back to {time}; Older goes on.", time=clock(page.back_to, known.now)), typed)


def _ways(page: LedgerPage) -> tuple[Button, ...]:
    """Older, then what else there is of the same device or person."""
    data = {"about": page.about.word}
    there = {Show.FAILED: page.failed, Show.WAITING: page.waiting}
    others = [show for show in Show if show is not page.show and there.get(show, 1)][:WAYS]
    ways = tuple(Button("audit", _(WAY[show]), {**data, "show": show.value}) for show in others)
    if page.after is None:
        return ways
    return (Button("audit", _("Older"), {**data, "show": page.show.value, "after": page.after}), *ways)


def _row(entry: Entry, known: Known) -> Row:
    return _fact_row(entry, known) if isinstance(entry, AuditRow) else _message_row(entry, known)


def _fact_row(row: AuditRow, known: Known) -> Row:
    fact = row.event
    subject = "" if fact.subject in (fact.actor, known.own) else known.what(fact.subject)
    by = _("by {name}", name=known.who(fact.actor))
    return Row(title=fact_words(fact, known), detail=", ".join(filter(None, (subject, by, clock(fact.at, known.now)))))


# ------------------------------------------------------------------ messages


def _message_row(sending: Sending, known: Known) -> Row:
    message = sending.message
    kind = KINDS.get(message.kind.value)
    title = _("To {who}: {what}", who=_reader(message, known), what=_(kind) if kind else _("a message"))
    subject = sending.post.subject if sending.post else message.subject
    about = "" if subject in (message.recipient, known.own) else known.what(subject)
    return Row(
        title=title,
        detail=", ".join(filter(None, (about, *_went(sending, known)))),
        tone=TONES.get(message.status, Tone.PLAIN),
    )


def _reader(message: OutboxMessage, known: Known) -> str:
    if message.kind is MessageKind.WEBHOOK:
        return _("the webhook {name}", name=name_of(message))
    return known.who(message.recipient) if message.recipient in known.people else known.channel(message.recipient)


def _went(sending: Sending, known: Known) -> tuple[str, ...]:
    """`queued 07:30`, `tried in vain 07:30 and 07:31`, `sent 07:32`, `edited 07:40`, or why not."""
    message, now, post = sending.message, known.now, sending.post
    settled = clock(message.settled_at, now) if message.settled_at else ""
    steps = [_("queued {time}", time=clock(message.created_at, now)), _tries(message, now)]
    if message.status in (MessageStatus.WAITING, MessageStatus.OUTGOING):
        steps.append(_("due {time}", time=clock(message.due_at, now)))
        steps.append(why_words(message, known) if message.failure else "")
    elif message.status is MessageStatus.SENT and message.kind is MessageKind.EDIT:
        steps.append(_("edited {time}", time=settled))
    elif message.status is MessageStatus.SENT:
        steps.append(_("sent {time}", time=settled))
        if post and post.edited_at:
            steps.append(_("edited {time}", time=clock(post.edited_at, now)))
        if post and post.opened_at:
            steps.append(_("opened {time}", time=clock(post.opened_at, now)))
    elif message.status is MessageStatus.DROPPED:
        steps.append(_("not sent {time}: {why}", time=settled, why=why_words(message, known)))
    else:
        steps.append(_("given up {time}: {why}", time=settled, why=why_words(message, known)))
    return tuple(steps)


def _tries(message: OutboxMessage, now: datetime) -> str:
    """The latest tries that did not get through; the last one of what was given up is said with its end."""
    tried = message.retried
    if tried[-1:] == (message.settled_at,):
        tried = tried[:-1]
    if not tried:
        return ""
    if len(tried) > TRIES or message.attempts > len(tried) + 1:
        count = max(message.attempts, len(tried))
        return ngettext(
            "tried {n} time in vain, last {time}",
            "tried {n} times in vain, last {time}",
            count,
            time=clock(tried[-1], now),
        )
    return _("tried in vain {times}", times=listing([clock(moment, now) for moment in tried]))


def why_words(message: OutboxMessage, known: Known) -> str:
    """Why a message did not get through, in words."""
    if message.kind is MessageKind.WEBHOOK:
        return failure_words(message.failure)
    if named := REASONS.get(message.failure):
        return _(named[message.recipient not in known.people], who=_reader(message, known))
    if message.status is MessageStatus.DROPPED:
        return _(DROPPED.get(message.failure, SETTLED))
    return _(_own_sentences().get(message.failure, DeliveryError.message)).rstrip(".")


def _own_sentences() -> Mapping[str, str]:
    kinds = [DeliveryError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind.code: kind.message for kind in kinds}
