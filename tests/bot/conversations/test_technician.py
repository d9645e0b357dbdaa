"""Conversation 4: the technician's day, next device first."""

from tests.bot.chat import House, Someone


async def test_the_main_job(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    print(dana.card.all)
    await dana.says("issue oslo to Sam")
    print(dana.card.all, dana.card.buttons)
    print(sam.titles, sam.card.all)
    device = house.device("80-5E-C0-11-22-33")
    done = await device.provision(sam.card.code)
    print(done, sam.card.all, sam.card.buttons)
