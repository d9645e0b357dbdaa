"""The code of our half of remote sign-in, typed into the pages of a certified provider in a real browser."""

from provisioning.signin import same_account
from tests.e2e.openid import ROOM
from tests.e2e.people import approves_in_browser


def test_the_code_typed_into_the_real_pages_of_the_provider_signs_in(chromium, openid):
    asking = openid.asked_by(seconds=5)
    idp = openid.run(asking.__aenter__())
    grant = openid.run(idp.begin())
    context = chromium.new_context()
    approves_in_browser(context.new_page(), grant, ROOM)
    context.close()
    account = openid.run(idp.redeem(grant.device_code))
    openid.run(asking.__aexit__(None, None, None))
    assert same_account(account, ROOM.upper())
    assert same_account(account, "", account.id)
    assert account.name == ROOM
