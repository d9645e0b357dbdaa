"""Questions about when devices called last: the windows they are about, and the places between their pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from provisioning.ports import Page
from storage.records import check_text, micros
from storage.where import NOTHING, Where

Call = tuple[str, datetime]  # a MAC and when it called last
_PLACE = re.compile(r"(-?[0-9]{1,18}) (.*)", re.DOTALL)


def silent(after: datetime | None, until: datetime, beyond: str | None, sign: str) -> Where:
    """Calls in (after, until] that stand behind the place `beyond`; `sign` is what a driver binds values to.

    One condition says where to begin, so that a page far behind costs as little as the first. Nothing stands behind a
    place that no page ever named. Errors: ValueError for a time without a zone, `UnreadableText`.
    """
    where = Where((f"at <= {sign}",), (micros(until),))
    begin = None if after is None else micros(after)
    if beyond is not None:
        place = placed(beyond)
        if place is None:
            return NOTHING
        if begin is None or place[0] > begin:
            return where & Where((f"(at, key) > ({sign}, {sign})",), place)
    return where if begin is None else where & Where((f"at > {sign}",), (begin,))


def placed(beyond: str) -> tuple[int, str] | None:
    """Time and MAC of the row a page ended with; None for a place that none ended at. Errors: `UnreadableText`."""
    check_text(beyond)
    found = _PLACE.fullmatch(beyond)
    return (int(found[1]), found[2]) if found else None


def page(calls: Sequence[Call], *, more: bool) -> Page[Call]:
    """A page of them, and where it ends if there are more."""
    return Page(tuple(calls), f"{micros(calls[-1][1])} {calls[-1][0]}" if more else None)
