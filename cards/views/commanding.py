"""What devices are asked for from afar, and what they say to it: their own words always in quotes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cards.view import Button, Notice, Style, Tone
from cards.views.common import brief, cancel, short
from cards.words import age, clock, escape, until
from provisioning.commands import CommandName, CommandStatus, DeviceCommand
from provisioning.model import Actor, Device
from provisioning.service.commanding import Asked
from provisioning.service.lookup import Target
from provisioning.texts import N_, _, ngettext

NAMES: Mapping[CommandName, str] = {
    CommandName.SIGN_OUT: N_("sign out"),
    CommandName.RESTART: N_("restart"),
    CommandName.DIAGNOSTICS: N_("diagnostics"),
}
VERBS: Mapping[CommandName, str] = {
    CommandName.SIGN_OUT: "sign_out",
    CommandName.RESTART: "restart",
    CommandName.DIAGNOSTICS: "diagnose",
}
TYPED: Mapping[CommandName, str] = {
    CommandName.SIGN_OUT: N_("Or type: sign out {place}"),
    CommandName.RESTART: N_("Or type: restart {place}"),
    CommandName.DIAGNOSTICS: N_("Or type: diagnose {place}"),
}
_TITLES: Mapping[tuple[CommandName, CommandStatus], str] = {
    (CommandName.SIGN_OUT, CommandStatus.ASKED): N_("Asked {place} to sign out. Not done yet."),
    (CommandName.SIGN_OUT, CommandStatus.DONE): N_("{place} signed out {time}"),
    (CommandName.SIGN_OUT, CommandStatus.FAILED): N_("{place} did not sign out"),
    (CommandName.SIGN_OUT, CommandStatus.WITHDRAWN): N_("Taken back: {place} stays signed in"),
    (CommandName.RESTART, CommandStatus.ASKED): N_("Asked {place} to restart. Not done yet."),
    (CommandName.RESTART, CommandStatus.DONE): N_("{place} restarted {time}"),
    (CommandName.RESTART, CommandStatus.FAILED): N_("{place} did not restart"),
    (CommandName.RESTART, CommandStatus.WITHDRAWN): N_("Taken back: {place} does not restart"),
    (CommandName.DIAGNOSTICS, CommandStatus.ASKED): N_("Asked {place} how it is. No answer yet."),
    (CommandName.DIAGNOSTICS, CommandStatus.DONE): N_("{place} says how it is"),
    (CommandName.DIAGNOSTICS, CommandStatus.FAILED): N_("{place} did not say how it is"),
    (CommandName.DIAGNOSTICS, CommandStatus.WITHDRAWN): N_("Taken back: {place} is not asked how it is"),
}
_OVER = N_("{place} began anew: it is not asked for this any more")  # whatever it was, where its life ended
_TONES: Mapping[CommandStatus, Tone] = {CommandStatus.DONE: Tone.GOOD, CommandStatus.FAILED: Tone.ATTENTION}
_STATUS: Mapping[CommandStatus, str] = {
    CommandStatus.DONE: N_("done {time}"),
    CommandStatus.FAILED: N_("failed {time}"),
    CommandStatus.WITHDRAWN: N_("taken back {time}"),
    CommandStatus.LAPSED: N_("ended {time}, with its life"),
}
HISTORY = 3  # outcomes on the device's card


def asked_card(asked: Asked, actor: Actor, now: datetime, *, again: bool = False) -> Notice:
    """One thing asked of one device, as it stands now. `again`: it was asked for once more, which changed nothing."""
    device, command = asked.device, asked.command
    notice = _("Asked already {age}, not done yet.", age=age(command.asked_at, now)) if again else ""
    return Notice(
        title=_title(device, command, now),
        tone=_TONES.get(command.status, Tone.PLAIN),
        notice=notice,
        lines=_lines(device, command, actor, now),
        buttons=_buttons(device, command),
        small=(short(device), *_typed(device, command)),
        subject=device.mac,
        revision=device.version,
    )


def _title(device: Device, command: DeviceCommand, now: datetime) -> str:
    settled = command.settled_at or now
    words = _TITLES.get((command.name, command.status), _OVER)
    return _(words, place=escape(device.place), time=clock(settled, now))


def _lines(device: Device, command: DeviceCommand, actor: Actor, now: datetime) -> tuple[str, ...]:
    by = _("you") if command.by == actor.id else escape(command.by_name)
    asked = {"name": by, "time": clock(command.asked_at, now)}
    if not command.open:
        said = (words_of(command),) if command.detail else ()
        return (*said, _("Asked by {name} {time}.", **asked))
    lines = [_("Asked by {name} {time}, {age}.", age=age(command.asked_at, now), **asked)]
    if command.scheduled(now):
        lines.insert(0, _("It is to do so at {time}.", time=until(command.due_at, now)))
    elif device.offline_since:
        since, ago = clock(device.offline_since, now), age(device.offline_since, now)
        lines.append(_("It has not called since {time}, {age}: it finds this with its next call.", time=since, age=ago))
    else:
        lines.append(_("It finds this with its next call; this card then changes by itself."))
    return tuple(lines)


def words_of(command: DeviceCommand) -> str:
    """What the device said: not ours, so in quotes."""
    return _('It says: "{words}"', words=escape(command.detail))


def _buttons(device: Device, command: DeviceCommand) -> tuple[Button, ...]:
    data = {"device": device.mac}
    if command.open:
        return (Button("take_back", _("Take back"), {"target": device.mac, "command": command.id}),)
    show = Button("device", _("Show it"), data)
    if command.status is CommandStatus.FAILED:
        again = Button(VERBS[command.name], _("Try again"), {"target": device.mac}, style=Style.POSITIVE)
        return (again, show)
    if command.name is CommandName.SIGN_OUT and command.status is CommandStatus.DONE:
        return (Button("sign_in", _("Sign in"), data, style=Style.POSITIVE), show)
    return (show,)


def _typed(device: Device, command: DeviceCommand) -> tuple[str, ...]:
    place = escape(device.place)
    if command.open:
        return (_("Or type: take back {place}", place=place),)
    if command.status is CommandStatus.FAILED:
        return (_(TYPED[command.name], place=place),)
    if command.name is CommandName.SIGN_OUT and command.status is CommandStatus.DONE:
        return (_("Or type: sign in {place}", place=place),)
    return ()


# ------------------------------------------------------------------ many devices

_QUESTIONS: Mapping[CommandName, tuple[str, str]] = {  # at once, and at an hour
    CommandName.SIGN_OUT: (
        N_("Sign out {n} devices of {title}?"),
        N_("Sign out {n} devices of {title} at {time}?"),
    ),
    CommandName.RESTART: (
        N_("Restart {n} devices of {title} now?"),
        N_("Restart {n} devices of {title} at {time}?"),
    ),
    CommandName.DIAGNOSTICS: (
        N_("Ask {n} devices of {title} how they are?"),
        N_("Ask {n} devices of {title} at {time} how they are?"),
    ),
}
_MEANS: Mapping[CommandName, str] = {
    CommandName.SIGN_OUT: N_("Nobody can use them until somebody signs them in again; that needs nobody on site."),
    CommandName.RESTART: N_("Calls that are going on there end."),
    CommandName.DIAGNOSTICS: N_("Each of them answers with a note, and each note is a message to you."),
}
_YES: Mapping[CommandName, str] = {
    CommandName.SIGN_OUT: N_("Sign out"),
    CommandName.RESTART: N_("Restart"),
    CommandName.DIAGNOSTICS: N_("Ask them"),
}


def ask_first(name: CommandName, target: Target, count: int, at: datetime | None, now: datetime) -> Notice:
    """Before more than one device is asked."""
    data = {"target": target.word, "sure": "true", **({"time": at.isoformat()} if at else {})}
    words = {"n": count, "title": escape(target.title)}
    now_or_then = _QUESTIONS[name][1 if at else 0]
    style = Style.POSITIVE if name is CommandName.DIAGNOSTICS else Style.DESTRUCTIVE
    return Notice(
        title=_(now_or_then, time=until(at, now) if at else "", **words),
        lines=(_(_MEANS[name]),),
        buttons=(Button(VERBS[name], _(_YES[name]), data, style=style), cancel()),
        small=(_("Or type it for one device: {typed}", typed=_(TYPED[name], place="2.14").partition(": ")[2]),),
    )


def asked_many(name: CommandName, target: Target, count: int, at: datetime | None, now: datetime) -> Notice:
    """What was asked of how many."""
    if not count:
        return Notice(title=_("Nothing new: they were asked already"))
    when = (_("They are to do so at {time}.", time=until(at, now)),) if at else ()
    return Notice(
        title=_("{asked}: {title}", asked=_asked_words(name, count), title=escape(target.title)),
        lines=(*when, _("Each finds it with its next call. Its own card says what came of it.")),
        buttons=(_show_them(target),),
        small=(_("Or type: take back {place}", place=escape(target.word)),),
    )


def _asked_words(name: CommandName, count: int) -> str:
    if name is CommandName.RESTART:
        return ngettext("{n} device asked to restart", "{n} devices asked to restart", count)
    if name is CommandName.SIGN_OUT:
        return ngettext("{n} device asked to sign out", "{n} devices asked to sign out", count)
    return ngettext("{n} device asked how it is", "{n} devices asked how they are", count)


def _show_them(target: Target) -> Button:
    return Button("devices", _("Show them"), {"words": target.scope})


def nothing_to_ask(name: CommandName, target: Target) -> Notice:
    title, word = escape(target.title), escape(target.word)
    if name is CommandName.SIGN_OUT:
        said, typed = _("No device of {title} is signed in", title=title), _("Or type: sign in {place}", place=word)
    else:
        said, typed = _("No device of {title} has called in yet", title=title), _("Or type: issue {place}", place=word)
    return Notice(title=said, buttons=(_show_them(target),), small=(typed,))


def take_back_first(target: Target, count: int) -> Notice:
    """Before it is taken back from more than one device."""
    data = {"target": target.word, "sure": "true"}
    return Notice(
        title=_("Take back what {n} devices of {title} are asked for?", n=count, title=escape(target.title)),
        lines=(_("What they have done already stays done."),),
        buttons=(Button("take_back", _("Take back"), data, style=Style.DESTRUCTIVE), cancel()),
        small=(_("Or type it for one device: {typed}", typed="take back 2.14"),),
    )


def taken_back_many(target: Target, count: int) -> Notice:
    title = escape(target.title)
    if not count:
        return Notice(title=_("No device of {title} is asked for anything", title=title))
    return Notice(
        title=ngettext("Taken back of {n} device: {title}", "Taken back of {n} devices: {title}", count, title=title),
        lines=(_("What was on its way to a device already may still be done."),),
        buttons=(_show_them(target),),
    )


# ------------------------------------------------------------------ on the device's card


def waiting_words(device: Device, now: datetime) -> str:
    """`sign out, asked by Dana 08:40, 3 min ago, not yet done`; several with semicolons."""
    return "; ".join(_waiting(command, now) for command in device.waiting_commands)


def _waiting(command: DeviceCommand, now: datetime) -> str:
    words = {"what": _(NAMES[command.name]), "name": escape(command.by_name), "time": clock(command.asked_at, now)}
    if command.scheduled(now):
        return _("{what} at {due}, asked by {name} {time}", due=until(command.due_at, now), **words)
    return _("{what}, asked by {name} {time}, {age}, not yet done", age=age(command.asked_at, now), **words)


def history_words(device: Device, now: datetime) -> str:
    """The latest outcomes, newest first."""
    over = sorted((each for each in device.commands if each.settled_at), key=_settled_at, reverse=True)
    return "; ".join(_outcome(command, now) for command in over[:HISTORY])


def _settled_at(command: DeviceCommand) -> datetime:
    return command.settled_at or command.asked_at


def _outcome(command: DeviceCommand, now: datetime) -> str:
    what = _(NAMES[command.name])
    how = _(_STATUS[command.status], time=clock(_settled_at(command), now))
    if command.detail:
        return _('{what} {how}: "{words}"', what=what, how=how, words=brief(escape(command.detail)))
    return _("{what} {how}", what=what, how=how)
