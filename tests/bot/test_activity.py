"""Raw activities as Teams sends them, and what they mean to us."""

import time
from typing import Any

import pytest

from bot.activity import MalformedError, check, read
from bot.turn import FileConsent, Incoming, Picture, Sender, SharedFile, Trigger
from provisioning.conversations import ConversationKind
from tests.connector import (
    BOT_ID,
    TENANT,
    FakeConnector,
    activity,
    channel_fields,
    consent,
    file_attachment,
    press,
    search,
)

SAM = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e"
NOWHERE = FakeConnector()
NOWHERE.url = "https://smba.trafficmanager.net/emea/"


def said(**fields: Any) -> Incoming:
    incoming = heard(**fields)
    assert incoming
    return incoming


def heard(**fields: Any) -> Incoming | None:
    return read(check(activity(NOWHERE, **fields)))


def pressed(verb: str = "confirm", **fields: Any) -> Incoming:
    incoming = read(check(press(NOWHERE, verb, **fields)))
    assert incoming
    return incoming


def mention(identity: str, name: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "mention", "text": text or f"<at>{name}</at>", "mentioned": {"id": identity, "name": name, **more}}


ME = mention(BOT_ID, "Provisioning Bot")


def test_a_message_in_a_chat() -> None:
    incoming = said(text="  issue   oslo ")
    assert incoming.trigger is Trigger.MESSAGE
    assert incoming.text == "issue oslo"
    assert incoming.sender == Sender("29:sam", SAM, TENANT, "Sam Technician")
    assert incoming.conversation.kind is ConversationKind.PERSONAL
    assert incoming.conversation.bot_id == BOT_ID
    assert incoming.conversation.service_url == NOWHERE.url
    assert (incoming.locale, incoming.timezone) == ("nb-NO", "Europe/Oslo")
    assert (incoming.thread, incoming.attachments) == ("", 0)


def test_a_message_in_a_thread_of_a_channel() -> None:
    incoming = said(text="<at>Provisioning Bot</at> connect oslo", entities=[ME], **channel_fields("1699"))
    assert incoming.text == "connect oslo"
    assert incoming.thread == "1699"
    conversation = incoming.conversation
    assert (conversation.id, conversation.kind) == ("19:rollout@thread.tacv2", ConversationKind.CHANNEL)
    assert (conversation.name, conversation.team) == ("Rollout", "19:oslo-office@thread.tacv2")


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("<at>Provisioning Bot</at> help", [ME]),
        ("<at>Provisioning Bot</at>&nbsp;help", [ME]),
        ("<at>Provisioning Bot</at>\u00a0help\n", [ME]),
        ("help <at>Provisioning Bot</at>", [ME]),
        ("<at>Provisioning Bot</at> <at>Provisioning Bot</at> help", [ME]),
        (
            '<at id="0">Provisioning Bot</at> help',
            [mention(BOT_ID, "Provisioning Bot", '<at id="0">Provisioning Bot</at>')],
        ),
        ("<at>Provisioning Bot</at> help", []),
        ("<AT>provisioning bot</AT> help", []),
        ("@Provisioning Bot help", []),
        ("@provisioning bot help", []),
        ("\ufeffhelp\u200b", []),
    ],
)
def test_our_own_mention_is_taken_out(text: str, entities: list[Any]) -> None:
    assert said(text=text, entities=entities).text == "help"


def test_other_mentions_stay_as_names() -> None:
    dana = mention("29:dana", "Dana Admin", aadObjectId="DANA-ID")
    kim = mention("29:kim", "Kim")
    incoming = said(
        text="<at>Provisioning Bot</at> grant <at>Dana Admin</at> and <at>Kim</at>", entities=[ME, dana, kim]
    )
    assert incoming.text == "grant Dana Admin and Kim"
    assert incoming.mentions == (
        Sender("29:dana", "dana-id", TENANT, "Dana Admin"),
        Sender("29:kim", "", TENANT, "Kim"),
    )


def test_lines_and_entities_of_html() -> None:
    incoming = said(text="add 80-5E-C0-11-22-33 A&amp;B/2\r\n80-5E-C0-11-22-34 &lt;x&gt;<br/>third")
    assert incoming.text == "add 80-5E-C0-11-22-33 A&B/2\n80-5E-C0-11-22-34 <x>\nthird"


@pytest.mark.parametrize(
    "text",
    ["<at>" * 60_000, "<at" * 80_000, "@Provisioning Bot" * 15_000, "&" * 250_000, " " * 250_000 + "x"],
    ids=["open tags", "half tags", "our name", "ampersands", "spaces"],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    heard(text=text, entities=[mention("29:x", "x", "<at>")] * 1000)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "entity",
    [
        {},
        {"type": 5},
        {"type": "mention"},
        {"type": "mention", "mentioned": []},
        {"type": "mention", "mentioned": {"id": 4}, "text": 7},
    ],
)
def test_a_broken_entity_is_passed_over(entity: dict[str, Any]) -> None:
    assert said(text="help", entities=[entity]).mentions == ()


# ---------------------------------------------------------------------- files


def test_files_and_pictures_are_told_apart_from_the_html_copy() -> None:
    html = {"contentType": "text/html", "content": "<p>help</p>"}
    picture = {"contentType": "image/png", "contentUrl": "https://smba.trafficmanager.net/emea/v3/attachments/1"}
    file = file_attachment("https://contoso-my.sharepoint.com/download?tempauth=secret", "Oslo.XLS")
    incoming = said(text=None, attachments=[html, picture, file])
    assert incoming.files == (
        SharedFile("Oslo.XLS", "https://contoso-my.sharepoint.com/download?tempauth=secret", "xls"),
    )
    (taken,) = incoming.pictures
    assert taken == Picture("https://smba.trafficmanager.net/emea/v3/attachments/1", needs_token=True)
    assert incoming.attachments == 0
    assert "secret" not in repr(incoming) and "attachments/1" not in repr(incoming)


@pytest.mark.parametrize("name", ["label.jpg", "IMG 1.JPEG", "a.png", "b.webp", "c.heic", "d.gif", "e.bmp"])
def test_a_picture_that_was_attached_as_a_file_is_a_picture(name: str) -> None:
    incoming = said(text=None, attachments=[file_attachment("https://contoso-my.sharepoint.com/x?tempauth=1", name)])
    assert incoming.files == ()
    assert [(picture.url, picture.needs_token) for picture in incoming.pictures] == [
        ("https://contoso-my.sharepoint.com/x?tempauth=1", False)
    ]


@pytest.mark.parametrize(
    "odd",
    [
        {"contentType": "image/png"},
        {"contentType": "image/png", "contentUrl": ""},
        {"contentType": "image/png", "contentUrl": 7},
        {"contentType": None, "contentUrl": "https://smba.trafficmanager.net/1"},
        {"contentType": "video/mp4", "contentUrl": "https://smba.trafficmanager.net/1"},
        {},
    ],
)
def test_what_is_no_picture_with_an_address_is_only_counted(odd: dict[str, Any]) -> None:
    incoming = said(text=None, attachments=[odd])
    assert (incoming.pictures, incoming.attachments) == ((), 1)


def test_more_pictures_than_anybody_reads_are_counted_and_left() -> None:
    picture = {"contentType": "image/png", "contentUrl": "https://smba.trafficmanager.net/1"}
    incoming = said(text=None, attachments=[picture] * 9)
    assert (len(incoming.pictures), incoming.attachments) == (4, 0)


def test_a_file_counts_even_where_the_message_carries_a_value() -> None:
    assert said(text=None, value={"from": "elsewhere"}, attachments=[file_attachment("https://x/")]).files


@pytest.mark.parametrize(
    "fault",
    [
        {"content": None},
        {"content": "https://x/"},
        {"content": {}},
        {"content": {"downloadUrl": 7}},
        {"content": {"downloadUrl": ""}},
        {"name": ""},
        {"name": None},
        {"name": ["oslo.csv"]},
    ],
)
def test_a_file_without_a_name_or_an_address_is_malformed(fault: dict[str, Any]) -> None:
    with pytest.raises(MalformedError, match="file"):
        heard(attachments=[{**file_attachment("https://x/"), **fault}])


def test_a_file_that_was_taken() -> None:
    raw = consent(NOWHERE, context={"export": "7"}, upload={"uploadUrl": "https://up.sharepoint.com/secret"})
    incoming = read(check(raw))
    assert incoming
    assert (incoming.trigger, incoming.invoke, incoming.card_id) == (Trigger.CONSENT, True, "post-7")
    assert incoming.consent
    assert incoming.consent.accepted
    assert incoming.consent.context == {"export": "7"}
    upload = incoming.consent.upload
    assert upload
    assert (upload.name, upload.upload_url) == ("codes.xlsx", "https://up.sharepoint.com/secret")
    assert upload.content_url.endswith("/codes.xlsx")
    assert (upload.unique_id, upload.file_type) == ("1150D938-8870-4044-9F2C-5BBDEBA70C9D", "xlsx")
    assert "secret" not in repr(incoming)


def test_a_file_that_was_declined() -> None:
    incoming = read(check(consent(NOWHERE, accepted=False, context={"export": "7"})))
    assert incoming
    assert incoming.consent == FileConsent(False, {"export": "7"})


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "maybe"},
        {"action": ["accept"]},
        {"action": None},
        {"context": "7"},
        {"context": ["7"]},
        {"uploadInfo": None},
        {"uploadInfo": "https://x/"},
        {"uploadInfo": {"name": "x", "contentUrl": "https://x/"}},
        {"uploadInfo": {"name": "x", "contentUrl": "https://x/", "uploadUrl": 7}},
    ],
)
def test_a_consent_that_decides_nothing_is_malformed(fault: dict[str, Any]) -> None:
    raw = consent(NOWHERE)
    with pytest.raises(MalformedError, match="value"):
        check({**raw, "value": {**raw["value"], **fault}})


# ---------------------------------------------------------------------- searches


def test_a_search() -> None:
    incoming = read(check(search(NOWHERE, " 2.14 ", skip=25, count=10)))
    assert incoming
    assert (incoming.trigger, incoming.invoke, incoming.text) == (Trigger.SEARCH, True, "2.14")
    assert incoming.data == {"skip": 25, "count": 10, "command": "find"}


def test_a_search_box_just_opened_looks_for_nothing() -> None:
    incoming = read(check(search(NOWHERE)))
    assert incoming
    assert incoming.text == ""


@pytest.mark.parametrize("options", [None, {}, {"skip": None, "count": 0}, {"count": 1000}])
def test_a_search_gets_at_most_what_teams_shows_at_once(options: Any) -> None:
    raw = search(NOWHERE, "oslo")
    incoming = read(check({**raw, "value": {**raw["value"], "queryOptions": options}}))
    assert incoming
    assert incoming.data == {"skip": 0, "count": 25, "command": "find"}


@pytest.mark.parametrize(
    "fault",
    [
        {"commandId": None},
        {"commandId": 7},
        {"parameters": "oslo"},
        {"parameters": ["oslo"]},
        {"parameters": [{"name": "query", "value": {"deep": 1}}]},
        {"queryOptions": [1]},
        {"queryOptions": {"skip": "1"}},
        {"queryOptions": {"skip": -1}},
        {"queryOptions": {"skip": 1e9}},
        {"queryOptions": {"skip": 10**9}},
        {"queryOptions": {"count": True}},
    ],
)
def test_a_search_of_the_wrong_types_is_malformed(fault: dict[str, Any]) -> None:
    raw = search(NOWHERE, "oslo")
    with pytest.raises(MalformedError, match="value"):
        check({**raw, "value": {**raw["value"], **fault}})


@pytest.mark.parametrize("name", ["adaptiveCard/action", "fileConsent/invoke", "composeExtension/query"])
@pytest.mark.parametrize("value", [None, "x", ["x"]])
def test_an_invoke_of_ours_without_a_value_is_malformed(name: str, value: Any) -> None:
    with pytest.raises(MalformedError, match="value"):
        heard(type="invoke", name=name, value=value)


# ---------------------------------------------------------------------- presses


def test_a_click_and_a_refresh_are_told_apart_by_the_trigger_alone() -> None:
    """The SDK's model of an invoke drops `trigger`: it stands in the raw value only."""
    assert pressed(trigger="manual").trigger is Trigger.PRESS
    assert pressed().trigger is Trigger.PRESS
    assert pressed(trigger="automatic").trigger is Trigger.REFRESH


def test_a_press() -> None:
    incoming = pressed("confirm", data={"mac": "805EC0112233", "note": "ok", "msteams": {}})
    assert (incoming.verb, incoming.invoke, incoming.card_id) == ("confirm", True, "post-7")
    assert incoming.data == {"mac": "805EC0112233", "note": "ok"}
    assert incoming.text == ""


@pytest.mark.parametrize("data", [None, "", "a string"])
def test_a_press_without_data(data: Any) -> None:
    assert pressed(data=data).data == {}


def test_the_verb_may_stand_in_the_data() -> None:
    assert pressed("", data={"verb": "confirm", "a": 1}).verb == "confirm"
    assert pressed("", data={"verb": 5}).verb == ""


def test_the_fallback_button_is_the_same_press() -> None:
    """Action.Submit of an old client: a message with our data; nothing waits for an invoke response."""
    incoming = said(text=None, value={"verb": "confirm", "mac": "805EC0112233"}, replyToId="post-7")
    assert (incoming.trigger, incoming.invoke) == (Trigger.PRESS, False)
    assert (incoming.verb, incoming.card_id) == ("confirm", "post-7")
    assert incoming.data == {"mac": "805EC0112233"}


def test_data_of_foreign_buttons_is_ignored() -> None:
    for value in ({"other": 1}, {"verb": 5}, [1], "x", 3):
        assert heard(text=None, value=value) is None
        assert said(text="help", value=value).text == "help"


# ---------------------------------------------------------------------- coming and going


def update(**fields: Any) -> Incoming | None:
    return heard(type="conversationUpdate", text=None, **fields)


def test_only_the_bots_own_coming_counts() -> None:
    people = [{"id": "29:kim"}, {"id": "29:lee"}]
    assert update(membersAdded=people, **channel_fields()) is None
    joined = update(membersAdded=[*people, {"id": BOT_ID}], **channel_fields())
    assert joined
    assert joined.trigger is Trigger.JOINED
    left = update(membersRemoved=[{"id": BOT_ID}], **channel_fields())
    assert left
    assert left.trigger is Trigger.LEFT
    assert update(membersRemoved=people) is None
    assert update() is None


def test_installing_and_removing() -> None:
    def installation(action: str, **fields: Any) -> Incoming | None:
        return heard(type="installationUpdate", text=None, action=action, **fields)

    added, removed = installation("add"), installation("remove")
    assert added
    assert added.trigger is Trigger.JOINED
    assert removed
    assert removed.trigger is Trigger.LEFT
    assert installation("add-upgrade") is None
    assert installation("remove-upgrade") is None
    assert installation("add", **channel_fields()) is None, "its conversationUpdate has told it"


@pytest.mark.parametrize(
    "kind", ["typing", "endOfConversation", "messageReaction", "event", "trace", "messageUpdate", "x"]
)
def test_the_rest_is_ignored(kind: str) -> None:
    assert heard(type=kind) is None


def test_foreign_invokes_are_not_ours() -> None:
    assert heard(type="invoke", name="task/fetch", value={}) is None


# ---------------------------------------------------------------------- who and where


def test_without_a_verified_id_only_local_mode_listens() -> None:
    raw = check(activity(NOWHERE, from_={"id": "29:bot-of-others", "name": "X"}))
    assert read(raw) is None
    local = read(raw, local=True)
    assert local
    assert local.sender.object_id == "29:bot-of-others"


def test_the_tenant_comes_from_channel_data_first() -> None:
    """`conversation.tenant_id` is always None in the SDK: its models do not know the field."""
    assert said(channelData={"tenant": {"id": "ABC"}}).sender.tenant == "abc"
    assert said(channelData=None).conversation.tenant == TENANT
    assert said(channelData={"tenant": "x"}).conversation.tenant == TENANT


@pytest.mark.parametrize(
    ("conversation", "kind"),
    [
        ({"conversationType": "personal"}, ConversationKind.PERSONAL),
        ({"conversationType": "groupChat", "isGroup": True}, ConversationKind.GROUP),
        ({"conversationType": "channel", "isGroup": True}, ConversationKind.CHANNEL),
        ({}, ConversationKind.PERSONAL),
        ({"isGroup": True}, ConversationKind.GROUP),
        ({"conversationType": "meeting"}, ConversationKind.GROUP),
        ({"conversationType": "Personal "}, ConversationKind.GROUP),
    ],
)
def test_whatever_is_not_surely_a_chat_of_two_is_a_group(conversation: dict[str, Any], kind: ConversationKind) -> None:
    assert said(conversation={"id": "x", **conversation}).conversation.kind is kind


def test_the_clock_of_the_client_has_a_fallback() -> None:
    incoming = said(entities=[], locale="de-DE", localTimezone="Europe/Berlin")
    assert (incoming.locale, incoming.timezone) == ("de-DE", "Europe/Berlin")
    assert (said(entities=[]).locale, said(entities=[]).timezone) == ("", "")


@pytest.mark.parametrize("tag", ["../../x", "en\x00", "", "e", "en-US-" + "x" * 9, "1", "ääö"])
def test_a_locale_that_is_no_language_tag_is_none(tag: str) -> None:
    """Texts are looked up in a folder of that name; a NUL in it would even raise."""
    assert said(entities=[{"type": "clientInfo", "locale": tag}], locale=tag).locale == ""


def test_a_fault_never_repeats_what_was_sent() -> None:
    with pytest.raises(MalformedError) as raised:
        check({"type": "message", "serviceUrl": 4829_1376_0257})
    assert "4829" not in str(raised.value)
