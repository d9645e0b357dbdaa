"""Every text of the local page: what a person reads there, in the language that their browser asks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from babel import negotiate_locale

from provisioning.texts import N_, _, languages

ENGLISH: Final = "en"
SUGGESTIONS: Final = MappingProxyType(  # commands, which are the same in every language
    {
        "admin": ("hi", "add", "help"),
        "technician": ("hi", "next", "help"),
        "none": ("hi", "help"),
        "channel": ("connect oslo",),
    }
)
TEXTS: Final = MappingProxyType(
    {
        "product": N_("Provisioning Bot"),
        "tagline": N_("Roll out Teams devices from chat"),
        "banner": N_("Local mode: no sign-in check"),
        "language": N_("Language"),
        "lost": N_("Connection lost. Trying again."),
        "pane.admin": N_("Admin"),
        "pane.technician": N_("Technician"),
        "pane.channel": N_("Channel"),
        "pane.device": N_("Device"),
        "paneTitle.admin": N_("Admin’s phone"),
        "paneTitle.technician": N_("Technician’s phone"),
        "paneTitle.channel": N_("Team channel"),
        "paneTitle.device": N_("Simulated device"),
        "whose": N_("Whose phone"),
        "messages": N_("Messages: {place}"),
        "unread": N_("New: {count}"),
        "write": N_("Type a message"),
        "writeTo": N_("Message {name}"),
        "postTo": N_("Ask @{name}"),
        "send": N_("Send"),
        "tryThese": N_("Try"),
        "emptyChat": N_("Say something to begin"),
        "emptyChatMore": N_("The bot answers here, as it would in Teams."),
        "emptyChannel": N_("Nothing posted yet"),
        "emptyChannelMore": N_("Connect a rollout and its living card appears here."),
        "postAs": N_("Post as"),
        "reply": N_("Reply"),
        "replyingTo": N_("Replying to {name}"),
        "stopReply": N_("Write a new post instead"),
        "you": N_("You"),
        "edited": N_("Edited"),
        "typing": N_("{name} is typing"),
        "notDelivered": N_("Not delivered."),
        "tryAgain": N_("Try again"),
        "wentWrong": N_("Something went wrong. Please try again."),
        "cardTooNew": N_("This card needs a newer app."),
        "copyCode": N_("Copy the digits"),
        "copyCodeLabel": N_("Code {code}. Copy its digits"),
        "copied": N_("Digits copied. Paste them on the device."),
        "notCopied": N_("The digits could not be copied."),
        "field": N_("Value"),
        "fieldWrong": N_("Check this field."),
        "attachment": N_("Attachment: {name}"),
        "file.attach": N_("Attach a file"),
        "picture.take": N_("Take a picture"),
        "file.drop": N_("Drop the file to send it"),
        "file.allow": N_("Allow"),
        "file.decline": N_("Decline"),
        "file.allowed": N_("Allowed"),
        "file.declined": N_("Declined"),
        "file.download": N_("Download"),
        "file.tooLarge": N_("This file is too large for the local page."),
        "device.one": N_("Device {tail}"),
        "device.switcher": N_("Simulated devices"),
        "device.add": N_("Add a device"),
        "device.remove": N_("Remove this device"),
        "device.mac": N_("MAC address"),
        "device.codeHint": N_("Enter the code"),
        "device.starting": N_("Starting"),
        "device.provision": N_("Provision"),
        "device.checking": N_("Checking"),
        "device.erase": N_("Delete the last digit"),
        "device.keypad": N_("Keypad"),
        "device.reset": N_("Factory reset"),
        "device.resetAgain": N_("Press again to reset"),
        "device.waiting": N_("Waiting for remote sign-in"),
        "device.signedIn": N_("Signed in"),
        "device.signedOut": N_("Signed out. Waiting for remote sign-in"),
        "device.resetNeeded": N_("Reset needed"),
        "device.resetWhy": N_("This device must be reset to factory settings before it can be used again."),
        "device.upAgain": N_("up again after 1 s"),
        "device.note": N_("simulated phone, software 1.0, page open for {minutes} min, network good, 41 °C"),
        "device.unknownCommand": N_("This device does not know how to do that."),
        "did.sign_out": N_("Signed out, as an admin asked."),
        "did.restart": N_("Restarted, as an admin asked."),
        "did.diagnostics": N_("A note of how it is was sent, as an admin asked."),
        "did.unknown": N_("An admin asked for something that this device does not know."),
        "device.noService": N_("No connection to the service. Trying again."),
        "device.noAnswer": N_("No connection to the service. Try again."),
        "device.slowDown": N_("Too many tries. Wait {seconds} s."),
        "device.refused": N_("The service no longer knows this device. Reset it to factory settings."),
        "device.needCode": N_("Type the code first."),
        "device.needMac": N_("Type the MAC address first."),
        "device.answered": N_("The service answered {status}. Try again."),
        "state.boot": N_("Starting"),
        "state.enter": N_("Not provisioned"),
        "state.busy": N_("Checking"),
        "state.waiting_for_activation": N_("Not provisioned"),
        "state.waiting_for_sign_in": N_("Provisioned"),
        "state.signed_in": N_("Signed in"),
        "state.signed_out": N_("Signed out"),
        "state.reset": N_("Reset needed"),
        "problem.code_refused": N_("That code is not right. Check it and try again."),
        "problem.code_expired": N_("This code has ended. Ask for a new one."),
        "problem.reset_required": N_("Already provisioned. Reset the device to factory settings first."),
        "problem.invalid_mac": N_("That is not a MAC address. It has 12 digits or letters A to F."),
        "problem.invalid_code": N_("One of the digits is mistyped. Check the code."),
    }
)


def page_texts() -> Mapping[str, str]:
    """Every text by its key, in the current language; the page itself fills the `{name}` places."""
    return {key: _(text) for key, text in TEXTS.items()}


def negotiated(accept_language: str, available: frozenset[str] | None = None) -> str:
    """The BCP 47 tag that serves a browser best, by its Accept-Language (RFC 9110, 12.5.4); English where none does."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _semicolon, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if weight > 0:
            wanted.append((weight, tag.strip()))
    tags = [tag for _weight, tag in sorted(wanted, key=lambda pair: -pair[0])]
    return negotiate_locale(tags, sorted(available or languages()), sep="-") or ENGLISH
