"""Whoever signs what Teams posts, as a process of its own: an OpenID document, published keys, and a pen.

    python -m tests.issuer --folder DIR [--port PORT]

The keys are files in DIR, so that they are still there after a restart. It prints its address once it listens.
`Issuer` starts it, stops it, freezes it and tells it what to sign.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from bot.clouds import Cloud

HOUSE = Path(__file__).parents[1]
NAME = "https://issuer.example"
DOCUMENT = "/v1/.well-known/openidconfiguration"


class Pen:
    """The keys of the folder: `kid.pem`, and whom they are endorsed for in `kid.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.asked: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()
        if not self._kids():
            self._make("key-1", ["msteams"])

    def _kids(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.pem"))

    def _make(self, kid: str, endorsements: list[str]) -> None:
        key = rsa.generate_private_key(65537, 2048)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / f"{kid}.json").write_text(json.dumps(endorsements), encoding="utf-8")
        (self._folder / f"{kid}.pem").write_bytes(text)

    def _key(self, kid: str) -> Any:
        return load_pem_private_key((self._folder / f"{kid}.pem").read_bytes(), None)

    def _heard(self, request: web.Request) -> None:
        self.asked[request.path.rpartition("/")[2]] += 1
        self.agents[request.headers.get("User-Agent", "").partition(" ")[0]] += 1

    async def document(self, request: web.Request) -> web.Response:
        self._heard(request)
        return web.json_response({"issuer": NAME, "jwks_uri": f"http://{request.host}/v1/.well-known/keys"})

    async def keys(self, request: web.Request) -> web.Response:
        self._heard(request)
        published = []
        for kid in self._kids():
            public = json.loads(RSAAlgorithm.to_jwk(self._key(kid).public_key()))
            endorsements = json.loads((self._folder / f"{kid}.json").read_text(encoding="utf-8"))
            published.append({**public, "kid": kid, "use": "sig", "x5t": kid, "endorsements": endorsements})
        return web.json_response({"keys": published})

    async def sign(self, request: web.Request) -> web.Response:
        """`{"kid", "claims", "as"}`: signed with the key `kid`, under the name `as`."""
        asked = await request.json()
        token = jwt.encode(asked["claims"], self._key(asked["kid"]), "RS256", headers={"kid": asked["as"]})
        return web.json_response({"token": token})

    async def rotate(self, request: web.Request) -> web.Response:
        """`{"kid", "endorsements", "withdraw"}`: a new key, beside the others or in their place."""
        asked = await request.json()
        for kid in self._kids() if asked["withdraw"] else ():
            (self._folder / f"{kid}.pem").unlink()
        self._make(asked["kid"], asked["endorsements"])
        return web.json_response({})

    async def counts(self, request: web.Request) -> web.Response:
        return web.json_response({"asked": self.asked, "agents": self.agents})


async def serve(folder: Path, port: int) -> None:
    pen, app = Pen(folder), web.Application()
    app.router.add_get(DOCUMENT, pen.document)
    app.router.add_get("/v1/.well-known/keys", pen.keys)
    app.router.add_post("/sign", pen.sign)
    app.router.add_post("/rotate", pen.rotate)
    app.router.add_get("/counts", pen.counts)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


class Issuer:
    """async with Issuer(folder) as issuer: …; the process ends with the block."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder, self._process = folder, None
        self.url = ""

    _process: asyncio.subprocess.Process | None

    async def __aenter__(self) -> Self:
        await self.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self.stop()

    async def start(self) -> None:
        """Also again, at the same address and with the same keys."""
        arguments = ["-m", "tests.issuer", "--folder", str(self._folder), "--port", self.url.rpartition(":")[2] or "0"]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=HOUSE, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            self.url = (await self._process.stdout.readline()).decode().strip()
        assert self.url, "the issuer did not start"

    async def stop(self) -> None:
        """At once, in the middle of whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """It takes connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def cloud(self) -> Cloud:
        return Cloud(NAME, self.url + DOCUMENT, "https://api.example", "http://127.0.0.1:9")

    async def token(self, service_url: str, kid: str = "key-1", called: str = "", **claims: Any) -> str:
        """As Teams sends it to this bot, signed with the key `kid` under the name `called`."""
        from tests.connector import APP_ID  # the process itself needs no bot, and starts sooner without

        now = int(time.time())
        sound = {"iss": NAME, "aud": APP_ID, "serviceurl": service_url, "nbf": now - 60, "exp": now + 3600}
        said = {name: value for name, value in {**sound, **claims}.items() if value is not None}
        answer: dict[str, str] = await self._post("sign", {"kid": kid, "as": called or kid, "claims": said})
        return answer["token"]

    async def rotate(self, kid: str, *endorsements: str, withdraw: bool = False) -> None:
        wanted = {"kid": kid, "endorsements": endorsements or ["msteams"], "withdraw": withdraw}
        await self._post("rotate", wanted)

    async def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Since its start: how often the document and the keys were asked for, and by which programs."""
        async with self._session.get(f"{self.url}/counts") as response:
            said = await response.json()
        return said["asked"], said["agents"]

    async def _post(self, what: str, body: Any) -> Any:
        async with self._session.post(f"{self.url}/{what}", json=body, raise_for_status=True) as response:
            return await response.json()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.folder, chosen.port))
