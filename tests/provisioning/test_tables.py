"""The tables that hold the knowledge, looped over: states, rights, notifications, refusals."""

import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import provisioning.service  # every error class is declared once this is loaded
from provisioning import lifecycle
from provisioning.access import GRANTS, Permission, allowed, may_see, require
from provisioning.delivery_errors import DeliveryError
from provisioning.errors import Duplicate, Forbidden, NoAccess, ProvisioningError, ResetRequired, SlowDown, Unavailable
from provisioning.events import Event
from provisioning.lifecycle import TRANSITIONS, Step
from provisioning.model import Actor, Device, Role, State

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DANA = Actor("dana", "Dana", "t", frozenset({Role.ADMIN}))


def device(state: State = State.WAITING_FOR_ACTIVATION, **more: object) -> Device:
    return replace(Device(mac="805EC0112233", location="Oslo/2.14", added_at=NOW, added_by="dana"), state=state, **more)


# ------------------------------------------------------------------ states

ALLOWED = {
    State.WAITING_FOR_ACTIVATION: {Step.ISSUE_CODE, Step.PROVISION},
    State.WAITING_FOR_SIGN_IN: {Step.SIGN_IN, Step.RESET},
    State.SIGNED_IN: {Step.SIGN_OUT, Step.RESET},
    State.SIGNED_OUT: {Step.SIGN_IN, Step.RESET},
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_each_step_leads_on_from_its_states_and_is_refused_from_all_others(state: State, step: Step) -> None:
    if step in ALLOWED[state]:
        assert lifecycle.after(device(state), step) is TRANSITIONS[state, step]
    else:
        with pytest.raises(ResetRequired):
            lifecycle.after(device(state), step)


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("state", State)
def test_nothing_happens_to_a_removed_device(state: State, step: Step) -> None:
    assert not lifecycle.can(device(state, removed_at=NOW), step)


def test_only_a_factory_reset_leads_back_to_the_beginning() -> None:
    back = {
        step
        for (state, step), to in TRANSITIONS.items()
        if to is State.WAITING_FOR_ACTIVATION and device(state).provisioned
    }
    assert back == {Step.RESET}


def test_a_new_life_keeps_the_place_and_forgets_the_rest() -> None:
    old = device(State.SIGNED_IN, token="t", retry_key="r", retry_until=NOW, technician="sam", provisioned_at=NOW)
    (fresh,) = lifecycle.reset(old, NOW).puts
    assert isinstance(fresh, Device)
    assert (fresh.life, fresh.token, fresh.retry_key, fresh.provisioned_at) == (2, "", "", None)
    assert (fresh.location, fresh.technician, fresh.state) == ("Oslo/2.14", "sam", State.WAITING_FOR_ACTIVATION)


# ------------------------------------------------------------------ rights

RIGHTS = {
    Permission.EDIT_DEVICES: {Role.ADMIN},
    Permission.SEE_DEVICES: {Role.ADMIN},
    Permission.ISSUE_CODES: {Role.ADMIN},
    Permission.MANAGE_PEOPLE: {Role.ADMIN},
    Permission.CONNECT_CHANNELS: {Role.ADMIN},
    Permission.SIGN_IN: {Role.ADMIN},
    Permission.WORK_ON_SITE: {Role.TECHNICIAN},
    Permission.FOLLOW_ROLLOUT: {Role.ADMIN, Role.TECHNICIAN},
    Permission.SEE_AUDIT: {Role.ADMIN},
    Permission.DEFEND: {Role.ADMIN},
    Permission.RUN_WEBHOOKS: {Role.ADMIN},
}


def test_the_table_of_rights_is_complete() -> None:
    assert set(RIGHTS) == set(Permission)
    assert set(GRANTS) == set(Role)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_each_role_has_its_rights_and_no_others(role: Role, permission: Permission) -> None:
    actor = Actor("x", "X", "t", frozenset({role}))
    assert allowed(actor, permission) is (role in RIGHTS[permission])
    if role not in RIGHTS[permission]:
        with pytest.raises(Forbidden):
            require(actor, permission)


@pytest.mark.parametrize("permission", Permission)
def test_nobody_has_a_right_without_a_role(permission: Permission) -> None:
    with pytest.raises(NoAccess):
        require(Actor("x", "X", "t"), permission)


def test_who_may_is_named() -> None:
    with pytest.raises(Forbidden, match="Only admins can"):
        require(Actor("x", "X", "t", frozenset({Role.TECHNICIAN})), Permission.EDIT_DEVICES)


def test_admins_see_every_device_technicians_their_own_former_ones_none() -> None:
    held = device(technician="sam")
    assert may_see(DANA, held)
    assert may_see(Actor("sam", "Sam", "t", frozenset({Role.TECHNICIAN})), held)
    assert not may_see(Actor("kim", "Kim", "t", frozenset({Role.TECHNICIAN})), held)
    assert not may_see(Actor("sam", "Sam", "t"), held)


# ------------------------------------------------------------------ refusals


def every(kind: type[ProvisioningError]) -> Iterator[type[ProvisioningError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from every(narrower)


ERRORS = sorted((e for e in set(every(ProvisioningError)) if e.__module__.startswith("provisioning.")), key=str)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_refusal_has_a_code_for_programs_and_a_sentence_that_formats(kind: type[ProvisioningError]) -> None:
    assert provisioning.service
    assert kind.code
    assert kind.code.replace("_", "").isalpha()
    places = [name for _, name, _, _ in string.Formatter().parse(kind.message) if name]
    if kind not in (Duplicate, SlowDown, Unavailable):
        error = ProvisioningError.__new__(kind)
        ProvisioningError.__init__(error, **dict.fromkeys(places, "{x}"))
        assert "{x}" in error.sentence or not places
        assert str(error) == error.sentence


def test_two_refusals_share_a_code_only_where_one_is_a_kind_of_the_other() -> None:
    shared = {"reset_required"}  # a person and a device hear the same fact in their own words
    for one in ERRORS:
        for other in ERRORS:
            related = (
                issubclass(one, other)
                or issubclass(other, one)
                or set(one.__mro__[1:3]) & set(other.__mro__[1:3]) - {ProvisioningError}
            )
            if one.code == other.code and one.code not in shared and not issubclass(one, DeliveryError):
                assert related, (one, other)


def test_errors_with_their_own_values_speak_too() -> None:
    assert "17 seconds" in SlowDown(17).sentence
    assert Duplicate("key", "X").sentence == "X is already there."
    assert "try again in a minute" in Unavailable("disk full").sentence
    assert "disk full" not in Unavailable("disk full").sentence


# ------------------------------------------------------------------ facts


def test_no_fact_has_a_place_for_a_code() -> None:
    assert len(Event.registry) > 20
    for name, kind in Event.registry.items():
        assert not {"code", "digits", "token", "sealed"} & set(kind.__dataclass_fields__), name


def test_places_of_a_location() -> None:
    table = {"Oslo": ("Oslo", "", "Oslo"), "Oslo/2.14": ("Oslo", "", "2.14"), "Oslo/2/2.14": ("Oslo", "2", "2.14")}
    for location, (site, floor, place) in table.items():
        there = device(location=location)
        assert (there.site, there.floor, there.place) == (site, floor, place)


def test_a_code_is_live_until_the_very_moment_it_ends() -> None:
    from tests.provisioning.world import KEYS

    code = KEYS.issue("805EC0112233", "000000000000", 1, NOW, timedelta(hours=24), "dana")
    assert code.live(NOW + timedelta(hours=24) - timedelta(microseconds=1))
    assert not code.live(NOW + timedelta(hours=24))
    assert not replace(code, sealed=None).live(NOW)
