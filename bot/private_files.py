"""Files that hold a secret: read only where nobody else on this computer can read or change them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from provisioning.texts import _


class NotPrivate(ValueError):
    """A file that others can read or change, or none at all; the text says so, with the cure."""


def read_private(path: Path, limit: int) -> bytes:
    """At most `limit` bytes of a file with a secret. A symbolic link is followed, as mounted secrets need it.

    It has to belong to whoever runs the service, or to root; nobody else may write it, and of others only its group
    may read it. What is looked at is the file that was opened, so that none is put in its place in between. Windows
    keeps other people out of a profile by itself: there only the kind of file is looked at.

    Errors: `NotPrivate`; `OSError` where it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit)


def group_can_read(path: Path) -> bool:
    """Allowed, for secrets that are mounted for a group, but worth a word. False where there is no such file."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & stat.S_IRGRP)
    except OSError:
        return False


def _check(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivate(_("It is a folder or a device. Give the path of the file itself."))
    if os.name != "posix":
        return
    if found.st_mode & stat.S_IRWXO:
        raise NotPrivate(_("Everybody on this computer can get at it. Say: chmod 600 {path}", path=path))
    if found.st_mode & stat.S_IWGRP:
        raise NotPrivate(_("Its group can change it. Say: chmod 600 {path}", path=path))
    if found.st_uid not in (0, os.geteuid()):
        raise NotPrivate(
            _("It belongs to another user. Say: chown {user} {path}", user=os.geteuid(), path=path),
        )
