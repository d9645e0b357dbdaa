"""The house rules that the import contract in pyproject.toml cannot express. Architecture, with teeth.

Every rule is a function from a folder to its findings, so that the same rule that must find nothing in our house
must find something in a crooked one.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]

ROOMS = {"bot", "cards", "provisioning", "storage"}
SOURCE_FOLDERS = ROOMS | {"tests", "manifest"}
UNTRACKED = {"var", "build", "dist", "htmlcov", "node_modules", "__pycache__"}

LONGEST_FILE = 400
LONGEST_FUNCTION = 45

SDK_DOORS = ("bot/adapter.py", "bot/teams_bot.py", "bot/messenger.py", "app.py")
LIVES_IN = {
    "botbuilder": SDK_DOORS,
    "botframework": SDK_DOORS,
    "msrest": SDK_DOORS,
    "msal": ("bot/managed_identity.py",),
    "tinydb": ("storage/",),
    "prometheus_client": ("bot/metrics.py",),
    "opentelemetry": ("bot/tracing.py",),  # loaded where traces are configured
    "matplotlib": ("provisioning/documents/burnup.py",),  # half a second and 60 MB: a process of its own draws
}
MOCKS = {"mock", "unittest.mock", "pytest_mock", "asynctest", "flexmock", "doublex"}

Rule = Callable[[Path], Iterator[str]]


def sources(house: Path, tests: bool = False) -> Iterator[Path]:
    """Our Python files, relative to the house: the tests or all the others."""
    for path in sorted(house.rglob("*.py")):
        relative = path.relative_to(house)
        hidden = any(part.startswith(".") or part in UNTRACKED for part in relative.parts)
        if not hidden and (relative.parts[0] == "tests") is tests:
            yield relative


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything imported; `from a import b` may mean `a` or `a.b` and yields both."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def parse(house: Path, path: Path) -> ast.Module:
    return ast.parse((house / path).read_text(encoding="utf-8"), str(path))


def no_further_room(house: Path) -> Iterator[str]:
    """Source lives in the four rooms, tests and manifest; app.py is the only module at the top."""
    top_level = {p.parts[0] for p in sources(house)} | {p.parts[0] for p in sources(house, tests=True)}
    yield from sorted(f"{name}: not a place for source" for name in top_level - SOURCE_FOLDERS - {"app.py"})
    yield from sorted(f"{name}: missing" for name in ROOMS - top_level)


def every_folder_is_a_package(house: Path) -> Iterator[str]:
    """A folder without __init__.py is invisible to the import contract."""
    for folder in sorted({p.parent for p in sources(house) if p.parts[0] in ROOMS}):
        if not (house / folder / "__init__.py").exists():
            yield f"{folder.as_posix()}: no __init__.py"


def small_files(house: Path) -> Iterator[str]:
    for path in sources(house):
        lines = len((house / path).read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE:
            yield f"{path.as_posix()}: {lines} lines"


def small_functions(house: Path) -> Iterator[str]:
    for path in sources(house):
        for node in ast.walk(parse(house, path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    yield f"{path.as_posix()}:{node.lineno} {node.name}: {lines} lines"


def libraries_stay_where_they_live(house: Path) -> Iterator[str]:
    for path in sources(house):
        for line, name in imports(parse(house, path)):
            homes = LIVES_IN.get(name.split(".")[0])
            if homes and not path.as_posix().startswith(homes):
                yield f"{path.as_posix()}:{line} imports {name}, at home in {', '.join(homes)}"


def fakes_not_mocks(house: Path) -> Iterator[str]:
    for path in (*sources(house), *sources(house, tests=True)):
        for line, name in imports(parse(house, path)):
            if name in MOCKS or any(name.startswith(f"{mock}.") for mock in MOCKS):
                yield f"{path.as_posix()}:{line} imports {name}"


def no_rule_is_silenced_without_a_reason(house: Path) -> Iterator[str]:
    """A name of the rule and why it does not hold here: `# noqa: S608 - every value is bound`."""
    for path in sources(house):
        for number, line in enumerate((house / path).read_text(encoding="utf-8").splitlines(), start=1):
            if "noqa" in line and not re.search(r"# (ruff: )?noqa: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)* - \S", line):
                yield f"{path.as_posix()}:{number} {line.strip()}"


def examples_follow_the_profile(house: Path) -> Iterator[str]:
    """A number by hand would stay small by night: tests/profiles.py knows how many."""
    for path in sources(house, tests=True):
        for node in ast.walk(parse(house, path)):
            if isinstance(node, ast.keyword) and node.arg == "max_examples" and isinstance(node.value, ast.Constant):
                yield f"{path.as_posix()}:{node.value.lineno} max_examples={node.value.value}"


# Each rule, with one file that breaks it.
RULES: dict[Rule, tuple[str, str]] = {
    no_further_room: ("helpers/text.py", ""),
    every_folder_is_a_package: ("bot/handlers/codes.py", ""),
    small_files: ("cards/views.py", "x = 1\n" * 401),
    small_functions: ("storage/long.py", "async def save():\n" + "    x = 1\n" * 45),
    libraries_stay_where_they_live: ("bot/workers.py", "def relay():\n    from botbuilder.core import TurnContext\n"),
    fakes_not_mocks: ("tests/test_x.py", "from unittest import mock\n"),
    no_rule_is_silenced_without_a_reason: ("bot/x.py", "assert True  # noqa: S101\n"),
    examples_follow_the_profile: ("tests/test_x.py", "@settings(max_examples=5)\ndef test() -> None: ...\n"),
}


@pytest.fixture
def straight_house(tmp_path: Path) -> Path:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    return tmp_path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_our_house_keeps(rule: Rule) -> None:
    assert list(rule(HOUSE)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_crooked_house_is_found_by(rule: Rule, straight_house: Path) -> None:
    name, text = RULES[rule]
    assert list(rule(straight_house)) == []
    crooked = straight_house / name
    crooked.parent.mkdir(parents=True, exist_ok=True)
    crooked.write_text(text, encoding="utf-8")
    assert list(rule(straight_house)) != []


@pytest.mark.parametrize("room", sorted(ROOMS - {"bot"}))
def test_a_room_below_the_doors_loads_no_bot_sdk(room: str) -> None:
    """Whatever a room drags in, through whichever library: the archived SDK is not among it."""
    walk = (
        f"import importlib, pkgutil, sys, {room} as room\n"
        "for m in pkgutil.walk_packages(room.__path__, room.__name__ + '.'): importlib.import_module(m.name)\n"
        "print(*sorted({n.split('.')[0] for n in sys.modules} & {'botbuilder', 'botframework', 'msrest'}))"
    )
    done = subprocess.run([sys.executable, "-c", walk], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("room", ["app", "bot", "cards", "storage"])
def test_the_service_loads_no_plotting(room: str) -> None:
    """The process that draws does, once for each picture; nothing that serves does, through whichever way."""
    walk = (
        f"import importlib, pkgutil, sys, {room} as room\n"
        "folder = getattr(room, '__path__', ())\n"
        "for m in pkgutil.walk_packages(folder, room.__name__ + '.'): importlib.import_module(m.name)\n"
        "print(*sorted({n.split('.')[0] for n in sys.modules} & {'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", walk], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
