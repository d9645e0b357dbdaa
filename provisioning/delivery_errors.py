"""What a messenger says: why a message could not be delivered, as codes for programs and sentences for the ledger."""

from __future__ import annotations

from provisioning.errors import ProvisioningError
from provisioning.texts import N_


class DeliveryError(ProvisioningError):
    """Raised by a Messenger; tells notifications.py whether trying again makes sense. The sentence is the ledger's."""

    code = "delivery"
    message = N_("It could not be delivered.")


class Throttled(DeliveryError):
    """429 and 412: `retry_after` in seconds, or None where the service gave none."""

    code = "throttled"
    message = N_("Teams takes no more messages there for a moment.")

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


class TryAgain(DeliveryError):
    """A network fault, a time-out or 5xx: it may or may not have arrived."""

    code = "try_again"
    message = N_("Teams did not answer, or could not.")


class Unreachable(DeliveryError):
    """There is no conversation to write into: they never opened a chat, or nobody knows of one."""

    code = "unreachable"
    message = N_("There is no chat with them: they have not opened the app yet.")


class Blocked(Unreachable):
    """403: the bot may not write there, as it was blocked, or removed from the team."""

    code = "blocked"
    message = N_("The bot was blocked or removed there.")


class ChatGone(Unreachable):
    """404: the conversation does not exist any more."""

    code = "chat_gone"
    message = N_("That chat or channel does not exist any more.")


class PostGone(DeliveryError):
    """404 on an edit: the message was deleted."""

    code = "post_gone"
    message = N_("That message was deleted.")


class Rejected(DeliveryError):
    """Any other 4xx: what we sent is wrong; sending it again would not help."""

    code = "rejected"
    message = N_("Teams refused what was sent. The log of the service says with which status.")


class CardTooLarge(Rejected):
    """More than Teams takes; it is never sent."""

    code = "card_too_large"
    message = N_("That is more than fits on one card. Ask for less, for example for one site.")
