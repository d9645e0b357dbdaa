"""A file per feature noun; each owns a `router`. All of them together are the table of routes."""

from bot.handlers import (
    attack,
    audit,
    codes,
    commanding,
    day,
    devices,
    ending,
    exports,
    finding,
    forgetting,
    install,
    issuing,
    jobs,
    languages,
    offline,
    people,
    photos,
    pictures,
    planning,
    problems,
    reach,
    rehearsal,
    resets,
    rollouts,
    signing,
    silent,
    strays,
    tags,
    telling,
    uploads,
    webhooks,
)
from bot.handlers.general import guide
from bot.routing import Router


def all_routes() -> Router:
    """Everything people can say or press, in the order help lists it."""
    table = Router()
    table.include(guide(table), devices.router, uploads.router, finding.router, tags.router)
    table.include(issuing.router, codes.router, exports.router, jobs.router)
    table.include(signing.router, commanding.router, resets.router, silent.router)
    table.include(ending.router, day.router, install.router, photos.router, strays.router, offline.router)
    table.include(problems.router, people.router, forgetting.router, reach.router, audit.router, attack.router)
    table.include(webhooks.router)
    return table.include(
        rollouts.router, planning.router, rehearsal.router, pictures.router, telling.router, languages.router
    )
