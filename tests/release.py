"""`python -m tests.release`: what goes with a release into dist/: the source, a bill of materials, licences, checksums.

The bill is CycloneDX 1.6 in JSON: each pinned requirement of the service with its version, its licence, and the hashes
that an install is held to. A licence that nobody allowed ends it with 1. The same commit gives the same bytes.
"""

import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

HOUSE: Final = Path(__file__).parents[1]
# Permissive, or weak enough for a library that is used as it is published (MPL, LGPL).
ALLOWED: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0"),
        *("Zlib", "MPL-2.0", "LGPL-3.0-only", "LGPL-2.1-or-later"),
    }
)
# What authors wrote before there were licence expressions, in today's words.
SAID: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
NOT_HERE: Final = {"colorama": "BSD-3-Clause"}  # for Windows alone, so it is not installed where releases are made


@dataclass(frozen=True, slots=True)
class Pinned:
    """One requirement as it is pinned: two of a name are for different machines, and their markers say which."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]  # SHA-256 of every file of it that may be installed
    licence: str

    @property
    def purl(self) -> PackageURL:
        return PackageURL("pypi", None, self.name, self.version)


def pinned(requirements: str) -> list[Pinned]:
    joined = requirements.replace("\\\n", " ")
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)(?: *; *(.*?))?((?: +--hash=sha256:[0-9a-f]{64})+)", joined, re.M)
    return [
        Pinned(name, version, marker.strip(), tuple(re.findall("[0-9a-f]{64}", hashes)), licence_of(name))
        for name, version, marker, hashes in found
    ]


def licence_of(name: str) -> str:
    """As its author declares it; empty where that cannot be told."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return NOT_HERE.get(name, "")
    if told.get("License-Expression"):
        return told["License-Expression"]
    kinds = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    words = kinds if kinds else [told.get("License") or ""]
    return " OR ".join(SAID.get(word, word) for word in words)


def refused(requirements: Sequence[Pinned]) -> Iterator[str]:
    """Every part of an expression has to be allowed: which of two one may choose, somebody has to look at."""
    for each in requirements:
        parts = set(re.split(r" AND | OR |[()]", each.licence)) - {" "}
        if not parts <= ALLOWED:
            yield f"{each.name} {each.version}: {each.licence or 'no licence that is told'}"


def bill(requirements: Sequence[Pinned], name: str, version: str, made: datetime) -> str:
    """CycloneDX as JSON."""
    root = Component(name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"{name}@{version}")
    parts = [_component(each) for each in requirements]
    content = "".join(sorted(f"{each.purl}{each.marker}{each.hashes}" for each in requirements))
    bom = Bom(components=parts, serial_number=uuid5(NAMESPACE_URL, f"{name}@{version}\n{content}"))
    bom.metadata.component, bom.metadata.timestamp = root, made
    bom.register_dependency(root, parts)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _component(each: Pinned) -> Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in each.hashes]
    files = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(each.purl)), hashes=hashes)
    return Component(
        name=each.name,
        version=each.version,
        bom_ref=str(each.purl),
        purl=each.purl,
        licenses=[DisjunctiveLicense(name=each.licence)],
        external_references=[files],
        properties=[Property(name="python:marker", value=each.marker)] if each.marker else [],
    )


def licences(requirements: Sequence[Pinned]) -> str:
    return "".join(f"{each.name} {each.version}: {each.licence}\n" for each in requirements)


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=HOUSE, capture_output=True, text=True, check=True).stdout.strip()


def main(folder: Path) -> int:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    requirements = pinned((HOUSE / "requirements.txt").read_text(encoding="utf-8"))
    if bad := list(refused(requirements)):
        print("These licences are not among the allowed ones:", *bad, sep="\n  ", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    made = datetime.fromtimestamp(int(_git("log", "-1", "--format=%ct")), UTC)
    stem = f"{name}-{version}"
    texts = {
        f"{stem}.cdx.json": bill(requirements, name, version, made),
        f"{stem}-licences.txt": licences(requirements),
    }
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    source = f"{stem}-source.zip"
    _git("archive", "--format=zip", f"--prefix={stem}/", f"--output={(folder / source).resolve()}", "HEAD")
    names = sorted([*texts, source])
    sums = [f"{hashlib.sha256((folder / each).read_bytes()).hexdigest()}  {each}\n" for each in names]
    (folder / f"{stem}.sha256").write_text("".join(sums), encoding="utf-8")
    print(f"{folder}/{stem}: {', '.join(each.removeprefix(stem) for each in names)}; {len(requirements)} requirements")
    return 0


if __name__ == "__main__":
    sys.exit(main(HOUSE / "dist"))
