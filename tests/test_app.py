"""The command line speaks to its operator, in their language."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

import app
from bot.composition import CannotStart
from bot.interpreter import RARELY, SWITCH, YOUNG
from bot.settings import load_settings
from tests.pseudo import CLOSE, OPEN, pseudo_operator


@pytest.fixture(autouse=True)
def brackets() -> Iterator[None]:
    with pseudo_operator():
        yield


def helps(command: Any) -> Iterator[str]:
    yield command.help
    yield from (option.help for option in command.params)
    for part in getattr(command, "commands", {}).values():
        yield from helps(part)


def test_every_command_and_option_can_be_explained_in_any_language() -> None:
    said = list(helps(app.command_line()))
    assert len(said) > 10
    assert [text for text in said if not (text or "").startswith(OPEN)] == []


def test_what_a_command_prints_can_be_said_in_any_language() -> None:
    printed = CliRunner().invoke(app.cli, ["demo"]).output.strip().splitlines()
    assert [line for line in printed if not (line.startswith(OPEN) and line.endswith(CLOSE))] == []


async def test_an_address_that_is_taken_is_named_with_the_way_out(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environ = {"PORT": str(port), "STORE_URL": f"tinydb:{tmp_path / 'store'}"}
        with pytest.raises(CannotStart, match=f"^{OPEN}127.0.0.1:{port}: .*HOST and PORT.*{CLOSE}$"):
            async with app.running(load_settings(environ, None)):
                pass


async def test_the_collector_leaves_alone_what_the_start_made_and_threads_take_short_turns(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("bot.listening.raise_handles", lambda: None)  # this process is the tests'
    ready, before = asyncio.Event(), gc.get_freeze_count()
    monkeypatch.setattr(app, "print", lambda *_, **__: ready.set(), raising=False)
    settings = load_settings({"STORE_URL": f"tinydb:{tmp_path / 'store'}"}, None).model_copy(update={"port": 0})
    usual, switching = gc.get_threshold(), sys.getswitchinterval()
    serving = asyncio.create_task(app._serve(settings))
    try:
        await ready.wait()
        assert gc.get_freeze_count() > before
        assert gc.get_threshold() == (YOUNG, usual[1], RARELY)
        assert sys.getswitchinterval() == pytest.approx(SWITCH, abs=1e-6)
    finally:
        gc.set_threshold(*usual)
        sys.setswitchinterval(switching)
        serving.cancel()
        await asyncio.wait([serving])
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(name)


def test_what_can_pile_up_until_all_is_searched_fits_into_the_memory_there_is() -> None:
    """On asyncio's own loop each connection that was open for long leaves a circle of 1.3 KiB, found by that walk."""
    circles = YOUNG * gc.get_threshold()[1] * RARELY / 6  # objects of one
    assert circles * 1.3 / 1024 < 512  # MB, of the 1 GB of deploy/compose.yaml
