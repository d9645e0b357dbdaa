"""The cards of what somebody hears about, and the digest in each of its states; every text of a user's is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

from cards.view import View
from cards.views import telling
from provisioning.hours import Hours
from provisioning.model import Device
from provisioning.onsite import Problem
from provisioning.service.digests import Digest, Standing, Stuck
from provisioning.service.telling import Heard, InvalidQuietHours
from provisioning.telling import DigestHour, Hearer, QuietHours, Telling, Topic, topics_of
from tests.cards.sheet_cards import NOW

SOON = NOW + timedelta(hours=2)


def telling_cards(device: Device, name: str) -> dict[str, View]:
    """Named views."""
    topics = {hearer: tuple(t for t in topics_of(hearer) if t is not Topic.DIGEST) for hearer in Hearer}
    heard = {hearer: Heard("reader", Telling(), hearer, Hours(), topics[hearer], SOON) for hearer in Hearer}
    admin = heard[Hearer.ADMIN]
    some = replace(admin, telling=Telling().muted(Topic.DEVICES, SOON, NOW).muted(Topic.CODES, None, NOW))
    whole = replace(admin, telling=Telling().muted(None, SOON, NOW))
    own = replace(admin, telling=Telling(digest=DigestHour(time(15)), quiet=QuietHours((time(22), time(6)))))
    none = replace(admin, telling=Telling(digest=DigestHour(None), quiet=QuietHours(None)), digest_due=None)
    fault = InvalidQuietHours(text="19")
    return {
        **{f"settings-{hearer}": telling.settings_form(each, NOW) for hearer, each in heard.items()},
        "settings-some": telling.settings_form(some, NOW, saved=True),
        "settings-muted": telling.settings_form(whole, NOW),
        "settings-own": telling.settings_form(own, NOW),
        "settings-wrong": telling.settings_form(own, NOW, hear="codes", hour="7", hours="19", fault=fault),
        "muted-topic": telling.muted_card(some, Topic.DEVICES, NOW),
        "muted-everything": telling.muted_card(whole, None, NOW),
        "muted-channel": telling.muted_card(heard[Hearer.CHANNEL], Topic.PROGRESS, NOW),
        "unmuted-topic": telling.unmuted_card(some, Topic.SIGN_IN, NOW),
        "unmuted-everything": telling.unmuted_card(admin, None, NOW),
        "digest-hour": telling.digest_hour_card(own, NOW),
        "digest-off": telling.digest_hour_card(none, NOW),
        "quiet": telling.quiet_card(own),
        "quiet-off": telling.quiet_card(none),
        **{f"quiet-default-{hearer}": telling.quiet_card(each) for hearer, each in heard.items()},
        **_digests(device, name),
    }


def _digests(device: Device, name: str) -> dict[str, View]:
    trouble = Problem(kind="broken", note=name, by="sam", by_name=name, at=NOW - timedelta(hours=5))
    troubled = replace(device, problem=trouble)
    whole = Standing("", 12_000, 3_800, 3_100, 12, 9, 4)
    full = Digest(
        Hearer.ADMIN,
        NOW - timedelta(days=1),
        whole,
        Stuck(3, 2, 8, 5, (troubled, troubled, troubled)),
        tuple(replace(whole, scope=device.site) for _n in range(5)),
        more_rollouts=2,
        undelivered=2,
        events=1_200,
        unreached=(name, name, name),
        held={Topic.PROBLEMS: 3, Topic.DEVICES: 1},
    )
    return {
        "digest": telling.digest_card(full, NOW),
        "digest-nothing": telling.digest_card(
            Digest(Hearer.ADMIN, NOW - timedelta(days=3), Standing("", 0, 0, 0, 0, 0, 0), Stuck()), NOW
        ),
        "digest-technician": telling.digest_card(replace(full, hearer=Hearer.TECHNICIAN, rollouts=()), NOW),
    }
