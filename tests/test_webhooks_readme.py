"""What README tells whoever writes a receiver is true."""

import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provisioning.webhooks import Failure, signed

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECRET = b"s" * 32


def snippet() -> Callable[[str, dict[str, str], bytes], bool]:
    """The function as it stands there."""
    [code] = re.findall(r"<!-- verify -->\n```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    verify: Callable[[str, dict[str, str], bytes], bool] = names["verify"]
    return verify


def test_the_receiver_of_the_readme_tells_right_from_wrong() -> None:
    verify, word, now = snippet(), "whsec_" + b64encode(SECRET).decode(), datetime.now(UTC)
    body = '{"id": "ä"}'.encode()
    assert verify(word, signed("id1", body, [SECRET], now), body)
    assert verify(word, signed("id1", body, [b"n" * 32, SECRET], now), body)
    assert not verify(word, signed("id1", body, [b"n" * 32], now), body)
    assert not verify(word, signed("id1", body, [SECRET], now), body + b" ")
    assert not verify(word, signed("id1", body, [SECRET], now) | {"webhook-id": "id2"}, body)
    assert not verify(word, signed("id1", body, [SECRET], now - timedelta(minutes=6)), body)


def test_the_table_of_answers_is_the_one_that_holds() -> None:
    rows = re.findall(r"^\| ([^|]*) \| given up", README, re.MULTILINE)
    told = {int(status) for row in rows for status in re.findall(r"\b[345]\d\d\b", row)}
    final = {status for status in range(300, 600) if Failure.of(status).final}
    assert told == final
