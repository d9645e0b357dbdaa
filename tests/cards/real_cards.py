"""Every card of the product in each of its states, built by the views from what the business returns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.handlers import all_routes
from cards.view import Button, View
from cards.views import (
    codes,
    day,
    devices,
    ending,
    finding,
    forgetting,
    general,
    install,
    issuing,
    languages,
    people,
    problems,
    tags,
)
from cards.views.common import note, question
from cards.views.issuing import Choices
from provisioning.batches import Batch
from provisioning.codes import Key, Keyring
from provisioning.conversations import Conversation, ConversationKind
from provisioning.errors import Choice, MacWrongLength
from provisioning.model import Actor, Authority, Device, Person, Role, State
from provisioning.onsite import Answered, CodeRequest, Installation, Problem
from provisioning.photos import Photo
from provisioning.service.codes import CodePage, Revoked
from provisioning.service.day import Asked, Day, Job
from provisioning.service.devices import Added, Undone
from provisioning.service.extending import Ends
from provisioning.service.finding import DeviceFacts, Listing, Nothing
from provisioning.service.handover import Delivery, InHand
from provisioning.service.installing import RoomOfAnother, Saved, ScreenNotSeen
from provisioning.service.issuing import Issued, IssueOrder, Ledger, Outlook
from provisioning.service.lookup import Target
from provisioning.service.people import Ended, Roster, Workload
from provisioning.service.problems import NoAnswer, UnknownProblem
from provisioning.service.radar import Renewed
from provisioning.service.reading import Part
from provisioning.service.tags import Tagged
from provisioning.shares import Leading
from provisioning.texts import Speech
from tests.cards.attack_cards import attack_cards
from tests.cards.audit_cards import audit_cards
from tests.cards.job_cards import job_cards
from tests.cards.photo_cards import photo_cards
from tests.cards.picture_cards import picture_cards
from tests.cards.rehearsal_cards import rehearsal_cards
from tests.cards.remote_cards import remote_cards
from tests.cards.rollout_cards import rollout_cards
from tests.cards.sheet_cards import sheet_cards
from tests.cards.signing_cards import signing_cards
from tests.cards.stray_cards import stray_cards
from tests.cards.telling_cards import telling_cards
from tests.cards.webhook_cards import webhook_cards

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
SOON, MORNING = NOW + timedelta(hours=23, minutes=38), NOW - timedelta(minutes=22)
TENANT = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001"
DIGITS = "482913760257"
KEYS = Keyring([Key("k1", bytes(range(32)))])
CHAT = Conversation("a:sam", ConversationKind.PERSONAL, "http://127.0.0.1/", TENANT, "28:bot")
ADMIN = Actor(id="dana", name="Dana Admin", tenant=TENANT, roles=frozenset({Role.ADMIN}))
DANA = Person(id="dana", tenant=TENANT, name="Dana Admin", upn="dana@contoso.example", chat=CHAT, roles=ADMIN.roles)
TECHNICIAN = frozenset({Role.TECHNICIAN})
SAM = Person(id="sam", tenant=TENANT, name="Sam Technician", upn="sam@contoso.example", chat=CHAT, roles=TECHNICIAN)
KIM = Person(id="kim", tenant=TENANT, name="Kim Elisabeth Nordmann", upn="kim@contoso.example")


def real_cards(
    location: str = "Oslo/2/2.14", name: str = "Sam Technician", words: str = "left of the door"
) -> dict[str, View]:
    """Named views; the texts are what people typed into places, names and notes."""
    made = _Cards(location, replace(SAM, name=name), words)
    ours = {**made.codes(), **made.devices(), **made.general(), **made.onsite(), **made.people()}
    ours |= {**stray_cards(made.live, made.ended, name), **made.photos()}
    ours |= signing_cards(made.called, made.row, name)
    ours |= rollout_cards(location.partition("/")[0], name)
    ours |= remote_cards(made.live, made.called, made.row, words)
    ours |= audit_cards(made.live, name, words)
    ours |= telling_cards(made.live, name)
    ours |= webhook_cards()
    ours |= attack_cards(made.live, name)
    site = location.partition("/")[0]
    return {**ours, **sheet_cards(site, name), **job_cards(site), **picture_cards(site), **rehearsal_cards(site)}


def _mac(number: int) -> str:
    return f"805EC01122{0x33 + number:02X}"


class _Cards:
    def __init__(self, location: str, sam: Person, words: str) -> None:
        self.sam, self.words = sam, words
        self.bare = self.device(location)
        code = KEYS.issue(self.bare.mac, DIGITS, 1, MORNING, timedelta(hours=24), "dana")
        self.live = replace(self.bare, code=code, issued=1)
        self.ended = replace(self.live, code=replace(code, expires_at=MORNING))
        fresh = replace(self.bare, issued=1, provisioned_at=NOW, state=State.WAITING_FOR_SIGN_IN)
        self.called = replace(fresh, type="phone", model="MP56", software="122.15.0.142", serial="3105C0")
        self.word = Installation(by="sam", by_name=sam.name, at=NOW, note=words, checked=True)
        self.installed = replace(self.called, installed=self.word)
        brought = KEYS.receive(self.bare.mac, "482913", 1, MORNING, timedelta(hours=24), "dana")
        self.teams = replace(self.bare, code=brought, issued=1)
        self.teams_ended = replace(self.teams, code=replace(brought, sealed=None, expires_at=MORNING))
        seen = replace(self.word, screen=True)
        self.teams_seen = replace(self.teams_ended, installed=seen)
        trouble = Problem(kind="broken", note=words, by="sam", by_name=sam.name, at=NOW)
        self.troubled = replace(self.live, problem=trouble)
        answer = Answered(words, "dana", "Dana Admin", NOW)
        self.answered = replace(self.live, problem=replace(trouble, answer=answer))
        self.refused = CodeRequest("sam", sam.name, NOW, ("dana",), "Dana Admin", NOW)
        self.row = [self.device(f"Oslo/{2 + n // 5}/{2 + n // 5}.{14 + n % 5}", n) for n in range(10)]
        self.batch = Batch(id="b1", kind="issue", by="dana", by_name="Dana Admin", at=NOW, macs=(), expires_at=SOON)

    def device(self, location: str, number: int = 0) -> Device:
        return Device(
            mac=_mac(number),
            location=location,
            added_at=NOW,
            added_by="dana",
            technician="sam",
            type="phone",
            version=4,
        )

    def codes(self) -> dict[str, View]:
        sites = (("all", "all sites", 197), ("oslo", "Oslo", 150), ("bergen", "Bergen", 47))
        many = replace(self.batch, macs=tuple(map(_mac, range(38))), kept=(_mac(40), _mac(41)), technician="sam")
        one = replace(self.batch, macs=(_mac(0),))
        told = Delivery(self.sam, NOW, NOW + timedelta(minutes=5))
        held = InHand(self.live, DIGITS, self.sam.name)
        page = CodePage(
            tuple(InHand(replace(d, code=self.live.code), DIGITS, self.sam.name) for d in self.row), 38, "x", "Oslo", 1
        )
        return {
            "issue-one-site": issuing.issue_form(
                "Issue codes: Oslo", Choices("oslo", sites[1:2], ("1", "2"), (self.sam, KIM), "sam,kim", "floor")
            ),
            "issue-all": issuing.issue_form("Issue codes", Choices("all", sites, (), (self.sam,))),
            "issue-nothing": issuing.nothing_to_issue(Issued(Target(site="Oslo"), (), teams=12)),
            "issue-hint": issuing.outlook_card(
                Outlook(150, 40, (self.sam,), timedelta(hours=24), Leading((*self.row,) * 4, ("1", "2"))),
                IssueOrder(Target(site="Oslo"), technicians=("sam",)),
            ),
            "issue-own": issuing.own_code_question(self.teams_ended, "sam", ""),
            "issued-to-sam": issuing.issued_card(
                Ledger(many, told, 2, "2.14", "3.20"), NOW, notice=issuing.left_out(Issued(Target(), (), 2, 3))
            ),
            "issued-unreachable": issuing.issued_card(Ledger(one, Delivery(replace(KIM, reachable=False))), NOW),
            "issued-to-nobody": issuing.issued_card(Ledger(one), NOW),
            "issued-to-three": issuing.issued_many_card(
                (Ledger(many, told, 2, "2.14", "3.20"), Ledger(one, Delivery(KIM)), Ledger(one)), "b1,b1,b1", NOW,
                readers=("29:dana",),
            ),
            "issued-on-site": issuing.issued_card(Ledger(replace(many, on_site=True, expires_at=None), told, 0), NOW),
            "issued-on-site-many": issuing.issued_many_card(
                [Ledger(replace(one, on_site=True, expires_at=None), told, 0, "2.14", "2.14")] * 2, "b1,b1", NOW,
                notice=issuing.left_out(Issued(Target(), (), nobody=3)),
            ),
            "assign": issuing.assign_form(many, (self.sam, KIM)),
            "assign-nobody": issuing.assign_form(many, ()),
            "code": codes.code_card(held, NOW),
            "codes": codes.codes_card(page, NOW),
            "code-teams": codes.code_card(InHand(self.teams, "482913", self.sam.name), NOW),
            "codes-mixed": codes.codes_card(
                CodePage((held, InHand(self.teams, "482913", self.sam.name)), 2, None, "", 1), NOW
            ),
            "wanted-teams": codes.wanted_card(self.teams_ended, self.sam.name),
            "codes-none": codes.codes_card(CodePage((), 0, None, "", 1), NOW),
            "revoked": codes.revoked_card(Revoked(12, 3), "Oslo"),
            "revoked-none": codes.revoked_card(Revoked(), "Oslo"),
            "revoke-ask": codes.ask_many("revoke", "Revoke every live code of Oslo?", "Revoke", "oslo", "For ever."),
            "assigned": issuing.assigned_card(12, self.sam, "Oslo"),
            "locked": codes.locked_card(self.bare),
            "wanted": codes.wanted_card(self.bare, self.sam.name),
            "wanted-refused": codes.answered_card(replace(self.bare, request=self.refused), NOW),
            "wanted-issued": codes.answered_card(self.live, NOW),
            "wanted-over": codes.answered_card(self.called, NOW),
        }  # fmt: skip

    def devices(self) -> dict[str, View]:
        def facts(device: Device) -> DeviceFacts:
            seen = NOW - timedelta(minutes=3) if device.provisioned else None
            return DeviceFacts(device, self.sam.name, seen, "Contoso")

        states = {"bare": self.bare, "live": self.live, "ended": self.ended, "called": self.called}
        states |= {"teams": self.teams, "teams-ended": self.teams_ended, "teams-seen": self.teams_seen}
        states |= {"installed": self.installed, "problem": self.troubled}
        rows = (self.troubled, self.live, self.called, self.installed, self.teams, self.teams_seen, *self.row[6:])
        bad = MacWrongLength(text="80-5E-C0-11-22", digits=10)
        new = (self.bare, *self.row[1:3])
        batch = replace(self.batch, kind="add", macs=tuple(d.mac for d in new))
        undo = timedelta(minutes=10)
        return {
            **{f"device-{name}": devices.device_card(facts(d), ADMIN, NOW) for name, d in states.items()},
            "device-moved": devices.device_card(facts(self.bare), ADMIN, NOW, notice="Moved."),
            **self.finding(rows),
            "add": devices.add_form(),
            "add-refused": devices.add_form("80-5E-C0-11-22", self.bare.location, bad),
            "added": devices.added_card(Added(batch, new, (self.row[5],)), NOW, undo),
            "added-one": devices.added_card(Added(batch, new[:1], ()), NOW, undo),
            "added-none": devices.added_card(Added(batch, (), new[:1]), NOW, undo),
            "added-faults": devices.added_card(Added(batch, (), (), ((2, bad), (7, bad))), NOW, undo),
            "undone": devices.undone_card(Undone(len(batch.macs))),
            "move": devices.move_form(self.bare),
            "remove": devices.remove_card(self.live, NOW),
            "remove-called": devices.remove_card(self.called, NOW),
            "removed": devices.removed_card(self.bare),
            "swapped": devices.swapped_card(self.row[0], self.row[1]),
        }

    def finding(self, rows: tuple[Device, ...]) -> dict[str, View]:
        parts = (
            Part("state", "waiting", "waiting", {"state": State.WAITING_FOR_ACTIVATION}),
            Part("site", "oslo", "Oslo"),
            Part("vendor", "yealink", "Yealink"),
        )
        more = (*parts, Part("tag", "lobby", "#East wing, ground floor"), Part("technician", "sam", self.sam.name))
        names, seen = {"sam": self.sam.name}, {self.called.mac: NOW - timedelta(minutes=3)}
        page = Listing(rows, 20_000, "x", names, "waiting oslo yealink", 1, parts, seen)
        none = Listing((), 0, None, {}, "waiting bergn", 1, parts[:1])
        near = Nothing("bergn", (("Bergen", "waiting Bergen"), ("#bergen-east", "waiting #bergen-east")))
        site, tag = Target(site="Oslo"), Target(tag="Lobby")
        return {
            "devices": finding.listing_card(page, NOW),
            "devices-many": finding.listing_card(replace(page, parts=more, exact=False), NOW),
            "devices-none": finding.listing_card(Listing((), 0, None, {}, "", 1), NOW),
            "devices-near": finding.listing_card(replace(none, nothing=near), NOW),
            "devices-apart": finding.listing_card(replace(none, parts=parts, nothing=Nothing()), NOW),
            "shared": finding.shared_card(self.live, NOW),
            "shared-problem": finding.shared_card(self.troubled, NOW),
            "tag-ask": tags.ask_tag(site, "Lobby", 20_000),
            "untag-ask": tags.ask_untag(site, "Lobby", 20_000),
            "tagged": tags.tagged_card(Tagged(site, "Lobby", 19_990, 8, 2)),
            "tagged-none": tags.tagged_card(Tagged(site, "Lobby", 0, 12)),
            "untagged": tags.tagged_card(Tagged(tag, "Lobby", 120, 3, removed=True)),
            "tags": tags.tags_card([(f"tag {n}", 2_000 - n) for n in range(25)]),
            "tags-none": tags.tags_card([]),
        }

    def general(self) -> dict[str, View]:
        entries = [(route.commands[-1].usage, route.summary) for route in all_routes().help_for(ADMIN)]
        quick = (Button("add_form", "Add"), Button("devices", "Devices"), Button("next", "Next device"))
        choices = (Choice("805EC0112233", "2.14, ends 22:33"), Choice("805EC0112234", "2.14, ends 22:34"))
        return {
            "help": general.help_card(entries, 0, quick),
            "help-more": general.help_card(entries, 10, ()),
            "help-command": general.command_help(("issue <target> [to <person>]", "issue"), "Issue codes.", ""),
            "unknown": general.unknown(self.words, "issue <target>"),
            "half": general.half(("move <device> to <location>",), "Change a device's location."),
            "question": question('"2.14" can be several. Which one?', "device", "device", choices, {}),
            "note": note("This device is off the list."),
            "language": languages.choice_card(Speech(), chosen=False),
            "language-chosen": languages.chosen_card(Speech(), chosen=True),
        }  # fmt: skip

    def ending(self) -> dict[str, View]:
        """Codes in their last hour, and what one tap did about them."""
        assert self.live.code
        soon = replace(self.live.code, expires_at=NOW + timedelta(minutes=40))
        near = tuple(replace(device, code=soon) for device in self.row[1:])
        late = tuple(replace(device, code=self.ended.code) for device in self.row[:2])
        held = {
            left: replace(self.live, code=replace(soon, expires_at=NOW + timedelta(minutes=left))) for left in (60, 5)
        }

        def card(device: Device, digits: str) -> View:
            return day.job_card(Job(InHand(device, digits), 1, 12), NOW, "Contoso")

        since, names = NOW.isoformat(), {"sam": self.sam.name}
        teams = replace(self.teams, code=replace(soon, authority=Authority.TEAMS))
        return {
            **{f"job-ends-{left}": card(device, DIGITS) for left, device in held.items()},
            "job-teams-ends": card(teams, "482913"),
            "ending": ending.ending_card(Ends(near, 2), since, NOW),
            "ending-mixed": ending.ending_card(Ends((*late, *near)), since, NOW),
            "ending-one": ending.ending_card(Ends(near[:1]), since, NOW),
            "ending-helpless": ending.ending_card(Ends(late, 2), since, NOW),
            "extend": ending.to_extend_card(Ends((*near, teams), 3), "b1", names, NOW),
            "extend-sites": ending.to_extend_card(Ends((*late, self.bare, self.row[2])), "b1", {}, NOW),
            "extend-teams": ending.to_extend_card(Ends((teams,), 1), "b1", names, NOW),
            "renewed": ending.renewed_card(Renewed(12)),
            "renewed-some": ending.renewed_card(Renewed(8, 3, 1)),
            "renewed-none": ending.renewed_card(Renewed()),
            "extended": ending.extended_card(38, 2),
            "extended-none": ending.extended_card(0, 0),
        }  # fmt: skip

    def onsite(self) -> dict[str, View]:
        def job(device: Device, digits: str = "", **more: Any) -> View:
            asked = more.pop("asked", None)
            held = Job(InHand(device, digits, self.sam.name), 1, 12, asked=asked)
            return day.job_card(held, NOW, "Contoso", readers=("29:sam",), **more)

        open_ = tuple(replace(d, code=self.live.code) for d in self.row)
        unknown, elsewhere = UnknownProblem(), replace(self.word, room="2.20")
        saved = Saved(self.installed, self.word)
        mounted, seen = replace(self.word, mounting_only=True), replace(self.word, screen=True)

        def said(saved: Saved) -> View:
            return install.saved_card(saved, NOW, "sam", "Contoso")

        return {
            "job-next": job(self.live, DIGITS, upcoming=True),
            "job-hidden": job(self.live),
            "job-without-code": job(self.bare),
            "job-ended": job(self.ended),
            "job-asked": job(self.ended, asked=Asked(DANA.name, NOW)),
            "job-refused": job(self.ended, asked=Asked(DANA.name, NOW, refused=True)),
            "job-nobody-to-ask": job(self.ended, asked=Asked("", NOW)),
            "job-called-in": job(self.called),
            "job-installed": job(self.installed),
            "job-problem": job(self.troubled),
            "job-answered": job(self.answered),
            "job-teams": job(self.teams, "482913", upcoming=True),
            "job-teams-ended": job(self.teams_ended),
            "job-teams-asked": job(self.teams_ended, asked=Asked(DANA.name, NOW)),
            "job-teams-seen": job(self.teams_seen),
            **self.ending(),
            "jobs-none": day.no_jobs(Day((), 0)),
            "morning": day.job_card(Job(InHand(self.bare), 1, 12), NOW, "Contoso", upcoming=True),
            "jobs-all-done": day.no_jobs(Day((), 12)),
            "jobs-stuck": day.no_jobs(Day((self.troubled,), 11)),
            "jobs": day.jobs_card(Day((self.troubled, self.called, *open_, self.bare), 3), NOW),
            "install": install.install_form(self.called, "Contoso", mounting_only=False),
            "install-another-room": install.install_form(
                self.called, "Contoso", mounting_only=False, room="2.16",
                fault=RoomOfAnother(room="2.16", end="22:34", place="2.14"),
            ),
            "room-differs": install.room_differs(replace(self.installed, installed=elsewhere), NOW),
            "install-teams": install.install_form(self.teams, "Contoso", mounting_only=False),
            "install-not-called-in": install.not_called_in(self.live),
            "install-not-seen": install.install_form(
                self.teams, "Contoso", mounting_only=False, note=self.words, fault=ScreenNotSeen()
            ),
            "installed": said(saved),
            "installed-again": said(replace(saved, again=True)),
            "installed-mounting": said(Saved(replace(self.live, installed=mounted), mounted)),
            "installed-teams": said(Saved(self.teams_seen, seen)),
            "installed-teams-mounting": said(Saved(replace(self.teams, installed=mounted), mounted)),
            "problem-form": problems.problem_form(self.live),
            "problem-refused": problems.problem_form(self.live, unknown, self.words),
            "problem-sent": problems.problem_sent(self.troubled),
            "problem-told": problems.problem_told(self.troubled, NOW),
            "problem-told-answered": problems.problem_told(self.answered, NOW),
            "problem-told-solved": problems.problem_told(self.live, NOW),
            "answer-form": problems.answer_form(self.troubled),
            "answer-refused": problems.answer_form(self.troubled, NoAnswer(), self.words),
        }  # fmt: skip

    def photos(self) -> dict[str, View]:
        """Those of pictures, and the cards that a picture is waited for or kept with."""
        photo = Photo(
            device=_mac(0), life=1, by="sam", by_name=self.sam.name, at=NOW, width=1024, height=768, pieces=()
        )
        word = replace(self.word, photo=photo.key)
        device = replace(self.installed, installed=word)
        shown = DeviceFacts(device, self.sam.name, NOW, "Contoso", photo)
        return {
            "device-photo": devices.device_card(shown, ADMIN, NOW),
            "device-photo-teams": devices.device_card(replace(shown, device=self.teams_seen), ADMIN, NOW),
            "installed-photo": install.saved_card(Saved(device, word), NOW, "sam", "Contoso", photo=True),
            **photo_cards(self.live, device, self.words),
        }

    def people(self) -> dict[str, View]:
        asking = replace(KIM, asked_at=NOW)
        work = Workload(replace(self.sam, version=3), 12, 9)
        roster = Roster((DANA, self.sam, asking), 14, "x", 1)
        roles = {"dana": ADMIN.roles, "sam": TECHNICIAN, "kim": frozenset[Role]()}
        return {
            "welcome-admin": people.welcome_admin("Dana Admin", "Contoso", configured=True, devices=0),
            "welcome-again": people.welcome_admin("Dana Admin", "Contoso", configured=False, devices=150),
            "welcome-technician": people.welcome_technician(self.sam.name),
            "no-access": people.no_access((DANA, KIM), asked=False),
            "no-access-asked": people.no_access((DANA,), asked=True),
            "access-asked": people.access_asked(asking),
            "access-granted": people.access_answered(self.sam, "Dana Admin", NOW, TECHNICIAN),
            "access-refused": people.access_answered(KIM, "", NOW, frozenset()),
            "access-ended": people.access_ended(),
            "people": people.roster_card(roster, roles, {"sam": TECHNICIAN}),
            "whoami": people.whoami(self.sam, TECHNICIAN),
            "whoami-by-group": people.whoami(self.sam, TECHNICIAN, "", TECHNICIAN),
            "revoke-access": people.revoke_form(work, (self.sam, KIM), NOW),
            "revoke-access-alone": people.revoke_form(
                replace(work, reached=Delivery(self.sam, NOW, NOW)), (self.sam,), NOW
            ),
            "access-revoked": people.ended_card(Ended(self.sam, 12, 9, KIM), NOW),
            "access-ended-by-itself": people.left_card(Ended(replace(self.sam, access_ended_at=NOW), 12, 9, None)),
            "left-group": people.left_group_card(Ended(replace(self.sam, access_ended_at=NOW), 12, 9, None)),
            "access-revoked-nobody": people.ended_card(Ended(self.sam, 12, 9, None), NOW),
            "unreachable": people.unreachable_card(self.sam, work),
            "forget": forgetting.forget_question(self.sam),
            "forgotten": forgetting.forgotten(self.sam),
        }
