"""Facts about webhooks."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookReplayed(Event):
    """Events that an endpoint did not take are sent to it again. The subject is the endpoint's name."""

    count: int
