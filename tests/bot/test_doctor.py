"""The doctor's examination, read as a deployer reads it."""

import io
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bot.doctor import doctor, odds
from bot.key_file import ensure_key_file
from bot.settings import variables
from tests import certificates

GUID = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d00{}".format
TEAMS = {
    "MicrosoftAppId": GUID(1),
    "CLIENT_SECRET": "s3cr3t-value",
    "TENANT_ID": GUID(2),
    "ADMINS": GUID(3),
    "ORGANISATION": "Fabrikam [red]",
    "CODE_KEYS": f"k1:{b64encode(bytes(32)).decode()}",
    "PUBLIC_URL": "https://bot.fabrikam.com",
    "STORE_URL": "postgresql://bot:pa55@db.fabrikam.com/provisioning",
}


def examine(environ: dict[str, str], env_file: Path | None = None, **more: Any) -> tuple[int, str]:
    out = io.StringIO()
    code = doctor(environ, env_file, Console(file=out, width=200, color_system=None), **more)
    return code, out.getvalue()


def row(text: str, name: str) -> str:
    [line] = [line for line in text.splitlines() if f"│ {name} " in line]
    return " ".join(line.replace("│", "|").split())


def test_local_mode_is_fine_as_it_is(tmp_path: Path) -> None:
    code, text = examine({"STORE_URL": f"tinydb:{tmp_path}/store"})
    assert code == 0
    assert text.startswith("Local mode")
    assert "| 127.0.0.1 | default | ok |" in row(text, "HOST")
    assert "| environment | ok |" in row(text, "STORE_URL")
    assert "once in 578 000" in text
    assert "codes.key does not exist yet" in text
    assert "To connect it to Teams:" in text
    assert "CLIENT_SECRET: Make a client secret" in text
    assert list(tmp_path.iterdir()) == []  # an examination changes nothing


def test_every_setting_has_its_row() -> None:
    _, text = examine({})
    for name in variables():
        assert row(text, name)


def test_teams_mode_shows_no_secret() -> None:
    code, text = examine(TEAMS)
    assert code == 0
    assert text.startswith("Teams mode")
    for secret in ("s3cr3t-value", "pa55", TEAMS["CODE_KEYS"]):
        assert secret not in text
    assert "(hidden, 12 characters)" in row(text, "CLIENT_SECRET")
    assert "postgresql://…@db.fabrikam.com/provisioning" in row(text, "STORE_URL")
    assert "Fabrikam [red]" in row(text, "ORGANISATION")
    assert GUID(1) in row(text, "CLIENT_ID")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://db.fabrikam.com/x", "postgresql://db.fabrikam.com/x"),
        ("postgresql://db.fabrikam.com/x?user=bot&password=pa55", "postgresql://db.fabrikam.com/x?…"),
        ("postgresql://bot:pa55@db.fabrikam.com/x?sslmode=require", "postgresql://…@db.fabrikam.com/x?…"),
        ("postgresql://db.fabrikam.com/x?password=pa55@pa55", "postgresql://…"),
        ("postgresql://bot:pa55?pa55@db.fabrikam.com/x", "postgresql://…"),
    ],
)
def test_a_password_is_not_shown_wherever_a_url_has_it(url: str, said: str) -> None:
    _, text = examine({**TEAMS, "STORE_URL": url})
    assert "pa55" not in text
    assert f"| {said} |" in row(text, "STORE_URL")


def test_where_files_may_be_is_told() -> None:
    _, text = examine({**TEAMS, "ALLOWED_FILE_HOSTS": "*.sharepoint.com,svc.ms", "FILE_LIMIT": "5"})
    assert "Files come from and go to sharepoint.com, svc.ms and hosts below them, up to 5 MiB each." in text


def test_what_is_missing_is_told_with_its_cure() -> None:
    code, text = examine({"CLIENT_ID": GUID(1), "CLIENT_SECRET": "s", "PORT": "x"})
    assert code == 2
    assert row(text, "TENANT_ID").endswith("missing |")
    assert row(text, "PORT").endswith("wrong, see below |")
    assert "✗ TENANT_ID: is missing. Take the directory (tenant) ID" in text
    assert "✗ CODE_KEYS: is missing." in text
    assert "can start" not in text


def test_open_without_credentials_is_refused() -> None:
    code, text = examine({"HOST": "0.0.0.0"})
    assert code == 2
    assert "open to others" in text


def test_a_misspelt_name_is_noticed(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("ADMIN=x\nPORT=4000\nNOTHING_OF_OURS=1\n", encoding="utf-8")
    _, text = examine({"ORGANIZATION": "Contoso", "PATH": "/bin"}, env_file)
    assert "ADMIN in .env is not read by the service. Did you mean ADMINS?" in text
    assert "NOTHING_OF_OURS in .env is not read by the service." in text
    assert "ORGANIZATION is set, but not read. Did you mean ORGANISATION?" in text
    assert "PATH is set" not in text
    assert "| 4000 | .env | ok |" in row(text, "PORT")


def test_an_unreadable_env_file_is_told(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"\xff\xfe\x00")
    code, text = examine({}, env_file)
    assert code == 2
    assert "cannot be read" in text


def test_a_key_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "codes.key"
    ensure_key_file(path)
    code, text = examine({"CODE_KEY_FILE": str(path)})
    assert code == 0 and "chmod 600" not in text and "its group" not in text
    path.chmod(0o440)
    code, text = examine({"CODE_KEY_FILE": str(path)})
    assert code == 0 and f"! {path} can be read by its group." in text
    path.chmod(0o644)
    code, text = examine({"CODE_KEY_FILE": str(path)})
    assert code == 2 and f"Say: chmod 600 {path}" in text.replace("\n", "")
    assert row(text, "CODE_KEY_FILE").endswith("wrong, see below |")


def test_keys_that_lie_with_the_data_are_noticed(tmp_path: Path) -> None:
    """Who gets a copy of the one must not get the other with it. In local mode they lie together by default."""
    store, beside, inside = tmp_path / "data" / "store", tmp_path / "data" / "k", tmp_path / "data" / "store" / "k"
    for path in (beside, inside, tmp_path / "k"):
        ensure_key_file(path)
    teams = {name: text for name, text in TEAMS.items() if name != "CODE_KEYS"} | {"STORE_URL": f"tinydb:{store}"}
    assert "in one place" not in examine(teams | {"CODE_KEY_FILE": str(tmp_path / "k")})[1]
    for path in (beside, inside):
        code, text = examine(teams | {"CODE_KEY_FILE": str(path)})
        assert code == 0 and "keys and data are in one place" in text.replace("\n", " ")
    assert "in one place" not in examine({"STORE_URL": f"tinydb:{store}", "CODE_KEY_FILE": str(beside)})[1]
    assert "in one place" in examine({"STORE_URL": f"tinydb:{store}", "CODE_KEY_FILE": str(inside)})[1]


def test_live_codes_whose_key_is_missing_are_told() -> None:
    code, text = examine(TEAMS, live_codes=lambda url: {"k1": 5, "k0": 3} if url == TEAMS["STORE_URL"] else {})
    assert code == 0 and "! Key k0 is missing: 3 live codes cannot be read." in text
    assert "is missing" not in examine(TEAMS, live_codes=lambda _url: {"k1": 5})[1]
    code, text = examine(TEAMS, live_codes=lambda _url: {"k0": 3})
    assert code == 2 and "CODE_KEYS, CODE_KEY_FILE: these are other keys" in text and "(k0)" in text
    assert row(text, "CODE_KEYS").endswith("wrong, see below |")


def test_a_certificate_that_a_group_can_read_or_that_ends_is_noticed(tmp_path: Path) -> None:
    environ = {name: text for name, text in TEAMS.items() if name != "CLIENT_SECRET"}
    key = certificates.rsa_key()
    path = certificates.written(tmp_path, key, certificates.certificate_for(key, days=29))
    environ["CLIENT_CERTIFICATE_FILE"] = str(path)
    path.chmod(0o640)
    code, text = examine(environ)
    assert code == 0
    assert f"{path} can be read by its group." in text.replace("\n", "")
    assert "Make a new certificate in time." in text
    certificates.good(tmp_path)[0].chmod(0o600)
    _, text = examine(environ)
    assert "can be read by" not in text
    assert "in time" not in text


def test_what_groups_need_is_told() -> None:
    _, text = examine(TEAMS | {"ADMIN_GROUPS": f"{GUID(7)},{GUID(8)}"})
    assert "Entra groups: 2 of admins, 0 of technicians." in text and "GroupMember.Read.All" in text
    assert "no group makes anybody a technician" in row(text, "TECHNICIAN_GROUPS")
    assert "GroupMember" not in examine(TEAMS)[1]


def test_trusting_every_proxy_is_noticed() -> None:
    assert "trusts everybody" in examine({"TRUSTED_PROXIES": "0.0.0.0/0"})[1]


def test_a_morning_message_in_the_quiet_hours_is_noticed() -> None:
    code, text = examine({"MORNING": "06:30", "QUIET_HOURS": "19:00-07:00"})
    assert code == 0 and "MORNING lies within QUIET_HOURS" in text
    assert "MORNING lies" not in examine({"MORNING": "07:00", "QUIET_HOURS": "19:00-07:00"})[1]


def test_keeping_everything_for_ever_is_noticed() -> None:
    code, text = examine({"KEEP_AUDIT": "forever"})
    assert code == 0
    assert "only ever grows" in text
    assert "only ever grows" not in examine({})[1]


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        (8, "once in 57. That is often"),
        (10, "once in 5 780. That is often"),
        (12, "once in 578 000."),
        (16, "once in 5 780 000 000."),
    ],
)
def test_the_odds_follow_the_length(digits: int, said: str) -> None:
    assert said in odds(digits)


def test_a_store_that_cannot_be_reached_is_a_fault() -> None:
    asked: list[str] = []

    def fault(url: str) -> str:
        asked.append(url)
        return "postgresql://db: refused"

    code, text = examine(TEAMS, store_fault=fault)
    assert (code, asked) == (2, [TEAMS["STORE_URL"]])
    assert "✗ STORE_URL: postgresql://db: refused" in text
    assert "wrong, see below" in row(text, "STORE_URL")
