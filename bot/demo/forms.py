"""Forms as browsers and OAuth clients post them: small, whole, and every field once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from bot.limits import read_body

FORM: Final = "application/x-www-form-urlencoded"
FORM_BYTES: Final = 8 * 1024
FIELDS: Final = 32


class NotAForm(ValueError):
    """The body is no form, names a field twice, or has too many."""


async def read_form(request: web.Request) -> Mapping[str, str]:
    """The fields that have a value: one without is left out (RFC 6749, 3.1).

    Errors: `NotAForm`, and what `read_body` refuses.
    """
    if len(request.headers.getall(hdrs.CONTENT_TYPE, ())) != 1 or request.content_type != FORM:
        raise NotAForm
    body = await read_body(request, FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
    except ValueError as wrong:  # not UTF-8, or too many
        raise NotAForm from wrong
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise NotAForm
    return {name: value for name, value in fields.items() if value}
