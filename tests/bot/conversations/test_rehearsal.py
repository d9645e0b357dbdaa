"""An admin asks for a rehearsal; the card becomes the report; nobody else hears of it."""

from __future__ import annotations

import sys

import pytest

from bot.rehearsal.child import Rehearsals
from provisioning.model import Device
from tests.bot.chat import House

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture(autouse=True)
def at_home(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's settings are the environment's; its store is the service's own."""
    monkeypatch.setenv("CODE_KEY_FILE", str(house.folder / "keys"))


async def test_the_working_card_becomes_the_report_and_nobody_else_is_told(house: House) -> None:
    sam = await house.technician("Sam")
    await house.dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    house.jobs.rehearsals = Rehearsals(house.settings.store_url)
    heard = len(sam.posts)
    house.by_itself = False
    card = await house.dana.says("rehearse oslo")
    assert card.title == "Rehearsing Oslo"
    house.by_itself = True
    await house.settled()
    card = house.dana.card
    assert card.title.startswith("Rehearsal of Oslo: done about")
    assert "nobody was told anything" in card.all
    assert "2 devices, 1 technician" in card.all
    assert len(sam.posts) == heard
    assert {device.state.value for device in (await house.store.find(Device)).rows} == {"waiting_for_activation"}


async def test_one_at_a_time(house: House) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    house.jobs.rehearsals = Rehearsals(command=(sys.executable, "-c", "import sys; sys.stdin.read()"))
    house.jobs.rehearsals._busy = True
    assert "under way" in (await house.dana.says("rehearse oslo")).all


async def test_one_that_breaks_off_says_why(house: House) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    says = "import sys; print('The store cannot be read.', file=sys.stderr); sys.exit(1)"
    house.jobs.rehearsals = Rehearsals(command=(sys.executable, "-c", says))
    await house.dana.says("rehearse all")
    assert house.dana.card.title == "The rehearsal of all sites broke off"
    assert "The store cannot be read." in house.dana.card.all


async def test_one_that_is_under_way_ends_with_the_service(house: House) -> None:
    await house.dana.says(f"add {A} Oslo/2/2.14")
    house.by_itself = False
    waits = "import time; time.sleep(600)"
    house.jobs.rehearsals = Rehearsals(command=(sys.executable, "-c", waits))
    await house.dana.says("rehearse oslo")
    await house.stops_working()
    house.jobs.rehearsals.require_free()


async def test_an_unknown_site_and_a_technician_are_refused(house: House) -> None:
    sam = await house.technician("Sam")
    assert "Nothing matches" in (await house.dana.says("rehearse bergen")).all
    assert "Only admins" in (await sam.says("rehearse oslo")).all
