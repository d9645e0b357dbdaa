"""Whichever way a code becomes readable, a fact that names its reader is committed before it is unsealed."""

from collections.abc import Awaitable, Callable

import pytest

from provisioning.codes import Key, Keyring
from provisioning.errors import CodeRefused, ProvisioningError
from provisioning.events import CodesExported, CodeShown, SheetMade, SignInCodeShown
from provisioning.model import ActivationCode
from provisioning.service import Provisioning
from provisioning.service.exporting import Take
from provisioning.service.lookup import Target
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock, FakeProvider
from tests.provisioning.world import DANA, KIM, POLICY, SAM, A, B, World, wrong


class WatchedKeyring(Keyring):
    """Notes for each code that is opened who was already said to see it."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__([Key("k1", b"k" * 32)])
        self._store = store
        self.opened: list[tuple[str, set[str]]] = []

    def unseal(self, mac: str, code: ActivationCode) -> str:
        facts = [e for e in self._store._audit if isinstance(e, CodeShown)]
        named = {e.reader for e in facts if (e.subject, e.issue, e.reader) == (mac, code.issue, e.actor)}
        self.opened.append((mac, named))
        return super().unseal(mac, code)


@pytest.fixture
async def world() -> World:
    store, clock = MemoryStore(), FakeClock()
    keys = WatchedKeyring(store)
    world = await World(store, clock, Provisioning(store, clock, keys, POLICY, FakeProvider())).people()
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("oslo", SAM)
    return world


Way = Callable[[World], Awaitable[object]]


async def reissued(world: World) -> object:
    await world.core.show_code(await world.sam(), A)
    await world.issue("2.14", SAM, void=True)
    keys(world).opened.clear()
    return await world.core.show_code(await world.sam(), A)


async def offline_sheet(world: World) -> object:
    pack = await world.core.make_pack(await world.sam())
    assert SheetMade in {type(row.event) for row in (await world.store.history(SAM)).rows}
    return pack


def exported(form: str) -> Way:
    async def take(world: World) -> object:
        await world.core.take_codes(await world.dana(), Take(Target(site="Oslo")), form)
        (row,) = (await world.store.history("Oslo", limit=1)).rows
        assert isinstance(row.event, CodesExported)
        assert (row.event.actor, row.event.count, row.event.form) == (DANA, 2, form)
        return row

    return take


WAYS: dict[str, tuple[str, Way]] = {
    "an admin's card": (DANA, lambda w: _as(w, DANA, lambda a: w.core.show_code(a, A))),
    "a technician's card": (SAM, lambda w: _as(w, SAM, lambda a: w.core.show_code(a, A))),
    "the next device": (SAM, lambda w: _as(w, SAM, w.core.next_job)),
    "one device of the day": (SAM, lambda w: _as(w, SAM, lambda a: w.core.job(a, A))),
    "a card drawn by the relay": (SAM, lambda w: _as(w, SAM, lambda a: w.core.hold(a, A))),
    "the page of all codes": (DANA, lambda w: _as(w, DANA, w.core.codes)),
    "a new code": (SAM, reissued),
    "a file": (DANA, exported("xlsx")),
    "a printed sheet": (DANA, exported("pdf")),
    "an offline sheet": (SAM, offline_sheet),
}


async def _as(world: World, id_: str, see: Callable[..., Awaitable[object]]) -> object:
    return await see(await world.actor(id_))


def keys(world: World) -> WatchedKeyring:
    assert isinstance(world.core.keys, WatchedKeyring)
    return world.core.keys


@pytest.mark.parametrize("way", WAYS)
async def test_the_reader_is_named_before_the_code_is_opened(world: World, way: str) -> None:
    reader, see = WAYS[way]
    keys(world).opened.clear()
    await see(world)
    assert keys(world).opened
    assert [(mac, named) for mac, named in keys(world).opened if reader not in named] == []


async def test_a_near_miss_and_a_redrawn_card_open_nothing(world: World) -> None:
    digits = await world.digits(A)
    keys(world).opened.clear()
    assert await world.core.diagnose(B, digits, "10.1.2.3")
    await world.core.redraw_job(await world.sam(), A)
    await world.core.exported(await world.dana(), Take(Target(site="Oslo"))).__anext__()
    await world.core.device(await world.dana(), A)
    with pytest.raises(CodeRefused):
        await world.calls(A, wrong(digits))
    assert keys(world).opened == []


async def test_who_may_not_see_it_opens_nothing_and_leaves_no_fact(world: World) -> None:
    keys(world).opened.clear()
    before = await world.facts()
    for see in (world.core.codes, lambda actor: world.core.show_code(actor, A)):
        with pytest.raises(ProvisioningError):
            await see(await world.actor(KIM))
    assert (keys(world).opened, await world.facts()) == ([], before)


async def test_who_gets_to_see_a_sign_in_code_is_named_when_it_comes(world: World) -> None:
    await world.provisions(A)
    dana = await world.dana()
    await world.core.choose_account(dana, A, "room@contoso.com")
    await world.core.begin_sign_in(await world.dana(), A)
    rows = [row.event for row in (await world.store.history(A)).rows if isinstance(row.event, SignInCodeShown)]
    assert [row.reader for row in rows] == [DANA]
