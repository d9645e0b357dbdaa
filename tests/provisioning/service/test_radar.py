"""The expiry radar: once per code, to whoever can do something about it, and one tap makes the open ones anew."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from provisioning.batches import Batch
from provisioning.ending import STAGES, ending, stage
from provisioning.errors import NotFound
from provisioning.hours import Hours
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Change, Role
from provisioning.service import Provisioning
from provisioning.service.issuing import IssueOrder
from provisioning.service.radar import CHUNK, Renewed
from tests.provisioning.world import DANA, KEYS, KIM, LEE, POLICY, SAM, A, B, World, member

NIGHT_FREE = replace(POLICY, hours=Hours(quiet=None, workdays=frozenset()))
TOLD = (MessageKind.CODES_ENDING, MessageKind.CODES_TO_EXTEND)


@pytest.fixture
async def site(world: World) -> World:
    """Sam has eight devices in Oslo, each with a code of a day; there is no night and no morning message."""
    world.core.policy = NIGHT_FREE
    await world.add(*((mac(n), f"Oslo/2/2.{n:02}") for n in range(1, 9)))
    await world.issue("oslo", SAM)
    await world.delivers()
    return world


def mac(number: int) -> str:
    return f"805EC02200{number:02X}"


async def told(world: World, core: Provisioning | None = None) -> list[tuple[MessageKind, str]]:
    """Who is told of ends by this sweep."""
    await (core or world.core).sweep()
    found = [message for message in await world.delivers() if message.kind in TOLD]
    return [(message.kind, message.recipient) for message in found]


async def since(world: World) -> OutboxMessage:
    await world.core.sweep()
    [message] = await world.told(MessageKind.CODES_ENDING)
    return message


# ------------------------------------------------------------------ who is told


async def test_an_hour_before_the_end_the_technician_and_the_admin_are_told_once(site: World) -> None:
    site.later(hours=22, minutes=59, seconds=59)
    assert await told(site) == []
    site.later(seconds=1)
    assert await told(site) == [(MessageKind.CODES_ENDING, SAM), (MessageKind.CODES_TO_EXTEND, DANA)]
    for _sweep in range(4):
        site.later(minutes=16)
        assert await told(site) == []


async def test_restarts_and_other_instances_tell_nobody_again(site: World) -> None:
    other = Provisioning(site.store, site.clock, KEYS, NIGHT_FREE)
    site.later(hours=23)
    await site.core.watch_codes()
    await other.watch_codes()
    assert len(await site.told(MessageKind.CODES_ENDING)) == 1
    await site.delivers()
    await Provisioning(site.store, site.clock, KEYS, NIGHT_FREE).watch_codes()
    assert await site.told() == []


async def test_codes_that_end_soon_after_each_other_are_told_of_together(site: World) -> None:
    site.later(minutes=8)
    await site.issue("2.01", SAM, void=True)
    await site.delivers()
    site.later(hours=22, minutes=52)
    assert (MessageKind.CODES_ENDING, SAM) in await told(site)
    site.later(minutes=8)
    assert await told(site) == []


async def test_an_admin_hears_of_more_than_five_and_of_what_nobody_on_site_can_do(site: World) -> None:
    for number in (1, 2, 3):
        await site.provisions(mac(number))
    site.later(hours=23)
    assert await told(site) == [(MessageKind.CODES_ENDING, SAM)]  # five are left


@pytest.mark.parametrize("why", ["nobody", "limit", "unreachable"])
async def test_few_codes_that_nobody_on_site_can_renew_are_told_to_the_admin(world: World, why: str) -> None:
    world.core.policy = NIGHT_FREE
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("2.14", "" if why == "nobody" else SAM)
    if why == "unreachable":
        await world.core.left(SAM)
    if why == "limit":
        device = await world.device(A)
        world.later(hours=3)
        await world.store.save(Change(puts=(replace(device, renewals=(world.clock.now(),) * 5),)))
        world.later(hours=-3)
    await world.delivers()
    world.later(hours=23)
    assert (MessageKind.CODES_TO_EXTEND, DANA) in await told(world)


async def test_an_admin_who_left_is_stood_in_for_by_the_others(site: World) -> None:
    await site.core.meet(member(LEE, "Lee Moe"), None)
    await site.core.grant(await site.dana(), LEE, Role.ADMIN)
    lee = await site.actor(LEE)
    target = await site.core.target(lee, "oslo")
    await site.core.issue(lee, IssueOrder(target, void=True))
    await site.core.revoke_access(await site.dana(), LEE)
    await site.delivers()
    site.later(hours=23)
    assert (MessageKind.CODES_TO_EXTEND, DANA) in await told(site)


async def test_the_one_code_that_stands_on_the_phone_needs_no_message(world: World) -> None:
    world.core.policy = NIGHT_FREE
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("2.14", SAM)
    await world.core.next_job(await world.sam())
    await world.delivers()
    world.later(hours=23)
    assert await told(world) == []
    assert (await world.device(A)).code.told_at == world.clock.now()  # type: ignore[union-attr]


async def test_in_the_quiet_hours_one_message_waits_for_all_of_the_night(site: World) -> None:
    site.later(hours=4)  # noon
    await site.issue("2.01", SAM, void=True)
    await site.delivers()
    site.core.policy = replace(POLICY, hours=Hours(workdays=frozenset()))
    site.later(hours=12)
    for number in (2, 3):
        await site.issue(f"2.{number:02}", void=True, lifetime=timedelta(hours=2))
    await site.delivers()
    site.later(hours=1)
    await site.core.sweep()
    site.later(hours=4)
    await site.issue("2.04", void=True, lifetime=timedelta(hours=1, minutes=5))
    site.later(minutes=40)
    await site.core.sweep()
    [message] = await site.told(MessageKind.CODES_ENDING)
    assert message.due_at.hour == 7
    site.later(hours=1, minutes=20)
    ends = await site.core.my_ends(await site.sam(), _moment(message))
    assert {device.place for device in ends.devices} >= {"2.02", "2.03", "2.04"}


async def test_of_a_code_that_lives_an_hour_is_told_in_the_second_half_of_it(site: World) -> None:
    await site.issue("2.01", void=True, lifetime=timedelta(hours=1))
    await site.delivers()
    assert await told(site) == []
    site.later(minutes=29)
    assert await told(site) == []
    site.later(minutes=1)
    assert await told(site) == [(MessageKind.CODES_ENDING, SAM)]
    site.later(minutes=1)
    assert await told(site) == []


async def test_what_is_over_is_told_to_nobody(site: World) -> None:
    for number in range(1, 9):
        await site.provisions(mac(number))
    site.later(hours=23)
    assert await told(site) == []


async def test_a_large_look_is_saved_in_parts_and_told_when_all_of_them_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.service.radar.CHUNK", 3)
    world.core.policy = NIGHT_FREE
    await world.add(*((mac(n), f"Oslo/2/2.{n:02}") for n in range(1, 9)))
    await world.issue("oslo", SAM)
    await world.delivers()
    world.later(hours=23)
    assert await told(world) == []
    world.later(minutes=1)
    assert await told(world) == [(MessageKind.CODES_ENDING, SAM), (MessageKind.CODES_TO_EXTEND, DANA)]
    assert CHUNK == 500


# ------------------------------------------------------------------ one tap


async def test_one_tap_renews_only_what_is_still_open(site: World) -> None:
    site.later(hours=23)
    message = await since(site)
    await site.provisions(mac(1))
    await site.core.report(await site.sam(), "2.02", "broken", "")
    before = {n: (await site.device(mac(n))).issued for n in range(1, 9)}
    assert await site.core.renew_ends(await site.sam(), _moment(message)) == Renewed(done=6)
    after = {n: (await site.device(mac(n))).issued for n in range(1, 9)}
    assert [n for n in after if after[n] != before[n]] == [3, 4, 5, 6, 7, 8]
    assert await site.core.renew_ends(await site.sam(), _moment(message)) == Renewed()


async def test_the_same_tap_renews_once(site: World) -> None:
    site.later(hours=23)
    await site.core.sweep()
    twice = await site.actor(SAM, "press-1")
    await site.core.renew_ends(twice)
    assert await site.core.renew_ends(twice) == Renewed()
    assert {len((await site.device(mac(n))).renewals) for n in range(1, 9)} == {1}


async def test_each_device_has_its_own_limit(site: World) -> None:
    used = replace(await site.device(mac(1)), renewals=(site.clock.now() + timedelta(hours=3),) * 5)
    await site.store.save(Change(puts=(used,)))
    site.later(hours=23)
    await site.core.sweep()
    assert await site.core.renew_ends(await site.sam()) == Renewed(done=7, limit=1)


async def test_ended_ones_are_renewed_by_the_same_tap(site: World) -> None:
    site.later(hours=23)
    message = await since(site)
    site.later(hours=2)
    await site.core.sweep()
    assert await site.core.renew_ends(await site.sam(), _moment(message)) == Renewed(done=8)


async def test_an_admin_extends_what_they_were_told_of_or_a_site(site: World) -> None:
    site.later(hours=23)
    await site.core.sweep()
    [message] = await site.told(MessageKind.CODES_TO_EXTEND)
    await site.provisions(mac(1))
    dana = await site.dana()
    assert len((await site.core.ends(dana, batch=message.subject)).devices) == 7
    assert await site.core.extend(dana, batch=message.subject) == 7
    assert await site.core.extend(await site.dana(), batch=message.subject) == 0
    assert await site.core.extend(await site.dana(), await site.core.target(dana, "oslo")) == 0
    with pytest.raises(NotFound):
        await site.core.extend(await site.dana(), batch="no such thing")


async def test_what_an_admin_was_told_of_is_no_other_row(site: World) -> None:
    [issued] = (await site.store.find(Batch, kind="issue")).rows
    with pytest.raises(NotFound):
        await site.core.ends(await site.dana(), batch=issued.id)


async def test_devices_of_others_are_nobodys_to_renew(site: World) -> None:
    site.later(hours=23)
    await site.core.sweep()
    assert await site.core.renew_ends(await site.actor(KIM)) == Renewed()


# ------------------------------------------------------------------ cards count down


@pytest.mark.parametrize(
    ("left", "said"), [(61, None), (60, 60), (31, 60), (30, 30), (16, 30), (15, 15), (6, 15), (5, 5), (1, 5)]
)
async def test_what_a_card_says_is_true_whenever_it_is_read(site: World, left: int, said: int | None) -> None:
    code = (await site.device(mac(1))).code
    assert code is not None
    words = stage(code, code.expires_at - timedelta(minutes=left))
    assert words == (timedelta(minutes=said) if said else None)


async def test_a_card_with_a_code_is_drawn_anew_at_each_stage_and_no_other(site: World) -> None:
    card = await site.shows(SAM, mac(1), code=True, view="job_again")
    await site.shows(SAM, mac(2), view="job_again")
    await site.shows(DANA, mac(1), code=True)
    site.later(hours=22, minutes=50)
    edited: list[Sequence[str]] = []
    for _minute in range(69):
        site.later(minutes=1)
        await site.core.sweep()
        edits = [m.subject for m in await site.delivers() if m.kind is MessageKind.EDIT]
        if edits:
            edited.append(edits)
            post = await site.core.post(card.key)
            assert post is not None
            drawn = (await site.device(mac(1))).version
            await site.core.remember(replace(post, edited_at=site.clock.now(), revision=drawn))
    assert edited == [[card.key]] * (1 + len(STAGES))  # the first of them no longer says "tomorrow"


async def test_a_phone_that_cannot_be_reached_is_not_written_to_again_and_again(site: World) -> None:
    await site.shows(SAM, mac(1), code=True, view="job_again")
    await site.core.left(SAM)
    await site.delivers()
    site.later(hours=23)
    await site.core.watch_codes()
    assert await site.told(MessageKind.EDIT) == []


async def test_a_code_that_was_taken_back_does_not_end(site: World) -> None:
    await site.core.revoke(await site.dana(), await site.core.target(await site.dana(), "2.01"))
    site.later(hours=23)
    assert not ending(await site.device(mac(1)), site.clock.now())


def _moment(message: OutboxMessage) -> datetime:
    return datetime.fromisoformat(dict(message.params)["since"])


async def test_what_an_admin_was_told_of_is_kept_for_two_days(site: World) -> None:
    site.later(hours=23, minutes=10)
    await told(site)
    assert await site.store.count(Batch, kind="ending") == 1
    site.later(hours=47)
    await site.core.sweep()
    assert await site.store.count(Batch, kind="ending") == 1
    site.later(hours=2)
    await site.core.sweep()
    assert await site.store.count(Batch, kind="ending") == 0


async def test_a_large_look_holds_up_nothing_else_in_a_chat(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.service.radar.CHUNK", 3)
    world.core.policy = NIGHT_FREE
    await world.add(*((mac(n), f"Oslo/2/2.{n:02}") for n in range(1, 9)))
    await world.issue("oslo", SAM)
    await world.delivers()
    world.later(hours=23, minutes=10)
    await world.core.sweep()
    await world.provisions(mac(1))
    await world.core.confirm(await world.sam(), mac(1))
    assert MessageKind.NEXT_DEVICE in {message.kind for message in await world.delivers()}


async def test_codes_that_come_late_are_told_of_within_minutes(site: World) -> None:
    site.later(hours=23, minutes=10)
    await told(site)
    await site.add((mac(20), "Oslo/2/2.20"))
    await site.issue("2.20", SAM, lifetime=timedelta(hours=1))
    device = await site.device(mac(20))
    assert device.code
    long_ago = replace(device.code, issued_at=device.code.issued_at - timedelta(hours=23))
    await site.store.save(Change(puts=(replace(device, code=long_ago),)))
    await site.delivers()
    site.later(minutes=6)
    assert (MessageKind.CODES_ENDING, SAM) in await told(site)
