"""Cards of tags: what is asked before many change, what was done, the list of tags."""

from __future__ import annotations

from collections.abc import Sequence

from cards.view import Button, ListCard, Notice, Row, Style, Tone
from cards.views.common import cancel, danger, more
from cards.words import escape
from provisioning.service.lookup import Target
from provisioning.service.tags import Tagged
from provisioning.texts import _, ngettext

PAGE = 10


def ask_tag(target: Target, tag: str, count: int) -> Notice:
    """Before many devices get a tag."""
    data = {"target": target.word, "word": tag, "sure": "true"}
    return Notice(
        title=_("Tag {n} devices of {title} with {tag}?", n=count, title=escape(target.title), tag=escape(tag)),
        lines=(_("They can then be handled together: issue, devices, assign and rollout take the tag."),),
        buttons=(Button("tag", _("Tag {n}", n=count), data, style=Style.POSITIVE), cancel()),
        small=(_("Or type: untag {title} {tag}, to take it away again", **_names(target, tag)),),
    )


def ask_untag(target: Target, tag: str, count: int) -> Notice:
    """Before many devices may lose a tag."""
    data = {"target": target.word, "word": tag, "sure": "true"}
    return Notice(
        title=_("Take the tag {tag} from {n} devices?", tag=escape(tag), n=count),
        lines=(_("Tagging them again does not know which of {title} had it.", title=escape(target.title)),),
        buttons=(danger("untag", _("Untag {n}", n=count), data), cancel()),
        small=(_("Or type: devices #{tag}, to see them first", tag=escape(tag)),),
    )


def _names(target: Target, tag: str) -> dict[str, str]:
    return {"title": escape(target.title), "tag": escape(tag)}


def tagged_card(done: Tagged) -> Notice:
    """What a tag or untag did."""
    lines = [_same(done)] if done.same else []
    if done.full:
        lines.append(ngettext("{n} has as many tags as it can.", "{n} have as many tags as they can.", done.full))
    left = not (done.removed and done.target.tag.casefold() == done.tag.casefold())
    return Notice(
        title=_title(done),
        tone=Tone.GOOD if done.changed else Tone.PLAIN,
        lines=(" ".join(lines),) if lines else (),
        buttons=(Button("devices", _("Show them"), {"words": f"#{done.tag}"}),) if left else (),
        small=(_("Or type: devices #{tag}, issue #{tag}, tags", tag=escape(done.tag)),),
    )


def _title(done: Tagged) -> str:
    if not done.changed:
        return _("Nothing changed: {title}", title=escape(done.target.title))
    said = (
        ngettext("{n} device no longer has the tag {tag}", "{n} devices no longer have the tag {tag}", done.changed,
                 tag=escape(done.tag))
        if done.removed
        else ngettext("{n} device tagged with {tag}", "{n} devices tagged with {tag}", done.changed,
                      tag=escape(done.tag))
    )  # fmt: skip
    return said


def _same(done: Tagged) -> str:
    if done.removed:
        return ngettext("{n} did not have it.", "{n} did not have it.", done.same)
    return ngettext("{n} had it already.", "{n} had it already.", done.same)


def tags_card(tags: Sequence[tuple[str, int]], start: int = 0) -> ListCard:
    """The tags there are, the most frequent first."""
    rows = tags[start : start + PAGE]
    following = str(start + PAGE) if start + PAGE < len(tags) else None
    return ListCard(
        title=ngettext("{n} tag", "{n} tags", len(tags)),
        rows=tuple(Row(title=f"#{escape(tag)}", detail=ngettext("{n} device", "{n} devices", n)) for tag, n in rows),
        empty="" if rows else _("No device has a tag yet. Say tag, a device or a site, and a word."),
        buttons=more("tags", following, start, PAGE),
        small=(_("Or type: devices #{tag}, untag #{tag} {tag}", tag=escape(rows[0][0])),) if rows else (),
    )
