"""Devices that do not call: offline for a while, stale for long. Each with its age."""

from __future__ import annotations

from datetime import datetime, timedelta

from cards.view import Button, ListCard, Notice, Row, Tone
from cards.views.common import brief, more, place_words, short, state_words
from cards.words import age, clock, escape, listing
from provisioning.model import Device
from provisioning.service.presence import Silent
from provisioning.texts import _, ngettext

NAMED = 3  # places that a channel hears of


def offline_words(device: Device, now: datetime) -> str:
    """`offline since 09:10, 5 h ago`; empty while it calls."""
    if device.offline_since is None:
        return ""
    return _("offline since {time}, {age}", time=clock(device.offline_since, now), age=age(device.offline_since, now))


def offline_card(page: Silent, now: datetime) -> ListCard:
    title = (
        ngettext("{n} device offline", "{n} devices offline", page.total) if page.total else _("No device is offline")
    )
    return ListCard(
        title=_titled(title, page.scope),
        summary=title,
        rows=tuple(_row(device, now) for device in page.devices),
        empty="" if page.devices else _("Every device that was provisioned calls, or was heard of a moment ago."),
        small=_small(page),
        buttons=more("offline_devices", page.after, page.first, len(page.devices), site=page.scope),
    )


def stale_card(page: Silent, now: datetime) -> ListCard:
    title = (
        ngettext("{n} device not heard of for long", "{n} devices not heard of for long", page.total)
        if page.total
        else _("Every device was heard of lately")
    )
    return ListCard(
        title=_titled(title, page.scope),
        summary=title,
        rows=tuple(_row(device, now) for device in page.devices),
        empty="" if page.devices else _("Devices that do not call for long are listed here; none is ever dropped."),
        small=(_("They stay on the list. remove and a place takes one off."), *_small(page)) if page.devices else (),
        buttons=more("stale_devices", page.after, page.first, len(page.devices), site=page.scope),
    )


def _titled(title: str, scope: str) -> str:
    return f"{title}: {escape(scope)}" if scope else title


def _row(device: Device, now: datetime) -> Row:
    details = (offline_words(device, now), state_words(device), brief(place_words(device)))
    return Row(title=short(device), detail=", ".join(filter(None, details)))


def _small(page: Silent) -> tuple[str, ...]:
    if not page.devices:
        return ()
    last = page.first + len(page.devices) - 1
    counted = _("{first} to {last} of {total}.", first=page.first, last=last, total=page.total)
    return (counted + " " + _("Type device and a place for one of them."),)


# ------------------------------------------------------------------ told


def told_card(page: Silent, now: datetime) -> ListCard:
    """To admins, kept up to date: devices that went silent, and those that came back are gone from it."""
    title = ngettext("{n} device offline", "{n} devices offline", page.total)
    everywhere = Button("offline_devices", _("Show all"), {"site": ""})
    return ListCard(
        title=title if page.devices else _("All devices are online again"),
        summary=_("{title}, {site}", title=title, site=escape(page.site)) if page.site else title,
        tone=Tone.WARNING if page.devices else Tone.GOOD,
        rows=tuple(_row(device, now) for device in page.devices),
        buttons=(everywhere,) if page.total > len(page.devices) else (),
        small=(
            _("As of {time}. This card changes by itself.", time=clock(now, now)),
            *((_("Or type: offline, stale"),) if page.devices else ()),
        ),
    )


def channel_note(page: Silent) -> str:
    """In the rollout's thread: how many and where, never a MAC."""
    named = [brief(escape(device.place)) for device in page.devices[:NAMED]]
    if page.total > len(named):
        named.append(ngettext("{n} more", "{n} more", page.total - len(named)))
    return ngettext(
        "{n} device is offline: {places}.", "{n} devices are offline: {places}.", page.total, places=listing(named)
    )


def stale_told(page: Silent, limit: timedelta) -> Notice:
    """To admins."""
    days = max(limit // timedelta(days=1), 1)
    count = page.total
    title = (
        ngettext("{n} device has not called for {days} days", "{n} devices have not called for {days} days", count,
                 days=days)
        if days > 1
        else ngettext("{n} device has not called for a day", "{n} devices have not called for a day", count)
    )  # fmt: skip
    return Notice(
        title=title,
        tone=Tone.WARNING,
        lines=(ngettext("It stays on the list.", "They stay on the list.", count),),
        buttons=(Button("stale_devices", _("Show"), {"site": ""}),),
        small=(_("Or type: stale"),),
    )
