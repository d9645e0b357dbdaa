"""Groups of an account, as Microsoft Graph tells them or does not: a real server on loopback answers."""

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bot.adapter_trust import ScopedToken, Tokens
from bot.clouds import Cloud
from bot.credentials import Credentials
from bot.directory import GraphDirectory
from provisioning.directory_errors import DirectoryAway, DirectoryRefuses
from tests.graph import DROPS, HANGS, Answer, Graph, status

SAM = "00000000-0000-4000-8000-0000000000a1"
GROUPS = [f"00000000-0000-4000-9000-{number:012x}" for number in range(45)]


class Entra:
    """Gives tokens, a new one each time it is asked."""

    def __init__(self) -> None:
        self.forms: list[dict[str, Any]] = []
        self.refuses = False

    async def token(self, request: web.Request) -> web.Response:
        self.forms.append(dict(await request.post()))
        if self.refuses:
            return web.json_response({"error": "unauthorized_client"}, status=400)
        return web.json_response({"access_token": f"token-{len(self.forms)}", "expires_in": 3600})


class Stage:
    """The directory under test with Graph and Entra around it; its own clock stands still."""

    def __init__(self, graph: Graph, entra: Entra, session: aiohttp.ClientSession, login: str) -> None:
        self.graph, self.entra, self.seconds = graph, entra, 0.0
        tokens = Tokens(Credentials("app", "secret", "tenant").grants(Cloud("", "", "", login), lambda: session))
        self.directory = GraphDirectory(
            graph.url,
            ScopedToken(tokens, graph.url),
            lambda: session,
            call_seconds=0.2,
            all_seconds=0.5,
            now=lambda: self.seconds,
        )

    async def asks(self, groups: list[str] | None = None) -> frozenset[str]:
        return await self.directory.groups_of(SAM, groups or GROUPS[:3])


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    entra, app = Entra(), web.Application()
    app.router.add_post("/tenant/oauth2/v2.0/token", entra.token)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Graph() as graph, aiohttp.ClientSession() as session:
        yield Stage(graph, entra, session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


async def test_the_groups_of_an_account(stage: Stage) -> None:
    stage.graph.members[SAM] = {GROUPS[1], "another"}
    assert await stage.asks() == {GROUPS[1]}
    assert stage.graph.calls == [(SAM, GROUPS[:3])]
    assert stage.entra.forms[0]["scope"] == f"{stage.graph.url}/.default"
    await stage.asks()
    assert stage.graph.tokens == ["token-1", "token-1"]


async def test_more_than_twenty_groups_are_asked_about_in_parts(stage: Stage) -> None:
    stage.graph.members[SAM] = {GROUPS[0], GROUPS[20], GROUPS[44]}
    assert await stage.asks(GROUPS) == {GROUPS[0], GROUPS[20], GROUPS[44]}
    assert [len(asked) for _account, asked in stage.graph.calls] == [20, 20, 5]


async def test_an_account_that_is_gone_is_in_no_group(stage: Stage) -> None:
    assert await stage.asks() == frozenset()


async def test_what_is_no_account_of_entra_is_not_asked_about(stage: Stage) -> None:
    assert await stage.directory.groups_of("../groups", GROUPS) == frozenset()
    assert stage.graph.calls == []


async def test_a_group_that_nobody_asked_about_gives_nothing(stage: Stage) -> None:
    stage.graph.answers = Answer({"value": ["another", GROUPS[2].upper()]})
    assert await stage.asks() == {GROUPS[2]}


AWAY = {
    "another 404": status(404, "UnknownError"),
    "400": status(400, "Request_BadRequest"),
    "500": status(500, "InternalServerError"),
    "a redirect": Answer({}, 302, {"Location": "https://example.com/"}),
    "hangs": HANGS,
    "drops": DROPS,
    "no JSON": Answer("<html>"),
    "deep JSON": Answer("[" * 30_000),
    "a list": Answer([GROUPS[0]]),
    "no value": Answer({"values": []}),
    "a text for a list": Answer({"value": GROUPS[0]}),
    "numbers": Answer({"value": [1, 2]}),
    "half numbers": Answer({"value": [GROUPS[0], None]}),
    "an error that is a text": Answer({"error": "x"}, 500),
    "an error with an odd code": Answer({"error": {"code": ["x"]}}, 500),
    "without an end": Answer('{"value": ["' + "x" * 100_000 + '"]}'),
}


@pytest.mark.parametrize("answer", AWAY.values(), ids=AWAY.keys())
async def test_what_is_no_answer_is_none(stage: Stage, answer: Answer) -> None:
    stage.graph.answers = answer
    began = time.monotonic()
    with pytest.raises(DirectoryAway) as away:
        await stage.asks()
    assert not isinstance(away.value, DirectoryRefuses)
    assert time.monotonic() - began < 2
    stage.graph.answers, stage.graph.members[SAM] = None, {GROUPS[0]}
    assert await stage.asks() == {GROUPS[0]}


async def test_a_part_of_an_answer_is_none(stage: Stage) -> None:
    """The second of three calls fails: nobody counts as out of the groups of the others."""
    stage.graph.members[SAM] = set(GROUPS)
    stage.graph.turns.extend([None, status(500)])
    with pytest.raises(DirectoryAway):
        await stage.asks(GROUPS)
    assert len(stage.graph.calls) == 2
    assert await stage.asks(GROUPS) == set(GROUPS)


async def test_throttling_is_respected(stage: Stage) -> None:
    stage.graph.answers = status(429, "TooManyRequests", {"Retry-After": "7"})
    with pytest.raises(DirectoryAway):
        await stage.asks()
    stage.graph.answers, stage.graph.members[SAM] = None, {GROUPS[0]}
    stage.seconds = 6.9
    with pytest.raises(DirectoryAway):
        await stage.asks()
    assert len(stage.graph.calls) == 1
    stage.seconds = 7.1
    assert await stage.asks() == {GROUPS[0]}


@pytest.mark.parametrize("word", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 30], ids=lambda w: w[:9])
async def test_an_odd_retry_after_is_some_seconds(stage: Stage, word: str) -> None:
    stage.graph.answers = status(503, "ServiceUnavailable", {"Retry-After": word})
    with pytest.raises(DirectoryAway):
        await stage.asks()
    stage.seconds, stage.graph.answers = 5.1, None
    assert await stage.asks() == frozenset()


async def test_a_missing_permission_is_told_once_with_its_cure(stage: Stage) -> None:
    stage.graph.answers = status(403, "Authorization_RequestDenied")
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(DirectoryRefuses):
                await stage.asks()
        stage.graph.answers = None
        await stage.asks()
    assert [entry["event"] for entry in logs] == ["groups cannot be looked up", "Microsoft Graph answers again"]
    assert "GroupMember.Read.All" in logs[0]["told"] and "User.Read.All" in logs[0]["told"]
    assert logs[0]["reason"] == "403 Authorization_RequestDenied"
    assert "token-" not in repr(logs)


async def test_a_refused_token_is_fetched_anew_once(stage: Stage) -> None:
    stage.graph.answers = status(401, "InvalidAuthenticationToken")
    with pytest.raises(DirectoryRefuses):
        await stage.asks()
    assert stage.graph.tokens == ["token-1", "token-2"]


async def test_without_a_token_nobody_is_asked(stage: Stage) -> None:
    stage.entra.refuses = True
    with pytest.raises(DirectoryAway):
        await stage.asks()
    assert stage.graph.calls == []
