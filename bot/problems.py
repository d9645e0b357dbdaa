"""Errors on the wire: one table from error to status, and `application/problem+json` (RFC 9457) for each of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import structlog
from aiohttp import hdrs, web

from bot.operations import STORE
from provisioning.errors import (
    BadInput,
    CodeExpired,
    CodeRefused,
    Conflict,
    DeviceResetRequired,
    InvalidCode,
    InvalidMac,
    NotFound,
    ProvisioningError,
    SlowDown,
    TokenRefused,
    Unavailable,
)
from provisioning.service.commanding import CommandUnknown
from provisioning.texts import N_, _

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API_PATHS: Final = ("/api/v1", "/openapi.json")
PROBLEM_JSON: Final = "application/problem+json"
TYPE_PREFIX: Final = "/openapi.json#/components/examples/"  # RFC 9457, 3.1.1: where the type is explained
SAFE_HEADERS: Final = MappingProxyType({hdrs.CACHE_CONTROL: "no-store", "X-Content-Type-Options": "nosniff"})
BUSY_SECONDS: Final = 1  # a unit of work lost its race more often than it may try again
UNAVAILABLE_SECONDS: Final = 10  # a store that was away is asked again about as fast as it recovers


class RequestRefused(ProvisioningError):
    """What the HTTP doors refuse by themselves, before any use case is asked."""

    code = "bad_request"
    message = N_("This is not a request the service understands.")
    headers: Mapping[str, str] = MappingProxyType({})


class BodyBroken(RequestRefused):
    code = "broken_body"
    message = N_("The body of the request did not arrive whole.")


class NotJson(RequestRefused):
    code = "not_json"
    message = N_("The body has to be one JSON object in UTF-8, each name once.")


class FieldMissing(RequestRefused):
    code = "missing_field"
    message = N_('The field "{field}" is missing.')


class FieldInvalid(RequestRefused):
    code = "invalid_field"
    message = N_('The field "{field}" is not right: it has to be {wanted}.')


class ParameterInvalid(RequestRefused):
    code = "invalid_parameter"
    message = N_('The parameter "{parameter}" is not right: it has to be {wanted}, once.')


class RetryKeyInvalid(RequestRefused):
    code = "invalid_idempotency_key"
    message = N_("Idempotency-Key has to be 22 to 128 visible ASCII characters, once: 128 random bits for each entry.")


class RouteNotFound(RequestRefused):
    code = "not_found"
    message = N_("There is nothing at this address. /openapi.json lists every call.")


class MethodNotAllowed(RequestRefused):
    """RFC 9110, 15.5.6: the answer names the methods that work here."""

    code = "method_not_allowed"
    message = N_("This address does not take {method}.")

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(method=method)
        self.headers = {hdrs.ALLOW: allowed}


class EventsRefused(RequestRefused):
    """RFC 6750, 3."""

    code = "events_token_refused"
    message = N_("The token is not the one of EVENTS_TOKEN.")
    headers = MappingProxyType({hdrs.WWW_AUTHENTICATE: 'Bearer realm="events", error="invalid_token"'})


class TooManyReaders(RequestRefused):
    code = "too_many_readers"
    message = N_("Too many readers ask for events at the same time. One is enough for each system.")
    headers = MappingProxyType({hdrs.RETRY_AFTER: "5"})


class BodyTooSlow(RequestRefused):
    """RFC 9110, 15.5.9: the connection is closed rather than waited on."""

    code = "too_slow"
    message = N_("The body of the request did not arrive in time.")
    headers = MappingProxyType({hdrs.CONNECTION: "close"})


class BodyTooLarge(RequestRefused):
    code = "too_large"
    message = N_("The body of the request is larger than {limit} bytes.")
    headers = MappingProxyType({hdrs.CONNECTION: "close"})


class NotThisMediaType(RequestRefused):
    """RFC 9110, 15.5.16: the answer names what is taken."""

    code = "unsupported_media_type"
    message = N_("The body has to be application/json in UTF-8, not compressed.")
    headers = MappingProxyType({hdrs.ACCEPT: "application/json", hdrs.ACCEPT_ENCODING: "identity"})


class ExpectationFailed(RequestRefused):
    code = "expectation_failed"
    message = N_("The only expectation the service knows is 100-continue.")


class NotLocal(RequestRefused):
    code = "not_local"
    message = N_("Local mode answers this computer alone: open it under localhost, from its own page.")


class Unexpected(ProvisioningError):
    code = "internal_error"
    message = N_("Something went wrong on our side. It was logged; please try again in a minute.")


# Domain and door errors alike; a class stands for its subclasses unless they are listed too.
STATUS_BY_ERROR: Final[Mapping[type[ProvisioningError], int]] = MappingProxyType(
    {
        InvalidMac: 422,
        InvalidCode: 422,
        DeviceResetRequired: 409,  # 401 where only the token speaks, see device_api.status
        CodeExpired: 410,
        CodeRefused: 403,
        SlowDown: 429,
        TokenRefused: 401,
        CommandUnknown: 404,
        Unavailable: 503,
        Conflict: 503,
        BadInput: 400,
        NotFound: 404,
        RequestRefused: 400,
        BodyBroken: 400,
        NotJson: 400,
        FieldMissing: 400,
        FieldInvalid: 400,
        ParameterInvalid: 400,
        RetryKeyInvalid: 400,
        RouteNotFound: 404,
        MethodNotAllowed: 405,
        EventsRefused: 401,
        TooManyReaders: 429,
        BodyTooSlow: 408,
        BodyTooLarge: 413,
        NotThisMediaType: 415,
        ExpectationFailed: 417,
        NotLocal: 403,
        Unexpected: 500,
    }
)
TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invalid_mac": N_("Not a MAC address"),
        "invalid_code": N_("Not a complete code"),
        "reset_required": N_("Factory reset required"),
        "code_expired": N_("Code expired"),
        "code_refused": N_("Code refused"),
        "slow_down": N_("Too many tries"),
        "token_refused": N_("Token refused"),
        "unavailable": N_("Temporarily unavailable"),
        "conflict": N_("Busy with this device"),
        "bad_input": N_("Not a valid value"),
        "not_found": N_("Not found"),
        "bad_request": N_("Bad request"),
        "broken_body": N_("Incomplete body"),
        "not_json": N_("Not JSON"),
        "missing_field": N_("Field missing"),
        "invalid_field": N_("Field not valid"),
        "invalid_parameter": N_("Parameter not valid"),
        "invalid_idempotency_key": N_("Idempotency-Key not valid"),
        "command_not_found": N_("No such command"),
        "method_not_allowed": N_("Method not allowed"),
        "events_token_refused": N_("Token refused"),
        "too_many_readers": N_("Too many readers"),
        "too_slow": N_("Request timed out"),
        "too_large": N_("Body too large"),
        "unsupported_media_type": N_("Media type not supported"),
        "expectation_failed": N_("Expectation failed"),
        "not_local": N_("Local mode only"),
        "internal_error": N_("Internal error"),
    }
)


def status_of(error: ProvisioningError) -> int:
    """The most specific row of the table; an error without one is our mistake, so 500."""
    return next((STATUS_BY_ERROR[kind] for kind in type(error).__mro__ if kind in STATUS_BY_ERROR), 500)


def problem(error: ProvisioningError, status: int | None = None) -> web.Response:
    """The answer for one error: `type`, `title`, `status`, `detail` and our stable `code` (RFC 9457, 3.1)."""
    return _answer(error, status or status_of(error))


def _answer(error: ProvisioningError, status: int, instance: str = "") -> web.Response:
    body = {
        "type": TYPE_PREFIX + error.code if error.code in TITLES else "about:blank",
        "title": _(TITLES.get(error.code, HTTPStatus(status).phrase)),
        "status": status,
        "detail": _detail(error),
        "code": error.code,
    }
    if instance:
        body["instance"] = instance
    headers = {**SAFE_HEADERS, **_headers(error, status)}
    response = web.Response(status=status, body=json.dumps(body).encode(), content_type=PROBLEM_JSON, headers=headers)
    if headers.get(hdrs.CONNECTION) == "close":
        response.force_close()
    return response


def _detail(error: ProvisioningError) -> str:
    """The error's own sentence, except where it was written for somebody who looks at a card."""
    if isinstance(error, Conflict):
        return _("The service was busy with this device. Nothing was changed; try again.")
    return error.sentence


def _headers(error: ProvisioningError, status: int) -> Mapping[str, str]:
    if isinstance(error, RequestRefused):
        return error.headers
    if isinstance(error, SlowDown):
        return {hdrs.RETRY_AFTER: str(max(1, error.retry_after))}
    if isinstance(error, Unavailable | Conflict):
        return {hdrs.RETRY_AFTER: str(BUSY_SECONDS if isinstance(error, Conflict) else UNAVAILABLE_SECONDS)}
    if status == HTTPStatus.UNAUTHORIZED:  # RFC 6750, 3
        return {hdrs.WWW_AUTHENTICATE: 'Bearer realm="device", error="invalid_token"'}
    return {}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error under /api/v1 is a problem document; elsewhere only what the doors refuse by themselves is."""
    if not concerns_devices(request.path):
        try:
            return await handler(request)
        except RequestRefused as refusal:
            return problem(refusal)
    response = await _device_answer(request, handler)
    if not response.prepared:
        for name, value in SAFE_HEADERS.items():
            response.headers.setdefault(name, value)
    return response


def concerns_devices(path: str) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in API_PATHS)


async def _device_answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < HTTPStatus.BAD_REQUEST:
            raise
        return _answer(_named(refusal), refusal.status)
    except ProvisioningError as error:
        if isinstance(error, Unavailable) and (store := request.app.get(STORE)):
            store.trouble(error.reason)  # told once, not for each device that calls
        if status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR:
            return _unexpected(request, error)
        return problem(error)
    except Exception as error:
        if request.transport is None or request.transport.is_closing():
            raise  # the caller hung up: there is nobody to answer
        return _unexpected(request, error)


def _named(refusal: web.HTTPException) -> RequestRefused:
    if isinstance(refusal, web.HTTPNotFound):
        return RouteNotFound()
    if isinstance(refusal, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(refusal.method, refusal.headers[hdrs.ALLOW])
    return RequestRefused()


def _unexpected(request: web.Request, error: Exception) -> web.Response:
    """No trace leaves the house; `instance` finds it in the log. The path is logged as its pattern, without ids."""
    instance = uuid.uuid4().urn
    resource = request.match_info.route.resource
    log.error(
        "unexpected_error",
        correlation=instance,
        method=request.method,
        route=resource.canonical if resource else "",
        exc_info=error,
    )
    return _answer(Unexpected(), HTTPStatus.INTERNAL_SERVER_ERROR, instance)
