"""Conversation 3: codes for a site, handed to a technician."""

import asyncio

import pytest

from provisioning.events import CodeShown
from provisioning.messages import Post
from provisioning.model import Change, Person, Role
from tests.bot.chat import House, Someone

OSLO = "add 80-5E-C0-11-22-33 Oslo/2/2.14\n80-5E-C0-11-22-34 Oslo/2/2.16\n80-5E-C0-11-22-35 Oslo/3/3.01"


async def test_a_site_is_issued_by_the_form_and_reaches_the_technician(
    house: House, dana: Someone, sam: Someone
) -> None:
    await dana.says(OSLO)
    form = await dana.says("issue codes oslo")
    assert form.title == "Issue codes: Oslo"
    assert form.buttons == ["Issue 3", "Cancel"]
    assert [c["title"] for c in form.inputs["floor"]["choices"]] == ["all floors", "2", "3"]

    issued = await dana.presses("Issue 3", technician=sam.object_id)
    assert issued.title == "3 codes issued to Sam"
    assert "Valid until 07:30 tomorrow." in issued.all
    assert issued.buttons == ["Message Sam", "Download"]
    assert sam.card.title == "Next: Oslo, floor 2, room 2.14" and len(sam.card.code) == 12

    assert "Sam: delivered 07:30" in dana.card.all
    await house.passes(minutes=5)
    await sam.opens(sam.card)
    assert "Sam: delivered 07:30, opened 07:35" in dana.card.all


async def test_what_changed_behind_a_press_is_drawn_behind_its_answer(
    house: House, dana: Someone, sam: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer takes the card's place: an edit that came before it would be lost."""
    answered, catch_up = asyncio.Event(), house.provisioning.catch_up

    async def comes_later(post: Post) -> None:
        await answered.wait()
        await catch_up(post)

    await dana.says(OSLO)
    await dana.says("issue codes oslo")
    monkeypatch.setattr(house.provisioning, "catch_up", comes_later)
    house.by_itself = False
    async with asyncio.timeout(10):
        issued = await dana.presses("Issue 3", technician=sam.object_id)
    assert "Sam: being delivered" in issued.all
    answered.set()
    await house.settled()
    assert "Sam: delivered 07:30" in dana.card.all


async def test_one_floor_only(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue oslo")
    issued = await dana.presses("Issue 3", technician=sam.object_id, floor="3")
    assert issued.title == "1 code issued to Sam"
    assert sam.card.title == "Next: Oslo, floor 3, room 3.01"


async def test_live_codes_are_kept_until_they_are_reissued(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue 2.14 to Sam")
    old = sam.card.code
    issued = await dana.says("issue oslo to Sam")
    assert issued.title == "2 codes issued to Sam"
    assert "1 had a live code and keeps it." in issued.all
    again = await dana.presses("Reissue it")
    assert again.title == "1 code issued to Sam"
    assert sam.card.code not in ("", old)
    assert (await house.device("80-5E-C0-11-22-33").provision(old)).code == "code_refused"


async def test_typed_with_person_and_time(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    issued = await dana.says("issue all to sam@contoso.com for 48h")
    assert issued.title == "3 codes issued to Sam"
    assert "Valid until Wed 4 Mar 07:30." in issued.all
    assert '"9d" is not a time a code can live.' in (await dana.says("issue all to Sam for 9d")).all


async def test_whoever_never_opened_the_app_cannot_be_reached(house: House, dana: Someone) -> None:
    await dana.says(OSLO)
    kim = house.person("Kim")
    await dana.says(f"grant {kim.object_id} technician")
    issued = await dana.says(f"issue oslo to {kim.object_id}")
    assert "I cannot reach" in issued.all
    assert "Choose another" in issued.buttons

    other = await house.technician("Lee")
    form = await dana.presses("Choose another")
    assert form.title == "Who takes 3 devices?"
    handed = await dana.presses("Hand over", technician=other.object_id)
    assert handed.title == "3 codes issued to Lee"
    assert other.card.title == "Next: Oslo, floor 2, room 2.14"


async def test_choosing_nobody_brings_the_form_back(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue 2.14")
    await dana.presses("Choose technician")
    again = await dana.presses("Hand over", technician="")
    assert again.title == "Who takes 1 device?"
    assert "Choose somebody." in again.texts


async def test_somebody_who_is_no_technician_gets_no_devices(house: House, dana: Someone) -> None:
    await dana.says(OSLO)
    await house.person("Kim").says("hi")
    assert "Kim is not a technician yet. Say: grant Kim technician" in (await dana.says("issue oslo to Kim")).all
    assert (await house.record("805EC0112233")).code is None


async def test_codes_are_listed_to_the_admin_alone_each_page_audited(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says("add " + "\n".join(f"80-5E-C0-11-22-{n:02X} Oslo/1/1.{n:02}" for n in range(12)))
    await dana.says("issue oslo to Sam")
    page = await dana.says("codes oslo")
    assert page.title == "12 live codes: Oslo"
    shown = [digits for digits in house.keys.digits if digits in page.all.replace(" ", "")]
    assert len(shown) == 10
    rows = (await house.store.history(limit=1000)).rows
    assert sum(isinstance(r.event, CodeShown) and r.event.actor == dana.object_id for r in rows) == 10
    more = await dana.presses("More")
    assert len([digits for digits in house.keys.digits if digits in more.all.replace(" ", "")]) == 2


async def test_one_code_is_shown_revoked_and_made_anew(house: House, dana: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue 2.14")
    card = await dana.says("code 2.14")
    assert len(card.code) == 12 and "valid until 07:30 tomorrow" in card.all
    revoked = await dana.presses("Revoke code", on=card)
    assert revoked.title == "1 code revoked: 2.14"
    assert "2.14 has no live code." in (await dana.says("code 2.14")).all
    assert (await house.device("80-5E-C0-11-22-33").provision(card.code)).code == "code_refused"
    assert (await dana.says("reissue 2.14")).title == "1 code issued"


async def test_many_live_codes_die_only_after_a_question(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")
    old = sam.card.code
    asked = await dana.says("reissue oslo")
    assert asked.title == "Void every live code of Oslo and issue new ones?" and sam.card.code == old
    assert (await dana.presses("Cancel")).title == "Nothing was done."
    await dana.says("reissue oslo")
    assert (await dana.presses("Reissue")).title == "3 codes issued to Sam"
    assert sam.card.code != old

    assert (await dana.says("revoke all")).title == "Revoke every live code of all sites?"
    assert (await dana.presses("Revoke")).title == "3 codes revoked: all sites"
    assert not sam.card.code


async def test_revoking_a_persons_codes(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")
    assert (await dana.says("revoke Sam")).title == "3 codes revoked: Sam"
    assert not any(post.code for post in sam.posts)


async def test_assigning_hands_devices_over_and_takes_them_from_the_former(
    house: House, dana: Someone, sam: Someone
) -> None:
    kim = await house.technician("Kim")
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")
    code = sam.card.code
    assert (await dana.says("assign oslo to Kim")).title == "3 devices are with Kim now"
    assert kim.card.title == "Next: Oslo, floor 2, room 2.14" and kim.card.code == code
    assert sam.card.title == "This device is with somebody else now."
    assert not any(post.code for post in sam.posts)


async def test_a_provisioned_device_gets_no_code_before_its_reset(house: House, dana: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue 2.14")
    await house.device("80-5E-C0-11-22-33").provision((await dana.says("code 2.14")).code)
    sentence = "2.14 was provisioned already. It cannot be provisioned again until it is reset to factory settings."
    assert sentence in (await dana.says("issue 2.14")).all
    assert sentence in (await dana.says("code 2.14")).all
    assert "1 was provisioned already." in (await dana.says(f"issue oslo to {await _sam(house)}")).all


async def _sam(house: House) -> str:
    return (await house.technician("Sam")).object_id


async def test_a_form_offers_a_hundred_and_says_how_the_others_are_named(house: House, dana: Someone) -> None:
    many = tuple(
        Person(id=f"00000000-0000-4000-9000-{i:012x}", name=f"Technician {i:03d}", roles=frozenset({Role.TECHNICIAN}))
        for i in range(300)
    )
    await house.store.save(Change(puts=many))
    await dana.says("add\n" + "\n".join(f"80-5E-C0-00-00-{i:02X} Site {i:03d}/1/1.01" for i in range(150)))
    form = await dana.says("issue")
    assert [len(form.inputs[name]["choices"]) for name in ("target", "technician")] == [101, 100]
    assert "Not in the list? Type issue, a site, to and a name." in form.all


async def test_words_longer_than_a_place_are_refused(house: House, dana: Someone) -> None:
    await dana.says(OSLO)
    assert "That is too long: 9000 characters" in (await dana.says("find " + "x" * 9000)).text
