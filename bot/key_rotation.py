"""`rotate-keys`: a new key for codes, and the end of old ones, beside services that run on the key file.

Several instances may read one file, and none may meet a code whose key it does not know. So a new key is written as
the second first: every service knows it then and none uses it. Once all of them have read it, it becomes the first.
Whatever cuts that off, what stands in the file is good, and the command goes on where it stopped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from bot.key_file import COUNTERS, new_key, read_keys_of, replace_key_file, write_keys
from provisioning.codes import Key, following
from provisioning.key_use import KeyUses, Need, Tally
from provisioning.texts import _

WAIT_SECONDS: Final = 15.0  # seven looks of a running service, for a mount that shows a new file late
_NEXT: Final = re.compile(r"^# next: (\S+)$", re.MULTILINE)

Pause = Callable[[float], Awaitable[None]]
Say = Callable[[str], None]
Uses = Callable[[str], Awaitable[KeyUses]]  # told the id of the oldest key


class RotationFault(Exception):
    """Why the keys cannot be changed, in one line for the operator; the file is as it was, or as it says."""


@dataclass(frozen=True, slots=True)
class _File:
    """A key file as it was read. `next` is the key of a rotation that was begun and not ended."""

    path: Path
    text: str
    keys: tuple[Key, ...]

    @classmethod
    def read(cls, path: Path) -> _File:
        """Errors: `BadKeyFile`."""
        return cls(path, *read_keys_of(path))

    @property
    def next(self) -> Key | None:
        found = _NEXT.search(self.text)
        return next((key for key in self.keys if found and key.id == found[1]), None)

    @property
    def age(self) -> float:
        """Seconds since it was written."""
        return time.time() - self.path.stat().st_mtime

    def put(self, keys: Sequence[Key], *, coming: Key | None = None) -> _File:
        """The file with these keys; remarks on lines of their own stay. Errors: `RotationFault`."""
        if _File.read(self.path) != self:
            raise RotationFault(_("{path} was changed by somebody else meanwhile. Look at it.", path=self.path))
        remarks = [line for line in self.text.splitlines() if line.startswith("#") and not _ours(line)]
        marker = [f"# next: {coming.id}"] if coming else []
        fresh = following(self.keys, keys)
        text = "".join(f"{line}\n" for line in (*remarks, *marker)) + write_keys(fresh)
        try:
            replace_key_file(self.path, text)
        except OSError as fault:
            raise RotationFault(_unwritable(self.path, fault)) from None
        return _File(self.path, text, fresh)


def _ours(remark: str) -> bool:
    return bool(_NEXT.match(remark) or COUNTERS.match(remark))


def _unwritable(path: Path, fault: OSError) -> str:
    return _(
        "{path} cannot be replaced ({reason}). Mount its folder instead of the file, writable for this command; or "
        "change the secret it comes from as CODE_KEYS is changed: see rotate-keys --help.",
        path=path,
        reason=fault.strerror,
    )


async def rotate(path: Path, pause: Pause, say: Say, seconds: float = WAIT_SECONDS) -> str:
    """A new key makes codes from now on; returns its id. Waits `seconds` twice: until every service knows the new key,
    and until every service uses it.

    Errors: `RotationFault`, `BadKeyFile`.
    """
    with _alone(path):
        file = _File.read(path)
        if key := file.next:
            say(_("{path}: goes on with {id}, which was begun before.", path=path, id=key.id))
        else:
            key = new_key()
            file = file.put([file.keys[0], key, *file.keys[1:]], coming=key)
            say(_("{path}: {id} is there, and not used yet.", path=path, id=key.id))
        say(_("Waiting {seconds} s until every running service has read it.", seconds=f"{seconds:g}"))
        await pause(seconds)
        file.put([key, *(each for each in file.keys if each.id != key.id)])
        say(_("{id} is the first. Waiting {seconds} s until every service uses it.", id=key.id, seconds=f"{seconds:g}"))
        await pause(seconds)
        return key.id


async def retire(path: Path, uses: Uses, pause: Pause, say: Say, seconds: float = WAIT_SECONDS) -> list[str]:
    """Drops every key that nothing in the store needs any more, never the first; returns the ids of those dropped.

    A key that was the first until a moment ago may still be in use: so the file has to be `seconds` old.

    Errors: `RotationFault`, `BadKeyFile`; those of `uses`.
    """
    with _alone(path):
        file = _File.read(path)
        if file.next:
            raise RotationFault(_("{path}: a rotation was begun and not ended. Say rotate-keys first.", path=path))
        if (left := min(seconds - file.age, seconds)) > 0:
            say(_("Waiting {seconds} s until every service uses the first key.", seconds=f"{left:.0f}"))
            await pause(left)
        found = (await uses(file.keys[-1].id)).found
        kept = [key for key in file.keys if key == file.keys[0] or key.id in found]
        if len(kept) < len(file.keys):
            file.put(kept)
        for line in told(found, file.keys):
            say(line)
        return [key.id for key in file.keys if key not in kept]


def told(found: Mapping[str, Mapping[Need, Tally]], keys: Sequence[Key]) -> Iterator[str]:
    """What becomes of each of these keys, and which others are missing, for the operator."""
    first, *others = (key.id for key in keys)
    yield _("{id}: kept, it makes the codes.", id=first)
    for key_id in others:
        if key_id in found:
            yield _("{id}: kept for {uses}.", id=key_id, uses=_listed(found[key_id]))
        else:
            yield _("{id}: nothing needs it any more.", id=key_id)
    for key_id in found.keys() - {first, *others}:
        yield _("{id}: is missing, and needed for {uses}.", id=key_id, uses=_listed(found[key_id]))


def _listed(needs: Mapping[Need, Tally]) -> str:
    return "; ".join(_use(need, tally) for need, tally in needs.items())


def _use(need: Need, tally: Tally) -> str:
    what = _(need.value)
    if tally.until is None:
        return f"{what} ({tally.count})"
    return _("{what} ({count}, until {time} UTC)", what=what, count=tally.count, time=f"{tally.until:%Y-%m-%d %H:%M}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One rotation at a time on this computer; of two on several, the slower one finds the file changed."""
    if not path.exists():
        raise RotationFault(_("{path} does not exist. Restore it, or correct the path.", path=path))
    target = path.resolve()
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RotationFault(_("Another rotate-keys is under way at {path}.", path=path)) from None
    except OSError as fault:
        raise RotationFault(_unwritable(path, fault)) from None
    try:
        yield
    finally:
        lock.release()


def by_hand() -> tuple[list[str], str]:
    """What to do where the keys are in CODE_KEYS, a line each; and a fresh key for it."""
    steps = [
        _("The keys are in CODE_KEYS, which only a deployment changes. Make two, each to every instance:"),
        _("1. Put the new key below behind the first one (FIRST,NEW,OTHERS). Every instance can read it then."),
        _("2. Once all of them run like that, put it before the first one (NEW,FIRST,OTHERS). It makes the codes now."),
        _("Drop an old key 30 days later. python app.py rotate-keys --retire says what still needs it."),
    ]
    return steps, write_keys([new_key()]).strip()
