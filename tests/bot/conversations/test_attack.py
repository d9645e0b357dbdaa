"""An attack on codes as the admins live through it: one card that follows it, a question, and its end."""

from dataclasses import replace

import pytest

from provisioning.bookkeeping import Attempts
from provisioning.errors import CodeRefused, SlowDown
from provisioning.model import Change
from provisioning.service.activation import ProvisionCall
from provisioning.throttle import FLEET, FLEET_SLOT
from tests.bot.chat import House, Someone

A = "80-5E-C0-11-22-33"
TITLE, OVER = "Somebody is trying codes", "Nobody is trying codes any more"


async def guesses(house: House, source: str, times: int = 1, mac: str = A) -> None:
    for _ in range(times):
        with pytest.raises((CodeRefused, SlowDown)):
            await house.provisioning.provision(ProvisionCall(mac, "000000000000", source))


async def begins(house: House) -> None:
    """The 600th wrong code within ten minutes."""
    row = await house.store.get(Attempts, FLEET_SLOT) or Attempts(slot=FLEET_SLOT)
    nearly = replace(row, failures=FLEET.free - 1, since=house.clock.now(), blocked_until=None, networks=44)
    await house.store.save(Change(puts=(nearly,)))
    await guesses(house, "10.9.1.1", mac="805EC0FF0001")
    await house.after_step()


async def test_the_admins_see_it_decide_and_hear_that_it_is_over(house: House, dana: Someone) -> None:
    lee = await house.admin("Lee")
    await dana.says(f"add {A} Oslo/2/2.14")
    await begins(house)
    card = dana.posts[-1]
    assert card.title == TITLE and lee.posts[-1].title == TITLE
    assert "600 wrong codes in the last 10 minutes, from 45 networks. It began at 07:30." in card.all
    assert "None of them was for a device on the list." in card.all
    assert "TRUSTED_NETWORKS" in card.all and card.buttons == []

    await guesses(house, "10.7.7.7", 5)
    await guesses(house, "10.7.8.8", 3)
    await house.passes(seconds=31)
    asked = "10.7.7.0/24 was turned away 5 times. No device was provisioned from there yet. Is it one of yours?"
    assert asked in card.all.replace("\\", "") and card.edits >= 1
    assert card.buttons == ["Allow", "Deny"]

    seen, edits = len(dana.posts), card.edits
    await house.passes(seconds=20)
    await house.passes(seconds=20)
    assert (len(dana.posts), card.edits) == (seen, edits)  # it would say the same

    after = await dana.presses("Deny", on=card)
    assert "10.7.8.0/24 was turned away 3 times" in after.all.replace("\\", "")
    assert "denied by Dana until" in after.all
    await house.passes(seconds=31)
    assert "denied by Dana until" in lee.posts[-1].all
    answer = await lee.says("allow 10.7.8.8")
    assert "10.7.8.0/24 gets through for 24 hours." in answer.all.replace("\\", "") and answer.buttons == []
    with pytest.raises(CodeRefused):
        await house.provisioning.provision(ProvisionCall(A, "000000000000", "10.7.8.9"))

    await house.passes(minutes=21)
    assert dana.posts[-1].title == OVER and "The limit was reached 1 time." in dana.posts[-1].all
    assert card.title == "Nobody is trying codes all over the fleet"
    assert sum(post.title == OVER for post in dana.posts) == 1


async def test_asked_in_a_channel_it_is_answered_in_the_askers_own_chat(house: House, dana: Someone) -> None:
    channel = house.channel()
    await dana.says(f"add {A} Oslo/2/2.14")
    await begins(house)
    for words in ("attack", "allow 10.1.2.0/24", "deny 10.1.2.0/24"):
        said = await channel.says(words, by=dana)
        assert said.all.strip() == "I wrote to you in chat." and dana.posts[-1].title == TITLE
    assert not any("10.1.2" in post.all for post in channel.posts)


async def test_a_technician_neither_sees_it_nor_decides(house: House, sam: Someone) -> None:
    await begins(house)
    assert not any(post.title == TITLE for post in sam.posts)
    for words in ("attack", "allow 10.1.2.0/24", "deny 10.1.2.0/24"):
        assert "Only admins can" in (await sam.says(words)).all


async def test_what_is_no_network_is_said(house: House, dana: Someone) -> None:
    assert "is no network" in (await dana.says("allow oslo")).all
    assert (await dana.says("attack")).title == "Nobody is trying codes all over the fleet"


async def test_it_is_told_although_everything_is_muted(house: House, dana: Someone) -> None:
    await dana.says("mute")
    await begins(house)
    assert dana.posts[-1].title == TITLE


async def test_the_ledger_names_who_decided_what(house: House, dana: Someone) -> None:
    await dana.says("deny 10.1.2.3")
    card = await dana.says("audit")
    assert "The network 10.1.2.0/24 is not let through for 24 hours" in card.all.replace("\\", "")
