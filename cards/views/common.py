"""Words and buttons that several cards share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cards.view import Button, Notice, Style, Tone
from cards.words import clock, escape, mac_dashed, mac_end, until
from provisioning.ending import stage
from provisioning.errors import Ambiguous, Choice, NearMiss
from provisioning.lifecycle import companion
from provisioning.mac import vendor
from provisioning.model import ActivationCode, Device, Person, State
from provisioning.service.problems import PROBLEMS
from provisioning.texts import N_, _

BADGES: Mapping[State, tuple[str, Tone]] = {
    State.WAITING_FOR_ACTIVATION: (N_("waiting for activation"), Tone.PLAIN),
    State.WAITING_FOR_SIGN_IN: (N_("waiting for sign-in"), Tone.ACCENT),
    State.SIGNED_IN: (N_("signed in"), Tone.GOOD),
    State.SIGNED_OUT: (N_("signed out"), Tone.WARNING),
}

KINDS = {
    "phone": N_("phone"),
    "display": N_("display"),
    "panel": N_("panel"),
    "room": N_("room system"),
    "sip": N_("SIP phone"),
}
SIP = "sip"  # a phone that is told its code by dialling, and shows nobody's name
HOW: Mapping[str, str] = {
    "phone": N_("On the device: Settings, Provision device, type the code."),
    "display": N_("On the display: Settings, Provision device, type the code."),
    "panel": N_("On the panel: Settings, Provision device, type the code."),
    "room": N_("On the console: Settings, Provision device, type the code."),
    SIP: N_("Dial it on the phone like a number."),
}
RESETS: Mapping[str, str] = {
    "phone": N_("Reset first: device settings, factory reset."),
    "display": N_("Reset first: device settings, factory reset."),
    "panel": N_("Reset first: device settings of the panel, factory reset."),
    "room": N_("Reset first: device settings of the console, factory reset."),
    SIP: N_("Reset first: the phone's own menu, reset to factory settings."),
}
CHOICES = 100  # ways to choose in one list; whoever is not among them is typed
PLACE = 60  # characters of a place in a row: ten rows fit into a card, in every script
ROW = 32  # characters of all titles of a row of buttons, on a phone
_NUMBERED = re.compile(r"[\d.\-]+[A-Za-z]?")


def state_words(device: Device) -> str:
    """Of a companion device the state is not known here, only what was said on site."""
    if companion(device) and device.installed and device.installed.screen:
        return _("confirmed on site")
    return _(BADGES[device.state][0])


def tone_of(device: Device) -> Tone:
    if device.problem:
        return Tone.ATTENTION
    return Tone.GOOD if companion(device) and device.installed else BADGES[device.state][1]


def live_words(device: Device, now: datetime) -> str:
    """Who accepts its live code, and until when; empty where none lives."""
    code = device.live_code(now)
    if code is None:
        return ""
    if companion(device):
        return _("code of the Teams admin centre, until {time}", time=until(code.expires_at, now))
    return _("code live")


def place_words(device: Device) -> str:
    """`Oslo, floor 2, room 2.14`: levels that are bare numbers are said to be what they are."""
    levels = [escape(level) for level in device.location.split("/")]
    if len(levels) >= 3 and _NUMBERED.fullmatch(device.location.split("/")[1]):
        levels[1] = _("floor {floor}", floor=levels[1])
    if len(levels) >= 2 and _NUMBERED.fullmatch(device.place):
        levels[-1] = _("room {room}", room=levels[-1])
    return ", ".join(levels)


def site_and_place(device: Device) -> str:
    """`Oslo 2.14`."""
    return escape(f"{device.site} {device.place}" if device.site != device.place else device.place)


def brief(words: str) -> str:
    """A place as a row of a list shows it; not cut behind the sign that belongs to what follows it."""
    return words if len(words) <= PLACE else words[: PLACE - 1].rstrip("\\ \u200b\u200d") + "…"


def what(device: Device) -> str:
    """`Yealink phone`, or as much of it as is known."""
    kind = _(KINDS[device.type]) if device.type in KINDS else _("device")
    maker = vendor(device.mac)
    return _("{maker} {kind}", maker=escape(maker), kind=kind) if maker else kind


def how_words(device: Device) -> str:
    """How a code gets into it."""
    return _(HOW.get(device.type, HOW["phone"]))


def dial_words(device: Device, digits: str) -> str:
    """`Dial *55*482913760257 and send`, where a code is dialled; empty elsewhere."""
    if device.type != SIP or not digits:
        return ""
    return _("Dial {dialled} and send", dialled=escape(f"*55*{digits}"))


def reset_words(device: Device) -> str:
    """What is to be done on site first; empty where no reset is awaited."""
    return _(RESETS.get(device.type, RESETS["phone"])) if device.reset_awaited else ""


def shows_words(device: Device, organisation: str) -> str:
    """What can be seen once a device was provisioned: where there is a screen for it, whose it is."""
    if device.type == SIP:
        return _("It waits for sign-in now.")
    return _("The screen should show {organisation}.", organisation=escape(organisation))


def what_and_mac(device: Device) -> str:
    """The MAC comes first, so that a phone's line breaks between words and not within it."""
    return _("MAC ends {end} ({mac}), {what}", what=what(device), end=mac_end(device.mac), mac=mac_dashed(device.mac))


def short(device: Device) -> str:
    """`2.14, ends 22:33`."""
    return _("{place}, ends {end}", place=brief(escape(device.place)), end=mac_end(device.mac))


def valid_words(device: Device, code: ActivationCode, now: datetime) -> str:
    """Under a code that is shown: who made it where we did not, and until when it works."""
    time, left = until(code.expires_at, now), stage(code, now)
    if left:
        minutes = left // timedelta(minutes=1)
        hour = _("ends {time}, less than an hour left", time=time)
        words = hour if minutes == 60 else _("ends {time}, less than {n} min left", time=time, n=minutes)
        return _("code from the Teams admin centre, {ends}", ends=words) if companion(device) else words
    if companion(device):
        return _("code from the Teams admin centre, valid until {time}", time=time)
    return _("valid until {time}", time=time)


def installed_words(device: Device, organisation: str = "") -> str:
    """The technician's word. What the screen of a companion device showed is said to be theirs."""
    word = device.installed
    if word is None:
        return _("not confirmed")
    said = _("{name} {time}", name=escape(word.by_name), time=clock(word.at))
    if word.screen:
        return _screen_words(device, organisation, said)
    if room := device.elsewhere:
        said = _("{said}, in {room}", said=said, room=escape(room))
    return _("{said}, mounting only", said=said) if word.mounting_only else said


def _screen_words(device: Device, organisation: str, said: str) -> str:
    if device.type == SIP:
        return _("its display showed that it is registered, says {said}", said=said)
    shown = escape(organisation) or _("the name of the organisation")
    return _("the screen showed {organisation}, says {said}", organisation=shown, said=said)


def tag_words(device: Device) -> str:
    return ", ".join(escape(tag) for tag in device.tags)


def problem_words(device: Device) -> str:
    problem = device.problem
    if problem is None:
        return ""
    kind = _(PROBLEMS[problem.kind])
    said = kind
    if problem.note:
        said = escape(problem.note) if problem.kind == "other" else f"{kind}: {escape(problem.note)}"
    return _("{said} ({name} {time})", said=said, name=escape(problem.by_name), time=clock(problem.at))


def answer_words(device: Device, now: datetime) -> str:
    """What an admin said to its problem; empty where nobody did."""
    answer = device.problem.answer if device.problem else None
    if answer is None:
        return ""
    said = {"name": escape(answer.by_name), "time": clock(answer.at, now), "text": escape(answer.text)}
    return _("{name} {time}: {text}", **said)


def question(sentence: str, verb: str, parameter: str, choices: tuple[Choice, ...], data: Mapping[str, str]) -> Notice:
    """An ambiguous word answers with choices: each button runs the same command with the exact value.

    Two stand in a phone's row by their titles; more are listed, and the buttons carry their numbers. A button never
    carries an account: where one was typed along, it is typed again.
    """
    shown = choices[:6]
    if any("@" in value for value in data.values()):
        listed = "\n".join(f"{number}. {escape(choice.title)}" for number, choice in enumerate(shown, 1))
        return Notice(title=sentence, lines=(listed,), small=(_("Type it again with the MAC, or its last 4 digits."),))
    few = len(shown) <= 2
    buttons = tuple(
        Button(verb, _fit(choice.title) if few else str(number), {**data, parameter: choice.value})
        for number, choice in enumerate(shown, 1)
    )
    whole = few and sum(len(choice.title) for choice in shown) <= ROW
    lines = tuple(f"{number}. {escape(choice.title)}" for number, choice in enumerate(shown, 1))
    return Notice(title=sentence, lines=() if whole else ("\n".join(lines),), buttons=buttons)


def which_one(error: Ambiguous | NearMiss, verb: str, parameter: str, data: Mapping[str, str]) -> Notice:
    """Which one was meant: a choice, or yes and no where it can be one alone."""
    if isinstance(error, NearMiss) and len(error.choices) == 1:
        return did_you_mean(error.text, verb, parameter, error.choices[0], data)
    return question(escape(error.sentence), verb, parameter, error.choices, data)


def did_you_mean(mac: str, verb: str, parameter: str, choice: Choice, data: Mapping[str, str]) -> Notice:
    """A MAC one digit off the only device it can be: asked, never assumed."""
    return Notice(
        title=_("Did you mean …{end} ({place})?", end=mac_end(choice.value), place=escape(choice.place)),
        lines=(_("{mac} is not on the list.", mac=escape(mac)),),
        buttons=(
            Button(verb, _("Yes"), {**data, parameter: choice.value}, style=Style.POSITIVE),
            Button("not_meant", _("No")),
        ),
        small=(_("MAC {mac}", mac=mac_dashed(choice.value)),),
    )


def note(
    sentence: str, *, tone: Tone = Tone.PLAIN, buttons: tuple[Button, ...] = (), small: tuple[str, ...] = ()
) -> Notice:
    return Notice(title=sentence, tone=tone, buttons=buttons, small=small)


SOON = timedelta(seconds=3)  # work that lasts longer says how long it will take


def forecast(spent: timedelta, done: int, total: int) -> str:
    """`About 40 s left.`, from how long it took so far; empty where that tells nothing yet."""
    if done <= 0 or spent < SOON:
        return ""
    left = round(spent.total_seconds() / done * (total - done))
    if left >= 90:
        return _("About {n} min left.", n=round(left / 60))
    return _("About {n} s left.", n=max(left, 1))


def more(verb: str, after: str | None, first: int, shown: int, **data: str) -> tuple[Button, ...]:
    """[More] where there is more."""
    if after is None:
        return ()
    return (Button(verb, _("More"), {**data, "after": after, "first": str(first + shown)}),)


def cancel() -> Button:
    return Button("dismiss", _("Cancel"), inputs=False)


def danger(verb: str, title: str, data: Mapping[str, str]) -> Button:
    return Button(verb, title, data, style=Style.DESTRUCTIVE)


def _fit(title: str, limit: int = 20) -> str:
    return title if len(title) <= limit else title[: limit - 1] + "…"


def names_to_choose(people: Sequence[Person], chosen: str = "") -> tuple[tuple[str, str], ...]:
    """The first hundred, and whoever is chosen already."""
    shown = [*people[:CHOICES], *(person for person in people[CHOICES:] if person.id == chosen)]
    return tuple((person.id, (person.name or person.upn)[:60]) for person in shown)
