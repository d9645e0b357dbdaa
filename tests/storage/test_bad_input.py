"""Whatever stands where the store should be: the service does not start, says in one line why and what helps, and
leaves every byte as it found it."""

import gzip
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from provisioning.errors import Unavailable
from provisioning.model import Device
from storage import open_store
from storage.tinydb_file import SCHEMA
from tests.fakes import FakeClock
from tests.pseudo import CLOSE, OPEN, pseudo_operator
from tests.storage.samples import device

HOUSE = Path(__file__).parents[2]
PRESENT = Path(__file__).parent / "fixtures" / f"store-v{SCHEMA}.sqlite3.gz"
LINUX = sys.platform == "linux"
ROOT = LINUX and os.geteuid() == 0
NOBODY = 65534


def store_bytes():
    return bytearray(gzip.decompress(PRESENT.read_bytes()))


def file_of(folder, content):
    folder.mkdir()
    (folder / "store.sqlite3").write_bytes(content)


def flipped(at):
    content = store_bytes()
    content[at] ^= 0xFF
    return bytes(content)


# ------------------------------------------------------------------ what may stand there


def a_file(folder):
    folder.write_text("in the way")


def a_file_above(folder):
    folder.write_text("in the way")
    return folder / "store"


def a_folder_of_that_name(folder):
    (folder / "store.sqlite3").mkdir(parents=True)


def a_folder_for_a_lock(folder):
    (folder / "store.lock").mkdir(parents=True)


def random_bytes(folder):
    file_of(folder, bytes(n * 7919 % 251 for n in range(9000)))


def a_text(folder):
    file_of(folder, b"MAC;Location\n")


def of_another_program(folder):
    folder.mkdir()
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY)")


def of_another_program_with_a_version(folder):
    of_another_program(folder)
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.execute("PRAGMA user_version=1")


def from_the_future(folder):
    file_of(folder, bytes(store_bytes()))
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        connection.execute("PRAGMA user_version=99")


def empty_beside_its_log(folder):
    file_of(folder, b"")
    (folder / "store.sqlite3-wal").write_bytes(b"units that were acknowledged")


def half_a_page(folder):
    file_of(folder, bytes(store_bytes()[:2048]))


def a_header_only(folder):
    file_of(folder, bytes(store_bytes()[:100]))


def a_page_only(folder):
    file_of(folder, bytes(store_bytes()[:4096]))


def without_its_last_pages(folder):
    file_of(folder, bytes(store_bytes()[:-5000]))


def flipped_magic(folder):
    file_of(folder, flipped(3))


def flipped_page_size(folder):
    file_of(folder, flipped(16))


def flipped_program(folder):
    file_of(folder, flipped(70))


def no_version(folder):
    content = store_bytes()
    content[60:64] = bytes(4)
    file_of(folder, bytes(content))


RESTORE = "python app.py restore FILE"
CASES = {
    a_file: ("a file where a folder is needed", "Move it away"),
    a_file_above: ("a file where a folder is needed", "Move it away"),
    a_folder_of_that_name: ("a folder where a file is", "Move it away", "store.sqlite3"),
    a_folder_for_a_lock: ("a folder where a file is", "Move it away", "store.lock"),
    random_bytes: ("damaged", RESTORE),
    a_text: ("damaged", RESTORE),
    of_another_program: ("another program", "STORE_URL=tinydb:PATH"),
    of_another_program_with_a_version: ("another program", "STORE_URL=tinydb:PATH"),
    from_the_future: ("newer version", "schema 99", "Start the newer version"),
    empty_beside_its_log: ("damaged", "empty, but its log is not", RESTORE),
    half_a_page: ("damaged", RESTORE),
    a_header_only: ("damaged", RESTORE),
    a_page_only: ("damaged", RESTORE),
    without_its_last_pages: ("damaged", RESTORE),
    flipped_magic: ("damaged", RESTORE),
    flipped_page_size: ("damaged", RESTORE),
    flipped_program: ("another program", RESTORE),
    no_version: ("damaged", "version is missing", RESTORE),
}


def bytes_of(place):
    """Everything below, but the lock, which is ours to make."""
    paths = sorted(place.rglob("*")) if place.is_dir() else [place]
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in paths
        if path.name != "store.lock" or path.is_dir()
    }


def laid(case, tmp_path):
    place = tmp_path / "store"
    return place, case(place) or place


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_it_is_refused_with_its_cure_and_left_alone(case, tmp_path):
    place, folder = laid(case, tmp_path)
    before = bytes_of(place)
    for _ in range(2):  # the first refusal leaves nothing behind that would change the second
        with pytest.raises(Unavailable) as refusal:
            await open_store(f"tinydb:{folder}", clock=FakeClock())
        for word in (str(place), *CASES[case]):
            assert word in refusal.value.reason
        assert "\n" not in refusal.value.reason
        assert bytes_of(place) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_all_of_it_can_be_said_in_any_language(case, tmp_path):
    _, folder = laid(case, tmp_path)
    with pseudo_operator(), pytest.raises(Unavailable) as refusal:
        await open_store(f"tinydb:{folder}", clock=FakeClock())
    assert (refusal.value.reason[0], refusal.value.reason[-1]) == (OPEN, CLOSE)


async def test_an_empty_file_is_a_first_start_that_was_cut_off(tmp_path):
    """SQLite makes the file before it writes to it, so kill -9 may leave that; there was nothing to lose yet."""
    file_of(tmp_path / "store", b"")
    store = await open_store(f"tinydb:{tmp_path / 'store'}", clock=FakeClock())
    assert await store.count(Device) == 0
    await store.verify(deep=True)
    await store.close()


async def test_a_store_that_another_program_has_locked_is_told(tmp_path, monkeypatch):
    place, _ = laid(lambda folder: file_of(folder, bytes(store_bytes())), tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **(k | {"timeout": 0.1})))
    with closing(connect(place / "store.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable) as refusal:
            await open_store(f"tinydb:{place}", clock=FakeClock())
        assert "locked by another program" in refusal.value.reason
        other.execute("ROLLBACK")
    store = await open_store(f"tinydb:{place}", clock=FakeClock())
    assert await store.get(Device, device(2).mac)
    await store.close()


# ------------------------------------------------------------------ as the operator meets it


SERVE = [sys.executable, str(HOUSE / "app.py"), "serve"]


def serves(folder, command=SERVE):
    """The service as its own process that cannot start: its exit code and what it said on stderr."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    environ = {
        "PATH": os.environ["PATH"],
        "STORE_URL": f"tinydb:{folder}",
        "CODE_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "PORT": str(port),
        "PYTHONPATH": str(HOUSE),
    }
    return subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, check=False, timeout=60)


def one_line(done, *words):
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "case", [a_file, of_another_program, from_the_future, half_a_page], ids=lambda case: case.__name__
)
def test_the_service_ends_with_one_line(case, tmp_path):
    place, folder = laid(case, tmp_path)
    before = bytes_of(place)
    one_line(serves(folder), str(place), *CASES[case])
    assert bytes_of(place) == before


def test_a_store_that_another_process_has_is_told(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "store")]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "ready\n"
        before = (tmp_path / "store" / "store.sqlite3").read_bytes()
        try:
            one_line(serves(tmp_path / "store"), str(tmp_path / "store"), "in use by another process", "Stop that one")
            assert (tmp_path / "store" / "store.sqlite3").read_bytes() == before
        finally:
            holder.kill()


HOLD = """
import sys, time
from pathlib import Path
from storage.tinydb_engine import RowDB
from storage.tinydb_file import StoreFile
RowDB(sys.argv[1]).close()
file = StoreFile(Path(sys.argv[1]))
file.take()
print("ready", flush=True)
time.sleep(60)
"""


AS_NOBODY = f"""
import os, pwd, sys
import aiohttp.web, app, bot.composition, bot.logs, storage.tinydb_store  # while they can be read: roots keep theirs
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
sys.argv = ["app.py", "serve"]
app.main()
"""


def reachable(path):
    """Everybody may walk to it; pytest keeps its folders to itself."""
    for each in (path, *path.parents):
        if each != Path("/"):
            each.chmod(each.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
@pytest.mark.parametrize("where", ["somebody else's folder", "somebody else's file", "0500"])
def test_what_the_user_may_not_write_is_told(tmp_path, where):
    folder = tmp_path / "store"
    file_of(folder, bytes(store_bytes()))
    reachable(folder)
    if where == "somebody else's file":
        folder.chmod(0o777)
    elif where == "0500":
        os.chown(folder, NOBODY, NOBODY)
        os.chown(folder / "store.sqlite3", NOBODY, NOBODY)
        folder.chmod(0o500)
    before = bytes_of(folder)
    named = folder / "store.sqlite3" if where == "somebody else's file" else folder
    done = serves(folder, [sys.executable, "-c", AS_NOBODY])
    one_line(done, str(named), "cannot be written by nobody", f"chown -R nobody {named}")
    assert bytes_of(folder) == before


def can_mount(where):
    if not LINUX or not shutil.which("unshare"):
        return False
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(where)]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("there", ["a store", "nothing"])
def test_a_file_system_that_is_mounted_read_only_is_told(tmp_path, there):
    if not can_mount(tmp_path):
        pytest.skip("nothing can be mounted here")
    file_of(tmp_path / "made", bytes(store_bytes()))
    disk = tmp_path / "disk"
    disk.mkdir()
    lay = f'cp -r {tmp_path}/made "$0/store"' if there == "a store" else "true"
    script = f'mount -t tmpfs none "$0" && {lay} && mount -o remount,ro "$0" && exec "$@"'
    done = serves(disk / "store", ["unshare", "-rm", "sh", "-c", script, str(disk), *SERVE])
    one_line(done, str(disk), "mounted read-only", "Mount it for writing")
