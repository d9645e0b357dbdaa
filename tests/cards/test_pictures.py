"""What a burn-up's picture is given to show, and the same facts in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cards.render import render
from cards.view import RolloutCard
from cards.views.pictures import alt_text, card_picture, heading, picture_card, plot_of
from provisioning.burnup import BurnUp
from provisioning.delivery_errors import CardTooLarge
from provisioning.documents.plot import TICKS, read, written
from provisioning.texts import Speech, speaking
from tests.cards.picture_cards import MORNING, NOW, PNG, burn_up, line
from tests.cards.rules import of_type
from tests.cards.samples import HOSTILE

OSLO_TIME = ZoneInfo("Europe/Oslo")
TWO = burn_up(line("Oslo", 150, 38, 44), line("Bergen", 47, 12))


def spanned(since: datetime, **length: float) -> BurnUp:
    return BurnUp("Oslo", since, since + timedelta(**length), (line("Oslo", 8, 2),))


def ticks(burn_up: BurnUp) -> list[str]:
    return [tick.text for tick in plot_of(burn_up).ticks]


# ------------------------------------------------------------------ the same in words


def test_the_words_carry_the_facts_of_the_picture() -> None:
    assert alt_text(TWO, NOW) == (
        "Burn-up since 07:30. Oslo: 38 of 150 provisioned by 16:40, about 22 an hour in the last two hours; "
        "Bergen: 12 of 47, none lately."
    )
    assert heading(TWO) == "All sites: 50 of 197 provisioned"


def test_a_site_that_is_done_has_no_rate_and_others_are_called_so() -> None:
    done = burn_up(line("Oslo", 150, 150), line("Bergen", 47, 12, 9), line("", 40, 3, 1))
    assert alt_text(done, NOW) == (
        "Burn-up since 07:30. Oslo: 150 of 150 provisioned by 16:40; Bergen: 12 of 47, about 4 an hour; "
        "others: 3 of 40, 1 in the last two hours."
    )


def test_a_rate_of_two_hours_is_told_once_there_were_two_hours() -> None:
    young = BurnUp("Oslo", MORNING, MORNING + timedelta(hours=1), (line("Oslo", 8, 2, 2),))
    assert alt_text(young, MORNING + timedelta(minutes=50)) == (
        "Burn-up since 07:30. Oslo: 2 of 8 provisioned by 08:20."
    )


def test_the_day_is_told_where_it_is_another() -> None:
    later = NOW + timedelta(days=1)
    assert alt_text(TWO, later).startswith("Burn-up since Mon 2 Mar 07:30. Oslo: 38 of 150 provisioned by Mon 2 Mar ")


@pytest.mark.parametrize("site", HOSTILE)
def test_whatever_a_site_is_called_the_words_stay_words(site: str) -> None:
    said = alt_text(burn_up(line(site, 8, 2), scope=site), NOW)
    assert "\n" not in said and "\u202e" not in said and len(said) < 300
    assert read(written(plot_of(burn_up(line(site, 8, 2), scope=site))))


# ------------------------------------------------------------------ the time axis


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ({"minutes": 30}, ["07:30", "07:45", "08:00"]),
        ({"hours": 4}, ["08:00", "09:00", "10:00", "11:00"]),
        ({"hours": 9.5}, ["09:00", "12:00", "15:00"]),
        ({"days": 1, "hours": 2}, ["12:00", "18:00", "3 Mar", "06:00"]),
        ({"days": 3}, ["3 Mar", "4 Mar", "5 Mar"]),
        ({"days": 20}, ["9 Mar", "16 Mar"]),
        ({"days": 119}, ["30 Mar", "27 Apr", "25 May", "22 Jun"]),
    ],
)
def test_round_times_stand_below_the_lines(length: dict[str, float], expected: list[str]) -> None:
    assert ticks(spanned(MORNING, **length)) == expected


@pytest.mark.parametrize("minutes", [15, 60, 200, 1_000, 3_000, 10_000, 50_000, 171_360])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"])
def test_there_are_a_few_of_them_whatever_the_clock(minutes: int, zone: str) -> None:
    with speaking(Speech("en", ZoneInfo(zone))):
        plot = plot_of(spanned(MORNING, minutes=minutes))
    assert len(plot.ticks) <= min(TICKS, 5)
    assert all(0 <= tick.at <= plot.hours for tick in plot.ticks)
    assert len({tick.at for tick in plot.ticks}) == len(plot.ticks)


def test_clocks_that_change_are_shown_as_they_are() -> None:
    with speaking(Speech("en", OSLO_TIME)):
        spring = plot_of(spanned(datetime(2026, 3, 28, 23, tzinfo=UTC), hours=4))  # 02:00 is 03:00 that night
        autumn = plot_of(spanned(datetime(2026, 10, 24, 22, tzinfo=UTC), hours=4))  # 02:00 comes twice
        day = plot_of(spanned(datetime(2026, 3, 28, 11, tzinfo=UTC), hours=47))
    assert [(tick.at, tick.text) for tick in spring.ticks] == [
        (0, "00:00"),
        (1, "01:00"),
        (2, "03:00"),
        (3, "04:00"),
        (4, "05:00"),
    ]
    assert [(tick.at, tick.text) for tick in autumn.ticks] == [(0, "00:00"), (1, "01:00"), (2, "02:00"), (4, "03:00")]
    assert [(tick.at, tick.text) for tick in day.ticks] == [
        (0, "12:00"),
        (12, "29 Mar"),
        (23, "12:00"),
        (35, "30 Mar"),
        (47, "12:00"),
    ]


def test_days_are_named_in_the_language_of_the_reader() -> None:
    with speaking(Speech("de", OSLO_TIME)):
        assert ticks(spanned(MORNING, days=3)) == ["3. März", "4. März", "5. März"]


# ------------------------------------------------------------------ on cards


def test_a_picture_says_its_words_to_whoever_does_not_see_it() -> None:
    card = render(picture_card(TWO, card_picture(TWO, PNG, NOW), NOW), operation="op")
    (image,) = of_type(card, "Image")
    assert image["altText"] == alt_text(TWO, NOW) and image["url"].startswith("data:image/png;base64,")
    assert "50 of 197 provisioned by 16:40, about 22 an hour in the last two hours" in card["fallbackText"]
    assert alt_text(TWO, NOW) in card["fallbackText"]  # what a client shows that draws no cards
    assert "base64" not in card["fallbackText"] + card["speak"]


def test_a_card_that_would_be_too_large_goes_without_its_picture() -> None:
    picture = card_picture(TWO, PNG, NOW)
    full = RolloutCard(title="Oslo rollout", lines=("x" * 14_000,), picture=picture)
    assert not list(of_type(render(full, operation="op"), "Image"))
    some = RolloutCard(title="Oslo rollout", lines=("x" * 6_000,), picture=picture)
    assert list(of_type(render(some, operation="op"), "Image"))
    with pytest.raises(CardTooLarge):
        render(RolloutCard(title="Oslo rollout", lines=("x" * 30_000,), picture=picture), operation="op")
    assert "base64" not in repr(picture)
