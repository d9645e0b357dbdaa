"""Every card of every feature in every state, with hostile words in every place of a user's: good on a phone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cards.render import render
from cards.view import CodeCard, Tone, View
from cards.views import codes, devices, finding, general, install, issuing, people, problems, tags
from cards.views import day as day_cards
from cards.views.common import question
from cards.views.issuing import Choices
from provisioning.batches import Batch
from provisioning.conversations import Conversation, ConversationKind
from provisioning.errors import Choice, DeviceExists, InvalidChoice, InvalidLocation, InvalidMac, TextTooLong
from provisioning.model import ActivationCode, Actor, Authority, Device, Person, Role, State
from provisioning.onsite import Answered, Installation, Problem
from provisioning.service.codes import CodePage, Revoked
from provisioning.service.day import Asked, Day, Job
from provisioning.service.devices import Added, Undone
from provisioning.service.finding import DeviceFacts, Listing, Nothing
from provisioning.service.handover import Delivery, InHand
from provisioning.service.installing import Saved, ScreenNotSeen
from provisioning.service.issuing import Issued, IssueOrder, Ledger, Outlook
from provisioning.service.lookup import Target
from provisioning.service.people import Ended, Roster, Workload
from provisioning.service.problems import PROBLEMS, NoAnswer
from provisioning.service.reading import Part
from provisioning.service.tags import Tagged
from provisioning.shares import Leading
from tests.cards.job_cards import job_cards
from tests.cards.rehearsal_cards import rehearsal_cards
from tests.cards.rollout_cards import rollout_cards
from tests.cards.rules import assert_good
from tests.cards.samples import CODE, HOSTILE, MAC
from tests.cards.sheet_cards import sheet_cards
from tests.pseudo import OPEN, pseudo, untranslated

NOW = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
ADMIN = Actor("a", "Dana", "t", frozenset({Role.ADMIN}))
TECHNICIAN = Actor("s", "Sam", "t", frozenset({Role.TECHNICIAN}))
BOTH = Actor("b", "Kim", "t", frozenset(Role))
ROOM = Conversation("19:x@thread.tacv2", ConversationKind.CHANNEL, "", "", "")
PLAIN_USER = "Zq"  # stands for whatever people type where only our own words are looked at


def all_devices(user: str) -> Iterator[Device]:
    """Each state, with a code that lives, has ended or is none, ours or Microsoft's, installed in each way or not,
    in trouble or not.
    """
    live = ActivationCode(1, NOW, NOW + timedelta(hours=24), "a", "k", "sealed", "digest")
    ended = replace(live, expires_at=NOW - timedelta(minutes=5), sealed=None)
    theirs = replace(live, digest=None, authority=Authority.TEAMS)
    theirs_ended = replace(ended, digest=None, authority=Authority.TEAMS)
    mounted = Installation("s", user, NOW, user, mounting_only=True)
    checked = Installation("s", user, NOW, user, checked=True, room=user[:60])
    seen = Installation("s", user, NOW, user, checked=True, screen=True)
    trouble = Problem("network", user, "s", user, NOW)
    helped = replace(trouble, answer=Answered(user, "a", user, NOW))
    codes_ = (None, live, ended, theirs, theirs_ended)
    states = itertools.product(State, codes_, (None, mounted, checked, seen), (None, trouble, helped))
    for number, (state, code, installed, problem) in enumerate(states):
        waiting = state is State.WAITING_FOR_ACTIVATION
        yield Device(
            mac=MAC,
            location=("Oslo/2/2.14", user, f"Oslo/{user}/{user}", f"Oslo/{user}")[number % 4] or "x",
            added_at=NOW,
            added_by="a",
            state=state,
            code=code if waiting else None,
            installed=installed,
            problem=problem,
            type=("", "phone", "room", "unheard of")[number % 4],
            model=user[:64],
            serial=user[:64],
            software="1.2.3",
            technician="s",
            life=1 + number % 2,
            provisioned_at=None if waiting else NOW,
            version=7,
        )


def cards_of(device: Device, user: str) -> Iterator[View]:
    """Everything that is ever shown about one device."""
    digits = CODE if device.live_code(NOW) else ""
    held, bare = InHand(device, digits, user), InHand(device, "", user)
    facts = DeviceFacts(device, user, NOW - timedelta(days=3))
    fault, unseen = TextTooLong(length=201, limit=200), ScreenNotSeen()
    for actor in (ADMIN, TECHNICIAN, BOTH):
        yield devices.device_card(facts, actor, NOW, "Moved.")
    asks = (None, Asked(user, NOW), Asked(user, NOW, refused=True), Asked("", NOW))
    for hand, asked, upcoming in itertools.product((held, bare), asks, (False, True)):
        yield day_cards.job_card(Job(hand, 3, 12, asked), NOW, user or "x", upcoming=upcoming, readers=("29:s",))
    yield codes.code_card(held, NOW)
    yield codes.code_card(bare, NOW, "x")
    yield from (devices.move_form(device, user[:200], fault), devices.remove_card(device, NOW))
    yield from (devices.removed_card(device), devices.swapped_card(device, device))
    yield from (codes.locked_card(device), codes.wanted_card(device, user))
    yield from (install.install_form(device, user, mounting_only=only, fault=f, note=user[:200])
                for only, f in itertools.product((False, True), (None, fault, unseen)))  # fmt: skip
    yield install.not_called_in(device)
    if device.installed:
        yield install.room_differs(device, NOW)
        yield from (install.saved_card(Saved(device, device.installed, again), NOW, who, user)
                    for again, who in itertools.product((False, True), ("s", "x")))  # fmt: skip
    yield from (
        problems.problem_form(device, f, user[:200]) for f in (None, fault, InvalidChoice(text="x", choices="y"))
    )
    yield from (problems.problem_sent(device), problems.problem_told(device, NOW))
    yield from (problems.answer_form(device, f, user[:200]) for f in (None, fault, NoAnswer()))
    yield devices.added_card(Added(Batch(kind="add", by="a", by_name=user, at=NOW, macs=(MAC,)), (device,), ()), NOW,
                             timedelta(minutes=10))  # fmt: skip


def other_cards(device: Device, user: str) -> Iterator[View]:
    """Everything else, empty and full."""
    kim = Person(id="00000000-0000-4000-8000-0000000000a2", name=user, upn=user, teams_id="29:k", asked_at=NOW,
                 roles=frozenset(Role), chat=ROOM)  # fmt: skip
    sam = replace(kim, id="00000000-0000-4000-8000-0000000000a1", chat=None, roles=frozenset(), reachable=False)
    ten = (device,) * 10
    issue = Batch(kind="issue", by="a", by_name=user, at=NOW, macs=(MAC,), kept=(MAC,), technician="s", expires_at=NOW)
    none = replace(issue, macs=(), kept=())
    searched = user[:100].replace("@", "")
    word = Part("site", searched or "x", searched)
    page = Listing(ten, 25, "x", {"s": user}, searched, 11, (word,), {MAC: NOW})
    nothing = (None, Nothing(), Nothing(searched or "x", ((searched or "x", searched),)))
    yield from (finding.listing_card(page, NOW), finding.listing_card(replace(page, exact=False), NOW))
    yield from (finding.listing_card(replace(page, devices=(), total=0, after=None, nothing=each), NOW)
                for each in nothing)  # fmt: skip
    yield finding.shared_card(device, NOW)
    tag, at = user[:40].replace("@", "") or "x", Target(site=user.replace("@", ""))
    yield from (tags.ask_tag(at, tag, 200), tags.ask_untag(at, tag, 200), tags.tags_card([(tag, 3)] * 12, 0))
    yield from (tags.tagged_card(Tagged(at, tag, n, 2, 1, removed))
                for n, removed in itertools.product((0, 3), (False, True)))  # fmt: skip
    yield from (devices.add_form(), devices.add_form(user[:60], user[:200], InvalidMac(text=user[:40])),
                devices.add_form("x", "y", InvalidLocation()), devices.undone_card(Undone(2)))  # fmt: skip
    wrong = tuple((n, DeviceExists(mac=MAC, location=user)) for n in range(1, 13))
    undo = timedelta(minutes=10)
    for added in (Added(none, (), ten), Added(none, (), (device,)), Added(none, (), (), wrong),
                  Added(none, (), (), wrong[:1]), Added(issue, ten * 2, ten)):  # fmt: skip
        yield devices.added_card(added, NOW, undo)
    sites = [("all", "all sites", 30), (user.casefold()[:100] or "x", user or "x", 30)]
    yield issuing.issue_form("Issue codes", Choices(sites[0][0], sites, (), (kim, sam)))
    floor = user[:50] or "2"
    one, wrong_floor = [("oslo", "Oslo", 3)], InvalidChoice(text=user, choices=user)
    yield issuing.issue_form("Issue codes", Choices("oslo", one, (floor,)), wrong_floor)
    refused = Issued(Target(site=user), (), 1, 2)
    yield from (issuing.nothing_to_issue(refused), issuing.nothing_to_issue(Issued(Target(site=user), ())))
    yield from (issuing.assign_form(issue, ()), issuing.assign_form(issue, (kim, sam)))
    yield issuing.own_code_question(device, "x", "24h")
    for floors, hands, hours in itertools.product(
        ((), (user[:50] or "2",), ("1", "2")), ((kim,), (kim, sam)), (24, 72)
    ):
        look = Outlook(150, 40, hands, timedelta(hours=hours), Leading((device,), floors))
        yield issuing.outlook_card(look, IssueOrder(Target(site="Oslo"), technicians=("a",)))
    ledger = (None, Delivery(kim, NOW, NOW), Delivery(kim), Delivery(sam))
    for batch, delivery in itertools.product((issue, none), ledger):
        yield issuing.issued_card(Ledger(batch, delivery, 1, user, user), NOW, notice=issuing.left_out(refused))
    for some in ((issue, none), (issue,) * 10):
        yield issuing.issued_many_card([Ledger(b, Delivery(kim, NOW, NOW), 1, user, user) for b in some], "a,b", NOW)
    yield from (codes.codes_card(CodePage((InHand(device, CODE, user),) * 10, 25, "x", searched, 11), NOW),
                codes.codes_card(CodePage((), 0, None, "", 1), NOW))  # fmt: skip
    yield from (
        codes.revoked_card(Revoked(), user),
        codes.revoked_card(Revoked(3, 2), user),
        issuing.assigned_card(2, kim, user),
    )
    yield codes.ask_many("revoke", "Revoke?", "Revoke", "all", "small")
    for day in (Day((), 0), Day((), 3), Day(ten * 3, 2)):
        yield from (day_cards.no_jobs(day), day_cards.jobs_card(day, NOW), day_cards.jobs_card(day, NOW, 20))
    for configured, count in itertools.product((False, True), (0, 3)):
        yield people.welcome_admin(user, user, configured=configured, devices=count)
    yield from (people.welcome_technician(user), people.no_access((), asked=False), people.access_ended())
    yield from (people.no_access((kim, sam), asked=asked) for asked in (False, True))
    for person in (kim, sam):
        yield from (people.access_asked(person), people.access_answered(person, user, NOW, person.roles))
        yield from (people.whoami(person, person.roles), people.unreachable_card(person, Workload(person, 1, 2)))
        yield people.revoke_form(Workload(person, 3, 2), (kim, sam), NOW, "-", user)
        yield from (people.ended_card(Ended(person, 2, 2, heir), NOW) for heir in (None, kim))
        yield people.left_group_card(Ended(replace(person, access_ended_at=NOW), 2, 2, None))
    roster = Roster((kim, sam) * 5, 25, "x", 11)
    yield people.roster_card(roster, {kim.id: kim.roles, sam.id: frozenset()}, {kim.id: kim.roles})
    yield people.roster_card(Roster((), 0, None, 1), {}, {})
    yield from rollout_cards(user, user).values()
    yield from (general.unknown(user, "issue <target> [to <person>]"), general.half(["x <y>"], "Summary."))
    yield general.command_help(["x <y>", "x"], "Summary.", "You may not.")
    yield general.help_card([("x <y> [to <z>]", "Summary.")] * 25, 10, ())
    yield from sheet_cards(user, user).values()
    yield from job_cards(user).values()
    yield from rehearsal_cards(user).values()
    choices = tuple(Choice(f"v{number}", user or "x") for number in range(6))
    yield question("Which one?", "device", "device", choices, {"device": user[:100]})


def check(view: View) -> dict[str, object]:
    card = render(view, operation="op-1")
    assert_good(card)
    grouped = (CODE, " ".join(CODE[n : n + 4] for n in (0, 4, 8)))
    unseen = f"{view.push}\n{card['fallbackText']}\n{json.dumps(card['actions'])}"
    assert not any(digits in unseen for digits in grouped)
    if isinstance(view, CodeCard):
        assert len(view.buttons) <= 3
    return card


@pytest.mark.parametrize("user", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_stay_words(user: str) -> None:
    user = user.replace("\ud800", "")[:200]
    everything = list(all_devices(user))
    for device in everything[::19]:
        for view in cards_of(device, user):
            check(view)
    for view in other_cards(everything[0], user):
        check(view)


def test_every_state_is_good_on_a_phone() -> None:
    seen: set[str] = set()
    for device in all_devices("Oslo"):
        for view in cards_of(device, "Sam"):
            if repr(view) not in seen:
                check(view)
            seen.add(repr(view))


def test_what_a_tone_says_is_said_in_our_words_too() -> None:
    """A title with a tone holds words of ours, not a name or a place alone; cards that read the same look the same."""
    tones: dict[str, set[str]] = {}
    with pseudo():
        for view in (view for device in all_devices("Oslo") for view in cards_of(device, "Sam")):
            if view.tone is not Tone.PLAIN:
                assert OPEN in view.title, view.title
            tones.setdefault(repr(replace(view, tone=Tone.PLAIN)), set()).add(view.tone)
    assert {words: both for words, both in tones.items() if len(both) > 1} == {}


def test_no_word_is_forgotten_by_the_translators() -> None:
    said_here = ("Summary.", "You may not.", "Which one?", "x ‹y› [to ‹z›]", " and ")
    sheets = ("Bergen", "Poly", "Excel", "CSV", "xlsx", ".xlsx", "codes", "Codes")
    known = (PLAIN_USER, "Oslo", "Yealink", *sheets, "YEALINK", *PROBLEMS, "op-1", "Sam", *said_here)
    forgotten: dict[str, str] = {}
    with pseudo():
        device = next(iter(all_devices(PLAIN_USER)))
        views = {repr(view): view for d in all_devices(PLAIN_USER) for view in cards_of(d, PLAIN_USER)}
        for view in (*views.values(), *other_cards(device, PLAIN_USER)):
            push = {"type": "TextBlock", "text": view.push}
            for text in (*untranslated(render(view, operation="op-1"), *known), *untranslated(push, *known)):
                forgotten[text] = view.title
    ours = {"x", "Issue codes", "Revoke?", "Revoke", "small", "Moved.", "all sites"}  # said by this test
    assert {text: title for text, title in forgotten.items() if text not in ours} == {}
