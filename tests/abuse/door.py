"""The real service in a process of its own, with devices in every state that a refusal may not tell apart."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from base64 import b64encode
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import timedelta
from typing import Any

import app
from bot import device_api, logs
from bot.interpreter import run
from bot.settings import load_settings
from provisioning import codes
from provisioning.bookkeeping import Attempts
from provisioning.codes import Key, Keyring
from provisioning.mac import normalise
from provisioning.model import Change, Device, Person, Role, State
from provisioning.service import Provisioning
from provisioning.service.activation import ProvisionCall, Provisioned
from provisioning.throttle import EXEMPT_SLOT, FLEET_SLOT
from tests.benchmarks.children import obey
from tests.provisioning.world import wrong

KEY = b"k" * 32
SAM = "00000000-0000-4000-8000-0000000000a1"
CASES = ("unknown", "bare", "wrong", "used", "revoked", "late_wrong")
EACH = 60  # devices of a case; a code dies of a hundred wrong ones


async def devices(core: Provisioning, technician: str) -> dict[str, list[tuple[str, str]]]:
    """Of each case, MACs and what is presented with them."""
    keys, now = Keyring([Key("k1", KEY)]), core.now()
    made: dict[str, list[tuple[str, str]]] = {case: [] for case in CASES}
    for number, case in ((number, case) for number in range(EACH) for case in CASES):
        mac, digits = f"805EC0{secrets.token_hex(3).upper()}", codes.generate(core.policy.code_digits)
        if case == "unknown":
            made[case].append((mac, digits))
            continue
        began = now - timedelta(hours=48 if case == "late_wrong" else 1)
        code = keys.issue(mac, digits, 1, began, timedelta(hours=24), "dana")
        device = Device(
            mac=mac, location=f"Oslo/{number}/{mac[-4:]}", added_at=began, added_by="dana", technician=technician
        )
        if case in ("wrong", "late_wrong"):
            device = replace(device, code=code, issued=1)
        elif case == "used":
            state, token = State.WAITING_FOR_SIGN_IN, codes.hash_token(mac)
            device = replace(device, state=state, issued=1, provisioned_at=began, token=token)
        await core.store.save(Change(puts=(device,)))
        made[case].append((mac, wrong(digits) if case in ("wrong", "late_wrong") else digits))
    return made


def leaking(core: Provisioning, seconds: float) -> None:
    """From now on a listed MAC is refused so much later: what the measurement has to find.

    Within a step of the door it would be lost, as all honest work is; so it comes on top of one.
    """
    provision, step = core.provision, device_api._until_step
    listed = False

    async def noting(call: ProvisionCall) -> Provisioned:
        nonlocal listed
        listed = await core.store.get(Device, normalise(call.mac)) is not None
        return await provision(call)

    async def late(began: float) -> None:
        await step(began)
        if listed:
            await asyncio.sleep(seconds)

    core.provision = noting  # type: ignore[method-assign]
    device_api._until_step = late


async def main(url: str, *, leak: float, hands: bool) -> None:
    settings = load_settings({"STORE_URL": url, "CODE_KEYS": f"k1:{b64encode(KEY).decode()}"}, None)
    logs.configure("json", "error")
    async with app.running(settings.model_copy(update={"port": 0})) as service:
        core = service.provisioning
        sam = Person(id=SAM, tenant="", name="Sam", roles=frozenset({Role.TECHNICIAN}))
        await core.store.save(Change(puts=(sam,)))
        made = await devices(core, SAM if hands else "")
        if leak:
            leaking(core, leak / 1000)

        async def calm() -> None:
            """The fleet's budget is as if nobody had tried anything."""
            for slot in (FLEET_SLOT, EXEMPT_SLOT):
                row = await core.store.get(Attempts, slot)
                if row:
                    fresh = replace(row, failures=0, since=None, blocked_until=None, networks=0)
                    await core.store.save(Change(puts=(fresh,)))

        hello: dict[str, Any] = {"url": service.url, "cases": made}
        out, sys.stdout = sys.stdout, sys.__stdout__ or sys.stdout
        await obey(hello, {"calm": calm})
        sys.stdout = out


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--leak", type=float, default=0.0, help="milliseconds by which the door tells a listed MAC")
    parser.add_argument("--hands", action="store_true", help="devices are in a technician's hands")
    asked = parser.parse_args()
    with redirect_stdout(sys.stdout):
        run(main(asked.url, leak=asked.leak, hands=asked.hands))
