"""One fact is one audit row and the source of every notification about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`actor` is a person id, `device`, `service` or `operator`; `subject` a MAC, person id or channel id.

    Never a code.
    """

    at: datetime
    actor: str
    subject: str

    registry: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls) -> None:
        # slots=True builds each class twice; the second, final one overwrites the first
        Event.registry[cls.__name__] = cls

    @property
    def name(self) -> str:
        return type(self).__name__
