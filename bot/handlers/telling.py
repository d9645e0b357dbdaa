"""What somebody hears about, and when: mute, unmute, notifications, the daily digest, quiet hours."""

from __future__ import annotations

import re
from datetime import datetime

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import telling as cards
from provisioning.access import Permission
from provisioning.conversations import Conversation
from provisioning.errors import BadInput, InvalidChoice, OutOfDate
from provisioning.hours import DAY, midnight, parse_length, parse_span, parse_time
from provisioning.messages import MessageKind
from provisioning.service.telling import (
    DEFAULT,
    OFF,
    InvalidDigestHour,
    InvalidMute,
    InvalidQuietHours,
    mute_until,
)
from provisioning.telling import LONGEST_MUTE, DigestHour, QuietHours, Topic
from provisioning.texts import current_speech, speak_on
from provisioning.untrusted import parse_ahead

router = Router()
ANY = (Permission.FOLLOW_ROLLOUT,)
_SPAN = re.compile(r"(?P<topic>.*?)\s*\b(?:for\s+(?P<length>.+)|until\s+(?P<time>.+)|(?P<today>today))", re.IGNORECASE)
_EVERYTHING = ("", "all", "everything")
_NONE = (OFF, "none", "never")


@router.command("mute [<topic>]", needs=ANY)
@router.action("mute")
async def mute(turn: Turn, topic: str = "") -> Reply:
    """Stop messages, all or of a topic: mute, mute devices, mute for 2h, mute until 14:00, mute today."""
    channel = await _channel(turn)
    about, until = _meant(topic, turn.now)
    heard = await turn.provisioning.mute(turn.actor, about, until, channel)
    return Reply(card=cards.muted_card(heard, about, turn.now))


@router.command("unmute [<topic>]", needs=ANY)
@router.action("unmute")
async def unmute(turn: Turn, topic: str = "") -> Reply:
    """Hear of a topic again, or of everything."""
    channel = await _channel(turn)
    about = _topic(topic)
    heard = await turn.provisioning.unmute(turn.actor, about, channel)
    return Reply(card=cards.unmuted_card(heard, about, turn.now))


@router.command("notifications", needs=ANY)
@router.action("notifications")
async def notifications(
    turn: Turn,
    hear: str | None = None,
    hour: str | None = None,
    hours: str | None = None,
    fault: BadInput | None = None,
) -> Reply:
    """Choose what you hear about, the hour of your digest, your quiet hours; in a channel, the channel's."""
    heard = await turn.provisioning.telling_of(turn.actor, await _channel(turn))
    return Reply(card=cards.settings_form(heard, turn.now, hear=hear, hour=hour, hours=hours, fault=fault))


@router.action("notifications_save", form=notifications, needs=ANY)
async def notifications_save(turn: Turn, reader: str, hear: str = "", hour: str = "", hours: str = "") -> Reply:
    """Save all of it. A card that is somebody else's changes nothing."""
    channel = await _channel(turn)
    if reader != (channel.id if channel else turn.actor.id):
        raise OutOfDate
    topics = [_topic(word) for word in hear.split(",") if word.strip()]
    chosen = [topic for topic in topics if topic]
    heard = await turn.provisioning.choose_telling(turn.actor, chosen, _digest_hour(hour), _quiet_hours(hours), channel)
    return Reply(card=cards.settings_form(heard, turn.now, saved=True))


@router.command("digest [<hour>]", needs=ANY)
@router.action("digest")
async def digest(turn: Turn, hour: str = "") -> Reply:
    """Show how things stand and what is stuck; with an hour, off or default: when it comes by itself."""
    channel = await _channel(turn)
    if hour:
        heard = await turn.provisioning.choose_digest(turn.actor, _digest_hour(hour), channel)
        return Reply(card=cards.digest_hour_card(heard, turn.now))
    found = await turn.provisioning.digest_now(turn.actor, channel)
    if channel:
        return Reply(text=cards.digest_note(found, turn.now))
    return Reply(card=cards.digest_card(found, turn.now))


@router.command("quiet [<hours>]", needs=ANY)
async def quiet(turn: Turn, hours: str = "") -> Reply:
    """Choose hours in which nothing comes that can wait: quiet 19:00-07:00, quiet off, quiet default."""
    if not hours:
        return await notifications(turn)
    heard = await turn.provisioning.choose_quiet(turn.actor, _quiet_hours(hours), await _channel(turn))
    return Reply(card=cards.quiet_card(heard))


@router.notice(MessageKind.DIGEST)
async def digest_told(turn: Turn, until: str) -> Reply | None:
    """How things stand, once a day; nothing where it would come hours late, or there is nothing to say any more."""
    if turn.now > datetime.fromisoformat(until):
        return None
    found = await turn.provisioning.digest_for(turn.conversation.id if turn.in_channel else turn.actor.id)
    if found is None:
        return None
    if turn.in_channel:
        return Reply(text=cards.digest_note(found, turn.now))
    return Reply(card=cards.digest_card(found, turn.now))


# ------------------------------------------------------------------ what was typed


async def _channel(turn: Turn) -> Conversation | None:
    """The channel that it is about; what is typed there is answered as all of it is spoken to."""
    if not turn.in_channel:
        return None
    if not turn.pressed:
        speak_on(await turn.provisioning.channel_speech(turn.conversation.id))
    return turn.conversation


def _meant(words: str, now: datetime) -> tuple[Topic | None, datetime | None]:
    """`devices for 2h` → what is muted, and until when. Errors: `InvalidChoice`, `InvalidMute`, `InvalidHour`."""
    found = _SPAN.fullmatch(words.strip())
    if found is None:
        return _topic(words), None
    zone = current_speech().timezone
    if found["today"]:
        return _topic(found["topic"]), midnight(now.astimezone(zone).replace(hour=12) + DAY, zone)
    if found["time"]:
        return _topic(found["topic"]), parse_ahead(found["time"], now, zone)
    try:
        return _topic(found["topic"]), mute_until(parse_length(found["length"]), now)
    except ValueError:
        raise InvalidMute(text=found["length"][:40], days=LONGEST_MUTE.days) from None


def _topic(words: str) -> Topic | None:
    """None: everything. Errors: `InvalidChoice`."""
    said = "-".join(words.casefold().replace("-", " ").split())
    if said in _EVERYTHING:
        return None
    try:
        return Topic(said)
    except ValueError:
        raise InvalidChoice(text=words.strip()[:40], choices=", ".join(Topic)) from None


def _digest_hour(text: str) -> DigestHour | None:
    said = text.strip().casefold()
    if said in ("", DEFAULT):
        return None
    try:
        return DigestHour(None if said in _NONE else parse_time(said))
    except ValueError:
        raise InvalidDigestHour(text=text.strip()[:40]) from None


def _quiet_hours(text: str) -> QuietHours | None:
    said = text.strip().casefold()
    if said in ("", DEFAULT):
        return None
    try:
        return QuietHours(None if said in _NONE else parse_span(said))
    except ValueError:
        raise InvalidQuietHours(text=text.strip()[:40]) from None
