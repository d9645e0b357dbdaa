"""The promises of a device's life at the real doors: people type, devices call, and the service is killed or restarted.

Everything goes over HTTP: the device API, and what an admin types and presses on the cards that were answered. Between
two steps the service may end in order, or as by kill -9: then it goes on with the files as they stood at that moment.
"""

import re
import shutil
import sqlite3
import tempfile
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from bot.composition import build_provisioning
from provisioning.codes import Keyring
from provisioning.ports import Store
from storage import open_store
from tests.bot.chat import ON_POSTGRES, House, Someone, _served, open_house
from tests.fakes import FakeClock
from tests.profiles import examples
from tests.provisioning.lives import MACS, Life, macs

_CODE = re.compile(r"\d{12}")


class Doors:
    """The hands of the machine at the doors of the service."""

    def __init__(self, house: House, sam: Someone, folder: Path) -> None:
        self.house, self.sam, self._folder = house, sam, folder
        self._url, self._lives = house.settings.store_url, 0
        self._life = AsyncExitStack()  # of the service, since it was started anew

    @property
    def store(self) -> Store:
        return self.house.store

    @property
    def clock(self) -> FakeClock:
        return self.house.clock

    @property
    def keys(self) -> Keyring:
        return self.house.keys

    # ------------------------------------------------------------------ people

    async def adds(self, mac: str, place: str) -> None:
        await self.house.dana.says(f"add {mac} {place}")

    async def issues(self, mac: str, *, void: bool) -> str:
        said = await self.house.dana.says(f"{'reissue' if void else 'issue'} {mac} to Sam")
        if "cannot be provisioned again until it is reset" in said.all:
            return "reset required"
        if said.title != "1 code issued to Sam":
            assert "had a live code" in said.all or "has a live code" in said.all, said.all
            return "kept"
        code = (await self.house.dana.says(f"code {mac}")).code
        assert _CODE.fullmatch(code)
        return code

    async def removes(self, mac: str) -> None:
        await self.house.dana.says(f"remove {mac}")
        await self.house.dana.presses("Remove")

    async def undoes(self) -> None:
        await self.house.dana.says("undo")

    async def revokes(self) -> None:
        await self.house.dana.says("revoke Sam")

    # ------------------------------------------------------------------ devices

    async def calls(self, mac: str, code: str, source: str, retry_key: str = "") -> str:
        headers = {"X-Forwarded-For": source, **({"Idempotency-Key": retry_key} if retry_key else {})}
        call = self.house.http.post(
            f"{self.house.url}/api/v1/provision", json={"mac": mac, "code": code}, headers=headers
        )
        async with call as answer:
            assert answer.status in (200, 403, 410), await answer.text()
            return str((await answer.json(content_type=None)).get("token", ""))

    async def resets(self, token: str) -> bool:
        headers = {"Authorization": f"Bearer {token or 'none'}"}
        async with self.house.http.post(f"{self.house.url}/api/v1/device/factory-reset", headers=headers) as answer:
            assert answer.status in (204, 401), await answer.text()
            return answer.status == 204

    async def status(self, token: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.house.http.get(f"{self.house.url}/api/v1/device", headers=headers) as answer:
            return answer.status, (await answer.json(content_type=None)).get("state", "")

    # ------------------------------------------------------------------ time, and the end of the process

    async def sweeps(self) -> None:
        await self.house.provisioning.sweep()

    async def passes(self, hours: int) -> None:
        self.house.clock.advance(timedelta(hours=hours))

    async def ends(self, *, killed: bool) -> None:
        """The service is gone, and comes again over what it left."""
        house, before = self.house, self.house.store
        if killed and not ON_POSTGRES:
            self._lives += 1
            self._url = f"tinydb:{self._snapshot()}"
        await self._life.aclose()
        await before.close()
        house.store = await open_store(self._url, clock=house.clock)
        self._life = AsyncExitStack()
        self._life.push_async_callback(house.store.close)
        house.provisioning = build_provisioning(house.settings, house.store, house.clock)
        house.provisioning.keys, house.provisioning.provider = house.keys, house.provider
        await self._life.enter_async_context(_served(house, house.settings))

    def _snapshot(self) -> Path:
        """A copy of the store's files, as kill -9 leaves them; whoever reads keeps the log from being emptied."""
        source, target = Path(self._url.removeprefix("tinydb:")), self._folder / f"life-{self._lives}"
        target.mkdir(mode=0o700)
        with closing(sqlite3.connect(source / "store.sqlite3", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            for name in ("store.sqlite3", "store.sqlite3-wal"):
                if (source / name).exists():
                    shutil.copy2(source / name, target / name)
        return target

    async def leaves(self) -> None:
        await self._life.aclose()


class LifeAtTheDoors(Life):
    hands: Doors

    def __init__(self) -> None:
        self.everything = AsyncExitStack()
        self.folder = Path(self.everything.enter_context(tempfile.TemporaryDirectory(prefix="model-")))
        super().__init__()

    async def begins(self) -> Doors:
        house = await self.everything.enter_async_context(open_house(self.folder))
        await house.dana.says("hi")
        house.by_itself = False
        hands = Doors(house, await house.technician("Sam"), self.folder)
        self.everything.push_async_callback(hands.leaves)
        return hands

    @initialize()
    def day_begins(self) -> None:
        """Most of what may go wrong needs a live code."""
        for mac in MACS:
            self.add(mac, "Oslo/1")
            self.issue(mac, void=False)

    @rule(killed=st.booleans())
    def end(self, killed: bool) -> None:
        self.does(self.hands.ends(killed=killed))

    @rule()
    def tell(self) -> None:
        self.does(self.hands.house.settled())

    @rule(mac=macs, killed=st.booleans())
    def lose_an_answer(self, mac: str, killed: bool) -> None:
        """The device was let in and never heard so; it asks again with its key, also of the service's next life."""
        if mac not in self.live:
            return
        key, code = f"{mac}-{self.tries:040}", self.live[mac]
        first = self.does(self.hands.calls(mac, code, "10.200.0.1", key))
        self.ends(mac)
        self.provisioned.add(mac)
        self.does(self.hands.ends(killed=killed))
        self.token[mac] = self.does(self.hands.calls(mac, code, "10.200.1.1", key))
        assert self.token[mac] not in ("", first), "the answer that was lost is given again, with a token of its own"
        assert self.does(self.hands.status(first))[0] == 401, "two tokens of one device live"

    @invariant()
    def the_doors_say_so_too(self) -> None:
        for mac in MACS:
            if token := self.token.get(mac):
                assert self.does(self.hands.status(token)) == (200, "waiting_for_sign_in")
            elif token := self.spent.get(mac):
                assert self.does(self.hands.status(token))[0] == 401

    def teardown(self) -> None:
        self.does(self.everything.aclose())
        super().teardown()


TestLifeAtTheDoors = LifeAtTheDoors.TestCase
TestLifeAtTheDoors.settings = settings(max_examples=examples(10), stateful_step_count=25)
