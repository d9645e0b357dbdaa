"""What the data itself says that will hurt, before anybody has gone anywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from provisioning.model import Device, Person, Role
from provisioning.rehearsals import Conflict, Found
from provisioning.rollouts import Rollout

NAMED = 5  # places that are named


def conflicts(
    devices: Sequence[Device], people: Mapping[str, Person], technicians: Collection[str], rollouts: Sequence[Rollout]
) -> tuple[Found, ...]:
    """`devices` of the list (not removed), `people` by id, `technicians` by id, `rollouts` that follow them."""
    of = {
        Conflict.SAME_PLACE: _several(devices, lambda device: device.location.casefold()),
        Conflict.NEIGHBOURS: _neighbours(devices),
        Conflict.SAME_SERIAL: _several([d for d in devices if d.serial], lambda device: device.serial.casefold()),
        Conflict.NO_TECHNICIAN: [d for d in devices if d.open_job and not d.technician],
        Conflict.UNKNOWN_TECHNICIAN: [
            d for d in devices if d.open_job and d.technician and not _is_one(people.get(d.technician))
        ],
        Conflict.NO_FLOOR: [d for d in devices if not d.floor],
        Conflict.OPEN_PROBLEM: [d for d in devices if d.problem],
        Conflict.RESET_AWAITED: [d for d in devices if d.reset_awaited],
    }
    found = [Found(conflict, len(them), _places(them)) for conflict, them in of.items() if them]
    silent = [people[id_] for id_ in technicians if id_ in people and not (people[id_].chat and people[id_].reachable)]
    if silent:
        names = tuple(person.name or person.upn for person in silent[:NAMED])
        found.append(Found(Conflict.NO_CHAT, len(silent), names))
    if not technicians:
        found.append(Found(Conflict.NOBODY, 1))
    if not rollouts:
        found.append(Found(Conflict.NO_CHANNEL, 1))
    return tuple(found)


def _is_one(person: Person | None) -> bool:
    return person is not None and Role.TECHNICIAN in person.roles


def _places(devices: Iterable[Device]) -> tuple[str, ...]:
    names = dict.fromkeys(device.location for device in devices)
    return tuple(names)[:NAMED]


def _several(devices: Sequence[Device], key: Callable[[Device], str]) -> list[Device]:
    """Those that share a key with another one."""
    groups = defaultdict[str, list[Device]](list)
    for device in devices:
        groups[key(device)].append(device)
    return [device for group in groups.values() if len(group) > 1 for device in group]


def _neighbours(devices: Sequence[Device]) -> list[Device]:
    """Open devices of one floor, MACs one digit apart: the one is easily taken for the other."""
    groups = defaultdict[tuple[str, ...], list[Device]](list)
    for device in devices:
        if device.open_job:
            for at in range(len(device.mac)):
                without = f"{device.mac[:at]}_{device.mac[at + 1 :]}"
                groups[device.site.casefold(), device.floor.casefold(), without].append(device)
    close = {device.mac: device for group in groups.values() if len(group) > 1 for device in group}
    return [close[device.mac] for device in devices if device.mac in close]
