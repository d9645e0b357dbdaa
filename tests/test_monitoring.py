"""Dashboard and alert rules: sound as files, about metrics that there are. A real Prometheus: tests/e2e."""

import re
from itertools import combinations, count
from pathlib import Path

import pytest
import yaml

from bot.metrics import METRICS, PREFIX
from tests.monitoring import ALERTS, ALERTS_TEST, dashboard, expressions, known, names, rules, shown

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PANELS = dashboard()["panels"]
KINDS = {"row", "stat", "timeseries", "table"}  # panels of Grafana itself: no plugin is needed


# ------------------------------------------------------------------ the dashboard


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    board = dashboard()
    assert board["title"] and re.fullmatch("[a-z-]{1,40}", board["uid"]) and board["schemaVersion"] >= 36
    assert "id" not in board, "a number of the Grafana it was made in"
    (source,) = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_whole(panel) -> None:
    assert panel["type"] in KINDS and panel["title"]
    place = panel["gridPos"]
    assert place["w"] >= 1 and place["h"] >= 1 and place["x"] >= 0 and place["y"] >= 0 and place["x"] + place["w"] <= 24
    if panel["type"] == "row":
        assert (place["w"], place["h"], panel["panels"]) == (24, 1, [])
        return
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"] and panel["fieldConfig"]["defaults"]["unit"]
    for letter, target in zip("ABCDEFGH", panel["targets"], strict=False):
        assert target["refId"] == letter and target["datasource"] == panel["datasource"]
        assert names(target["expr"]) and names(target["expr"]) <= known()


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    cells = [
        {
            (x, y)
            for x, _ in zip(count(at["x"]), range(at["w"]), strict=False)
            for y in range(at["y"], at["y"] + at["h"])
        }
        for at in (panel["gridPos"] for panel in PANELS)
    ]
    assert not [1 for one, other in combinations(cells, 2) if one & other]


def test_it_has_a_row_for_each_part() -> None:
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows == ["Now", "Devices and tries", "Teams", "Outbox", "Sign-ins", "Store", "Process"]


def test_every_metric_is_shown() -> None:
    used = set().union(*(names(expression) for _title, expression in shown()))
    bare = {re.sub("_(bucket|count|sum)$", "", name) for name in used}
    assert {PREFIX + metric.name for metric in METRICS} <= bare


def test_rates_are_taken_over_what_grafana_scrapes() -> None:
    for title, expression in shown():
        for window in re.findall(r"\[(.*?)\]", expression):
            assert window in ("$__rate_interval", "1d"), title


# ------------------------------------------------------------------ the alert rules


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule) -> None:
    assert re.fullmatch("Provisioning([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].endswith(".")
    assert names(rule["expr"]) and names(rule["expr"]) <= known()
    file, _hash, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall("^#+ (.+)$", README, re.MULTILINE)}
    assert file == "README.md" and anchor in headings
    (line,) = re.findall(rf"^\| `{rule['alert']}` \|(.+)\|$", README, re.MULTILINE)
    assert len(line) > 20, "what to do"


def test_readme_lists_no_other_alert() -> None:
    assert sorted(re.findall(r"^\| `(Provisioning\w+)` \|", README, re.MULTILINE)) == sorted(
        r["alert"] for r in rules()
    )


def test_every_alert_is_tried_and_names_no_series_that_there_is_not() -> None:
    tests = yaml.safe_load(ALERTS_TEST.read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test.get("alert_rule_test", ()) if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules()}
    series = {each["series"].partition("{")[0] for test in tests for each in test["input_series"]}
    assert series <= known()


def test_nothing_names_a_job_or_an_instance() -> None:
    """They are called differently everywhere."""
    assert not [expression for expression in expressions() if re.search(r"(job|instance)\s*[=!]", expression)]
    assert "localhost" not in ALERTS.read_text(encoding="utf-8")
