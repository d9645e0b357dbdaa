"""How many examples the property tests try: the same in each run; by HYPOTHESIS_PROFILE=nightly many new ones."""

import os
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

PROFILE: Final = os.environ.get("HYPOTHESIS_PROFILE") or "ci"
USUAL: Final = 100  # of a test that does not say how many
MORE_BY_NIGHT: Final = 20
KEPT: Final = Path(__file__).parents[1] / ".hypothesis" / "examples"


def examples(bounded: int) -> int:
    """As many as a test can afford in each run; by night that many times more."""
    return bounded * MORE_BY_NIGHT if PROFILE == "nightly" else bounded


def load() -> None:
    """Neither has a deadline: no test is against the clock. What fails by night is kept in .hypothesis, and tried first
    the next night, on a CI machine too: there Hypothesis' own settings, which ours start from, keep nothing.
    """
    every = {"deadline": None, "print_blob": True, "max_examples": examples(USUAL)}
    settings.register_profile("ci", derandomize=True, **every)
    settings.register_profile(
        "nightly",
        derandomize=False,
        database=DirectoryBasedExampleDatabase(KEPT),
        suppress_health_check=[HealthCheck.too_slow],
        **every,
    )
    settings.load_profile(PROFILE)
