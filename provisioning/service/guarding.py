"""The limits on wrong codes over the whole fleet: who is exempt, when it is an attack, and what admins say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provisioning import throttle
from provisioning.access import Permission, require
from provisioning.bookkeeping import Attempts
from provisioning.defence import Attack, Turned, Verdict, note
from provisioning.errors import BadInput, Refused
from provisioning.events import AttackBegan, AttackEnded, NetworkAllowed, NetworkDenied, ProvisionRefused
from provisioning.messages import Post
from provisioning.model import Actor, Change, Device
from provisioning.notifications import ATTACK, edit
from provisioning.service.unit import BOARDS_PER_SUBJECT, UseCases
from provisioning.texts import N_
from provisioning.throttle import ATTACK_SLOT, EXEMPT, EXEMPT_SLOT, FLEET, FLEET_SLOT, Limit

SERVICE = Actor(id="service", name="", tenant="")
LOOKED_AT, PAGE = 1000, 250  # facts of the audit that are looked at for the devices an attack aims at
DEVICES_NAMED = 5


class NetworkUnreadable(BadInput):
    code = "network_unreadable"
    message = N_('"{text}" is no network. Type one like 10.1.2.0/24 or 2001:db8:1:2::/64, or an address in it.')


class NetworkTrusted(Refused):
    code = "network_trusted"
    message = N_("{network} is exempt by configuration (TRUSTED_NETWORKS); change it there.")


@dataclass(frozen=True, slots=True)
class Siege:
    """How it stands now. `failures` are wrong codes of the present ten minutes, `networks` those that had a part in it;
    `exempt_` the same of the networks that the first limit does not concern.
    """

    attack: Attack
    failures: int
    networks: int
    exempt_failures: int
    exempt_networks: int
    devices: tuple[Device, ...] = ()  # of the list, at which it aims; the latest first
    device_count: int = 0
    asked: Turned | None = None  # the network that an admin is asked about
    known_since: datetime | None = None  # when a device was last provisioned from there, or an admin allowed it


class Guarding(UseCases):
    async def _attempts(self, slot: str) -> Attempts:
        return await self.store.get(Attempts, slot) or Attempts(slot=slot)

    # -------------------------------------------------------------- who is exempt

    def _trusted(self, source: str, known: Attempts) -> bool:
        """Named in TRUSTED_NETWORKS; or a device was provisioned from there in the last 24 h, or an admin allowed it in
        that time, and none denied it.
        """
        now, address = self.now(), throttle.address_of(source)
        if address and any(address in network for network in self.policy.trusted_networks):
            return True
        denied = known.blocked_until is not None and timedelta(0) < known.blocked_until - now <= throttle.KNOWN_FOR
        return not denied and known.since is not None and timedelta(0) <= now - known.since < throttle.KNOWN_FOR

    def _remembered(self, known: Attempts) -> Change:
        """A device was provisioned from this network; written at most hourly, so that a busy site does not queue."""
        fresh = known.since is not None and timedelta(0) <= self.now() - known.since < timedelta(hours=1)
        return Change() if fresh else Change(puts=(replace(known, since=self.now()),))

    # -------------------------------------------------------------- it begins, goes on, ends

    def _turned_away(self, source: str, limits: Sequence[Limit]) -> None:
        """A call was told to wait. Where the fleet's limit is why, its network is kept in memory until the next sweep:
        whoever is turned away costs the store nothing.
        """
        if source and (FLEET in limits or EXEMPT in limits):
            note(self._waiting_networks, throttle.network_name(source), exempt=EXEMPT in limits)

    async def _alarm(self, counted: Sequence[Attempts]) -> Change:
        """What one more failure means for the fleet: where it used up a budget, that is an attack."""
        fleet, now = counted[-1], self.now()
        if fleet.blocked_until is None:
            return Change()
        row, exempt = await self._attempts(ATTACK_SLOT), fleet.slot == EXEMPT_SLOT
        before = row.attack or Attack()
        attack = before.spends(fleet.blocked_until, now, exempt=exempt)
        began = AttackBegan(
            at=now,
            actor=SERVICE.id,
            subject=ATTACK,
            failures=fleet.failures,
            networks=fleet.networks,
            exempt=exempt,
        )
        return Change(puts=(replace(row, attack=attack),), events=() if before.on else (began,))

    async def write_turned_away(self) -> None:
        """What this instance only remembers of whom it turned away; by the sweep, so at most every 20 s."""
        if not self._waiting_networks:
            return
        calls, self._waiting_networks = self._waiting_networks, {}

        async def decide() -> tuple[Change, None]:
            row = await self._attempts(ATTACK_SLOT)
            attack = row.attack
            if attack is None or not attack.on:
                return Change(), None
            return Change(puts=(replace(row, attack=attack.turns_away(calls)),)), None

        await self.quietly(decide)

    async def watch_attack(self) -> None:
        """A step of the sweep: cards follow an attack, and its end is said."""
        attack = (await self._attempts(ATTACK_SLOT)).attack
        if attack is None or not attack.on:
            return
        if attack.quiet(self.now()):
            return await self.unit(SERVICE, self._decide_over)
        posts = (await self.store.find(Post, subject=ATTACK, limit=BOARDS_PER_SUBJECT)).rows
        if posts:
            await self.store.save(Change(puts=tuple(edit(post, self.now()) for post in posts)))

    async def _decide_over(self) -> tuple[Change, None]:
        row, now = await self._attempts(ATTACK_SLOT), self.now()
        attack = row.attack
        if attack is None or attack.began is None or not attack.quiet(now):
            return Change(), None
        over = replace(attack, over=now)
        fact = AttackEnded(at=now, actor=SERVICE.id, subject=ATTACK, began=attack.began, spent=attack.spent)
        return Change(puts=(replace(row, attack=over),), events=(fact,)), None

    # -------------------------------------------------------------- what admins see and say

    async def siege(self, actor: Actor) -> Siege:
        """How the limits of the fleet stand, and the attack that goes on, or was the last one."""
        require(actor, Permission.DEFEND)
        now = self.now()
        rows = await self.store.get_many(Attempts, [FLEET_SLOT, EXEMPT_SLOT, ATTACK_SLOT])
        fleet, exempt, row = (rows.get(s, Attempts(slot=s)) for s in (FLEET_SLOT, EXEMPT_SLOT, ATTACK_SLOT))
        attack = row.attack or Attack()
        macs = await self._aimed_at(attack.began - FLEET.window) if attack.on and attack.began else ()
        found: Mapping[str, Device] = await self.store.get_many(Device, macs[:DEVICES_NAMED]) if macs else {}
        asked = attack.open_question(now) if attack.on else None
        known = await self._attempts(throttle.known_network(self.keys, _address(asked.network))) if asked else None
        tried, exempt_tried = throttle.used(fleet, FLEET, now), throttle.used(exempt, EXEMPT, now)
        return Siege(
            attack,
            failures=tried,
            networks=fleet.networks if tried else 0,
            exempt_failures=exempt_tried,
            exempt_networks=exempt.networks if exempt_tried else 0,
            devices=tuple(found[mac] for mac in macs if mac in found),
            device_count=len(macs),
            asked=asked,
            known_since=known.since if known else None,
        )

    async def _aimed_at(self, since: datetime) -> list[str]:
        """MACs of the list that were refused since then, the latest first, as far as a look at the audit tells."""
        macs, after = dict[str, None](), None
        for _page in range(LOOKED_AT // PAGE):
            page = await self.store.history(after=after, limit=PAGE)
            facts = [row.event for row in page.rows]
            macs |= dict.fromkeys(f.subject for f in facts if isinstance(f, ProvisionRefused) and f.at >= since)
            after = page.after
            if after is None or (facts and facts[-1].at < since):
                break
        return list(macs)

    async def allow_network(self, actor: Actor, text: str) -> str:
        """The network counts as known for 24 hours; returns its name. Its own limit and those of devices still hold.

        Errors: `NetworkUnreadable`, `NetworkTrusted`.
        """
        require(actor, Permission.DEFEND)
        return await self._say_of(actor, self._network_named(text), allowed=True)

    async def deny_network(self, actor: Actor, text: str) -> str:
        """The network counts as unknown for 24 hours, and nobody is asked about it; returns its name.

        Errors: `NetworkUnreadable`, `NetworkTrusted`.
        """
        require(actor, Permission.DEFEND)
        return await self._say_of(actor, self._network_named(text), allowed=False)

    def _network_named(self, text: str) -> str:
        network = throttle.read_network(text)
        if network is None:
            raise NetworkUnreadable(text=text)
        if any(network.network_address in trusted for trusted in self.policy.trusted_networks):
            raise NetworkTrusted(network=str(network))
        return str(network)

    async def _say_of(self, actor: Actor, network: str, *, allowed: bool) -> str:
        async def decide() -> tuple[Change, str]:
            now, row = self.now(), await self._attempts(ATTACK_SLOT)
            known = await self._attempts(throttle.known_network(self.keys, _address(network)))
            since, denied = (now, None) if allowed else (known.since, now + throttle.KNOWN_FOR)
            verdict = Verdict(network=network, allowed=allowed, by_name=actor.name, at=now)
            kept = replace(row, attack=(row.attack or Attack()).decides(verdict))
            kind = NetworkAllowed if allowed else NetworkDenied
            fact = kind(at=now, actor=actor.id, subject=ATTACK, network=network)
            return Change(puts=(replace(known, since=since, blocked_until=denied), kept), events=(fact,)), network

        return await self.unit(actor, decide)


def _address(network: str) -> str:
    """Of `10.1.2.0/24`, the first address, which stands for all of them."""
    return network.partition("/")[0]
