"""Questions about how many devices reached something, and when: the steps of a span, and what is counted in each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from provisioning.model import Device
from provisioning.ports import Span, TimelineRow
from storage.kinds import check_question
from storage.records import from_micros, micros

MOST = 10_000  # steps of one question


@dataclass(frozen=True, slots=True)
class Steps:
    """A span and its steps, from 0: step n holds the times in (begin + n · width, begin + (n + 1) · width]."""

    span: Span
    begin: int  # microseconds, as in an index
    width: int

    def rows(self, counted: Sequence[tuple[str, int, int]]) -> list[TimelineRow]:
        """Of sites, numbers of steps and counts, in their order."""
        starts = {n: from_micros(self.begin + n * self.width) for n in {n for _, n, _ in counted}}
        return [TimelineRow(site, starts[n], many) for site, n, many in counted]


def steps(index: str, since: datetime, until: datetime, step: timedelta, asked: Collection[str]) -> Steps:
    """ValueError for a fault in the caller: see `Store.timeline`."""
    entry = check_question(Device, {index, *asked})
    if index not in entry.times:
        raise ValueError(f"{index} is no time of a device")
    if "removed" in asked:
        raise ValueError("a timeline is about listed devices alone")
    begin, end, width = micros(since), micros(until), step // timedelta(microseconds=1)
    if width <= 0:
        raise ValueError(f"a step takes time, not {step}")
    if end - begin > MOST * width:
        raise ValueError(f"{MOST} steps at once, not {-((begin - end) // width)}")
    return Steps(Span(index, since, until), begin, width)
