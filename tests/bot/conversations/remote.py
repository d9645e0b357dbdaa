"""What stories from afar begin with: a device that called in, and one that is signed in."""

from __future__ import annotations

from tests.bot.chat import CallingDevice, House, Post, Someone

MAC = "80-5E-C0-11-22-33"
ACCOUNT = "room-2.14@contoso.com"


async def called_in(house: House, mac: str = MAC, place: str = "Oslo/2/2.14", *, to: str = "") -> CallingDevice:
    """Listed by Dana, provisioned with its code; it waits for sign-in."""
    dana = house.dana
    await dana.says(f"add {mac} {place}")
    await dana.says(f"issue {mac} to {to}" if to else f"issue {mac}")
    device = house.device(mac)
    assert (await device.provision((await dana.says(f"code {mac}")).code)).status == 200
    return device


async def signed_in(
    house: House, mac: str = MAC, place: str = "Oslo/2/2.14", account: str = ACCOUNT, *, to: str = ""
) -> CallingDevice:
    """The same, and Dana signed the account in."""
    device = await called_in(house, mac, place, to=to)
    await sign_in(house, mac, account)
    return device


async def sign_in(house: House, mac: str = MAC, account: str = ACCOUNT) -> None:
    person = await house.provisioning.who(house.dana.object_id)
    assert person
    facts = await house.provisioning.begin_sign_in(house.provisioning.actor_of(person), mac, account)
    house.provider.approved(facts.user_code, account)
    await house.polls()
    assert (await house.record(mac)).state.value == "signed_in"


async def standing(someone: Someone, words: str) -> Post:
    """What was answered, as it stands from now on."""
    await someone.says(words)
    return someone.last
