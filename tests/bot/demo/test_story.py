"""The story is the smoke test: it plays on any terminal, it notices what goes wrong, and README shows it as it is."""

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from rich.console import Console
from typer.testing import CliRunner

import app
from bot.demo import stage, story
from bot.demo.clock import ForwardClock
from bot.demo.handset import guessed, mistyped
from bot.demo.stage import Shown, StoryFault
from bot.settings import Settings
from provisioning import texts
from provisioning.codes import generate, normalise
from provisioning.errors import InvalidCode, Unavailable
from tests.pseudo import CLOSE, OPEN, Bracketed
from tests.readme import STORY, USER_CODE, between, normalised, transcript

HEX_OF_MACS = {"EC", "ec"}
WHEN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


async def played(width: int = 80, open_service: stage.OpenService = app.running) -> tuple[int, str]:
    page = io.StringIO()
    status = await story.play(open_service, Console(file=page, width=width))
    return status, page.getvalue()


PLAYS: dict[int, tuple[int, str]] = {}  # by the width of the terminal; a play takes three seconds


async def once(width: int = 80) -> tuple[int, str]:
    """A play that nobody disturbs is the same for whoever looks at it."""
    if width not in PLAYS:
        PLAYS[width] = await played(width)
    return PLAYS[width]


# ── the whole story ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_story_ends_well_in_time_and_twice_the_same() -> None:
    runs, seconds = [], []
    for _run in range(2):
        began = time.monotonic()
        runs.append(await played())
        seconds.append(time.monotonic() - began)
    PLAYS[80] = (status, said) = runs[0]
    _status, again = runs[1]
    assert status == 0, said[-2000:]
    assert min(seconds) < 10  # of the two: a busy machine is no fault of the story
    assert "fast-forward" in "".join(said.splitlines()[:5])
    assert normalised(again) == normalised(said)


async def test_readme_shows_the_story_as_it_is() -> None:
    _status, said = await once()
    assert normalised(between(STORY)) == normalised(transcript(said)), "run: make readme"


@pytest.mark.parametrize("width", [80, 100, 200])
async def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(width: int) -> None:
    _status, said = await once(width)
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "\x1b" not in said


DATA = (
    "add devices connect oslo install new code revoke access sam issue bergen to hi invalid_code code_refused "
    "code_expired Oslo Bergen Contoso Dana Sam Technician Admin Rollout Provisioning Bot contoso example Yealink "
    "Mon Tue Mar sign in as out reset room lobby sign_out reset_required demo idp device"
)


async def test_it_plays_in_german() -> None:
    """Each word that a step waits for is one that the bot says in German as well."""
    with texts.speaking(texts.Speech("de")):
        status, said = await played()
    assert status == 0, said[-2000:]
    assert "Als Nächstes: Oslo, Etage 2, Raum 2.14" in said and "Di., 3. März" in said


async def test_it_plays_in_any_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a language of brackets every step still finds what it looks for, and no word stands outside of them."""
    monkeypatch.setattr(texts, "_catalog", lambda _locale: Bracketed())
    status, said = await played()
    assert status == 0, said[-2000:]
    assert OPEN in said
    left = re.sub(USER_CODE, " ", re.sub(r"[\s│─╭╮╰╯═║╔╗╚╝]+", " ", said))
    while (fewer := re.sub(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", " ", left)) != left:
        left = fewer
    assert set(re.findall(r"[^\W\d_]{2,}(?:_[a-z]+)?", left)) - set(DATA.split()) - HEX_OF_MACS == set()


def test_it_is_a_command_and_without_script_it_tells_where_the_page_is() -> None:
    done = CliRunner().invoke(app.cli, ["demo"])
    assert done.exit_code == 0
    assert "http://127.0.0.1:3978/" in done.output and "--script" in done.output


# ── what goes wrong is noticed ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PATIENCE", 0.2)


async def test_a_service_that_refuses_ends_the_story_with_1(impatient: None) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({}, status=503)

    status, said = await played(open_service=_instead(refuse))
    assert status == 1
    assert said.splitlines()[-1].startswith("The story ended too early.") and "503" in said


async def test_a_service_that_says_nothing_ends_the_story_with_1(impatient: None) -> None:
    async def swallow(_request: web.Request) -> web.Response:
        return web.Response()

    status, said = await played(open_service=_instead(swallow))
    assert status == 1
    assert "Expected, and not seen: Dana" in said


def _instead(handler: object) -> stage.OpenService:
    """The real service, but with another chat door."""

    @asynccontextmanager
    async def opened(settings: Settings, clock: ForwardClock) -> AsyncIterator[object]:
        async with app.running(settings, clock) as service:
            other = web.Application()
            other.router.add_post("/api/messages", handler)  # type: ignore[arg-type]
            runner = web.AppRunner(other)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                yield app.Service(f"http://127.0.0.1:{runner.addresses[0][1]}", service.provisioning, service.app)
            finally:
                await runner.cleanup()

    return opened  # type: ignore[return-value]


async def test_a_store_that_cannot_open_ends_the_story_with_1() -> None:
    @asynccontextmanager
    async def broken(_settings: Settings, _clock: ForwardClock) -> AsyncIterator[object]:
        raise Unavailable("the disk is full")
        yield

    status, said = await played(open_service=broken)  # type: ignore[arg-type]
    assert status == 1
    assert "the disk is full" in said


def test_codes_that_are_wrong_on_purpose() -> None:
    code = generate(12)
    with pytest.raises(InvalidCode):
        normalise(mistyped(code), 12)
    other = normalise(guessed(code), 12)
    assert other != code


def test_a_card_that_must_hide_its_code_is_told_from_one_that_must_show_it() -> None:
    body = [{"type": "TextBlock", "id": "code", "text": "4829 1376 0257"}]
    card = Shown("1", "a:sam", "", "", {"body": body}, edited=False)
    assert story.code_of(card) == "4829 1376 0257"
    with pytest.raises(StoryFault):
        story.no_code(card)
    with pytest.raises(StoryFault):
        story.code_of(Shown("1", "a:sam", "", "", {"body": []}, edited=False))


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_sleeps_wakes_when_the_clock_is_moved_past_their_moment() -> None:
    clock = ForwardClock(WHEN)
    rounds: list[datetime] = []

    async def sweep() -> None:
        while True:
            await clock.sleep(20)
            rounds.append(clock.now())

    task = asyncio.create_task(sweep())
    await asyncio.sleep(0)
    await clock.advance(timedelta(seconds=5))
    assert rounds == []
    await clock.advance(timedelta(hours=25))
    assert len(rounds) == 1 and rounds[0] - WHEN >= timedelta(hours=25)
    await clock.advance(timedelta(seconds=30))
    assert len(rounds) == 2
    task.cancel()


async def test_nobody_waits_for_whoever_woke_and_had_nothing_left_to_do() -> None:
    clock, began = ForwardClock(WHEN), asyncio.get_running_loop().time()

    async def once() -> None:
        await clock.sleep(20)

    task = asyncio.create_task(once())
    await asyncio.sleep(0)
    await clock.advance(timedelta(seconds=30))
    assert task.done() and asyncio.get_running_loop().time() - began < 2.5


async def test_it_runs_by_itself_as_well() -> None:
    clock = ForwardClock(WHEN)
    await clock.sleep(0.02)
    assert timedelta(seconds=0.02) <= clock.now() - WHEN < timedelta(seconds=5)
