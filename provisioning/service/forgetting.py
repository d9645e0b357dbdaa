"""A person who left is forgotten: at once as a person, then wherever their name, UPN or chat still stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts
from provisioning.errors import LastAdmin, OutOfDate, PersonNotFound, Refused
from provisioning.events import Event, FactsRedacted, PersonForgotten
from provisioning.forgetting import KIND, Trace
from provisioning.jobs import Job
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import Actor, Change, Device, Person, Record
from provisioning.photos import Photo
from provisioning.rollouts import Rollout
from provisioning.service.people import People
from provisioning.texts import N_
from provisioning.throttle import ATTACK_SLOT
from provisioning.uploads import Upload, UploadPart

R = TypeVar("R", bound=Record)
Still = Callable[[], Awaitable[bool]]

ROWS, PICTURES, FACTS = 500, 20, 200  # of one question, and of one unit
# Where words that somebody wrote, or somebody's name, may stand; how many are read at once.
HOLDERS: tuple[tuple[type[Any], int], ...] = (
    (Device, ROWS),
    (Rollout, ROWS),
    (Batch, 50),  # each may name thousands of devices
    (Upload, 50),
    (UploadPart, 50),
    (Job, ROWS),
    (Photo, PICTURES),
)


class StillHasAccess(Refused):
    code = "still_has_access"
    message = N_("{name} still has access. End it first: revoke access {name}.")


class StillWorks(Refused):
    code = "still_works"
    message = N_("{count} devices are still with {name}. Give them to somebody else first: revoke access {name}.")


class StillAnAccount(Refused):
    code = "still_an_account"
    message = N_("{account} is still to be signed in on {place}. Take it away first: account {place} none.")


class Forgetting(People):
    async def to_forget(self, actor: Actor, text: str) -> Person:
        """Who would be forgotten. Errors: `LastAdmin`, `StillHasAccess`, `StillWorks`, `StillAnAccount`."""
        require(actor, Permission.MANAGE_PEOPLE)
        person = await self.person(text)
        await self._require_gone(person)
        return person

    async def _require_gone(self, person: Person) -> None:
        named = person.name or person.upn or person.id
        if person.id in self.policy.admins:
            raise LastAdmin(name=named)
        if self.roles_of(person):
            raise StillHasAccess(name=named)
        work = await self._workload_of(person)
        if work.live or work.open:
            raise StillWorks(name=named, count=max(work.live, work.open))
        if person.upn:
            page = await self.store.find(Device, contains=person.upn.casefold(), removed=False, limit=50)
            for device in page.rows:
                if device.account.casefold() == person.upn.casefold():
                    raise StillAnAccount(account=person.upn, place=device.place)

    async def forget_person(self, actor: Actor, person_id: str, revision: int) -> Person:
        """Nothing leads from their id to them any more: the person at once, everything else with the next sweeps.

        Whoever comes back is met anew. Errors: those of `to_forget`, `OutOfDate`.
        """
        require(actor, Permission.MANAGE_PEOPLE)

        async def decide() -> tuple[Change, Person]:
            person = await self.store.get(Person, person_id)
            if person is None:
                raise PersonNotFound(text="")
            if person.version != revision:
                raise OutOfDate
            await self._require_gone(person)
            trace, now = Trace.of(person), self.now()
            rest = Batch(kind=KIND, by=actor.id, by_name="", at=now, macs=(), technician=trace.id, kept=trace.kept)
            fact = PersonForgotten(at=now, actor=actor.id, subject=trace.pseudonym)
            return Change(puts=(rest,), deletes=(person,), events=(fact,)), person

        return await self.unit(actor, decide)

    # -------------------------------------------------------------- the rest

    async def erase_forgotten(self, still: Still) -> None:
        """What is left of people who were forgotten goes; `still` says whether this is to go on.

        It may break off anywhere: whoever does it again finds what is left.
        """
        for batch in (await self.store.find(Batch, kind=KIND, limit=50)).rows:
            trace = Trace.in_batch(batch)
            if await self._erase(trace, batch, still):
                await self.quietly(partial(self._done, batch.id))

    async def _erase(self, trace: Trace, batch: Batch, still: Still) -> bool:
        await self._delete_cards(trace, batch)
        await self.quietly(partial(self._scrubbed, Attempts, [ATTACK_SLOT], trace))  # who allowed or denied a network
        for kind, size in HOLDERS:
            if not await self._scrub_all(kind, trace, size, still):
                return False
        for hiding in (await self.store.find(Batch, hides=True, limit=1000)).rows:
            if not await self._scrub_all(Device, trace, ROWS, still, batch=hiding.id):
                return False
        return await self._redact(trace, batch, still)

    async def _done(self, key: str) -> tuple[Change, None]:
        batch = await self.store.get(Batch, key)
        return Change(deletes=(batch,) if batch else ()), None

    async def _delete_cards(self, trace: Trace, batch: Batch) -> None:
        """Cards in their chat, and messages to them or about them; not what is told to whoever came back since."""
        conversations = [trace.chat] if trace.chat else []
        asked: list[tuple[type[Any], dict[str, Any]]] = [(Post, {"reader": trace.id}), (Post, {"subject": trace.id})]
        asked += [(Post, {"conversation": each}) for each in conversations]
        asked += [(OutboxMessage, {"recipient": trace.id}), (OutboxMessage, {"subject": trace.id})]
        for kind, equals in asked:
            await self._delete(kind, equals, lambda row: _when(row) <= batch.at)
        webhook = {"kind": MessageKind.WEBHOOK.value}
        await self._delete(OutboxMessage, webhook, lambda row: trace.scrubbed(row) is not row)

    async def _delete(self, kind: type[Any], equals: dict[str, Any], goes: Callable[[Any], bool]) -> None:
        after: str | None = None
        while True:
            page = await self.store.find(kind, after=after, limit=ROWS, **equals)
            keys = [row.key for row in page.rows if goes(row)]
            if keys:
                await self.quietly(partial(self._deleted, kind, keys))
            if (after := page.after) is None:
                return

    async def _deleted(self, kind: type[Any], keys: Sequence[str]) -> tuple[Change, None]:
        return Change(deletes=tuple((await self.store.get_many(kind, keys)).values())), None

    async def _scrub_all(self, kind: type[Any], trace: Trace, size: int, still: Still, **equals: Any) -> bool:
        after: str | None = None
        while await still():
            page = await self.store.find(kind, after=after, limit=size, **equals)
            keys = list[str]()
            for row in page.rows:
                if not _order(row) and trace.scrubbed(row) is not row:
                    keys.append(row.key)
                await asyncio.sleep(0)  # others get their turns: a row may name thousands of devices
            if keys:
                await self.quietly(partial(self._scrubbed, kind, keys, trace))
            if (after := page.after) is None:
                return True
        return False

    async def _scrubbed(self, kind: type[Any], keys: Sequence[str], trace: Trace) -> tuple[Change, None]:
        """No fact of its own: `PersonForgotten` tells of all of it."""
        rows = (await self.store.get_many(kind, keys, hidden=True)).values()
        changed = [trace.scrubbed(row) for row in rows]
        return Change(puts=tuple(new for new, row in zip(changed, rows, strict=True) if new is not row)), None

    async def _redact(self, trace: Trace, batch: Batch, still: Still) -> bool:
        """Facts say it without the words; each unit of them is named by a fact, so that the chain still holds."""
        after, newest = 0, await self.store.newest_fact()
        fact = FactsRedacted(at=self.now(), actor=batch.by, subject=trace.pseudonym, rows=())
        while await still():
            page = [row for row in await self.store.facts(after, limit=1000) if row.sequence <= newest]
            numbers = [row.sequence for row in page if _tells(row.event, trace)]
            for start in range(0, len(numbers), FACTS):
                await self.store.redact(numbers[start : start + FACTS], trace.without, fact)
            if not page:
                return True
            after = page[-1].sequence
        return False


def _when(row: Post | OutboxMessage) -> Any:
    return row.posted_at if isinstance(row, Post) else row.created_at


def _order(row: object) -> bool:
    """What holds the words until everything else is without them."""
    return isinstance(row, Batch) and row.kind == KIND


def _tells(event: Event, trace: Trace) -> bool:
    values = (getattr(event, name) for name in event.__dataclass_fields__)
    texts = (each for value in values for each in (value if isinstance(value, tuple) else (value,)))
    return any(isinstance(each, str) and trace.without(each) != each for each in texts)
