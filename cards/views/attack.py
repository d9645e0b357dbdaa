"""Attacks on codes, as admins read them: what happens, what it means, what is still served, and what is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cards.view import Button, Fact, Notice, Style, Tone
from cards.views.common import short
from cards.words import clock, escape, listing, until
from provisioning.defence import Attack, Turned, Verdict
from provisioning.service.guarding import Siege
from provisioning.texts import _, ngettext

VERDICTS = 6  # that are shown
OTHERS = 4  # further networks that are named


def digest_of(siege: Siege) -> str:
    """What the card says, but for the hour it was drawn at: a card that would say the same is not edited."""
    attack = replace(siege.attack, verdicts=siege.attack.verdicts[-VERDICTS:])
    macs = tuple(device.mac for device in siege.devices)
    return repr((attack, siege.failures, siege.exempt_failures, siege.networks, macs, siege.device_count))


def allowed_words(network: str) -> str:
    return _("{network} gets through for 24 hours.", network=escape(network))


def denied_words(network: str) -> str:
    return _("{network} does not get through for 24 hours.", network=escape(network))


def attack_card(siege: Siege, now: datetime, said: str = "") -> Notice:
    """The one card of an attack, drawn anew as it goes on; without one, how the limits stand."""
    attack, asked = siege.attack, siege.asked
    lines = _during(siege, now) if attack.on else _peace(siege, now)
    return Notice(
        title=_("Somebody is trying codes") if attack.on else _("Nobody is trying codes all over the fleet"),
        tone=Tone.ATTENTION if attack.on else Tone.GOOD,
        notice=said,
        notice_tone=Tone.PLAIN,
        lines=lines,
        facts=tuple(_fact(verdict, now) for verdict in attack.said(now)[:VERDICTS]),
        buttons=_answers(asked) if asked else (),
        small=(
            _("As of {time}. This card changes by itself.", time=clock(now, now)),
            _("Or type: attack, allow {network}, deny {network}", network=asked.network if asked else "10.1.2.0/24"),
        ),
    )


def _during(siege: Siege, now: datetime) -> tuple[str, ...]:
    parts = (_counted(siege, now), _aimed(siege), _shut(siege.attack, now), _others(siege), _question(siege, now))
    return tuple(filter(None, parts))


def _counted(siege: Siege, now: datetime) -> str:
    """`600 wrong codes in the last 10 minutes, from 45 networks. It began at 08:10.`"""
    count = siege.failures + siege.exempt_failures
    networks = siege.networks + siege.exempt_networks
    words = [
        ngettext("{n} wrong code in the last 10 minutes", "{n} wrong codes in the last 10 minutes", count),
        ngettext("from {n} network", "from {n} networks", networks),
    ]
    began = siege.attack.began
    said = ", ".join(words if networks else words[:1]) + "."
    return f"{said} " + _("It began at {time}.", time=clock(began, now)) if began else said


def _aimed(siege: Siege) -> str:
    if not siege.device_count:
        return _("None of them was for a device on the list.")
    named = [short(device) for device in siege.devices]
    if (left := siege.device_count - len(named)) > 0:
        named.append(ngettext("{n} more", "{n} more", left))
    return _("Devices on the list that were tried: {devices}.", devices="; ".join(named))


def _shut(attack: Attack, now: datetime) -> str:
    """Who has to wait and until when, and whom it does not concern."""
    words = []
    if attack.shut_until and now < attack.shut_until:
        words.append(
            _(
                "Until {time} networks that nobody knows have to wait. Still served: TRUSTED_NETWORKS, networks from "
                "which a device was provisioned in the last 24 hours, and those you allow.",
                time=clock(attack.shut_until, now),
            )
        )
    if attack.exempt_until and now < attack.exempt_until:
        words.append(_("Known networks have used up their limit too and wait until {time}.",
                       time=clock(attack.exempt_until, now)))  # fmt: skip
    if not words:
        words.append(_("At the moment every network is served."))
    words.append(_("Devices that are provisioned already notice nothing."))
    return " ".join(words)


def _question(siege: Siege, now: datetime) -> str:
    """About one network at a time, the one that called most."""
    asked = siege.asked
    if asked is None:
        return ""
    network = escape(asked.network)
    turned = ngettext(
        "{network} was turned away {n} time.", "{network} was turned away {n} times.", asked.calls, network=network
    )
    if asked.exempt:
        return turned + " " + _("It is a known network. Deny, if it is not one of yours.")
    if siege.known_since:
        last = _("A device was last provisioned from there {time}.", time=clock(siege.known_since, now))
        return f"{turned} {last} " + _("Is it one of yours?")
    return turned + " " + _("No device was provisioned from there yet. Is it one of yours?")


def _others(siege: Siege) -> str:
    others = [each for each in siege.attack.turned if each != siege.asked][:OTHERS]
    if not others:
        return ""
    named = [_("{network} ({n} calls)", network=escape(each.network), n=each.calls) for each in others]
    return _("Also turned away: {networks}.", networks=listing(named))


def _peace(siege: Siege, now: datetime) -> tuple[str, ...]:
    attack = siege.attack
    count = siege.failures + siege.exempt_failures
    lines = [ngettext("{n} wrong code in the last 10 minutes.", "{n} wrong codes in the last 10 minutes.", count)]
    if attack.began and attack.over:
        lines.append(
            _("The last attack: {begin} to {end}.", begin=clock(attack.began, now), end=clock(attack.over, now))
        )
    return tuple(lines)


def _fact(verdict: Verdict, now: datetime) -> Fact:
    said = {"name": escape(verdict.by_name), "time": until(verdict.until, now)}
    words = (
        _("allowed by {name} until {time}", **said) if verdict.allowed else _("denied by {name} until {time}", **said)
    )
    return Fact(escape(verdict.network), words)


def _answers(asked: Turned) -> tuple[Button, ...]:
    data = {"network": asked.network}
    deny = Button("deny_network", _("Deny"), data, style=Style.DESTRUCTIVE)
    return (deny,) if asked.exempt else (Button("allow_network", _("Allow"), data, style=Style.POSITIVE), deny)


def over_card(siege: Siege, now: datetime) -> Notice:
    """Said once, as a message of its own."""
    attack = siege.attack
    begin, end = (clock(moment, now) if moment else "" for moment in (attack.began, attack.over))
    return Notice(
        title=_("Nobody is trying codes any more"),
        tone=Tone.GOOD,
        lines=(
            _("It lasted from {begin} to {end}.", begin=begin, end=end)
            + " "
            + ngettext(
                "The limit was reached {n} time.",
                "The limit was reached {n} times.",
                attack.spent,
            ),
            _("Every network is served again."),
        ),
        buttons=(Button("attack", _("Show")),),
        small=(_("Or type: attack"),),
    )
