"""Cards of rollouts in each of their states, with whatever text a user may have typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import planning, reach, rollouts
from provisioning.conversations import Conversation, ConversationKind
from provisioning.errors import InvalidEnd
from provisioning.forecast import Pace
from provisioning.model import Device, Person, Role
from provisioning.onsite import Problem
from provisioning.rollouts import Rollout
from provisioning.service.progress import Progress, Stuck, Why
from provisioning.service.rollouts import Followed

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)


def rollout_cards(word: str, name: str) -> dict[str, View]:
    """`word` is what a place, a site or a note is called, `name` what people are."""
    sam = Person(id="sam", name=name, teams_id="29:sam", roles=frozenset({Role.TECHNICIAN}))
    kim = replace(sam, id="kim")
    site = word.replace("/", " ").replace("@", "") or "Oslo"
    place = Conversation(
        "19:a1b2@thread.tacv2", ConversationKind.CHANNEL, "https://smba.example", "t", "28:bot", name=word
    )
    began = Rollout(channel=place, site=site, connected_by="dana", connected_by_name=name, started_at=NOW)
    late, day = NOW - timedelta(hours=2), timedelta(days=1)
    device = Device(mac="805EC0112233", location=f"{site}/2/{word or '2.14'}", added_at=late, added_by="dana")
    trouble = replace(device, problem=Problem(kind="network", note=word, by="sam", by_name=name, at=late))
    stuck = (
        Stuck(trouble, Why.PROBLEM, late, name),
        *(Stuck(device, why, late - day) for why in (Why.CODE_ENDED, Why.SIGN_IN, Why.OFFLINE)),
        Stuck(device, Why.OFFLINE, late - 2 * day, name),
    )
    start = Progress(site, 150, 0, 0, 0, coded=150)
    fast = Pace(44, 22.0, NOW + timedelta(hours=5))
    half = replace(start, provisioned=38, installed=31, problems=2, coded=60, signed_in=12, pace=fast)
    busy = replace(
        half, stuck=stuck, stuck_more=7, last=device, last_by=name, last_at=NOW, last_fact="InstallConfirmed"
    )
    planned = replace(
        began,
        lead="sam",
        technicians=("sam",) * 6,
        lifetime_hours=48,
        on_site=True,
        planned_end=NOW + timedelta(hours=3),
    )
    crew = Followed(planned, busy, sam, (sam,) * 6)
    ahead = replace(planned, planned_start=NOW + day, planned_end=NOW + 3 * day)
    readers = tuple(f"29:{number}" for number in range(60))
    return {
        "rollout": rollouts.rollout_card(Followed(began, busy), NOW, admin=False, readers=readers),
        "rollout-start": rollouts.rollout_card(Followed(began, start), NOW, admin=False),
        "rollout-nothing": rollouts.rollout_card(Followed(began, Progress("", 0, 0, 0, 0)), NOW, admin=False),
        "rollout-admin": rollouts.rollout_card(crew, NOW, admin=True, readers=readers),
        "rollout-planned": rollouts.rollout_card(Followed(ahead, start, sam, (sam,)), NOW, admin=True),
        "rollout-paused": rollouts.rollout_card(Followed(replace(began, paused_at=late), half), NOW, admin=True),
        "rollout-finished": rollouts.rollout_card(Followed(replace(began, finished_at=late), half), NOW, admin=True),
        "rollout-slow": rollouts.rollout_card(
            Followed(began, replace(half, pace=Pace(1), last=device, last_at=NOW, last_fact="DeviceProvisioned")),
            NOW,
            admin=False,
        ),
        "rollout-done": rollouts.rollout_card(Followed(began, replace(half, provisioned=150)), NOW, admin=True),
        "rollout-mounted": rollouts.rollout_card(Followed(began, replace(half, waiting_installed=3)), NOW, admin=False),
        "rollout-details": rollouts.details_card(busy, NOW),
        "rollout-details-channel": rollouts.details_card(replace(busy, waiting_installed=1), NOW, crew),
        "rollouts": rollouts.rollouts_card([Followed(began, half)] * 12, replace(half, scope=""), NOW),
        "channel-lost": reach.channel_lost_card(replace(began, lost="blocked")),
        "channel-gone": reach.channel_lost_card(replace(began, lost="chat_gone")),
        "rollout-gone": rollouts.card_gone_card(site),
        "plan": planning.plan_form(crew, ([sam], [sam, kim]), {}, None),
        "plan-alone": planning.plan_form(Followed(began, start), ([sam], []), {}, None),
        "plan-wrong": planning.plan_form(crew, ([sam], [sam]), {"ends": word[:40]}, InvalidEnd(text=word[:40])),
        "planned": planning.planned_card(crew, NOW),
        "planned-nothing": planning.planned_card(Followed(began, start), NOW),
    }
