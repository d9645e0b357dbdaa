"""The property tests try the same examples in each run, and many new ones by night."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.profiles import MORE_BY_NIGHT, PROFILE, USUAL, examples

HOUSE = Path(__file__).parents[1]
ASKED = (
    "from hypothesis import settings; from tests import profiles; profiles.load(); now = settings();"
    "print(now.max_examples, profiles.examples(7), now.derandomize, now.deadline, bool(now.database))"
)


def asked(**environ: str) -> tuple[int, str]:
    there = {name: text for name, text in os.environ.items() if name not in {"HYPOTHESIS_PROFILE", "CI"}} | environ
    done = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=HOUSE, env=there, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(
    "environ", [{}, {"HYPOTHESIS_PROFILE": ""}, {"HYPOTHESIS_PROFILE": "ci", "CI": "true"}], ids=str
)
def test_each_run_tries_the_same_examples(environ: dict[str, str]) -> None:
    assert asked(**environ) == (0, f"{USUAL} 7 True None False")


@pytest.mark.parametrize("environ", [{}, {"CI": "true"}], ids=str)
def test_by_night_it_tries_many_new_ones_and_keeps_what_fails(environ: dict[str, str]) -> None:
    many, seven = USUAL * MORE_BY_NIGHT, 7 * MORE_BY_NIGHT
    assert asked(HYPOTHESIS_PROFILE="nightly", **environ) == (0, f"{many} {seven} False None True")


def test_a_profile_that_nobody_knows_is_an_error() -> None:
    assert asked(HYPOTHESIS_PROFILE="weekly")[0] != 0


def test_this_run_goes_by_its_profile() -> None:
    assert examples(7) == (7 * MORE_BY_NIGHT if PROFILE == "nightly" else 7)
