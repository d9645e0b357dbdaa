"""The whole story, `python app.py demo --script`: two days of a rollout in seconds, each step checked.

It is the smoke test as well: a step that does not show what it must ends the story with exit code 1.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiohttp import ClientError
from rich.console import Console

from bot.demo import visit
from bot.demo.handset import Handset, guessed, mistyped
from bot.demo.people import LOCAL_ACCOUNTS, LOCAL_ADMIN, LOCAL_DEVICE_MACS, LOCAL_TECHNICIAN
from bot.demo.stage import TIMEZONE, OpenService, Seat, Shown, Stage, StoryFault, staged
from bot.demo.terminal import Lane, Terminal
from bot.settings import Settings, load_settings
from cards.words import clock
from provisioning.errors import ProvisioningError, Unavailable
from provisioning.texts import N_, Speech, _, current_speech, ngettext, speaking

START: Final = datetime(2026, 3, 2, 6, 40, 5, tzinfo=UTC)  # a Monday morning in Oslo
ORGANISATION: Final = "Contoso"
SITE, OTHER_SITE = "Oslo", "Bergen"
FIRST, SECOND, THIRD = LOCAL_DEVICE_MACS
FOURTH: Final = "80-5E-C0-44-77-10"
MINUTE: Final = timedelta(minutes=1)
MOMENT: Final = timedelta(seconds=1.1)  # by then the service is at it
POLLED: Final = timedelta(seconds=3)  # by then the provider was asked again


DANA, SAM = Lane("Dana", 0, "magenta"), Lane("Sam", 20, "cyan")


@dataclass(slots=True)
class Cast:
    """Everybody in the story."""

    stage: Stage
    dana: Seat
    sam: Seat
    channel: Seat  # Dana, in the channel
    handsets: dict[str, Handset] = field(default_factory=dict)

    @classmethod
    def on(cls, stage: Stage) -> Cast:
        return cls(
            stage,
            Seat(stage, LOCAL_ADMIN, DANA),
            Seat(stage, LOCAL_TECHNICIAN, SAM),
            Seat(stage, LOCAL_ADMIN, DANA, channel=True),
        )

    def device(self, mac: str, place: str) -> Handset:
        """The one on that wall: it knows what it was told before."""
        return self.handsets.setdefault(mac, Handset(self.stage, mac, place))

    async def approves(self, code: str, account: str) -> None:
        """Dana, at the provider's page in her browser, after a moment; then the provider is asked once more."""
        await self.stage.later(MOMENT)
        await visit.approves(self.stage, DANA, code, account)
        await self.stage.later(POLLED)


async def first_run(cast: Cast) -> None:
    await cast.dana.installs()
    await cast.dana.gets(ORGANISATION, verb="add_form")


async def access(cast: Cast) -> None:
    await cast.sam.says("hi")
    await cast.sam.gets(LOCAL_ADMIN.name, verb="ask_access")
    await cast.sam.presses("ask_access")
    await cast.dana.gets(LOCAL_TECHNICIAN.name, verb="grant", role="technician")
    await cast.dana.presses("grant", role="technician")
    await cast.sam.gets(_("No devices today. I will write when there are."))


async def devices(cast: Cast) -> None:
    await cast.dana.says(f"add 80-5E-C0-11-22-3 {SITE}/2/2.14")
    one = ngettext("One line needs fixing. Nothing is saved.", "{n} lines need fixing. Nothing is saved.", 1)
    await cast.dana.gets("80-5E-C0-11-22-3", one)
    await cast.dana.says("devices")
    await cast.dana.gets(_("No device here. add puts one on the list; devices shows all."))
    first, second = FIRST.replace("-", ":").lower(), SECOND.replace("-", "")
    await cast.dana.says(f"add {first} {SITE}/2/2.14\n{second} {SITE}/2/2.16\n{THIRD} {SITE}/3/3.01")
    await cast.dana.gets("2.14", "2.16", "3.01", verb="issue_form")


async def channel(cast: Cast) -> None:
    await cast.channel.says(f"connect {SITE.lower()}")
    await cast.channel.gets(_("This channel follows {site} now.", site=SITE))
    await cast.channel.gets("0 %", verb="rollout_details")


async def codes(cast: Cast) -> None:
    await cast.dana.presses("issue_form")
    await cast.dana.presses("issue_save", {"technician": LOCAL_TECHNICIAN.aad_object_id})
    code_of(await cast.sam.gets("2.14", verb="install_form"))
    await cast.dana.sees_edited(LOCAL_TECHNICIAN.name, verb="remind")


async def first_device(cast: Cast) -> None:
    code = cast.sam.code_in_hand
    device = cast.device(FIRST, "2.14")
    cast.stage.terminal.aside(_("one digit mistyped, then another code altogether, then the right one"))
    await device.refused(mistyped(code), "invalid_code")
    await device.refused(guessed(code), "code_refused")
    await device.provisioned(code, ORGANISATION)
    no_code(await cast.sam.sees_edited(ORGANISATION, "22:33", verb="install_form"))
    await cast.channel.gets(SITE, _("{site}: the first device called in. The rollout has started.", site=SITE))
    await cast.channel.gets(_("{site}: {percent} % of the devices have called in.", site=SITE, percent=25))
    await cast.channel.sees_edited("33 %")


async def install(cast: Cast) -> None:
    await cast.sam.presses("install_form")
    await cast.sam.presses("install_save", {"note": _("On the window side")})
    code_of(await cast.sam.gets("2.16", "22:34", verb="install_form"))


async def wrong_phone(cast: Cast) -> None:
    code = cast.sam.code_in_hand
    cast.stage.terminal.aside(_("Sam stands before another phone; it learns nothing, Sam does"))
    await cast.device(THIRD, "3.01").refused(code, "code_refused")
    await cast.sam.sees_edited("22:34", "22:35", verb="stray_swap")
    code_of(await cast.sam.presses("stray_dismiss"))


async def problem(cast: Cast) -> None:
    await cast.sam.presses("problem_form")
    await cast.sam.presses("problem_save", {"kind": "network", "note": _("Port 12 is dead")})
    await cast.channel.gets("2.16", LOCAL_ADMIN.name)
    await cast.dana.gets("2.16", verb="device")
    code_of(await cast.sam.gets("3.01", "22:35", verb="install_form"))


async def expired(cast: Cast) -> None:
    old = cast.sam.code_in_hand
    await cast.stage.later(timedelta(hours=25), _("25 hours pass: Sam was called away"))
    no_code(await cast.sam.sees_edited("3.01", verb="renew"))
    device = cast.device(THIRD, "3.01")
    await device.refused(old, "code_expired")
    fresh = code_of(await cast.sam.presses("renew"))
    await device.provisioned(fresh, ORGANISATION)
    no_code(await cast.sam.sees_edited(ORGANISATION, "3.01", verb="install_form"))
    await cast.stage.later(5 * MINUTE)
    await cast.sam.says("install 3.01")
    await cast.sam.gets("3.01", saved_now(cast))
    await cast.sam.gets(_("Nothing else to do until somebody has helped."))


async def complete(cast: Cast) -> None:
    await cast.dana.presses("answer_form")
    await cast.dana.presses("answer_save", {"words": _("Port 14 is live, use that one")})
    await cast.sam.gets(_("Answer to your problem"), "2.16", verb="renew")
    await cast.sam.says("new code 2.16")
    code = code_of(await cast.sam.gets("2.16"))
    await cast.device(SECOND, "2.16").provisioned(code, ORGANISATION)
    await cast.stage.later(MINUTE)
    await cast.channel.gets(_("{site}: 100 %. Every device has called in.", site=SITE))
    await cast.stage.later(3 * MINUTE)
    await cast.sam.says("install 2.16")
    await cast.sam.gets("2.16", saved_now(cast))
    await cast.sam.gets(_("All done"))
    none = ngettext("{n} problem", "{n} problems", 0)
    words = _("{done} of {total} provisioned, {installed} installed, {problems}")
    await cast.channel.sees_edited(words.format(done=3, total=3, installed=3, problems=none), "100 %")


async def signing_in(cast: Cast) -> None:
    room, _other, lobby = LOCAL_ACCOUNTS
    await cast.device(FIRST, "2.14").shows("waiting_for_sign_in")
    await cast.dana.says(f"sign in 2.14 as {room}")
    code = code_of(await cast.dana.gets("2.14", room, verb="sign_in_cancel"))
    cast.stage.terminal.aside(_("the browser still knows another account"))
    await cast.approves(code, lobby)
    no_code(await cast.dana.sees_edited(lobby, room, verb="sign_in"))
    code = code_of(await cast.dana.presses("sign_in"))
    await cast.approves(code, room)
    no_code(await cast.dana.sees_edited(room, verb="sign_in_next"))
    await cast.device(FIRST, "2.14").shows("signed_in", room)


async def further_lives(cast: Cast) -> None:
    device = cast.device(FIRST, "2.14")
    await cast.dana.says("sign out 2.14")
    await cast.dana.gets("2.14", verb="take_back")
    await device.does("sign_out")
    await cast.dana.sees_edited(_("{place} signed out {time}", place="2.14", time=clock(cast.stage.clock.now())))
    await cast.dana.says("reset 2.14")
    await cast.dana.gets("2.14", verb="reset")
    await cast.dana.presses("reset", {"digits": "2233"})
    await device.learns_of_its_reset()


async def spreadsheet(cast: Cast) -> None:
    rows = ["MAC id,Location", *(f"80-5E-C0-44-77-{n:02X},{OTHER_SITE}/1/1.{n:02d}" for n in range(3, 43))]
    rows[3] = f"8.05E+11,{OTHER_SITE}/1/1.05"  # what a spreadsheet makes of it
    rows[7] = f"80-5E-C0-44-77,{OTHER_SITE}/1/1.09"
    await cast.dana.sends_file("bergen.csv", "\r\n".join(rows).encode())
    await cast.dana.gets("bergen.csv")
    await cast.dana.sees_edited("8.05E+11", "80-5E-C0-44-77", verb="upload_add")
    says(await cast.dana.presses("upload_add"), _("{n} saved", n=38))
    await cast.stage.later(MINUTE, _("it was last year's list"))
    undone = ngettext("Undone: {count} device taken back", "Undone: {count} devices taken back", 38, count=38)
    says(await cast.dana.presses("undo"), undone)


async def leaving(cast: Cast) -> None:
    await cast.dana.says(f"add {FOURTH} {OTHER_SITE}/1/1.02")
    await cast.dana.gets("1.02", verb="issue_form")
    await cast.dana.says(f"issue {OTHER_SITE.lower()} to sam")
    code = code_of(await cast.sam.gets("1.02"))
    await cast.dana.says("revoke access sam")
    await cast.dana.gets(LOCAL_TECHNICIAN.name, verb="revoke_access_save")
    await cast.dana.presses("revoke_access_save")
    no_code(await cast.sam.sees_edited(_("Access ended")))
    await cast.device(FOURTH, "1.02").refused(code, "code_refused")


def says(card: Shown, words: str) -> None:
    if words not in card.words:
        raise StoryFault(_("Expected, and not seen: {what}", what=words))


def saved_now(cast: Cast) -> str:
    return _("Saved {time}.", time=clock(cast.stage.clock.now()))


def code_of(card: Shown) -> str:
    """The code on a card. Errors: `StoryFault` where there is none."""
    if not card.code:
        raise StoryFault(_("A card shows no code: {words}", words=card.words))
    return card.code


def no_code(card: Shown) -> None:
    if card.code:
        raise StoryFault(_("A card still shows its code: {words}", words=card.words))


Scene = Callable[[Cast], Awaitable[None]]
CHAPTERS: Final[tuple[tuple[str, int, Scene], ...]] = (  # title, minutes since the one before, what happens
    (N_("Dana is the first admin"), 0, first_run),
    (N_("Sam asks for access"), 2, access),
    (N_("Dana adds three devices"), 4, devices),
    (N_("A channel follows the rollout"), 2, channel),
    (N_("Codes for Oslo, to Sam"), 3, codes),
    (N_("Sam's first device"), 21, first_device),
    (N_("Sam confirms the install"), 6, install),
    (N_("A code on the wrong phone"), 4, wrong_phone),
    (N_("A problem on site"), 5, problem),
    (N_("A code ends before it was used"), 11, expired),
    (N_("All of Oslo"), 40, complete),
    (N_("Dana signs in a device from her desk"), 15, signing_in),
    (N_("Signed out, and a second life"), 10, further_lives),
    (N_("Forty devices for Bergen, from a spreadsheet"), 30, spreadsheet),
    (N_("Sam leaves"), 50, leaving),
)


async def play(open_service: OpenService, console: Console) -> int:
    """The story from its first to its last line: 0, or 1 where a step did not show what it must."""
    terminal, began = Terminal(console), time.monotonic()
    with (
        speaking(Speech.of(current_speech().locale, TIMEZONE)),
        TemporaryDirectory(prefix="provisioning-story-") as folder,
    ):
        terminal.title(
            _("From a MAC address to an installed device: the whole story"),
            (
                _("The real service plays: its chat door, its device API, a store of its own."),
                _("Its clock is on fast-forward: it begins on a Monday and jumps between scenes."),
            ),
        )
        try:
            async with staged(_settings(Path(folder)), open_service, terminal, START) as stage:
                cast = Cast.on(stage)
                for number, (title, minutes, scene) in enumerate(CHAPTERS, 1):
                    await stage.later(minutes * MINUTE)
                    terminal.chapter(number, _(title), stage.clock.now())
                    await scene(cast)
        except (StoryFault, ProvisioningError, ClientError, TimeoutError) as fault:
            terminal.end(_("The story ended too early. {fault}", fault=reason(fault)), good=False)
            return 1
        seconds = f"{time.monotonic() - began:.1f}"
        terminal.end(_("The end. Every step showed what it must, in {seconds} s.", seconds=seconds), good=True)
    return 0


def reason(fault: Exception) -> str:
    return fault.reason if isinstance(fault, Unavailable) else str(fault) or type(fault).__name__


def _settings(folder: Path) -> Settings:
    """Local mode with a store of its own, whatever the environment says; port 0 takes a free one."""
    environ = {"STORE_URL": f"tinydb:{folder / 'store'}", "ORGANISATION": ORGANISATION}
    return load_settings(environ, env_file=None).model_copy(update={"port": 0})
