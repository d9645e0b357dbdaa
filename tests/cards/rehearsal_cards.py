"""The cards of a rehearsal: under way, done, broken off; with nothing in the report, and with all that can be."""

from __future__ import annotations

from datetime import timedelta

from cards.view import View
from cards.views import rehearsal
from provisioning.rehearsals import (
    Advice,
    Conflict,
    Counted,
    Cure,
    Dying,
    Found,
    Held,
    Load,
    Peak,
    Report,
    Slip,
    Traffic,
)
from tests.cards.sheet_cards import NOW

DONE = NOW + timedelta(hours=7)


def rehearsal_cards(user: str = "Oslo") -> dict[str, View]:
    """Named views; every text of a user's is `user`."""
    bare = Report(scope="", made_up=True, seed=7, devices=0, start=NOW, dying=Dying(0), traffic=Traffic())
    return {
        "rehearsal-begun": rehearsal.working_card(user),
        "rehearsal-running": rehearsal.working_card(user, 120, 300, DONE),
        "rehearsal-failed": rehearsal.failed_card(user, user),
        "rehearsal-empty": rehearsal.report_card(bare),
        "rehearsal-full": rehearsal.report_card(full_report(user)),
    }


def full_report(user: str = "Oslo") -> Report:
    return Report(
        scope=user[:60],
        made_up=False,
        seed=7,
        runs=5,
        devices=300,
        passed_over=12,
        start=NOW,
        end=DONE,
        earliest=DONE - timedelta(hours=1),
        latest=DONE + timedelta(hours=1),
        provisioned=290,
        installed=288,
        signed_in=100,
        stuck=4,
        unfinished=8,
        loads=tuple(Load(user[:60] or "Sam", 50, 48, 400.0, 60.0, 45.5, 12.0, DONE) for _ in range(12)),
        slips=tuple(Counted(slip, 3, 65.0) for slip in Slip),
        conflicts=tuple(Found(conflict, 12_000, (user[:60] or "Oslo/2/2.14",) * 5) for conflict in Conflict),
        dying=Dying(64, tuple((NOW + timedelta(hours=n), n + 1) for n in range(8)), 24.0, 28),
        traffic=Traffic(
            told=(("edit", 1500), ("next_device", 306), ("morning", 12)),
            answers=700,
            edits_asked=1600,
            edits_sent=1500,
            peaks=(Peak(1.0, 20, 20), Peak(1.0, 7, 5, user[:60]), Peak(3600.0, 1800, 120, user[:60])),
            held=(Held(user[:60], 3, 12.5),) * 5,
            usual_delay=0.15,
            longest_delay=30.1,
            undelivered=2,
        ),
        advice=tuple(Advice(cure, 2, DONE) for cure in Cure),
    )
