"""`python -m tests.advisories`: has any pinned requirement of the service a known vulnerability? By pip-audit --strict.

Three outcomes, and only a complete report counts. Exit code 0: every requirement was looked up, and none has one.
1: some have. 75 (EX_TEMPFAIL): **not run**, for no advisory service could be reached, or it left something out, or it
knew nothing of a release that has a well-known one. PyPI is asked, which also compares the hashes; then OSV.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HOUSE: Final = Path(__file__).parents[1]
CLEAN, FOUND, NOT_RUN = 0, 1, 75
SERVICES: Final = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
CONTROL: Final = "flask==0.5"  # PYSEC-2019-179; a service that does not know it knows nothing
LONGEST: Final = 240.0  # seconds for one service


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, and what a person reads: one line a vulnerability, or why it was not run."""

    code: int
    lines: tuple[str, ...]


def pinned(requirements: Path) -> set[str]:
    """The requirements that every machine installs: those without a marker."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==[^ ;\\]+ *(;?)", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name, marker in found if not marker}


def audited(arguments: Sequence[str], longest: float) -> list[dict[str, Any]] | str:
    """What pip-audit reports of each requirement, or in a line why there is no such report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["--strict", "--disable-pip", "--progress-spinner=off", "--timeout=10", "--format=json"]
        command += ["--cache-dir", folder, "--output", str(report), *arguments]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pip_audit", *command],
                capture_output=True,
                text=True,
                timeout=longest,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {longest:.0f} s"
        if not report.exists():
            return (done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"])[-1]
        dependencies: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
        return dependencies


def outcome(requirements: Path, service: Sequence[str], longest: float = LONGEST) -> Outcome:
    """One service's answer."""
    report = audited(["--requirement", str(requirements), "--require-hashes", *service], longest)
    if isinstance(report, str):
        return Outcome(NOT_RUN, (report,))
    lines = tuple(
        f"{row['name']} {row['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'no release yet'}"
        for row in report
        for one in row.get("vulns", ())
    )
    if lines:
        return Outcome(FOUND, lines)
    missing = (pinned(requirements) | {row["name"] for row in report}) - {
        row["name"] for row in report if "vulns" in row
    }
    if missing:
        return Outcome(NOT_RUN, (f"nothing was said of {', '.join(sorted(missing))}",))
    return _known_one(service, longest) or Outcome(CLEAN, (f"{len(report)} requirements, no known vulnerability",))


def _known_one(service: Sequence[str], longest: float) -> Outcome | None:
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "control.txt"
        control.write_text(f"{CONTROL}\n", encoding="utf-8")
        report = audited(["--requirement", str(control), "--no-deps", *service], longest)
    if isinstance(report, str):
        return Outcome(NOT_RUN, (report,))
    if not any(row.get("vulns") for row in report):
        return Outcome(NOT_RUN, (f"the service knows nothing of {CONTROL}, which has a known one",))
    return None


def main(requirements: Path, services: Sequence[Sequence[str]] = SERVICES, longest: float = LONGEST) -> int:
    """The first service that has an answer decides."""
    said = []
    for service in services:
        answer = outcome(requirements, service, longest)
        if answer.code != NOT_RUN:
            print("\n".join(answer.lines), file=sys.stderr if answer.code else sys.stdout)
            return answer.code
        said += [f"{service[1]}: {line}" for line in answer.lines]
    print("NOT RUN: no advisory service answered for every requirement", *said, sep="\n  ", file=sys.stderr)
    return NOT_RUN


if __name__ == "__main__":
    sys.exit(main(HOUSE / "requirements.txt"))
