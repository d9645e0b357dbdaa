"""What devices are asked for from afar: sign out, restart, say how they are. They find it with their next call."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.handlers.devices import device_again, living
from bot.handlers.jobs import LONG, ends, worked
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import commanding as cards
from provisioning.access import Permission
from provisioning.commands import CommandName
from provisioning.errors import NearMiss, NotFound
from provisioning.jobs import Job, JobKind
from provisioning.messages import MessageKind
from provisioning.service.commanding import Asked
from provisioning.service.working import params_of, target_of
from provisioning.texts import current_speech
from provisioning.untrusted import parse_ahead

router = Router()
REMOTE = (Permission.SIGN_IN,)


@router.command("sign out <target> [at <time>]", needs=REMOTE)
@router.action("sign_out")
async def sign_out(turn: Turn, target: str, time: str = "", sure: bool = False) -> Reply:
    """Ask a device, or all of a site or tag, to forget its account: with its next call, or at a time."""
    return await _ask(turn, CommandName.SIGN_OUT, target, time, sure=sure)


@router.command("restart <target> [at <time>]", needs=REMOTE)
@router.action("restart")
async def restart(turn: Turn, target: str, time: str = "", sure: bool = False) -> Reply:
    """Ask a device, or all of a site or tag, to restart: with its next call, or at a time like 03:00."""
    return await _ask(turn, CommandName.RESTART, target, time, sure=sure)


@router.command("diagnose <target> [at <time>]", needs=REMOTE)
@router.action("diagnose")
async def diagnose(turn: Turn, target: str, time: str = "", sure: bool = False) -> Reply:
    """Ask a device, or all of a site or tag, how it is, now or at a time; its note comes to you."""
    return await _ask(turn, CommandName.DIAGNOSTICS, target, time, sure=sure)


@router.command("take back <target>", needs=REMOTE)
@router.action("take_back")
async def take_back(turn: Turn, target: str, command: str = "", sure: bool = False) -> Reply:
    """Take back what you asked a device for last, or all of a site or tag for, and is not done yet."""
    meant = await turn.provisioning.target(turn.actor, target)
    if meant.device:
        return _told(turn, await turn.provisioning.take_back(turn.actor, meant.device.mac, command))
    count = await turn.provisioning.how_many_wait(turn.actor, meant)
    if count > 1 and not sure:
        return Reply(card=cards.take_back_first(meant, count))
    count = await turn.provisioning.take_back_many(turn.actor, meant) if count else 0
    return Reply(card=cards.taken_back_many(meant, count))


async def _ask(turn: Turn, name: CommandName, target: str, time: str = "", *, sure: bool) -> Reply:
    """One device is asked at once; more than one only after a question."""
    at = parse_ahead(time, turn.now, current_speech().timezone) if time else None
    meant = await turn.provisioning.target(turn.actor, target)
    if meant.device:
        asked = await turn.provisioning.ask_device(turn.actor, meant.device.mac, name, at)
        return _told(turn, asked, again=not asked.fresh)
    count = await turn.provisioning.how_many_can(turn.actor, meant, name)
    if not count:
        return Reply(card=cards.nothing_to_ask(name, meant))
    if count > 1 and not sure:
        return Reply(card=cards.ask_first(name, meant, count, at, turn.now))
    if count > LONG:
        due = at.isoformat() if at else ""
        return await worked(turn, JobKind.ASK, {**params_of(meant), "name": name.value, "at": due})
    count = await turn.provisioning.ask_devices(turn.actor, meant, name, at)
    return Reply(card=cards.asked_many(name, meant, count, at, turn.now))


@ends(JobKind.ASK)
async def _asked_ended(turn: Turn, job: Job) -> Reply:
    name, due = CommandName(job.given["name"]), job.given.get("at", "")
    at = datetime.fromisoformat(due) if due else None
    return Reply(card=cards.asked_many(name, target_of(job), job.counted.get("asked", 0), at, turn.now))


def _told(turn: Turn, asked: Asked, *, again: bool = False) -> Reply:
    """It changes by itself when the device did it, or somebody took it back."""
    device, command = asked.device, asked.command
    watched = living(device, "asked_again")
    return Reply(
        card=cards.asked_card(asked, turn.actor, turn.now, again=again),
        private=True,
        living=replace(watched, params={**watched.params, "command": command.id}),
    )


@router.view
async def asked_again(turn: Turn, mac: str, command: str) -> Reply | None:
    """What a device was asked for as it stands now; its card where that is not remembered any more."""
    try:
        return _told(turn, await turn.provisioning.asked_of(turn.actor, mac, command))
    except (NotFound, NearMiss):
        return await device_again(turn, mac)


@router.notice(MessageKind.COMMAND_SETTLED)
async def command_settled(turn: Turn, subject: str, command: str) -> Reply | None:
    """What came of it, to whoever asked, where that took a while or went wrong; and every note."""
    return await asked_again(turn, subject, command)
