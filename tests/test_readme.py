"""README says what is true: its commands, settings and targets are those of the code."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

import app
from bot.device_api import routes as device_routes
from bot.operations import project_version
from bot.settings import EVERYWHERE, SPELLINGS, variables
from tests.readme import COMMANDS, between, command_table
from tests.readme import README as PATH

HOUSE = Path(__file__).parents[1]
README = PATH.read_text(encoding="utf-8")


def test_the_commands_are_those_of_the_routes() -> None:
    assert between(COMMANDS) == command_table(), "run: make readme"


def test_every_setting_is_explained_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))
    assert set(variables()) <= set(rows)
    for name, default in EVERYWHERE.items():
        assert name == "TRUSTED_NETWORKS" or f"`{default}`" in rows[name]
    assert all(f"`{spelling}`" in README for spelling in SPELLINGS)


def test_what_can_be_run_is_there() -> None:
    commands = set(get_command(app.cli).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"python app\.py ([a-z-]+)", README)) <= commands
    targets = set(re.findall(r"^([a-z0-9]+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z0-9]+)", README))
    assert {"run", "test"} <= named & targets
    assert set(re.findall(r"`make ([a-z0-9]+)", README)) <= targets


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_file_it_points_to_is_there(link: str) -> None:
    assert (HOUSE / link).is_file()


def test_every_device_call_is_listed() -> None:
    for route in device_routes(None):  # type: ignore[arg-type]
        assert f"{route.path.replace('{id}', '<id>')}" in README, route.path


def test_the_picture_stays_small() -> None:
    assert (HOUSE / "docs/local-page.png").stat().st_size < 400 * 1024


def test_the_version_is_the_project_s() -> None:
    assert f"provisioning-bot-{project_version()}.zip" in README
    changes = (HOUSE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{project_version()}]" in changes
