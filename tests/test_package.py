"""The Teams app package: manifest, languages, icons; within Teams' limits, saying only what the bot understands."""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, validators
from typer.testing import CliRunner

import app
from bot.handlers import all_routes
from bot.icons import NotAnIcon, read_icon
from bot.operations import project_version
from bot.package import (
    COMMANDS,
    FOLDER,
    ICONS,
    MANIFEST,
    TEXT_LIMITS,
    command_faults,
    command_lists,
    contents,
    filled,
    icon_faults,
    language_faults,
    language_files,
    manifest_faults,
    package,
    search_commands,
    translatable,
)
from bot.routing import Match
from provisioning.texts import languages

HOUSE = Path(__file__).parents[1]
LOCALIZATION_SCHEMA = HOUSE.parent / "shared/schemas/teams-localization.json"
OFFICIAL_SCHEMA = HOUSE.parent / "shared/schemas/teams-manifest-1.29.json"
CLIENT_ID = "11111111-2222-3333-4444-555555555555"
ENVIRON = {"CLIENT_ID": CLIENT_ID, "PUBLIC_URL": "https://bot.contoso.com", "ORGANISATION": "Contoso"}
VALUES = {"CLIENT_ID": CLIENT_ID, "PUBLIC_HOST": "bot.contoso.com", "ORGANISATION": "Contoso"}


@pytest.fixture
def manifest() -> dict[str, Any]:
    return filled(json.loads((FOLDER / MANIFEST).read_text(encoding="utf-8")), VALUES)


def make(environ: Mapping[str, str], out: Path, env_file: Path | None = None) -> int:
    return package(environ, out, env_file)


# ── the zip ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_package_holds_exactly_its_files_at_its_root(tmp_path: Path) -> None:
    out = tmp_path / "new" / "bot.zip"
    assert make(ENVIRON, out) == 0
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == ["color.png", "de.json", "manifest.json", "outline.png"]
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["id"] == manifest["bots"][0]["botId"] == CLIENT_ID
    assert manifest["validDomains"] == ["bot.contoso.com"]
    assert manifest["developer"]["name"] == "Contoso"
    assert "${{" not in json.dumps(manifest)


def test_the_same_settings_make_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.zip", tmp_path / "other.zip"
    assert make(ENVIRON, one) == make(ENVIRON, other) == 0
    assert one.read_bytes() == other.read_bytes()


def test_the_other_spelling_and_an_env_file_count_as_well(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PUBLIC_URL=https://bot.contoso.com/\nORGANISATION=Contoso\n", encoding="utf-8")
    assert make({"MicrosoftAppId": CLIENT_ID}, tmp_path / "bot.zip", env_file) == 0


BAD = {
    "CLIENT_ID": ("", "the-bot", "${{CLIENT_ID}}"),
    "PUBLIC_URL": ("", "bot.contoso.com", "http://127.0.0.1:3978", "https://bot.contoso.com/teams", "https://a b/"),
    "ORGANISATION": ("", "C" * 201, "C" * 33, "Con\ntoso"),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_a_bad_setting_is_one_line_and_nothing_is_written(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bot.zip"
    assert make({**ENVIRON, name: text}, out) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and not out.exists()
    assert said[0].startswith("developer.name:" if text == "C" * 33 else f"{name}:")


def test_every_missing_setting_is_told_at_once_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert make({}, Path("never.zip")) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["CLIENT_ID", "PUBLIC_URL", "ORGANISATION"]
    assert all("is missing. " in line for line in lines)


def test_it_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env here
    done = CliRunner().invoke(app.cli, ["package"], env={**ENVIRON})
    assert done.exit_code == 0, done.output
    assert (tmp_path / "dist" / f"provisioning-bot-{project_version()}.zip").is_file()


def test_a_value_stays_inside_its_string() -> None:
    organisation = 'A", "id": "b'
    files = contents({**VALUES, "ORGANISATION": organisation})
    manifest = json.loads(files[MANIFEST])
    assert (manifest["developer"]["name"], manifest["id"]) == (organisation, CLIENT_ID)


# ── the manifest ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_manifest_keeps_every_limit(manifest: dict[str, Any]) -> None:
    assert list(manifest_faults(manifest)) == []
    assert manifest["version"] == project_version()
    assert manifest["bots"][0]["supportsFiles"] is True


def test_the_compose_box_finds_devices_through_the_same_bot(manifest: dict[str, Any]) -> None:
    assert manifest["composeExtensions"][0]["botId"] == CLIENT_ID
    (command,) = search_commands(manifest)
    assert (command["id"], command["type"], command["initialRun"]) == ("find", "query", True)
    assert [parameter["name"] for parameter in command["parameters"]] == ["query"]
    command["parameters"][0]["title"] = "t" * 33
    command["description"] = ""
    assert [fault.partition(":")[0][:6] for fault in manifest_faults(manifest)] == ["find, ", "find, "]


def test_a_passed_limit_is_found(manifest: dict[str, Any]) -> None:
    for part, name in TEXT_LIMITS:
        wrong = deepcopy(manifest)
        wrong[part][name] = "x" * 4001
        assert [fault.split(":")[0] for fault in manifest_faults(wrong)] == [f"{part}.{name}"]
    wrong = deepcopy(manifest)
    commands = wrong["bots"][0]["commandLists"][0]["commands"]
    commands += [dict(commands[0]) for _ in range(COMMANDS)]
    commands[0] = {"title": "t" * 33, "description": "d" * 129}
    wrong["version"] = "0.9"
    wrong["packageName"] = "${{ELSE}}"
    assert len(list(manifest_faults(wrong))) == 5


def test_the_manifest_is_valid_by_the_official_schema(manifest: dict[str, Any]) -> None:
    if not OFFICIAL_SCHEMA.exists():
        pytest.skip("the official manifest schema is not part of this project; it is not at ../shared/schemas")
    schema = json.loads(OFFICIAL_SCHEMA.read_text(encoding="utf-8"))
    validator = validators.validator_for(schema, default=Draft7Validator)(schema)
    assert [error.message for error in validator.iter_errors(manifest)] == []
    assert manifest["manifestVersion"] == "1.29" and "v1.29" in manifest["$schema"]


# ── its languages ────────────────────────────────────────────────────────────────────────────────────────────────


def spoken() -> dict[str, dict[str, str]]:
    names = language_files(json.loads((FOLDER / MANIFEST).read_text(encoding="utf-8")))
    return {name: json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in names}


def test_teams_shows_the_app_in_every_language_that_the_bot_speaks(manifest: dict[str, Any]) -> None:
    told = manifest["localizationInfo"]
    tags = [each["languageTag"] for each in told["additionalLanguages"]]
    assert {told["defaultLanguageTag"], *tags} == languages()
    for name, texts in spoken().items():
        assert list(language_faults(name, texts, manifest)) == []
        assert set(texts) - {"$schema"} == dict(translatable(manifest)).keys()


def test_a_language_that_lacks_a_text_or_passes_a_limit_is_found(manifest: dict[str, Any]) -> None:
    texts = {**spoken()["de.json"], "name.short": "x" * 31, "bots[0].commandLists[0].commands[99].description": "x"}
    del texts["description.short"]
    assert list(language_faults("de.json", texts, manifest)) == [
        "de.json: description.short is missing.",
        "de.json: bots[0].commandLists[0].commands[99].description is not in the manifest.",
        "de.json, name.short: 31 characters, Teams takes 1 to 30.",
    ]


def test_every_language_is_valid_by_the_official_schema() -> None:
    if not LOCALIZATION_SCHEMA.exists():
        pytest.skip("the official schema of languages is not part of this project; it is not at ../shared/schemas")
    schema = json.loads(LOCALIZATION_SCHEMA.read_text(encoding="utf-8"))
    validator = validators.validator_for(schema, default=Draft7Validator)(schema)
    assert {name: [error.message for error in validator.iter_errors(texts)] for name, texts in spoken().items()} == {
        "de.json": []
    }


# ── the commands ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_listed_command_is_one_the_bot_knows_there(manifest: dict[str, Any]) -> None:
    routes = all_routes()
    assert list(command_faults(manifest, routes)) == []
    for _where, commands in command_lists(manifest):
        assert len({command["title"] for command in commands}) == len(commands)
        for command in commands:
            found = routes.match(command["title"])
            assert found is not None, command
            if isinstance(found, Match):  # what is pressed in the list is understood as it stands
                assert not found.arguments


def test_a_command_that_drifted_is_found(manifest: dict[str, Any]) -> None:
    first = manifest["bots"][0]["commandLists"][0]
    first["commands"][0]["title"] = "teleport"
    first["commands"][1]["title"] = "connect"  # works in a channel only
    assert [fault.rpartition(" ")[2] for fault in command_faults(manifest, all_routes())] == ["teleport.", "connect."]


def test_every_scope_offers_help(manifest: dict[str, Any]) -> None:
    listed = {where: {command["title"] for command in commands} for where, commands in command_lists(manifest)}
    assert set(listed) == set(manifest["bots"][0]["scopes"])
    assert all("help" in titles for titles in listed.values())


# ── the icons ────────────────────────────────────────────────────────────────────────────────────────────────────


def png(width: int, height: int, pixel: bytes, kind: int = 0) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6 if len(pixel) == 4 else 2, 0, 0, 0)
    lines = zlib.compress((bytes([kind]) + pixel * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


WHITE, CLEAR, RED = b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\x00\x00\xff"


def own_icons() -> dict[str, bytes]:
    return {name: (FOLDER / name).read_bytes() for name, _size in ICONS.values()}


def test_our_icons_are_what_teams_takes() -> None:
    assert list(icon_faults(own_icons())) == []


@pytest.mark.parametrize(
    ("name", "raw", "faults"),
    [
        ("color.png", png(191, 192, RED), 1),
        ("color.png", b"GIF89a", 1),
        ("color.png", png(192, 192, RED)[:-30], 1),
        ("outline.png", png(32, 32, RED), 2),  # coloured, and nothing transparent
        ("outline.png", png(32, 32, WHITE), 1),
        ("outline.png", png(32, 32, CLEAR), 1),
        ("outline.png", png(32, 32, WHITE[:3]), 1),
        ("outline.png", png(16, 16, CLEAR), 2),
    ],
)
def test_a_wrong_icon_is_found(name: str, raw: bytes, faults: int) -> None:
    assert len(list(icon_faults({**own_icons(), name: raw}))) == faults


@pytest.mark.parametrize("kind", range(5))
def test_each_of_the_five_line_filters_is_undone(kind: int) -> None:
    """Filtered bytes that are all 1 add up along the neighbours that the filter names (clause 9.2)."""
    lines = {0: [1, 1, 1, 1], 1: [1, 2, 1, 2], 2: [1, 1, 2, 2], 3: [1, 1, 1, 2], 4: [1, 2, 2, 3]}[kind]
    icon = read_icon(png(2, 2, b"\x01\x01\x01", kind))
    assert [icon.pixels[i] for i in range(0, 12, 3)] == lines


def test_a_damaged_icon_is_no_icon() -> None:
    good = png(4, 4, WHITE)
    for at in range(8, len(good)):
        try:
            read_icon(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        except NotAnIcon:
            continue
        pytest.fail(f"byte {at} was not missed")
