"""A browser for all stories, and for each story a service and a profile of its own; one identity provider for all."""

import pytest


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make e2e")
    from tests.e2e.stage import CHROMIUM, FLAGS

    if CHROMIUM is None:
        pytest.skip("needs Chromium: run make e2e")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def service(tmp_path):
    from tests.e2e.stage import Service

    service = Service(tmp_path)
    yield service
    service.stop()


@pytest.fixture
def desk(chromium, service, request):
    """The page at desktop size; `@pytest.mark.parametrize("desk", [(390, 844)], indirect=True)` for another."""
    from tests.e2e.stage import Desk

    width, height = getattr(request, "param", (1440, 900))
    context = chromium.new_context(
        viewport={"width": width, "height": height}, timezone_id="Europe/Oslo", locale="en-GB", has_touch=width < 600
    )
    desk = Desk(context.new_page(), service.url)
    yield desk
    context.close()
    assert (desk.faults, desk.abroad) == ([], [])


@pytest.fixture(scope="session")
def _openid(tmp_path_factory):
    from tests.e2e.openid import INSTALLED, NODE, OpenId

    if NODE is None or not INSTALLED:
        pytest.skip("needs Node.js and its packages: run make e2e")
    openid = OpenId(tmp_path_factory.mktemp("openid"))
    yield openid
    openid.stop()


@pytest.fixture
def openid(_openid):
    """The certified identity provider behind a layer that can misbehave, honest at first: see openid.py."""
    yield _openid
    _openid.reset()


@pytest.fixture
def entra_like(openid):
    """The same while it speaks as Entra ID does."""
    openid.speaks_like_entra()
    return openid


@pytest.fixture
def entra(openid):
    """The same at Entra's own name, for those who ask by a session of `openid.session()`."""
    openid.speaks_like_entra(by_name=True)
    return openid
