"""A real Prometheus scrapes the real service, loads the alert rules, and answers every expression of the dashboard."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.demo.people import LOCAL_ADMIN
from tests.connector import TENANT, FakeConnector, activity
from tests.monitoring import ALERTS, ALERTS_TEST, expressions, names, rules, shown
from tests.running import HOUSE, Running

BINARIES = f"{os.environ['PATH']}:{HOUSE / '.venv/prometheus/usr/bin'}"
PROMETHEUS, PROMTOOL = (shutil.which(name, path=BINARIES) for name in ("prometheus", "promtool"))
MAC = "80-5E-C0-11-22-33"
SOON = 60.0

pytestmark = pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="needs Prometheus: run make prometheus")


@pytest.mark.parametrize("what", [("check", "rules", str(ALERTS)), ("test", "rules", str(ALERTS_TEST))], ids=" ".join)
def test_promtool_has_nothing_to_complain_of(what: tuple[str, ...]) -> None:
    done = subprocess.run([str(PROMTOOL), *what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_finds_a_rule_that_does_not_fire(tmp_path: Path) -> None:
    shutil.copy(ALERTS_TEST, tmp_path)
    text = ALERTS.read_text(encoding="utf-8")
    (tmp_path / ALERTS.name).write_text(
        text.replace("provisioning_readiness_faults) > 0", "provisioning_readiness_faults) > 9")
    )
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(tmp_path / ALERTS_TEST.name)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "ProvisioningNotReady" in done.stdout + done.stderr


class Prometheus:
    """On a free port, with a folder of its own; scrapes one service each second."""

    def __init__(self, folder: Path, target: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._folder = folder
        config = (
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{ALERTS}']\n"
            f"scrape_configs: [{{job_name: bot, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        (folder / "prometheus.yml").write_text(config)

    async def __aenter__(self) -> "Prometheus":
        words = [f"--config.file={self._folder / 'prometheus.yml'}", f"--storage.tsdb.path={self._folder / 'data'}"]
        with (self._folder / "log").open("w") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(PROMETHEUS), *words, f"--web.listen-address={self._address}", stdout=log, stderr=log
            )
        self._client = aiohttp.ClientSession(f"http://{self._address}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        self._process.terminate()
        await self._process.wait()

    async def asks(self, path: str, **parameters: str) -> Any:
        async with self._client.get(f"/api/v1/{path}", params=parameters) as answer:
            body = await answer.json()
        assert body["status"] == "success", body
        return body["data"]

    async def query(self, expression: str) -> list[Any]:
        found: list[Any] = (await self.asks("query", query=expression))["result"]
        return found

    async def until(self, expression: str) -> None:
        """Until an expression finds something."""
        async with asyncio.timeout(SOON):
            while True:
                try:
                    if await self.query(expression):
                        return
                except aiohttp.ClientError:
                    pass  # it is not up yet
                await asyncio.sleep(0.2)


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    """After somebody said something, added a device, and the device called in, in vain."""
    for name in ("service", "prometheus"):
        (tmp_path / name).mkdir()
    admin = {"id": "29:dana", "name": "Dana", "aadObjectId": LOCAL_ADMIN.aad_object_id}
    async with (
        Running(tmp_path / "service") as service,
        FakeConnector() as connector,
        aiohttp.ClientSession() as client,
        Prometheus(tmp_path / "prometheus", service.url.removeprefix("http://")) as prometheus,
    ):
        await prometheus.until("provisioning_build_info")
        connector.knows(admin["id"], name="Dana", aadObjectId=admin["aadObjectId"])
        place = {"id": "a:dana", "conversationType": "personal", "tenantId": TENANT}
        for number, text in enumerate(("hi", f"add {MAC} Oslo/2/2.14", f"issue {MAC}")):
            sent = activity(connector, text=text, id=f"17{number:011}", from_=admin, conversation=place)
            async with client.post(f"{service.url}/api/messages", json=sent) as answer:
                assert answer.status == 200
        async with client.post(f"{service.url}/api/v1/provision", json={"mac": MAC, "code": "0" * 12}) as answer:
            assert answer.status in (403, 422)
        await prometheus.until('increase(provisioning_facts_total{fact="DeviceAdded"}[1m]) > 0')
        yield prometheus


async def test_prometheus_scrapes_loads_and_answers(prometheus: Prometheus) -> None:
    (target,) = (await prometheus.asks("targets"))["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    await prometheus.until('provisioning_listed_devices{state="waiting_for_activation"} == 1')

    (group,) = (await prometheus.asks("rules"))["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in rules()]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}, group
    firing = [rule["name"] for rule in group["rules"] if rule["state"] == "firing"]
    assert firing == [], "of a service that is well"

    told = {
        name
        for name in await prometheus.asks("label/__name__/values")
        if name.startswith(("provisioning_", "process_"))
    }
    described = await prometheus.asks("targets/metadata")
    families = {each["metric"] for each in described}
    for expression in expressions():
        for name in names(expression):
            family = re.sub("_(bucket|count|sum|total)$", "", name)
            assert name in told or {name, family} & families, f"{name} is not on the page"

    for _title, expression in shown():
        await prometheus.query(expression.replace("$__rate_interval", "10s"))
    for title in (
        "Turns",
        "Devices by state",
        "Units saved",
        "Requests by address",
        "Lag of the event loop, p99",
        "What runs",
        "Facts",
        "Live codes",
    ):
        for expression in [expr for name, expr in shown() if name == title]:
            assert await prometheus.query(expression.replace("$__rate_interval", "1m")), title


async def test_a_wrong_expression_would_be_refused(prometheus: Prometheus) -> None:
    with pytest.raises(AssertionError, match="parse error"):
        await prometheus.query("sum by (rate(provisioning_turn_seconds_count[5m])")
