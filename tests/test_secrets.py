"""A secret that gets into a file is found by `make check`; an example that is known is not."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import secrets

PLANTED = {
    "a client secret": ("bot/x.py", 'CLIENT_SECRET = "{}"\n', "hJ8Q~" + "pX2vT9wLr4mKz7cNbY6sQdFg3eRaU1oW"),
    "a code key": ("deploy/x.yaml", "  code_key: '{}'\n", "kJ3vR8xQ2mZ7tB5wN9cL" + "4pY6sD1fG0hA3eU8iO2rT5k="),
    "a database with its password": ("deploy/x.yaml", "postgresql://bot:{}@db.example/provisioning\n", "Tr0ub4dor"),
    "a private key": ("deploy/x.key", "-----BEGIN {} KEY-----\nMIIEvQ\n", "PRIVATE"),
    "a token": ("tests/x.py", 'HEADER = "Bearer {}"\n', "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0." + "c2ln" * 8),
}
Repository = Callable[[str, str], Path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def planted(name: str, text: str) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return planted


def test_a_password_in_a_test_or_text_is_an_example_unless_it_has_the_look_of_a_secret(repository: Repository) -> None:
    _, address, password = PLANTED["a database with its password"]
    repository("README.md", address.format(password))
    assert secrets.main([], repository("tests/x.py", f'STORE = "{address.format(password).strip()}"\n')) == 0
    _, text, secret = PLANTED["a code key"]
    assert secrets.main([], repository("tests/y.py", f'KEY = "{secret}"\n{text}')) == 1


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_planted_is_found_until_it_is_known(
    kind: str, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    name, text, secret = PLANTED[kind]
    house = repository(name, text.format(secret))

    assert secrets.main([], house) == 1
    said = capsys.readouterr().err
    assert f"{name}:1: looks like a secret" in said
    assert secret not in said or secret == "PRIVATE"

    assert secrets.main(["--write"], house) == 0
    assert secrets.main([], house) == 0


def test_what_moves_stays_known_and_what_is_new_beside_it_is_found(repository: Repository) -> None:
    name, text, secret = PLANTED["a client secret"]
    house = repository(name, text.format(secret))
    secrets.main(["--write"], house)

    repository(name, "# a line more\n" * 3 + text.format(secret))
    assert secrets.main([], house) == 0
    repository("bot/y.py", text.format(secret))
    assert secrets.main([], house) == 1, "known in one file is not known in another"


def test_no_comment_switches_it_off(repository: Repository) -> None:
    name, text, secret = PLANTED["a client secret"]
    assert secrets.main([], repository(name, text.format(secret).strip() + "  # pragma: allowlist secret\n")) == 1


def test_what_git_leaves_out_is_left_out(repository: Repository) -> None:
    _, text, secret = PLANTED["a client secret"]
    repository(".gitignore", ".env\n")
    assert secrets.main([], repository(".env", text.format(secret))) == 0


def test_the_baseline_holds_digests_alone_and_tells_nothing_of_a_machine() -> None:
    text = (secrets.HOUSE / secrets.BASELINE).read_text(encoding="utf-8")
    files = json.loads(text)["results"]

    assert text == secrets.baseline(secrets.known(secrets.HOUSE)), "written by `make secrets`, not by hand"
    assert all(not Path(name).is_absolute() and (secrets.HOUSE / name).exists() for name in files)
    assert {key for rows in files.values() for row in rows for key in row} == {
        *("type", "filename", "hashed_secret", "is_verified")
    }
    assert all(re.fullmatch("[0-9a-f]{40}", row["hashed_secret"]) for rows in files.values() for row in rows)
