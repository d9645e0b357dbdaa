"""Rollouts that people can watch: planned, paused, gone on, finished; who sees which buttons; what is stuck."""

import pytest

from tests.bot.chat import Channel, House, Post, Someone

MACS = [f"80-5E-C0-11-22-{n:02X}" for n in range(8)]


@pytest.fixture
def channel(house: House) -> Channel:
    return house.channel()


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone, channel: Channel) -> None:
    """Eight devices of Oslo are with Sam; the channel follows them."""
    await dana.says("add " + "\n".join(f"{mac} Oslo/2/2.{n:02}" for n, mac in enumerate(MACS, 10)))
    await dana.says("issue oslo to Sam for 48h")
    await channel.says("connect oslo", by=dana)


def living(channel: Channel) -> Post:
    return next(post for post in channel.posts if post.title.startswith("Oslo rollout"))


async def call_in(house: House, sam: Someone, *macs: str) -> None:
    for mac in macs:
        card = await sam.says(f"code {mac}")
        assert (await house.device(mac).provision(card.code)).status == 200


async def test_everybody_reads_the_card_and_admins_decide_on_theirs(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    card = living(channel)
    assert card.buttons == ["Details"]
    assert card.card["refresh"]["userIds"] == [dana.teams_id]
    assert card.card["refresh"]["action"]["verb"] == "rollout_mine"
    mine = await dana.opens(card)
    assert mine.buttons == ["Details", "Remind", "Pause", "Plan"]
    assert living(channel).buttons == ["Details"]  # what one sees is for their eyes


async def test_the_card_says_how_fast_it_goes_and_when_it_is_done(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    for mac in MACS[:4]:
        await call_in(house, sam, mac)
        await house.passes(minutes=10)
    card = living(channel)
    assert "8 added, 4 with a live code, 0 signed in." in card.texts
    assert "About 5 an hour, done about 09:00." in card.texts, card.texts


async def test_what_is_stuck_stands_on_the_card(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await sam.says("problem 2.11 no network")
    await house.passes(seconds=30)
    assert "Stuck" in living(channel).texts
    assert any(
        text.startswith("2.11: problem, ") and text.endswith("since 07:30, Sam") for text in living(channel).texts
    )
    assert not any(mac in living(channel).all for mac in MACS)


async def test_paused_in_the_channel_and_gone_on_from_the_chat(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    said = await channel.says("pause", by=dana)
    assert said.text == "Oslo is paused, says Dana. No code starts there and nobody is reminded until it goes on."
    await house.passes(seconds=30)
    assert living(channel).title == "Oslo rollout, paused"
    refused = await sam.says("new code 2.10")
    assert refused.text == "Oslo is paused, so no code starts there now. You are told when it goes on."
    await dana.says("resume oslo")
    await house.passes(seconds=30)
    assert "Oslo goes on, says Dana." in [post.text for post in channel.replies]
    assert living(channel).title == "Oslo rollout"
    assert "Oslo: 8 of your devices are still open" in [post.summary for post in sam.posts]


async def test_paused_by_a_press_the_thread_hears_it(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    mine = await dana.presses("Pause", chat=channel, on=await dana.opens(living(channel)))
    assert mine.title == "Oslo rollout, paused" and mine.buttons == ["Go on", "Details", "Plan"]
    assert [post.text.split(",")[0] for post in channel.replies] == ["Oslo is paused"]
    assert (await dana.presses("Go on", chat=channel, on=mine)).title == "Oslo rollout"


async def test_finished_it_says_nothing_more_until_it_is_resumed(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await channel.says("finish", by=dana)
    await house.passes(seconds=30)
    assert living(channel).title == "Oslo rollout, finished"
    edits, replies = living(channel).edits, len(channel.replies)
    await sam.says("problem 2.17 no power")
    await call_in(house, sam, MACS[0])
    await house.passes(minutes=2)
    assert (living(channel).edits, len(channel.replies)) == (edits, replies)
    await channel.says("resume", by=dana)
    await house.passes(seconds=30)
    assert "1 of 8 provisioned" in living(channel).all


async def test_a_plan_by_form_and_by_words(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    form = await channel.says("plan", by=dana)
    assert form.title == "Plan of Oslo"
    saved = await dana.presses(
        "Save", chat=channel, on=form, lead=sam.object_id, technicians=sam.object_id, lifetime="72h", policy="on site"
    )
    assert saved.title == "Plan of Oslo" and "Lead: Sam · Technicians: Sam" in saved.all
    assert "Codes live 72 hours." in saved.all and "Codes start on site." in saved.all
    said = await channel.says("plan until 2026-11-24 17:00", by=dana)
    assert "Planned until" in said.all
    await house.passes(seconds=30)
    assert "Lead: Sam" in living(channel).all and "Planned until" in living(channel).all
    assert "Lead" not in (await channel.says("plan lead off", by=dana)).all
    assert "is not one of: plan lead" in (await channel.says("plan dinner", by=dana)).text
    assert "is not a time within the next year" in (await channel.says("plan until yesterday", by=dana)).text


async def test_whoever_works_there_is_chosen_already_where_codes_are_issued(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    kim = await house.technician("Kim")
    await channel.says("plan technicians Sam and Kim", by=dana)
    form = await dana.says("issue oslo")
    assert set(form.inputs["technician"]["value"].split(",")) == {sam.object_id, kim.object_id}


async def test_a_card_that_says_the_same_already_is_not_edited(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await sam.says("problem 2.11 no network")
    await house.passes(minutes=1)
    edits = living(channel).edits
    await dana.says("tag 2.12 lobby")  # moves the card's subject, and nothing that it says
    await house.passes(minutes=1)
    assert living(channel).edits == edits
    await sam.says("problem 2.13 no network")
    await house.passes(minutes=1)
    assert living(channel).edits == edits + 1


async def test_a_form_with_a_wrong_end_comes_back_filled_in(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    form = await channel.says("plan", by=dana)
    typed = {"lead": dana.object_id, "lifetime": "72h", "policy": "on site", "ends": "soon"}
    back = await dana.presses("Save", chat=channel, on=form, **typed)
    assert back.title == "Plan of Oslo" and '"soon" is not a time' in str(back.card)
    assert {name: back.inputs[name]["value"] for name in typed} == typed


async def test_a_problem_calls_whoever_leads(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await channel.says("plan lead Sam", by=dana)
    await sam.says("problem 2.10 no power")
    assert channel.replies[-1].mentions == [sam.teams_id]


async def test_remind_writes_to_whoever_has_open_devices(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    said = await channel.says("remind", by=dana)
    assert said.text == "Oslo: 1 technician with open devices is reminded."
    await house.passes(seconds=1)
    assert sam.posts[-1].summary == "Oslo: 8 of your devices are still open"
    again = await channel.says("remind", by=dana)
    assert again.text == "They were reminded at most half an hour ago. Give them a moment."


async def test_rollout_in_words(house: House, dana: Someone, sam: Someone, channel: Channel, day: None) -> None:
    await call_in(house, sam, MACS[0])
    said = await channel.says("rollout", by=sam)
    assert said.text.startswith("Oslo rollout.\n\n1 of 8 provisioned") and not said.card
    assert "7 devices wait for activation." in said.text
    assert (await sam.says("rollout oslo")).title == "Oslo rollout"
    every = await dana.says("rollout")
    assert every.title == "Rollouts" and "Oslo rollout: 1 of 8 provisioned" in every.all


async def test_codes_about_to_die_are_told_in_the_thread(
    house: House, sam: Someone, channel: Channel, day: None
) -> None:
    await house.passes(hours=47, minutes=10)
    dying = [post.text for post in channel.replies if "within the hour" in post.text]
    assert dying == ["8 codes end within the hour. Their technicians can renew them."]


async def test_whoever_is_no_admin_decides_nothing(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    for words in ("pause", "resume", "finish", "remind", "plan", "plan lead Sam"):
        assert (await channel.says(words, by=sam)).text == "Only admins can do that. Ask one of your admins.", words
    mine = await dana.opens(living(channel))
    for button in ("Pause", "Remind", "Plan"):
        answer = await sam.presses(button, chat=channel, on=mine)
        assert "Only admins can do that" in (answer.text or answer.toast), button
    assert living(channel).title == "Oslo rollout"


async def test_what_is_finished_is_not_paused_and_nobody_is_reminded_of_what_rests(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await channel.says("pause", by=dana)
    heard = len(sam.posts)
    assert (await channel.says("remind", by=dana)).text == "Oslo is paused, so nobody is reminded. Say resume first."
    await channel.says("finish", by=dana)
    for words in ("pause", "remind"):
        assert (await channel.says(words, by=dana)).text == "Oslo is finished. Say resume first.", words
    assert len(sam.posts) == heard


async def test_a_button_of_a_card_of_another_rollout_decides_nothing(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    mine = (await dana.opens(living(channel))).copy()
    form = (await channel.says("plan", by=dana)).copy()
    await dana.says("add 80-5E-C0-11-44-01 Bergen/1/1")
    await channel.says("connect bergen", by=dana)
    for button, card in (("Pause", mine), ("Plan", mine), ("Save", form)):
        answer = await dana.presses(button, chat=channel, on=card)
        assert "out of date" in answer.toast, button
    assert (await channel.says("rollout", by=dana)).text.startswith("Bergen rollout.\n\n0 of 1")


async def test_a_plan_can_be_changed_by_form_after_it_has_begun(
    house: House, dana: Someone, channel: Channel, day: None
) -> None:
    await channel.says("plan from 2026-03-03 08:00", by=dana)
    await house.passes(hours=49)
    saved = await dana.presses("Save", chat=channel, on=await channel.says("plan", by=dana), lifetime="72h")
    assert "Codes live 72 hours." in saved.all


async def test_from_the_chat_it_is_said_which_one(house: House, dana: Someone, channel: Channel, day: None) -> None:
    await dana.says("add 80-5E-C0-11-44-01 Bergen/1/1")
    second, third = house.channel("second"), house.channel("third")
    await second.says("connect bergen", by=dana)
    await third.says("connect", by=dana)
    said = (await dana.says("pause")).text
    assert said == "There are several: Oslo, Bergen, all. Say which of them as well."
    assert (await dana.says("pause all")).text.startswith("All sites is paused, says Dana.")
    await channel.says("finish", by=dana)
    await second.says("finish", by=dana)
    assert (await dana.says("resume")).text == "All sites goes on, says Dana."


async def test_a_forecast_is_not_left_standing_when_nobody_calls_any_more(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    for mac in MACS[:4]:
        await call_in(house, sam, mac)
        await house.passes(minutes=10)
    assert "About 5 an hour" in living(channel).all
    for _quarter in range(12):
        await house.passes(minutes=15)
    assert "an hour" not in living(channel).all and "No forecast yet" in living(channel).all
    edits = living(channel).edits
    for _quarter in range(4):
        await house.passes(minutes=15)
    assert living(channel).edits == edits  # nor is a card edited that says the same


async def test_nothing_is_forecast_of_what_rests(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await channel.says("plan until 2026-03-04 17:00", by=dana)
    for mac in MACS[:4]:
        await call_in(house, sam, mac)
        await house.passes(minutes=10)
    assert "on time" in living(channel).all
    await channel.says("pause", by=dana)
    await house.passes(seconds=30)
    for said in (living(channel).all, (await channel.says("rollout", by=sam)).text, (await dana.says("rollout")).all):
        assert "paused" in said and "done about" not in said and "on time" not in said


async def test_whoever_gets_devices_while_all_of_theirs_rest_hears_of_them_when_it_goes_on(
    house: House, dana: Someone, sam: Someone, channel: Channel, day: None
) -> None:
    await channel.says("pause", by=dana)
    heard = len(sam.posts)
    await dana.says("add 80-5E-C0-11-33-01 Oslo/2/2.99")
    issued = await dana.says("issue 80-5E-C0-11-33-01 to Sam")
    await house.passes(minutes=1)
    assert len(sam.posts) == heard
    await dana.presses("Message Sam", on=issued)  # said so expressly
    await house.passes(minutes=1)
    assert len(sam.posts) == heard + 1
    await channel.says("resume", by=dana)
    await house.passes(minutes=1)
    assert sam.posts[-1].summary == "Oslo: 9 of your devices are still open"
