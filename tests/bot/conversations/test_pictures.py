"""How a rollout went, as a picture: in the own chat by itself, in a channel on a card, and on the living card."""

import asyncio
import base64
import io
import json

import pytest
from PIL import Image

from bot.drawing import Drawings
from bot.handlers.pictures import living_picture
from bot.turn import Trigger, Turn
from cards.render import render
from cards.view import RolloutCard
from provisioning.documents.plot import HEIGHT, WIDTH
from provisioning.errors import NotConnected
from provisioning.service.people import SERVICE
from tests.bot.chat import Channel, House, Post, Someone
from tests.cards.rules import of_type
from tests.connector import Fault

OSLO = [f"80-5E-C0-11-22-{n:02X}" for n in range(6)]
BERGEN = [f"80-5E-C0-11-33-{n:02X}" for n in range(4)]


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Three hours in which four devices of Oslo called in, and one of Bergen."""
    await dana.says("add " + "\n".join(f"{mac} Oslo/2/2.{n:02}" for n, mac in enumerate(OSLO, 10)))
    await dana.says("add " + "\n".join(f"{mac} Bergen/1/1.{n:02}" for n, mac in enumerate(BERGEN, 10)))
    await dana.says("issue all to Sam for 48h")


async def call_in(house: House, dana: Someone, *macs: str) -> None:
    for mac in macs:
        code = (await dana.says(f"code {mac}")).code
        assert (await house.device(mac).provision(code)).status == 200


async def three_hours(house: House, dana: Someone) -> None:
    await call_in(house, dana, OSLO[0])
    await house.passes(hours=1, minutes=10)
    await call_in(house, dana, *OSLO[1:4])
    await house.passes(hours=1, minutes=50)
    await call_in(house, dana, BERGEN[0])


def image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def shown(post: Post) -> tuple[bytes, str]:
    (part,) = of_type(post.card or {}, "Image")
    head, _, content = part["url"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(content), part["altText"]


# ------------------------------------------------------------------ whoever asks


async def test_in_the_own_chat_it_is_a_message_that_says_the_same_in_words(
    house: House, dana: Someone, day: None
) -> None:
    await three_hours(house, dana)
    said = await dana.says("picture")
    assert image(said.picture).size == (WIDTH, HEIGHT)
    assert said.alt == (
        "Burn-up since 07:15. Oslo: 4 of 6 provisioned by 10:30, 3 in the last two hours; "
        "Bergen: 1 of 4, 1 in the last two hours."
    )
    assert said.summary == "All sites: 5 of 10 provisioned"


@pytest.mark.parametrize("word", ["picture oslo", "chart Oslo", "PICTURE the site oslo"])
async def test_a_site_alone(house: House, dana: Someone, sam: Someone, day: None, word: str) -> None:
    await call_in(house, dana, OSLO[0])
    said = await sam.says(word)
    assert said.alt == "Burn-up since 07:15. Oslo: 1 of 6 provisioned by 07:30." and said.picture


async def test_before_anything_called_in_there_is_nothing_to_draw(house: House, dana: Someone, day: None) -> None:
    assert (await dana.says("picture oslo")).text == ("Oslo: no device has called in yet, so there is nothing to draw.")
    assert 'Nothing matches "paris"' in (await dana.says("picture paris")).text


async def test_everybody_with_a_role_and_nobody_else(house: House, day: None) -> None:
    kim = house.person("Kim")
    await kim.says("hi")
    assert (await kim.says("picture")).title == "You have no access yet."


async def test_where_teams_takes_no_picture_it_is_said(house: House, dana: Someone, day: None) -> None:
    await call_in(house, dana, OSLO[0])
    house.expected_errors.add("Teams refused a call")
    house.connector.troubled(dana.conversation, Fault(400))
    assert (await dana.says("picture")).text == "Teams takes no picture in this chat."


async def test_where_nothing_can_be_drawn_the_cure_is_said(house: House, dana: Someone, day: None) -> None:
    await call_in(house, dana, OSLO[0])
    house.jobs.drawings = Drawings(drawer="tests.bot.bad_drawer")
    said = await dana.says("picture")
    assert said.text == "I cannot draw this picture now. Type rollout to read how it stands, or ask again in a minute."
    await house.jobs.drawings.close()


# ------------------------------------------------------------------ in a channel


@pytest.fixture
async def channel(house: House, dana: Someone, day: None) -> Channel:
    channel = house.channel()
    await channel.says("connect", by=dana)
    return channel


async def test_in_a_channel_it_is_a_card_in_the_thread(house: House, dana: Someone, channel: Channel) -> None:
    await three_hours(house, dana)
    asked = await channel.says("picture", by=dana)
    content, alt = shown(asked)
    assert image(content).width == WIDTH
    assert alt.startswith("Burn-up since 07:30. Oslo: 4 of 6 provisioned by 10:30")
    assert asked.title == "All sites rollout" and "5 of 10 provisioned by 10:30, about 2 an hour" in asked.all
    assert asked.thread and len(json.dumps(asked.card)) <= 28 * 1024
    assert shown(await channel.says("picture bergen", by=dana))[1] == (
        "Burn-up since 10:15. Bergen: 1 of 4 provisioned by 10:30."
    )
    elsewhere = house.channel("elsewhere")
    assert "This channel follows no rollout" in (await elsewhere.says("picture", by=dana)).text


# ------------------------------------------------------------------ the living card


async def turn_in(house: House, channel: Channel, drawings: Drawings | None) -> Turn:
    """As the outbox makes one."""
    rollout = await house.provisioning.rollout_in(channel.conversation)
    return Turn(house.provisioning, SERVICE, rollout.channel, house.clock.now(), Trigger.NOTICE, drawings=drawings)


async def drawn(drawings: Drawings) -> None:
    """Whatever is being drawn is there."""
    await asyncio.gather(*drawings._coming.values(), *filter(None, (drawings._filling,)), return_exceptions=True)


async def test_the_living_card_has_the_newest_picture_that_is_there(
    house: House, dana: Someone, channel: Channel
) -> None:
    drawings = house.jobs.drawings
    assert drawings
    turn = await turn_in(house, channel, drawings)
    assert await living_picture(turn, channel.conversation) is None  # nothing called in yet
    await three_hours(house, dana)
    turn = await turn_in(house, channel, drawings)
    assert await living_picture(turn, channel.conversation) is None  # it is begun, and nobody waits for it
    await drawn(drawings)
    picture = await living_picture(turn, channel.conversation)
    assert picture and picture.alt.startswith("Burn-up since 07:30. Oslo: 4 of 6 provisioned by 10:30")
    await call_in(house, dana, OSLO[4])
    later = await living_picture(await turn_in(house, channel, drawings), channel.conversation)
    assert later == picture  # and what it is about, until the next one is drawn
    await drawn(drawings)
    fresh = await living_picture(await turn_in(house, channel, drawings), channel.conversation)
    assert fresh and fresh.url != picture.url and "Oslo: 5 of 6" in fresh.alt
    card = render(RolloutCard(title="All sites rollout", picture=picture), operation="op")
    assert len(json.dumps(card)) < 20_000
    with pytest.raises(NotConnected):
        await living_picture(turn, "19:elsewhere")


async def test_the_card_in_the_channel_comes_to_show_it(house: House, dana: Someone, channel: Channel) -> None:
    drawings = house.jobs.drawings
    assert drawings
    card = next(post for post in channel.posts if post.title == "All sites rollout")
    mine = await dana.opens(card)
    assert not list(of_type(mine.card or {}, "Image"))
    await call_in(house, dana, OSLO[0])
    await dana.opens(card)
    await drawn(drawings)
    assert list(of_type((await dana.opens(card)).card or {}, "Image"))


async def test_the_living_card_goes_without_where_nobody_draws(house: House, dana: Someone, channel: Channel) -> None:
    await call_in(house, dana, OSLO[0])
    assert await living_picture(await turn_in(house, channel, None), channel.conversation) is None
    broken = Drawings(drawer="tests.bot.no_such_drawer")
    for _again in range(2):
        assert await living_picture(await turn_in(house, channel, broken), channel.conversation) is None
        await drawn(broken)
    assert {entry["event"] for entry in house.logs if "picture" in entry["event"]} == {"a picture was not drawn"}
