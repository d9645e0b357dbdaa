"""A unit of work on its way to PostgreSQL: bound on the event loop, sent whole, applied in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from psycopg import AsyncConnection

from provisioning.events import Event
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Record
from storage.audit import digest
from storage.kinds import KINDS
from storage.postgres_connection import at_one_go
from storage.postgres_sql import about, many_parameters, parameters, queries
from storage.records import encode_event, micros, record_json

Step = tuple[str, dict[str, Any]]
_MANY = 20  # records of one kind from which on they are added by one statement


@dataclass(frozen=True, slots=True)
class Unit:
    """What `save` was given, as statements; whatever cannot be stored was refused before."""

    steps: tuple[Step, ...]
    topics: frozenset[str]

    @classmethod
    def of(cls, change: Change) -> Unit:
        """Raises `UnreadableText` and `TextTooLong` for a string that cannot be stored."""
        topics = {record.key for record in change.puts}
        if any(isinstance(record, OutboxMessage) for record in change.puts):
            topics.add("outbox")
        if change.events:
            topics.add("facts")
        return cls((*_records(change), *facts(change.events)), frozenset(topics))

    async def write(self, connection: AsyncConnection[Any]) -> None:
        async with at_one_go(connection):
            await connection.execute(queries()["begin_unit"])
            for statement, values in self.steps:
                await connection.execute(statement, values)


def _records(change: Change) -> Iterator[Step]:
    """In the order of table and key, so that two units never wait for each other; messages last, as they came in."""
    changed = [(_place(record), record, True) for record in change.deletes]
    changed += [(_place(record), record, False) for record in change.puts]
    changed.sort(key=lambda each: each[0])
    for kind, run in groupby(changed, key=lambda each: _kind_added(*each[1:])):
        records = [(record, gone) for _, record, gone in run]
        if kind is OutboxMessage:
            yield from _messages([record for record, _ in records if isinstance(record, OutboxMessage)])
        elif kind and len(records) >= _MANY and len({record.key for record, _ in records}) == len(records):
            yield about(kind).insert_many, many_parameters(record for record, _ in records)
        else:
            yield from (_delete(record) if gone else _put(record) for record, gone in records)


def _kind_added(record: Record, gone: bool) -> type[Record] | None:
    """The kind of a record that may be added together with others."""
    return None if gone or record.version else type(record)


def _place(record: Record) -> tuple[int, str, str]:
    """A message that is settled or taken back makes room for one of the same word: so those come before new ones."""
    if not isinstance(record, OutboxMessage):
        return 0, KINDS[type(record)].table, record.key
    return (2, "", "") if record.version == 0 else (1, "", record.id)


def _put(record: Record) -> Step:
    statements, values = about(type(record)), parameters(record)
    return statements.replace if record.version else statements.insert, values


def _messages(messages: Sequence[OutboxMessage]) -> Iterator[Step]:
    """New messages, in their order: together, unless two of them claim to be the same one."""
    together = len({message.id for message in messages}) == len(messages)
    for added in [_by_word(messages)] if together else [[each] for each in messages]:
        yield about(OutboxMessage).insert_messages, many_parameters(added)


def _by_word(messages: Sequence[OutboxMessage]) -> list[OutboxMessage]:
    """Without those whose word waits already in one before them; what waits in the outbox, the statement sees."""
    words, wanted = set[str](), list[OutboxMessage]()
    for message in messages:
        if message.unique not in words:
            wanted.append(message)
        if message.unique and message.status is MessageStatus.WAITING and message.leased_until is None:
            words.add(message.unique)
    return wanted


def _delete(record: Record) -> Step:
    return about(type(record)).delete, {"key": record.key, "version": record.version}


def facts(events: Sequence[Event]) -> Iterator[Step]:
    """What adds these to the audit."""
    if events:
        plains = [encode_event(event) for event in events]
        docs = [record_json(plain) for plain in plains]  # first, for it refuses what cannot be digested
        values = {
            "subjects": [event.subject for event in events],
            "times": [micros(event.at) for event in events],
            "digests": [digest(plain) for plain in plains],
            "docs": docs,
        }
        yield queries()["record"], values
