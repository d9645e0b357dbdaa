"""What is read from a photo of a label, and which MACs are in what was read."""

from itertools import count

import pytest

from provisioning.documents.barcodes import read
from provisioning.documents.labels import Barcode, macs_of, numbers_of
from tests.labels import LABELS, code128, encoded, label, mac_of, photo

A, B = "805EC0112233", "805EC0112234"
EXAMPLES = 12  # of each symbology; all hundred are read by `python -m tests.benchmarks.labels`


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_read_at_any_angle_blurred_small_and_in_bad_light(name: str) -> None:
    read_well = [macs_of(read(photo(name, seed))) == (mac_of(seed),) for seed in range(EXAMPLES)]
    assert sum(read_well) >= EXAMPLES - 1, read_well


def test_what_was_found_is_kept_where_looking_takes_long() -> None:
    """A barcode without a MAC makes it look on; at some point it tells what it has."""
    clock, looks = count(0, 5), []

    def spent() -> float:
        looks.append(next(clock))
        return looks[-1]

    (found,) = read(encoded(label(code128("3105C0112233"), "3105C0112233")), spent)
    assert found.text == "3105C0112233" and looks == [0, 5, 10]


@pytest.mark.parametrize(
    ("text", "macs"),
    [
        ("805EC0112233", (A,)),
        ("805ec0112233", (A,)),
        ("80:5E:C0:11:22:33", (A,)),
        ("80-5E-C0-11-22-33", (A,)),
        ("805E.C011.2233", (A,)),
        ("MAC: 805EC0112233", (A,)),
        ("MAC:80 5E C0 11 22 33", (A,)),
        ("MAC ID 805EC0112233", (A,)),
        ("(MAC)805EC0112233", (A,)),
        ("install 80-5E-C0-11-22-33", (A,)),
        ("https://teams.microsoft.com/l/chat/0/0?users=28:1&message=install%2080-5E-C0-11-22-33", (A,)),
        ('{"sn":"3105C0112233","mac":"805EC0112233"}', (A,)),
        ('{"mac": "80:5E:C0:11:22:33", "pn": "123456789012"}', (A,)),
        ("SN:803086F120000123;MAC:805EC0112233;PN:MP56", (A,)),
        ("803086F120000123 805EC0112233", (A,)),
        ("MAC1=805EC0112233;MAC2=805EC0112234", (A, B)),
        ("805EC0112233,805EC0112234,805EC0112233", (A, B)),
        ("MAC:001565112233", ("001565112233",)),
        ("001565112233", ()),  # most numbers are serials: only the list can tell
        ("803086F120000123", ()),
        ("805EC011223", ()),
        ("805EC01122334", ()),
        ("80-5E:C0-11:22-33", ()),
        ("FFFFFFFFFFFF", ()),
        ("815EC0112233", ()),  # a group's address, which no device has
        ("https://example.com/805EC0112233x", ()),
        ("", ()),
    ],
)
def test_macs_in_what_a_barcode_says(text: str, macs: tuple[str, ...]) -> None:
    assert macs_of([Barcode(text, "QRCode")]) == macs


@pytest.mark.parametrize("kind", ["EAN13", "EAN8", "UPCA", "UPCE", "ITF", "ITF14", "DataBar", "ISBN"])
def test_an_article_is_never_a_device(kind: str) -> None:
    article = Barcode("001565112233", kind)
    assert (macs_of([article]), numbers_of([article])) == ((), ())
    assert numbers_of([Barcode("001565112233", "Code128")]) == ("001565112233",)


def test_of_several_barcodes_each_mac_once_in_their_order() -> None:
    codes = [
        Barcode(B, "Code128"),
        Barcode("3105C0", "Code128"),
        Barcode(f"MAC:{A};{B}", "QRCode"),
        Barcode(A, "QRCode"),
    ]
    assert macs_of(codes) == (B, A)
