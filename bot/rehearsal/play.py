"""One rehearsal from its first to its last minute, on the simulated clock."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.door import Door
from bot.file_hosts import FileHosts
from bot.files import Files
from bot.handing import Handing
from bot.handlers import all_routes
from bot.jobs import Jobs
from bot.rehearsal.calendar import Calendar
from bot.rehearsal.cast import Cast, Casting, nowhere, policy_for
from bot.rehearsal.measure import Diary, ObservedProvisioning, Record
from bot.rehearsal.options import Options
from bot.rehearsal.people import FOR_GOOD, Admin, Scene, Technician
from bot.rehearsal.phone import Phone
from bot.rehearsal.provider import SimulatedProvider
from bot.rehearsal.teams import Screen, SimulatedTeams
from bot.rehearsal.virtual_time import VirtualClock, VirtualLoop, sealed_off
from bot.rehearsal.witness import WitnessedStore
from bot.relay import Relay
from provisioning.codes import Key, Keyring
from provisioning.conversations import ConversationKind
from provisioning.events import InstallConfirmed, ProblemReported
from provisioning.hours import Hours
from provisioning.model import Change, Device, Person
from provisioning.pacing import Pacing
from provisioning.ports import Store
from provisioning.rollouts import Rollout
from provisioning.service import Policy
from provisioning.service.issuing import IssueOrder

SWEEP, SWEEP_AT_NIGHT = 60.0, 600.0  # seconds between two looks for what ended
LONGEST_WAIT: Final = 120.0  # seconds until the relay looks by itself: no other instance is there
AFTERWARDS: Final = 120.0  # seconds in which what is still on its way gets through
STANDING: Final = timedelta(days=4)  # without any device that got on; a weekend is shorter
LOOK: Final = 900.0  # seconds between two looks at whether anything still moves

Show = Callable[[int, int, datetime], None]  # devices that are done, of how many, and what time it is there


@dataclass(frozen=True, slots=True)
class Played:
    """One run, for the report."""

    cast: Cast
    record: Record
    teams: SimulatedTeams
    calendar: Calendar
    start: datetime
    issued: datetime  # when the codes were made
    on_site: bool
    lifetime: timedelta
    stuck: frozenset[str]
    left: frozenset[str]


def play(store: Store, policy: Policy, options: Options, *, made_up: bool, show: Show) -> Played:
    """Plays it through on the copy, which is spent afterwards. Errors: those of `Casting`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, sealed_off():
        return runner.run(_played(store, policy, options, show, made_up=made_up))


async def _played(store: Store, policy: Policy, options: Options, show: Show, *, made_up: bool) -> Played:
    return await _Play(store, policy, options, show).run(made_up=made_up)


def next_morning(now: datetime, options: Options, policy: Policy) -> datetime:
    """When the next working day begins."""
    calendar = calendar_of(options, policy)
    for day in calendar.days(now + timedelta(minutes=1)):
        begin, _finish = calendar.hours(day)
        if begin > now:
            return begin
    raise AssertionError("days do not end")


def calendar_of(options: Options, policy: Policy) -> Calendar:
    return Calendar(options.begin, options.finish, policy.timezone, (policy.hours or Hours()).workdays)


class _Play:
    def __init__(self, store: Store, policy: Policy, options: Options, show: Show) -> None:
        self._options, self._show = options, show
        self._policy = policy_for(policy, options)
        self._calendar = calendar_of(options, self._policy)
        self._start = options.start or next_morning(datetime.now(UTC), options, self._policy)
        self._clock = VirtualClock(self._start - timedelta(hours=options.issued_before))
        self._pacing = Pacing(asyncio.get_running_loop().time)
        self._teams, self._record, self._provider = SimulatedTeams(self._pacing), Record(), SimulatedProvider()
        keys = Keyring([Key("rehearsal", secrets.token_bytes(32))])
        witnessed = WitnessedStore(store, self._saw).as_store()
        self._provisioning = ObservedProvisioning(witnessed, self._clock, keys, self._policy, self._provider)
        self._routes = all_routes()
        self._stuck, self._left = set[str](), set[str]()
        self._moved_at = self._start
        self._done = asyncio.Event()
        self._total = 0

    # -------------------------------------------------------------- from the first to the last minute

    async def run(self, *, made_up: bool) -> Played:
        casting = Casting(self._provisioning, self._options, made_up=made_up)
        self._provisioning.observed_by(self._record, lambda _message: None)
        cast = await casting.cast()
        self._left, self._total = {device.mac for device in cast.devices}, len(cast.devices)
        door = self._door()
        admin = self._seat(cast.admin, door)
        on_site = await self._begin(cast, admin, door)
        lifetime = await self._lifetime(cast)
        scene = Scene(self._provisioning, self._clock, self._calendar, self._options, self._record, self._start)
        if cast.technicians and cast.devices:
            await self._until_done(scene, cast, admin, door)
        return Played(
            cast=cast,
            record=self._record,
            teams=self._teams,
            calendar=self._calendar,
            start=self._start,
            issued=self._clock.start,
            on_site=on_site,
            lifetime=lifetime,
            stuck=frozenset(self._stuck),
            left=frozenset(self._left - self._stuck),
        )

    def _door(self) -> Door:
        """The chat door as the service has it; files have no host that they may come from."""
        hosts = FileHosts((), local=False)
        files = Files((), local=False, limit=0, service=hosts)
        jobs = Jobs(self._provisioning, files)
        return Door(self._provisioning, self._teams, self._routes, jobs, Handing(self._teams, files))

    def _seat(self, person: Person, door: Door) -> Phone:
        if person.chat is None:
            raise AssertionError("whoever takes part was given a chat")
        return Phone(door, self._teams, person, self._teams.seat(person, person.chat), self._record)

    async def _begin(self, cast: Cast, admin: Phone, door: Door) -> bool:
        """A channel follows it, and codes are issued: at once, or started on site, as its policy says."""
        await self._channels(cast, admin.person, door)
        target, on_site = cast.target, self._options.on_site
        if on_site is None:
            on_site = await self._provisioning.starts_on_site(target)
        hands = tuple(person.id for person in cast.technicians) if cast.share else ()
        if cast.technicians:
            lifetime = timedelta(hours=self._options.lifetime) if self._options.lifetime else None
            order = IssueOrder(target=target, technicians=hands, lifetime=lifetime, on_site=on_site)
            await self._provisioning.issue(self._provisioning.actor_of(admin.person), order)
        return on_site

    async def _lifetime(self, cast: Cast) -> timedelta:
        """Of the codes that were made: the rollout, or the deployment, decides."""
        for device in cast.devices:
            made = await self._provisioning.store.get(Device, device.mac)
            if made and made.code:
                return made.code.expires_at - made.code.issued_at
        return self._policy.code_lifetime

    async def _channels(self, cast: Cast, admin: Person, door: Door) -> None:
        if cast.rollouts:
            for rollout in cast.rollouts:
                await self._channel(rollout, admin, door, "rollout")
            return
        conversation = nowhere("rehearsal:channel", ConversationKind.CHANNEL, self._policy.tenant)
        made_up = Rollout(
            channel=replace(conversation, name="rollout"),
            site="",
            connected_by=admin.id,
            connected_by_name=admin.name,
            started_at=self._clock.now(),
        )
        await self._channel(made_up, admin, door, f"connect {cast.target.scope}")

    async def _channel(self, rollout: Rollout, admin: Person, door: Door, words: str) -> None:
        screen = self._teams.add(Screen(rollout.channel, rollout.channel.name or f"#{rollout.scope}"))
        await Phone(door, self._teams, admin, screen, self._record).says(words)

    # -------------------------------------------------------------- while it lasts

    async def _until_done(self, scene: Scene, cast: Cast, admin: Phone, door: Door) -> None:
        told = Admin(scene, admin, self._provider.approve)
        self._provisioning.observed_by(self._record, told.hears)
        relay = self._relay(scene)
        loops = [relay.run(), self._sweeps(scene), told.answers(), self._looks()]
        if self._options.sign_in:
            loops.append(told.signs_in())
        for person in cast.technicians:
            diary = Diary(person.name or person.upn, person.id in cast.made_up)
            diary.devices = await self._devices_of(person)
            self._record.diaries[person.id] = diary
            loops.append(Technician(scene, self._seat(person, door), diary).works())
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(loop) for loop in loops]
                await self._done.wait()
                scene.over = True
                await self._clock.sleep(AFTERWARDS)
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as faults:  # one that somebody met ended it for all
            raise faults.exceptions[0] from None

    def _relay(self, scene: Scene) -> Relay:
        chance = scene.chance("relay")
        told = (self._provisioning, self._teams, self._routes, self._pacing)
        return Relay(*told, jitter=chance.random, longest_wait=LONGEST_WAIT)

    async def _devices_of(self, person: Person) -> int:
        return sum(device.mac in self._left for device in await self._provisioning.jobs_of(person.id))

    async def _sweeps(self, scene: Scene) -> None:
        while True:
            await self._provisioning.sweep()
            by_day = self._calendar.left(self._clock.now()) > timedelta(0)
            await self._clock.sleep(SWEEP if by_day else SWEEP_AT_NIGHT)

    async def _looks(self) -> None:
        """Ends it where nothing moves any more, or the days are over."""
        last = self._start + timedelta(days=self._options.days)
        while self._clock.now() < last and self._clock.now() - self._moved_at < STANDING:
            await self._clock.sleep(LOOK)
        self._done.set()

    def _saw(self, change: Change) -> None:
        if not self._total:
            return  # it is being prepared
        self._record.saw(change)
        for event in change.events:
            if isinstance(event, InstallConfirmed):
                self._stuck.discard(event.subject)
                self._moved(event.subject)
            elif isinstance(event, ProblemReported) and event.kind in FOR_GOOD:
                self._stuck.add(event.subject)
                self._moved(event.subject)

    def _moved(self, mac: str) -> None:
        self._left.discard(mac)
        self._moved_at = self._clock.now()
        self._show(self._total - len(self._left), self._total, self._moved_at)
        if not self._left and (not self._options.sign_in or self._signed_in()):
            self._done.set()

    def _signed_in(self) -> bool:
        return self._record.provisioned <= self._record.signed_in
