"""A search is typed anywhere, by anybody: it leaves nothing where it was typed, and tells strangers nothing."""

from tests.bot.chat import OTHER_TENANT, House, Someone

ELSEWHERE = {"id": "19:somebody-and-somebody-else@unq.gbl.spaces", "conversationType": "personal"}


async def test_a_stranger_hears_a_sentence_where_the_results_would_stand(house: House) -> None:
    eve = house.person("Eve", tenant=OTHER_TENANT)
    found = await eve.searches("oslo")
    assert "organisation" in found.text
    assert (found.titles, eve.posts) == ([], [])


async def test_a_chat_of_two_others_is_nobodys_way_to_be_reached(house: House, dana: Someone) -> None:
    kim = house.person("Kim")
    await kim.searches("oslo", conversation={**ELSEWHERE, "tenantId": kim.tenant})
    known = await house.provisioning.who(kim.object_id)
    assert known is None or known.chat is None
    assert kim.posts == []
