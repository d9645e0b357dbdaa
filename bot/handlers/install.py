"""The install: confirmed, with what the technician saw."""

from __future__ import annotations

from dataclasses import replace

from bot.handlers.day import SITE, job_again
from bot.handlers.devices import EDIT, gone, living
from bot.handlers.devices import device as device_card
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import install as cards
from provisioning.errors import BadInput, DeviceNotFound, NearMiss
from provisioning.lifecycle import awaits_word, companion
from provisioning.messages import MessageKind
from provisioning.model import Device
from provisioning.service.installing import Saved

router = Router()


@router.action("install_form", needs=SITE)
async def install_form(
    turn: Turn,
    device: str,
    mounting_only: bool = False,
    note: str = "",
    screen: bool = False,
    room: str = "",
    fault: BadInput | None = None,
) -> Reply:
    """The form that confirms an install; asks first where the device has not called in."""
    current = (await turn.provisioning.job(turn.actor, device)).device
    organisation = turn.provisioning.policy.organisation
    if current.installed and not awaits_word(current):
        return await _saved(turn, current)
    if not (current.provisioned or companion(current) or mounting_only):
        return Reply(card=cards.not_called_in(current, note))
    return Reply(
        card=cards.install_form(
            current, organisation, mounting_only=mounting_only, fault=fault, note=note, screen=screen, room=room
        )
    )


@router.command("install <device> [<note>]", needs=SITE)
@router.action("install")
async def install(turn: Turn, device: str, note: str = "") -> Reply:
    """Confirm that a device is installed, with a note if you like."""
    found, note = await turn.provisioning.device_and_rest(turn.actor, f"{device} {note}")
    if awaits_word(found):
        return await install_form(turn, found.mac, note=note)
    if not found.provisioned and not found.installed:
        return Reply(card=cards.not_called_in(found, note))
    return await _saved(turn, found, note, checked=True)


@router.command("mounted <device> [<note>]", needs=SITE)
@router.action("mounted")
async def mounted(turn: Turn, device: str, note: str = "") -> Reply:
    """Confirm the mounting only, where a device has not called in or its screen was not seen."""
    found, note = await turn.provisioning.device_and_rest(turn.actor, f"{device} {note}")
    return await _saved(turn, found, note, checked=True, mounting_only=True)


@router.command("screen <device> [<note>]", needs=SITE)
@router.action("screen")
async def screen(turn: Turn, device: str, note: str = "") -> Reply:
    """Confirm that a device is installed and its screen shows your organisation."""
    found, note = await turn.provisioning.device_and_rest(turn.actor, f"{device} {note}")
    if not awaits_word(found):
        return await install(turn, found.mac, note)
    return await _saved(turn, found, note, checked=True, screen=True)


@router.action("install_save", form=install_form, needs=SITE)
async def install_save(
    turn: Turn,
    device: str,
    note: str = "",
    checked: bool = False,
    screen: bool = False,
    mounting_only: bool = False,
    room: str = "",
    photo: bool = False,
) -> Reply:
    """Save the install; with a photo to follow where that was said."""
    found = await turn.provisioning.device(turn.actor, device)
    word = {"checked": checked, "screen": screen, "mounting_only": mounting_only, "photo": photo}
    return await _saved(turn, found, note, room, **word)


async def _saved(turn: Turn, found: Device, note: str = "", room: str = "", **word: bool) -> Reply:
    """The install as it stands. What was confirmed before stays so, and whoever taps again reads by whom and when."""
    said = found.installed and not (word.get("screen") and awaits_word(found))
    actor = replace(turn.actor, operation="") if said else turn.actor
    saved = await turn.provisioning.confirm(actor, found.mac, note, room=room, **word)
    waits = bool(word.get("photo")) and not saved.word.photo
    if waits and saved.again:  # what was saved before gets its photo all the same, once
        await turn.provisioning.await_photo(actor, found.mac)
    return saved_reply(turn, saved, waits=waits)


def saved_reply(turn: Turn, saved: Saved, *, waits: bool = False) -> Reply:
    """Redrawn as long as a photo is waited for: [Skip] goes with the wait."""
    organisation = turn.provisioning.policy.organisation
    card = cards.saved_card(saved, turn.now, turn.actor.id, organisation, photo=waits)
    if not waits:
        return Reply(card=card)
    kept = living(saved.device, "saved_again")
    again = {"again": "true"} if saved.again else {}
    return Reply(card=card, living=replace(kept, params={**kept.params, **again}))


@router.view
async def saved_again(turn: Turn, mac: str, again: bool = False) -> Reply | None:
    """The install as it stands now, and whether its photo is still waited for."""
    try:
        device = await turn.provisioning.device(turn.actor, mac)
    except (DeviceNotFound, NearMiss):
        return await gone(turn, mac)
    if device.installed is None:
        return await job_again(turn, mac)
    awaited = await turn.provisioning.photo_awaited(turn.actor)
    waits = awaited is not None and awaited.mac == device.mac
    return saved_reply(turn, Saved(device, device.installed, again=again), waits=waits)


@router.notice(MessageKind.ROOM_DIFFERS)
async def room_differs(turn: Turn, subject: str) -> Reply | None:
    """It hangs elsewhere than the list says; nothing where the list was put right."""
    device = (await turn.provisioning.facts(turn.actor, subject)).device
    return Reply(card=cards.room_differs(device, turn.now)) if device.elsewhere else None


@router.action("room_take", needs=EDIT)
async def room_take(turn: Turn, device: str) -> Reply:
    """Put the room that the technician saw into the list."""
    await turn.provisioning.take_room(turn.actor, device)
    return await device_card(turn, device)
