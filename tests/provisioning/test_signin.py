"""Which account is meant, and whether it was the one that approved."""

import pytest

from provisioning.provider_errors import PROVIDER_ERRORS
from provisioning.signin import Account, SignIn, Stage, is_account, same_account
from tests.fakes import FakeClock

OID = "3a5f0c1e-9c1b-4b7e-8d0a-2f6f5b0e9a11"
ROOM = Account(OID, ("Room-2.14@contoso.com", "r214@contoso.onmicrosoft.com"), "t")


@pytest.mark.parametrize(
    ("intended", "intended_id", "same"),
    [
        ("Room-2.14@contoso.com", "", True),
        ("room-2.14@CONTOSO.com", "", True),
        ("r214@contoso.onmicrosoft.com", "", True),
        ("STRASSE@contoso.com", "", False),
        ("room-2.15@contoso.com", "", False),
        ("contoso.com", "", False),
        ("", "", False),
        (OID, "", False),
        ("renamed@contoso.com", OID, True),
        ("renamed@contoso.com", OID.upper(), True),
        ("room-2.14@contoso.com", OID.replace("3", "4"), False),
    ],
)
def test_the_account_that_approved_is_the_intended_one(intended: str, intended_id: str, same: bool) -> None:
    """By its object id where that is known: whoever was given the name of somebody who left is somebody else."""
    assert same_account(ROOM, intended, intended_id) is same


def test_an_account_without_a_name_is_nobodys() -> None:
    nameless = Account("248289761001", ())
    assert nameless.name == "248289761001"
    assert not same_account(nameless, "")
    assert not same_account(nameless, "room@contoso.com")
    assert same_account(nameless, "room@contoso.com", "248289761001")
    assert not same_account(Account("", ()), "", "")


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("room-2.14@contoso.com", True),
        ("o'neill+teams@contoso.onmicrosoft.com", True),
        ("guest_fabrikam.com#EXT#@contoso.com", True),
        ("räume@contoso.com", True),
        ("room@localhost", True),
        ("room", False),
        ("@contoso.com", False),
        ("room@", False),
        ("a@b@c", False),
        ("room 2@contoso.com", False),
        (" room@contoso.com", False),
        ("room@contoso.com\n", False),
        ("CONTOSO\\room", False),
        ("https://contoso.com/@room", False),
        ("x" * 121 + "@contoso.com", False),
        ("", False),
    ],
)
def test_what_looks_like_an_account(text: str, account: bool) -> None:
    assert is_account(text) is account


def test_only_two_stages_are_live() -> None:
    assert {stage for stage in Stage if stage.live} == {Stage.REQUESTED, Stage.CODE_SHOWN}
    begun = SignIn(id="1", account="a@b.c", by="p", by_name="P", asked_at=FakeClock().now())
    assert begun.live


def test_whatever_ends_a_sign_in_says_so_in_a_sentence() -> None:
    assert all(not error.stage.live and error.message for error in PROVIDER_ERRORS.values())
