"""Remote sign-in (RFC 8628): one live flow per device, polled as slowly as asked for, verified, sealed and erased."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.codes import Key, Keyring
from provisioning.errors import Forbidden, OutOfDate
from provisioning.messages import MessageKind, Post
from provisioning.model import Change, Device, Person, Role, State
from provisioning.notifications import QUEUE
from provisioning.provider_errors import (
    AskerGone,
    AuthorizationDeclined,
    AuthorizationPending,
    GrantEnded,
    GrantUnknown,
    PollSlower,
    ProviderAway,
    ProviderError,
)
from provisioning.service.queue import DONE, NOBODY, STOPPED, NoRun
from provisioning.service.signing import (
    AccountNeeded,
    AlreadySignedIn,
    NoSignIn,
    NotAnAccount,
    NotCalledInYet,
    SignInFacts,
)
from provisioning.signin import LONGEST_PAUSE, Account, SignIn, Stage
from storage.records import encode
from tests.fakes import FakeProvider
from tests.provisioning.remote import ACCOUNT, called_in
from tests.provisioning.world import DANA, KEYS, LEE, POLICY, SAM, A, B, C, World, member

ROOM = Account(id="the-rooms-id", names=(ACCOUNT,))


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
async def desk(world: World, provider: FakeProvider) -> World:
    """2.14 waits for sign-in."""
    world.core.provider = provider
    await called_in(world, A)
    await world.delivers()
    return world


async def begins(world: World, account: str = ACCOUNT, mac: str = A) -> SignInFacts:
    return await world.core.begin_sign_in(await world.dana(), mac, account)


async def flow_of(world: World, mac: str = A) -> SignIn:
    flow = (await world.device(mac)).sign_in
    assert flow is not None
    return flow


async def takes(world: World, answer: Account | ProviderError, faults: int = 0, mac: str = A) -> float | None:
    return await world.core.take_answer(mac, (await flow_of(world, mac)).id, answer, faults)


# ------------------------------------------------------------------ asked for


async def test_a_request_brings_a_code_for_whoever_asked_alone(desk: World, provider: FakeProvider) -> None:
    facts = await begins(desk)
    assert facts.user_code == provider.grants[0].user_code and facts.flow
    assert (facts.flow.stage, facts.flow.interval, facts.flow.by) == (Stage.CODE_SHOWN, 5.0, DANA)
    assert facts.flow.expires_at == desk.clock.now() + timedelta(minutes=15)
    assert (await desk.device(A)).account == ACCOUNT

    await desk.core.meet(member(LEE, "Lee Moe"), None)
    await desk.core.grant(await desk.dana(), LEE, Role.ADMIN)
    lees = await desk.core.sign_in_facts(await desk.actor(LEE), A)
    assert lees.flow == facts.flow and lees.user_code == ""
    with pytest.raises(Forbidden):
        await desk.core.sign_in_facts(await desk.sam(), A)


async def test_who_cannot_be_signed_in_is_told_why(desk: World) -> None:
    await desk.add((B, "Oslo/2/2.16"))
    with pytest.raises(NotCalledInYet):
        await begins(desk, mac=B)
    with pytest.raises(AccountNeeded):
        await begins(desk, account="")
    for text in ("room", "a@", "@b", "a b@c", "a@b@c", "x" * 121 + "@b.c", "a/b@c.d"):
        with pytest.raises(NotAnAccount):
            await begins(desk, account=text)
    assert (await desk.device(A)).sign_in is None
    await begins(desk)
    await takes(desk, ROOM)
    with pytest.raises(AlreadySignedIn):
        await begins(desk)


async def test_one_flow_of_a_device_is_live(desk: World, provider: FakeProvider) -> None:
    first, second = await begins(desk), await begins(desk)
    assert first.flow and second.flow and first.flow.id != second.flow.id
    assert [flow.id for _mac, flow in await desk.core.live_sign_ins()] == [second.flow.id]
    assert await desk.core.ask_provider(A, first.flow.id) is None and provider.polled == []
    assert (await desk.core.sign_in_facts(await desk.dana(), A, first.flow.id)).flow is None


async def test_a_card_of_a_former_flow_asks_for_nothing(desk: World) -> None:
    first = (await begins(desk)).flow
    await begins(desk)
    assert first
    with pytest.raises(OutOfDate):
        await desk.core.begin_sign_in(await desk.dana(), A, after=first.id)
    with pytest.raises(NoSignIn):
        await desk.core.cancel_sign_in(await desk.dana(), A, first.id)
    assert (await flow_of(desk)).live


async def test_the_same_press_asks_once(desk: World, provider: FakeProvider) -> None:
    dana = await desk.dana()
    await desk.core.begin_sign_in(dana, A, ACCOUNT)
    with pytest.raises(Exception, match="done already"):
        await desk.core.begin_sign_in(dana, A, ACCOUNT)
    assert len(provider.grants) == 1


# ------------------------------------------------------------------ the account that approved


@pytest.mark.parametrize(
    ("approved", "same"),
    [
        (Account("x", (ACCOUNT,)), True),
        (Account("x", (ACCOUNT.upper(),)), True),
        (Account("x", ("somebody@contoso.com", ACCOUNT)), True),  # preferred_username, upn, email
        (Account("x", ("room-2.16@contoso.com",)), False),
        (Account(ACCOUNT, ()), False),  # an id is no name
        (Account("x", ()), False),
    ],
)
async def test_the_account_equals_the_intended_one(desk: World, approved: Account, same: bool) -> None:
    await begins(desk)
    await takes(desk, approved)
    device = await desk.device(A)
    assert device.state is (State.SIGNED_IN if same else State.WAITING_FOR_SIGN_IN)
    assert (await flow_of(desk)).stage is (Stage.SIGNED_IN if same else Stage.WRONG_ACCOUNT)
    assert [m.recipient for m in await desk.told(MessageKind.SIGN_IN_REFUSED)] == ([] if same else [DANA])


async def test_an_account_that_signed_in_before_is_known_by_its_object_id(desk: World) -> None:
    await begins(desk)
    await takes(desk, ROOM)
    device = await desk.device(A)
    await desk.store.save(Change(puts=(replace(device, state=State.SIGNED_OUT, signed_in_at=None),)))
    await begins(desk)
    await takes(desk, replace(ROOM, id="another-of-that-name"))
    assert (await flow_of(desk)).stage is Stage.WRONG_ACCOUNT
    await begins(desk)
    await takes(desk, Account(ROOM.id.upper(), ("renamed@contoso.com",)))
    assert (await flow_of(desk)).stage is Stage.SIGNED_IN


async def test_a_person_of_teams_is_known_by_their_object_id_where_it_is_teams_own_provider(desk: World) -> None:
    desk.core.policy = replace(POLICY, teams_accounts=True)
    await begins(desk, account="Sam@contoso.com")
    assert (await flow_of(desk)).account_id == SAM
    await takes(desk, Account("x", ("sam@contoso.com",)))
    assert (await flow_of(desk)).stage is Stage.WRONG_ACCOUNT
    desk.core.policy = POLICY
    await begins(desk, account="Sam@contoso.com")
    assert (await flow_of(desk)).account_id == ""


# ------------------------------------------------------------------ how often it is asked


async def test_slow_down_holds_for_all_later_polls(desk: World) -> None:
    await begins(desk)
    assert await takes(desk, AuthorizationPending()) == 5.0
    assert await takes(desk, PollSlower()) == 10.0
    assert await takes(desk, AuthorizationPending()) == 10.0
    assert await takes(desk, PollSlower()) == 15.0
    assert (await flow_of(desk)).interval == 15.0  # whoever polls next knows it


async def test_the_interval_is_the_providers(desk: World, provider: FakeProvider) -> None:
    provider.interval = timedelta(seconds=2)
    await begins(desk)
    assert await takes(desk, AuthorizationPending()) == 2.0


async def test_without_an_answer_the_pauses_double(desk: World) -> None:
    await begins(desk)
    pauses = [await takes(desk, ProviderAway(), faults) for faults in range(6)]
    assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert LONGEST_PAUSE.total_seconds() == 60.0
    assert await takes(desk, ProviderAway(retry_after=90.0), 0) == 90.0
    assert await takes(desk, AuthorizationPending()) == 5.0


async def test_no_pause_goes_past_the_end(desk: World) -> None:
    await begins(desk)
    desk.later(minutes=14, seconds=45)
    assert await takes(desk, ProviderAway(retry_after=600.0), 5) == 15.0
    desk.later(seconds=13)
    assert await takes(desk, ProviderAway(), 5) == 5.0  # but no poll is hastier than the interval


async def test_silence_is_noted_from_the_second_time_and_over_with_any_answer(desk: World) -> None:
    await begins(desk)
    await takes(desk, ProviderAway(), 0)
    assert (await flow_of(desk)).silent_since is None
    desk.later(seconds=10)
    since = desk.clock.now()
    await takes(desk, ProviderAway(), 1)
    desk.later(seconds=20)
    await takes(desk, ProviderAway(), 2)
    assert (await flow_of(desk)).silent_since == since
    await takes(desk, PollSlower())
    assert ((await flow_of(desk)).silent_since, (await flow_of(desk)).interval) == (None, 10.0)
    assert (await desk.facts(A)).count("SignInTroubled") == 2


# ------------------------------------------------------------------ its end


async def test_it_ends_by_the_clock_whatever_the_provider_says(desk: World) -> None:
    for answer, stage in (
        (AuthorizationPending(), Stage.ENDED),
        (PollSlower(), Stage.ENDED),
        (GrantUnknown(), Stage.ENDED),  # some forget a code soon after its end
        (ProviderAway(), Stage.FAILED),
    ):
        await begins(desk)
        desk.later(minutes=14, seconds=59)
        assert await takes(desk, AuthorizationPending()) is not None
        desk.later(seconds=1)
        assert await takes(desk, answer) is None
        assert (await flow_of(desk)).stage is stage


async def test_an_approval_at_the_last_moment_counts(desk: World) -> None:
    await begins(desk)
    desk.later(minutes=15)
    assert (await desk.core.sign_in_facts(await desk.dana(), A)).user_code == ""
    await takes(desk, ROOM)
    assert (await desk.device(A)).state is State.SIGNED_IN


@pytest.mark.parametrize("answer", [ROOM, AuthorizationDeclined(), GrantEnded()])
@pytest.mark.parametrize("before", ["cancelled", "replaced", "reset", "removed"])
async def test_what_comes_late_is_discarded(desk: World, answer: Account | ProviderError, before: str) -> None:
    flow = (await begins(desk)).flow
    assert flow
    if before == "cancelled":
        await desk.core.cancel_sign_in(await desk.dana(), A)
    elif before == "replaced":
        await begins(desk)
    elif before == "reset":
        await desk.core.order_reset(await desk.dana(), A, A[-4:])
    else:
        await desk.core.remove(await desk.dana(), A)
    stands = await desk.store.get(Device, A)
    assert await desk.core.take_answer(A, flow.id, answer) is None
    assert await desk.store.get(Device, A) == stands and "DeviceSignedIn" not in await desk.facts(A)


async def test_a_second_grant_for_the_same_flow_does_not_count(desk: World, provider: FakeProvider) -> None:
    first = await begins(desk)
    assert first.flow
    late = await provider.begin()
    await desk.core.take_answer(A, first.flow.id, late)
    assert (await desk.core.sign_in_facts(await desk.dana(), A)).user_code == first.user_code


# ------------------------------------------------------------------ its secrets


async def test_codes_are_sealed_at_rest_and_erased_at_the_end(desk: World, provider: FakeProvider) -> None:
    ends: list[Account | ProviderError] = [ROOM, AuthorizationDeclined(), GrantEnded(), Account("x", ("kim@x.y",))]
    for answer in ends:
        device = await desk.device(A)
        await desk.store.save(Change(puts=(replace(device, state=State.WAITING_FOR_SIGN_IN),)))
        await begins(desk)
        kept = json.dumps(encode(await desk.device(A)), default=str)
        grant = provider.grants[-1]
        assert grant.user_code not in kept and grant.device_code not in kept and (await flow_of(desk)).sealed
        await takes(desk, answer)
        flow = await flow_of(desk)
        assert (flow.sealed, flow.page, flow.live) == ("", "", False)
    await begins(desk)
    await desk.core.cancel_sign_in(await desk.dana(), A)
    assert ((await flow_of(desk)).sealed, (await flow_of(desk)).stage) == ("", Stage.CANCELLED)
    rows = (await desk.store.history(A, limit=1000)).rows
    said = repr([row.event for row in rows])
    assert not [grant for grant in provider.grants if grant.user_code in said or grant.device_code in said]


async def test_a_seal_is_of_one_flow_of_one_device(desk: World) -> None:
    await begins(desk)
    first = await flow_of(desk)
    await begins(desk)
    second = await flow_of(desk)
    device = await desk.device(A)
    await desk.store.save(Change(puts=(replace(device, sign_in=replace(second, sealed=first.sealed)),)))
    assert (await desk.core.sign_in_facts(await desk.dana(), A)).user_code == ""
    assert isinstance(await desk.core.ask_provider(A, second.id), GrantUnknown)


async def test_a_key_that_is_gone_ends_it_in_words(desk: World) -> None:
    flow = (await begins(desk)).flow
    assert flow
    desk.core.keys = Keyring([Key("k2", b"m" * 32)])
    answer = await desk.core.ask_provider(A, flow.id)
    assert isinstance(answer, GrantUnknown)
    await takes(desk, answer)
    assert (await flow_of(desk)).stage is Stage.FAILED
    desk.core.keys = KEYS


# ------------------------------------------------------------------ who asked


async def test_nobody_signs_in_for_whoever_lost_the_right(desk: World, provider: FakeProvider) -> None:
    await desk.core.meet(member(LEE, "Lee Moe"), None)
    await desk.core.grant(await desk.dana(), LEE, Role.ADMIN)
    facts = await desk.core.begin_sign_in(await desk.actor(LEE), A, ACCOUNT)
    provider.approved(facts.user_code, ACCOUNT)
    await desk.core.revoke_access(await desk.dana(), LEE)
    assert facts.flow
    answer = await desk.core.ask_provider(A, facts.flow.id)
    assert isinstance(answer, AskerGone) and provider.polled == []
    await takes(desk, answer)
    assert (await flow_of(desk)).stage is Stage.CANCELLED and (await desk.device(A)).state is State.WAITING_FOR_SIGN_IN


async def test_technicians_reach_nothing_of_it(desk: World) -> None:
    sam, core = await desk.sam(), desk.core
    for call in (
        core.begin_sign_in(sam, A, ACCOUNT),
        core.cancel_sign_in(sam, A),
        core.choose_account(sam, A, ACCOUNT),
        core.waiting_for_sign_in(sam),
        core.next_to_sign_in(sam),
        core.start_run(sam, "all"),
        core.go_on_signing(sam),
        core.skip_sign_in(sam),
        core.stop_run(sam),
        core.turn_of(sam),
    ):
        with pytest.raises(Forbidden):
            await call
    assert (await desk.device(A)).sign_in is None


# ------------------------------------------------------------------ one after the other


@pytest.fixture
async def floor(desk: World) -> World:
    """Three devices wait, the last without an account."""
    await called_in(desk, B, "Oslo/2/2.16")
    await called_in(desk, C, "Oslo/2/2.18")
    for mac in (A, B):
        await desk.core.choose_account(await desk.dana(), mac, ACCOUNT)
    await desk.delivers()
    return desk


async def test_the_end_of_one_and_the_beginning_of_the_next_are_one_piece(floor: World) -> None:
    turn = await floor.core.start_run(await floor.dana(), "all")
    assert (turn.run.mac, turn.number, turn.total) == (A, 1, 3) and turn.facts and turn.facts.user_code
    await takes(floor, ROOM)
    person = await floor.store.get(Person, DANA)
    assert person and person.signing and (person.signing.mac, person.signing.done) == (B, 1)
    assert (await flow_of(floor, B)).stage is Stage.CODE_SHOWN
    assert [(m.recipient, m.subject) for m in await floor.told(MessageKind.NEXT_SIGN_IN)] == [(DANA, B)]
    assert (await floor.device(A)).state is State.SIGNED_IN


async def test_a_device_without_an_account_waits_for_it(floor: World) -> None:
    await floor.core.start_run(await floor.dana(), "oslo")
    await floor.core.skip_sign_in(await floor.dana())
    turn = await floor.core.skip_sign_in(await floor.dana())
    assert turn.run.mac == C and turn.needs_account
    assert (await floor.core.go_on_signing(await floor.dana())).run.mac == C
    assert await floor.core.live_sign_ins() == []
    assert (await begins(floor, mac=C)).user_code
    over = await floor.core.skip_sign_in(await floor.dana())
    assert (over.run.paused, len(over.run.skipped)) == (DONE, 3)


async def test_where_no_code_comes_the_run_stands_still(floor: World, provider: FakeProvider) -> None:
    provider.begins.append(ProviderError())
    turn = await floor.core.start_run(await floor.dana(), "all")
    assert turn.run.paused == "provider_error" and turn.facts is None
    assert await floor.told(MessageKind.NEXT_SIGN_IN) == []  # it was the answer
    assert (await floor.core.go_on_signing(await floor.dana())).run.mac == A
    provider.begins.append(ProviderAway())
    await takes(floor, AuthorizationDeclined())
    person = await floor.store.get(Person, DANA)
    assert person and person.signing and (person.signing.paused, person.signing.mac) == ("provider_away", B)
    assert len(provider.grants) == 1


async def test_two_codes_that_nobody_types_are_enough(floor: World) -> None:
    await floor.core.start_run(await floor.dana(), "all")
    await takes(floor, GrantEnded())
    await takes(floor, GrantEnded(), mac=B)
    turn = await floor.core.turn_of(await floor.dana())
    assert turn and (turn.run.paused, turn.run.skipped) == (NOBODY, (A, B))
    assert await floor.core.live_sign_ins() == []
    again = await floor.core.go_on_signing(await floor.dana())
    assert (again.run.mac, again.run.skipped) == (A, ())


async def test_a_skip_delivered_twice_skips_once(floor: World) -> None:
    await floor.core.start_run(await floor.dana(), "all")
    dana = await floor.dana()
    await floor.core.skip_sign_in(dana)
    with pytest.raises(Exception, match="done already"):
        await floor.core.skip_sign_in(dana)
    assert (await flow_of(floor, B)).live
    with pytest.raises(OutOfDate):
        await floor.core.skip_sign_in(await floor.dana(), A)


async def test_stopped_it_takes_its_code_along_and_can_go_on(floor: World) -> None:
    with pytest.raises(NoRun):
        await floor.core.stop_run(await floor.dana())
    await floor.core.start_run(await floor.dana(), "all")
    stopped = await floor.core.stop_run(await floor.dana())
    assert (stopped.run.paused, stopped.left) == (STOPPED, 3)
    assert (await flow_of(floor)).stage is Stage.CANCELLED
    assert (await floor.core.stop_run(await floor.dana())).run == stopped.run
    assert (await floor.core.go_on_signing(await floor.dana())).run.mac == A


# ------------------------------------------------------------------ who waits


async def test_the_list_knows_how_many_and_whether_they_are_of_one_site(floor: World) -> None:
    queue = await floor.core.waiting_for_sign_in(await floor.dana())
    assert ([device.mac for device in queue.devices], queue.total, queue.site) == ([A, B, C], 3, "Oslo")
    await called_in(floor, "805EC0778899", "Bergen/1/1.01")
    queue = await floor.core.waiting_for_sign_in(await floor.dana())
    assert (queue.total, queue.site) == (4, "")
    assert (await floor.core.waiting_for_sign_in(await floor.dana(), "oslo")).total == 3
    assert (await floor.core.waiting_for_sign_in(await floor.dana(), again=True)).total == 0


async def test_the_next_one_is_of_the_same_site_and_nobody_elses(floor: World) -> None:
    await called_in(floor, "805EC0778899", "Bergen/1/1.01")
    dana = await floor.dana()
    first = await floor.core.next_to_sign_in(dana)
    assert first and first.site == "Bergen"
    near = await floor.core.next_to_sign_in(dana, A)
    assert near and near.mac == A
    await begins(floor)
    near = await floor.core.next_to_sign_in(dana, A)
    assert near and near.mac == B


async def test_admins_are_told_together_and_a_list_that_stands_follows(floor: World) -> None:
    await called_in(floor, "805EC0778899", "Bergen/1/1.01")
    [told] = await floor.told(MessageKind.SIGN_INS_WAITING)
    assert (told.recipient, told.subject) == (DANA, "") and told.due_at == floor.clock.now() + timedelta(seconds=30)

    dana = await floor.dana()
    assert not await floor.core.told_lately(dana, QUEUE, floor.clock.now() - timedelta(minutes=10))
    post = await floor.shows(DANA, QUEUE, view="sign_ins_again")
    assert isinstance(post, Post)
    assert await floor.core.told_lately(dana, QUEUE, floor.clock.now() - timedelta(minutes=10))
    await floor.delivers()
    await begins(floor)
    [edit] = await floor.told(MessageKind.EDIT)
    assert edit.subject == post.key and edit.due_at == floor.clock.now() + timedelta(seconds=30)
