"""Finding devices: what the words of a search mean, how old what is shown is, and what helps where nothing is found."""

import pytest

from tests.bot.chat import House, Someone

YEALINK, POLY = "80-5E-C0", "64-16-7F"
LIST = f"""add {YEALINK}-11-22-33 Oslo/2/2.14
{YEALINK}-11-22-34 Oslo/2/2.16
{POLY}-44-55-66 Oslo/3/Meeting room East
{POLY}-44-55-67 Bergen/1/1.10
{YEALINK}-AB-CD-EF Bergen/1/East meeting corner"""


@pytest.fixture
async def five(house: House, dana: Someone, sam: Someone) -> None:
    """Five devices; Sam has 2.14 and Bergen's 1.10, which is a lobby and called in."""
    await house.technician("Samuel Ray")
    await dana.says(LIST)
    await dana.says("tag 1.10 Lobby")
    await dana.says("issue 2.14 to Sam")
    await dana.says("issue 1.10 to Sam")
    called = await house.device(f"{POLY}-44-55-67").provision((await sam.says("code 1.10")).code)
    assert called.status == 200
    await house.passes(minutes=3)


pytestmark = pytest.mark.usefixtures("five")


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("devices", "5 devices"),
        ("devices waiting", "4 devices: waiting for activation"),
        ("devices waiting oslo yealink", "2 devices: waiting for activation, Oslo, Yealink"),
        ("devices yealink oslo waiting for activation", "2 devices: Yealink, Oslo, waiting for activation"),
        ("devices sam", "2 devices: Sam"),
        ("devices waiting oslo yealink sam", "1 device: waiting for activation, Oslo, Yealink, Sam"),
        ("devices lobby", "1 device: #Lobby"),
        ("devices sign in #lobby", "1 device: waiting for sign-in, #Lobby"),
        ("devices poly", "2 devices: Polycom"),
        ("devices sam@contoso.com", "2 devices: Sam"),
        ("devices Samuel Ray", "0 devices: Samuel Ray"),
        ("devices east", "2 devices: east"),
        ("devices east meeting", "2 devices: east, meeting"),
        ("devices bergen meeting", "1 device: Bergen, meeting"),
        ("devices 2.1", "2 devices: 2.1"),
        ("devices oslo bergen", "0 devices: Oslo, bergen"),
        ("devices problem", "0 devices: with a problem"),
    ],
)
async def test_each_word_narrows_by_what_it_names(dana: Someone, said: str, title: str) -> None:
    assert (await dana.says(said)).title == title


@pytest.mark.parametrize(
    "part",
    ["abcd", "ABCDEF", "ab:cd", "ab-cd-ef", "AB CD EF", "c0ab.cdef", "C0AB-CDEF", "0-AB-C", "ab:cde", "c0–ab–cd"],
)
async def test_a_part_of_a_mac_finds_it_in_any_notation(dana: Someone, part: str) -> None:
    card = await dana.says(f"devices {part}")
    assert card.title.startswith("1 device: "), card.all
    assert f"{YEALINK}-AB-CD-EF" in card.all
    assert (await dana.says(f"find {part}")).title == "East meeting corner: waiting for activation"


async def test_a_list_says_how_many_and_how_old(dana: Someone) -> None:
    card = await dana.says("devices bergen")
    assert "1 to 2 of 2, counted just now. Type device and a place for one of them." in card.all
    assert "waiting for sign-in, called in 3 min ago, Sam" in card.all
    assert "waiting for activation, never called" in card.all


async def test_the_latest_call_counts(house: House, dana: Someone, sam: Someone) -> None:
    device = house.device(f"{YEALINK}-11-22-33")
    await device.provision((await sam.says("code 2.14")).code)
    await house.passes(minutes=50)
    await device.status()
    await house.passes(minutes=10)
    assert "called in 10 min ago" in (await dana.says("devices 2.14")).all


async def test_an_install_is_shown_with_its_time(dana: Someone, sam: Someone) -> None:
    await sam.says("install 1.10")
    assert "installed 07:33" in (await dana.says("devices lobby")).all


@pytest.mark.parametrize(
    ("said", "word", "buttons"),
    [
        ("devices bergn", "bergn", ["Bergen", "All devices"]),
        ("devices waiting loby", "loby", ["#Lobby", "All devices"]),
        ("devices yealnk oslo", "yealnk", ["Yealink", "All devices"]),
        ("devices xyzzy", "xyzzy", ["All devices"]),
    ],
)
async def test_what_is_nowhere_is_named_and_the_nearest_offered(
    dana: Someone, said: str, word: str, buttons: list[str]
) -> None:
    card = await dana.says(said)
    assert card.title.startswith("0 devices")
    assert f'Nothing on the list matches "{word}".' in card.all
    assert card.buttons == buttons


async def test_the_nearest_takes_the_place_of_the_word(dana: Someone) -> None:
    card = await dana.says("devices waiting bergn yealink")
    assert (await dana.presses("Bergen", on=card)).title == "1 device: waiting for activation, Bergen, Yealink"


async def test_where_each_word_is_somewhere_it_is_said_that_nothing_is_all_of_it(dana: Someone) -> None:
    card = await dana.says("devices bergen signed in")
    assert 'Nothing on the list matches "signed in".' in card.all
    card = await dana.says("devices lobby yealink")
    assert "Each of these is on the list, but no device is all of it." in card.all


async def test_of_several_people_of_a_name_it_is_asked(house: House, dana: Someone) -> None:
    await house.technician("Sam Hill")
    card = await dana.says("devices waiting sam oslo")
    assert card.title == "1 device: waiting for activation, Sam, Oslo"  # one is called just so
    await house.technician("Kim Fox")
    await house.technician("Kim Lund")
    asked = await dana.says("devices waiting kim")
    assert asked.title == '"kim" can mean more than one. Which one?'
    assert (await dana.presses(asked.buttons[1], on=asked)).title == "0 devices: waiting for activation, Kim Lund"


async def test_pages_go_on_where_they_ended(house: House, dana: Someone) -> None:
    rows = "\n".join(f"{YEALINK}-33-44-{n:02X} Bodø/{n % 3}/East meeting {n}" for n in range(25))
    await dana.says(f"add {rows}")
    for words, filters in (("bodø", "Bodø"), ("east meeting bodø", "east, meeting, Bodø"), ("yealink 33-44", "")):
        shown: list[str] = []
        card = await dana.says(f"devices {words}")
        assert card.title.startswith("25 devices: " + filters)
        while True:
            shown += [text.partition(" · ")[2] for text in card.texts if " · " in text]
            first = len(shown) - len([text for text in card.texts if " · " in text]) + 1
            assert f"{first} to {len(shown)} of 25" in card.all
            if "More" not in card.buttons:
                break
            card = await dana.presses("More")
        assert len(shown) == len(set(shown)) == 25


async def test_too_many_rows_to_look_through_are_told(house: House, dana: Someone) -> None:
    for part in range(3):
        rows = "\n".join(f"{YEALINK}-{part:02X}-55-{n:02X} Bodø/hall{part}/desk {n}" for n in range(200))
        await dana.says(f"add {rows}")
    card = await dana.says("devices hall0 desk")
    assert card.title == "200 devices: hall0, desk"
    card = await dana.says("devices bodø/h desk")
    assert card.title == "At least 500 devices: bodø/h, desk"
    assert "1 to 10. There are more to look through: one more word finds sooner." in card.all


async def test_words_of_states_come_before_sites_and_these_before_tags(dana: Someone) -> None:
    await dana.says("add 80-5E-C0-77-00-01 Waiting/1")
    await dana.says("tag 2.14 waiting")
    await dana.says("tag 2.14 Oslo")
    await dana.says("tag 2.14 sam")
    assert (await dana.says("devices waiting")).title == "5 devices: waiting for activation"
    assert (await dana.says("devices waiting waiting")).title == "1 device: waiting for activation, Waiting"
    assert (await dana.says("devices #waiting")).title == "1 device: #waiting"
    assert (await dana.says("devices oslo")).title == "3 devices: Oslo"
    assert (await dana.says("devices oslo oslo")).title == "1 device: Oslo, #Oslo"
    assert (await dana.says("devices sam")).title == "1 device: #sam"


async def test_in_a_channel_lists_go_to_the_own_chat(house: House, dana: Someone) -> None:
    channel = house.channel()
    for said in ("devices oslo", "find sam", "tags"):
        assert (await channel.says(said, by=dana)).text == "I wrote to you in chat."
    assert dana.titles[-3:] == ["3 devices: Oslo", "2 devices: Sam", "1 tag"]


async def test_a_long_filter_stands_below_the_title(dana: Someone) -> None:
    await dana.says("tag 2.14 a rather long tag")
    card = await dana.says("devices waiting oslo yealink sam #a rather long tag")
    assert card.title == "1 device"
    assert card.texts[1] == "waiting for activation, Oslo, Yealink, Sam, #a rather long tag"
