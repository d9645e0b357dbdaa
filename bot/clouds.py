"""The clouds a bot can live in: who signs what Teams posts, and who gives the bot its own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cloud:
    """Addresses of one cloud; a local one in tests has its own."""

    issuer: str  # of inbound tokens
    openid_url: str  # where that issuer says which keys it signs with
    scope: str  # of the connector that the bot sends to
    login: str  # Entra's address
    graph: str = ""  # of Microsoft Graph, which knows who is in which group

    def token_url(self, tenant: str) -> str:
        return f"{self.login}/{tenant}/oauth2/v2.0/token"

    def oidc_issuer(self, tenant: str) -> str:
        """Who signs in the accounts of a tenant."""
        return f"{self.login}/{tenant}/v2.0"


PUBLIC: Final = Cloud(
    issuer="https://api.botframework.com",
    openid_url="https://login.botframework.com/v1/.well-known/openidconfiguration",
    scope="https://api.botframework.com",
    login="https://login.microsoftonline.com",
    graph="https://graph.microsoft.com",
)
US_GOVERNMENT: Final = Cloud(  # GCC High and DoD; GCC lives in the public cloud
    issuer="https://api.botframework.us",
    openid_url="https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
    scope="https://api.botframework.us",
    login="https://login.microsoftonline.us",
    graph="https://graph.microsoft.us",  # of GCC High
)

# By the name that the Bot Framework's setting ChannelService has for it; the public one has none.
CLOUDS: Final[Mapping[str, Cloud]] = {"": PUBLIC, "https://botframework.azure.us": US_GOVERNMENT}
