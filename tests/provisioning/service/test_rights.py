"""Every door of the core: whoever has no role is refused everywhere, and what needs no actor is known by name."""

import inspect
from collections.abc import Mapping

import pytest

from provisioning.batches import Batch
from provisioning.documents.evidence import Evidence
from provisioning.errors import NoAccess
from provisioning.model import Role
from provisioning.rollouts import Rollout
from provisioning.service import Provisioning
from provisioning.service.exporting import Take
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from storage.memory_store import MemoryStore
from tests.provisioning.world import DANA, LEE, SAM, A, World, channel, member


@pytest.fixture
def store() -> MemoryStore:
    """Rights are asked about before any store is, so one store is enough here."""
    return MemoryStore()


ANYBODY = {
    "ask_access": "whoever has no role asks for one",
    "choose_language": "everybody reads, the stranger who is refused too",
    "device": "names a device; finds only what the actor may see",
    "device_and_rest": "names a device at the head of a line; the same",
    "target": "names a device or a site; each use of it requires its own right",
    "target_words": "names a device, a site or a tag at the head of a line; the same",
    "search": "finds only what the actor may see",
    "once": "marks that a wish was heard; what it wishes for requires its own right",
    "astray": "answers None for whatever is not in the actor's own hands",
    "told_lately": "asks about the actor's own cards",
    "doubted": "answers None for whatever the actor may not see",
    "redraw_job": "answers None for whatever the actor may not see",
}
PARTS = {
    "unit",
    "in_parts",
    "photo_wait",
    "due",
    "hearer_of",
    "assigned",
    "fresh_code",
    "require_technician",
    "departed",
    "roles_of",
    "group_roles_of",
    "by_group_alone",
    "actor_of",
    "now",
}
LOOKUPS = {
    "heir_of",
    "admins",
    "technicians",
    "person",
    "receivers",
    "usual",
    "starts_on_site",
    "handed_on",
    "who",
    "names",
    "site",
    "sites",
    "tag",
    "scope",
    "parts",
    "speech_of",
    "devices_of",
    "live_of",
    "jobs_of",
    "problem_of",
    "renewals_left",
    "whereabouts",
    "require_as_shown",
    "silent_of",
    "hearing",
    "hearings",
    "digest_for",
    "counts",
    "progress_of",
    "pace_of",
    "underway",
    "planned_for",
    "to_channels",
    "faults",
}
DOORS_OWN = {
    "encounter",
    "meet",
    "acquaint",
    "found_chat",
    "left",
    "lost",
    "left_team",
    "heard_in",
    "end_leaver",
    "ended_by_itself",
    "delivery",
    "rollout_in",
    "burn_up_in",
    "followed_in",
    "lead_in",
    "card_readers",
    "alerted_lately",
    "rollouts_meant",
    "followers",
    "channel_speech",
    "thread_of",
    "question_about",
    "look_up",
    "welcome",
    "ended_by_group",
}
RELAY = {
    "claim",
    "wanted",
    "sent",
    "dropped",
    "failed",
    "post",
    "remember",
    "stands",
    "catch_up",
    "forget",
    "opened",
    "redraw",
    "card_gone",
    "places",
    "postpone",
    "posted_again",
    "due_again",
    "among_relays",
    "relay_rests",
}
TOKEN = {"events_after"}  # whoever asks showed the token of the stream
HOOKS = {"next_events", "serves", "leave_endpoint", "event_taken", "event_not_taken", "abandon_events"}
ITSELF = {
    "sweep",
    "erase_forgotten",
    "holds",
    "let_go",
    "rest",
    "verify",
    "verify_in_turn",
    "codes_without_key",
    "foreign_keys",
    "unfinished",
    "go_on",
    "greet",
    "tell_digests",
    "watch_codes",
    "watch_contact",
    "refresh_cards",
    "write_seen",
    "write_turned_away",
    "watch_attack",
    "look_again",
}  # unasked
ORDERS = {"running_jobs", "carry_out"}  # in the name of whoever began it, whose rights are asked about anew
POLLS = {"count_sign_ins", "live_sign_ins", "ask_provider", "take_answer"}  # so too
UPLOADS = {  # steps of what somebody with the right began
    *("read_upload", "fail_upload", "wrong_rows", "step_of", "redrawn", "in_state", "batch_of", "clear", "unmake"),
    *("quietly", "in_time", "has_code", "unwrapped", "erase", "require_new"),
}
DEVICES = {
    "provision",
    "diagnose",
    "device_status",
    "settle_command",
    "report_reset",
    "release_polls",
}  # these bring a code or a token


def public() -> Mapping[str, inspect.Signature]:
    found = inspect.getmembers(Provisioning, inspect.isfunction)
    return {name: inspect.signature(function) for name, function in found if not name.startswith("_")}


WITH_ACTOR = sorted(name for name, signature in public().items() if "actor" in signature.parameters)


def test_what_takes_no_actor_is_known_by_name() -> None:
    """A new use case without an actor has to be put into one of these lists by hand, and be looked at."""
    without = public().keys() - set(WITH_ACTOR)
    known = PARTS | LOOKUPS | DOORS_OWN | RELAY | HOOKS | TOKEN | ITSELF | UPLOADS | ORDERS | POLLS | DEVICES
    assert without - known == set()


@pytest.mark.parametrize("name", [name for name in WITH_ACTOR if name not in ANYBODY.keys() | PARTS])
async def test_somebody_without_a_role_is_refused(world: World, name: str) -> None:
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("2.14", SAM)
    await world.core.meet(member(LEE, "Lee Moe"), None)
    sam = await world.person(SAM)
    batch = Batch(kind="issue", by="x", by_name="x", at=world.clock.now(), macs=(A,), kept=(A,))
    values: dict[str, object] = {
        "actor": await world.actor(LEE),
        "text": A,
        "one": A,
        "other": "2.14",
        "mac": A,
        "by": "805EC0FFFF01",
        "to": "Oslo/9",
        "wanted": [],
        "words": "",
        "order": IssueOrder(Target(site="Oslo")),
        "target": Target(site="Oslo"),
        "technician": sam,
        "person": sam,
        "batch": batch,
        "key": "x",
        "name": "oslo.csv",
        "form": "csv",
        "take": Take(Target(site="Oslo")),
        "role": Role.ADMIN,
        "kind": "broken",
        "params": {},
        "channel": channel(),
        "on_site": True,
        "macs": (A,),
        "picture": Evidence(b"", 1, 1),
        "until": "",
        "confirm": "2233",
        "command_id": "x",
        "account": "room@contoso.com",
        "at": None,
        "topic": None,
        "topics": (),
        "digest": None,
        "quiet": None,
        "person_id": SAM,
        "revision": 1,
        "channel_id": channel().id,
        "rollout": Rollout(
            channel=channel(), site="Oslo", connected_by=DANA, connected_by_name="", started_at=world.clock.now()
        ),
    }
    every = [p for p in public()[name].parameters.values() if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    required = [p for p in every if p.default is p.empty]
    before = await world.facts()
    with pytest.raises(NoAccess):
        asked = getattr(world.core, name)(**{parameter.name: values[parameter.name] for parameter in required})
        await (anext(asked) if inspect.isasyncgen(asked) else asked)
    assert await world.facts() == before
