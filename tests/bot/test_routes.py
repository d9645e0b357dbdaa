"""Every command, every button and every HTTP route, as everybody: allowed and refused as the one table says."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.handlers import all_routes
from bot.routing import Route, Where
from bot.turn import Trigger, Turn
from provisioning.access import GRANTS, Permission, allowed
from provisioning.batches import Batch
from provisioning.conversations import Conversation, ConversationKind
from provisioning.errors import ProvisioningError
from provisioning.model import Actor, Role
from tests.bot.chat import OTHER_TENANT, House, Post, Someone, open_house

ROUTES = list(all_routes().routes.values())
A, B, C = "805EC0112233", "805EC0112234", "805EC0112235"
REFUSALS = ("Only ", "You have no access yet.", "You have asked for access.", "You are signed in to another")
# answer strangers with the same card
GREETS = {"hi", "ask_access", "rollout", "rollout_card", "rollout_details"}
MISSING = ("I know no device", "Nothing matches", "I know nobody called", "I wait for no photo")
CHANGES = {"Device", "Batch", "Rollout"}  # what nobody without the right may change


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        await house.dana.says("hi")
        yield house


# ---------------------------------------------------------------------- the table itself


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_explains_itself(route: Route) -> None:
    assert route.summary.endswith("."), "the first line of the docstring is its help"
    assert not route.commands or len(route.summary) <= 100


@pytest.mark.parametrize("route", [r for r in ROUTES if r.commands], ids=lambda route: route.name)
def test_whatever_can_be_ambiguous_can_be_chosen(route: Route) -> None:
    """Choices are buttons that run the same function with the exact value."""
    parameters = {name for command in route.commands for name in re.findall(r"<(\w+)>", command.usage)}
    if parameters & {"device", "target", "person", "other", "heir"}:
        assert route.verbs, route.name


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_place_of_a_command_is_a_parameter(route: Route) -> None:
    parameters = inspect.signature(route.handler).parameters
    for command in route.commands:
        names = re.findall(r"<(\w+)>", command.usage)
        assert set(names) <= set(parameters), command.usage
        needed = {n for n, p in list(parameters.items())[1:] if p.default is p.empty}
        assert needed <= set(names) or len(route.commands) > 1, command.usage


def test_a_verb_has_one_handler() -> None:
    verbs = [verb for route in ROUTES for verb in route.verbs]
    assert len(verbs) == len(set(verbs))


def test_every_right_is_somebodys() -> None:
    assert set().union(*GRANTS.values()) == set(Permission)


# ---------------------------------------------------------------------- as everybody


class Cast:
    """The people of the walk and the things they reach for."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.people: dict[str, tuple[Someone, frozenset[Role]]] = {}

    async def enters(self) -> Cast:
        house, dana = self.house, self.house.dana
        sam, kim = await house.technician("Sam"), await house.technician("Kim")
        stranger, eve = house.person("Nobody"), house.person("Eve", tenant=OTHER_TENANT)
        gus = house.person("Gus", guest=True)
        await stranger.says("hi")
        await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Bergen/1/1.01")
        await dana.says("issue oslo to Sam")
        technician = frozenset({Role.TECHNICIAN})
        self.people = {
            "admin": (dana, frozenset({Role.ADMIN})),
            "technician": (sam, technician),
            "another's technician": (kim, technician),
            "stranger": (stranger, frozenset()),
            "other tenant": (eve, frozenset()),
            "guest": (gus, frozenset()),
        }
        batches = (await house.store.find(Batch, by=dana.object_id, kind="issue", limit=1)).rows
        self.values = {
            "device": A,
            "about": A,
            "other": B,
            "target": A,
            "person": sam.object_id,
            "heir": "",
            "network": "10.1.2.0/24",
            "role": "technician",
            "language": "english",
            "mac": "805EC0119999",
            "location": "Oslo/9",
            "lines": "805EC0118888 Oslo/8",
            "words": "oslo",
            "site": "oslo",
            "batch": batches[0].key,
            "batches": batches[0].key,
            "split": "even",
            "technician": kim.object_id,
            "kind": "network",
            "note": "x",
            "command": "help",
            "rev": "1",
            "sure": "true",
            "mounting_only": "true",
            "lifetime": "24h",
            "word": "lobby",
            "floor": "-",
            "step": "cancel",
            "form": "xlsx",
            "start": "on site",
            "account": "room-2.14@contoso.com",
            "time": "03:00",
            "digits": "2233",
            "topic": "devices",
            "hour": "07:30",
            "hours": "19:00-07:00",
            "hear": "devices",
            "reader": "x",
            "endpoint": "ops",
            "what": "codes 48h",
        }
        return self

    def typed(self, route: Route) -> str:
        usage = route.commands[-1].usage
        filled = re.sub(r"<(\w+)>", lambda m: self.values[m[1]], usage)
        return re.sub(r"[\[\]]", "", filled).replace("and|with", "and")

    def data(self, route: Route) -> dict[str, str]:
        names = list(inspect.signature(route.handler).parameters)[1:]
        return {name: self.values[name] for name in names if name in self.values}


def refused(post: Post) -> bool:
    return any(text.startswith(REFUSALS) for text in (*post.texts, post.toast))


async def test_the_walk(house: House) -> None:
    """Every command and every verb as everybody. Whoever is refused changed nothing."""
    cast = await Cast(house).enters()
    channel = house.channel()
    wrong: list[str] = []
    for name in ("other tenant", "guest", "stranger", "another's technician", "technician", "admin"):
        someone, roles = cast.people[name]
        for route in ROUTES:
            may = not route.needs or allowed(Actor("", "", "", roles), *route.needs)
            stays = not may or name in ("other tenant", "another's technician")
            before = await house.everything(*CHANGES) if stays else {}
            answers = await attempts(cast, route, someone, channel)
            after = await house.everything(*CHANGES) if stays else {}
            changed = {kind for kind in CHANGES if before.get(kind) != after.get(kind)}
            if changed:
                wrong.append(f"{name} changed {changed} by {route.name}")
            for way, answer in answers.items():
                if name == "other tenant":
                    if not refused(answer):
                        wrong.append(f"{name} was answered {way} of {route.name}: {answer.all}")
                elif refused(answer) and may and (roles or route.name not in GREETS):
                    wrong.append(f"{name} was refused {way} of {route.name}: {answer.all}")
                elif not refused(answer) and not may:
                    wrong.append(f"{name} was not refused {way} of {route.name}: {answer.all}")
    assert not wrong, "\n".join(wrong)


async def attempts(cast: Cast, route: Route, someone: Someone, channel: Any) -> dict[str, Post]:
    """One try by each way that leads to the route."""
    answers = {}
    if route.commands:
        text = cast.typed(route)
        in_channel = route.where is Where.CHANNEL
        answers[f"typing {text!r}"] = await (channel.says(text, by=someone) if in_channel else someone.says(text))
    for verb in route.verbs:
        pressed = Post(id=cast.house.next_id(), conversation=someone.conversation)
        answers[f"pressing {verb!r}"] = await someone.acts(
            pressed, verb, {**cast.data(route), "op": cast.house.next_id()}
        )
    return answers


async def test_a_technician_reaches_no_device_of_another(house: House) -> None:
    cast = await Cast(house).enters()
    kim, _roles = cast.people["another's technician"]
    before = await house.everything()
    for route in ROUTES:
        if not {"device", "target"} & set(inspect.signature(route.handler).parameters):
            continue
        for way, answer in (await attempts(cast, route, kim, house.channel())).items():
            assert refused(answer) or any(word in answer.all for word in MISSING) or not _tells(answer), (
                way,
                answer.all,
            )
    after = await house.everything()
    assert {kind: before[kind] for kind in CHANGES} == {kind: after[kind] for kind in CHANGES}


def _tells(answer: Post) -> bool:
    return "2.14" in answer.all or "22:33" in answer.all or bool(answer.code)


@pytest.mark.parametrize("role", ["nobody", *Role])
async def test_needs_agree_with_what_the_use_case_requires(house: House, role: str) -> None:
    """Past the door's own check: whoever lacks every right of a route is refused behind it too, or sees a bare form."""
    cast = await Cast(house).enters()
    roles = frozenset({Role(role)}) if role != "nobody" else frozenset()
    actor = Actor(id=cast.people["stranger"][0].object_id, name="X", tenant="", roles=roles, operation="probe")
    chat = Conversation("a:x", ConversationKind.PERSONAL, house.connector.url, "", "")
    before = await house.everything()
    for route in ROUTES:
        if not route.needs or allowed(actor, *route.needs) or route.where is Where.CHANNEL:
            continue
        turn = Turn(house.provisioning, actor, chat, house.clock.now(), Trigger.PRESS)
        try:
            reply = await route.handler(turn, **route.arguments(cast.data(route)))
        except ProvisioningError:
            continue
        bare = reply is None or (reply.card is not None and not reply.private and "22:33" not in str(reply.card))
        assert bare, f"{route.name} told {reply}"
    assert await house.everything() == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/messages", 400),
        ("GET", "/api/messages", 405),
        ("POST", "/api/v1/provision", 400),
        ("GET", "/api/v1/provision", 405),
        ("GET", "/api/v1/device", 401),
        ("POST", "/api/v1/device/commands/1", 401),
        ("POST", "/api/v1/device/factory-reset", 401),
        ("GET", "/api/v1/events", 404),
        ("GET", "/openapi.json", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/version", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
    ],
)
async def test_http_routes_without_credentials(house: House, method: str, path: str, status: int) -> None:
    body = {"json": {}} if method == "POST" else {}
    async with house.http.request(method, house.url + path, **body) as answer:
        assert answer.status == status, await answer.text()
        if status >= 400 and path.startswith("/api/v1"):
            assert answer.content_type == "application/problem+json"
