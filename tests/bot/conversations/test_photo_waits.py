"""A photo that is waited for: what ends the wait, what does not, and what comes beside the picture."""

import pytest

from bot.handlers import photos
from tests.bot.chat import House, Post, Someone
from tests.bot.conversations.test_photos import WALL, A, B, C

UNKNOWN = "80-5E-C0-44-77-10"


@pytest.fixture(autouse=True)
def a_machine_that_is_never_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 60.0)


@pytest.fixture
async def oslo(house: House, dana: Someone, sam: Someone) -> None:
    """Sam has three devices; 2.14 called in."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01")
    await dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)


@pytest.fixture
async def saved(house: House, sam: Someone, oslo: None) -> Post:
    """Sam confirmed 2.14 and wants to send a photo."""
    await sam.presses("Confirm install")
    return await sam.presses("Save, add photo")


async def test_a_device_that_was_asked_for_ends_no_wait(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    await house.device(UNKNOWN).provision((await sam.says("2.16")).code)
    await sam.presses("Ask admin")
    await sam.says("install 2.14")
    await sam.says("photo 2.14")
    await dana.presses("Add and issue")
    await dana.presses("Add and issue", location="Oslo/2/2.18")
    assert sam.card.title == "Oslo, floor 2, room 2.18"
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."


async def test_a_problem_form_that_comes_back_ends_no_wait(house: House, sam: Someone, saved: Post) -> None:
    await sam.acts(saved, "problem_save", {"device": B.replace("-", ""), "kind": "", "note": ""})
    assert (await house.record(B)).problem is None
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."
