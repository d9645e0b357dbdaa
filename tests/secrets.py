"""`python -m tests.secrets`: does something in a tracked file look like a secret, and is not known? For `make check`.

What is known stands in `.secrets.baseline`, as detect-secrets has it: file, kind and SHA-1 of each example that looks
like a secret and is none. A line that moves changes nothing. `--write` takes what is found now as known: read the
difference before committing it. Exit code 1 where something new was found.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings

HOUSE: Final = Path(__file__).parents[1]
BASELINE: Final = ".secrets.baseline"
PLUGINS: Final = [
    {"name": "AWSKeyDetector"},
    {"name": "AzureStorageKeyDetector"},
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "BasicAuthDetector"},
    {"name": "GitHubTokenDetector"},
    {"name": "HexHighEntropyString", "limit": 3.0},
    {"name": "JwtTokenDetector"},
    {"name": "KeywordDetector"},
    {"name": "NpmDetector"},
    {"name": "PrivateKeyDetector"},
    {"name": "PypiTokenDetector"},
]
# Heuristics of the text alone: no network is asked, and no comment in a line switches its check off.
FILTERS: Final = [
    {"path": f"detect_secrets.filters.{name}"}
    for name in (
        "heuristic.is_indirect_reference",
        "heuristic.is_likely_id_string",
        "heuristic.is_not_alphanumeric_string",
        "heuristic.is_potential_uuid",
        "heuristic.is_prefixed_with_dollar_sign",
        "heuristic.is_sequential_string",
        "heuristic.is_templated_secret",
    )
]
# What follows the name of a password, stands before the host of an address, or is an id in hex digits, is an example in
# a test or a text. What opens something (an Entra secret, a code key, a token, a private key) has another form.
EXAMPLES: Final = ("Basic Auth Credentials", "Hex High Entropy String", "Secret Keyword")
# Checksums of packages, and what is no text.
LOCKS: Final = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-e2e.txt",
    "requirements-bench.txt",
    "tests/e2e/package-lock.json",
)
NO_TEXT: Final = (".gz", ".png", ".mo", ".zip", ".ttf", ".pdf", ".xlsx")


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One place that looks like a secret: which file, which kind, and the SHA-1 of its text."""

    file: str
    kind: str
    digest: str


def tracked(house: Path) -> list[str]:
    """What git has, or would take with the next `git add`."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=house, capture_output=True, text=True, check=True).stdout.split("\0")
    passed = {BASELINE, *LOCKS}
    return sorted(name for name in set(names) - passed if name and not name.endswith(NO_TEXT))


def scan(house: Path, files: Sequence[str]) -> dict[Found, int]:
    """Everything found, with its line; a file that is gone holds nothing."""
    with transient_settings({"plugins_used": PLUGINS, "filters_used": FILTERS}):
        collection = SecretsCollection(root=str(house))
        collection.scan_files(*files, num_processors=2)
    found = {
        Found(Path(name).as_posix(), secret.type, secret.secret_hash): secret.line_number for name, secret in collection
    }
    return {
        one: line
        for one, line in found.items()
        if not (one.kind in EXAMPLES and (one.file.startswith("tests/") or one.file.endswith(".md")))
    }


def known(house: Path) -> set[Found]:
    """Errors: `ValueError` where the baseline is no such file; a repository without one knows nothing."""
    path = house / BASELINE
    results = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else {}
    return {Found(row["filename"], row["type"], row["hashed_secret"]) for rows in results.values() for row in rows}


def baseline(found: Iterable[Found]) -> str:
    """The same for the same places, whoever writes it, and when."""
    results: dict[str, list[dict[str, object]]] = {}
    for one in sorted(found):
        row = {"type": one.kind, "filename": one.file, "hashed_secret": one.digest, "is_verified": False}
        results.setdefault(one.file, []).append(row)
    document = {"plugins_used": PLUGINS, "filters_used": FILTERS, "results": results}
    return json.dumps(document, indent=2) + "\n"


def main(arguments: Sequence[str], house: Path = HOUSE) -> int:
    found = scan(house, tracked(house))
    if "--write" in arguments:
        (house / BASELINE).write_text(baseline(found), encoding="utf-8")
        print(f"{BASELINE}: {len(found)} places are known")
        return 0
    new = sorted(found.keys() - known(house))
    for one in new:
        print(f"{one.file}:{found[one]}: looks like a secret ({one.kind})", file=sys.stderr)
    if new:
        print(
            "If it is one: take it out, and renew it, for it has been seen. If it is an example: `make secrets`.",
            file=sys.stderr,
        )
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
