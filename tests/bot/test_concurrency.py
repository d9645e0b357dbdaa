"""Whoever answers slowly, the connector or the token endpoint, stalls nobody else: other chats, devices, readiness.

The service is the real one, with credentials; what is slow answers once the test says so, and not before.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app import Service, SystemClock, running
from bot.adapter import Adapter
from bot.clouds import CLOUDS
from bot.credentials import Credentials
from bot.settings import load_settings
from provisioning.model import Actor, Device, Role
from provisioning.service.devices import Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from tests.bot.echo import Echo, post
from tests.connector import APP_ID, APP_PASSWORD, TENANT, FakeConnector, FakeIdentity, activity, serving

MAC = "805EC0112233"
DANA_ID, SAM_ID, KIM_ID = (f"6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a{n}" for n in ("d0", "50", "40"))
DANA = Actor(id=DANA_ID, name="Dana Admin", tenant=TENANT, roles=frozenset({Role.ADMIN}))
PEOPLE = {"dana": (DANA_ID, "Dana Admin"), "sam": (SAM_ID, "Sam Technician"), "kim": (KIM_ID, "Kim Technician")}


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        for name, (object_id, said) in PEOPLE.items():
            connector.knows(f"29:{name}", name=said, aadObjectId=object_id, tenantId=TENANT)
        yield connector


@pytest.fixture
async def identity() -> AsyncIterator[FakeIdentity]:
    async with FakeIdentity() as identity:
        yield identity


@pytest.fixture
async def service(tmp_path: Path, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    environ = {
        "CLIENT_ID": APP_ID,
        "CLIENT_SECRET": APP_PASSWORD,
        "TENANT_ID": TENANT,
        "ADMINS": DANA_ID,
        "ORGANISATION": "Contoso",
        "CODE_KEYS": f"k1:{b64encode(bytes(32)).decode()}",
        "HOST": "127.0.0.1",
        "STORE_URL": f"tinydb:{tmp_path / 'store'}",
        "ALLOWED_SERVICE_HOSTS": "127.0.0.1",
    }
    settings = load_settings(environ, None).model_copy(update={"port": 0})
    monkeypatch.setitem(CLOUDS, "", identity.cloud())  # type: ignore[arg-type]
    async with running(settings, SystemClock()) as service:
        yield service


class World:
    """What Teams and a device do to the service."""

    def __init__(
        self, service: Service, connector: FakeConnector, identity: FakeIdentity, http: aiohttp.ClientSession
    ) -> None:
        self.service, self.connector, self.identity, self._http = service, connector, identity, http
        self._count = 0

    async def says(self, name: str, text: str) -> None:
        """One turn, from the question until it is acknowledged, which is after its answer was sent."""
        await self._posts(activity(self.connector, **self._by(name), text=text))

    def _by(self, name: str) -> dict[str, Any]:
        self._count += 1
        object_id, said = PEOPLE[name]
        return {
            "id": f"m{self._count}",
            "from_": {"id": f"29:{name}", "name": said, "aadObjectId": object_id},
            "conversation": {"id": f"a:29:{name}", "conversationType": "personal", "tenantId": TENANT},
        }

    async def _posts(self, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.identity.token(self.connector)}"}
        async with self._http.post(f"{self.service.url}/api/messages", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json() if answer.content_type == "application/json" else None

    async def a_device_is_served(self) -> None:
        """A device is added and given a code, presents it, asks for its state; and the service says it is well."""
        core = self.service.provisioning
        await core.add(DANA, [Wanted(MAC, "Oslo/2/2.14")])
        await core.issue(DANA, IssueOrder(target=Target()))
        device = await core.store.get(Device, MAC)
        assert device
        assert device.code
        call = {"mac": MAC, "code": core.keys.unseal(MAC, device.code), "type": "phone"}
        async with self._http.post(f"{self.service.url}/api/v1/provision", json=call) as answer:
            assert answer.status == 200, await answer.text()
            token = (await answer.json())["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.get(f"{self.service.url}/api/v1/device", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        for path in ("/healthz", "/readyz"):
            async with self._http.get(self.service.url + path) as answer:
                assert answer.status == 200, await answer.text()

    def sent_to(self, name: str) -> int:
        return sum(call.conversation == f"a:29:{name}" for call in self.connector.sends)

    async def heard_by(self, name: str, count: int) -> None:
        while self.sent_to(name) < count:
            await self.connector.sent(len(self.connector.sends) + 1)


@pytest.fixture
async def world(service: Service, connector: FakeConnector, identity: FakeIdentity) -> AsyncIterator[World]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        world = World(service, connector, identity, http)
        yield world


async def test_a_connector_that_hangs_for_one_chat_stalls_no_other_and_no_device(
    world: World, connector: FakeConnector
) -> None:
    for name in PEOPLE:
        await world.says(name, "hi")
    before = world.sent_to("sam"), world.sent_to("dana")
    free = connector.holds("a:29:sam")
    hanging = [asyncio.create_task(world.says("sam", "whoami")) for _ in range(40)]
    await connector.called(len(connector.calls) + 40)
    for _ in range(3):
        await world.says("dana", "devices")
    assert world.sent_to("dana") == before[1] + 3
    await world.a_device_is_served()
    assert not any(turn.done() for turn in hanging)
    free.set()
    await asyncio.gather(*hanging)
    assert world.sent_to("sam") == before[0] + 40


async def test_a_relay_that_waits_for_one_chat_tells_the_others(world: World, connector: FakeConnector) -> None:
    for name in PEOPLE:
        await world.says(name, "hi")
    to_sam, to_kim = world.sent_to("sam"), world.sent_to("kim")
    free = connector.holds("a:29:sam")
    await world.says("dana", f"grant {SAM_ID} technician")
    await world.heard_by("sam", to_sam + 1)  # and is not answered
    await world.says("dana", f"grant {KIM_ID} technician")
    await world.heard_by("kim", to_kim + 1)
    await world.a_device_is_served()
    assert [call.conversation for call in connector.calls if call not in connector.taken] == ["a:29:sam"]
    free.set()


async def test_a_token_endpoint_that_hangs_stalls_no_device_and_is_asked_once(
    world: World, connector: FakeConnector, identity: FakeIdentity
) -> None:
    identity.token_free.clear()
    waiting = [asyncio.create_task(world.says(name, "hi")) for name in PEOPLE for _ in range(14)]
    await identity.token_asked.wait()
    await world.a_device_is_served()
    assert not any(turn.done() for turn in waiting)
    assert connector.calls == []
    identity.token_free.set()
    await asyncio.gather(*waiting)
    assert identity.token_fetches == 1
    assert {call.authorization for call in connector.calls} == {"Bearer token-1"}


async def test_the_old_token_serves_while_the_new_one_is_on_its_way(
    connector: FakeConnector, identity: FakeIdentity
) -> None:
    moment = 1000.0
    credentials = Credentials(APP_ID, APP_PASSWORD, TENANT)
    hosts, cloud = ("127.0.0.1",), identity.cloud()
    adapter = Adapter(credentials, allowed_service_hosts=hosts, cloud=cloud, now=lambda: moment)
    async with serving(adapter, Echo()) as client:

        async def forty(name: str) -> None:
            bodies = [activity(connector, id=f"{name}-{number}") for number in range(40)]
            answers = await asyncio.gather(*(post(client, body, identity.token(connector)) for body in bodies))
            assert {answer.status for answer in answers} == {200}

        await forty("first")
        moment += 3300  # of the 3600 that it counts
        identity.token_free.clear()
        await forty("meanwhile")
        assert {call.authorization for call in connector.calls} == {"Bearer token-1"}
        assert (len(connector.sends), identity.token_fetches) == (80, 2)
        identity.token_free.set()
        assert adapter.tokens
        await adapter.tokens.close()  # what is under way arrives
        await forty("last")
    assert {call.authorization for call in connector.sends[80:]} == {"Bearer token-2"}
    assert identity.token_fetches == 2
