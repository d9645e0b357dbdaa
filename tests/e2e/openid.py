"""The certified identity provider and the layer in front of it, for every test that signs somebody in.

Fixtures (conftest.py):
  openid       the harness, honest at the start of each test; `openid.issuer` is what the service gets to know
  entra_like   the same harness while it speaks like Entra ID

openid.layer                     what goes wrong, what is counted: see layer.py
openid.rotates_keys()            from now on other keys
openid.goes_away() / comes_back()
openid.codes_live(seconds)       from now on
openid.moves_clock(seconds)      of the provider, codes included: expiry without waiting
openid.run(coroutine)            for tests that are no coroutines themselves, such as those with a browser
people.Person(...)               somebody at its pages, by forms; people.approves_in_browser with a real one

Provider and layer live in a process and a thread of their own: tests may be coroutines or not.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.entra import CONTOSO, Entra
from tests.e2e.layer import Layer

T = TypeVar("T")

HERE = Path(__file__).parent
NODE = shutil.which("node")
INSTALLED = (HERE / "node_modules" / "oidc-provider").is_dir()

ROOM = "room-2.14@contoso.example"  # any account exists, with any password
OTHER = "other@contoso.example"
GUEST = "guest@fabrikam.example"
PLAIN = "jo"  # as an ordinary provider has them: the subject `jo` and the e-mail address jo@plain.example, no more

PUBLIC, CONFIDENTIAL, ELLIPTIC = "public", "confidential", "elliptic"  # its clients; the last gets ES256


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

    def speaks_like_entra(self, tenant: str = CONTOSO) -> None:
        self.layer.entra = Entra(tenant)

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
