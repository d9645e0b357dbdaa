"""What people take away: devices as they stand, and live codes that the audit has before anybody."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from provisioning.errors import AlreadyDone, Forbidden, NoAccess, Unavailable
from provisioning.events import CodesExported, CodeShown
from provisioning.model import Change
from provisioning.service import Provisioning
from provisioning.service.exporting import Take
from provisioning.service.lookup import EVERYTHING, Target
from storage import open_store
from tests.fakes import FakeClock
from tests.provisioning.sheets import CODED, Rows, everything_in, imports, mac, row, rows, sends, stumbling
from tests.provisioning.world import DANA, KEYS, KIM, POLICY, SAM, World


@pytest.fixture
async def sites(world: World) -> World:
    """Oslo with three, two of them tagged lobby; Bergen with two. Sam has two live codes, Kim one."""
    sheet = [row(1, "Oslo/10/1", tags=("lobby",)), row(2, "Oslo/2/1", tags=("Lobby",)), row(3, "Oslo/3/1")]
    await imports(world, [*sheet, row(4, "Bergen/1"), row(5, "Bergen/2")])
    for place, person in ((mac(1), SAM), (mac(2), SAM), (mac(4), KIM)):
        await world.issue(place, person)
    return world


async def taken(world: World, take: Take) -> list[str]:
    return [each.mac async for page in world.core.exported(await world.dana(), take) for each in page]


async def takes(world: World) -> dict[str, Take]:
    oslo, lobby = [await world.core.target(await world.dana(), text) for text in ("oslo", "#lobby")]
    return {
        "all": Take(EVERYTHING),
        "Oslo": Take(oslo),
        "#lobby": Take(lobby),
        "device": Take(Target(device=await world.device(mac(2)))),
        "Sam": Take(EVERYTHING, await world.person(SAM)),
    }


@pytest.mark.parametrize(
    ("which", "numbers", "alive"),
    [
        ("all", [4, 5, 2, 3, 1], [4, 2, 1]),
        ("Oslo", [2, 3, 1], [2, 1]),
        ("#lobby", [2, 1], [2, 1]),
        ("device", [2], [2]),
        ("Sam", [2, 1], [2, 1]),
    ],
)
async def test_it_holds_the_devices_of_what_was_named_in_walking_order(
    sites: World, which: str, numbers: list[int], alive: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.service.exporting.SITE_PAGE", 2)
    take = (await takes(sites))[which]
    assert await taken(sites, take) == [mac(number) for number in numbers]
    assert await sites.core.how_many_to_take(await sites.dana(), take) == (len(numbers), len(alive))
    held = await sites.core.take_codes(await sites.dana(), take, "xlsx")
    assert [each.device.mac for each in held] == [mac(number) for number in alive]
    assert [each.digits for each in held] == [await sites.digits(mac(number)) for number in alive]


async def test_removed_devices_and_those_of_an_unfinished_import_are_not_in_it(sites: World) -> None:
    await sites.core.remove(await sites.dana(), mac(1))
    upload = await sends(sites, rows(9))
    await sites.core.add_upload(await sites.dana(), upload.id)
    await sites.core.go_on(upload.id)
    assert await taken(sites, Take(EVERYTHING)) == [mac(number) for number in (4, 5, 2, 3)]
    assert await sites.core.how_many_to_take(await sites.dana(), Take(EVERYTHING)) == (4, 2)


@pytest.mark.parametrize(("which", "subject"), [("all", "all"), ("Oslo", "Oslo"), ("#lobby", "#Lobby"), ("Sam", SAM)])
async def test_the_audit_says_who_took_which_codes_and_how(sites: World, which: str, subject: str) -> None:
    held = await sites.core.take_codes(await sites.dana(), (await takes(sites))[which], "csv")
    page = await sites.store.history(limit=1 + len(held))
    *shown, exported = [each.event for each in page.rows]
    assert isinstance(exported, CodesExported)
    assert (exported.actor, exported.subject, exported.count, exported.form) == (DANA, subject, len(held), "csv")
    assert {(type(each), each.actor, each.subject) for each in shown} == {
        (CodeShown, DANA, one.device.mac) for one in held
    }


@pytest.mark.parametrize("falls", [1, 2, 3])
async def test_a_store_that_fails_at_the_audit_gives_no_code(falls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is unsealed before its own audit row is durable."""
    monkeypatch.setattr("provisioning.service.exporting.CHUNK", 2)
    world, store = await stumbling()
    await world.add(*((mac(number), f"Oslo/{number}") for number in range(1, 5)))
    await world.issue("oslo", SAM)
    audited: set[str] = set()
    unsealed: list[str] = []
    real = world.core.keys.unseal

    def watched(change: Change) -> None:
        audited.update(event.subject for event in change.events if isinstance(event, CodeShown))

    def unseal(which: str, code: object) -> str:
        unsealed.append(which)
        assert which in audited
        return real(which, code)  # type: ignore[arg-type]

    monkeypatch.setattr(world.core.keys, "unseal", unseal)
    store.saves, store.falls, store.watching = 0, falls, watched
    with pytest.raises(Unavailable):
        await world.core.take_codes(await world.dana(), Take(EVERYTHING), "xlsx")
    assert len(unsealed) == max(0, falls - 2) * 2
    assert len(await world.core.take_codes(await world.dana(), Take(EVERYTHING), "xlsx")) == 4


async def test_a_code_that_died_while_it_was_audited_is_not_in_it(
    sites: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sites.store.save

    async def save(change: Change) -> None:
        await real(change)
        if any(isinstance(event, CodeShown) for event in change.events):
            monkeypatch.setattr(sites.store, "save", real)
            await sites.issue(mac(1), SAM, void=True)

    monkeypatch.setattr(sites.store, "save", save)
    held = await sites.core.take_codes(await sites.dana(), Take(EVERYTHING), "xlsx")
    assert [each.device.mac for each in held] == [mac(4), mac(2)]


async def test_codes_that_ended_are_not_counted_and_not_in_it(sites: World) -> None:
    sites.later(hours=25)
    take = Take(EVERYTHING)
    assert await sites.core.how_many_to_take(await sites.dana(), take) == (5, 0)
    assert await sites.core.take_codes(await sites.dana(), take, "xlsx") == []


async def test_codes_of_the_teams_admin_centre_are_in_it_too(world: World) -> None:
    await imports(world, Rows([row(1, code="482913")], (), CODED))
    (held,) = await world.core.take_codes(await world.dana(), Take(EVERYTHING), "xlsx")
    assert held.digits == "482913"


async def test_only_who_may_see_devices_and_codes_takes_them(sites: World) -> None:
    take = Take(EVERYTHING)
    for who, error in ((SAM, Forbidden), ("stranger", NoAccess)):
        actor = await sites.actor(who)
        with pytest.raises(error):
            await sites.core.take_codes(actor, take, "xlsx")
        with pytest.raises(error):
            await sites.core.how_many_to_take(actor, take)
        with pytest.raises(error):
            async for _ in sites.core.exported(actor, take):
                raise AssertionError("a device was given away")
    assert "CodesExported" not in await sites.facts()


async def test_the_same_wish_is_granted_once(sites: World) -> None:
    twice = await sites.actor(DANA, "accept-1")
    await sites.core.once(twice)
    with pytest.raises(AlreadyDone):
        await sites.core.once(twice)
    await sites.core.once(await sites.actor(DANA, "accept-2"))


async def test_nothing_of_a_code_is_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    store = await open_store(f"tinydb:{tmp_path}", clock=clock)
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()
    await world.add((mac(1), "Oslo/1"), (mac(2), "Oslo/2"))
    await world.issue("oslo", SAM)
    clock.advance(timedelta(seconds=1))
    held = await world.core.take_codes(await world.dana(), Take(EVERYTHING), "pdf")
    assert [len(each.digits) for each in held] == [12, 12]
    await store.close()
    kept = everything_in(tmp_path)
    for each in held:
        assert each.digits.encode() not in kept
        assert json.dumps(each.digits).encode() not in kept
