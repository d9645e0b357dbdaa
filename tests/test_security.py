"""SECURITY.md names a test for each line; each of them exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINES = [line for line in (HOUSE / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]


@cache
def named_in(path: str) -> frozenset[str]:
    tree = ast.parse((HOUSE / path).read_text(encoding="utf-8"))
    plain = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    bound = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }  # a state machine's test case
    return frozenset(plain | bound)


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith(("| what", "|---"))])
def test_each_line_is_shown_by_a_test_that_exists(line: str) -> None:
    named = NAMED.findall(line)
    assert named, "a claim without a test"
    assert [f"{path}::{name}" for path, name in named if name not in named_in(path)] == []


def test_the_table_was_read() -> None:
    assert len(LINES) > 20
