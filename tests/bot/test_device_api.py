"""The device API over a real server: what a device gets, and what everybody gets who is not one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from structlog.testing import capture_logs

from bot import device_api, event_feed
from bot.openapi import document
from bot.operations import STORE, StoreState
from bot.problems import STATUS_BY_ERROR, TITLES, MethodNotAllowed, RequestRefused, Unexpected, problem, problems
from provisioning import errors
from provisioning.errors import (
    CodeExpired,
    CodeRefused,
    Conflict,
    DeviceRefusal,
    DeviceResetRequired,
    InvalidMac,
    MacWrongLength,
    ProvisioningError,
    SlowDown,
    TextTooLong,
    TokenRefused,
    Unavailable,
)
from provisioning.model import State
from provisioning.service.activation import DeviceStatus, ProvisionCall, Provisioned
from provisioning.service.commanding import CommandUnknown
from provisioning.service.streaming import EventPage

MAC, CODE, TOKEN, RETRY_KEY = "80-5E-C0-11-22-33", "4829 1376 0257", "t" * 43, "0123456789abcdef0123456789abcdef"
BODY = {"mac": MAC, "code": CODE}
DONE = Provisioned(
    tenant_id="6f1d1a52",
    tenant_name="Contoso",
    mac="805EC0112233",
    location="Oslo/2/2.14",
    state=State.WAITING_FOR_SIGN_IN,
    life=1,
    token=TOKEN,
)
STATUS = DeviceStatus(
    revision=3,
    state=State.WAITING_FOR_SIGN_IN,
    tenant_name="Contoso",
    tenant_id="6f1d1a52",
    location="Oslo/2/2.14",
    account="",
    life=1,
)


class Door:
    """The business as a device meets it: keeps what was presented, answers or refuses as told."""

    def __init__(self) -> None:
        self.calls: list[ProvisionCall] = []
        self.polls: list[tuple[int | None, float]] = []
        self.resets: list[str] = []
        self.settled: list[tuple[str, bool, str]] = []
        self.refusal: Exception | None = None
        self.present = STATUS
        self.polling, self.changed = asyncio.Event(), asyncio.Event()

    async def provision(self, call: ProvisionCall) -> Provisioned:
        self.calls.append(call)
        if self.refusal:
            raise self.refusal
        return DONE

    async def device_status(self, token: str, *, since: int | None, wait: float) -> DeviceStatus:
        self.polls.append((since, wait))
        if self.refusal or token != TOKEN:
            raise self.refusal or TokenRefused
        if since == self.present.revision and wait:
            self.polling.set()
            await asyncio.wait_for(self.changed.wait(), wait)
        return self.present

    async def settle_command(self, token: str, command_id: str, *, done: bool, detail: str = "") -> None:
        if self.refusal or token != TOKEN:
            raise self.refusal or TokenRefused
        if command_id != "c1":
            raise CommandUnknown
        self.settled.append((command_id, done, detail))

    async def report_reset(self, token: str) -> None:
        if self.refusal or token != TOKEN:
            raise self.refusal or TokenRefused
        self.resets.append(token)


Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.fixture
async def client(aiohttp_client: Callable[..., Awaitable[Client]], door: Door) -> Client:
    app = web.Application(middlewares=[problems])
    app[STORE] = StoreState()
    app.add_routes(device_api.routes(door, trusted_proxies=[ip_network("127.0.0.0/8")]))
    return await aiohttp_client(app)


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


DOCUMENT = document()
REGISTRY: Registry[Any] = Registry().with_resource("urn:api", Resource(DOCUMENT, DRAFT202012))


def conforms(value: object, schema: str) -> None:
    Draft202012Validator({"$ref": f"urn:api#/components/schemas/{schema}"}, registry=REGISTRY).validate(value)


async def refused(
    response: ClientResponse, status: int, code: str, path: str = "", method: str = "post"
) -> dict[str, Any]:
    """It is a problem document (RFC 9457), explained and announced by the OpenAPI document."""
    assert (response.status, response.content_type) == (status, "application/problem+json"), await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = await response.json()
    conforms(body, "Problem")
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"/openapi.json#/components/examples/{code}"
    assert code in DOCUMENT["components"]["examples"]
    if path:
        announced = DOCUMENT["paths"][path][method]["responses"][str(status)]
        assert code in announced["content"]["application/problem+json"]["examples"]
        assert {h for h in announced["headers"] if h not in response.headers} == set()
    return body


# ------------------------------------------------------------------ the good road


async def test_a_device_trades_mac_and_code_for_a_token(client: Client, door: Door) -> None:
    answer = await client.post("/api/v1/provision", json=BODY | {"type": "phone", "model": "MP56", "future": 1})
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = await answer.json()
    conforms(body, "Provisioned")
    assert body == {
        "tenant": {"id": "6f1d1a52", "name": "Contoso"},
        "device": {"mac": "805EC0112233", "location": "Oslo/2/2.14", "state": "waiting_for_sign_in", "life": 1},
        "token": TOKEN,
    }
    assert door.calls == [ProvisionCall(mac=MAC, code=CODE, source="127.0.0.1", type="phone", model="MP56")]


async def test_token_and_retry_key_reach_the_business(client: Client, door: Door) -> None:
    headers = bearer() | {"Idempotency-Key": RETRY_KEY}
    await client.post("/api/v1/provision", json=BODY, headers=headers)
    assert (door.calls[0].token, door.calls[0].retry_key) == (TOKEN, RETRY_KEY)


async def test_a_dialled_code_goes_on_as_it_was_dialled(client: Client, door: Door) -> None:
    await client.post("/api/v1/provision", json={"mac": MAC, "code": "*55*482913760257#", "type": "sip"})
    assert door.calls[0].code == "*55*482913760257#"


async def test_a_device_asks_how_it_stands(client: Client, door: Door) -> None:
    door.present = replace(STATUS, account="room@contoso.com", commands=(("c1", "restart"),))
    answer = await client.get("/api/v1/device", headers=bearer())
    body = await answer.json()
    conforms(body, "DeviceStatus")
    assert body == {
        "revision": 3,
        "state": "waiting_for_sign_in",
        "tenant": {"id": "6f1d1a52", "name": "Contoso"},
        "location": "Oslo/2/2.14",
        "account": "room@contoso.com",
        "life": 1,
        "commands": [{"id": "c1", "name": "restart"}],
    }
    assert door.polls == [(None, 0.0)]


async def test_a_long_poll_answers_when_something_changes(client: Client, door: Door) -> None:
    poll = asyncio.create_task(client.get("/api/v1/device?since=3&wait=30", headers=bearer()))
    await door.polling.wait()
    assert not poll.done()
    door.present = replace(STATUS, revision=4, state=State.SIGNED_IN)
    door.changed.set()
    assert (await (await poll).json())["state"] == "signed_in"


async def test_a_device_reports_its_reset(client: Client, door: Door) -> None:
    answer = await client.post("/api/v1/device/factory-reset", headers=bearer())
    assert (answer.status, await answer.read()) == (204, b"")
    assert door.resets == [TOKEN]


COMMAND = "/api/v1/device/commands/{id}"


@pytest.mark.parametrize(
    ("body", "heard"),
    [
        ({"status": "done"}, (True, "")),
        ({"status": "failed", "detail": "a call is going on"}, (False, "a call is going on")),
        ({"status": "done", "detail": "", "future": [1]}, (True, "")),
        ({"status": "done", "detail": "ü" * 160}, (True, "ü" * 160)),
    ],
)
async def test_a_device_says_what_came_of_a_command(
    client: Client, door: Door, body: dict[str, Any], heard: tuple[bool, str]
) -> None:
    content = json.dumps(body, ensure_ascii=False).encode()
    headers = bearer() | {"Content-Type": "application/json"}
    answer = await client.post("/api/v1/device/commands/c1", data=content, headers=headers)
    assert (answer.status, await answer.read()) == (204, b"")
    assert door.settled == [("c1", *heard)]
    conforms(body, "CommandResult")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"detail": "x"}, "missing_field"),
        ({"status": "ok"}, "invalid_field"),
        ({"status": True}, "invalid_field"),
        ({"status": ["done"]}, "invalid_field"),
        ({"status": "done", "detail": None}, "invalid_field"),
        ({"status": "done", "detail": 7}, "invalid_field"),
        ({"status": "done", "detail": "x" * 201}, "invalid_field"),
        ({"status": "done", "detail": "two\nlines"}, "invalid_field"),
        ({"status": "done", "detail": "a\u202eb"}, "invalid_field"),
        ({"status": "done", "detail": "\ud800"}, "invalid_field"),
        ([], "not_json"),
    ],
)
async def test_an_odd_outcome_is_refused(client: Client, door: Door, body: Any, code: str) -> None:
    answer = await client.post("/api/v1/device/commands/c1", json=body, headers=bearer())
    await refused(answer, 400, code, COMMAND)
    assert door.settled == []


async def test_an_unknown_command_is_404(client: Client) -> None:
    for id_ in ("c2", "x" * 300, "%F0%9F%90%B3", "..%2F.."):
        answer = await client.post(f"/api/v1/device/commands/{id_}", json={"status": "done"}, headers=bearer())
        await refused(answer, 404, "command_not_found", COMMAND)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (TokenRefused(), 401, "token_refused"),
        (DeviceResetRequired(), 401, "reset_required"),
        (Unavailable("disk full"), 503, "unavailable"),
        (Conflict(), 503, "conflict"),
    ],
)
async def test_an_outcome_needs_a_token_that_counts(
    client: Client, door: Door, refusal: ProvisioningError, status: int, code: str
) -> None:
    door.refusal = refusal
    answer = await client.post("/api/v1/device/commands/c1", json={"status": "done"}, headers=bearer())
    await refused(answer, status, code, COMMAND)


# ------------------------------------------------------------------ what the business refuses


SAMPLES: dict[type[ProvisioningError], ProvisioningError] = {
    InvalidMac: MacWrongLength(text="80-5E", digits=4),
    SlowDown: SlowDown(8),
    Unavailable: Unavailable("disk full: /srv/store"),
    errors.BadInput: errors.BadInput(),
    MethodNotAllowed: MethodNotAllowed("PUT", "POST"),
}


@pytest.mark.parametrize("kind", STATUS_BY_ERROR, ids=lambda kind: kind.code)
async def test_each_error_has_its_status(client: Client, door: Door, kind: type[ProvisioningError]) -> None:
    values = {"field": "mac", "wanted": "a text", "parameter": "wait", "limit": 1024}
    door.refusal = SAMPLES.get(kind) or (kind() if issubclass(kind, DeviceRefusal) else kind(**values))
    body = await refused(await client.post("/api/v1/provision", json=BODY), STATUS_BY_ERROR[kind], kind.code)
    assert "{" not in body["detail"]
    assert body["title"] == TITLES[kind.code]


def test_no_refusal_is_forgotten() -> None:
    for kind in (*DeviceRefusal.__subclasses__(), *RequestRefused.__subclasses__()):
        assert kind in STATUS_BY_ERROR, kind
        assert kind.code in TITLES, kind


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (MacWrongLength(text="80-5E", digits=4), 422, "invalid_mac"),
        (errors.InvalidCode(), 422, "invalid_code"),
        (DeviceResetRequired(), 409, "reset_required"),
        (SlowDown(8), 429, "slow_down"),
        (CodeExpired(), 410, "code_expired"),
        (CodeRefused(), 403, "code_refused"),
        (Unavailable("disk full"), 503, "unavailable"),
        (Conflict(), 503, "conflict"),
    ],
    ids=lambda value: value.code if isinstance(value, ProvisioningError) else "",
)
async def test_provision_announces_what_it_refuses(
    client: Client, door: Door, refusal: ProvisioningError, status: int, code: str
) -> None:
    door.refusal = refusal
    await refused(await client.post("/api/v1/provision", json=BODY), status, code, "/api/v1/provision")


async def test_a_refused_code_looks_the_same_whatever_the_reason(client: Client, door: Door) -> None:
    answers = []
    for mac, code in ((MAC, CODE), ("80-5E-C0-99-99-99", "0000 0000 0000"), (MAC.lower(), "*55*482913760257")):
        door.refusal = CodeRefused()
        answer = await client.post("/api/v1/provision", json={"mac": mac, "code": code})
        headers = [(name, value) for name, value in answer.headers.items() if name != "Date"]
        answers.append((answer.status, headers, await answer.read()))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("refusal", "seconds"), [(SlowDown(8), "8"), (SlowDown(0), "1"), (Unavailable("gone"), "10"), (Conflict(), "1")]
)
async def test_whoever_has_to_wait_is_told_how_long(
    client: Client, door: Door, refusal: Exception, seconds: str
) -> None:
    door.refusal = refusal
    assert (await client.post("/api/v1/provision", json=BODY)).headers["Retry-After"] == seconds


async def test_why_the_store_is_away_stays_in_the_house(client: Client, door: Door) -> None:
    door.refusal = Unavailable("disk full: /srv/store")
    with capture_logs() as logs:
        for _ in range(3):
            answer = await client.post("/api/v1/provision", json=BODY)
            assert "/srv" not in await answer.text()
    told = [(entry["event"], entry["reason"]) for entry in logs]
    assert told == [("the store cannot be used", "disk full: /srv/store")]  # once


@pytest.mark.parametrize(
    ("refusal", "code"), [(TokenRefused(), "token_refused"), (DeviceResetRequired(), "reset_required")]
)
async def test_a_token_that_no_longer_counts_is_401(client: Client, door: Door, refusal: Exception, code: str) -> None:
    door.refusal = refusal
    answer = await client.get("/api/v1/device", headers=bearer())
    await refused(answer, 401, code, "/api/v1/device", "get")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_an_error_without_a_row_keeps_its_own_code_and_the_status_of_its_kind(client: Client, door: Door) -> None:
    door.refusal = TextTooLong(length=300, limit=200)
    answer = await client.post("/api/v1/provision", json=BODY)
    body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["code"], body["type"], body["title"]) == (400, "too_long", "about:blank", "Bad Request")


@pytest.mark.parametrize("mistake", [KeyError("secret 4829"), ProvisioningError(), errors.NoAccess()], ids=repr)
async def test_our_own_mistake_is_logged_and_shows_nothing(client: Client, door: Door, mistake: Exception) -> None:
    door.refusal = mistake
    with capture_logs() as logs:
        answer = await client.post("/api/v1/provision?code=4829", json=BODY)
    body = await refused(answer, 500, Unexpected.code)
    assert "4829" not in json.dumps(body)
    assert "Traceback" not in json.dumps(body)
    [entry] = logs
    assert (entry["correlation"], entry["route"], entry["exc_info"]) == (
        body["instance"],
        "/api/v1/provision",
        mistake,
    )


# ------------------------------------------------------------------ what the door refuses


JSON = {"Content-Type": "application/json"}
BAD_BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "empty": (b"", JSON, 400, "not_json"),
    "not JSON": (b"mac=1&code=2", JSON, 400, "not_json"),
    "cut off": (b'{"mac": "80', JSON, 400, "not_json"),
    "a list": (b'["mac", "code"]', JSON, 400, "not_json"),
    "null": (b"null", JSON, 400, "not_json"),
    "a name twice": (b'{"mac": "a", "mac": "b", "code": "c"}', JSON, 400, "not_json"),
    "NaN": (b'{"mac": NaN, "code": "c"}', JSON, 400, "not_json"),
    "byte order mark": (b'\xef\xbb\xbf{"mac": "a", "code": "b"}', JSON, 400, "not_json"),
    "UTF-16": ('{"mac": "a", "code": "b"}'.encode("utf-16"), JSON, 400, "not_json"),
    "not UTF-8": (b'{"mac": "\xff", "code": "b"}', JSON, 400, "not_json"),
    "NUL": (b'{"mac": "a\x00", "code": "b"}', JSON, 400, "not_json"),
    "deeply nested": (b"[" * 1024, JSON, 400, "not_json"),
    "deeply nested value": (b'{"x":' * 170 + b"1", JSON, 400, "not_json"),
    "a long number": (b'{"mac": ' + b"9" * 900 + b', "code": "1"}', JSON, 400, "invalid_field"),
    "no mac": (b'{"code": "1"}', JSON, 400, "missing_field"),
    "no code": (b'{"mac": "1"}', JSON, 400, "missing_field"),
    "nothing": (b"{}", JSON, 400, "missing_field"),
    "mac is null": (b'{"mac": null, "code": "1"}', JSON, 400, "invalid_field"),
    "code is a number": (b'{"mac": "1", "code": 482913760257}', JSON, 400, "invalid_field"),
    "code is an object": (b'{"mac": "1", "code": {"$ne": ""}}', JSON, 400, "invalid_field"),
    "mac is half a character": (b'{"mac": "\\ud800", "code": "1"}', JSON, 400, "invalid_field"),
    "unknown type": (b'{"mac": "1", "code": "1", "type": "toaster"}', JSON, 400, "invalid_field"),
    "empty type": (b'{"mac": "1", "code": "1", "type": ""}', JSON, 400, "invalid_field"),
    "type is a list": (b'{"mac": "1", "code": "1", "type": ["phone"]}', JSON, 400, "invalid_field"),
    "model with a line break": (b'{"mac": "1", "code": "1", "model": "a\\nb"}', JSON, 400, "invalid_field"),
    "serial with bidi": (b'{"mac": "1", "code": "1", "serial": "a\\u202eb"}', JSON, 400, "invalid_field"),
    "software too long": (
        json.dumps({"mac": "1", "code": "1", "software": "x" * 201}).encode(),
        JSON,
        400,
        "invalid_field",
    ),
    "1 025 bytes": (b'{"mac": "' + b"1" * 1016, JSON, 413, "too_large"),
    "a megabyte": (b" " * 1_000_000, JSON, 413, "too_large"),
    "a form": (b'{"mac": "1", "code": "1"}', {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    "no type": (b'{"mac": "1", "code": "1"}', {"Content-Type": ""}, 415, "unsupported_media_type"),
    "problem+json": (b"{}", {"Content-Type": "application/problem+json"}, 415, "unsupported_media_type"),
    "a charset": (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415, "unsupported_media_type"),
    "claims gzip": (b"\x1f\x8b\x08\x00", JSON | {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused_before_the_business_hears_of_it(client: Client, door: Door, name: str) -> None:
    content, headers, status, code = BAD_BODIES[name]
    answer = await client.post("/api/v1/provision", data=content, headers=headers)
    await refused(answer, status, code, "/api/v1/provision")
    assert door.calls == []


async def test_1_024_bytes_are_taken(client: Client) -> None:
    content = json.dumps(BODY).encode().ljust(1024)
    assert (await client.post("/api/v1/provision", data=content, headers=JSON)).status == 200


async def chunks(count: int) -> Any:
    for _ in range(count):
        yield b" " * 512


async def test_a_body_without_announced_length_is_counted(client: Client) -> None:
    await refused(await client.post("/api/v1/provision", data=chunks(3), headers=JSON), 413, "too_large")


@pytest.mark.parametrize("key", ["short", "k" * 21, "k" * 129, "k" * 30 + " k", "k" * 30 + "é"])
async def test_a_guessable_retry_key_is_refused(client: Client, door: Door, key: str) -> None:
    answer = await client.post("/api/v1/provision", json=BODY, headers={"Idempotency-Key": key})
    await refused(answer, 400, "invalid_idempotency_key", "/api/v1/provision")
    assert door.calls == []


async def test_two_retry_keys_are_refused(client: Client) -> None:
    headers = [("Idempotency-Key", RETRY_KEY), ("Idempotency-Key", RETRY_KEY[::-1])]
    await refused(await client.post("/api/v1/provision", json=BODY, headers=headers), 400, "invalid_idempotency_key")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer  ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} x", "Bearer ä", "Bearer a,b"]
)
async def test_no_proper_token_no_answer(client: Client, door: Door, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    await refused(await client.get("/api/v1/device", headers=headers), 401, "token_refused", "/api/v1/device", "get")
    answer = await client.post("/api/v1/device/factory-reset", headers=headers)
    await refused(answer, 401, "token_refused", "/api/v1/device/factory-reset")
    answer = await client.post("/api/v1/device/commands/c1", json={"status": "done"}, headers=headers)
    await refused(answer, 401, "token_refused", COMMAND)
    assert (door.polls, door.resets, door.settled) == ([], [], [])


async def test_the_scheme_of_a_token_is_case_insensitive(client: Client) -> None:
    assert (await client.get("/api/v1/device", headers={"Authorization": f"bEARER {TOKEN}"})).status == 200


@pytest.mark.parametrize(
    ("query", "heard"),
    [
        ("", (None, 0.0)),
        ("since=0", (0, 0.0)),
        ("since=2&wait=30", (2, 30.0)),
        ("since=2&wait=31", (2, 30.0)),
        ("wait=999999999", (None, 30.0)),
        ("wait=2.5", (None, 2.5)),
        ("wait=2.5e-1", (None, 0.25)),
        ("wait=1e999", (None, 30.0)),
        ("since=2&wait=0&other=1", (2, 0.0)),
    ],
)
async def test_polls_are_capped(client: Client, door: Door, query: str, heard: tuple[int | None, float]) -> None:
    assert (await client.get(f"/api/v1/device?{query}", headers=bearer())).status == 200
    assert door.polls == [heard]


BAD_QUERIES = [
    *(
        "since=",
        "since=-1",
        "since=x",
        "since=1.0",
        "since=1&since=2",
        "since=%D9%A3",
        "since=" + "9" * 19,
        "since=0x1",
    ),
    *(
        "wait=",
        "wait=-1",
        "wait=nan",
        "wait=inf",
        "wait=1e",
        "wait=1e9999",
        "wait=1&wait=2",
        "wait=%2B1",
        "wait=1s",
        "wait=.5",
    ),
]


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_odd_polls_are_refused(client: Client, door: Door, query: str) -> None:
    answer = await client.get(f"/api/v1/device?{query}", headers=bearer())
    await refused(answer, 400, "invalid_parameter", "/api/v1/device", "get")
    assert door.polls == []


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/", "/api/v1/devices", "/api/v1/device/", "/api/v1/device/commands/", "/openapi.json/x"]
)
async def test_an_unknown_address_is_a_problem_too(client: Client, path: str) -> None:
    await refused(await client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/v1/provision", "POST"),
        ("OPTIONS", "/api/v1/provision", "POST"),
        ("POST", "/api/v1/device", "GET"),
        ("DELETE", "/api/v1/device/factory-reset", "POST"),
        ("PUT", "/openapi.json", "GET"),
    ],
)
async def test_another_method_is_told_the_right_one(client: Client, method: str, path: str, allowed: str) -> None:
    answer = await client.request(method, path)
    await refused(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


async def test_head_does_not_hang_in_a_long_poll(client: Client, door: Door) -> None:
    assert (await client.head("/api/v1/device?since=3&wait=30", headers=bearer())).status == 405
    assert door.polls == []


async def test_odd_expectations_are_a_problem_and_the_usual_one_is_met(client: Client) -> None:
    odd = await client.post("/api/v1/provision", json=BODY, headers={"Expect": "tea"})
    await refused(odd, 417, "expectation_failed", "/api/v1/provision")
    assert (await client.post("/api/v1/provision", json=BODY, expect100=True)).status == 200


# ------------------------------------------------------------------ what only a raw connection can send


HEAD = b"POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def hasty(aiohttp_client: Callable[..., Awaitable[Client]], door: Door) -> Client:
    """A server that does not linger for the rest of a body which it has refused."""
    app = web.Application(middlewares=[problems])
    app.add_routes(device_api.routes(door, body_seconds=0.5))
    server = TestServer(app)
    await server.start_server(lingering_time=0.0)
    return await aiohttp_client(server)


async def exchange(client: Client, head: bytes, rest: bytes = b"", *, until: bytes = b"") -> tuple[bytes, bytes]:
    """Send the head, wait for `until`, send the rest, then read what comes until the server closes."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    try:
        writer.write(head)
        if until:
            await reader.readuntil(until)
        writer.write(rest)
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()
    start, _, body = answer.partition(b"\r\n\r\n")
    return start, body


@pytest.mark.parametrize("sent", [b"", b'{"mac": "8'])
async def test_a_body_that_never_arrives_is_408_and_the_connection_ends(hasty: Client, door: Door, sent: bytes) -> None:
    head, body = await exchange(hasty, HEAD + b"Content-Length: 30\r\n\r\n" + sent)
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in head
    assert json.loads(body)["code"] == "too_slow"
    assert door.calls == []


async def test_a_body_too_large_is_not_waited_for(hasty: Client) -> None:
    head, body = await exchange(hasty, HEAD + b"Content-Length: 900000000\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["code"] == "too_large"


async def test_a_body_that_breaks_off_in_its_chunks_is_a_problem(hasty: Client, door: Door) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    start, body = await exchange(hasty, head, b"zz\r\n{}\r\n0\r\n\r\n", until=b"100 Continue\r\n\r\n")
    assert int(start.split()[1]) in (400, 408)  # the server's parser may keep silent about what it could not read
    assert json.loads(body)["code"] in ("broken_body", "too_slow")
    assert door.calls == []


@pytest.mark.parametrize(
    "line", [b"Content-Length: -1", b"Content-Length: 1\r\nContent-Length: 2", b"Transfer-Encoding: gzip", b"No colon"]
)
async def test_what_is_not_http_is_400_before_anybody_hears_of_it(hasty: Client, door: Door, line: bytes) -> None:
    head, _ = await exchange(hasty, HEAD + line + b"\r\n\r\n{}")
    assert head.split()[1] == b"400"
    assert door.calls == []


# ------------------------------------------------------------------ whose address it is


@pytest.mark.parametrize(
    ("forwarded", "source"),
    [
        ((), "127.0.0.1"),
        (("192.0.2.7",), "192.0.2.7"),
        (("192.0.2.7:4711",), "192.0.2.7"),
        (("[2001:db8::7]:4711",), "2001:db8::7"),
        (("2001:db8::7",), "2001:db8::7"),
        (("::ffff:192.0.2.7",), "192.0.2.7"),
        (("203.0.113.9, 192.0.2.7",), "192.0.2.7"),
        (("203.0.113.9", "192.0.2.7"), "192.0.2.7"),
        (("192.0.2.7, 127.0.0.2",), "192.0.2.7"),
        (("192.0.2.7, unknown, 127.0.0.2",), "127.0.0.2"),
        (("nonsense",), "127.0.0.1"),
        (("192.0.2.7, ",), "127.0.0.1"),
        (("127.0.0.3, 127.0.0.2",), "127.0.0.3"),
    ],
)
async def test_a_trusted_proxy_says_who_called(
    client: Client, door: Door, forwarded: tuple[str, ...], source: str
) -> None:
    headers = [("X-Forwarded-For", value) for value in forwarded]
    await client.post("/api/v1/provision", json=BODY, headers=headers)
    assert door.calls[0].source == source


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_a_proxy_that_nobody_named_is_told_to_the_operator_once(
    aiohttp_client: Callable[..., Awaitable[Client]], door: Door, header: str
) -> None:
    app = web.Application(middlewares=[problems])
    app.add_routes(device_api.routes(door))
    client = await aiohttp_client(app)
    with capture_logs() as logs:
        for _ in range(3):
            await client.post("/api/v1/provision", json=BODY, headers={header: "for=192.0.2.7"})
    assert [(entry["log_level"], entry["network"]) for entry in logs] == [("warning", "127.0.0.0/24")]
    assert "TRUSTED_PROXIES" in logs[0]["event"] and "192.0.2" not in repr(logs)
    assert {call.source for call in door.calls} == {"127.0.0.1"}


async def test_a_proxy_that_is_named_is_no_news(client: Client, door: Door) -> None:
    """Nor is RFC 7239's header believed of it: proxies write the other one, and a caller could send this."""
    with capture_logs() as logs:
        await client.post("/api/v1/provision", json=BODY, headers={"X-Forwarded-For": "192.0.2.7"})
        await client.post("/api/v1/provision", json=BODY, headers={"Forwarded": "for=192.0.2.8"})
    assert logs == [] and [call.source for call in door.calls] == ["192.0.2.7", "127.0.0.1"]


async def test_nobody_else_may_say_so(aiohttp_client: Callable[..., Awaitable[Client]], door: Door) -> None:
    app = web.Application(middlewares=[problems])
    app.add_routes(device_api.routes(door))
    client = await aiohttp_client(app)
    await client.post("/api/v1/provision", json=BODY, headers={"X-Forwarded-For": "192.0.2.7"})
    assert door.calls[0].source == "127.0.0.1"


# ------------------------------------------------------------------ the description


async def test_the_description_is_served(client: Client) -> None:
    answer = await client.get("/openapi.json")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert await answer.json() == DOCUMENT


def nodes(value: Any, path: tuple[str, ...] = ()) -> Any:
    yield path, value
    for name, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from nodes(child, (*path, str(name)))


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, call) for path, item in DOCUMENT["paths"].items() for method, call in item.items()]


class NoEvents:
    async def events_after(self, cursor: int | None, limit: int, wait: float) -> EventPage:
        return EventPage((), cursor or 0)


def test_the_description_describes_exactly_the_routes(door: Door) -> None:
    routes = (*device_api.routes(door), *event_feed.routes(NoEvents(), "t" * 32))
    served = {(route.path, route.method.lower()) for route in routes} - {("/openapi.json", "get")}
    assert {(path, method) for path, method, _ in operations()} == served


def test_the_description_is_openapi_3_1() -> None:
    """The rules of OpenAPI 3.1 (4.8) that concern what we use."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "security", "paths", "components"}
    assert set(DOCUMENT["components"]) <= {"schemas", "headers", "examples", "securitySchemes"}
    ids = [call["operationId"] for _, _, call in operations()]
    assert len(ids) == len(set(ids))
    for path, _, call in operations():
        assert set(call) <= {
            *("operationId", "summary", "description", "security", "parameters", "requestBody", "responses"),
        }
        in_path = {p["name"] for p in call.get("parameters", ()) if p["in"] == "path"}
        assert all(f"{{{name}}}" in path for name in in_path)
        assert path.count("{") == len(in_path)
        for requirement in call.get("security", DOCUMENT["security"]):
            assert set(requirement) <= set(DOCUMENT["components"]["securitySchemes"])
        for status, answer in call["responses"].items():
            assert 200 <= int(status) < 600
            assert answer["description"]
            assert set(answer) <= {"description", "headers", "content"}


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    for _, node in nodes(DOCUMENT):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            assert resolve(node["$ref"])
    for path, node in nodes(DOCUMENT):
        if path[-1:] == ("schema",) or path[:-1] == ("components", "schemas"):
            Draft202012Validator.check_schema(node)


def test_every_example_fits_its_schema() -> None:
    seen = set()
    for _, node in nodes(DOCUMENT["paths"]):
        if isinstance(node, dict) and "examples" in node and "schema" in node:
            for name, example in node["examples"].items():
                conforms(resolve(example["$ref"])["value"], node["schema"]["$ref"].rsplit("/", 1)[1])
                seen.add(name)
    assert {
        "provision",
        "dialled",
        "provisioned",
        "signed_in",
        *(k.code for k in DeviceRefusal.__subclasses__()),
    } <= seen


def test_a_problem_type_leads_to_its_explanation() -> None:
    for kind in STATUS_BY_ERROR:
        text = problem(kind() if kind in (errors.BadInput, CodeRefused) else SAMPLES.get(kind, CodeRefused())).body
        assert isinstance(text, bytes)
        assert resolve(json.loads(text)["type"].removeprefix("/openapi.json"))["value"]["title"]
