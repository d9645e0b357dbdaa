"""A person's phone: what they type and press goes through the real door, what they read stands on its screen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any

from bot.door import Door
from bot.rehearsal.measure import Record
from bot.rehearsal.teams import Screen, SimulatedChat, SimulatedTeams
from bot.turn import Incoming, Sender, Trigger
from provisioning.delivery_errors import DeliveryError
from provisioning.model import Person
from provisioning.ports import Message

_NUMBERS = count(1)
_SHOWS_A_DEVICE = frozenset({"install_form", "start", "renew", "code"})


class Phone:
    """`person` as they are known; `screen` is their 1:1 chat."""

    def __init__(self, door: Door, teams: SimulatedTeams, person: Person, screen: Screen, record: Record) -> None:
        self._door, self._teams, self.person, self.screen, self._record = door, teams, person, screen, record
        self._chat = SimulatedChat(teams, screen.conversation, person.teams_id)

    # -------------------------------------------------------------- reading

    @property
    def device(self) -> str:
        """MAC of the device that the newest device card is about; empty where there is none."""
        for _id, card in self.screen.cards():
            for action in card.get("actions", ()):
                if action.get("verb") in _SHOWS_A_DEVICE and (mac := action.get("data", {}).get("device")):
                    return str(mac)
        return ""

    def code_of(self, mac: str) -> str:
        """The digits that this phone shows for a device; empty where it shows none."""
        for _id, card in self.screen.cards():
            codes = [str(part["text"]) for part in card.get("body", ()) if part.get("id") == "code"]
            about = any(action.get("data", {}).get("device") == mac for action in card.get("actions", ()))
            if about:
                return "".join(codes).replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
        return ""

    def _with(self, verb: str, device: str) -> tuple[str, Mapping[str, Any]] | None:
        for id_, card in self.screen.cards():
            for action in card.get("actions", ()):
                if action.get("verb") == verb and device in ("", action.get("data", {}).get("device")):
                    return id_, action
        return None

    async def looks_up(self, seconds: float) -> None:
        """Until something new stands there, at most so long."""
        self.screen.changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self.screen.changed.wait()
        except TimeoutError:
            return

    # -------------------------------------------------------------- doing

    async def says(self, text: str) -> bool:
        """False where the answer did not get through: Teams took no more just now."""
        return await self._does(self._incoming(Trigger.MESSAGE, text=text))

    async def presses(self, verb: str, device: str = "") -> bool:
        """The button on the newest card that has it (for this device). False where there is none."""
        found = self._with(verb, device)
        if found is None:
            return False
        id_, action = found
        return await self.submits(verb, action.get("data", {}), id_)

    async def submits(self, verb: str, data: Mapping[str, Any], card: str = "") -> bool:
        return await self._does(self._incoming(Trigger.PRESS, verb=verb, data=data, card_id=card, invoke=True))

    def _incoming(self, trigger: Trigger, **more: Any) -> Incoming:
        person = self.person
        return Incoming(
            trigger=trigger,
            activity_id=f"rehearsed-{next(_NUMBERS)}",
            conversation=self.screen.conversation,
            sender=Sender(person.teams_id, person.id, person.tenant, person.name),
            locale=person.locale,
            timezone=person.timezone,
            **more,
        )

    async def _does(self, incoming: Incoming) -> bool:
        self._record.answers += 1
        try:
            answer = await self._door.receive(incoming, self._chat)
        except DeliveryError:
            return False
        if answer and answer.card and incoming.card_id:
            self.screen.put(incoming.card_id, Message(summary="", card=answer.card))
        return True
