"""Who and what exists in local mode: one table that the page, the connector and the start-up share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LocalPerson:
    """Somebody whose phone the page can hold; `role_hint` is "admin", "technician" or empty."""

    id: str
    aad_object_id: str
    name: str
    upn: str
    role_hint: str

    @property
    def conversation_id(self) -> str:
        """The person's 1:1 chat with the bot."""
        return "a:" + self.id.removeprefix("29:")


@dataclass(frozen=True, slots=True)
class LocalChannel:
    """The one team channel of local mode."""

    id: str
    name: str
    team_id: str
    team_name: str


@dataclass(frozen=True, slots=True)
class LocalBot:
    """The bot's own account in local mode."""

    id: str
    name: str


LOCAL_TENANT: Final = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001"
LOCAL_ADMIN: Final = LocalPerson(
    id="29:dana",
    aad_object_id="6f1d1a52-3c4e-4d0b-9a51-0c7a5be0da0a",
    name="Dana Admin",
    upn="dana@contoso.example",
    role_hint="admin",
)
LOCAL_TECHNICIAN: Final = LocalPerson(
    id="29:sam",
    aad_object_id="6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e",
    name="Sam Technician",
    upn="sam@contoso.example",
    role_hint="technician",
)
LOCAL_STRANGER: Final = LocalPerson(
    id="29:kim",
    aad_object_id="6f1d1a52-3c4e-4d0b-9a51-0c7a5be0c1e4",
    name="Kim",
    upn="kim@contoso.example",
    role_hint="",
)
LOCAL_PEOPLE: Final = (LOCAL_ADMIN, LOCAL_TECHNICIAN, LOCAL_STRANGER)
LOCAL_ACCOUNTS: Final = ("room-2.14@contoso.example", "room-2.16@contoso.example", "lobby@contoso.example")
LOCAL_CHANNEL: Final = LocalChannel(
    id="19:rollout@thread.tacv2",
    name="Rollout",
    team_id="19:oslo-office@thread.tacv2",
    team_name="Oslo office",
)
LOCAL_TEAM_MEMBERS: Final = (LOCAL_ADMIN, LOCAL_TECHNICIAN)
LOCAL_BOT: Final = LocalBot(id="28:provisioning-bot", name="Provisioning Bot")
LOCAL_DEVICE_MACS: Final = ("80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35")
LOCAL_SERVICE_PATH: Final = "/demo/connector/"
