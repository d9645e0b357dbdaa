"""What the settings say, as the business sees it."""

from __future__ import annotations

from typing import Final

from bot.demo.people import LOCAL_DEVICE_MACS, LOCAL_TENANT
from bot.identity_discovery import entra_tenant
from bot.settings import Settings, load_webhooks
from provisioning.hours import Hours
from provisioning.service.unit import SAMPLES, Policy

LOCAL_PLACES: Final = ("Oslo/2/2.14", "Oslo/2/2.16", "Oslo/3/3.01")  # where the local page's devices stand as samples

FAILURES_A_DAY: Final = 172_800  # the fleet-wide budget twice, 2 × 600 in each 10 minutes (security.md)


def chance_a_try(digits: int) -> float:
    """How likely one try hits a code of this length: the last digit is a check digit, the others are random."""
    return float(10 ** (1 - digits))


def chance_a_day(digits: int) -> float:
    """How likely guessing succeeds within a day at the very most: every network and both budgets are counted."""
    return min(FAILURES_A_DAY * chance_a_try(digits), 1.0)


def policy_of(settings: Settings) -> Policy:
    return Policy(
        organisation=settings.organisation,
        tenant=settings.tenant_id or LOCAL_TENANT,
        admins=frozenset(settings.admins),
        code_digits=settings.code_digits,
        code_lifetime=settings.code_lifetime,
        keep_audit=settings.keep_audit,
        revoke_leavers=settings.leavers == "revoke",
        timezone=settings.timezone,
        hours=Hours(settings.morning, settings.quiet_hours, settings.workdays),
        teams_accounts=bool(entra_tenant(settings.oidc_issuer)),
        offline_after=settings.offline_after,
        stale_after=settings.stale_after,
        trusted_networks=settings.trusted_networks,
        any_tenant=settings.local and not settings.tenant_id,
        samples=tuple(zip(LOCAL_DEVICE_MACS, LOCAL_PLACES, strict=True)) if settings.local else SAMPLES,
        invite_link="" if settings.local else f"https://teams.microsoft.com/l/app/{settings.client_id}",
        chat_link="" if settings.local else f"https://teams.microsoft.com/l/chat/0/0?users=28:{settings.client_id}",
        webhooks=load_webhooks(settings),
        admin_groups=frozenset(settings.admin_groups),
        technician_groups=frozenset(settings.technician_groups),
    )
