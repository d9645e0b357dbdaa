"""Files in and out, against a real host that redirects, lies, stalls and never ends."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from structlog.testing import capture_logs

from bot.adapter_trust import TokenUnavailableError
from bot.file_hosts import FileError, FileHostRefused, FileHosts, is_public
from bot.files import (
    MIB,
    FileGone,
    Files,
    FileStalled,
    FileTooLarge,
    FileUnreachable,
    Patience,
    PlaceFull,
    PlaceGone,
)
from tests.file_host import NAME, FileHost, bomb, client_tls

QUICK = Patience(idle=0.4, total=30.0, pauses=(0.0, 0.0))
PART = 16 * 320 * 1024


class Names(AbstractResolver):
    """A name server: each look-up gets the next answer, the last one for ever."""

    def __init__(self, port: int, *answers: Sequence[str]) -> None:
        self._port, self._answers = port, list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=self._port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None: ...


@pytest.fixture
async def host() -> AsyncIterator[FileHost]:
    async with FileHost() as host:
        yield host


@pytest.fixture
def files() -> Files:
    """In local mode, where a host on loopback is as good as Teams'."""
    return Files(("localhost", "127.0.0.1"), local=True, patience=QUICK)


@pytest.fixture
async def behind_tls() -> AsyncIterator[FileHost]:
    async with FileHost(tls=True) as host:
        yield host


def with_credentials(names: Names, *public: str) -> Files:
    """As behind Teams; `public` are the addresses that count as such in this test."""
    hosts = FileHosts(("sharepoint.com",), local=False, public=lambda address: str(address) in public)
    return Files(hosts=hosts, patience=QUICK, resolver=names, tls=client_tls())


# ---------------------------------------------------------------------- in


async def test_a_file_is_fetched_whole_with_nothing_of_ours(files: Files, host: FileHost) -> None:
    host.content = bytes(range(256)) * 8192
    heard: list[tuple[int, int | None]] = []
    assert await files.fetch(host.address("/file?tempauth=1"), progress=lambda *at: heard.append(at)) == host.content
    assert heard[-1] == (2 * MIB, 2 * MIB)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert len(heard) > 1
    (request,) = host.requests
    assert request.query_string == "tempauth=1"
    assert request.headers["Accept-Encoding"] == "identity"
    assert not {"Authorization", "Cookie", "Proxy-Authorization", "Referer"} & set(request.headers)


async def test_no_cookie_comes_back(files: Files, host: FileHost) -> None:
    await files.fetch(host.address("/file", "localhost"))
    await files.fetch(host.address("/file", "localhost"))
    assert "Cookie" not in host.requests[1].headers


async def test_a_proxy_of_the_environment_is_not_asked(
    files: Files, host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await files.fetch(host.address("/file")) == host.content


async def test_the_limit_is_to_the_byte(files: Files, host: FileHost) -> None:
    host.content = bytes(20 * MIB)
    assert len(await files.fetch(host.address("/file"))) == 20 * MIB
    host.content += b"x"
    with pytest.raises(FileTooLarge, match="20 MiB") as refused:
        await files.fetch(host.address("/file"))
    assert refused.value.limit == 20


async def test_another_limit_can_be_set(host: FileHost) -> None:
    host.content = bytes(MIB + 1)
    with pytest.raises(FileTooLarge, match="1 MiB"):
        await Files(local=True, limit=1).fetch(host.address("/file"))
    assert len(await Files(local=True, limit=2).fetch(host.address("/file"))) == MIB + 1


async def test_a_body_without_an_end_is_left_at_the_limit(files: Files, host: FileHost) -> None:
    heard: list[tuple[int, int | None]] = []
    with pytest.raises(FileTooLarge):
        await files.fetch(host.address("/endless"), progress=lambda *at: heard.append(at))
    assert 19 * MIB < heard[-1][0] <= 20 * MIB
    assert heard[-1][1] is None


async def test_a_bomb_is_counted_as_it_is_unpacked(files: Files, host: FileHost) -> None:
    bomb()  # what the host itself needs does not count, nor what is imported at the first use
    await files.fetch(host.address("/file"))
    tracemalloc.start()
    try:
        with pytest.raises(FileTooLarge):
            await files.fetch(host.address("/bomb"))
        assert tracemalloc.get_traced_memory()[1] < 60 * MIB
    finally:
        tracemalloc.stop()


async def test_what_comes_packed_all_the_same_is_unpacked(files: Files, host: FileHost) -> None:
    assert await files.fetch(host.address("/packed/gzip")) == host.content
    with pytest.raises(FileUnreachable):
        await files.fetch(host.address("/packed/br"))


@pytest.mark.parametrize("path", ["/silent", "/stalls"])
async def test_a_file_that_stops_coming_is_given_up(files: Files, host: FileHost, path: str) -> None:
    with pytest.raises(FileStalled):
        await files.fetch(host.address(path))


async def test_a_file_that_only_drips_has_an_end_as_well(host: FileHost) -> None:
    files = Files(local=True, patience=Patience(idle=5, total=0.4))
    async with asyncio.timeout(30):
        with pytest.raises(FileStalled):
            await files.fetch(host.address("/drips"))


async def test_a_body_shorter_than_its_length_is_no_file(files: Files, host: FileHost) -> None:
    with pytest.raises(FileUnreachable):
        await files.fetch(host.address("/short"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, FileGone) for status in (401, 403, 404, 410)),
        *((status, FileUnreachable) for status in (400, 418, 429, 500, 502, 503, 504)),
    ],
)
async def test_a_refusal_says_what_to_do(files: Files, host: FileHost, status: int, error: type[FileError]) -> None:
    with pytest.raises(error):
        await files.fetch(host.address(f"/status/{status}"))


async def test_nobody_listens(files: Files, host: FileHost) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(FileUnreachable):
        await files.fetch(f"http://127.0.0.1:{port}/file")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/file", "http://127.0.0.1:{port}/file", "http://169.254.169.254/latest/meta-data"])
async def test_no_redirect_is_followed_not_even_to_itself(
    files: Files, host: FileHost, status: int, target: str
) -> None:
    with pytest.raises(FileHostRefused):
        await files.fetch(host.address(f"/redirect?status={status}&to={target.format(port=host.port)}"))
    assert host.paths == ["/redirect"]


# ---------------------------------------------------------------------- which addresses


PLACES = FileHosts(("sharepoint.com", "svc.ms"), local=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://contoso-my.sharepoint.com/personal/dana/_layouts/15/download.aspx?UniqueId=1&tempauth=v1.eyJ%2b",
        "https://contoso.sharepoint.com:443/sites/it/_api/web/GetFileByServerRelativePath(decodedurl='/a%20b')",
        "https://sharepoint.com",
        "HTTPS://EU-Media.SVC.MS/x",
    ],
)
def test_where_teams_keeps_files(url: str) -> None:
    assert str(PLACES.check(url)).partition("://")[2].casefold().startswith(url.partition("://")[2][:20].casefold())


@pytest.mark.parametrize(
    "url",
    [
        "http://contoso.sharepoint.com/x",
        "https://contoso.sharepoint.com:8443/x",
        "https://contoso.sharepoint.com:80/x",
        "https://contoso.sharepoint.com:0/x",
        "https://contoso.sharepoint.com:/x",
        "https://evilsharepoint.com/x",
        "https://sharepoint.com.evil.example/x",
        "https://contoso.sharepoint.com./x",
        "https://evil.example/?.sharepoint.com",
        "https://evil.example#.sharepoint.com",
        "https://evil.example/x#@contoso.sharepoint.com",
        "https://contoso.sharepoint.com@evil.example/x",
        "https://user:word@contoso.sharepoint.com/x",
        "https://evil.example\\.sharepoint.com/x",
        "https://evil.example\\@contoso.sharepoint.com/x",
        "https://contoso.sharepoint.com\\@evil.example/x",
        "https://contoso.sharepoint.com/x\\y",
        "https://contoso.sharepoint.com/x y",
        "https://contoso.sharepoint.com/x\r\nHost: evil.example",
        "https://contoso.sharepoint.com/x\n",
        "https://contoso.sharepoint.com/ä",
        "https://contoso。sharepoint.com/x",
        "https://contoso%2esharepoint.com/x",
        "//contoso.sharepoint.com/x",
        "https:contoso.sharepoint.com/x",
        "https:///contoso.sharepoint.com/x",
        "ftp://contoso.sharepoint.com/x",
        "file:///etc/passwd",
        "https://127.0.0.1/x",
        "http://127.0.0.1:3978/x",
        "https://localhost/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://169.254.169.254/latest/meta-data",
        "https://contoso.sharepoint.com/" + "x" * 8192,
        "",
    ],
)
async def test_an_address_that_is_not_one_of_these_is_refused_before_anybody_is_asked(url: str) -> None:
    names = Names(1, ["127.0.0.1"])
    with pytest.raises(FileHostRefused):
        await with_credentials(names, "127.0.0.1").fetch(url)
    with pytest.raises(FileHostRefused):
        await with_credentials(names, "127.0.0.1").put(url, b"x")
    assert names.asked == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1.evil.example/x", "http://192.168.1.10/x", "http://localhost.evil.example/", "http://0.0.0.0/x"],
)
def test_local_mode_knows_this_computer_alone(url: str) -> None:
    with pytest.raises(FileHostRefused):
        FileHosts(("localhost", "127.0.0.1"), local=True).check(url)


async def test_this_computer_is_refused_behind_teams_even_where_it_is_listed(host: FileHost) -> None:
    files = Files(("127.0.0.1", "localhost"), local=False, patience=QUICK)
    for name in ("127.0.0.1", "localhost"):
        with pytest.raises(FileHostRefused):
            await files.fetch(host.address("/file", name))
        with pytest.raises(FileHostRefused):
            await files.fetch(f"https://{name}/file")
    assert host.requests == []


PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.9.9.9",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["13.107.136.9", "52.107.243.100", "2620:1ec:8f8::9", "2603:1046:1404::1"])
def test_an_address_that_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%1"])
@pytest.mark.parametrize("beside", [[], ["13.107.136.9"]])
async def test_a_name_that_leads_somewhere_private_is_refused(address: str, beside: list[str]) -> None:
    """Also where only one of its addresses does: nobody chooses which one is taken."""
    names = Names(443, [*beside, address])
    files = Files(("sharepoint.com",), patience=QUICK, resolver=names)
    with pytest.raises(FileHostRefused):
        await files.fetch(f"https://{NAME}/file")
    assert names.asked == [NAME]


@pytest.mark.parametrize("name", ["a" * 64 + ".sharepoint.com", "a..sharepoint.com", "-.sharepoint.com"])
async def test_a_name_that_no_resolver_takes(name: str) -> None:
    with pytest.raises(FileUnreachable):
        await Files(("sharepoint.com",), patience=QUICK).fetch(f"https://{name}/file")


# ---------------------------------------------------------------------- what is kept for the bot alone


KEEPER = "keeper.sharepoint.com"


class Tokens:
    """The bot's tokens, one after the other."""

    def __init__(self, *tokens: str, fault: bool = False) -> None:
        self.left, self.forgotten, self.fault = list(tokens), [], fault

    async def get(self) -> str:
        if self.fault:
            raise TokenUnavailableError("invalid_client")
        return self.left[0]

    def forget(self, token: str) -> None:
        self.forgotten.append(token)
        self.left.remove(token)


def with_token(names: Names, tokens: Tokens, *public: str) -> Files:
    """As behind Teams: files at any host of sharepoint.com, pictures for the bot alone at one."""

    def believed(address: object) -> bool:
        return str(address) in public

    return Files(
        hosts=FileHosts(("sharepoint.com",), local=False, public=believed),
        service=FileHosts((KEEPER,), local=False, public=believed),
        token=tokens,
        patience=QUICK,
        resolver=names,
        tls=client_tls(),
    )


async def test_a_picture_for_the_bot_is_fetched_with_its_token(behind_tls: FileHost) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens("bot-token"), "127.0.0.1")
    assert await files.fetch_own(behind_tls.address("/file", KEEPER)) == behind_tls.content
    (request,) = behind_tls.requests
    assert request.headers["Authorization"] == "Bearer bot-token"
    assert "Cookie" not in request.headers


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        "sharepoint.com",
        "notkeeper.sharepoint.com",
        f"{KEEPER}.evil.example",
        "evil.example",
        f"evil.example\\@{KEEPER}",
        f"{KEEPER}@evil.example",
        "169.254.169.254",
        "[::1]",
        "127.0.0.1",
    ],
)
async def test_the_token_goes_to_no_other_host(behind_tls: FileHost, name: str) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens("bot-token"), "127.0.0.1")
    for address in (f"https://{name}/file", f"http://{name}/file", f"https://{name}:8443/file"):
        with suppress(FileError):
            await files.fetch_own(address)
    assert not [request for request in behind_tls.requests if "Authorization" in request.headers]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nor_along_when_that_host_sends_it_elsewhere(behind_tls: FileHost, status: int) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens("bot-token"), "127.0.0.1")
    elsewhere = behind_tls.address("/file")
    with pytest.raises(FileHostRefused):
        await files.fetch_own(behind_tls.address(f"/redirect?status={status}&to={elsewhere}", KEEPER))
    assert behind_tls.paths == ["/redirect"]


async def test_nor_over_a_plain_line_nor_to_an_address_that_is_private(behind_tls: FileHost) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens("bot-token"))
    for address in (f"http://{KEEPER}/file", f"https://{KEEPER}/file"):
        with pytest.raises(FileHostRefused):
            await files.fetch_own(address)
    assert behind_tls.requests == []


async def test_no_file_is_fetched_with_the_token_unless_it_is_kept_for_the_bot(behind_tls: FileHost) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens("bot-token"), "127.0.0.1")
    await files.fetch(behind_tls.address("/file", KEEPER))
    (request,) = behind_tls.requests
    assert "Authorization" not in request.headers


async def test_a_token_that_is_refused_is_replaced_once(behind_tls: FileHost) -> None:
    tokens = Tokens("old", "new")
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), tokens, "127.0.0.1")
    with pytest.raises(FileGone):
        await files.fetch_own(behind_tls.address("/status/401", KEEPER))
    assert [request.headers["Authorization"] for request in behind_tls.requests] == ["Bearer old", "Bearer new"]
    assert tokens.forgotten == ["old"]


async def test_without_a_token_to_be_had_nothing_is_asked(behind_tls: FileHost) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens(fault=True), "127.0.0.1")
    with capture_logs() as logs, pytest.raises(FileUnreachable):
        await files.fetch_own(behind_tls.address("/file", KEEPER))
    assert behind_tls.requests == [] and "no token for a picture" in [entry["event"] for entry in logs]


async def test_the_limit_holds_for_pictures_as_well(behind_tls: FileHost) -> None:
    files = with_token(Names(behind_tls.port, ["127.0.0.1"]), Tokens("bot-token"), "127.0.0.1")
    behind_tls.content = bytes(20 * MIB + 1)
    with pytest.raises(FileTooLarge):
        await files.fetch_own(behind_tls.address("/file", KEEPER))
    with pytest.raises(FileTooLarge):
        await files.fetch_own(behind_tls.address("/bomb", KEEPER))


async def test_behind_teams_a_file_comes_over_tls(behind_tls: FileHost) -> None:
    names = Names(behind_tls.port, ["127.0.0.1"])
    assert await with_credentials(names, "127.0.0.1").fetch(behind_tls.address("/file")) == behind_tls.content
    (request,) = behind_tls.requests
    assert request.headers["Host"] == NAME


async def test_a_certificate_for_another_name_is_refused(behind_tls: FileHost) -> None:
    names = Names(behind_tls.port, ["127.0.0.1"])
    with pytest.raises(FileUnreachable):
        await with_credentials(names, "127.0.0.1").fetch("https://a.b.sharepoint.com/file")
    assert behind_tls.requests == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_called(behind_tls: FileHost) -> None:
    """DNS rebinding: the second answer leads inside. It is never asked for; asked for anew, it is refused."""
    async with FileHost(tls=True, address="127.0.0.2") as inside:
        names = Names(behind_tls.port, ["127.0.0.1"], ["127.0.0.2"])
        files = with_credentials(names, "127.0.0.1")
        assert await files.fetch(behind_tls.address("/file")) == behind_tls.content
        assert names.asked == [NAME]
        with pytest.raises(FileHostRefused):
            await files.fetch(behind_tls.address("/file"))
        assert len(behind_tls.requests) == 1
        assert inside.requests == []


async def test_all_parts_of_a_file_go_to_the_address_that_was_checked(behind_tls: FileHost) -> None:
    names = Names(behind_tls.port, ["127.0.0.1"], ["127.0.0.2"])
    content = bytes(2 * PART + 7)
    await with_credentials(names, "127.0.0.1").put(behind_tls.address("/upload"), content)
    assert behind_tls.uploaded == content
    assert names.asked == [NAME]


# ---------------------------------------------------------------------- out


@pytest.mark.parametrize("size", [1, PART - 1, PART, PART + 1, 3 * PART])
async def test_a_file_is_put_in_parts_that_an_upload_session_takes(files: Files, host: FileHost, size: int) -> None:
    content = gzip.compress(b"x")[:1] * size
    await files.put(host.address("/upload"), content)
    assert host.uploaded == content
    assert len(host.requests) == -(-size // PART)
    for request in host.requests:
        assert "Authorization" not in request.headers
        assert request.headers["Content-Range"].endswith(f"/{size}")


async def test_there_is_no_empty_file_to_put(files: Files, host: FileHost) -> None:
    with pytest.raises(ValueError, match="empty"):
        await files.put(host.address("/upload"), b"")
    assert host.requests == []


@pytest.mark.parametrize("fault", [500, 503, 429, "lost", "half"])
async def test_a_part_that_was_lost_is_made_good(files: Files, host: FileHost, fault: int | str) -> None:
    content = bytes(range(256)) * (2 * PART // 256)
    host.faults.extend([0, fault] if fault != "half" else [fault])
    await files.put(host.address("/upload"), content)
    assert host.uploaded == content


async def test_the_last_answer_lost_is_no_second_file(files: Files, host: FileHost) -> None:
    host.faults.append("lost")
    await files.put(host.address("/upload"), b"all of it")
    assert host.uploaded == b"all of it"
    assert [request.method for request in host.requests] == ["PUT", "GET"]


async def test_a_place_that_keeps_failing_is_given_up(files: Files, host: FileHost) -> None:
    host.faults.extend([500] * 9)
    with pytest.raises(FileUnreachable):
        await files.put(host.address("/upload"), b"x")
    assert len(host.faults) == 6


@pytest.mark.parametrize(
    ("status", "error"), [(401, PlaceGone), (403, PlaceGone), (404, PlaceGone), (410, PlaceGone), (507, PlaceFull)]
)
async def test_a_place_that_is_no_more_is_not_asked_again(
    files: Files, host: FileHost, status: int, error: type[FileError]
) -> None:
    host.faults.append(status)
    with pytest.raises(error):
        await files.put(host.address("/upload"), b"x")
    assert len(host.requests) == 1


async def test_a_place_that_takes_nothing_in_time_is_given_up(host: FileHost) -> None:
    host.faults.extend(["silent"] * 9)
    files = Files(local=True, patience=Patience(idle=0.2, total=30, pauses=(0.0,)))
    with pytest.raises(FileUnreachable):
        await files.put(host.address("/upload"), b"x")
    assert len(host.faults) == 7


async def test_a_place_elsewhere_is_not_followed(files: Files, host: FileHost) -> None:
    host.faults.append(307)
    with pytest.raises(FileHostRefused):
        await files.put(host.address("/upload"), b"x")
    assert host.uploaded == b""


# ---------------------------------------------------------------------- what is told


async def test_neither_the_log_nor_an_error_holds_the_address(files: Files, host: FileHost) -> None:
    with capture_logs() as logs:
        for path in ("/status/404", "/status/500", "/short", "/redirect?status=302&to=/file&x="):
            with pytest.raises(FileError) as failed:
                await files.fetch(host.address(path) + ("?" if "?" not in path else "&") + "tempauth=secret")
            assert "secret" not in repr(failed.value) + str(failed.value)
            assert failed.value.__cause__ is None
        with pytest.raises(FileError):
            await files.fetch("https://evil.example/?tempauth=secret")
    assert len(logs) >= 5
    assert {entry["host"] for entry in logs} == {"127.0.0.1", "evil.example"}
    assert "secret" not in repr(logs)
