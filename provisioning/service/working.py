"""Orders for many devices: begun by a press, carried out part by part, gone on with by whichever instance is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.codes import hash_token
from provisioning.commands import CommandName
from provisioning.errors import NotFound, PersonNotFound, ProvisioningError, Refused, StoreError
from provisioning.jobs import Job, JobKind, JobState
from provisioning.model import Actor, Change, Device, Person, State, stored
from provisioning.service.codes import Codes
from provisioning.service.commanding import Commanding
from provisioning.service.extending import Extending
from provisioning.service.handover import Beside
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from provisioning.service.tags import Tags
from provisioning.service.uploading import PROGRESS_EVERY
from provisioning.sheets.faults import fault_of
from provisioning.sheets.rows import RowFault
from provisioning.texts import N_
from provisioning.untrusted import clean_tag

NEEDS: Mapping[JobKind, Permission] = {
    JobKind.TAG: Permission.EDIT_DEVICES,
    JobKind.UNTAG: Permission.EDIT_DEVICES,
    JobKind.ASK: Permission.SIGN_IN,
}  # all others are about codes


class NotYourJob(Refused):
    code = "not_your_job"
    message = N_("Somebody else began this. Only they can decide on it.")


class JobCancelled(Refused):
    """Raised within the work itself, between two parts."""

    code = "job_cancelled"
    message = N_("This was stopped.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known only once all of it is done."""

    counts: Mapping[str, int]
    batches: Sequence[Batch] = ()


class Working(Tags, Codes, Extending, Commanding):
    async def begin_job(self, actor: Actor, kind: JobKind, params: Mapping[str, str]) -> Job:
        """An order for many devices is on its way; the same press finds the job it began.

        Errors: those of a receiver; `InvalidTag`.
        """
        require(actor, NEEDS.get(kind, Permission.ISSUE_CODES))
        for technician in filter(None, params.get("technicians", "").split(",")):
            await self._check_receiver(technician)
        if word := params.get("word"):
            params = {**params, "word": clean_tag(word)}
        given, now = tuple((name, value) for name, value in params.items() if value), self.now()
        job = Job(kind=kind, by=actor.id, by_name=actor.name, operation="", params=given, at=now, since=now)
        if actor.operation:
            job = replace(job, id=hash_token(actor.operation)[:16])
        job = replace(job, operation=actor.operation or job.id)

        async def decide() -> tuple[Change, Job]:
            known = await self.store.get(Job, job.id)
            return (Change(), known) if known else (Change(puts=(job,)), stored(job))

        return await self.quietly(decide)

    async def latest_job(self, actor: Actor) -> str:
        """The latest of the actor's that runs; empty where none does."""
        require(actor, Permission.ISSUE_CODES, Permission.EDIT_DEVICES)
        rows = (await self.store.find(Job, by=actor.id, running=True, limit=1)).rows
        return rows[0].id if rows else ""

    async def job_of(self, actor: Actor, key: str) -> Job:
        """For whoever began it, even where they may not go on with it any more. Errors: `NotFound`, `NotYourJob`."""
        require(actor, Permission.ISSUE_CODES, Permission.EDIT_DEVICES, Permission.WORK_ON_SITE)
        found = await self.store.get(Job, key)
        if found is None:
            raise NotFound
        if found.by != actor.id:
            raise NotYourJob
        return found

    async def cancel_job(self, actor: Actor, key: str) -> Job:
        """What is done stays done; the part that is under way is the last. One that is over stays as it is."""
        job = await self.job_of(actor, key)
        return await self._moved_job(job.id, lambda job: self._ended(job, JobState.CANCELLED))

    async def resume_job(self, actor: Actor, key: str) -> Job:
        """[Go on]: from where it stopped."""
        job = await self.job_of(actor, key)
        require(actor, NEEDS.get(job.kind, Permission.ISSUE_CODES))

        def again(job: Job) -> Job:
            stopped = job.state in (JobState.CANCELLED, JobState.FAILED)
            fresh = replace(job, state=JobState.RUNNING, fault=None, settled_at=None, since=self.now())
            return replace(fresh, since_done=job.done) if stopped else job

        return await self._moved_job(job.id, again)

    async def running_jobs(self) -> Sequence[Job]:
        """Those that have something left to be done by itself."""
        return (await self.store.find(Job, running=True, limit=100)).rows

    async def waiting_of(self, actor: Actor, target: Target) -> int:
        """How many devices wait for activation there."""
        require(actor, Permission.ISSUE_CODES)
        if target.device:
            return 1
        state = State.WAITING_FOR_ACTIVATION.value
        return await self.store.count(Device, removed=False, state=state, **target.equals)

    # -------------------------------------------------------------- carried out

    async def carry_out(self, key: str) -> None:
        """Does what is left of it. A right that was lost meanwhile ends it, with that sentence on its card.

        Errors: those of the store; then it is taken up again later.
        """
        job = await self.store.get(Job, key)
        if job is None or not job.running:
            return
        person = await self.store.get(Person, job.by)
        try:
            if person is None:
                raise PersonNotFound(text=job.by_name)
            actor = replace(self.actor_of(person), operation=job.operation)
            outcome = await _WORK[job.kind](self, actor, job, self._beside(job.id))
        except StoreError:
            raise
        except JobCancelled:
            return
        except ProvisioningError as error:
            fault = fault_of(error)
            await self._moved_job(job.id, lambda job: self._ended(job, JobState.FAILED, fault))
        else:
            await self._moved_job(job.id, lambda job: self._finished(job, outcome))

    def _beside(self, key: str) -> Beside:
        """Each part notes itself in its job, in the same unit: it is done and counted, or neither."""

        async def beside(left: int, of: int, counts: Mapping[str, int]) -> Change:
            job = await self.store.get(Job, key)
            if job is None or not job.running:
                raise JobCancelled
            total = max(job.total, of)
            done = max(job.done, total - left)
            return await self._job_step(job, replace(job, total=total, done=done, counts=_sum(job, counts)))

        return beside

    def _ended(self, job: Job, state: JobState, fault: RowFault | None = None) -> Job:
        return replace(job, state=state, fault=fault, settled_at=self.now()) if job.running else job

    def _finished(self, job: Job, outcome: Outcome) -> Job:
        batches = tuple(batch.id for batch in outcome.batches)
        fresh = replace(job, counts=_sum(job, outcome.counts), batches=batches, done=job.total)
        return self._ended(fresh, JobState.DONE) if job.running else job

    async def _moved_job(self, key: str, change: Callable[[Job], Job]) -> Job:
        async def decide() -> tuple[Change, Job]:
            former = await self.store.get(Job, key)
            if former is None:
                raise NotFound
            fresh = change(former)
            return (Change(), former) if fresh == former else (await self._job_step(former, fresh), stored(fresh))

        return await self.quietly(decide)

    async def _job_step(self, former: Job, fresh: Job) -> Change:
        """Saved, and its message redrawn: at once in another state, else now and then."""
        now, over = self.now(), fresh.state is not former.state
        if not over and now - (former.progress_at or former.since) < PROGRESS_EVERY:
            return Change(puts=(fresh,))
        return Change(puts=(replace(fresh, progress_at=now), *await self.redrawn(fresh.id, now)))

    # -------------------------------------------------------------- by kind

    async def _issue_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        done = await self.issue(actor, order_of(job), beside)
        return Outcome({"refused": done.refused, "teams": done.teams, "nobody": done.nobody}, done.batches)

    async def _reissue_kept_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        done = await self.reissue_kept(actor, await self._batch_of(job), beside)
        return Outcome({}, done.batches)

    async def _assign_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        await self.assign(actor, target_of(job), await self._receiver_of(job), beside)
        return Outcome({})

    async def _assign_batch_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        batch = await self.assign_batch(actor, await self._batch_of(job), await self._receiver_of(job), beside)
        return Outcome({}, (batch,))

    async def _extend_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        await self.extend(actor, target_of(job), job.given.get("batch", ""), beside)
        return Outcome({})

    async def _revoke_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        await self.revoke(actor, target_of(job), beside=beside)
        return Outcome({})

    async def _tag_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        await self.tag_devices(actor, target_of(job), job.given["word"], beside)
        return Outcome({})

    async def _untag_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        await self.untag_devices(actor, target_of(job), job.given["word"], beside)
        return Outcome({})

    async def _ask_job(self, actor: Actor, job: Job, beside: Beside) -> Outcome:
        at = datetime.fromisoformat(job.given["at"]) if "at" in job.given else None
        await self.ask_devices(actor, target_of(job), CommandName(job.given["name"]), at, beside)
        return Outcome({})

    async def _batch_of(self, job: Job) -> Batch:
        batch = await self.store.get(Batch, job.given["batch"])
        if batch is None:
            raise NotFound
        return batch

    async def _receiver_of(self, job: Job) -> Person:
        return await self.person(job.given["technicians"])


Work = Callable[[Working, Actor, Job, Beside], Awaitable[Outcome]]

_WORK: Mapping[JobKind, Work] = {
    JobKind.ISSUE: Working._issue_job,
    JobKind.REISSUE_KEPT: Working._reissue_kept_job,
    JobKind.ASSIGN: Working._assign_job,
    JobKind.ASSIGN_BATCH: Working._assign_batch_job,
    JobKind.EXTEND: Working._extend_job,
    JobKind.REVOKE: Working._revoke_job,
    JobKind.TAG: Working._tag_job,
    JobKind.UNTAG: Working._untag_job,
    JobKind.ASK: Working._ask_job,
}


def params_of(target: Target) -> dict[str, str]:
    """A site, a tag or everything, as a job keeps it."""
    return {"site": target.site, "tag": target.tag}


def target_of(job: Job) -> Target:
    return Target(site=job.given.get("site", ""), tag=job.given.get("tag", ""))


def params_of_order(order: IssueOrder) -> dict[str, str]:
    """An order without a device, as a job keeps it."""
    return {
        **params_of(order.target),
        "floor": order.floor,
        "technicians": ",".join(order.technicians),
        "by_floor": "yes" if order.by_floor else "",
        "first": str(order.first or ""),
        "lifetime": str(int(order.lifetime.total_seconds())) if order.lifetime else "",
        "void": "yes" if order.void else "",
        "on_site": "yes" if order.on_site else "",
    }


def order_of(job: Job) -> IssueOrder:
    given = job.given
    technicians = given.get("technicians", "")
    return IssueOrder(
        target=target_of(job),
        floor=given.get("floor", ""),
        technicians=tuple(technicians.split(",")) if technicians else (),
        by_floor="by_floor" in given,
        first=int(given.get("first", 0)),
        lifetime=timedelta(seconds=int(given["lifetime"])) if "lifetime" in given else None,
        void="void" in given,
        on_site="on_site" in given,
    )


def _sum(job: Job, counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((Counter(job.counted) + Counter(counts)).items()))
