"""Everything that can be refused: each class has a stable `code` for programs and a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from provisioning.texts import N_, _


class ProvisioningError(Exception):
    """The root. `sentence` is what a person reads, in the current language; it says what to do next."""

    code: ClassVar[str] = "error"
    message: ClassVar[str] = N_("Something is not right.")

    def __init__(self, **values: object) -> None:
        super().__init__(*values.values())
        self.values = values

    @property
    def sentence(self) -> str:
        return _(self.message, **self.values)

    def __str__(self) -> str:
        return self.sentence


# ------------------------------------------------------------------ what the store says


class StoreError(ProvisioningError):
    """Only these three leave a store."""


class Conflict(StoreError):
    """A record's version was not the one read: somebody was faster."""

    code = "conflict"
    message = N_("Somebody was faster. Here is how it stands now.")


class Duplicate(StoreError):
    """A record with this key is there already. `index` names the unique index, `key` the value."""

    code = "duplicate"
    message = N_("{key} is already there.")

    def __init__(self, index: str, key: str) -> None:
        super().__init__(index=index, key=key)
        self.index, self.key = index, key


class Unavailable(StoreError):
    """The store cannot take or give data now (disk full, locked, damaged, gone); `reason` is for the operator."""

    code = "unavailable"
    message = N_("The service cannot save right now. Nothing was changed; please try again in a minute.")

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason


# ------------------------------------------------------------------ who may


class Forbidden(ProvisioningError):
    code = "forbidden"
    message = N_("Only {who} can do that. Ask one of your admins.")


class NoAccess(ProvisioningError):
    code = "no_access"
    message = N_("You have no access yet.")


class AlreadyDone(ProvisioningError):
    """The same press or message arrived again; it took effect the first time."""

    code = "already_done"
    message = N_("This was done already.")


# ------------------------------------------------------------------ what was typed


class BadInput(ProvisioningError):
    """Something typed or filled in is wrong; `field` is the input's name where there is a form."""

    code = "bad_input"
    field: ClassVar[str] = ""


class InvalidMac(BadInput):
    code = "invalid_mac"
    field = "mac"
    message = N_('"{text}" is not a MAC address. A MAC has 12 hex digits, like 80-5E-C0-11-22-33.')


class MacWrongLength(InvalidMac):
    message = N_('"{text}" has the wrong length: {digits} digits, a MAC has 12. Compare it with the label.')


class MacNotADevice(InvalidMac):
    message = N_('"{text}" is a {kind} address, which no device has. Copy the MAC from the device\'s label.')


class MacWasNumber(InvalidMac):
    message = N_('"{text}" was changed to a number by a spreadsheet. Format the column as Text and copy it again.')


class InvalidLocation(BadInput):
    code = "invalid_location"
    field = "location"
    message = N_("A location is needed, like Oslo/2/2.14: at most 200 characters, the first part is the site.")


class InvalidTag(BadInput):
    code = "invalid_tag"
    field = "tag"
    message = N_("A tag is a word or a few, at most 40 characters, without commas.")


class TextTooLong(BadInput):
    code = "too_long"
    message = N_("That is too long: {length} characters, at most {limit}.")


class InvalidDuration(BadInput):
    code = "invalid_duration"
    field = "lifetime"
    message = N_('"{text}" is not a time a code can live. Say 1h to 7d, for example 48h.')


class InvalidMoment(BadInput):
    code = "invalid_moment"
    field = "made"
    message = N_('"{text}" is not a time in the past. Write 08:30, or 2026-11-22 08:30.')


class InvalidHour(BadInput):
    code = "invalid_hour"
    field = "time"
    message = N_('"{text}" is not a time within the next {days} days. Write 03:00, or 2026-12-01 03:00.')


class InvalidStart(BadInput):
    code = "invalid_start"
    field = "starts"
    message = N_('"{text}" is not a time within the next year. Write 2026-12-01 08:00, or 2026-12-01.')


class InvalidEnd(InvalidStart):
    code = "invalid_end"
    field = "ends"


class InvalidChoice(BadInput):
    code = "invalid_choice"
    message = N_('"{text}" is not one of: {choices}.')


class TooMany(BadInput):
    code = "too_many"
    message = N_("That is {count} at once; at most {limit} in one message. Split it into several.")


class TooManyToPrint(BadInput):
    code = "too_many_to_print"
    message = N_("{count} devices are too many for one sheet: at most {limit}. Print a site, a tag or a technician.")


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to read an ambiguous word: the exact value and the words that tell it apart."""

    value: str
    title: str
    place: str = ""  # of a device: what people on site call it


class Ambiguous(BadInput):
    """`parameter` names what was ambiguous, `choices` (at most 6 shown) how it can be meant."""

    code = "ambiguous"
    message = N_('"{text}" can mean more than one. Which one?')

    def __init__(self, parameter: str, text: str, choices: Sequence[Choice]) -> None:
        super().__init__(text=text)
        self.parameter, self.text, self.choices = parameter, text, tuple(choices)


class Resembles(Ambiguous):
    """The beginning of a name: whose it is gets asked, never assumed, even where there is only one."""

    code = "resembles"
    message = N_('I know nobody called "{text}". Whom do you mean?')


class NearMiss(BadInput):
    """A MAC that is not listed but one digit off one that is; asked, never assumed."""

    code = "near_miss"
    message = N_("{mac} is not on the list. Did you mean {title}?")

    def __init__(self, parameter: str, mac: str, choices: Sequence[Choice]) -> None:
        super().__init__(mac=mac, title=choices[0].title)
        self.parameter, self.text, self.choices = parameter, mac, tuple(choices)


class UnreadableText(BadInput):
    """U+0000 or half a surrogate pair: no person types it and not every store can keep it."""

    code = "unreadable_text"
    message = N_("That text holds a character that cannot be read. Type it again by hand.")


# ------------------------------------------------------------------ what is not there


class NotFound(ProvisioningError):
    code = "not_found"
    message = N_("This is not there any more.")


class DeviceNotFound(NotFound):
    code = "device_not_found"
    message = N_('I know no device "{text}". Use its MAC in any notation, the last 4 digits, or its place.')


class NothingMatches(NotFound):
    code = "nothing_matches"
    message = N_('Nothing matches "{text}": no device, no site, no tag. devices shows the list.')


class PersonNotFound(NotFound):
    code = "person_not_found"
    message = N_('I know nobody called "{text}". Ask them to say hi to me, or mention them with @; people lists all.')


class NothingToUndo(NotFound):
    code = "nothing_to_undo"
    message = N_("There is nothing of yours to undo. Undo works for 10 minutes after an add.")


class TooLateToUndo(NothingToUndo):
    code = "too_late_to_undo"
    message = N_("Too late to undo: this works for 10 minutes after an add. Use remove.")


class UndoneAlready(NothingToUndo):
    code = "undone_already"
    message = N_("This was undone already.")


class NotConnected(NotFound):
    code = "not_connected"
    message = N_("This channel follows no rollout. Say connect and a site, for example connect Oslo.")


# ------------------------------------------------------------------ what the state forbids


class Refused(ProvisioningError):
    code = "refused"


class DeviceExists(Refused):
    code = "device_exists"
    message = N_("{mac} is already on the list, at {location}. Use move to change its place.")


class ResetRequired(Refused):
    code = "reset_required"
    message = N_(
        "{place} was provisioned already. It cannot be provisioned again until it is reset to factory settings."
    )


class NoLiveCode(Refused):
    code = "no_live_code"
    message = N_("{place} has no live code.")


class MovedOn(Refused):
    code = "moved_on"
    message = N_("Not undone: {titles}. They have moved on since.")


class LastAdmin(Refused):
    code = "configured_admin"
    message = N_("{name} is an admin by configuration (ADMINS); change it there.")


class WrongPlace(Refused):
    code = "wrong_place"
    message = N_("That works in a channel: mention me there.")


class OutOfDate(Refused):
    """A card drawn from an old revision was pressed; the fresh card is shown with this sentence."""

    code = "out_of_date"
    message = N_("This card was out of date. Here is how it stands now.")


# ------------------------------------------------------------------ what a device is told


class DeviceRefusal(ProvisioningError):
    """Answers of the device API; the sentence is for the log of whoever builds a device."""


class CodeRefused(DeviceRefusal):
    code = "code_refused"
    message = N_("This MAC and code do not go together. Check the code and try again.")


class CodeExpired(DeviceRefusal):
    code = "code_expired"
    message = N_("This code has ended. Ask for a new one.")


class DeviceResetRequired(DeviceRefusal):
    code = "reset_required"
    message = N_("This device was provisioned already. Reset it to factory settings first.")


class InvalidCode(DeviceRefusal):
    code = "invalid_code"
    message = N_("That is not a complete code. Compare the digits; nothing was counted.")


class SlowDown(DeviceRefusal):
    """`retry_after` is in whole seconds, at least 1. `limit` names the one that was reached; no caller hears it."""

    code = "slow_down"
    message = N_("Too many wrong codes. Try again in {retry_after} seconds.")

    def __init__(self, retry_after: int, limit: str = "") -> None:
        super().__init__(retry_after=retry_after)
        self.retry_after, self.limit = retry_after, limit


class TokenRefused(DeviceRefusal):
    code = "token_refused"
    message = N_("This device's token is not valid. Reset it to factory settings; then a new code can be used.")
