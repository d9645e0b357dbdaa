"""Tags: what admins say and press to mark devices with words of their own."""

from __future__ import annotations

from bot.handlers.devices import EDIT, SEE
from bot.handlers.jobs import LONG, ends, worked
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import tags as cards
from cards.views.common import question
from cards.words import escape
from provisioning.errors import Ambiguous, NearMiss
from provisioning.jobs import Job, JobKind
from provisioning.service.lookup import Target
from provisioning.service.tags import Tagged
from provisioning.service.working import params_of, target_of

router = Router()
UNASKED = 100  # devices that are tagged without a question


async def _meant(turn: Turn, verb: str, target: str, word: str) -> tuple[Target, str] | Reply:
    """What a tag goes to, and the tag; a question where the first words can mean several things.

    A button says exactly where the one ends and the other begins.
    """
    if not turn.pressed:
        target, word = await turn.provisioning.target_words(turn.actor, f"{target} {word}")
    try:
        return await turn.provisioning.target(turn.actor, target), word
    except (Ambiguous, NearMiss) as several:
        return Reply(card=question(escape(several.sentence), verb, "target", several.choices, {"word": word}))


@router.command("tag <target> <word>", needs=EDIT)
@router.action("tag")
async def tag(turn: Turn, target: str, word: str, sure: bool = False) -> Reply:
    """Mark a device or a site with a word; it then stands wherever a site can."""
    meant = await _meant(turn, "tag", target, word)
    if isinstance(meant, Reply):
        return meant
    devices, word = meant
    count = await turn.provisioning.how_many(turn.actor, devices)
    if count > UNASKED and not sure:
        return Reply(card=cards.ask_tag(devices, word, count))
    if count > LONG:
        return await worked(turn, JobKind.TAG, {**params_of(devices), "word": word, "listed": str(count)})
    return Reply(card=cards.tagged_card(await turn.provisioning.tag_devices(turn.actor, devices, word)))


@router.command("untag <target> <word>", needs=EDIT)
@router.action("untag")
async def untag(turn: Turn, target: str, word: str, sure: bool = False) -> Reply:
    """Take a tag from a device or a site."""
    meant = await _meant(turn, "untag", target, word)
    if isinstance(meant, Reply):
        return meant
    devices, word = meant
    count = await turn.provisioning.how_many(turn.actor, devices, word)
    if count > UNASKED and not sure:
        return Reply(card=cards.ask_untag(devices, word, count))
    if count > LONG:
        listed = await turn.provisioning.how_many(turn.actor, devices)
        return await worked(turn, JobKind.UNTAG, {**params_of(devices), "word": word, "listed": str(listed)})
    return Reply(card=cards.tagged_card(await turn.provisioning.untag_devices(turn.actor, devices, word)))


@ends(JobKind.TAG)
@ends(JobKind.UNTAG)
async def _tag_ended(turn: Turn, job: Job) -> Reply:
    changed, full, listed = job.counted.get("changed", 0), job.counted.get("full", 0), int(job.given["listed"])
    same, removed = max(listed - changed - full, 0), job.kind is JobKind.UNTAG
    return Reply(card=cards.tagged_card(Tagged(target_of(job), job.given["word"], changed, same, full, removed)))


@router.command("tags", needs=SEE)
@router.action("tags")
async def tags(turn: Turn, after: int = 0, first: int = 0) -> Reply:
    """List the tags there are."""
    return Reply(card=cards.tags_card(await turn.provisioning.tags(turn.actor), after), private=True)
