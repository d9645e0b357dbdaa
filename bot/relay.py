"""Delivers the outbox: claims what is due, draws it from committed state, sends or edits, settles. At least once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.drawing import Drawings
from bot.posting import message_of, post_of
from bot.queueing import Queue, lapsed
from bot.routing import Route, Router
from bot.turn import Reply, Trigger, Turn
from provisioning.conversations import Conversation
from provisioning.delivery_errors import Blocked, ChatGone, DeliveryError, PostGone, TryAgain, Unreachable
from provisioning.errors import ProvisioningError, StoreError
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import Person
from provisioning.pacing import Pacing, unlimited
from provisioning.ports import Messenger, Watch
from provisioning.rollouts import Rollout
from provisioning.service import Provisioning
from provisioning.service.outbox import AT_ONCE, SETTLED, UNCHANGED
from provisioning.service.people import SERVICE
from provisioning.telling import MUTED
from provisioning.texts import Speech, speaking

log = structlog.get_logger(__name__)

LONGEST_WAIT = 5.0  # seconds; another instance's messages and leases that ran out are found this late at the most
SHORTEST_WAIT = 0.005  # seconds
TOGETHER = 0.02  # seconds; what is written so soon after a claim is claimed together, not one by one
AFTER_FAULT = 1.0  # seconds before the store is asked again
STOP_SECONDS = 4.0  # for calls that are under way when the service ends
HELD_SECONDS = 5.0  # so much as goes in this time is claimed beforehand …
FEW, MOST = 8, 4 * AT_ONCE  # … and never fewer or more
LOST = {error.code: error for error in (Blocked, ChatGone)}  # what a lost channel answered, and would answer again
COUNT_EVERY = timedelta(seconds=15)


class NothingToSay(Exception):
    """There is nothing to say any more: the right is gone, the device is, the matter is settled. `why` is a code."""

    def __init__(self, why: str = SETTLED) -> None:
        super().__init__(why)
        self.why = why


class Relay:
    """One per process. Each lane has at most one message under way, so one hung chat delays no other.

    What is due is claimed as far as it can go soon, and begun when its conversation and the app may be called.
    """

    def __init__(
        self,
        provisioning: Provisioning,
        messenger: Messenger,
        routes: Router,
        pacing: Pacing | None = None,
        *,
        jitter: Callable[[], float] = random.random,
        longest_wait: float = LONGEST_WAIT,
        drawings: Drawings | None = None,
        around: Callable[[OutboxMessage], AbstractContextManager[None]] = lambda message: nullcontext(),
    ) -> None:
        """around: what is entered for each delivery."""
        self._provisioning, self._messenger, self._routes = provisioning, messenger, routes
        self._pacing = pacing or unlimited(lambda: provisioning.now().timestamp())
        self._jitter, self._longest_wait, self._drawings = jitter, longest_wait, drawings
        self._around = around
        self._queue = Queue(self._pacing)
        self._under_way: set[asyncio.Task[None]] = set()
        self._more = False  # the outbox holds more that is due than was claimed
        self._freed = asyncio.Event()  # a call ended, and more may be claimed or begun than before
        self._counted_at: datetime | None = None  # when the instances that share the app's limit were last counted

    async def run(self) -> None:
        """Until cancelled; then what is under way is finished, so that nothing is sent twice for a clean stop.

        A call that hangs is given up; what was not begun may be had by another instance at once.
        """
        try:
            async with self._provisioning.store.watch("outbox") as watch:
                while True:
                    try:
                        self._freed.clear()
                        await self.share()
                        await self.claim()
                        await self._until_of_use(watch, await self.pause())
                    except StoreError as error:
                        log.debug("outbox waits for the store", reason=str(error))  # the sweep tells of it, once
                        await asyncio.sleep(AFTER_FAULT)
        finally:
            await self._end()

    async def _until_of_use(self, watch: Watch, seconds: float) -> None:
        """Waits for a change in the outbox, `seconds` at the most.

        Hundreds of activations a second each write there. Where nothing more may be begun none of them is of use yet.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._closed(), seconds)):
                await self._freed.wait()
        if self._freed.is_set():
            return
        await watch.wait(max(ends - loop.time(), 0.0))

    def _closed(self) -> float:
        """Seconds in which nothing can be done with a message that is written now, unless a call ends before."""
        if self._room():
            return TOGETHER
        app = self._pacing.app_wait()
        return app if app > 0 and len(self._under_way) < AT_ONCE else self._longest_wait

    async def claim(self) -> int:
        """Begin whatever may go now, and claim more where little waits here; returns how many were begun."""
        begun = self._begin()
        if room := self._room():
            messages = await self._provisioning.claim(room)
            places = await self._provisioning.places(messages) if messages else {}
            for message in messages:
                self._queue.add(places[message.id], message)
            self._more = len(messages) == room
            begun += self._begin()
            await self._provisioning.postpone(list(self._queue.put_back(self._provisioning.now())))
        return begun

    def _room(self) -> int:
        """How many to claim now; 0 while enough waits here and nothing may begin."""
        most = self._most_held()
        room = most - len(self._queue)
        idle = len(self._under_way) < AT_ONCE and self._pacing.app_wait() <= 0
        return max(room, 0) if idle or room >= most // 2 else 0

    def _most_held(self) -> int:
        """What this instance sends in some seconds: claimed messages are no other's, and their leases run."""
        return int(min(max(self._pacing.rate * HELD_SECONDS, FEW), MOST))

    def _begin(self) -> int:
        begun = 0
        while len(self._under_way) < AT_ONCE and self._pacing.app_wait() <= 0 and (entry := self._queue.begin()):
            place, message = entry
            if lapsed(message, self._provisioning.now()):
                self._queue.end(place)
                continue
            task = asyncio.create_task(self._safely(message))
            self._under_way.add(task)
            task.add_done_callback(partial(self._ended, place))
            begun += 1
        return begun

    def _ended(self, place: str, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._queue.end(place)
        self._begin()
        if len(self._under_way) == AT_ONCE - 1 or self._room() or self._queue.holds(place):
            self._freed.set()  # of more for the same conversation it is known only now when it may go

    async def drain(self) -> None:
        """Deliver all that may go now, and what that gives rise to."""
        while await self.claim() or self._under_way:
            await asyncio.gather(*self._under_way)

    async def pause(self) -> float:
        """Seconds until there may be something to begin; a settled message wakes the relay before that.

        While no more calls may be under way there is not: where one ends, the next is begun.
        """
        waits, app, room = [self._longest_wait], self._pacing.app_wait(), self._room()
        if len(self._under_way) < AT_ONCE:
            held = self._queue.wait()
            waits += [max(held, app)] if held is not None else [app] if app > 0 and not room else []
        if room and not (len(self._queue) and self._more):
            due = await self._provisioning.store.next_due()
            waits += [(due - self._provisioning.now()).total_seconds()] if due else []
        return max(min(waits), SHORTEST_WAIT)

    # -------------------------------------------------------------- instances

    async def share(self) -> None:
        """The instances on one store share what the app may send."""
        now = self._provisioning.now()
        if self._counted_at is None or not timedelta() <= now - self._counted_at < COUNT_EVERY:
            self._pacing.among(*await self._provisioning.among_relays())
            self._counted_at = now

    async def _end(self) -> None:
        held = list(self._queue.empty(self._provisioning.now()))  # from here on nothing is begun
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(AFTER_FAULT):
                await self._provisioning.postpone(held)
        if self._under_way:
            _ended, hanging = await asyncio.wait(self._under_way, timeout=STOP_SECONDS)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
        await self._rest()

    async def _rest(self) -> None:
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(AFTER_FAULT):
                await self._provisioning.relay_rests()

    async def _safely(self, message: OutboxMessage) -> None:
        """While the store is away a message keeps its lease and comes again. One that cannot be drawn counts as failed:
        it comes again later and later and is given up in the end, so that it does not block its lane for ever.
        """
        structlog.contextvars.bind_contextvars(message=message.id, kind=message.kind.value)  # a task of its own
        try:
            with self._around(message):
                await self.deliver(message)
        except StoreError as error:
            log.warning("a message waits for the store", reason=str(error))
        except Exception:
            log.exception("a message could not be drawn")
            with contextlib.suppress(StoreError):
                await self._provisioning.failed(message, TryAgain(), self._jitter())

    # -------------------------------------------------------------- one message

    async def deliver(self, message: OutboxMessage) -> None:
        try:
            if message.kind is MessageKind.EDIT:
                await self._edit(message)
            else:
                await self._send(message)
        except NothingToSay as nothing:
            await self._provisioning.dropped(message, nothing.why)
        except DeliveryError as error:
            fate = await self._provisioning.failed(message, error, self._jitter())
            log.info("delivery failed", reason=error.code, attempts=fate.attempts, fate=fate.status)

    async def _send(self, message: OutboxMessage) -> None:
        if not await self._provisioning.wanted(message):
            raise NothingToSay(MUTED)
        conversation, person, speech = await self._reader(message.recipient)
        turn = self._turn(conversation, person)
        with speaking(speech):
            reply = await self._draw(turn, self._routes.told.get(message.kind), dict(message.params), message.subject)
            thread = "" if conversation.personal else await self._provisioning.thread_of(conversation.id)
            activity_id = await self._messenger.send(conversation, message_of(reply), thread=thread)
        await self._provisioning.sent(message, self._post(turn, activity_id, reply, message))

    async def _edit(self, message: OutboxMessage) -> None:
        post = await self._provisioning.post(message.subject)
        if post is None:
            raise NothingToSay(PostGone.code)
        if due := self._provisioning.due_again(post):  # it was edited since this message was written
            return await self._provisioning.postpone([(message, due)])
        _conversation, person, speech = await self._reader(post.reader, post.conversation)
        turn = self._turn(post.conversation, person)
        with speaking(speech):
            reply = await self._draw(turn, self._routes.routes.get(post.view), dict(post.params))
            if reply.card is None:
                raise NothingToSay
            if reply.living and reply.living.drawn and reply.living.drawn == post.drawn:
                raise NothingToSay(UNCHANGED)
            try:
                await self._messenger.update(post.conversation, post.activity_id, message_of(reply))
            except PostGone:
                return await self._post_again(message, post, turn, reply)
        fresh = self._post(turn, post.activity_id, reply, message)
        if fresh is None:  # what stands there now is final
            await self._provisioning.sent(message, None)
            return await self._provisioning.forget(post.key)
        kept = replace(
            fresh, posted_at=post.posted_at, edited_at=turn.now, opened_at=post.opened_at, message=post.message
        )
        kept = replace(kept, reader=post.reader, reposted=post.reposted)
        return await self._provisioning.sent(message, kept, known=post)

    async def _post_again(self, message: OutboxMessage, post: Post, turn: Turn, reply: Reply) -> None:
        """Somebody deleted the card: in a channel it is posted once more, elsewhere it is let go."""
        if not await self._provisioning.card_gone(post, message):
            return
        activity_id = await self._messenger.send(post.conversation, message_of(reply))
        fresh = self._post(turn, activity_id, reply, message)
        await self._provisioning.posted_again(message, replace(fresh, reposted=True) if fresh else None, post)

    # -------------------------------------------------------------- drawing

    async def _reader(
        self, reader: str, conversation: Conversation | None = None
    ) -> tuple[Conversation, Person | None, Speech]:
        """Where they read, who they are, and how to speak to them. Errors: `Unreachable`."""
        person, home = await self._provisioning.who(reader), self._provisioning.policy.timezone
        if person:
            speech = self._provisioning.speech_of(person)
            return conversation or await self._chat_with(person), person, speech
        rollouts = {rollout.key: rollout for rollout in await self._provisioning.followers()}
        followed: Rollout | None = rollouts.get(reader)
        if followed and followed.lost:
            raise LOST.get(followed.lost, Unreachable)
        owner = await self._provisioning.who(followed.connected_by) if followed else None
        where = conversation or (followed.channel if followed else None)
        if where is None:
            raise Unreachable
        return where, None, self._provisioning.speech_of(owner) if owner else Speech(timezone=home)

    async def _chat_with(self, person: Person) -> Conversation:
        if person.chat:
            return person.chat
        if not person.teams_id:  # granted a role beforehand, and never met
            raise Unreachable
        refused = Unreachable()
        for rollout in [each for each in await self._provisioning.followers() if not each.lost]:
            try:
                chat = await self._messenger.open_chat(rollout.channel, person.teams_id)
            except Unreachable as error:  # by way of that team: it says nothing of the others, nor of the person
                refused = error
                continue
            await self._provisioning.found_chat(person.id, chat)
            return chat
        raise refused

    def _turn(self, conversation: Conversation, person: Person | None) -> Turn:
        return Turn(
            provisioning=self._provisioning,
            actor=self._provisioning.actor_of(person) if person else SERVICE,
            conversation=conversation,
            now=self._provisioning.now(),
            trigger=Trigger.NOTICE,
            drawings=self._drawings,
        )

    async def _draw(self, turn: Turn, route: Route | None, params: Mapping[str, str], subject: str = "") -> Reply:
        """Errors: `NothingToSay`."""
        if route is None:
            raise NothingToSay
        try:
            reply = await route.handler(turn, **route.arguments({"subject": subject, **params}))
        except StoreError:
            raise
        except ProvisioningError as error:
            log.info("nothing to say any more", reason=error.code)
            raise NothingToSay(error.code) from None
        if reply is None:
            raise NothingToSay
        return reply

    def _post(self, turn: Turn, activity_id: str, reply: Reply, message: OutboxMessage) -> Post | None:
        if reply.living is None:
            return None
        reader = turn.actor.id if turn.conversation.personal else turn.conversation.id
        return replace(post_of(turn, activity_id, reply.living, reader), message=message.id)
