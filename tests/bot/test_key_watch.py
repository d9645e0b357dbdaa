"""A running service takes new keys from its file; nothing that goes wrong there takes the old ones away."""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import app
from bot.composition import CannotStart
from bot.key_watch import KEY_SECONDS, foreign_keys, tell_missing_keys, watch_keys
from bot.settings import load_settings
from provisioning.codes import Key, Keyring
from provisioning.service import Provisioning
from storage.commands.ground import Ground
from storage.commands.safety import void_codes
from storage.memory_store import MemoryStore
from tests.provisioning.world import DANA, POLICY, SAM, A, B, World
from tests.secret_files import private


def line(name: str) -> str:
    return f"{name}:{b64encode(name.encode() * 16).decode()}\n"


def key(name: str) -> Key:
    return Key(name, name.encode() * 16)


@asynccontextmanager
async def watched(world: World, path: Path | None) -> AsyncIterator[None]:
    loops = (watch_keys(world.core, path, 0.01), tell_missing_keys(world.core, 0.01))
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a file is looked at
            await asyncio.sleep(0.005)


@pytest.fixture
async def world() -> World:
    store, clock = MemoryStore(), app.SystemClock()
    return World(store, clock, Provisioning(store, clock, Keyring([key("k1")]), POLICY))  # type: ignore[arg-type]


async def test_a_new_key_is_taken_while_it_runs_and_an_old_one_let_go(world: World, tmp_path: Path) -> None:
    path, keys = private(tmp_path / "codes.key", line("k1")), world.core.keys
    async with watched(world, path):
        for text in ("k1 k2", "k2 k1", "k2 k3", "k2"):
            with capture_logs() as logs:
                private(path, "".join(map(line, text.split())))
                await until(lambda now=text: list(keys.ids) == now.split())  # type: ignore[misc]
            assert [entry["keys"] for entry in logs if "keys" in entry] == [keys.ids]
    assert world.core.keys is keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("", "at least one key"),
        ("damaged", "is not id:KEY"),
        (line("k2"), "k1, which codes are made with now, is not among them"),
        (f"k1:{b64encode(b'x' * 32).decode()}\n", "k1 is another one than before"),
        ("open", "Everybody on this computer"),
    ],
)
async def test_a_bad_file_takes_nothing_away_and_is_told_once(
    world: World, tmp_path: Path, text: str | None, said: str
) -> None:
    path = private(tmp_path / "codes.key", line("k1"))
    with capture_logs() as logs:
        async with watched(world, path):
            if text is None:
                path.unlink()
            else:
                private(path, line("k1") if text == "open" else text).chmod(0o644 if text == "open" else 0o600)
            await until(lambda: bool(logs))
            await asyncio.sleep(0.1)  # some more looks
            assert world.core.keys.ids == ("k1",)
            assert len(logs) == 1 and said in logs[0]["reason"] and logs[0]["log_level"] == "error"
            private(path, line("k2") + line("k1"))
            await until(lambda: world.core.keys.ids == ("k2", "k1"))


async def test_keys_are_taken_while_a_large_store_is_looked_through(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a rotation could end before a service that has just started knows the new key."""
    path, looking = private(tmp_path / "codes.key", line("k1")), asyncio.Event()

    async def takes_long() -> Counter[str]:
        looking.set()
        return await asyncio.Future()

    monkeypatch.setattr(world.core, "codes_without_key", takes_long)
    async with watched(world, path):
        await looking.wait()
        private(path, line("k1") + line("k2"))
        await until(lambda: world.core.keys.ids == ("k1", "k2"))


async def test_without_a_file_it_rests(world: World) -> None:
    async with watched(world, None):
        await asyncio.sleep(0.05)
    assert KEY_SECONDS == 2


async def test_live_codes_without_their_key_are_counted_by_key(world: World) -> None:
    await world.people()
    await world.add((A, "Oslo/1"), (B, "Oslo/2"))
    await world.issue(A, SAM)
    world.core.keys.take([key("k2"), key("k1")])
    await world.issue(B, SAM)
    assert await world.core.codes_without_key() == {}
    world.core.keys.take([key("k2")])
    assert await world.core.codes_without_key() == {"k1": 1}
    assert await foreign_keys(world.core) == []  # one of the codes fits
    with capture_logs() as logs:
        async with watched(world, None):
            await until(lambda: bool(logs))
    assert [(entry["codes"], entry["keys"]) for entry in logs] == [(1, ["k1"])]
    world.core.keys = Keyring([key("k9")])
    [fault] = await foreign_keys(world.core)
    assert "(k1, k2)" in fault and "restore --codes-only" in fault


async def test_with_the_keys_of_another_store_it_does_not_start(tmp_path: Path) -> None:
    """And with the right ones it does; where they are lost, voiding the codes is the way out."""

    def settings(keys: str):
        environ = {"STORE_URL": f"tinydb:{tmp_path / 'store'}", "CODE_KEYS": keys.strip(), "ADMINS": DANA}
        return load_settings(environ, None).model_copy(update={"port": 0})

    async with app.running(settings(line("k1"))) as service:
        world = World(service.provisioning.store, service.provisioning.clock, service.provisioning)  # type: ignore[arg-type]
        await world.people()
        await world.add((A, "Oslo/1"))
        await world.issue(A, SAM)
    with pytest.raises(CannotStart, match=r"other keys than those of the live codes in the store \(k1\)"):
        async with app.running(settings(line("k2"))):
            pass
    async with app.running(settings(line("k2") + "," + line("k1"))):
        pass
    await void_codes(Ground(str, app.SystemClock()), f"tinydb:{tmp_path / 'store'}", None)
    async with app.running(settings(line("k2"))):
        pass
