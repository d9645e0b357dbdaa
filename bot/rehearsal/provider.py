"""An identity provider in memory: gives codes, and whoever types one is who they say."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

from provisioning.provider_errors import AuthorizationPending
from provisioning.signin import Account, DeviceGrant

LIFETIME = timedelta(minutes=15)


class SimulatedProvider:
    """The `IdentityProvider` of a rehearsal, in which one admin signs in one device after the other."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._latest = ""
        self._approved: dict[str, Account] = {}

    async def begin(self) -> DeviceGrant:
        number = next(self._numbers)
        self._latest = f"rehearsed-{number}"
        return DeviceGrant(self._latest, f"WDJB{number:04d}", "https://rehearsal.invalid/device", LIFETIME)

    async def redeem(self, device_code: str) -> Account:
        account = self._approved.pop(device_code, None)
        if account is None:
            raise AuthorizationPending
        return account

    def approve(self, account: str) -> None:
        """Somebody typed the latest code and signed in as this account."""
        self._approved[self._latest] = Account(id=f"id-of-{account.casefold()}", names=(account,))
