"""Files of local mode, over real HTTP: sent to the bot once, put for people, gone after a while."""

from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot.activity import check, read
from bot.demo.files import FileLimits, LocalFiles
from bot.files import FileGone, Files, FileTooLarge, PlaceGone
from tests.connector import FakeConnector, activity

Client = TestClient[web.Request, web.Application]
LIMITS = FileLimits(file_bytes=3_000_000, total_bytes=5_000_000, seconds=60)
BYTES = {"Content-Type": "application/octet-stream"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock) -> LocalFiles:
    return LocalFiles(LIMITS, clock)


@pytest.fixture
async def client(kept: LocalFiles, aiohttp_client: Callable[..., Awaitable[Client]]) -> Client:
    app = web.Application(client_max_size=256 * 1024)
    app.add_routes(kept.routes())
    return await aiohttp_client(app)


@pytest.fixture
def files() -> Files:
    """The bot's way to files, as in local mode."""
    return Files(local=True, limit=2)


async def sends(client: Client, content: bytes, name: str = "oslo.csv", status: int = 201) -> Any:
    async with client.post("/demo/files", params={"name": name}, data=BytesIO(content), headers=BYTES) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json() if status == 201 else None


async def allows(client: Client, name: str = "codes.xlsx") -> dict[str, str]:
    async with client.post("/demo/places", json={"name": name}) as answer:
        assert answer.status == 201, await answer.text()
        place: dict[str, str] = await answer.json()
        return place


# ---------------------------------------------------------------------- sent to the bot


async def test_what_is_sent_is_what_the_bot_fetches_once(client: Client, files: Files, kept: LocalFiles) -> None:
    content = bytes(range(256)) * 4000
    attachment = await sends(client, content, "Flåte 1.CSV")
    incoming = read(check(activity(FakeConnector(), serviceUrl="http://127.0.0.1", attachments=[attachment])))
    assert incoming
    (shared,) = incoming.files
    assert (shared.name, shared.kind) == ("Flåte 1.CSV", "csv")
    assert await files.fetch(shared.url) == content
    assert kept.held == 0
    with pytest.raises(FileGone):
        await files.fetch(shared.url)


async def test_a_picture_is_what_a_phones_camera_sends(client: Client, files: Files) -> None:
    async with client.post("/demo/files?name=label.jpg&picture", data=b"\xff\xd8\xff", headers=BYTES) as answer:
        attachment = await answer.json()
    incoming = read(check(activity(FakeConnector(), serviceUrl="http://127.0.0.1", attachments=[attachment])))
    assert incoming
    (picture,) = incoming.pictures
    assert (picture.needs_token, incoming.files) == (True, ())
    assert await files.fetch_own(picture.url) == b"\xff\xd8\xff"


async def test_an_empty_file_is_a_file(client: Client, files: Files) -> None:
    attachment = await sends(client, b"")
    assert await files.fetch(attachment["content"]["downloadUrl"]) == b""


async def test_a_file_that_the_bot_finds_too_large_gets_as_far_as_the_bot(client: Client, files: Files) -> None:
    attachment = await sends(client, bytes(2 * 1024 * 1024 + 1))
    with pytest.raises(FileTooLarge):
        await files.fetch(attachment["content"]["downloadUrl"])


async def test_a_file_beyond_all_bounds_is_not_kept(client: Client, kept: LocalFiles) -> None:
    await sends(client, bytes(LIMITS.file_bytes + 1), status=413)
    assert kept.held == 0


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"])
async def test_what_any_page_could_post_is_not_taken(client: Client, kept: LocalFiles, kind: str) -> None:
    for path in ("/demo/files?name=x", "/demo/places"):
        async with client.post(path, data=b'{"name": "x"}', headers={"Content-Type": kind}) as answer:
            assert answer.status == 415
    assert kept.held == 0


async def test_the_oldest_makes_room_for_the_newest(client: Client, kept: LocalFiles, files: Files) -> None:
    addresses = [(await sends(client, bytes(2_000_000)))["content"]["downloadUrl"] for _ in range(3)]
    assert kept.held <= LIMITS.total_bytes
    with pytest.raises(FileGone):
        await files.fetch(addresses[0])
    assert len(await files.fetch(addresses[2])) == 2_000_000


async def test_files_go_after_a_while(client: Client, kept: LocalFiles, files: Files, clock: Clock) -> None:
    sent, place = await sends(client, b"x"), await allows(client)
    await files.put(place["uploadUrl"], b"y")
    clock.now = 59
    assert kept.held == 2
    clock.now = 60
    assert kept.held == 0
    with pytest.raises(FileGone):
        await files.fetch(sent["content"]["downloadUrl"])
    with pytest.raises(PlaceGone):
        await files.put(place["uploadUrl"], b"y")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"b\r\nSet-Cookie: x.csv', "a_b_Set-Cookie_ x.csv"),
        ("", "file"),
        ("..", "file"),
        ("x" * 300 + ".xlsx", "x" * 195 + ".xlsx"),
    ],
)
async def test_a_name_is_only_a_name(client: Client, files: Files, name: str, shown: str) -> None:
    assert (await sends(client, b"x", name))["name"] == shown
    place = await allows(client, name)
    await files.put(place["uploadUrl"], b"x")
    async with client.session.get(place["contentUrl"]) as got:
        assert got.content_disposition
        assert got.content_disposition.filename == shown


# ---------------------------------------------------------------------- put for people


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Codes of Ålesund.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("devices.csv", "text/csv; charset=utf-8"),
        ("sheet.PDF", "application/pdf"),
        ("page.html", "application/octet-stream"),
    ],
)
async def test_what_the_bot_puts_is_downloaded_with_its_name_and_type(
    client: Client, files: Files, name: str, kind: str
) -> None:
    place = await allows(client, name)
    link = place["contentUrl"]
    async with client.session.get(link) as early:
        assert early.status == 404
    await files.put(place["uploadUrl"], b"all of it")
    async with client.session.get(link) as answer:
        assert await answer.read() == b"all of it"
        assert answer.headers["Content-Type"] == kind
        assert answer.content_disposition
        assert (answer.content_disposition.type, answer.content_disposition.filename) == ("attachment", name)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with client.session.get(link) as again:
        assert again.status == 200


async def test_a_file_is_put_in_order_and_within_bounds(client: Client) -> None:
    place = (await allows(client))["uploadUrl"]

    async def puts(span: str, body: bytes) -> tuple[int, Any]:
        async with client.session.put(place, data=body, headers={**BYTES, "Content-Range": span}) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else None

    assert (await puts("bytes 0-3/8", b"abcd")) == (202, {"nextExpectedRanges": ["4-"]})
    assert (await puts("bytes 0-3/8", b"abcd"))[0] == 416
    assert (await puts("bytes 4-7/9", b"efgh"))[0] == 400
    assert (await puts("bytes 4-7/8", b"efghi"))[0] == 413
    for wrong in ("", "bytes */8", "bytes 4-3/8", "bytes 4-8/8", "items 4-7/8"):
        assert (await puts(wrong, b"efgh"))[0] == 400
    async with client.session.get(place) as missing:
        assert await missing.json() == {"nextExpectedRanges": ["4-"]}
    assert (await puts("bytes 4-7/8", b"efgh")) == (201, {"nextExpectedRanges": []})


async def test_a_file_too_large_to_keep_is_refused_at_its_first_part(client: Client, kept: LocalFiles) -> None:
    place = (await allows(client))["uploadUrl"]
    headers = {**BYTES, "Content-Range": f"bytes 0-0/{LIMITS.file_bytes + 1}"}
    async with client.session.put(place, data=b"x", headers=headers) as answer:
        assert answer.status == 400
    assert kept.held == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'"x"', b"{}", b'{"name": 7}'])
async def test_a_place_needs_a_name(client: Client, body: bytes) -> None:
    async with client.post("/demo/places", data=body, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 400


async def test_all_is_let_go_when_the_page_ends(client: Client, kept: LocalFiles) -> None:
    await sends(client, b"x")
    kept.clear()
    assert kept.held == 0
