"""What keeps the service from starting: exit code 2 and one clear line for each fault, read from a real process."""

import os
import socket
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

import app
from bot.clock_check import ClockCheck
from bot.composition import CannotStart
from bot.settings import load_settings
from tests import certificates
from tests.fakes import FakeClock
from tests.secret_files import private

APP = Path(__file__).parents[1] / "app.py"
GUID = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d00{}".format
KEYS = {"CODE_KEYS": f"k1:{b64encode(bytes(32)).decode()}"}
TEAMS = {
    "CLIENT_ID": GUID(1),
    "CLIENT_SECRET": "s3cr3t-value",
    "TENANT_ID": GUID(2),
    "ADMINS": GUID(3),
    "ORGANISATION": "Fabrikam",
    **KEYS,
}
# A service that says how its collector stands once it is ready, and ends.
COLLECTING = """
import gc, os, signal
import app

def said(*words, **_):
    if "is ready" in words[0]:
        os.write(2, f"{gc.isenabled()} {gc.get_freeze_count() > 50_000}".encode())
        os.kill(os.getpid(), signal.SIGTERM)

app.print = said
app.serve()
"""
YEARS_AGO = (
    "import app, datetime, sys; app.SystemClock.now = lambda self: datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC);"
    "sys.argv = ['app.py']; app.main()"
)


def started(folder: Path, environ: dict[str, str], *command: str) -> tuple[int, list[str]]:
    """The exit code, and the lines on stderr."""
    done = subprocess.run(
        [sys.executable, *(command or (str(APP),))],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(APP.parent), "PORT": "3979", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "is ready" not in done.stdout
    return done.returncode, done.stderr.splitlines()


def damaged(folder: Path) -> dict[str, str]:
    (folder / "store").mkdir()
    (folder / "store" / "store.sqlite3").write_bytes(b"no database at all, " * 500)
    return {"STORE_URL": f"tinydb:{folder / 'store'}"}


def not_a_folder(folder: Path) -> dict[str, str]:
    (folder / "store").write_text("a file")
    return {"STORE_URL": f"tinydb:{folder / 'store'}"}


def ended(folder: Path) -> Path:
    key = certificates.rsa_key()
    return certificates.written(folder, key, certificates.certificate_for(key, days=-0.5))


def shared(folder: Path, text: str) -> Path:
    """A file that would be fine but for its permissions; on Windows it is a folder, which is no better."""
    path = folder / "secret"
    if os.name != "posix":
        path.mkdir()
        return path
    private(path, text).chmod(0o644)
    return path


FAULTS = {
    "open to others without credentials": (lambda folder: {"HOST": "0.0.0.0"}, ["HOST: "]),
    "credentials without a tenant": (lambda folder: TEAMS | {"TENANT_ID": ""}, ["TENANT_ID: is missing."]),
    "credentials without a secret": (lambda folder: TEAMS | {"CLIENT_SECRET": ""}, ["CLIENT_SECRET: is missing."]),
    "credentials without keys": (lambda folder: TEAMS | {"CODE_KEYS": ""}, ["CODE_KEYS: is missing."]),
    "a key file that is not there": (
        lambda folder: TEAMS | {"CODE_KEYS": "", "CODE_KEY_FILE": str(folder / "codes.key")},
        ["CODE_KEY_FILE: "],
    ),
    "a key file that everybody can read": (
        lambda folder: TEAMS | {"CODE_KEYS": "", "CODE_KEY_FILE": str(shared(folder, TEAMS["CODE_KEYS"]))},
        ["CODE_KEY_FILE: "],
    ),
    "webhooks that everybody can read": (
        lambda folder: {"WEBHOOKS_FILE": str(shared(folder, ""))},
        ["WEBHOOKS_FILE: "],
    ),
    "two faults": (
        lambda folder: TEAMS | {"TENANT_ID": "", "PORT": "many"},
        ["TENANT_ID: is missing.", "PORT: "],
    ),
    "a certificate that ended": (
        lambda folder: TEAMS | {"CLIENT_SECRET": "", "CLIENT_CERTIFICATE_FILE": str(ended(folder))},
        ["CLIENT_CERTIFICATE_FILE: "],
    ),
    "a certificate that is not there": (
        lambda folder: TEAMS | {"CLIENT_SECRET": "", "CLIENT_CERTIFICATE_FILE": str(folder / "bot.pem")},
        ["CLIENT_CERTIFICATE_FILE: "],
    ),
    "a secret and a managed identity": (
        lambda folder: TEAMS | {"MicrosoftAppType": "UserAssignedMSI"},
        ["CLIENT_SECRET, MicrosoftAppType: only one of them can say who the bot is."],
    ),
    "a cloud nobody knows": (lambda folder: TEAMS | {"ChannelService": "https://x.example"}, ["ChannelService: "]),
    "no admin": (lambda folder: TEAMS | {"ADMINS": ""}, ["ADMINS: is missing."]),
    "a store of no known form": (lambda folder: {"STORE_URL": "mysql://x"}, ["STORE_URL: "]),
    "a damaged store": (damaged, [""]),
    "a store that is no folder": (not_a_folder, [""]),
    "a database that is not there": (
        lambda folder: {"STORE_URL": "postgresql://bot:pa55word@127.0.0.1:9/none"},
        [""],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_it_does_not_start_and_says_why_in_a_line_each(tmp_path: Path, case: str) -> None:
    environ, lines = FAULTS[case][0](tmp_path), FAULTS[case][1]
    code, said = started(tmp_path, environ)
    assert (code, len(said)) == (2, len(lines)), said
    for line, beginning in zip(sorted(said), sorted(lines), strict=True):
        assert line.startswith(beginning)
    assert "Traceback" not in "".join(said)
    assert "pa55word" not in "".join(said)
    assert "s3cr3t" not in "".join(said)


def test_a_clock_from_years_ago_is_one(tmp_path: Path) -> None:
    code, said = started(tmp_path, {}, "-c", YEARS_AGO)
    assert (code, len(said)) == (2, 1), said
    assert said[0].startswith("The clock shows 2020-01-01 00:00 UTC. Set it")


def test_what_was_loaded_is_searched_no_more_once_it_is_ready(tmp_path: Path) -> None:
    """And what comes after is, as ever."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {"STORE_URL": f"tinydb:{tmp_path / 'store'}", "PORT": str(port)}
    assert started(tmp_path, environ, "-c", COLLECTING) == (0, ["True True"])


async def test_a_clock_that_is_far_from_others_is_one() -> None:
    async def theirs() -> datetime:
        return datetime(2026, 3, 2, 10, 0, tzinfo=UTC)

    clocks = ClockCheck(FakeClock(), {"login.example": theirs, "the database": theirs})
    with pytest.raises(CannotStart) as cannot:
        await app.require_well([clocks.faults])
    lines = str(cannot.value).splitlines()
    assert [line.partition(". ")[0] for line in lines] == [
        "The clock is 120 min behind that of login.example",
        "The clock is 120 min behind that of the database",
    ]


async def test_a_clock_that_is_moved_later_makes_the_service_not_ready(tmp_path: Path, monkeypatch) -> None:
    """Nobody restarts it for that: whoever looks at `/readyz` is told, and told when it is right again."""
    import aiohttp

    settings = load_settings({"STORE_URL": f"tinydb:{tmp_path / 'store'}"}, None).model_copy(update={"port": 0})
    async with app.running(settings) as service, aiohttp.ClientSession() as client:
        found = []
        for years in (0, 7, 0):
            moved = datetime.now(UTC).replace(year=datetime.now(UTC).year - years, day=1)
            monkeypatch.setattr(service.provisioning.clock, "now", lambda moved=moved: moved, raising=False)
            async with client.get(f"{service.url}/readyz") as answer:
                found.append((answer.status, (await answer.json()).get("faults", [])))
        assert [status for status, _ in found] == [200, 503, 200]
        assert found[1][1][0].startswith("The clock shows 20")
