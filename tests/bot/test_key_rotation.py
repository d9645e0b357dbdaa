"""`rotate-keys` and `--retire`: what stands in the key file at each step, what is said, what is left alone."""

import asyncio
import os
import stat
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

import app
from bot.key_file import BadKeyFile, ensure_key_file, new_key, read_key_file, read_keys, write_keys
from bot.key_rotation import RotationFault, by_hand, retire, rotate
from provisioning import throttle
from provisioning.codes import Keyring
from provisioning.key_use import KeyUses, Need, Tally
from tests.secret_files import private

NONE_USED = KeyUses("")
K1, K2 = f"k1:{b64encode(b'1' * 32).decode()}", f"k2:{b64encode(b'2' * 32).decode()}"
Pause = Callable[[float], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return private(tmp_path / "codes.key", f"# made in May\n{K2}\n{K1} # the first\n")


def ids(path: Path) -> list[str]:
    return [key.id for key in read_key_file(path)]


def content(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def watching(path: Path, seen: list[list[str]]) -> Pause:
    """Notes what a service would read while the command waits."""

    async def pause(_seconds: float) -> None:
        seen.append(ids(path))

    return pause


async def at_once(_seconds: float) -> None:
    return


async def nothing(_oldest: str) -> KeyUses:
    return NONE_USED


async def test_a_new_key_is_known_before_it_is_used(path: Path) -> None:
    seen: list[list[str]] = []
    said: list[str] = []
    new = await rotate(path, watching(path, seen), said.append)
    assert seen == [["k2", new, "k1"], [new, "k2", "k1"]]
    assert ids(path) == [new, "k2", "k1"]
    assert content(path).startswith("# made in May\n") and "next" not in content(path)
    assert len(said) == 3 and not [line for line in said if read_key_file(path)[0].secret.hex() in line]


async def test_a_ring_that_follows_the_file_makes_and_reads_all_the_while(path: Path) -> None:
    ring, made = Keyring(read_key_file(path)), []

    async def pause(_seconds: float) -> None:
        made.append(ring.wrap("A", "0"))  # a service that has not looked yet
        assert ring.take(read_key_file(path))
        made.append(ring.wrap("A", "0"))

    for _ in range(3):
        new = await rotate(path, pause, str)
        assert ring.ids[0] == new
    assert {ring.unwrap("A", each) for each in made} == {"0"}
    assert len({each.partition(":")[0] for each in made}) == 4


async def test_limits_and_words_about_networks_are_found_again_whichever_keys_there_are(path: Path) -> None:
    private(path, f"{K1}\n")  # the only key: the new one stands behind it for a while
    ring = Keyring(read_key_file(path))
    before = throttle.slots(ring, "A", "10.0.0.1", trusted=False)

    async def pause(_seconds: float) -> None:
        ring.take(read_key_file(path))
        assert throttle.slots(ring, "A", "10.0.0.1", trusted=False) == before

    for _ in range(2):
        await rotate(path, pause, str)
    assert await retire(path, nothing, pause, str) != []
    await pause(0)
    assert len(ring.ids) == 1 and throttle.slots(Keyring(read_key_file(path)), "A", "10.0.0.1", trusted=False) == before
    assert content(path).count("# counters: ") == 1


async def test_cut_off_between_the_steps_it_goes_on(path: Path) -> None:
    async def cut_off(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rotate(path, cut_off, str)
    first, new, last = ids(path)
    assert (first, last) == ("k2", "k1")
    with pytest.raises(RotationFault, match="Say rotate-keys first"):
        await retire(path, nothing, at_once, str)
    said: list[str] = []
    assert await rotate(path, at_once, said.append) == new
    assert ids(path) == [new, "k2", "k1"] and f"goes on with {new}" in said[0]
    assert await rotate(path, at_once, str) != new  # that one was ended: now a new one begins


@pytest.mark.parametrize("step", [0, 1])
async def test_a_fault_while_writing_leaves_the_file_as_it_was(
    path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    replace = Path.replace

    def fails(draft: Path, target: Path) -> Path:
        written.append(draft)
        if len(written) > step:
            raise OSError(28, "No space left on device")
        return replace(draft, target)

    monkeypatch.setattr(Path, "replace", fails)
    before = ids(path)
    with pytest.raises(RotationFault, match=r"cannot be replaced \(No space left on device\)"):
        await rotate(path, at_once, str)
    assert ids(path)[:1] == before[:1] and len(ids(path)) == 2 + step
    assert sorted(each.name for each in path.parent.iterdir()) == [".codes.key.lock", "codes.key"]


async def test_what_somebody_else_wrote_meanwhile_stays(path: Path) -> None:
    async def meddles(_seconds: float) -> None:
        private(path, f"{K2}\n")

    with pytest.raises(RotationFault, match="changed by somebody else"):
        await rotate(path, meddles, str)
    assert content(path) == f"{K2}\n"


async def test_one_at_a_time(path: Path) -> None:
    async def another(_seconds: float) -> None:
        await rotate(path, at_once, str)

    with pytest.raises(RotationFault, match="Another rotate-keys is under way"):
        await rotate(path, another, str)


@pytest.mark.skipif(os.name != "posix", reason="owners and permission bits")
def test_owner_group_and_mode_stay_and_nothing_is_left_lying_about(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 0, 4321)
    before = path.stat()
    (tmp_path / "link").symlink_to(path)
    asyncio.run(rotate(tmp_path / "link", at_once, str))
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert after.st_size > before.st_size and (tmp_path / "link").is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == [".codes.key.lock", "codes.key", "link"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
async def test_a_draft_is_never_readable_by_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = Path.replace

    def looks(draft: Path, target: Path) -> Path:
        modes.append(stat.S_IMODE(draft.stat().st_mode))
        return replace(draft, target)

    monkeypatch.setattr(Path, "replace", looks)
    former = os.umask(0)
    try:
        await rotate(path, at_once, str)
    finally:
        os.umask(former)
    assert modes == [0o600, 0o600]


@pytest.mark.parametrize(("text", "said"), [(None, "does not exist"), ("damaged", "Key 1 is not id:KEY")])
async def test_without_good_keys_there_is_nothing_to_rotate(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "codes.key"
    if text is not None:
        private(path, text)
    for work in (rotate(path, at_once, str), retire(path, nothing, at_once, str)):
        with pytest.raises((RotationFault, BadKeyFile), match=said):
            await work
    assert not path.exists() or content(path) == text


# ------------------------------------------------------------------ the end of old keys


def used(**found: dict[Need, Tally]) -> Callable[[str], Awaitable[KeyUses]]:
    async def uses(oldest: str) -> KeyUses:
        return KeyUses(oldest, found)

    return uses


async def test_only_what_nothing_needs_is_dropped(path: Path) -> None:
    private(path, write_keys([*read_key_file(path), new_key(), new_key()]))
    _, _, third, fourth = ids(path)
    said: list[str] = []
    until = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
    uses = used(k1={Need.LIVE_CODE: Tally(12, until), Need.UPLOAD: Tally(3)}, lost={Need.LIVE_CODE: Tally(1, until)})
    assert await retire(path, uses, at_once, said.append) == [third, fourth]
    assert ids(path) == ["k2", "k1"]
    assert said[1:] == [
        "k2: kept, it makes the codes.",
        "k1: kept for live codes (12, until 2026-12-01 10:00 UTC); rows of uploads (3).",
        f"{third}: nothing needs it any more.",
        f"{fourth}: nothing needs it any more.",
        "lost: is missing, and needed for live codes (1, until 2026-12-01 10:00 UTC).",
    ]


async def test_it_waits_until_the_file_is_old_enough(path: Path) -> None:
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    await retire(path, used(k1={}), pause, str, 60)
    assert len(waited) == 1 and 50 < waited[0] <= 60
    os.utime(path, (0, 0))
    await retire(path, used(k1={}), pause, str, 60)
    assert len(waited) == 1
    assert ids(path) == ["k2", "k1"]


async def test_a_store_that_cannot_be_read_keeps_every_key(path: Path) -> None:
    async def away(_oldest: str) -> KeyUses:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await retire(path, away, at_once, str)
    assert ids(path) == ["k2", "k1"]


# ------------------------------------------------------------------ as it is typed


def types(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app.cli, ["rotate-keys", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where it is typed; most settings are wrong, which keeps nobody from changing keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE_URL", f"tinydb:{tmp_path / 'store'}")
    monkeypatch.setenv("CODE_DIGITS", "many")
    return tmp_path


def test_a_rotation_is_typed(typed: Path) -> None:
    ensure_key_file(typed / "codes.key")
    [old] = ids(typed / "codes.key")
    status, out, err = types("--wait", "0")
    new, last = ids(typed / "codes.key")
    assert (status, last, err) == (0, old, "") and f"{new} is there, and not used yet." in out
    for key in read_key_file(typed / "codes.key"):
        assert b64encode(key.secret).decode() not in out


async def test_old_keys_are_dropped_beside_the_store(typed: Path) -> None:
    from storage import open_store

    ensure_key_file(typed / "codes.key")
    store = await open_store(f"tinydb:{typed / 'store'}", clock=app.SystemClock())
    try:
        assert (await asyncio.to_thread(types, "--wait", "0"))[0] == 0
        status, out, _ = await asyncio.to_thread(types, "--retire", "--wait", "0")
    finally:
        await store.close()
    assert status == 0 and "Dropped: " in out and len(ids(typed / "codes.key")) == 1


def test_where_a_deployment_holds_the_keys_it_says_what_to_do(typed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_KEYS", K1)
    status, out, err = types()
    [key] = read_keys(out)
    assert status == 2 and key.id != "k1" and len(err.splitlines()) == len(by_hand()[0])
    assert "(FIRST,NEW,OTHERS)" in err and "(NEW,FIRST,OTHERS)" in err and K1 not in out + err
    status, out, err = types("--retire")
    assert status == 1 and "holds no store" in err


@pytest.mark.parametrize("words", [(), ("--retire",)])
def test_faults_are_one_line(typed: Path, words: tuple[str, ...]) -> None:
    assert types(*words)[::2] == (
        1,
        f"{Path('codes.key').absolute()} does not exist. Restore it, or correct the path.\n",
    )
    private(typed / "codes.key", "damaged")
    status, out, err = types(*words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)


def test_so_are_those_of_keys_that_a_deployment_holds(typed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_KEYS", "k1:damaged")
    status, out, err = types("--retire")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("CODE_KEYS: Key 1 is not id:KEY") and "damaged" not in err


def test_without_a_setting_there_is_nothing_to_change(typed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_ID", "x")
    assert types()[::2] == (2, "CODE_KEYS and CODE_KEY_FILE are not set: there are no keys to change.\n")
