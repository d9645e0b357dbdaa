"""The page of the demo provider: type the code, see who asks, say who you are, approve or decline."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot.demo.forms import NotAForm, read_form
from bot.demo.grants import CodeNotKnown, Grant, Grants, TooManyEntries
from bot.demo.page import BY_LANGUAGE, PAGE_HEADERS
from bot.demo.page_texts import negotiated
from provisioning.signin import is_account
from provisioning.texts import Speech, _, current_speech, speaking

TEMPLATES: Final = Path(__file__).with_name("templates")
OTHER: Final = "other"  # the choice of an account that is not on the list; no account is called so
SHOWN: Final = 80  # characters of what somebody typed that are said back to them
FORM_HEADERS: Final = {
    **PAGE_HEADERS,
    **BY_LANGUAGE,
    "Content-Security-Policy": PAGE_HEADERS["Content-Security-Policy"].replace(
        "form-action 'none'", "form-action 'self'"
    ),
    # With no-referrer a browser says `Origin: null` of a form (Fetch, 3.2), which is nobody's own page.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What every step shows, as finished strings."""

    template: str
    title: str
    lang: str = "en"
    provider: str = ""
    banner: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView(View):
    """Step 1: the code."""

    template: str = "entry.html.j2"
    intro: str
    label: str
    hint: str
    button: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceView(View):
    """Step 2: who asks, and which account says yes."""

    template: str = "choice.html.j2"
    facts: tuple[tuple[str, str], ...]
    warning: str
    legend: str
    accounts: tuple[str, ...]
    chosen: str  # an account, OTHER or empty
    other: str
    other_label: str
    other_hint: str
    typed: str
    typed_wrong: bool
    approve: str
    decline: str
    user_code: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView(View):
    """Step 3: what came of it."""

    template: str = "result.html.j2"
    icon: str
    sentence: str
    again: str


class ProviderPage:
    """Three steps at one address, for people whose browser needs no script."""

    def __init__(self, grants: Grants, organisation: str, accounts: Sequence[str]) -> None:
        self._grants = grants
        self._organisation = organisation
        self._accounts = tuple(accounts)

    async def ask(self, request: web.Request) -> web.Response:
        with speaking(_speech_of(request)):
            return self._answer(self._entry())

    async def take(self, request: web.Request) -> web.Response:
        """A code, or a decision about one."""
        with speaking(_speech_of(request)):
            try:
                form = await read_form(request)
            except NotAForm:
                form = {}
            decision = form.get("decision", "")
            try:
                return self._decided(form, decision) if decision else self._found(form.get("user_code", ""))
            except CodeNotKnown as wrong:
                return self._answer(self._entry(wrong.sentence), status=400)
            except TooManyEntries as wait:
                refused = self._answer(self._entry(wait.sentence), status=429)
                refused.headers["Retry-After"] = str(wait.seconds)
                return refused

    def _found(self, typed: str) -> web.Response:
        if not typed.strip():
            return self._answer(self._entry(_("Type the code first.")), status=400)
        return self._answer(self._choice(self._grants.find(typed)))

    def _decided(self, form: Mapping[str, str], decision: str) -> web.Response:
        grant = self._grants.asked(form.get("user_code", ""), form.get("ticket", ""))
        if decision != "approve":
            self._grants.decline(grant)
            return self._answer(self._declined())
        chosen, typed = form.get("account", ""), form.get("other", "")
        account = account_named(typed if chosen == OTHER else chosen)
        if not account:
            return self._answer(self._choose_again(grant, chosen, typed), status=400)
        account = next((known for known in self._offered(grant) if known.casefold() == account.casefold()), account)
        self._grants.approve(grant, account)
        return self._answer(self._approved(account))

    # What is shown.

    def _entry(self, error: str = "") -> EntryView:
        return EntryView(
            title=_("Enter the code"),
            error=error,
            intro=_("The bot shows it in the chat of whoever asked for the sign-in."),
            label=_("Code"),
            hint=_("8 letters, for example {code}. Small letters and no blank are fine.", code="WDJB MJHT"),
            button=_("Continue"),
        )

    def _choice(self, grant: Grant) -> ChoiceView:
        return ChoiceView(
            title=_("Allow this sign-in?"),
            facts=((_("Asked by"), self._client), (_("Code"), grant.shown_code)),
            warning=_("Continue only if you asked for this: whoever gave you the code is then signed in as you."),
            legend=_("Account"),
            accounts=self._offered(grant),
            chosen=grant.hint,
            other=_("Another account"),
            other_label=_("Name of the account"),
            other_hint=_("For example {account}", account="lobby@contoso.example"),
            typed="",
            typed_wrong=False,
            approve=_("Approve"),
            decline=_("Decline"),
            user_code=grant.user_code,
            ticket=grant.ticket,
        )

    def _choose_again(self, grant: Grant, chosen: str, typed: str) -> ChoiceView:
        """The same question, with what is missing to answer it."""
        view = self._choice(grant)
        if chosen != OTHER:
            return replace(view, error=_("Choose an account."))
        wrong = _('"{text}": not an account; it looks like room-2.14@contoso.com.', text=typed[:SHOWN])
        return replace(
            view, chosen=OTHER, typed=typed, typed_wrong=True, error=wrong if typed else _("Type the account first.")
        )

    def _approved(self, account: str) -> ResultView:
        return ResultView(
            title=_("Approved"),
            icon="check",
            sentence=_(
                "{client} now signs in {account}. You can close this page.", client=self._client, account=account
            ),
            again=_("Enter another code"),
        )

    def _declined(self) -> ResultView:
        return ResultView(
            title=_("Declined"),
            icon="close",
            sentence=_("Nobody was signed in. You can close this page."),
            again=_("Enter another code"),
        )

    @property
    def _client(self) -> str:
        return _("Provisioning Bot of {organisation}", organisation=self._organisation)

    def _offered(self, grant: Grant) -> tuple[str, ...]:
        """The intended account first, each once."""
        known = {account.casefold() for account in self._accounts}
        return self._accounts if not grant.hint or grant.hint.casefold() in known else (grant.hint, *self._accounts)

    def _answer(self, view: View, status: int = 200) -> web.Response:
        whole = replace(
            view,
            lang=current_speech().locale,
            provider=_("Sign-in of {organisation}", organisation=self._organisation),
            banner=_("Demo: no real accounts"),
        )
        html = environment().get_template(whole.template).render(view=whole, other_account=OTHER)
        return web.Response(text=html, status=status, content_type="text/html", charset="utf-8", headers=FORM_HEADERS)


def _speech_of(request: web.Request) -> Speech:
    """In the language that the browser asks for."""
    return Speech.of(negotiated(request.headers.get("Accept-Language", "")), None)


def account_named(text: str) -> str:
    """The account that somebody typed; empty where it is none."""
    plain = unicodedata.normalize("NFC", text).strip()
    return plain if is_account(plain) and plain.isprintable() else ""


@cache
def environment() -> Environment:
    """Every value is escaped, for some of them come from whoever types."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
