"""What needs which key, and for how long: a key may go when the last of it is over, and not before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.batches import Batch
from provisioning.codes import Key, Keyring
from provisioning.key_use import KEEP_SHEET, REMEMBER_ENDED, KeyUses, Need, Tally, Use, uses_of
from provisioning.model import Device, Person, Record
from provisioning.service.housekeeping import KEEP_BATCHES, REMEMBER_HASH
from provisioning.service.offline import SHEET
from provisioning.sheets.rows import BadRow, RowFault, SheetRow
from provisioning.signin import SignIn, Stage
from provisioning.uploads import UploadPart

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DAY, MAC = timedelta(days=1), "805EC0112233"
RING = Keyring([Key("k1", b"1" * 32)])
OWN = RING.issue(MAC, "482913760257", 1, NOW, DAY, "dana")
TEAMS = RING.receive(MAC, "482913", 1, NOW, DAY, "dana")
SIGN_IN = SignIn(
    id="s",
    account="a@b",
    by="dana",
    by_name="",
    asked_at=NOW,
    stage=Stage.CODE_SHOWN,
    sealed=RING.wrap(MAC, "x"),
    expires_at=NOW + DAY,
)
ENDED = NOW + DAY + REMEMBER_ENDED


def device(**fields: object) -> Device:
    return Device(mac=MAC, location="Oslo/1", added_at=NOW, added_by="dana", **fields)  # type: ignore[arg-type]


def sheet(**fields: object) -> Batch:
    return Batch(id="s", kind=SHEET, by="sam", by_name="", at=NOW, macs=(MAC,), **fields)  # type: ignore[arg-type]


PART = UploadPart(
    upload="u",
    number=0,
    rows=(SheetRow(1, MAC, "Oslo", code=RING.wrap(MAC, "1")), SheetRow(2, MAC, "Oslo")),
    bad=(BadRow(3, (), RowFault.of("x", {}), code=RING.wrap("3", "1")),),
)


@pytest.mark.parametrize(
    ("record", "at", "uses"),
    [
        (device(code=OWN), NOW, {Need.LIVE_CODE: NOW + DAY, Need.ENDED_CODE: ENDED}),
        (device(code=OWN), NOW + DAY, {Need.ENDED_CODE: ENDED}),
        (device(code=replace(OWN, sealed=None)), ENDED - timedelta(seconds=1), {Need.ENDED_CODE: ENDED}),
        (device(code=OWN), ENDED, {}),
        (device(code=replace(OWN, sealed=None, digest=None)), NOW, {}),
        (device(code=TEAMS), NOW, {Need.LIVE_CODE: NOW + DAY, Need.RECEIVED_CODE: ENDED}),
        (device(code=replace(TEAMS, sealed=None)), NOW, {Need.RECEIVED_CODE: ENDED}),
        (device(code=TEAMS), ENDED, {}),
        (device(retry_key=RING.sign("x"), retry_until=NOW + DAY), NOW, {Need.ANSWER: NOW + DAY}),
        (device(retry_key=RING.sign("x"), retry_until=NOW), NOW, {}),
        (device(sign_in=SIGN_IN), NOW, {Need.SIGN_IN: NOW + DAY}),
        (device(sign_in=replace(SIGN_IN, stage=Stage.ENDED, sealed="")), NOW, {}),
        (PART, NOW, {Need.UPLOAD: None}),
        (sheet(key_id="k1"), NOW, {Need.SHEET: NOW + KEEP_SHEET}),
        (sheet(key_id="k1"), NOW + KEEP_SHEET, {}),
        (replace(sheet(), kind="issue"), NOW, {}),
        (device(), NOW, {}),
        (Person(id="sam"), NOW, {}),
    ],
)
def test_each_use_and_its_end(record: Record, at: datetime, uses: dict[Need, datetime | None]) -> None:
    found = list(uses_of(record, at))
    assert {use.need: use.until for use in found} == uses
    assert {use.key for use in found} <= {"k1"}


def test_what_named_no_key_is_the_oldest_ones() -> None:
    """Marks, answers and sheets of before hashes named their key were made with the oldest key of their ring."""
    bare = RING.fingerprint("x")
    old = [
        device(code=replace(TEAMS, sealed=None, mark=bare)),
        device(retry_key=bare, retry_until=NOW + DAY),
        sheet(),
    ]
    assert [next(iter(uses_of(record, NOW))).key for record in old] == ["", "", ""]
    uses = KeyUses("k0")
    for record in (*old, device(code=OWN), PART, PART):
        uses.see(record, NOW)
    assert set(uses.found) == {"k0", "k1"}
    assert uses.found["k0"] == {
        Need.RECEIVED_CODE: Tally(1, ENDED),
        Need.ANSWER: Tally(1, NOW + DAY),
        Need.SHEET: Tally(1, NOW + KEEP_SHEET),
    }
    assert uses.found["k1"][Need.UPLOAD] == Tally(4, None)
    assert Use("k1", Need.LIVE_CODE, NOW + DAY) in set(uses_of(device(code=OWN), NOW))


def test_the_sweep_keeps_as_long_as_keys_are_kept() -> None:
    assert KEEP_BATCHES[SHEET] == KEEP_SHEET
    assert REMEMBER_HASH == REMEMBER_ENDED
