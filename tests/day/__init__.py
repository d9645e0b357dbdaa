"""The morning of a large rollout, played in real time against the running service: `make day`.

35 000 devices are on the list, 60 technicians install, 300 devices a minute call in, admins look, issue, move, sign in
and import sheets of 5 000 rows, and channels follow it all on living cards. The service runs as it always does, in
processes of its own, on the embedded store or (several of them) on PostgreSQL. Teams' connector, with its limits, and
the identity provider are processes too. Whatever people and devices do comes when its time has come, however long the
service takes over what came before, and is timed from then: a slow answer hides no other.

What was answered is held against the store in the end: nothing may be lost or done twice.
"""

from __future__ import annotations

from dataclasses import dataclass

SITES_FOLLOWED = 5


@dataclass(frozen=True)
class Plan:
    """How large the morning is. Times in seconds but for `minutes`, which are measured after `warm`."""

    devices: int = 35_000
    technicians: int = 60
    a_minute: int = 300  # devices that call in
    minutes: float = 10.0
    warm: float = 45.0
    polls: int = 1_500  # devices that hold a long poll, at every moment
    import_rows: int = 5_000
    imports_apart: float = 150.0
    sign_ins: int = 5  # in one go …
    sign_ins_apart: float = 30.0  # … and how far apart
    think: float = 12.0  # mean, between two things that one technician does
    admin_think: float = 6.0
    echo_apart: float = 1.0  # mean, between two words to the echo bot beside it
    connector: float = 0.02  # that Teams takes over an answer
    instances: int = 1
    seed: int = 1

    @property
    def seconds(self) -> float:
        return self.minutes * 60

    @property
    def coming(self) -> int:
        """Devices that may call in, each with a live code; the last of them do not."""
        return max(round((self.warm + self.seconds) * self.a_minute / 60 * 1.15) + 20, self.devices // 7)
