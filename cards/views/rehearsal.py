"""What a rehearsal found, in sentences: the card in the chat, and the same for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cards.view import Notice, Tone
from cards.words import amount, bar, clock, escape, listing, stamp
from provisioning.rehearsals import Advice, Conflict, Cure, Found, Load, Report, Slip
from provisioning.texts import N_, _, ngettext

SLIPS: Mapping[Slip, str] = {
    Slip.TYPO: N_("codes mistyped, told by the check digit"),
    Slip.WRONG_CODE: N_("wrong codes"),
    Slip.SWAP: N_("devices swapped"),
    Slip.DEAD_CODE: N_("codes that were dead on arrival"),
    Slip.ANSWER_LOST: N_("answers lost on the way to a device"),
    Slip.NO_NETWORK: N_("devices without network for a while"),
    Slip.PHONE_OFFLINE: N_("phones that sent late"),
    Slip.MISSING: N_("devices missing from their box"),
    Slip.BROKEN: N_("devices broken"),
    Slip.PROBLEM: N_("problems that an admin had to answer"),
}
CONFLICTS: Mapping[Conflict, str] = {
    Conflict.SAME_PLACE: N_("Devices that share a room with another one: {n}"),
    Conflict.NEIGHBOURS: N_("Devices whose MAC differs in one digit from another's on that floor: {n}"),
    Conflict.SAME_SERIAL: N_("Devices with the serial number of another one: {n}"),
    Conflict.NO_TECHNICIAN: N_("Devices without a technician: {n}"),
    Conflict.UNKNOWN_TECHNICIAN: N_("Devices with somebody who is no technician: {n}"),
    Conflict.NO_CHAT: N_("Technicians who cannot be written to: {n}"),
    Conflict.NO_FLOOR: N_("Devices without a floor in their location: {n}"),
    Conflict.OPEN_PROBLEM: N_("Devices with an open problem: {n}"),
    Conflict.RESET_AWAITED: N_("Devices that wait for a factory reset: {n}"),
    Conflict.SHORT_CODES: N_("Codes that live now and would end before somebody gets there: {n}"),
    Conflict.LONG_CODES: N_("Codes would stay valid for {n} h after the last install."),
    Conflict.NOBODY: N_("There is no technician."),
    Conflict.NO_CHANNEL: N_("No channel follows this rollout."),
}
CURES: Mapping[Cure, str] = {
    Cure.ON_SITE: N_("Start codes on site instead of at once: none of the {n} would die. Type: policy on site"),
    Cure.LIFETIME: N_("Or let codes live {n} h."),
    Cure.MORE_HANDS: N_("Send more technicians: {n} more would be done about {time}."),
    Cure.FEWER_HANDS: N_("Fewer technicians are enough: without {n} of them it would be done about {time}."),
    Cure.SPLIT: N_("Share the devices more evenly: one technician has {n}."),
    Cure.FIX_DATA: N_("Put the data right before you begin."),
    Cure.NOTHING: N_("Nothing: it can go like this."),
}
NOBODY_TOLD = N_("Rehearsal: nobody was told anything, and nothing was changed.")
MOST = 8  # technicians on a card


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[str, ...]


def headline(report: Report) -> str:
    site = escape(report.scope) if report.scope else _("all sites")
    if report.end is None:
        return _("Rehearsal of {site}: nothing was installed", site=site)
    return _("Rehearsal of {site}: done about {time}", site=site, time=clock(report.end, report.start))


def sections(report: Report, most: int = 0) -> tuple[Section, ...]:
    """All of it; `most` technicians, 0: every one."""
    loads = sorted(report.loads, key=lambda load: (load.done_at is None, load.done_at))
    shown = loads[-most:] if most else loads
    found = (
        Section(_("How long"), tuple(_duration(report))),
        Section(_("What to change"), tuple(map(_cure, report.advice))),
        Section(_("Technicians"), tuple(_load(load, report.start) for load in shown)),
        Section(_("In the data"), tuple(map(_conflict, report.conflicts))),
        Section(_("Codes"), tuple(_codes(report))),
        Section(_("What went wrong on site"), tuple(_slips(report))),
        Section(_("Messages"), tuple(_messages(report))),
    )
    return tuple(section for section in found if section.lines)


def report_card(report: Report) -> Notice:
    """In the chat of whoever asked for it."""
    lines = [
        f"**{section.title}**\n" + "\n".join(f"- {line}" for line in section.lines)
        for section in sections(report, MOST)
    ]
    done = report.end is not None and not report.unfinished
    return Notice(
        title=headline(report),
        tone=Tone.PLAIN if done else Tone.ATTENTION,
        lines=tuple(lines),
        small=(_(NOBODY_TOLD), _("Again: rehearse {site}", site=escape(report.scope) or "all")),
    )


def working_card(site: str, done: int = 0, total: int = 0, at: datetime | None = None) -> Notice:
    """While it plays."""
    lines = [_("A copy of the data is played through. This takes a minute or two.")]
    if total and at:
        there = _("{done} of {total} devices, it is {time} there.", done=done, total=total, time=stamp(at))
        lines = [bar(done, total), there]
    title = _("Rehearsing {site}", site=escape(site) or _("all sites"))
    return Notice(title=title, lines=tuple(lines), small=(_(NOBODY_TOLD),))


def failed_card(site: str, reason: str) -> Notice:
    title = _("The rehearsal of {site} broke off", site=escape(site) or _("all sites"))
    small = (_(NOBODY_TOLD), _("Again: rehearse {site}", site=escape(site) or "all"))
    return Notice(title=title, tone=Tone.ATTENTION, lines=(escape(reason),), small=small)


# ------------------------------------------------------------------ sentences


def _duration(report: Report) -> Iterator[str]:
    devices = ngettext("{n} device", "{n} devices", report.devices)
    people = ngettext("{n} technician", "{n} technicians", len(report.loads))
    if report.end:
        start, end = stamp(report.start), clock(report.end, report.start)
        words = {"devices": devices, "people": people, "start": start, "end": end}
        yield _("{devices}, {people}: starts {start}, done about {end}.", **words)
    else:
        yield _("{devices}, {people}.", devices=devices, people=people)
    if report.made_up:
        yield _("The devices are made up.")
    if report.earliest and report.latest:
        early, late = clock(report.earliest, report.start), clock(report.latest, report.start)
        yield _("8 of 10 runs end between {early} and {late} ({n} runs).", early=early, late=late, n=report.runs)
    else:
        yield _("One run: the real day will differ. --runs 5 shows by how much.")
    counts = {"provisioned": report.provisioned, "installed": report.installed}
    yield _("{provisioned} called in, {installed} installed.", **counts)
    if report.signed_in:
        yield ngettext("{n} signed in by one admin.", "{n} signed in by one admin.", report.signed_in)
    if report.stuck:
        yield ngettext("{n} is missing or broken.", "{n} are missing or broken.", report.stuck)
    if report.unfinished:
        yield ngettext("{n} was not reached.", "{n} were not reached.", report.unfinished)
    if report.passed_over:
        yield ngettext(
            "{n} was left out: installed already, or with a code of the Teams admin centre.",
            "{n} were left out: installed already, or with codes of the Teams admin centre.",
            report.passed_over,
        )


def _load(load: Load, start: datetime) -> str:
    words = {
        "name": escape(load.name),
        "installed": load.installed,
        "devices": load.devices,
        "work": _span(load.work),
        "walk": _span(load.walk),
        "lost": _span(load.lost),
        "idle": _span(load.idle),
    }
    said = _("{name}: {installed} of {devices}; {work} at devices, {walk} walking, {lost} lost, {idle} idle", **words)
    return _("{said}; done {time}", said=said, time=clock(load.done_at, start)) if load.done_at else said


def _span(minutes: float) -> str:
    whole = round(minutes)
    return _("{h} h {min} min", h=whole // 60, min=whole % 60) if whole >= 60 else _("{min} min", min=whole)


def _conflict(found: Found) -> str:
    said = _(CONFLICTS[found.conflict], n=amount(found.count))
    return _("{said} ({places})", said=said, places=listing([*map(escape, found.places)])) if found.places else said


def _codes(report: Report) -> Iterator[str]:
    dying = report.dying
    if dying.on_site:
        yield _("They start on site, when a technician is at the device.")
    else:
        yield _("They are made at once and live {n} h.", n=f"{dying.lifetime:g}")
    if not dying.count:
        yield _("None would die unused.")
        return
    yield ngettext("{n} would die unused.", "{n} would die unused.", dying.count)
    for hour, count in dying.hours[:6]:
        yield ngettext("{n} in the hour from {time}", "{n} in the hour from {time}", count, time=stamp(hour))


def _slips(report: Report) -> Iterator[str]:
    for counted in report.slips:
        if counted.count:
            words = {"n": counted.count, "what": _(SLIPS[counted.slip]), "time": _span(counted.minutes)}
            yield _("{n} {what}: {time}", **words)


def _messages(report: Report) -> Iterator[str]:
    traffic = report.traffic
    new = sum(count for kind, count in traffic.told if kind != "edit")
    words = {"new": amount(new), "edits": amount(traffic.edits_sent), "saved": amount(traffic.coalesced)}
    if traffic.told:
        yield _("{new} messages and {edits} changes of cards; {saved} more were put together with another.", **words)
        kinds = ", ".join(f"{kind} {count}" for kind, count in traffic.told if kind != "edit")
        yield _("By kind: {kinds}", kinds=escape(kinds))
    for peak in traffic.peaks:
        words = {"calls": str(peak.calls), "most": str(peak.most), "seconds": f"{peak.window:g}"}
        if not peak.where:
            yield _("At most {calls} of {most} calls in {seconds} s together.", **words)
        elif peak.calls:
            yield _("At most {calls} of {most} calls in {seconds} s: {where}.", **words, where=escape(peak.where))
    for held in traffic.held:
        words = {"where": escape(held.where), "n": str(held.refused), "seconds": f"{held.seconds:g}"}
        yield _("Teams held up {where} {n} times, {seconds} s in all.", **words)
    if traffic.told and not traffic.held:
        yield _("Teams would hold up nothing.")
    if traffic.told:
        words = {"usual": f"{traffic.usual_delay:g}", "longest": f"{traffic.longest_delay:g}"}
        yield _("A message stands there after {usual} s, the slowest after {longest} s.", **words)
    if traffic.undelivered:
        yield ngettext("{n} could not be delivered.", "{n} could not be delivered.", traffic.undelivered)


def _cure(advice: Advice) -> str:
    time = stamp(advice.at) if advice.at else ""
    return _(CURES[advice.cure], n=amount(advice.number), time=time)
