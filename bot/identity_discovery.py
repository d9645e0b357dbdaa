"""What the identity provider publishes about itself, read strictly (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from bot.identity_tokens import ALGORITHMS
from bot.loopback import is_loopback_name
from provisioning.provider_errors import DiscoveryWrong, NoDeviceFlow

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628, 3.4
WELL_KNOWN: Final = "/.well-known/openid-configuration"
ENTRA_HOSTS: Final = frozenset(
    {"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}
)
TEMPLATE: Final = "{tenantid}"  # Entra's word for "the tenant of whoever signs in", under `common` and the like
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_ENTRA_PATH: Final = re.compile(r"/([^/]+)(/v2\.0/?)")
_HOST: Final = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+", re.I)
_PRINTED: Final = re.compile(r"[!-\[\]-~]{1,2048}")  # no space, no backslash


@dataclass(frozen=True, slots=True)
class Description:
    """The provider as far as this service needs it; every address was checked."""

    issuer: str  # as its ID tokens have to spell it
    device_endpoint: str
    token_endpoint: str
    jwks_uri: str
    algorithms: frozenset[str]  # of ID tokens: those it names and we accept
    secret_in_form: bool  # it takes a client's secret in the form and not in the header


def sound_url(text: object, *, local: bool) -> bool:
    """https, or http on `localhost` and literal loopback addresses where `local`; without a user part."""
    if not isinstance(text, str) or not _PRINTED.fullmatch(text):
        return False
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        return False
    if "@" in url.netloc or port == 0 or not _HOST.fullmatch(host):
        return False
    return url.scheme == "https" or (url.scheme == "http" and local and is_loopback_name(host))


def entra_tenant(issuer: str) -> str:
    """Of an Entra issuer its tenant: an id, a domain name, a word such as `common`. Empty for any other provider."""
    url = urlsplit(issuer)
    path = _ENTRA_PATH.fullmatch(url.path)
    return path[1] if path and url.scheme == "https" and url.netloc.lower() in ENTRA_HOSTS else ""


def is_guid(text: str) -> bool:
    return bool(_GUID.fullmatch(text))


def expected_issuer(configured: str, published: object, tenant: str = "") -> str:
    """The issuer that ID tokens have to name. Errors: `DiscoveryWrong`.

    It is the configured one, character by character (OpenID Connect Discovery 1.0, 4.3), but for a slash at its end,
    which is easily left out. Entra alone may name the tenant's id where a domain name was configured, or leave the
    place open, which the configured `tenant` id fills.
    """
    ours = entra_tenant(configured)
    if ours and isinstance(published, str):
        place = published.replace(TEMPLATE, tenant) if is_guid(tenant) else published
        theirs = entra_tenant(place)
        named = "." in ours or (TEMPLATE in published and not is_guid(ours))
        same = ours.casefold() == theirs.casefold() or named
        if is_guid(theirs) and same and place == configured.replace(f"/{ours}/", f"/{theirs}/", 1):
            return place
    elif isinstance(published, str) and published in (configured, f"{configured}/"):
        return published
    raise DiscoveryWrong("issuer")


def read_description(document: Mapping[str, Any], configured: str, tenant: str, *, local: bool) -> Description:
    """Errors: `DiscoveryWrong` with the name of what is wrong; `NoDeviceFlow` (RFC 8628, 4; RFC 8414, 2)."""
    issuer = expected_issuer(configured, document.get("issuer"), tenant)
    if not sound_url(configured, local=local):
        raise DiscoveryWrong("issuer")
    grants = _words(document, "grant_types_supported")
    if not document.get("device_authorization_endpoint") or (grants is not None and DEVICE_CODE not in grants):
        raise NoDeviceFlow
    for name in ("device_authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not sound_url(document.get(name), local=local):
            raise DiscoveryWrong(name)
    listed = _words(document, "id_token_signing_alg_values_supported")
    algorithms = frozenset(ALGORITHMS if listed is None else ALGORITHMS.keys() & listed)
    if not algorithms:
        raise DiscoveryWrong("id_token_signing_alg_values_supported")
    methods = _words(document, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Description(
        issuer=issuer,
        device_endpoint=document["device_authorization_endpoint"],
        token_endpoint=document["token_endpoint"],
        jwks_uri=document["jwks_uri"],
        algorithms=algorithms,
        secret_in_form="client_secret_post" in methods and "client_secret_basic" not in methods,
    )


def _words(document: Mapping[str, Any], name: str) -> list[str] | None:
    """A list of words; None where the provider says nothing."""
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise DiscoveryWrong(name)
    return value
