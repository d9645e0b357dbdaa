"""What local mode has beside the service: its page, the stand-in for Teams, the demo identity provider."""

from __future__ import annotations

from aiohttp import web

from bot.demo import page
from bot.demo.connector import LocalConnector
from bot.demo.people import LOCAL_ACCOUNTS, LOCAL_PEOPLE
from bot.demo.provider import DemoProvider
from bot.settings import Settings
from provisioning.service import Provisioning


def add_to(app: web.Application, settings: Settings, provisioning: Provisioning, port: int) -> None:
    """Adds their routes. `port` is the one that the application is served on."""
    if not settings.oidc_issuer:
        provider = DemoProvider(
            port,
            host=settings.host,
            organisation=settings.organisation,
            tenant_id=provisioning.policy.tenant,
            accounts=LOCAL_ACCOUNTS,
            now=provisioning.now,
        )
        app.add_routes(provider.routes())
    connector = LocalConnector()
    app.add_routes(page.routes(connector, organisation=settings.organisation, people=LOCAL_PEOPLE))
    app.on_shutdown.append(connector.close)
