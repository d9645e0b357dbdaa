"""The list: what admins say and press to put devices on it, look at one, change it."""

from __future__ import annotations

import re

from bot.handlers import uploads
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import devices as cards
from cards.views.common import note
from cards.words import mac_end
from provisioning.access import Permission
from provisioning.errors import BadInput, DeviceNotFound, NearMiss
from provisioning.mac import split_mac
from provisioning.model import Device
from provisioning.service.devices import AT_ONCE, Wanted
from provisioning.service.finding import DeviceFacts
from provisioning.texts import _
from provisioning.uploads import Upload

router = Router()
EDIT, SEE = (Permission.EDIT_DEVICES,), (Permission.SEE_DEVICES,)


@router.command("add", "add <lines>", needs=EDIT)
async def add(turn: Turn, lines: str = "") -> Reply:
    """Add devices: a MAC and a location, one device a line; alone it opens a form."""
    if not lines:
        return Reply(card=cards.add_form())
    wanted = [_wanted(line) for line in lines.splitlines() if line.strip()]
    if len(wanted) > AT_ONCE:  # a sheet that was pasted: it is read as one, and previewed
        return await uploads.take_rows(turn, "\n".join(f"{one.mac}\t{one.location}" for one in wanted))
    return await _added(turn, wanted)


def _wanted(line: str) -> Wanted:
    """A line as it stands: a bad MAC is kept, so that its error names the line."""
    text = re.sub(r"^\s*/?add\s+", "", line, flags=re.IGNORECASE).strip().strip(",;")
    text = re.sub(r"^([0-9a-f:.\- ]+?)\s*[,;|]\s*", r"\1 ", text, flags=re.IGNORECASE)  # a line of a pasted table
    try:
        return Wanted(*split_mac(text))
    except BadInput:
        first, _blank, rest = text.partition(" ")
        return Wanted(first, rest)


async def _added(turn: Turn, wanted: list[Wanted]) -> Reply:
    added = await turn.provisioning.add(turn.actor, wanted)
    return Reply(card=cards.added_card(added, turn.now, turn.provisioning.policy.undo))


@router.action("add_form", needs=EDIT)
async def add_form(turn: Turn, mac: str = "", location: str = "", fault: BadInput | None = None) -> Reply:
    """A form for one device."""
    return Reply(card=cards.add_form(mac, location, fault))


@router.action("add_save", form=add_form, needs=EDIT)
async def add_save(turn: Turn, mac: str, location: str) -> Reply:
    """Save the form's device."""
    added = await turn.provisioning.add(turn.actor, [Wanted(mac, location)])
    for _number, fault in added.faults:
        raise fault
    return Reply(card=cards.added_card(added, turn.now, turn.provisioning.policy.undo))


@router.action("samples", needs=EDIT)
async def samples(turn: Turn) -> Reply:
    """Three sample devices to try with."""
    return await _added(turn, [Wanted(*sample) for sample in turn.provisioning.policy.samples])


@router.command("device <device>", needs=SEE)
@router.action("device")
async def device(turn: Turn, device: str) -> Reply:
    """Show one device: a MAC in any notation, its last 4 digits, or its place."""
    return _card(turn, await turn.provisioning.facts(turn.actor, device))


@router.view
async def device_again(turn: Turn, mac: str) -> Reply | None:
    """The device's card as it stands now."""
    try:
        return _card(turn, await turn.provisioning.facts(turn.actor, mac))
    except (DeviceNotFound, NearMiss):
        return await gone(turn, mac)


async def gone(turn: Turn, mac: str) -> Reply:
    """What became of a device that its reader cannot see any more, and what to go on with."""
    device, other = await turn.provisioning.whereabouts(mac)
    if other:
        said = _("This device was replaced by MAC ends {end}.", end=mac_end(other.mac))
    elif device is None or device.removed:
        said = _("This device is off the list.")
    elif not device.technician:
        said = _("This device is with nobody now.")
    else:
        said = _("This device is with somebody else now.")
    return Reply(card=note(said, buttons=cards.go_on() if turn.actor.is_technician else ()))


def _card(turn: Turn, facts: DeviceFacts, notice: str = "") -> Reply:
    card = cards.device_card(facts, turn.actor, turn.now, notice)
    return Reply(card=card, private=True, living=living(facts.device, "device_again"))


def living(device: Device, view: str, *, shows_code: bool = False) -> Living:
    return Living(
        subject=device.mac, view=view, params={"mac": device.mac}, revision=device.version, shows_code=shows_code
    )


@router.command("move <device> to <location>", needs=EDIT)
@router.action("move", fresh=True)
async def move(turn: Turn, device: str, location: str) -> Reply:
    """Change a device's location."""
    return _card(turn, await turn.provisioning.move(turn.actor, device, location), _("Moved."))


@router.action("move_form", needs=EDIT)
async def move_form(turn: Turn, device: str, location: str = "", fault: BadInput | None = None) -> Reply:
    """A form for a device's new location."""
    facts = await turn.provisioning.facts(turn.actor, device)
    return Reply(card=cards.move_form(facts.device, location, fault))


router.routes["move"].form = move_form


@router.command("replace <device> with <mac>", needs=EDIT)
@router.action("replace")
async def replace(turn: Turn, device: str, mac: str) -> Reply:
    """Put another MAC in a device's place: a typo in the list, or another unit on the wall."""
    return _card(turn, await turn.provisioning.replace_mac(turn.actor, device, mac), _("Replaced."))


@router.command("swap <device> and|with <other>", "swap <device> <other>", needs=(*EDIT, Permission.WORK_ON_SITE))
@router.action("swap")
async def swap(turn: Turn, device: str, other: str) -> Reply:
    """Exchange the places of two devices."""
    found, other = await turn.provisioning.device_and_rest(turn.actor, f"{device} {other}")
    device = found.mac
    return Reply(card=cards.swapped_card(*await turn.provisioning.swap(turn.actor, device, other)))


@router.command("remove <device>", needs=EDIT)
@router.action("remove_ask")
async def remove_ask(turn: Turn, device: str) -> Reply:
    """Take a device off the list, after asking."""
    facts = await turn.provisioning.facts(turn.actor, device)
    return Reply(card=cards.remove_card(facts.device, turn.now))


@router.action("remove", needs=EDIT)
async def remove(turn: Turn, device: str, rev: int) -> Reply:
    """Take it off the list."""
    return Reply(card=cards.removed_card(await turn.provisioning.remove(turn.actor, device, rev)))


@router.command("undo", needs=EDIT)
@router.action("undo")
async def undo(turn: Turn, batch: str = "") -> Reply:
    """Take back your latest add or upload, within 10 minutes."""
    taken_back = await turn.provisioning.undo(turn.actor, batch)
    if isinstance(taken_back, Upload):
        return await uploads.undone(turn, taken_back)
    return Reply(card=cards.undone_card(taken_back))
