"""Somebody who types a code at the provider's own pages: by plain forms, or in a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin

from aiohttp import ClientSession, CookieJar

from provisioning.signin import DeviceGrant
from tests.e2e.openid import ROOM

DONE = "Sign-in Success"
INTERRUPTED = "The Sign-in request was interrupted"
WRONG_CODE = "The code you entered is incorrect. Try again"


class Form(HTMLParser):
    """The first form of a page, its fields as they stand, and the words around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.words = "", ""
        self.fields: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self._link, self._unseen = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self._unseen = tag == "style"
        match tag:
            case "form":
                self.action = said["action"]
            case "input" if "name" in said:
                self.fields[said["name"]] = said.get("value", "")
            case "a":
                self._link = said.get("href", "")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = False

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._unseen:
            self.words += " ".join(data.split()) + "\n"
        if self._link:
            self.links[data.strip()] = self._link
            self._link = ""


class Person:
    """A private window of its own. Each of the verbs returns what the last page says."""

    def __init__(self, page: str = "") -> None:
        """`page`: where to type the code, if it is not where the grant says."""
        self._page = page

    async def __aenter__(self) -> Self:
        self._window = ClientSession(cookie_jar=CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._window.close()

    async def approves(self, grant: DeviceGrant, account: str) -> str:
        """Code, confirmation, sign-in, consent."""
        page = await self.types(grant)
        page = await self._submits(page, confirm="yes")
        page = await self._submits(page, login=account, password="any")
        return (await self._submits(page)).words

    async def declines(self, grant: DeviceGrant) -> str:
        """[ Abort ] on the page that shows the code once more."""
        return (await self._submits(await self.types(grant), abort="yes")).words

    async def cancels_at_sign_in(self, grant: DeviceGrant) -> str:
        """[ Cancel ] where the account is asked for."""
        page = await self._submits(await self.types(grant), confirm="yes")
        return (await self._opens(page.links["[ Cancel ]"])).words

    async def types(self, grant: DeviceGrant) -> Form:
        """Types the code only."""
        return await self._submits(await self._opens(self._page or grant.verification_uri), user_code=grant.user_code)

    async def _opens(self, address: str) -> Form:
        async with self._window.get(address) as answer:
            self._at = str(answer.url)
            return Form(await answer.text())

    async def _submits(self, form: Form, **filled: str) -> Form:
        async with self._window.post(urljoin(self._at, form.action), data=form.fields | filled) as answer:
            self._at = str(answer.url)
            return Form(await answer.text())


async def approve(grant: DeviceGrant, account: str = ROOM, page: str = "") -> None:
    """Somebody does all that is asked for, and sees that it went well."""
    async with Person(page) as person:
        assert DONE in await person.approves(grant, account)


def approves_in_browser(page, grant: DeviceGrant, account: str) -> None:
    """The same at the real pages; `page` is a playwright page. Fonts of other machines are not fetched."""
    page.route(re.compile(r"^https://"), lambda route: route.abort())
    page.goto(grant.verification_uri)
    page.get_by_placeholder("Enter code").fill(grant.user_code)
    page.get_by_role("button", name="Continue").click()
    page.get_by_text(grant.user_code).wait_for()
    page.get_by_role("button", name="Continue").click()
    page.get_by_placeholder("Enter any login").fill(account)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("heading", name="Authorize").wait_for()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name=DONE).wait_for()
