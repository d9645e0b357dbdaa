"""When the next call may go: every window of Teams' limits holds, and nothing waits longer than it must."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from provisioning.pacing import APP, CONVERSATION, STORM, Pacing, Window, unlimited
from tests.teams_limits import TeamsLimits


@dataclass
class Time:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pacing(time: Time) -> Pacing:
    return Pacing(time, slack=0.0)


def test_the_first_seven_calls_go_at_once_the_eighth_waits_for_the_second_to_pass(time: Time, pacing: Pacing) -> None:
    for _ in range(7):
        assert pacing.wait("a") == 0
        pacing.note("a")
    assert pacing.wait("a") == 1
    time.now += 0.25
    assert pacing.wait("a") == 0.75


@pytest.mark.parametrize("window", CONVERSATION, ids=str)
def test_each_window_alone_holds(time: Time, window: Window) -> None:
    pacing = Pacing(time, conversation=(window,), app=None, slack=0.0)
    for _ in range(window.calls):
        assert pacing.wait("a") == 0
        pacing.note("a")
    assert pacing.wait("a") == window.seconds
    time.now += window.seconds
    assert pacing.wait("a") == 0


@pytest.mark.parametrize("seed", range(3))
def test_whoever_waits_as_told_is_never_refused_and_gets_all_there_is(time: Time, pacing: Pacing, seed: int) -> None:
    """An hour and a half of random bursts to one conversation, checked by Teams' own counting."""
    rng, teams = random.Random(seed), TeamsLimits(time)
    began = time.now
    while time.now < began + 5_400:
        time.now += max(pacing.wait("a"), pacing.app_wait())
        if rng.random() < 0.01:
            time.now += rng.random() * 20
        pacing.note("a")
        assert teams.take("a") == 0
    assert teams.broken() == []
    assert len(teams.taken["a"]) > 1_800 * 1.4  # an hour's worth, and half of the next


def test_calls_may_be_late_by_the_slack(time: Time) -> None:
    pacing = Pacing(time)
    for _ in range(7):
        pacing.note("a")
    assert pacing.wait("a") == pytest.approx(1.1)


def test_conversations_do_not_wait_for_each_other_but_the_app_does(time: Time, pacing: Pacing) -> None:
    for n in range(20):
        assert pacing.app_wait() == 0
        pacing.note(f"chat {n}")
    assert pacing.wait("another") == 0
    assert pacing.app_wait() == 1


def test_what_has_begun_counts_before_it_is_noted(time: Time, pacing: Pacing) -> None:
    for _ in range(7):
        pacing.begin("a")
    assert pacing.wait("a") > 0
    pacing.end("a")  # nothing was sent
    assert pacing.wait("a") == 0
    for _ in range(6):
        pacing.note("a")
        pacing.end("a")
    assert pacing.wait("a") == 0
    pacing.note("a")
    assert pacing.wait("a") == 1


def test_what_others_send_meanwhile_counts_as_well(time: Time, pacing: Pacing) -> None:
    pacing.begin("a")
    for _ in range(3):
        pacing.note("a")  # answers in their turns
    pacing.note("a")  # and what had begun
    pacing.end("a")
    for _ in range(3):
        pacing.note("a")
    assert pacing.wait("a") == 1


def test_a_conversation_is_left_alone_as_long_as_it_asked(time: Time, pacing: Pacing) -> None:
    pacing.throttled("a", 40)
    pacing.throttled("a", 2)
    assert (pacing.wait("a"), pacing.wait("b"), pacing.app_wait()) == (40, 0, 0)
    time.now += 40
    assert pacing.wait("a") == 0


def test_a_storm_of_refusals_halves_the_pace_for_a_moment(time: Time, pacing: Pacing) -> None:
    for n in range(STORM - 1):
        pacing.throttled(f"chat {n}", 1)
        pacing.throttled(f"chat {n}", 1)  # one chat is no storm
    assert pacing.rate == 20
    pacing.throttled("another", 1)
    assert pacing.rate == 10
    time.now += 10
    assert pacing.rate == 20


def test_refusals_far_apart_are_no_storm(time: Time, pacing: Pacing) -> None:
    for n in range(STORM * 3):
        pacing.throttled(f"chat {n}", 1)
        time.now += 3
    assert pacing.rate == 20


@pytest.mark.parametrize("count", [1, 2, 3, 8, 19, 20, 21, 64])
def test_instances_share_all_of_it_and_no_more(time: Time, count: int) -> None:
    crowd = [Pacing(time, slack=0.0) for _ in range(count)]
    for rank, pacing in enumerate(crowd):
        pacing.among(rank, count)
    assert sum(pacing.rate for pacing in crowd) == pytest.approx(APP.calls)
    assert min(pacing.rate for pacing in crowd) > 0


def test_idle_conversations_are_forgotten(time: Time, pacing: Pacing) -> None:
    for n in range(5_000):
        pacing.note(f"chat {n}")
        time.now += 1
    assert pacing.known <= 3_602


def test_one_that_hangs_keeps_no_other_from_being_forgotten(time: Time, pacing: Pacing) -> None:
    pacing.begin("hung")
    for n in range(10_000):
        pacing.note(f"chat {n}")
        time.now += 1
    assert pacing.known <= 3_603


def test_a_clock_that_is_set_back_stops_nobody(time: Time, pacing: Pacing) -> None:
    for _ in range(20):
        pacing.note("a")
    time.now -= 3_600
    assert (pacing.wait("a"), pacing.app_wait()) == (0, 0)


def test_without_limits_only_what_was_asked_for_is_waited(time: Time) -> None:
    pacing = unlimited(time)
    for _ in range(5_000):
        pacing.note("a")
    assert (pacing.wait("a"), pacing.app_wait(), pacing.rate, pacing.known) == (0, 0, float("inf"), 0)
    pacing.throttled("a", 3)
    assert pacing.wait("a") == 3
