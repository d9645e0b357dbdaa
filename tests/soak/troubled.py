"""The store under the running service goes away, is damaged, or is put back to an earlier state; then all is well."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.crash import Result
from tests.crash.full import namespace
from tests.soak.journal import Journal, key_of, provision
from tests.soak.load import Ground, ground, under_load
from tests.storage.cluster import Server

HEALTH_SECONDS, RECOVER_SECONDS, FOUND_SECONDS = 1.0, 10.0, 60.0
_A_LIFE = 600  # devices
_TRIED = 120  # codes of one round
_PACE = 0.05  # seconds between two calls of one client, where the load lasts
_SMALL = 'mount -t tmpfs -o size=8m none {disk} && cp -a {seed}/. {disk} && exec "$@"'


# ------------------------------------------------------------------ the database is away


async def away(server: Server, folder: Path, seconds: float, seed: int) -> Result:
    """The database server is stopped as if its machine had failed, and comes back after so many seconds."""
    async with ground(server.url, folder, _A_LIFE, seed) as g:
        load = g.life(_A_LIFE, _PACE)
        await g.service.start()
        async with under_load(load):
            await load.until(30)
            health = asyncio.create_task(slowest_health(g.service.url, seconds))
            await asyncio.to_thread(server.stop, "immediate")
            during = load.journal.answers.copy()
            slowest = await health
            answered = load.journal.answers - during
            await asyncio.to_thread(server.start)
            recovered = await _until_provisioned(g)
            await asyncio.sleep(1)
        wrong = await g.looks(load)
        await g.service.ends(signal.SIGTERM)
        wrong += await g.leaves()
    wrong += [f"while it was away: {what}" for what in answered if what.startswith("provision 5") and "503" not in what]
    if not answered["provision 503"]:
        wrong.append("nobody was answered 503")
    if slowest > HEALTH_SECONDS:
        wrong.append(f"/healthz took {slowest:.1f} s")
    if recovered >= RECOVER_SECONDS:
        wrong.append(f"recovered after {recovered:.1f} s")
    figures = f"{seconds:.0f} s: {answered['provision 503']} × 503, {g.acknowledged} acknowledged writes kept, "
    figures += f"recovered in {recovered:.1f} s, /healthz in {slowest * 1000:.0f} ms at most"
    return Result("away: the database", figures, wrong, goal="503, 0 lost, back in < 10 s, /healthz answers")


async def slowest_health(url: str, seconds: float) -> float:
    """Asks for so long; seconds of the slowest answer."""
    slowest, end = 0.0, time.monotonic() + seconds
    async with aiohttp.ClientSession() as http:
        while (began := time.monotonic()) < end:
            async with http.get(f"{url}/healthz") as answer:
                if answer.status != 200:
                    return float("inf")
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.1)
    return slowest


async def _until_provisioned(g: Ground) -> float:
    """Seconds until the service is ready and a device is let in."""
    began, before = time.monotonic(), g.lives[-1].answers["provision 200"]
    await g.service.until_ready(60)
    while g.lives[-1].answers["provision 200"] == before:
        await asyncio.sleep(0.02)
        if time.monotonic() - began > 60:
            break
    return time.monotonic() - began


# ------------------------------------------------------------------ a full disk


async def full(folder: Path, rounds: int, seed: int) -> Result:
    """A tmpfs of 8 MB is filled under load and freed again, so many times; the service is not restarted."""
    name, goal = "full: a tmpfs of 8 MB", "0 lost, 503, reads go on, heals"
    if not (mounting := namespace()):
        return Result(name, "", skipped="no small file system can be mounted here", goal=goal)
    disk, seed_folder = folder / "store", folder / "seed"
    wrong, refused = list[str](), 0
    async with ground(f"tinydb:{disk}", folder, _A_LIFE, seed) as g:
        disk.rename(seed_folder)
        disk.mkdir()
        g.service.prefix = [*mounting, "sh", "-c", _SMALL.format(disk=disk, seed=seed_folder), "sh"]
        await g.service.start()
        assert g.service.process
        filler = Path(f"/proc/{g.service.process.pid}/root") / disk.relative_to("/") / "filler"
        for _ in range(rounds):
            load = g.life(_A_LIFE // rounds, _PACE)
            async with under_load(load):
                await load.until(10)
                wrong += await _filled(g, load.journal, filler)
                filler.unlink()
                await g.service.until_ready(60)
            refused += load.journal.answers["provision 503"]
            wrong += await g.looks(load)
        await g.service.ends(signal.SIGTERM)
    figures = f"{rounds} times: {refused} × 503, {g.acknowledged} acknowledged writes kept, healed without a restart"
    return Result(name, figures, wrong, goal=goal)


async def _filled(g: Ground, journal: Journal, filler: Path) -> list[str]:
    """Whatever becomes free is taken too, until devices are answered 503 and for a while more."""
    before, said = journal.answers["provision 503"], list[str]()
    for _ in range(60):
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(512))
        await asyncio.sleep(0.1)
    if journal.answers["provision 503"] == before:
        said.append("the disk is full, and nobody was answered 503")
    if journal.tokens and not await _still_read(g, journal):
        said.append("the disk is full, and nothing is read")
    return said


async def _still_read(g: Ground, journal: Journal) -> bool:
    token = next(token for mac, token in journal.tokens.items() if mac not in journal.reset | journal.unsure_resets)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.request("GET", f"{g.service.url}/api/v1/device", headers=headers) as answer:
        return answer.status == 200


# ------------------------------------------------------------------ damage


async def damaged(folder: Path, rounds: int, seed: int) -> Result:
    """Each round: one byte of a device's row is flipped and found, nothing is written, the good copy is restored."""
    slowest, wrong = 0.0, list[str]()
    file, copy = folder / "store" / "store.sqlite3", folder / "good.sqlite3"
    async with ground(f"tinydb:{folder / 'store'}", folder, rounds * 40, seed) as g:
        for _ in range(rounds):
            load = g.life(40)
            await g.service.start()
            async with under_load(load):
                await load.until(10)
            copy.unlink(missing_ok=True)
            await g.service.command("backup", str(copy))
            await g.service.ends(signal.SIGTERM)
            mac = g.rng.choice(sorted(load.journal.codes))
            flip(file, mac.encode(), g)
            await g.service.start()
            slowest = max(slowest, found := await _found(g, str(file)))
            content = file.read_bytes()
            wrong += await _refuses(g, load.journal) if found < FOUND_SECONDS else ["not found"]
            wrong += ["a damaged store was written"] if file.read_bytes() != content else []
            await g.service.command("restore", str(copy), "--yes")
            await g.service.until_ready(60)
            load.journal.codes = {mac: code for mac, code in load.journal.codes.items() if mac in load.journal.tokens}
            load.journal.unsure = {}
            wrong += await g.looks(load)
            await g.service.ends(signal.SIGTERM)
    if slowest >= FOUND_SECONDS:
        wrong.append(f"found only after {slowest:.0f} s")
    figures = f"{rounds} flipped bytes, each found within {slowest:.1f} s, named, nothing written, restored with "
    figures += f"{g.acknowledged} acknowledged writes"
    return Result("damaged: a flipped byte", figures, wrong, goal="found < 60 s, writes stop, restorable")


def flip(file: Path, needle: bytes, g: Ground) -> None:
    """One bit of the last place where the words stand, or of what follows: the row itself, past the indexes' copies."""
    content = bytearray(file.read_bytes())
    content[content.index(needle) + g.rng.randrange(len(needle))] ^= 1 << g.rng.randrange(7)
    file.write_bytes(content)


async def _found(g: Ground, file: str) -> float:
    """Seconds until `/readyz` names the file and the way out."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        while (passed := time.monotonic() - began) < FOUND_SECONDS:
            async with http.get(f"{g.service.url}/readyz") as answer:
                said = await answer.text()
                if answer.status == 503 and file in said and "restore" in said:
                    return passed
            await asyncio.sleep(0.05)
    return FOUND_SECONDS


async def _refuses(g: Ground, journal: Journal) -> list[str]:
    said = []
    async with aiohttp.ClientSession(g.service.url) as http:
        for mac in sorted(journal.codes)[:20]:
            status, _ = await provision(http, mac, journal.codes[mac], key_of(mac, "damaged"))
            if status != 503:
                said.append(f"{mac} is answered {status} by a damaged store")
    return said


# ------------------------------------------------------------------ backup and restore


async def restored(folder: Path, rounds: int, seed: int) -> Result:
    """Each round: a backup while the load goes on, more load, then the backup is restored while it goes on still."""
    wrong, slowest, kept = list[str](), 0.0, 0
    async with ground(f"tinydb:{folder / 'store'}", folder, rounds * 250, seed) as g:
        await g.service.start()
        for number in range(rounds):
            load, copy = g.life(250, _PACE), folder / f"copy-{number}.sqlite3"
            load.put_back = True
            async with under_load(load):
                await load.until(30)
                before = set(load.journal.tokens) - load.journal.reset - load.journal.unsure_resets
                began = time.monotonic()
                await g.service.command("backup", str(copy))
                await asyncio.sleep(1)
                await g.service.command("restore", str(copy), "--yes")
                slowest = max(slowest, time.monotonic() - began)
            journal = load.journal
            wrong += journal.wrong + await _tokens(g, journal, before - journal.reset - journal.unsure_resets)
            wrong += await _revived(g, journal)
            kept += len(before)
            await g.service.command("verify")
        await g.service.ends(signal.SIGTERM)
    codes = sum(min(len(life.codes), _TRIED) for life in g.lives)
    figures = f"{rounds} times under load: {kept} tokens older than the backup kept, 0 of {codes} codes revived"
    return Result("restored: under load", figures, wrong, goal="whole units, no revived code")


async def _tokens(g: Ground, journal: Journal, macs: set[str]) -> list[str]:
    """What was acknowledged before the backup began is in it."""
    said = []
    async with aiohttp.ClientSession(g.service.url) as http:
        for mac in sorted(macs):
            async with http.get("/api/v1/device", headers={"Authorization": f"Bearer {journal.tokens[mac]}"}) as answer:
                if answer.status != 200:
                    said.append(f"lost: {mac} was provisioned before the backup, and is answered {answer.status}")
    return said


async def _revived(g: Ground, journal: Journal) -> list[str]:
    """No code that was issued before the backup opens anything after it was restored, used or not.

    As many are tried as the limit of the fleet bears in the ten minutes that all rounds take.
    """
    said = []
    async with aiohttp.ClientSession(g.service.url) as http:
        for n, (mac, code) in enumerate(sorted(journal.codes.items())[:_TRIED]):
            status, _ = await provision(http, mac, code, key_of(mac, "revived"), source=n)
            if status not in (403, 410):
                said.append(f"the code of {mac} is answered {status} after the restore")
    return said
