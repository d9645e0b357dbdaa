"""What the `Store` port says of facts that are redacted, on every backend: other words, the same chain."""

from datetime import timedelta

import pytest

from provisioning.errors import TextTooLong, UnreadableText
from provisioning.events import AccountChosen, DeviceMoved, FactsRedacted, TellingChosen
from provisioning.model import Change
from tests.storage.samples import NOW

LATE = NOW + timedelta(days=9)
ORDER = FactsRedacted(at=LATE, actor="dana", subject="sam-id", rows=())


def without_sam(text):
    return text.replace("sam@contoso.com", "3f2a…")


@pytest.fixture
async def told(store):
    for number in range(3):
        fact = AccountChosen(at=NOW, actor="dana", subject=f"s{number}", account="sam@contoso.com")
        await store.save(Change(events=(fact, DeviceMoved(at=NOW, actor="dana", subject="x", before="1", after="2"))))
    await store.seal(NOW, 4)
    return store


async def rows(store, subject=None):
    return list(reversed((await store.history(subject, limit=100)).rows))


async def test_texts_become_others_and_a_fact_names_which(told):
    numbers = [row.sequence for row in await rows(told)]
    assert await told.redact(numbers, without_sam, ORDER) == 3
    after = await rows(told)
    assert [row.sequence for row in after[:-1]] == numbers
    assert [getattr(row.event, "account", "") for row in after[:-1]] == ["3f2a…", ""] * 3
    named = after[-1].event
    assert (named.name, named.actor, named.subject) == ("FactsRedacted", "dana", "sam-id")
    assert [int(each.partition(":")[0]) for each in named.rows] == numbers[::2]
    await told.verify(deep=True)


async def test_what_changes_nothing_leaves_no_fact(told):
    numbers = [row.sequence for row in await rows(told)]
    await told.redact(numbers, without_sam, ORDER)
    before = await rows(told)
    assert await told.redact([*numbers, 99_999], without_sam, ORDER) == 0
    assert await rows(told) == before


async def test_a_subject_is_found_by_its_new_word(store):
    await store.save(Change(events=(AccountChosen(at=NOW, actor="dana", subject="upn:sam@contoso.com", account=""),)))
    (row,) = await rows(store)
    assert await store.redact([row.sequence], without_sam, ORDER) == 1
    assert await rows(store, "upn:sam@contoso.com") == []
    assert [each.sequence for each in await rows(store, "upn:3f2a…")] == [row.sequence]


async def test_lists_are_gone_through_and_what_is_dropped_is_passed_over(store):
    chosen = TellingChosen(at=NOW, actor="x", subject="x", muted=("sam@contoso.com", "y"), digest="", quiet="")
    await store.save(Change(events=(chosen,)))
    (row,) = await rows(store)
    assert await store.redact([row.sequence], without_sam, ORDER) == 1
    assert (await rows(store))[0].event.muted == ("3f2a…", "y")
    await store.seal(LATE)
    while await store.drop_audit(LATE + timedelta(days=1), LATE):
        pass
    assert await store.redact([row.sequence], lambda _: "z", ORDER) == 0


@pytest.mark.parametrize(("words", "error"), [("\x00", UnreadableText), ("x" * 70_000, TextTooLong)])
async def test_all_or_nothing(told, words, error):
    before = await rows(told)
    with pytest.raises(error):
        await told.redact([row.sequence for row in before], lambda _: words, ORDER)
    assert await rows(told) == before
