"""A cell that a spreadsheet would take for a formula gets a `'`; what reads the sheet takes exactly that one away."""

from __future__ import annotations

import re

_SIGNS = r"=+\-@＝＋－＠"  # what begins a formula; Excel in Japanese and Chinese takes the full-width ones as well
_BLANKS = "' \u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff"  # seen as nothing; and our own mark
# Inside a cell too: where a list is separated by `;`, Excel ends a cell of our commas at one, quoted or not.
_STARTS = rf"(?=[{_BLANKS}]*[{_SIGNS}])"
_LEADS = r"(?='*(?:[\t\n]|<r>))"  # the last: our writer of workbooks passes such a cell on as markup
_RISKY = re.compile(rf"(\A|[;\t\n]){_STARTS}|\A{_LEADS}")
_GUARDED = re.compile(rf"(\A|[;\t\n])'{_STARTS}|\A'{_LEADS}")


def guarded(text: str) -> str:
    """The cell as no spreadsheet computes it."""
    return _RISKY.sub(r"\g<1>'", text)


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return _GUARDED.sub(r"\g<1>", text)
