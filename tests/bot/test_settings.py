"""The environment as a deployer writes it: what it becomes, and what each mistake is told."""

import os
import stat
from base64 import b64encode, urlsafe_b64encode
from datetime import time, timedelta
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bot.demo.people import LOCAL_ADMIN
from bot.key_file import BadKeyFile, ensure_key_file, new_key, read_key_file, read_keys, write_keys
from bot.settings import BadConfiguration, Settings, gather, load_keys, load_settings
from tests import certificates
from tests.secret_files import private

GUID = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d00{}".format
SECRET = bytes(range(32))
KEY = f"k1:{b64encode(SECRET).decode()}"
TEAMS = {
    "CLIENT_ID": GUID(1),
    "CLIENT_SECRET": "s3cr3t-value",
    "TENANT_ID": GUID(2),
    "ADMINS": GUID(3),
    "ORGANISATION": "Fabrikam",
    "CODE_KEYS": KEY,
}


def load(environ: dict[str, str] | None = None, **more: str) -> Settings:
    return load_settings({**(environ or {}), **more}, env_file=None)


def faults(environ: dict[str, str] | None = None, **more: str) -> list[str]:
    with pytest.raises(BadConfiguration) as bad:
        load(environ, **more)
    for fault in bad.value.faults:
        assert "\n" not in fault
        assert "{" not in fault
    assert str(bad.value).splitlines() == bad.value.faults
    return bad.value.faults


# ------------------------------------------------------------------ the two modes


def test_nothing_set_is_local_mode() -> None:
    settings = load()
    assert settings.local
    assert (settings.host, settings.port, settings.organisation) == ("127.0.0.1", 3978, "Contoso")
    assert (settings.store_url, settings.code_key_file) == ("tinydb:var/store", Path("var/codes.key"))
    assert (settings.code_digits, settings.code_lifetime) == (12, timedelta(hours=24))
    assert settings.admins == (LOCAL_ADMIN.aad_object_id,)
    assert settings.oidc_issuer == ""
    assert settings.allowed_service_hosts == settings.allowed_file_hosts == ("localhost", "127.0.0.1", "::1")
    assert ip_network("127.0.0.0/8") in settings.trusted_networks
    assert (settings.log_level, settings.keep_audit) == ("info", timedelta(days=730))


def test_credentials_make_it_teams() -> None:
    settings = load(TEAMS)
    assert not settings.local
    assert (settings.host, settings.organisation, settings.admins) == ("0.0.0.0", "Fabrikam", (GUID(3),))
    assert settings.client_secret.get_secret_value() == "s3cr3t-value"
    assert settings.oidc_issuer == f"https://login.microsoftonline.com/{GUID(2)}/v2.0"
    assert (settings.oidc_client_id, settings.oidc_client_secret.get_secret_value()) == (GUID(1), "")
    assert "smba.trafficmanager.net" in settings.allowed_service_hosts
    assert settings.trusted_proxies == ()
    assert (settings.code_key_file, [key.secret for key in load_keys(settings)]) == (None, [SECRET])


def test_the_second_spelling_works_as_well() -> None:
    second = {"MicrosoftAppId": GUID(1), "MicrosoftAppPassword": "pw", "MicrosoftAppTenantId": GUID(2)}
    rest = {name: TEAMS[name] for name in ("ADMINS", "ORGANISATION", "CODE_KEYS")}
    settings = load(second | rest)
    assert (settings.client_id, settings.client_secret.get_secret_value(), settings.tenant_id) == (
        GUID(1),
        "pw",
        GUID(2),
    )
    assert load(second | rest, CLIENT_ID=GUID(9)).client_id == GUID(9)


WITHOUT_SECRET = {name: text for name, text in TEAMS.items() if name != "CLIENT_SECRET"}


def test_a_managed_identity_needs_no_secret() -> None:
    assert load(WITHOUT_SECRET, MicrosoftAppType="userassignedmsi").app_type == "UserAssignedMSI"
    assert faults(WITHOUT_SECRET)[0].startswith("CLIENT_SECRET: is missing.")


def test_a_certificate_needs_no_secret(tmp_path: Path) -> None:
    path, _ = certificates.good(tmp_path)
    settings = load(WITHOUT_SECRET, CLIENT_CERTIFICATE_FILE=str(path))
    assert (settings.local, settings.client_certificate_file) == (False, path)
    assert faults(CLIENT_CERTIFICATE_FILE=str(path))[0].startswith("CLIENT_ID: is missing.")  # no local mode either


@pytest.mark.parametrize("case", certificates.BAD)
def test_a_bad_certificate_file_is_one_line(tmp_path: Path, case: str) -> None:
    path, said = certificates.bad(tmp_path)[case]
    [fault] = faults(WITHOUT_SECRET, CLIENT_CERTIFICATE_FILE=str(path))
    assert fault.startswith(f"CLIENT_CERTIFICATE_FILE: {path}")
    assert said in fault


@pytest.mark.parametrize(
    "several",
    [
        ("CLIENT_SECRET", "CLIENT_CERTIFICATE_FILE"),
        ("CLIENT_SECRET", "MicrosoftAppType"),
        ("CLIENT_CERTIFICATE_FILE", "MicrosoftAppType"),
        ("CLIENT_SECRET", "CLIENT_CERTIFICATE_FILE", "MicrosoftAppType"),
    ],
)
def test_only_one_thing_says_who_the_bot_is(tmp_path: Path, several: tuple[str, ...]) -> None:
    values = {
        "CLIENT_SECRET": "s3cr3t-value",
        "CLIENT_CERTIFICATE_FILE": str(certificates.good(tmp_path)[0]),
        "MicrosoftAppType": "UserAssignedMSI",
    }
    [fault] = faults(WITHOUT_SECRET, **{name: values[name] for name in several})
    assert fault == f"{', '.join(several)}: only one of them can say who the bot is. Remove the others."


GOVERNMENT = "https://botframework.azure.us"


def test_the_us_government_s_cloud_has_its_own_addresses() -> None:
    settings = load(TEAMS, ChannelService=GOVERNMENT)
    assert settings.channel_service == GOVERNMENT
    assert settings.oidc_issuer == f"https://login.microsoftonline.us/{GUID(2)}/v2.0"
    assert load(TEAMS).channel_service == ""


@pytest.mark.parametrize("text", ["https://botframework.azure.cn", "botframework.azure.us", "public", "http://x"])
def test_an_unknown_cloud_is_one_line(text: str) -> None:
    [fault] = faults(TEAMS, ChannelService=text)
    assert fault == f'ChannelService: "{text}" is not one of: {GOVERNMENT}.'


def test_the_local_page_s_admin_stays_beside_configured_ones() -> None:
    assert load(ADMINS="user-1, user-2,user-1").admins == (LOCAL_ADMIN.aad_object_id, "user-1", "user-2")


def test_groups_are_object_ids_and_need_credentials() -> None:
    settings = load(TEAMS, ADMIN_GROUPS=f"{GUID(7).upper()}, {GUID(8)},{GUID(7)}", TECHNICIAN_GROUPS=GUID(9))
    assert (settings.admin_groups, settings.technician_groups) == ((GUID(7), GUID(8)), (GUID(9),))
    assert load(TEAMS).admin_groups == load().technician_groups == ()
    assert faults(TEAMS, TECHNICIAN_GROUPS="Fitters") == [
        'TECHNICIAN_GROUPS: "fitters" is not the object id of a group. Take it from the group in Entra.'
    ]
    many = ",".join(f"6f1d1a52-3c4e-4d0b-9a51-{n:012d}" for n in range(51))
    assert faults(TEAMS, ADMIN_GROUPS=many) == ["ADMIN_GROUPS: These are more than 50 groups. Put them into one group."]
    assert faults(ADMIN_GROUPS=GUID(7))[0].startswith("ADMIN_GROUPS: groups are looked up with the bot's credentials.")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]


def test_secrets_do_not_show() -> None:
    environ = TEAMS | {"STORE_URL": "postgresql://bot:pa55@db/x", "OIDC_CLIENT_SECRET": "0idc-secret"}
    shown = repr(load(environ)) + str(load(environ)) + repr(gather(environ, None))
    for secret in ("s3cr3t-value", "pa55", "0idc-secret", KEY[3:], repr(SECRET)):
        assert secret not in shown


# ------------------------------------------------------------------ where values come from


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(
        'PORT=4000\nORGANISATION="Wide World"  # remark\nCODE_DIGITS=\nCLIENT_IDS=typo\n', encoding="utf-8"
    )
    settings = load_settings({"PORT": "5000", "ORGANISATION": " "}, env_file)
    assert (settings.port, settings.organisation, settings.code_digits) == (5000, "Wide World", 12)
    given = gather({"PORT": "5000"}, env_file)
    assert {name: given[name].source for name in ("PORT", "ORGANISATION", "HOST")} == {
        "PORT": "environment",
        "ORGANISATION": ".env",
        "HOST": "default",
    }


def test_a_second_spelling_in_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"CLIENT_ID={GUID(1)}\n", encoding="utf-8")
    assert gather({"MicrosoftAppId": GUID(2)}, env_file)["CLIENT_ID"].value == GUID(2)


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path / ".env").local


def test_a_file_that_is_no_text_is_one(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes("ORGANISATION=Zoë".encode("utf-16"))
    with pytest.raises(BadConfiguration, match="cannot be read"):
        load_settings({}, env_file)


# ------------------------------------------------------------------ good and bad values


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("CODE_LIFETIME", "1h", timedelta(hours=1)),
        ("CODE_LIFETIME", "48H", timedelta(hours=48)),
        ("CODE_LIFETIME", "7d", timedelta(days=7)),
        ("CODE_LIFETIME", "90m", timedelta(minutes=90)),
        ("KEEP_AUDIT", "1d", timedelta(days=1)),
        ("KEEP_AUDIT", "3650 D", timedelta(days=3650)),
        ("KEEP_AUDIT", "Forever", None),
        ("TIMEZONE", "Europe/Oslo", ZoneInfo("Europe/Oslo")),
        ("MORNING", "6:05", time(6, 5)),
        ("QUIET_HOURS", "22:00 - 6:30", (time(22), time(6, 30))),
        ("QUIET_HOURS", "None", None),
        ("WORKDAYS", "mon-fri", frozenset(range(5))),
        ("WORKDAYS", "Sun-Thu", frozenset({6, 0, 1, 2, 3})),
        ("WORKDAYS", "mon, wed,sat", frozenset({0, 2, 5})),
        ("WORKDAYS", "none", frozenset()),
        ("LEAVERS", "Revoke", "revoke"),
        ("CODE_DIGITS", "8", 8),
        ("CODE_DIGITS", "16", 16),
        ("PORT", "65535", 65535),
        ("HOST", "::1", "::1"),
        ("HOST", "127.8.0.1", "127.8.0.1"),
        ("PUBLIC_URL", "https://bot.contoso.com/", "https://bot.contoso.com"),
        ("PUBLIC_URL", "http://localhost:3978", "http://localhost:3978"),
        ("PUBLIC_URL", "http://[::1]:3978", "http://[::1]:3978"),
        ("OIDC_ISSUER", "http://127.0.0.1:4000/", "http://127.0.0.1:4000/"),  # compared letter by letter
        ("OFFLINE_AFTER", "5m", timedelta(minutes=5)),
        ("OFFLINE_AFTER", "2 H", timedelta(hours=2)),
        ("OFFLINE_AFTER", "30d", timedelta(days=30)),
        ("STALE_AFTER", "365d", timedelta(days=365)),
        ("STALE_AFTER", "Never", None),
        ("ALLOWED_FILE_HOSTS", "*.SharePoint.com, .svc.ms", ("sharepoint.com", "svc.ms")),
        ("FILE_LIMIT", "1", 1),
        ("FILE_LIMIT", "20", 20),
        ("TRUSTED_PROXIES", "10.1.2.3/8, 2001:db8::1", (ip_network("10.0.0.0/8"), ip_network("2001:db8::1"))),
        ("LOG_FORMAT", "JSON", "json"),
        ("LOG_LEVEL", "WARNING", "warning"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", "http://collector:4318"),
        ("STORE_URL", "postgresql://u:p@h/d", "postgresql://u:p@h/d"),
    ],
)
def test_good_values(name: str, text: str, value: object) -> None:
    oidc = {"OIDC_CLIENT_ID": "bot"} if name == "OIDC_ISSUER" else {}
    assert getattr(load({name: text, **oidc}), name.lower()) == value


BAD_VALUES = {
    "CODE_LIFETIME": ("59m", "0h", "8d", "169h", "24", "-1h", "1h30m", "forever", "99999d"),
    "OFFLINE_AFTER": ("4m", "0h", "366d", "30", "-5m", "always", "1h30m"),
    "STALE_AFTER": ("4m", "none", "52w"),
    "KEEP_AUDIT": ("0d", "3651d", "24h", "730", "-1d", "never", "1d2d"),
    "TIMEZONE": ("Oslo", "Europe/Atlantis", "../etc/passwd", "+01:00"),
    "MORNING": ("7", "24:00", "07:60", "half past seven", "none"),
    "QUIET_HOURS": ("19:00", "19-7", "07:00-07:00", "19:00-25:00", "never"),
    "WORKDAYS": ("monday", "1-5", "mon-", "fri-mondays", "mon;tue"),
    "LEAVERS": ("yes", "delete"),
    "CODE_DIGITS": ("7", "17", "12.0", "-8", "٨", "twelve"),
    "PORT": ("0", "65536", "http", "-1", "3978/tcp"),
    "HOST": ("0.0.0.0", "::", "localhost", "10.0.0.1", "127.0.0.1:3978", "[::1]", "127.1", "256.0.0.1", "a b"),
    "PUBLIC_URL": (
        "bot.contoso.com",
        "http://bot.contoso.com",
        "ftp://x.org",
        "https://",
        "https://u:p@x.org",
        "https://x.org/?a",
    ),
    "STORE_URL": ("tinydb:", "sqlite:x", "postgres://u:p@h/d", "var/store"),
    "ORGANISATION": ("a\tb", "x" * 201, "right\u202eleft"),
    "CODE_KEYS": ("k1", "k1:", "k1:AAAA", KEY + "," + KEY, ":" + KEY[3:], "k 1" + KEY[2:], KEY + "!", ","),
    "ALLOWED_SERVICE_HOSTS": ("https://x.org", "com", "*", "x.org/path", "x..org", "-x.org"),
    "ALLOWED_FILE_HOSTS": ("x.org:443", "a b.org"),
    "FILE_LIMIT": ("0", "21", "20MiB", "-1", "1.5"),
    "TRUSTED_PROXIES": ("proxy", "10.0.0.0/33", "10.0.0.0/8;10.1.0.0/16"),
    "TRUSTED_NETWORKS": ("all",),
    "LOG_FORMAT": ("xml",),
    "LOG_LEVEL": ("loud",),
    "MicrosoftAppType": ("MultiTenant", "x"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("collector:4318", "grpc://x"),
    "OIDC_ISSUER": ("http://id.contoso.com", "not a url", "https://[::1"),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD_VALUES.items() for text in texts])
def test_a_bad_value_is_one_line_that_names_it(name: str, text: str) -> None:
    oidc = {"OIDC_CLIENT_ID": "bot"} if name == "OIDC_ISSUER" else {}
    [fault] = faults({name: text, **oidc})
    assert fault.startswith(f"{name}: ")
    assert len(fault) > len(name) + 20


def test_all_faults_are_told_at_once() -> None:
    told = faults(PORT="x", CODE_DIGITS="3", HOST="0.0.0.0")
    assert sorted(fault.split(":")[0] for fault in told) == ["CODE_DIGITS", "HOST", "PORT"]


@pytest.mark.parametrize("name", sorted(TEAMS))
def test_with_credentials_each_of_these_is_needed(name: str) -> None:
    environ = {other: text for other, text in TEAMS.items() if other != name}
    [fault] = faults(environ)
    assert fault.startswith(f"{name}: is missing. ")


def test_credentials_alone_name_everything_else() -> None:
    told = faults(CLIENT_ID=GUID(1), CLIENT_SECRET="s")
    assert [fault.split(":")[0] for fault in told] == ["TENANT_ID", "ADMINS", "ORGANISATION", "CODE_KEYS"]


@pytest.mark.parametrize(
    ("name", "text"), [("CLIENT_ID", "bot"), ("TENANT_ID", "common"), ("ADMINS", f"{GUID(3)},dana@contoso.com")]
)
def test_ids_are_entra_s(name: str, text: str) -> None:
    [fault] = faults(TEAMS | {name: text})
    assert fault.startswith(f'{name}: "')


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"CODE_KEY_FILE": "/nowhere/codes.key"}, "CODE_KEYS, CODE_KEY_FILE"),
        ({"OIDC_ISSUER": "https://id.contoso.com"}, "OIDC_CLIENT_ID"),
        ({"OIDC_ISSUER": "http://127.0.0.1:4000", "OIDC_CLIENT_ID": "bot"}, "OIDC_ISSUER"),
    ],
)
def test_what_does_not_go_together(more: dict[str, str], name: str) -> None:
    assert faults(TEAMS | more)[0].startswith(f"{name}: ")


def test_a_fault_never_shows_a_secret() -> None:
    told = faults({"CODE_KEYS": "k1:c2VjcmV0", "STORE_URL": "pg://u:pa55@h", "PUBLIC_URL": "https://u:pa55@x.org"})
    assert len(told) == 3
    assert not any("pa55" in fault or "c2VjcmV0" in fault for fault in told)


# ------------------------------------------------------------------ keys


def test_keys_are_read_newest_first_in_either_base64() -> None:
    other = bytes(255 - n for n in range(32))
    text = f"# rotated in May\nnew:{urlsafe_b64encode(other).decode()}\n\n{KEY} # old\n"
    assert [(key.id, key.secret) for key in read_keys(text)] == [("new", other), ("k1", SECRET)]


def test_keys_are_written_as_they_are_read() -> None:
    keys = (new_key(), new_key())
    assert read_keys(write_keys(keys)) == keys


def test_local_mode_makes_its_key_when_it_starts_and_keeps_it(tmp_path: Path) -> None:
    settings = load(STORE_URL=f"tinydb:{tmp_path}/deep/store")
    path = tmp_path / "deep" / "codes.key"
    assert settings.code_key_file == path
    assert not path.exists()
    keys = load_keys(settings)
    assert load_keys(load(STORE_URL=f"tinydb:{tmp_path}/deep/store")) == keys
    assert len(keys) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    ensure_key_file(tmp_path / "codes.key")
    assert stat.S_IMODE((tmp_path / "codes.key").stat().st_mode) == 0o600


def test_an_existing_key_file_is_never_touched(tmp_path: Path) -> None:
    path = private(tmp_path / "codes.key", "damaged")
    ensure_key_file(path)
    assert path.read_text(encoding="utf-8") == "damaged"
    [fault] = faults(CODE_KEY_FILE=str(path))
    assert fault.startswith("CODE_KEY_FILE: ")


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b"\xff\xfe", b"k1:short\n"])
def test_with_credentials_the_key_file_has_to_be_there(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "codes.key"
    if content is not None:
        private(path, content)
    environ = {name: text for name, text in TEAMS.items() if name != "CODE_KEYS"} | {"CODE_KEY_FILE": str(path)}
    [fault] = faults(environ)
    assert fault.startswith("CODE_KEY_FILE: ")
    with pytest.raises(BadKeyFile):
        read_key_file(path)


def test_with_credentials_a_key_file_is_read(tmp_path: Path) -> None:
    path = private(tmp_path / "codes.key", KEY)
    environ = {name: text for name, text in TEAMS.items() if name != "CODE_KEYS"} | {"CODE_KEY_FILE": str(path)}
    assert [key.id for key in load_keys(load(environ))] == ["k1"]
