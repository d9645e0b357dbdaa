"""The environment (and `.env`) becomes one frozen `Settings`, or a list of faults that each say their cure.

The names are those of interfaces.md. Values come from `gather`, which remembers where each was found, so that
`doctor` shows what `serve` uses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from bot import setting_values as read
from bot.clouds import CLOUDS, PUBLIC
from bot.demo.people import LOCAL_ADMIN
from bot.key_file import BadKeyFile, ensure_key_file, read_key_file, read_keys
from bot.loopback import is_loopback_address
from bot.setting_values import GUID, Network
from bot.webhook_file import BadWebhookFile, read_webhook_file
from provisioning.codes import Key
from provisioning.texts import N_, _
from provisioning.webhooks import Endpoint

DOTENV: Final = Path(".env")
MANAGED_IDENTITY: Final = "UserAssignedMSI"

# Names that are Microsoft's and not ours.
MICROSOFTS: Final = {"app_type": "MicrosoftAppType", "channel_service": "ChannelService"}
# The second spelling of a name, as Azure's bot registration has it.
SPELLINGS: Final = {
    "MicrosoftAppId": "CLIENT_ID",
    "MicrosoftAppPassword": "CLIENT_SECRET",
    "MicrosoftAppTenantId": "TENANT_ID",
}
EVERYWHERE: Final = {
    "MicrosoftAppType": "SingleTenant",
    "PORT": "3978",
    "STORE_URL": "tinydb:var/store",
    "CODE_DIGITS": "12",
    "CODE_LIFETIME": "24h",
    "FILE_LIMIT": "20",
    "KEEP_AUDIT": "730d",
    "TIMEZONE": "UTC",
    "MORNING": "07:30",
    "QUIET_HOURS": "19:00-07:00",
    "WORKDAYS": "mon-fri",
    "OFFLINE_AFTER": "30m",
    "STALE_AFTER": "30d",
    "LEAVERS": "ask",
    "TRUSTED_NETWORKS": "127.0.0.0/8,::1/128",
    "LOG_LEVEL": "info",
}
IN_LOCAL_MODE: Final = {
    "QUIET_HOURS": "none",  # whoever tries it out in the evening sees what it does
    "HOST": "127.0.0.1",
    "ORGANISATION": "Contoso",
    "ALLOWED_SERVICE_HOSTS": "localhost,127.0.0.1,::1",
    "ALLOWED_FILE_HOSTS": "localhost,127.0.0.1,::1",
    "TRUSTED_PROXIES": "127.0.0.0/8,::1/128",
}
WITH_CREDENTIALS: Final = {
    "HOST": "0.0.0.0",  # noqa: S104 - the caller's token is checked
    "ALLOWED_SERVICE_HOSTS": "smba.trafficmanager.net,smba.infra.gcc.teams.microsoft.com,"
    "smba.infra.gov.teams.microsoft.us,smba.infra.dod.teams.microsoft.us,botframework.com",
    "ALLOWED_FILE_HOSTS": "sharepoint.com,sharepoint.us,sharepoint-mil.us,svc.ms,asm.skype.com,smba.trafficmanager.net",
}
# What has no default once there are credentials, and how to get it.
REQUIRED: Final = {
    "CLIENT_ID": N_("Take the application (client) ID of the bot's app registration in Entra."),
    "CLIENT_SECRET": N_(
        "Make a client secret in the app registration, or set CLIENT_CERTIFICATE_FILE or "
        "MicrosoftAppType=UserAssignedMSI."
    ),
    "TENANT_ID": N_("Take the directory (tenant) ID shown on the overview page of Entra."),
    "ADMINS": N_("List the Entra object ids of the first admins, separated by commas."),
    "ORGANISATION": N_("Give the tenant name that a device shall show, for example Contoso."),
    "CODE_KEYS": N_("Set CODE_KEYS=k1:KEY with KEY from `openssl rand -base64 32`, or CODE_KEY_FILE to such a file."),
}


class BadConfiguration(Exception):
    """The service cannot start like this: one line per fault, each with its cure. The process exits with 2."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


class Settings(BaseSettings):
    """Everything a deployment decides. Secrets never show in its repr."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    client_certificate_file: Path | None = None
    tenant_id: str = ""
    app_type: Annotated[
        Literal["SingleTenant", "UserAssignedMSI"], BeforeValidator(read.one_of("SingleTenant", MANAGED_IDENTITY))
    ]
    channel_service: Annotated[str, BeforeValidator(read.one_of(*filter(None, CLOUDS)))] = ""  # empty: the public cloud
    host: Annotated[str, BeforeValidator(read.bound_host)]
    port: Annotated[int, BeforeValidator(read.whole(1, 65535))]
    public_url: Annotated[str, BeforeValidator(read.url)] = ""
    store_url: Annotated[str, BeforeValidator(read.store_url), Field(repr=False)]
    organisation: Annotated[str, BeforeValidator(read.organisation)]
    admins: Annotated[tuple[str, ...], BeforeValidator(read.people)]
    admin_groups: Annotated[tuple[str, ...], BeforeValidator(read.groups)] = ()
    technician_groups: Annotated[tuple[str, ...], BeforeValidator(read.groups)] = ()
    code_keys: Annotated[tuple[Key, ...], BeforeValidator(read_keys), Field(repr=False)] = ()
    code_key_file: Path | None = None
    code_digits: Annotated[int, BeforeValidator(read.whole(8, 16))]
    code_lifetime: Annotated[timedelta, BeforeValidator(read.lifetime)]
    keep_audit: Annotated[timedelta | None, BeforeValidator(read.kept)]  # None: for ever
    timezone: Annotated[ZoneInfo, BeforeValidator(read.timezone)]  # of whoever's client names none
    morning: Annotated[time, BeforeValidator(read.time_of_day)]
    quiet_hours: Annotated[tuple[time, time] | None, BeforeValidator(read.quiet_hours)]  # None: never
    leavers: Annotated[Literal["ask", "revoke"], BeforeValidator(read.one_of("ask", "revoke"))]
    workdays: Annotated[frozenset[int], BeforeValidator(read.workdays)]  # Monday is 0
    offline_after: Annotated[timedelta | None, BeforeValidator(read.silence)]  # None: never said
    stale_after: Annotated[timedelta | None, BeforeValidator(read.silence)]
    oidc_issuer: Annotated[str, BeforeValidator(read.issuer)] = ""  # empty: the demo provider of local mode
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    allowed_service_hosts: Annotated[tuple[str, ...], BeforeValidator(read.hosts)]
    allowed_file_hosts: Annotated[tuple[str, ...], BeforeValidator(read.hosts)]
    file_limit: Annotated[int, BeforeValidator(read.whole(1, 20))]  # MiB; sheets are read within bounds for 20
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(read.networks)] = ()
    trusted_networks: Annotated[tuple[Network, ...], BeforeValidator(read.networks)]
    log_format: Annotated[Literal["console", "json"], BeforeValidator(read.one_of("console", "json"))]
    log_level: Annotated[str, BeforeValidator(read.one_of("debug", "info", "warning", "error", "critical"))]
    otel_exporter_otlp_endpoint: Annotated[str, BeforeValidator(read.collector)] = ""
    webhooks_file: Path | None = None
    events_token: Annotated[SecretStr, BeforeValidator(read.token)] = SecretStr("")

    @property
    def local(self) -> bool:
        """Local mode: no credentials, so no sign-in check, so loopback only."""
        return not self.client_id

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `gather` has read the rest, and knows from where


@dataclass(frozen=True, slots=True)
class Given:
    """One value as text, and where it was found: "environment", ".env" or "default"."""

    value: str = field(repr=False)
    source: str


def variables() -> tuple[str, ...]:
    """The name of every setting, as the environment spells it."""
    return tuple(map(_variable, Settings.model_fields))


def gather(environ: Mapping[str, str], env_file: Path | None = DOTENV) -> dict[str, Given]:
    """Every variable that has a value. The process environment wins over `.env`; empty counts as not set."""
    found: dict[str, Given] = {}
    for values, source in ((read_env_file(env_file), ".env"), (environ, "environment")):
        for other, name in SPELLINGS.items():
            if values.get(other, "").strip():
                found[name] = Given(values[other].strip(), source)
        for name in variables():
            if values.get(name, "").strip():
                found[name] = Given(values[name].strip(), source)
    for name, text in _defaults({name: given.value for name, given in found.items()}).items():
        found.setdefault(name, Given(text, "default"))
    return found


def read_env_file(path: Path | None) -> dict[str, str]:
    """The variables of a `.env` file, in its own spelling; nothing where there is no file."""
    try:
        source = DotEnvSettingsSource(Settings, path, "utf-8", case_sensitive=True, env_ignore_empty=True)
    except (UnicodeDecodeError, OSError):
        raise BadConfiguration([_("{path}: cannot be read. Save it as UTF-8 text.", path=path)]) from None
    return {name: value for name, value in source.env_vars.items() if value is not None}


def is_local(words: Mapping[str, str]) -> bool:
    managed = words.get("MicrosoftAppType", "").lower() == MANAGED_IDENTITY.lower()
    return not (managed or any(words.get(f"CLIENT_{name}") for name in ("ID", "SECRET", "CERTIFICATE_FILE")))


def _defaults(words: Mapping[str, str]) -> dict[str, str]:
    log_format = "console" if sys.stdout.isatty() else "json"
    if not is_local(words):
        cloud = CLOUDS.get(words.get("ChannelService", ""), PUBLIC)
        own = {
            "OIDC_ISSUER": cloud.oidc_issuer(words["TENANT_ID"]) if words.get("TENANT_ID") else "",
            "OIDC_CLIENT_ID": words.get("CLIENT_ID", ""),
        }
        own = {} if words.get("OIDC_ISSUER") or not all(own.values()) else own
        return EVERYWHERE | WITH_CREDENTIALS | own | {"LOG_FORMAT": log_format}
    kind, _colon, path = words.get("STORE_URL", EVERYWHERE["STORE_URL"]).partition(":")
    beside = Path(path).parent if kind == "tinydb" else Path("var")
    keys = {} if words.get("CODE_KEYS") else {"CODE_KEY_FILE": (beside / "codes.key").as_posix()}
    return EVERYWHERE | IN_LOCAL_MODE | {"ADMINS": LOCAL_ADMIN.aad_object_id, "LOG_FORMAT": log_format} | keys


def load_settings(environ: Mapping[str, str], env_file: Path | None = DOTENV) -> Settings:
    """Errors: `BadConfiguration` with every fault at once; nothing is created or opened for writing."""
    words = {name: given.value for name, given in gather(environ, env_file).items()}
    faults = list(_together(words))
    if is_local(words):
        words["ADMINS"] = f"{LOCAL_ADMIN.aad_object_id},{words['ADMINS']}"
    try:
        settings = Settings(**{_field(name): text for name, text in words.items()})  # type: ignore[arg-type]
    except ValidationError as invalid:
        wrong = [error for error in invalid.errors(include_url=False) if error["type"] != "missing"]  # said already
        raise BadConfiguration([*faults, *map(_fault, wrong)]) from None
    if faults:
        raise BadConfiguration(faults)
    return settings


def load_keys(settings: Settings) -> tuple[Key, ...]:
    """The keys for codes, newest first. In local mode a missing key file is made now, when the service starts."""
    if settings.code_key_file is None:
        return settings.code_keys
    if settings.local:
        ensure_key_file(settings.code_key_file)
    return read_key_file(settings.code_key_file)


def load_webhooks(settings: Settings) -> tuple[Endpoint, ...]:
    """Where events go; nowhere without a file."""
    return read_webhook_file(settings.webhooks_file, local=settings.local) if settings.webhooks_file else ()


# ------------------------------------------------------------------ faults, each one line with its cure


def _variable(field: str) -> str:
    return MICROSOFTS.get(field, field.upper())


def _field(name: str) -> str:
    return next((field for field, variable in MICROSOFTS.items() if variable == name), name.lower())


def _fault(invalid: Any) -> str:
    return f"{_variable(str(invalid['loc'][0]))}: {invalid.get('ctx', {}).get('error', invalid['msg'])}"


def _together(words: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with values that are fine one by one."""
    if is_local(words):
        yield from _local_faults(words)
    else:
        yield from _credential_faults(words)
    if words.get("CODE_KEYS") and words.get("CODE_KEY_FILE"):
        yield _("CODE_KEYS, CODE_KEY_FILE: both are set, so it is unclear which keys count. Remove one of them.")
    yield from _silence_faults(words)
    if words.get("OIDC_ISSUER") and not words.get("OIDC_CLIENT_ID"):
        yield _("OIDC_CLIENT_ID: is missing. Give the client id that OIDC_ISSUER knows this service by.")
    yield from _key_file_faults(words)
    yield from _webhook_faults(words)


def _silence_faults(words: Mapping[str, str]) -> Iterator[str]:
    """Stale devices are found among those that are offline."""
    try:
        offline, stale = read.silence(words["OFFLINE_AFTER"]), read.silence(words["STALE_AFTER"])
    except ValueError:
        return  # said by its own setting
    if stale and (offline is None or offline > stale):
        yield _("STALE_AFTER: is shorter than OFFLINE_AFTER, so no device would ever count as stale. Make it longer.")


def _local_faults(words: Mapping[str, str]) -> Iterator[str]:
    for name in ("ADMIN_GROUPS", "TECHNICIAN_GROUPS"):
        if words.get(name):
            yield _("{name}: groups are looked up with the bot's credentials. Set them, or remove it.", name=name)
    if read.is_host(words["HOST"]) and not is_loopback_address(words["HOST"]):
        yield _(
            'HOST: "{host}" is open to others, and without credentials nobody is checked. '
            "Set CLIENT_ID and CLIENT_SECRET, or a literal loopback address: HOST=127.0.0.1.",
            host=words["HOST"],
        )


def _credential_faults(words: Mapping[str, str]) -> Iterator[str]:
    proofs = _proofs(words)
    for name, cure in REQUIRED.items():
        needed = not (name == "CLIENT_SECRET" and proofs) and not (name == "CODE_KEYS" and "CODE_KEY_FILE" in words)
        if needed and not words.get(name):
            yield _("{name}: is missing. {cure}", name=name, cure=_(cure))
    if len(proofs) > 1:
        yield _("{names}: only one of them can say who the bot is. Remove the others.", names=", ".join(proofs))
    yield from _certificate_faults(words)
    for name in ("CLIENT_ID", "TENANT_ID", "ADMINS"):
        for text in read.listed(words.get(name, "")):
            if not GUID.fullmatch(text):
                yield _('{name}: "{text}" is not an Entra id. {cure}', name=name, text=text, cure=_(REQUIRED[name]))
    if words.get("OIDC_ISSUER", "").startswith("http:"):
        yield _("OIDC_ISSUER: http works in local mode only. Give the https address of the identity provider.")


def _proofs(words: Mapping[str, str]) -> list[str]:
    """The settings by which the bot would show who it is."""
    managed = words["MicrosoftAppType"].lower() == MANAGED_IDENTITY.lower()
    files = [name for name in ("CLIENT_SECRET", "CLIENT_CERTIFICATE_FILE") if words.get(name)]
    return [*files, *(["MicrosoftAppType"] if managed else [])]


def _certificate_faults(words: Mapping[str, str]) -> Iterator[str]:
    if words.get("CLIENT_CERTIFICATE_FILE"):
        from bot.certificate import BadCertificate, read_certificate  # cryptography takes its time to load

        try:
            read_certificate(Path(words["CLIENT_CERTIFICATE_FILE"]), datetime.now(UTC))
        except BadCertificate as bad:
            yield f"CLIENT_CERTIFICATE_FILE: {bad}"


def _key_file_faults(words: Mapping[str, str]) -> Iterator[str]:
    path = Path(words["CODE_KEY_FILE"]) if words.get("CODE_KEY_FILE") else None
    if path is None or (is_local(words) and not path.exists()):
        return
    try:
        read_key_file(path)
    except BadKeyFile as bad:
        yield f"CODE_KEY_FILE: {bad}"


def _webhook_faults(words: Mapping[str, str]) -> Iterator[str]:
    if words.get("WEBHOOKS_FILE"):
        try:
            read_webhook_file(Path(words["WEBHOOKS_FILE"]), local=is_local(words))
        except BadWebhookFile as bad:
            yield f"WEBHOOKS_FILE: {bad}"
