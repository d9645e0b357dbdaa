"""What is known of somebody from now on, of whom Teams says who they are."""

from __future__ import annotations

from dataclasses import replace

from provisioning.conversations import Conversation
from provisioning.model import Person
from provisioning.ports import Member
from provisioning.untrusted import clean


def as_met(known: Person, member: Member, chat: Conversation | None, locale: str, zone: str) -> Person:
    """`known` itself where nothing is new, as in nearly every turn. What is empty changes nothing; a guest has no role.

    `chat`: their own, where it was there.
    """
    if _is_known(known, member, chat, locale, zone):
        return known
    fresh = replace(
        known,
        tenant=member.tenant,
        name=clean(member.name[:200]) or known.name,
        upn=member.upn or known.upn,
        teams_id=member.teams_id or known.teams_id,
        chat=chat or known.chat,
        reachable=known.reachable or chat is not None,
        guest=member.guest,
        locale=locale or known.locale,
        timezone=zone or known.timezone,
    )
    return replace(fresh, roles=frozenset(), membership=None) if fresh.guest else fresh


def _is_known(known: Person, member: Member, chat: Conversation | None, locale: str, zone: str) -> bool:
    return (
        not (known.guest or member.guest)
        and member.tenant == known.tenant
        and member.name in ("", known.name)
        and member.upn in ("", known.upn)
        and member.teams_id in ("", known.teams_id)
        and (chat is None or (known.reachable and chat == known.chat))
        and locale in ("", known.locale)
        and zone in ("", known.timezone)
    )
