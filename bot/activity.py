"""Reads a raw activity: Teams' JSON in, an `Incoming` in our own words out. Pure; knows no SDK and no HTTP."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bot.turn import FileConsent, Incoming, Picture, Sender, SharedFile, Trigger, UploadTarget
from provisioning.conversations import Conversation, ConversationKind

Json = Mapping[str, Any]

THREAD_MARK: Final = ";messageid="
CARD_INVOKE: Final = "adaptiveCard/action"
CONSENT_INVOKE: Final = "fileConsent/invoke"
SEARCH_INVOKE: Final = "composeExtension/query"
FILE_TYPE: Final = "application/vnd.microsoft.teams.file.download.info"
PICTURE_TYPE: Final = "image/"
PICTURES: Final = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "heic", "heif")  # endings of names
PICTURE_LIMIT: Final = 4  # of one message
ID_LIMIT: Final = 1024  # ids are kept in memory for a while; Teams' longest are below 300 characters
MENTION_LIMIT: Final = 50
SEARCH_COUNT: Final = 25  # how many results Teams asks for, and the most it gets
SEARCH_SKIP_LIMIT: Final = 1_000_000

# Every part is scanned once: `[^<]` instead of `.*?`, so that a text full of `<at>` costs no quadratic time.
_AT: Final = re.compile(r"<at\b[^<>]*>([^<]*)</at>", re.IGNORECASE)
_BREAK: Final = re.compile(r"<br\s?/?>|\r\n?", re.IGNORECASE)
_INVISIBLE: Final = str.maketrans({"\xa0": " ", "\u202f": " ", "\u2007": " ", "\ufeff": None, "\u200b": None})
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_SPACES: Final = re.compile(r"[ \t]{2,}")


class MalformedError(ValueError):
    """The body is no activity; `str()` says which field and never repeats its value."""


_REQUIRED: Final = (("type", str), ("serviceUrl", str), ("conversation", dict), ("from", dict))
_OPTIONAL: Final[tuple[tuple[str, type], ...]] = (
    ("id", str),
    ("name", str),
    ("text", str),
    ("channelId", str),
    ("locale", str),
    ("localTimezone", str),
    ("replyToId", str),
    ("deliveryMode", str),
    ("action", str),
    ("recipient", dict),
    ("channelData", dict),
    ("entities", list),
    ("attachments", list),
    ("membersAdded", list),
    ("membersRemoved", list),
)


def check(raw: object) -> Json:
    """The same object, with every field that is read later present and of its type; else `MalformedError`."""
    if not isinstance(raw, dict):
        raise MalformedError("the body is not an object")
    for name, kind in _REQUIRED:
        if not isinstance(raw.get(name), kind) or not raw[name]:
            raise MalformedError(f"{name} is missing or of the wrong type")
    for name, wanted in _OPTIONAL:
        if raw.get(name) is not None and not isinstance(raw[name], wanted):
            raise MalformedError(f"{name} is of the wrong type")
    for name in ("conversation", "from"):
        _check_account(name, raw[name])
    if raw.get("recipient"):
        _check_account("recipient", raw["recipient"])
    for name in ("entities", "attachments", "membersAdded", "membersRemoved"):
        if not all(isinstance(item, dict) for item in raw.get(name) or ()):
            raise MalformedError(f"{name} holds something that is not an object")
    for attachment in raw.get("attachments") or ():
        _check_file(attachment)
    for name in ("id", "replyToId"):
        if len(raw.get(name) or "") > ID_LIMIT:
            raise MalformedError(f"{name} is too long")
    if raw["type"] == "invoke":
        _check_invoke(raw)
    return raw


def _check_account(name: str, account: Json) -> None:
    if not isinstance(account.get("id"), str) or not account["id"] or len(account["id"]) > ID_LIMIT:
        raise MalformedError(f"{name}.id is missing or of the wrong type")
    if not account["id"].strip("."):
        raise MalformedError(f"{name}.id is a path")
    for field in ("name", "aadObjectId", "tenantId", "conversationType"):
        if account.get(field) is not None and not isinstance(account[field], str):
            raise MalformedError(f"{name}.{field} is of the wrong type")


def _check_file(attachment: Json) -> None:
    if attachment.get("contentType") == FILE_TYPE and not (
        _word(_part(attachment, "content"), "downloadUrl") and _word(attachment, "name")
    ):
        raise MalformedError("attachments holds a file without a name or an address")


def _check_invoke(raw: Json) -> None:
    if not raw.get("name"):
        raise MalformedError("name is missing")
    if check_value := _INVOKE_CHECKS.get(raw["name"]):
        if not isinstance(raw.get("value"), dict):
            raise MalformedError("value is missing or of the wrong type")
        check_value(raw["value"])


def _check_press(value: Json) -> None:
    action = value.get("action")
    if not isinstance(action, dict):
        raise MalformedError("value.action is missing or of the wrong type")
    # The schema allows a string as the data of Action.Execute; we never send one.
    if not isinstance(action.get("data"), dict | str | None):
        raise MalformedError("value.action.data is of the wrong type")
    if not isinstance(action.get("verb"), str | None) or not isinstance(value.get("trigger"), str | None):
        raise MalformedError("value.action.verb or value.trigger is of the wrong type")


def _check_consent(value: Json) -> None:
    if value.get("action") not in ("accept", "decline"):
        raise MalformedError("value.action is neither accept nor decline")
    if not isinstance(value.get("context"), dict | None):
        raise MalformedError("value.context is of the wrong type")
    upload = _part(value, "uploadInfo")
    if value["action"] == "accept" and not all(_word(upload, name) for name in ("name", "uploadUrl", "contentUrl")):
        raise MalformedError("value.uploadInfo has no name, uploadUrl or contentUrl")


def _check_search(value: Json) -> None:
    parameters = value.get("parameters") or []
    if not isinstance(parameters, list) or not all(isinstance(item, dict) for item in parameters):
        raise MalformedError("value.parameters is of the wrong type")
    if not all(isinstance(item.get("value"), str | bool | None) for item in parameters):
        raise MalformedError("value.parameters holds a value of the wrong type")
    options = value.get("queryOptions") or {}
    # A boolean is an integer in Python, but not in JSON.
    if not isinstance(options, dict) or not all(
        type(options.get(name) or 0) is int and 0 <= (options.get(name) or 0) <= SEARCH_SKIP_LIMIT
        for name in ("skip", "count")
    ):
        raise MalformedError("value.queryOptions is of the wrong type")
    if not isinstance(value.get("commandId"), str):
        raise MalformedError("value.commandId is missing or of the wrong type")


_INVOKE_CHECKS: Final[Mapping[str, Callable[[Json], None]]] = {
    CARD_INVOKE: _check_press,
    CONSENT_INVOKE: _check_consent,
    SEARCH_INVOKE: _check_search,
}


def read(raw: Json, *, local: bool = False) -> Incoming | None:
    """What a checked activity means to us; None for what we ignore (typing, reactions, foreign invokes …).

    `local` lets somebody without an `aadObjectId` in under their chat id; never set where tokens are checked.
    """
    kind = raw["type"]
    if kind == "message":
        return _message(raw, local)
    if kind == "invoke":
        reader = _INVOKES.get(raw["name"])
        return reader(raw, local) if reader else None
    if kind == "conversationUpdate":
        return _membership(raw, local)
    if kind == "installationUpdate":
        # "add-upgrade" and "remove-upgrade" are a new version of the app: nobody came or left.
        # Of a team or group the conversationUpdate tells it already.
        trigger = {"add": Trigger.JOINED, "remove": Trigger.LEFT}.get(raw.get("action") or "")
        return _incoming(raw, trigger, local) if trigger and conversation_of(raw).personal else None
    return None


def _message(raw: Json, local: bool) -> Incoming | None:
    value = raw.get("value")
    if isinstance(value, dict) and isinstance(value.get("verb"), str) and value["verb"]:
        # The fallback of a button: old clients answer Action.Submit with a message that holds its data.
        return _pressed(raw, local, Trigger.PRESS, value["verb"], value, invoke=False)
    text, mentions = _text_and_mentions(raw)
    # Teams adds every message once more as HTML; that is neither a file nor a picture.
    attachments = [item for item in raw.get("attachments") or () if item.get("contentType") != "text/html"]
    shared = tuple(_shared_file(item) for item in attachments if item.get("contentType") == FILE_TYPE)
    files = tuple(file for file in shared if not _is_picture(file))
    pictures = tuple(Picture(file.url) for file in shared if _is_picture(file))
    pictures += tuple(picture for item in attachments if (picture := _picture(item)))
    if value is not None and not text and not shared and not pictures:
        return None  # the data of somebody else's button
    return _incoming(
        raw,
        Trigger.MESSAGE,
        local,
        text=text,
        mentions=mentions,
        files=files,
        pictures=pictures[:PICTURE_LIMIT],
        further=len(pictures[PICTURE_LIMIT:]),
        attachments=len(attachments) - len(files) - len(pictures),
    )


def _shared_file(attachment: Json) -> SharedFile:
    content = attachment["content"]
    return SharedFile(attachment["name"], content["downloadUrl"], _word(content, "fileType").lower())


def _is_picture(file: SharedFile) -> bool:
    """Who attaches a picture as a file: the ending of its name says what it is."""
    return bool({file.kind, file.name.rpartition(".")[2].lower()} & {*PICTURES})


def _picture(attachment: Json) -> Picture | None:
    """One taken or pasted in the chat; Teams keeps it for the bot, which has to say who it is."""
    kind, url = _word(attachment, "contentType").lower(), _word(attachment, "contentUrl")
    return Picture(url, needs_token=True) if kind.startswith(PICTURE_TYPE) and url else None


def _card_invoke(raw: Json, local: bool) -> Incoming | None:
    value = raw["value"]
    action = value["action"]
    data = action["data"] if isinstance(action.get("data"), dict) else {}
    verb = action.get("verb") or data.get("verb") or ""
    # A client that opens a card asks for its present state by itself; it says so here and nowhere else.
    trigger = Trigger.REFRESH if value.get("trigger") == "automatic" else Trigger.PRESS
    return _pressed(raw, local, trigger, verb if isinstance(verb, str) else "", data, invoke=True)


def _consent(raw: Json, local: bool) -> Incoming | None:
    value = raw["value"]
    accepted = value["action"] == "accept"
    upload = _part(value, "uploadInfo")
    target = UploadTarget(
        name=_word(upload, "name"),
        upload_url=_word(upload, "uploadUrl"),
        content_url=_word(upload, "contentUrl"),
        unique_id=_word(upload, "uniqueId"),
        file_type=_word(upload, "fileType"),
    )
    consent = FileConsent(accepted, value.get("context") or {}, target if accepted else None)
    card_id = raw.get("replyToId") or ""
    return _incoming(raw, Trigger.CONSENT, local, consent=consent, card_id=card_id, invoke=True)


def _search(raw: Json, local: bool) -> Incoming | None:
    """What is looked for; nothing when the search was only just opened (`initialRun`)."""
    value = raw["value"]
    words = [item for item in value.get("parameters") or () if item.get("name") != "initialRun"]
    options = value.get("queryOptions") or {}
    page = {
        "skip": options.get("skip") or 0,
        "count": min(options.get("count") or SEARCH_COUNT, SEARCH_COUNT),
        "command": value["commandId"],
    }
    text = " ".join(filter(None, (_word(item, "value").strip() for item in words)))
    return _incoming(raw, Trigger.SEARCH, local, text=text, data=page, invoke=True)


_INVOKES: Final[Mapping[str, Callable[[Json, bool], Incoming | None]]] = {
    CARD_INVOKE: _card_invoke,
    CONSENT_INVOKE: _consent,
    SEARCH_INVOKE: _search,
}


def _pressed(raw: Json, local: bool, trigger: Trigger, verb: str, data: Json, *, invoke: bool) -> Incoming | None:
    return _incoming(
        raw,
        trigger,
        local,
        verb=verb,
        data={key: item for key, item in data.items() if key not in ("verb", "msteams")},
        card_id=raw.get("replyToId") or "",
        invoke=invoke,
    )


def _membership(raw: Json, local: bool) -> Incoming | None:
    """Only the bot's own coming and going matters; people of a channel are met when they write."""
    bot = (raw.get("recipient") or {}).get("id")
    for field, trigger in (("membersAdded", Trigger.JOINED), ("membersRemoved", Trigger.LEFT)):
        if any(member.get("id") == bot for member in raw.get(field) or ()):
            return _incoming(raw, trigger, local)
    return None


def _incoming(raw: Json, trigger: Trigger, local: bool, **fields: Any) -> Incoming | None:
    conversation = conversation_of(raw)
    sender = _sender(raw["from"], conversation.tenant, local)
    if not sender.object_id and trigger not in (Trigger.JOINED, Trigger.LEFT):
        return None  # another bot, a connector, an anonymous guest of a meeting: nobody who could have a role
    return Incoming(
        trigger=trigger,
        activity_id=raw.get("id") or "",
        conversation=conversation,
        sender=sender,
        thread=raw["conversation"]["id"].partition(THREAD_MARK)[2],
        locale=locale_of(raw),
        timezone=_word(_client(raw), "timezone") or raw.get("localTimezone") or "",
        **fields,
    )


def _client(raw: Json) -> Json:
    return next(_entities(raw, "clientInfo"), {})


def locale_of(raw: Json) -> str:
    """The language tag, or nothing: it becomes part of a file's path when texts are looked up."""
    for tag in (_word(_client(raw), "locale"), raw.get("locale") or ""):
        if _LOCALE.fullmatch(tag):
            return tag
    return ""


def tenant_of(raw: Json) -> str:
    """The verified tenant. It stands in channelData; `conversation.tenantId` is what other clients send."""
    return (_word(_part(raw.get("channelData"), "tenant"), "id") or raw["conversation"].get("tenantId") or "").lower()


def conversation_of(raw: Json) -> Conversation:
    """Where it was said, without the thread: the id stays good for later posts."""
    account, channel_data = raw["conversation"], raw.get("channelData")
    team, channel = _part(channel_data, "team"), _part(channel_data, "channel")
    return Conversation(
        id=account["id"].partition(THREAD_MARK)[0],
        kind=_kind(account, bool(team or channel)),
        service_url=raw["serviceUrl"],
        tenant=tenant_of(raw),
        bot_id=(raw.get("recipient") or {}).get("id", ""),
        channel_id=raw.get("channelId") or "msteams",
        name=_word(channel, "name") or account.get("name") or _word(team, "name"),
        team=_word(team, "id"),
    )


def _kind(account: Json, in_team: bool) -> ConversationKind:
    """Whatever is not surely a 1:1 chat is not treated as one: codes are shown in 1:1 chats only."""
    said = account.get("conversationType")
    if said == ConversationKind.CHANNEL or (in_team and said != ConversationKind.GROUP):
        return ConversationKind.CHANNEL
    if said == ConversationKind.PERSONAL or (not said and not account.get("isGroup")):
        return ConversationKind.PERSONAL
    return ConversationKind.GROUP


def _sender(account: Json, tenant: str, local: bool) -> Sender:
    object_id = _word(account, "aadObjectId").lower() or (account["id"] if local else "")
    return Sender(account["id"], object_id, tenant, _word(account, "name"))


def _text_and_mentions(raw: Json) -> tuple[str, tuple[Sender, ...]]:
    """The text without our own mention, other mentions as plain names, and who they are."""
    text = raw.get("text") or ""
    recipient = raw.get("recipient") or {}
    tenant, people = tenant_of(raw), []
    for entity in list(_entities(raw, "mention"))[:MENTION_LIMIT]:
        account = _part(entity, "mentioned")
        identity, written = _word(account, "id"), _word(entity, "text")
        ours = bool(identity) and identity == recipient.get("id")
        if written:
            text = text.replace(written, " " if ours else _word(account, "name") or _AT.sub(r"\1", written))
        if identity and not ours:
            people.append(Sender(identity, _word(account, "aadObjectId").lower(), tenant, _word(account, "name")))
    text = _without_our_name(text, recipient.get("name") or "")
    text = html.unescape(_BREAK.sub("\n", text)).translate(_INVISIBLE)
    return _SPACES.sub(" ", text).strip(), tuple(people)


def _without_our_name(text: str, name: str) -> str:
    """Some clients send the tag without its entity, others a plain `@Name`."""
    if "<" in text:
        text = _AT.sub(lambda match: " " if match[1].strip().casefold() == name.casefold() else match[1], text)
    if "@" not in text:
        return text
    return re.sub(rf"(?<!\w)@{re.escape(name)}(?!\w)", " ", text, flags=re.IGNORECASE) if name else text


def _entities(raw: Json, kind: str) -> Iterator[Json]:
    return (
        entity
        for entity in raw.get("entities") or ()
        if isinstance(entity.get("type"), str) and entity["type"].casefold() == kind.casefold()
    )


def _part(raw: Any, name: str) -> Json:
    part = raw.get(name) if isinstance(raw, dict) else None
    return part if isinstance(part, dict) else {}


def _word(raw: Json, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""
