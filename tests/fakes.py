"""Fakes at our own ports: small, honest, and held to the same contract as the real thing."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import count

from provisioning.directory_errors import DirectoryAway
from provisioning.provider_errors import AuthorizationPending, ProviderError
from provisioning.signin import Account, DeviceGrant


class FakeClock:
    """Time that stands still until a test moves it; whoever sleeps wakes when their moment is reached."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by
        while self._sleepers and self._sleepers[0][0] <= self._now:
            *_, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._order), sleeper))
        await sleeper


class FakeProvider:
    """The `IdentityProvider`: gives codes, and says what the test tells it to; nobody has typed a code until then."""

    def __init__(self) -> None:
        self.grants: list[DeviceGrant] = []
        self.begins: deque[ProviderError] = deque()  # what the next requests for a code are answered with instead
        self.polled: list[str] = []  # device codes, in the order they were presented
        self._says: dict[str, deque[Account | ProviderError]] = {}
        self.interval = timedelta(seconds=5)
        self.lifetime = timedelta(minutes=15)

    async def begin(self) -> DeviceGrant:
        if self.begins:
            raise self.begins.popleft()
        number = len(self.grants) + 1
        grant = DeviceGrant(
            device_code=f"device-code-{number:04d}",
            user_code=f"WDJB{''.join('BCDFGHJKLM'[int(d)] for d in f'{number:04d}')}",
            verification_uri="https://login.example/device",
            expires_in=self.lifetime,
            interval=self.interval,
        )
        self.grants.append(grant)
        return grant

    async def redeem(self, device_code: str) -> Account:
        self.polled.append(device_code)
        said = self._says.get(device_code)
        answer = said.popleft() if said else AuthorizationPending()
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    # ------------------------------------------------------------------ what people do at its page

    def approved(self, user_code: str, name: str, *, id_: str = "", tenant: str = "") -> None:
        """Somebody typed the code and signed in as this account."""
        self.answers(user_code, Account(id=id_ or f"id-of-{name.casefold()}", names=(name,), tenant=tenant))

    def answers(self, user_code: str, *answers: Account | ProviderError) -> None:
        """The next polls for this code are answered so; spaces and dashes of the code do not count."""
        bare = user_code.replace(" ", "").replace("-", "")
        grant = next(grant for grant in self.grants if grant.user_code == bare)
        self._says.setdefault(grant.device_code, deque()).extend(answers)


class FakeDirectory:
    """The `Directory`: who is in which group is what the test says."""

    def __init__(self) -> None:
        self.groups: dict[str, set[str]] = {}  # account → its groups, through other groups as well
        self.away: DirectoryAway | None = None
        self.unclear: set[str] = set()  # accounts about which it never says anything
        self.asked: list[str] = []

    async def groups_of(self, person_id: str, among: Collection[str]) -> frozenset[str]:
        self.asked.append(person_id)
        if self.away or person_id in self.unclear:
            raise self.away or DirectoryAway()
        return frozenset(self.groups.get(person_id, set()) & set(among))
