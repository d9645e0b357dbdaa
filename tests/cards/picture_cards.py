"""The cards that hold a picture, in each of their states; the names of sites are `user`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import pictures
from provisioning.burnup import BurnUp, SiteLine
from provisioning.documents.plot import LARGEST
from tests.cards.rollout_cards import rollout_cards

MORNING = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
NOW = MORNING + timedelta(hours=9, minutes=10)
PNG = bytes(range(256)) * (LARGEST // 256)  # as large as one may be


def line(site: str, total: int, done: int, recent: int = 0) -> SiteLine:
    return SiteLine(site, total, ((MORNING, 0), (NOW, done)), recent)


def burn_up(*lines: SiteLine, scope: str = "") -> BurnUp:
    return BurnUp(scope, MORNING, NOW + timedelta(minutes=5), lines)


def picture_cards(user: str = "Oslo") -> dict[str, View]:
    """Named views."""
    one = burn_up(line(user, 150, 38, 44), scope=user)
    many = burn_up(*(line(user, 150 - n, 38, 44) for n in range(7)), line("", 40, 3))
    living = rollout_cards(user, user)["rollout"]
    return {
        "picture": pictures.picture_card(one, pictures.card_picture(one, PNG, NOW), NOW),
        "picture-many": pictures.picture_card(many, pictures.card_picture(many, PNG, NOW), NOW),
        "rollout-picture": replace(living, picture=pictures.card_picture(many, PNG, NOW)),
    }
