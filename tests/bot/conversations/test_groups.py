"""Entra groups as people see them: first words, who is here, leaving; and a Graph that does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.adapter_trust import ScopedToken
from bot.directory import GraphDirectory
from provisioning.service.groups import PATIENCE
from tests.bot.chat import OTHER_TENANT, House, Someone, open_house
from tests.graph import HANGS, Graph, status

A, B = "805EC0112233", "805EC0112234"
ADMINS, FITTERS = "00000000-0000-4000-9000-000000000001", "00000000-0000-4000-9000-000000000002"
NO_ACCESS = "You have no access yet."


class Pass:
    """A token at hand; where they come from is told in test_directory."""

    async def get(self, _scope: str) -> str:
        return "token"

    def forget(self, _scope: str, _token: str) -> None:
        pass


class Organisation:
    """The service with two groups, and the Graph that it asks."""

    def __init__(self, house: House, graph: Graph) -> None:
        self.house, self.graph = house, graph

    def joins(self, someone: Someone, *groups: str) -> None:
        self.graph.members[someone.object_id] = set(groups)

    async def leaves(self, someone: Someone) -> None:
        self.joins(someone)
        await self.house.passes(minutes=16)


@pytest.fixture
async def org(tmp_path: Path) -> AsyncIterator[Organisation]:
    async with open_house(tmp_path) as house, Graph() as graph:
        core = house.provisioning
        core.policy = replace(core.policy, admin_groups=frozenset({ADMINS}), technician_groups=frozenset({FITTERS}))
        core.directory = GraphDirectory(graph.url, ScopedToken(Pass(), graph.url), lambda: house.http)  # type: ignore[arg-type]
        graph.members[house.dana.object_id] = set()
        await house.dana.says("hi")
        yield Organisation(house, graph)


# ------------------------------------------------------------------ coming


async def test_the_first_word_of_a_member_is_answered_as_one(org: Organisation) -> None:
    sam, lee = org.house.person("Sam"), org.house.person("Lee")
    org.joins(sam, FITTERS)
    org.joins(lee, ADMINS)
    assert (await sam.says("hi")).title == "Hello Sam."
    assert "you are an admin" in (await lee.says("hi")).title
    assert len(sam.posts) == len(lee.posts) == 1


async def test_who_is_in_no_group_has_no_access_until_they_are(org: Organisation) -> None:
    sam = org.house.person("Sam")
    org.joins(sam)
    assert (await sam.says("hi")).title == NO_ACCESS
    org.joins(sam, FITTERS)
    await org.house.passes(minutes=16)
    assert (await sam.says("hi")).title == "Hello Sam."


async def test_people_and_whoami_say_where_a_role_comes_from(org: Organisation) -> None:
    sam = org.house.person("Sam")
    org.joins(sam, FITTERS)
    await sam.says("hi")
    kim = await org.house.technician("Kim")
    assert (await sam.says("whoami")).facts["Role"] == "Technician through an Entra group"
    assert (await kim.says("whoami")).facts["Role"] == "Technician"
    listed = await org.house.dana.says("people")
    assert any("Technician through an Entra group, sam@contoso.com" in text for text in listed.texts)
    assert any(text.startswith("Technician, kim@contoso.com") for text in listed.texts)
    assert "Made Technician through an Entra group" in (await org.house.dana.says(f"audit {sam.object_id}")).all


async def test_devices_go_to_technicians_of_a_group(org: Organisation) -> None:
    sam = org.house.person("Sam")
    org.joins(sam, FITTERS)
    await sam.says("hi")
    await org.house.dana.says(f"add {A} Oslo/2/2.14")
    await org.house.dana.says("issue oslo to Sam")
    assert (await sam.says("next")).code


@pytest.mark.parametrize("times", [1, 3])
async def test_guests_and_other_tenants_get_nothing_from_groups(org: Organisation, times: int) -> None:
    gus, eve = org.house.person("Gus", guest=True), org.house.person("Eve", tenant=OTHER_TENANT)
    for someone in (gus, eve):
        org.joins(someone, ADMINS, FITTERS)
    for _ in range(times):
        assert (await gus.says("hi")).title == NO_ACCESS
        assert "another organisation" in (await eve.says("hi")).all
        assert (await gus.says("devices")).title == NO_ACCESS
    assert org.graph.calls == [(org.house.dana.object_id, sorted([ADMINS, FITTERS]))]


# ------------------------------------------------------------------ going


async def test_leaving_the_group_takes_the_code_from_the_phone(org: Organisation) -> None:
    sam, dana = org.house.person("Sam"), org.house.dana
    org.joins(sam, FITTERS)
    await sam.says("hi")
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    shown = await sam.says("next")
    assert shown.code
    await org.leaves(sam)
    assert (await sam.says("whoami")).facts["Role"] != "no access", "the known answer counts while Graph is asked"
    assert (await sam.says("next")).title == NO_ACCESS
    assert not any(post.code for post in sam.posts)
    assert (await org.house.device(A).provision(shown.code)).status == 403
    told = dana.titled("Sam left the Entra group: access ended")
    assert "1 code dead, 1 job with nobody now." in told.all
    assert "No longer Technician: not in the Entra group any more" in (await dana.says(f"audit {sam.object_id}")).all


async def test_revoke_access_explains_and_then_looks_at_once(org: Organisation) -> None:
    sam, dana = org.house.person("Sam"), org.house.dana
    org.joins(sam, FITTERS)
    await sam.says("hi")
    assert "Take them out of the group" in (await dana.says("revoke access Sam")).all
    org.joins(sam)
    assert (await dana.says("revoke access Sam")).title == "Sam: 0 live codes, 0 open jobs"
    assert (await sam.says("next")).title == NO_ACCESS


async def test_an_account_that_was_deleted_leaves(org: Organisation) -> None:
    sam = org.house.person("Sam")
    org.joins(sam, FITTERS)
    await sam.says("hi")
    del org.graph.members[sam.object_id]
    org.house.clock.advance(timedelta(minutes=31))
    await org.house.provisioning.look_again()
    await org.house.settled()
    assert (await sam.says("hi")).title == NO_ACCESS


# ------------------------------------------------------------------ a Graph that does not answer


async def test_a_turn_waits_no_longer_than_two_seconds(org: Organisation) -> None:
    """Of somebody unknown once a minute, of everybody else not at all; what comes late is told."""
    sam = org.house.person("Sam")
    org.joins(sam, FITTERS)
    org.graph.turns.append(HANGS)
    org.house.by_itself = False
    took = await seconds(sam, "hi")
    assert PATIENCE <= took < 2.0
    assert sam.last.title == NO_ACCESS
    assert await seconds(sam, "hi") < 0.5
    org.house.by_itself = True
    await org.house.settled()
    await org.house.passes(seconds=61)
    assert (await sam.says("hi")).title == "Hello Sam."
    await org.house.passes(minutes=16)
    org.graph.answers, org.house.by_itself = HANGS, False
    assert await seconds(sam, "hi") < 0.5
    assert sam.last.title == "Hello Sam."


async def test_nor_does_whoever_ends_an_access_and_they_hear_why_it_does_not_end(org: Organisation) -> None:
    sam, dana = org.house.person("Sam"), org.house.dana
    org.joins(sam, FITTERS)
    await sam.says("hi")
    org.graph.answers = HANGS
    for _ in range(2):
        org.house.clock.advance(timedelta(seconds=5))
        assert await seconds(dana, "revoke access Sam") < 2.0
        assert "Microsoft Graph does not answer" in dana.last.all
    org.graph.answers = None
    assert "Take them out of the group" in (await dana.says("revoke access Sam")).all


async def seconds(someone: Someone, text: str) -> float:
    began = time.monotonic()
    await someone.says(text)
    return time.monotonic() - began


async def test_what_comes_late_is_told(org: Organisation) -> None:
    sam = org.house.person("Sam")
    org.joins(sam, FITTERS)
    slow, asked = asyncio.Event(), org.house.provisioning.directory
    assert asked

    class Slow:
        async def groups_of(self, person_id: str, among: frozenset[str]) -> frozenset[str]:
            await slow.wait()
            return await asked.groups_of(person_id, among)

    org.house.provisioning.directory, org.house.by_itself = Slow(), False
    await sam.says("hi")
    assert sam.last.title == NO_ACCESS
    slow.set()
    await org.house.settled()
    assert sam.last.text == "" and "No devices today." in sam.last.all


async def test_a_missing_permission_gives_nobody_a_role(org: Organisation) -> None:
    sam = org.house.person("Sam")
    org.joins(sam, ADMINS)
    org.graph.answers = status(403, "Authorization_RequestDenied")
    assert (await sam.says("hi")).title == NO_ACCESS
    [told] = [entry for entry in org.house.logs if entry["event"] == "groups cannot be looked up"]
    assert "GroupMember.Read.All" in told["told"]
