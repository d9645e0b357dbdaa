"""What takes the place of a card that says that it is under way: tried again, and else sent as a message of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import structlog

from bot.adapter import SORRY
from bot.posting import message_of
from bot.turn import Reply
from cards.views.common import note
from provisioning.conversations import Conversation
from provisioning.delivery_errors import DeliveryError, Throttled, TryAgain
from provisioning.ports import Clock, Messenger
from provisioning.texts import _

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSES: Final = (1.0, 3.0, 10.0)  # seconds before each further try
AGAIN: Final = (Throttled, TryAgain)  # what a change of a card is tried again after
LONGEST_PAUSE: Final = 60.0  # whatever the service asks for


@dataclass(frozen=True, slots=True)
class Place:
    """A card in a person's own chat, until what it announces is there. `card`: its activity; empty where none came."""

    messenger: Messenger
    clock: Clock
    conversation: Conversation
    card: str

    async def taken_by(self, coming: Awaitable[Reply]) -> tuple[str, Reply]:
        """The activity that shows it, and what it is. Errors: the `DeliveryError` tree."""
        try:
            reply = await coming
        except Exception:  # a fault of ours, which the log names; whoever waits hears of it too
            await self._show(Reply(card=note(_(SORRY))))
            raise
        return await self._show(reply), reply

    async def taken_by_each(self, coming: AsyncIterator[Reply]) -> None:
        """One after the other, each in the place of the one before. Errors: the `DeliveryError` tree."""
        place = self
        try:
            async for reply in coming:
                place = replace(place, card=await place._show(reply))
        except DeliveryError:
            raise
        except Exception:
            await place._show(Reply(card=note(_(SORRY))))
            raise

    async def _show(self, reply: Reply) -> str:
        message = message_of(reply)
        if self.card:
            try:
                await self._patiently(lambda: self.messenger.update(self.conversation, self.card, message), AGAIN)
                return self.card
            except DeliveryError as error:
                log.warning("a card was not changed, a message goes instead", reason=error.code)
        try:
            return await self._patiently(lambda: self.messenger.send(self.conversation, message))
        except DeliveryError as error:
            log.warning("what was announced was not delivered", reason=error.code)
            raise

    async def _patiently(
        self, call: Callable[[], Awaitable[T]], faults: tuple[type[DeliveryError], ...] = (Throttled,)
    ) -> T:
        """What may have arrived is done again only where that is harmless."""
        for pause in PAUSES:
            try:
                return await call()
            except faults as error:
                asked = (error.retry_after if isinstance(error, Throttled) else None) or 0.0
                log.info("what was announced waits", reason=error.code)
                await self.clock.sleep(min(max(pause, asked), LONGEST_PAUSE))
        return await call()
