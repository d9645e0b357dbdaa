"""The words of views: user text made harmless, codes and MACs as people read them, times on the reader's own clock."""

from __future__ import annotations

import gettext
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_skeleton
from babel.lists import format_list

from provisioning.texts import _, current_speech, ngettext

# ── user text ────────────────────────────────────────────────────────────────────────────────────────────────────

_BREAK = "\u200b"  # zero width space: ends a Markdown construct without leaving a mark
_JOINERS = "\u200c\u200d"  # needed inside emoji and in several scripts
_INVISIBLE = ("Cc", "Cf", "Cs")  # control, format (bidi among it), lone surrogates

# What begins a block at the start of a line: list, rule, table, heading, quote, fence, link definition.
_STARTER = re.compile(r"(?:\d{1,9}[.)]|#{1,6}|[-+])(?=\s|$)|[-+|:=](?=[-+|:=])|[>|(\[~]")

# Constructs that a phone's parser recognises in spite of a backslash before them, or shows with the backslash.
_OPENING = re.compile(
    r"""
    \](?=[(\[:]|$)               # links, images, link definitions
    | <(?=[A-Za-z/!?]|$)         # tags, <at>, automatic links
    | &(?=\#?\w+;|$)             # character references
    | ~(?=~|$)                   # strike-through
    | (?:(?<=:)/(?=/))           # an address that a client would make a link of by itself
    | (?i:\bwww)(?=\.)
    """,
    re.VERBOSE,
)
# A fact's column does not break a long word by itself.
_LONG = re.compile(r"\w{20}(?=\w)")
_EMPHASIS = re.compile(
    r"""
    [*`]
    | (?<![^\W_])_ | _(?![^\W_])   # an underscore inside a word is harmless, and common in account names
    | \\(?=[!-/:-@\[-`{-~]|$)
    """,
    re.VERBOSE,
)

# Nearly every place and name, or nothing: short words of ASCII, one sign between two, and no rule above has a say.
_HARMLESS = re.compile(
    r"(?!\d{1,9}\.(?:[ ]|$))(?!.*[wW]{3})(?:[A-Za-z0-9]{1,20}(?:(?:,[ ]|[ ,./-])[A-Za-z0-9]{1,20})*\.?)?"
)


def escape(text: str) -> str:
    """User text for any place of a view but an input's value: one line, nothing invisible, no Markdown, no mention.

    A backslash goes before emphasis only: Teams on phones shows it before other characters, and its parser sees a
    link in spite of it. Everything else is broken by a zero width space, which no client shows; so are long words.
    """
    return (
        text if _HARMLESS.fullmatch(text) else by_every_rule(text)
    )  # a card asks nine times, and the rules cost 10 µs


def by_every_rule(text: str) -> str:
    """As `escape`, whatever the text is."""
    words = " ".join(without_controls(text, keep="\t\n\r").split())
    words = "".join(c for c in words if c in _JOINERS or unicodedata.category(c) != "Cf")
    words = _OPENING.sub(rf"\g<0>{_BREAK}", _LONG.sub(rf"\g<0>{_BREAK}", words))
    words = _EMPHASIS.sub(r"\\\g<0>", words)
    return _BREAK + words if _STARTER.match(words) else words


def without_controls(text: str, keep: str = "\n" + _BREAK) -> str:
    """The text without control, bidi and other invisible characters, except joiners and those of `keep`."""
    if text.isprintable():  # nearly every text there is: printable is none of those, in Python's own table
        return text
    return "".join(c for c in text if c in keep or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE)


_MARK = re.compile(r"[\\\[*_]")
_MARKUP = re.compile(
    r"""
    \\(?P<escaped>[!-/:-@\[-`{-~])
    | \[(?P<link>[^\[\]]*)\]\((?P<url>[^\s()]*)\)
    | \*+ | (?<![^\W_])_+ | _+(?![^\W_])
    """,
    re.VERBOSE,
)


def plain(text: str) -> str:
    """A view's text for places that know no Markdown: push lines, button titles, labels, choices."""

    def unmarked(found: re.Match[str]) -> str:
        if found["escaped"]:
            return found["escaped"]
        return f"{found['link']} ({found['url']})" if found["link"] is not None else ""

    return _MARKUP.sub(unmarked, text) if _MARK.search(text) else text


# ── codes and addresses ──────────────────────────────────────────────────────────────────────────────────────────


def code_groups(code: str) -> str:
    """`482913760257` → `4829 1376 0257`; six as `482 913`."""
    size = 3 if len(code) == 6 else 4
    return " ".join(code[i : i + size] for i in range(0, len(code), size))


def user_code_groups(code: str) -> str:
    """A provider's code as it wrote it where it has dashes or blanks of its own, else `H7KQ2MPN` as `H7KQ 2MPN`."""
    if not code.isalnum():
        return escape(code)
    size = 3 if len(code) in (6, 9) else 4
    return " ".join(code[i : i + size] for i in range(0, len(code), size))


def mac_dashed(mac: str) -> str:
    """`805EC0112233` → `80-5E-C0-11-22-33`."""
    return "-".join(mac[i : i + 2] for i in range(0, len(mac), 2))


def mac_end(mac: str) -> str:
    """`805EC0112233` → `22:33`, what people on site tell devices apart by."""
    return f"{mac[-4:-2]}:{mac[-2:]}"


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────


def clock(moment: datetime, now: datetime | None = None) -> str:
    """`07:52`, or `Sun 22 Nov 10:45` when it is another day than `now`; both in the reader's time zone."""
    local = _local(moment)
    time = local.strftime("%H:%M")
    if now is None or local.date() == _local(now).date():
        return time
    return _("{day} {time}", day=_day(local, _local(now).date()), time=time)


def local_text(moment: datetime | None) -> str:
    """`2026-12-01 08:00`, as it is typed into a form; empty for none."""
    return _local(moment).strftime("%Y-%m-%d %H:%M") if moment else ""


def stamp(moment: datetime) -> str:
    """`Sun 22 Nov 10:45`, for what is read on another day."""
    local = _local(moment)
    return _("{day} {time}", day=_day(local, local.date()), time=local.strftime("%H:%M"))


def day_short(day: date) -> str:
    """`22 Nov`."""
    locale = _locale()
    if locale.language == "en":  # the day before the month, whichever English it is
        return format_date(day, "d MMM", locale=locale)
    return format_skeleton("MMMd", datetime.combine(day, time()), locale=locale)


def until(moment: datetime, now: datetime) -> str:
    """`07:30`, `07:30 tomorrow` or `Sun 22 Nov 10:45`."""
    local = _local(moment)
    if local.date() == _local(now).date() + timedelta(days=1):
        return _("{time} tomorrow", time=local.strftime("%H:%M"))
    return clock(moment, now)


def age(moment: datetime, now: datetime) -> str:
    """`just now`, `3 min ago`, `5 h ago`, `2 days ago`."""
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return _("just now")
    if minutes < 60:
        return _("{n} min ago", n=minutes)
    if minutes < 24 * 60:
        return _("{n} h ago", n=minutes // 60)
    return ngettext("{n} day ago", "{n} days ago", minutes // (24 * 60))


def _local(moment: datetime) -> datetime:
    return moment.astimezone(current_speech().timezone)


def _day(local: datetime, today: date) -> str:
    """Weekday, day and month; the year where it is not this one."""
    locale = _locale()
    year = local.year != today.year
    if locale.language == "en":  # the day before the month, whichever English it is
        return format_datetime(local, "EEE d MMM y" if year else "EEE d MMM", locale=locale)
    return format_skeleton("yMMMEd" if year else "MMMEd", local, locale=locale)


def _locale() -> Locale:
    """The reader's language where we have texts in it: no German dates in English sentences."""
    speech = current_speech()
    if type(speech.catalog) is gettext.NullTranslations:
        return Locale("en")
    try:
        return Locale.parse(speech.locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


# ── amounts and lists ────────────────────────────────────────────────────────────────────────────────────────────

_BLOCKS = 10


def amount(number: int) -> str:
    """`2000`, `20 000`, `200 000`: groups of three from five digits on (ISO 80000-1), held together."""
    return f"{number:,}".replace(",", "\u00a0") if number >= 10_000 else str(number)


def bar(done: int, total: int) -> str:
    """`■■□□□□□□□□ 25 %`, rounded down: 100 % means all."""
    done = max(0, min(done, total))
    percent, blocks = (done * 100 // total, done * _BLOCKS // total) if total > 0 else (0, 0)
    return f"{'■' * blocks}{'□' * (_BLOCKS - blocks)} {percent} %"


def listing(words: Sequence[str]) -> str:
    """`Dana, Lee and Kim`."""
    locale = _locale()
    return format_list(list(words), locale=Locale("en", "GB") if locale.language == "en" else locale)
