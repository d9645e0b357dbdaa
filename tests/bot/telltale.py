"""The service in a process of its own that writes down every secret it makes, and is made to break while it holds them.

    python -m tests.bot.telltale json FOLDER          the demo's story, then all sorts of faults; logs on stdout
    python -m tests.bot.telltale json FOLDER leak     the faults alone, and one line past the log
    python -m tests.bot.telltale json FOLDER blind    the faults alone, without the last resort of the log

`FOLDER/secrets` gets a JSON list of the secrets.
"""

import asyncio
import base64
import contextlib
import json
import logging
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import structlog
from rich.console import Console

import app
from bot import logs
from bot.demo.story import play
from bot.door import Door
from bot.identity import OpenIdProvider
from bot.identity_asking import Asking
from bot.redaction import Redaction
from bot.relay import Relay
from bot.settings import load_settings
from bot.sign_in_polls import SignInPolls
from provisioning.codes import Keyring
from provisioning.messages import MessageKind
from provisioning.model import Change
from provisioning.notifications import tell
from provisioning.service import Provisioning
from provisioning.signin import DeviceGrant
from tests.connector import FakeConnector, activity
from tests.receiver import whsec

MAC = "80-5E-C0-11-22-33"
EVENTS_TOKEN = "events-token-" + "e" * 32
HOOK_PATH = "/services/T024/B024/path-secret-of-the-hook"
JWT = jwt.encode({"sub": "somebody", "tid": "no"}, "no secret of anybody, but long enough")
SHORTEST = 16  # octets: tickets of pages are shorter, and no credentials

made: list[str] = []


def codes() -> list[str]:
    return [secret for secret in made if secret.isdecimal()]


def note_secrets() -> None:
    """Codes and tokens are written down where they are made."""
    issue, receive, random, begin = Keyring.issue, Keyring.receive, secrets.token_urlsafe, OpenIdProvider.begin

    def noting(former: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Keyring, mac: str, digits: str, *args: Any, **kwargs: Any) -> Any:
            made.append(digits)
            return former(self, mac, digits, *args, **kwargs)

        return noted

    def token_urlsafe(octets: int | None = None) -> str:
        token = random(octets)
        if octets and octets > SHORTEST:
            made.append(token)
        return token

    async def begun(self: OpenIdProvider) -> DeviceGrant:
        grant = await begin(self)
        made.extend((grant.device_code, grant.user_code))
        return grant

    Keyring.issue, Keyring.receive = noting(issue), noting(receive)
    secrets.token_urlsafe = token_urlsafe
    OpenIdProvider.begin = begun
    for name in ("get", "post"):
        if former := getattr(Asking, name, None):
            setattr(Asking, name, noting_tokens(former))


def noting_tokens(former: Callable[..., Any]) -> Callable[..., Any]:
    async def noted(self: Asking, *args: Any, **kwargs: Any) -> Any:
        answer = await former(self, *args, **kwargs)
        for name in ("access_token", "id_token", "refresh_token"):
            if token := answer.body.get(name):
                made.append(token)
        return answer

    return noted


async def broken(*_: Any, **__: Any) -> Any:
    """A fault of ours, with codes and tokens in its message and in its local variables."""
    code, token = codes()[-1], made[-1]
    grouped = f"{code[:4]} {code[4:8]} {code[8:]}"
    raise RuntimeError(f"no room for {code} or {grouped}, {token=} {{'code': '{code}'}} Bearer {token}")


def break_things() -> None:
    SignInPolls.look = broken
    Door._unmatched = broken
    Relay._draw = broken


async def faults(folder: Path) -> None:
    hooks = folder / "hooks"
    key, hook_secret = base64.b64encode(secrets.token_bytes(32)).decode(), whsec(b"h" * 32)
    hooks.write_text(f"itsm http://127.0.0.1:9{HOOK_PATH} {hook_secret}\n")
    hooks.chmod(0o600)
    made.extend((key, hook_secret, EVENTS_TOKEN, HOOK_PATH, JWT))
    environ = {
        "PORT": "3978",
        "STORE_URL": f"tinydb:{folder / 'store'}",
        "CODE_KEYS": f"k1:{key}",
        "EVENTS_TOKEN": EVENTS_TOKEN,
        "WEBHOOKS_FILE": str(hooks),
    }
    Provisioning.report_reset = broken
    settings = load_settings(environ, None).model_copy(update={"port": 0})
    async with app.running(settings) as service, FakeConnector() as connector, aiohttp.ClientSession() as client:

        async def says(text: str, **fields: Any) -> None:
            people = {"from_": {"id": "29:dana", "name": "Dana", "aadObjectId": settings.admins[0]}}
            body = activity(connector, text=text, id=secrets.token_hex(6), **people, **fields)
            async with client.post(f"{service.url}/api/messages", json=body) as answer:
                await answer.read()

        async def calls(path: str, token: str = "", **body: str) -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with client.post(service.url + path, json=body or None, headers=headers) as answer:
                await answer.read()
                return answer.status

        await says("hi")
        await says(f"add {MAC} Oslo/2/2.14")
        await says(f"issue {MAC}")
        break_things()
        told = tell(MessageKind.NEW_JOBS, settings.admins[0], "", service.provisioning.now())
        await service.provisioning.store.save(Change(puts=(told,)))  # a message that cannot be drawn
        code = codes()[-1]
        await says(code)  # typed where it does not belong
        await calls("/api/v1/provision", mac=MAC, code="000000000000")
        assert await calls("/api/v1/provision", mac=MAC, code=code) == 200
        token = made[-1]
        assert await calls("/api/v1/device/factory-reset", token) == 500
        await calls("/api/v1/device/factory-reset", JWT)
        await calls(f"/nowhere/{code}?token={token}", token)
        await calls("/api/messages", JWT)
        async with client.get(
            f"{service.url}/api/v1/events?after=latest", headers={"Authorization": f"Bearer {EVENTS_TOKEN}"}
        ):
            pass
        await garbage(service.url, code, token)
        await forgotten(code, token)
        libraries(code, token)
        await asyncio.sleep(1.5)  # a worker that broke begins anew after a second


async def garbage(url: str, code: str, token: str) -> None:
    """What is no HTTP at all, which the server's own parser complains of."""
    host, port = url.removeprefix("http://").split(":")
    for line in (
        f"GET /{code} HTTP/9.9",
        f"BREW /{code}?t={token} HTCPCP/1.0",
        f"GET / HTTP/1.1\r\nBad {code}: {token}",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{line}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


async def forgotten(code: str, token: str) -> None:
    """Tasks whose end nobody waits for, and a callback that breaks: asyncio logs what they raised."""

    async def nobody_waits() -> None:
        raise ValueError(code, token)

    def broken() -> None:
        raise ValueError(f"{code[:4]}-{code[4:8]}-{code[8:]} {token}")

    task = asyncio.create_task(nobody_waits(), name=f"for {code}")
    asyncio.get_running_loop().call_soon(broken)
    await asyncio.sleep(0.05)
    del task


def libraries(code: str, token: str) -> None:
    """What libraries might log."""
    theirs = logging.getLogger("some.library")
    theirs.debug("Request headers: %r", {"Authorization": f"Bearer {token}"})
    theirs.debug("Request body: %s", json.dumps({"mac": MAC, "code": code, "device_code": made[-1]}))
    theirs.info("%s", {"code": int(code), "keys": [code[:4], code[4:8], code[8:]]}, stack_info=True)
    logging.getLogger("msrest.http_logger").debug("body %s", code)
    structlog.stdlib.get_logger("ours").info("an event", said={"user": {"typed": f"it is {code}"}}, raw=code.encode())


async def main(form: str, folder: Path, how: str) -> None:
    logs.configure(form, "debug")
    if how == "blind":
        Redaction.text = lambda _self, text: text  # type: ignore[method-assign]
    note_secrets()
    if not how:
        with (folder / "story").open("w") as shown:
            assert await play(app.running, Console(file=shown)) == 0
    await faults(folder)
    if how == "leak":
        print(f"a leak: {codes()[-1]}")


if __name__ == "__main__":
    place = Path(sys.argv[2])
    asyncio.run(main(sys.argv[1], place, sys.argv[3] if len(sys.argv) > 3 else ""), debug=True)
    (place / "secrets").write_text(json.dumps(made))
