"""The operator's commands on a store, as they are typed: what is printed, what is refused, with which exit code."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tinydb import TinyDB
from typer.testing import CliRunner

import app
from bot.settings import BadConfiguration, load_settings
from provisioning.model import Change, Device
from storage import open_store
from storage.commands import safety
from storage.commands.moving import write_json
from storage.tinydb_engine import RowDB
from tests.pseudo import CLOSE, OPEN, pseudo_operator
from tests.storage import postgres
from tests.storage.samples import device
from tests.storage.test_backup import with_code
from tests.storage.test_transfer import fill

HOUSE = Path(__file__).parents[1]
COMMANDS = ("backup", "restore", "verify", "migrate", "export-json", "import-json", "audit", "audit verify")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No `.env` is near, and of the settings only the store's address is right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE_URL", "tinydb:store")
    monkeypatch.setenv("CODE_DIGITS", "many")
    monkeypatch.setenv("CLIENT_ID", "no id")


@pytest.fixture
async def full(tmp_path):
    await (await fill(tmp_path / "store")).close()
    return tmp_path / "store"


@pytest.fixture
async def coded(tmp_path):
    await (await with_code(tmp_path / "store")).close()
    return tmp_path / "store"


def types(*words):
    """Exit code, stdout, and the lines of stderr."""
    done = CliRunner().invoke(app.cli, [*map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr.splitlines()


def fails(*words):
    """The exit code, and the one line that says why."""
    status, out, faults = types(*words)
    assert out == ""
    return status, faults[-1]


async def devices_of(folder):
    store = await open_store(f"tinydb:{folder}", clock=app.SystemClock())
    try:
        return {each.mac: each for each in (await store.find(Device)).rows}
    finally:
        await store.close()


def test_each_command_explains_itself():
    listed = types("--help")[1] + types("audit", "--help")[1]
    for command in COMMANDS:
        assert command.split()[-1] in listed
        status, out, _ = types(*command.split(), "--help")
        assert (status, "--help" in out) == (0, True)


# ------------------------------------------------------------------ backup, verify


def test_a_backup_gets_a_name_beside_the_store(full, tmp_path):
    status, out, progress = types("backup")
    (file,) = (tmp_path / "backups").iterdir()
    assert (status, file.name.startswith("provisioning-"), str(file) in out) == (0, True, True)
    assert "checked" in out
    assert progress[-1].startswith("pages copied: ")
    assert types("verify") == (0, "56 rows checked: all is well.\n", [])


def test_a_backup_overwrites_nothing(full, tmp_path):
    assert types("backup", "b.sqlite3")[0] == 0
    assert fails("backup", "b.sqlite3") == (1, "b.sqlite3 is there already. Name another file.")


def test_damage_is_told_and_nothing_is_saved_over_it(full, tmp_path):
    file = full / "store.sqlite3"
    file.write_bytes(file.read_bytes().replace(b'"notes":"behind the door"', b'"notes":"behind the d00r"', 1))
    status, said = fails("verify")
    assert (status, 'of "devices" does not' in said) == (1, True)
    assert fails("backup", "b.sqlite3")[0] == 1
    assert fails("export-json", "x.json")[0] == 1
    assert sorted(os.listdir(tmp_path)) == ["store"]


@pytest.mark.parametrize("command", ["backup", "verify", "export-json x.json", "restore --codes-only"])
def test_where_no_store_is_none_is_made(tmp_path, command):
    status, said = fails(*command.split())
    assert (status, "store" in said) == (1, True)
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------ restore


async def test_a_backup_is_put_back_and_the_next_steps_are_told(coded, tmp_path):
    await asyncio.to_thread(types, "backup", "b.sqlite3")
    status, out, progress = await asyncio.to_thread(types, "restore", "b.sqlite3", "--yes")
    assert status == 0
    assert "Codes voided: 1." in out
    assert '"issue all"' in out
    assert "before-restore-" in out
    assert any(line.startswith("devices looked through: 2 of 2") for line in progress)
    assert {each.code for each in (await devices_of(coded)).values()} == {None}


def test_a_restore_asks_first_and_takes_its_file_by_name(coded):
    types("backup", "b.sqlite3")
    before = (coded / "store.sqlite3").read_bytes()
    assert fails("restore", "b.sqlite3") == (2, "Nobody can be asked here. Say --yes.")
    assert fails("restore", "--yes")[0] == 2
    assert fails("restore", "none", "--yes") == (1, "none is not there.")
    assert fails("restore", "b.sqlite3", "--codes-only")[0] == 2
    assert (coded / "store.sqlite3").read_bytes() == before


async def test_codes_are_voided_where_they_are(coded):
    status, out, _ = await asyncio.to_thread(types, "restore", "--codes-only")
    assert (status, "Codes voided: 1." in out) == (0, True)
    devices = await devices_of(coded)
    assert ({each.code for each in devices.values()}, len(devices)) == ({None}, 2)


# ------------------------------------------------------------------ beside a running service


async def test_what_works_beside_a_service_and_what_is_refused(full, tmp_path):
    store = await open_store(f"tinydb:{full}", clock=app.SystemClock())
    try:
        for command in ("verify", "backup b.sqlite3", "export-json x.json", "restore b.sqlite3 --yes"):
            assert (await asyncio.to_thread(types, *command.split()))[0] == 0, command
        for command in ("restore --codes-only", "migrate tinydb:store tinydb:new", "import-json x.json"):
            status, said = await asyncio.to_thread(fails, *command.split())
            assert (status, "in use by another process" in said) == (1, True), command
        assert not (tmp_path / "new").exists()
        await store.save(Change(puts=(device(4711),)))
    finally:
        await store.close()


def test_a_command_of_its_own_process_ends_without_a_traceback(full, tmp_path):
    command = [sys.executable, HOUSE / "app.py", "backup", "/proc/none/b.sqlite3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------ elsewhere and back


async def test_everything_goes_into_a_file_and_back(full, tmp_path):
    status, out, _ = await asyncio.to_thread(types, "export-json", "x.json")
    assert (status, "devices 13" in out) == (0, True)
    with TinyDB("x.json") as db:
        assert len(db.table("devices")) == 13
    assert (await asyncio.to_thread(fails, "export-json", "x.json"))[0] == 1
    assert (await asyncio.to_thread(types, "export-json", "x.json", "--force"))[0] == 0
    assert (await asyncio.to_thread(types, "import-json", "x.json", "--store", "tinydb:other"))[0] == 0
    assert (await asyncio.to_thread(types, "verify", "--store", "tinydb:other"))[0] == 0
    without_codes = {
        mac: replace(
            each,
            code=None,
            retry_key="",
            retry_until=None,
            sign_in=None if each.live_sign_in else each.sign_in,
            commands=tuple(command for command in each.commands if not command.open),
        )
        for mac, each in (await devices_of(full)).items()
    }
    assert await devices_of(tmp_path / "other") == without_codes
    status, said = await asyncio.to_thread(fails, "import-json", "x.json")
    assert (status, "is not empty" in said) == (1, True)


def test_a_bad_file_is_named_by_table_and_row(full, tmp_path):
    types("export-json", "x.json")
    data = json.loads(Path("x.json").read_text("utf-8"))
    data["people"]["1"]["roles"] = ["king"]
    Path("x.json").write_text(json.dumps(data), "utf-8")
    status, said = fails("import-json", "x.json", "--store", "tinydb:other")
    assert (status, 'row 1 of "people"' in said, "king" in said) == (1, True, True)
    assert not (tmp_path / "other").exists()


async def test_a_store_moves(full, tmp_path):
    status, out, _ = await asyncio.to_thread(types, "migrate", "tinydb:store", "tinydb:new/place")
    assert status == 0
    assert "56 rows are there: devices 13, people 1," in out
    assert "STORE_URL=tinydb:new/place" in out
    assert await devices_of(tmp_path / "new/place") == await devices_of(full)
    assert (await asyncio.to_thread(types, "verify", "--store", "tinydb:new/place"))[0] == 0


async def test_a_store_moves_to_a_database_and_back(full, tmp_path):
    with postgres.schema() as url:
        status, out, _ = await asyncio.to_thread(types, "migrate", "tinydb:store", url)
        assert (status, "56 rows are there" in out) == (0, True)
        assert (await asyncio.to_thread(types, "verify", "--store", url)) == (0, "56 rows checked: all is well.\n", [])
        assert (await asyncio.to_thread(fails, "migrate", "tinydb:store", url))[0] == 1
        assert (await asyncio.to_thread(types, "export-json", "x.json", "--store", url))[0] == 0
        assert (await asyncio.to_thread(types, "migrate", url, "tinydb:back"))[0] == 0
        assert (await asyncio.to_thread(types, "restore", "--codes-only", "--store", url))[1].startswith(
            "Codes voided: 1."
        )
        store = await open_store(url, clock=app.SystemClock())
        try:
            assert {each.code for each in (await store.find(Device)).rows} == {None}
            assert (await store.history(limit=1)).rows[0].event.name == "StoreRestored"
        finally:
            await store.close()
    assert (await asyncio.to_thread(types, "verify", "--store", "tinydb:back"))[0] == 0
    assert await devices_of(tmp_path / "back") == await devices_of(full)


@pytest.mark.parametrize(
    "words", ["migrate tinydb:store tinydb:./store", "migrate tinydb:store", "migrate a b", "backup a b"]
)
def test_a_move_nobody_can_mean(full, words):
    status, _, faults = types(*words.split())
    assert (status, bool(faults)) == (2, True)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_an_export_takes_no_place_that_is_no_file_or_is_the_store_s(full, tmp_path, force):
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    for target in ("link", "/dev/null", full / "x.json", full / "store.sqlite3"):
        status, said = fails("export-json", target, *force)
        assert (status, str(target) in said) == (1, True)
    assert (Path("/dev/null").is_char_device(), os.readlink("link")) == (True, str(tmp_path / "missing"))
    assert sorted(os.listdir(full)) == ["store.lock", "store.sqlite3"]
    assert types("verify")[0] == 0


@pytest.mark.parametrize("words", ["export-json x.json", "migrate tinydb:store tinydb:new"])
def test_tables_of_one_s_own_that_are_left_out_are_named(full, words):
    with closing(RowDB(full)) as db:
        db.table("my notes").insert({"text": "hello"})
    status, out, told = types(*words.split())
    assert (status, "devices 13" in out, told[-1]) == (0, True, '"my notes" is a table of your own: it was left out.')


def test_a_restore_makes_no_store_where_nobody_meant_one(full, tmp_path):
    types("backup", "b.sqlite3")
    status, said = fails("restore", "b.sqlite3", "--yes", "--store", "tinydb:sotre")
    assert (status, "mkdir -p -m 700 sotre" in said, Path("sotre").exists()) == (1, True, False)


ON_A_SNAPSHOT = """
mount -t tmpfs none "$0" && cp -r store "$0/store" && mount -o remount,ro "$0" || exit 77
for words in verify "backup b.sqlite3" "export-json x.json"; do
  "$1" "$2" $words --store "tinydb:$0/store" || exit 1
done
"""


@pytest.mark.parametrize("log", ["folded", "not folded"])
def test_a_snapshot_that_nobody_can_write_is_read(full, tmp_path, log):
    if not shutil.which("unshare"):
        pytest.skip("nothing can be mounted here")
    (tmp_path / "disk").mkdir()
    if log == "not folded":
        (full / "store.sqlite3-wal").write_bytes(b"units")
    command = ["unshare", "-rm", "sh", "-c", ON_A_SNAPSHOT, tmp_path / "disk", sys.executable, HOUSE / "app.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("nothing can be mounted here")
    if log == "folded":
        assert (done.returncode, done.stdout.count("\n")) == (0, 3), done.stderr
    else:
        assert (done.returncode, "Copy the whole folder" in done.stderr.splitlines()[-1]) == (1, True)


# ------------------------------------------------------------------ ended on the way


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of so many devices that a command can be ended while it fills a store, and that store."""
    place = tmp_path_factory.mktemp("large")
    asyncio.run(filled(place / "store"))
    asyncio.run(write_json(f"tinydb:{place / 'store'}", place / "x.json", force=False))
    return place


async def filled(folder):
    store = await open_store(f"tinydb:{folder}", clock=app.SystemClock())
    for start in range(0, 8000, 500):
        await store.save(Change(puts=tuple(device(n, notes="x" * 500) for n in range(start, start + 500))))
    await store.close()


# Whoever is started in the background is told to ignore Ctrl-C, and tells it to its children.
_AS_IN_A_TERMINAL = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("after", [0.0, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("words", ["migrate tinydb:{large}/store tinydb:new/place", "import-json {large}/x.json"])
def test_a_command_that_is_ended_leaves_nothing_behind(large, tmp_path, words, name, after):
    target = tmp_path / ("new/place" if words.startswith("migrate") else "store")
    command = [sys.executable, "-c", _AS_IN_A_TERMINAL, HOUSE / "app.py", *words.format(large=large).split()]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, text=True) as running:
        until = time.monotonic() + 30
        while not (target / "store.sqlite3-wal").exists() and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(after)
        running.send_signal(signal.Signals[name])
        out, faults = running.communicate(timeout=30)
    if after and running.returncode == 0:
        return  # on a quick machine it was done before the signal came
    said = [line for line in faults.splitlines() if " of " not in line]
    assert (running.returncode, out, said) == (130 if name == "SIGINT" else 143, "", ["Interrupted."])
    assert os.listdir(tmp_path) == []


def test_what_nobody_foresaw_is_one_line(full, monkeypatch):
    def broken(*_):
        raise LookupError("a surprise")

    monkeypatch.setattr(safety, "verify_store", broken)
    assert fails("verify") == (1, "LookupError: a surprise")


# ------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("backup", "pg_dump --format=custom"),
        ("restore x.dump --yes", "pg_restore --clean"),
        ("restore x.dump --yes", "restore --codes-only"),
    ],
)
def test_postgresql_has_its_own_backup(words, said):
    status, line = fails(*words.split(), "--store", "postgresql://bot:geheim@db/x?password=geheim")
    assert (status, said in line, "geheim" in line) == (2, True, False)


@pytest.mark.parametrize("url", ["mysql://bot:geheim@db/x", "tinydb:", "bot:geheim@db", "store"])
@pytest.mark.parametrize(
    "words", ["backup", "verify", "audit verify", "export-json x", "import-json x", "restore x --yes"]
)
def test_an_address_that_names_no_store(words, url, tmp_path):
    Path("x").write_text("{}")
    status, line = fails(*words.split(), "--store", url)
    assert (status, "names no store" in line, "geheim" in line) == (2, True, False)


@pytest.mark.parametrize(
    "words", ["verify", "audit verify", "export-json x.json", "restore --codes-only", "migrate {url} tinydb:new"]
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(words, tmp_path):
    url = "postgresql://bot:geheim@127.0.0.1:1/x"
    store = [] if "{url}" in words else ["--store", url]
    status, line = fails(*words.format(url=url).split(), *store)
    assert (status, "127.0.0.1" in line, "geheim" in line) == (1, True, False)
    assert os.listdir(tmp_path) == []


def test_what_the_commands_say_can_be_said_in_any_language(full):
    with pseudo_operator():
        for words in ("verify", "audit verify", "backup b.sqlite3", "export-json x.json", "restore b.sqlite3 --yes"):
            _, out, progress = types(*words.split())
            said = [*out.splitlines(), *(line for line in progress if "copied" in line)]
            assert [line for line in said if not (line.startswith(OPEN) and line.endswith(CLOSE))] == []


def test_other_settings_are_really_wrong_here():
    with pytest.raises(BadConfiguration):
        load_settings(os.environ)
