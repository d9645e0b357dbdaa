"""A few seconds of `make day`, and whether what is missing in its store would be seen."""

from datetime import UTC, datetime
from pathlib import Path

from app import SystemClock
from provisioning.model import Change, Device
from storage import open_store
from tests.day import Plan
from tests.day.checking import checked
from tests.day.people import Deeds
from tests.day.playing import play
from tests.day.report import report
from tests.scale.state import mac_of

FEW = Plan(devices=400, technicians=6, minutes=0.1, warm=2.0, polls=30, import_rows=60, sign_ins=1, sign_ins_apart=4.0)


async def test_a_short_morning_passes_without_a_loss(tmp_path: Path) -> None:
    day = await play(FEW, f"tinydb:{tmp_path / 'store'}", tmp_path)
    assert day.wrong == []
    assert len(day.deeds.imported) == 1
    assert day.book.taken["device: provision"]
    assert day.book.all_of("turn: ")
    assert day.heard
    assert "0 wrong" in report(day)


async def test_whatever_is_not_as_it_was_answered_is_told(tmp_path: Path) -> None:
    url, began, mac = f"tinydb:{tmp_path / 'store'}", datetime.now(UTC), mac_of(1)
    store = await open_store(url, clock=SystemClock())
    await store.save(Change(puts=(Device(mac=mac, location="Oslo/1", added_at=began, added_by="dana"),)))
    await store.close()
    deeds = Deeds(
        confirmed=[mac], problems=[mac], moved={mac: "2.14"}, imported=[[mac, mac_of(2)]], approved={mac: 0.0}
    )
    said = (await checked(url, began, [mac, mac], deeds)).wrong
    wanted = (
        "200 twice",
        "is waiting",
        "provisioned 0",
        "confirmed 0",
        "the problem",
        "was moved",
        "approved",
        "half: of",
    )
    assert [words for words in wanted if not any(words in each for each in said)] == []
