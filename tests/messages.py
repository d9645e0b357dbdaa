"""What translators are given of a Python file: its marked texts, and what its commands say about themselves."""

import ast
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

from babel.messages.extract import extract_python

Found = tuple[int, str | None, Any, list[str]]


def extract(file: IO[bytes], keywords: Any, comment_tags: Any, options: dict[str, Any]) -> Iterator[Found]:
    """As Babel's own extractor, and the first line of each handler's docstring, which is its help."""
    source = file.read()
    yield from extract_python(BytesIO(source), keywords, comment_tags, options)
    for line, text in summaries(source):
        yield line, None, text, []


def summaries(source: bytes) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef) and any(map(_declares_a_route, node.decorator_list)):
            said = (ast.get_docstring(node) or "").split("\n")[0]
            yield from [(node.lineno, said)] if said else []


def _declares_a_route(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "router"
