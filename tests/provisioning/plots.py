"""Burn-ups to draw, the same each time."""

from itertools import accumulate

from provisioning.documents.plot import Curve, Plot, Tick

HOURS = 9.5
TICKS = tuple(Tick(hour + 0.5, f"{8 + hour:02}:00") for hour in range(0, 9, 2))
SITES = ("Oslo", "Bergen", "Trondheim Science Park", "Zürich", "Kraków", "Αθήνα", "Київ", "others")


def curve(label: str, total: int, done: int, steps: int = 38) -> Curve:
    """Rises to `done`, as people work: not evenly."""
    weights = [(step * 7919 + total) % 13 for step in range(1, steps + 1)]
    so_far = [round(done * each / sum(weights)) for each in accumulate(weights)]
    return Curve(label, done, total, ((0.0, 0), *((HOURS * n / steps, each) for n, each in enumerate(so_far, 1))))


def plot(*sites: str, steps: int = 38) -> Plot:
    curves = tuple(
        curve(site, 150 * (9 - n), 150 * (9 - n) * (n * 3 % 8 + 1) // 8, steps) for n, site in enumerate(sites)
    )
    return Plot("All sites: 451 of 1197 provisioned", HOURS, curves, TICKS)
