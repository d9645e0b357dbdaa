"""Which columns stand beside a document, so that SQLite finds it without reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, get_type_hints

from provisioning.batches import Batch
from provisioning.messages import OutboxMessage
from provisioning.model import Device, Record
from storage.audit import digest
from storage.kinds import KINDS, Kind, columns_of
from storage.records import Plain, decode, decode_event, micros

# ruff: noqa: S608 - statements are put together from our own names; no value is put in

COLUMNS = "id INTEGER PRIMARY KEY, doc TEXT NOT NULL, crc INTEGER NOT NULL"  # of every table
AUDIT, SEEN = "audit", "seen"
_KEY_FIELDS = ("mac", "id", "slot")


def quoted(name: str) -> str:
    """A name as SQLite takes it literally."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Layout:
    """A table whose documents have columns beside them. `values` gives them for a document, in order."""

    table: str
    columns: tuple[str, ...]
    values: Callable[[Plain], tuple[Any, ...]]
    unique: str | None = "key"
    indexes: tuple[tuple[str, str], ...] = ()  # (name, what stands behind ON table)
    triggers: tuple[str, ...] = ()  # with {table} for its name; they may name other tables
    seen: str = ""  # in SQL: what a row must meet to be seen by those who do not ask for more
    numbers_behind: str = "0"  # in SQL: a number that new rows come behind, also where no row is left
    plannable: Mapping[str, str] = field(default_factory=dict)  # top-level field of the document → column

    @property
    def versioned(self) -> bool:
        return "version" in self.columns

    def statements(self, table: str) -> tuple[str, ...]:
        """What makes the table and its indexes."""
        columns = (f"{quoted(name)}{' UNIQUE NOT NULL' * (name == self.unique)}" for name in self.columns)
        return (
            f"CREATE TABLE {table} ({', '.join((COLUMNS, *columns))})",
            *(f"CREATE INDEX {quoted(f'{self.table}.{name}')} ON {table} {on}" for name, on in self.indexes),
        )


# ------------------------------------------------------------------ what is counted beside the devices

# A batch that hides takes its devices out of what is seen; they are counted under its key instead of under "".
_HIDING = 'SELECT key FROM "doc:batches" WHERE ix_hides = 1'
SEEN_BY_ALL = f"(ix_batch IS NULL OR ix_batch NOT IN ({_HIDING}))"
_GROUP = "ix_site, ix_state, ix_installed, ix_problem"

COUNTED = f"""SELECT coalesce(hiding.key, ''), {_GROUP}, count(*)
    FROM "doc:devices" AS device LEFT JOIN ({_HIDING}) AS hiding ON hiding.key = ix_batch
    WHERE NOT ix_removed GROUP BY hiding.key, {_GROUP}"""
TAGGED = """SELECT each.value, device.ord, device.id
    FROM "doc:devices" AS device, json_each(device.ix_tag) AS each WHERE device.ix_tag IS NOT NULL"""
# Tables that triggers keep: their names, how they are made, and what stands in them.
KEPT_BESIDE = (
    (
        "tally",
        "batch TEXT, site TEXT, state TEXT, installed INTEGER, problem INTEGER, count INTEGER NOT NULL, "
        "PRIMARY KEY (batch, site, state, installed, problem)",
        COUNTED,
    ),
    ("tagged", "tag TEXT, place TEXT, device INTEGER NOT NULL, PRIMARY KEY (tag, place)", TAGGED),
)


def _batch_of(row: str) -> str:
    return f"coalesce(({_HIDING} AND key = {row}.ix_batch), '')"


def _group_of(row: str) -> str:
    return f"{_batch_of(row)}, {row}.ix_site, {row}.ix_state, {row}.ix_installed, {row}.ix_problem"


_COUNT_IN = f"""INSERT INTO tally SELECT {_group_of("NEW")}, 1 WHERE NOT NEW.ix_removed
    ON CONFLICT DO UPDATE SET count = count + 1;"""
_ROW = f"WHERE (batch, site, state, installed, problem) = ({_group_of('OLD')})"
_COUNT_OUT = f"""UPDATE tally SET count = count - 1 {_ROW} AND NOT OLD.ix_removed;
  DELETE FROM tally {_ROW} AND count = 0;"""
_TAG_IN = "INSERT INTO tagged SELECT value, NEW.ord, NEW.id FROM json_each(NEW.ix_tag);"
_TAG_OUT = "DELETE FROM tagged WHERE place = OLD.ord AND tag IN (SELECT value FROM json_each(OLD.ix_tag));"
_DEVICE_TRIGGERS = (
    f"CREATE TRIGGER tally_in AFTER INSERT ON {{table}} BEGIN {_COUNT_IN} END",
    f"CREATE TRIGGER tally_out AFTER DELETE ON {{table}} BEGIN {_COUNT_OUT} END",
    f"CREATE TRIGGER tally_moved AFTER UPDATE OF {_GROUP}, ix_removed, ix_batch ON {{table}}"
    f" BEGIN {_COUNT_OUT} {_COUNT_IN} END",
    f"CREATE TRIGGER tagged_in AFTER INSERT ON {{table}} WHEN NEW.ix_tag IS NOT NULL BEGIN {_TAG_IN} END",
    f"CREATE TRIGGER tagged_out AFTER DELETE ON {{table}} WHEN OLD.ix_tag IS NOT NULL BEGIN {_TAG_OUT} END",
    "CREATE TRIGGER tagged_moved AFTER UPDATE OF ix_tag, ord ON {table}"
    f" WHEN OLD.ix_tag IS NOT NULL OR NEW.ix_tag IS NOT NULL BEGIN {_TAG_OUT} {_TAG_IN} END",
)

# Appearing moves some counts; to disappear, the devices are counted.
_APPEAR = """INSERT INTO tally SELECT '', site, state, installed, problem, count FROM tally WHERE batch = OLD.key
    ON CONFLICT DO UPDATE SET count = count + excluded.count;
  DELETE FROM tally WHERE batch = OLD.key;"""
_DISAPPEAR = f"""INSERT INTO tally SELECT NEW.key, {_GROUP}, count(*) FROM "doc:devices"
    WHERE ix_batch = NEW.key AND NOT ix_removed GROUP BY {_GROUP};
  INSERT INTO tally SELECT '', site, state, installed, problem, -count FROM tally WHERE batch = NEW.key
    ON CONFLICT DO UPDATE SET count = count + excluded.count;
  DELETE FROM tally WHERE batch = '' AND count = 0;"""
_BATCH_TRIGGERS = (
    f"CREATE TRIGGER batch_in AFTER INSERT ON {{table}} WHEN NEW.ix_hides BEGIN {_DISAPPEAR} END",
    f"CREATE TRIGGER batch_out AFTER DELETE ON {{table}} WHEN OLD.ix_hides BEGIN {_APPEAR} END",
    "CREATE TRIGGER batch_hidden AFTER UPDATE OF ix_hides ON {table}"
    f" WHEN NEW.ix_hides AND NOT OLD.ix_hides BEGIN {_DISAPPEAR} END",
    "CREATE TRIGGER batch_shown AFTER UPDATE OF ix_hides ON {table}"
    f" WHEN OLD.ix_hides AND NOT NEW.ix_hides BEGIN {_APPEAR} END",
)

# ------------------------------------------------------------------ devices, beyond their named indexes

# For questions that one index alone answers in no time: which codes live, what is wrong at a site, what holds a word,
# how many devices reached something and when, what a technician has left and did today.
# `ix_removed` stands in them although their WHERE says it, for SQLite looks at it once more.
_DEVICE_INDEXES = (
    ("live", "(ord) WHERE ix_code_until IS NOT NULL"),
    ("site_live", "(ix_site, ord) WHERE ix_code_until IS NOT NULL"),
    (
        "live_count",
        "(ix_code_until, ix_site, ix_technician, ix_removed, ix_batch) "
        "WHERE ix_code_until IS NOT NULL AND ix_removed = 0",
    ),
    ("site_problem", "(ix_site, ord) WHERE ix_problem = 1"),
    ("site_hashed", "(ix_site, ord) WHERE ix_hashed_until IS NOT NULL"),
    ("site_offline", "(ix_site, ord) WHERE ix_offline_since IS NOT NULL"),
    *(
        (f"{time}_count", f"(ix_site, ix_{time}, ix_removed, ix_batch) WHERE ix_{time} IS NOT NULL AND ix_removed = 0")
        for time in ("provisioned_at", "installed_at")
    ),
    ("technician_open", "(ix_technician, ord, ix_open, ix_removed, ix_batch) WHERE ix_open = 1"),
    (
        "technician_installed",
        "(ix_technician, ix_installed_at, ix_removed, ix_batch) WHERE ix_installed_at IS NOT NULL AND ix_removed = 0",
    ),
    ("words", "(ord, ix_text, ix_removed, ix_batch) WHERE ix_removed = 0"),
)

# ------------------------------------------------------------------ the outbox, beyond its named indexes

# Only waiting rows are looked through, however many were sent before.
_WAITING = "WHERE ix_status = 'waiting'"
_OUTBOX_INDEXES = (
    ("heads", f"(ix_lane, id) {_WAITING}"),
    ("due", f"(due_at, id) {_WAITING}"),
    ("leases", f"(leased_until) {_WAITING} AND leased_until IS NOT NULL"),
)


def outbox_times(message: OutboxMessage) -> tuple[Any, ...]:
    """When a claim may take it and until when it is taken, in microseconds."""
    return micros(message.due_at), micros(message.leased_until) if message.leased_until else None


# ------------------------------------------------------------------ every table


def values_of(kind: Kind, record: Record, version: int) -> tuple[Any, ...]:
    """The columns of a record that will be stored as this version."""
    key, *beside = columns_of(kind, record)
    times = outbox_times(record) if isinstance(record, OutboxMessage) else ()
    return (key, version, *beside, *times)


def _plannable(kind: Kind) -> dict[str, str]:
    """Document fields with a column that can be looked up by the field's own value, or by its case-folded form."""
    hints = get_type_hints(kind.cls)
    names = {each.name for each in fields(kind.cls)}
    found = {name: "key" for name in _KEY_FIELDS if name in names}
    for name in names & kind.indexes.keys():
        if hints[name] in (str, bool) or (isinstance(hints[name], type) and issubclass(hints[name], Enum)):
            found[name] = f"ix_{name}"
    return found


_FURTHER_INDEXES: Mapping[type[Any], tuple[tuple[str, str], ...]] = {
    Device: _DEVICE_INDEXES,
    OutboxMessage: _OUTBOX_INDEXES,
}
_TRIGGERS: Mapping[type[Any], tuple[str, ...]] = {Device: _DEVICE_TRIGGERS, Batch: _BATCH_TRIGGERS}


def _of_kind(kind: Kind) -> Layout:
    order = ("ord",) if kind.order else ()
    behind = "ord" if kind.order else "id"
    extra = ("due_at", "leased_until") if kind.cls is OutboxMessage else ()
    indexes = [("ord", "(ord)")] if kind.order else []
    for name in kind.indexes.keys() - {"text"}:
        column = quoted(f"ix_{name}")
        if name in kind.flags:  # of a yes or no, only the yes is worth an index: most rows are a no
            indexes.append((name, f"({behind}) WHERE {column} = 1"))
        else:
            indexes.append((name, f"({column}, {behind}) WHERE {column} IS NOT NULL"))

    def values(plain: Plain) -> tuple[Any, ...]:
        record = decode(kind.cls, plain)
        return values_of(kind, record, record.version)

    return Layout(
        kind.table,
        ("key", "version", *order, *(f"ix_{name}" for name in (*kind.indexes, *kind.lists)), *extra),
        values,
        indexes=(*sorted(indexes), *_FURTHER_INDEXES.get(kind.cls, ())),
        triggers=_TRIGGERS.get(kind.cls, ()),
        seen=SEEN_BY_ALL if kind.cls is Device else "",
        plannable=_plannable(kind),
    )


def audit_values(plain: Plain) -> tuple[Any, ...]:
    return plain["subject"], micros(decode_event(plain).at), digest(plain)


def seen_values(plain: Plain) -> tuple[Any, ...]:
    return plain["mac"], micros(datetime.fromisoformat(plain["at"]))


LAYOUTS = (
    *(_of_kind(kind) for kind in KINDS.values()),
    Layout(
        AUDIT,
        ("subject", "at", "digest"),
        audit_values,
        unique=None,
        indexes=(("subject", "(subject, id)"),),
        numbers_behind="(SELECT max(json_extract(doc, '$.last')) FROM \"doc:segments\")",
        plannable={"subject": "subject"},
    ),
    Layout(SEEN, ("key", "at"), seen_values, indexes=(("at", "(at, key)"),), plannable={"mac": "key"}),
)
