"""A browser for all stories, and for each story a service and a profile of its own."""

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
