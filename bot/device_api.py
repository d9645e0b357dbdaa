"""The device's door: MAC + code in, a token out; then one long poll that is the heartbeat as well (interfaces.md)."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import Sequence
from functools import partial
from math import ceil
from time import perf_counter
from typing import Any, Final, NoReturn, Protocol

import structlog
from aiohttp import HttpVersion11, hdrs, web

from bot.diagnosing import Diagnoses
from bot.limits import BODY_SECONDS, UNSEEN, Network, caller, is_json, read_body, unnamed_proxy
from bot.openapi import DEVICE_TYPES, document
from bot.problems import (
    ExpectationFailed,
    FieldInvalid,
    FieldMissing,
    NotJson,
    NotThisMediaType,
    ParameterInvalid,
    RetryKeyInvalid,
    problem,
)
from provisioning.commands import DETAIL_LIMIT
from provisioning.errors import CodeRefused, DeviceRefusal, DeviceResetRequired, TokenRefused
from provisioning.service.activation import DeviceStatus, ProvisionCall, Provisioned
from provisioning.texts import _

log = structlog.get_logger(__name__)

REFUSAL_STEP: Final = 0.05  # seconds; what one refusal takes longer than another is a part of a millisecond
MAX_BODY: Final = 1024  # bytes, security.md
MAX_WAIT: Final = 30.0  # seconds
MAX_TEXT: Final = 200  # characters of what a device tells about itself
REQUIRED_FIELDS: Final = ("mac", "code")
OPTIONAL_FIELDS: Final = ("type", "model", "serial", "software")
OUTCOMES: Final = ("done", "failed")  # of a command
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.IGNORECASE)  # RFC 6750, 2.1
_RETRY_KEY: Final = re.compile(r"[\x21-\x7e]{22,128}")  # 22 base64 digits hold 128 bits
_REVISION: Final = re.compile(r"[0-9]{1,18}")
_SECONDS: Final = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")  # a number as JSON writes it


class DeviceDoor(Protocol):
    """The part of `Provisioning` that devices reach."""

    async def provision(self, call: ProvisionCall) -> Provisioned: ...

    async def device_status(self, token: str, *, since: int | None, wait: float) -> DeviceStatus: ...

    async def settle_command(self, token: str, command_id: str, *, done: bool, detail: str = "") -> None: ...

    async def report_reset(self, token: str) -> None: ...


def routes(
    provisioning: DeviceDoor,
    *,
    trusted_proxies: Sequence[Network] = (),
    body_seconds: float = BODY_SECONDS,
    diagnoses: Diagnoses | None = None,
) -> list[web.RouteDef]:
    """Every call of a device. Needs the middleware `bot.problems.problems`, which speaks for all errors."""
    api = DeviceApi(provisioning, trusted_proxies, body_seconds, diagnoses)
    get = partial(web.get, allow_head=False, expect_handler=_expect)
    post = partial(web.post, expect_handler=_expect)
    return [
        post("/api/v1/provision", api.provision),
        get("/api/v1/device", api.status),
        post("/api/v1/device/commands/{id}", api.command),
        post("/api/v1/device/factory-reset", api.factory_reset),
        get("/openapi.json", api.openapi),
    ]


class DeviceApi:
    """Each method: read strictly, call one use case, answer. Errors are raised, the middleware words them."""

    def __init__(
        self,
        provisioning: DeviceDoor,
        trusted_proxies: Sequence[Network],
        body_seconds: float,
        diagnoses: Diagnoses | None,
    ) -> None:
        self._provisioning = provisioning
        self._diagnoses = diagnoses
        self._trusted_proxies = trusted_proxies
        self._body_seconds = body_seconds
        self._told_of_proxy = False

    async def provision(self, request: web.Request) -> web.Response:
        """MAC + code, once, for a token. The order of the refusals is the use case's; the door adds none of its own."""
        fields = read_fields(await self._json(request))
        began = perf_counter()
        self._tell_of_proxy(request)
        call = ProvisionCall(
            source=caller(request, self._trusted_proxies),
            token=bearer(request) or "",
            retry_key=retry_key(request),
            **fields,
        )
        try:
            return web.json_response(_provisioned(await self._provisioning.provision(call)))
        except CodeRefused as refusal:
            await _until_step(began)
            return await self._refused(request, call, refusal, call.code)
        except DeviceResetRequired as refusal:  # nothing was counted against its code, so nobody looks at that either
            return await self._refused(request, call, refusal, "")

    def _tell_of_proxy(self, request: web.Request) -> None:
        """Once in a process: whoever sets it up may have forgotten to name the proxy."""
        if not self._told_of_proxy and (network := unnamed_proxy(request, self._trusted_proxies)):
            self._told_of_proxy = True
            log.warning(
                "X-Forwarded-For of a peer that TRUSTED_PROXIES does not name: if that is your proxy, "
                "all devices behind it count as one network",
                network=network,
            )

    async def _refused(
        self, request: web.Request, call: ProvisionCall, refusal: DeviceRefusal, code: str
    ) -> web.Response:
        """The answer is on its way before anybody asks whose code that was, or whether a device was reset by hand:
        neither its time nor its bytes tell.
        """
        response = problem(refusal)
        await response.prepare(request)
        await response.write_eof()
        if self._diagnoses:
            self._diagnoses.begin(call.mac, code, call.source)
        return response

    async def status(self, request: web.Request) -> web.Response:
        """Where the device stands; 401 `reset_required` here, because only its token speaks for it."""
        since, wait = _since(request), seconds_to_wait(request)
        try:
            status = await self._provisioning.device_status(required_bearer(request), since=since, wait=wait)
        except DeviceResetRequired as refusal:
            return problem(refusal, status=401)
        return web.json_response(_status(status))

    async def command(self, request: web.Request) -> web.Response:
        """The outcome of a command, in the device's own words; said twice it changes nothing."""
        body = await self._json(request)
        token, (done, detail) = required_bearer(request), read_outcome(body)
        try:
            await self._provisioning.settle_command(token, request.match_info["id"], done=done, detail=detail)
        except DeviceResetRequired as refusal:
            return problem(refusal, status=401)
        return web.Response(status=204)

    async def factory_reset(self, request: web.Request) -> web.Response:
        """The device was reset: its token ends here. Whatever body came along says nothing."""
        await read_body(request, MAX_BODY, self._body_seconds)
        await self._provisioning.report_reset(required_bearer(request))
        return web.Response(status=204)

    async def openapi(self, request: web.Request) -> web.Response:
        return web.json_response(document(), headers={hdrs.CACHE_CONTROL: "public, max-age=300"})

    async def _json(self, request: web.Request) -> dict[str, Any]:
        body = await read_body(request, MAX_BODY, self._body_seconds)
        if not is_json(request):
            raise NotThisMediaType
        return parse_object(body)


async def _until_step(began: float) -> None:
    """Refusals are answered in steps of time: what a reason costs more or less than another is lost in the step.

    The loop's own clock may tell whole milliseconds only: what took less is a step as well.
    """
    spent = perf_counter() - began
    await asyncio.sleep(ceil(spent / REFUSAL_STEP) * REFUSAL_STEP - spent)


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """RFC 9110, 10.1.1: 100-continue, or 417. It runs ahead of every middleware, so it answers by itself."""
    if request.version != HttpVersion11:
        return None
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        return problem(ExpectationFailed())
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun
    return None


# ------------------------------------------------------------------ reading


def parse_object(body: bytes) -> dict[str, Any]:
    """One JSON object as RFC 8259 and RFC 7493 (I-JSON) have it: UTF-8, each name once, no NaN. Errors: `NotJson`."""
    try:
        value = _JSON.decode(body.decode())
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(value, dict):
        raise NotJson
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def read_fields(body: dict[str, Any]) -> dict[str, str]:
    """The fields of a provisioning request; unknown ones are left alone, because additions are free.

    `mac` and `code` go on as they were typed: notations and `*55*…` are the business's to read.
    """
    for name in REQUIRED_FIELDS:
        if name not in body:
            raise FieldMissing(field=name)
    fields: dict[str, Any] = {name: body[name] for name in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS) if name in body}
    for name, value in fields.items():
        if not isinstance(value, str) or not (value.isascii() or _is_whole(value)):
            raise FieldInvalid(field=name, wanted=_("a text"))
    if "type" in fields and fields["type"] not in DEVICE_TYPES:
        raise FieldInvalid(field="type", wanted=_("one of {choices}", choices=", ".join(DEVICE_TYPES)))
    for name in OPTIONAL_FIELDS:
        _require_plain(name, fields.get(name, ""), MAX_TEXT)
    return fields


def _is_whole(text: str) -> bool:
    """Without half a surrogate pair, which JSON can write and no store can keep."""
    return not any(unicodedata.category(sign) == "Cs" for sign in text)


def read_outcome(body: dict[str, Any]) -> tuple[bool, str]:
    """Whether a command was done, and what the device says of it; unknown names are left alone."""
    if "status" not in body:
        raise FieldMissing(field="status")
    status, detail = body["status"], body.get("detail", "")
    if not isinstance(status, str) or status not in OUTCOMES:
        raise FieldInvalid(field="status", wanted=_("one of {choices}", choices=", ".join(OUTCOMES)))
    if not isinstance(detail, str):
        raise FieldInvalid(field="detail", wanted=_("a text"))
    _require_plain("detail", detail, DETAIL_LIMIT)
    return status == "done", detail


def _require_plain(name: str, value: str, limit: int) -> None:
    if value.isascii() and value.isprintable() and len(value) <= limit:  # nearly all of them, in a tenth of the time
        return
    if len(value) > limit or any(unicodedata.category(sign) in UNSEEN for sign in value):
        wanted = _("a text of at most {limit} characters, without control characters", limit=limit)
        raise FieldInvalid(field=name, wanted=wanted)


def bearer(request: web.Request) -> str | None:
    """The token of the one `Authorization: Bearer` header (RFC 6750, 2.1); None where there is no such thing."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, ())
    match = _BEARER.fullmatch(headers[0].strip()) if len(headers) == 1 else None
    return match[1] if match else None


def required_bearer(request: web.Request) -> str:
    token = bearer(request)
    if token is None:
        raise TokenRefused
    return token


def retry_key(request: web.Request) -> str:
    """The Idempotency-Key, empty where none was sent. It stands in for the code for ten minutes, so it must be long."""
    headers = request.headers.getall("Idempotency-Key", ())
    if not headers:
        return ""
    if len(headers) > 1 or not _RETRY_KEY.fullmatch(headers[0]):
        raise RetryKeyInvalid
    return headers[0]


def _since(request: web.Request) -> int | None:
    text = parameter(request, "since", _REVISION, _("a revision, as the answer before gave it"))
    return int(text) if text is not None else None


def seconds_to_wait(request: web.Request) -> float:
    text = parameter(request, "wait", _SECONDS, _("seconds, 0 to 30"))
    return min(float(text), MAX_WAIT) if text is not None else 0.0


def parameter(request: web.Request, name: str, form: re.Pattern[str], wanted: str) -> str | None:
    values = request.query.getall(name, [])
    if not values:
        return None
    if len(values) > 1 or not form.fullmatch(values[0]):
        raise ParameterInvalid(parameter=name, wanted=wanted)
    return values[0]


# ------------------------------------------------------------------ answering


def _provisioned(done: Provisioned) -> dict[str, Any]:
    return {
        "tenant": {"id": done.tenant_id, "name": done.tenant_name},
        "device": {"mac": done.mac, "location": done.location, "state": done.state.value, "life": done.life},
        "token": done.token,
    }


def _status(status: DeviceStatus) -> dict[str, Any]:
    return {
        "revision": status.revision,
        "state": status.state.value,
        "tenant": {"id": status.tenant_id, "name": status.tenant_name},
        "location": status.location,
        "account": status.account,
        "life": status.life,
        "commands": [{"id": id_, "name": name} for id_, name in status.commands],
    }
