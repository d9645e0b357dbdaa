"""What people hear about: mute, unmute, notifications, quiet hours and the daily digest, typed and pressed."""

from datetime import timedelta

import pytest

from provisioning.messages import OutboxMessage
from provisioning.model import Person
from provisioning.rollouts import Rollout
from provisioning.telling import Topic
from tests.bot.chat import DANA_ID, Channel, House, Someone

MACS = [f"80-5E-C0-11-22-{n:02X}" for n in range(3)]


@pytest.fixture
def channel(house: House) -> Channel:
    return house.channel()


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone, channel: Channel) -> None:
    """Three devices of Oslo are with Sam; the channel follows them."""
    await dana.says("add " + "\n".join(f"{mac} Oslo/2/2.{n}" for n, mac in enumerate(MACS, 10)))
    await dana.says("issue oslo to Sam for 48h")
    await channel.says("connect oslo", by=dana)


async def muted(house: House, person: str = DANA_ID) -> dict[str, str]:
    """What is muted and until when."""
    known = await house.store.get(Person, person)
    assert known
    return {mute.topic or "all": mute.until.isoformat() if mute.until else "" for mute in known.telling.mutes}


async def dropped(house: House) -> list[tuple[str, str]]:
    rows = (await house.store.find(OutboxMessage, status="dropped", limit=100)).rows
    return [(row.kind.value, row.failure) for row in rows]


# ------------------------------------------------------------------ mute


async def test_a_problem_reaches_nobody_who_muted_problems_and_everybody_who_unmuted(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    said = await dana.says("mute problems")
    assert said.title == "Muted: problems, until you unmute"
    assert "Still told: answers to what you do or ask, and your access." in said.all
    assert "Or type: unmute problems, notifications" in said.texts
    before = len(dana.posts)
    await sam.says("problem 2.10 no power")
    assert len(dana.posts) == before
    assert await dropped(house) == [("problem_reported", "muted")]
    said = await dana.presses("Unmute", on=said)
    assert said.title == "Told again: problems"
    await sam.says("problem 2.11 no power")
    assert dana.card.title == "Problem: Oslo, floor 2, room 2.11"


async def test_what_waits_already_is_not_told_either(house: House, dana: Someone, sam: Someone, day: None) -> None:
    house.by_itself = False
    await sam.says("problem 2.10 no power")
    await dana.says("mute")
    before = len(dana.posts)
    await house.settled()
    assert len(dana.posts) == before
    assert ("problem_reported", "muted") in await dropped(house)


@pytest.mark.parametrize(
    ("typed", "title", "until"),
    [
        ("mute", "Everything muted until you unmute", {"all": ""}),
        ("/mute for 2h", "Everything muted until 10:30", {"all": "2026-03-02T09:30:00+00:00"}),
        ("mute DEVICES for 90m", "Muted: devices, until 10:00", {"devices": "2026-03-02T09:00:00+00:00"}),
        ("mute until 14:00", "Everything muted until 14:00", {"all": "2026-03-02T13:00:00+00:00"}),
        ("mute sign in until 06:00", "Muted: sign-in, until 06:00 tomorrow", {"sign-in": "2026-03-03T05:00:00+00:00"}),
        ("mute today", "Everything muted until 00:00 tomorrow", {"all": "2026-03-02T23:00:00+00:00"}),
        ("mute codes today", "Muted: codes, until 00:00 tomorrow", {"codes": "2026-03-02T23:00:00+00:00"}),
        ("mute everything", "Everything muted until you unmute", {"all": ""}),
    ],
)
async def test_how_it_is_typed(house: House, dana: Someone, typed: str, title: str, until: dict[str, str]) -> None:
    dana.timezone = "Europe/Oslo"  # one hour ahead of UTC, in which it is 07:30
    assert (await dana.says(typed)).title == title
    assert await muted(house) == until


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("mute weather", '"weather" is not one of: work, codes, problems, sign-in, devices, people, progress, digest.'),
        ("mute work", '"work" is not one of: codes, problems, sign-in, devices, people, progress, digest.'),
        ("mute for ever", '"ever" is not a time to be quiet for. Write for 2h, for 3d (at most 30d), or until 14:00.'),
        ("mute for 31d", '"31d" is not a time to be quiet for. Write for 2h, for 3d (at most 30d), or until 14:00.'),
        ("mute until noon", '"noon" is not a time within the next 7 days. Write 03:00, or 2026-12-01 03:00.'),
        ("digest noon", '"noon" is not a time of day. Write 07:30, off or default.'),
        ("quiet 19", '"19" is not a span of hours. Write 19:00-07:00, off or default.'),
    ],
)
async def test_what_cannot_be_is_said_with_its_cure(house: House, dana: Someone, typed: str, answer: str) -> None:
    assert (await dana.says(typed)).text == answer
    assert await muted(house) == {}


async def test_whoami_says_what_is_muted_and_until_when(dana: Someone) -> None:
    assert "Muted" not in (await dana.says("whoami")).facts
    await dana.says("mute devices until 14:00")
    await dana.says("mute codes")
    assert (await dana.says("whoami")).facts["Muted"] == "codes, until you unmute and devices, until 14:00"
    await dana.says("mute for 1h")
    assert (await dana.says("whoami")).facts["Muted"] == "everything, until 08:30"


async def test_a_stranger_has_nothing_to_mute(house: House, dana: Someone) -> None:
    eve = house.person("Eve")
    assert (await eve.says("mute")).title == "You have no access yet."
    assert (await eve.says("digest")).title == "You have no access yet."


# ------------------------------------------------------------------ in a channel


async def test_a_channel_is_muted_by_admins_and_the_thread_is_silent(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    assert "Only admins can do that" in (await channel.says("mute problems", by=sam)).all
    said = await channel.says("mute problems", by=dana)
    assert said.title == "Muted: problems, until you unmute"
    assert "The card goes on" in said.all
    before = len(channel.replies)
    await sam.says("problem 2.10 no power")
    assert len(channel.replies) == before
    assert dana.card.title.startswith("Problem: ")  # her own chat is another matter
    rollout = await house.store.get(Rollout, channel.conversation)
    assert rollout and [mute.topic for mute in rollout.telling.mutes] == [Topic.PROBLEMS]
    await channel.says("unmute", by=dana)
    await sam.says("problem 2.11 no power")
    assert "Problem at Oslo" in channel.replies[-1].text


async def test_a_press_in_the_channel_by_somebody_who_may_not_changes_nothing(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    card = await channel.says("notifications", by=dana)
    assert card.title == "What this channel hears about"
    assert set(card.inputs["hear"]["value"].split(",")) == {"codes", "problems", "devices", "progress"}
    answer = await sam.presses("Save", on=card, chat=channel, hear="codes")
    assert "Only admins can do that" in answer.toast
    rollout = await house.store.get(Rollout, channel.conversation)
    assert rollout and rollout.telling.mutes == ()
    await dana.presses("Save", on=card, chat=channel, hear="codes,problems")
    rollout = await house.store.get(Rollout, channel.conversation)
    assert rollout and {mute.topic for mute in rollout.telling.mutes} == {Topic.DEVICES, Topic.PROGRESS}


# ------------------------------------------------------------------ the card


async def test_all_of_it_is_saved_with_one_press(house: House, dana: Someone) -> None:
    card = await dana.says("notifications")
    assert card.inputs["hear"]["value"] == "codes,problems,sign-in,devices,people,progress"
    assert (card.inputs["hour"]["placeholder"], card.inputs["hours"]["placeholder"]) == ("07:30", "off")
    card = await dana.presses("Save", hear="codes,problems,sign-in,people,progress", hour="9:15", hours="22:00-06:00")
    assert card.texts[0] == "Saved."
    assert "Muted: devices, until you unmute." in card.texts
    assert "Next digest: 09:15, if there is something to say." in card.texts
    assert card.inputs["hour"]["value"] == "09:15"
    assert await muted(house) == {"devices": ""}
    card = await dana.presses("Save", hear="codes,problems,sign-in,devices,people,progress", hour="off", hours="")
    assert "No daily digest." in card.texts
    assert await muted(house) == {}


async def test_a_wrong_hour_comes_back_on_its_input_and_nothing_is_saved(house: House, dana: Someone) -> None:
    await dana.says("notifications")
    card = await dana.presses("Save", hear="codes", hour="07:30", hours="19 to 7")
    assert card.inputs["hours"]["errorMessage"].startswith('"19 to 7" is not a span of hours.')
    assert (card.inputs["hear"]["value"], card.inputs["hours"]["value"]) == ("codes", "19 to 7")
    assert await muted(house) == {}


async def test_another_persons_card_changes_nobodys(house: House, dana: Someone, sam: Someone) -> None:
    card = await dana.says("notifications")
    answer = await sam.presses("Save", on=card, hear="codes")
    assert "out of date" in answer.all
    assert await muted(house) == await muted(house, sam.object_id) == {}


async def test_what_is_muted_for_a_while_is_so_for_that_while_when_the_card_is_saved(
    house: House, dana: Someone
) -> None:
    await dana.says("mute devices until 14:00")
    await dana.says("notifications")
    await dana.presses("Save")
    assert await muted(house) == {"devices": "2026-03-02T14:00:00+00:00"}


# ------------------------------------------------------------------ quiet hours


async def test_in_the_quiet_hours_an_admin_chose_only_what_is_urgent_comes(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    said = await dana.says("quiet 18:00 - 7:00")
    assert said.title == "Quiet hours 18:00-07:00"
    assert "problems, locked codes and codes asked for do" in said.all
    await house.passes(hours=11)
    before = len(dana.posts)
    card = await sam.says("next")
    mac = next(mac for mac in MACS if mac in card.all)
    await house.device(mac).provision(card.code)
    await house.passes(minutes=1)
    assert len(dana.posts) == before  # one waits for sign-in
    await sam.says("problem 2.12 no power")
    assert dana.card.title == "Problem: Oslo, floor 2, room 2.12"
    await house.passes(hours=13)
    assert dana.titles[before + 1 :] == ["Waiting for sign-in: 1"]
    assert (await dana.says("quiet off")).title == "No quiet hours"
    assert (await dana.says("quiet default")).title == "No quiet hours"
    assert (await sam.says("quiet 19:00-07:00")).title == "Quiet hours 19:00-07:00"
    assert (await sam.says("quiet")).title == "What you hear about"


# ------------------------------------------------------------------ the digest


async def test_the_digest_comes_the_next_morning_and_leads_to_what_is_stuck(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.passes(hours=1)
    card = await sam.says("next")
    mac = next(mac for mac in MACS if mac in card.all)
    await house.device(mac).provision(card.code)
    await sam.says(f"install {mac}")
    await sam.says("problem 2.12 no power")
    await dana.says("mute codes")
    await house.passes(hours=22, minutes=59)
    titles = list(dana.titles)
    await house.passes(minutes=1)
    assert dana.titles == [*titles, "1 device called in, 1 installed since Mon 2 Mar 07:30"]
    card = dana.card
    assert card.summary == "Daily digest: 1 device called in, 1 installed"
    assert "1 of 3 provisioned, 1 installed. 0 called in the time before." in card.texts
    assert "Oslo: 1 of 3 provisioned (+1), 1 installed (+1)" in card.texts
    assert card.facts["Problems"] == "1, oldest: Oslo, floor 2, room 2.12, 23 h ago"
    assert card.facts["Waiting for sign-in"] == "1"
    assert card.buttons == ["Problems", "Sign-in", "Rollout"]
    assert (await dana.presses("Problems", on=card)).title.startswith("1 device")
    await house.passes(minutes=1)
    assert dana.titles.count("1 device called in, 1 installed since Mon 2 Mar 07:30") <= 1


async def test_a_digest_that_cannot_be_sent_for_hours_is_not_said(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.passes(minutes=1)
    await house.passes(hours=23, minutes=30)
    house.by_itself = False
    await sam.says("problem 2.12 no power")
    await house.settled()
    house.clock.advance(timedelta(minutes=30))
    assert await house.provisioning.tell_digests() == 1
    titles = list(dana.titles)
    house.clock.advance(timedelta(hours=5))
    await house.settled()
    assert dana.titles == titles
    assert ("digest", "settled") in await dropped(house)


async def test_asked_for_it_is_shown_at_once_and_its_hour_can_be_chosen(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    assert (await dana.says("digest")).title == "0 devices called in, 0 installed since Fri 27 Feb 07:30"
    said = await dana.says("digest 15:00")
    assert said.title == "Daily digest at 15:00"
    assert "Next digest: 15:00, if there is something to say." in said.texts
    assert (await dana.says("digest off")).title == "No daily digest"
    assert (await dana.says("digest default")).title == "Daily digest at 07:30"
    mine = await sam.says("digest")
    assert "0 of 3 provisioned, 0 installed. 0 called in the time before." in mine.texts
    assert mine.buttons == ["List", "Next device"]
    assert (await sam.says("digest default")).title == "No daily digest"


async def test_a_channels_digest_is_a_short_text_in_its_thread_without_macs(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await channel.says("digest 08:00", by=dana)
    card = await sam.says("next")
    mac = next(mac for mac in MACS if mac in card.all)
    await house.device(mac).provision(card.code)
    await sam.says("problem 2.12 no power")
    await house.passes(minutes=30)
    text = next(post.text for post in channel.replies if "called in," in post.text)
    assert text.startswith("Oslo: 1 device called in, 0 installed since Fri 27 Feb 08:00. 1 of 3 provisioned")
    assert "- Problems: 1, oldest: Oslo, floor 2, room 2.12, 30 min ago" in text
    assert not any(mac in text or mac[-5:] in text for mac in MACS)
    await house.passes(minutes=1)
    assert sum("called in," in post.text for post in channel.replies) == 1
    assert (await channel.says("digest", by=sam)).text.startswith("Oslo: 1 device called in")


async def test_an_admin_who_is_a_technician_too_chooses_among_what_both_hear(
    house: House, dana: Someone, day: None
) -> None:
    assert "work" in (await dana.says("mute work")).text  # "work" is not one of …
    await dana.says(f"grant {dana.object_id} technician")
    assert (await dana.says("mute work")).title == "Muted: work, until you unmute"
    form = await dana.says("notifications")
    assert "work" in [choice["value"] for choice in form.inputs["hear"]["choices"]]
