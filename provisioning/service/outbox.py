"""What is to be told, and the cards that stand in chats: claim, settle, remember."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from provisioning import notifications
from provisioning.bookkeeping import Lease
from provisioning.delivery_errors import DeliveryError, Rejected, Unreachable
from provisioning.errors import Conflict, Duplicate
from provisioning.jobs import Job
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.model import Actor, Change, Device, Person
from provisioning.notifications import BOARDS, edit, postponed, settled, tell
from provisioning.service.people import SERVICE
from provisioning.service.reach import Reach
from provisioning.telling import ALWAYS
from provisioning.uploads import Upload

LEASE = timedelta(seconds=60)
RELAY = "relay:"  # leases of that name, one for each instance that delivers
COUNTED = timedelta(seconds=45)
AT_ONCE = 32  # messages under way together, each in its own lane
UNCHANGED = "unchanged"  # why an edit was dropped: the card says the same already
SETTLED = "settled"  # why a message was dropped: what it was about is over


class Outbox(Reach):
    async def claim(self, limit: int = AT_ONCE) -> Sequence[OutboxMessage]:
        return await self.store.claim(self.now(), LEASE, limit)

    async def places(self, messages: Sequence[OutboxMessage]) -> Mapping[str, str]:
        """Into which conversation each message (by id) goes; empty where that is not known before it is sent."""
        people = await self.store.get_many(Person, list({m.recipient for m in messages}))
        chats = {id_: person.chat.id if person.chat else "" for id_, person in people.items()}
        return {
            m.id: m.subject.rpartition("|")[0] if m.kind is MessageKind.EDIT else chats.get(m.recipient, m.recipient)
            for m in messages
        }

    async def postpone(self, later: Sequence[tuple[OutboxMessage, datetime]]) -> None:
        """Claimed messages whose conversation takes none for a while; nothing was tried."""
        if later:
            await self.store.save(Change(puts=tuple(postponed(message, due) for message, due in later)))

    # -------------------------------------------------------------- instances

    async def among_relays(self) -> tuple[int, int]:
        """Which of how many instances that deliver this one is, counted from 0; from now on the others count it too.

        An instance that is gone counts until its lease runs out.
        """
        mine = RELAY + self.instance

        async def decide() -> tuple[Change, tuple[int, int]]:
            now = self.now()
            known = {lease.name: lease for lease in await self._relays()}
            others = {name: lease for name, lease in known.items() if name != mine}
            alive = sorted({mine, *(name for name, lease in others.items() if now < lease.until <= now + 2 * COUNTED)})
            version = known[mine].version if mine in known else 0
            lease = Lease(name=mine, holder=self.instance, until=now + COUNTED, version=version)
            gone = tuple(lease for name, lease in others.items() if name not in alive)
            return Change(puts=(lease,), deletes=gone), (alive.index(mine), len(alive))

        return await self.quietly(decide)

    async def relay_rests(self) -> None:
        """This instance delivers nothing from here on."""

        async def decide() -> tuple[Change, None]:
            mine = await self.store.get(Lease, RELAY + self.instance)
            return Change(deletes=(mine,) if mine else ()), None

        await self.quietly(decide)

    async def _relays(self) -> Sequence[Lease]:
        rows = (await self.store.find(Lease, limit=1000)).rows
        return [lease for lease in rows if lease.name.startswith(RELAY)]

    # -------------------------------------------------------------- what becomes of a message

    def due_again(self, post: Post) -> datetime | None:
        """When a card may be edited that was edited a moment ago, where that is later than now."""
        now = self.now()
        due = edit(post, now).due_at
        return due if due > now else None

    async def sent(self, message: OutboxMessage, post: Post | None, *, known: Post | None = None) -> None:
        """It is out: the message is settled and the card it left is known, in one save.

        known: what was known of the card when it was drawn; None for a new one.
        """
        done = settled(message, MessageStatus.SENT, self.now())
        await self._settle(done, post, known=known)
        if message.kind is MessageKind.NEW_JOBS:
            await self.redraw(message.recipient)
        if message.kind is MessageKind.CODE_WANTED and message.due_at > message.created_at:
            await self.redraw(message.subject)  # whoever waits reads that the next admin was asked

    async def posted_again(self, message: OutboxMessage, post: Post | None, gone: Post) -> None:
        """A card that was deleted stands again: as `sent`, and in the same save the former one is forgotten."""
        await self._settle(settled(message, MessageStatus.SENT, self.now()), post, instead_of=gone.key)

    async def wanted(self, message: OutboxMessage) -> bool:
        """False where its reader does not want to hear of it any more, however long it has been waiting."""
        if message.kind in ALWAYS:
            return True
        reader = await self.hearing(message.recipient)
        return reader is None or reader.telling.wants(message.kind, self.now())

    async def dropped(self, message: OutboxMessage, why: str = SETTLED) -> None:
        """There was nothing to say any more when its turn came; `why` is a code, of an error or of our own."""
        await self._settle(settled(replace(message, failure=why), MessageStatus.DROPPED, self.now()), None)

    async def failed(self, message: OutboxMessage, error: DeliveryError, jitter: float) -> OutboxMessage:
        """Come back later, or give up; a chat or a channel that answers 403 or 404 is told to the admins, once.

        A card whose edit Teams does not take is let go: it would be drawn anew for ever.
        """
        fate = notifications.after_failure(message, error, self.now(), jitter)
        gone, mine = isinstance(error, Unreachable), self._unless_overtaken(fate)
        if gone:
            await self.end_leaver(message.recipient)

        async def decide() -> tuple[Change, None]:
            change = Change(puts=await mine())
            if gone:
                change += await self.departed(message.recipient, error.code)
                change += await self.lost(message.recipient, error.code)
            hopeless = message.kind is MessageKind.EDIT and isinstance(error, Rejected)
            post = await self.store.get(Post, message.subject) if hopeless else None
            return change + Change(deletes=(post,) if post else ()), None

        await self.unit(SERVICE, decide)
        if gone:
            await self.redraw(message.recipient, but_for=message.recipient)  # what they would read themselves fails too
        return fate

    async def _settle(
        self, message: OutboxMessage, post: Post | None, instead_of: str = "", known: Post | None = None
    ) -> None:
        mine, tries = self._unless_overtaken(message), count()

        async def decide() -> tuple[Change, None]:
            nonlocal known
            if post and next(tries):  # it was saved meanwhile: opened by its reader, say
                known = await self.store.get(Post, post.key)
            former = await self._former(post) if post and post.subject in BOARDS.values() else ()
            if gone := await self.store.get(Post, instead_of) if instead_of else None:
                former = (gone, *(each for each in former if each.key != gone.key))
            return Change(puts=(*await mine(), *([_standing(post, known)] if post else [])), deletes=former), None

        await self.unit(SERVICE, decide)
        if post:
            await self.catch_up(post)

    def _unless_overtaken(self, message: OutboxMessage) -> Callable[[], Awaitable[tuple[OutboxMessage, ...]]]:
        """The message, to be saved; nothing where a first try was in vain because its call took longer than its lease.

        What becomes of it is then said by whoever has it now.
        """
        tries = count()

        async def mine() -> tuple[OutboxMessage, ...]:
            known = await self.store.get(OutboxMessage, message.id) if next(tries) else message
            return (message,) if known and known.version == message.version else ()

        return mine

    # -------------------------------------------------------------- cards that stand in chats

    async def thread_of(self, channel_id: str) -> str:
        """The activity id of the channel's living card: what is said in its thread goes under it."""
        rows = (await self.store.find(Post, subject=channel_id, limit=1)).rows
        return rows[0].activity_id if rows else ""

    async def post(self, key: str) -> Post | None:
        return await self.store.get(Post, key)

    async def remember(self, post: Post, *, new: bool = False) -> None:
        """A living card stands there now: it is drawn anew when its subject changes. A channel has one, the newest.

        `new`: it was posted just now, so nothing should be known of it.
        """
        await self.stands(post, new=new)
        await self.catch_up(post)

    async def stands(self, post: Post, *, new: bool = False) -> None:
        """As `remember`, for a card that is not to be drawn anew yet: `catch_up` comes later."""
        known = None if new else await self.store.get(Post, post.key)
        try:
            former = await self._former(post)
            await self.store.save(Change(puts=(_standing(post, known),), deletes=former))
        except (Conflict, Duplicate):
            await self.stands(post)

    async def _former(self, post: Post) -> tuple[Post, ...]:
        """A channel has one card, and so has each reader of a list of many: the newest."""
        if post.conversation.personal and post.subject not in BOARDS.values():
            return ()
        rows = (await self.store.find(Post, subject=post.subject, conversation=post.conversation.id, limit=20)).rows
        return tuple(row for row in rows if row.key != post.key)

    async def told_lately(self, actor: Actor, board: str, since: datetime) -> bool:
        """Whether a list that is kept up to date was posted to them since then: no further push."""
        rows = (await self.store.find(Post, subject=board, reader=actor.id, limit=1)).rows
        return bool(rows) and rows[0].posted_at >= since

    async def catch_up(self, post: Post) -> None:
        """What changed between drawing and remembering would else be missed."""
        device = await self.store.get(Device, post.subject) if post.revision else None
        other = post.revision and device is None  # no id of theirs is a MAC
        job = await self.store.get(Job, post.subject) if other else None
        upload = await self.store.get(Upload, post.subject) if other else None
        moved = device and device.version != post.revision
        fresh = post.drawn and post.edited_at is None  # it has no revision to go by; if it says the same, it stays
        # work that goes on has its message edited now and then; only its end must not be missed
        ended = upload and not upload.unfinished and upload.version != post.revision
        reached = not post.revision and await self._reached_since(post)
        if moved or fresh or ended or (job and not job.running) or reached or await self._shows_a_former_code(post):
            await self.store.save(Change(puts=(edit(post, self.now()),)))

    async def _shows_a_former_code(self, post: Post) -> bool:
        """Its reader's phone came to show another device's code while this card was on its way.

        The code of a sign-in is another matter: it stands until that is over.
        """
        reader = await self.store.get(Person, post.reader) if post.shows_code else None
        if reader is None or reader.current in ("", post.subject):
            return False
        device = await self.store.get(Device, post.subject)
        return device is None or device.live_sign_in is None

    async def _reached_since(self, post: Post) -> bool:
        """The ledger of a hand-over was drawn before its technician got the card that came with it."""
        if post.reader == post.subject or await self.store.get(Person, post.subject) is None:
            return False
        newest = (await self.store.find(Post, reader=post.subject, limit=1)).rows
        return bool(newest) and newest[0].posted_at > (post.edited_at or post.posted_at)

    async def forget(self, key: str) -> None:
        """Something else stands there now that is not drawn anew."""
        post = await self.store.get(Post, key)
        if post:
            try:
                await self.store.save(Change(deletes=(post,)))
            except Conflict:
                await self.forget(key)

    async def opened(self, key: str) -> None:
        """Its reader's client asked for the present state: it was seen."""
        post = await self.store.get(Post, key)
        if post and post.opened_at is None:
            try:
                await self.store.save(Change(puts=(replace(post, opened_at=self.now()),)))
            except Conflict:
                return
            await self.redraw(post.reader)

    async def redraw(self, subject: str, *, but_for: str = "") -> None:
        """Every card about this subject is drawn anew, but for those that this reader has."""
        posts = [p for p in (await self.store.find(Post, subject=subject, limit=20)).rows if p.reader != but_for]
        if posts:
            await self.store.save(Change(puts=tuple(edit(post, self.now()) for post in posts)))

    async def card_gone(self, post: Post, message: OutboxMessage) -> bool:
        """A card was deleted. True: a channel's card, to be posted once more; nothing is settled yet.

        False: it is let go, and where it had been posted again already, the admins are asked.
        """
        channel = not post.conversation.personal
        if channel and not post.reposted:
            return True
        admins = await self.admins() if channel else []
        asked = tuple(tell(MessageKind.CARD_GONE, a.id, post.subject, self.now()) for a in admins)
        done = settled(message, MessageStatus.DROPPED, self.now())
        await self.store.save(Change(puts=(done, *asked), deletes=(post,)))
        return False


def _standing(post: Post, known: Post | None) -> Post:
    """The post as it stands now, over what was known of it; that its reader saw it is not forgotten."""
    if known is None:
        return post if post.version == 0 else replace(post, version=0)
    return replace(post, version=known.version, opened_at=known.opened_at or post.opened_at)
