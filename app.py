"""The composition root: settings → store → Provisioning → doors → one running service; and the command line.

Whatever a command does not need is imported by those that do: the bot's SDK alone takes a second.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.audit_export import EXPORT, Evidence, export_command
from bot.key_command import ROTATE_KEYS, KeyGround, rotate_keys_command
from bot.rehearsal.command import REHEARSE, Backstage, rehearse_command
from provisioning.texts import N_, _, speak_to_operator, speech_of
from storage.commands import Ground
from storage.commands import audit as storage_audit
from storage.commands import cli as storage_commands
from storage.commands.ground import run as run_on_store

if TYPE_CHECKING:
    from aiohttp import web

    from bot.doctor_asking import Heard
    from bot.operations import Check
    from bot.settings import Settings
    from provisioning.key_use import KeyUses
    from provisioning.ports import Clock, Store
    from provisioning.service import Policy, Provisioning

LOCAL_URL = "http://127.0.0.1:3978/"  # of a service that was started without any setting
END_SECONDS = (
    1.0  # for what is under way when SIGTERM comes; aiohttp waits so twice, after draining and before the loops
)

cli = typer.Typer(add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False)
cli.add_typer(storage_commands)


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, for whoever started it."""

    url: str
    provisioning: Provisioning
    app: web.Application


# ------------------------------------------------------------------ the running service


@asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Service]:
    """The service, listening; port 0 takes a free one. Ends by answering what waits, then what is under way.

    The machine's clock is compared with others'; a clock that is given is right.
    """
    from aiohttp import web

    from bot.composition import build_clock_check, build_provider, build_provisioning, compose
    from bot.draining import Draining
    from bot.key_watch import foreign_keys
    from bot.listening import Listener, patience
    from storage import open_store

    given, clock = clock, clock or SystemClock()
    listener = _listen(settings.host, settings.port)
    port: int = listener.getsockname()[1]
    try:
        store = await open_store(settings.store_url, clock=clock)
    except BaseException:
        listener.close()
        raise
    provider = build_provider(settings, clock, port)
    try:
        checks = [] if given else [build_clock_check(settings, store.clock, clock).faults]
        await require_well(checks)
        provisioning = build_provisioning(settings, store, clock, provider)
        await require_well([partial(foreign_keys, provisioning)])
        app = compose(settings, provisioning, port, checks)
        draining = Draining(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_SECONDS)
        await runner.setup()
        await Listener(runner, listener, patience()).start()
        try:
            yield Service(f"http://{_shown(settings.host)}:{port}", provisioning, app)
        finally:
            provisioning.release_polls()
            await draining.drain(runner, listener)
            await runner.cleanup()
    finally:
        listener.close()
        await provider.close()
        await store.close()


async def require_well(checks: Sequence[Check]) -> None:
    """Errors: `CannotStart` with a line for each fault."""
    from bot.composition import CannotStart

    if faults := [fault for check in checks for fault in await check()]:
        raise CannotStart("\n".join(faults))


def _listen(host: str, port: int) -> socket.socket:
    """Errors: `CannotStart`."""
    from bot.composition import CannotStart

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno else str(fault)
        said = _(
            "{address}: {reason}. Set HOST and PORT to an address that is free here.",
            address=f"{host}:{port}",
            reason=reason,
        )
        raise CannotStart(said) from None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# ------------------------------------------------------------------ the command line


def _fail(lines: Sequence[str], status: int = 2) -> typer.Exit:
    for line in lines:
        print(line, file=sys.stderr)
    return typer.Exit(status)


def _settings() -> Settings:
    from bot.settings import BadConfiguration, load_settings

    try:
        return load_settings(os.environ)
    except BadConfiguration as bad:
        raise _fail(bad.faults) from None


def _store_url() -> str:
    """Of all settings only this one: a store can be saved whatever else is wrong."""
    from bot.settings import BadConfiguration, gather

    try:
        return gather(os.environ)["STORE_URL"].value
    except BadConfiguration as bad:
        raise _fail(bad.faults) from None


@cli.callback(invoke_without_command=True, help=N_("Provision Teams devices from chat. Without a command: serve."))
def without_command(context: typer.Context) -> None:
    context.obj = Ground(_store_url, SystemClock())
    if context.invoked_subcommand is None:
        serve()


@cli.command(help=N_("Start the service: in local mode without credentials, else behind Teams."))
def serve() -> None:
    gc.disable()  # until all is loaded: to search what imports made, and what stays, is a seventh of the start
    from bot import logs
    from bot.composition import CannotStart
    from bot.interpreter import run
    from bot.redaction import secrets_of
    from provisioning.errors import Unavailable

    settings = _settings()
    logs.configure(settings.log_format, settings.log_level, settings.code_digits)
    logs.keep_out(*secrets_of(settings))
    try:
        run(_serve(settings))
    except Unavailable as fault:
        raise _fail([fault.reason]) from None
    except CannotStart as fault:
        raise _fail([str(fault)]) from None


async def _serve(settings: Settings) -> None:
    from bot.interpreter import serve_evenly
    from bot.listening import raise_handles

    raise_handles()
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(name, end.set)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            break
    async with running(settings) as service:
        serve_evenly()
        print(_("Provisioning Bot is ready: {url}", url=f"{service.url}/"), flush=True)
        if settings.local:
            print(_("local mode: no sign-in check, this computer only"), flush=True)
        await end.wait()


@cli.command(help=N_("Show each setting, where it comes from, what is missing and how to get it."))
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help=N_("Ask nobody but the store."))] = False,
) -> None:
    from bot.doctor import doctor as examine
    from storage import fault_of
    from storage.key_use import live_codes

    raise typer.Exit(
        examine(
            os.environ,
            store_fault=lambda url: asyncio.run(fault_of(url)),
            live_codes=lambda url: asyncio.run(live_codes(url, SystemClock().now())),
            asked=(lambda settings: ()) if offline else lambda settings: asyncio.run(_ask(settings)),
        )
    )


async def _ask(settings: Settings) -> Sequence[Heard]:
    from bot.composition import build_adapter, build_clock_check, build_provider
    from bot.doctor_asking import ask
    from storage import clock_of

    clock = SystemClock()
    clocks = build_clock_check(settings, lambda: clock_of(settings.store_url), clock)
    provider = build_provider(settings, clock, settings.port)
    return await ask(clocks, build_adapter(settings), provider, settings.public_url)


@cli.command(
    help=N_("Show what this does: the local page's address, or with --script the whole story, played here in seconds.")
)
def demo(
    script: Annotated[bool, typer.Option("--script", help=N_("Play the whole story here, and check it."))] = False,
) -> None:
    if not script:
        print(_("Start the service with make run (or python app.py) and open {url} in a browser.", url=LOCAL_URL))
        print(_("To see the whole story in this terminal: {command}", command="python app.py demo --script"))
        return
    from rich.console import Console

    from bot import logs
    from bot.demo.story import play

    logs.configure("console", "error")
    raise typer.Exit(asyncio.run(play(running, Console(soft_wrap=False))))


@cli.command(help=N_("Build the Teams app package: checked against Teams' limits, ready to upload."))
def package(
    out: Annotated[Path | None, typer.Option(help=N_("Where to write it; dist/provisioning-bot-VERSION.zip."))] = None,
) -> None:
    from bot.package import package as build

    raise typer.Exit(build(os.environ, out))


@cli.command(help=N_("Act as a device: present MAC and code, show the tenant's name, wait for what comes next."))
def device(
    mac: Annotated[str, typer.Option(help=N_("The MAC it presents, in any notation."))],
    url: Annotated[str, typer.Option(help=N_("The service to call."))] = LOCAL_URL,
    kind: Annotated[str, typer.Option("--type", help=N_("phone, display, panel, room or sip."))] = "phone",
    code: Annotated[str, typer.Option(help=N_("The code; asked for when left out."))] = "",
    once: Annotated[bool, typer.Option(help=N_("End after the first answer instead of waiting for changes."))] = False,
) -> None:
    from bot.demo.device import run

    try:
        status = asyncio.run(run(url, mac, code, type=kind, once=once))
    except KeyboardInterrupt:
        status = 0
    raise typer.Exit(status)


def _policy() -> Policy:
    from bot.policy import policy_of

    return policy_of(_settings())


def _on_the_store(url: str, work: Callable[[str], None]) -> None:
    run_on_store(Ground(_store_url, SystemClock()), url, lambda _ground, found: work(found))


async def _copies(url: str, show: Callable[[str, int, int], None]) -> Callable[[], Store]:
    from storage.rehearsing import copies_of

    return await copies_of(url, show)


async def _key_uses(oldest: str) -> KeyUses:
    from storage.commands.ground import progress
    from storage.key_use import key_uses

    with progress() as show:
        return await key_uses(_store_url(), oldest, SystemClock().now, show)


def _guarded(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_on_store(Ground(str, SystemClock()), "", lambda _ground, _url: work())


cli.command(name="rotate-keys", help=ROTATE_KEYS)(rotate_keys_command(KeyGround(_key_uses, _guarded)))
cli.command(name="rehearse", help=REHEARSE)(rehearse_command(Backstage(_policy, _copies, _on_the_store)))


def _evidence() -> Evidence:
    from storage import evidence
    from storage.transfer import open_trail

    clock = SystemClock()
    return Evidence(
        now=clock.now,
        trail=open_trail,
        spoken_of=evidence.spoken_of,
        event_of=evidence.event_of,
        note=lambda url, event: evidence.note(url, clock, event),
        place=lambda path, url, force: evidence.private_file(path, url, force=force),
        guarded=_on_the_store,
    )


storage_audit.command(name="export", help=EXPORT)(export_command(_evidence))


def main() -> None:
    """The command line, in the language of whoever types it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows ? instead
    speak_to_operator(speech_of(os.environ))
    command_line()()


def command_line() -> Any:
    """The commands with their help in the operator's language."""
    command = typer.main.get_command(cli)
    _translate_help(command)
    return command


def _translate_help(command: Any) -> None:
    for part in (command, *command.params):
        if getattr(part, "help", None):
            part.help = _(part.help)
    for part in getattr(command, "commands", {}).values():
        _translate_help(part)


if __name__ == "__main__":
    main()
