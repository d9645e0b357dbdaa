"""The cards of long work in each of its states; every text of a user's is `user`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cards.view import View
from cards.views import jobs
from provisioning.errors import NoAccess
from provisioning.jobs import Job, JobKind, JobState
from provisioning.sheets.faults import fault_of
from tests.cards.sheet_cards import NOW


def job_cards(user: str = "Oslo") -> dict[str, View]:
    """Named views."""
    running = {kind: _job(kind, user) for kind in JobKind}
    cards: dict[str, View] = {}
    for kind, job in running.items():
        cards[f"job-{kind}"] = jobs.job_card(job, NOW)
        cards[f"job-{kind}-stopped"] = jobs.job_card(replace(job, state=JobState.CANCELLED), NOW)
    begun = replace(running[JobKind.ISSUE], done=0, total=0)
    failed = replace(running[JobKind.ISSUE], state=JobState.FAILED, fault=fault_of(NoAccess()))
    slow = replace(running[JobKind.TAG], since=NOW - timedelta(minutes=5))
    return cards | {
        "job-begun": jobs.job_card(begun, NOW),
        "job-begun-stopped": jobs.job_card(replace(begun, state=JobState.CANCELLED), NOW),
        "job-failed": jobs.job_card(failed, NOW),
        "job-slow": jobs.job_card(slow, NOW),
        "job-none": jobs.nothing_runs(),
    }


def _job(kind: JobKind, user: str) -> Job:
    return Job(
        id="7f3a90c1d2e4b586",
        kind=kind,
        by="00000000-0000-4000-8000-00000000da0a",
        by_name=user[:60] or "Dana",
        operation="dana:op",
        params=(("site", user[:100] or "x"), ("word", user[:40] or "x")),
        at=NOW - timedelta(seconds=8),
        since=NOW - timedelta(seconds=8),
        done=4_000,
        total=20_000,
    )
