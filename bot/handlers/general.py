"""Help, and what to answer when nothing matched: all of it from the table of routes."""

from __future__ import annotations

import re

from bot.routing import Half, Route, Router
from bot.turn import Reply, Turn
from cards.view import Button
from cards.views import general as cards
from cards.words import escape
from provisioning.access import Permission, allowed
from provisioning.errors import NotFound
from provisioning.texts import N_, _

_PLACE = re.compile(r"[\w./:\-]*\d[\w./:\-]*")  # one word with a digit: a room or a MAC, never a command
QUICK = (
    (Permission.EDIT_DEVICES, "add_form", N_("Add")),
    (Permission.SEE_DEVICES, "devices", N_("Devices")),
    (Permission.WORK_ON_SITE, "next", N_("Next device")),
)


def guide(table: Router) -> Router:
    """The routes that speak about all routes; `table` is complete by the time anybody asks."""
    router = Router()

    @router.command("help [<command>]")
    @router.action("help")
    async def help(turn: Turn, command: str = "", after: int = 0, first: int = 0) -> Reply:
        """Show what you can say; with a command, what it does."""
        routes = table.help_for(turn.actor)
        if command:
            return _explain(table, turn, command)
        entries = [(route.commands[-1].usage, _(route.summary)) for route in routes]
        quick = tuple(Button(verb, _(title)) for needs, verb, title in QUICK if allowed(turn.actor, needs))
        return Reply(card=cards.help_card(entries, after, quick))

    return router


def _explain(table: Router, turn: Turn, command: str) -> Reply:
    match = table.match(command)
    if match is None:
        return unknown(table, turn, command)
    route = match.route
    who = "" if route.allowed(turn.actor) else _("You may not use this one.")
    usages = [said.usage for said in reversed(route.commands)]
    return Reply(card=cards.command_help(usages, _(route.summary), who))


def unknown(table: Router, turn: Turn, text: str) -> Reply:
    """Nothing matched: the nearest command is suggested, never run."""
    return Reply(card=cards.unknown(text, table.suggest(text, turn.actor)))


def half(found: Half) -> Reply:
    """The command's words without what should follow."""
    route: Route = found.route
    return Reply(card=cards.half([said.usage for said in reversed(route.commands)], _(route.summary)))


async def bare_device(table: Router, turn: Turn, text: str) -> Reply | None:
    """A bare `2.14` means its device; for a technician, its code."""
    try:
        found = await turn.provisioning.device(turn.actor, text)
    except NotFound as missing:
        return Reply(text=escape(missing.sentence)) if _PLACE.fullmatch(text.strip()) else None
    route = table.routes["device" if turn.actor.is_admin else "code"]
    return await route.handler(turn, found.mac)
