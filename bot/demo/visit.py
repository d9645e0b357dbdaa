"""Somebody at the demo provider's page: types the code, chooses an account, approves. By its real forms."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

from bot.demo.provider import DEMO_PATH
from bot.demo.stage import Stage, StoryFault
from bot.demo.terminal import Lane, shown
from provisioning.texts import _

PAGE: Final = f"{DEMO_PATH}/device"


class _Fields(HTMLParser):
    """The hidden inputs of a page, and whether it asks for an account."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "input" and said.get("type") == "hidden":
            self.hidden[said["name"]] = said.get("value", "")


async def approves(stage: Stage, lane: Lane, code: str, account: str) -> None:
    """Errors: `StoryFault` where the page takes the code or the answer for wrong."""
    stage.terminal.says(lane, shown(_("types {code} at the provider's page, as {account}", code=code, account=account)))
    choice = await _posts(stage, {"user_code": code})
    await _posts(stage, {**_Fields(choice).hidden, "account": account, "decision": "approve"})


async def _posts(stage: Stage, fields: dict[str, str]) -> str:
    async with stage.session.post(stage.url + PAGE, data=fields) as answer:
        if answer.status >= 300:
            raise StoryFault(_("The service answered {status} to an activity.", status=answer.status))
        return await answer.text()
