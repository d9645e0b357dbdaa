"""The keys that codes are sealed and verified with: `id:base64`, newest first, from the environment or from a file."""

from __future__ import annotations

import os
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from bot.private_files import read_private
from provisioning.codes import Key
from provisioning.texts import _

KEY_BYTES: Final = 32
MAX_FILE: Final = 64 * 1024
COUNTERS: Final = re.compile(r"^# counters: (\S+)$", re.MULTILINE)
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_URL_SAFE: Final = str.maketrans("-_", "+/")


class BadKeyFile(ValueError):
    """A key file that cannot be used; the text says why and what to do."""


def read_keys(text: str) -> tuple[Key, ...]:
    """`id:base64[,id:base64]`; lines count as commas, `#` begins a remark. Errors: `ValueError`, without the secret.

    One remark says something: `# counters: base64`, which `rotate-keys` writes, keeps counters the same whichever key
    is the oldest.
    """
    parts = [part.strip() for part in re.sub(r"#.*", "", text).replace("\n", ",").split(",")]
    keys = [_key(part, number) for number, part in enumerate(filter(None, parts), start=1)]
    if not keys or len({key.id for key in keys}) < len(keys):
        raise ValueError(_("There has to be at least one key, and each id only once."))
    if counters := COUNTERS.search(text):
        keys[-1] = replace(keys[-1], counters=_octets(counters[1]))
    return tuple(keys)


def _key(part: str, number: int) -> Key:
    id_, _colon, secret = part.partition(":")
    octets = _octets(secret)
    if not _KEY_ID.fullmatch(id_.strip()) or len(octets) != KEY_BYTES:
        raise ValueError(
            _("Key {number} is not id:KEY with 32 bytes in base64 (openssl rand -base64 32).", number=number)
        )
    return Key(id_.strip(), octets)


def _octets(text: str) -> bytes:
    """What stands there in either base64; nothing where it is none."""
    try:
        return b64decode(text.strip().translate(_URL_SAFE), validate=True)
    except (NotBase64, ValueError):
        return b""


def write_keys(keys: Sequence[Key]) -> str:
    """The text that `read_keys` reads: a key a line."""
    lines = [f"{key.id}:{b64encode(key.secret).decode()}\n" for key in keys]
    counters = keys[-1].counters
    return "".join([*([f"# counters: {b64encode(counters).decode()}\n"] if counters else []), *lines])


def new_key() -> Key:
    return Key(f"k{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES))


def read_key_file(path: Path) -> tuple[Key, ...]:
    """Errors: `BadKeyFile`, also where others can get at it."""
    return read_keys_of(path)[1]


def read_keys_of(path: Path) -> tuple[str, tuple[Key, ...]]:
    """The text of a key file, and its keys. Errors: as `read_key_file`."""
    try:
        text = read_private(path, MAX_FILE).decode("utf-8-sig")
        return text, read_keys(text)
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
    with _draft_of(path, write_keys([new_key()])) as draft:
        _publish(draft, path)


def replace_key_file(path: Path, text: str) -> None:
    """Put this text in the place of an existing key file: whole or not at all, also when the power fails.

    Owner, group and whether the group may read it stay as they are; a symbolic link goes on pointing at it. Of the
    former text nothing is left. Errors: `OSError`.
    """
    path = path.resolve()
    former = path.stat()
    with _draft_of(path, text) as draft:
        if os.name == "posix":
            if (former.st_uid, former.st_gid) != (draft.stat().st_uid, draft.stat().st_gid):
                os.chown(draft, former.st_uid, former.st_gid)
            draft.chmod(former.st_mode & 0o640 | 0o600)
        draft.replace(path)
    _settle(path.parent)


@contextmanager
def _draft_of(path: Path, text: str) -> Iterator[Path]:
    """The text in a file beside it that its owner alone can read, on the disk for good; gone again afterwards."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """The new name outlives a power cut too; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _publish(draft: Path, path: Path) -> None:
    """Give the finished draft its name. A link never replaces a file that another process made meanwhile."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        draft.rename(path)
