"""`python app.py doctor`: every setting, where it comes from and how it stands; what is missing and how to get it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.key_file import read_key_file
from bot.key_watch import said_of_foreign
from bot.policy import chance_a_day
from bot.private_files import group_can_read
from bot.settings import (
    DOTENV,
    REQUIRED,
    SPELLINGS,
    BadConfiguration,
    Given,
    Settings,
    gather,
    is_local,
    load_settings,
    load_webhooks,
    read_env_file,
    variables,
)
from provisioning.hours import Hours
from provisioning.texts import N_, _

if TYPE_CHECKING:
    from bot.doctor_asking import Heard

EXIT_BAD_CONFIGURATION: Final = 2
EXIT_NO_USE: Final = 1
CERTIFICATE_ENDS_SOON: Final = timedelta(days=30)
SECRETS: Final = frozenset({"CLIENT_SECRET", "CODE_KEYS", "OIDC_CLIENT_SECRET", "EVENTS_TOKEN"})
NOT_SET: Final = {
    "PUBLIC_URL": N_("links and devices cannot be told an address"),
    "OIDC_ISSUER": N_("the demo provider of local mode"),
    "OIDC_CLIENT_SECRET": N_("a public client, which needs none"),
    "CLIENT_CERTIFICATE_FILE": N_("CLIENT_SECRET or a managed identity counts"),
    "ChannelService": N_("the public cloud"),
    "TENANT_ID": N_("any tenant is accepted in local mode"),
    "TRUSTED_PROXIES": N_("X-Forwarded-For is not believed"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": N_("no traces are sent"),
    "CODE_KEYS": N_("CODE_KEY_FILE counts"),
    "CODE_KEY_FILE": N_("CODE_KEYS counts"),
    "WEBHOOKS_FILE": N_("events are sent nowhere"),
    "ADMIN_GROUPS": N_("no group makes anybody an admin"),
    "TECHNICIAN_GROUPS": N_("no group makes anybody a technician"),
    "EVENTS_TOKEN": N_("nobody may read /api/v1/events"),
}

SOURCES: Final = {"default": N_("default"), "environment": N_("environment")}


def doctor(
    environ: Mapping[str, str],
    env_file: Path | None = DOTENV,
    console: Console | None = None,
    *,
    store_fault: Callable[[str], str] = lambda url: "",
    live_codes: Callable[[str], Mapping[str, int]] = lambda url: {},
    asked: Callable[[Settings], Sequence[Heard]] = lambda settings: (),
) -> int:
    """Prints the examination; 0 where all is well, 2 where the service would not start, 1 where it would be no use.

    Nothing is changed, no secret is shown. `store_fault` says why the store at an address cannot be used, empty where
    it can. `live_codes`: how many there are at an address, by the ids of their keys. `asked`: what others answer, see
    doctor_asking.py.
    """
    console = console or Console()
    try:
        given = gather(environ, env_file)
    except BadConfiguration as bad:
        return _report(console, bad.faults)
    words = {name: found.value for name, found in given.items()}
    local = is_local(words)
    console.print(_mode(local))
    try:
        settings: Settings | None = load_settings(environ, env_file)
        url = given["STORE_URL"].value
        fault = store_fault(url)
        codes: Mapping[str, int] = {} if fault else live_codes(url)
        faults = [f"STORE_URL: {fault}"] if fault else list(_foreign_keys(settings, codes))
    except BadConfiguration as bad:
        settings, codes, faults = None, {}, bad.faults
    console.print(_table(given, faults, local))
    if settings:
        console.print(odds(settings.code_digits))
        console.print(_files(settings), highlight=False)
        for line in (*_webhooks(settings), *_groups(settings)):
            console.print(escape(line), highlight=False)
    if local:
        _tell_what_teams_needs(console, given)
    for hint in (*_hints(settings, environ, env_file), *_missing_keys(settings, codes)):
        console.print("! " + escape(hint), style="yellow", highlight=False)
    heard = asked(settings) if settings and not faults else ()
    return _report(console, faults) or _report_heard(console, heard)


def _tell_what_teams_needs(console: Console, given: Mapping[str, Given]) -> None:
    console.print(_("To connect it to Teams:"))
    for name, cure in REQUIRED.items():
        if name not in given or given[name].source == "default":
            console.print(f"  {name}: {_(cure)}", style="dim", highlight=False)


def _mode(local: bool) -> str:
    if local:
        return _("Local mode: no credentials, so no sign-in check, so this computer alone.")
    return _("Teams mode: every caller's token is checked.")


def _report(console: Console, faults: list[str]) -> int:
    for fault in faults:
        console.print("✗ " + escape(fault), style="red", highlight=False)
    if faults:
        return EXIT_BAD_CONFIGURATION
    console.print(_("✓ The service can start like this."), style="green")
    return 0


def _report_heard(console: Console, heard: Sequence[Heard]) -> int:
    """What others answered; 1 where one of them found a fault."""
    for each in heard:
        for fault in each.faults:
            console.print(escape(f"✗ {each.what}: {fault}"), style="red", highlight=False)
        if not each.faults:
            console.print(escape(f"✓ {each.what}: {each.said}"), style="green", highlight=False)
    return EXIT_NO_USE if any(each.faults for each in heard) else 0


# ------------------------------------------------------------------ the table


def _table(given: Mapping[str, Given], faults: list[str], local: bool) -> Table:
    table = Table(_("Setting"), _("Value"), _("Source"), _("State"), title=None)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for name in variables():
        found = given.get(name)
        table.add_row(
            name,
            escape(_shown(name, found.value)) if found else "",
            _(SOURCES.get(found.source, found.source)) if found else "",
            _state(name, found, faults, local),
        )
    return table


def _shown(name: str, text: str) -> str:
    """A secret is only said to be there; of a store's URL, whatever could hold a password is left out."""
    if name in SECRETS:
        return _("(hidden, {count} characters)", count=len(text))
    scheme, mark, rest = text.partition("://")
    place, asked, query = rest.partition("?")
    if not mark or not (asked or "@" in place):
        return text
    if "@" in query:  # a `?` within a password, or an `@` within the query: who can say
        return f"{scheme}://…"
    named = f"…@{place.rpartition('@')[2]}" if "@" in place else place
    return f"{scheme}://{named}{'?…' if asked else ''}"


def _state(name: str, found: Given | None, faults: list[str], local: bool) -> str:
    if any(name in fault.partition(":")[0].split(", ") for fault in faults):
        return "[red]" + _("wrong, see below") + "[/red]" if found else "[red]" + _("missing") + "[/red]"
    if found:
        return "[green]" + _("ok") + "[/green]"
    if name in REQUIRED and not (local or name in NOT_SET):
        return _("not needed")
    return _("not set: {meaning}", meaning=_(NOT_SET[name])) if name in NOT_SET else _("not set")


# ------------------------------------------------------------------ what a table cannot say


def odds(digits: int) -> str:
    """How likely guessing succeeds within a day at the very most: the bound of security.md for this length."""
    one_in = 1 / chance_a_day(digits)
    if one_in <= 1:
        return _("Codes of {digits} digits: could be guessed within a day. Take more digits.", digits=digits)
    text = _(
        "Codes of {digits} digits: guessed within a day at most once in {count}.", digits=digits, count=_round(one_in)
    )
    return text if one_in >= 10_000 else text + " " + _("That is often; 12 digits make it once in 578 000.")


def _files(settings: Settings) -> str:
    return _(
        "Files come from and go to {hosts} and hosts below them, up to {limit} MiB each.",
        hosts=", ".join(settings.allowed_file_hosts),
        limit=settings.file_limit,
    )


def _webhooks(settings: Settings) -> Iterator[str]:
    """The names and hosts of endpoints: some carry a secret in the rest of their address."""
    for endpoint in load_webhooks(settings):
        wanted = ", ".join(endpoint.types) or _("all events")
        yield _("Webhook {name}: {host}, {events}.", name=endpoint.name, host=endpoint.host, events=wanted)


def _groups(settings: Settings) -> Iterator[str]:
    """What an operator grants outside of this service."""
    if settings.admin_groups or settings.technician_groups:
        yield _(
            "Entra groups: {admins} of admins, {technicians} of technicians. The app registration needs the "
            "application permissions User.Read.All and GroupMember.Read.All of Microsoft Graph, with admin consent.",
            admins=len(settings.admin_groups),
            technicians=len(settings.technician_groups),
        )


def _round(number: float) -> str:
    """Three leading digits, grouped with thin gaps: nobody needs more of a bound."""
    whole = int(number)
    keep = max(0, len(str(whole)) - 3)
    return f"{whole // 10**keep * 10**keep:,}".replace(",", " ")


def _hints(settings: Settings | None, environ: Mapping[str, str], env_file: Path | None) -> Iterator[str]:
    yield from _misspelt(environ, env_file)
    if settings:
        yield from _key_hints(settings)
        yield from _store_hints(settings)
        if settings.client_certificate_file:
            yield from _certificate_hints(settings.client_certificate_file)
        if settings.webhooks_file:
            yield from _open_to_a_group(settings.webhooks_file)
        if not settings.local and not settings.public_url:
            yield _("PUBLIC_URL is not set: give the https address under which devices reach this service.")
        if settings.keep_audit is None:
            yield _("KEEP_AUDIT=forever: the record of who did what only ever grows. Watch the disk.")
        if settings.quiet_hours and Hours(quiet=settings.quiet_hours).quiets(settings.morning):
            yield _("MORNING lies within QUIET_HOURS: the morning message comes when they are over.")
        if any(network.prefixlen == 0 for network in settings.trusted_proxies):
            yield _("TRUSTED_PROXIES trusts everybody: any caller can then claim any address.")


def _misspelt(environ: Mapping[str, str], env_file: Path | None) -> Iterator[str]:
    """Names in `.env` that nobody reads, and names in the environment that are nearly one of ours."""
    known = [*variables(), *SPELLINGS]
    for name in read_env_file(env_file):
        if name not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            hint = _(" Did you mean {name}?", name=near[0]) if near else ""
            yield _("{name} in .env is not read by the service.", name=name) + hint
    for name in environ:
        near = difflib.get_close_matches(name.upper(), known, 1, cutoff=0.9)
        if near and name not in known:
            yield _("{name} is set, but not read. Did you mean {near}?", name=name, near=near[0])


def _key_hints(settings: Settings) -> Iterator[str]:
    path = settings.code_key_file
    if path is None:
        return
    if not path.exists():
        yield _("{path} does not exist yet; it is made at the first start. Keep a copy of it.", path=path)
        return
    yield from _open_to_a_group(path)
    if _is_with_the_data(path, settings):
        yield _(
            "{path}: keys and data are in one place, so that one copy gives away both. Move the file elsewhere.",
            path=path,
        )


def _certificate_hints(path: Path) -> Iterator[str]:
    from bot.certificate import read_certificate  # cryptography takes its time to load

    yield from _open_to_a_group(path)
    now = datetime.now(UTC)
    ends = read_certificate(path, now).ends
    if ends - now < CERTIFICATE_ENDS_SOON:
        yield _("{path} ends on {date}. Make a new certificate in time.", path=path, date=ends.date())


def _ids(settings: Settings) -> set[str]:
    """Of the keys there are; none where local mode has yet to make its file."""
    path = settings.code_key_file
    return {key.id for key in (read_key_file(path) if path and path.exists() else settings.code_keys)}


def _foreign_keys(settings: Settings | None, codes: Mapping[str, int]) -> Iterator[str]:
    if settings and codes and not codes.keys() & _ids(settings):
        yield said_of_foreign(codes)


def _missing_keys(settings: Settings | None, codes: Mapping[str, int]) -> Iterator[str]:
    """Some codes can be read, and these cannot."""
    known = _ids(settings) if settings else set()
    if codes.keys() & known:
        for key_id in sorted(codes.keys() - known):
            yield _(
                "Key {id} is missing: {count} live codes cannot be read. Put it back behind the first key, or issue "
                "them anew.",
                id=key_id,
                count=codes[key_id],
            )


def _is_with_the_data(path: Path, settings: Settings) -> bool:
    """Inside the store's folder, or beside it, where local mode has it by default."""
    kind, _colon, store = settings.store_url.partition(":")
    if kind != "tinydb":
        return False
    folder, place = Path(store).resolve(), path.resolve().parent
    return place.is_relative_to(folder) or (place == folder.parent and not settings.local)


def _open_to_a_group(path: Path) -> Iterator[str]:
    if group_can_read(path):
        yield _("{path} can be read by its group. If that is not meant, say: chmod 600 {path}", path=path)


def _store_hints(settings: Settings) -> Iterator[str]:
    kind, _colon, path = settings.store_url.partition(":")
    if kind != "tinydb":
        return
    folder = Path(path)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield _("{folder} cannot be written to, but the store lives there (STORE_URL).", folder=folder)
