"""Structured logs on stdout: JSON for machines, colours for a terminal; no bodies, no codes, no tokens.

What belongs together can be found together: a line carries the `request_id` of its HTTP request, the `activity_id` and
`route` of its turn, the `worker` it came from, the `message` of the outbox that it is about, and the `trace_id` where
there are traces.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Final

import structlog

from bot.redaction import Redaction

# Libraries that say too much below this level: whole requests with their bodies, a line for each table of a font.
QUIET: Final[Mapping[str, int]] = {
    "aiohttp.access": logging.WARNING,  # a request line may hold what nobody should log
    "fontTools": logging.WARNING,
    "fpdf": logging.WARNING,
    "matplotlib": logging.WARNING,
    "msrest": logging.INFO,
    "urllib3": logging.INFO,
    "opentelemetry": logging.CRITICAL,  # a line for each attempt: bot/tracing.py says it once
}

_redaction: Final = Redaction()  # of this process


def keep_out(*secrets: str) -> None:
    """These stand in no line from now on, whoever writes it."""
    _redaction.know(*secrets)


def configure(form: str, level: str, digits: int = 12) -> None:
    """`form` is `json` or `console`; the SDK's and aiohttp's own logs pass through the same end.

    `digits`: how long the codes are that no line may hold.
    """
    _redaction.codes_have(digits)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # the traceback that prints local variables would put codes and bodies into the log
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _redaction,
            console if form == "console" else structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # what is not told ends here: each request has a line for debugging, which took 8 µs to be thrown away
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )
