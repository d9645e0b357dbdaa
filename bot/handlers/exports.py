"""Files to take away: the template, devices, live codes, the sheet to print. Each is offered before it is made."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import exports as cards
from cards.views.common import note
from provisioning.access import Permission, require
from provisioning.errors import NotFound, PersonNotFound, TooManyToPrint
from provisioning.ports import FileOffer
from provisioning.service.exporting import Take
from provisioning.service.lookup import Target
from provisioning.sheets.writing import Form
from provisioning.texts import N_, _

router = Router()
SEE, CODES, EDIT = (Permission.SEE_DEVICES,), (Permission.ISSUE_CODES,), (Permission.EDIT_DEVICES,)
OFFERED = timedelta(minutes=10)  # a file can be accepted for so long
DEVICE_BYTES, CODE_BYTES, BLOCK_BYTES = 90, 60, 2200  # a row or block in a file, about; for the size that is told
MOST_PRINTED = 2_000  # devices on one printed sheet, some 250 pages


# ------------------------------------------------------------------ offering


def offer(turn: Turn, name: str, size: int, **ids: str) -> Reply:
    """A file for this person alone; it is made when they accept. `ids` come back with the answer."""
    until = (turn.now + OFFERED).isoformat()
    context = {**ids, "name": name, "by": turn.actor.id, "until": until, "op": secrets.token_hex(8)}
    description = _("Offered for 10 minutes; made when you accept, and not kept.")
    return Reply(offer=FileOffer(name=name, description=description, size=max(size, 1000), context=context))


def _about(take: Take) -> dict[str, str]:
    if take.person:
        return {"person": take.person.id}
    return {"target": take.target.device.mac if take.target.device else take.target.word or "all"}


async def taken(turn: Turn, target: str, person: str) -> Take:
    """What is meant: a device, a site, a tag, all, or a person's devices."""
    if person:
        found = await turn.provisioning.who(person)
        if found is None:
            raise PersonNotFound(text=person[:60])
        return Take(Target(), found)
    try:
        return Take(await turn.provisioning.target(turn.actor, target or "all"))
    except NotFound:
        return Take(Target(), await turn.provisioning.person(target))


def form_of(words: str, form: str) -> tuple[str, Form]:
    """The words without a trailing `csv` or `as xlsx`, and which it is."""
    head, _blank, last = words.rpartition(" ")
    if last.casefold() in list(Form):
        return head.removesuffix(" as"), Form(last.casefold())
    return words, Form(form) if form in list(Form) else Form.XLSX


# ------------------------------------------------------------------ what people say and press


@router.command("template [<form>]", needs=EDIT)
@router.action("template")
async def template(turn: Turn, form: str = "") -> Reply:
    """A sheet to fill in, as XLSX or CSV."""
    require(turn.actor, *EDIT)
    if form.casefold() not in list(Form):
        return Reply(card=cards.template_form())
    name = _("devices template.{ending}", ending=form.casefold())
    return offer(turn, name, 8000, kind="template", form=form.casefold())


@router.command("export [<target>]", needs=SEE)
@router.action("export")
async def export(turn: Turn, target: str = "", person: str = "", form: str = "") -> Reply:
    """Take devices or live codes away as XLSX or CSV: of a site, a tag, a technician or all."""
    words, wanted = form_of(f" {target}".rstrip(), form)
    take = await taken(turn, words.strip(), person)
    devices, codes = await turn.provisioning.how_many_to_take(turn.actor, take)
    if not devices:
        return Reply(card=cards.nothing_to_take(take.title), private=True)
    return Reply(card=cards.export_form(take.title, devices, codes, wanted, _about(take)), private=True)


@router.action("export_devices", needs=SEE)
async def export_devices(turn: Turn, target: str = "", person: str = "", form: str = "") -> Reply:
    """The devices as a file."""
    take = await taken(turn, target, person)
    devices, _codes = await turn.provisioning.how_many_to_take(turn.actor, take)
    ending = form_of("", form)[1]
    name = _("devices {title}.{ending}", title=plain_name(take.title), ending=ending)
    return offer(turn, name, devices * DEVICE_BYTES, kind="devices", form=ending, **_about(take))


@router.command("export codes", "export codes <target>", needs=CODES)
@router.action("export_codes")
async def export_codes(turn: Turn, target: str = "", person: str = "", form: str = "", sure: bool = False) -> Reply:
    """Take live codes away in a file, after asking; each is logged."""
    words, ending = form_of(f" {target}".rstrip(), form)
    take = await taken(turn, words.strip(), person)
    _devices, codes = await turn.provisioning.how_many_to_take(turn.actor, take)
    if not codes:
        return Reply(card=cards.nothing_to_take(take.title), private=True)
    if not sure:
        return Reply(
            card=cards.ask_codes(take.title, codes, "export_codes", {**_about(take), "form": ending}), private=True
        )
    name = _("codes {title}.{ending}", title=plain_name(take.title), ending=ending)
    return offer(turn, name, codes * CODE_BYTES, kind="codes", form=ending, **_about(take))


@router.command("print [<target>]", needs=SEE)
@router.action("print")
async def print_sheet(turn: Turn, target: str = "", person: str = "", codes: str = "", sure: bool = False) -> Reply:
    """A PDF with a block for each device and a QR code that opens the chat; with codes only if you say so."""
    take = await taken(turn, target, person)
    devices, live = await turn.provisioning.how_many_to_take(turn.actor, take)
    if not devices:
        return Reply(card=cards.nothing_to_take(take.title), private=True)
    if not codes:
        return Reply(card=cards.print_form(take.title, live, _about(take)), private=True)
    if codes == "yes" and not sure:
        return Reply(card=cards.ask_codes(take.title, live, "print", {**_about(take), "codes": "yes"}), private=True)
    count = live if codes == "yes" else devices
    if count > MOST_PRINTED:
        raise TooManyToPrint(count=count, limit=MOST_PRINTED)
    name = _("sheet {title}.pdf", title=plain_name(take.title))
    kind = "print_codes" if codes == "yes" else "print"
    return offer(turn, name, count * BLOCK_BYTES, kind=kind, **_about(take))


def plain_name(title: str) -> str:
    """What a file's name can hold everywhere."""
    return "".join(c if c.isalnum() or c in " -_.#" else "-" for c in title)[:60].strip(" .") or _("all")


@router.action("file_again", needs=(*SEE, Permission.WORK_ON_SITE))
async def file_again(
    turn: Turn, name: str, kind: str, upload: str = "", target: str = "", person: str = "", form: str = ""
) -> Reply:
    """Offer a file once more."""
    ids = {"upload": upload, "target": target, "person": person, "form": form}
    return offer(turn, name, 1000, kind=kind, **{name: value for name, value in ids.items() if value})


# Where no file can be offered: what shows the same as cards (verb, button, what it calls the target), by kind.
INSTEAD: Mapping[str, tuple[str, str, str]] = {
    "errors": ("upload_rows", N_("Rows"), ""),
    "devices": ("devices", N_("Devices"), "words"),
    "codes": ("codes", N_("Codes"), "site"),
    "print": ("devices", N_("Devices"), "words"),
    "print_codes": ("codes", N_("Codes"), "site"),
    "pack": ("jobs", N_("List"), ""),
}


def instead(context: Mapping[str, str]) -> Reply:
    """What is said where Teams takes no file."""
    name = context.get("name", "")
    if context.get("kind") == "photo":
        return Reply(text=_("Teams takes no picture in this chat."))
    if context.get("kind") not in INSTEAD:
        return Reply(card=cards.no_sheet_here(name), private=True)
    verb, title, parameter = INSTEAD[context["kind"]]
    ids = {"upload": context["upload"]} if "upload" in context else {}
    if parameter and context.get("target", "all") != "all":
        ids[parameter] = context["target"]
    return Reply(card=cards.no_files_here(name, verb, _(title), ids), private=True)


def below(reply: Reply) -> str:
    """Said where the button was pressed."""
    return _("The file is below: allow it, and it is yours.") if reply.offer else _("The photo is below.")


def declined() -> Reply:
    return Reply(card=note(_("No file was made.")))
