"""The rows of one kind in dictionaries, with every index beside them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from provisioning.ports import IndexValue, Span
from storage.kinds import Kind
from storage.records import micros


@dataclass(slots=True)
class Row:
    record: Any
    place: str
    values: dict[str, Any]  # by index; of a list, its values as a tuple


class Table:
    """The rows of one kind, and for every value of an index the keys that have it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.rows: dict[str, Row] = {}
        self._by: dict[str, defaultdict[Any, dict[str, None]]] = {
            name: defaultdict(dict) for name in (*kind.indexes, *kind.lists) if name not in ("text", *kind.times)
        }
        self._times: dict[str, list[tuple[int, str]]] = {name: [] for name in kind.times}  # in their order
        self._numbers = count(1)

    def row_of(self, record: Any, former: Row | None) -> Row:
        values: dict[str, Any] = {name: index(record) for name, index in self.kind.indexes.items()}
        values |= {name: several(record) for name, several in self.kind.lists.items()}
        if self.kind.order:
            return Row(record, self.kind.order(record), values)
        return Row(record, former.place if former else "", values)

    def put(self, row: Row) -> None:
        self.take(row.record.key)
        row.place = row.place or f"{next(self._numbers):018d}"
        self.rows[row.record.key] = row
        for name, value in self._values(row):
            self._by[name][value][row.record.key] = None
        for name, times in self._times.items():
            if (at := row.values[name]) is not None:
                insort(times, (at, row.record.key))

    def take(self, key: str) -> None:
        former = self.rows.pop(key, None)
        if former is None:
            return
        for name, value in self._values(former):
            del self._by[name][value][key]
        for name, times in self._times.items():
            if (at := former.values[name]) is not None:
                del times[bisect_left(times, (at, key))]

    def _values(self, row: Row) -> Iterator[tuple[str, Any]]:
        for name, value in row.values.items():
            if name in self.kind.lists:
                yield from ((name, each) for each in value)
            elif name in self._by:
                yield name, value

    def having(self, equals: Mapping[str, IndexValue], span: Span | None = None) -> list[Row]:
        """Rows whose indexes have these values, and whose indexed time lies in the span."""
        wanted = {n: str(value).casefold() if n in self.kind.lists else value for n, value in equals.items()}
        sets: list[Collection[str]] = [self._by[n].get(value, {}) for n, value in wanted.items() if n in self._by]
        if span:
            sets.append(self._within(span))
        keys = min(sets, key=len) if sets else self.rows
        within = frozenset(sets[-1]) if span and keys is not sets[-1] else None
        rows = (self.rows[key] for key in keys if within is None or key in within)
        return [row for row in rows if all(self._holds(row, name, value) for name, value in wanted.items())]

    def _within(self, span: Span) -> list[str]:
        times = self._times[span.index]
        begin = bisect_left(times, (micros(span.after) + 1, "")) if span.after else 0
        end = bisect_left(times, (micros(span.until) + 1, "")) if span.until else len(times)
        return [key for _at, key in times[begin:end]]

    def _holds(self, row: Row, name: str, value: Any) -> bool:
        found = row.values[name]
        return value in found if name in self.kind.lists else found == value
