"""Where the bot can write: a chat with one person, a group chat, a channel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConversationKind(StrEnum):
    PERSONAL = "personal"
    GROUP = "groupChat"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What it takes to write into a chat or channel again later."""

    id: str
    kind: ConversationKind
    service_url: str
    tenant: str
    bot_id: str
    channel_id: str = "msteams"
    name: str = ""
    team: str = ""

    @property
    def personal(self) -> bool:
        return self.kind is ConversationKind.PERSONAL
