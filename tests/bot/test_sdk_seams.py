"""The seams of the bot SDK that the adapter hangs in: it is archived, but if an update closes one, it shows here.

Each test names what the service would lose: an SDK that fetches keys by itself, say, blocks the event loop.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import requests
from botbuilder.core import BotAdapter, CloudAdapterBase, InvokeResponse, TurnContext
from botbuilder.schema import Activity, ActivityTypes, ConversationAccount
from botframework.connector.aio import ConnectorClient
from botframework.connector.auth import (
    AuthenticationConfiguration,
    AuthenticationConstants,
    BotFrameworkAuthentication,
    BotFrameworkAuthenticationFactory,
    GovernmentConstants,
    JwtTokenExtractor,
    ServiceClientCredentialsFactory,
)
from msrest.exceptions import ValidationError
from msrest.pipeline import SansIOHTTPPolicy
from msrest.serialization import Deserializer, Serializer
from msrest.universal_http.requests import ClientRetryPolicy

from bot.activity import Json
from bot.adapter import Adapter, answer_invoke
from bot.adapter_trust import KeysUnavailableError, SigningKey
from bot.clouds import CLOUDS, PUBLIC, US_GOVERNMENT
from bot.messenger import TeamsMessenger
from bot.teams_bot import TeamsBot
from bot.turn import Answer, Chat, Incoming
from provisioning.ports import Message
from tests.bot.echo import Client, Echo, guarded, local, post
from tests.connector import (
    APP_ID,
    SIGNING_KEY,
    FakeConnector,
    FakeIdentity,
    activity,
    press,
    serving,
)

CARD = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "Saved"}]}


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


@pytest.fixture
async def identity() -> AsyncIterator[FakeIdentity]:
    async with FakeIdentity() as identity:
        yield identity


class Keys:
    """In the place of the SDK's own cache of keys: gives out one, or an error, and counts."""

    def __init__(self, error: Exception | None = None, endorsements: tuple[str, ...] = ("msteams",)) -> None:
        self.asked: list[str | None] = []
        self.error, self.endorsements = error, endorsements

    async def get(self, key_id: str | None) -> SigningKey:
        self.asked.append(key_id)
        if self.error:
            raise self.error
        return SigningKey(SIGNING_KEY.public_key(), list(self.endorsements))


class OwnId(ServiceClientCredentialsFactory):
    """Knows our id and holds no secret; counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def is_valid_app_id(self, app_id: str) -> bool:
        self.asked.append(app_id)
        return app_id == APP_ID

    async def is_authentication_disabled(self) -> bool:
        return False

    async def create_credentials(self, *_: Any) -> Any:
        raise AssertionError("the SDK wants credentials")


ADDRESS = "https://keys.example/openid"


def checker(own: OwnId | None = None) -> BotFrameworkAuthentication:
    return BotFrameworkAuthenticationFactory.create(
        to_channel_from_bot_login_url="https://login.example",
        to_channel_from_bot_oauth_scope="https://api.example",
        to_bot_from_channel_token_issuer=FakeIdentity.issuer,
        oauth_url="https://api.example",
        to_bot_from_channel_open_id_metadata_url=ADDRESS,
        to_bot_from_emulator_open_id_metadata_url=ADDRESS,
        credential_factory=own or OwnId(),
        auth_configuration=AuthenticationConfiguration(),
    )


def incoming(url: str) -> Activity:
    return Activity(type="message", channel_id="msteams", service_url=url, conversation=ConversationAccount(id="a:sam"))


# ---------------------------------------------------------------------- keys


async def test_keys_are_taken_from_what_is_laid_in_the_table(
    connector: FakeConnector, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the SDK fetches them with `requests`, on the loop and without a time limit."""
    keys = Keys()
    monkeypatch.setitem(JwtTokenExtractor.metadataCache, ADDRESS, keys)
    result = await checker().authenticate_request(incoming(connector.url), f"Bearer {identity.token(connector)}")
    assert keys.asked == ["key-1"]
    assert result.claims_identity.claims["aud"] == APP_ID


async def test_an_error_of_the_keys_comes_through_as_it_is(
    connector: FakeConnector, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an outage of the key server is answered 401, as if the callers were to blame."""
    monkeypatch.setitem(JwtTokenExtractor.metadataCache, ADDRESS, Keys(KeysUnavailableError()))
    with pytest.raises(KeysUnavailableError):
        await checker().authenticate_request(incoming(connector.url), f"Bearer {identity.token(connector)}")


async def test_endorsements_of_a_key_are_looked_at(
    connector: FakeConnector, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a key of another channel signs for Teams."""
    monkeypatch.setitem(JwtTokenExtractor.metadataCache, ADDRESS, Keys(endorsements=("slack",)))
    with pytest.raises(Exception, match="endorsement"):
        await checker().authenticate_request(incoming(connector.url), f"Bearer {identity.token(connector)}")


# ---------------------------------------------------------------------- credentials


async def test_whose_id_is_ours_is_asked_and_no_secret_is_wanted(
    connector: FakeConnector, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a certificate or a managed identity needs a password for the SDK alone."""
    monkeypatch.setitem(JwtTokenExtractor.metadataCache, ADDRESS, Keys())
    own = OwnId()
    await checker(own).authenticate_request(incoming(connector.url), f"Bearer {identity.token(connector)}")
    assert own.asked == [APP_ID]
    with pytest.raises(PermissionError):
        other = identity.token(connector, aud="another-app")
        await checker(own).authenticate_request(incoming(connector.url), f"Bearer {other}")


async def test_our_own_answer_on_credentials_is_no(identity: FakeIdentity) -> None:
    factory = guarded(identity)._checker()._credentials_factory  # type: ignore[attr-defined]
    assert not await factory.is_authentication_disabled()
    assert await factory.is_valid_app_id(APP_ID)
    assert not await factory.is_valid_app_id("another-app")
    with pytest.raises(PermissionError):
        await factory.create_credentials(APP_ID, "scope", "login", True)
    assert await local()._checker()._credentials_factory.is_authentication_disabled()  # type: ignore[attr-defined]


# ---------------------------------------------------------------------- turns


def test_the_parts_we_fill_are_all_there_is_to_fill() -> None:
    """Else the SDK calls something that is not ours, or cannot make the adapter at all."""
    wanted = {
        "authenticate_request",
        "authenticate_streaming_request",
        "create_connector_factory",
        "create_user_token_client",
    }
    assert wanted == BotFrameworkAuthentication.__abstractmethods__
    assert ServiceClientCredentialsFactory.__abstractmethods__ == {
        "is_valid_app_id",
        "is_authentication_disabled",
        "create_credentials",
    }
    assert not CloudAdapterBase.__abstractmethods__


class Looker:
    """Looks at what the SDK put into the turn."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    async def on_turn(self, context: TurnContext, raw: Json) -> None:
        self.state = dict(context.turn_state)
        await answer_invoke(context, {"a": 1})


async def test_a_turn_has_our_client_and_no_second_one(connector: FakeConnector, identity: FakeIdentity) -> None:
    """Else each turn makes two REST clients and asks for a token, on the loop."""
    adapter, bot = guarded(identity), Looker()
    async with serving(adapter, bot) as client:
        assert (await post(client, press(connector), identity.token(connector))).status == 200
        ours = await adapter.connectors.create(connector.url)
        assert bot.state[CloudAdapterBase.CONNECTOR_FACTORY_KEY] is adapter.connectors
        assert bot.state[BotAdapter.BOT_CONNECTOR_CLIENT_KEY] is ours
        assert bot.state[CloudAdapterBase.USER_TOKEN_CLIENT_KEY] is None
    assert identity.token_fetches == 0, "nothing was sent, so no token was needed"


async def test_what_speaks_first_uses_our_client_too(connector: FakeConnector) -> None:
    """The SDK's way for messages that nobody asked for."""
    adapter = local()
    assert adapter.bot_framework_authentication.create_connector_factory(None) is adapter.connectors
    await adapter.close()


async def test_streaming_is_refused(identity: FakeIdentity) -> None:
    """The SDK would take a streaming connection past the gate."""
    adapter = guarded(identity)
    with pytest.raises(PermissionError):
        await adapter.bot_framework_authentication.authenticate_streaming_request("Bearer x", "msteams")
    await adapter.close()


async def test_a_result_may_be_handed_over_in_the_place_of_a_header(connector: FakeConnector) -> None:
    """Else the SDK checks the token again, in its own way."""
    adapter = local()
    caller = await adapter.bot_framework_authentication.authenticate_request(incoming(connector.url), None)
    seen: list[Activity] = []

    async def logic(context: TurnContext) -> None:
        seen.append(context.activity)

    given = incoming(connector.url)
    assert await adapter.process_activity(caller, given, logic) is None
    assert seen == [given], "our envelope and not a copy"
    await adapter.close()


async def test_a_fault_of_a_turn_comes_to_us(connector: FakeConnector) -> None:
    """Else the SDK swallows it, or answers an invoke with 501."""
    async with serving(local(), Echo(fails=RuntimeError())) as client:
        answer = await post(client, press(connector))
        assert answer.status == 200
        assert (await answer.json())["type"] == "application/vnd.microsoft.activity.message"


async def test_an_answer_to_an_invoke_is_left_in_the_turn(connector: FakeConnector) -> None:
    adapter = local()
    caller = await adapter.bot_framework_authentication.authenticate_request(incoming(connector.url), None)
    asked = incoming(connector.url)
    asked.type = ActivityTypes.invoke
    answer = await adapter.process_activity(caller, asked, lambda context: answer_invoke(context, [1]))
    assert isinstance(answer, InvokeResponse)
    assert (answer.status, answer.body) == (200, [1])
    await adapter.close()


async def test_a_message_goes_out_through_our_conversations(connector: FakeConnector) -> None:
    """Else the SDK builds, checks and copies models, and its pipeline waits 30 s and more."""
    async with serving(local(), Echo()) as client:
        await post(client, activity(connector))
    (call,) = await connector.sent(1)
    assert call.path.endswith("/activities/1700000000001"), "a reply to what was said"


# ---------------------------------------------------------------------- what a turn costs


class Uncopied(dict[str, Any]):
    """A card that whoever copies it trips over."""

    def __deepcopy__(self, memo: object) -> Any:
        raise AssertionError("copied")


class Answering:
    """A receiver that sends a card, or answers a press with it; and looks up who is there."""

    def __init__(self) -> None:
        self.card = Uncopied(CARD)

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        if incoming.invoke:
            return Answer(card=self.card)
        await chat.send(Message(summary="s", card=self.card))
        await chat.member()
        return None


@asynccontextmanager
async def answering(adapter: Adapter) -> AsyncIterator[Client]:
    """Our whole way: the adapter, the bot behind it and the messenger."""
    bot = TeamsBot(Answering(), TeamsMessenger(adapter.connectors), local=adapter.local)
    async with serving(adapter, bot) as client:
        yield client


def counted(monkeypatch: pytest.MonkeyPatch, kind: type) -> list[str]:
    """One entry for each that is made from now on."""
    made: list[str] = []
    make = kind.__init__  # type: ignore[misc]

    def init(self: object, *args: Any, **kwargs: Any) -> None:
        made.append(kind.__name__)
        make(self, *args, **kwargs)

    monkeypatch.setattr(kind, "__init__", init)
    return made


async def test_turns_make_no_client_and_no_second_serialiser(
    connector: FakeConnector, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two clients are made per turn, 3.7 ms each, and a (de)serialiser for each model that comes or goes."""
    connector.knows("29:sam", name="Sam", aadObjectId="6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e")
    async with answering(guarded(identity)) as client:
        await post(client, activity(connector, id="first"), identity.token(connector))
        made = [counted(monkeypatch, kind) for kind in (ClientRetryPolicy, Serializer, Deserializer, requests.Session)]
        for number in range(3):
            assert (await post(client, activity(connector, id=f"m{number}"), identity.token(connector))).status == 200
            assert (await post(client, press(connector, id=f"p{number}"), identity.token(connector))).status == 200
        assert len(connector.sends) == 4
        assert made == [[], [], [], []]
        ConnectorClient(SansIOHTTPPolicy(), base_url=connector.url)
        assert all(made), "what the SDK makes by itself would be seen here"


async def test_clients_share_one_serialiser_that_checks_nothing(connector: FakeConnector) -> None:
    """Else each client makes its own, and all that goes out is looked through again."""
    adapter = local()
    first, second = [(await adapter.connectors.create(f"{connector.url}/{n}")).conversations for n in range(2)]
    assert first._serialize is second._serialize
    assert first._deserialize is second._deserialize
    with pytest.raises(ValidationError):
        Serializer().url("conversation_id", "a:sam", "str", max_length=1)
    assert first._serialize.url("conversation_id", "a:sam", "str", max_length=1) == "a%3Asam"
    await adapter.close()


async def test_nothing_goes_through_requests_and_threads(
    connector: FakeConnector, identity: FakeIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each turn makes a session, so a TLS connection, and waits for a thread of the pool."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("requests was used")

    monkeypatch.setattr(requests.Session, "send", refuse)
    connector.knows("29:sam", name="Sam", aadObjectId="6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e")
    async with answering(guarded(identity)) as client:
        for number in range(5):
            assert (await post(client, activity(connector, id=f"m{number}"), identity.token(connector))).status == 200
    assert {call.authorization for call in connector.calls} == {"Bearer token-1"}
    assert [call.method for call in connector.calls] == ["POST", "GET"] * 5
    assert len(connector.connections) == 1


async def test_what_goes_out_is_never_copied(connector: FakeConnector) -> None:
    """A turn of the SDK deep-copies each activity that it sends, 0.08 ms for a small card."""
    connector.knows("29:sam", name="Sam", aadObjectId="6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e")
    async with answering(local()) as client:
        assert (await post(client, activity(connector))).status == 200
        answer = await (await post(client, press(connector))).json()
    assert [call.card for call in connector.sends] == [CARD]
    assert answer["value"] == CARD


async def test_a_press_is_answered_in_the_response_and_calls_nobody(
    connector: FakeConnector, identity: FakeIdentity
) -> None:
    """Else an answer costs a call to the connector, and a token."""
    async with answering(guarded(identity)) as client:
        answer = await post(client, press(connector), identity.token(connector))
        assert (await answer.json())["value"] == CARD
    assert (connector.calls, identity.token_fetches) == ([], 0)


# ---------------------------------------------------------------------- addresses


def test_the_clouds_are_where_the_sdk_has_them() -> None:
    public, government = AuthenticationConstants, GovernmentConstants
    assert (PUBLIC.issuer, PUBLIC.openid_url, PUBLIC.scope, f"{PUBLIC.login}/") == (
        public.TO_BOT_FROM_CHANNEL_TOKEN_ISSUER,
        public.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL,
        public.TO_CHANNEL_FROM_BOT_OAUTH_SCOPE,
        public.TO_CHANNEL_FROM_BOT_LOGIN_URL_PREFIX,
    )
    assert (US_GOVERNMENT.issuer, US_GOVERNMENT.openid_url, US_GOVERNMENT.scope, f"{US_GOVERNMENT.login}/") == (
        government.TO_BOT_FROM_CHANNEL_TOKEN_ISSUER,
        government.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL,
        government.TO_CHANNEL_FROM_BOT_OAUTH_SCOPE,
        government.TO_CHANNEL_FROM_BOT_LOGIN_URL_PREFIX,
    )
    assert CLOUDS == {"": PUBLIC, government.CHANNEL_SERVICE: US_GOVERNMENT}
    path = public.TO_CHANNEL_FROM_BOT_TOKEN_ENDPOINT_PATH
    assert US_GOVERNMENT.token_url("t") == f"https://login.microsoftonline.us/t{path}"
    assert PUBLIC.oidc_issuer("t") == public.VALID_TOKEN_ISSUER_URL_TEMPLATE_V2.format("t")
    assert US_GOVERNMENT.oidc_issuer("t") == public.VALID_GOVERNMENT_TOKEN_ISSUER_URL_TEMPLATE_V2.format("t")
