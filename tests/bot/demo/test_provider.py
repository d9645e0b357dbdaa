"""The demo provider over real HTTP: a code, a person at its page, and tokens that anybody can verify."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from joserfc import jwt
from joserfc.jwk import KeySet

from bot.demo.grants import LETTERS, WRONG_ENTRIES
from bot.demo.people import LOCAL_TENANT
from bot.demo.provider import DEMO_CLIENT_ID, DEMO_PATH, DEVICE_GRANT, DemoProvider, issuer, object_id
from bot.demo.provider_page import TEMPLATES, environment
from bot.limits import local_guard
from bot.problems import problems
from tests.fakes import FakeClock

ACCOUNTS = ("dana@contoso.example", "sam@contoso.example")
HOSTILE = '<script>alert("1")</script>&"\''
DEVICE = f"{DEMO_PATH}/device"
TOKEN = f"{DEMO_PATH}/token"
AUTHORIZE = f"{DEMO_PATH}/device_authorization"


class Html(HTMLParser):
    """What a browser sees of a page: its fields, buttons, headings and words."""

    def __init__(self, status, headers, source):
        super().__init__()
        self.status, self.headers, self.source = status, headers, source
        self.tags, self.words, self._open = [], [], []
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    def all(self, tag, **attrs):
        return [found for name, found in self.tags if name == tag and attrs.items() <= found.items()]

    @property
    def hidden(self):
        return {field["name"]: field["value"] for field in self.all("input", type="hidden")}

    @property
    def accounts(self):
        return [field["value"] for field in self.all("input", type="radio")]


class Stage:
    """The provider as the service serves it, its client, and somebody with a browser."""

    def __init__(self, http, clock, port):
        self.http, self.clock, self.port = http, clock, port
        self.language = "en"

    async def begins(self, **more):
        form = {"client_id": DEMO_CLIENT_ID, "scope": "openid profile", **more}
        return await self.calls(AUTHORIZE, form)

    async def polls(self, device_code, **more):
        form = {"client_id": DEMO_CLIENT_ID, "grant_type": DEVICE_GRANT, "device_code": device_code, **more}
        status, answer = await self.calls(TOKEN, form)
        return answer.get("error", "granted") if status != 200 else "granted"

    async def calls(self, path, form, **options):
        form = {name: value for name, value in form.items() if value is not None}
        response = await self.http.post(path, data=form, **options)
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()

    async def opens(self):
        return await self._page(await self.http.get(DEVICE, headers={"Accept-Language": self.language}))

    async def posts(self, **form):
        headers = {"Accept-Language": self.language, "Origin": f"http://127.0.0.1:{self.port}"}
        return await self._page(await self.http.post(DEVICE, data=form, headers=headers))

    async def types(self, code):
        return await self.posts(user_code=code)

    async def answers(self, page, decision="approve", **form):
        """Presses a button of the question that `page` shows."""
        assert page.all("button", name="decision", value=decision)
        return await self.posts(**page.hidden, decision=decision, **form)

    async def _page(self, response):
        return Html(response.status, response.headers, await response.text())

    def later(self, **by):
        self.clock.advance(timedelta(**by))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def opened(aiohttp_client, clock):
    async def opened(**options):
        port = unused_port()
        app = web.Application(middlewares=[local_guard(port), problems])
        given = {"organisation": "Contoso", "tenant_id": LOCAL_TENANT, "accounts": ACCOUNTS, "now": clock.now}
        app.add_routes(DemoProvider(port, **{**given, **options}).routes())
        return Stage(await aiohttp_client(app, server_kwargs={"port": port}), clock, port)

    return opened


@pytest.fixture
async def stage(opened):
    return await opened()


# ── the whole way ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_code_is_typed_approved_and_becomes_a_token_that_anybody_can_verify(stage: Stage) -> None:
    described = await (await stage.http.get(f"{DEMO_PATH}/.well-known/openid-configuration")).json()
    assert described["issuer"] == issuer(stage.port) == f"http://127.0.0.1:{stage.port}/demo/idp"
    ends = [described[f"{name}_endpoint"] for name in ("device_authorization", "token")] + [described["jwks_uri"]]
    assert ends == [f"{issuer(stage.port)}/{name}" for name in ("device_authorization", "token", "jwks")]

    _status, grant = await stage.begins()
    assert re.fullmatch(f"[{LETTERS}]{{4}} [{LETTERS}]{{4}}", grant["user_code"])
    assert len(grant["device_code"]) == 43  # 256 bits
    assert grant["verification_uri"] == f"{issuer(stage.port)}/device"
    assert (grant["expires_in"], grant["interval"]) == (900, 2)
    assert grant["user_code"] not in grant["verification_uri"]
    assert await stage.polls(grant["device_code"]) == "authorization_pending"

    entry = await stage.opens()
    assert entry.all("form")[0]["action"] == DEVICE
    assert [field["name"] for field in entry.all("input")] == ["user_code"]
    question = await stage.types(grant["user_code"])
    assert "Provisioning Bot of Contoso" in question.text
    assert grant["user_code"] in question.text
    assert "Continue only if you asked for this" in question.text
    assert question.accounts == [*ACCOUNTS, "other"]
    assert question.all("input", checked=None) == []
    done = await stage.answers(question, account=ACCOUNTS[1])
    assert "sam@contoso.example" in done.text

    poll = {"client_id": DEMO_CLIENT_ID, "grant_type": DEVICE_GRANT, "device_code": grant["device_code"]}
    status, tokens = await stage.calls(TOKEN, poll)  # at once, however early
    assert (status, tokens["token_type"]) == (200, "Bearer")
    keys = KeySet.import_key_set(await (await stage.http.get(f"{DEMO_PATH}/jwks")).json())
    assert [key.is_private for key in keys.keys] == [False]
    token = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"])
    now = int(stage.clock.now().timestamp())
    subject = object_id(LOCAL_TENANT, "SAM@contoso.example")
    assert UUID(subject).version == 5
    assert token.header == {"typ": "JWT", "alg": "ES256", "kid": keys.keys[0].kid}
    assert token.claims == {
        "iss": issuer(stage.port),
        "aud": DEMO_CLIENT_ID,
        "sub": subject,
        "oid": subject,
        "tid": LOCAL_TENANT,
        "preferred_username": "sam@contoso.example",
        "name": "sam",
        "iat": now,
        "exp": now + 3600,
    }
    assert await stage.polls(grant["device_code"]) == "invalid_grant"  # spent
    assert (await stage.types(grant["user_code"])).status == 400


async def test_a_code_may_be_typed_in_any_case_with_any_blanks_and_dashes(stage: Stage) -> None:
    code = (await stage.begins())[1]["user_code"]
    plain = code.replace(" ", "")
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in plain)
    spellings = (plain.lower(), f"{code[:4]}-{code[5:]}", " ".join(plain), f"{code[:4]}\u2013{code[5:]}\n", wide)
    assert [(await stage.types(spelling)).status for spelling in spellings] == [200] * 5


async def test_the_intended_account_is_proposed_and_any_other_can_be_typed(stage: Stage) -> None:
    _status, grant = await stage.begins(login_hint="room-2.14@contoso.example")
    question = await stage.types(grant["user_code"])
    assert question.accounts == ["room-2.14@contoso.example", *ACCOUNTS, "other"]
    assert [field["value"] for field in question.all("input") if "checked" in field] == ["room-2.14@contoso.example"]
    assert (
        "lobby@fabrikam.example"
        in (await stage.answers(question, account="other", other=" lobby@fabrikam.example ")).text
    )
    assert await stage.polls(grant["device_code"]) == "granted"


async def test_a_known_account_keeps_its_spelling(stage: Stage) -> None:
    _status, grant = await stage.begins(login_hint="Dana@Contoso.example")
    question = await stage.types(grant["user_code"])
    assert question.accounts == [*ACCOUNTS, "other"]
    done = await stage.answers(question, account="other", other="DANA@CONTOSO.EXAMPLE")
    assert "dana@contoso.example" in done.text


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, "Choose an account."),
        ({"account": "nobody"}, "Choose an account."),
        ({"account": "other"}, "Type the account first."),
        ({"account": "other", "other": "nonsense"}, '"nonsense": not an account'),
        ({"account": "other", "other": "a\u202eb@contoso.example"}, "not an account"),
        ({"account": "other", "other": "x" * 999 + "@contoso.example"}, "not an account"),
    ],
)
async def test_without_an_account_the_question_is_asked_again(stage: Stage, chosen, said: str) -> None:
    _status, grant = await stage.begins()
    again = await stage.answers(await stage.types(grant["user_code"]), **chosen)
    assert (again.status, said in again.text) == (400, True)
    assert await stage.polls(grant["device_code"]) == "authorization_pending"
    assert (await stage.answers(again, account=ACCOUNTS[0])).status == 200
    assert await stage.polls(grant["device_code"]) == "granted"


# ── what a poll is told ──────────────────────────────────────────────────────────────────────────────────────────


async def test_who_polls_too_fast_is_slowed_down_more_each_time(stage: Stage) -> None:
    code = (await stage.begins())[1]["device_code"]
    heard = []
    for wait in (0, 1, 7, 6, 12, 11):  # seconds; 2 are right at first, then 7, then 12
        stage.later(seconds=wait)
        heard.append(await stage.polls(code))
    pending, slower = "authorization_pending", "slow_down"
    assert heard == [pending, slower] * 3


async def test_a_moment_too_early_is_forgiven(stage: Stage) -> None:
    code = (await stage.begins())[1]["device_code"]
    await stage.polls(code)
    stage.later(milliseconds=1850)
    assert await stage.polls(code) == "authorization_pending"


async def test_whoever_declines_ends_it(stage: Stage) -> None:
    _status, grant = await stage.begins()
    done = await stage.answers(await stage.types(grant["user_code"]), "decline")
    assert "Nobody was signed in." in done.text
    assert [await stage.polls(grant["device_code"]) for _ in range(2)] == ["access_denied"] * 2
    assert (await stage.types(grant["user_code"])).status == 400


async def test_a_code_ends_when_its_time_is_over(stage: Stage) -> None:
    _status, grant = await stage.begins()
    question = await stage.types(grant["user_code"])
    stage.later(minutes=14, seconds=59)
    assert await stage.polls(grant["device_code"]) == "authorization_pending"
    stage.later(seconds=1)
    assert await stage.polls(grant["device_code"]) == "expired_token"
    assert (await stage.types(grant["user_code"])).status == 400
    late = await stage.answers(question, account=ACCOUNTS[0])
    assert (late.status, "has ended" in late.text) == (400, True)
    assert await stage.polls(grant["device_code"]) == "expired_token"


@pytest.mark.parametrize(
    ("path", "change", "status", "error"),
    [
        (TOKEN, {"device_code": "unknown"}, 400, "invalid_grant"),
        (TOKEN, {"device_code": None}, 400, "invalid_request"),
        (TOKEN, {"grant_type": None}, 400, "invalid_request"),
        (TOKEN, {"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        (TOKEN, {"client_id": "other"}, 401, "invalid_client"),
        (TOKEN, {"client_id": None}, 401, "invalid_client"),
        (TOKEN, {"client_secret": "guessed"}, 401, "invalid_client"),
        (TOKEN, {"device_code": "x" * 9000}, 400, "invalid_request"),
        (AUTHORIZE, {"client_id": "other"}, 401, "invalid_client"),
        (AUTHORIZE, {"scope": None}, 400, "invalid_scope"),
        (AUTHORIZE, {"scope": "profile"}, 400, "invalid_scope"),
    ],
)
async def test_what_is_wrong_is_said_in_the_words_of_the_standard(
    stage: Stage, path: str, change, status: int, error: str
) -> None:
    form = {"client_id": DEMO_CLIENT_ID, "grant_type": DEVICE_GRANT, "scope": "openid", "device_code": "x", **change}
    assert await stage.calls(path, form) == (status, {"error": error})


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe=1", b"client_id=%FF", b"a=1&a=2", b"&".join(b"f%d=1" % n for n in range(99))]
)
async def test_a_broken_form_is_an_invalid_request(stage: Stage, body: bytes) -> None:
    response = await stage.http.post(TOKEN, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    wanted = (401, {"error": "invalid_client"}) if not body else (400, {"error": "invalid_request"})
    assert (response.status, await response.json()) == wanted


async def test_json_is_no_form(stage: Stage) -> None:
    response = await stage.http.post(TOKEN, json={"client_id": DEMO_CLIENT_ID})
    assert (response.status, await response.json()) == (400, {"error": "invalid_request"})


async def test_the_oldest_grant_makes_room(opened) -> None:
    stage = await opened(most=2)
    grants = [(await stage.begins())[1] for _ in range(3)]
    heard = [await stage.polls(grant["device_code"]) for grant in grants]
    assert heard == ["invalid_grant", "authorization_pending", "authorization_pending"]
    assert (await stage.types(grants[0]["user_code"])).status == 400


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_wrong_code_is_said_kindly_and_too_many_have_to_wait(stage: Stage) -> None:
    code = (await stage.begins())[1]["user_code"]
    assert "Type the code first." in (await stage.types("  ")).text
    for _ in range(WRONG_ENTRIES):
        wrong = await stage.types("BBBB BBBB")
        assert (wrong.status, "There is no such code" in wrong.text) == (400, True)
        stage.later(seconds=1)
    waits = await stage.types(code)
    assert (waits.status, waits.headers["Retry-After"], "Wait 50 s" in waits.text) == (429, "50", True)
    stage.later(seconds=50)
    assert (await stage.types(code)).status == 200


async def test_only_who_was_asked_can_answer(stage: Stage) -> None:
    mine, other = [(await stage.begins())[1] for _ in range(2)]
    asked, else_asked = [(await stage.types(grant["user_code"])).hidden for grant in (mine, other)]
    for form in ({}, {**asked, "ticket": ""}, {**asked, "ticket": "\u00e4"}, {**asked, "ticket": else_asked["ticket"]}):
        assert (await stage.posts(**form, decision="approve", account=ACCOUNTS[0])).status == 400
    assert await stage.polls(mine["device_code"]) == "authorization_pending"


async def test_another_site_cannot_answer(stage: Stage) -> None:
    for origin in ("https://evil.example", "null"):
        response = await stage.http.post(DEVICE, data={"user_code": "x"}, headers={"Origin": origin})
        assert response.status == 403


async def test_the_page_is_kept_to_itself_and_lets_its_form_name_its_origin(stage: Stage) -> None:
    headers = (await stage.opens()).headers
    policy = headers["Content-Security-Policy"]
    assert {"default-src 'self'", "form-action 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert headers["Referrer-Policy"] == "same-origin"  # under no-referrer a browser sends `Origin: null`
    assert (headers["Cache-Control"], headers["Vary"]) == ("no-store", "Accept-Language")


async def test_hostile_text_stays_text(opened) -> None:
    name = "<b>\"'&x@contoso.example"
    stage = await opened(organisation=HOSTILE, accounts=(name,))
    _status, grant = await stage.begins(login_hint="<i>@contoso.example")
    question = await stage.types(grant["user_code"])
    again = await stage.answers(question, account="other", other=HOSTILE)
    done = await stage.answers(again, account=name)
    for page in (question, again, done):
        assert [page.all(tag) for tag in ("script", "b", "i")] == [[], [], []]
        assert HOSTILE in page.text
    assert question.accounts == ["<i>@contoso.example", name, "other"]
    assert again.all("input", name="other")[0]["value"] == HOSTILE
    assert name in done.text


async def test_the_page_speaks_german(stage: Stage) -> None:
    stage.language = "de-AT,en;q=0.5"
    _status, grant = await stage.begins()
    entry, question = await stage.opens(), await stage.types(grant["user_code"])
    done = await stage.answers(question, "decline")
    assert [page.all("html")[0]["lang"] for page in (entry, question, done)] == ["de"] * 3
    assert "Code eingeben" in entry.text
    assert "Konto" in question.text
    assert "Abgelehnt" in done.text


async def test_every_step_is_one_that_everybody_can_use(stage: Stage) -> None:
    _status, grant = await stage.begins()
    entry, question = await stage.opens(), await stage.types(grant["user_code"])
    wrong = await stage.types("x")
    again = await stage.answers(question, account="other", other="x")
    done = await stage.answers(again, account=ACCOUNTS[0])
    for page in (entry, wrong, question, again, done):
        assert len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"] == "en"
        assert "Demo: no real accounts" in page.text
        labelled = {label["for"] for label in page.all("label")}
        fields = [field for field in page.all("input") if field["type"] != "hidden"]
        assert {field["id"] for field in fields} == labelled
        ids = [attrs["id"] for _tag, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids))
        described = " ".join(attrs.get("aria-describedby", "") for _tag, attrs in page.tags).split()
        assert set(described) <= set(ids)
    assert all(page.all("input", **{"aria-invalid": "true"}) for page in (wrong, again))


@pytest.mark.parametrize("name", environment().list_templates())
def test_no_text_stands_in_a_template(name: str) -> None:
    source = (Path(TEMPLATES) / name).read_text(encoding="utf-8")
    assert re.findall(r"[^\W\d_]{2,}", re.sub(r"{[{%].*?[%}]}|<[^>]*>", " ", source)) == []
