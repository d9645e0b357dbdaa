"""schemathesis against the running service, by the document that it serves: examples, edges, anything at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import requests
import schemathesis
from schemathesis import Case, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.contract.service import EVENTS_TOKEN, Served

POLL: Final = 0.05  # seconds: long polls are tried elsewhere, here they are asked for and cut short
# A code of the right form is hardly ever the right one.
REFUSED: Final = ["2xx", "401", "403", "404", "409", "410", "413", "422"]

REJECTED: Final = ["400", "401", "403", "404", "405", "413", "415", "422"]


@dataclass
class Played:
    """What came of it: every finding once, and how often each call was answered with each status."""

    findings: dict[str, str] = field(default_factory=dict)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)


def document(service: Served) -> dict[str, Any]:
    """What the service says of itself."""
    with requests.get(f"{service.url}/openapi.json", timeout=10) as answer:
        described: dict[str, Any] = answer.json()
    return described


def play(service: Served, described: dict[str, Any], *, seed: int, examples: int) -> Played:
    """Every call as the document has it, with all of schemathesis' checks; the same requests for the same seed."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": service.url,
            "continue-on-failure": True,
            "request-timeout": 10,
            "generation": {"max-examples": examples, "no-shrink": True},
            "phases": {"stateful": {"enabled": False}},
            "checks": {
                "positive_data_acceptance": {"expected-statuses": REFUSED},
                "negative_data_rejection": {"expected-statuses": REJECTED},
            },
        }
    )
    schema = schemathesis.openapi.from_dict(described, config=config)
    _with_tokens(schema, service)
    played = Played()
    before_call = _as_a_device(service)
    hooks.GLOBAL_HOOK_DISPATCHER.register_hook_with_name(before_call, "before_call")
    try:
        for event in from_schema(schema).execute():
            _note(event, played)
    finally:
        hooks.GLOBAL_HOOK_DISPATCHER.unregister(before_call)
    return played


def _with_tokens(schema: Any, service: Served) -> None:
    """A token for each call, for a reset ends the one before."""

    class Tokens:
        def get(self, case: Case, context: Any) -> str:
            return EVENTS_TOKEN if case.operation.path == "/api/v1/events" else service.token()

        def set(self, case: Case, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    schema.auth.auth(refresh_interval=None)(Tokens)


def _as_a_device(service: Served) -> Any:
    """What no document can say: each call comes from another network, polls are short, and of the texts that were made
    up, every third is a code or an id that is the right one.
    """
    turns = count()

    def before_call(context: Any, case: Case, kwargs: dict[str, Any]) -> None:
        case.headers["X-Forwarded-For"] = service.source()
        if isinstance(case.query, dict) and isinstance(case.query.get("wait"), int | float):
            case.query["wait"] = min(case.query["wait"], POLL)
        if next(turns) % 3:
            return
        if case.operation.path == "/api/v1/provision" and isinstance(case.body, dict):
            for name, value in service.device().items():
                if name in case.body and isinstance(case.body[name], str):
                    case.body[name] = value
        if "id" in (case.path_parameters or {}):
            case.path_parameters["id"] = service.command()

    return before_call


def _note(event: Any, played: Played) -> None:
    if isinstance(event, events.NonFatalError | events.FatalError):
        error = getattr(event, "value", None) or getattr(event, "exception", None)
        played.findings[f"{getattr(event, 'label', '')}: {error!r}"] = ""
    if not isinstance(event, events.ScenarioFinished):
        return
    for interaction in event.recorder.interactions.values():
        if interaction.response is not None:
            played.answers[event.recorder.label, interaction.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                title = f"{event.recorder.label}: {check.name}: {failure.title}: {failure.message}"
                played.findings.setdefault(title[:400], check.failure_info.code_sample)
