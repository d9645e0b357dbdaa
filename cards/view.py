"""The shapes of cards. A view-model is frozen and holds finished strings; its template holds places and loops only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar

from cards.words import plain


class Tone(StrEnum):
    """How a title reads; always beside a word that says the same, never instead of it."""

    PLAIN = "default"
    GOOD = "good"
    WARNING = "warning"
    ATTENTION = "attention"
    ACCENT = "accent"

    @property
    def ink(self) -> str:
        """The colour of a text. Good and warning are too pale to read on white; as backgrounds they serve well."""
        return self.value.capitalize() if self in (Tone.ATTENTION, Tone.ACCENT) else "Default"


class Style(StrEnum):
    DEFAULT = "default"
    POSITIVE = "positive"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True)
class Button:
    """A press that runs the action `verb` with `data` (ids only), or opens `url`.

    `inputs` False: the form's inputs are neither checked nor sent (Cancel, List …).
    """

    verb: str
    title: str  # at most 20 characters
    data: Mapping[str, str] = field(default_factory=dict)
    style: Style = Style.DEFAULT
    inputs: bool = True
    url: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: what it is, how it stands, and a smaller second line; a code stands by itself."""

    title: str
    detail: str = ""
    tone: Tone = Tone.PLAIN
    code: str = ""


@dataclass(frozen=True, slots=True)
class CardPicture:
    """A picture in the card itself, as a `data:` address; `alt` tells the same facts to whoever does not see it."""

    url: str = field(repr=False)
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Common to all inputs; the server checks again and shows `error` on the input that was wrong."""

    kind: ClassVar[str]  # which macro of the templates draws it

    id: str
    label: str
    required: bool = False
    required_message: str = ""
    error: str = ""  # set when the form comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInput(Input):
    kind = "text"

    value: str = ""
    placeholder: str = ""
    limit: int = 200
    lines: bool = False  # several lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceInput(Input):
    kind = "choice"

    choices: tuple[tuple[str, str], ...]  # (value, title)
    value: str = ""
    placeholder: str = ""
    expanded: bool = False
    multiple: bool = False  # any number; the values come back with commas between them


@dataclass(frozen=True, slots=True, kw_only=True)
class ToggleInput(Input):
    kind = "toggle"

    title: str
    value: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What every card has. `summary` is the push line: no code in it; empty: the title is used."""

    template: ClassVar[str]

    title: str
    summary: str = ""
    tone: Tone = Tone.PLAIN
    notice: str = ""  # a line above the title: what just happened, or what was wrong
    notice_tone: Tone | None = None  # where it differs from the title's
    lines: tuple[str, ...] = ()
    small: tuple[str, ...] = ()  # subtle lines at the end, the typed commands among them
    buttons: tuple[Button, ...] = ()
    subject: str = ""  # key of the record it shows …
    revision: int = 0  # … and its version; every button carries both
    readers: tuple[str, ...] = ()  # Teams ids whose clients ask for the present state when they open it
    refresh_verb: str = ""

    @property
    def push(self) -> str:
        return plain(self.summary or self.title)

    @property
    def smaller(self) -> View | None:
        """What is shown where all of it is more than Teams takes; None where nothing can be left out."""
        return None

    @property
    def notice_style(self) -> str:
        """The background of a notice that stands by itself; empty: it shares the title's tone and background."""
        if self.notice_tone is None and self.tone is not Tone.PLAIN:
            return ""
        return "emphasis" if self.notice_tone in (None, Tone.PLAIN) else str(self.notice_tone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(View):
    """A title, some sentences, facts and buttons: most answers."""

    template = "notice.json.j2"

    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCard(View):
    """A technician's (or admin's) card of one device; `code` is empty once there is none to show."""

    template = "code.json.j2"

    device: str  # what it is and how its MAC reads
    code: str = ""  # grouped digits, `4829 1376 0257`
    dial: str = ""  # under a code that is dialled: what to dial, the code in it
    valid: str = ""
    how: str = ""  # what to do on the device
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCard(View):
    """At most ten rows a page."""

    template = "list.json.j2"

    rows: tuple[Row, ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCard(View):
    template = "form.json.j2"

    inputs: tuple[Input, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutCard(View):
    """A channel's living card: counts, a bar of text, what is stuck, what happened last."""

    template = "rollout.json.j2"

    headline: str = ""
    bar: str = ""  # `■■□□□□□□□□ 25 %`
    heading: str = ""  # above what is stuck
    stuck: tuple[str, ...] = ()
    last: str = ""
    updated: str = ""  # when it was drawn
    picture: CardPicture | None = None  # how it went

    @property
    def smaller(self) -> View | None:
        return replace(self, picture=None) if self.picture else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureCard(View):
    """A picture in a channel, with a sentence that says what matters most of it."""

    template = "picture.json.j2"

    picture: CardPicture
