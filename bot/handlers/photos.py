"""Pictures that people send: a label that is read, a photo that is kept with its install; and a kept one shown."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.handlers import day, devices, offline
from bot.handlers.install import saved_reply
from bot.routing import Match, Router
from bot.turn import Incoming, Picture, Reply, Turn
from cards.views import photos as cards
from cards.views.common import note, question, which_one
from cards.words import escape
from provisioning.access import Permission, require
from provisioning.codes import hash_token
from provisioning.documents.labels import Barcode, macs_of, numbers_of
from provisioning.documents.pictures import PictureError
from provisioning.errors import Choice, DeviceNotFound, NearMiss, ProvisioningError, TextTooLong
from provisioning.messages import MessageKind
from provisioning.model import Device
from provisioning.ports import InlinePicture
from provisioning.service.installing import Saved
from provisioning.service.lookup import device_title
from provisioning.service.offline import SEAL
from provisioning.service.photographing import NoPhotoAwaited, PhotoNotKept
from provisioning.texts import _, ngettext

router = Router()
SITE, SEE = (Permission.WORK_ON_SITE,), (Permission.SEE_DEVICES, Permission.WORK_ON_SITE)
PATIENCE = 2.0  # seconds that a message waits for its picture: what is seen by then is said at once


# ------------------------------------------------------------------ what comes in


async def take(turn: Turn, incoming: Incoming, routes: Router) -> Reply | None:
    """The answer to pictures, or to none where one was waited for; None where the words are what matters."""
    if not (incoming.pictures or incoming.attachments):
        return None
    caption = _caption(incoming, routes)
    if _beside(turn, incoming, routes):
        return None
    if turn.in_channel:
        alone = incoming.pictures and not incoming.text
        return Reply(text=_("I read pictures in our own chat: please send it to me there.")) if alone else None
    if not incoming.pictures:
        return None if incoming.text or incoming.files or not turn.actor.roles else await _none_came(turn)
    require(turn.actor, *SEE)
    first = incoming.pictures[0]
    # Teams delivers a message again under another id; the picture in it stays where it was.
    actor = replace(turn.actor, operation=f"photo:{turn.actor.id}:{hash_token(first.url)}")
    await turn.provisioning.require_new(actor.operation)
    if caption and turn.actor.is_technician:
        await turn.provisioning.await_photo(replace(turn.actor, operation=""), caption["device"])
    waiting = await turn.provisioning.photo_awaited(turn.actor)
    if waiting:
        return await _in_time(_keep(replace(turn, actor=actor), waiting, first), _only(incoming, 1))
    return await _in_time(_read(turn, incoming.pictures), _only(incoming, len(incoming.pictures)))


def _caption(incoming: Incoming, routes: Router) -> Mapping[str, str]:
    """The words of `photo 2.14`; empty where others came with the picture."""
    said = routes.match(incoming.text)
    return said.arguments if isinstance(said, Match) and said.route.name == photo.__name__ else {}


def _beside(turn: Turn, incoming: Incoming, routes: Router) -> bool:
    """Whether the words of another command, or a sheet, are what matters."""
    if _caption(incoming, routes):
        return False
    sheet = bool(incoming.files) and turn.actor.is_admin
    return sheet or isinstance(routes.match(incoming.text), Match)


def with_word(reply: Reply, turn: Turn, incoming: Incoming, routes: Router) -> Reply:
    """The answer to words or to a sheet, and that nobody looked at the picture beside them."""
    try:
        unseen = bool(incoming.pictures) and _beside(turn, incoming, routes)
    except TextTooLong:
        return reply
    return with_line(reply, _("I did not look at the picture: please send it alone.")) if unseen else reply


def with_line(reply: Reply, sentence: str) -> Reply:
    """One more sentence: above the card, or among the words where the card will be drawn anew without it."""
    if not sentence:
        return reply
    if reply.card and not reply.card.notice and not reply.living:
        return replace(reply, card=replace(reply.card, notice=escape(sentence)))
    return replace(reply, text="\n\n".join(filter(None, (reply.text, escape(sentence)))))


def _only(incoming: Incoming, seen: int) -> str:
    """Where more pictures came than are looked at."""
    if len(incoming.pictures) + incoming.further <= seen:
        return ""
    return ngettext("I looked at the first picture only.", "I looked at the first {n} pictures only.", seen)


async def _none_came(turn: Turn) -> Reply | None:
    waiting = await turn.provisioning.photo_awaited(turn.actor)
    return Reply(card=cards.none_came(waiting)) if waiting else None


async def _in_time(work: Coroutine[Any, Any, Reply], line: str) -> Reply:
    """What comes of it, or a card whose place that takes."""
    task = asyncio.create_task(_told(work, line))
    try:
        done, _waiting = await asyncio.wait({task}, timeout=PATIENCE)
    except asyncio.CancelledError:
        task.cancel()
        raise
    return task.result() if done else Reply(card=cards.reading(), follows=task)


async def _told(work: Coroutine[Any, Any, Reply], line: str) -> Reply:
    return with_line(await work, line)


# ------------------------------------------------------------------ kept


async def _keep(turn: Turn, device: Device, picture: Picture) -> Reply:
    """With the install it was waited for; one that cannot be used leaves the wait as it is."""
    try:
        photo = await turn.jobs.pictures.evidence(picture)
        return Reply(card=cards.kept(await turn.provisioning.keep_photo(turn.actor, device.mac, photo)))
    except PhotoNotKept as error:
        await turn.provisioning.forget_photo(turn.actor)
        return Reply(card=cards.over(error.sentence))
    except PictureError as error:
        return Reply(card=cards.not_kept(error.sentence, device.mac))
    except ProvisioningError as error:
        return Reply(card=note(escape(error.sentence)))


@router.command("photo <device>", needs=SEE)
@router.action("photo")
async def photo(turn: Turn, device: str) -> Reply:
    """Add a photo to an install of yours: send it next. Admins see the one that is kept."""
    if turn.actor.is_admin:
        found = await turn.provisioning.device(turn.actor, device)
        if not turn.actor.is_technician or found.technician != turn.actor.id:
            return await photo_show(turn, found.mac)
    return Reply(card=cards.send_now(await turn.provisioning.await_photo(turn.actor, device)), private=True)


@router.command("skip", needs=SITE)
@router.action("photo_skip")
async def skip(turn: Turn, device: str = "") -> Reply:
    """Go on without the photo that is waited for."""
    try:
        skipped = await turn.provisioning.skip_photo(turn.actor, device)
    except NoPhotoAwaited as error:  # an old [Skip]: a photo of another device that is waited for stays so
        found = await turn.provisioning.device(turn.actor, device) if turn.pressed and device else None
        if found is None or found.installed is None:
            raise
        return with_line(saved_reply(turn, Saved(found, found.installed)), error.sentence)
    if turn.pressed and skipped.installed:
        return saved_reply(turn, Saved(skipped, skipped.installed))
    return Reply(card=note(_("No photo of {place}, then.", place=escape(skipped.place))))


@router.notice(MessageKind.PHOTO_MISSING)
async def photo_missing(turn: Turn, subject: str, until: str = "", over: bool = False) -> Reply | None:
    """No picture came; after a while the next device comes all the same."""
    device = await turn.provisioning.photo_missing(turn.actor, subject, until)
    if device and over:
        await turn.provisioning.skip_photo(turn.actor)
    return Reply(card=cards.none_came(device)) if device and not over else None


@router.action("photo_show", needs=SEE)
async def photo_show(turn: Turn, device: str) -> Reply:
    """Show the photo that is kept with a device."""
    shown = await turn.provisioning.show_photo(turn.actor, device)
    return Reply(picture=InlinePicture(cards.photo_name(shown, turn.now), shown.photo.content), private=True)


# ------------------------------------------------------------------ read


async def _read(turn: Turn, pictures: Sequence[Picture]) -> Reply:
    """The device whose label it is, or what was read instead. A picture that cannot be read spoils no other."""
    barcodes: list[Barcode] = []
    fault: PictureError | None = None
    try:
        for picture in pictures:
            try:
                barcodes += await turn.jobs.pictures.labels(picture)
            except PictureError as error:
                fault = error
        if fault and not barcodes:
            raise fault
        return await _meant(turn, list(dict.fromkeys(barcodes)))
    except ProvisioningError as error:
        return Reply(card=note(escape(error.sentence)))


async def _meant(turn: Turn, barcodes: Sequence[Barcode]) -> Reply:
    if seal := next((code.text for code in barcodes if code.text.startswith(SEAL)), ""):
        return await offline.sheet(turn, seal)
    macs = macs_of(barcodes)
    found = await turn.provisioning.labelled(turn.actor, (*macs, *numbers_of(barcodes)))
    if len(found) == 1:
        return await _device(turn, found[0])
    if found:
        choices = tuple(Choice(device.mac, device_title(device)) for device in found)
        return Reply(card=question(cards.which(len(found), len(barcodes)), _verb(turn), "device", choices, {}))
    if not macs:
        nothing = cards.nothing_read(on_site=turn.actor.is_technician)
        return Reply(card=cards.no_mac(barcodes) if barcodes else nothing)
    try:  # as if it had been typed
        return await _device(turn, await turn.provisioning.device(turn.actor, macs[0]))
    except NearMiss as near:
        return Reply(card=which_one(near, _verb(turn), "device", {}))
    except DeviceNotFound:
        return Reply(card=cards.unlisted(macs[0], admin=turn.actor.is_admin))


def _verb(turn: Turn) -> str:
    return "device" if turn.actor.is_admin else "code"


async def _device(turn: Turn, device: Device) -> Reply:
    """The card that its reader works with: the job's for its technician."""
    own = turn.actor.is_technician and device.technician == turn.actor.id
    return await (day.job(turn, device.mac) if own else devices.device(turn, device.mac))
