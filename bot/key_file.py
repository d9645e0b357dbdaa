"""The keys that codes are sealed and verified with: `id:base64`, newest first, from the environment or from a file."""

from __future__ import annotations

import os
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bot.private_files import read_private
from provisioning.codes import Key
from provisioning.texts import _

KEY_BYTES: Final = 32
MAX_FILE: Final = 64 * 1024
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_URL_SAFE: Final = str.maketrans("-_", "+/")


class BadKeyFile(ValueError):
    """A key file that cannot be used; the text says why and what to do."""


def read_keys(text: str) -> tuple[Key, ...]:
    """`id:base64[,id:base64]`; lines count as commas, `#` begins a remark. Errors: `ValueError`, without the secret."""
    parts = [part.strip() for part in re.sub(r"#.*", "", text).replace("\n", ",").split(",")]
    keys = [_key(part, number) for number, part in enumerate(filter(None, parts), start=1)]
    if not keys or len({key.id for key in keys}) < len(keys):
        raise ValueError(_("There has to be at least one key, and each id only once."))
    return tuple(keys)


def _key(part: str, number: int) -> Key:
    id_, _colon, secret = part.partition(":")
    try:
        octets = b64decode(secret.strip().translate(_URL_SAFE), validate=True)
    except (NotBase64, ValueError):
        octets = b""
    if not _KEY_ID.fullmatch(id_.strip()) or len(octets) != KEY_BYTES:
        raise ValueError(
            _("Key {number} is not id:KEY with 32 bytes in base64 (openssl rand -base64 32).", number=number)
        )
    return Key(id_.strip(), octets)


def write_keys(keys: Sequence[Key]) -> str:
    """The text that `read_keys` reads: a key a line."""
    return "".join(f"{key.id}:{b64encode(key.secret).decode()}\n" for key in keys)


def new_key() -> Key:
    return Key(f"k{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES))


def read_key_file(path: Path) -> tuple[Key, ...]:
    """Errors: `BadKeyFile`, also where others can get at it."""
    try:
        return read_keys(read_private(path, MAX_FILE).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadKeyFile(_("{path} is not text. Put id:KEY into it, a key a line.", path=path)) from None
    except ValueError as bad:
        raise BadKeyFile(_("{path}: {reason}", path=path, reason=bad)) from None
    except FileNotFoundError:
        raise BadKeyFile(_("{path} does not exist. Restore it, or correct the path.", path=path)) from None
    except OSError as bad:
        raise BadKeyFile(_("{path} cannot be read: {reason}.", path=path, reason=bad.strerror)) from None


def ensure_key_file(path: Path) -> None:
    """Make the file with one new key where there is none: readable by its owner alone, whole or not at all.

    An existing file is never touched, whatever is in it: without its keys no stored code can be shown again.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(write_keys([new_key()]))
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Give the finished draft its name. A link never replaces a file that another process made meanwhile."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        draft.rename(path)
