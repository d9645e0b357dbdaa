"""What is posted for a message: the activities, as plain dicts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

from provisioning.conversations import Conversation
from provisioning.ports import FileLink, FileOffer, InlinePicture, Message

CARD_TYPE: Final = "application/vnd.microsoft.card.adaptive"
OFFER_TYPE: Final = "application/vnd.microsoft.teams.card.file.consent"
LINK_TYPE: Final = "application/vnd.microsoft.teams.card.file.info"


def bodies(conversation: Conversation, message: Message) -> list[dict[str, Any]]:
    """The activities that carry a message, the card last: Teams shows text and card of one activity badly."""
    if message.offer and not conversation.personal:
        raise ValueError("files can be offered in a 1:1 chat only")
    common: dict[str, Any] = {
        "type": "message",
        "from": {"id": conversation.bot_id},
        "conversation": {"id": conversation.id},
    }
    if message.summary:
        common["summary"] = message.summary
    activities = []
    attachments = list(_attachments(message))
    if message.text or not attachments:
        entities = [
            {"type": "mention", "text": f"<at>{name}</at>", "mentioned": {"id": teams_id, "name": name}}
            for teams_id, name in message.mentions
        ]
        activities.append({**common, "text": message.text} | ({"entities": entities} if entities else {}))
    activities += [{**common, "attachments": [attachment]} for attachment in attachments]
    return activities


def _attachments(message: Message) -> Iterator[dict[str, Any]]:
    if message.file is not None:
        yield _link(message.file)
    if message.offer is not None:
        yield _offer(message.offer)
    if message.picture is not None:
        yield _picture(message.picture)
    if message.card is not None:
        yield {"contentType": CARD_TYPE, "content": message.card}


def _offer(offer: FileOffer) -> dict[str, Any]:
    """The client asks the person, and tells what they decided in a `fileConsent/invoke`."""
    content = {
        "description": offer.description,
        "sizeInBytes": offer.size,
        "acceptContext": dict(offer.context),
        "declineContext": dict(offer.context),
    }
    return {"contentType": OFFER_TYPE, "name": offer.name, "content": content}


def _link(file: FileLink) -> dict[str, Any]:
    content = {"uniqueId": file.unique_id, "fileType": file.file_type}
    return {"contentType": LINK_TYPE, "contentUrl": file.content_url, "name": file.name, "content": content}


def _picture(picture: InlinePicture) -> dict[str, Any]:
    """In the message itself, so that it stands nowhere else; clients read the name out."""
    content = f"data:{picture.kind};base64,{b64encode(picture.content).decode()}"
    return {"contentType": picture.kind, "contentUrl": content, "name": picture.name}
