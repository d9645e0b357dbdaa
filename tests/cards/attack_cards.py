"""The cards of an attack on codes: none, its beginning, its worst hour, its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import attack as cards
from provisioning.defence import Attack, Turned, Verdict
from provisioning.model import Device
from provisioning.service.guarding import Siege

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
LATER, BEFORE = NOW + timedelta(minutes=8), NOW - timedelta(minutes=2)
LONGEST = "2001:db8:aaaa:bbbb::/64"


def attack_cards(device: Device, name: str) -> dict[str, View]:
    begun = Attack(began=BEFORE, spent=1, shut_until=LATER)
    verdicts = tuple(Verdict(network=f"10.{n}.0.0/24", allowed=bool(n % 2), by_name=name, at=BEFORE) for n in range(9))
    turned = tuple(Turned(network=f"2001:db8:aaaa:{n:x}::/64", calls=12_345 - n, exempt=n == 3) for n in range(8))
    worst = replace(begun, exempt_until=LATER, turned=turned, verdicts=verdicts, spent=7)
    over = replace(worst, over=NOW)
    quiet = Siege(Attack(), 0, 0, 0, 0)
    again = replace(worst, shut_until=BEFORE, exempt_until=None)
    asked = Siege(worst, 600, 456, 600, 123, (device,) * 5, 1234, turned[0])
    return {
        "attack-none": cards.attack_card(quiet, NOW),
        "attack-none-decided": cards.attack_card(replace(quiet, attack=over), NOW, cards.allowed_words(LONGEST)),
        "attack-begun": cards.attack_card(Siege(begun, 600, 45, 0, 0), NOW),
        "attack-asks": cards.attack_card(asked, NOW),
        "attack-asks-known": cards.attack_card(replace(asked, known_since=NOW - timedelta(days=3)), NOW),
        "attack-asks-exempt": cards.attack_card(replace(asked, asked=turned[3]), NOW, cards.denied_words(LONGEST)),
        "attack-open": cards.attack_card(replace(asked, attack=again), NOW),
        "attack-over": cards.over_card(replace(quiet, attack=over), NOW),
    }
