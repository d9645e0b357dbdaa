"""Cards of a search: a page of the list, and one device as others see it in a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from cards.view import Button, ListCard, Notice, Row
from cards.views.common import BADGES, ROW, live_words, more, place_words, problem_words, short, state_words, tone_of
from cards.views.silent import offline_words
from cards.words import age, clock, escape, mac_dashed, mac_end, stamp
from provisioning.lifecycle import companion
from provisioning.model import Device
from provisioning.service.finding import Listing, Nothing
from provisioning.service.reading import Part
from provisioning.texts import _, ngettext

TITLE = 60  # characters of a title that a phone shows in two lines

_PARTS: Mapping[str, Callable[[Part], str]] = {
    "state": lambda part: _(BADGES[part.equals["state"]][0]),
    "problem": lambda part: _("with a problem"),
}


def filter_words(page: Listing) -> str:
    """`waiting for activation, Oslo, Yealink`: what the words were taken for."""
    return ", ".join(_PARTS[part.kind](part) if part.kind in _PARTS else escape(part.name) for part in page.parts)


def listing_card(page: Listing, now: datetime) -> ListCard:
    filters = filter_words(page)
    title = ngettext("{n} device", "{n} devices", page.total)
    if not page.exact:
        title = _("At least {devices}", devices=title)
    whole = f"{title}: {filters}" if filters else title
    return ListCard(
        title=whole if len(whole) <= TITLE else title,
        summary=title,
        lines=(filters,) if len(whole) > TITLE else (),
        rows=tuple(_row(device, page, now) for device in page.devices),
        empty="" if page.devices else _empty(page.nothing),
        small=_small(page),
        buttons=(*more("devices", page.after, page.first, len(page.devices), words=page.filter), *_ways_out(page)),
    )


def _empty(nothing: Nothing | None) -> str:
    if nothing is None:
        return _("No device here. add puts one on the list; devices shows all.")
    if not nothing.word:
        return _("Each of these is on the list, but no device is all of it.")
    return _('Nothing on the list matches "{word}".', word=escape(nothing.word))


def _small(page: Listing) -> tuple[str, ...]:
    if not page.devices:
        return (_("Counted just now."),)
    last = page.first + len(page.devices) - 1
    said = (
        _("{first} to {last} of {total}, counted just now.", first=page.first, last=last, total=page.total)
        if page.exact
        else _("{first} to {last}. There are more to look through: one more word finds sooner.", first=page.first,
               last=last)
    )  # fmt: skip
    how = _("Type device and a place for one of them.")
    return (f"{said} {how}",)


def _ways_out(page: Listing) -> tuple[Button, ...]:
    """Of an empty list: what may have been meant, else what to do about it."""
    if page.total or page.devices:
        return ()
    if page.nothing is None:
        return (Button("add_form", _("Add one")),)
    near = [Button("devices", _cut(name), {"words": words}) for name, words in page.nothing.near]
    first, *others = (*near, Button("devices", _("All devices")))
    second = next((other for other in others if len(first.title) + len(other.title) <= ROW), None)
    return (first, second) if second else (first,)  # two stand in a phone's row


def _cut(name: str, limit: int = 20) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _row(device: Device, page: Listing, now: datetime) -> Row:
    technician = page.names.get(device.technician, "")
    details = (
        state_words(device),
        offline_words(device, now) or _called_words(device, page.seen.get(device.mac), now),
        live_words(device, now),
        escape(technician),
        _installed_words(device, now),
        problem_words(device),
    )
    return Row(
        title=f"{escape(device.location)} · {mac_dashed(device.mac)}",
        detail=", ".join(filter(None, details)),
        tone=tone_of(device),
    )


def _installed_words(device: Device, now: datetime) -> str:
    word = device.installed
    if word is None:
        return ""
    time = clock(word.at, now)
    return _("mounting only {time}", time=time) if word.mounting_only else _("installed {time}", time=time)


def _called_words(device: Device, seen: datetime | None, now: datetime) -> str:
    """How old what is known is. A companion device calls Microsoft's service, never this one."""
    if seen:
        return _("called in {age}", age=age(seen, now))
    if device.provisioned_at:
        return _("called in {age}", age=age(device.provisioned_at, now))
    return "" if companion(device) else _("never called")


# ------------------------------------------------------------------ from the compose box


def result_words(device: Device) -> tuple[str, str]:
    """Title and text of a search result: `2.14, ends 22:33`, `Oslo, floor 2 · waiting for activation`."""
    place = place_words(device).rpartition(", ")[0] or place_words(device)
    state = _("{state}, problem", state=state_words(device)) if device.problem else state_words(device)
    return short(device), f"{place} · {state}"


def shared_card(device: Device, now: datetime) -> Notice:
    """One device in a message that anybody may read: no code, no account, no notes, nothing to press."""
    return Notice(
        title=place_words(device),
        tone=tone_of(device),
        lines=(
            _("{state}, problem", state=state_words(device)) if device.problem else state_words(device),
            _("MAC ends {end}", end=mac_end(device.mac)),
        ),
        small=(_("As it stood at {time}.", time=stamp(now)),),
    )
