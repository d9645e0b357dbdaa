"""The dashboard and the alert rules as files, and the names in their expressions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Histogram

from bot.metrics import METRICS, PREFIX

HOUSE = Path(__file__).parents[1]
DASHBOARD = HOUSE / "deploy/grafana/provisioning-bot.json"
ALERTS = HOUSE / "deploy/prometheus/alerts.yml"
ALERTS_TEST = HOUSE / "deploy/prometheus/alerts_test.yml"
OTHERS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}  # of the Python client
_NAME = re.compile(r"\b(?:provisioning|process)_[a-z_]+")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def shown() -> Iterator[tuple[str, str]]:
    """Title of a panel, and an expression of it."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def expressions() -> list[str]:
    return [*(expr for _title, expr in shown()), *(rule["expr"] for rule in rules())]


def names(expression: str) -> set[str]:
    """The metrics in it."""
    return set(_NAME.findall(expression))


def known() -> set[str]:
    """Every name that the service's page has."""
    found = set(OTHERS)
    for metric in METRICS:
        endings = ("_bucket", "_count", "_sum") if metric.kind is Histogram else ("",)
        found |= {PREFIX + metric.name + ending for ending in endings}
    return found
