"""Beside the turns: the directory is asked which groups somebody is in, and no turn waits long for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from bot.jobs import Jobs
from provisioning.errors import StoreError
from provisioning.model import Person
from provisioning.service import Provisioning
from provisioning.service.groups import GROUPS, PATIENCE, Wait

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 60.0  # between two looks at people who do not write
LEASE: Final = timedelta(minutes=3)


@dataclass(slots=True)
class _Question:
    provisioning: Provisioning
    person_id: str
    late: bool = False  # the turn went on without the answer

    async def ask(self) -> None:
        try:
            await self.provisioning.look_up(self.person_id)
            if self.late:
                await self.provisioning.welcome(self.person_id)
        except StoreError as error:
            log.debug("a question about groups waits for the store", reason=str(error))  # the sweep tells of it, once


async def with_groups(provisioning: Provisioning, jobs: Jobs, person: Person) -> Person:
    """The sender of a turn with the roles that groups give them, as far as that is known in time."""
    wait = provisioning.question_about(person)
    if wait is Wait.NOT:
        return person
    key, question = f"groups:{person.id}", _Question(provisioning, person.id)
    jobs.begin(key, question.ask())
    if wait is Wait.BESIDE:
        return person
    await jobs.settled(key, PATIENCE)
    known = await provisioning.who(person.id) or person
    question.late = not provisioning.roles_of(known)
    return known


async def look_again(provisioning: Provisioning, every: float = LOOK_SECONDS) -> None:
    """Whoever never writes loses a role that their groups do not give them any more, within the hour.

    On several instances one looks at a time.
    """
    while True:
        await provisioning.clock.sleep(every)
        try:
            if await provisioning.holds(GROUPS, LEASE):
                await provisioning.look_again()
        except StoreError as error:
            log.debug("groups wait for the store", reason=str(error))
