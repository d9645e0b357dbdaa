"""The local page as people use it, in a real browser, against a stand-in bot."""

import asyncio
import threading
import time

import pytest
from aiohttp import web

from bot.demo.people import LOCAL_BOT, LOCAL_CHANNEL, LOCAL_TENANT
from tests.bot.demo.fake_bot import CODE, EXPORT, FakeBot, build_app
from tests.labels import encoded, view_of_a_wall

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make e2e")


class Service:
    """The page's server in a thread of its own; may be stopped and started on the same port."""

    def __init__(self):
        self.bot = FakeBot()
        self.port = 0
        self.start()

    def start(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    async def _serve(self, ready):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.bot.changed = asyncio.Event()
        runner = web.AppRunner(build_app(self.bot), shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def call(self, function, *args, **kwargs):
        self._loop.call_soon_threadsafe(lambda: function(*args, **kwargs))

    def sent(self, kind):
        return [activity for activity in self.bot.activities if activity["type"] == kind]


class Person:
    """Somebody in front of the page."""

    def __init__(self, page, service):
        self.page, self.service = page, service

    def pane(self, name):
        return self.page.locator(f"#pane-{name}")

    def says(self, pane, text):
        box = self.pane(pane).locator(".compose-text")
        box.fill(text)
        box.press("Enter")

    def sees(self, pane, text):
        sync_api.expect(self.pane(pane)).to_contain_text(text)

    def sees_no(self, pane, text):
        sync_api.expect(self.pane(pane)).not_to_contain_text(text)

    def presses(self, pane, title):
        self.pane(pane).get_by_role("button", name=title, exact=True).last.click()


@pytest.fixture
def service():
    service = Service()
    yield service
    service.stop()


@pytest.fixture
def me(chromium, service):
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900},
        timezone_id="Europe/Oslo",
        locale="nb-NO",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
    page.goto(f"http://127.0.0.1:{service.port}/")
    sync_api.expect(page.locator("#pane-device")).to_contain_text("Enter the code")
    yield Person(page, service)
    assert faults == []
    context.close()


def until(check, seconds=5):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_each_chat_is_opened_once_as_an_installation_does(me, service):
    me.sees("admin", "Hello Dana")
    until(lambda: len(service.sent("installationUpdate")) == 3)
    kinds = {a["conversation"]["conversationType"] for a in service.sent("installationUpdate")}
    assert kinds == {"personal", "channel"}
    me.page.reload()
    me.sees("admin", "Hello Dana")
    me.page.wait_for_timeout(300)
    assert len(service.sent("installationUpdate")) == 3


def test_a_typed_line_is_the_activity_that_teams_would_send(me, service):
    me.says("admin", "help me")
    me.sees("admin", "help me")
    until(lambda: service.sent("message"))
    [activity] = service.sent("message")
    assert activity["text"] == "help me" and activity["channelId"] == "msteams"
    assert activity["from"]["name"] == "Dana Admin" and activity["recipient"]["id"] == LOCAL_BOT.id
    assert activity["conversation"] == {"id": "a:dana", "conversationType": "personal", "tenantId": LOCAL_TENANT}
    assert activity["channelData"] == {"tenant": {"id": LOCAL_TENANT}}
    [info] = activity["entities"]
    assert (info["type"], info["locale"], info["country"], info["timezone"]) == (
        "clientInfo",
        "nb-NO",
        "NO",
        "Europe/Oslo",
    )


def test_a_press_sends_the_inputs_and_the_answer_takes_the_cards_place(me, service):
    me.says("admin", "add")
    me.presses("admin", "Add")
    me.sees("admin", "A MAC has 12 digits")
    assert me.page.evaluate("document.activeElement.dataset.input") == "mac"
    assert not service.sent("invoke")
    me.page.get_by_label("MAC address *").last.fill("80:5e:c0:11:22:33")
    me.page.get_by_label("Location").last.fill("Oslo/2F/2.14")
    me.presses("admin", "Add")
    me.sees("admin", "Provisioned 07:52")
    [invoke] = service.sent("invoke")
    assert invoke["name"] == "adaptiveCard/action" and invoke["replyToId"].isdigit()
    assert invoke["value"]["trigger"] == "manual" and invoke["value"]["action"]["verb"] == "add"
    wanted = {"verb": "add", "rev": 3, "mac": "80:5e:c0:11:22:33", "location": "Oslo/2F/2.14"}
    assert wanted.items() <= invoke["value"]["action"]["data"].items()
    me.page.reload()
    me.sees("admin", "Provisioned 07:52")


def test_answers_that_are_no_card_are_said_in_a_toast(me):
    me.presses("admin", "Upload file")
    me.sees("admin", "Something went wrong. Please try again.")
    me.says("admin", "upload")
    me.presses("admin", "Get error file")
    me.sees("admin", "Only admins may do this.")
    me.presses("admin", "Cancel")
    me.sees("admin", "Cancelled.")


def test_a_submit_button_sends_a_message_with_its_value(me, service):
    me.says("admin", "many_choices")
    me.sees("admin", "Who may do what")
    me.pane("admin").get_by_label("Role").last.select_option("admin")
    me.pane("admin").get_by_label("Today").last.check()
    me.presses("admin", "Send")
    me.page.locator("#pane-admin .action", has_text="Send").last.click()
    until(lambda: any("value" in a for a in service.sent("message")))
    value = next(a["value"] for a in service.sent("message") if "value" in a)
    assert value == {"a": 1, "sites": "oslo,bergen", "role": "admin", "day": "0"}


def test_a_message_that_did_not_arrive_can_be_sent_again(me, service):
    me.says("admin", "break")
    me.sees("admin", "Not delivered.")
    me.presses("admin", "Try again")
    until(lambda: len(service.sent("message")) == 2)
    first, again = service.sent("message")
    assert first["id"] == again["id"]


def test_the_channel_mentions_the_bot_and_keeps_threads(me, service):
    me.presses("channel", "connect oslo")
    me.sees("channel", "Oslo rollout")
    me.sees("channel", "Oslo started. @Dana Admin, Sam has 12 devices today.")
    [post] = service.sent("message")
    assert post["text"] == "<at>Provisioning Bot</at> connect oslo"
    assert post["conversation"]["id"] == f"{LOCAL_CHANNEL.id};messageid={post['id']}"
    assert [e["type"] for e in post["entities"]] == ["clientInfo", "mention"]
    assert me.pane("channel").locator(".thread").count() == 1
    me.presses("channel", "Sam")
    me.presses("channel", "Reply")
    me.says("channel", "my devices")
    until(lambda: len(service.sent("message")) == 2)
    reply = service.sent("message")[1]
    assert reply["from"]["name"] == "Sam Technician" and reply["conversation"]["id"] == post["conversation"]["id"]
    sync_api.expect(me.pane("channel").locator(".thread")).to_have_count(1)


def test_a_card_with_a_refresh_is_asked_for_by_its_reader_alone(me, service):
    me.presses("channel", "connect oslo")
    me.sees("channel", "Oslo rollout")
    until(lambda: service.sent("invoke"))
    [invoke] = service.sent("invoke")
    assert invoke["value"]["trigger"] == "automatic" and invoke["from"]["name"] == "Dana Admin"
    me.presses("channel", "Sam")
    me.page.wait_for_timeout(200)
    assert len(service.sent("invoke")) == 1


def test_the_newest_post_stays_in_sight_while_a_long_reply_is_typed(me):
    me.presses("channel", "connect oslo")
    me.sees("channel", "Oslo started.")
    for _ in range(2):
        me.says("channel", "connect oslo")
        me.page.wait_for_timeout(300)
    me.presses("channel", "Reply")
    me.pane("channel").locator(".compose-text").fill("one\ntwo\nthree\nfour")
    sync_api.expect(me.pane("channel").get_by_role("button", name="Reply").last).to_be_in_viewport()


def test_another_person_takes_the_technicians_phone(me, service):
    me.presses("technician", "Kim")
    until(lambda: any(a["from"]["name"] == "Kim" for a in service.sent("installationUpdate")))
    me.says("technician", "hi")
    until(lambda: service.sent("message"))
    assert service.sent("message")[0]["conversation"]["id"] == "a:kim"


def test_whose_phone_it_is_stays_chosen_when_the_page_starts_anew(me):
    head = me.pane("technician").locator(".chat-sub")
    me.presses("technician", "Kim")
    me.presses("channel", "Sam")
    me.page.get_by_label("Language").select_option(label="Deutsch")
    sync_api.expect(me.page.locator("html")).to_have_attribute("lang", "de")
    sync_api.expect(head).to_have_text("Kim")  # no role: a grant would make it a lie
    for pane, name in (("technician", "Kim"), ("channel", "Sam")):
        sync_api.expect(me.pane(pane).locator(".pane-head [aria-pressed=true]")).to_have_text(name)
    me.presses("technician", "Sam")
    me.page.reload()
    sync_api.expect(head).to_have_text("Sam")


def test_the_newest_message_stays_in_sight_when_the_window_changes(me):
    log = me.pane("technician").locator(".log")
    for number, name in enumerate(("list", "next"), 1):
        me.says("technician", name)
        sync_api.expect(log.locator(".from-bot .card-frame")).to_have_count(1 + number)
    me.presses("technician", "Confirm install")
    sync_api.expect(log.locator(".message:focus")).to_have_count(1)
    me.says("technician", "next")
    sync_api.expect(log.locator(".from-bot .card-frame")).to_have_count(4)
    for width, height in ((1280, 800), (1240, 700), (1600, 900), (1366, 600), (1280, 760)):
        me.page.set_viewport_size({"width": width, "height": height})
        me.page.wait_for_timeout(300)
        assert log.evaluate("node => node.scrollHeight - node.scrollTop - node.clientHeight") <= 2


def test_what_a_button_opens_is_read_from_its_top(me):
    me.page.set_viewport_size({"width": 390, "height": 520})
    me.page.locator("#tabs").get_by_role("button", name="Technician").click()
    log = me.pane("technician").locator(".log")
    for number, name in enumerate(("next", "list", "next", "list"), 1):
        me.says("technician", name)
        sync_api.expect(log.locator(".from-bot .card-frame")).to_have_count(1 + number)
    first = log.locator(".from-bot").nth(1)
    button = first.get_by_role("button", name="Confirm install")
    button.evaluate("node => node.scrollIntoView({ block: 'center' })")
    assert first.bounding_box()["y"] < log.bounding_box()["y"]
    button.click()
    sync_api.expect(first).to_be_focused()
    me.page.wait_for_timeout(300)  # what comes after must not push it out again
    box = log.bounding_box()
    assert box["y"] <= first.bounding_box()["y"] < box["y"] + box["height"] / 2


def test_a_push_line_makes_room_for_whoever_presses_a_button(me):
    me.says("technician", "next")
    me.sees("technician", "4829 1376 0257")
    me.page.wait_for_timeout(4_100)  # an answer to what was just said is no news
    me.page.evaluate("""() => fetch("/demo/connector/v3/conversations/a:sam/activities", {
        method: "POST", body: JSON.stringify({ type: "message", text: "News", summary: "News" }),
    })""")
    push = me.pane("technician").locator(".push")
    sync_api.expect(push).to_contain_text("News")
    me.presses("technician", "Confirm install")
    sync_api.expect(push).to_be_hidden(timeout=1_500)


def test_the_keyboard_alone_is_enough(me, service):
    box = me.pane("admin").locator(".compose-text")
    box.focus()
    me.page.keyboard.type("one")
    me.page.keyboard.press("Shift+Enter")
    me.page.keyboard.type("two")
    me.page.keyboard.press("Enter")
    until(lambda: service.sent("message"))
    assert service.sent("message")[0]["text"] == "one\ntwo"
    me.page.keyboard.press("ArrowUp")
    assert box.input_value() == "one\ntwo"
    me.page.keyboard.press("ArrowDown")
    assert box.input_value() == ""


def test_the_code_on_the_phone_goes_to_the_device(me, service):
    me.says("technician", "next")
    me.pane("technician").get_by_role("button", name="Code 4829 1376 0257").click()
    me.sees("technician", "Digits copied")
    me.page.locator("#device-code").focus()
    me.page.keyboard.press("Control+V")
    assert me.page.locator("#device-code").input_value() == "4829 1376 0257"
    me.page.keyboard.press("Enter")
    me.sees("device", "Waiting for remote sign-in")
    me.sees("device", "Contoso")
    service.call(service.bot.change, state="signed_in")
    me.sees("device", "room-2.14@contoso.com")
    me.page.reload()
    me.sees("device", "room-2.14@contoso.com")
    me.presses("device", "Factory reset")
    me.presses("device", "Press again to reset")
    me.sees("device", "Enter the code")
    assert len(service.bot.device["keys"][0]) == 32


def test_the_device_says_what_is_wrong_as_a_device_would(me, service):
    for digit in "1234":
        me.presses("device", digit)
    me.presses("device", "Provision")
    me.sees("device", "That code is not right. Check it and try again.")
    for status, code, text in (
        (410, "code_expired", "This code has ended"),
        (422, "invalid_code", "mistyped"),
        (422, "invalid_mac", "not a MAC address"),
        (503, "starting", "starting"),
    ):
        service.call(setattr, service.bot, "next_problem", (status, code, None))
        me.page.fill("#device-code", CODE)
        me.presses("device", "Provision")
        me.sees("device", text)
    service.call(setattr, service.bot, "next_problem", (422, "invalid_code", None))
    me.page.fill("#device-code", "1111")
    me.presses("device", "Provision")
    me.sees("device", "mistyped")
    me.presses("device", "1")
    assert me.page.locator("#device-code").input_value() == "1"
    service.call(setattr, service.bot, "next_problem", (429, "slow_down", {"Retry-After": "2"}))
    me.page.fill("#device-code", CODE)
    me.presses("device", "Provision")
    me.sees("device", "Too many tries. Wait 2 s.")
    me.sees_no("device", "Too many tries")
    keys = service.bot.device["keys"]
    me.presses("device", "Provision")
    me.sees("device", "Waiting for remote sign-in")
    assert keys[-1] == keys[-2] and len(set(keys)) >= 4


def test_an_admins_reset_reaches_the_device(me, service):
    me.page.fill("#device-code", CODE)
    me.presses("device", "Provision")
    me.sees("device", "Waiting for remote sign-in")
    until(lambda: service.bot.device["token"])
    me.page.wait_for_timeout(300)
    service.call(service.bot.device["gone"].add, "secret-token")
    service.call(service.bot.change, token="")
    me.sees("device", "Reset needed")
    me.presses("device", "Factory reset")
    me.presses("device", "Press again to reset")
    me.sees("device", "Enter the code")


def test_several_devices_are_kept(me):
    me.presses("device", "Add a device")
    assert me.page.locator("#device-mac").input_value() == "80-5E-C0-11-22-34"
    me.page.reload()
    me.sees("device", "22:34")
    me.presses("device", "Remove this device")
    me.sees_no("device", "22:34")


def test_what_the_page_cannot_draw_is_one_plain_line(me):
    me.says("admin", "file")
    me.sees("admin", "Attachment: codes.csv")
    me.sees("admin", "Attachment: image/png")
    assert me.pane("admin").locator(".log").locator("img, a, input").count() == 0


def test_a_lost_service_is_noticed_and_found_again(me, service):
    me.sees("admin", "Hello Dana")
    service.stop()
    sync_api.expect(me.page.locator("#lost")).to_be_visible()
    me.says("admin", "are you there?")
    me.sees("admin", "Something went wrong. Please try again.")
    assert me.pane("admin").locator(".compose-text").input_value() == "are you there?"
    service.start()
    sync_api.expect(me.page.locator("#lost")).to_be_hidden(timeout=15_000)
    me.sees("admin", "Hello Dana")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_runs_off_the_edge(me, scheme):
    me.page.emulate_media(color_scheme=scheme)
    for name in ("next", "issue_form", "list", "looks"):
        me.says("technician", name)
        me.page.wait_for_timeout(250)
    wide = """() => [...document.querySelectorAll('.message *, .device *, .top *, .pane-head *')].filter(
        (node) => node.checkVisibility() && node.scrollWidth > node.clientWidth + 1
            && getComputedStyle(node).display !== 'inline' && !node.matches('.nowrap, .nowrap *, .brand p')
    ).map((node) => node.className + ' ' + node.textContent.slice(0, 40))"""
    assert me.page.evaluate("document.documentElement.scrollHeight") <= 900
    assert me.page.evaluate(wide) == []
    me.page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("Admin", "Technician", "Channel", "Device"):
        me.page.get_by_role("button", name=tab).last.click()
        assert me.page.evaluate("document.documentElement.scrollWidth") == 390
        assert me.page.evaluate(wide) == []


# ---------------------------------------------------------------------- files


def test_a_chosen_file_reaches_the_bot(me, service, tmp_path):
    path = tmp_path / "Flåte Oslo.csv"
    path.write_bytes(b"x" * 2_500_000)
    with me.page.expect_file_chooser() as chooser:
        me.pane("admin").get_by_role("button", name="Attach a file").click()
    chooser.value.set_files(path)
    sent = me.pane("admin").locator(".mine .file-card")
    sync_api.expect(sent).to_contain_text("Flåte Oslo.csv")
    sync_api.expect(sent).to_contain_text("2.4")
    me.sees("admin", "Flåte Oslo.csv: 2500000 bytes")
    assert "downloadUrl" not in me.page.evaluate(
        "fetch('/demo/events').then(r => r.body.getReader().read()).then(c => new TextDecoder().decode(c.value))"
    )
    me.page.reload()
    sync_api.expect(me.pane("admin").locator(".mine .file-card")).to_contain_text("Flåte Oslo.csv")


def test_a_picture_reaches_the_bot_as_a_phones_camera_sends_it(me, service, tmp_path):
    path = tmp_path / "label.jpg"
    path.write_bytes(b"\xff\xd8\xff" + b"x" * 2_000)
    chooser = me.pane("technician").locator(".picture-chooser")
    assert (chooser.get_attribute("accept"), chooser.get_attribute("capture")) == ("image/*", "environment")
    with me.page.expect_file_chooser() as opened:
        me.pane("technician").get_by_role("button", name="Take a picture").click()
    opened.value.set_files(path)
    me.sees("technician", "image/*: 2003 bytes")
    sync_api.expect(me.pane("technician").locator(".mine .file-card")).to_contain_text("label.jpg")
    [attachment] = service.sent("message")[-1]["attachments"]
    assert attachment["contentType"] == "image/*" and attachment["contentUrl"].startswith("http://127.0.0.1")


def test_a_sent_picture_is_shown_small_and_still_is_after_a_reload(me, service):
    content = encoded(view_of_a_wall(1600, 1200))
    for kind in ("picture", "file"):
        picture = {"name": f"{kind}.jpg", "mimeType": "image/jpeg", "buffer": content}
        me.pane("technician").locator(f".{kind}-chooser").set_input_files(picture)
        me.sees("technician", f": {len(content)} bytes")
        sync_api.expect(me.pane("technician").get_by_role("img", name=f"{kind}.jpg")).to_be_visible()
    assert all(a["attachments"][0]["contentUrl"].startswith("http:") for a in service.sent("message")[:1])
    me.page.reload()
    shown = me.pane("technician").get_by_role("img", name="picture.jpg")
    sync_api.expect(shown).to_be_visible()
    until(lambda: shown.evaluate("node => [node.naturalWidth, node.naturalHeight]") == [320, 240])
    assert shown.bounding_box()["width"] <= 160


def test_a_picture_in_a_message_is_shown_with_its_words(me):
    me.says("admin", "photo")
    picture = me.pane("admin").get_by_role("img", name="Oslo 2.14, Sam 07:58.jpg")
    sync_api.expect(picture).to_be_visible()
    until(lambda: picture.evaluate("node => node.naturalWidth") == 320)


def test_a_dropped_file_reaches_the_bot(me):
    transfer = me.page.evaluate_handle(
        "() => { const t = new DataTransfer(); t.items.add(new File(['abc'], 'dropped.csv')); return t; }"
    )
    phone = me.pane("admin").locator(".phone")
    phone.dispatch_event("dragenter", {"dataTransfer": transfer})
    sync_api.expect(phone.locator(".drop-veil")).to_be_visible()
    phone.dispatch_event("drop", {"dataTransfer": transfer})
    sync_api.expect(phone.locator(".drop-veil")).to_be_hidden()
    me.sees("admin", "dropped.csv: 3 bytes")


def test_an_offered_file_is_taken_and_downloaded(me, service):
    me.says("admin", "offer 7")
    offer = me.pane("admin").locator(".file-card")
    sync_api.expect(offer).to_contain_text("Codes of Oslo.csv")
    sync_api.expect(offer).to_contain_text("20 kB")
    me.presses("admin", "Allow")
    with me.page.expect_download() as download:
        me.pane("admin").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "Codes of Oslo.csv"
    assert download.value.path().read_bytes() == EXPORT
    sync_api.expect(me.pane("admin").get_by_role("button", name="Allow")).to_have_count(0)  # the bot took its card away
    assert len(me.page.context.pages) == 1


def test_an_offered_file_is_declined(me):
    me.says("admin", "offer 7")
    me.presses("admin", "Decline")
    me.sees("admin", "Not sent.")
    sync_api.expect(me.pane("admin").locator(".file-card")).to_have_count(0)


def test_an_offer_that_failed_can_be_pressed_again(me, service):
    me.says("admin", "offer broken")
    me.presses("admin", "Allow")
    me.sees("admin", "Something went wrong")
    sync_api.expect(me.pane("admin").get_by_role("button", name="Allow")).to_be_enabled()


def test_a_file_too_large_for_the_page_is_not_sent(me, service):
    me.page.route("**/demo/files**", lambda route: route.fulfill(status=413))
    me.pane("admin").locator(".file-chooser").set_input_files(
        {"name": "big.csv", "mimeType": "text/csv", "buffer": b"x"}
    )
    me.sees("admin", "too large")
    assert not [activity for activity in service.sent("message") if activity.get("attachments")]


@pytest.mark.parametrize("width", [1240, 1280, 1366, 1440, 1920])
def test_nothing_is_cut_at_the_right_edge(me, width):
    me.page.set_viewport_size({"width": width, "height": 800})
    end = 0
    for pane in ("admin", "technician", "channel", "device"):
        box, body = me.pane(pane).bounding_box(), me.pane(pane).locator("> :last-child").bounding_box()
        assert end <= box["x"], f"{pane} lies over its neighbour"
        end = max(box["x"] + box["width"], body["x"] + body["width"])
        assert end <= width
    assert me.page.evaluate("document.querySelector('#panes').scrollWidth") <= width
    assert me.pane("device").evaluate("node => node.scrollWidth <= node.clientWidth")
