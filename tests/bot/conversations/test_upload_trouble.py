"""A sheet that does not come, cannot be read, or breaks off: one sentence on its own message, and nothing saved."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from bot import jobs
from bot.files import Patience
from provisioning.errors import Unavailable
from provisioning.model import Device
from provisioning.ports import Store
from provisioning.uploads import Upload, UploadState
from tests.bot.chat import House, Post, Someone, restarted
from tests.bot.conversations.test_uploads import HEADER, SHEET, csv, listed, phones, previewed

MIB = 1024 * 1024
UNREAD = "oslo.csv cannot be read. Nothing is saved."
NOT_TEAMS = "This file is not at an address where Teams keeps files."
LEASE_OVER = jobs.LEASE + timedelta(seconds=1)


async def failed(someone: Someone, before: int) -> str:
    """What is said of the only message there was."""
    assert len(someone.posts) == before + 1, someone.titles[before:]
    card = someone.posts[-1]
    assert (card.title, card.buttons) == (UNREAD, ["Template"])
    assert await listed(someone.house) == 0
    return card.texts[1]


# ---------------------------------------------------------------------- it does not come


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/oslo.csv",
        "https://contoso.sharepoint.com.evil.example/oslo.csv",
        "https://10.0.0.1/oslo.csv",
        "https://169.254.169.254/latest/meta-data/",
        "http://contoso-my.sharepoint.com/oslo.csv",
        "file:///etc/passwd",
    ],
)
async def test_an_address_that_is_not_of_teams(house: House, dana: Someone, url: str) -> None:
    before = len(dana.posts)
    await dana.sends_file("oslo.csv", url=url)
    assert (await failed(dana, before)).startswith(NOT_TEAMS)
    assert "evil.example/" not in str(house.logs)


async def test_a_redirect_is_not_followed(house: House, dana: Someone) -> None:
    before, place = len(dana.posts), house.files.address("/file")
    await dana.sends_file("oslo.csv", url=house.files.address(f"/redirect?status=302&to={place}"))
    assert (await failed(dana, before)).startswith(NOT_TEAMS)
    assert house.files.paths == ["/redirect"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/status/404", "The link to this file has ended"),
        ("/status/500", "The place where Teams keeps this file does not answer"),
        ("/short", "The place where Teams keeps this file does not answer"),
        ("/bomb", "This file is larger than 20 MiB."),
        ("/endless", "This file is larger than 20 MiB."),
    ],
)
async def test_a_place_that_does_not_answer_as_it_should(house: House, dana: Someone, path: str, sentence: str) -> None:
    before = len(dana.posts)
    await dana.sends_file("oslo.csv", url=house.files.address(path))
    assert (await failed(dana, before)).startswith(sentence)


@pytest.mark.parametrize("path", ["/stalls", "/drips", "/silent"])
async def test_a_place_that_stalls(house: House, dana: Someone, path: str) -> None:
    house.jobs._files._patience = Patience(idle=0.1, total=0.3)
    before = len(dana.posts)
    await dana.sends_file("oslo.csv", url=house.files.address(path))
    assert await failed(dana, before) == "The file stopped coming. Nothing was saved; please send it again."


# ---------------------------------------------------------------------- it cannot be read


def zipped(**members: bytes) -> bytes:
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(
                name.replace("__", "/").replace("_xml", ".xml").replace("Types", "[Content_Types]"), content
            )
    return out.getvalue()


def bomb() -> bytes:
    """A workbook of some hundred kB that would be 400 MiB."""
    return zipped(Types_xml=b"<Types/>", xl__workbook_xml=b"<workbook/>", xl__worksheets__sheet1_xml=bytes(400 * MIB))


ENCRYPTED = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(2000)
UNREADABLE = {
    "empty": (b"", "There is nothing in this file."),
    "blank": (b"\r\n \r\n", "There is nothing in this file."),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "This is a picture, whatever its name says."),
    "pdf": (b"%PDF-1.7\n" + bytes(100), "This is a PDF."),
    "encrypted": (ENCRYPTED, "This workbook has a password."),
    "archive": (zipped(readme=b"x"), "This is an archive, not a workbook."),
    "gzip": (gzip.compress(SHEET.encode()), "This is "),
    "no MAC": (b"Name,Place\r\nSam,Oslo\r\n", "No column holds MACs."),
    "damaged": (b"PK\x03\x04" + bytes(50), "This file is damaged or did not arrive whole."),
    "just not too large": (b"x" * (20 * MIB), "Line 1 has more than 65536 characters."),
    "too large": (b"x" * (20 * MIB + 1), "This file is larger than 20 MiB."),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_a_file_that_is_no_sheet(house: House, dana: Someone, kind: str) -> None:
    content, sentence = UNREADABLE[kind]
    before = len(dana.posts)
    await dana.sends_file("oslo.csv", content)
    assert (await failed(dana, before)).startswith(sentence)


async def test_a_zip_bomb(house: House, dana: Someone) -> None:
    before = len(dana.posts)
    await dana.sends_file("oslo.csv", bomb())
    assert "too large" in await failed(dana, before)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.csv", "**bold** [x](https://evil.example).csv", "x" * 5000 + ".xlsx", "\u202ecsv.exe", "."],
)
async def test_a_name_is_only_a_name(house: House, dana: Someone, name: str) -> None:
    await dana.sends_file(name, b"", url=house.files.shares("x.csv", SHEET.encode()))
    assert dana.card.title == "3 ready. Nothing is saved yet."
    await dana.presses("Cancel")
    assert len(dana.card.title) < 200


# ---------------------------------------------------------------------- it breaks off


class Moody:
    """The store, which is away when it is told to be."""

    def __init__(self, store: Store) -> None:
        self.store, self.away = store, False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable("it is away")
        return getattr(self.store, name)


async def killed(house: House) -> None:
    """It ends where it stands: nothing more is written, and its leases run on."""
    house.provisioning.store = moody = Moody(house.store)  # type: ignore[assignment]
    moody.away = True
    await house.stops_working()
    house.provisioning.store = house.store


@asynccontextmanager
async def stalled(dana: Someone, patience: float = 10.0) -> AsyncIterator[Post]:
    """While a file does not come."""
    dana.house.by_itself = False
    dana.house.jobs._files._patience = Patience(idle=patience)
    first = await dana.sends_file("oslo.csv", url=dana.house.files.address("/silent"))
    async with asyncio.timeout(30):
        while not dana.house.files.requests:  # noqa: ASYNC110 - a job is at work
            await asyncio.sleep(0)
    yield first


async def test_what_a_killed_service_was_reading(house: House, dana: Someone) -> None:
    async with stalled(dana) as first:
        assert first.title == "Reading oslo.csv"
        await killed(house)
        async with restarted(house):
            await house.jobs.look()
            await house.settled()
            assert dana.card.title == "Reading oslo.csv"  # its lease runs on: the other might be alive
            house.clock.advance(LEASE_OVER)
            await house.jobs.look()
            await house.settled()
            assert (dana.card.id, dana.card.title) == (first.id, UNREAD)
            said = "Reading broke off. Nothing was saved; please send it again."
            assert said in dana.card.all


async def test_a_service_that_stops_says_so_itself(house: House, dana: Someone) -> None:
    async with stalled(dana) as first:
        await house.stops_working()
        await house.settled()
        assert (dana.card.id, dana.card.title) == (first.id, UNREAD)


async def test_add_while_it_is_read_shows_how_far_it_is(house: House, dana: Someone) -> None:
    async with stalled(dana, 0.3):
        assert (await dana.says("upload add")).title == "Reading oslo.csv"
        await house.settled()


async def test_cancel_while_it_is_read(house: House, dana: Someone) -> None:
    async with stalled(dana, 0.3):
        cancelled = await dana.presses("Cancel")
        await house.settled()
        assert (cancelled.id, dana.card.title) == (dana.card.id, "Cancelled: nothing of oslo.csv is saved")
        assert await listed(house) == 0
        (upload,) = (await house.store.find(Upload, limit=10)).rows
        assert upload.state is UploadState.CANCELLED


MANY = phones(1, 950)


async def latest(house: House) -> Upload:
    return (await house.store.find(Upload, limit=1)).rows[0]


@pytest.fixture
async def half(house: House, dana: Someone, monkeypatch: pytest.MonkeyPatch) -> Post:
    """A service that was killed when some of the 950 devices were written; the card as it was answered."""
    monkeypatch.setattr(jobs, "PATIENCE", 0.0)
    await previewed(dana, csv(HEADER, *MANY))
    house.by_itself = False
    pressed = asyncio.create_task(dana.presses("Add 950"))
    async with asyncio.timeout(30):
        while (await latest(house)).written < 2:  # noqa: ASYNC110 - a job is at work
            await asyncio.sleep(0)
    await house.stops_working()
    answered = await pressed
    assert await house.provisioning.holds(f"upload:{(await latest(house)).id}", jobs.LEASE)  # the lease of the dead
    return answered


async def others_look(house: House) -> None:
    async with restarted(house):
        await house.jobs.look()
        await house.settled()


async def test_what_a_killed_service_was_adding_goes_on(house: House, dana: Someone, half: Post) -> None:
    found = await latest(house)
    assert found.state is UploadState.ADDING and 2 <= found.written < found.parts
    assert (half.title, half.buttons) == ("Saving 950 from oslo.csv", ["Cancel"])
    assert "Nobody sees any of it before all of it is there." in half.all
    assert await listed(house) == 0
    await others_look(house)
    assert await listed(house) == 0  # the lease runs on: the other might be alive
    house.clock.advance(LEASE_OVER)
    await others_look(house)
    assert (dana.card.id, dana.card.title) == (half.id, "950 saved")
    assert await listed(house) == 950


async def test_what_was_prepared_is_deleted_after_a_cancel(house: House, dana: Someone, half: Post) -> None:
    batch = (await latest(house)).batch
    assert await house.store.count(Device, batch=batch) > 0
    house.clock.advance(LEASE_OVER)
    cancelled = await dana.presses("Cancel")
    await house.settled()
    assert (cancelled.id, dana.card.id, dana.card.title) == (
        half.id,
        half.id,
        "Cancelled: nothing of oslo.csv is saved",
    )
    assert await house.store.count(Device, batch=batch) == 0
    assert (await latest(house)).batch == ""
    assert (await house.facts())[-1] == "ImportCancelled"


async def test_a_service_killed_while_it_clears_up_is_followed_by_another(
    house: House, dana: Someone, half: Post
) -> None:
    batch = (await latest(house)).batch
    house.clock.advance(LEASE_OVER)
    await dana.presses("Cancel")
    await killed(house)
    house.clock.advance(LEASE_OVER)
    await others_look(house)
    assert await house.store.count(Device, batch=batch) == 0
    assert dana.card.title == "Cancelled: nothing of oslo.csv is saved"


async def test_the_card_says_how_far_it_is_and_how_long_it_will_take(house: House, dana: Someone, half: Post) -> None:
    house.clock.advance(timedelta(seconds=10))
    found = await house.provisioning.go_on((await latest(house)).id)
    await house.settled()
    assert found and dana.card.id == half.id
    left = round(10 / found.written * (found.parts + 1 - found.written))
    assert f"About {left} s left." in dana.card.all
    assert f"{100 * found.written // (found.parts + 1)} %" in dana.card.all


async def test_others_are_answered_while_it_is_added(house: House, dana: Someone, half: Post) -> None:
    assert "No device" in (await dana.says("devices")).all
    assert (await dana.says(f"device {MANY[0][0]}")).all.strip()


# ---------------------------------------------------------------------- the store is away


async def test_the_store_is_away_while_it_is_read(house: House, dana: Someone) -> None:
    house.expected_errors.add("a job broke off")
    house.by_itself = False
    house.provisioning.store = moody = Moody(house.store)  # type: ignore[assignment]
    first = await dana.sends_file("oslo.csv", SHEET)
    moody.away = True
    await house.jobs.drain()
    moody.away = False
    house.clock.advance(LEASE_OVER)
    await house.jobs.look()
    await house.settled()
    assert (dana.card.id, dana.card.title) == (first.id, UNREAD)
    assert "Nothing was saved; please send it again." in dana.card.all
    await dana.sends_file("oslo.csv", SHEET)
    await house.settled()
    assert dana.card.title == "3 ready. Nothing is saved yet."


async def test_the_store_is_away_while_it_is_added(house: House, dana: Someone, half: Post) -> None:
    house.expected_errors.add("a job broke off")
    house.clock.advance(LEASE_OVER)
    house.provisioning.store = moody = Moody(house.store)  # type: ignore[assignment]
    await house.jobs.look()
    await asyncio.sleep(0)
    moody.away = True
    await house.jobs.drain()
    moody.away = False
    assert await listed(house) == 0
    house.clock.advance(LEASE_OVER)
    await house.jobs.look()
    await house.settled()
    assert (dana.card.id, dana.card.title) == (half.id, "950 saved")
