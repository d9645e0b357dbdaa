"""The certified identity provider and the layer in front of it, for every test that signs somebody in.

Fixtures (conftest.py):
  openid       the harness, honest at the start of each test; `openid.issuer` is what the service gets to know
  entra_like   the same harness while it speaks like Entra ID at its loopback address
  entra        the same at Entra's own name: only a client session of `openid.session()` finds it there

openid.layer                     what goes wrong, what is counted: see layer.py
openid.rotates_keys()            from now on other keys
openid.goes_away() / comes_back()
openid.codes_live(seconds)       from now on
openid.moves_clock(seconds)      of the provider, codes included: expiry without waiting
openid.environment(client)       what the service is configured with, in local mode
openid.asked_by(client)          our adapter as this client of it, made and closed in an `async with`
openid.run(coroutine)            for tests that are no coroutines themselves, such as those with a browser
people.Person(...)               somebody at its pages, by forms; people.approves_in_browser with a real one

Provider and layer live in a process and a thread of their own: tests may be coroutines or not.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.identity import OpenIdProvider
from tests.e2e.entra import NAME, PAGE, Entra
from tests.e2e.forging import SECRET
from tests.e2e.layer import Layer
from tests.file_host import client_tls

T = TypeVar("T")

HERE = Path(__file__).parent
NODE = shutil.which("node")
INSTALLED = (HERE / "node_modules" / "oidc-provider").is_dir()

ROOM = "room-2.14@contoso.example"  # any account exists, with any password
OTHER = "other@contoso.example"
GUEST = "guest@fabrikam.example"
PLAIN = "jo"  # as an ordinary provider has them: the subject `jo` and the e-mail address jo@plain.example, no more

PUBLIC, CONFIDENTIAL, ELLIPTIC = "public", "confidential", "elliptic"  # its clients; the last gets ES256
SECRETS = {CONFIDENTIAL: SECRET}
QUICK = 0.4  # seconds after which a silent provider is given up here


class Clock:
    """Ours. What it is ahead of the real one, a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def goes_on(self, **span: float) -> None:
        self.ahead += timedelta(**span)


class Provider:
    """The node process; see provider.mjs for what it takes."""

    def __init__(self, issuer: str, log: Path) -> None:
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [NODE, str(HERE / "provider.mjs"), issuer],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.port: int = self._answer()["port"]

    def does(self, what: str, **more: float) -> None:
        self._process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self._process.stdin.flush()
        assert self._answer() == {"done": what}

    def stop(self) -> None:
        """It ends with its input; this process alone is killed where it does not."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5)
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"the provider ended: {self._log.read_text()}")


class _Names(AbstractResolver):
    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        if host != NAME:
            raise OSError(host)
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


class OpenId:
    """The harness. `issuer` is the address of the layer."""

    def __init__(self, folder: Path) -> None:
        self.layer = Layer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openid", daemon=True)
        self._thread.start()
        self.run(self.layer.opens())
        try:
            self.provider = Provider(self.layer.address, folder / "provider.log")
        except BaseException:
            self._close()
            raise
        self.layer.upstream = self.provider.port
        self._away = False

    @property
    def issuer(self) -> str:
        return self.layer.issuer

    @property
    def page(self) -> str:
        """Where people type codes, whatever the provider says."""
        return f"{self.layer.address}/device"

    def run(self, coroutine: Coroutine[Any, Any, T], wait: float = 30) -> T:
        """Runs it in the loop of the harness: for tests that are no coroutines themselves."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(wait)

    # ------------------------------------------------------------------ what happens to a provider

    def rotates_keys(self) -> None:
        self.provider.does("rotate")

    def goes_away(self) -> None:
        """Connections are refused, those that are open are dropped."""
        self.provider.does("away")
        self.run(self.layer.falls_silent())
        self._away = True

    def comes_back(self) -> None:
        self.provider.does("back")
        self.run(self.layer.listens())
        self._away = False

    def codes_live(self, seconds: int) -> None:
        self.provider.does("ttl", seconds=seconds)

    def moves_clock(self, seconds: float) -> None:
        """How far the provider's clock, its Date header too, is ahead of ours from now on."""
        self.provider.does("clock", seconds=seconds)
        self.layer.skew = seconds

    def speaks_like_entra(self, *, by_name: bool = False) -> None:
        """`by_name`: at https://login.microsoftonline.com; codes are still typed at `page`."""
        self.layer.entra = Entra(f"https://{NAME}", page=PAGE) if by_name else Entra(self.layer.address)

    def environment(self, client: str = PUBLIC) -> dict[str, str]:
        """What an operator sets so that the service asks here."""
        return {
            "OIDC_ISSUER": self.issuer,
            "OIDC_CLIENT_ID": client,
            "OIDC_CLIENT_SECRET": SECRETS.get(client, ""),
        }

    @asynccontextmanager
    async def asked_by(self, client: str = PUBLIC, secret: str | None = None, *, issuer: str = "", **more: Any):
        """Our adapter as one of the clients. `more` is what its constructor takes: tenant, now, seconds."""
        secret = SECRETS.get(client, "") if secret is None else secret
        async with self.session() as session:
            named = {"sessions": lambda: session} if issuer or NAME in self.issuer else {}
            settings = {"local": True, "now": Clock(), "seconds": QUICK} | named | more
            adapter = OpenIdProvider(issuer or self.issuer, client, secret, **settings)
            try:
                yield adapter
            finally:
                await adapter.close()

    def session(self) -> ClientSession:
        """A client session that finds Entra's name here, and no other name anywhere."""
        connector = TCPConnector(resolver=_Names(self.layer.tls_port), ssl=client_tls())
        return ClientSession(connector=connector, cookie_jar=DummyCookieJar())

    # ------------------------------------------------------------------ its life

    def reset(self) -> None:
        """As it was at first, but for keys and for what was begun."""
        if self._away:
            self.comes_back()
        self.codes_live(600)
        self.moves_clock(0)
        self._loop.call_soon_threadsafe(self.layer.reset)
        self.run(asyncio.sleep(0))

    def stop(self) -> None:
        self.provider.stop()
        self._close()

    def _close(self) -> None:
        self.run(self.layer.closes())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
