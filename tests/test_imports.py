"""What each way of starting loads, and above all what it does not: read from processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.test_start import TEAMS

HOUSE = Path(__file__).parents[1]

# Libraries that are loaded where something is made or read: mostly by a process of its own, or at the first use.
AT_USE = {
    "fpdf": "a printed sheet",
    "fontTools": "a printed sheet",
    "segno": "a printed sheet",
    "PIL": "the process that looks at a picture",
    "zxingcpp": "the process that looks at a picture",
    "matplotlib": "the process that draws",
    "numpy": "the process that draws, and a printed sheet",
    "xlsxwriter": "a workbook that is written",
    "python_calamine": "the process that reads a workbook",
    "netaddr": "the vendor of a device",
    "opentelemetry": "a service with a collector",
    "psycopg": "a service on PostgreSQL",
}

# The service answers /readyz; what is loaded by then. A clock that is given is right: nobody is asked.
SERVED = """
import asyncio, json, os, sys
import aiohttp, app
from bot.settings import load_settings

async def serve():
    settings = load_settings(os.environ, None).model_copy(update={"port": 0})
    async with app.running(settings, app.SystemClock()) as service, aiohttp.ClientSession() as client:
        async with client.get(service.url + "/readyz") as answer:
            assert answer.status == 200, await answer.text()
        print(json.dumps(sorted(sys.modules)))

asyncio.run(serve())
"""

# A command to its end, whatever it says.
TYPED = """
import contextlib, io, json, sys
import app

said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    app.main()
print(json.dumps(sorted(sys.modules)))
"""


def loaded(folder: Path, code: str, *words: str, **environ: str) -> set[str]:
    """The modules that a new process has loaded at its end."""
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "TEMP", "TMP")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(HOUSE), "STORE_URL": f"tinydb:{folder / 'store'}", **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))  # after its log


def found(modules: set[str], names: Iterable[str]) -> list[str]:
    return sorted(modules & set(names))


SERVICES: Mapping[str, tuple[dict[str, str], set[str]]] = {
    "local": ({}, {"bot.demo.local", "botbuilder.core"}),
    "teams": (TEAMS, {"botbuilder.core"}),
}


@pytest.mark.parametrize("mode", SERVICES)
def test_a_service_loads_nothing_that_it_may_never_need(tmp_path: Path, mode: str) -> None:
    environ, needed = SERVICES[mode]
    modules = loaded(tmp_path, SERVED, **environ)
    assert found(modules, AT_USE) == []
    assert found(modules, needed) == sorted(needed)
    assert ("bot.demo.local" in modules) is (mode == "local")


BOT_SDK = {"botbuilder", "botframework", "msrest", "msal", "requests"}
BUSINESS = {"provisioning.model", "provisioning.events", "provisioning.service", "cryptography", "rapidfuzz"}
SETTINGS = {"bot.settings", "pydantic_settings"}
DOORS = BOT_SDK | {"aiohttp", "jinja2", "prometheus_client"}

# By command, what it has no use for.
COMMANDS: Mapping[str, set[str]] = {
    "--help": DOORS | BUSINESS | SETTINGS | {"tinydb"},
    "demo": DOORS | BUSINESS | SETTINGS | {"tinydb"},
    "device --mac no --once --code 1": BOT_SDK | BUSINESS | SETTINGS | {"tinydb"},
    "doctor --offline": DOORS,
    "package": BOT_SDK | {"tinydb", "bot.composition"},
    "backup copy.db": DOORS,
    "verify": DOORS,
    "audit verify": DOORS | {"provisioning.service"},
    "rotate-keys": DOORS | {"provisioning.service"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_nothing_that_only_others_need(tmp_path: Path, command: str) -> None:
    modules = loaded(tmp_path, TYPED, *command.split())
    assert found(modules, AT_USE.keys() | COMMANDS[command]) == []
    assert "typer" in modules


def test_what_is_loaded_is_found(tmp_path: Path) -> None:
    """Otherwise the tests above would pass whatever is loaded."""
    served, typed = (code.replace("app\n", "app, PIL.Image, fpdf\n", 1) for code in (SERVED, TYPED))
    assert {"PIL", "fontTools", "fpdf"} <= set(found(loaded(tmp_path, served), AT_USE))
    assert {"PIL", "fontTools", "fpdf"} <= set(found(loaded(tmp_path, typed, "demo"), AT_USE))
