"""Conditions in SQL, put together from our own column names; every value is bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions joined by AND and the values they bind, in order."""

    terms: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    by_range: bool = False  # found by an index that is not in the order asked for
    index: str = ""  # the one to go by, where the planner must not choose
    by_list: bool = False  # found through the table that holds the several values of one index

    def __and__(self, other: Where) -> Where:
        by_range = self.by_range or other.by_range
        index, by_list = self.index or other.index, self.by_list or other.by_list
        return Where(self.terms + other.terms, self.values + other.values, by_range, index, by_list)

    def __str__(self) -> str:
        return " AND ".join(self.terms) or "TRUE"


NOTHING = Where(("FALSE",))
