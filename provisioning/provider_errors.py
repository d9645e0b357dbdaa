"""What an identity provider says instead of an account: each class knows the stage it ends a sign-in with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from provisioning.errors import ProvisioningError
from provisioning.signin import Stage
from provisioning.texts import N_, _


class ProviderError(ProvisioningError):
    """`detail`, an AADSTS number, minutes, an account, stands in the sentence or under it: never a code or a token."""

    code = "provider_error"
    message = N_("The identity provider did not do what it should. Try again; if it stays so, ask your operator.")
    stage: ClassVar[Stage] = Stage.FAILED

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail=detail)
        self.detail = detail

    @property
    def sentence(self) -> str:
        if self.values.get("detail") and self.message == ProviderError.message:
            return _(
                "The identity provider did not do what it should. Try again; if it stays so, tell your operator "
                "this: {detail}",
                detail=self.detail,
            )
        return super().sentence


# ------------------------------------------------------------------ not the end


class AuthorizationPending(ProviderError):
    """Nobody has typed the code yet (RFC 8628, 3.5)."""

    code = "authorization_pending"
    stage = Stage.CODE_SHOWN


class PollSlower(AuthorizationPending):
    """`slow_down`: nobody has yet, and from now on five seconds more between polls (RFC 8628, 3.5)."""

    code = "poll_slower"


class ProviderAway(ProviderError):
    """No answer, 5xx, 429 or a time-out: polling goes on, more and more slowly; at the start it is the end."""

    code = "provider_away"
    message = N_("The identity provider does not answer. Try again in a minute; if it stays so, ask your operator.")

    def __init__(self, detail: str = "", retry_after: float = 0.0) -> None:
        """retry_after: seconds the provider asked for; 0 where it named none."""
        super().__init__(detail)
        self.retry_after = retry_after


# ------------------------------------------------------------------ the end, by a person or a policy


class AuthorizationDeclined(ProviderError):
    code = "access_denied"
    message = N_("Whoever typed the code declined. The device is not signed in.")
    stage = Stage.DECLINED


class GrantEnded(ProviderError):
    code = "expired_token"
    message = N_("Nobody typed the code in time. A new one takes a second.")
    stage = Stage.ENDED


class BlockedByPolicy(ProviderError):
    """Conditional Access or another rule of the tenant."""

    code = "blocked_by_policy"
    message = N_("A policy of your tenant blocks it. Allow device code flow for this account, then try again.")
    stage = Stage.BLOCKED


class AskerGone(ProviderError):
    code = "asker_gone"
    message = N_("Whoever asked for it has no access any more.")
    stage = Stage.CANCELLED


class WrongAccount(ProviderError):
    """`detail` is the account that approved."""

    code = "wrong_account"
    message = N_("{detail} approved, another account was intended. The device is not signed in.")
    stage = Stage.WRONG_ACCOUNT


# ------------------------------------------------------------------ the end, by what is wrong


class GrantUnknown(ProviderError):
    code = "invalid_grant"
    message = N_("The identity provider does not know this code any more. Take a new one.")


class ClientRefused(ProviderError):
    code = "invalid_client"
    message = N_("The identity provider refuses this service. Ask your operator: OIDC_CLIENT_ID and its secret.")


class ConsentMissing(ProviderError):
    code = "consent_required"
    message = N_("Your tenant has not consented to this service yet. Ask your operator: admin consent in Entra.")


class DiscoveryWrong(ProviderError):
    code = "discovery_wrong"
    message = N_("The identity provider's description of itself is wrong. Ask your operator: OIDC_ISSUER.")


class NoDeviceFlow(ProviderError):
    code = "no_device_flow"
    message = N_("This identity provider offers no sign-in by code. Ask your operator: OIDC_ISSUER.")


class TokenUntrusted(ProviderError):
    """Signature, issuer, audience, times or form of the ID token are wrong."""

    code = "token_untrusted"
    message = N_("The identity provider's answer cannot be trusted. The device is not signed in; tell your operator.")


class ClockOff(ProviderError):
    """`detail` is by how many minutes."""

    code = "clock_off"
    message = N_("Our clock and the identity provider's differ by {detail} minutes. Have it set, then try again.")


class OtherTenant(ProviderError):
    code = "account_elsewhere"
    message = N_("An account of another organisation approved. The device is not signed in.")


PROVIDER_ERRORS: Mapping[str, type[ProviderError]] = {
    each.code: each
    for each in (
        ProviderError,
        ProviderAway,
        AuthorizationDeclined,
        GrantEnded,
        BlockedByPolicy,
        AskerGone,
        WrongAccount,
        GrantUnknown,
        ClientRefused,
        ConsentMissing,
        DiscoveryWrong,
        NoDeviceFlow,
        TokenUntrusted,
        ClockOff,
        OtherTenant,
    )
}  # by what a sign-in keeps of them
