"""The two parts of README that are made from the code: the story's transcript and the table of commands.

`make readme` writes them anew; the tests hold README to them.
"""

import asyncio
import io
import re
from pathlib import Path

from rich.console import Console

import app
from bot.demo.story import play
from bot.handlers import all_routes
from bot.routing import Route, Where
from provisioning.access import GRANTS
from provisioning.model import Role

README = Path(__file__).parents[1] / "README.md"
STORY = ("<!-- story -->\n```text\n", "\n```\n")
COMMANDS = ("<!-- commands -->\n", "\n<!-- /commands -->")
GROUPS = ("Anyone", "Admins", "Technicians", "Admins and technicians", "Admins, in a channel")

# The scenes that README shows: from the line that matches the first to the one before the second. Else `⋮`.
SCENES = (
    (r"From a MAC address", r"^$"),
    (r"^3  ", r"^Dana » devices"),
    (r"^Dana » presses \[Issue 3\]", r"Dana · the card is edited"),
    (r"^6  ", r"^7  "),
    (r"^9  ", r"\n +Device 22:35, 3\.01 » .*\n +╔"),
    (r"^11  ", r"^12  "),
    (r"^12  ", r"^  \(the browser"),
    (r"^Dana » types .* room-2\.14", r"^13  "),
    (r"^The end\.", r"\Z"),
)
LEFT_OUT = "\n\n⋮\n\n"


async def story() -> tuple[int, str]:
    page = io.StringIO()
    status = await play(app.running, Console(file=page, width=80))
    return status, page.getvalue()


def transcript(said: str) -> str:
    """The scenes of the output, as they stand there."""
    parts, at = [], 0
    for begin, end in SCENES:
        start = _find(begin, said, at)
        at = _find(end, said, start + 1)
        parts.append(said[start:at].strip("\n"))
    return LEFT_OUT.join(parts)


def _find(pattern: str, said: str, at: int) -> int:
    found = re.compile(pattern, re.MULTILINE).search(said, at)
    assert found, f"the story has no line {pattern}"
    return found.start()


USER_CODE = "[B-DF-HJ-NP-TV-XZ]{4} [B-DF-HJ-NP-TV-XZ]{4}"  # of the demo provider


def normalised(text: str) -> str:
    """The codes and the port, which are random, and the seconds that it took made equal."""
    same = re.sub(r"\d{4} \d{4} \d{4}", "0000 0000 0000", text)
    same = re.sub(rf"\b{USER_CODE}\b", "BBBB BBBB", same)
    same = re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:00000", same)
    return re.sub(r"in \d+\.\d s\.", "in 0.0 s.", same)


def command_table() -> str:
    """The routes as README lists them."""
    rows = ["| who | say | what it does |", "|---|---|---|"]
    for group in GROUPS:
        for route in all_routes().routes.values():
            if route.commands and route.shown and _who(route) == group:
                usages = ", ".join(f"`{command.usage}`" for command in route.commands).replace("|", "\\|")
                rows.append(f"| {group} | {usages} | {route.summary} |")
    return "\n".join(rows)


def _who(route: Route) -> str:
    if route.where is Where.CHANNEL:
        return "Admins, in a channel"
    holders = tuple(role for role in Role if GRANTS[role] & set(route.needs))
    names = {(): "Anyone", (Role.ADMIN,): "Admins", (Role.TECHNICIAN,): "Technicians"}
    return names.get(holders, "Admins and technicians")


def between(marks: tuple[str, str]) -> str:
    return README.read_text(encoding="utf-8").partition(marks[0])[2].partition(marks[1])[0]


def main() -> None:
    status, said = asyncio.run(story())
    assert status == 0, said[-2000:]
    text = README.read_text(encoding="utf-8")
    for (begin, end), fresh in ((STORY, transcript(said)), (COMMANDS, command_table())):
        before, _, rest = text.partition(begin)
        text = before + begin + fresh + end + rest.partition(end)[2]
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
