"""Every request has an id, which its answer and each of its log lines carry; and every request is counted."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.limits import Network, parse_address
from bot.metric_labels import METHODS, OTHER, POLLED, ROUTES, Status
from bot.metrics import Metrics

log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-ID"
ID: Final = web.RequestKey("ID", str)
ABORTED: Final = 0  # in the place of a status: whoever asked hung up, or the service ended
_GIVEN: Final = re.compile(r"[A-Za-z0-9._-]{8,128}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def from_proxy(request: web.Request, proxies: Sequence[Network]) -> bool:
    """Whether a trusted proxy handed it over, whose headers about the request count."""
    address = parse_address(request.remote or "") if proxies else None
    return address is not None and any(address in network for network in proxies)


def request_id(request: web.Request, proxies: Sequence[Network]) -> str:
    """A trusted proxy's, where it gave a sound one; else a new one."""
    given = request.headers.get(HEADER, "")
    return given if given and from_proxy(request, proxies) and _GIVEN.fullmatch(given) else secrets.token_hex(16)


def template(request: web.Request) -> str:
    """The pattern of the address, as it stands in the router; empty where nothing is served."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""


def waits(request: web.Request) -> bool:
    """Whether it asks to be answered later: its time says nothing of how quick the service is."""
    return template(request) in POLLED and request.query.get("wait", "0") != "0"


def correlated(
    metrics: Metrics, proxies: Sequence[Network], now: Callable[[], float] = time.perf_counter
) -> Middleware:
    """The outermost middleware. Needs `told` among the signals of the application."""

    @web.middleware
    async def each(request: web.Request, handler: Handler) -> web.StreamResponse:
        structlog.contextvars.clear_contextvars()  # a connection is kept: nothing stays of the request before
        request[ID] = request_id(request, proxies)
        structlog.contextvars.bind_contextvars(request_id=request[ID])
        began, status, polled = now(), ABORTED, template(request) if waits(request) else ""
        _change(metrics, polled, 1)
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as refusal:
            status = refusal.status
            raise
        except Exception:
            status = 500
            raise
        finally:
            _change(metrics, polled, -1)
            _count(metrics, request, status, now() - began, polled=bool(polled))

    return each


async def told(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`, which also sees answers that a handler sends by itself."""
    if ID in request:
        response.headers[HEADER] = request[ID]


def _change(metrics: Metrics, polled: str, by: int) -> None:
    """Open polls. Without a context manager, which takes half a KiB for as long as a poll waits."""
    if polled:
        metrics.change("http_open_polls", by, poll=polled)


def _count(metrics: Metrics, request: web.Request, status: int, seconds: float, *, polled: bool) -> None:
    shown = template(request)
    route = shown if shown in ROUTES else OTHER
    method = request.method if request.method in METHODS else OTHER
    metrics.count("http_requests_total", route=route, method=method, status=Status.of(status))
    if route != OTHER and status != ABORTED and not polled:
        metrics.observe("http_request_seconds", seconds, route=route)
    log.debug("request", method=method, route=shown, status=status, seconds=round(seconds, 4))
