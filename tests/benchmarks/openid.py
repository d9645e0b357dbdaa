"""An OpenID provider with device flow in a process of its own, that remembers when each code was polled.

It is as light as a provider can be, so that on a small machine it takes little from the service beside it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.benchmarks.children import obey
from tests.openid import CLIENT_ID, new_key, signed

INTERVAL = 5  # seconds, RFC 8628's own
LIFE = 900
PENDING = {"error": "authorization_pending"}


@dataclass
class Grant:
    device_code: str
    user_code: str
    polls: list[float] = field(default_factory=list)  # when each came, by the machine's monotonic clock
    account: str = ""  # who approved
    given_at: float = 0.0  # when the poll that brought the token was answered


class Provider:
    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}  # by device code
        self._key = new_key("ES256", "k1")
        self.root = ""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/openid-configuration", self._discovery),
            web.get("/keys", self._keys),
            web.post("/device", self._device),
            web.post("/token", self._token),
        ]

    async def _discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.root,
                "device_authorization_endpoint": f"{self.root}/device",
                "token_endpoint": f"{self.root}/token",
                "jwks_uri": f"{self.root}/keys",
            }
        )

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self._key.as_dict(private=False)]})

    async def _device(self, _: web.Request) -> web.Response:
        grant = Grant(secrets.token_urlsafe(32), secrets.token_hex(4).upper())
        self._grants[grant.device_code] = grant
        answer = {"device_code": grant.device_code, "user_code": grant.user_code, "interval": INTERVAL}
        return web.json_response({**answer, "verification_uri": f"{self.root}/page", "expires_in": LIFE})

    async def _token(self, request: web.Request) -> web.Response:
        came = time.monotonic()
        grant = self._grants[str((await request.post())["device_code"])]
        grant.polls.append(came)
        if not grant.account:
            return web.json_response(PENDING, status=400)
        token = signed({"alg": "ES256", "kid": "k1"}, self._claims(grant.account), self._key)
        grant.given_at = time.monotonic()
        return web.json_response({"access_token": "opens nothing", "token_type": "Bearer", "id_token": token})

    def _claims(self, account: str) -> dict[str, Any]:
        now = int(time.time())
        about = {"sub": account, "preferred_username": account}
        return {"iss": self.root, "aud": CLIENT_ID, "iat": now, "exp": now + 3600, **about}

    # ------------------------------------------------------------------ what the bench says and asks

    async def approve(self, user_code: str, account: str) -> float:
        """Somebody typed the code; when that was."""
        (grant,) = (grant for grant in self._grants.values() if grant.user_code == user_code)
        grant.account = account
        return time.monotonic()

    async def told(self) -> dict[str, tuple[list[float], float]]:
        """By user code: when it was polled, and when its token was given."""
        return {grant.user_code: (grant.polls, grant.given_at) for grant in self._grants.values()}


async def main() -> None:
    provider, app = Provider(), web.Application()
    app.add_routes(provider.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await obey(provider.root, {"approve": provider.approve, "told": provider.told})
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
