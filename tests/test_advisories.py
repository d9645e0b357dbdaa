"""A vulnerable requirement fails, a clean one passes, and where nobody could be asked that is never taken for clean.

pip-audit itself runs, against an advisory service of our own on loopback.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests import advisories
from tests.advisories import CLEAN, CONTROL, FOUND, NOT_RUN

HASH = f"--hash=sha256:{'0' * 64}"
REQUIREMENTS = f"""# pinned
aiohttp==3.9.0 \\
    {HASH}
Jinja2==3.1.2 ; python_version >= "3.8" \\
    {HASH}
colorama==0.4.6 ; sys_platform == "win32" \\
    {HASH}
"""
Answer = Callable[[dict[str, Any]], Any]


def weakness(name: str, fixed: str = "3.9.2") -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"vulns": [{"id": "PYSEC-2099-1", "summary": "lets everybody in", "affected": affected}]}


def knows_the_known_one(query: dict[str, Any]) -> Any:
    return weakness("flask", "1.0") if query["package"]["name"] == CONTROL.partition("==")[0] else {}


def knows_one_of_ours(query: dict[str, Any]) -> Any:
    return weakness("aiohttp") if query["package"]["name"] == "aiohttp" else knows_the_known_one(query)


def knows_nothing(query: dict[str, Any]) -> Any:
    return {}


def breaks_down_half_way(query: dict[str, Any]) -> Any:
    return web.Response(status=500) if query["package"]["name"] == "jinja2" else {}


def is_a_portal(query: dict[str, Any]) -> Any:
    return web.Response(text="<html>Please sign in</html>", content_type="text/html")


async def never_answers(query: dict[str, Any]) -> Any:
    await asyncio.sleep(60)


Service = Callable[[Answer], Awaitable[str]]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    servers: list[TestServer] = []

    async def starts(answer: Answer) -> str:
        async def ask(request: web.Request) -> web.Response:
            said = answer(json.loads(await request.text()))
            said = await said if asyncio.iscoroutine(said) else said
            return said if isinstance(said, web.Response) else web.json_response(said)

        app = web.Application()
        app.router.add_post("/v1/query", ask)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return str(servers[-1].make_url("/v1/query"))

    yield starts
    for server in servers:
        await server.close()


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(REQUIREMENTS, encoding="utf-8")
    return path


async def ask(requirements: Path, *urls: str, longest: float = 30) -> int:
    services = [("--vulnerability-service", "osv", "--osv-url", url) for url in urls]
    return await asyncio.to_thread(advisories.main, requirements, services, longest)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (knows_the_known_one, CLEAN, "2 requirements, no known vulnerability"),
        (knows_one_of_ours, FOUND, "aiohttp 3.9.0: PYSEC-2099-1, fixed in 3.9.2"),
        (knows_nothing, NOT_RUN, "knows nothing of flask==0.5"),
        (breaks_down_half_way, NOT_RUN, "NOT RUN"),
        (is_a_portal, NOT_RUN, "NOT RUN"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_only_a_whole_report_counts(
    answer: Answer, code: int, said: str, service: Service, requirements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ask(requirements, await service(answer)) == code
    shown = capsys.readouterr()
    assert said in (shown.err if code else shown.out)


async def test_a_service_that_is_not_there_or_says_nothing_is_not_a_clean_report(
    service: Service, requirements: Path
) -> None:
    nobody = f"http://127.0.0.1:{unused_port()}/v1/query"
    assert await ask(requirements, nobody) == NOT_RUN
    assert await ask(requirements, await service(never_answers), longest=1) == NOT_RUN


async def test_the_first_service_that_answers_decides(service: Service, requirements: Path) -> None:
    nobody = f"http://127.0.0.1:{unused_port()}/v1/query"
    assert await ask(requirements, nobody, await service(knows_the_known_one)) == CLEAN
    assert await ask(requirements, nobody, await service(knows_one_of_ours)) == FOUND


def test_every_requirement_of_ours_has_to_be_in_a_report() -> None:
    names = advisories.pinned(advisories.HOUSE / "requirements.txt")
    assert {"aiohttp", "botbuilder-core", "psycopg-pool", "tinydb"} <= names
    assert len(names) > 40


@pytest.mark.parametrize(("code", "closing"), [(CLEAN, ""), (FOUND, "FAILED"), (NOT_RUN, "NOT RUN")], ids=str)
def test_the_whole_round_says_at_its_end_what_was_not_run(tmp_path: Path, code: int, closing: str) -> None:
    """`.ci/run` itself, with `make` and Python replaced by what ends at once: what is decided and said is its own."""
    house = tmp_path / "house"
    (house / ".ci").mkdir(parents=True)
    (house / ".ci" / "run").write_bytes((advisories.HOUSE / ".ci" / "run").read_bytes())
    (house / ".venv" / "bin").mkdir(parents=True)
    write(house / ".venv" / "bin" / "python", f"#!/bin/sh\nexit {code}\n")
    write(tmp_path / "make", "#!/bin/sh\nexit 0\n")
    done = subprocess.run(
        ["bash", str(house / ".ci" / "run")],
        env={"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    closing_lines = done.stdout.splitlines()[-3:]
    assert done.returncode == (1 if code == FOUND else 0), done.stdout + done.stderr
    assert closing_lines[-1] == "0 passed, 0 failed"
    assert any(closing in line for line in closing_lines)
    assert ("NOT RUN" in done.stdout) is (code == NOT_RUN)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
