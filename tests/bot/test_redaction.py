"""The last resort of the log: what looks like a secret is masked, in whatever notation and wherever it stands."""

import base64
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator
from urllib.parse import quote

import jwt
import pytest
import structlog

from bot import logs
from bot.redaction import MASK, Redaction, notations, secrets_of
from bot.settings import load_settings
from provisioning.codes import generate
from provisioning.webhooks import Endpoint

CODE = "482913760254"
WRONG = "482913760251"
SECRET = hashlib.sha256(b"a secret of the tests").digest()
TOKEN = base64.urlsafe_b64encode(SECRET).decode().rstrip("=")
JWT = jwt.encode({"sub": "somebody"}, "no secret of anybody, but long enough")


@pytest.mark.parametrize(
    "shown",
    [
        CODE,
        "4829 1376 0254",
        "4829-1376-0254",
        "4829\u00a01376\u00a00254",
        "482 913 760 254",
        "4829.1376.0254",
        "4829, 1376, 0254",
        "['4829', '1376', '0254']",
        "*55*482913760254#",
        "4 8 2 9 1 3 7 6 0 2 5 4",
        f"code={CODE}&mac=805EC0112233",
        f"x{CODE}y",
        f"room 12 {CODE}",
    ],
)
def test_a_code_is_masked_in_every_notation(shown: str) -> None:
    event = Redaction(12)(None, "info", {"event": f"no match for {shown}", "where": {"x": [shown]}})
    digits = "".join(filter(str.isdecimal, json.dumps(event, ensure_ascii=False)))
    assert CODE not in digits and MASK in event["event"] and MASK in event["where"]["x"][0]


@pytest.mark.parametrize("digits", range(8, 17))
def test_codes_of_every_length_are_masked(digits: int) -> None:
    redaction = Redaction(digits)
    for _ in range(50):
        code = generate(digits)
        assert redaction.text(f"it was {code}.") == f"it was {MASK}."


@pytest.mark.parametrize(
    "shown",
    [
        WRONG,
        "80-5E-C0-11-22-33",
        "805EC0112233",
        f"1{CODE}",  # thirteen digits are no code
        "10.20.130.144",
        "192.168.100.101",
        "2026-03-02T07:30:00.123456Z",
        "2026-03-02 07:30:00.123456+00:00",
        "http://127.0.0.1:3978/api/v1/device",
        "19:meeting@thread.tacv2",
        "a turn failed",
        "1700000000001",
    ],
)
def test_what_is_no_secret_stays(shown: str) -> None:
    assert Redaction(12).text(shown) == shown


@pytest.mark.parametrize(
    ("shown", "masked"),
    [
        (f"Authorization: Bearer {TOKEN}", TOKEN),
        (f"'bearer {'ab' * 8}'", "ab" * 8),
        (f"Basic {base64.b64encode(b'user:password').decode()}", "dXNlc"),
        (f"token {JWT} refused", JWT),
        (f"got {TOKEN}", TOKEN),
        (f"key {SECRET.hex()}", SECRET.hex()),
        ('{"access_token": "opaque-1234"}', "opaque-1234"),
        ("grant_type=x&device_code=opaque-code&client_id=y", "opaque-code"),
        ("DeviceGrant(user_code='WDJBMJHT', interval=5)", "WDJBMJHT"),
        ("SecretStr(client_secret='hunter22')", "hunter22"),
        ("postgresql://bot:p4ss/w0rd@db:5432/x", "p4ss"),
        ("https://user:secret@example.com/hook", "secret"),
        ("whsec_" + "MfKQ" * 8, "MfKQ"),
    ],
)
def test_tokens_passwords_and_named_secrets_are_masked(shown: str, masked: str) -> None:
    text = Redaction(12).text(shown)
    assert masked not in text and MASK in text


@pytest.mark.parametrize("repeated", ["a.", "a-", "eyJ", "1 ", "x://", "bearer ", "token=a("])
def test_what_a_stranger_writes_takes_no_longer_than_it_is_long(repeated: str) -> None:
    """What is no HTTP is logged with what it was, by whom nobody asked for a token: it must not hold up the service."""
    text = repeated * (150_000 // len(repeated))
    began = time.process_time()
    Redaction(12).text(text)
    assert time.process_time() - began < 2.0  # where the time grows with the square, it is from 6 s to a minute


def test_of_an_address_the_host_stays() -> None:
    assert (
        Redaction().text("cannot reach postgresql://bot:pw@db:5432/x") == f"cannot reach postgresql://{MASK}@db:5432/x"
    )


def test_values_of_every_type_are_walked() -> None:
    class Odd:
        def __repr__(self) -> str:
            return f"Odd({CODE})"

    event = {
        "number": int(CODE),
        "bytes": CODE.encode(),
        "odd": Odd(),
        "deep": [{"x": ({CODE},)}],
        CODE: 1,
        "token": "short",
        "body": {"mac": "805EC0112233"},
        "error": ValueError(CODE),
        "count": 7,
        "seconds": 0.25,
        "well": True,
        "none": None,
    }
    done = Redaction(12)(None, "info", {"nested": event})
    assert CODE not in json.dumps(done, default=repr)
    nested = done["nested"]
    assert (nested["count"], nested["seconds"], nested["well"], nested["none"]) == (7, 0.25, True, None)
    assert (nested["token"], nested["body"]) == (MASK, MASK)


def test_known_secrets_are_masked_however_they_are_written() -> None:
    redaction = Redaction(12, ["s3cr?t/value", "short"])
    coded = base64.b64encode(b"s3cr?t/value").decode()
    text = redaction.text(f"s3cr?t/value {quote('s3cr?t/value', safe='')} {coded} short")
    assert text.replace("=", "") == f"{MASK} {MASK} {MASK} short"


def test_the_secrets_of_the_settings_are_known() -> None:
    key = secrets.token_bytes(32)
    settings = load_settings(
        {
            "CLIENT_ID": "00000000-0000-4000-8000-000000000001",
            "CLIENT_SECRET": "the-client-secret",
            "TENANT_ID": "00000000-0000-4000-8000-000000000002",
            "ADMINS": "00000000-0000-4000-8000-000000000003",
            "ORGANISATION": "Contoso",
            "CODE_KEYS": f"k1:{base64.b64encode(key).decode()}",
            "STORE_URL": "postgresql://bot:pass%20word@db/x?sslmode=require&sslpassword=of%20the%20key",
            "OIDC_CLIENT_SECRET": "the-other-secret",
            "EVENTS_TOKEN": "e" * 40,
        },
        None,
    )
    endpoint = Endpoint("itsm", "https://hooks.example/T0/B0/path-secret", (b"s" * 24,))
    known = set(secrets_of(settings, endpoints=[endpoint]))
    expected = {"the-client-secret", "the-other-secret", "e" * 40, "pass word", "pass%20word", "/T0/B0/path-secret"}
    expected |= {"of the key", "of%20the%20key"}
    assert "require" not in known
    assert known >= expected | {*notations(key), *notations(b"s" * 24)}


# ------------------------------------------------------------------ the whole chain


@pytest.fixture
def configured() -> Iterator[None]:
    root, former = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, least in levels.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(**former)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_way_into_the_log_goes_past_it(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(form, "debug")
    logs.keep_out("a-known-secret")
    ours, theirs = structlog.stdlib.get_logger("ours"), logging.getLogger("some.library")
    with structlog.contextvars.bound_contextvars(request_id="abc", typed=CODE):
        try:
            raise ExceptionGroup("all of it", [ValueError(f"4829 1376 0254 {JWT}"), KeyError("a-known-secret")])
        except ExceptionGroup:
            ours.exception("broken")
            theirs.exception("broken %s", TOKEN)
        theirs.debug("sent %r", {"code": CODE, "h": f"Bearer {TOKEN}"}, stack_info=True)
        ours.debug("grouped", code="4829\u00a01376\u00a00254")
    out = capsys.readouterr().out
    for secret in (CODE, "4829 1376 0254", "1376", TOKEN, JWT, "a-known-secret"):
        assert secret not in out, secret
    assert out.count("abc") == 4 and "ValueError" in out and "Stack (most recent call last)" in out
    if form == "json":
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["level"] for line in lines] == ["error", "error", "debug", "debug"]
        assert {line["request_id"] for line in lines} == {"abc"}


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("name", sorted(logs.QUIET))
def test_libraries_that_log_bodies_are_quiet_at_every_level(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "debug")
    logging.getLogger(f"{name}.part").debug("the whole body")
    assert capsys.readouterr().out == ""
