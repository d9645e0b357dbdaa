"""A refusal's time tells no more than its bytes: a small round; `python -m tests.abuse timing` is the long one."""

import random
import statistics
import time

import pytest

from bot import device_api
from bot.device_api import REFUSAL_STEP
from tests.abuse.door import CASES
from tests.abuse.ranks import auc, spread
from tests.abuse.timing import BASE, Measured, measured

SAMPLES = 60  # of each reason; so few find what is coarse, on a machine that is busy with other things too
APART = 0.25


def told(times: dict[str, list[float]]) -> float:
    """How well MACs on the list are told from those that are not."""
    return auc(times[BASE], [each for case in CASES if case != BASE for each in times[case]])


def figures(found: Measured) -> str:
    return ", ".join(f"{case} {statistics.median(found.seconds[case]) * 1e3:.1f} ms" for case in CASES)


async def test_nobody_can_tell_by_the_time_nor_by_a_byte_nor_by_the_call_behind() -> None:
    found = await measured("files", SAMPLES, "--hands", probe=True)
    assert abs(told(found.seconds) - 0.5) < APART, figures(found)
    assert abs(told(found.behind) - 0.5) < APART
    assert len(found.answers) == 1


async def test_a_door_that_leaks_is_found_by_the_same_measurement() -> None:
    found = await measured("files", SAMPLES // 3, "--leak", "40")
    assert told(found.seconds) > 0.5 + APART, figures(found)


async def test_a_refusal_that_costs_next_to_nothing_takes_a_step_as_well() -> None:
    """On a loop whose clock tells whole milliseconds it would else be answered at once, now and then."""
    for _ in range(10):
        began = time.perf_counter()
        await device_api._until_step(began)
        assert time.perf_counter() - began > REFUSAL_STEP - 0.002  # the loop's clock again


# ------------------------------------------------------------------ the statistic itself


def test_the_rank_statistic_is_the_share_of_pairs() -> None:
    dice = random.Random(1)
    one, other = [[dice.randint(0, 9) for _ in range(size)] for size in (40, 25)]
    pairs = [1.0 if b > a else 0.5 if a == b else 0.0 for a in one for b in other]
    assert auc(one, other) == pytest.approx(sum(pairs) / len(pairs))
    assert auc(one, one) == 0.5
    assert (auc([1, 2], [3]), auc([3], [1, 2])) == (1, 0)


def test_alike_it_stays_within_its_spread() -> None:
    dice = random.Random(2)
    areas = [auc([dice.random() for _ in range(60)], [dice.random() for _ in range(60)]) for _ in range(400)]
    assert statistics.pstdev(areas) == pytest.approx(spread(60, 60), rel=0.15)
