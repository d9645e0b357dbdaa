"""Any notation people use is the same MAC; everything else is told what to do."""

import re
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import InvalidMac, MacNotADevice, MacWasNumber, MacWrongLength
from provisioning.mac import _normalised, _vendor_of, looks_like_mac, normalise, split_mac, vendor

MAC = "805EC0112233"

NOTATIONS = [
    "80-5E-C0-11-22-33",
    "80:5e:c0:11:22:33",
    "805e.c011.2233",
    "80 5E C0 11 22 33",
    "805e c011 2233",
    "805EC0112233",
    "805ec0112233",
    "  805EC0112233\n",
    '"80-5E-C0-11-22-33"',
    "'805EC0112233'",
    "“80-5E-C0-11-22-33”",
    "８０:５Ｅ:Ｃ０:１１:２２:３３",  # full-width
    "80–5E–C0–11–22–33",  # en dashes
    "80—5E—C0—11—22—33",  # em dashes
    "80−5E−C0−11−22−33",  # minus signs
    "80‑5E‑C0‑11‑22‑33",  # non-breaking hyphens
    "80\u00a05E\u00a0C0\u00a011\u00a022\u00a033",  # non-breaking spaces
    "80.5e.c0.11.22.33",
    "805E-C011-2233",
    "80_5E_C0_11_22_33",
    "80 : 5E : C0 : 11 : 22 : 33",
]


@pytest.mark.parametrize("text", NOTATIONS)
def test_any_notation_is_the_same_mac(text: str) -> None:
    assert normalise(text) == MAC
    assert looks_like_mac(text)


WRONG = [
    ("", InvalidMac, "12 hex digits"),
    ("phone", InvalidMac, "12 hex digits"),
    ("80-5E-C0-11-22-3G", InvalidMac, "12 hex digits"),
    ("80-5E-C0-11-22", MacWrongLength, "10 digits, a MAC has 12"),
    ("805EC01122334", MacWrongLength, "13 digits"),
    ("805EC01122", MacWrongLength, "Compare it with the label"),
    ("FF:FF:FF:FF:FF:FF", MacNotADevice, "broadcast"),
    ("01-00-5E-00-00-01", MacNotADevice, "multicast"),
    ("00:00:00:00:00:00", MacNotADevice, "Copy the MAC"),
    ("8.05E+11", MacWasNumber, "Format the column as Text"),
    ("1,23E+11", MacWasNumber, "Format the column as Text"),
    ("805E-C0-11-22-33", InvalidMac, "12 hex digits"),
    ("8-05EC-0112233", InvalidMac, "12 hex digits"),
    ("80-5E-C0-11-22-33 x", InvalidMac, "12 hex digits"),
    ("\x00", InvalidMac, "12 hex digits"),
    ("{0}{text!r}", InvalidMac, "{0}"),
]


@pytest.mark.parametrize(("text", "error", "says"), WRONG)
def test_each_wrong_kind_is_told_what_to_do(text: str, error: type[InvalidMac], says: str) -> None:
    with pytest.raises(error) as refused:
        normalise(text)
    assert type(refused.value) is error
    assert says in refused.value.sentence


def test_a_long_wrong_text_is_quoted_short() -> None:
    with pytest.raises(InvalidMac) as refused:
        normalise("z" * 10_000)
    assert len(refused.value.sentence) < 200


unicast = st.text("0123456789ABCDEF", min_size=12, max_size=12).filter(
    lambda mac: int(mac[:2], 16) % 2 == 0 and mac != "0" * 12
)


@given(
    mac=unicast,
    separator=st.sampled_from([*":-._ ", "–", "—", "−", "\u00a0", "·"]),
    size=st.sampled_from([2, 4, 12]),
    lower=st.booleans(),
    wide=st.booleans(),
)
def test_any_notation_of_any_device_is_one_mac(mac: str, separator: str, size: int, lower: bool, wide: bool) -> None:
    text = separator.join(re.findall("." * size, mac))
    text = text.lower() if lower else text
    if wide:
        text = text.translate({ord(c): ord(c) + 0xFEE0 for c in string.hexdigits})
    assert normalise(text) == mac


@given(
    st.one_of(
        st.text(alphabet="0123456789abcdefABCDEF:-. \n", max_size=20),
        st.from_regex(r"[0-9A-Fa-f]{2}([-:.]?[0-9A-Fa-f]{2}){5}", fullmatch=True),
        st.from_regex(r"[0-9A-Fa-f]{4}([-:.][0-9A-Fa-f]{4}){2}\n?", fullmatch=True),
        st.sampled_from(NOTATIONS + [text for text, _error, _says in WRONG]),
    )
)
def test_the_short_way_ends_where_the_long_one_does(text: str) -> None:
    def end(way: Callable[[str], str]) -> tuple[object, ...]:
        try:
            return (way(text),)
        except InvalidMac as error:
            return type(error), error.values

    assert end(normalise) == end(_normalised)


@given(st.text(max_size=40))
def test_any_text_is_a_mac_or_a_clear_error(text: str) -> None:
    try:
        mac = normalise(text)
    except InvalidMac as error:
        assert error.sentence
    else:
        assert re.fullmatch("[0-9A-F]{12}", mac)
    looks_like_mac(text)


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("80-5E-C0-11-22-33 Oslo/2/2.14", "Oslo/2/2.14"),
        ("805ec0112233\tOslo 2", "Oslo 2"),
        ("80 5E C0 11 22 33 Oslo", "Oslo"),
        ("805e c011 2233 12 34", "12 34"),
        ("８０５ＥＣ０１１２２３３ Oslo", "Oslo"),
        ("805EC0112233", ""),
    ],
)
def test_a_line_is_a_mac_and_the_rest(line: str, rest: str) -> None:
    assert split_mac(line) == (MAC, rest)


@pytest.mark.parametrize("line", ["80 5E C0 11 22 Oslo", "805EC01122 33", "805e c011 Oslo", ""])
def test_a_short_mac_is_never_completed_from_the_location(line: str) -> None:
    with pytest.raises(InvalidMac):
        split_mac(line)


@pytest.mark.parametrize("text", ["2.14", "2233", "22:33", "Oslo", "Facade", "Oslo/2/2.14", "de ad", ""])
def test_places_and_short_endings_are_not_taken_for_macs(text: str) -> None:
    assert not looks_like_mac(text)


@pytest.mark.parametrize("text", ["805EC01122", "80-5E-C0", "8.05E+11", "805EC0112233445566"])
def test_a_wrong_mac_is_still_seen_to_be_meant_as_one(text: str) -> None:
    assert looks_like_mac(text)


def test_the_vendor_is_known_by_the_first_half() -> None:
    assert vendor(MAC) == "Yealink"
    assert vendor("AAAAAA112233") == ""


def test_a_mac_that_an_administrator_made_up_has_no_vendor() -> None:
    assert vendor("02CF1C112233") == vendor("825EC0112233") == ""


def test_the_registry_is_asked_once_for_each_prefix() -> None:
    _vendor_of.cache_clear()
    assert {vendor(f"805EC0{number:06X}") for number in range(1_000)} == {"Yealink"}
    assert _vendor_of.cache_info().misses == 1
