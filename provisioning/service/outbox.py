"""What is to be told, and the cards that stand in chats: claim, settle, remember, and the sweep of what ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from provisioning import notifications
from provisioning.bookkeeping import Operation
from provisioning.errors import Conflict, DeliveryError, Duplicate, Unreachable
from provisioning.events import CodeEnded
from provisioning.model import Change, Device, MessageKind, MessageStatus, OutboxMessage, Post, Rollout
from provisioning.notifications import edit, settled, tell
from provisioning.ports import Span
from provisioning.service.people import SERVICE, People

LEASE = timedelta(seconds=60)
AT_ONCE = 32  # messages under way together, each in its own lane
SWEEP = 500
MANY_ENDED = 5  # more codes than this ending together is worth a reply in the channel
REMEMBER_HASH = timedelta(days=7)
KEEP_SETTLED = timedelta(days=7)
REMEMBER_OPERATION = timedelta(days=2)


class Outbox(People):
    async def claim(self) -> Sequence[OutboxMessage]:
        return await self.store.claim(self.now(), LEASE, AT_ONCE)

    async def sent(self, message: OutboxMessage, post: Post | None) -> None:
        """It is out: the message is settled and the card it left is known, in one save."""
        done = settled(message, MessageStatus.SENT, self.now())
        await self._settle(done, post)
        if message.kind is MessageKind.NEW_JOBS:
            await self.redraw(message.recipient)

    async def dropped(self, message: OutboxMessage) -> None:
        """There was nothing to say any more when its turn came."""
        await self._settle(settled(message, MessageStatus.DROPPED, self.now()), None)

    async def failed(self, message: OutboxMessage, error: DeliveryError, jitter: float) -> OutboxMessage:
        """Come back later, or give up; a chat that answers 403 is told to the admins."""
        fate = notifications.after_failure(message, error, self.now(), jitter)
        gone = isinstance(error, Unreachable)

        async def decide() -> tuple[Change, None]:
            return Change(puts=(fate,)) + (await self.departed(message.recipient) if gone else Change()), None

        await self.unit(SERVICE, decide)
        if gone:
            await self.redraw(message.recipient)
        return fate

    async def _settle(self, message: OutboxMessage, post: Post | None) -> None:
        async def decide() -> tuple[Change, None]:
            known = await self.store.get(Post, post.key) if post else None
            return Change(puts=(message, *([_standing(post, known)] if post else []))), None

        await self.unit(SERVICE, decide)
        if post:
            await self._catch_up(post)

    # -------------------------------------------------------------- cards that stand in chats

    async def thread_of(self, channel_id: str) -> str:
        """The activity id of the channel's living card: what is said in its thread goes under it."""
        rows = (await self.store.find(Post, subject=channel_id, limit=1)).rows
        return rows[0].activity_id if rows else ""

    async def post(self, key: str) -> Post | None:
        return await self.store.get(Post, key)

    async def remember(self, post: Post) -> None:
        """A living card stands there now: it is drawn anew when its subject changes. A channel has one, the newest."""
        known = await self.store.get(Post, post.key)
        try:
            former = await self._former(post)
            await self.store.save(Change(puts=(_standing(post, known),), deletes=former))
        except (Conflict, Duplicate):
            return await self.remember(post)
        return await self._catch_up(post)

    async def _former(self, post: Post) -> tuple[Post, ...]:
        if post.conversation.personal:
            return ()
        rows = (await self.store.find(Post, subject=post.subject, limit=20)).rows
        return tuple(row for row in rows if row.key != post.key and row.conversation.id == post.conversation.id)

    async def _catch_up(self, post: Post) -> None:
        """What changed between drawing and remembering would else be missed."""
        device = await self.store.get(Device, post.subject) if post.revision else None
        if device and device.version != post.revision:
            await self.store.save(Change(puts=(edit(post, self.now()),)))

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

    async def redraw(self, subject: str) -> None:
        """Every card about this subject is drawn anew."""
        posts = (await self.store.find(Post, subject=subject, limit=20)).rows
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

    # -------------------------------------------------------------- the sweep

    async def sweep(self) -> int:
        """Codes that ended lose their sealed copy, and their cards change; old marks go. Returns codes ended."""
        ended = await self._end_codes()
        await self._forget_hashes()
        await self._prune()
        return ended

    async def _end_codes(self) -> int:
        total = 0
        while True:
            page = await self.store.find(Device, span=Span("code_until", until=self.now()), limit=SWEEP)
            if not page.rows:
                return total
            total += await self.unit(SERVICE, partial(self._decide_end, page.rows))

    async def _decide_end(self, rows: Sequence[Device]) -> tuple[Change, int]:
        now, puts, events, sites = self.now(), [], [], Counter[str]()
        for row in rows:
            device = await self.store.get(Device, row.mac)
            code = device.code if device else None
            if device is None or code is None or code.sealed is None or code.live(now):
                continue
            puts.append(replace(device, code=replace(code, sealed=None)))
            events.append(CodeEnded(at=now, actor="service", subject=device.mac, issue=code.issue))
            sites[device.site.casefold()] += 1
        return Change(puts=(*puts, *await self._many_ended(sites)), events=tuple(events)), len(puts)

    async def _many_ended(self, sites: Counter[str]) -> tuple[OutboxMessage, ...]:
        """Channels hear of more than five codes that ended together."""
        rollouts = (await self.store.find(Rollout, limit=1000)).rows
        counts = {r.key: sites[r.site.casefold()] if r.site else sum(sites.values()) for r in rollouts}
        return tuple(
            tell(MessageKind.CODES_ENDED, key, key, self.now(), count=str(count))
            for key, count in counts.items()
            if count > MANY_ENDED
        )

    async def _forget_hashes(self) -> None:
        """Seven days after its end even the right code is a wrong one."""
        span = Span("hashed_until", until=self.now() - REMEMBER_HASH)
        for row in (await self.store.find(Device, span=span, limit=SWEEP)).rows:
            await self._quietly(Change(puts=(replace(row, code=None),)))

    async def _prune(self) -> None:
        span = Span("at", until=self.now() - REMEMBER_OPERATION)
        rows = (await self.store.find(Operation, span=span, limit=SWEEP)).rows
        await self._quietly(Change(deletes=rows))
        for status in (MessageStatus.SENT, MessageStatus.DROPPED):
            oldest = (await self.store.find(OutboxMessage, status=status, limit=SWEEP)).rows
            past = tuple(m for m in oldest if m.settled_at and self.now() - m.settled_at > KEEP_SETTLED)
            await self._quietly(Change(deletes=past))

    async def _quietly(self, change: Change) -> None:
        """Housekeeping gives way to whoever was faster; the next sweep finds it again."""
        if change:
            try:
                await self.store.save(change)
            except Conflict:
                return


def _standing(post: Post, known: Post | None) -> Post:
    """The post as it stands now, over what was known of it; that its reader saw it is not forgotten."""
    if known is None:
        return replace(post, version=0)
    return replace(post, version=known.version, opened_at=known.opened_at or post.opened_at)
