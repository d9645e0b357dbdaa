"""What is refused before anybody reads it: every hostile body is answered 4xx, runs no turn and calls nobody.

Some cases look hostile and are not: they are answered 200, so that the gate does not close on what Teams may send.
"""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.bot.echo import Echo, local, post
from tests.connector import FakeConnector, activity, serving


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


JSON = {"Content-Type": "application/json"}


def good(connector: FakeConnector) -> bytes:
    return json.dumps(activity(connector)).encode()


def searching(**options: Any) -> dict[str, Any]:
    return {"commandId": "find", "queryOptions": options}


def without(name: str) -> Callable[[FakeConnector], bytes]:
    return lambda connector: json.dumps(activity(connector, **{name: None})).encode()


def but(**fields: Any) -> Callable[[FakeConnector], bytes]:
    return lambda connector: json.dumps(activity(connector, **fields)).encode()


def raw(body: bytes) -> Callable[[FakeConnector], bytes]:
    return lambda connector: body


def spliced(part: str) -> Callable[[FakeConnector], bytes]:
    """A good activity with one more field, written by hand."""
    return lambda connector: good(connector)[:-1] + b", " + part.encode() + b"}"


HOSTILE = {
    "empty": (raw(b""), 400),
    "not JSON": (raw(b"hello"), 400),
    "cut off": (raw(b'{"type": "message"'), 400),
    "two documents": (raw(b"{}{}"), 400),
    "null": (raw(b"null"), 400),
    "a string": (raw(b'"message"'), 400),
    "a number": (raw(b"42"), 400),
    "a list": (raw(b"[]"), 400),
    "a list of activities": (lambda connector: json.dumps([activity(connector)]).encode(), 400),
    "an empty object": (raw(b"{}"), 400),
    "UTF-16": (raw('{"type": "message"}'.encode("utf-16")), 400),
    "broken UTF-8": (raw(b'{"type": "\xff\xfe"}'), 400),
    "no type": (without("type"), 400),
    "type a number": (but(type=5), 400),
    "type empty": (but(type=""), 400),
    "no conversation": (without("conversation"), 400),
    "conversation a string": (but(conversation="a:sam"), 400),
    "conversation without id": (but(conversation={"name": "x"}), 400),
    "conversation id a list": (but(conversation={"id": ["a:sam"]}), 400),
    "conversation id a path": (but(conversation={"id": ".."}), 400),
    "no from": (but(from_=None), 400),
    "from without id": (but(from_={"name": "Sam"}), 400),
    "from a list": (but(from_=[1]), 400),
    "from id endless": (but(from_={"id": "x" * 5000}), 400),
    "no serviceUrl": (without("serviceUrl"), 400),
    "serviceUrl a number": (but(serviceUrl=1), 400),
    "serviceUrl elsewhere": (but(serviceUrl="http://evil.example/"), 403),
    "serviceUrl with a user": (but(serviceUrl="http://127.0.0.1@evil.example/"), 403),
    "serviceUrl with a brace": (but(serviceUrl="http://127.0.0.1/{0}"), 403),
    "serviceUrl of a file": (but(serviceUrl="file:///etc/passwd"), 403),
    "text an object": (but(text={"a": 1}), 400),
    "id a number": (but(id=7), 400),
    "id endless": (but(id="1" * 5000), 400),
    "recipient a list": (but(recipient=["28:bot"]), 400),
    "channelData a list": (but(channelData=["tenant"]), 400),
    "entities an object": (but(entities={"type": "mention"}), 400),
    "entities of strings": (but(entities=["mention"]), 400),
    "membersAdded a number": (but(membersAdded=3), 400),
    "NaN": (spliced('"value": NaN'), 400),
    "infinity by exponent": (spliced('"value": 1e999'), 400),
    "a huge number": (spliced('"value": ' + "9" * 5000), 400),
    "a long number": (spliced('"value": ' + "9" * 400), 400),
    "half a surrogate": (spliced('"name": "\\ud800"'), 400),
    "half a surrogate, the other one": (spliced('"value": ["\\uDFFF"]'), 400),
    "half a surrogate as a name": (spliced('"value": {"\\udc00": 1}'), 400),
    "halves in the wrong order": (spliced('"value": "\\udc00\\ud800"'), 400),
    "half a surrogate in UTF-8": (lambda connector: good(connector)[:-1] + b', "value": "\xed\xa0\x80"}', 400),
    "NUL in the text": (but(text="issue\0 oslo"), 200),
    "NUL in a name": (spliced('"value": {"a\\u0000": 1}'), 200),
    "NUL deep down": (spliced('"value": [[["\\u0000"]]]'), 200),
    "NUL as it is": (lambda connector: good(connector)[:-1] + b', "value": "\0"}', 400),
    "NUL behind the end": (lambda connector: good(connector) + b"\0", 400),
    "a line break in a text": (spliced('"value": "a\nb"'), 400),
    "a name twice": (spliced('"type": "message"'), 400),
    "a name twice, deep down": (spliced('"value": [{"a": 1, "a": 2}]'), 400),
    "a name twice, once escaped": (spliced('"value": {"a": 1, "\\u0061": 2}'), 400),
    "a remark": (lambda connector: b"/* hi */" + good(connector), 400),
    "a comma too many": (lambda connector: good(connector)[:-1] + b",}", 400),
    "single quotes": (raw(b"{'type': 'message'}"), 400),
    "UTF-8 that is too long": (lambda connector: good(connector)[:-1] + b', "value": "\xc0\x80"}', 400),
    "UTF-32": (raw('{"type": "message"}'.encode("utf-32")), 400),
    "true": (raw(b"true"), 400),
    "blanks alone": (raw(b" " * 1000), 400),
    "an endless fraction": (spliced('"value": 0.' + "1" * 200_000), 200),
    "a number like a bomb": (spliced('"value": 1e99999999'), 400),
    "a tiny number": (spliced('"value": 1e-99999999'), 200),
    "a number with a zero in front": (spliced('"value": 01'), 400),
    "minus nothing": (spliced('"value": -'), 400),
    "nested beyond the parser": (spliced('"value": ' + "[" * 100_000 + "]" * 100_000), 400),
    "nested in objects beyond the parser": (spliced('"value": ' + '{"a":' * 40_000 + "1" + "}" * 40_000), 400),
    "opened and never closed": (raw(b"[" * 200_000), 400),
    "wide and flat": (spliced('"value": [' + "[],{}," * 20_000 + "1]"), 200),
    "nested beyond reason": (spliced('"value": ' + '{"a":' * 200 + "1" + "}" * 200), 400),
    "invoke without name": (but(type="invoke", value={}), 400),
    "press without value": (but(type="invoke", name="adaptiveCard/action"), 400),
    "press with a list": (but(type="invoke", name="adaptiveCard/action", value=[]), 400),
    "press with action a string": (but(type="invoke", name="adaptiveCard/action", value={"action": "x"}), 400),
    "press with verb a number": (but(type="invoke", name="adaptiveCard/action", value={"action": {"verb": 1}}), 400),
    "press with data a list": (but(type="invoke", name="adaptiveCard/action", value={"action": {"data": [1]}}), 400),
    "channelId a number": (but(channelId=5), 400),
    "locale a list": (but(locale=["nb-NO"]), 400),
    "locale a path": (but(locale="../../etc/passwd"), 200),
    "deliveryMode an object": (but(deliveryMode={"a": 1}), 400),
    "conversation.tenantId a number": (but(conversation={"id": "a:sam", "tenantId": 5}), 400),
    "the tenant a list": (but(channelData={"tenant": ["x"]}), 200),
    "aadObjectId a number": (but(from_={"id": "29:sam", "aadObjectId": 5}), 400),
    "attachments of numbers": (but(attachments=[1, 2]), 400),
    "search skipping backwards": (but(type="invoke", name="composeExtension/query", value=searching(skip=-1)), 400),
    "search for true results": (but(type="invoke", name="composeExtension/query", value=searching(count=True)), 400),
    "consent to neither": (but(type="invoke", name="fileConsent/invoke", value={"action": "perhaps"}), 400),
    "consent to nothing": (but(type="invoke", name="fileConsent/invoke", value={"action": "accept"}), 400),
    "too large": (but(text="x" * 300_000), 413),
    "too large by its names": (spliced('"value": {' + ",".join(f'"{n}": 1' for n in range(40_000)) + "}"), 413),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_body_is_refused_and_reaches_nobody(connector: FakeConnector, case: str) -> None:
    """The SDK answers 500 to malformed bodies: its deserialiser raises where nobody catches."""
    make, status = HOSTILE[case]
    bot = Echo()
    async with serving(local(), bot) as client:
        response = await client.post("/api/messages", data=make(connector), headers=JSON)
        assert response.status == status
        assert status == 200 or "error" in await response.json()
    assert bot.turns == len(connector.calls) == (status == 200)


KINDS = {
    "application/json": 200,
    "Application/JSON; charset=UTF-8": 200,
    "application/json; charset=utf-16": 415,
    "application/json; charset=latin-1": 415,
    "text/plain": 415,
    "text/json": 415,
    "application/x-www-form-urlencoded": 415,
    "multipart/form-data; boundary=x": 415,
    "application/json5": 415,
    "*/*": 415,
    "": 415,
    "json": 415,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_only_json_is_read(connector: FakeConnector, kind: str) -> None:
    async with serving(local(), Echo()) as client:
        response = await client.post("/api/messages", data=good(connector), headers={"Content-Type": kind})
        assert response.status == KINDS[kind]


async def test_two_kinds_at_once_are_none(connector: FakeConnector) -> None:
    async with serving(local(), Echo()) as client:
        headers = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
        response = await client.post("/api/messages", data=good(connector), headers=headers)
        assert response.status == 400  # aiohttp's own word


async def test_a_body_that_never_ends_is_cut_at_the_limit(connector: FakeConnector) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 1024

    async with serving(local(), Echo()) as client:
        response = await client.post("/api/messages", data=endless(), headers=JSON)
        assert response.status == 413


async def test_a_small_body_cannot_become_a_big_one(connector: FakeConnector) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    async with serving(local(), Echo()) as client:
        bomb = await client.post("/api/messages", data=gzip.compress(b" " * 20_000_000), headers=headers)
        assert bomb.status == 413
        broken = await client.post("/api/messages", data=b"not gzip at all", headers=headers)
        assert broken.status == 400


async def test_a_bomb_takes_little_memory(connector: FakeConnector) -> None:
    """900 MiB of blanks in 0.9 MiB, sent without saying how much: unpacked piece by piece, and never to its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(900)) + packer.flush()

    async def unannounced() -> AsyncIterator[bytes]:
        yield bomb

    async with serving(local(), Echo()) as client:
        tracemalloc.start()
        try:
            response = await client.post(
                "/api/messages", data=unannounced(), headers={**JSON, "Content-Encoding": "gzip"}
            )
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert response.status == 413
    assert peak < 16 * 2**20
    print(f"peak while a bomb of 900 MiB was refused: {peak / 2**20:.1f} MiB")


@pytest.mark.parametrize("coding", ["br", "zstd", "x", "deflate", "gzip, gzip"])
async def test_a_body_in_a_coding_nobody_knows_is_refused(connector: FakeConnector, coding: str) -> None:
    bot = Echo()
    async with serving(local(), bot) as client:
        response = await client.post(
            "/api/messages", data=b"\x01\x02\x03", headers={**JSON, "Content-Encoding": coding}
        )
        assert response.status == 400
    assert bot.turns == 0


async def test_a_slow_body_is_not_waited_for(connector: FakeConnector) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.05)

    async with serving(local(), Echo()) as client:
        response = await client.post("/api/messages", data=dripping(), headers=JSON)
        assert response.status == 408


async def test_whoever_leaves_in_the_middle_of_a_body_harms_nobody(connector: FakeConnector) -> None:
    bot = Echo()
    async with serving(local(), bot) as client:
        for cut in (b"", b'{"type": "mess'):
            _, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(
                b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 500\r\n\r\n" + cut
            )
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        assert (await post(client, activity(connector))).status == 200
    assert bot.turns == 1
