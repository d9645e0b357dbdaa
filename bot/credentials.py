"""How the bot shows who it is where it asks for tokens: a secret, a certificate, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.adapter_trust import ClientCredentials, Grants, Sessions
from bot.certificate import CertificateProof
from bot.clouds import Cloud
from bot.managed_identity import ManagedIdentity


@dataclass(frozen=True, slots=True)
class Credentials:
    """The bot's registration in the one tenant that may write to it.

    Of `managed`, `certificate` and `password` the first that is set counts.
    """

    app_id: str
    password: str = field(repr=False)
    tenant_id: str
    certificate: Path | None = None  # a PEM file with its key
    managed: bool = False  # by the managed identity of the machine

    def grants(self, cloud: Cloud, sessions: Sessions) -> Grants:
        """Where its tokens come from."""
        if self.managed:
            return ManagedIdentity(self.app_id, sessions)
        url = cloud.token_url(self.tenant_id)
        proof = CertificateProof(self.certificate, self.app_id, url) if self.certificate else self._secret
        return ClientCredentials(url, self.app_id, proof, sessions)

    async def _secret(self) -> Mapping[str, str]:
        return {"client_secret": self.password}
