"""A bot that is not ours: enough of one to try the local page, its cards and its simulated device.

python -m tests.bot.demo.fake_bot [port]
"""

import asyncio
import itertools
import json
import sys
from base64 import b64encode
from pathlib import Path

from aiohttp import ClientSession, web

from bot.demo import page
from bot.demo.connector import LocalConnector
from bot.demo.people import LOCAL_PEOPLE
from bot.files import Files
from tests.labels import encoded, view_of_a_wall

CARDS = json.loads((Path(__file__).parents[2] / "e2e" / "renderer_cards.json").read_text())
OFFER_TYPE = "application/vnd.microsoft.teams.card.file.consent"
LINK_TYPE = "application/vnd.microsoft.teams.card.file.info"
EXPORT = b"MAC id,Location\n" + b"80-5E-C0-11-22-33,Oslo/2/2.14\n" * 600
FILES = Files(local=True)
CARD_TYPE = "application/vnd.microsoft.card.adaptive"
CODE = "482913760257"
PHOTO = f"data:image/jpeg;base64,{b64encode(encoded(view_of_a_wall(320, 240))).decode()}"
SAID = {"add": "add_form", "issue": "issue_form", "next": "next_device", "list": "list", "upload": "upload"}
PRESSED = {"add_form": "add_form", "install": "install_form", "problem_form": "problem", "new_code": "next_device"}


def card_message(name):
    summary = CARDS[name]["body"][0].get("text", name)
    return {
        "type": "message",
        "summary": summary,
        "attachments": [{"contentType": CARD_TYPE, "content": CARDS[name]}],
    }


def card_answer(name):
    return {"statusCode": 200, "type": CARD_TYPE, "value": CARDS[name]}


class FakeBot:
    """Answers a few words and buttons, and keeps every activity it was sent."""

    def __init__(self):
        self.activities = []
        self.revision = itertools.count(1)
        self.device = {"state": "waiting_for_activation", "revision": 0, "token": "", "gone": set(), "keys": []}
        self.changed = asyncio.Event()
        self.next_problem = None

    def routes(self):
        return [
            web.post("/api/messages", self.messages),
            web.post("/api/v1/provision", self.provision),
            web.get("/api/v1/device", self.poll),
            web.post("/api/v1/device/factory-reset", self.factory_reset),
            web.post("/fake/sign-in", self.sign_in),
            web.post("/fake/reset", self.admin_reset),
            web.post("/fake/problem", self.set_problem),
        ]

    async def messages(self, request):
        activity = await request.json()
        self.activities.append(activity)
        if activity["type"] == "invoke" and activity["name"] == "fileConsent/invoke":
            return await self.decided(activity)
        if activity["type"] == "invoke":
            return await self.invoke(activity)
        if activity["type"] == "installationUpdate" and activity["conversation"]["conversationType"] == "personal":
            await self.reply(activity, card_message("welcome"))
        if activity["type"] == "message":
            await self.answer(activity)
        return web.Response(status=202)

    async def decided(self, activity):
        """Somebody took or declined the offered file."""
        value, path = activity["value"], f"/{activity['replyToId']}"
        if value["context"] == {"export": "broken"}:
            raise web.HTTPServiceUnavailable
        message = {"type": "message", "text": "Not sent."}
        if value["action"] == "accept":
            upload = value["uploadInfo"]
            await FILES.put(upload["uploadUrl"], EXPORT)
            content = {"uniqueId": upload["uniqueId"], "fileType": upload["fileType"]}
            link = {"contentType": LINK_TYPE, "contentUrl": upload["contentUrl"], "name": upload["name"]}
            message = {"type": "message", "attachments": [{**link, "content": content}]}
        await self.reply(activity, None, path, method="DELETE")
        await self.reply(activity, message)
        return web.Response()

    async def received(self, activity, file):
        content = await FILES.fetch(file.get("contentUrl") or file["content"]["downloadUrl"])
        text = f"{file.get('name', file['contentType'])}: {len(content)} bytes"
        await self.reply(activity, {"type": "message", "text": text})

    async def answer(self, activity):
        files = activity.get("attachments", [])
        if files:
            await self.received(activity, files[0])
            return
        if "value" in activity:
            await self.reply(activity, {"type": "message", "text": f"Got {json.dumps(activity['value'])}"})
            return
        words = activity["text"].split("</at>")[-1].split()
        if words[:1] == ["break"]:
            raise web.HTTPServiceUnavailable
        if words[:1] == ["offer"]:
            context = {"export": words[-1]}
            content = {"description": "Codes of Oslo", "sizeInBytes": 20_480}
            content |= {"acceptContext": context, "declineContext": context}
            offer = {"contentType": OFFER_TYPE, "name": "Codes of Oslo.csv", "content": content}
            return await self.reply(activity, {"type": "message", "summary": "A file", "attachments": [offer]})
        if words[:1] == ["connect"]:
            root = await self.reply(activity, card_message("rollout"))
            at = "<at>Dana Admin</at>"
            mention = {"type": "mention", "text": at, "mentioned": {"id": "29:dana", "name": "Dana Admin"}}
            text = f"Oslo started. {at}, **Sam** has 12 devices today."
            await self.reply(activity, {"type": "message", "text": text, "entities": [mention]})
            return root
        if words[:1] == ["photo"]:
            photo = {"contentType": "image/jpeg", "contentUrl": PHOTO, "name": "Oslo 2.14, Sam 07:58.jpg"}
            return await self.reply(activity, {"type": "message", "attachments": [photo]})
        if words[:1] == ["file"]:
            report = {"contentType": "text/csv", "contentUrl": "https://contoso.com/codes.csv", "name": "codes.csv"}
            picture = {"contentType": "image/png", "contentUrl": "https://contoso.com/label.png"}
            return await self.reply(activity, {"type": "message", "attachments": [report, picture]})
        name = SAID.get(words[0] if words else "", words[0] if words and words[0] in CARDS else "welcome")
        return await self.reply(activity, {"type": "typing"}) and await self.reply(activity, card_message(name))

    async def invoke(self, activity):
        verb = activity["value"]["action"]["verb"]
        if verb == "cancel":
            return web.json_response(
                {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Cancelled."}
            )
        if verb == "upload":
            raise web.HTTPInternalServerError
        if verb == "errors":
            error = {"code": "NotAllowed", "message": "Only admins may do this."}
            return web.json_response({"statusCode": 403, "type": "application/vnd.microsoft.error", "value": error})
        await asyncio.sleep(0.15)
        return web.json_response(card_answer(PRESSED.get(verb, "rollout" if verb == "rollout_view" else "provisioned")))

    async def reply(self, activity, message, path="", method="POST"):
        url = f"{activity['serviceUrl']}v3/conversations/{activity['conversation']['id']}/activities{path}"
        async with ClientSession() as session, session.request(method, url, json=message) as response:
            return (await response.json()).get("id")

    # The device API.

    async def provision(self, request):
        body = await request.json()
        self.device["keys"].append(request.headers.get("Idempotency-Key"))
        if self.next_problem:
            status, code, headers = self.next_problem
            self.next_problem = None
            return problem(status, code, headers)
        if body["code"] != CODE:
            return problem(403, "code_refused")
        self.device.update(state="waiting_for_sign_in", token="secret-token", revision=next(self.revision))
        device = {"mac": "80-5E-C0-11-22-33", "location": "Oslo/2F/2.14", "state": self.device["state"], "life": 1}
        return web.json_response({"tenant": {"id": "t", "name": "Contoso"}, "device": device, "token": "secret-token"})

    async def poll(self, request):
        if request.headers.get("Authorization") != f"Bearer {self.device['token']}":
            gone = request.headers.get("Authorization", "")[7:] in self.device["gone"]
            return problem(401, "reset_required" if gone else "token_refused")
        if request.query.get("since") == str(self.device["revision"]):
            self.changed.clear()
            try:
                async with asyncio.timeout(float(request.query.get("wait", "0"))):
                    await self.changed.wait()
            except TimeoutError:
                pass
            if request.headers["Authorization"] != f"Bearer {self.device['token']}":
                return problem(401, "reset_required")
        known = {name: self.device[name] for name in ("state", "revision")}
        more = {
            "tenant": {"id": "t", "name": "Contoso"},
            "location": "Oslo/2F/2.14",
            "account": "room-2.14@contoso.com",
        }
        return web.json_response({**known, **more, "life": 1, "commands": []})

    async def sign_in(self, _):
        self.change(state="signed_in")
        return web.Response()

    async def admin_reset(self, _):
        self.device["gone"].add(self.device["token"])
        self.change(token="")
        return web.Response()

    async def set_problem(self, request):
        status, code, headers = await request.json()
        self.next_problem = (status, code, headers)
        return web.Response()

    async def factory_reset(self, _):
        self.change(state="waiting_for_activation", token="")
        return web.Response(status=204)

    def change(self, **what):
        self.device.update(what, revision=next(self.revision))
        self.changed.set()


def problem(status, code, headers=None):
    body = {"type": f"urn:{code}", "title": code, "status": status, "code": code}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


def build_app(bot=None):
    app = web.Application()
    connector = LocalConnector()
    app.add_routes(page.routes(connector, organisation="Contoso", people=LOCAL_PEOPLE))
    app.add_routes((bot or FakeBot()).routes())
    app.on_shutdown.append(connector.close)
    return app


if __name__ == "__main__":
    web.run_app(build_app(), host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 3999, print=None)
