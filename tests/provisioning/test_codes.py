"""Codes: typos are caught on entry, seals hold, comparison tells nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.codes import Key, Keyring, generate, hash_token, key_of, normalise
from provisioning.errors import InvalidCode
from provisioning.model import ActivationCode, Authority

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MAC, OTHER = "805EC0112233", "805EC0112234"
OLD, NEW = Key("old", b"o" * 32), Key("new", b"n" * 32)
RING = Keyring([OLD])


def issued(code: str, *, ring: Keyring = RING, mac: str = MAC, issue: int = 1) -> ActivationCode:
    return ring.issue(mac, code, issue, NOW, timedelta(hours=24), "dana")


# ------------------------------------------------------------------ on entry


@pytest.mark.parametrize("digits", range(8, 17))
def test_every_single_typo_and_every_neighbour_swap_is_caught(digits: int) -> None:
    for _ in range(10):
        code = generate(digits)
        assert normalise(code, digits) == code
        typos = {code[:i] + d + code[i + 1 :] for i in range(digits) for d in "0123456789"} - {code}
        swaps = {code[:i] + code[i + 1] + code[i] + code[i + 2 :] for i in range(digits - 1)} - {code}
        assert len(typos) == 9 * digits
        for wrong in typos | swaps:
            with pytest.raises(InvalidCode):
                normalise(wrong, digits)


def test_codes_differ() -> None:
    assert len({generate(12) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "written",
    [
        "{0}{1}{2}",
        "{0} {1} {2}",
        " {0}-{1}-{2}\n",
        "{0}.{1}.{2}",
        "*55*{0}{1}{2}",
        "*55*{0}{1}{2}#",
        "*55*{0} {1} {2}#",
    ],
)
def test_a_code_may_be_grouped_or_dialled(written: str) -> None:
    code = generate(12)
    assert normalise(written.format(code[:4], code[4:8], code[8:]), 12) == code


def test_full_width_digits_are_digits() -> None:
    code = generate(12)
    assert normalise(code.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"}), 12) == code


@given(st.text(max_size=30))
def test_anything_else_is_no_complete_code(text: str) -> None:
    try:
        assert re.fullmatch("[0-9]{12}", normalise(text, 12))
    except InvalidCode as error:
        assert "nothing was counted" in error.sentence


@pytest.mark.parametrize(
    "text", ["", "*55*", "*55*#", "12345678901", "1" * 13, "١٢٣٤٥٦٧٨٩٠١٢", "*55**55*000000000000", "-" * 12]
)
def test_what_is_no_complete_code(text: str) -> None:
    with pytest.raises(InvalidCode):
        normalise(text, 12)


# ------------------------------------------------------------------ at rest


def test_a_sealed_code_comes_back_for_its_own_mac_and_issue_alone() -> None:
    kept = issued("482913760257")
    assert RING.unseal(MAC, kept) == "482913760257"
    moved = ActivationCode(**{name: getattr(kept, name) for name in kept.__slots__} | {"issue": 2})
    for mac, code in ((OTHER, kept), (MAC, moved)):
        with pytest.raises(ValueError, match="does not belong"):
            RING.unseal(mac, code)


def test_a_tampered_or_erased_seal_gives_nothing() -> None:
    kept = issued("482913760257")
    assert kept.sealed is not None
    flipped = kept.sealed[:-6] + ("A" if kept.sealed[-6] != "A" else "B") + kept.sealed[-5:]
    fields = {name: getattr(kept, name) for name in kept.__slots__}
    for sealed in (flipped, None):
        with pytest.raises(ValueError, match=r"seal"):
            RING.unseal(MAC, ActivationCode(**fields | {"sealed": sealed}))


def test_no_digits_stand_in_what_is_kept_and_the_same_code_looks_different_each_time() -> None:
    one, two = issued("482913760257"), issued("482913760257")
    assert "482913760257" not in repr(one)
    assert one.sealed != two.sealed
    assert issued("482913760257", mac=OTHER).digest != one.digest


def test_a_code_matches_its_mac_and_digits_alone() -> None:
    kept = issued("482913760257")
    assert RING.matches(MAC, kept, "482913760257")
    assert not RING.matches(OTHER, kept, "482913760257")
    assert not RING.matches(MAC, kept, "482913760258")
    assert not RING.matches(MAC, None, "482913760257")


def test_an_erased_digest_or_a_lost_key_matches_nothing() -> None:
    kept = issued("482913760257")
    fields = {name: getattr(kept, name) for name in kept.__slots__}
    assert not RING.matches(MAC, ActivationCode(**fields | {"digest": None}), "482913760257")
    assert not RING.matches(MAC, ActivationCode(**fields | {"digest": ""}), "482913760257")
    assert not Keyring([NEW]).matches(MAC, kept, "482913760257")


def test_after_a_rotation_old_codes_open_and_new_ones_use_the_new_key() -> None:
    kept, rotated = issued("482913760257"), Keyring([NEW, OLD])
    assert rotated.matches(MAC, kept, "482913760257")
    assert rotated.unseal(MAC, kept) == "482913760257"
    assert issued("482913760257", ring=rotated).key_id == "new"
    assert rotated.fingerprint("a") == RING.fingerprint("a")


def test_keys_are_replaced_while_they_are_in_use() -> None:
    ring = Keyring([OLD])
    kept, waits, signed = issued("482913760257", ring=ring), ring.wrap(MAC, "x"), ring.sign("a", "b")
    assert not ring.take([OLD])
    for keys in ([OLD, NEW], [NEW, OLD]):
        assert ring.take(keys)
        assert ring.ids == tuple(key.id for key in keys)
        assert ring.matches(MAC, kept, "482913760257") and ring.unseal(MAC, kept) == "482913760257"
        assert ring.unwrap(MAC, waits) == "x" and ring.signed(signed, "a", "b")
    assert issued("482913760257", ring=ring).key_id == "new"
    assert ring.take([NEW])
    assert not ring.matches(MAC, kept, "482913760257") and not ring.signed(signed, "a", "b")


@pytest.mark.parametrize(
    ("keys", "said"),
    [([], "needs a key"), ([NEW], "old, which codes"), ([NEW, Key("old", b"x" * 32)], "old is another one")],
)
def test_keys_that_cannot_follow_change_nothing(keys: list[Key], said: str) -> None:
    ring = Keyring([OLD])
    kept = issued("482913760257", ring=ring)
    with pytest.raises(ValueError, match=said):
        ring.take(keys)
    assert ring.ids == ("old",) and ring.unseal(MAC, kept) == "482913760257"


def test_a_keyed_hash_names_its_key_and_holds_under_any_other_first_key() -> None:
    signed = RING.sign("ab", "c")
    assert (key_of(signed), key_of(RING.fingerprint("ab", "c")), key_of(RING.wrap(MAC, "x"))) == ("old", "", "old")
    rotated = Keyring([NEW, OLD])
    assert rotated.signed(signed, "ab", "c") and rotated.signed(RING.fingerprint("ab", "c"), "ab", "c")
    assert not any(rotated.signed(text, "ab", "c") for text in ("", "old:", signed[:-1], RING.sign("a", "bc"), "ä"))
    assert key_of(rotated.sign("x")) == "new"
    assert rotated.fingerprints("x") == {"new": Keyring([NEW]).fingerprint("x"), "old": RING.fingerprint("x")}


def test_sealing_and_verifying_use_different_keys() -> None:
    assert len({OLD.derive("seal"), OLD.derive("verify"), OLD.derive("slots"), OLD.secret}) == 4
    assert "o" * 8 not in repr(OLD)


def test_parts_of_a_fingerprint_do_not_run_together() -> None:
    assert RING.fingerprint("ab", "c") != RING.fingerprint("a", "bc")


def test_a_keyring_needs_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Keyring([])


def test_tokens_are_kept_as_hashes() -> None:
    assert re.fullmatch("[0-9a-f]{64}", hash_token("x"))


# ------------------------------------------------------------------ of the Teams admin centre


def received(code: str, *, ring: Keyring = RING, mac: str = MAC) -> ActivationCode:
    return ring.receive(mac, code, 1, NOW, timedelta(hours=24), "dana")


@pytest.mark.parametrize("code", ["482913", "4829", "K7P2-QX9M", "482913760257"])
def test_a_code_of_the_teams_admin_centre_is_shown_and_never_accepted(code: str) -> None:
    kept = received(code)
    assert RING.unseal(MAC, kept) == code
    assert (kept.authority, kept.expires_at) == (Authority.TEAMS, NOW + timedelta(hours=24))
    assert kept.digest is None
    assert not RING.matches(MAC, kept, code)
    with pytest.raises(ValueError, match="does not belong"):
        RING.unseal(OTHER, kept)


def test_the_same_code_again_is_known_also_when_its_seal_is_gone_and_after_a_rotation() -> None:
    kept = replace(received("482913"), sealed=None)
    assert RING.received(MAC, kept, "482913")
    assert Keyring([NEW, OLD]).received(MAC, kept, "482913")
    assert not RING.received(MAC, kept, "482914")
    assert not RING.received(OTHER, kept, "482913")
    assert not RING.received(MAC, None, "482913")
    assert not RING.received(MAC, issued("482913"), "482913")
    assert "482913" not in repr(kept)


def test_what_waits_in_an_upload_opens_for_its_mac_alone_and_is_no_code_of_a_device() -> None:
    waiting = RING.wrap(MAC, "482913")
    assert "482913" not in waiting
    assert RING.wrap(MAC, "482913") != waiting
    assert Keyring([NEW, OLD]).unwrap(MAC, waiting) == "482913"
    with pytest.raises(ValueError, match="does not belong"):
        RING.unwrap(OTHER, waiting)
    kept = replace(received("482913"), sealed=waiting.rpartition(":")[2])
    with pytest.raises(ValueError, match="does not belong"):
        RING.unseal(MAC, kept)


def test_what_was_not_sealed_here_is_not_opened() -> None:
    for text in (Keyring([NEW]).wrap(MAC, "482913"), "482913", ""):
        with pytest.raises(ValueError, match="not in CODE_KEYS"):
            RING.unwrap(MAC, text)
    for body in ("AAAA", "482913", "!"):
        with pytest.raises(ValueError):
            RING.unwrap(MAC, f"old:{body}")
