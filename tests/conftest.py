"""What every test shares: how many examples the property tests try, and a collector that minds only what they make."""

import gc

from tests import profiles

profiles.load()
gc.disable()  # 13 000 tests are collected: to look through them over and over takes a quarter of that time


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
