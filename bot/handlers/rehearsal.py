"""A rollout rehearsed: an admin asks, a copy of the data is played through, the card becomes the report."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from bot.rehearsal.child import Progress, RehearsalBrokeOff, RehearsalUnderWay
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.view import Notice
from cards.views import rehearsal as cards
from provisioning.access import Permission
from provisioning.rehearsals import Report

router = Router()
TELL_EVERY = 10.0  # seconds between two changes of the card


@router.command("rehearse <site>", needs=(Permission.ISSUE_CODES,))
async def rehearse(turn: Turn, site: str) -> Reply:
    """Play a rollout through on a copy of the data: how long it takes, what goes wrong, what to change."""
    scope = (await turn.provisioning.rehearsable(turn.actor, site)).scope
    turn.jobs.rehearsals.require_free()
    return Reply(card=cards.working_card(scope), private=True, unfolds=_played(turn, scope))


async def _played(turn: Turn, scope: str) -> AsyncIterator[Reply]:
    told = time.monotonic()
    try:
        async with aclosing(turn.jobs.rehearsals.play(scope)) as played:
            async for each in played:
                if isinstance(each, Report):
                    yield Reply(card=cards.report_card(each))
                elif time.monotonic() - told >= TELL_EVERY:
                    told = time.monotonic()
                    yield Reply(card=_under_way(scope, each))
    except (RehearsalBrokeOff, RehearsalUnderWay) as fault:
        yield Reply(card=cards.failed_card(scope, fault.sentence))


def _under_way(scope: str, progress: Progress) -> Notice:
    return cards.working_card(scope, progress.done, progress.total, progress.at)
