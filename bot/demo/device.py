"""A simulated device: a client of the real device API, and the command `python app.py device` around it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout, InvalidURL, hdrs

from provisioning.texts import N_, _

Sleep = Callable[[float], Awaitable[None]]
Ask = Callable[[str], Awaitable[str]]
Show = Callable[[str], None]

TRIES: Final = 6  # of one request, while answers get lost or the service says "later"
LONGEST_PAUSE: Final = 300.0  # seconds; what the service itself asks for at most
ANSWER_SECONDS: Final = 10.0  # beyond the time a long poll may take
POLL_SECONDS: Final = 25.0
LATER: Final = frozenset({429, 502, 503, 504})
RETYPE: Final = frozenset({"code_refused", "code_expired", "invalid_code", "slow_down"})
ASKED: Final = MappingProxyType(
    {
        "sign_out": N_("Signing out, as an admin asked."),
        "restart": N_("Restarting, as an admin asked."),
        "diagnostics": N_("Sending a note of how it is, as an admin asked."),
    }
)
STATES: Final = MappingProxyType(
    {
        "waiting_for_activation": N_("Waiting for activation"),
        "waiting_for_sign_in": N_("Waiting for sign-in"),
        "signed_in": N_("Signed in"),
        "signed_out": N_("Signed out"),
    }
)


class DeviceProblem(Exception):
    """The service's problem document (RFC 9457), as this device got it."""

    def __init__(self, status: int, code: str, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.retry_after = status, code, detail, retry_after


class NoAnswer(Exception):
    """The service cannot be reached, or its answers got lost again and again."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What a device knows about itself: enough to draw its screen."""

    tenant: str
    location: str
    state: str
    life: int
    account: str = ""
    revision: int | None = None
    commands: tuple[tuple[str, str], ...] = ()  # (id, name) of what it is asked for


class SimulatedDevice:
    """One device. Its token lives in memory, or in a JSON file where one is named, as in a device's flash."""

    def __init__(
        self,
        base_url: str,
        mac: str,
        type: str = "phone",
        *,
        session: ClientSession,
        model: str = "Simulated",
        state_file: Path | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.mac = mac
        self.token = _stored_token(state_file, mac)
        self._base_url = base_url.rstrip("/")
        self._about = {"type": type, "model": model, "software": "1.0"}
        self._session = session
        self._state_file = state_file
        self._sleep = sleep
        self._answered = 0  # calls since it started
        self._entry: tuple[str, str] | None = None  # the code being presented, and its Idempotency-Key

    async def provision(self, code: str) -> DeviceView:
        """Present MAC + code. A lost answer is asked for again with the same key, so it never costs the code.

        Errors: `DeviceProblem`, `NoAnswer`; after the latter the same code may be presented again.
        """
        if self._entry is None or self._entry[0] != code:
            self._entry = (code, secrets.token_hex(16))
        body = {"mac": self.mac, "code": code, **self._about}
        try:
            done = await self._call("POST", "/api/v1/provision", body, {"Idempotency-Key": self._entry[1]})
        except DeviceProblem as problem:
            if problem.status < 500 and problem.status not in LATER:  # else an answer before may have been a lost 200
                self._entry = None
            raise
        self._entry = None
        self._keep(str(done["token"]))
        device = done["device"]
        return DeviceView(done["tenant"]["name"], device["location"], device["state"], device["life"])

    async def status(self, since: int | None = None, wait: float = 0.0) -> DeviceView:
        """Where it stands; with `since` and `wait` after a change. Errors: `DeviceProblem`, `NoAnswer`."""
        query = {"wait": f"{wait:g}"} | ({} if since is None else {"since": str(since)})
        path = "/api/v1/device?" + "&".join(f"{name}={text}" for name, text in query.items())
        now = await self._call("GET", path, None, {}, wait)
        self._answered += 1
        asked = tuple((str(each["id"]), str(each["name"])) for each in now["commands"])
        return DeviceView(
            now["tenant"]["name"], now["location"], now["state"], now["life"], now["account"], now["revision"], asked
        )

    async def carry_out(self, command: str, name: str) -> bool:
        """Does what it was asked for, and says what came of it; False for what it does not know.

        Errors: `DeviceProblem`, `NoAnswer`; the command is then given out again.
        """
        outcome = {"status": "done"}
        if name == "restart":
            self._answered = 0
        elif name == "diagnostics":
            outcome["detail"] = _(
                "{model}, software {software}, {count} calls answered since it started, network good, 41 °C",
                model=self._about["model"],
                software=self._about["software"],
                count=self._answered,
            )
        elif name != "sign_out":
            outcome = {"status": "failed", "detail": _("This device does not know how to do that.")}
        try:
            await self._call("POST", f"/api/v1/device/commands/{quote(command, safe='')}", outcome, {})
        except DeviceProblem as problem:
            if problem.status != 404:  # taken back meanwhile, or done long ago
                raise
        return outcome["status"] == "done"

    async def factory_reset(self) -> None:
        """Forget everything and say so. What the service answers no longer matters to a device without a token."""
        try:
            await self._call("POST", "/api/v1/device/factory-reset", None, {})
        except DeviceProblem as problem:
            if problem.status != 401:
                raise
        self.forget()

    def forget(self) -> None:
        self._keep("")

    # -------------------------------------------------------------- on the wire

    async def _call(
        self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str], wait: float = 0.0
    ) -> dict[str, Any]:
        """One request, repeated while its answer is lost or the service says "later" (RFC 9110, 10.2.3)."""
        said: DeviceProblem | None = None
        for turn in range(TRIES):
            if turn:
                await self._sleep(min(said.retry_after if said else 2.0 ** (turn - 1), LONGEST_PAUSE))
            try:
                return await self._once(method, path, body, headers, wait)
            except DeviceProblem as problem:
                if problem.status not in LATER:
                    raise
                said = problem
            except InvalidURL as wrong:
                raise NoAnswer(_("{url} is not an address.", url=self._base_url)) from wrong
            except (ClientError, TimeoutError):
                said = None
        raise said or NoAnswer(_("{url} does not answer.", url=self._base_url))

    async def _once(
        self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str], wait: float
    ) -> dict[str, Any]:
        if self.token:
            headers = headers | {hdrs.AUTHORIZATION: f"Bearer {self.token}"}
        timeout = ClientTimeout(total=wait + ANSWER_SECONDS)
        async with self._session.request(
            method, self._base_url + path, json=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            content = await answer.read()
            if answer.status == 204:
                return {}
            read = _object(content)
            if answer.status == 200:
                return read
            after = answer.headers.get(hdrs.RETRY_AFTER, "")
            raise DeviceProblem(
                answer.status,
                str(read.get("code", "")),
                str(read.get("detail") or _("The service answered {status}.", status=answer.status)),
                float(after) if after.isdecimal() else 1.0,
            )

    def _keep(self, token: str) -> None:
        """In memory, and whole or not at all in the file, which only its owner reads."""
        self.token = token
        if self._state_file is None:
            return
        draft = self._state_file.with_name(self._state_file.name + ".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"mac": self.mac, "token": token}, file)
        draft.replace(self._state_file)


def _stored_token(path: Path | None, mac: str) -> str:
    """The token of an earlier run, if it is this device's."""
    if path is None or not path.exists():
        return ""
    kept = _object(path.read_bytes())
    return str(kept.get("token", "")) if kept.get("mac") == mac else ""


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (JSONDecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


# ------------------------------------------------------------------ the command line


async def run(
    url: str,
    mac: str,
    code: str = "",
    *,
    type: str = "phone",
    state_file: Path | None = None,
    once: bool = False,
    show: Show | None = None,
    ask: Ask | None = None,
    sleep: Sleep = asyncio.sleep,
) -> int:
    """Act as a device until Ctrl-C: boot, code, tenant name, sign-in, changes. Exit code 1 where it got no further.

    With `once` it ends after it was provisioned, or after one look at how it stands where it was before.
    """
    show = show or _to_stdout

    async def pause(seconds: float) -> None:
        show(_("Trying again in {seconds:g} s.", seconds=seconds))
        await sleep(seconds)

    async with ClientSession() as session:
        device = SimulatedDevice(url, mac, type, session=session, state_file=state_file, sleep=pause)
        screen = Screen(device, show, ask or ask_at_terminal, code, once)
        try:
            await screen.on()
        except (DeviceProblem, NoAnswer, EOFError) as ended:
            sys.stderr.write(f"{ended}\n")
            return 1
    return 0


class Screen:
    """What somebody in front of the device sees and types."""

    def __init__(self, device: SimulatedDevice, show: Show, ask: Ask, code: str, once: bool) -> None:
        self._device = device
        self._show = show
        self._ask = ask
        self._code = code
        self._once = once
        self._last = ""

    async def on(self) -> None:
        self._show(_("{mac}: starting.", mac=self._device.mac))
        while True:
            if not self._device.token:
                self._draw(await self._activate())
                if self._once:
                    return
            try:
                await self._follow()
                return
            except DeviceProblem as problem:
                if self._once or problem.status != 401:
                    raise
                await self._start_over(problem)

    async def _activate(self) -> DeviceView:
        """Ask for the code until one works; a code from the command line is tried once."""
        given, self._code = self._code, ""
        while True:
            code = given or await self._ask(_("Settings, Provision device. Code: "))
            try:
                return await self._device.provision(code)
            except DeviceProblem as problem:
                if given or problem.code not in RETYPE:
                    raise
                self._show(problem.detail)

    async def _follow(self) -> None:
        """Draw each change. A service that is away for long is asked again and again, as a device would."""
        view = await self._device.status()
        self._draw(view)
        if not self._once:
            await self._carry_out(view)
        while not self._once:
            try:
                view = await self._device.status(view.revision, POLL_SECONDS)
            except NoAnswer as away:
                self._show(str(away))
                continue
            self._draw(view)
            await self._carry_out(view)

    async def _carry_out(self, view: DeviceView) -> None:
        """What an admin asked for from afar, one after the other."""
        for command, name in view.commands:
            self._show(_(ASKED.get(name, N_("Asked for something that it does not know."))))
            try:
                done = await self._device.carry_out(command, name)
            except NoAnswer as away:
                self._show(str(away))
                return
            if done and name == "restart":
                self._last = ""
                self._show(_("{mac}: starting.", mac=self._device.mac))
                self._draw(view)

    async def _start_over(self, problem: DeviceProblem) -> None:
        self._last = ""
        self._show(problem.detail)
        if problem.code == "reset_required":  # an admin ended this life: whoever stands here resets the device
            await self._ask(_("Factory reset: press Enter. "))
        self._show(_("Resetting to factory settings."))
        await self._device.factory_reset()  # one that was taken off the list can come back then

    def _draw(self, view: DeviceView) -> None:
        account = f" · {view.account}" if view.account else ""
        lines = f"{view.tenant} · {view.location} · {_(STATES.get(view.state, view.state))}{account}"
        if lines != self._last:
            self._show(lines)
            self._last = lines


def _to_stdout(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def ask_at_terminal(question: str) -> str:
    """A line from the terminal. Errors: `EOFError`.

    A daemon thread reads the descriptor itself: Ctrl-C ends the program while it waits, and no buffer's lock is held.
    """
    sys.stdout.write(question)
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        text = b""
        while not text.endswith(b"\n") and (byte := os.read(sys.stdin.fileno(), 1)):
            text += byte
        with suppress(RuntimeError):  # the loop ended meanwhile
            loop.call_soon_threadsafe(typed, text)

    def typed(text: bytes) -> None:
        if not line.done():
            line.set_result(text)

    threading.Thread(target=read, daemon=True).start()
    text = (await line).decode(errors="replace")
    if not text:
        raise EOFError(_("No code was typed."))
    return text.strip()
