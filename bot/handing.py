"""Files that were accepted: made, put where Teams keeps them, shown as a link. Nothing of them stays here."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime

import structlog

from bot.adapter import SORRY
from bot.files import Files
from bot.handlers.exports import form_of, taken
from bot.turn import Turn, UploadTarget
from cards import files
from cards.render import render
from cards.views.exports import not_handed_over
from provisioning.access import Permission, require
from provisioning.delivery_errors import DeliveryError
from provisioning.errors import AlreadyDone, OutOfDate, ProvisioningError
from provisioning.ports import FileLink, Message, Messenger
from provisioning.service.exporting import Take
from provisioning.service.handover import InHand
from provisioning.sheets.writing import Form, template
from provisioning.texts import _, current_speech

log = structlog.get_logger(__name__)

AGAIN = ("kind", "name", "upload", "target", "person", "form")  # what an offer is made of anew
LONGEST = 200  # characters of what an offer says of itself; longer only where somebody wrote it themselves
Context = Mapping[str, str]
Maker = Callable[[Turn, Context], Awaitable[bytes]]


async def made(turn: Turn, context: Mapping[str, object]) -> bytes:
    """The file that was offered. Errors: `OutOfDate` for an offer that ended, or was somebody else's."""
    ids = {name: value for name, value in context.items() if isinstance(value, str)}
    maker = MAKERS.get(ids.get("kind", ""))
    if maker is None or ids.get("by") != turn.actor.id or not _still_open(ids.get("until", ""), turn.now):
        raise OutOfDate
    return await maker(turn, ids)


def _still_open(until: str, now: datetime) -> bool:
    try:
        return now < datetime.fromisoformat(until)
    except (ValueError, TypeError):
        return False


def _form(context: Context) -> Form:
    return form_of("", context.get("form", ""))[1]


async def _template(turn: Turn, context: Context) -> bytes:
    require(turn.actor, Permission.EDIT_DEVICES)
    return await asyncio.to_thread(template, _form(context))


async def _errors(turn: Turn, context: Context) -> bytes:
    upload = await turn.provisioning.upload(turn.actor, context.get("upload", ""))
    rows = [row async for row in turn.provisioning.wrong_rows(upload)]
    return await asyncio.to_thread(files.error_file, _form(context), upload, rows)


async def _devices(turn: Turn, context: Context) -> bytes:
    take = await taken(turn, context.get("target", ""), context.get("person", ""))
    upns: dict[str, str] = {}
    rows: list[tuple[str, ...]] = []
    async for page in turn.provisioning.exported(turn.actor, take):
        for id_ in {device.technician for device in page if device.technician} - upns.keys():
            person = await turn.provisioning.who(id_)
            upns[id_] = (person.upn or person.name) if person else ""
        rows += [files.device_row(device, upns) for device in page]
    return await asyncio.to_thread(files.devices_file, _form(context), take.title, rows)


async def _codes(turn: Turn, context: Context) -> bytes:
    take = await taken(turn, context.get("target", ""), context.get("person", ""))
    held = await turn.provisioning.take_codes(turn.actor, take, _form(context))
    return await asyncio.to_thread(files.codes_file, _form(context), take.title, held)


async def _printed(turn: Turn, context: Context) -> bytes:
    take = await taken(turn, context.get("target", ""), context.get("person", ""))
    held = [InHand(device) async for page in turn.provisioning.exported(turn.actor, take) for device in page]
    return await _pdf(turn, take, held)


async def _printed_codes(turn: Turn, context: Context) -> bytes:
    take = await taken(turn, context.get("target", ""), context.get("person", ""))
    return await _pdf(turn, take, list(await turn.provisioning.take_codes(turn.actor, take, "pdf")))


async def _pdf(turn: Turn, take: Take, held: list[InHand]) -> bytes:
    link = turn.provisioning.policy.chat_link
    return await asyncio.to_thread(files.sheet_to_print, take.title, held, turn.now, link)


async def _pack(turn: Turn, context: Context) -> bytes:
    pack, link = await turn.provisioning.make_pack(turn.actor), turn.provisioning.policy.chat_link
    return await asyncio.to_thread(files.pack_to_print, turn.actor.name, pack, turn.now, link)


MAKERS: Mapping[str, Maker] = {
    "template": _template,
    "errors": _errors,
    "devices": _devices,
    "codes": _codes,
    "print": _printed,
    "print_codes": _printed_codes,
    "pack": _pack,
}


class Handing:
    """Carries an accepted file to where Teams keeps it; whatever goes wrong ends in a card that says so."""

    def __init__(self, messenger: Messenger, files: Files) -> None:
        self._messenger, self._files = messenger, files

    async def hand_over(self, turn: Turn, context: Mapping[str, object], target: UploadTarget) -> None:
        """Once for each offer, however often the answer to it arrives."""
        try:
            await turn.provisioning.once(turn.actor)
            content = await made(turn, context)
            await self._files.put(target.upload_url, content)
        except AlreadyDone:
            return
        except ProvisioningError as error:
            log.info("a file was not handed over", reason=error.code)
            return await self._failed(turn, context, target, error.sentence)
        except Exception:  # a fault of ours, which the log names; whoever waits for the file hears of it too
            await self._failed(turn, context, target, _(SORRY))
            raise
        link = FileLink(target.name, target.content_url, target.unique_id, target.file_type)
        await self._send(turn, Message(summary=target.name, file=link))

    async def _failed(self, turn: Turn, context: Mapping[str, object], target: UploadTarget, reason: str) -> None:
        ids = {name: str(context[name])[:LONGEST] for name in AGAIN if context.get(name)}
        view = not_handed_over(target.name, reason, ids)
        card = render(view, operation=secrets.token_hex(8), locale=current_speech().language)
        await self._send(turn, Message(summary=view.push, card=card))

    async def _send(self, turn: Turn, message: Message) -> None:
        with suppress(DeliveryError):  # they took the file or saw it fail: there is nobody left to tell
            await self._messenger.send(turn.conversation, message)
