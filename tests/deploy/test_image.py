"""The image as a machine would run it: nobody's user, a root file system that nobody can write to, /data and /tmp.

No Docker is needed, so it is our reading of the Dockerfile that is played; the packages are those of the tests.
"""

import asyncio
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests.deploy.image import HOUSE, Container, Image, built, container, ignored, no_namespace, patterns

ID = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d0{:02}"
KEY = "k1:" + b64encode(b"k" * 32).decode()
TEAMS = {
    "CLIENT_ID": ID.format(1),
    "CLIENT_SECRET": "not-a-secret",
    "TENANT_ID": ID.format(2),
    "ADMINS": ID.format(3),
    "ORGANISATION": "Contoso",
    "CODE_KEY_FILE": "/run/secrets/code_keys",
}
ROOMS = ("bot", "cards", "provisioning", "storage")
played = pytest.mark.skipif(bool(no_namespace()), reason=no_namespace() or "-")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return built(HOUSE, tmp_path_factory.mktemp("image"))


@pytest.fixture
def inside(image: Image, tmp_path: Path) -> Container:
    port = str(unused_port())
    return container(image, tmp_path, TEAMS | {"PORT": port}, {"code_keys": KEY})


# ------------------------------------------------------------------ what is in it


def test_it_holds_the_service_and_nothing_else(image: Image) -> None:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "app.py", "manifest", *ROOMS]
    ours = set(subprocess.run(listing, cwd=HOUSE, capture_output=True, text=True, check=True).stdout.split())
    there = {path.relative_to(image.root).as_posix() for path in image.root.rglob("*") if path.is_file()}
    assert {name for name in there if not name.endswith(".pyc")} == {f"app/{name}" for name in ours}
    assert "app/bot/__pycache__" in {str(Path(name).parent) for name in there}, "nobody can compile there later"


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".git/config", ".venv/bin/python", "README.md", "tests/conftest.py", "var/store/x", "var/codes.key"),
        *("bot/__pycache__/x.pyc", "bot/x.pyc", "bot/.env", "storage/codes.key", "manifest/x.pem", "Dockerfile"),
    ],
)
def test_what_does_not_belong_into_it_is_not_even_sent(name: str) -> None:
    assert ignored(name, patterns(HOUSE))


@pytest.mark.parametrize("name", ["app.py", "requirements.txt", "bot/settings.py", "provisioning/locale/de/x.mo"])
def test_what_belongs_into_it_is_sent(name: str) -> None:
    assert not ignored(name, patterns(HOUSE))


def test_it_runs_as_nobody_and_can_install_nothing(image: Image) -> None:
    assert re.fullmatch("[1-9][0-9]{3,}:[1-9][0-9]{3,}", image.said["USER"]), (
        "a number, which can be checked from outside"
    )
    assert any(re.search(r"pip uninstall .*\bpip\b", run) for run in image.runs)
    assert not any("apt-get" in run or "pip install" in run for run in image.runs), "only the stage before installs"
    assert (image.said["VOLUME"], image.said["STOPSIGNAL"]) == ("/data", "SIGTERM")
    assert image.env["STORE_URL"].startswith("tinydb:/data/")
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert image.labels["org.opencontainers.image.version"] == project["version"]
    assert image.labels["org.opencontainers.image.licenses"] == project["license"]


async def test_its_health_check_asks_the_service_itself_also_where_a_proxy_is_configured(image: Image) -> None:
    async def well(_request: web.Request) -> web.Response:
        return web.Response(text="well")

    app = web.Application()
    app.router.add_get("/healthz", well)
    async with TestServer(app, host="127.0.0.1") as server:
        _python, *words = image.command("HEALTHCHECK")
        environ = {"PORT": str(server.port), "http_proxy": f"http://127.0.0.1:{unused_port()}"}
        check = await asyncio.create_subprocess_exec(sys.executable, *words, env=environ)
        assert await check.wait() == 0


# ------------------------------------------------------------------ what it does


@contextmanager
def serving(inside: Container) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        inside.command(*inside.image.command("CMD")), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout
            said = [process.stdout.readline()]
            while said[-1] and "is ready" not in said[-1]:
                said.append(process.stdout.readline())
            assert said[-1], "".join(said)
            yield process
        finally:
            process.kill()


def answer(inside: Container, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{inside.env['PORT']}{path}", timeout=10) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@played
def test_it_serves_with_a_root_that_cannot_be_written_to_and_ends_in_order(inside: Container) -> None:
    health = inside.image.command("HEALTHCHECK")
    assert inside.run(*health).returncode != 0, "nothing serves yet"
    with serving(inside) as process:
        assert answer(inside, "/healthz")[0] == 200
        assert inside.run(*health).returncode == 0
        assert answer(inside, "/api/v1/device")[0] == 401
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert time.monotonic() - began < 10
    kept = {path.relative_to(inside.folder / "data").parts[0] for path in (inside.folder / "data").rglob("*")}
    assert kept == {"store"}
    with serving(inside) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, "again, on what is kept"


@played
def test_nobody_can_write_to_its_root(inside: Container) -> None:
    places = "/ /app /opt/venv /usr /etc /run/secrets /dev/shm"
    tried = f"for place in {places}; do touch $place/x && echo $place; done; touch /data/x /tmp/x"
    done = inside.run("sh", "-c", tried)
    assert (done.returncode, done.stdout) == (0, "")
    assert inside.run("sh", "-c", "id -u; id -g").stdout.split() == inside.image.said["USER"].split(":")


@played
def test_the_whole_story_plays_in_it_uploads_included(inside: Container) -> None:
    done = inside.run("python", "app.py", "demo", "--script", seconds=100)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


DRAWN = """
import asyncio
from bot.drawing import Drawings
from provisioning.documents.drawer import SAMPLE

async def draw():
    drawings = Drawings(silence=60)
    print((await drawings.png(SAMPLE, 60))[:4])

asyncio.run(draw())
"""


@played
def test_a_picture_is_drawn_in_it(inside: Container) -> None:
    done = inside.run("python", "-c", DRAWN, seconds=100)
    assert (done.returncode, done.stdout.strip()) == (0, r"b'\x89PNG'"), done.stderr


@played
def test_without_its_secret_it_says_so_and_ends_with_2(image: Image, tmp_path: Path) -> None:
    done = container(image, tmp_path, TEAMS, {}).run(*image.command("CMD"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("CODE_KEY_FILE: /run/secrets/code_keys")


@played
def test_a_backup_goes_to_the_data_too(inside: Container) -> None:
    with serving(inside):
        done = inside.run("python", "app.py", "backup")
        assert done.returncode == 0, done.stderr
    assert list((inside.folder / "data" / "backups").glob("*.sqlite3"))
