"""The channel's living card, and what is said in its thread. Never a code, never a list of MACs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cards.view import Button, Notice, RolloutCard, Style, Tone
from cards.views.common import brief, place_words, problem_words
from cards.words import bar, clock, escape, listing, until
from provisioning.model import Device
from provisioning.rollouts import Rollout
from provisioning.service.planning import FINISHED, PAUSED, RESUMED
from provisioning.service.problems import PROBLEMS
from provisioning.service.progress import Progress, Stuck, Why
from provisioning.service.rollouts import Followed
from provisioning.texts import N_, _, ngettext

FACTS = {
    "DeviceProvisioned": N_("{place}, called in {time}"),
    "InstallConfirmed": N_("{place}, {name} {time}"),
    "ProblemReported": N_("{place}, problem, {name} {time}"),
}
WHYS = {
    Why.CODE_ENDED: N_("its code ended unused"),
    Why.SIGN_IN: N_("waits for sign-in"),
    Why.OFFLINE: N_("does not call"),
}
TURNS = {
    PAUSED: N_("{site} is paused, says {name}. No code starts there and nobody is reminded until it goes on."),
    RESUMED: N_("{site} goes on, says {name}."),
    FINISHED: N_("{site} is finished, says {name}. Its card stays as it is."),
}
LATE = timedelta(minutes=15)  # behind the planned end: below that it is on time
MOST_NAMES = 4


def site_words(scope: str) -> str:
    return escape(scope) if scope else _("All sites")


def scope_word(rollout: Rollout) -> str:
    """What it follows, on its buttons: a card that is older than the channel's present rollout decides nothing."""
    return rollout.scope or "all"


def rollout_card(followed: Followed, now: datetime, *, admin: bool, readers: tuple[str, ...] = ()) -> RolloutCard:
    """As everybody reads it, or with what an admin may press."""
    progress, rollout = followed.progress, followed.rollout
    return RolloutCard(
        title=_title(rollout),
        summary=_("{site} rollout: {percent} % provisioned", site=site_words(progress.scope), percent=progress.percent),
        tone=Tone.WARNING if rollout.paused else Tone.PLAIN,
        headline=headline(progress),
        bar=bar(progress.provisioned, progress.total),
        lines=_standing(followed, now),
        heading=_("Stuck") if progress.stuck else "",
        stuck=stuck_lines(progress, now),
        last=_last(progress, now),
        updated=_("Updated {time}.", time=clock(now, now)),
        buttons=_buttons(rollout, admin=admin, done=bool(progress.total) and not progress.left),
        small=(_("Or type: rollout, pause, resume, finish, remind, plan") if admin else _("Or type: rollout"),),
        readers=readers,
        refresh_verb="rollout_mine" if readers else "",
        subject=rollout.key,
        revision=rollout.version,
    )


def _title(rollout: Rollout) -> str:
    site = site_words(rollout.scope)
    if rollout.finished:
        return _("{site} rollout, finished", site=site)
    return _("{site} rollout, paused", site=site) if rollout.paused else _("{site} rollout", site=site)


def _buttons(rollout: Rollout, *, admin: bool, done: bool) -> tuple[Button, ...]:
    details = Button("rollout_details", _("Details"), {"site": rollout.scope})
    where = {"channel": rollout.key, "scope": scope_word(rollout)}
    if not admin:
        return (details,)
    if rollout.paused or rollout.finished:
        go_on = Button("rollout_resume", _("Go on"), where, style=Style.POSITIVE)
        return (go_on, details, Button("plan", _("Plan"), where))
    plan = Button("plan", _("Plan"), where)
    if done:
        return (details, plan, Button("rollout_finish", _("Finish"), where))
    return (details, Button("rollout_remind", _("Remind"), where), Button("rollout_pause", _("Pause"), where), plan)


def headline(progress: Progress) -> str:
    """What was provisioned and installed, and the problems; what was only mounted is said apart."""
    counts = _(
        "{done} of {total} provisioned, {installed} installed, {problems}",
        done=progress.provisioned,
        total=progress.total,
        installed=progress.installed,
        problems=ngettext("{n} problem", "{n} problems", progress.problems),
    )
    if not progress.waiting_installed:
        return counts
    return ngettext(
        "{counts}. {n} of the installed has not called in",
        "{counts}. {n} of the installed have not called in",
        progress.waiting_installed,
        counts=counts,
    )


def _standing(followed: Followed, now: datetime) -> tuple[str, ...]:
    progress, rollout = followed.progress, followed.rollout
    counts = _(
        "{added} added, {coded} with a live code, {signed} signed in.",
        added=progress.total,
        coded=progress.coded,
        signed=progress.signed_in,
    )
    turned: tuple[str, ...] = ()
    if rollout.finished_at:
        turned = (_("Finished {time}.", time=clock(rollout.finished_at, now)),)
    elif rollout.paused_at:
        turned = (_("Paused since {time}.", time=clock(rollout.paused_at, now)),)
    speed = () if turned else pace_lines(progress, now)
    return (counts, *turned, *speed, *plan_lines(followed, now))


def _rests(rollout: Rollout) -> bool:
    """Nothing is forecast of it."""
    return rollout.paused or rollout.finished


def pace_lines(progress: Progress, now: datetime) -> tuple[str, ...]:
    """How fast it goes, and when it is done if it goes on like that; nothing where too little happened to tell."""
    pace = progress.pace
    if not pace.per_hour:
        stands = progress.left and progress.last_at and progress.provisioned
        return (_("No forecast yet: too little happened to tell."),) if stands else ()
    speed = _("About {rate} an hour", rate=f"{pace.per_hour:.0f}" if pace.per_hour >= 2 else f"{pace.per_hour:.1f}")
    if pace.done_at is None:
        return (f"{speed}.",)
    return (_("{speed}, done about {time}.", speed=speed, time=until(_rounded(pace.done_at), now)),)


def _rounded(moment: datetime) -> datetime:
    """To ten minutes: a forecast is no appointment."""
    spare = timedelta(minutes=moment.minute % 10, seconds=moment.second, microseconds=moment.microsecond)
    return moment - spare + (timedelta(minutes=10) if spare >= timedelta(minutes=5) else timedelta())


def plan_lines(followed: Followed, now: datetime) -> tuple[str, ...]:
    """What was decided beforehand, as far as it was; against the forecast, where there is one."""
    rollout, lines = followed.rollout, list[str]()
    if followed.lead:
        lines.append(_("Lead: {name}", name=escape(followed.lead.name)))
    if followed.technicians:
        lines.append(_("Technicians: {names}", names=_people(followed)))
    if rollout.planned_start and now < rollout.planned_start:
        lines.append(_("Starts {time}", time=clock(rollout.planned_start, now)))
    if rollout.planned_end and not rollout.finished:
        lines.append(_end_words(rollout.planned_end, followed.progress, now, paused=rollout.paused))
    return (" · ".join(lines),) if lines else ()


def _end_words(end: datetime, progress: Progress, now: datetime, *, paused: bool) -> str:
    said, done = _("Planned until {time}", time=clock(end, now)), None if paused else progress.pace.done_at
    if progress.left and (now > end or (done and done - end > LATE)):
        return _("{said}: late", said=said)
    return _("{said}: on time", said=said) if done or not progress.left else said


def _people(followed: Followed) -> str:
    names = [escape(person.name) for person in followed.technicians]
    more = len(names) - MOST_NAMES
    return listing([*names[:MOST_NAMES], *([ngettext("{n} more", "{n} more", more)] if more > 0 else [])])


def stuck_lines(progress: Progress, now: datetime) -> tuple[str, ...]:
    """What, where, since when, whose; the oldest first."""
    lines = [_stuck_line(each, now) for each in progress.stuck]
    if progress.stuck_more:
        words = N_("and more than {n} more") if progress.stuck_beyond else N_("and {n} more")
        lines.append(_(words, n=progress.stuck_more))
    return tuple(lines)


def _stuck_line(stuck: Stuck, now: datetime) -> str:
    why = _problem(stuck.device) if stuck.why is Why.PROBLEM else _(WHYS[stuck.why])
    said = {"place": brief(escape(stuck.device.place)), "why": why, "time": clock(stuck.since, now)}
    if stuck.whose:
        return _("{place}: {why}, since {time}, {name}", name=escape(stuck.whose), **said)
    return _("{place}: {why}, since {time}, nobody's", **said)


def _problem(device: Device) -> str:
    """What it is called, without the note that somebody wrote: a card that everybody reads stays short."""
    return _("problem, {kind}", kind=_(PROBLEMS[device.problem.kind])) if device.problem else ""


def _last(progress: Progress, now: datetime) -> str:
    if progress.last is None or progress.last_at is None:
        return ""
    said = _(
        FACTS[progress.last_fact],
        place=escape(progress.last.place),
        name=escape(progress.last_by),
        time=clock(progress.last_at, now),
    )
    return _("Last: {said}.", said=said)


# ── asked for ────────────────────────────────────────────────────────────────────────────────────────────────────


def sentences(progress: Progress, now: datetime, followed: Followed | None = None) -> tuple[str, ...]:
    """The card in plain sentences: for whoever types, listens, or has a client that draws no cards."""
    waiting = progress.left
    return (
        ngettext("{n} device waits for activation.", "{n} devices wait for activation.", waiting),
        ngettext("{n} of them has a live code.", "{n} of them have a live code.", progress.coded),
        ngettext("{n} device called in.", "{n} devices called in.", progress.provisioned),
        ngettext("{n} device is signed in.", "{n} devices are signed in.", progress.signed_in),
        ngettext("{n} device confirmed on site.", "{n} devices confirmed on site.", progress.installed),
        *_mounted_only(progress),
        ngettext("{n} device has a problem.", "{n} devices have a problem.", progress.problems),
        *(() if followed and _rests(followed.rollout) else pace_lines(progress, now)),
        *_stuck_sentences(progress, now),
        *((_("Codes start on site."),) if followed and followed.rollout.on_site else ()),
        *(plan_lines(followed, now) if followed else ()),
    )


def _stuck_sentences(progress: Progress, now: datetime) -> tuple[str, ...]:
    words = N_("More than {n} more are stuck.") if progress.stuck_beyond else N_("{n} more are stuck.")
    lines, more = stuck_lines(progress, now), (_(words, n=progress.stuck_more),)
    said = tuple(_("Stuck: {line}", line=line) for line in lines[: len(progress.stuck)])
    return said + (more if progress.stuck_more else ())


def details_card(progress: Progress, now: datetime, followed: Followed | None = None) -> Notice:
    return Notice(
        title=_title(followed.rollout) if followed else _("{site} rollout", site=site_words(progress.scope)),
        lines=sentences(progress, now, followed),
        buttons=(Button("rollout_card", _("Back"), {"site": progress.scope}),) if followed else (),
        small=(_("Or type: rollout"),),
    )


def plain_note(followed: Followed, now: datetime) -> str:
    """What `rollout` answers in a channel whose card stands further up."""
    said = [_title(followed.rollout), headline(followed.progress), *sentences(followed.progress, now, followed)]
    return "\n\n".join(line if line[-1] in ".!?" else f"{line}." for line in said)


def rollouts_card(rollouts: Sequence[Followed], everything: Progress, now: datetime) -> Notice:
    """All of them, a line each."""
    lines = tuple(_rollout_line(each, now) for each in rollouts[:10])
    more = (_("{n} more: say rollout and a site.", n=len(rollouts) - 10),) if len(rollouts) > 10 else ()
    every = _("All sites: {counts}.", counts=headline(everything))
    return Notice(title=_("Rollouts"), lines=(every, *lines, *more), small=(_("Or type: rollout and a site"),))


def _rollout_line(followed: Followed, now: datetime) -> str:
    progress = followed.progress
    said = _("**{title}**: {counts}.", title=_title(followed.rollout), counts=headline(progress))
    return " ".join((said, *(() if _rests(followed.rollout) else pace_lines(progress, now))))


def _mounted_only(progress: Progress) -> tuple[str, ...]:
    """What was confirmed before the device called in; of a companion device nobody here knows more."""
    count = progress.waiting_installed
    said = ngettext("{n} of them has not called in here.", "{n} of them have not called in here.", count)
    return (said,) if count else ()


# ── said in the thread, and to whoever decided ───────────────────────────────────────────────────────────────────


def policy_note(rollout: Rollout) -> str:
    site = site_words(rollout.scope)
    if rollout.on_site:
        return _("{site}: codes start on site from now on, when a technician is at the device.", site=site)
    return _("{site}: codes are made at once from now on, when they are issued.", site=site)


def connected_note(rollout: Rollout) -> str:
    return _("This channel follows {site} now.", site=site_words(rollout.scope))


def disconnected_note(rollout: Rollout) -> str:
    return _("This channel no longer follows {site}. The card above stays as it is.", site=site_words(rollout.scope))


def turned_note(rollout: Rollout, turn: str, name: str) -> str:
    return _(TURNS[turn], site=site_words(rollout.scope), name=escape(name))


def milestone_note(rollout: Rollout, percent: int) -> str:
    if percent == 0:
        return _("{site}: the first device called in. The rollout has started.", site=site_words(rollout.scope))
    if percent == 100:
        return _("{site}: 100 %. Every device has called in.", site=site_words(rollout.scope))
    return _("{site}: {percent} % of the devices have called in.", site=site_words(rollout.scope), percent=percent)


def codes_ended_note(count: int) -> str:
    return ngettext("{n} code ended unused.", "{n} codes ended unused.", count)


def codes_dying_note(count: int) -> str:
    return ngettext(
        "{n} code ends within the hour. Its technician can renew it.",
        "{n} codes end within the hour. Their technicians can renew them.",
        count,
    )


def problem_note(device: Device, owner: str) -> str:
    said = _("Problem at {place}: {problem}", place=place_words(device), problem=problem_words(device))
    return f"{owner} {said}" if owner else said


def card_gone_card(site: str) -> Notice:
    return Notice(
        title=_("The card of {site} was deleted twice", site=site_words(site)),
        lines=(
            _("I do not post it again by myself. Mention me there and say rollout to have it back, or disconnect."),
        ),
    )
