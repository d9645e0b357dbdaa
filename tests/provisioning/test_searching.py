"""Parts of a MAC as people type them, and what else looks like one."""

import pytest

from provisioning.mac import normalise
from provisioning.model import Device
from provisioning.searching import searched, text_of, texts_of
from tests.provisioning.test_lifecycle import NOW

MAC = "805EC0AB12EF"
DEVICE = Device(mac=normalise(MAC), location="Oslo/2/10.12", added_at=NOW, added_by="d", tags=("East Wing",))


@pytest.mark.parametrize(
    "part",
    ["c0ab", "C0:AB", "c0-ab-12", "c0ab.12ef", "805e.c0ab", "5ec0-ab12", "0:AB:1", "5E-C0", "c0–ab", "EF", "１２ef"],
)
def test_every_notation_of_a_part_is_in_the_text(part: str) -> None:
    assert searched(part) in text_of(DEVICE)


@pytest.mark.parametrize("text", ["10.12", "20-14", "2.14", "oslo/2", "east", "wing-b", "a-1"])
def test_what_is_no_part_of_a_mac_stays_as_it_is(text: str) -> None:
    assert searched(text) == text


@pytest.mark.parametrize(
    ("typed", "texts"),
    [
        ("80 5E C0", [("805ec0", 3)]),
        ("80 5e c0 desk", [("805ec0", 3), ("desk", 1)]),
        ("c0ab 12ef", [("c0ab12ef", 2)]),
        ("10 12", [("10", 1), ("12", 1)]),  # floor and room
        ("ab", [("ab", 1)]),
        ("Room EAST", [("room", 1), ("east", 1)]),
    ],
)
def test_pairs_in_a_row_are_one_mac(typed: str, texts: list[tuple[str, int]]) -> None:
    assert texts_of(typed.split()) == texts


def test_a_device_is_found_by_place_and_tag() -> None:
    assert "oslo/2/10.12" in text_of(DEVICE) and "east wing" in text_of(DEVICE)
