"""An OpenTelemetry collector as a real server on loopback: it takes spans by OTLP over HTTP, or does not answer.

async with Collector() as collector:
    ... a service with OTEL_EXPORTER_OTLP_ENDPOINT=collector.url ...
    span = await collector.span("turn help")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Seen:
    """One span as it arrived; ids in hex, `parent` empty for the first of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int  # 1 internal, 2 server, 3 client, 5 consumer
    attributes: dict[str, Any]
    links: tuple[str, ...]
    failed: bool
    service: dict[str, Any]


class Collector:
    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.asked = 0
        self.hangs = self.refuses = False
        self._server = TestServer(web.Application())
        self._server.app.router.add_post("/v1/traces", self._take)
        self._changed = asyncio.Condition()
        self._end = asyncio.Event()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.set()
        await self._server.close()

    async def _take(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await self._end.wait()
        if self.refuses:
            return web.Response(status=400)
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for group in sent.resource_spans:
            service = _attributes(group.resource.attributes)
            self.spans += [_seen(span, service) for scope in group.scope_spans for span in scope.spans]
        async with self._changed:
            self._changed.notify_all()
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=body, content_type="application/x-protobuf")

    async def span(self, name: str) -> Seen:
        """The first of this name, once it has come."""
        return await self._first(lambda span: span.name == name)

    async def parent(self, of: Seen) -> Seen:
        """The one that holds `of`, once it has come: it ends later, so it may be sent in a later batch."""
        return await self._first(lambda span: span.id == of.parent)

    async def _first(self, wanted: Callable[[Seen], bool]) -> Seen:
        async with self._changed, asyncio.timeout(20):
            await self._changed.wait_for(lambda: any(map(wanted, self.spans)))
        return next(filter(wanted, self.spans))

    def below(self, parent: Seen) -> list[Seen]:
        return [span for span in self.spans if span.parent == parent.id]


def _attributes(values: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in values}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def _seen(span: Any, service: dict[str, Any]) -> Seen:
    return Seen(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        attributes=_attributes(span.attributes),
        links=tuple(link.span_id.hex() for link in span.links),
        failed=span.status.code == 2,
        service=service,
    )
