"""Work on many devices that outlasts the press it began with: what is to be done, how far it is, what came of it.

It is done in durable parts, and each part notes itself here in the same unit: so any instance can go on where one
stopped, and what is done is counted once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from provisioning.sheets.rows import RowFault


class JobKind(StrEnum):
    ISSUE = "issue"
    REISSUE_KEPT = "reissue_kept"  # of a ledger row: the codes that it kept
    ASSIGN = "assign"
    ASSIGN_BATCH = "assign_batch"  # the devices of a ledger row
    EXTEND = "extend"  # new codes for what ends
    REVOKE = "revoke"
    TAG = "tag"
    UNTAG = "untag"
    ASK = "ask"  # devices are asked for something


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"  # what was done stays done; it can go on
    FAILED = "failed"  # so too; `fault` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One order for many devices. `params` are ids and the words of sites and tags, never a code."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    kind: JobKind
    by: str
    by_name: str
    operation: str  # that each part goes by, so that none is done twice
    params: tuple[tuple[str, str], ...] = ()
    at: datetime
    state: JobState = JobState.RUNNING
    done: int = 0  # devices
    total: int = 0  # 0 before the first part
    counts: tuple[tuple[str, int], ...] = ()  # what happened to how many
    batches: tuple[str, ...] = ()  # ledger rows, once it is done
    since: datetime  # when it began or went on …
    since_done: int = 0  # … and how many were done by then
    progress_at: datetime | None = None  # when its message was last redrawn
    settled_at: datetime | None = None
    fault: RowFault | None = None
    version: int = 0

    @property
    def key(self) -> str:
        return self.id

    @property
    def running(self) -> bool:
        return self.state is JobState.RUNNING

    @property
    def given(self) -> Mapping[str, str]:
        return dict(self.params)

    @property
    def counted(self) -> Mapping[str, int]:
        return dict(self.counts)
