"""Photos: of labels, with what was read; of installs, waited for and kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cards.view import Button, Notice, Style, Tone
from cards.views.common import note
from cards.words import clock, escape, mac_dashed
from provisioning.documents.labels import Barcode
from provisioning.model import Device
from provisioning.photos import Photo
from provisioning.service.finding import DeviceFacts
from provisioning.service.photographing import Shown
from provisioning.texts import _, ngettext

SHOWN, LONGEST = 5, 60  # barcodes that are told, and characters of each


def skip(mac: str) -> Button:
    """Of this device's photo alone: the card may be an old one."""
    return Button("photo_skip", _("Skip"), {"device": mac})


def reading() -> Notice:
    return note(_("Reading the picture…"), small=(_("This message changes by itself. If it does not, send it again."),))


# ------------------------------------------------------------------ with an install


def kept(device: Device) -> Notice:
    return note(_("Photo kept with {place}.", place=escape(device.place)), tone=Tone.GOOD)


def send_now(device: Device) -> Notice:
    """Somebody wants to add a photo later."""
    word = device.installed
    shown = (Button("photo_show", _("Show photo"), {"device": device.mac}),) if word and word.photo else ()
    lines = (_("It takes the place of the one that is kept."),) if shown else ()
    return Notice(
        title=_("Send the photo of {place} now.", place=escape(device.place)),
        lines=lines,
        buttons=(skip(device.mac), *shown),
        small=(_("Or type: skip"),),
    )


def none_came(device: Device) -> Notice:
    place = escape(device.place)
    return Notice(
        title=_("No picture reached me"),
        summary=_("{place}: no picture reached me", place=place),
        tone=Tone.WARNING,
        lines=(_("{place}: please use the camera, or skip the photo.", place=place),),
        buttons=(skip(device.mac),),
        small=(_("Or type: skip"),),
    )


def not_kept(sentence: str, mac: str) -> Notice:
    """The picture that came for an install could not be used; the next one can."""
    return note(escape(sentence), tone=Tone.WARNING, buttons=(skip(mac),), small=(_("Or type: skip"),))


def over(sentence: str) -> Notice:
    return note(escape(sentence), tone=Tone.WARNING, buttons=(Button("next", _("Next device"), style=Style.POSITIVE),))


def photo_words(photo: Photo, now: datetime) -> str:
    return _("{name} {time}", name=escape(photo.by_name), time=clock(photo.at, now))


def with_photo(buttons: tuple[Button, ...], facts: DeviceFacts) -> tuple[Button, ...]:
    """[Photo] where there is one to see; three stand in a row on a phone, and the rest is typed."""
    if facts.photo is None:
        return buttons
    return (*buttons[:2], Button("photo_show", _("Photo"), {"device": facts.device.mac}))


def photo_name(shown: Shown, now: datetime) -> str:
    """What the picture shows, in words: clients read it out, and keep it as a file's name."""
    device, photo = shown.device, shown.photo
    what = {"site": device.site, "place": device.place, "name": photo.by_name, "time": clock(photo.at, now)}
    return _("{site} {place}, {name} {time}.jpg", **what)


# ------------------------------------------------------------------ of a label


def which(devices: int, barcodes: int) -> str:
    return ngettext(
        "{n} of {total} barcodes is a device here.",
        "{n} of {total} barcodes are devices here. Which one?",
        devices,
        total=max(barcodes, devices),
    )


def nothing_read(*, on_site: bool) -> Notice:
    return Notice(
        title=_("I read no barcode in this picture"),
        tone=Tone.WARNING,
        lines=(_closer(),),
        small=(_("To keep a picture with an install, type photo and the room before you send it."),) if on_site else (),
    )


def no_mac(barcodes: Sequence[Barcode]) -> Notice:
    return Notice(
        title=_("No MAC in what I read"),
        tone=Tone.WARNING,
        lines=(*_read(barcodes), _("The MAC often has a barcode of its own: take a picture of that one."), _closer()),
    )


def unlisted(mac: str, *, admin: bool) -> Notice:
    """Nothing more is told to a technician of what is another's, or of nobody's."""
    written = mac_dashed(mac)
    if admin:
        return Notice(
            title=_("{mac} is not on the list", mac=written),
            lines=(_("Read from the label."),),
            buttons=(Button("add_form", _("Add"), {"mac": written}, style=Style.POSITIVE),),
            small=(_("Or type: add {mac} and its location", mac=written),),
        )
    return Notice(
        title=_("{mac} is not on your list", mac=written),
        tone=Tone.WARNING,
        lines=(_("Read from the label. An admin can add it, or give it to you."),),
        buttons=(Button("jobs", _("List")),),
        small=(_("For the admin: add {mac} and its location", mac=written),),
    )


def _closer() -> str:
    return _("Go closer, with more light and without glare. Or type the last 4 digits of the MAC.")


def _read(barcodes: Sequence[Barcode]) -> tuple[str, ...]:
    lines = [f"{escape(code.format)}: {escape(_short(code.text))}" for code in barcodes[:SHOWN]]
    return ("\n\n".join(lines),)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
