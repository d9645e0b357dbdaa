"""The expiry radar: cards count down, and before codes end those are told, once, who can do something about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.codes import hash_token
from provisioning.ending import AHEAD, TOGETHER, ending, near, said_of
from provisioning.lifecycle import companion
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import ActivationCode, Actor, Change, Device, Person, Record, Role
from provisioning.notifications import edit, tell
from provisioning.ports import Span
from provisioning.service.extending import ENDING, Ends
from provisioning.service.renewing import Renewing

MANY_ENDING = 5  # more codes of one admin's than this ending together are told to that admin too
CHUNK = 500  # codes of one unit, and rows of one page
LOOK_AGAIN = timedelta(minutes=5)  # at the whole hour: codes come late, problems are solved
SETTLING = timedelta(minutes=1)  # until the units of a large look are all saved


@dataclass(frozen=True, slots=True)
class Renewed:
    """What came of one tap: new codes, and those that only an admin can make (`limit` used up, or `teams`)."""

    done: int = 0
    limit: int = 0
    teams: int = 0


class Radar(Renewing):
    _looked_until: datetime | None = None  # whatever ends before was looked at by this instance
    _looked_at: datetime | None = None  # when it last looked at the whole hour

    async def watch_codes(self) -> None:
        """A step of the sweep."""
        await self._count_down()
        await self._tell_of_ends()

    # -------------------------------------------------------------- cards count down

    async def _count_down(self) -> None:
        """Technicians' cards that show a code are drawn anew, without a push, when they would say something else."""
        now, after = self.now(), None
        while True:
            page = await self.store.find(Post, shows_code=True, after=after, limit=CHUNK)
            devices = await self.store.get_many(Device, [post.subject for post in page.rows])
            readers = await self.store.get_many(Person, [post.reader for post in page.rows])
            due = [
                post
                for post in page.rows
                if self._says_too_much(post, devices.get(post.subject), readers.get(post.reader), now)
            ]
            if due:
                await self.store.save(Change(puts=tuple(edit(post, now) for post in due)))
            after = page.after
            if after is None:
                return

    def _says_too_much(self, post: Post, device: Device | None, reader: Person | None, now: datetime) -> bool:
        """Whether what the card says of its code's end is not what one would say now: more is left, or "tomorrow"."""
        if device is None or reader is None or not reader.reachable or device.technician != reader.id:
            return False
        code, zone = device.live_code(now), self.speech_of(reader).timezone
        drawn = post.edited_at or post.posted_at
        return code is not None and said_of(code, drawn, zone) != said_of(code, now, zone)

    # -------------------------------------------------------------- who is told

    async def _tell_of_ends(self) -> None:
        """What ends within the hour and nobody was told of yet, with what ends soon after that.

        Each code carries that it was told of, so that it holds over restarts and other instances.
        """
        now, looked = self.now(), self._looked_until
        lately = self._looked_at and timedelta() <= now - self._looked_at < LOOK_AGAIN
        begin = looked if looked and lately and now < looked <= now + AHEAD else now
        self._looked_at = self._looked_at if lately else now
        found = await self._untold(begin, now + AHEAD)
        if any(near(code, now) for code in _codes(found)):
            await self._tell_of(await self._untold(now, now + AHEAD + TOGETHER), now)
        early = any(not near(code, now) for code in _codes(found))  # too early yet: short lives are looked at again
        self._looked_until = None if early else now + AHEAD

    async def _tell_of(self, found: Sequence[Device], now: datetime) -> None:
        """In units that are not too large; of a large look is told once all of them are saved."""
        due = [device for device in found if ending(device, now)]
        told = await self._tellings(due, now)
        parts = [due[start : start + CHUNK] for start in range(0, len(due), CHUNK)]
        if len(parts) > 1:
            told = [_once_settled(record) if isinstance(record, OutboxMessage) else record for record in told]
        for number, part in enumerate(parts):
            await self.quietly(partial(self._decide_told, part, [] if number else told, now))

    async def _untold(self, after: datetime, until: datetime) -> list[Device]:
        found, more = list[Device](), None
        while True:
            page = await self.store.find(
                Device,
                span=Span("code_until", after=after, until=until),
                open=True,
                removed=False,
                after=more,
                limit=CHUNK,
            )
            found += [d for d in page.rows if d.code and d.code.told_at is None and not (d.provisioned or d.problem)]
            more = page.after
            if more is None:
                return found

    async def _decide_told(self, part: Sequence[Device], told: Sequence[Record], now: datetime) -> tuple[Change, None]:
        known = await self.store.get_many(Device, [device.mac for device in part])
        fresh = [d for d in known.values() if d.code and d.code.told_at is None and ending(d, now)]
        marked = [replace(d, code=replace(d.code, told_at=now)) for d in fresh if d.code]
        return Change(puts=(*marked, *told) if marked else ()), None

    async def _tellings(self, due: Sequence[Device], now: datetime) -> list[Record]:
        """The messages, and for admins the rows that keep which codes theirs is about."""
        people = await self.store.get_many(
            Person, list({device.technician for device in due if device.technician})[:1000]
        )
        able = {id_: p for id_, p in people.items() if p.reachable and Role.TECHNICIAN in self.roles_of(p)}
        mine = defaultdict[str, list[Device]](list)
        for device in due:
            mine[device.technician].append(device)
        underway = await self.underway()
        told = [
            replace(
                tell(MessageKind.CODES_ENDING, id_, "", now, since=now.isoformat()),
                unique=f"{MessageKind.CODES_ENDING}:{id_}",  # one that still waits tells of these as well
            )
            for id_, person in able.items()
            if not _sees_it_already(person, mine[id_]) and not all(underway.rests(device) for device in mine[id_])
        ]
        dying = await self.to_channels(MessageKind.CODES_DYING, due)
        return [*await self.in_time(told), *await self._to_admins(due, able, now), *dying]

    async def _to_admins(self, due: Sequence[Device], able: Mapping[str, Person], now: datetime) -> list[Record]:
        """Each admin whose codes end: of many, or of those that their technician can do nothing about."""
        admins = {admin.id: admin for admin in await self.admins() if admin.reachable}
        theirs = defaultdict[str, list[Device]](list)
        for device in due:
            makers = (device.code.issued_by if device.code else "", device.added_by)
            responsible = next(([maker] for maker in makers if maker in admins), list(admins))
            for admin in responsible:
                theirs[admin].append(device)
        told = list[Record]()
        for admin, devices in theirs.items():
            helpless = [d for d in devices if d.technician not in able or self.renewals_left(d) <= 0]
            if about := devices if len(devices) > MANY_ENDING else helpless:
                key = hash_token(f"{ENDING}\x1f{admin}\x1f{now.isoformat()}")[:16]
                macs = tuple(device.mac for device in about)
                told.append(Batch(id=key, kind=ENDING, by="service", by_name="", at=now, macs=macs))
                told.append(tell(MessageKind.CODES_TO_EXTEND, admin, key, now, helpless=str(len(helpless))))
        return told

    # -------------------------------------------------------------- one tap

    async def my_ends(self, actor: Actor, since: datetime | None = None) -> Ends:
        """The actor's devices whose code ends soon or ended unused: all, or those they were told of since then."""
        require(actor, Permission.WORK_ON_SITE)
        devices = tuple(d for d in await self.jobs_of(actor.id) if ending(d, self.now(), since))
        return Ends(devices, sum(self.renewals_left(device) <= 0 for device in devices))

    async def renew_ends(self, actor: Actor, since: datetime | None = None) -> Renewed:
        """New codes for them, each within its device's own limit."""
        ends = await self.my_ends(actor, since)

        async def decide(chunk: Sequence[str]) -> tuple[Change, Counter[str]]:
            change, counts = Change(), Counter[str]()
            async for device in self._one_by_one(chunk):
                if device.technician != actor.id or not ending(device, self.now(), since):
                    continue
                kind = "teams" if companion(device) else "limit" if self.renewals_left(device) <= 0 else "done"
                counts[kind] += 1
                change += await self._renewal(actor, device) if kind == "done" else Change()
            return change, counts

        done = await self.in_parts(actor, [device.mac for device in ends.devices], decide)
        return Renewed(**done)


def _once_settled(message: OutboxMessage) -> OutboxMessage:
    """A little later, on a lane of its own, so that nothing else waits for it."""
    lane = f"ending:{message.recipient}" if message.lane == message.recipient else message.lane
    return replace(message, due_at=message.due_at + SETTLING, lane=lane)


def _codes(devices: Sequence[Device]) -> list[ActivationCode]:
    return [device.code for device in devices if device.code]


def _sees_it_already(person: Person, ends: Sequence[Device]) -> bool:
    """The one code that ends stands on their phone, where its card says so."""
    return len(ends) == 1 and person.current == ends[0].mac
