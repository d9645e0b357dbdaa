"""The file of webhook endpoints: one a line, `name URL secret`, as WEBHOOKS_FILE names it."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bot.loopback import is_loopback_name
from bot.private_files import read_private
from provisioning.cloudevents import PREFIX, PUBLISHED
from provisioning.texts import _
from provisioning.webhooks import Endpoint

MAX_FILE: Final = 64 * 1024
SHORTEST, LONGEST = 24, 64  # bytes of a secret (Standard Webhooks 1.0, "Symmetric signatures")
TYPES: Final = "types="
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
_MARK: Final = "whsec_"  # of a secret
_WORDS: Final = frozenset({"again"})  # would read as a part of a command
_REMARK: Final = re.compile(r"(^|\s)#.*")  # a # within a URL is no remark, and refused there


class BadWebhookFile(ValueError):
    """A file of endpoints that cannot be used; the text says where and what to do, and shows no secret."""


def read_webhook_file(path: Path, *, local: bool) -> tuple[Endpoint, ...]:
    """Errors: `BadWebhookFile`, also where others can get at its secrets."""
    try:
        return read_endpoints(read_private(path, MAX_FILE).decode("utf-8-sig"), local=local)
    except UnicodeDecodeError:
        raise BadWebhookFile(
            _("{path} is not text. Put name, URL and secret into it, a line each.", path=path)
        ) from None
    except ValueError as bad:
        raise BadWebhookFile(_("{path}: {reason}", path=path, reason=bad)) from None
    except FileNotFoundError:
        raise BadWebhookFile(_("{path} does not exist. Restore it, or correct the path.", path=path)) from None
    except OSError as bad:
        raise BadWebhookFile(_("{path} cannot be read: {reason}.", path=path, reason=bad.strerror)) from None


def read_endpoints(text: str, *, local: bool) -> tuple[Endpoint, ...]:
    """`name URL secret [secret …] [types=type,…]`; `#` begins a remark. Errors: `ValueError`, without the secret.

    local: http is fine where it never leaves this computer.
    """
    found: dict[str, Endpoint] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = _REMARK.sub("", line).split()
        if not words:
            continue
        endpoint = _endpoint(words, number, local=local)
        if endpoint.name in found:
            raise ValueError(_("line {number}: {name} stands there twice.", number=number, name=endpoint.name))
        found[endpoint.name] = endpoint
    return tuple(found.values())


def _endpoint(words: list[str], number: int, *, local: bool) -> Endpoint:
    types = [word for word in words if word.startswith(TYPES)]
    name, url, *secrets = [*(word for word in words if not word.startswith(TYPES)), "", ""][: len(words) + 2]
    if not _NAME.fullmatch(name) or name in _WORDS:
        raise ValueError(
            _("line {number}: it begins with a name of at most 20 small letters, digits and dashes.", number=number)
        )
    if not _is_fine(url, local=local):
        raise ValueError(
            _("line {number}: behind {name} stands no https URL, without user and fragment.", number=number, name=name)
        )
    keys = tuple(_key(secret) for secret in filter(None, secrets))
    if not keys or None in keys:
        raise ValueError(
            _(
                "line {number}: {name} needs a secret, whsec_ and 24 to 64 bytes in base64: "
                'echo "whsec_$(openssl rand -base64 32)".',
                number=number,
                name=name,
            )
        )
    return Endpoint(name, url, tuple(key for key in keys if key), _types(types, number))


def _is_fine(text: str, *, local: bool) -> bool:
    try:
        url = urlsplit(text)
        odd = url.fragment or "#" in text or url.username is not None or url.password is not None or url.port == 0
        (url.hostname or "").encode("idna")  # what no name server can be asked for
    except ValueError:
        return False
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    near = local and url.scheme == "http" and is_loopback_name(host)
    return bool(host) and not odd and text.isascii() and text.isprintable() and (url.scheme == "https" or near)


def _key(word: str) -> bytes | None:
    if not word.startswith(_MARK):
        return None
    try:
        key = b64decode(word.removeprefix(_MARK), validate=True)
    except (NotBase64, ValueError):
        return None
    return key if SHORTEST <= len(key) <= LONGEST else None


def _types(words: list[str], number: int) -> tuple[str, ...]:
    """Each has to be a type there is, or the beginning of one: a misspelt one would wait for ever."""
    wanted = [type_ for word in words for type_ in word.removeprefix(TYPES).split(",") if type_]
    known = [PREFIX + type_ for type_, _fields in PUBLISHED.values()]
    for type_ in wanted:
        if not any(each == type_ or each.startswith(f"{type_}.") for each in known):
            raise ValueError(
                _(
                    'line {number}: there are no events "{type}". Write types like provisioning.device, or {example}.',
                    number=number,
                    type=type_,
                    example=known[0],
                )
            )
    return tuple(wanted)
