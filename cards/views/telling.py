"""What somebody hears about: muted, unmuted, chosen on a card; and the daily digest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time

from cards.view import Button, ChoiceInput, Fact, FormCard, Input, Notice, Style, TextInput, Tone
from cards.views.common import brief, cancel, place_words
from cards.views.rollouts import site_words
from cards.words import age, amount, clock, escape, listing, until
from provisioning.errors import BadInput
from provisioning.model import Device
from provisioning.service.digests import Digest, Standing, Stuck
from provisioning.service.telling import DEFAULT, OFF, Heard, digest_word, quiet_word
from provisioning.telling import Hearer, Mute, Topic
from provisioning.texts import N_, _, ngettext

TOPICS: Mapping[Topic, str] = {
    Topic.WORK: N_("work: new devices, the morning"),
    Topic.CODES: N_("codes: asked for, ending, locked"),
    Topic.PROBLEMS: N_("problems on site"),
    Topic.SIGN_IN: N_("sign-in: devices that wait for it"),
    Topic.DEVICES: N_("devices: offline, reset, elsewhere"),
    Topic.PEOPLE: N_("people: access, out of reach"),
    Topic.PROGRESS: N_("progress: start, milestones"),
    Topic.DIGEST: N_("digest: how things stand, daily"),
}
_STILL = {
    Hearer.ADMIN: N_("Still told: answers to what you do or ask, and your access."),
    Hearer.TECHNICIAN: N_("Still told: answers to what you do or ask, and your access."),
    Hearer.CHANNEL: N_("The card goes on, and answers to what is asked here."),
}


# ------------------------------------------------------------------ muted and unmuted


def muted_words(mute: Mute, now: datetime) -> str:
    """`until 14:00`, or how it ends."""
    return _("until {time}", time=until(mute.until, now)) if mute.until else _("until you unmute")


def muted_card(heard: Heard, topic: Topic | None, now: datetime) -> Notice:
    """What is not told from now on, what still is, and how it is undone."""
    mute = heard.mute_of(topic, now) or Mute(topic)
    words = muted_words(mute, now)
    title = _("Everything muted {until}", until=words)
    if topic:
        title = _("Muted: {topic}, {until}", topic=topic, until=words)
    waiting = _("What waits already is not told either.")
    return Notice(
        title=title,
        lines=(f"{_(_STILL[heard.hearer])} {waiting}", *_others(heard, topic, now)),
        buttons=(
            Button("unmute", _("Unmute"), {"topic": topic or ""}, style=Style.POSITIVE),
            Button("notifications", _("All settings")),
        ),
        small=(_("Or type: {undo}, notifications", undo=f"unmute {topic}" if topic else "unmute"),),
    )


def unmuted_card(heard: Heard, topic: Topic | None, now: datetime) -> Notice:
    title = _("Told again: {topic}", topic=topic) if topic else _("Everything is told again")
    return Notice(
        title=title,
        lines=_others(heard, topic, now),
        buttons=(Button("notifications", _("All settings")),),
        small=(_("Or type: {undo}, notifications", undo=f"mute {topic}" if topic else "mute"),),
    )


def _others(heard: Heard, topic: Topic | None, now: datetime) -> tuple[str, ...]:
    """The other topics that are muted."""
    said = [f"{each} {muted_words(mute, now)}" for each, mute in _mutes(heard, now) if each is not topic]
    return (_("Muted as well: {topics}.", topics=listing(said)),) if said and topic else ()


def _mutes(heard: Heard, now: datetime) -> list[tuple[Topic, Mute]]:
    return [(topic, mute) for topic in heard.topics if (mute := heard.mute_of(topic, now))]


def whoami_words(heard: Heard, now: datetime) -> str:
    """What is muted and until when; empty where nothing is."""
    if whole := heard.mute_of(None, now):
        return _("everything, {until}", until=muted_words(whole, now))
    return listing(
        [_("{topic}, {until}", topic=each, until=muted_words(mute, now)) for each, mute in _mutes(heard, now)]
    )


# ------------------------------------------------------------------ all settings


def settings_form(
    heard: Heard,
    now: datetime,
    *,
    saved: bool = False,
    hear: str | None = None,
    hour: str | None = None,
    hours: str | None = None,
    fault: BadInput | None = None,
) -> FormCard:
    """All of it, saved with one press. An empty hour is the one that holds by default."""
    title = _("What this channel hears about") if heard.hearer is Hearer.CHANNEL else _("What you hear about")
    return FormCard(
        title=title,
        notice=_("Saved.") if saved else "",
        lines=_standing_lines(heard, now),
        inputs=_inputs(heard, now, hear, hour, hours, fault),
        buttons=(
            Button("notifications_save", _("Save"), {"reader": heard.reader}, style=Style.POSITIVE),
            Button("digest", _("Digest now"), inputs=False),
            cancel(),
        ),
        small=(
            _("Or type: mute devices, unmute devices, mute for 2h, digest 07:30, digest off, quiet 19:00-07:00"),
            _(_STILL[heard.hearer]),
        ),
    )


def _inputs(
    heard: Heard, now: datetime, hear: str | None, hour: str | None, hours: str | None, fault: BadInput | None
) -> tuple[Input, ...]:
    told = ",".join(topic for topic in heard.topics if heard.mute_of(topic, now) is None)
    error = {fault.field: escape(fault.sentence)} if fault else {}
    digest, quiet = digest_word(heard.telling.digest), quiet_word(heard.telling.quiet)
    return (
        ChoiceInput(
            id="hear",
            label=_("Topics"),
            choices=tuple((topic.value, _(TOPICS[topic])) for topic in heard.topics),
            value=told if hear is None else hear,
            expanded=True,
            multiple=True,
            error=error.get("topic", ""),
        ),
        TextInput(
            id="hour",
            label=_("Daily digest at"),
            value=_typed(digest) if hour is None else hour,
            placeholder=_hour(heard.hours.morning if heard.hearer is Hearer.ADMIN else None),
            limit=10,
            error=error.get("hour", ""),
        ),
        TextInput(
            id="hours",
            label=_("Quiet hours"),
            value=_typed(quiet) if hours is None else hours,
            placeholder=_default_quiet(heard),
            limit=20,
            error=error.get("hours", ""),
        ),
    )


def _typed(word: str) -> str:
    return "" if word == DEFAULT else word


def _hour(at: time | None) -> str:
    return f"{at:%H:%M}" if at else OFF


def _default_quiet(heard: Heard) -> str:
    """The deployment's are for technicians; others are told at once unless they choose."""
    span = heard.hours.quiet if heard.hearer is Hearer.TECHNICIAN else None
    return f"{span[0]:%H:%M}-{span[1]:%H:%M}" if span else OFF


def _standing_lines(heard: Heard, now: datetime) -> tuple[str, ...]:
    muted = whoami_words(heard, now)
    digest = _("No daily digest.")
    if heard.digest_due:
        digest = _("Next digest: {time}, if there is something to say.", time=until(heard.digest_due, now))
        if heard.mute_of(Topic.DIGEST, now):
            digest = _("No daily digest while it is muted.")
    return (*((_("Muted: {what}.", what=muted),) if muted else ()), digest)


def digest_hour_card(heard: Heard, now: datetime) -> Notice:
    """What was chosen, and when the next one comes."""
    at = heard.digest_at
    title = _("Daily digest at {time}", time=_hour(at)) if at else _("No daily digest")
    return Notice(
        title=title,
        lines=_standing_lines(heard, now) if at else (_("digest shows it whenever you ask."),),
        buttons=(Button("notifications", _("All settings")),),
        small=(_("Or type: digest off, digest default") if at else _("Or type: digest 07:30, digest default"),),
    )


def quiet_card(heard: Heard) -> Notice:
    """What was chosen, and what comes at once all the same."""
    chosen = heard.telling.quiet
    word = quiet_word(chosen) if chosen and chosen.span else "" if chosen else _default_quiet(heard).replace(OFF, "")
    title = _("Quiet hours {hours}", hours=word) if word else _("No quiet hours")
    at_once = {
        Hearer.TECHNICIAN: _("Then nothing comes that can wait; answers and your access do."),
        Hearer.ADMIN: _("Then nothing comes that can wait; problems, locked codes and codes asked for do."),
        Hearer.CHANNEL: _("Then nothing is said that can wait; problems are."),
    }
    return Notice(
        title=title,
        lines=(at_once[heard.hearer],) if word else (),
        buttons=(Button("notifications", _("All settings")),),
        small=(_("Or type: quiet off, quiet default") if word else _("Or type: quiet 19:00-07:00, quiet default"),),
    )


# ------------------------------------------------------------------ the digest


def digest_card(digest: Digest, now: datetime) -> Notice:
    """To a person; its buttons lead to what is stuck."""
    title = _("{moved} since {time}", moved=_moved(digest.whole), time=clock(digest.since, now))
    admin = digest.hearer is Hearer.ADMIN
    return Notice(
        title=title,
        summary=_("Daily digest: {moved}", moved=_moved(digest.whole)),
        tone=Tone.WARNING if digest.stuck.problems else Tone.PLAIN,
        lines=(_counts(digest.whole), *(_rollout_line(each) for each in digest.rollouts), *_more(digest)),
        facts=(*_stuck_facts(digest.stuck, now), *_lost_facts(digest)),
        buttons=_links(digest) if admin else (Button("jobs", _("List")), Button("next", _("Next device"))),
        small=(
            _("Or type: digest, digest off, devices problem, offline, codes, rollout")
            if admin
            else _("Or type: digest, digest off, list, next"),
        ),
    )


def digest_note(digest: Digest, now: datetime) -> str:
    """Into a channel: counts and places, never a MAC or a code."""
    whole = digest.whole
    title = _("{site}: {moved} since {time}.", site=site_words(whole.scope), moved=_moved(whole),
              time=clock(digest.since, now))  # fmt: skip
    stuck = (f"- {fact.label}: {fact.value}" for fact in (*_stuck_facts(digest.stuck, now), *_lost_facts(digest)))
    return "\n".join((f"{title} {_counts(whole)}", *stuck))


def _moved(whole: Standing) -> str:
    called = ngettext("{n} device called in", "{n} devices called in", whole.called_in)
    return _("{called}, {n} installed", called=called, n=amount(whole.confirmed))


def _counts(whole: Standing) -> str:
    counts = _(
        "{done} of {total} provisioned, {installed} installed.",
        done=amount(whole.provisioned),
        total=amount(whole.total),
        installed=amount(whole.installed),
    )
    before = ngettext("{n} called in the time before.", "{n} called in the time before.", whole.called_in_before)
    return f"{counts} {before}"


def _rollout_line(each: Standing) -> str:
    return _(
        "{site}: {done} of {total} provisioned (+{called}), {installed} installed (+{confirmed})",
        site=site_words(each.scope),
        done=amount(each.provisioned),
        total=amount(each.total),
        called=amount(each.called_in),
        installed=amount(each.installed),
        confirmed=amount(each.confirmed),
    )


def _more(digest: Digest) -> tuple[str, ...]:
    count = digest.more_rollouts
    return (ngettext("{n} more rollout.", "{n} more rollouts.", count),) if count else ()


def _stuck_facts(stuck: Stuck, now: datetime) -> tuple[Fact, ...]:
    oldest = [_problem(device, now) for device in stuck.oldest]
    problems = _("{n}, oldest: {oldest}", n=amount(stuck.problems), oldest="; ".join(oldest))
    facts = (
        (stuck.problems, _("Problems"), problems),
        (stuck.offline, _("Offline"), amount(stuck.offline)),
        (stuck.ending, _("Codes that end today"), amount(stuck.ending)),
        (stuck.waiting, _("Waiting for sign-in"), amount(stuck.waiting)),
    )
    return tuple(Fact(label, value) for count, label, value in facts if count)


def _problem(device: Device, now: datetime) -> str:
    place = brief(place_words(device))
    return _("{place}, {age}", place=place, age=age(device.problem.at, now)) if device.problem else place


def _lost_facts(digest: Digest) -> tuple[Fact, ...]:
    lost = ngettext("{n} message", "{n} messages", digest.undelivered)
    if digest.unreached:
        lost = _("{lost}, to {names}", lost=lost, names=listing([escape(name) for name in digest.unreached]))
    held = listing([_("{n} about {topic}", n=count, topic=topic) for topic, count in sorted(digest.held.items())])
    events = _("{n}: see webhooks", n=amount(digest.events))
    facts = (
        (digest.undelivered, _("Not delivered"), lost),
        (digest.events, _("Events not delivered"), events),
        (digest.held, _("Not told, muted"), held),
    )
    return tuple(Fact(label, value) for there, label, value in facts if there)


def _links(digest: Digest) -> tuple[Button, ...]:
    stuck = digest.stuck
    links = (
        (stuck.problems, Button("devices", _("Problems"), {"words": "problem"})),
        (stuck.offline, Button("offline_devices", _("Offline"), {"site": ""})),
        (stuck.ending, Button("codes", _("Codes"))),
        (stuck.waiting, Button("sign_ins", _("Sign-in"))),
    )
    found = [button for there, button in links if there]
    return (*found, Button("rollout_card", _("Rollout"), {"site": ""}))[:4]
