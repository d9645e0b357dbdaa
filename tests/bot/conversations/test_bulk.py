"""Conversation 3 with many hands: codes to several technicians, the hint, the ledger of each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.batches import Batch
from provisioning.model import Change, Device
from provisioning.onsite import Installation
from tests.bot.chat import House, Someone
from tests.bot.conversations.test_companion import brings

A = "80-5E-C0-00-00-00"


def building(*floors: int, site: str = "Oslo") -> str:
    places = [f"{site}/{floor}/{floor}.{room:02d}" for floor, rooms in enumerate(floors, 1) for room in range(rooms)]
    return "add " + "\n".join(f"80-5E-C0-00-{n // 256:02X}-{n % 256:02X} {place}" for n, place in enumerate(places))


async def floors_with(house: House, someone: Someone) -> list[str]:
    """How many devices of each floor this person holds, like `1: 3`."""
    rows = (await house.store.find(Device, technician=someone.object_id, limit=1000)).rows
    return [f"{floor}: {sum(d.floor == floor for d in rows)}" for floor in sorted({d.floor for d in rows})]


@pytest.fixture
async def kim(house: House, dana: Someone) -> Someone:
    return await house.technician("Kim")


@pytest.fixture
async def lee(house: House, dana: Someone) -> Someone:
    return await house.technician("Lee")


@pytest.mark.parametrize("words", ["Sam, Kim and Lee", "Sam, Kim, Lee", "sam@contoso.com and Kim & Lee"])
async def test_several_share_evenly_in_walking_order_and_each_is_told(
    house: House, dana: Someone, sam: Someone, kim: Someone, lee: Someone, words: str
) -> None:
    await dana.says(building(4, 3, 2))
    issued = await dana.says(f"issue oslo to {words}")
    assert issued.title == "9 codes issued to Sam, Kim and Lee"
    assert [await floors_with(house, each) for each in (sam, kim, lee)] == [
        ["1: 3"],
        ["1: 1", "2: 2"],
        ["2: 1", "3: 2"],
    ]
    assert sam.card.title == "Next: Oslo, floor 1, room 1.00"
    assert kim.card.title == "Next: Oslo, floor 1, room 1.03"
    assert lee.card.title == "Next: Oslo, floor 2, room 2.02"
    assert issued.buttons == ["Sam", "Kim", "Lee"]
    assert len((await house.store.find(Batch, kind="issue", limit=10)).rows) == 3


async def test_the_summary_is_fresh_whenever_it_is_opened_and_leads_to_each_one(
    house: House, dana: Someone, sam: Someone, kim: Someone
) -> None:
    await dana.says(building(2, 2))
    issued = await dana.says("issue oslo to Sam and Kim")
    assert "1.00 to 1.01. Sam: being delivered" in issued.texts
    await house.passes(minutes=5)
    await sam.opens(sam.card)
    fresh = await dana.opens(dana.card)
    assert "1.00 to 1.01. Sam: delivered 07:30, opened 07:35" in fresh.texts
    assert "2.00 to 2.01. Kim: delivered 07:30" in fresh.texts

    one = await dana.presses("Sam", on=fresh)
    assert one.title == "2 codes issued to Sam"
    assert one.buttons == ["Message Sam", "Download"]
    assert (await dana.presses("Message Sam", on=one)).texts[0] == "Sam gets the next device again."
    assert one.action("Download")["data"]["person"] == sam.object_id


async def test_floors_are_kept_whole(house: House, dana: Someone, sam: Someone, kim: Someone) -> None:
    await dana.says(building(4, 1, 3))
    assert (await dana.says("issue oslo to Sam and Kim by floor for 48h")).title == "8 codes issued to Sam and Kim"
    assert [await floors_with(house, each) for each in (sam, kim)] == [["1: 4"], ["2: 1", "3: 3"]]


async def test_the_form_offers_several_and_how_they_share(
    house: House, dana: Someone, sam: Someone, kim: Someone
) -> None:
    await dana.says(building(4, 1, 3))
    form = await dana.says("issue oslo")
    assert form.inputs["technician"]["isMultiSelect"] is True
    assert [choice["value"] for choice in form.inputs["split"]["choices"]] == ["even", "floor"]
    issued = await dana.presses("Issue 8", technician=f"{sam.object_id},{kim.object_id}", split="floor")
    assert issued.title == "8 codes issued to Sam and Kim"
    assert [await floors_with(house, each) for each in (sam, kim)] == [["1: 4"], ["2: 1", "3: 3"]]


async def test_nobody_chosen_in_the_form_means_as_assigned(
    house: House, dana: Someone, sam: Someone, kim: Someone
) -> None:
    await dana.says(building(2))
    await dana.says("assign 1.00 to Kim")
    await dana.says("issue oslo")
    issued = await dana.presses("Issue 2", technician="")
    assert issued.title == "2 codes issued"
    assert kim.card.title == "Next: Oslo, floor 1, room 1.00"


async def test_live_codes_are_kept_and_reissued_for_one_technician(
    house: House, dana: Someone, sam: Someone, kim: Someone
) -> None:
    await dana.says(building(2, 2))
    await dana.says("issue 1.01 to Sam")
    issued = await dana.says("issue oslo to Sam and Kim")
    assert issued.title == "3 codes issued to Sam and Kim"
    assert "1 had a live code and keeps it." in issued.texts[1]
    one = await dana.presses("Sam", on=issued)
    assert one.buttons == ["Message Sam", "Reissue it", "Download"]
    assert (await dana.presses("Reissue it", on=one)).title == "1 code issued to Sam"


async def test_one_of_two_names_is_asked_and_the_other_not_lost(
    house: House, dana: Someone, sam: Someone, kim: Someone
) -> None:
    other = await house.technician("Kim Berg")
    await dana.says(building(2))
    asked = await dana.says("issue oslo to Sam and Ki")
    assert '"Ki"' in asked.title
    issued = await dana.presses(asked.buttons[1], on=asked)
    assert issued.title == "2 codes issued to Sam and Kim"
    held = (await house.store.find(Device, technician=sam.object_id, limit=10)).rows
    assert len(held) == 1
    assert len((await house.store.find(Device, technician=other.object_id, limit=10)).rows) == 1


async def test_somebody_who_is_no_technician_stops_it_all(house: House, dana: Someone, sam: Someone) -> None:
    await house.person("Mia").says("hi")
    await dana.says(building(2))
    assert "Mia is not a technician yet." in (await dana.says("issue oslo to Sam and Mia")).all
    assert not (await house.store.find(Batch, kind="issue", limit=10)).rows


async def test_a_place_with_by_in_its_name_stays_a_place(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Hall by the sea/1.01")
    assert (await dana.says("issue Hall by the sea to Sam")).title == "1 code issued to Sam"
    assert (await dana.says("issue Hall by the sea")).title == "Issue codes: Hall by the sea"


async def test_the_same_press_twice_issues_once(house: House, dana: Someone, sam: Someone, kim: Someone) -> None:
    await dana.says(building(2, 2))
    await dana.says("issue oslo")
    await dana.presses("Issue 4", technician=f"{sam.object_id},{kim.object_id}")
    before = await house.everything("Device", "Batch")
    await dana.repeats()
    await dana.repeats(new_id=True)
    assert await house.everything("Device", "Batch") == before


# ------------------------------------------------------------------ how much is wise


async def test_more_than_is_usually_installed_is_asked_first_and_begins_with_whole_floors(
    house: House, dana: Someone, sam: Someone
) -> None:
    await dana.says(building(25, 15, 20))
    hint = await dana.says("issue oslo to Sam")
    assert hint.title == "60 in 24 h"
    assert "Sam installs about 40." in hint.texts and "Issue floors 1 and 2 (40) now?" in hint.texts
    assert hint.buttons == ["40 now", "All 60", "Cancel"]
    assert not (await house.store.find(Batch, kind="issue", limit=10)).rows

    issued = await dana.presses("40 now", on=hint)
    assert issued.title == "40 codes issued to Sam"
    assert await floors_with(house, sam) == ["1: 25", "2: 15"]
    rest = await dana.says("issue oslo to Sam")
    assert rest.title == "20 codes issued to Sam"
    assert "40 had a live code and keep it." in rest.all


async def test_all_of_them_at_once_if_the_admin_says_so(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(building(60))
    hint = await dana.says("issue oslo to Sam for 24h")
    assert "Issue the first 40 now?" in hint.texts
    assert (await dana.presses("All 60", on=hint)).title == "60 codes issued to Sam"


async def test_the_form_asks_too_and_forgets_nothing(house: House, dana: Someone, sam: Someone, kim: Someone) -> None:
    await dana.says(building(50, 30, 30))
    await dana.says("issue oslo")
    hint = await dana.presses("Issue 110", technician=f"{sam.object_id},{kim.object_id}", split="floor")
    assert "Sam and Kim install about 80." in hint.texts and "Issue floors 1 and 2 (80) now?" in hint.texts
    assert (await dana.presses("80 now", on=hint)).title == "80 codes issued to Sam and Kim"
    assert [await floors_with(house, each) for each in (sam, kim)] == [["1: 50"], ["2: 30"]]


async def test_longer_codes_give_more_days(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(building(60))
    assert (await dana.says("issue oslo to Sam for 48h")).title == "60 codes issued to Sam"


async def test_what_is_usual_is_learnt_from_the_technicians_own_days(house: House, dana: Someone, sam: Someone) -> None:
    """Three a day on two days, one so far today: about 3."""
    await dana.says(building(7, site="Bergen"))
    await dana.says("assign bergen to Sam")
    days = (2, 2, 2, 1, 1, 1, 0)
    for room, ago in enumerate(days):
        device = await house.record(f"80-5E-C0-00-00-{room:02X}")
        at = house.clock.now() - timedelta(days=ago)
        word = Installation(by=sam.object_id, by_name="Sam", at=at)
        await house.store.save(Change(puts=(_installed(device, word),)))
    await dana.says("add " + "\n".join(f"80-5E-C0-00-01-{n:02X} Oslo/1/{n}" for n in range(6)))
    hint = await dana.says("issue oslo to Sam")
    assert hint.title == "6 in 24 h" and "Sam installs about 3." in hint.texts
    assert (await dana.presses("3 now", on=hint)).title == "3 codes issued to Sam"


def _installed(device: Device, word: Installation) -> Device:
    return replace(device, installed=word)


# ------------------------------------------------------------------ beside the Teams admin centre


async def test_a_site_wide_issue_hands_microsofts_live_codes_over_and_makes_none_of_ours_for_the_rest(
    house: House, dana: Someone, sam: Someone
) -> None:
    await dana.says(building(3))
    await brings(house, "80-5E-C0-00-00-00", "482913")
    await brings(house, "80-5E-C0-00-00-01", "771204", hours=1)
    await house.passes(hours=2)
    issued = await dana.says("issue oslo to Sam")
    assert issued.title == "1 code issued to Sam"
    assert "1 had a live code and keeps it." in issued.all
    assert "1 gets its code from the Teams admin centre: make it there and upload the file." in issued.texts
    assert "Reissue it" not in issued.buttons
    assert sam.card.code == "482913"
    ended = await house.record("80-5E-C0-00-00-01")
    assert ended.technician == "" and not ended.live_code(house.clock.now())

    await dana.says("reissue oslo")
    done = await dana.presses("Reissue")
    assert done.title == "1 code issued to Sam"
    assert (await sam.says("1.00")).code == "482913"


async def test_a_single_one_gets_ours_only_after_a_question(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(building(1))
    await brings(house, A, "482913", hours=1)
    assert "1 had a live code and keeps it." in (await dana.says("issue 1.00 to Sam")).all
    await house.passes(hours=2)
    asked = await dana.says("issue 1.00 to Sam")
    assert asked.title == "Oslo, floor 1, room 1.00 had its code from the Teams admin centre"
    assert (await house.record(A)).live_code(house.clock.now()) is None
    assert "make a new one there and upload the file." in (await dana.says("reissue 1.00")).all
    issued = await dana.presses("Issue one of ours", on=asked)
    assert issued.title == "1 code issued to Sam"
    assert (await house.device(A).provision(sam.card.code)).status == 200


async def test_revoking_claims_no_more_than_is_so(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(building(2))
    await brings(house, A, "482913")
    await dana.says("issue 1.01")
    await dana.says("revoke oslo")
    done = await dana.presses("Revoke")
    assert done.title == "2 codes revoked: Oslo"
    assert "1 was of the Teams admin centre: erased here, but Microsoft's service takes it until it ends." in done.texts
    assert (await dana.says("device 1.00")).facts["Code"] == "of the Teams admin centre, erased here"


async def test_whoever_takes_over_gets_microsofts_code_along(
    house: House, dana: Someone, sam: Someone, kim: Someone
) -> None:
    await dana.says(building(1))
    await dana.says("assign oslo to Sam")
    await brings(house, A, "482913")
    form = await dana.says("revoke access Sam")
    await dana.presses("Revoke now", on=form, heir=kim.object_id)
    assert kim.card.code == "482913"
