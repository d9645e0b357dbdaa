"""What goes with a release names every pinned requirement, allows no unknown licence, and is the same each time."""

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests import release
from tests.release import HOUSE, Pinned, licence_of, pinned, refused

REQUIREMENTS = (HOUSE / "requirements.txt").read_text(encoding="utf-8")
STEM = "provisioning-bot-1.0.0"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    assert release.main(folder) == 0
    return folder


@pytest.fixture(scope="module")
def document(dist: Path) -> dict[str, Any]:
    text = (dist / f"{STEM}.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_each_pinned_requirement_is_on_the_bill_with_the_hashes_it_is_held_to(document: dict[str, Any]) -> None:
    pins = set(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", REQUIREMENTS, re.MULTILINE))
    listed = {(part["name"], part["version"]): part for part in document["components"]}
    assert listed.keys() == pins
    for (name, version), part in listed.items():
        assert part["purl"] == f"pkg:pypi/{name}@{version}"
        assert part["licenses"][0]["license"]["name"]
    hashes = [
        digest["content"] for part in document["components"] for digest in part["externalReferences"][0]["hashes"]
    ]
    assert sorted(set(hashes)) == sorted(set(re.findall("--hash=sha256:([0-9a-f]{64})", REQUIREMENTS)))
    assert document["metadata"]["component"]["version"] == "1.0.0"


def test_the_same_commit_gives_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    assert release.main(tmp_path / "again") == 0
    files = sorted(path.name for path in dist.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in files:
        assert (dist / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_checksums_are_those_of_all_the_files(dist: Path) -> None:
    sums = dict(
        reversed(line.split("  ")) for line in (dist / f"{STEM}.sha256").read_text(encoding="utf-8").splitlines()
    )
    assert sums.keys() == {path.name for path in dist.iterdir()} - {f"{STEM}.sha256"}
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(dist / f"{STEM}-source.zip") as source:
        assert f"{STEM}/app.py" in source.namelist()


def test_every_licence_is_one_that_somebody_allowed() -> None:
    assert list(refused(pinned(REQUIREMENTS))) == []


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND GPL-2.0-or-later", "Proprietary", ""])
def test_a_licence_that_nobody_allowed_stops_a_release(licence: str) -> None:
    each = Pinned("x", "1", "", (), licence)
    assert list(refused([each])) == [f"x 1: {licence or 'no licence that is told'}"]


@pytest.mark.parametrize(
    ("name", "licence"),
    [("pydantic", "MIT"), ("jinja2", "BSD-3-Clause"), ("colorama", "BSD-3-Clause"), ("nobody-knows-it", "")],
)
def test_a_licence_is_what_its_author_declares(name: str, licence: str) -> None:
    assert licence_of(name) == licence
