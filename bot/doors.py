"""The HTTP doors beside Teams': for devices, and for whoever runs the service."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from bot import device_api, event_feed, operations
from bot.diagnosing import DIAGNOSES, Diagnoses
from bot.measuring import Measures
from bot.settings import Settings
from provisioning.service import Provisioning


def add_to(
    app: web.Application,
    settings: Settings,
    provisioning: Provisioning,
    measures: Measures,
    checks: Sequence[operations.Check],
) -> None:
    """Device API, events, health, version, metrics. The service is ready where none of `checks` finds a fault."""
    app[DIAGNOSES] = Diagnoses(provisioning.diagnose)
    app.on_cleanup.append(app[DIAGNOSES].close)
    devices = measures.devices(provisioning)
    app.add_routes(device_api.routes(devices, trusted_proxies=settings.trusted_proxies, diagnoses=app[DIAGNOSES]))
    app.add_routes(event_feed.routes(provisioning, settings.events_token.get_secret_value()))
    ready = operations.every(checks)
    app.add_routes(operations.routes(ready, operations.project_version()))
    app.router.add_get("/metrics", measures.page(settings.trusted_networks, settings.trusted_proxies, ready).answer)
