"""Who and what takes part: a copy of the data made harmless, or a fleet that nobody has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final, TypeVar

from bot.rehearsal.findings import conflicts
from bot.rehearsal.options import Options
from provisioning.conversations import Conversation, ConversationKind
from provisioning.lifecycle import companion
from provisioning.messages import OutboxMessage, Post
from provisioning.model import Actor, Change, Device, Person, Record, Role
from provisioning.notifications import folded, follows
from provisioning.ports import Store
from provisioning.rehearsals import Found
from provisioning.rollouts import Rollout
from provisioning.service import Policy, Provisioning
from provisioning.service.devices import AT_ONCE, Wanted
from provisioning.service.lookup import EVERYTHING, Target
from provisioning.service.restoring import Restoring

R = TypeVar("R", bound=Record)

NOWHERE: Final = "https://rehearsal.invalid/"  # RFC 6761: no resolver ever finds it
PLACES: Final = ("Northgate", "Southbank", "Eastfield", "Westhaven", "Hillside", "Riverview", "Parkside", "Lakeview")
TO_A_SITE, TO_A_FLOOR = 250, 25  # devices
USUAL_SHARE: Final = 50  # devices of one technician, where nobody said how many there are
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Cast:
    """`devices` are those to be installed; `until` holds when the codes that live in the data would end."""

    target: Target
    devices: tuple[Device, ...]
    passed_over: int
    technicians: tuple[Person, ...]
    made_up: frozenset[str]  # technicians that nobody is
    share: bool  # the technicians share all of it; else each does what is theirs in the data
    admin: Person
    rollouts: tuple[Rollout, ...]
    found: tuple[Found, ...]
    live: Mapping[str, datetime]
    made_up_fleet: bool


class Casting:
    """Prepares the copy. Errors: `NothingMatches` for a site that nobody knows."""

    def __init__(self, provisioning: Provisioning, options: Options, *, made_up: bool) -> None:
        self._provisioning, self._options, self._made_up = provisioning, options, made_up
        self._store, self._tenant = provisioning.store, provisioning.policy.tenant

    async def cast(self) -> Cast:
        admin = await self._admin()
        if self._made_up:
            await self._fleet(self._provisioning.actor_of(admin))
        target = await self._provisioning.scope(self._options.site) if self._options.site else EVERYTHING
        devices = await self._provisioning.devices_of(target)
        taking = tuple(d for d in devices if d.open_job and not companion(d))
        rollouts = tuple(r for r in await _all(self._store, Rollout) if _touches(r, devices))
        known = {person.id: person for person in await _all(self._store, Person)}
        real = self._real(taking, rollouts, known)
        found = conflicts(devices, known, [person.id for person in real], rollouts)
        now = self._provisioning.now()
        live = {d.mac: code.expires_at for d in taking if (code := d.live_code(now))}
        await make_harmless(self._provisioning)
        technicians = await self._technicians(real, len(taking))
        ids = {person.id for person in technicians}
        return Cast(
            target=target,
            devices=taking,
            passed_over=len(devices) - len(taking),
            technicians=technicians,
            made_up=frozenset(ids - {person.id for person in real}),
            share=bool(self._options.technicians) or not all(d.technician in ids for d in taking),
            admin=await self._seated(admin),
            rollouts=tuple(r for r in await _all(self._store, Rollout) if _touches(r, devices)),
            found=() if self._made_up else found,
            live=live,
            made_up_fleet=self._made_up,
        )

    # -------------------------------------------------------------- people

    def _real(
        self, devices: Sequence[Device], rollouts: Sequence[Rollout], known: dict[str, Person]
    ) -> tuple[Person, ...]:
        """Whoever the devices are with; else whom the rollouts name; else everybody who is a technician."""
        holders = dict.fromkeys(device.technician for device in devices if device.technician)
        named = dict.fromkeys(id_ for rollout in rollouts for id_ in rollout.technicians)
        for ids in (holders, named, known):
            found = [known[id_] for id_ in ids if id_ in known and Role.TECHNICIAN in known[id_].roles]
            if found:
                return tuple(found)
        return ()

    async def _technicians(self, real: Sequence[Person], devices: int) -> tuple[Person, ...]:
        wanted = self._options.technicians or (0 if not self._made_up else ceil(devices / USUAL_SHARE))
        chosen = list(real[:wanted] if wanted else real)
        for number in range(len(chosen) + 1, wanted + 1):
            chosen.append(await self._person(f"technician-{number}", f"Technician {number}", Role.TECHNICIAN))
        return tuple([await self._seated(person) for person in chosen])

    async def _admin(self) -> Person:
        known = [person for person in await self._provisioning.admins() if person.tenant in ("", self._tenant)]
        return known[0] if known else await self._person("admin", "Admin", Role.ADMIN)

    async def _person(self, key: str, name: str, role: Role) -> Person:
        person = Person(
            id=f"rehearsal-{key}",
            tenant=self._tenant,
            name=name,
            upn=f"{key}@rehearsal.invalid",
            teams_id=f"29:rehearsal-{key}",
            roles=frozenset({role}),
        )
        await self._store.save(Change(puts=(person,)))
        return replace(person, version=1)

    async def _seated(self, person: Person) -> Person:
        """With a chat that leads nowhere; and with what Teams tells of everybody, so that nobody asks it."""
        fresh = await self._store.get(Person, person.id) or person
        seated = replace(
            fresh,
            tenant=self._tenant,
            chat=nowhere(f"rehearsal:{person.id}", ConversationKind.PERSONAL, self._tenant),
            teams_id=person.teams_id or f"29:{person.id}",
            upn=person.upn or f"{person.id}@rehearsal.invalid",
            reachable=True,
            guest=False,
        )
        await self._store.save(Change(puts=(seated,)))
        return replace(seated, version=seated.version + 1)

    # -------------------------------------------------------------- devices

    async def _fleet(self, actor: Actor) -> None:
        """Sites, floors and rooms of the usual size; MACs that no maker gives out (IEEE 802: locally administered)."""
        count, lines = self._options.devices, list[Wanted]()
        sites = PLACES[: max(1, min(len(PLACES), ceil(count / TO_A_SITE)))]
        each = ceil(count / len(sites))
        for number in range(count):
            site, place = sites[number // each], number % each
            floor, room = place // TO_A_FLOOR + 1, place % TO_A_FLOOR + 1
            lines.append(Wanted(f"0281B7{number * 7:06X}", f"{site}/{floor}/{floor}.{room:02d}"))
        for start in range(0, count, AT_ONCE):
            await self._provisioning.add(actor, lines[start : start + AT_ONCE])


def nowhere(id_: str, kind: ConversationKind, tenant: str) -> Conversation:
    return Conversation(id=id_, kind=kind, service_url=NOWHERE, tenant=tenant, bot_id="28:rehearsal")


async def make_harmless(provisioning: Provisioning) -> None:
    """Every code of the copy is void, what waited to be told is gone, and no chat of it leads to anybody."""
    store, policy = provisioning.store, provisioning.policy
    await Restoring(store, provisioning.clock, provisioning.keys, policy).void_codes()
    for kind in (OutboxMessage, Post):
        while rows := (await store.find(kind, limit=PAGE)).rows:
            await store.save(Change(deletes=rows))
    for rollout in await _all(store, Rollout):
        channel = nowhere(f"rehearsal:{rollout.key}", ConversationKind.CHANNEL, policy.tenant)
        named = replace(channel, name=rollout.channel.name)
        fresh = replace(rollout, channel=named, paused_at=None, finished_at=None, version=0)  # it goes on in any case
        await store.save(Change(deletes=(rollout,), puts=(fresh,)))
    for person in await _all(store, Person):
        if person.chat:
            chat = nowhere(f"rehearsal:{person.id}", ConversationKind.PERSONAL, policy.tenant)
            await store.save(Change(puts=(replace(person, chat=chat, current="", photo_for=""),)))


async def _all(store: Store, kind: type[R]) -> list[R]:
    return [row async for row in _rows(store, kind)]


async def _rows(store: Store, kind: type[R]) -> AsyncIterator[R]:
    after = None
    while True:
        page = await store.find(kind, after=after, limit=PAGE)
        for row in page.rows:
            yield row
        if (after := page.after) is None:
            return


def _touches(rollout: Rollout, devices: Sequence[Device]) -> bool:
    return any(follows(rollout, device.site.casefold(), folded(device.tags)) for device in devices)


def policy_for(policy: Policy, options: Options) -> Policy:
    """What the deployment decides, but for what would need the outside, and devices that call every minute."""
    lifetime = timedelta(hours=options.lifetime) if options.lifetime else policy.code_lifetime
    return replace(
        policy,
        tenant=policy.tenant or "rehearsal",
        any_tenant=True,
        code_lifetime=lifetime,
        revoke_leavers=False,
        teams_accounts=False,
        offline_after=None,
        stale_after=None,
        invite_link="",
        webhooks=(),
        chat_link="",
    )
