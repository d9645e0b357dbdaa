"""Each in their own language: a German technician beside an English admin, a channel, and whoever chooses another."""

from datetime import timedelta

import pytest

from tests.bot.chat import House, Post, Someone, restarted

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"
OSLO = f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01"


def spoken(card: Post) -> str:
    assert card.card
    return card.card["lang"]


@pytest.fixture
async def jana(house: House, dana: Someone) -> Someone:
    """A technician whose Teams is German, in Berlin: one hour ahead of Dana's London."""
    jana = house.person("Jana")
    jana.locale, jana.timezone = "de-DE", "Europe/Berlin"
    await jana.says("hi")
    await dana.says(f"grant {jana.object_id} technician")
    return jana


async def test_a_german_day_beside_an_english_admin(house: House, dana: Someone, jana: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue oslo to Jana")
    card = jana.card
    assert (card.title, spoken(card)) == ("Als Nächstes: Oslo, Etage 2, Raum 2.14", "de")
    assert "gültig bis morgen 08:30" in card.all and "Am Gerät: Einstellungen, Gerät bereitstellen" in card.all
    assert card.buttons == ["Fertig melden", "Problem", "Liste"]
    assert card.summary == "Als Nächstes: Oslo, Etage 2, Raum 2.14, 1 von 3"
    assert "Valid until 07:30 tomorrow" in dana.card.all and spoken(dana.card) == "en"

    listed = await jana.says("list")
    assert listed.title == "0 von 3 erledigt" and "2.14, MAC-Ende 22:33, wartet" in listed.texts
    await house.device(A).provision((await jana.says("next")).code)
    saved = await jana.says("install 2.14 links neben der Tür")
    assert "Gespeichert 08:30." in [*jana.titles, saved.title]
    assert jana.card.title == "Als Nächstes: Oslo, Etage 2, Raum 2.16"

    form = await jana.presses("Problem")
    assert form.title.startswith("Problem bei ") and form.inputs["kind"]["label"] == "Was stimmt nicht?"
    await jana.presses("Senden", on=form, kind="network", note="Port 12 ist tot")
    told = dana.card
    assert told.title == "Problem: Oslo, floor 2, room 2.16" and "No network: Port 12 ist tot" in told.all
    assert "07:30" in told.all and "08:30" not in told.all  # the admin's own clock
    assert spoken(told) == "en"


async def test_dates_are_said_in_the_readers_language(house: House, dana: Someone, jana: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue 2.14 to Jana for 72h")
    assert "Thu 5 Mar 07:30" in dana.card.all
    assert "Do., 5. März 08:30" in jana.card.all


async def test_summer_time_is_the_readers_own(house: House, dana: Someone, jana: Someone) -> None:
    """Of a code that lives across the last Sunday of March, the end is said by the clock that hangs there then."""
    house.clock.advance(timedelta(days=26))  # Saturday, 28 March, 07:30 UTC
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue 2.14 to Jana for 48h")
    assert "Mo., 30. März 09:30" in jana.card.all
    assert "Mon 30 Mar 08:30" in dana.card.all


async def test_refusals_and_help_are_german_too(house: House, jana: Someone) -> None:
    assert (await jana.says("issue oslo to Jana")).texts == ["Das können nur Admins. Bitte einen Admin fragen."]
    help_ = await jana.says("help next")
    assert "next" in help_.all and "Zeigt Ihr nächstes Gerät mit Ort und Code." in help_.all
    assert "kenne ich nicht" in (await jana.says("xyzzy plugh")).all


async def test_open_cards_change_their_language_too(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")
    card = sam.card
    assert card.title.startswith("Next:")
    await sam.says("language de")
    assert card.title.startswith("Als Nächstes:") and card.code and spoken(card) == "de"


async def test_one_chooses_a_language_and_gets_it_at_once(house: House, dana: Someone, sam: Someone) -> None:
    answer = await sam.says("language german")
    assert (answer.title, spoken(answer)) == ("Ich spreche jetzt Deutsch mit Ihnen.", "de")
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")
    card = sam.card
    assert card.title.startswith("Als Nächstes:") and "morgen 07:30" in card.all  # their clock stays
    await house.device(A).provision(card.code)
    assert card.title == "Bereitgestellt 07:30" and spoken(card) == "de"  # an edit by the service

    async with restarted(house):
        assert (await sam.says("next")).title == "Bereitgestellt 07:30"
        back = await sam.says("language auto")
        assert (back.title, spoken(back)) == ("I follow your Teams again: English.", "en")
        assert (await sam.says("next")).title == "Provisioned 07:30"


@pytest.mark.parametrize("name", ["Deutsch", "DE", "de-AT", " german ", "auto", "english", "Englisch"])
async def test_a_language_has_several_names(sam: Someone, name: str) -> None:
    answer = await sam.says(f"language {name}")
    german = name.strip().casefold() in ("deutsch", "de", "de-at", "german")
    assert answer.title.startswith("Ich spreche" if german else "I ")


async def test_without_a_name_there_is_a_choice(house: House, sam: Someone) -> None:
    card = await sam.says("language")
    assert card.title == "Language" and card.buttons == ["Deutsch", "English", "As in Teams"]
    assert "I follow your Teams as far as I can: English." in card.texts
    pressed = await sam.presses("Deutsch", on=card)
    assert (pressed.title, spoken(pressed)) == ("Ich spreche jetzt Deutsch mit Ihnen.", "de")
    assert "Ich spreche Deutsch, wie von Ihnen gewählt." in (await sam.says("language")).texts


async def test_an_unknown_language_is_answered_with_those_there_are(sam: Someone) -> None:
    answer = await sam.says("language klingon")
    assert answer.texts == ['I do not speak "klingon". I speak Deutsch, English. Say for example: language deutsch']


async def test_a_client_in_a_language_without_texts_gets_english(house: House) -> None:
    kari = house.person("Kari")
    kari.locale = "nb-NO"
    card = await kari.says("hi")
    assert "You have no access yet." in card.all and spoken(card) == "en"
    assert "Ich spreche jetzt Deutsch" in (await kari.says("language de")).all  # also whoever has no role


async def test_a_channel_keeps_the_language_of_whoever_connected_it(
    house: House, dana: Someone, jana: Someone, sam: Someone
) -> None:
    await dana.says("language de")
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")
    channel = house.channel()
    await channel.says("connect oslo", by=dana)
    card = channel.card
    assert (card.title, spoken(card)) == ("Rollout: Oslo", "de")
    await house.device(A).provision(sam.card.code)
    await house.passes(seconds=60)
    assert channel.replies[0].text == "Oslo: das erste Gerät hat sich gemeldet. Der Rollout hat begonnen."
    assert (await channel.says("rollout", by=sam)).text.startswith("Rollout: Oslo.")  # asked by an English reader
    assert (await sam.presses("Einzelheiten", chat=channel, on=card)).buttons == ["Back"]  # for Sam's eyes alone


async def test_an_admins_search_and_file_speak_the_chosen_language(house: House, dana: Someone) -> None:
    await dana.says("language de")
    await dana.says(f"add {A} Oslo/2/2.14")
    found = await dana.searches("2.14")
    assert "wartet auf Aktivierung" in " ".join(found.texts)
    assert found.cards[0]["lang"] == "de"
    await dana.presses("Ohne Codes", on=await dana.says("print oslo"))
    assert (await dana.accepts_file()).startswith(b"%PDF")
    await dana.presses("Geräte", on=await dana.says("export oslo"))
    assert dana.offered.offer and dana.offered.offer["name"].startswith("Geräte ")
