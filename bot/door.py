"""The one way through the house for everything said and pressed: who is it, what is meant, do it, answer."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from bot.following import Place
from bot.group_questions import with_groups
from bot.handing import Handing
from bot.handlers import exports, general, photos, uploads
from bot.handlers.search import search
from bot.jobs import Jobs
from bot.posting import message_of, post_of
from bot.routing import Half, Route, Router, Where
from bot.turn import Answer, Chat, Incoming, Living, Reply, Trigger, Turn
from cards.render import render
from cards.view import View
from cards.views.common import note, which_one
from cards.views.people import no_access
from cards.words import escape
from provisioning.access import require
from provisioning.conversations import Conversation
from provisioning.delivery_errors import CardTooLarge, DeliveryError, Rejected, Unreachable
from provisioning.errors import (
    AlreadyDone,
    Ambiguous,
    BadInput,
    Conflict,
    DeviceNotFound,
    NearMiss,
    NoAccess,
    NoLiveCode,
    NotFound,
    OutOfDate,
    ProvisioningError,
    ResetRequired,
    WrongPlace,
)
from provisioning.mac import looks_like_mac
from provisioning.model import Person
from provisioning.ports import Member, Message, Messenger
from provisioning.service import Provisioning
from provisioning.service.people import NotYourTenant
from provisioning.service.uploading import UploadOver
from provisioning.texts import Speech, _, current_speech, speak_on, speaking

log = structlog.get_logger(__name__)

# Answered with the fresh card.
STALE = (OutOfDate, Conflict, AlreadyDone, ResetRequired, NoLiveCode, NotFound, UploadOver)
REFRESH = "refresh"  # the verb a client sends when it opens a card


class Door:
    """Receives every activity. Errors of the business end here, as a sentence or a question, once."""

    def __init__(
        self, provisioning: Provisioning, messenger: Messenger, routes: Router, jobs: Jobs, handing: Handing
    ) -> None:
        self._provisioning, self._messenger, self._routes = provisioning, messenger, routes
        self._jobs, self._handing = jobs, handing

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        with speaking(Speech.of(incoming.locale, incoming.timezone, self._provisioning.policy.timezone)):
            try:
                person, new = await self._meet(incoming, chat)
            except NotYourTenant as stranger:
                return await self._say(incoming, chat, stranger.sentence)
            if person.id:
                speak_on(self._provisioning.speech_of(person))
            if incoming.trigger is Trigger.LEFT:
                if incoming.conversation.personal:
                    await self._provisioning.left(person.id)
                else:  # whoever takes the bot out of a team stays reachable themselves
                    await self._provisioning.left_team(incoming.conversation)
                return None
            if not incoming.conversation.personal:
                await self._provisioning.heard_in(incoming.conversation)
            turn = self._turn(incoming, person)
            if incoming.trigger is Trigger.REFRESH:
                return await self._refresh(turn)
            if incoming.trigger is Trigger.SEARCH:
                return await self._search(turn, incoming)
            if incoming.trigger is Trigger.CONSENT:
                return await self._consent(turn, incoming, chat)
            reply = await self._joined(turn, chat, new=new) if incoming.trigger is Trigger.JOINED else None
            if incoming.trigger in (Trigger.MESSAGE, Trigger.PRESS):
                answer = await self._answer(turn, incoming)
                reply = photos.with_word(answer, turn, incoming, self._routes)
            try:
                return await self._deliver(turn, incoming, chat, reply) if reply else None
            except CardTooLarge as error:
                return await self._say(incoming, chat, error.sentence)
            finally:
                if reply and reply.begins:
                    reply.begins()

    # -------------------------------------------------------------- who is it

    async def _meet(self, incoming: Incoming, chat: Chat) -> tuple[Person, bool]:
        """The person as known from now on, and whether this is the first word in their own chat."""
        # A search may be typed into a chat of two other people: it is nobody's way to be reached.
        own = incoming.conversation.personal and incoming.trigger is not Trigger.SEARCH
        here = incoming.conversation if own else None
        if not incoming.sender.object_id:  # Teams itself adds the bot to a team or takes it out: nobody to be known
            return Person(id="", tenant=incoming.sender.tenant), False
        known = await self._provisioning.who(incoming.sender.object_id)
        said = (here, incoming.locale, incoming.timezone)
        if known and known.upn and known.teams_id == incoming.sender.teams_id and not known.guest:
            member = Member(known.id, known.teams_id, known.name, known.upn, incoming.sender.tenant)
            person, new = await self._provisioning.encounter(member, *said, read=known)
        else:
            member = await self._member(incoming, chat, guest=bool(known and known.guest))
            person, new = await self._provisioning.encounter(member, *said)
        return await with_groups(self._provisioning, self._jobs, person), new

    async def _member(self, incoming: Incoming, chat: Chat, *, guest: bool) -> Member:
        """Teams is asked once for name and UPN, of a guest each time: they stay one until it says otherwise."""
        sender = incoming.sender
        bare = Member(sender.object_id, sender.teams_id, sender.name, "", sender.tenant, guest)
        if incoming.trigger is Trigger.LEFT:
            return bare
        try:
            found = await chat.member()
        except DeliveryError as error:
            log.warning("member call failed", reason=error.code)
            return bare
        return replace(found, id=sender.object_id, tenant=sender.tenant, name=found.name or sender.name)

    def _turn(self, incoming: Incoming, person: Person) -> Turn:
        actor = self._provisioning.actor_of(person)
        post = f"{incoming.conversation.id}|{incoming.card_id}" if incoming.card_id else ""
        return Turn(
            provisioning=self._provisioning,
            actor=replace(actor, operation=incoming.operation(actor.id), post=post),
            conversation=incoming.conversation,
            now=self._provisioning.now(),
            trigger=incoming.trigger,
            data=incoming.data,
            mentions=incoming.mentions,
            card_id=incoming.card_id,
            work=self._jobs,
            drawings=self._jobs.drawings,
        )

    # -------------------------------------------------------------- what is meant

    async def _answer(self, turn: Turn, incoming: Incoming) -> Reply:
        route: Route | None = None
        values: Mapping[str, Any] = {}
        try:
            if incoming.trigger is Trigger.PRESS:
                route = self._routes.actions.get(incoming.verb)
                values = incoming.data
                if route is None:
                    raise OutOfDate
                return await self._run(turn, route, values)
            if (reply := await photos.take(turn, incoming, self._routes)) is not None:
                return reply
            if incoming.files:
                return await uploads.take_files(turn, incoming.files)
            if uploads.is_pasted(incoming.text) and turn.actor.is_admin:
                return await uploads.take_rows(turn, incoming.text)
            match = self._routes.match(incoming.text)
            if isinstance(match, Half):
                return general.half(match)
            if match is None:
                route = self._routes.routes["device" if turn.actor.is_admin else "code"]  # what a bare `2.14` means
                values = {"device": incoming.text}
                return await self._unmatched(turn, incoming.text)
            route, values = match.route, match.arguments
            return await self._run(turn, route, values)
        except ProvisioningError as error:
            try:
                return await self._explain(turn, error, route, values)
            except ProvisioningError as second:  # nor could the form or the fresh card be drawn
                return Reply(toast=second.sentence) if turn.pressed else Reply(text=escape(second.sentence))

    async def _run(self, turn: Turn, route: Route, values: Mapping[str, Any]) -> Reply:
        if route.needs:  # the use case checks again; here nobody sees so much as the form of what they may not do
            require(turn.actor, *route.needs)
        if route.where is Where.CHANNEL and not turn.in_channel:
            raise WrongPlace
        if turn.pressed and route.fresh and (subject := str(turn.data.get("subject", ""))):
            await self._provisioning.require_as_shown(subject, turn.data.get("rev"), turn.data.get("issue"))
        reply = await route.run(turn, values)
        return reply or Reply(card=note(_("There is nothing to show any more.")))

    async def _unmatched(self, turn: Turn, text: str) -> Reply:
        if not text.strip():
            return await self._run(turn, self._routes.routes["hi"], {})
        if turn.actor.roles and (reply := await general.bare_device(self._routes, turn, text)):
            return reply
        return general.unknown(self._routes, turn, text)

    async def _explain(
        self, turn: Turn, error: ProvisioningError, route: Route | None, values: Mapping[str, Any]
    ) -> Reply:
        """A refusal in words: a question where a choice helps, the form where one is being filled in."""
        if isinstance(error, NearMiss) and turn.pressed:  # a button names its device exactly: that one is gone
            error = DeviceNotFound(text=error.text)
        if isinstance(error, Ambiguous | NearMiss) and route:
            verb = route.verbs[0] if route.verbs else ""
            data = {name: str(value) for name, value in values.items() if name not in ("verb", "op", "rev", "subject")}
            if verb:
                parameter = route.meant(values, error.text) or error.parameter
                return Reply(card=which_one(error, verb, parameter, data))
        if isinstance(error, BadInput) and route and route.form and turn.pressed:
            arguments = Route(route.form.__name__, route.form, "").arguments(values)
            return await route.form(turn, **{**arguments, "fault": error}) or Reply(text=escape(error.sentence))
        if isinstance(error, NoAccess):
            person = await turn.provisioning.who(turn.actor.id)
            asked = bool(person and person.asked_at)
            return Reply(card=no_access(await turn.provisioning.admins(), asked=asked))
        if isinstance(error, STALE) and turn.pressed:
            return await self._fresh(turn, error)
        return Reply(toast=error.sentence) if turn.pressed else Reply(text=escape(error.sentence))

    async def _fresh(self, turn: Turn, error: ProvisioningError) -> Reply:
        """The pressed card as it stands now, with the reason above it."""
        reply = await self._redraw(turn)
        if reply is None and isinstance(error, OutOfDate):
            reply = await self._subject(turn)
        if reply is None or reply.card is None:
            return Reply(toast=error.sentence)
        if isinstance(error, DeviceNotFound) and reply.living is None:  # it says itself what became of it
            return reply
        return replace(reply, card=replace(reply.card, notice=escape(error.sentence)))

    async def _redraw(self, turn: Turn) -> Reply | None:
        post = await self._provisioning.post(turn.actor.post) if turn.actor.post else None
        route = self._routes.routes.get(post.view) if post else None
        if post is None or route is None or not route.draws or post.reader not in (turn.actor.id, turn.conversation.id):
            return None
        return await route.handler(turn, **route.arguments(dict(post.params)))

    async def _subject(self, turn: Turn) -> Reply | None:
        """The device that a form or a told card is about, for cards that are not kept."""
        mac = str(turn.data.get("subject", ""))
        if not looks_like_mac(mac) or turn.in_channel:
            return None
        with suppress(NotFound, NearMiss):
            return await self._run(
                replace(turn, data={}), self._routes.routes["device" if turn.actor.is_admin else "job"], {"device": mac}
            )
        return None

    async def _refresh(self, turn: Turn) -> Answer | None:
        """A client opened the card: it was seen, and gets its present state. Nothing else changes."""
        await self._provisioning.opened(turn.actor.post)
        try:
            reply = await self._redraw(turn)
        except ProvisioningError as error:
            return Answer(toast=error.sentence)
        return Answer(card=self._card(reply.card)) if reply and reply.card else None

    async def _joined(self, turn: Turn, chat: Chat, *, new: bool) -> Reply | None:
        """A welcome, once, where it is useful."""
        if not turn.in_channel:
            return await self._run(turn, self._routes.routes["hi"], {}) if new else None
        try:
            await self._provisioning.acquaint(await self._messenger.members(turn.conversation))
        except DeliveryError as error:
            log.warning("roster call failed", reason=error.code)
        return Reply(text=_("Hello. Mention me and say connect and a site: I keep one card of its rollout here."))

    # -------------------------------------------------------------- files and searches

    async def _search(self, turn: Turn, incoming: Incoming) -> Answer:
        """What the compose box lists; whoever may see no device gets no hint that there are any."""
        skip, count = int(incoming.data.get("skip", 0)), int(incoming.data.get("count", 25))
        return Answer(results=await search(turn, incoming.text, skip, count))

    async def _consent(self, turn: Turn, incoming: Incoming, chat: Chat) -> Answer:
        """A file was accepted, which is then made and put there; or declined, and never made."""
        consent = incoming.consent
        with suppress(DeliveryError):  # an offer that stays where it is ends by itself
            await chat.delete(incoming.card_id)
        if consent and consent.accepted and consent.upload:
            actor = replace(turn.actor, operation=f"{turn.actor.id}:{consent.context.get('op', '')!s:.64}:file")
            work = self._handing.hand_over(replace(turn, actor=actor), consent.context, consent.upload)
            self._jobs.begin(f"file:{actor.operation}", work)
        else:
            await chat.send(message_of(exports.declined()))
        return Answer()

    async def _offered(self, turn: Turn, chat: Chat, reply: Reply) -> Reply:
        """A file or a picture is a message of its own; where Teams takes none, a file comes as cards."""
        if not (shown := reply.offer or reply.picture):
            return reply
        push = reply.picture.push if reply.picture else ""
        message = Message(summary=push or shown.name, offer=reply.offer, picture=reply.picture)
        try:
            if not turn.in_channel:
                await chat.send(message)
                return Reply(toast=exports.below(reply)) if turn.pressed else Reply()
            own = await self._own_chat(turn, await self._provisioning.who(turn.actor.id))
            await self._messenger.send(own, message)
        except (Rejected, Unreachable):  # who asks in their own chat can be reached: it is the file that cannot
            return exports.instead(reply.offer.context if reply.offer else {"kind": "photo"})
        said = _("I wrote to you in chat.")
        return Reply(toast=said) if turn.pressed else Reply(text=said)

    # -------------------------------------------------------------- answer

    async def _deliver(self, turn: Turn, incoming: Incoming, chat: Chat, reply: Reply) -> Answer | None:
        reply = await self._offered(turn, chat, reply)
        if reply.private and turn.in_channel:
            return await self._privately(turn, incoming, chat, reply)
        if incoming.trigger is Trigger.PRESS:
            return await self._answer_press(turn, incoming, chat, reply)
        if reply.text:
            await chat.send(message_of(Reply(text=reply.text, mentions=reply.mentions)))
        if reply.card:
            await self._post(turn, chat, reply)
        return None

    async def _post(self, turn: Turn, chat: Chat, reply: Reply) -> None:
        """A channel's living card stands by itself, so that its thread is its own; all else goes where it was asked."""
        message, activity_id = message_of(reply), ""
        try:
            if turn.in_channel and reply.living and reply.living.subject == turn.conversation.id:
                activity_id = await self._messenger.send(turn.conversation, message)
            else:
                activity_id = await chat.send(message)
        except DeliveryError as error:
            if reply.follows is None:
                raise
            log.warning("a card was not sent, what it announced follows", reason=error.code)
        finally:
            if reply.follows:
                self._jobs.begin(f"follows:{turn.actor.operation}", self._follow(turn, activity_id, reply.follows))
        await self._keep(turn, activity_id, reply.living, new=True)
        self._jobs.unfold(Place(self._messenger, self._provisioning.clock, turn.conversation, activity_id), reply)

    async def _follow(self, turn: Turn, activity_id: str, coming: Awaitable[Reply]) -> None:
        with suppress(DeliveryError):  # logged; there is nobody left to tell
            place = Place(self._messenger, self._provisioning.clock, turn.conversation, activity_id)
            shown, reply = await place.taken_by(coming)
            await self._keep(turn, shown, reply.living)

    async def _answer_press(self, turn: Turn, incoming: Incoming, chat: Chat, reply: Reply) -> Answer:
        if reply.card is None:
            return Answer(toast=reply.toast or reply.text)
        if turn.in_channel:  # there an answer is for the presser's eyes, the living card stays
            return Answer(card=self._card(reply.card))
        if reply.living and incoming.card_id:
            post = post_of(turn, incoming.card_id, reply.living, turn.actor.id)
            await self._provisioning.stands(post)  # and is drawn anew behind the answer, which takes its place
            self._jobs.begin(f"catches up:{post.key}", self._provisioning.catch_up(post))
        else:
            await self._keep(turn, incoming.card_id, None)
        return Answer(card=self._card(reply.card))

    async def _keep(self, turn: Turn, activity_id: str, living: Living | None, *, new: bool = False) -> None:
        if not activity_id:
            return
        if living is None:
            await self._provisioning.forget(f"{turn.conversation.id}|{activity_id}")
            return
        reader = turn.conversation.id if turn.in_channel else turn.actor.id
        await self._provisioning.remember(post_of(turn, activity_id, living, reader), new=new)

    async def _privately(self, turn: Turn, incoming: Incoming, chat: Chat, reply: Reply) -> Answer | None:
        """Into the asker's own chat; the channel hears only that."""
        try:
            person = await self._provisioning.who(turn.actor.id)
            own = await self._own_chat(turn, person)
            activity_id = await self._messenger.send(own, message_of(reply))
        except DeliveryError:
            return await self._say(
                incoming, chat, _("I cannot write to you. Open a chat with me, say hi, and ask again.")
            )
        await self._keep(replace(turn, conversation=own), activity_id, reply.living, new=True)
        self._jobs.unfold(Place(self._messenger, self._provisioning.clock, own, activity_id), reply)
        return await self._say(incoming, chat, _("I wrote to you in chat."))

    async def _own_chat(self, turn: Turn, person: Person | None) -> Conversation:
        if person and person.chat:
            return person.chat
        own = await self._messenger.open_chat(turn.conversation, person.teams_id if person else "")
        await self._provisioning.found_chat(turn.actor.id, own)
        return own

    async def _say(self, incoming: Incoming, chat: Chat, sentence: str) -> Answer | None:
        if incoming.trigger in (Trigger.PRESS, Trigger.REFRESH, Trigger.SEARCH):  # a search may be typed anywhere
            return Answer(toast=sentence)
        if incoming.trigger is not Trigger.LEFT:
            await chat.send(Message(summary=sentence, text=escape(sentence)))
        return None

    def _card(self, view: View) -> dict[str, Any]:
        return render(view, operation=secrets.token_hex(8), locale=current_speech().language)
