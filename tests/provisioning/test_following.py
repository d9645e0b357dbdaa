"""Which rollouts a device belongs to, and what they decide for it."""

from dataclasses import replace
from datetime import timedelta

from provisioning.rollouts import Rollout
from provisioning.service.following import Underway
from tests.storage.samples import CHANNEL, NOW, device

EVERYWHERE = Rollout(channel=CHANNEL, site="", connected_by="dana", connected_by_name="Dana", started_at=NOW)
OSLO, LOBBIES = replace(EVERYWHERE, site="Oslo"), replace(EVERYWHERE, tag="lobby")


def paused(*rollouts: Rollout) -> list[Rollout]:
    return [replace(rollout, paused_at=NOW) for rollout in rollouts]


def test_of_several_that_rest_the_narrowest_is_named() -> None:
    mine = device(1, "Oslo/2", tags=("Lobby",))
    assert Underway(paused(LOBBIES, OSLO, EVERYWHERE)).rests(mine) == paused(LOBBIES)[0]
    assert Underway(paused(OSLO, EVERYWHERE)).rests(mine) == paused(OSLO)[0]
    assert Underway(paused(EVERYWHERE, OSLO)).rests(device(2, "Bergen/1")) == paused(EVERYWHERE)[0]


def test_where_one_goes_on_work_does() -> None:
    underway = Underway([*paused(LOBBIES, EVERYWHERE), OSLO])
    assert underway.rests(device(1, "Oslo/2", tags=("lobby",))) is None
    assert underway.rests(device(2, "Bergen/1")) == paused(EVERYWHERE)[0]


def test_the_shortest_lifetime_counts() -> None:
    hours = [replace(OSLO, lifetime_hours=8), replace(EVERYWHERE, lifetime_hours=12), LOBBIES]
    assert Underway(hours).lifetime(device(1, "Oslo/2")) == timedelta(hours=8)
    assert Underway(hours).lifetime(device(2, "Bergen/1")) == timedelta(hours=12)
    assert Underway([LOBBIES]).lifetime(device(3, "Bergen/1")) is None
