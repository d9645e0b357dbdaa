"""A rollout's plan, rest and end; what its card counts; who is reminded."""

from datetime import timedelta

import pytest

from provisioning.errors import Forbidden, NoAccess, NotConnected, PersonNotFound
from provisioning.events import RolloutFinished, RolloutPaused, RolloutPlanned, RolloutResumed, TechniciansReminded
from provisioning.messages import MessageKind
from provisioning.model import Change, Device, Person, Role
from provisioning.rollouts import Rollout
from provisioning.service.following import Resting
from provisioning.service.handover import NotATechnician
from provisioning.service.planning import (
    Backwards,
    NobodyToRemind,
    NoRollout,
    NothingFollowed,
    RemindedLately,
    WhichRollout,
)
from provisioning.service.progress import LOOKED_AT, Why
from tests.provisioning.world import DANA, KIM, SAM, World, channel

MACS = [f"805EC01100{n:02X}" for n in range(8)]


@pytest.fixture
async def oslo(world: World) -> World:
    """Eight devices of Oslo, all with a code in Sam's hands; a channel follows them."""
    await world.add(*((mac, f"Oslo/1/{n}") for n, mac in enumerate(MACS)))
    await world.issue("oslo", SAM)
    await world.core.connect(await world.dana(), channel(), "oslo")
    await world.delivers()
    return world


async def rollout(world: World) -> Rollout:
    return await world.core.rollout_in("channel-oslo")


async def kinds(world: World) -> list[tuple[MessageKind, str]]:
    return [(message.kind, message.recipient) for message in await world.delivers()]


# ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_planned_is_kept_and_a_fact(oslo: World) -> None:
    now = oslo.core.now()
    end = now + timedelta(days=2)
    await oslo.core.plan(
        await oslo.dana(), "channel-oslo", lead=SAM, technicians=(SAM,), lifetime_hours=48, planned_end=end
    )
    found = await rollout(oslo)
    assert (found.lead, found.technicians, found.lifetime_hours, found.planned_end) == (SAM, (SAM,), 48, end)
    (row,) = (await oslo.store.history("channel-oslo", limit=1)).rows
    assert isinstance(row.event, RolloutPlanned) and row.event.lead == SAM
    again = await oslo.core.plan(await oslo.dana(), "channel-oslo", lead=SAM)
    assert again.version == found.version


async def test_a_plan_that_cannot_be_is_refused(oslo: World) -> None:
    now = oslo.core.now()
    with pytest.raises(Backwards):
        await oslo.core.plan(await oslo.dana(), "channel-oslo", planned_start=now + timedelta(days=2), planned_end=now)
    with pytest.raises(NotATechnician):
        await oslo.core.plan(await oslo.dana(), "channel-oslo", technicians=(DANA,))
    with pytest.raises(PersonNotFound):
        await oslo.core.plan(await oslo.dana(), "channel-oslo", lead="nobody")
    with pytest.raises(NotConnected):
        await oslo.core.plan(await oslo.dana(), "elsewhere", lead=SAM)
    with pytest.raises(Forbidden):
        await oslo.core.plan(await oslo.sam(), "channel-oslo", lead=SAM)


async def test_its_codes_live_as_long_as_it_says(oslo: World) -> None:
    await oslo.core.plan(await oslo.dana(), "channel-oslo", lifetime_hours=72)
    await oslo.add(("805EC0110077", "Oslo/1/77"), ("805EC0110078", "Bergen/1"))
    await oslo.issue("oslo", SAM)
    await oslo.issue("bergen", SAM)
    codes = [await oslo.device("805EC0110077"), await oslo.device("805EC0110078")]
    lives = [device.code.expires_at - device.code.issued_at for device in codes if device.code]
    assert lives == [timedelta(hours=72), timedelta(hours=24)]
    await oslo.core.renew(await oslo.sam(), "805EC0110077")
    code = (await oslo.device("805EC0110077")).code
    assert code and code.expires_at - code.issued_at == timedelta(hours=72)


async def test_of_two_rollouts_the_shorter_life_holds(oslo: World) -> None:
    await oslo.core.connect(await oslo.dana(), channel("all"), "")
    await oslo.core.plan(await oslo.dana(), "channel-all", lifetime_hours=8)
    await oslo.core.plan(await oslo.dana(), "channel-oslo", lifetime_hours=72)
    await oslo.core.renew(await oslo.sam(), MACS[0])
    code = (await oslo.device(MACS[0])).code
    assert code and code.expires_at - code.issued_at == timedelta(hours=8)


# ── rest and end ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_while_it_rests_no_technician_starts_a_code(oslo: World) -> None:
    paused = await oslo.core.pause(await oslo.dana(), await rollout(oslo))
    assert paused.paused and (await oslo.core.pause(await oslo.dana(), paused)).version == paused.version
    with pytest.raises(Resting):
        await oslo.core.renew(await oslo.sam(), MACS[0])
    held = await oslo.core.start(await oslo.sam(), MACS[1])  # a code that lives is not taken away
    assert held.held.digits
    await oslo.provisions(MACS[2])  # and devices are served as ever
    assert (await oslo.device(MACS[2])).provisioned
    await oslo.core.resume(await oslo.dana(), await rollout(oslo))
    assert (await oslo.core.renew(await oslo.sam(), MACS[0])).held.digits


async def test_a_device_that_belongs_to_one_that_goes_on_does_not_rest(oslo: World) -> None:
    await oslo.core.connect(await oslo.dana(), channel("all"), "")
    await oslo.core.pause(await oslo.dana(), await rollout(oslo))
    assert (await oslo.core.renew(await oslo.sam(), MACS[0])).held.digits


async def test_nobody_is_greeted_for_what_rests(oslo: World) -> None:
    await oslo.core.pause(await oslo.dana(), await rollout(oslo))
    oslo.later(days=1)
    assert await oslo.core.greet() == 0
    await oslo.core.resume(await oslo.dana(), await rollout(oslo))
    oslo.later(days=1)
    assert await oslo.core.greet() == 1


async def test_it_is_said_in_the_thread_unless_the_channel_heard_it(oslo: World) -> None:
    await oslo.core.pause(await oslo.dana(), await rollout(oslo), heard=True)
    assert (MessageKind.ROLLOUT_TURNED, "channel-oslo") not in await kinds(oslo)
    await oslo.core.resume(await oslo.dana(), await rollout(oslo))
    told = await kinds(oslo)
    assert (MessageKind.ROLLOUT_TURNED, "channel-oslo") in told
    assert (MessageKind.REMINDER, SAM) in told  # who waits hears that it goes on


async def test_finished_means_that_the_channel_follows_nothing_any_more(oslo: World) -> None:
    for mac in MACS[:3]:
        await oslo.provisions(mac)
    await oslo.core.finish(await oslo.dana(), await rollout(oslo))
    facts = [row.event for row in (await oslo.store.history("channel-oslo")).rows]
    assert isinstance(facts[0], RolloutFinished) and (facts[0].total, facts[0].provisioned) == (8, 3)
    await oslo.delivers()
    await oslo.core.report(await oslo.sam(), MACS[5], "broken")
    await oslo.provisions(MACS[4])
    assert not [recipient for _kind, recipient in await kinds(oslo) if recipient == "channel-oslo"]
    await oslo.core.resume(await oslo.dana(), await rollout(oslo))
    await oslo.core.report(await oslo.sam(), MACS[6], "broken")
    assert (MessageKind.PROBLEM_REPORTED, "channel-oslo") in await kinds(oslo)


async def test_connected_again_after_its_end_it_begins_anew(oslo: World) -> None:
    finished = await oslo.core.finish(await oslo.dana(), await rollout(oslo))
    oslo.later(hours=1)
    anew = await oslo.core.connect(await oslo.dana(), channel(), "oslo")
    assert not anew.finished and anew.started_at > finished.started_at


async def test_each_turn_is_a_fact_of_its_own(oslo: World) -> None:
    await oslo.core.pause(await oslo.dana(), await rollout(oslo))
    await oslo.core.resume(await oslo.dana(), await rollout(oslo))
    facts = [type(row.event) for row in (await oslo.store.history("channel-oslo", limit=2)).rows]
    assert facts == [RolloutResumed, RolloutPaused]


async def test_which_rollout_is_meant(oslo: World) -> None:
    chat = (await oslo.person(SAM)).chat
    assert chat and chat.personal
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "")] == ["channel-oslo"]
    assert [r.key for r in await oslo.core.rollouts_meant(channel(), "")] == ["channel-oslo"]
    await oslo.core.connect(await oslo.dana(), channel("second"), "oslo")
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "oslo")] == ["channel-oslo", "channel-second"]
    assert len(await oslo.core.rollouts_meant(chat, "")) == 2  # of one site, so nothing is to be asked
    await oslo.add(("805EC0110078", "Bergen/1"))
    with pytest.raises(NoRollout):
        await oslo.core.rollouts_meant(chat, "bergen")
    await oslo.core.connect(await oslo.dana(), channel("all"), "")
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "all")] == ["channel-all"]
    with pytest.raises(WhichRollout):
        await oslo.core.rollouts_meant(chat, "")
    with pytest.raises(NotConnected):
        await oslo.core.rollouts_meant(channel("elsewhere"), "")


async def test_where_nothing_is_followed_it_is_said(world: World) -> None:
    with pytest.raises(NothingFollowed):
        await world.core.rollouts_meant((await world.person(SAM)).chat or channel(), "")


# ── reminding ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_has_open_devices_is_reminded_at_most_every_half_hour(oslo: World) -> None:
    done = await oslo.core.remind_all(await oslo.dana(), await rollout(oslo))
    assert done.people == 1 and (MessageKind.REMINDER, SAM) in await kinds(oslo)
    with pytest.raises(RemindedLately):
        await oslo.core.remind_all(await oslo.dana(), await rollout(oslo))
    oslo.later(minutes=30)
    assert (await oslo.core.remind_all(await oslo.dana(), await rollout(oslo))).people == 1
    (row,) = (await oslo.store.history("channel-oslo", limit=1)).rows
    assert isinstance(row.event, TechniciansReminded)


async def test_nobody_is_reminded_where_nothing_is_open(oslo: World) -> None:
    await oslo.core.assign(await oslo.dana(), await oslo.core.target(await oslo.dana(), "oslo"), await oslo.person(KIM))
    assert (await oslo.core.open_there(await oslo.sam(), "channel-oslo"))[1] == 0
    for mac in MACS:
        await oslo.core.remove(await oslo.dana(), mac)
    with pytest.raises(NobodyToRemind):
        await oslo.core.remind_all(await oslo.dana(), await rollout(oslo))


# ── how it stands ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_card_counts_codes_and_sign_ins(oslo: World) -> None:
    await oslo.provisions(MACS[0])
    progress = (await oslo.core.followed_in("channel-oslo")).progress
    assert (progress.total, progress.coded, progress.provisioned, progress.signed_in) == (8, 7, 1, 0)


async def test_the_pace_comes_from_what_happened(oslo: World) -> None:
    for mac in MACS[:4]:
        await oslo.provisions(mac)
        oslo.later(minutes=10)
    pace = (await oslo.core.followed_in("channel-oslo")).progress.pace
    assert pace.recent == 4 and 5 <= pace.per_hour <= 6
    assert pace.done_at and timedelta(minutes=39) <= pace.done_at - oslo.core.now() <= timedelta(minutes=49)
    oslo.later(hours=3)
    assert (await oslo.core.followed_in("channel-oslo")).progress.pace.done_at is None


async def test_what_is_stuck_says_why_since_when_and_whose(oslo: World) -> None:
    await oslo.provisions(MACS[0])
    oslo.later(minutes=10)
    await oslo.core.report(await oslo.sam(), MACS[1], "network")
    reported = oslo.core.now()
    oslo.later(hours=2)
    stuck = (await oslo.core.followed_in("channel-oslo")).progress.stuck
    assert [(each.why, each.device.mac, each.whose) for each in stuck] == [
        (Why.SIGN_IN, MACS[0], "Sam Fox"),
        (Why.PROBLEM, MACS[1], "Sam Fox"),
    ]
    assert stuck[1].since == reported
    oslo.later(hours=23)
    await oslo.core.sweep()
    progress = (await oslo.core.followed_in("channel-oslo")).progress
    assert len(progress.stuck) == 5 and progress.stuck_more == 3  # the codes of six ended, too
    assert Why.CODE_ENDED in {each.why for each in progress.stuck}


async def test_a_device_that_moves_follows_its_site(oslo: World) -> None:
    await oslo.core.move(await oslo.dana(), MACS[0], "Bergen/1")
    assert (await oslo.core.followed_in("channel-oslo")).progress.total == 7
    await oslo.core.connect(await oslo.dana(), channel("bergen"), "bergen")
    assert (await oslo.core.followed_in("channel-bergen")).progress.total == 1
    await oslo.core.move(await oslo.dana(), MACS[0], "Oslo/1/0")
    assert (await oslo.core.followed_in("channel-oslo")).progress.total == 8


async def test_all_rollouts_at_once(oslo: World) -> None:
    await oslo.add(("805EC0110078", "Bergen/1"))
    await oslo.core.connect(await oslo.dana(), channel("bergen"), "bergen")
    await oslo.core.finish(await oslo.dana(), await rollout(oslo))
    found = await oslo.core.rollouts(await oslo.sam())
    assert [(each.rollout.scope, each.progress.total) for each in found] == [("Bergen", 1), ("Oslo", 8)]
    with pytest.raises(NoAccess):
        await oslo.core.rollouts(await oslo.actor("nobody"))


async def test_five_codes_end_in_silence_and_six_are_told(oslo: World) -> None:
    oslo.later(hours=23, minutes=10)
    await oslo.core.watch_codes()
    told = await kinds(oslo)
    assert (MessageKind.CODES_DYING, "channel-oslo") in told
    assert await oslo.store.count(Device, removed=False) == 8


# ── which one ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_site_is_the_same_in_any_case_and_without_devices(oslo: World) -> None:
    chat = (await oslo.person(SAM)).chat
    assert chat
    planned = await oslo.core.plan(await oslo.dana(), "channel-oslo", lifetime_hours=72, technicians=(SAM,))
    await oslo.add(("005EC0110000", "OSLO/0/1"))
    dana = await oslo.dana()
    assert (await oslo.core.target(dana, "oslo")).site == "OSLO"
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "oslo")] == ["channel-oslo"]
    assert await oslo.core.planned_for(await oslo.core.target(dana, "oslo")) == (SAM,)
    again = await oslo.core.connect(dana, channel(), "oslo")
    assert again.lifetime_hours == planned.lifetime_hours  # what was planned stands
    for mac in (*MACS, "005EC0110000"):
        await oslo.core.move(await oslo.dana(), mac, f"Bergen/1/{mac[-2:]}")
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "Oslo")] == ["channel-oslo"]


async def test_of_two_rollouts_of_a_site_the_one_that_goes_on_is_meant(oslo: World) -> None:
    chat = (await oslo.person(SAM)).chat
    assert chat
    await oslo.core.finish(await oslo.dana(), await rollout(oslo))
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "oslo")] == ["channel-oslo"]
    await oslo.core.connect(await oslo.dana(), channel("second"), "oslo")
    assert [r.key for r in await oslo.core.rollouts_meant(chat, "oslo")] == ["channel-second"]


async def test_where_more_is_stuck_than_was_looked_at_it_is_said(oslo: World) -> None:
    macs = [f"805EC01101{n:02X}" for n in range(LOOKED_AT + 1)]
    await oslo.add(*((mac, f"Bergen/1/{n}") for n, mac in enumerate(macs)))
    await oslo.issue("bergen", SAM)
    oslo.later(hours=25)
    await oslo.core.sweep()
    dana = await oslo.dana()
    bergen, everything = await oslo.core.progress(dana, "bergen"), await oslo.core.progress(dana, "oslo")
    assert (bergen.stuck_more, bergen.stuck_beyond) == (LOOKED_AT - len(bergen.stuck), True)
    assert (everything.stuck_more, everything.stuck_beyond) == (len(MACS) - len(everything.stuck), False)


async def test_of_many_admins_as_many_get_a_card_of_their_own_as_teams_takes(oslo: World) -> None:
    admins = [Person(id=f"a{n}", teams_id=f"29:a{n}", name=f"A{n}", roles=frozenset({Role.ADMIN})) for n in range(70)]
    await oslo.store.save(Change(puts=tuple(admins)))
    readers = await oslo.core.card_readers()
    assert len(readers) == len(set(readers)) == 60
