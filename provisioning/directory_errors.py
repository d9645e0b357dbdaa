"""What the organisation's directory says instead of an answer."""

from __future__ import annotations

from provisioning.errors import ProvisioningError
from provisioning.texts import N_


class DirectoryAway(ProvisioningError):
    """No answer, a throttled one, or one that makes no sense: asking again later makes sense. `why` is for the log."""

    code = "directory_away"
    message = N_("Microsoft Graph does not answer. Roles by groups count for a day, then they end.")

    def __init__(self, why: str = "") -> None:
        super().__init__()
        self.why = why


class DirectoryRefuses(DirectoryAway):
    """The service itself may not ask: only the operator can mend that."""

    code = "directory_refuses"
    message = N_(
        "Microsoft Graph refuses to say who is in a group. Give the app registration the application permissions "
        "User.Read.All and GroupMember.Read.All, and grant admin consent."
    )
