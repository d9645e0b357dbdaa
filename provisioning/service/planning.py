"""What admins decide about a rollout: who leads and works, how its codes start and live, when it rests or is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from provisioning.access import Permission, require
from provisioning.conversations import Conversation
from provisioning.errors import BadInput, NotFound, PersonNotFound, Refused
from provisioning.events import (
    Event,
    RolloutFinished,
    RolloutPaused,
    RolloutPlanned,
    RolloutResumed,
    StartChosen,
    TechniciansReminded,
)
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Actor, Change, Device, Person, stored
from provisioning.notifications import tell
from provisioning.rollouts import Rollout
from provisioning.service.following import target_of
from provisioning.service.lookup import means_everything, strip_fillers
from provisioning.service.people import People
from provisioning.service.rollouts import Rollouts
from provisioning.texts import N_, _

REMINDED_APART = timedelta(minutes=30)
MOST_NAMED = 10  # rollouts of a question
PAUSED, RESUMED, FINISHED = "paused", "resumed", "finished"


class Backwards(BadInput):
    code = "plan_backwards"
    field = "ends"
    message = N_("It would end before it starts. Give a later end.")


class NoRollout(NotFound):
    code = "no_rollout"
    message = N_("No channel follows {site}. Say connect {site} in one.")


class NothingFollowed(NotFound):
    code = "nothing_followed"
    message = N_("No channel follows anything yet. Say connect and a site in one.")


class WhichRollout(BadInput):
    code = "which_rollout"
    field = "site"
    message = N_("There are several: {sites}. Say which of them as well.")


class RolloutOver(Refused):
    code = "rollout_over"
    message = N_("{site} is finished. Say resume first.")


class NobodyRemindedNow(Refused):
    code = "rollout_rests"
    message = N_("{site} is paused, so nobody is reminded. Say resume first.")


class RemindedLately(Refused):
    code = "reminded_lately"
    message = N_("They were reminded at most half an hour ago. Give them a moment.")


class NobodyToRemind(Refused):
    code = "nobody_to_remind"
    message = N_("Nobody has an open device there.")


class Plan(TypedDict, total=False):
    """What can be decided beforehand; what is left out stays as it is."""

    lead: str  # person id
    technicians: tuple[str, ...]
    lifetime_hours: int  # 0: the deployment's
    on_site: bool
    planned_start: datetime | None
    planned_end: datetime | None


@dataclass(frozen=True, slots=True)
class Reminded:
    rollout: Rollout
    people: int


class Planning(Rollouts, People):
    async def rollouts_meant(self, channel: Conversation, text: str) -> Sequence[Rollout]:
        """In a channel its own; else those of a site or tag, and without a name the only ones there are.

        Finished ones only where no other is meant. Errors: `NotConnected`, `NothingFollowed`, `WhichRollout`,
        `NoRollout`, `NothingMatches`.
        """
        if not channel.personal and not text.strip():
            return [await self.rollout_in(channel.id)]
        every = await self.followers()
        if text.strip():
            scope = await self._scope_among(every, text)
            every = [rollout for rollout in every if rollout.scope.casefold() == scope.casefold()]
            if not every:
                raise NoRollout(site=scope or _("all sites"))
        found = [rollout for rollout in every if not rollout.finished] or every
        scopes = {rollout.scope.casefold(): rollout.scope for rollout in found}
        if not found:
            raise NothingFollowed
        if len(scopes) > 1:
            raise WhichRollout(sites=", ".join(scope or _("all") for scope in list(scopes.values())[:MOST_NAMED]))
        return found

    async def _scope_among(self, rollouts: Sequence[Rollout], text: str) -> str:
        """The scope that is meant: one that is followed, though no device of it may be left, else what devices say."""
        if means_everything(text):
            return ""
        word = strip_fillers(text).casefold()
        followed = [rollout.scope for rollout in rollouts if rollout.scope.casefold() == word]
        return followed[0] if followed else (await self.scope(text)).scope

    async def plan(self, actor: Actor, channel_id: str, **plan: Unpack[Plan]) -> Rollout:
        """Errors: `NotConnected`, `Backwards`, `PersonNotFound`, `NotATechnician`."""
        require(actor, Permission.CONNECT_CHANNELS)
        for id_ in plan.get("technicians", ()):
            self.require_technician(await self._known(id_))
        if lead := plan.get("lead"):
            await self._known(lead)

        async def decide() -> tuple[Change, Rollout]:
            rollout = await self.rollout_in(channel_id)
            fresh = replace(rollout, **plan)
            if fresh == rollout:
                return Change(), rollout
            if fresh.planned_start and fresh.planned_end and fresh.planned_end <= fresh.planned_start:
                raise Backwards
            return Change(puts=(fresh,), events=self._planned(actor, rollout, fresh)), stored(fresh)

        return await self.unit(actor, decide)

    async def _known(self, id_: str) -> Person:
        person = await self.store.get(Person, id_)
        if person is None:
            raise PersonNotFound(text=id_[:60])
        return person

    def _planned(self, actor: Actor, before: Rollout, after: Rollout) -> tuple[Event, ...]:
        now, events = self.now(), list[Event]()
        if before.on_site != after.on_site:
            events.append(StartChosen(at=now, actor=actor.id, subject=after.key, on_site=after.on_site))
        if replace(before, on_site=after.on_site) != after:
            planned = RolloutPlanned(
                at=now,
                actor=actor.id,
                subject=after.key,
                site=after.scope,
                lead=after.lead,
                technicians=after.technicians,
                lifetime_hours=after.lifetime_hours,
                planned_start=after.planned_start,
                planned_end=after.planned_end,
            )
            events.append(planned)
        return tuple(events)

    # -------------------------------------------------------------- rest, go on, be over

    async def pause(self, actor: Actor, rollout: Rollout, *, heard: bool = False) -> Rollout:
        """Technicians are not pushed and start no codes there until it goes on; devices are served as ever.

        `heard`: the channel reads the answer anyway. Errors: `RolloutOver`.
        """

        def decide(fresh: Rollout) -> tuple[Rollout, Event] | None:
            if fresh.finished:
                raise RolloutOver(site=fresh.scope or _("all sites"))
            if fresh.paused:
                return None
            fact = RolloutPaused(at=self.now(), actor=actor.id, subject=fresh.key, site=fresh.scope)
            return replace(fresh, paused_at=self.now()), fact

        return await self._turned(actor, rollout, decide, "" if heard else PAUSED)

    async def resume(self, actor: Actor, rollout: Rollout, *, heard: bool = False) -> Rollout:
        """It goes on, after a pause or although it was finished; whoever has open devices there is told."""

        def decide(fresh: Rollout) -> tuple[Rollout, Event] | None:
            if not (fresh.paused or fresh.finished):
                return None
            fact = RolloutResumed(at=self.now(), actor=actor.id, subject=fresh.key, site=fresh.scope)
            return replace(fresh, paused_at=None, finished_at=None), fact

        return await self._turned(actor, rollout, decide, "" if heard else RESUMED, wakes=True)

    async def finish(self, actor: Actor, rollout: Rollout, *, heard: bool = False) -> Rollout:
        """Its card stands as it is from here on, and nothing is told any more; `resume` takes it back."""
        require(actor, Permission.CONNECT_CHANNELS)
        counted = await self.counts(target_of(rollout))

        def decide(fresh: Rollout) -> tuple[Rollout, Event] | None:
            if fresh.finished:
                return None
            fact = RolloutFinished(
                at=self.now(),
                actor=actor.id,
                subject=fresh.key,
                site=fresh.scope,
                total=counted.total,
                provisioned=counted.provisioned,
                installed=counted.installed,
            )
            return replace(fresh, finished_at=self.now(), paused_at=None), fact

        return await self._turned(actor, rollout, decide, "" if heard else FINISHED)

    async def _turned(
        self,
        actor: Actor,
        rollout: Rollout,
        turn: Callable[[Rollout], tuple[Rollout, Event] | None],
        said: str,
        *,
        wakes: bool = False,
    ) -> Rollout:
        require(actor, Permission.CONNECT_CHANNELS)

        async def decide() -> tuple[Change, Rollout]:
            known = await self.rollout_in(rollout.key)
            if (turned := turn(known)) is None:
                return Change(), known
            fresh, fact = turned
            noted = (self._note(fresh, actor, said),) if said else ()
            woken = await self._woken(fresh) if wakes else ()
            return Change(puts=(fresh, *noted, *woken), events=(fact,)), stored(fresh)

        return await self.unit(actor, decide, part=rollout.key)

    def _note(self, rollout: Rollout, actor: Actor, said: str) -> OutboxMessage:
        return tell(MessageKind.ROLLOUT_TURNED, rollout.key, rollout.key, self.now(), by=actor.id, turned=said)

    # -------------------------------------------------------------- reminding

    async def remind_all(self, actor: Actor, rollout: Rollout) -> Reminded:
        """Everybody who has open devices there is written to.

        Errors: `RolloutOver`, `NobodyRemindedNow`, `RemindedLately`, `NobodyToRemind`.
        """
        require(actor, Permission.CONNECT_CHANNELS)

        async def decide() -> tuple[Change, Reminded]:
            known, now = await self.rollout_in(rollout.key), self.now()
            if known.finished:
                raise RolloutOver(site=known.scope or _("all sites"))
            if known.paused:
                raise NobodyRemindedNow(site=known.scope or _("all sites"))
            if known.reminded_at and now - known.reminded_at < REMINDED_APART:
                raise RemindedLately
            messages = await self._woken(known)
            if not messages:
                raise NobodyToRemind
            fresh = replace(known, reminded_at=now)
            fact = TechniciansReminded(
                at=now, actor=actor.id, subject=known.key, site=known.scope, people=len(messages)
            )
            return Change(puts=(fresh, *messages), events=(fact,)), Reminded(stored(fresh), len(messages))

        return await self.unit(actor, decide, part=rollout.key)

    async def _woken(self, rollout: Rollout) -> tuple[OutboxMessage, ...]:
        """A message to each technician with open devices there, for when they may be written to."""
        equals = target_of(rollout).equals
        busy = [
            person.id
            for person in await self.technicians()
            if person.reachable
            and await self.store.count(Device, removed=False, open=True, technician=person.id, **equals)
        ]
        return await self.in_time([tell(MessageKind.REMINDER, id_, rollout.key, self.now()) for id_ in busy])

    async def open_there(self, actor: Actor, channel_id: str) -> tuple[Rollout, int]:
        """A technician's open devices in the channel's rollout. Errors: `NotConnected`."""
        require(actor, Permission.WORK_ON_SITE)
        rollout = await self.rollout_in(channel_id)
        equals = target_of(rollout).equals
        return rollout, await self.store.count(Device, removed=False, open=True, technician=actor.id, **equals)
