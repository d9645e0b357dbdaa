"""Who waits for sign-in, and an admin's run over several: one code at a time."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, ListCard, Notice, Row, Style, Tone
from cards.views.common import brief, more, place_words
from cards.views.signing import go_on
from cards.words import age, amount, clock, escape, mac_end, plain
from provisioning.model import Device
from provisioning.provider_errors import PROVIDER_ERRORS, ProviderError
from provisioning.service.queue import DONE, NOBODY, STOPPED, Queue, Turn
from provisioning.texts import _, ngettext

TITLE = 20  # characters of a button's

# ------------------------------------------------------------------ who waits


def queue_push(queue: Queue) -> str:
    """`3 devices wait for sign-in, Oslo`."""
    said = (
        ngettext("{n} device is signed out", "{n} devices are signed out", queue.total)
        if queue.again
        else ngettext("{n} device waits for sign-in", "{n} devices wait for sign-in", queue.total)
    )
    where = queue.site or queue.scope
    return f"{said}, {escape(where)}" if where else said


def queue_card(queue: Queue, reader: str, now: datetime) -> ListCard:
    """Devices that wait for their first sign-in, or signed-out ones."""
    title = _("Signed out") if queue.again else _("Waiting for sign-in")
    title = f"{title}: {amount(queue.total)}" if queue.total else title
    return ListCard(
        title=f"{title}, {escape(queue.scope)}" if queue.scope else title,
        summary=queue_push(queue),
        rows=tuple(_queue_row(device, queue.again, reader, now) for device in queue.devices),
        empty=""
        if queue.devices
        else _("No device is signed out.")
        if queue.again
        else _("No device waits for sign-in."),
        buttons=_queue_buttons(queue),
        small=_queue_small(queue, now),
    )


def _queue_row(device: Device, again: bool, reader: str, now: datetime) -> Row:
    called = "" if again or not device.provisioned_at else _("called in {age}", age=age(device.provisioned_at, now))
    under_way = ""
    if flow := device.live_sign_in:
        time = clock(flow.asked_at, now)
        mine = flow.by == reader
        under_way = (
            _("you are at it since {time}", time=time)
            if mine
            else _("{name} is at it since {time}", name=escape(flow.by_name), time=time)
        )
    account = brief(escape(device.account)) if device.account else _("no account yet")
    if device.cut_off:
        called = _("needs a factory reset first")
    return Row(
        title=_("{place}, ends {end}", place=brief(place_words(device)), end=mac_end(device.mac)),
        detail=", ".join(filter(None, (account, called, under_way))),
    )


def _queue_buttons(queue: Queue) -> tuple[Button, ...]:
    free = _free(queue)
    whole = {"device": queue.scope or "all"}
    verb = "sign_in_anew" if queue.again else "sign_in"
    again = {"again": "true"} if queue.again else {}
    buttons = (
        *((Button("sign_in", _sign_in_title(free), {"device": free.mac}, style=Style.POSITIVE),) if free else ()),
        *((Button(verb, _("Sign in all"), whole),) if queue.total > 1 and free else ()),
        *more("sign_ins", queue.after, queue.first, len(queue.devices), site=queue.scope, **again),
        *((Button("dismiss", _("Later")),) if queue.devices and queue.after is None else ()),
    )
    return buttons[:3]


def _free(queue: Queue) -> Device | None:
    """The first that nobody is at."""
    return next((device for device in queue.devices if device.live_sign_in is None and not device.cut_off), None)


def _sign_in_title(device: Device) -> str:
    title = _("Sign in {place}", place=escape(device.place))
    return title if len(plain(title)) <= TITLE else _("Sign in the first")


def _queue_small(queue: Queue, now: datetime) -> tuple[str, ...]:
    if not queue.devices:
        return (_("Counted {time}.", time=clock(now)),)
    last = queue.first + len(queue.devices) - 1
    counted = _("{first} to {last}, counted {time}.", first=queue.first, last=last, time=clock(now))
    place, scope = escape((_free(queue) or queue.devices[0]).place), escape(queue.scope) or "all"
    typed = (
        _("Or type: sign in {place}, sign in again {scope}", place=place, scope=scope)
        if queue.again
        else _("Or type: sign in {place}, sign in {scope}", place=place, scope=scope)
    )
    return (f"{counted} {typed}",)


# ------------------------------------------------------------------ one after the other


def run_card(turn: Turn) -> Notice:
    """A run that is over, or stands still, and why."""
    run = turn.run
    if run.paused == DONE:
        return _all_done(turn)
    why = ""
    if run.paused == NOBODY:
        title, why = _("I wait: nobody typed the last codes"), _("A new code comes when you go on.")
    elif run.paused == STOPPED:
        title = _("Stopped")
    elif run.paused:
        fault = PROVIDER_ERRORS.get(run.paused, ProviderError)("")
        title, why = _("Signing in stands still"), escape(fault.sentence)
    else:
        title = _("Sign-in, one after the other")
    stop = () if run.paused == STOPPED else (Button("sign_in_stop", _("Stop")),)
    return Notice(
        title=title,
        tone=Tone.PLAIN if run.paused == STOPPED else Tone.WARNING,
        lines=(*((why,) if why else ()), _counts(turn)),
        buttons=(go_on(), *stop),
        small=(_("Or type: sign in go on") if run.paused == STOPPED else _("Or type: sign in go on, sign in stop"),),
    )


def _counts(turn: Turn) -> str:
    return _(
        "{signed_in}, {skipped}, {left}.",
        signed_in=_signed_in_words(turn),
        skipped=_skipped_words(turn),
        left=ngettext("{n} still waits", "{n} still wait", turn.left),
    )


def _signed_in_words(turn: Turn) -> str:
    return ngettext("{n} signed in", "{n} signed in", turn.run.done)


def _skipped_words(turn: Turn) -> str:
    return ngettext("{n} skipped", "{n} skipped", len(turn.run.skipped))


def _all_done(turn: Turn) -> Notice:
    run = turn.run
    if not (run.done or run.skipped):
        title = _("No device is signed out.") if run.again else _("No device waits for sign-in.")
        return Notice(title=title)
    said = _signed_in_words(turn)
    if run.skipped:
        said = _("{signed_in}, {skipped}", signed_in=said, skipped=_skipped_words(turn))
    data = {"site": run.scope, **({"again": "true"} if run.again else {})}
    return Notice(
        title=_("All done: {counts}", counts=said),
        tone=Tone.GOOD if run.done else Tone.PLAIN,
        lines=(_("What was skipped waits on; a new run asks for it again."),) if run.skipped else (),
        buttons=(Button("sign_ins", _("List"), data),) if run.skipped else (),
        small=(_("Or type: sign in"),) if run.skipped else (),
    )
