"""What translators are given of a Python file: its marked texts, and what its commands say about themselves.

Run as a program it brings what they are given into each language's catalog, and compiles that.
"""

import ast
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from provisioning.texts import DOMAIN, LOCALE_DIR

TEMPLATE = LOCALE_DIR / f"{DOMAIN}.pot"

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


# ── catalogs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def catalogs() -> dict[str, Path]:
    """The file that translators write, of each language by its name."""
    return {path.parts[-3]: path for path in sorted(LOCALE_DIR.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))}


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=None if path == TEMPLATE else path.parts[-3], domain=DOMAIN)


def compiled(catalog: Catalog) -> bytes:
    """What a service reads; Babel's own command would take `50 % of` for a place of C's printf, and refuse."""
    file = BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def refresh(path: Path, template: Catalog) -> None:
    """New texts are empty, for a guess is worse than none; what the code no longer says is dropped."""
    catalog = read(path)
    catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
    with path.open("wb") as file:
        write_po(file, catalog, width=120, ignore_obsolete=True)
    path.with_suffix(".mo").write_bytes(compiled(catalog))


if __name__ == "__main__":
    for each in catalogs().values():
        refresh(each, read(TEMPLATE))
