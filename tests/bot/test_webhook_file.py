"""The file of webhook endpoints, as a deployer writes it, and what each mistake is told."""

import os
from base64 import b64encode
from pathlib import Path

import pytest

from bot.settings import BadConfiguration, load_settings, load_webhooks
from bot.webhook_file import read_endpoints
from provisioning.webhooks import Endpoint
from tests.bot.test_doctor import examine
from tests.bot.test_settings import TEAMS
from tests.secret_files import private

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
OTHER = "whsec_" + b64encode(b"o" * 24).decode()


def one(line: str, *, local: bool = False) -> Endpoint:
    [endpoint] = read_endpoints(line, local=local)
    return endpoint


def test_what_a_line_says() -> None:
    text = f"""
    # where events go
    ops https://ops.contoso.com/hooks/t0ken?x=1 {SECRET}  # the operations room
    siem\thttps://[2001:db8::7]:8443/ {SECRET} {OTHER} types=provisioning.device,provisioning.problem.reported
    """
    ops, siem = read_endpoints(text, local=False)
    assert (ops.name, ops.url, ops.secrets, ops.types) == (
        "ops",
        "https://ops.contoso.com/hooks/t0ken?x=1",
        (b"s" * 32,),
        (),
    )
    assert (siem.name, siem.host, siem.secrets) == ("siem", "[2001:db8::7]:8443", (b"s" * 32, b"o" * 24))
    assert siem.types == ("provisioning.device", "provisioning.problem.reported")
    assert read_endpoints("", local=False) == read_endpoints("# none", local=False) == ()


@pytest.mark.parametrize(
    "url",
    [
        "http://ops.contoso.com/",
        "https://user:pw@ops.contoso.com/",
        "https://user@ops.contoso.com/",
        "https://@ops.contoso.com/",
        "https://ops.contoso.com/#part",
        "https://ops.contoso.com/#",
        "https://",
        "https:///path",
        "https://ops.contoso.com:0/",
        "https://ops.contoso.com:99999/",
        "https://[::1/",
        "https://ops..contoso.com/",
        f"https://{'o' * 64}.contoso.com/",
        "ftp://ops.contoso.com/",
        "ops.contoso.com",
        "https://öps.contoso.com/",
        "",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="line 1: behind ops stands no https URL"):
        one(f"ops {url} {SECRET}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://localhost/", "http://[::1]:9/"])
def test_http_stays_on_this_computer_and_in_local_mode(url: str) -> None:
    assert one(f"ops {url} {SECRET}", local=True).url == url
    with pytest.raises(ValueError, match="no https URL"):
        one(f"ops {url} {SECRET}")


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "s3cret", SECRET.removeprefix("whsec_"), "whsec_c2hvcnQ=", "whsec_" + "A" * 88, "whsec_!"]
)
def test_a_secret_that_is_none(secret: str) -> None:
    with pytest.raises(ValueError, match="ops needs a secret") as bad:
        one(f"ops https://ops.contoso.com/t0ken {secret}")
    assert "t0ken" not in str(bad.value) and (not secret or f" {secret}" not in str(bad.value).partition(":")[2][:20])


@pytest.mark.parametrize("name", ["Ops", "again", "-x", "a" * 21, "ö", "o_s"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="line 1: it begins with a name"):
        one(f"{name} https://ops.contoso.com/ {SECRET}")


def test_a_name_stands_once() -> None:
    with pytest.raises(ValueError, match="line 3: ops stands there twice"):
        read_endpoints(f"ops https://a.contoso.com/ {SECRET}\n\nops https://b.contoso.com/ {SECRET}", local=False)


@pytest.mark.parametrize("type_", ["provisioning.dev", "device.added", "provisioning.device.added.x", "x"])
def test_a_type_that_is_none(type_: str) -> None:
    with pytest.raises(ValueError, match="there are no events"):
        one(f"ops https://ops.contoso.com/ {SECRET} types={type_}")


# ------------------------------------------------------------------ as a setting


def load(tmp_path: Path, text: str, **more: str) -> tuple[Endpoint, ...]:
    path = private(tmp_path / "hooks", text)
    return load_webhooks(load_settings({**TEAMS, "WEBHOOKS_FILE": str(path), **more}, None))


def test_the_setting_names_the_file(tmp_path: Path) -> None:
    [ops] = load(tmp_path, f"ops https://ops.contoso.com/ {SECRET}")
    assert ops.name == "ops"
    assert load_webhooks(load_settings(TEAMS, None)) == ()


def test_a_wrong_file_is_a_fault_and_shows_no_secret(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration) as bad:
        load(tmp_path, f"ops http://ops.contoso.com/t0ken {SECRET}")
    [fault] = bad.value.faults
    assert fault.startswith("WEBHOOKS_FILE: ") and "line 1" in fault and "t0ken" not in fault and SECRET not in fault
    with pytest.raises(BadConfiguration, match="does not exist"):
        load_settings({**TEAMS, "WEBHOOKS_FILE": str(tmp_path / "nowhere")}, None)
    private(tmp_path / "bytes", b"\xff\xfe\xff")
    with pytest.raises(BadConfiguration, match="is not text"):
        load_settings({**TEAMS, "WEBHOOKS_FILE": str(tmp_path / "bytes")}, None)
    with pytest.raises(BadConfiguration, match="It is a folder"):
        load_settings({**TEAMS, "WEBHOOKS_FILE": str(tmp_path)}, None)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX'")
def test_the_doctor_tells_where_events_go_and_who_can_read_the_file(tmp_path: Path) -> None:
    text = f"ops https://ops.contoso.com/t0ken {SECRET}\nsiem https://s/ {SECRET} types=provisioning.device"
    path = private(tmp_path / "hooks", text)
    path.chmod(0o640)
    code, text = examine({**TEAMS, "WEBHOOKS_FILE": str(path)})
    assert code == 0
    assert "Webhook ops: ops.contoso.com, all events." in text and "Webhook siem: s, provisioning.device." in text
    assert "hooks can be read by its group" in text.replace("\n", "")
    assert "t0ken" not in text and SECRET not in text
    path.chmod(0o600)
    assert "can be read by" not in examine({**TEAMS, "WEBHOOKS_FILE": str(path)})[1]
    path.chmod(0o644)
    code, text = examine({**TEAMS, "WEBHOOKS_FILE": str(path)})
    assert code == 2 and f"✗ WEBHOOKS_FILE: {path}: Everybody on this computer can get at it." in text
    assert "t0ken" not in text and SECRET not in text


@pytest.mark.parametrize("token", ["short", "x" * 31, "with blanks " * 4, "ä" * 40])
def test_a_token_that_could_be_guessed_is_refused(token: str) -> None:
    with pytest.raises(BadConfiguration, match="EVENTS_TOKEN: This is not a token of at least 32") as bad:
        load_settings({**TEAMS, "EVENTS_TOKEN": token}, None)
    assert token not in str(bad.value)


def test_the_token_of_the_stream_shows_nowhere() -> None:
    environ = {**TEAMS, "EVENTS_TOKEN": "t0ken" * 8}
    settings = load_settings(environ, None)
    assert settings.events_token.get_secret_value() == "t0ken" * 8
    assert "t0ken" not in repr(settings) and "t0ken" not in examine(environ)[1]
