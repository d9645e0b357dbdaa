"""The device API as OpenAPI 3.1 data, served at `/openapi.json`: what a device maker builds against (interfaces.md)."""

from __future__ import annotations

from typing import Any, Final

from bot.limits import seen_alone
from bot.problems import PROBLEM_JSON, STATUS_BY_ERROR, TITLES, TYPE_PREFIX
from provisioning.cloudevents import BATCH_TYPE
from provisioning.commands import DETAIL_LIMIT, CommandName
from provisioning.errors import ProvisioningError
from provisioning.model import State

Json = dict[str, Any]

DEVICE_TYPES: Final = ("phone", "display", "panel", "room", "sip")
MAC: Final = "805EC0112233"
TOKEN: Final = "cGx1bXMgYXJlIGJsdWUgYW5kIHZpb2xldHMgdG9vLi4"  # noqa: S105 - an example
SCHEMAS: Final = "#/components/schemas/"
EXAMPLES: Final = "#/components/examples/"


def _text(description: str, **more: Any) -> Json:
    return {"type": "string", "description": description, **more}


def _plain(description: str, limit: int, **more: Any) -> Json:
    return _text(f"{description} Without control characters.", maxLength=limit, pattern=seen_alone(), **more)


def _object(properties: Json, optional: tuple[str, ...] = (), **more: Any) -> Json:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        **more,
    }


def _ref(name: str, section: str = SCHEMAS) -> Json:
    return {"$ref": section + name}


REVISION: Final = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
STATES: Final = {
    State.WAITING_FOR_ACTIVATION: "listed, has not called in during this life",
    State.WAITING_FOR_SIGN_IN: "provisioned, show the tenant's name",
    State.SIGNED_IN: "the intended account approved this device",
    State.SIGNED_OUT: "was signed in; can be signed in again from afar",
}
COMMANDS: Final = {
    CommandName.SIGN_OUT: "forget the account; the device can be signed in again from afar",
    CommandName.RESTART: "start anew; the device answers before or after",
    CommandName.DIAGNOSTICS: "answer with a note in `detail` of how the device is",
}
SCHEMA: Final[Json] = {
    "State": {
        "type": "string",
        "enum": [state.value for state in State],
        "description": "; ".join(f"`{state.value}`: {meaning}" for state, meaning in STATES.items()) + ".",
    },
    "Tenant": _object({"id": _text("Tenant id."), "name": _text("What the device shows on its sign-in page.")}),
    "ProvisionRequest": _object(
        {
            "mac": _text("The device's MAC in any usual notation.", examples=["80-5E-C0-11-22-33", MAC]),
            "code": _text(
                "The activation code as it was typed; a SIP phone may send the dialled string.",
                examples=["4829 1376 0257", "*55*482913760257"],
            ),
            "type": {"type": "string", "enum": list(DEVICE_TYPES), "description": "What kind of device this is."},
            "model": _plain("Model name.", 200, examples=["MP56"]),
            "serial": _plain("Serial number.", 200),
            "software": _plain("Software version.", 200, examples=["122.15.0.36"]),
        },
        optional=("type", "model", "serial", "software"),
        description="Unknown names are ignored.",
    ),
    "Provisioned": _object(
        {
            "tenant": _ref("Tenant"),
            "device": _object(
                {
                    "mac": _text("The device's identity: 12 upper-case hex digits."),
                    "location": _text("Where it stands; `/` separates levels."),
                    "state": _ref("State"),
                    "life": {"type": "integer", "minimum": 1, "description": "Grows with each factory reset."},
                }
            ),
            "token": _text("Bearer token of every later call; shown once, the former one is dead."),
        }
    ),
    "DeviceStatus": _object(
        {
            "revision": {**REVISION, "description": "Send it back as `since`."},
            "state": _ref("State"),
            "tenant": _ref("Tenant"),
            "location": _text("Where it stands; `/` separates levels."),
            "account": _text("The account it is signed in with or meant for; empty where none."),
            "life": {"type": "integer", "minimum": 1, "description": "Grows with each factory reset."},
            "commands": {
                "type": "array",
                "description": "To be carried out in this order. One stays in the list until it is answered.",
                "items": _object({"id": _text("Id to answer to."), "name": _ref("Command")}),
            },
        }
    ),
    "Command": _text(
        "; ".join(f"`{name.value}`: {meaning}" for name, meaning in COMMANDS.items())
        + ". Others may follow: answer one that is not known with `failed`.",
        examples=[name.value for name in CommandName],
    ),
    "CommandResult": _object(
        {
            "status": {"type": "string", "enum": ["done", "failed"]},
            "detail": _plain("What came of it, for people: one line.", DETAIL_LIMIT),
        },
        optional=("detail",),
        description="Unknown names are ignored.",
    ),
    "Events": {
        "type": "array",
        "description": "CloudEvents 1.0, JSON batch format. Further attributes and types may follow.",
        "items": _object(
            {
                "id": _text("The same for a fact wherever and whenever it is told; so in webhooks."),
                "specversion": {"const": "1.0"},
                "source": _text("Which deployment.", format="uri-reference"),
                "type": _text("What happened.", pattern="^provisioning[.]"),
                "time": _text("When.", format="date-time"),
                "subject": _text("A device's MAC, or the key of a person, a channel or an import."),
                "datacontenttype": {"const": "application/json"},
                "data": {"type": "object", "description": "Who did it (`actor`), and what belongs to the type."},
            },
            optional=("subject",),
        ),
    },
    "Problem": _object(
        {
            "type": _text("Where this kind of problem is explained.", format="uri-reference"),
            "title": _text("The kind of problem, for people."),
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _text("What happened and what helps, for people."),
            "code": _text("The kind of problem, for programs; stable.", pattern="^[a-z_]+$"),
            "instance": _text("Only with 500: finds this occurrence in the service's log.", format="uri"),
        },
        optional=("instance",),
        description="RFC 9457.",
    ),
}
HEADER: Final[Json] = {
    "Cache-Control": {"description": "Answers are never kept on the way.", "schema": {"const": "no-store"}},
    "Retry-After": {"description": "Whole seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "RFC 6750, 3.", "schema": {"type": "string"}},
    "Link": {"description": 'RFC 8288: `rel="next"` is where the stream goes on.', "schema": {"type": "string"}},
    "Allow": {"description": "The methods that work here.", "schema": {"type": "string"}},
}
EXAMPLE: Final[Json] = {
    "provisioned": {
        "value": {
            "tenant": {"id": "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001", "name": "Contoso"},
            "device": {"mac": MAC, "location": "Oslo/2/2.14", "state": "waiting_for_sign_in", "life": 1},
            "token": TOKEN,
        }
    },
    "signed_in": {
        "value": {
            "revision": 7,
            "state": "signed_in",
            "tenant": {"id": "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001", "name": "Contoso"},
            "location": "Oslo/2/2.14",
            "account": "room-2.14@contoso.com",
            "life": 1,
            "commands": [{"id": "9f2c41d07be3a586", "name": "restart"}],
        }
    },
    "moved": {
        "value": [
            {
                "id": "3f7c1f0f2b1d4c5e9a8b7c6d5e4f3a2b",
                "specversion": "1.0",
                "source": "/provisioning-bot/6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001",
                "type": "provisioning.device.moved",
                "time": "2026-03-02T07:30:00Z",
                "subject": MAC,
                "datacontenttype": "application/json",
                "data": {"actor": "service", "before": "Oslo/2/2.14", "after": "Oslo/2/2.15"},
            }
        ]
    },
    "command_done": {"value": {"status": "done", "detail": "up again after 41 s"}},
    "command_failed": {"value": {"status": "failed", "detail": "a call is going on"}},
    "provision": {"value": {"mac": "80-5E-C0-11-22-33", "code": "4829 1376 0257", "type": "phone", "model": "MP56"}},
    "dialled": {"summary": "A SIP phone", "value": {"mac": MAC, "code": "*55*482913760257", "type": "sip"}},
}
EXTRA_HEADERS: Final = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
# Which codes each call answers with, beside those that every call has.
EVERY_CALL: Final = ("method_not_allowed", "expectation_failed", "internal_error")
BODY: Final = ("broken_body", "unsupported_media_type", "too_large", "too_slow")
JSON_BODY: Final = (*BODY, "not_json")
STORE: Final = ("unavailable", "conflict")


def _problem_examples() -> Json:
    """One per row of the tables in problems.py, so that a `type` always leads to its explanation here."""
    return {error.code: {"value": _problem_value(error)} for error in STATUS_BY_ERROR if error.code in TITLES}


def _problem_value(error: type[ProvisioningError]) -> Json:
    return {
        "type": TYPE_PREFIX + error.code,
        "title": TITLES[error.code],
        "status": STATUS_BY_ERROR[error],
        "detail": error.message,
        "code": error.code,
    }


def _answers(ok: Json, *codes: str, **moved: int) -> Json:
    """All answers of a call: its good one, and one entry per status with the codes it can carry."""
    statuses = {error.code: status for error, status in STATUS_BY_ERROR.items()} | moved
    by_status: dict[int, list[str]] = {}
    for code in (*codes, *EVERY_CALL):
        by_status.setdefault(statuses[code], []).append(code)
    return ok | {str(status): _refusal(status, named) for status, named in sorted(by_status.items())}


def _refusal(status: int, codes: list[str]) -> Json:
    headers = {name: _ref(name, "#/components/headers/") for name in ("Cache-Control", *EXTRA_HEADERS.get(status, ()))}
    return {
        "description": "; ".join(f"{TITLES[code]} (`{code}`)" for code in codes) + ".",
        "headers": headers,
        "content": {
            PROBLEM_JSON: {"schema": _ref("Problem"), "examples": {code: _ref(code, EXAMPLES) for code in codes}}
        },
    }


def _ok(description: str, schema: str, example: str) -> Json:
    content = {"schema": _ref(schema), "examples": {example: _ref(example, EXAMPLES)}}
    headers = {"Cache-Control": _ref("Cache-Control", "#/components/headers/")}
    return {"200": {"description": description, "headers": headers, "content": {"application/json": content}}}


def _body(schema: str, *examples: str) -> Json:
    content = {"schema": _ref(schema), "examples": {name: _ref(name, EXAMPLES) for name in examples}}
    return {"required": True, "description": "At most 1 KiB.", "content": {"application/json": content}}


def _parameter(name: str, place: str, description: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": place, "description": description, "required": required, "schema": schema}


def _provision() -> Json:
    return {
        "operationId": "provision",
        "summary": "Trade MAC and activation code for a token, once",
        "description": (
            "Order of refusals: `invalid_mac`, `reset_required`, `invalid_code` (costs no try), `slow_down`, then "
            "`code_expired` (only for the right code) or `code_refused`, which is the same for every other reason. "
            "Where the answer got lost, send the same request with the same Idempotency-Key within 10 minutes."
        ),
        "security": [{}, {"deviceToken": []}],
        "parameters": [
            _parameter(
                "Idempotency-Key",
                "header",
                "128 random bits for each code that was typed in.",
                {"type": "string", "pattern": "^[!-~]{22,128}$"},
            )
        ],
        "requestBody": _body("ProvisionRequest", "provision", "dialled"),
        "responses": _answers(
            _ok("Provisioned: show the tenant's name and wait for sign-in.", "Provisioned", "provisioned"),
            *("missing_field", "invalid_field", "invalid_idempotency_key", *JSON_BODY, *STORE),
            *("code_refused", "code_expired", "reset_required", "invalid_mac", "invalid_code", "slow_down"),
        ),
    }


def _device_status() -> Json:
    return {
        "operationId": "deviceStatus",
        "summary": "Where the device stands; a long poll, and the heartbeat",
        "description": (
            "Answers at once when the revision is not `since`, else after a change, when a command is due, or after "
            "`wait` seconds, then with the same revision. After `reset_required` and after `token_refused` erase the "
            "device and call `factory-reset`, then ask for a new code."
        ),
        "parameters": [
            _parameter(
                "since", "query", "The revision last seen.", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
            ),
            _parameter("wait", "query", "Seconds; more than 30 are 30.", {"type": "number", "minimum": 0}),
        ],
        "responses": _answers(
            _ok("The present state.", "DeviceStatus", "signed_in"),
            *("invalid_parameter", "token_refused", "reset_required", *STORE),
            reset_required=401,
        ),
    }


def _command_done() -> Json:
    return {
        "operationId": "commandDone",
        "summary": "Report how a command ended",
        "description": (
            "A command stays in the list until it is reported; said twice it changes nothing. One that was taken back, "
            "or ended with the device's life, is answered with 204 or 404 alike: there is nothing left to do."
        ),
        "parameters": [_parameter("id", "path", "Id of the command.", {"type": "string"}, required=True)],
        "requestBody": _body("CommandResult", "command_done", "command_failed"),
        "responses": _answers(
            {"204": {"description": "Noted."}},
            *("missing_field", "invalid_field", *JSON_BODY, *STORE),
            *("command_not_found", "token_refused", "reset_required"),
            reset_required=401,
        ),
    }


def _factory_reset() -> Json:
    return {
        "operationId": "factoryReset",
        "summary": "Report that the device was reset to factory settings",
        "description": "A device that was taken off the list reports it with the token it had.",
        "responses": _answers(
            {"204": {"description": "The token is dead, a new life begins."}}, "token_refused", *BODY, *STORE
        ),
    }


def _events() -> Json:
    content = {"schema": _ref("Events"), "examples": {"moved": _ref("moved", EXAMPLES)}}
    headers = {name: _ref(name, "#/components/headers/") for name in ("Cache-Control", "Link")}
    ok = {"description": "A page; empty: nothing yet.", "headers": headers, "content": {BATCH_TYPE: content}}
    return {
        "operationId": "events",
        "summary": "What happened, as CloudEvents; a long poll",
        "description": (
            "Follow the link `next` of each answer, with `wait`. Nothing is lost and nothing comes twice that way. "
            "Never a code. 404 where the deployment sets no EVENTS_TOKEN."
        ),
        "security": [{"eventsToken": []}],
        "parameters": [
            _parameter(
                "after",
                "query",
                "A place in the stream; `latest`: what comes from now on; without it: the oldest that is kept.",
                {"type": "string", "pattern": "^([0-9]{1,18}|latest)$"},
            ),
            _parameter("limit", "query", "Events of a page; 100.", {"type": "integer", "minimum": 1, "maximum": 1000}),
            _parameter("wait", "query", "Seconds; more than 30 are 30.", {"type": "number", "minimum": 0}),
        ],
        "responses": _answers(
            {"200": ok}, "invalid_parameter", "events_token_refused", "too_many_readers", "not_found", *STORE
        ),
    }


def document() -> Json:
    """The whole description; built when asked for, so that importing this module does nothing."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Provisioning Bot device API",
            "version": "1.0.0",
            "description": "How a device, or a gateway for it, is provisioned and stays in touch. Every error is a "
            "problem document (RFC 9457); its `code` is stable.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"deviceToken": []}],
        "paths": {
            "/api/v1/provision": {"post": _provision()},
            "/api/v1/device": {"get": _device_status()},
            "/api/v1/device/commands/{id}": {"post": _command_done()},
            "/api/v1/device/factory-reset": {"post": _factory_reset()},
            "/api/v1/events": {"get": _events()},
        },
        "components": {
            "schemas": SCHEMA,
            "headers": HEADER,
            "examples": EXAMPLE | _problem_examples(),
            "securitySchemes": {
                "deviceToken": {"type": "http", "scheme": "bearer"},
                "eventsToken": {"type": "http", "scheme": "bearer"},
            },
        },
    }
