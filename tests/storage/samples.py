"""Records to put into stores: one of every kind, and devices by their place."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from provisioning.batches import Batch, Former
from provisioning.bookkeeping import Attempts, Lease, Operation, Segment
from provisioning.conversations import Conversation, ConversationKind
from provisioning.jobs import Job, JobKind, JobState
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.model import ActivationCode, Device, Person, Record, Role, State
from provisioning.onsite import Installation, Problem
from provisioning.photos import Photo, pieces_of
from provisioning.rollouts import Rollout
from provisioning.signin import SignIn, Stage
from provisioning.uploads import BadRow, RowFault, SheetRow, Upload, UploadPart, UploadState

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CHANNEL = Conversation(
    "19:oslo@thread", ConversationKind.CHANNEL, "https://smba.example/", "t-1", "28:bot", name="Oslo"
)
CHAT = Conversation("a:kim", ConversationKind.PERSONAL, "https://smba.example/", "t-1", "28:bot")
CODE = ActivationCode(1, NOW, NOW + timedelta(hours=24), "dana", "k1", "c2VhbGVk", "00ff")


def device(number: int = 1, location: str = "Oslo/2/2.14", **more: object) -> Device:
    return Device(mac=f"805EC0{number:06X}", location=location, added_at=NOW, added_by="dana", **more)  # type: ignore[arg-type]


def message(identity: str, lane: str = "kim", *, after: int = 0, **more: object) -> OutboxMessage:
    at = NOW + timedelta(seconds=after)
    given = {"kind": MessageKind.EDIT, "recipient": "kim", "subject": "805EC0000001", "created_at": NOW} | more
    return OutboxMessage(id=identity, lane=lane, due_at=at, **given)  # type: ignore[arg-type]


def import_of(identity: str, **more: object) -> Batch:
    return Batch(id=identity, kind="import", by="dana", by_name="Dana", at=NOW, macs=(), **more)  # type: ignore[arg-type]


def rich_device(number: int) -> Device:
    """Something in every field."""
    return device(
        number,
        "Oslo/2F/Møterom 2.14",
        state=State.SIGNED_IN,
        model="T57W",
        account="Room-2.14@contoso.com",
        technician="kim",
        tags=("lobby", "east"),
        notes="behind the door",
        asset_tag="AT-77",
        code=replace(CODE, issue=2),
        issued=2,
        token="ab" * 32,
        retry_until=NOW,
        installed=Installation("kim", "Kim", NOW, "ok", checked=True),
        problem=Problem("no network", "port dead", "kim", "Kim", NOW),
        renewals=(NOW, NOW + timedelta(hours=1)),
    )


def one_of_each() -> tuple[Record, ...]:
    person = Person(
        id="kim", name="Kim Berg", upn="Kim@Contoso.com", teams_id="29:kim", roles=frozenset(Role), chat=CHAT
    )
    return (
        rich_device(0xA1B2),
        replace(rich_device(0xA1B3), removed_at=NOW, installed=None, code=replace(CODE, sealed=None)),
        replace(person, asked_at=NOW),
        Rollout(
            channel=CHANNEL, site="Oslo", connected_by="dana", connected_by_name="Dana", started_at=NOW, reached=(25,)
        ),
        Post(
            conversation=CHAT,
            activity_id="1:2",
            reader="kim",
            subject="805EC0000001",
            view="device",
            params=(("site", "Oslo"), ("page", "2")),
            shows_code=True,
            posted_at=NOW,
            message="m1",
        ),
        Batch(id="b1", kind="add", by="dana", by_name="Dana", at=NOW, macs=("805EC0000001",)),
        Attempts(slot="00ff", failures=3, since=NOW),
        Operation(id="op1", at=NOW),
        Lease(name="sweep", holder="i1", until=NOW),
        Segment(number=1, first=1, last=9, count=9, newest=NOW, head="ab" * 32, sealed_at=NOW),
        message("m1", unique="edit:1"),
        message("m2", status=MessageStatus.SENT, settled_at=NOW),
        *of_imports(),
        *of_installs(),
        *of_remote(),
        *of_rollouts(),
    )


def of_imports() -> tuple[Record, ...]:
    """What came with imports: in stores since schema 3."""
    return (
        device(0xA1B4, "Oslo/2F/2.15", tags=("Lobby",), batch="b1"),
        import_of("i1", hides=True, before=(Former("805EC0000001", 3, "Oslo/1", tags=("east",), removed_at=NOW),)),
        Upload(
            id="u1",
            by="dana",
            by_name="Dana",
            at=NOW,
            name="fleet.xlsx",
            state=UploadState.READY,
            header=("MAC id", "Location"),
            total=3,
            new=2,
            wrong=1,
            sites=(("Oslo", 2),),
            faults=((4, RowFault.of("invalid_mac", {"text": "8x"})),),
            differing=(("805EC0000001", "Oslo/1", "Oslo/2"),),
            fault=RowFault.of("sheet_empty", {}),
            kept=(("Oslo/1", RowFault("moved_on")),),
            coded_at=NOW,
        ),
        UploadPart(
            upload="u1",
            number=0,
            rows=(SheetRow(2, "805EC0000001", "Oslo/1", tags=("lobby",), code="c2VhbGVk"),),
            bad=(BadRow(3, ("8x", "Oslo/2"), RowFault.of("invalid_mac", {"text": "8x"})),),
        ),
        Job(
            id="j1",
            kind=JobKind.ISSUE,
            by="dana",
            by_name="Dana",
            operation="dana:op:issue",
            params=(("site", "Oslo"), ("technicians", "kim,sam")),
            at=NOW,
            state=JobState.FAILED,
            done=100,
            total=300,
            counts=(("issued", 100),),
            batches=("b1",),
            since=NOW,
            since_done=20,
            progress_at=NOW,
            settled_at=NOW,
            fault=RowFault.of("forbidden", {"who": "admins"}),
        ),
    )


def of_installs() -> tuple[Record, ...]:
    """What came with installs on site: in stores since schema 4."""
    return (
        Photo(
            device="805EC0000001",
            life=2,
            by="kim",
            by_name="Kim",
            at=NOW,
            width=1024,
            height=768,
            pieces=pieces_of(bytes(range(256)) * 200),
        ),
    )


def of_remote() -> tuple[Record, ...]:
    """What came with remote sign-in and the watch over devices that do not call: in stores since schema 5."""
    asked = SignIn(
        id="s1",
        account="Room-2.14@contoso.com",
        account_id="o-1",
        by="dana",
        by_name="Dana",
        asked_at=NOW,
        interval=7.5,
    )
    shown = replace(
        asked,
        stage=Stage.CODE_SHOWN,
        sealed="c2VhbGVk",
        page="https://login.example/device",
        expires_at=NOW + timedelta(minutes=15),
        silent_since=NOW,
    )
    ended = replace(asked, stage=Stage.WRONG_ACCOUNT, ended_at=NOW, why="wrong_account", detail="lee@contoso.com")
    return (
        device(0xA1B5, "Oslo/2F/2.16", sign_in=asked),
        device(0xA1B6, "Oslo/2F/2.17", sign_in=shown, offline_since=NOW),
        device(0xA1B7, "Oslo/2F/2.18", sign_in=ended, offline_since=NOW - timedelta(days=40), stale=True),
    )


def of_rollouts() -> tuple[Record, ...]:
    """What came with rollouts that people watch: in stores since schema 6."""
    return (
        device(0xA1B8, "Oslo/2F/2.19", state=State.WAITING_FOR_SIGN_IN, provisioned_at=NOW),
        Rollout(
            channel=replace(CHANNEL, id="19:lobby@thread", name="Lobby"),
            site="",
            tag="lobby",
            on_site=True,
            connected_by="dana",
            connected_by_name="Dana",
            started_at=NOW,
            lead="dana",
            technicians=("kim", "sam"),
            lifetime_hours=48,
            planned_start=NOW,
            planned_end=NOW + timedelta(days=5),
            paused_at=NOW,
            finished_at=NOW,
        ),
        message("m3", failure="unreachable", retried=(NOW,), attempts=2),
    )
