"""Cards of long work: how far it is, where it stopped and how it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cards.view import Button, Notice, Style, Tone
from cards.views.common import forecast
from cards.words import amount, bar, escape
from provisioning.jobs import Job, JobKind, JobState
from provisioning.service.working import target_of
from provisioning.sheets.faults import say
from provisioning.texts import N_, _

TITLES: Mapping[JobKind, str] = {
    JobKind.ISSUE: N_("Issuing codes: {title}"),
    JobKind.REISSUE_KEPT: N_("Reissuing codes"),
    JobKind.ASSIGN: N_("Assigning devices: {title}"),
    JobKind.ASSIGN_BATCH: N_("Assigning devices"),
    JobKind.EXTEND: N_("Making new codes"),
    JobKind.REVOKE: N_("Revoking codes: {title}"),
    JobKind.TAG: N_("Tagging {title} with {tag}"),
    JobKind.UNTAG: N_("Taking the tag {tag} from {title}"),
    JobKind.ASK: N_("Asking devices: {title}"),
}
STOPPED: Mapping[JobKind, str] = {
    JobKind.ISSUE: N_("Stopped: {done} of {total} have codes."),
    JobKind.REISSUE_KEPT: N_("Stopped: {done} of {total} have new codes."),
    JobKind.ASSIGN: N_("Stopped: {done} of {total} are assigned."),
    JobKind.ASSIGN_BATCH: N_("Stopped: {done} of {total} are assigned."),
    JobKind.EXTEND: N_("Stopped: {done} of {total} have new codes."),
    JobKind.REVOKE: N_("Stopped: {done} of {total} codes are revoked."),
    JobKind.TAG: N_("Stopped: {done} of {total} have the tag {tag}."),
    JobKind.UNTAG: N_("Stopped: {done} of {total} no longer have the tag {tag}."),
    JobKind.ASK: N_("Stopped: {done} of {total} are asked."),
}


def job_card(job: Job, now: datetime) -> Notice:
    """The one message of work that is not done yet."""
    return _running(job, now) if job.running else _stopped(job)


def _words(job: Job) -> dict[str, str]:
    return {
        "title": escape(target_of(job).title),
        "tag": escape(job.given.get("word", "")),
        "done": amount(job.done),
        "total": amount(job.total),
    }


def _title(job: Job) -> str:
    return _(TITLES[job.kind], **_words(job))


def _running(job: Job, now: datetime) -> Notice:
    lines = [_("Looking for the devices.")]
    if job.total:
        lines = [bar(job.done, job.total), _("{done} of {total}", **_words(job))]
        if left := forecast(now - job.since, job.done - job.since_done, job.total - job.since_done):
            lines.append(left)
    return Notice(
        title=_title(job),
        lines=tuple(lines),
        buttons=(Button("job_cancel", _("Cancel"), {"job": job.id}),),
        small=(_("It goes on by itself. Or type: cancel"),),
    )


def _stopped(job: Job) -> Notice:
    """Stopped by somebody, or by what forbids the rest."""
    failed = job.state is JobState.FAILED
    said = _(STOPPED[job.kind], **_words(job)) if job.total else _("Stopped: nothing was changed yet.")
    return Notice(
        title=said,
        tone=Tone.ATTENTION if failed else Tone.PLAIN,
        lines=(_title(job), *((escape(say(job.fault)),) if job.fault else ())),
        buttons=(Button("job_go_on", _("Go on"), {"job": job.id}, style=Style.POSITIVE),),
        small=(_("What is done stays done."),),
    )


def nothing_runs() -> Notice:
    return Notice(title=_("Nothing of yours is under way"), small=(_("Or type: undo, upload cancel"),))
