"""Long work on many devices: its one message, from the first count to the card of what was done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import jobs as cards
from cards.views.people import access_ended
from provisioning.access import Permission
from provisioning.jobs import Job, JobKind, JobState

router = Router()
WORK = (Permission.ISSUE_CODES, Permission.EDIT_DEVICES)
LONG = 300  # devices from which an order outlasts its turn

Ending = Callable[[Turn, Job], Awaitable[Reply]]
_ENDINGS: dict[JobKind, Ending] = {}


def ends(kind: JobKind) -> Callable[[Ending], Ending]:
    """Declares how the card of finished work of this kind is drawn: the same as that of little work."""

    def declare(ending: Ending) -> Ending:
        _ENDINGS[kind] = ending
        return ending

    return declare


async def worked(turn: Turn, kind: JobKind, params: Mapping[str, str]) -> Reply:
    """The order as a job of its own: what came of it if that is soon there, else how far it is."""
    job = await turn.provisioning.begin_job(turn.actor, kind, params)
    return await _carried_out(turn, job)


async def _carried_out(turn: Turn, job: Job) -> Reply:
    turn.jobs.work(job.id)
    await turn.jobs.settled(job.id)
    return await _reply(turn, await turn.provisioning.job_of(turn.actor, job.id))


async def _reply(turn: Turn, job: Job) -> Reply:
    if job.state is JobState.DONE:
        return await _ENDINGS[job.kind](turn, job)
    card = cards.job_card(job, turn.now)
    living = Living(subject=job.id, view="job_now", params={"job": job.id}, revision=int(job.running))
    return Reply(card=card, living=living, private=True)


@router.view
async def job_now(turn: Turn, job: str) -> Reply | None:
    """The work as it stands now."""
    if not turn.actor.roles:
        return Reply(card=access_ended())
    return await _reply(turn, await turn.provisioning.job_of(turn.actor, job))


@router.command("cancel", needs=WORK)
@router.action("job_cancel")
async def job_cancel(turn: Turn, job: str = "") -> Reply:
    """Stop what takes long: issue, assign, revoke, tag or untag of many devices. What is done stays done."""
    found = job or await turn.provisioning.latest_job(turn.actor)
    if not found:
        return Reply(card=cards.nothing_runs())
    cancelled = await turn.provisioning.cancel_job(turn.actor, found)
    await turn.jobs.settled(cancelled.id)
    return await _reply(turn, await turn.provisioning.job_of(turn.actor, cancelled.id))


@router.action("job_go_on", needs=WORK)
async def job_go_on(turn: Turn, job: str) -> Reply:
    """Do the rest of it."""
    return await _carried_out(turn, await turn.provisioning.resume_job(turn.actor, job))
