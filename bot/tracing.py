"""Traces by OpenTelemetry, sent to OTEL_EXPORTER_OTLP_ENDPOINT by OTLP over HTTP.

Spans: a request, the turn it holds, each unit that is saved, each call to Teams and to the identity provider, and each
message of the outbox, linked to the unit that queued it where that was saved here. Their attributes hold kinds and
counts: no person, no MAC, no conversation, no code. A collector that is away costs nothing but its spans.

This module loads the SDK, so it is imported only where traces are configured. The SDK's own variables count as well:
OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bot.correlation import from_proxy, template
from bot.limits import Network
from bot.operations import PROJECT
from bot.turn import Answer, Chat, Incoming, Receiver
from bot.untraced import Untraced
from bot.workers import Context
from provisioning.conversations import Conversation
from provisioning.delivery_errors import DeliveryError
from provisioning.errors import ProvisioningError
from provisioning.messages import OutboxMessage
from provisioning.model import Change
from provisioning.ports import IdentityProvider, Member, Message, Messenger, Store
from provisioning.service import Provisioning
from provisioning.signin import Account, DeviceGrant

log = structlog.get_logger(__name__)

T = TypeVar("T")
Attributes = Mapping[str, str | int | Sequence[str]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATH: Final = "/v1/traces"  # below the endpoint (OpenTelemetry, OTLP exporter configuration)
EXPORT_SECONDS: Final = 5.0  # for one batch, in a thread of its own
FLUSH_SECONDS: Final = 1.0  # for what is left when the service ends
REMEMBERED: Final = 10_000  # messages whose unit is known
FAULT: Final = 500
UNTRACED: Final = frozenset({"/healthz", "/readyz", "/metrics", "/version"})  # asked all day, by machines
HEADERS: Final = TraceContextTextMapPropagator()  # W3C Trace Context


class Telling(SpanExporter):
    """Sends, and says once that spans are not taken, and once that they are again."""

    def __init__(self, exporter: SpanExporter, host: str) -> None:
        self._exporter, self._host, self._away = exporter, host, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away != self._away:
            self._away = away
            if away:
                log.warning("traces are not taken; look at OTEL_EXPORTER_OTLP_ENDPOINT", host=self._host)
            else:
                log.info("traces are taken again", host=self._host)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Spans:
    """Where spans are made."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(
        self, name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes | None = None, **more: Any
    ) -> Iterator[Span]:
        """What ends with an error says its class alone: messages may hold what nobody should read elsewhere."""
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False, **more
        ) as span:
            try:
                yield span
            except Exception as error:
                expected = isinstance(error, ProvisioningError) and not isinstance(error, DeliveryError)
                span.set_attribute("error.type", type(error).__name__)
                if not expected:
                    span.set_status(StatusCode.ERROR)
                raise

    def link_of(self, context: SpanContext | None) -> list[Link]:
        return [Link(context)] if context else []


class TracedStore:
    """Each unit that is saved. Everything else passes through."""

    def __init__(self, store: Store, spans: Spans) -> None:
        self._store, self._spans = store, spans
        self.queued: OrderedDict[str, SpanContext] = OrderedDict()  # message → the unit that brought it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save(self, change: Change) -> None:
        facts = tuple(dict.fromkeys(event.name for event in change.events))
        about: Attributes = {"unit.records": len(change.puts), "unit.facts": facts}
        with self._spans.span("save unit", attributes=about) as span:
            await self._store.save(change)
        for record in change.puts:
            if isinstance(record, OutboxMessage) and not record.version:
                self.queued[record.id] = span.get_span_context()
        while len(self.queued) > REMEMBERED:
            self.queued.popitem(last=False)


class TracedReceiver:
    """A turn, named after the route that it took."""

    def __init__(self, receiver: Receiver, spans: Spans) -> None:
        self._receiver, self._spans = receiver, spans

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        trigger = incoming.trigger.value
        with self._spans.span(f"turn {trigger}", attributes={"turn.trigger": trigger}) as span:
            try:
                return await self._receiver.receive(incoming, chat)
            finally:
                if route := structlog.contextvars.get_contextvars().get("route"):
                    span.update_name(f"turn {route}")
                    span.set_attribute("turn.route", route)


class TracedMessenger:
    """Calls to Teams. What goes over the wire carries the span's id: see `Traces.calls`."""

    def __init__(self, messenger: Messenger, spans: Spans) -> None:
        self._messenger, self._spans = messenger, spans

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        return await self._call("send", conversation, self._messenger.send(conversation, message, thread=thread))

    async def update(self, conversation: Conversation, activity_id: str, message: Message) -> None:
        await self._call("update", conversation, self._messenger.update(conversation, activity_id, message))

    async def delete(self, conversation: Conversation, activity_id: str) -> None:
        await self._call("delete", conversation, self._messenger.delete(conversation, activity_id))

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        return await self._call("open_chat", near, self._messenger.open_chat(near, teams_id))

    async def member(self, conversation: Conversation, teams_id: str) -> Member:
        return await self._call("member", conversation, self._messenger.member(conversation, teams_id))

    async def members(self, conversation: Conversation) -> Sequence[Member]:
        return await self._call("members", conversation, self._messenger.members(conversation))

    async def _call(self, name: str, place: Conversation, answer: Awaitable[T]) -> T:
        about = {"server.address": urlsplit(place.service_url).hostname or "", "chat.kind": place.kind.value}
        with self._spans.span(f"teams {name}", SpanKind.CLIENT, about):
            return await answer


class TracedProvider:
    """Questions to the identity provider."""

    def __init__(self, provider: IdentityProvider, spans: Spans) -> None:
        self._provider, self._spans = provider, spans

    async def begin(self) -> DeviceGrant:
        with self._spans.span("identity provider begin", SpanKind.CLIENT):
            return await self._provider.begin()

    async def redeem(self, device_code: str) -> Account:
        with self._spans.span("identity provider redeem", SpanKind.CLIENT):
            return await self._provider.redeem(device_code)


class Traces(Untraced):
    """One service's traces. From here on its store and its identity provider are traced."""

    def __init__(
        self,
        provisioning: Provisioning,
        endpoint: str,
        version: str,
        proxies: Sequence[Network] = (),
        exporter: SpanExporter | None = None,
    ) -> None:
        """endpoint: of the collector, without the path. proxies: whose `traceparent` is gone on with."""
        self._proxies = proxies
        about = {"service.name": PROJECT, "service.version": version, "service.instance.id": provisioning.instance}
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        wire = exporter or OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(Telling(wire, urlsplit(endpoint).netloc.rpartition("@")[2]))
        )
        self._spans = Spans(self._provider.get_tracer(PROJECT, version))
        self._store = TracedStore(provisioning.store, self._spans)
        provisioning.store = cast(Store, self._store)
        if provisioning.provider:
            provisioning.provider = TracedProvider(provisioning.provider, self._spans)

    def middlewares(self) -> list[Middleware]:
        return [self._request]

    def door(self, receiver: Receiver) -> Receiver:
        return TracedReceiver(receiver, self._spans)

    def messenger(self, messenger: Messenger) -> Messenger:
        return TracedMessenger(messenger, self._spans)

    def delivery(self, message: OutboxMessage) -> AbstractContextManager[None]:
        return self._delivery(message)

    @contextmanager
    def _delivery(self, message: OutboxMessage) -> Iterator[None]:
        links = self._spans.link_of(self._store.queued.get(message.id))
        about = {"message.kind": message.kind.value, "message.attempts": message.attempts}
        with self._spans.span(f"deliver {message.kind.value}", SpanKind.CONSUMER, about, links=links):
            yield

    def calls(self) -> list[aiohttp.TraceConfig]:
        async def carry(_session: object, _context: object, request: aiohttp.TraceRequestStartParams) -> None:
            HEADERS.inject(request.headers)

        config = aiohttp.TraceConfig()
        config.on_request_start.append(carry)
        return [config]

    @property
    def _request(self) -> Middleware:
        @web.middleware
        async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = template(request)
            if route in UNTRACED:
                return await handler(request)
            parent = HEADERS.extract(request.headers) if from_proxy(request, self._proxies) else None
            about = {"http.request.method": request.method, "http.route": route}
            with self._spans.span(f"{request.method} {route}".strip(), SpanKind.SERVER, about, context=parent) as span:
                structlog.contextvars.bind_contextvars(trace_id=f"{span.get_span_context().trace_id:032x}")
                try:
                    response = await handler(request)
                except web.HTTPException as refusal:
                    _answered(span, refusal.status)
                    raise
                _answered(span, response.status)
                return response

        return traced

    def contexts(self) -> Sequence[Context]:
        async def sent_in_the_end(_app: web.Application) -> AsyncIterator[None]:
            yield
            await self.close()

        return (sent_in_the_end,)

    async def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """What is left is sent, as far as that takes no longer. The thread that still tries ends with the process."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=flush, name="traces", daemon=True).start()
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            log.warning("the last traces were not taken")


def _answered(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= FAULT:
        span.set_status(StatusCode.ERROR)
