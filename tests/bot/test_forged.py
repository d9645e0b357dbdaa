"""Whatever a press says: never a fault, and never an effect for whoever has no right to it.

Every verb as everybody: with what stands on other people's real cards, changed in every way a client can lie. What
counts is the store: records and facts are compared, whatever the answer says.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.adapter import SORRY
from provisioning.batches import Batch
from provisioning.events import Event
from provisioning.model import Device
from provisioning.uploads import Upload
from storage.kinds import KINDS
from storage.records import encode
from tests.bot.chat import DANA_ID, OTHER_TENANT, Channel, House, Post, Someone, open_house
from tests.bot.forging import NOT_SERVED, VERBS, Forger, Forgery, Harvest, shapes
from tests.bot.test_routes import Cast

FORGERIES = 3  # of each verb by each role in each run, twenty times as many by night
LOOKED = {"CodeShown", "PhotoShown", "SignInCodeShown"}  # who looked is a fact each time
TYPED = {  # what only choices between several devices or people lead to, or what is typed: no sample card has it
    *("account", "answer", "assign", "export", "install", "issued_many", "mounted", "mute", "offline", "pack", "photo"),
    *("forget", "problem", "replace", "screen", "sheet", "sign_in_anew", "swap"),
}
NOBODIES = ("stranger", "guest", "access ended")
OUTSIDERS = ("admin of another tenant", "Dana's id in another tenant")
TECHNICIANS = ("another technician", "technician")


@dataclass(frozen=True)
class Fleet:
    """Six devices on a floor of their own."""

    floor: int

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(f"805EC0AA{self.floor:02d}{number:02d}" for number in range(6))

    @property
    def sams(self) -> tuple[str, ...]:
        return self.all[:3]

    @property
    def kims(self) -> tuple[str, ...]:
        return self.all[3:5]

    @property
    def free(self) -> str:
        return self.all[5]


FLEET = Fleet(8)  # in the middle of its rollout when the forging begins


@dataclass
class Stage:
    """A fleet in the middle of its rollout, and everybody who tries."""

    house: House
    harvest: Harvest
    people: dict[str, Someone]
    channel: Channel
    live: dict[str, Any]  # by name of a field: what it could be about
    statuses: Counter[int] = field(default_factory=Counter)
    secret: frozenset[str] = frozenset()  # digits that whoever forges now may not read

    @property
    def known(self) -> set[str]:
        """Verbs that are on a real card here."""
        return {*shapes(), *(verb for verbs in self.harvest.buttons.values() for verb in verbs)}

    def forger(self, role: str) -> Forger:
        """What this role finds on the cards of others: never its own."""
        me = self.people[role].conversation
        others = [chat for chat in self.harvest.buttons if chat != me]
        return Forger(self.harvest.of(*others), self.ids, self.live)

    @property
    def ids(self) -> list[Any]:
        people = [someone.object_id for someone in self.people.values()]
        return [*self.harvest.values, *FLEET.all, self.channel.conversation, *people]

    async def sends(self, someone: Someone, activity: dict[str, Any]) -> None:
        """Past the harness: only the wire, and no fault in the answer."""
        async with self.house.http.post(f"{self.house.url}/api/messages", json=activity) as answer:
            body = await answer.text()
        self.statuses[answer.status] += 1
        assert answer.status in (200, 400, 501), (answer.status, body, activity)
        assert SORRY not in body and "Traceback" not in body, (body, activity)
        self.keeps_secret(body, activity)

    def keeps_secret(self, said: str, when: object) -> None:
        bare = re.sub(r"[\s\u200b]", "", said)
        assert not [digits for digits in self.secret if digits in bare], (when, said)

    async def forges(self, someone: Someone, forgery: Forgery) -> None:
        posts = someone.posts[-10:]
        post = posts[forgery.post % len(posts)].id if posts else "1"
        if forgery.way == "submit":
            activity = someone._activity("message", value=forgery.value(), replyToId=post)
        else:
            activity = someone._activity("invoke", name="adaptiveCard/action", value=forgery.value(), replyToId=post)
        await self.sends(someone, activity)

    async def newest(self) -> int:
        return await self.house.store.newest_fact()

    async def facts_since(self, number: int) -> list[Event]:
        return [row.event for row in await self.house.store.facts(number, limit=1000)]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        harvest = Harvest(house)
        cast = await Cast(house).enters()
        sam, kim = cast.people["technician"][0], cast.people["another's technician"][0]
        stage = Stage(house, harvest, await everybody(house, cast), house.channel(), cast.values)
        await in_the_middle(house, stage.channel, FLEET, sam, kim)
        stage.live |= await things(house, sam, kim)
        yield stage


async def everybody(house: House, cast: Cast) -> dict[str, Someone]:
    lee = await house.technician("Lee")
    await lee.says("next")
    await house.dana.says(f"revoke access {lee.object_id}")
    await house.dana.presses("Revoke now")
    twin = Someone(house, "Dana", DANA_ID, OTHER_TENANT)
    twin.conversation = "a:twin"
    house.chats[twin.conversation] = twin
    eve, gus = cast.people["other tenant"][0], cast.people["guest"][0]
    for someone in (eve, gus, twin):
        await someone.says("hi")
    await house.dana.says("hi")
    return {
        "admin of another tenant": eve,
        "Dana's id in another tenant": twin,
        "guest": gus,
        "stranger": cast.people["stranger"][0],
        "access ended": lee,
        "another technician": cast.people["another's technician"][0],
        "technician": cast.people["technician"][0],
        "admin": house.dana,
    }


async def things(house: House, sam: Someone, kim: Someone) -> dict[str, Any]:
    """What of this stage a forged field may name: all of it Dana's or Sam's."""
    theirs = FLEET.sams[1]
    batches = (await house.store.find(Batch, by=DANA_ID, limit=20)).rows
    uploads = (await house.store.find(Upload, by=DANA_ID, limit=1)).rows
    macs = dict.fromkeys(("device", "target", "about", "subject", "mac"), theirs)
    batch = dict.fromkeys(("batch", "batches"), batches[0].key)
    people = {"person": sam.object_id, "technician": kim.object_id}
    return {**macs, **batch, **people, "other": FLEET.kims[0], "upload": uploads[0].key}


async def in_the_middle(house: House, channel: Channel, fleet: Fleet, sam: Someone, kim: Someone) -> None:
    """Devices of Sam's and of Kim's in all states, a sheet that waits, a sign-in under way, a channel that follows."""
    dana, (first, second, *_) = house.dana, fleet.sams
    for someone in (sam, kim):
        await dana.says(f"grant {someone.object_id} technician")
    places = {mac: f"Oslo/{fleet.floor}/{fleet.floor}.{41 + place}" for place, mac in enumerate(fleet.all)}
    await dana.says("add " + "\n".join(f"{mac} {place}" for mac, place in places.items()))
    for owner, macs in ((sam, fleet.sams), (kim, fleet.kims)):
        for mac in macs:
            await dana.says(f"issue {mac} to {owner.object_id}")
    await channel.says("connect Oslo", by=dana)
    assert (await house.device(first).provision((await dana.says(f"code {first}")).code)).status == 200
    await sam.says(f"code {second}")
    await sam.says(f"install {first}")
    await sam.says(f"problem {second} it is broken")
    await dana.says(f"account {first} room@contoso.com")
    await dana.says(f"sign in {first}")
    await kim.says(f"code {fleet.kims[0]}")
    for text in (f"device {second}", f"device {fleet.free}", f"issue {fleet.free}", f"move {second}", "issue oslo"):
        await dana.says(text)
    for text in ("devices", "codes oslo", "people", "undo", "export oslo", "audit", "tags", "rollout", "plan oslo"):
        await dana.says(text)
    await dana.says("template csv")
    question = await dana.says("export codes oslo")
    await dana.presses("Yes", on=question)
    for text in ("list", "next", f"new code {second}", "whoami"):
        await sam.says(text)
    await dana.sends_file("bergen.csv", f"MAC id,Location\n{fleet.free[:-1]}F,Bergen/1/1.01\n")
    assert (await house.record(second)).code and (await house.record(fleet.kims[0])).code


# ---------------------------------------------------------------------- what may not change


class Untouched:
    """Everything in the store but what is somebody's own: their person, their chat, their devices."""

    def __init__(self, stage: Stage, someone: Someone, outsider: bool) -> None:
        self.stage, self.me, self.outsider = stage, someone.object_id, outsider
        self.mine: set[str] = set()
        self.before: dict[str, str] = {}
        self.since = 0

    async def __aenter__(self) -> "Untouched":
        if not self.outsider:
            page = await self.stage.house.store.find(Device, technician=self.me, limit=1000)
            self.mine = {device.mac for device in page.rows}
        self.before, self.since = await self._rest(), await self.stage.newest()
        return self

    async def __aexit__(self, failed: object, *_: object) -> None:
        if failed is None:
            await self.check("at the end")

    async def check(self, when: object) -> None:
        after = await self._rest()
        changed = {key for key in self.before.keys() | after.keys() if self.before.get(key) != after.get(key)}
        assert not changed, (when, [(key, self.before.get(key), after.get(key)) for key in sorted(changed)])

    async def check_facts(self, when: object) -> None:
        """Cheap, after each forgery; the records are compared where something happened, and at the end."""
        newest = await self.stage.newest()
        if newest == self.since:
            return
        facts, self.since = await self.stage.facts_since(self.since), newest
        foreign = [fact for fact in facts if fact.actor != self.me or fact.subject not in {self.me, *self.mine}]
        assert not foreign and not self.outsider, (when, facts)
        if not self.mine:
            assert {fact.name for fact in facts} <= {"AccessAsked"}, (when, facts)
        await self.check(when)

    async def _rest(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for kind in KINDS:
            after: str | None = None
            while True:
                page = await self.stage.house.store.find(kind, after=after, limit=1000)
                rows = [row for row in page.rows if self.outsider or not self._own(row)]
                found |= {f"{kind.__name__} {row.key}": json.dumps(encode(row), default=str) for row in rows}
                after = page.after
                if after is None:
                    break
        return found

    def _own(self, row: Any) -> bool:
        match type(row).__name__:
            case "Person":
                return row.id == self.me
            case "Post":
                return row.reader == self.me
            case "Operation":
                return True  # that a wish was heard
            case "OutboxMessage":  # who else hears of what somebody may do follows from the facts
                return bool(self.mine) or self.me in (row.recipient, row.subject)
            case "Device":
                return row.mac in self.mine
            case "Photo":
                return row.device in self.mine
            case "Batch" | "Upload" | "Job":
                return row.by == self.me
        return False


# ---------------------------------------------------------------------- the fuzz


@pytest.mark.timeout(600)
@pytest.mark.hypothesis  # its examples are gathered inside
async def test_forged_data_is_never_a_fault_and_never_an_effect(stage: Stage) -> None:
    """Every verb as everybody who has no right to what the data names."""
    stage.house.by_itself = False
    assert set(VERBS) - stage.known <= TYPED, "each verb needs a sample card with it, or a place in TYPED"
    for role in (*OUTSIDERS, *NOBODIES, *TECHNICIANS):
        someone, forger = stage.people[role], stage.forger(role)
        stage.secret, seen = await secrets_from(stage.house, someone), len(someone.posts)
        async with Untouched(stage, someone, role in OUTSIDERS) as untouched:
            for verb in VERBS:
                for forgery in forger.gathered(verb, FORGERIES):
                    await stage.forges(someone, forgery)
                    await untouched.check_facts((role, forgery))
            for activity in beside_presses(stage, someone):
                await stage.sends(someone, activity)
                await untouched.check_facts((role, activity))
            await stage.house.jobs.drain()
        stage.house.collect()
        for post in someone.posts[seen:]:
            stage.keeps_secret(post.all + post.code, role)


async def secrets_from(house: House, someone: Someone) -> frozenset[str]:
    """Digits of every code there ever was, but for those of this person's own devices."""
    page = await house.store.find(Device, technician=someone.object_id, limit=1000)
    own = {house.keys.unseal(device.mac, device.code) for device in page.rows if device.code and device.code.sealed}
    return frozenset(house.keys.digits) - own


def beside_presses(stage: Stage, someone: Someone) -> Iterator[dict[str, Any]]:
    """Invokes that nobody here serves, files that others were offered, and presses without what a press has."""
    for name in NOT_SERVED:
        yield someone._activity("invoke", name=name, value={"verb": "remove", "device": FLEET.sams[1], "data": {}})
    offers = [post.offer for chat in stage.house.chats.values() for post in chat.posts if post.offer]
    assert offers
    place = stage.house.files.place()
    for offer in offers:
        for context in (offer["acceptContext"], {**offer["acceptContext"], "by": someone.object_id}):
            upload = {"name": "x.csv", "uploadUrl": place, "contentUrl": "", "uniqueId": "x", "fileType": "csv"}
            value = {"type": "fileUpload", "action": "accept", "context": context, "uploadInfo": upload}
            yield someone._activity("invoke", name="fileConsent/invoke", value=value)
    theirs, me = FLEET.sams[1], someone.object_id
    for action in ({}, {"verb": "remove"}, {"verb": "remove", "data": theirs}, {"data": {"device": theirs}}):
        yield someone._activity("invoke", name="adaptiveCard/action", value={"action": action})
    for value in ({}, {"verb": ""}, {"verb": "remove"}, {"verb": ["remove"], "device": theirs}, "remove", [1]):
        yield someone._activity("message", value=value)
    for text in (f"code {theirs}", f"remove {theirs}", f"photo {FLEET.sams[0]}", f"grant {me} admin"):
        yield someone._activity("message", text=text)


@pytest.mark.timeout(600)
@pytest.mark.hypothesis
async def test_whoever_may_is_never_answered_with_a_fault_and_has_each_effect_once(stage: Stage) -> None:
    """Each real button once and then again; then an admin lies in every way: any answer but an apology will do."""
    for role in ("technician", "admin"):
        await presses_everything_twice(stage, stage.people[role])
    stage.house.by_itself = False
    forger = stage.forger("admin")
    for verb in VERBS:
        for forgery in forger.gathered(verb, FORGERIES):
            await stage.forges(stage.house.dana, forgery)
    await stage.house.settled()


async def presses_everything_twice(stage: Stage, someone: Someone) -> None:
    """The second time as Teams delivers a press again, with its id and with a new one: nothing comes of that."""
    house, effects = stage.house, 0
    own = Forger(stage.harvest.of(someone.conversation), stage.ids, stage.live)
    for verb in VERBS:
        data = {**own.real(verb)[0], "op": f"replayed-{verb}"}
        before = await stage.newest()
        await someone.acts(Post(id=someone.posts[-1].id, conversation=someone.conversation), verb, data)
        sent = someone.sent
        effects += before != await stage.newest()
        for again in (sent, {**sent, "id": house.next_id()}):
            kept, number = await records(house), await stage.newest()
            await stage.sends(someone, again)
            await house.settled()
            facts = [fact.name for fact in await stage.facts_since(number) if fact.name not in LOOKED]
            assert not facts, (verb, data, facts)
            now = await records(house)
            assert {key: row for key, row in now.items() if kept.get(key) != row} == {}, (verb, data)
    assert effects >= 4, "the buttons of this stage do something"


async def records(house: House) -> dict[str, str]:
    """What people would call the state; not who read which card, nor when somebody was met."""
    kinds = [
        kind for kind in KINDS if kind.__name__ in ("Device", "Batch", "Rollout", "Upload", "Job", "Photo", "Person")
    ]
    return {
        f"{kind.__name__} {row.key}": json.dumps(encode(row), default=str)
        for kind in kinds
        for row in (await house.store.find(kind, limit=1000)).rows
    }
