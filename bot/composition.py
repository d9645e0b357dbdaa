"""What a service is put together from: settings, a store and a clock become the business and its doors.

The store is opened by whoever starts the service (app.py), for doors know no store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from aiohttp import TraceConfig, web
from aiohttp.typedefs import Middleware

from bot import correlation, doors, logs, webhooks, workers
from bot.adapter import Adapter
from bot.adapter_trust import ScopedToken
from bot.clock_check import ClockCheck, Witness, web_server
from bot.clouds import CLOUDS
from bot.credentials import Credentials
from bot.demo.provider import DEMO_CLIENT_ID, issuer
from bot.directory import GraphDirectory
from bot.door import Door
from bot.file_hosts import FileHosts
from bot.files import Files
from bot.handing import Handing
from bot.handlers import all_routes
from bot.identity import OpenIdProvider
from bot.jobs import JOBS, Jobs
from bot.key_file import BadKeyFile
from bot.key_watch import tell_missing_keys, watch_keys
from bot.limits import local_guard
from bot.measuring import Measures
from bot.messenger import TeamsMessenger
from bot.operations import Check, project_version
from bot.policy import policy_of
from bot.problems import problems
from bot.redaction import secrets_of
from bot.relay import Relay
from bot.settings import MANAGED_IDENTITY, Settings, load_keys
from bot.sign_in_polls import SignInPolls
from bot.teams_bot import TeamsBot
from bot.untraced import Untraced
from provisioning.codes import Keyring
from provisioning.pacing import Pacing, unlimited
from provisioning.ports import Clock, IdentityProvider, Store
from provisioning.service import Provisioning
from provisioning.texts import _

BODY_LIMIT: Final = 256 * 1024  # bytes of any request; each door has its own below that

Handler = Callable[[web.Request], Awaitable[web.Response]]


class CannotStart(Exception):
    """One line for whoever starts the service; the process exits with 2."""


def build_provisioning(
    settings: Settings, store: Store, clock: Clock, provider: IdentityProvider | None = None
) -> Provisioning:
    """The business. Errors: `CannotStart` where its keys cannot be read."""
    try:
        loaded = load_keys(settings)
    except (BadKeyFile, OSError) as fault:
        raise CannotStart(f"CODE_KEY_FILE: {fault}") from None
    policy = policy_of(settings)
    logs.keep_out(*secrets_of(settings, loaded, policy.webhooks))
    return Provisioning(store, clock, Keyring(loaded), policy, provider)


def build_provider(settings: Settings, clock: Clock, port: int) -> OpenIdProvider:
    """Whom devices' accounts are signed in with: the configured provider, or the demo one on our own port."""
    demo = not settings.oidc_issuer
    return OpenIdProvider(
        issuer(port, settings.host) if demo else settings.oidc_issuer,
        DEMO_CLIENT_ID if demo else settings.oidc_client_id,
        "" if demo else settings.oidc_client_secret.get_secret_value(),
        tenant=settings.tenant_id,
        local=settings.local,
        now=clock.now,
    )


def build_traces(settings: Settings, provisioning: Provisioning) -> Untraced:
    """Traces where a collector is configured, and else nothing of them."""
    if not settings.otel_exporter_otlp_endpoint:
        return Untraced()
    from bot.tracing import Traces  # loads the SDK

    endpoint, proxies = settings.otel_exporter_otlp_endpoint, settings.trusted_proxies
    return Traces(provisioning, endpoint, project_version(), proxies)


def build_adapter(settings: Settings, calls: Sequence[TraceConfig] = ()) -> Adapter:
    """Teams' door. Local mode has no credentials and checks nobody. calls: as for `Adapter`."""
    credentials = Credentials(
        settings.client_id,
        settings.client_secret.get_secret_value(),
        settings.tenant_id,
        settings.client_certificate_file,
        managed=settings.app_type == MANAGED_IDENTITY,
    )
    return Adapter(
        None if settings.local else credentials,
        allowed_service_hosts=settings.allowed_service_hosts,
        cloud=CLOUDS[settings.channel_service],
        calls=calls,
    )


def build_clock_check(settings: Settings, database: Witness, clock: Clock) -> ClockCheck:
    """This machine's clock, beside those of the database and, outside local mode, of whoever signs Teams' tokens."""
    witnesses = {_("the database"): database} if settings.store_url.startswith("postgres") else {}
    if not settings.local:
        url = CLOUDS[settings.channel_service].openid_url
        witnesses[urlsplit(url).netloc] = web_server(url)
    return ClockCheck(clock, witnesses)


def build_directory(settings: Settings, adapter: Adapter) -> GraphDirectory | None:
    """Whom roles by Entra groups are asked of; nobody in local mode, which has no credentials."""
    if adapter.tokens is None:
        return None
    url = CLOUDS[settings.channel_service].graph
    return GraphDirectory(url, ScopedToken(adapter.tokens, url), adapter.session)


def compose(settings: Settings, provisioning: Provisioning, port: int, checks: Sequence[Check] = ()) -> web.Application:
    """Every door on one application; `port` is the one it is served on. `checks`: what else has to be well."""
    measures, pacing = Measures(provisioning, about(settings)), build_pacing(settings)
    traces = build_traces(settings, provisioning)
    adapter = build_adapter(settings, traces.calls())
    provisioning.directory = build_directory(settings, adapter) or provisioning.directory
    teams = traces.messenger(TeamsMessenger(adapter.connectors, pacing))
    routes, files = all_routes(), build_files(settings, adapter)
    messenger, jobs = measures.in_turn(teams), Jobs(provisioning, files, settings.store_url)
    door = Door(provisioning, messenger, routes, jobs, Handing(messenger, files))
    bot = TeamsBot(measures.door(traces.door(door)), messenger, local=settings.local)

    app = web.Application(middlewares=middlewares(settings, port, measures, traces), client_max_size=BODY_LIMIT)
    app.on_response_prepare.append(correlation.told)
    app[JOBS] = jobs
    app.on_cleanup.append(jobs.drawings.close)
    app.router.add_post("/api/messages", activities(adapter, bot))
    doors.add_to(app, settings, provisioning, measures, [provisioning.faults, *checks])
    if settings.local:
        from bot.demo import local  # a page that nobody sees elsewhere

        local.add_to(app, settings, provisioning, port)
    outbox, around = measures.in_the_outbox(teams), traces.delivery
    relay = Relay(provisioning, outbox, routes, pacing, drawings=jobs.drawings, around=around)
    loops = workers.of(provisioning, relay, jobs, SignInPolls(provisioning), webhooks.add_to(app, provisioning, around))
    keys = partial(watch_keys, provisioning, settings.code_key_file)
    missing = partial(tell_missing_keys, provisioning)
    tokens = {"tokens": partial(adapter.tokens.keep_fresh, asyncio.sleep)} if adapter.tokens else {}
    beside = workers.beside(loop_lag=measures.loop_lag, keys=keys, missing_keys=missing, **tokens)
    app.cleanup_ctx.extend([*traces.contexts(), open_until_the_end(adapter), *loops, beside])
    return app


def middlewares(settings: Settings, port: int, measures: Measures, traces: Untraced) -> list[Middleware]:
    """What every request passes, from the outside in."""
    counted = correlation.correlated(measures.metrics, settings.trusted_proxies)
    return [counted, *traces.middlewares(), *([local_guard(port)] if settings.local else []), problems]


def about(settings: Settings) -> dict[str, str]:
    """What runs here, for `build_info`."""
    return {
        "version": project_version(),
        "store": settings.store_url.partition(":")[0],
        "mode": "local" if settings.local else "teams",
    }


def build_pacing(settings: Settings) -> Pacing:
    """Teams' limits; the clients that local mode talks to have none. A clock that is set back changes nothing there."""
    return unlimited(time.monotonic) if settings.local else Pacing(time.monotonic)


def build_files(settings: Settings, adapter: Adapter) -> Files:
    """The way of files in and out, and of pictures: to the hosts of the service alone the bot's token goes along."""
    return Files(
        settings.allowed_file_hosts,
        local=settings.local,
        limit=settings.file_limit,
        service=FileHosts(settings.allowed_service_hosts, local=False),
        token=adapter.token,
    )


def activities(adapter: Adapter, bot: TeamsBot) -> Handler:
    """What Teams posts."""

    async def messages(request: web.Request) -> web.Response:
        return await adapter.process(request, bot)

    return messages


def open_until_the_end(adapter: Adapter) -> workers.Context:
    async def context(_app: web.Application) -> AsyncIterator[None]:
        yield
        await adapter.close()

    return context
