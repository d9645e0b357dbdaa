"""Who may do what: deny by default, one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from provisioning.errors import Forbidden, NoAccess
from provisioning.model import Actor, Device, Role
from provisioning.texts import N_, _


class Permission(StrEnum):
    EDIT_DEVICES = "edit_devices"  # add, move, replace, swap, remove, undo
    SEE_DEVICES = "see_devices"  # lists and cards of any device
    ISSUE_CODES = "issue_codes"  # issue, reissue, revoke, assign, see any code
    MANAGE_PEOPLE = "manage_people"
    CONNECT_CHANNELS = "connect_channels"
    SIGN_IN = "sign_in"  # accounts, sign-in and sign-out from afar, other commands to devices, factory reset
    WORK_ON_SITE = "work_on_site"  # own devices: next, code, install, problem
    FOLLOW_ROLLOUT = "follow_rollout"
    SEE_AUDIT = "see_audit"  # what happened, by whom, and whether what was told of it arrived
    DEFEND = "defend"  # attacks on codes: which networks get through meanwhile
    RUN_WEBHOOKS = "run_webhooks"  # see where events go, and send again what did not arrive


GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission) - {Permission.WORK_ON_SITE},
    Role.TECHNICIAN: frozenset({Permission.WORK_ON_SITE, Permission.FOLLOW_ROLLOUT}),
}

ROLE_NAMES: Mapping[Role, str] = {Role.ADMIN: N_("admins"), Role.TECHNICIAN: N_("technicians")}


def allowed(actor: Actor, *permissions: Permission) -> bool:
    """Whether one of the actor's roles grants one of the permissions."""
    return any(permission in GRANTS[role] for role in actor.roles for permission in permissions)


def require(actor: Actor, *permissions: Permission) -> None:
    """Errors: `NoAccess` for somebody without any role, `Forbidden` naming who may."""
    if allowed(actor, *permissions):
        return
    if not actor.roles:
        raise NoAccess
    holders = [_(ROLE_NAMES[role]) for role in Role if GRANTS[role] & set(permissions)]
    raise Forbidden(who=_(" and ").join(holders))


def may_see(actor: Actor, device: Device) -> bool:
    """Admins see every device, technicians their own."""
    return allowed(actor, Permission.SEE_DEVICES) or (actor.is_technician and device.technician == actor.id)
