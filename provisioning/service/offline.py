"""The sheet for where there is no signal: a technician's own devices with their codes, signed; and the way back."""

from __future__ import annotations

import hmac
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.errors import BadInput
from provisioning.events import CodesExported, CodeShown, SheetMade
from provisioning.model import Actor, Change, Device, stored
from provisioning.onsite import Installation
from provisioning.service.handover import CHUNK, InHand
from provisioning.service.renewing import RENEWAL_WINDOW, Renewing
from provisioning.texts import N_

MOST = 200  # devices on one sheet: more than anybody installs before there is a signal again
SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: a number that is read aloud or typed from paper
NUMBER = 8
SIGNATURE = 20  # hexadecimal digits, 80 bits: it can be tried only here, by people with a role
SHEET = "sheet"  # kind of the row that keeps which devices a sheet is about
SEAL = "PBS1."  # how the text of a sheet's QR code begins
_SEAL = re.compile(rf"{re.escape(SEAL)}([{SIGNS}]{{{NUMBER}}})\.([0-9A-F]{{{SIGNATURE}}})")


class NotOurSheet(BadInput):
    code = "not_our_sheet"
    message = N_("That is not one of our sheets, or it was changed. Do not use its codes; ask an admin.")


@dataclass(frozen=True, slots=True)
class PackOutlook:
    """What a sheet would hold: devices, codes that are made for it, devices that get none, devices left out."""

    devices: int
    new: int
    without: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A sheet that was made. `seal` is what its footer and its QR code say."""

    number: str
    seal: str
    made_at: datetime
    held: tuple[InHand, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """A genuine sheet: whose it is and how its devices stand; `open` counts those not yet confirmed."""

    made_at: datetime
    name: str
    own: bool
    devices: int
    open: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Installs that were confirmed together."""

    devices: tuple[Device, ...]


class Offline(Renewing):
    async def pack_outlook(self, actor: Actor) -> PackOutlook:
        """What a sheet made now would hold."""
        require(actor, Permission.WORK_ON_SITE)
        jobs = await self.jobs_of(actor.id)
        chosen = jobs[:MOST]
        new = sum(map(self._gets_code, chosen))
        live = sum(device.live_code(self.now()) is not None for device in chosen)
        waiting = sum(not device.provisioned for device in chosen)
        return PackOutlook(len(chosen), new, waiting - live - new, len(jobs) - len(chosen))

    async def make_pack(self, actor: Actor) -> Pack:
        """The actor's open devices in walking order, each with its code; who has none gets one, within the limit of
        `renew`. The audit has it before anything is unsealed. Made again, it makes no further codes.
        """
        require(actor, Permission.WORK_ON_SITE)
        actor = replace(actor, operation="")  # made again after a fault it goes on: whoever has a code gets no other
        needing = [device.mac for device in (await self.jobs_of(actor.id))[:MOST] if self._gets_code(device)]
        await self.in_parts(actor, needing, lambda macs: self._decide_codes(actor, macs))
        jobs = await self.jobs_of(actor.id)
        chosen, now = list(jobs[:MOST]), self.now()
        sheet = await self.unit(actor, lambda: self._decide_sheet(actor, chosen, now))
        held: list[InHand] = []
        for start in range(0, len(chosen), CHUNK):
            held += await self._shown(actor, chosen[start : start + CHUNK], now)
        return Pack(sheet.id, self._seals(sheet)[sheet.key_id], sheet.at, tuple(held), len(jobs) - len(chosen))

    def _gets_code(self, device: Device) -> bool:
        waits = not device.provisioned and not device.removed and not device.live_code(self.now())
        return waits and self.renewals_left(device) > 0

    async def _decide_codes(self, actor: Actor, macs: Sequence[str]) -> tuple[Change, Counter[str]]:
        change, now, underway = Change(), self.now(), await self.underway()
        async for device in self._one_by_one(macs):
            gets = device.technician == actor.id and self._gets_code(device)
            if gets and not underway.rests(device):
                recent = (at for at in device.renewals if now - at < RENEWAL_WINDOW)
                counted = replace(device, renewals=(*recent, now))
                change += lifecycle.issue_code(
                    counted, self.fresh_code(device, actor, underway.lifetime(device)), actor
                )
        return change, Counter(issued=len(change.puts))

    async def _decide_sheet(self, actor: Actor, devices: Sequence[Device], now: datetime) -> tuple[Change, Batch]:
        number = "".join(secrets.choice(SIGNS) for _ in range(NUMBER))
        macs = tuple(device.mac for device in devices)
        key_id = self.keys.ids[0]
        sheet = Batch(id=number, kind=SHEET, by=actor.id, by_name=actor.name, at=now, macs=macs, key_id=key_id)
        live = sum(device.live_code(now) is not None for device in devices)
        facts = (
            CodesExported(at=now, actor=actor.id, subject=actor.id, count=live, form="pdf"),
            SheetMade(
                at=now, actor=actor.id, subject=actor.id, sheet=number, count=len(macs), digest=self._digest(macs)
            ),
        )
        return Change(puts=(sheet,), events=facts), stored(sheet)

    async def _shown(self, actor: Actor, devices: Sequence[Device], now: datetime) -> list[InHand]:
        """Audited, then unsealed; not the code of one that died or changed hands in between."""
        live = [device for device in devices if device.live_code(now)]
        facts = (CodeShown(at=now, actor=actor.id, subject=d.mac, issue=d.issued, reader=actor.id) for d in live)
        if live:
            await self.store.save(Change(events=tuple(facts)))
        held = [await self._unsealed(device) for device in devices]
        return [one if one.device.technician == actor.id else InHand(one.device) for one in held]

    # -------------------------------------------------------------- is it one of ours

    async def check_sheet(self, actor: Actor, text: str) -> SheetFacts:
        """What the text of a sheet's footer or QR code proves. Errors: `NotOurSheet`."""
        require(actor, Permission.WORK_ON_SITE, Permission.SEE_DEVICES)
        found = _SEAL.search("".join(text.split()).upper())
        sheet = await self.store.get(Batch, found[1]) if found else None
        if found is None or sheet is None or sheet.kind != SHEET:
            raise NotOurSheet
        equal = [hmac.compare_digest(found[0], seal) for seal in self._seals(sheet).values()]
        if not any(equal):
            raise NotOurSheet
        devices = (await self.store.get_many(Device, sheet.macs)).values()
        still = sum(device.open_job and device.technician == sheet.by for device in devices)
        own = sheet.by == actor.id or actor.is_admin
        return SheetFacts(sheet.at, sheet.by_name, own, len(sheet.macs), still)

    def _seals(self, sheet: Batch) -> Mapping[str, str]:
        """Over who, when and which devices: none of them can be another without the signature being another.

        By the id of the key: one that was made before the last rotation is as genuine as ever.
        """
        said = self.keys.fingerprints("sheet", sheet.id, sheet.by, sheet.at.isoformat(), *sheet.macs)
        return {key_id: f"{SEAL}{sheet.id}.{text[:SIGNATURE].upper()}" for key_id, text in said.items()}

    def _digest(self, macs: Sequence[str]) -> str:
        return self.keys.sign("sheet devices", *macs)

    # -------------------------------------------------------------- back where there is a signal

    async def confirm_called_in(self, actor: Actor) -> Confirmed:
        """The technician's word for every device of theirs that called in and is not confirmed, in walking order.

        One with a reported problem is left: somebody has to look at it.
        """
        require(actor, Permission.WORK_ON_SITE)
        done: dict[str, Device] = {}

        async def decide(macs: Sequence[str]) -> tuple[Change, Counter[str]]:
            change = Change()
            async for device in self._one_by_one(macs):
                if device.technician == actor.id and to_confirm(device):
                    word = Installation(by=actor.id, by_name=actor.name, at=self.now())
                    change += lifecycle.confirm_install(device, word)
                    done[device.mac] = device
            return change, Counter(changed=len(change.puts))

        macs = [device.mac for device in await self.jobs_of(actor.id) if to_confirm(device)]
        await self.in_parts(actor, macs, decide)
        return Confirmed(tuple(done[mac] for mac in macs if mac in done))


def to_confirm(device: Device) -> bool:
    """It called in, and nobody has said yet that it is installed."""
    return device.provisioned and device.open_job and device.problem is None
