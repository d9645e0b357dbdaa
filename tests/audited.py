"""No change without a fact: a store that refuses a unit whose facts do not name every device, person or rollout that it
changes. Whatever may change in silence stands here by name, with the reason."""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import provisioning.service
from provisioning.batches import Batch
from provisioning.forgetting import KIND, Trace
from provisioning.model import Change, Device, Person
from provisioning.ports import Store
from provisioning.rollouts import Rollout

T = TypeVar("T", bound=Store)
USE_CASES = Path(provisioning.service.__file__).parent
# Fields that may change without a fact, and why.
SILENT: Mapping[type, Mapping[str, str]] = {
    Device: {
        "batch": "an import is undone: its devices stop being its own while `ImportUndone` tells of all of them",
        "offline_since": "calls are counted, not told one by one; `DeviceOffline` and `DeviceOnline` tell of the rest",
    },
    Person: {
        "name": "as Teams says it at each message",
        "upn": "so too",
        "teams_id": "so too",
        "tenant": "so too",
        "chat": "so too",
        "guest": "so too; roles that go with it are told",
        "reachable": "they wrote; that they could not be reached is told",
        "locale": "as their client says it",
        "timezone": "so too",
        "language": "how they are spoken to, by their own wish",
        "current": "which card their phone shows",
        "photo_for": "which install their next picture belongs to",
        "photo_until": "so too",
        "signing": "an admin's own run; each sign-in in it is told",
        "greeted_on": "that a day began for them",
        "digested_on": "that a digest was looked at",
    },
    Rollout: {
        "reached": "milestones that were told in the thread, each by its message",
        "digested_on": "that a digest was looked at",
        "channel": "its name, as Teams says it",
        "reminded_at": "`TechniciansReminded` tells of the whole rollout",
    },
}
NEW = {Person: "whoever writes is known from then on; a role is what is told"}


class Silent(AssertionError):
    """A unit that changed something and tells nobody."""


def kept_quiet(old: Any, new: Any) -> bool:
    """Whether everything in which they differ may change without a fact."""
    changed = {each.name for each in fields(new) if getattr(old, each.name) != getattr(new, each.name)} - {"version"}
    return not {name for name in changed - SILENT[type(new)].keys() if not _may(name, old, new)}


def _may(name: str, old: Any, new: Any) -> bool:
    """Of fields of which a part may."""
    was, now = getattr(old, name), getattr(new, name)
    if name == "code" and was and was.sealed is None and now is None:
        return True  # seven days after its end even its hash goes; that it ended was told
    if name == "code" and was and now:
        return replace(was, told_at=now.told_at) == now  # somebody was told that it ends soon
    if name == "sign_in" and was and now:  # how fast it is polled, and whether the provider answers
        return replace(was, interval=now.interval, silent_since=now.silent_since) == now
    if name == "membership":  # when the directory was asked; a role that came or went is told
        return (was.roles if was else frozenset()) == (now.roles if now else frozenset())
    return False


def _named(change: Change) -> set[str]:
    """Every id that a fact of this unit mentions."""
    found = set[str]()
    for event in change.events:
        for each in fields(event):
            value = getattr(event, each.name)
            found |= {value} if isinstance(value, str) else set(value) if isinstance(value, tuple) else set()
    return found


def audited(store: T) -> T:
    """The store, which from now on refuses whatever a use case changes in silence."""
    save = store.save

    async def checked(change: Change) -> None:
        if _by_a_use_case():
            named = _named(change)
            for record in change.puts:
                if type(record) in SILENT and record.key not in named:
                    old = (await store.get_many(type(record), [record.key], hidden=True)).get(record.key)
                    if not await _may_be_silent(store, old, record):
                        raise Silent(f"{type(record).__name__} {record.key} changed, and no fact names it: {change}")
        await save(change)

    store.save = checked  # type: ignore[method-assign]
    return store


async def _may_be_silent(store: Store, old: Any, new: Any) -> bool:
    if old is None:
        return type(new) in NEW
    if kept_quiet(old, new):
        return True
    orders = (await store.find(Batch, kind=KIND)).rows  # `PersonForgotten` tells of all that it takes out
    return any(Trace.in_batch(each).scrubbed(old) == new for each in orders)


def _by_a_use_case() -> bool:
    """Not by a test itself, which puts things in place: the first caller above the store decides."""
    frame = sys._getframe(2)
    return Path(frame.f_code.co_filename).is_relative_to(USE_CASES)
