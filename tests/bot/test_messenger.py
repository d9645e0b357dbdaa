"""Calls to Teams against a connector that throttles, refuses, hangs and drops."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import MappingProxyType

import pytest

from bot.adapter import Adapter
from bot.credentials import Credentials
from bot.messenger import TeamsMessenger, retry_after
from provisioning.conversations import Conversation, ConversationKind
from provisioning.delivery_errors import Blocked, ChatGone, DeliveryError, PostGone, Rejected, Throttled, TryAgain
from provisioning.photos import LARGEST
from provisioning.ports import FileLink, FileOffer, InlinePicture, Member, Message, Messenger
from tests.connector import APP_ID, APP_PASSWORD, BOT_ID, TENANT, FakeConnector, FakeIdentity, Fault

CARD = {"type": "AdaptiveCard", "version": "1.5", "body": []}
TEXT = Message(summary="Saved", text="Saved 07:58.")


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


@pytest.fixture
async def messenger() -> AsyncIterator[TeamsMessenger]:
    adapter = Adapter(None, allowed_service_hosts=())
    yield TeamsMessenger(adapter.connectors)  # its own time limit: a slow machine is no fault
    await adapter.close()


@pytest.fixture
async def impatient() -> AsyncIterator[TeamsMessenger]:
    adapter = Adapter(None, allowed_service_hosts=())
    yield TeamsMessenger(adapter.connectors, seconds=1.0)
    await adapter.close()


def chat(connector: FakeConnector) -> Conversation:
    return Conversation("a:sam", ConversationKind.PERSONAL, connector.url, TENANT, BOT_ID)


def channel(connector: FakeConnector) -> Conversation:
    return Conversation("19:rollout@thread.tacv2", ConversationKind.CHANNEL, connector.url, TENANT, BOT_ID)


async def test_a_text_is_posted_and_its_id_returned(connector: FakeConnector, messenger: Messenger) -> None:
    assert await messenger.send(chat(connector), TEXT) == "post-1"
    (call,) = connector.sends
    assert (call.conversation, call.thread) == ("a:sam", "")
    assert call.body == {
        "type": "message",
        "from": {"id": BOT_ID},
        "conversation": {"id": "a:sam"},
        "summary": "Saved",
        "text": "Saved 07:58.",
    }


async def test_a_card_is_an_attachment_with_the_push_line(connector: FakeConnector, messenger: Messenger) -> None:
    await messenger.send(chat(connector), Message(summary="12 devices today", card=CARD))
    (call,) = connector.sends
    assert call.card == CARD
    assert call.body["summary"] == "12 devices today"
    assert "text" not in call.body


async def test_a_file_is_offered_to_whoever_is_alone_with_the_bot(
    connector: FakeConnector, messenger: Messenger
) -> None:
    offer = FileOffer("oslo.xlsx", "Devices of Oslo", 20480, {"export": "7"})
    await messenger.send(chat(connector), Message(summary="A file for you", offer=offer))
    (call,) = connector.sends
    assert call.body["summary"] == "A file for you"
    assert call.body["attachments"] == [
        {
            "contentType": "application/vnd.microsoft.teams.card.file.consent",
            "name": "oslo.xlsx",
            "content": {
                "description": "Devices of Oslo",
                "sizeInBytes": 20480,
                "acceptContext": {"export": "7"},
                "declineContext": {"export": "7"},
            },
        }
    ]
    for elsewhere in (channel(connector), replace(chat(connector), kind=ConversationKind.GROUP)):
        with pytest.raises(ValueError, match="1:1"):
            await messenger.send(elsewhere, Message(summary="A file for you", offer=offer))
    assert len(connector.calls) == 1


async def test_a_file_that_was_put_is_shown(connector: FakeConnector, messenger: Messenger) -> None:
    link = FileLink("oslo.xlsx", "https://contoso-my.sharepoint.com/personal/sam/oslo.xlsx", "1150D938", "xlsx")
    await messenger.send(chat(connector), Message(summary="Here it is", text="Here it is.", file=link))
    text, shown = connector.sends
    assert text.body["text"] == "Here it is."
    assert shown.body["attachments"] == [
        {
            "contentType": "application/vnd.microsoft.teams.card.file.info",
            "contentUrl": "https://contoso-my.sharepoint.com/personal/sam/oslo.xlsx",
            "name": "oslo.xlsx",
            "content": {"uniqueId": "1150D938", "fileType": "xlsx"},
        }
    ]


async def test_a_message_is_taken_back_once(connector: FakeConnector, messenger: Messenger) -> None:
    await messenger.delete(chat(connector), "post/7")
    connector.answers(Fault(404))
    await messenger.delete(chat(connector), "post/7")  # gone already: that is what was wanted
    assert [(call.conversation, call.activity_id) for call in connector.deletes] == [("a:sam", "post/7")] * 2
    connector.answers(Fault(403))
    with pytest.raises(Blocked):
        await messenger.delete(chat(connector), "post/7")


async def test_a_frozen_card_is_posted_as_json(connector: FakeConnector, messenger: Messenger) -> None:
    """msrest passes a body on as it is where it cannot serialise it; it would arrive as a form."""
    frozen = MappingProxyType({"type": "AdaptiveCard", "body": (MappingProxyType({"type": "TextBlock"}),)})
    await messenger.send(chat(connector), Message(summary="s", card=frozen))
    assert connector.sends[0].card == {"type": "AdaptiveCard", "body": [{"type": "TextBlock"}]}
    with pytest.raises(TypeError):
        await messenger.send(chat(connector), Message(summary="s", card={"body": object()}))
    assert len(connector.calls) == 1


async def test_card_and_text_are_posted_apart_and_the_cards_id_returned(
    connector: FakeConnector, messenger: Messenger
) -> None:
    assert await messenger.send(chat(connector), Message(summary="s", text="Hello", card=CARD)) == "post-2"
    first, second = connector.sends
    assert (first.body["text"], first.card) == ("Hello", None)
    assert ("text" in second.body, second.card) == (False, CARD)


async def test_a_mention_names_its_person(connector: FakeConnector, messenger: Messenger) -> None:
    message = Message(summary="s", text="<at>Dana</at>: look", mentions=(("29:dana", "Dana"),))
    await messenger.send(channel(connector), message)
    (call,) = connector.sends
    assert call.body["entities"] == [
        {"type": "mention", "text": "<at>Dana</at>", "mentioned": {"id": "29:dana", "name": "Dana"}}
    ]


async def test_a_reply_goes_under_its_post(connector: FakeConnector, messenger: Messenger) -> None:
    await messenger.send(channel(connector), TEXT, thread="1699")
    (call,) = connector.sends
    assert (call.conversation, call.thread) == ("19:rollout@thread.tacv2", "1699")


@pytest.mark.parametrize("odd", ["a:1/../x", "19:ü{0}@thread.tacv2", "a b?c#d", "a%2Fb"])
async def test_an_odd_conversation_id_arrives_as_it_is(
    connector: FakeConnector, messenger: Messenger, odd: str
) -> None:
    """msrest formats URLs twice, so a brace in an id would be a KeyError where ids are not quoted."""
    await messenger.send(Conversation(odd, ConversationKind.PERSONAL, connector.url, TENANT, BOT_ID), TEXT)
    (call,) = connector.sends
    assert call.conversation == odd


async def test_an_edit_replaces_the_post(connector: FakeConnector, messenger: Messenger) -> None:
    await messenger.update(chat(connector), "post-7", Message(summary="s", text="gone", card=CARD))
    (call,) = connector.updates
    assert (call.activity_id, call.body["id"], call.card) == ("post-7", "post-7", CARD)


async def test_a_chat_is_opened_with_somebody_met_in_a_channel(connector: FakeConnector, messenger: Messenger) -> None:
    opened = await messenger.open_chat(channel(connector), "29:sam")
    assert opened == Conversation("a:29:sam", ConversationKind.PERSONAL, connector.url, TENANT, BOT_ID)
    (call,) = connector.calls
    assert call.body["members"] == [{"id": "29:sam"}]
    assert call.body["bot"] == {"id": BOT_ID}
    assert call.body["tenantID"] == TENANT  # so the SDK spells it; the connector does not mind the case
    assert call.body["channelData"] == {"tenant": {"id": TENANT}}


async def test_a_member_is_who_teams_says(connector: FakeConnector, messenger: Messenger) -> None:
    connector.knows(
        "29:sam",
        name="Sam",
        aadObjectId="6F1D1A52-AAAA",
        userPrincipalName="sam@contoso.example",
        tenantId=TENANT.upper(),
        userRole="user",
    )
    connector.knows("29:gil", name="Gil", objectId="gil-id", userPrincipalName="gil_x#EXT#@contoso.example")
    connector.knows("29:guy", name="Guy", aadObjectId="guy-id", userRole="guest")
    sam = await messenger.member(channel(connector), "29:sam")
    assert sam == Member("6f1d1a52-aaaa", "29:sam", "Sam", "sam@contoso.example", TENANT)
    gil = await messenger.member(channel(connector), "29:gil")
    assert (gil.id, gil.guest, gil.tenant) == ("gil-id", True, TENANT)
    assert (await messenger.member(channel(connector), "29:guy")).guest


async def test_the_members_of_all_pages(connector: FakeConnector, messenger: Messenger) -> None:
    for number in range(7):
        connector.knows(f"29:{number}", name=f"N{number}", aadObjectId=f"id-{number}", userPrincipalName=f"{number}@x")
    connector.page_size = 3
    members = await messenger.members(channel(connector))
    assert [(member.id, member.upn) for member in members] == [(f"id-{n}", f"{n}@x") for n in range(7)]
    assert len(connector.calls) == 3


# ---------------------------------------------------------------------- refusals

CALLS: dict[str, Callable[[Messenger, Conversation], Awaitable[object]]] = {
    "send": lambda messenger, place: messenger.send(place, TEXT),
    "update": lambda messenger, place: messenger.update(place, "post-1", TEXT),
    "member": lambda messenger, place: messenger.member(place, "29:sam"),
    "members": lambda messenger, place: messenger.members(place),
    "open_chat": lambda messenger, place: messenger.open_chat(place, "29:sam"),
}

REFUSALS: list[tuple[Fault, type[DeliveryError]]] = [
    (Fault(429, {"Retry-After": "7"}), Throttled),
    (Fault(412), Throttled),
    (Fault(403, body='{"error": {"code": "BotNotInConversationRoster", "message": "x"}}'), Blocked),
    (Fault(408), TryAgain),
    (Fault(500), TryAgain),
    (Fault(502, body="<html>bad gateway</html>", content_type="text/html"), TryAgain),
    (Fault(503), TryAgain),
    (Fault(504), TryAgain),
    (Fault(400, body='{"error": "BadSyntax"}'), Rejected),
    (Fault(400, body="[]"), Rejected),
    (Fault(401), TryAgain),
    (Fault(413, body="too big", content_type="text/plain"), Rejected),
    (Fault(302, {"Location": "https://evil.example/"}), Rejected),
]


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_hangs_is_given_up(connector: FakeConnector, impatient: Messenger, name: str) -> None:
    connector.answers(Fault(hang=True))
    with pytest.raises(TryAgain):
        await CALLS[name](impatient, chat(connector))
    assert len(connector.calls) == 1


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("fault", "error"), REFUSALS, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_refusal_becomes_ours(
    connector: FakeConnector, messenger: Messenger, name: str, fault: Fault, error: type[DeliveryError]
) -> None:
    """msrest reads the body before the status, so an HTML error page hides a 429 or 502 from the SDK's callers."""
    connector.answers(fault)
    with pytest.raises(error) as raised:
        await CALLS[name](messenger, chat(connector))
    assert type(raised.value) is error
    if isinstance(raised.value, Throttled):
        assert raised.value.retry_after == (7 if fault.headers else None)
    assert len(connector.calls) == 1  # trying again is the relay's; msrest would, three times, while a turn waits


@pytest.mark.parametrize(
    ("name", "error"),
    [("send", ChatGone), ("update", PostGone), ("member", ChatGone), ("open_chat", ChatGone)],
)
async def test_what_is_not_there(
    connector: FakeConnector, messenger: Messenger, name: str, error: type[DeliveryError]
) -> None:
    connector.answers(Fault(404))
    with pytest.raises(error):
        await CALLS[name](messenger, chat(connector))


@pytest.mark.parametrize("name", ["send", "open_chat"])
async def test_what_was_cut_off_may_have_arrived_and_is_not_repeated_here(
    connector: FakeConnector, messenger: Messenger, name: str
) -> None:
    connector.answers(Fault(drop=True))
    with pytest.raises(TryAgain):
        await CALLS[name](messenger, chat(connector))
    assert len(connector.calls) == 1


async def test_an_edit_repeats_safely(connector: FakeConnector, messenger: Messenger) -> None:
    connector.answers(Fault(drop=True))
    await messenger.update(chat(connector), "post-1", TEXT)
    assert [call.body["text"] for call in connector.updates] == [TEXT.text] * 2


async def test_what_was_accepted_stays_accepted(connector: FakeConnector, messenger: Messenger) -> None:
    """A 2xx with a body nobody can read must not be sent again: it would stand there twice."""
    for body, kind in (
        ("<html>", "text/html"),
        ("{", "application/json"),
        ("[]", "application/json"),
        ("", "text/plain"),
    ):
        connector.answers(Fault(202, body=body, content_type=kind))
        assert await messenger.send(chat(connector), TEXT) == ""


async def test_nobody_listens() -> None:
    adapter = Adapter(None, allowed_service_hosts=())
    nowhere = Conversation("a:1", ConversationKind.PERSONAL, "http://127.0.0.1:9", TENANT, BOT_ID)
    with pytest.raises(TryAgain):
        await TeamsMessenger(adapter.connectors).send(nowhere, TEXT)
    await adapter.close()
    with pytest.raises(TryAgain):
        await TeamsMessenger(adapter.connectors).send(nowhere, TEXT)


async def test_a_stored_address_is_checked_again(connector: FakeConnector, messenger: Messenger) -> None:
    for url in ("https://evil.example", "http://127.0.0.1@evil.example", "", "file:///x"):
        elsewhere = Conversation("a:1", ConversationKind.PERSONAL, url, TENANT, BOT_ID)
        with pytest.raises(Rejected):
            await messenger.send(elsewhere, TEXT)


async def test_one_hanging_chat_delays_no_other(connector: FakeConnector) -> None:
    """The SDK's sends share the default thread pool, so a few hanging chats stop all of them."""
    adapter = Adapter(None, allowed_service_hosts=())
    messenger = TeamsMessenger(adapter.connectors, seconds=3.0)
    connector.answers(*[Fault(hang=True)] * 60)
    hanging = [asyncio.create_task(messenger.send(chat(connector), TEXT)) for _ in range(60)]
    await connector.sent(60)
    assert await messenger.send(channel(connector), TEXT)
    assert not any(each.done() for each in hanging)
    results = await asyncio.gather(*hanging, return_exceptions=True)
    assert {type(result) for result in results} == {TryAgain}
    await adapter.close()


async def test_without_a_token_nothing_is_sent_and_nothing_given_up(connector: FakeConnector) -> None:
    async with FakeIdentity() as identity:
        adapter = Adapter(
            Credentials(APP_ID, APP_PASSWORD, TENANT), allowed_service_hosts=("127.0.0.1",), cloud=identity.cloud()
        )
        messenger = TeamsMessenger(adapter.connectors)
        identity.down = True
        with pytest.raises(TryAgain):
            await messenger.send(chat(connector), TEXT)
        assert connector.calls == []
        identity.down = False
        await messenger.send(chat(connector), TEXT)
        assert connector.calls[0].authorization == "Bearer token-2"
        await adapter.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[
            (None, None),
            ("", None),
            ("5", 5),
            ("0", 0),
            ("-3", None),
            ("soon", None),
            ("999999999", 3600),
            ("1.5", None),
        ],
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    wait = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True))
    assert wait is not None
    assert 27 < wait <= 30
    assert retry_after("Mon, 01 Jan 2001 00:00:00 GMT") == 0
    assert retry_after("Mon, 01 Jan 2001 00:00:00") in (None, 0)


async def test_a_picture_stands_in_its_message_and_fits_into_what_teams_takes(
    connector: FakeConnector, messenger: TeamsMessenger
) -> None:
    largest = b"\xff\xd8\xff" + bytes(LARGEST - 3)
    message = Message(summary="Photo", picture=InlinePicture("Oslo 2.14, Sam 07:58.jpg", largest))
    await messenger.send(chat(connector), message)
    (call,) = connector.sends
    (attachment,) = call.body["attachments"]
    assert (attachment["contentType"], attachment["name"]) == ("image/jpeg", "Oslo 2.14, Sam 07:58.jpg")
    assert b64decode(attachment["contentUrl"].removeprefix("data:image/jpeg;base64,")) == largest
    assert len(json.dumps(call.body)) < 100_000
    assert "xd8" not in repr(message)


async def test_pictures_are_fetched_with_the_token_that_posts_carry(connector: FakeConnector) -> None:
    async with FakeIdentity() as identity:
        adapter = Adapter(
            Credentials(APP_ID, APP_PASSWORD, TENANT), allowed_service_hosts=("127.0.0.1",), cloud=identity.cloud()
        )
        await TeamsMessenger(adapter.connectors).send(chat(connector), TEXT)
        assert adapter.token
        token = await adapter.token.get()
        assert connector.calls[0].authorization == f"Bearer {token}"
        adapter.token.forget(token)
        assert await adapter.token.get() != token
        await adapter.close()
    assert Adapter(None, allowed_service_hosts=()).token is None  # in local mode there is none to give away
