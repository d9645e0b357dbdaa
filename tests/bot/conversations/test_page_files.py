"""Files of the local page, through the service as it is started."""

import pytest

from bot.files import FileGone, Files
from tests.bot.chat import House

CALLS = [
    ("POST", "/demo/files?name=x.csv"),
    ("GET", "/demo/files/key"),
    ("POST", "/demo/places"),
    ("PUT", "/demo/places/key"),
    ("GET", "/demo/saved/key"),
]
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_another_page_reaches_no_file(house: House, method: str, path: str, headers: dict[str, str]) -> None:
    async with house.http.request(method, house.url + path, data=b"x", headers={**BYTES, **headers}) as answer:
        assert answer.status == 403


async def test_the_bot_fetches_what_the_page_was_given_once(house: House) -> None:
    content = b"MAC id,Location\n" * 40_000  # more than any activity may be
    async with house.http.post(f"{house.url}/demo/files?name=oslo.csv", data=content, headers=BYTES) as answer:
        assert answer.status == 201
        url = (await answer.json())["content"]["downloadUrl"]
    assert url.startswith(house.url + "/demo/files/")
    files = Files(local=True)
    assert await files.fetch(url) == content
    with pytest.raises(FileGone):
        await files.fetch(url)
