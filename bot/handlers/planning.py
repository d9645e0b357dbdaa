"""What admins decide about a rollout: its plan, rest and end; and reminding those who work there."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, time, timedelta

from bot.handlers.day import next_device
from bot.handlers.issuing import chosen
from bot.handlers.rollouts import rollout_mine
from bot.routing import Router, Where
from bot.turn import Reply, Turn
from cards.views import planning as cards
from cards.views import rollouts as rollout_cards
from cards.words import local_text
from provisioning.access import Permission
from provisioning.errors import BadInput, InvalidChoice, InvalidEnd, InvalidStart, NotConnected, OutOfDate, WrongPlace
from provisioning.messages import MessageKind
from provisioning.model import Role
from provisioning.rollouts import Rollout
from provisioning.service.planning import FINISHED, PAUSED, RESUMED, Plan
from provisioning.texts import current_speech, speak_on
from provisioning.untrusted import parse_duration, parse_planned

router = Router()
CONNECT = (Permission.CONNECT_CHANNELS,)
START_WORDS = {"on site": True, "codes on site": True, "at once": False, "codes at once": False}
HOUR, EVENING = timedelta(hours=1), time(17)
NOTHING = ("", "-", "none", "nobody", "off")


async def _meant(turn: Turn, channel: str, scope: str = "") -> Rollout:
    """Where a button says which channel: that one's, else this channel's.

    Errors: `NotConnected`, `OutOfDate` where the button's card is of what the channel followed before.
    """
    rollout = await turn.provisioning.rollout_in(channel or turn.conversation.id)
    if scope and scope.casefold() != rollout_cards.scope_word(rollout).casefold():
        raise OutOfDate
    return rollout


async def _spoken_to_all(turn: Turn) -> None:
    """What is typed in a channel is answered in its language: all of it reads that; a press, whoever pressed."""
    if turn.in_channel and not turn.pressed:
        with suppress(NotConnected):
            speak_on(await turn.provisioning.channel_speech(turn.conversation.id))


@router.command("policy <start>", needs=CONNECT, where=Where.CHANNEL)
async def policy(turn: Turn, start: str) -> Reply:
    """Say how codes of this channel's rollout start: policy on site, or policy at once."""
    if not turn.in_channel:
        raise WrongPlace
    changed = await turn.provisioning.plan(turn.actor, turn.conversation.id, on_site=_on_site(start))
    await _spoken_to_all(turn)
    return Reply(text=rollout_cards.policy_note(changed))


def _on_site(text: str) -> bool:
    chosen = START_WORDS.get(" ".join(text.casefold().split()))
    if chosen is None:
        raise InvalidChoice(text=text[:40], choices="policy on site, policy at once")
    return chosen


# ------------------------------------------------------------------ the plan


async def plan_form(
    turn: Turn,
    channel: str = "",
    scope: str = "",
    fault: BadInput | None = None,
    lead: str | None = None,
    technicians: str | None = None,
    policy: str | None = None,
    lifetime: str | None = None,
    starts: str | None = None,
    ends: str | None = None,
) -> Reply:
    """A form: lead, technicians, how codes start and live, start and planned end; filled in with what was typed."""
    typed = {
        "lead": lead,
        "technicians": technicians,
        "policy": policy,
        "lifetime": lifetime,
        "starts": starts,
        "ends": ends,
    }
    followed = await turn.provisioning.followed_in((await _meant(turn, channel, scope)).key)
    leaders = await turn.provisioning.admins()
    workers = list(await turn.provisioning.technicians())
    people = ([*leaders, *(p for p in workers if Role.ADMIN not in turn.provisioning.roles_of(p))], workers)
    values = {name: value for name, value in typed.items() if value is not None}
    return Reply(card=cards.plan_form(followed, people, values, fault))


@router.command("plan", needs=CONNECT, where=Where.CHANNEL)
@router.action("plan", needs=CONNECT)
async def plan(turn: Turn, channel: str = "", scope: str = "") -> Reply:
    """Plan this channel's rollout in a form: lead, technicians, codes, start and end."""
    return await plan_form(turn, channel, scope)


@router.action("plan_save", form=plan_form, needs=CONNECT)
async def plan_save(
    turn: Turn,
    channel: str,
    scope: str = "",
    lead: str = "",
    technicians: str = "",
    policy: str = "at once",
    lifetime: str = "",
    starts: str = "",
    ends: str = "",
) -> Reply:
    """Keep the plan."""
    known = await _meant(turn, channel, scope)
    people = tuple(part for part in technicians.split(",") if part)
    decided = Plan(
        lead=chosen(lead),
        technicians=people,
        on_site=_on_site(policy),
        lifetime_hours=_hours(lifetime),
        planned_start=_start(turn, starts, known.planned_start),
        planned_end=_end(turn, ends, known.planned_end),
    )
    return await _planned(turn, channel, decided)


@router.command("plan <what>", needs=CONNECT, where=Where.CHANNEL)
async def plan_one(turn: Turn, what: str) -> Reply:
    """Plan one thing: lead Sam, technicians Sam and Kim, codes 48h, from or until a time; or off."""
    word, _blank, said = what.strip().partition(" ")
    if word.casefold() not in _PLANS:
        raise InvalidChoice(text=what[:40], choices=", ".join(f"plan {each}" for each in _PLANS))
    wanted = "" if said.strip().casefold() in NOTHING else said.strip()
    return await _planned(turn, turn.conversation.id, await _PLANS[word.casefold()](turn, wanted))


async def _planned(turn: Turn, channel: str, decided: Plan) -> Reply:
    await turn.provisioning.plan(turn.actor, channel, **decided)
    followed = await turn.provisioning.followed_in(channel)
    await _spoken_to_all(turn)
    return Reply(card=cards.planned_card(followed, turn.now))


async def _lead(turn: Turn, text: str) -> Plan:
    return Plan(lead=(await turn.provisioning.person(text)).id if text else "")


async def _technicians(turn: Turn, text: str) -> Plan:
    people = await turn.provisioning.receivers(text) if text else ()
    return Plan(technicians=tuple(person.id for person in people))


async def _codes(_turn: Turn, text: str) -> Plan:
    return Plan(lifetime_hours=_hours(text))


async def _from(turn: Turn, text: str) -> Plan:
    return Plan(planned_start=_start(turn, text))


async def _until(turn: Turn, text: str) -> Plan:
    return Plan(planned_end=_end(turn, text))


_PLANS: Mapping[str, Callable[[Turn, str], Awaitable[Plan]]] = {
    "lead": _lead,
    "technicians": _technicians,
    "codes": _codes,
    "from": _from,
    "until": _until,
}


def _hours(text: str) -> int:
    return parse_duration(text) // HOUR if text.strip() else 0


def _start(turn: Turn, text: str, known: datetime | None = None) -> datetime | None:
    return _time(turn, text, turn.provisioning.policy.hours.morning, InvalidStart, known)


def _end(turn: Turn, text: str, known: datetime | None = None) -> datetime | None:
    return _time(turn, text, EVENING, InvalidEnd, known)


def _time(turn: Turn, text: str, usual: time, error: type[InvalidStart], known: datetime | None) -> datetime | None:
    """A form shows what was planned: left as it is it stands, though it be over by now."""
    if known and text.strip() == local_text(known):
        return known
    return parse_planned(text, turn.now, current_speech().timezone, usual, error) if text.strip() else None


# ------------------------------------------------------------------ rest, go on, be over


@router.command("pause [<site>]", needs=CONNECT)
async def pause(turn: Turn, site: str = "") -> Reply:
    """Let a rollout rest: no code starts there and nobody is reminded until it goes on."""
    return await _each(turn, site, turn.provisioning.pause, PAUSED)


@router.command("resume [<site>]", needs=CONNECT)
async def resume(turn: Turn, site: str = "") -> Reply:
    """Let a rollout go on, after a pause or although it was finished."""
    return await _each(turn, site, turn.provisioning.resume, RESUMED)


@router.command("finish [<site>]", needs=CONNECT)
async def finish(turn: Turn, site: str = "") -> Reply:
    """Say that a rollout is over: its card stays as it is; resume takes it back."""
    return await _each(turn, site, turn.provisioning.finish, FINISHED)


async def _each(turn: Turn, site: str, decide: Callable[..., Awaitable[Rollout]], said: str) -> Reply:
    done = []
    for rollout in await turn.provisioning.rollouts_meant(turn.conversation, site):
        done.append(await decide(turn.actor, rollout, heard=rollout.key == turn.conversation.id))
    await _spoken_to_all(turn)
    return Reply(text=rollout_cards.turned_note(done[0], said, turn.actor.name))


@router.action("rollout_pause", needs=CONNECT)
async def pause_pressed(turn: Turn, channel: str = "", scope: str = "") -> Reply:
    """Pause, from the living card."""
    await turn.provisioning.pause(turn.actor, await _meant(turn, channel, scope))
    return await rollout_mine(turn)


@router.action("rollout_resume", needs=CONNECT)
async def resume_pressed(turn: Turn, channel: str = "", scope: str = "") -> Reply:
    """Go on, from the living card."""
    await turn.provisioning.resume(turn.actor, await _meant(turn, channel, scope))
    return await rollout_mine(turn)


@router.action("rollout_finish", needs=CONNECT)
async def finish_pressed(turn: Turn, channel: str = "", scope: str = "") -> Reply:
    """Finish, from the living card."""
    await turn.provisioning.finish(turn.actor, await _meant(turn, channel, scope))
    return await rollout_mine(turn)


@router.notice(MessageKind.ROLLOUT_TURNED)
async def turned_elsewhere(turn: Turn, subject: str, by: str, turned: str) -> Reply | None:
    """It was paused, goes on or is over: said in the thread where it was decided elsewhere."""
    try:
        rollout = await turn.provisioning.rollout_in(subject)
    except NotConnected:
        return None
    person = await turn.provisioning.who(by)
    return Reply(text=rollout_cards.turned_note(rollout, turned, person.name if person else ""))


# ------------------------------------------------------------------ reminding


@router.command("remind [<site>]", needs=CONNECT)
async def remind_all(turn: Turn, site: str = "") -> Reply:
    """Remind everybody who has open devices in a rollout, at most every half hour."""
    meant = await turn.provisioning.rollouts_meant(turn.conversation, site)
    reminded = await turn.provisioning.remind_all(turn.actor, meant[0])
    await _spoken_to_all(turn)
    return Reply(text=cards.reminded_note(reminded))


@router.action("rollout_remind", needs=CONNECT)
async def remind_pressed(turn: Turn, channel: str = "", scope: str = "") -> Reply:
    """Remind, from the living card."""
    reminded = await turn.provisioning.remind_all(turn.actor, await _meant(turn, channel, scope))
    return Reply(toast=cards.reminded_note(reminded))


@router.notice(MessageKind.REMINDER)
async def reminder(turn: Turn, subject: str) -> Reply | None:
    """To a technician: devices of theirs are open there; with the next one."""
    rollout, count = await turn.provisioning.open_there(turn.actor, subject)
    goes_on = not (rollout.paused or rollout.finished)  # it may rest again by now
    reply = await next_device(turn) if count and goes_on else None
    if reply is None or reply.card is None:
        return None
    summary = cards.reminder_summary(rollout.scope, count)
    return dataclasses.replace(reply, card=dataclasses.replace(reply.card, summary=summary))
