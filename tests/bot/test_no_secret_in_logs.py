"""No line of any log holds a code or a token that was made: the whole story is played, and then everything breaks."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot.telltale import EVENTS_TOKEN, HOOK_PATH, JWT

HOUSE = Path(__file__).parents[2]
CODE = "482913760254"


def played(folder: Path, form: str, how: str = "") -> tuple[str, list[str]]:
    """What the service logged at level debug, and every secret it made meanwhile."""
    words = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "ignore",
        "-m",
        "tests.bot.telltale",
        form,
        str(folder),
        *filter(None, [how]),
    ]
    done = subprocess.run(words, cwd=HOUSE, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr, list(dict.fromkeys(json.loads((folder / "secrets").read_text())))


def found(secrets: list[str], log: str) -> list[str]:
    """The secrets that stand in a log: as they are, grouped in whatever way, in base64 or in hex."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log)
    for escaped, character in (
        ("\\u00a0", "\u00a0"),
        ("\\u200b", "\u200b"),
        ("\\u2011", "-"),
        ("\\n", "\n"),
        ("\\", ""),
    ):
        plain = plain.replace(escaped, character)
    lines = {re.sub(r"[\W_]", "", line) for line in plain.splitlines()}  # without whatever could stand between groups
    bare = "\n".join(lines)
    return [
        secret
        for secret in secrets
        if secret in plain
        or (secret.isdecimal() and secret in bare)
        or any(coded in plain for coded in in_base64(secret))
        or secret.encode().hex() in plain.lower()
    ]


def in_base64(secret: str) -> list[str]:
    """What base64 of any text that holds it has in common, at each of the three places where it may begin."""
    coded = []
    for before in range(3):
        whole = base64.b64encode(b"x" * before + secret.encode()).decode().rstrip("=")
        coded.append(whole[(before * 8 + 5) // 6 : -1])
    return coded


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_log_holds_a_secret_that_was_made(tmp_path: Path, form: str) -> None:
    log, secrets = played(tmp_path, form)
    assert sum(secret.isdecimal() for secret in secrets) >= 5, "codes"
    assert sum(len(secret) == 43 for secret in secrets) >= 4, "tokens of devices, device codes, access tokens"
    assert {EVENTS_TOKEN, HOOK_PATH, JWT} < set(secrets)
    assert any(secret.startswith("eyJ") for secret in set(secrets) - {JWT}), "an ID token"
    for event in (
        "unexpected_error",
        "a turn failed",
        "a worker begins anew",
        "a message could not be drawn",
        "Task exception was never retrieved",
        "Exception in callback",
        "Error handling request",
        "an event",
        "Request headers",
        "request_id",
    ):
        assert event in log, f"{event}: the log does not show what should be looked through"
    assert found(secrets, log) == []


@pytest.mark.parametrize("how", ["leak", "blind"])
def test_a_leak_would_be_found(tmp_path: Path, how: str) -> None:
    """A line past the log, and a log without its last resort."""
    log, secrets = played(tmp_path, "json", how)
    assert len(found(secrets, log)) >= {"leak": 1, "blind": 2}[how]


@pytest.mark.parametrize(
    "shown",
    [
        CODE,
        "4829 1376 0254",
        r"4829\u00a01376\u00a00254",
        "4829-1376-0254",
        "['4829', '1376', '0254']",
        base64.b64encode(CODE.encode()).decode(),
        base64.b64encode(f"a{CODE}b".encode()).decode(),
        base64.b64encode(f"{{'code': '{CODE}'}}".encode()).decode(),
        CODE.encode().hex(),
        "\x1b[35m4829\x1b[0m 1376 0254",
    ],
)
def test_every_notation_would_be_found(shown: str) -> None:
    assert found([CODE], f'{{"event": "it was {shown}"}}') == [CODE]
