"""What people take away as files: sheets of devices, of codes, of rows to mend, and the printed sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from cards.views.common import BADGES, SIP
from cards.words import clock, code_groups, mac_dashed, stamp
from provisioning.documents.printable import Block, printable
from provisioning.mac import vendor
from provisioning.model import Authority, Device
from provisioning.service.handover import InHand
from provisioning.service.offline import Pack
from provisioning.sheets.columns import Column, recognised
from provisioning.sheets.faults import say
from provisioning.sheets.writing import Form, Heading, errors, table
from provisioning.texts import _, current_speech, ngettext
from provisioning.uploads import BadRow, Upload

# Titles are those of the upload, in English: what was exported can be sent back.
DEVICES = (
    Heading(Column.MAC, 20),
    Heading(Column.LOCATION, 34),
    Heading(Column.TYPE, 10),
    Heading(Column.ACCOUNT, 28),
    Heading(Column.TECHNICIAN, 28),
    Heading(Column.TAG, 18),
    Heading(Column.ASSET_TAG, 16),
    Heading(Column.NOTES, 34),
    Heading("Vendor", 16),
    Heading("State", 24),
    Heading("Provisioned", 22),
    Heading("Installed", 22),
    Heading("Confirmed by", 24),
    Heading("Mounting only", 14),
    Heading("Photo", 8),
)
CODES = (
    Heading(Column.MAC, 20),
    Heading(Column.LOCATION, 34),
    Heading("Technician name", 24),
    Heading("One-time code", 20),
    Heading("Valid until", 24),
    Heading("Accepted by", 24),
)


def device_row(device: Device, upns: dict[str, str]) -> tuple[str, ...]:
    installed = device.installed
    return (
        mac_dashed(device.mac),
        device.location,
        device.type,
        device.account,
        upns.get(device.technician, ""),
        ", ".join(device.tags),
        device.asset_tag,
        device.notes,
        vendor(device.mac),
        _(BADGES[device.state][0]),
        _moment(device.provisioned_at),
        _moment(installed.at) if installed else "",
        installed.by_name if installed else "",
        _("yes") if installed and installed.mounting_only else "",
        "1" if installed and installed.photo else "",  # a number, so that a sheet adds them up
    )


def devices_file(form: Form, title: str, rows: Iterable[Sequence[str]]) -> bytes:
    return table(form, title, DEVICES, rows)


def codes_file(form: Form, title: str, held: Sequence[InHand]) -> bytes:
    return table(form, title, CODES, (_code_row(one) for one in held))


def _code_row(held: InHand) -> tuple[str, ...]:
    code = held.device.code
    return (
        mac_dashed(held.device.mac),
        held.device.location,
        held.technician,
        code_groups(held.digits),
        _moment(code.expires_at if code else None),
        authority_words(held.device),
    )


def authority_words(device: Device) -> str:
    teams = device.code is not None and device.code.authority is Authority.TEAMS
    return _("Teams admin centre") if teams else _("this service")


def _accepted(held: InHand) -> str:
    """Below a printed code: how it is dialled, where it is, and who accepts it."""
    dialled = f"*55*{held.digits}" if held.device.type == SIP else ""
    words = authority_words(held.device)
    return _("{authority}. Dial {dialled} and send", authority=words, dialled=dialled) if dialled else words


def _moment(moment: datetime | None) -> str:
    """On the reader's clock, and with the year: files are read long after, and sorted."""
    return moment.astimezone(current_speech().timezone).strftime("%Y-%m-%d %H:%M") if moment else ""


def error_file(form: Form, upload: Upload, rows: Sequence[BadRow]) -> bytes:
    """The bad rows as they were, and why; corrected and sent back it goes on."""
    code = recognised(upload.header).get(Column.CODE)

    def cells(row: BadRow) -> Sequence[str]:
        if code is None or not row.code:
            return row.cells
        padded = (*row.cells, *[""] * (code + 1 - len(row.cells)))
        return (*padded[:code], row.code, *padded[code + 1 :])

    return errors(form, upload.header, ((cells(row), say(row.fault)) for row in rows))


def sheet_to_print(title: str, held: Sequence[InHand], now: datetime, chat_link: str) -> bytes:
    """One block a device; `chat_link` opens the chat with the bot, with what stands behind it typed already."""
    lines = [_("Scan a code to open the chat with the install command typed.")] if chat_link else []
    return printable(title, lines, [_block(one, now, chat_link) for one in held], _moment(now))


def pack_to_print(name: str, pack: Pack, now: datetime, chat_link: str) -> bytes:
    """A technician's sheet for where there is no signal. Its number and signature stand on each page."""
    live = sum(bool(one.digits) for one in pack.held)
    lines = [
        ngettext("{n} device, {live} with a code.", "{n} devices, {live} with a code.", len(pack.held), live=live),
        _("Works without a signal on your phone: type the code on the device, and tick what is mounted."),
        _("Devices that called in stand on your list by themselves. Then say: install all"),
        _("Codes are secrets, these are for you alone. Shred the sheet when the work is done."),
    ]
    if pack.left_out:
        lines.append(
            ngettext("{n} more device is not on it.", "{n} more devices are not on it.", pack.left_out)
            + " "
            + _("Make another sheet when these are done.")
        )
    lines.append(_("Is it genuine? Type: sheet {seal}", seal=pack.seal))
    title = _("Offline sheet of {name}, {date}", name=name, date=stamp(pack.made_at))
    footer = f"{pack.seal} · {_moment(pack.made_at)}"
    return printable(title, lines, [_pack_block(one, now, chat_link) for one in pack.held], footer, seal=pack.seal)


def _pack_block(held: InHand, now: datetime, chat_link: str) -> Block:
    """Why a device has no code stands where the code would be."""
    block, device = _block(held, now, chat_link), held.device
    if block.code:
        return block
    if device.provisioned and device.provisioned_at:
        why = _("called in {time}", time=clock(device.provisioned_at, now))
    else:
        why = _("no code: ask an admin")
    return replace(block, location=f"{block.location} · {why}")


def _block(held: InHand, now: datetime, chat_link: str) -> Block:
    device, code = held.device, held.device.code
    said = f"install {mac_dashed(device.mac)}"
    return Block(
        place=device.place,
        location=device.location,
        mac=mac_dashed(device.mac),
        vendor=vendor(device.mac),
        code=code_groups(held.digits) if held.digits else "",
        valid=_("until {until}", until=clock(code.expires_at, now)) if held.digits and code else "",
        link=f"{chat_link}&message={quote(said)}" if chat_link else said,
        authority=_accepted(held) if held.digits else "",
    )
