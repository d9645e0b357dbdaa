"""The local connector and the page's routes, over real HTTP."""

import asyncio
import json

import pytest
from aiohttp import web

from bot.demo import page
from bot.demo.connector import Limits, LocalConnector
from bot.demo.people import LOCAL_ADMIN, LOCAL_CHANNEL, LOCAL_PEOPLE, LOCAL_STRANGER, LOCAL_TECHNICIAN

V3 = "/demo/connector/v3"
DANA = LOCAL_ADMIN.conversation_id
SMALL = Limits(messages_per_conversation=5, activity_bytes=2_000, events=4, readers=2, waiting_per_reader=3)


class Line:
    """One open event stream, read event by event."""

    def __init__(self, response):
        self._response = response

    async def next(self):
        event = {}
        while True:
            raw = await asyncio.wait_for(self._response.content.readline(), 5)
            if not raw:
                return None
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name in ("id", "event", "data"):
                event[name] = json.loads(value) if name == "data" else value
            elif not raw.strip() and event:
                return event


class Bot:
    """What the bot does to the connector."""

    def __init__(self, client):
        self._client = client

    async def call(self, method, path, body=None, expect=(200, 201)):
        async with self._client.request(method, V3 + path, json=body) as response:
            assert response.status in expect, await response.text()
            return await response.json()

    async def sends(self, conversation, text, reply_to=""):
        path = f"/conversations/{conversation}/activities" + (f"/{reply_to}" if reply_to else "")
        return (await self.call("POST", path, {"type": "message", "text": text}))["id"]


@pytest.fixture
def connector():
    return LocalConnector(limits=SMALL)


@pytest.fixture
async def client(connector, aiohttp_client):
    app = web.Application()
    app.add_routes(page.routes(connector, organisation="Contoso", people=LOCAL_PEOPLE))
    app.on_shutdown.append(connector.close)
    return await aiohttp_client(app)


@pytest.fixture
def bot(client):
    return Bot(client)


@pytest.fixture
async def listen(client):
    opened = []

    async def _listen(since=""):
        response = await client.get("/demo/events", headers={"Last-Event-ID": since} if since else {})
        assert response.status == 200 and response.content_type == "text/event-stream"
        opened.append(response)
        return Line(response)

    yield _listen
    for response in opened:
        response.close()


def shown(connector, conversation=DANA):
    return [message["text"] for message in connector.snapshot()["conversations"][conversation]]


async def test_a_new_one_to_one_chat_is_the_members_own(bot, connector):
    for member in (LOCAL_TECHNICIAN.id, LOCAL_TECHNICIAN.aad_object_id):
        answer = await bot.call("POST", "/conversations", {"members": [{"id": member}], "isGroup": False})
        assert answer == {"id": LOCAL_TECHNICIAN.conversation_id}


async def test_a_chat_may_begin_with_a_message(bot, connector):
    body = {"members": [{"id": LOCAL_ADMIN.id}], "activity": {"type": "message", "text": "Hello"}}
    answer = await bot.call("POST", "/conversations", body)
    assert answer["id"] == DANA and answer["activityId"].isdigit()
    assert shown(connector) == ["Hello"]


async def test_a_stranger_to_the_roster_cannot_be_written_to(bot):
    answer = await bot.call("POST", "/conversations", {"members": [{"id": "29:nobody"}]}, expect=[403])
    assert answer["error"]["code"] == "BotNotInConversationRoster"
    await bot.call("POST", "/conversations", {"members": "junk", "channelData": "junk"}, expect=[403])
    await bot.call("POST", "/conversations/a:nobody/activities", {"text": "x"}, expect=[404])


async def test_messages_are_posted_changed_and_removed(bot, connector):
    first, second = await bot.sends(DANA, "one"), await bot.sends(DANA, "two")
    assert int(second) > int(first)
    await bot.call("PUT", f"/conversations/{DANA}/activities/{first}", {"type": "message", "text": "one, again"})
    assert shown(connector) == ["one, again", "two"]
    message = connector.snapshot()["conversations"][DANA][0]
    assert message["edited"] and message["version"] == 2 and message["from"]["name"] == "Provisioning Bot"
    await bot.call("DELETE", f"/conversations/{DANA}/activities/{first}")
    assert shown(connector) == ["two"]
    for method in ("PUT", "DELETE"):
        answer = await bot.call(method, f"/conversations/{DANA}/activities/{first}", {"text": "x"}, expect=[404])
        assert answer["error"]["code"] == "ActivityNotFoundInConversation"


async def test_a_card_keeps_its_attachments_and_loses_what_is_not_shown(bot, connector):
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "AdaptiveCard"}}
    body = {"type": "message", "summary": "New", "attachments": [card], "serviceUrl": "http://x", "from": {"id": "me"}}
    await bot.call("POST", f"/conversations/{DANA}/activities", body)
    message = connector.snapshot()["conversations"][DANA][0]
    assert message["attachments"] == [card] and message["summary"] == "New"
    assert "serviceUrl" not in message and message["from"]["id"] == "28:provisioning-bot"


async def test_replies_stay_under_their_post(bot, connector):
    body = {"isGroup": True, "channelData": {"channel": {"id": LOCAL_CHANNEL.id}}, "activity": {"text": "Oslo rollout"}}
    thread = await bot.call("POST", "/conversations", body)
    root = thread["activityId"]
    assert thread["id"] == f"{LOCAL_CHANNEL.id};messageid={root}"
    reply = await bot.sends(thread["id"], "25 %")
    await bot.sends(LOCAL_CHANNEL.id, "to the post", reply_to=root)
    await bot.sends(LOCAL_CHANNEL.id, "to the reply", reply_to=reply)
    await bot.sends(LOCAL_CHANNEL.id, "another post")
    messages = connector.snapshot()["conversations"][LOCAL_CHANNEL.id]
    assert [message["root"] for message in messages] == ["", root, root, root, ""]
    edited = await bot.call("PUT", f"/conversations/{thread['id']}/activities/{reply}", {"text": "50 %"})
    assert edited["id"] == reply
    assert shown(connector, LOCAL_CHANNEL.id)[1] == "50 %"


async def test_members_of_a_chat_and_of_the_team(bot):
    assert [m["name"] for m in await bot.call("GET", f"/conversations/{DANA}/members")] == ["Dana Admin"]
    thread = f"{LOCAL_CHANNEL.id};messageid=1"
    paged = await bot.call("GET", f"/conversations/{thread}/pagedmembers?pageSize=500")
    assert [m["id"] for m in paged["members"]] == [LOCAL_ADMIN.id, LOCAL_TECHNICIAN.id]
    for name in (LOCAL_ADMIN.id, LOCAL_ADMIN.aad_object_id):
        member = await bot.call("GET", f"/conversations/{thread}/members/{name}")
        assert member["aadObjectId"] == LOCAL_ADMIN.aad_object_id
        assert member["userPrincipalName"] == LOCAL_ADMIN.upn
    answer = await bot.call("GET", f"/conversations/{thread}/members/{LOCAL_STRANGER.id}", expect=[404])
    assert answer["error"]["code"] == "MemberNotFoundInConversation"


async def test_the_team_is_known(bot):
    assert (await bot.call("GET", f"/teams/{LOCAL_CHANNEL.team_id}"))["name"] == "Oslo office"
    channels = await bot.call("GET", f"/teams/{LOCAL_CHANNEL.team_id}/conversations")
    assert channels["conversations"] == [{"id": LOCAL_CHANNEL.id, "name": "Rollout"}]
    await bot.call("GET", "/teams/19:other", expect=[404])


async def test_what_people_say_is_kept_for_a_reload(client, connector):
    body = {"conversation": DANA, "person": LOCAL_ADMIN.id, "text": "help"}
    async with client.post("/demo/messages", json=body) as response:
        assert response.status == 201 and (await response.json())["from"]["name"] == "Dana Admin"
    assert shown(connector) == ["help"]
    async with client.post("/demo/messages", json={**body, "person": LOCAL_TECHNICIAN.id}) as response:
        assert response.status == 403


async def test_a_new_page_gets_everything_and_then_each_change(bot, listen):
    await bot.sends(DANA, "before")
    line = await listen()
    snapshot = await line.next()
    assert snapshot["event"] == "snapshot"
    assert [m["text"] for m in snapshot["data"]["conversations"][DANA]] == ["before"]
    sent = await bot.sends(DANA, "after")
    assert (await line.next())["data"]["text"] == "after"
    await bot.call("POST", f"/conversations/{DANA}/activities", {"type": "typing"})
    assert (await line.next())["event"] == "typing"
    await bot.call("PUT", f"/conversations/{DANA}/activities/{sent}", {"text": "changed"})
    assert (await line.next())["event"] == "update"
    await bot.call("DELETE", f"/conversations/{DANA}/activities/{sent}")
    assert (await line.next())["data"] == {"conversation": DANA, "id": sent}


async def test_a_page_that_lost_its_line_gets_only_what_it_missed(bot, listen):
    line = await listen()
    await line.next()
    await bot.sends(DANA, "one")
    last = (await line.next())["id"]
    await bot.sends(DANA, "two")
    await bot.sends(DANA, "three")
    resumed = await listen(since=last)
    assert [(await resumed.next())["data"]["text"] for _ in range(2)] == ["two", "three"]


@pytest.mark.parametrize("since", ["another-1", "{boot}-999", "{boot}-0", "{boot}-x", "junk"])
async def test_a_page_that_missed_too_much_starts_afresh(bot, listen, connector, since):
    for number in range(6):
        await bot.sends(DANA, str(number))
    line = await listen(since=since.format(boot=connector.feed.boot))
    event = await line.next()
    assert event["event"] == "snapshot"
    assert [m["text"] for m in event["data"]["conversations"][DANA]] == ["1", "2", "3", "4", "5"]


async def test_a_reader_that_does_not_keep_up_is_cut_and_nobody_waits_for_it():
    connector = LocalConnector(limits=SMALL)
    with connector.feed.reader() as queue:
        for number in range(SMALL.waiting_per_reader + 1):
            connector.feed.publish("message", {"n": number})
        assert queue.get_nowait() is None and queue.empty()


async def test_only_so_many_pages_listen(client, listen):
    for _ in range(SMALL.readers):
        await listen()
    async with client.get("/demo/events") as response:
        assert response.status == 503 and response.headers["Retry-After"]


async def test_closing_ends_every_stream(connector, listen):
    line = await listen()
    await line.next()
    await connector.close()
    assert await line.next() is None


async def test_memory_stays_bounded():
    connector = LocalConnector(limits=Limits(messages_per_conversation=50, total_bytes=4_000))
    chats = [person.conversation_id for person in LOCAL_PEOPLE]
    for number in range(60):
        connector._take(connector._find(chats[number % 3]), {"text": "x" * 100, "summary": str(number)}, "")
    kept = [m for messages in connector.snapshot()["conversations"].values() for m in messages]
    assert 5 < len(kept) < 30
    assert sorted(int(m["summary"]) for m in kept) == list(range(60 - len(kept), 60))


async def test_hostile_bodies_are_refused(client):
    path = f"{V3}/conversations/{DANA}/activities"
    for body, status in ((b"[]", 400), (b"{", 400), (b"\xff\xfe", 400), (b'"' + b"x" * 3_000 + b'"', 413)):
        async with client.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
            assert response.status == status
            assert "error" in await response.json()


async def test_the_page_says_who_is_who_and_allows_no_foreign_source(client):
    async with client.get("/demo/config.json") as response:
        table = await response.json()
    assert table["organisation"] == "Contoso"
    assert [person["role"] for person in table["people"]] == ["admin", "technician", ""]
    async with client.get("/") as response:
        assert response.status == 200 and "default-src 'self'" in response.headers["Content-Security-Policy"]
        text = await response.text()
    assert "http://" not in text and "https://" not in text and "<style" not in text


@pytest.mark.parametrize("name", ["..%2Fpage.py", "nothing.js", "%2Fetc%2Fpasswd", ".."])
async def test_nothing_outside_the_static_folder_is_served(client, name):
    async with client.get(f"/demo/static/{name}") as response:
        assert response.status == 404


async def test_every_static_file_is_served_with_its_type(client):
    for path in page.STATIC.iterdir():
        async with client.get(f"/demo/static/{path.name}") as response:
            assert response.status == 200 and response.content_type == page.CONTENT_TYPES[path.suffix]
