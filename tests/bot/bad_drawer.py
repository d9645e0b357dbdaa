"""A process that should draw pictures and does what their headings say instead."""

import json
import os
import sys
import time
from base64 import b64encode


def main(_asked: str) -> None:
    for line in sys.stdin.buffer.read().splitlines():
        draw(json.loads(line)["heading"])


def draw(heading: str) -> None:
    if heading == "hangs":
        time.sleep(600)
    if heading == "dies":
        os.abort()
    if heading == "talks":
        sys.stdout.write("x" * 200_000)
    said = {
        "breaks": {"broke": "ValueError at burnup.py:1"},
        "lies": {"png": b64encode(b"GIF89a" + bytes(500)).decode()},
        "is too large": {"png": b64encode(_png(640, 400) + bytes(20_000)).decode()},
        "is too wide": {"png": b64encode(_png(6_400, 400)).decode()},
        "is cut": {"png": b64encode(_png(640, 400)[:18]).decode()},
        "is not base64": {"png": "\x00"},
        "says two things": {"png": "", "broke": ""},
        "says a number": 7,
        "draws": {"png": b64encode(_png(640, 400)).decode()},
        "signs": {"png": b64encode(_png(640, 400) + f"by {os.getpid()}".encode()).decode()},
    }
    sys.stdout.write(json.dumps(said.get(heading)) + "\n")
    sys.stdout.flush()


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4) + height.to_bytes(4)
