"""Whom Teams names is known so from now on; nearly always they were."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provisioning.conversations import Conversation, ConversationKind
from provisioning.meeting import as_met
from provisioning.memberships import Membership
from provisioning.model import Person, Role
from provisioning.ports import Member

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
CHAT = Conversation("a:sam", ConversationKind.PERSONAL, "https://smba.example/", "t", "28:bot")
SAM = Person(
    id="sam",
    tenant="t",
    name="Sam",
    upn="sam@contoso.example",
    teams_id="29:sam",
    chat=CHAT,
    reachable=True,
    roles=frozenset({Role.TECHNICIAN}),
    locale="en-GB",
    timezone="Europe/Oslo",
    version=3,
)
SAID = Member("sam", "29:sam", "Sam", "sam@contoso.example", "t")


@pytest.mark.parametrize("chat", [CHAT, None])
@pytest.mark.parametrize("member", [SAID, replace(SAID, name="", upn="", teams_id="")])
@pytest.mark.parametrize("said", [("en-GB", "Europe/Oslo"), ("", "")])
def test_who_is_known_is_the_same_record(member: Member, chat: Conversation | None, said: tuple[str, str]) -> None:
    assert as_met(SAM, member, chat, *said) is SAM


@pytest.mark.parametrize(
    ("known", "member", "said", "new"),
    [
        (SAM, replace(SAID, name="Sam T\u202eech"), (CHAT, "", ""), {"name": "Sam Tech"}),
        (SAM, replace(SAID, upn="s@contoso.example"), (CHAT, "", ""), {"upn": "s@contoso.example"}),
        (SAM, replace(SAID, teams_id="29:new"), (CHAT, "", ""), {"teams_id": "29:new"}),
        (SAM, replace(SAID, tenant="u"), (CHAT, "", ""), {"tenant": "u"}),
        (SAM, SAID, (CHAT, "de-DE", ""), {"locale": "de-DE"}),
        (SAM, SAID, (CHAT, "", "Europe/Rome"), {"timezone": "Europe/Rome"}),
        (replace(SAM, chat=None), SAID, (CHAT, "", ""), {"chat": CHAT}),
        (replace(SAM, reachable=False), SAID, (CHAT, "", ""), {"reachable": True}),
        (SAM, replace(SAID, guest=True), (None, "", ""), {"guest": True, "roles": frozenset()}),
        (replace(SAM, guest=True), SAID, (None, "", ""), {"guest": False}),
    ],
)
def test_what_is_new_is_known_from_now_on(
    known: Person, member: Member, said: tuple[Conversation | None, str, str], new: dict[str, object]
) -> None:
    assert as_met(known, member, *said) == replace(known, **new)  # type: ignore[arg-type]


def test_a_guest_has_no_role_of_groups_either() -> None:
    guest = replace(SAM, guest=True, roles=frozenset(), membership=None)
    assert as_met(replace(guest, membership=Membership(asked_at=NOW)), replace(SAID, guest=True), CHAT, "", "") == guest
