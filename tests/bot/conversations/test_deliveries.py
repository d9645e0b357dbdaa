"""Again, late, out of order, refused: one effect each, nothing lost, and a sentence about what stands now."""

import asyncio
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from app import running
from bot.relay import Relay
from bot.settings import load_settings
from provisioning.messages import MessageStatus, OutboxMessage
from tests.bot.chat import DANA_ID, House, Someone
from tests.connector import TENANT, FakeConnector, Fault, activity

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")


# ---------------------------------------------------------------------- twice


async def test_a_message_delivered_again_takes_effect_once(house: House, dana: Someone, day: None) -> None:
    await dana.says("reissue 2.14")
    codes, posts = len(house.keys.digits), len(dana.posts)
    await dana.repeats()
    assert (len(house.keys.digits), len(dana.posts)) == (codes, posts)


@pytest.mark.parametrize("new_id", [False, True])
async def test_a_press_delivered_again_takes_effect_once(house: House, dana: Someone, day: None, new_id: bool) -> None:
    card = await dana.says("device 2.14")
    await dana.presses("New code", on=card)
    facts = await house.facts()
    await dana.repeats(new_id=new_id)
    await dana.repeats(new_id=new_id)
    assert await house.facts() == facts


@pytest.mark.parametrize("new_id", [False, True])
async def test_the_same_for_every_press_of_a_working_day(
    house: House, dana: Someone, sam: Someone, day: None, new_id: bool
) -> None:
    kim = house.person("Kim")
    await kim.says("hi")

    async def once(someone: Someone, title: str, **inputs: str) -> None:
        await someone.presses(title, **inputs)
        facts, devices = await house.facts(), (await house.everything())["Device"]
        await someone.repeats(new_id=new_id)
        assert await house.facts() == facts and (await house.everything())["Device"] == devices, title

    await once(kim, "Ask for access")
    await once(dana, "Technician")
    await house.device(A).provision(sam.card.code)
    await sam.presses("Confirm install")
    await once(sam, "Save", note="done")
    await sam.presses("Problem", on=sam.with_button("Problem"))
    await once(sam, "Send", kind="network")
    await dana.says("device 2.16")
    await once(dana, "New code")
    await dana.says("remove 2.16")
    await once(dana, "Remove")
    await dana.says("add")
    await once(dana, "Add", mac="80-5E-C0-11-22-39", location="Oslo/1")
    await once(dana, "Undo")
    await dana.says("revoke access Sam")
    await once(dana, "Revoke now")


async def test_a_double_tap_at_the_same_moment(house: House, dana: Someone, day: None) -> None:
    card = await dana.says("device 2.14")
    house.by_itself = False
    action = card.action("New code")
    await asyncio.gather(*(dana.acts(card, action["verb"], action["data"]) for _tap in range(4)))
    assert (await house.facts(A.replace("-", ""))).count("CodeIssued") == 2


async def test_a_typed_command_answered_twice_by_a_slow_line(house: House, dana: Someone, day: None) -> None:
    house.by_itself = False
    first = dana._activity("message", text="reissue 2.14")
    await asyncio.gather(dana._post(first), dana._post(first))
    assert len(house.keys.digits) == 3


# ---------------------------------------------------------------------- late


async def test_an_old_card_says_so_and_shows_how_it_stands(house: House, dana: Someone, day: None) -> None:
    lee = await house.admin("Lee")
    await lee.says("device 2.14")
    old = lee.card.copy()
    asked = await dana.says("remove 2.14")
    await lee.says("move 2.14 to Oslo/2/2.15")
    refused = await dana.presses("Remove", on=asked)
    assert "out of date" in refused.all
    assert (await house.record(A)).removed_at is None
    again = await lee.presses("New code", on=old)
    assert "out of date" in again.all and again.title.startswith("2.15: ")


async def test_the_card_of_a_removed_device_beside_a_similar_one_loses_its_code(
    house: House, dana: Someone, day: None
) -> None:
    lee = await house.admin("Lee")
    assert (await lee.says("code 2.14")).code
    await dana.says("remove 2.14")
    await dana.presses("Remove")
    assert lee.card.title == "This device is off the list." and not lee.card.code


async def test_a_card_of_a_removed_device(house: House, dana: Someone, day: None) -> None:
    card = await dana.says("device 2.14")
    await dana.says("remove 2.14")
    await dana.presses("Remove")
    pressed = await dana.presses("Show code", on=card)
    assert pressed.title == "This device is off the list." and "I know no device" in pressed.all


async def test_the_code_button_of_an_old_card_after_the_device_called_in(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    old = (await dana.says("device 2.14")).copy()
    await house.device(A).provision(sam.card.code)
    pressed = await dana.presses("New code", on=old)
    assert "out of date" in pressed.all and pressed.facts["Code"] == "used"
    assert len(house.keys.digits) == 2


# ---------------------------------------------------------------------- Action.Submit


async def test_an_old_client_presses_by_message_and_gets_the_card_edited(house: House, sam: Someone, day: None) -> None:
    card = sam.card
    await house.device(A).provision(card.code)
    await sam.presses("Confirm install", submit=True)
    assert card.title == "Confirm install"
    await sam.presses("Save", submit=True, note="by an old phone")
    assert card.title == "Saved 07:30."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"
    assert (await house.facts()).count("InstallConfirmed") == 1


async def test_an_old_client_gets_the_form_back_with_its_error(house: House, dana: Someone) -> None:
    form = await dana.says("add")
    again = await dana.presses("Add", submit=True, mac="805E", location="Oslo/1")
    assert dana.card.id == form.id and "wrong length" in dana.card.all and again.id == form.id
    assert dana.card.inputs["location"]["value"] == "Oslo/1"
    await dana.presses("Add", submit=True, mac=A)
    assert dana.card.title == "1 device saved"


async def test_an_old_client_whose_card_was_deleted_gets_a_new_one(house: House, dana: Someone) -> None:
    form = await dana.says("add")
    house.connector.deleted.add(form.id)
    answer = await dana.presses("Cancel", on=form, submit=True)
    assert answer.title == "Nothing was done." and answer.id != form.id


# ---------------------------------------------------------------------- the outbox


async def test_429_waits_as_long_as_it_was_told(house: House, dana: Someone, sam: Someone, day: None) -> None:
    before = len(sam.posts)
    house.connector.troubled(sam.conversation, *[Fault(429, {"Retry-After": "40"})] * 3)
    await dana.says("assign 2.16 to Sam")
    await dana.says("reissue all to Sam")
    await dana.presses("Reissue")
    tries = len([c for c in house.connector.calls if c.conversation == sam.conversation])
    await house.passes(seconds=39)
    assert len([c for c in house.connector.calls if c.conversation == sam.conversation]) == tries
    for _round in range(4):
        await house.passes(seconds=60)
    assert len(sam.posts) > before and sam.card.code == house.keys.digits[-2]
    assert not await house.waiting()


async def test_order_in_a_chat_is_kept_through_a_fault(house: House, dana: Someone, day: None) -> None:
    for name in ("Kim", "Lee", "Max"):
        await house.person(name).says("hi")
    people = [chat for chat in house.chats.values() if isinstance(chat, Someone) and chat.name in ("Kim", "Lee", "Max")]
    house.by_itself = False
    for someone in people:
        await someone.presses("Ask for access")
    house.connector.troubled(dana.conversation, Fault(503))
    await house.settled()
    assert not [title for title in dana.titles if "asks for access" in title]
    await house.passes(minutes=1)
    await house.settled()
    asked = [title for title in dana.titles if "asks for access" in title]
    assert asked == ["Kim asks for access", "Lee asks for access", "Max asks for access"]


async def test_one_hung_chat_delays_no_other(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    house.by_itself = False
    house.connector.troubled(sam.conversation, Fault(hang=True))
    await dana.says("reissue 2.14")
    await dana.says("reissue 2.16 to Kim")
    before = len([call for call in house.connector.sends if call.conversation == kim.conversation])
    drain = asyncio.create_task(house.settled())
    async with asyncio.timeout(30):
        while not [call for call in house.connector.sends if call.conversation == kim.conversation][before:]:
            await house.connector.next_call()
    house.collect()
    assert kim.card.title == "Next: Oslo, floor 2, room 2.16"
    drain.cancel()
    await asyncio.gather(drain, return_exceptions=True)


async def test_a_relay_killed_between_send_and_settle_doubles_at_most_once(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    house.by_itself = False
    before = len([call for call in house.connector.sends if call.conversation == sam.conversation])
    await dana.presses("Message Sam")

    claimed = [m for m in await house.provisioning.claim() if m.recipient == sam.object_id]
    assert len(claimed) == 1
    await _send_and_die(house.relay, claimed[0])
    assert len([c for c in house.connector.sends if c.conversation == sam.conversation]) == before + 1

    await house.settled()  # the lease still runs: nothing is sent
    assert len([c for c in house.connector.sends if c.conversation == sam.conversation]) == before + 1
    house.clock.advance(timedelta(seconds=61))
    await house.settled()
    await house.settled()
    assert len([c for c in house.connector.sends if c.conversation == sam.conversation]) == before + 2
    assert not await house.waiting()


class Killed(BaseException):
    """The process ends here."""


async def _send_and_die(relay: Relay, message: OutboxMessage) -> None:
    """The message goes out; the process ends before it can be settled."""

    class Dying(Relay):
        async def _send(self, told: OutboxMessage) -> None:
            core = self._provisioning

            class LostProvisioning(type(core)):  # type: ignore[misc]
                async def sent(self, *_: object) -> None:
                    raise Killed

            lost = object.__new__(LostProvisioning)
            lost.__dict__ = core.__dict__
            self._provisioning = lost
            await super()._send(told)

    dying = Dying(relay._provisioning, relay._messenger, relay._routes)
    with pytest.raises(Killed):
        await dying.deliver(message)


async def test_a_push_whose_answer_was_lost_is_sent_again_once(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    before = len(sam.posts)
    house.connector.troubled(sam.conversation, Fault(drop=True))
    await dana.presses("Message Sam")
    for _round in range(3):
        await house.passes(minutes=1)
    assert len(sam.posts) in (before + 1, before + 2)
    assert not await house.waiting()


async def test_what_was_settled_meanwhile_is_not_said_any_more(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = house.person("Kim")
    await kim.says("hi")
    house.by_itself = False
    await kim.presses("Ask for access")
    lee = house.person("Lee")
    await dana.says(f"grant {kim.object_id} technician")
    await house.settled()
    assert "Kim asks for access" not in dana.titles
    assert lee.posts == []
    rows = (await house.store.find(OutboxMessage, status=MessageStatus.DROPPED, limit=100)).rows
    assert [row.kind for row in rows] == ["access_asked"]


async def test_only_the_newest_state_goes_out(house: House, dana: Someone, sam: Someone, day: None) -> None:
    """Codes issued one after the other while the relay was down: one card, with the code that lives."""
    house.by_itself = False
    before = len([post for post in sam.posts if post.card])
    for _again in range(3):
        await dana.says("reissue 2.14")
    await house.settled()
    assert len([post for post in sam.posts if post.card]) == before + 1
    assert sam.card.code == house.keys.digits[-1]


# ---------------------------------------------------------------------- by itself


async def test_the_running_service_tells_without_being_asked(tmp_path: Path) -> None:
    """The same without our hand on the outbox: the service as it is started."""
    environ = {"STORE_URL": f"tinydb:{tmp_path}/store", "CODE_KEY_FILE": str(tmp_path / "keys"), "ADMINS": DANA_ID}
    settings = load_settings({**environ, "TENANT_ID": TENANT}, None).model_copy(update={"port": 0})
    async with FakeConnector() as connector, running(settings) as service, aiohttp.ClientSession() as http:

        async def says(text: str, who: str, number: int) -> None:
            sender = {"id": f"29:{who}", "name": who, "aadObjectId": who}
            chat = {"id": f"a:{who}", "conversationType": "personal", "tenantId": TENANT}
            body = activity(connector, id=str(number), text=text, from_=sender, conversation=chat)
            async with http.post(f"{service.url}/api/messages", json=body) as answer:
                assert answer.status == 200, await answer.text()

        connector.knows("29:sam", name="Sam", aadObjectId="sam", tenantId=TENANT)
        connector.knows(f"29:{DANA_ID}", name="Dana", aadObjectId=DANA_ID, tenantId=TENANT)
        await says("hi", "sam", 1)
        await says("grant sam technician", DANA_ID, 2)
        pushed = await connector.sent(3)
        assert {call.conversation for call in pushed} == {"a:sam", f"a:{DANA_ID}"}
