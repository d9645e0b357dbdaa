"""Where Teams keeps files, as a real server on loopback, with http or https: well-behaved, slow, lying or hostile.

async with FileHost() as host:
    await files.fetch(host.address("/file"))
"""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ipaddress
import ssl
import tempfile
from collections import deque
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Self
from urllib.parse import quote

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MIB = 1024 * 1024
NAME = "contoso-my.sharepoint.com"


class FileHost:
    """One host. `content` is at /file; other paths misbehave as they are called; /upload is an upload session."""

    def __init__(self, *, tls: bool = False, address: str = "127.0.0.1") -> None:
        self.content = b"MAC id,Location\n80-5E-C0-11-22-33,Oslo/2/2.14\n"
        self.requests: list[web.BaseRequest] = []
        self.shared: dict[str, bytes] = {}  # what people sent to the bot, by path
        self.uploads: dict[str, bytearray] = {}  # what the bot put, by path
        self._sizes: dict[str, int] = {}
        self.faults: deque[int | str] = (
            deque()
        )  # of the next parts: a status, "silent", "half" taken, or "lost" after they were
        self.host, self._tls, self.port = address, tls, 0
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def address(self, path: str, name: str = "") -> str:
        if self._tls:
            return f"https://{name or NAME}{path}"  # the resolver of the test knows the port
        return f"http://{name or self.host}:{self.port}{path}"

    def shares(self, name: str, content: bytes) -> str:
        """Somebody sends a file: the address under which it can be fetched."""
        path = f"/shared/{len(self.shared) + 1}/{quote(name)}"
        self.shared[path] = content
        return self.address(path)

    def place(self) -> str:
        """An upload session for one file."""
        path = f"/upload/{len(self.uploads) + 1}"
        self.uploads[path] = bytearray()
        return self.address(path)

    @property
    def uploaded(self) -> bytes:
        """What was put at /upload."""
        return bytes(self.uploads.get("/upload", b""))

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._seen], client_max_size=64 * MIB)
        app.router.add_get("/file", self._file)
        app.router.add_get("/status/{status}", self._status)
        app.router.add_get("/redirect", self._redirect)
        app.router.add_get("/silent", self._silent)
        app.router.add_get("/stalls", self._stalls)
        app.router.add_get("/drips", self._drips)
        app.router.add_get("/short", self._short)
        app.router.add_get("/endless", self._endless)
        app.router.add_get("/bomb", self._bomb)
        app.router.add_get("/packed/{how}", self._packed)
        app.router.add_get("/shared/{tail:.*}", self._shared)
        app.router.add_get("/upload{tail:.*}", self._session)
        app.router.add_put("/upload{tail:.*}", self._part)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, 0, ssl_context=server_tls() if self._tls else None)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        if self._runner:
            await self._runner.cleanup()

    @web.middleware
    async def _seen(self, request: web.Request, handler: object) -> web.StreamResponse:
        self.requests.append(request)
        answer: web.StreamResponse = await handler(request)  # type: ignore[operator]
        return answer

    # ------------------------------------------------------------------ in

    async def _file(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.content, headers={"Set-Cookie": "who=you"})

    async def _shared(self, request: web.Request) -> web.Response:
        return web.Response(body=self.shared[request.raw_path])

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.query["status"]), headers={"Location": request.query["to"]})

    async def _silent(self, _request: web.Request) -> web.Response:
        await self._released.wait()
        return web.Response()

    async def _stalls(self, request: web.Request) -> web.StreamResponse:
        return await self._begin(request, {"Content-Length": "1000"}, b"x" * 500)

    async def _drips(self, request: web.Request) -> web.StreamResponse:
        """A byte before each stall is noticed, for ever."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self._released.is_set():
            await answer.write(b"x")
            await asyncio.sleep(0.05)
        return answer

    async def _short(self, request: web.Request) -> web.StreamResponse:
        """Says more than it sends, then hangs up."""
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"x" * 500)
        assert request.transport
        request.transport.close()
        return answer

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self._released.is_set():
            await answer.write(bytes(MIB))
        return answer

    async def _bomb(self, _request: web.Request) -> web.Response:
        """200 MiB in 200 kB."""
        return web.Response(body=bomb(), headers={"Content-Encoding": "gzip"})

    async def _packed(self, request: web.Request) -> web.Response:
        how = request.match_info["how"]
        return web.Response(body=gzip.compress(self.content), headers={"Content-Encoding": how})

    async def _begin(self, request: web.Request, headers: Mapping[str, str], content: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        await answer.write(content)
        await self._released.wait()
        return answer

    # ------------------------------------------------------------------ out

    async def _part(self, request: web.Request) -> web.Response:
        """A part of a file, as an upload session takes them: in order, and multiples of 320 KiB but for the last."""
        body = await request.read()
        fault = self.faults.popleft() if self.faults else 0
        if fault == "silent":
            await self._released.wait()
        if isinstance(fault, int) and fault:
            return web.json_response({"error": {"code": "x"}}, status=fault)
        unit, _, rest = request.headers["Content-Range"].partition(" ")
        span, _, total = rest.partition("/")
        start, end = map(int, span.split("-"))
        assert (unit, len(body)) == ("bytes", end - start + 1)
        size, taken = int(total), self.uploads.setdefault(request.path, bytearray())
        assert self._sizes.setdefault(request.path, size) == size
        if start != len(taken):
            return web.json_response({"error": {"code": "invalidRange"}}, status=416)
        if end + 1 < size and len(body) % (320 * 1024):
            return web.json_response({"error": {"code": "badLength"}}, status=400)
        taken += body if fault != "half" else body[: 320 * 1024]
        if fault == "lost":
            return web.json_response({}, status=500)
        if len(taken) == size:
            return web.json_response({"id": "1"}, status=201)
        return web.json_response({"nextExpectedRanges": [f"{len(taken)}-"]}, status=202)

    async def _session(self, request: web.Request) -> web.Response:
        return web.json_response({"nextExpectedRanges": [f"{len(self.uploads.get(request.path, b''))}-"]})


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(200 * MIB))


@cache
def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [
        x509.DNSName("*.sharepoint.com"),
        x509.DNSName("login.microsoftonline.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return built.public_bytes(serialization.Encoding.PEM), private


@cache
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "certificate.pem")
        path.write_bytes(b"".join(_certificate()))
        context.load_cert_chain(path)
    return context


@cache
def client_tls() -> ssl.SSLContext:
    """Believes in the certificate of these hosts alone."""
    return ssl.create_default_context(cadata=_certificate()[0].decode())
