"""Steps of a device's life that are decided without a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning import lifecycle
from provisioning.codes import Key, Keyring
from provisioning.errors import ResetRequired
from provisioning.events import CodeReceived, CodeRevoked
from provisioning.model import ActivationCode, Actor, Device, State
from provisioning.onsite import Installation

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MAC = "805EC0112233"
RING = Keyring([Key("one", b"o" * 32)])
DANA = Actor(id="dana", name="Dana", tenant="t")
DEVICE = Device(mac=MAC, location="Oslo/2/2.14", added_at=NOW, added_by="dana")


def brought(device: Device, digits: str = "482913", *, made_at: datetime = NOW) -> ActivationCode:
    return RING.receive(MAC, digits, device.issued + 1, made_at, timedelta(hours=24), "dana")


def received(device: Device, code: ActivationCode, at: datetime = NOW) -> tuple[Device, CodeReceived]:
    change = lifecycle.receive_code(device, code, DANA, at)
    ((fresh,), (fact,)) = change.puts, change.events
    assert isinstance(fresh, Device)
    assert isinstance(fact, CodeReceived)
    return fresh, fact


def test_a_code_of_the_teams_admin_centre_takes_the_place_of_a_live_one() -> None:
    own = RING.issue(MAC, "482913760257", 1, NOW, timedelta(hours=24), "dana")
    device = replace(DEVICE, code=own, issued=1)
    assert not lifecycle.companion(device)
    fresh, fact = received(device, brought(device))
    assert lifecycle.companion(fresh)
    assert (fresh.issued, fact.issue, fact.voided) == (2, 2, True)
    assert received(DEVICE, brought(DEVICE))[1].voided is False


def test_the_fact_is_of_now_and_the_end_is_counted_from_when_the_code_was_made() -> None:
    fresh, fact = received(DEVICE, brought(DEVICE, made_at=NOW - timedelta(hours=20)))
    assert fact.at == NOW
    assert fact.expires_at == NOW + timedelta(hours=4)
    assert fresh.live_code(NOW + timedelta(hours=4)) is None


def test_a_new_code_is_new_work_on_site() -> None:
    done = replace(DEVICE, installed=Installation(by="sam", by_name="Sam", at=NOW), renewals=(NOW,))
    fresh, _ = received(done, brought(done))
    assert fresh.open_job
    assert fresh.renewals == ()


def test_a_device_that_was_provisioned_with_us_takes_no_code_of_microsoft() -> None:
    for state in set(State) - {State.WAITING_FOR_ACTIVATION}:
        with pytest.raises(ResetRequired):
            lifecycle.receive_code(replace(DEVICE, state=state), brought(DEVICE), DANA, NOW)


def test_a_withdrawn_code_of_microsoft_is_erased_and_may_come_again() -> None:
    fresh, _ = received(DEVICE, brought(DEVICE))
    change = lifecycle.revoke_code(fresh, NOW, DANA)
    ((gone,), (fact,)) = change.puts, change.events
    assert isinstance(gone, Device)
    assert isinstance(fact, CodeRevoked)
    assert gone.live_code(NOW) is None
    assert lifecycle.companion(gone)
    assert not RING.received(MAC, gone.code, "482913")
