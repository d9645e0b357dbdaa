"""Uploads: a sheet as a file or pasted, its preview, the decision, the rows that need fixing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from bot.handlers.exports import offer, plain_name
from bot.routing import Router
from bot.turn import Living, Reply, SharedFile, Turn
from cards.views import uploads as cards
from cards.views.common import note
from cards.views.preview import idle
from cards.words import escape
from provisioning.access import Permission, require
from provisioning.errors import BadInput, InvalidMoment
from provisioning.mac import split_mac
from provisioning.service.importing import TEAMS_LIFETIME
from provisioning.service.uploading import NoUpload, Undecided
from provisioning.sheets.columns import KNOWN, Column, key
from provisioning.sheets.writing import Form
from provisioning.texts import _, current_speech
from provisioning.untrusted import clean, parse_moment
from provisioning.uploads import Upload, UploadState

router = Router()
EDIT = (Permission.EDIT_DEVICES,)
PAGE = 10
ROW_BYTES = 160  # of a row in an error file, about
LONGEST_NAME = 80  # characters of a file's name, on a card
_CELLS = re.compile(r"[\t;|,]")


async def take_files(turn: Turn, files: Sequence[SharedFile]) -> Reply:
    """What somebody sent: the first file; each has a preview of its own to decide on."""
    require(turn.actor, *EDIT)
    file = files[0]
    upload = await turn.provisioning.begin_upload(turn.actor, _short(file.name))
    alone = len(files) == 1
    said = (
        "" if alone else _("One file at a time: I read {name}. Send the next one after it.", name=escape(upload.name))
    )
    reply = replace(upload_reply(turn, upload), text=said)
    return replace(reply, begins=lambda: turn.jobs.read_file(upload, file.url))


async def take_rows(turn: Turn, rows: str) -> Reply:
    """Rows that were pasted, into a message or a form."""
    require(turn.actor, *EDIT)
    upload = await turn.provisioning.begin_upload(turn.actor, "")
    return replace(upload_reply(turn, upload), begins=lambda: turn.jobs.read_text(upload, rows))


def _short(name: str) -> str:
    """The ending stays: it says how the file is read."""
    said = clean(name[:1000], limit=1000)
    stem, dot, ending = said.rpartition(".")
    return f"{stem[:LONGEST_NAME]}{dot}{ending[:10]}" if stem else said[:LONGEST_NAME]


def is_pasted(text: str) -> bool:
    """Whether a message is a piece of a sheet: a header with a MAC column, or lines that begin with a MAC."""
    lines = [line for line in text.splitlines() if line.strip()][:2]
    if len(lines) < 2:
        return False
    if any(KNOWN.get(key(cell[:60])) is Column.MAC for cell in _CELLS.split(lines[0])):
        return True
    return all(_begins_with_mac(line) for line in lines)


def _begins_with_mac(line: str) -> bool:
    try:
        split_mac(_CELLS.sub(" ", line))
    except BadInput:
        return False
    return True


def upload_reply(turn: Turn, upload: Upload, fault: BadInput | None = None) -> Reply:
    """The one message of an upload; it changes with it."""
    card = cards.upload_card(upload, turn.now, turn.provisioning.policy.undo, fault)
    living = Living(subject=upload.id, view="upload_again", params={"upload": upload.id}, revision=upload.version)
    return Reply(card=card, private=True, living=living)


@router.view
async def upload_again(turn: Turn, upload: str) -> Reply | None:
    """The upload as it stands now; nothing to press where it is kept no longer."""
    try:
        return upload_reply(turn, await turn.provisioning.upload(turn.actor, upload))
    except NoUpload:
        return Reply(card=note(_("This upload is over.")), private=True)


@router.command("upload", "upload <step>", needs=EDIT)
@router.action("upload_form")
async def upload(turn: Turn, step: str = "", fault: BadInput | None = None) -> Reply:
    """Upload devices: attach an XLSX or CSV file or paste rows; then upload add, cancel, errors, rows."""
    first, _blank, rest = " ".join(step.casefold().split()).partition(" ")
    if not first:
        return Reply(card=cards.upload_form(fault))
    steps = {"add": upload_add, "cancel": upload_cancel, "errors": upload_errors, "rows": upload_rows}
    if first not in steps:
        return await take_rows(turn, step)
    return await (upload_add(turn, different=rest) if first == "add" else steps[first](turn))


@router.action("upload_paste", form=upload, needs=EDIT)
async def upload_paste(turn: Turn, rows: str = "") -> Reply:
    """Read the rows of the form."""
    return await take_rows(turn, rows)


async def upload_form_again(turn: Turn, upload: str = "", fault: BadInput | None = None) -> Reply:
    """The preview, with what was wrong about the decision."""
    return upload_reply(turn, await turn.provisioning.upload(turn.actor, upload), fault)


@router.action("upload_add", form=upload_form_again, needs=EDIT)
async def upload_add(turn: Turn, upload: str = "", different: str = "", made: str = "") -> Reply:
    """Save what the preview shows: all of it or nothing."""
    found = await turn.provisioning.upload(turn.actor, upload)
    if found.state is UploadState.READING or (found.state is UploadState.READY and idle(found)):
        return upload_reply(turn, found)
    chosen = different or ("" if found.new or found.codes else "update")
    if found.state is UploadState.READY and found.different and chosen not in ("keep", "update"):
        raise Undecided(count=found.different)
    coded_at = _coded_at(turn, made) if made and found.codes else None
    begun = await turn.provisioning.add_upload(turn.actor, found.id, update=chosen == "update", coded_at=coded_at)
    return await _carried_out(turn, begun)


def _coded_at(turn: Turn, made: str) -> datetime:
    """When the codes were made. Errors: `InvalidMoment`, also where they have ended since."""
    moment = parse_moment(made, turn.now, current_speech().timezone)
    if moment + TEAMS_LIFETIME - turn.now < timedelta(minutes=1):
        raise InvalidMoment(text=made[:40])
    return moment


async def _carried_out(turn: Turn, upload: Upload) -> Reply:
    """The card as it stands once the work is done, or is under way."""
    turn.jobs.go_on(upload.id)
    await turn.jobs.settled(upload.id)
    return upload_reply(turn, await turn.provisioning.upload(turn.actor, upload.id))


async def undone(turn: Turn, upload: Upload) -> Reply:
    """An import on its way back."""
    return await _carried_out(turn, upload)


@router.action("upload_cancel", needs=EDIT)
async def upload_cancel(turn: Turn, upload: str = "") -> Reply:
    """Save nothing of it."""
    found = await turn.provisioning.upload(turn.actor, upload)
    return await _carried_out(turn, await turn.provisioning.cancel_upload(turn.actor, found.id))


@router.action("upload_errors", needs=EDIT)
async def upload_errors(turn: Turn, upload: str = "") -> Reply:
    """The rows that need fixing as a file, each with its reason."""
    found = await turn.provisioning.upload(turn.actor, upload)
    if not found.wrong:
        return await upload_rows(turn, found.id)
    form = Form.CSV if found.name.casefold().endswith((".csv", ".txt", ".tsv")) else Form.XLSX
    name = _("{stem} - to fix.{ending}", stem=plain_name(found.name.rpartition(".")[0] or _("rows")), ending=form)
    return offer(turn, name, found.wrong * ROW_BYTES, kind="errors", upload=found.id, form=form)


@router.action("upload_rows", needs=EDIT)
async def upload_rows(turn: Turn, upload: str = "", after: str | None = None, first: int = 1) -> Reply:
    """The rows that need fixing as a card, page by page."""
    found = await turn.provisioning.upload(turn.actor, upload)
    wrong = [row async for row in turn.provisioning.wrong_rows(found)]
    first = max(first, 1)
    rows = list(islice(wrong, first - 1, first - 1 + PAGE))
    following = str(first + PAGE) if first + PAGE <= len(wrong) else None
    return Reply(card=cards.wrong_rows_card(found, rows, first, following), private=True)
