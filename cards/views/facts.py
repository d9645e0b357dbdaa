"""One human sentence for every fact there is; by a fact's name, as the audit keeps it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from cards.views.commanding import NAMES as COMMANDS
from cards.views.common import brief, short
from cards.views.people import ROLES
from cards.words import clock, escape, listing, mac_dashed
from provisioning.events import Event
from provisioning.model import Device
from provisioning.rollouts import Rollout
from provisioning.service.problems import PROBLEMS
from provisioning.sheets.faults import sentences
from provisioning.texts import N_, _, ngettext

ACTORS: Mapping[str, str] = {  # that are no people
    "service": N_("the service"),
    "device": N_("the device"),
    "operator": N_("the operator, at the command line"),
}
MAC = 12  # digits
_OBJECT_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

SENTENCES: Mapping[str, str] = {
    "Event": N_("Something that this version of the service does not know"),  # by a newer instance, or a former one
    "AccessAsked": N_("Access asked for"),
    "AccessGranted": N_("Made {role}"),
    "AccessRefused": N_("Access refused"),
    "AccessRevoked": N_("Access ended: {codes} codes died, {jobs} jobs are with nobody"),
    "AccountChosen": N_("To be signed in as {account}"),
    "AuditExported": N_("Facts exported as {form}"),
    "AddUndone": N_("Adding it at {location} was undone"),
    "AttackBegan": N_("Attack on codes: {failures} wrong codes within ten minutes, from {networks} networks"),
    "AttackEnded": N_("The attack on codes since {began} is over; the limit was reached {spent} times"),
    "ChannelConnected": N_("The channel follows {site}"),
    "ChannelDisconnected": N_("The channel does not follow {site} any more"),
    "ChannelLost": N_("The channel of {site} cannot be written to any more. {why}"),
    "CodeDenied": N_("The code that was asked for was refused"),
    "CodeEnded": N_("Code {issue} ended unused"),
    "CodeIssued": N_("Code {issue} made, valid until {expires_at}"),
    "CodeLocked": N_("Code {issue} revoked after {failures} wrong tries"),
    "CodeReceived": N_("Code {issue} came from the Teams admin centre, valid until {expires_at}"),
    "CodeRequested": N_("A code was asked for"),
    "CodeRevoked": N_("Code {issue} revoked"),
    "CodeShown": N_("Code {issue} shown to {reader}"),
    "CodeStrayed": N_("Its code was tried on another device, {caller}, from {source}"),
    "CodeUsed": N_("Code {issue} of the Teams admin centre was used, says the technician"),
    "CodesExported": N_("{count} codes exported as {form}"),
    "CommandAsked": N_("Asked to {command}, not before {due_at}"),
    "CommandSettled": N_("Asked to {command}: {status}. {detail}"),
    "CommandWithdrawn": N_("Not asked any more to {command}"),
    "DeviceAdded": N_("Put on the list at {location}"),
    "DeviceAssigned": N_("Given to {technician}"),
    "DeviceChanged": N_("An import changed {columns}"),
    "DeviceFreed": N_("With nobody any more, before with {former}"),
    "DeviceHandedOver": N_("Handed to {technician}, without a code yet"),
    "DeviceMoved": N_("Moved from {before} to {after}"),
    "DeviceOffline": N_("Offline: it has not called since {since}"),
    "DeviceOnline": N_("Calls again, after {since}"),
    "DeviceProvisioned": N_("Provisioned, calling from {source}"),
    "DeviceRemoved": N_("Taken off the list, from {location}"),
    "DeviceReplaced": N_("Took the place of {former}"),
    "DeviceReset": N_("Reset to factory settings; its life number {life} begins"),
    "DeviceSignedIn": N_("Signed in as {account}"),
    "DeviceSignedOut": N_("Signed out, from {account}"),
    "DeviceStale": N_("Not heard of since {since}"),
    "DeviceTagged": N_("Tagged {tag}"),
    "DevicesSwapped": N_("Changed places with {other}"),
    "DoubtDismissed": N_("It was not reset, somebody says"),
    "FactsRedacted": N_("Words that led to a person who left were taken out of {rows}"),
    "GroupJoined": N_("Made {role} through an Entra group"),
    "GroupLeft": N_("No longer {role}: not in the Entra group any more"),
    "ImportCancelled": N_("An import was cancelled; nobody ever saw it"),
    "ImportFinished": N_("An import added {added} and changed {changed}"),
    "ImportUndone": N_("An import was undone; {stayed} stayed"),
    "InstallConfirmed": N_("Installed"),
    "MessagesMuted": N_("Muted: {topic}"),
    "MessagesUnmuted": N_("Not muted any more: {topic}"),
    "PersonForgotten": N_("Forgotten: nothing leads from this id to a person any more"),
    "NetworkAllowed": N_("The network {network} is let through for 24 hours"),
    "NetworkDenied": N_("The network {network} is not let through for 24 hours"),
    "PersonUnreachable": N_("Cannot be reached: removed or blocked the app"),
    "PhotoKept": N_("A photo of the install came"),
    "PhotoShown": N_("Its photo was shown"),
    "PhotoSkipped": N_("No photo comes with this install"),
    "ProblemAnswered": N_("A problem was answered: {kind}"),
    "ProblemReported": N_("A problem was reported: {kind}"),
    "ProblemSolved": N_("A problem was solved: {kind}"),
    "ProvisionRefused": N_("A call from {source} was refused. {reason}"),
    "ProvisionRepeated": N_("The same call again: it got a new token"),
    "ResetDoubted": N_("Called from {source} as if it had been reset"),
    "ResetOrdered": N_("Its life was ended from here; number {life} begins"),
    "ResetReported": N_("It was reset, as had been ordered"),
    "RolloutFinished": N_("The rollout of {site} ended: {provisioned} of {total} provisioned, {installed} installed"),
    "RolloutPaused": N_("The rollout of {site} was paused"),
    "RolloutPlanned": N_("The rollout of {site} was planned anew"),
    "RolloutResumed": N_("The rollout of {site} goes on"),
    "SheetMade": N_("Sheet {sheet} of {count} devices was made"),
    "SignInAsked": N_("Sign-in of {account} begun"),
    "SignInCodeShown": N_("Its sign-in code was shown to {reader}"),
    "SignInEnded": N_("Sign-in ended: {stage}. {why} {detail}"),
    "SignInTroubled": N_("The identity provider answers again"),
    "StartChosen": N_("Codes of this rollout start at once"),
    "StoreRestored": N_("The state of a backup took the place of this one; {codes} codes in it were voided"),
    "StrayAnswered": N_("{caller} was not given to whoever asked"),
    "StrayAsked": N_("Its technician asked for {caller}"),
    "StrayDismissed": N_("Its technician has nothing to do with {caller}"),
    "StrayFollowed": N_("Its technician went on with {caller}"),
    "TechniciansReminded": N_("{people} people with open devices at {site} were reminded"),
    "TellingChosen": N_("Chose what to hear: digest {digest}, quiet hours {quiet}"),
    "WebhookReplayed": N_("{count} events were sent to an endpoint again"),
}
# The sentence where a field is set: the first that is, in this order.
WHERE: Mapping[str, Mapping[str, str]] = {
    "AccessRevoked": {"heir": N_("Access ended: {codes} codes died, {jobs} jobs went to {heir}")},
    "AccountChosen": {"former": N_("To be signed in as {account}, no longer as {former}")},
    "AttackBegan": {
        "exempt": N_("Attack on codes from known networks: {failures} wrong codes within ten minutes, from {networks}")
    },
    "CodeIssued": {"voided": N_("Code {issue} made, valid until {expires_at}; the one before died")},
    "CodeReceived": {
        "voided": N_("Code {issue} came from the Teams admin centre, valid until {expires_at}; the one before died")
    },
    "DeviceAssigned": {"former": N_("Given to {technician}, before with {former}")},
    "DeviceTagged": {"removed": N_("Tag {tag} taken away")},
    "GroupLeft": {
        "unconfirmed": N_("No longer {role}: for a day Microsoft Graph did not say who is in the Entra group")
    },
    "InstallConfirmed": {
        "room": N_("Installed in {room}, which is another room than the list says"),
        "mounting_only": N_("Mounted"),
        "screen": N_("Installed; the screen showed the organisation"),
    },
    "MessagesMuted": {"until": N_("Muted until {until}: {topic}")},
    "SignInAsked": {"replaced": N_("Sign-in of {account} begun; the one before was given up")},
    "SignInTroubled": {"silent": N_("The identity provider does not answer")},
    "StartChosen": {"on_site": N_("Codes of this rollout start on site")},
    "StrayAnswered": {"granted": N_("{caller} was given to whoever asked")},
    "TellingChosen": {"muted": N_("Chose what to hear: digest {digest}, quiet hours {quiet}, muted {muted}")},
}
STAGES: Mapping[str, str] = {
    "ended": N_("nobody typed the code in time"),
    "cancelled": N_("it was given up"),
    "declined": N_("whoever typed the code refused"),
    "blocked": N_("a policy of the provider forbids it"),
    "wrong_account": N_("another account approved"),
    "failed": N_("it failed"),
}
STATUS: Mapping[str, str] = {"done": N_("done"), "failed": N_("failed")}


@dataclass(frozen=True, slots=True)
class Known:
    """What is spoken of by id: names of people, devices, and the rollouts of channels."""

    people: Mapping[str, str]
    devices: Mapping[str, Device]
    channels: Mapping[str, Rollout]
    now: datetime
    own: str = ""  # whose page it is, which goes without saying

    def who(self, id_: str) -> str:
        if id_ in ACTORS:
            return _(ACTORS[id_])
        return brief(escape(self.people.get(id_, ""))) or former_person(id_)

    def what(self, id_: str) -> str:
        """Whatever an id names, in words; empty for what has none."""
        if id_ in self.devices:
            return short(self.devices[id_])
        if id_ in self.people:
            return self.who(id_)
        if id_ in self.channels:
            return self.channel(id_)
        return mac_dashed(id_) if len(id_) == MAC and id_.isalnum() else ""

    def channel(self, id_: str) -> str:
        """By its name, else by what it follows; it may be gone."""
        rollout = self.channels.get(id_)
        if rollout is None:
            return _("a channel that follows nothing any more")
        named = rollout.channel.name or rollout.scope
        return _("the channel {name}", name=brief(escape(named))) if named else _("the channel of all sites")


def former_person(id_: str) -> str:
    """Somebody who was forgotten, or never met: what is left of them is an id, of which so much tells two apart."""
    start = escape(id_[:4])
    return _("a former person ({start}…)", start=start) if start else _("somebody who is not known any more")


def _former_words(value: str, known: Known) -> str:
    """A device, a person, or the account that was there before."""
    return known.what(value) or (former_person(value) if _OBJECT_ID.fullmatch(value) else brief(escape(value)))


def _codes_words(code: str) -> str:
    """A refusal's or a provider's reason as its error says it; those with places of their own need what was typed."""
    said = sentences().get(code)
    try:
        return escape(said({})) if said else ""
    except KeyError:
        return ""


def _site_words(site: str) -> str:
    return brief(escape(site)) if site else _("all sites")


# What a field holds, in words; a field that is not named here is a text, a number, or a moment.
WORDS: Mapping[str, Callable[[Any, Known], str]] = {
    "technician": lambda value, known: known.who(value),
    "reader": lambda value, known: known.who(value),
    "heir": lambda value, known: known.who(value),
    "former": _former_words,
    "caller": lambda value, known: known.what(value) or brief(escape(value)),
    "other": lambda value, known: known.what(value) or brief(escape(value)),
    "role": lambda value, known: _(ROLES[value]) if value in ROLES else "",
    "kind": lambda value, known: _(PROBLEMS[value]) if value in PROBLEMS else "",
    "command": lambda value, known: _(COMMANDS[value]) if value in COMMANDS else "",
    "stage": lambda value, known: _(STAGES[value]) if value in STAGES else "",
    "status": lambda value, known: _(STATUS[value]) if value in STATUS else "",
    "columns": lambda value, known: brief(listing([escape(each) for each in value])),
    "muted": lambda value, known: brief(listing([escape(each) for each in value])),
    "rows": lambda value, known: ngettext("{n} fact", "{n} facts", len(value)),
    "reason": lambda value, known: _codes_words(value),
    "why": lambda value, known: _codes_words(value),
    "form": lambda value, known: escape(value.upper()),
    "site": lambda value, known: _site_words(value),
    "topic": lambda value, known: brief(escape(value)) if value else _("everything"),
}


def fact_words(fact: Event, known: Known) -> str:
    """What happened, in one sentence; never a code of any kind."""
    name = fact.name
    chosen = (sentence for field, sentence in WHERE.get(name, {}).items() if getattr(fact, field))
    sentence = next(chosen, SENTENCES.get(name, SENTENCES["Event"]))
    values = {field.name: _word(field.name, getattr(fact, field.name), known) for field in fields(fact)}
    return " ".join(_(sentence, **values).split()).rstrip(" .")


def _word(field: str, value: Any, known: Known) -> str:
    if field in WORDS:
        return WORDS[field](value, known)
    if isinstance(value, datetime):
        return clock(value, known.now)
    return brief(escape(str(value)))
