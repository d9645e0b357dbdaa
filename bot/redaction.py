"""The last resort before a log line is written: what looks like a secret is masked, wherever it stands.

No line should hold one in the first place. But libraries log what they like, and an exception may repeat what it was
given; so every string of every event passes through here, that of a traceback included.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr
from stdnum import damm

if TYPE_CHECKING:
    from bot.settings import Settings
    from provisioning.codes import Key
    from provisioning.webhooks import Endpoint

MASK: Final = "••••"
SHORTEST: Final = 8  # characters of a known secret that is looked for: shorter ones stand in ordinary words
LONGEST_HEADER: Final = 1024  # characters of a token's first part: where it ends is looked for at every "eyJ" of a line
DEEPEST: Final = 6  # levels of nesting that are walked; below that there is the mask alone
TRUSTED: Final = frozenset({"timestamp", "level"})  # what the chain itself puts in
NAMED: Final = (
    r"(?:access|refresh|id|device)?_?token|password|passwd|(?:client_|webhook_)?secret|assertion|authorization|"
    r"(?:user|device|activation|verification)_?code"
)

_SECRET_KEY: Final = re.compile(rf"(?:{NAMED}|(?:set-)?cookie|x-api-key|body)", re.IGNORECASE)
_PATTERNS: Final = (
    # JSON Web Tokens (RFC 7519), also those without a signature; of a header that is longer only the claims are masked
    (re.compile(rf"eyJ[A-Za-z0-9_-]{{6,{LONGEST_HEADER}}}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"), MASK),
    # what an Authorization header holds (RFC 9110, 11.4); a colon only where somebody logged the header whole
    (re.compile(r"(?i)\b(bearer|basic)[ :]+[A-Za-z0-9._~+/-]{6,}=*"), rf"\1 {MASK}"),
    # userinfo in an address (RFC 3986, 3.2.1)
    (re.compile(r"://[^\s/?#@'\"]*(?:/[^\s/?#@'\"]*)?@"), f"://{MASK}@"),
    # secrets of Standard Webhooks
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]{8,}"), MASK),
    # name=value, "name": "value", 'name': 'value', as forms, JSON and reprs have it
    (
        re.compile(rf"(?i)\b((?:{NAMED})[\"']?\s*[=:]\s*(?:[A-Za-z]+\()?[\"']?)([^\s\"'&,;)}}\]]{{4,}})"),
        rf"\1{MASK}",
    ),
    # 256 random bits in base64url or hex: a device's token, a key
    (re.compile(r"(?<![A-Za-z0-9_/+-])(?:[A-Za-z0-9_/+-]{43}=?|[0-9a-fA-F]{64})(?![A-Za-z0-9_/+=-])"), MASK),
)

Event = MutableMapping[str, Any]


class Redaction:
    """Masks codes, tokens and known secrets in an event of structlog; MACs stay.

    `digits`: how long this service's codes are. Whatever has that many digits, grouped or not, and the right check
    digit is taken for one; so one in ten other numbers of that length is masked as well.
    """

    def __init__(self, digits: int = 12, secrets: Collection[str] = ()) -> None:
        self._secrets: dict[str, None] = {}
        self.codes_have(digits)
        self.know(*secrets)

    def codes_have(self, digits: int) -> None:
        # from the start of a run of digits, up to four signs between two of them, and to the end of a run
        self._code = re.compile(rf"(?<!\d)(?=(\d(?:[\s\-._,/'\"\u200b\u2060]{{0,4}}\d){{{digits - 1}}})(?!\d))")

    def know(self, *secrets: str) -> None:
        """From now on these are masked as well, also where they are written for an address or in base64."""
        for secret in secrets:
            if len(secret) >= SHORTEST:
                coded = base64.b64encode(secret.encode()).decode().rstrip("=")
                self._secrets |= dict.fromkeys((secret, quote(secret, safe=""), coded))

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        """A processor of structlog; it stands right before the one that renders."""
        for key in list(event):
            if key not in TRUSTED:
                event[key] = self._value(event[key], key)
        return event

    def text(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        for pattern, masked in _PATTERNS:
            text = pattern.sub(masked, text)
        return self._without_codes(text)

    def _without_codes(self, text: str) -> str:
        shown, done = "", 0
        for found in self._code.finditer(text):
            if found.start() >= done and _is_code(found[1]):
                shown, done = f"{shown}{text[done : found.start()]}{MASK}", found.end(1)
        return shown + text[done:]

    def _value(self, value: Any, key: str = "", depth: int = 0) -> Any:
        if value is None or isinstance(value, bool | float):
            return value
        if key and _SECRET_KEY.fullmatch(key):
            return MASK
        if isinstance(value, int):
            return value if self.text(shown := str(value)) == shown else MASK
        if depth >= DEEPEST:
            return MASK
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._value(part, str(name), depth + 1) for name, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(part, "", depth + 1) for part in value]
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode(errors="replace"))
        return self.text(value if isinstance(value, str) else repr(value))


def _is_code(shown: str) -> bool:
    """The check digit is right, and it is no IPv4 address, which has up to twelve digits as well."""
    if not damm.is_valid("".join(filter(str.isdecimal, shown))):
        return False
    try:
        ip_address(shown)
    except ValueError:
        return True
    return False


def secrets_of(settings: Settings, keys: Sequence[Key] = (), endpoints: Sequence[Endpoint] = ()) -> Iterator[str]:
    """What no line may hold of what was configured: secrets, keys, passwords, and the rest of webhooks' addresses."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
    for key in (*settings.code_keys, *keys):
        yield from notations(key.secret)
    for endpoint in endpoints:
        yield endpoint.url.partition(endpoint.host)[2]
        for secret in endpoint.secrets:
            yield from notations(secret)
    store = urlsplit(settings.store_url)
    asked = [
        value for name, _is, value in (part.partition("=") for part in store.query.split("&")) if "password" in name
    ]
    for password in filter(None, (store.password, *asked)):  # libpq takes it in either place
        yield from (password, unquote(password))


def notations(key: bytes) -> tuple[str, ...]:
    """Octets as people write them: base64 in both alphabets, and hex."""
    plain, in_addresses = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
    return (plain, plain.rstrip("="), in_addresses, in_addresses.rstrip("="), key.hex())
