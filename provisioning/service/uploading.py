"""A sheet becomes a preview: its rows are held against the list, counted and kept in parts. None is a device yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from provisioning.access import Permission, require
from provisioning.errors import Ambiguous, BadInput, NotFound, PersonNotFound, Refused
from provisioning.mac import vendor
from provisioning.messages import OutboxMessage
from provisioning.model import Actor, Change, Device, Person, Record, Role, site_of, stored
from provisioning.ports import Piece, Sheet
from provisioning.service.lookup import Lookup
from provisioning.sheets.columns import LEVELS, Column, recognised
from provisioning.texts import N_
from provisioning.untrusted import MOST_TAGS
from provisioning.uploads import BadRow, RowFault, SheetRow, Standing, Upload, UploadPart, UploadState

PART = 50  # rows of a part: what is added in one durable step, so that others wait for it hardly at all
PREVIEWED = 5  # bad rows, and devices that stand elsewhere, on the preview itself
COUNTED = 6  # sites and vendors named on it
PROGRESS_EVERY = timedelta(seconds=2)  # between two edits of the message that shows how far it is
TEXTS = ("location", "type", "account", "technician", "asset_tag", "notes")  # columns a device has as they are


class UploadOver(Refused):
    code = "upload_over"
    message = N_("This upload is over: it was added, cancelled or it ended. Send the file again.")


class NoUpload(NotFound):
    code = "no_upload"
    message = N_("There is no upload of yours to decide on; one is kept for a day. Send the file, or send it again.")


class NotYours(Refused):
    code = "not_yours"
    message = N_("Somebody else sent this file. Only they can decide on it.")


class Undecided(BadInput):
    code = "upload_undecided"
    message = N_("Here, but different: {count}. Choose one, or say: upload add keep, or upload add update.")


@dataclass(slots=True)
class _Learnt:
    """What a sheet has shown so far, while it is read."""

    columns: Mapping[Column, int]  # where each stands; none known where the sheet has no header
    code_at: int | None = None  # the cell of a bad row that holds a verification code
    sites: Counter[str] = field(default_factory=Counter)
    vendors: Counter[str] = field(default_factory=Counter)
    people: dict[str, str | RowFault] = field(default_factory=dict)  # as written → person id


@dataclass(frozen=True, slots=True)
class _Weighed:
    """The rows of a piece as they stand to the list."""

    rows: tuple[SheetRow, ...]
    bad: tuple[BadRow, ...]
    standings: Counter[Standing]
    differing: tuple[tuple[str, str, str], ...]


class Uploading(Lookup):
    async def begin_upload(self, actor: Actor, name: str) -> Upload:
        """A sheet arrived, once: from now on there is something to show, to cancel and to take up again."""
        require(actor, Permission.EDIT_DEVICES)
        now = self.now()
        upload = Upload(by=actor.id, by_name=actor.name, at=now, name=name, progress_at=now)

        async def decide() -> tuple[Change, Upload]:
            return Change(puts=(upload,)), stored(upload)

        return await self.unit(actor, decide)

    async def upload(self, actor: Actor, key: str = "") -> Upload:
        """The upload named, or the actor's latest. Errors: `NoUpload`, `NotYours`."""
        require(actor, Permission.EDIT_DEVICES)
        found = await self.store.get(Upload, key) if key else None
        if not key:
            found = next(iter((await self.store.find(Upload, by=actor.id, limit=1)).rows), None)
        if found is None:
            raise NoUpload
        if found.by != actor.id:
            raise NotYours
        return found

    async def read_upload(self, upload: Upload, sheet: Sheet) -> Upload:
        """Reads the sheet to its end; then it waits for a decision.

        Errors: those of the sheet; `UploadOver` where it was cancelled meanwhile.
        """
        learnt = _Learnt(recognised(sheet.head.header), sheet.head.code_at)
        saving: asyncio.Task[Upload] | None = None  # the piece before, while the next one is read
        try:
            async for piece in sheet:
                weighed = await self._weigh(piece, learnt)
                upload = await saving if saving else upload
                saving = asyncio.create_task(self._keep(upload, sheet.head.header, weighed))
            upload = await saving if saving else upload
        finally:
            if saving:
                await asyncio.gather(saving, return_exceptions=True)
        sites, vendors = (tuple(counter.most_common(COUNTED)) for counter in (learnt.sites, learnt.vendors))
        technicians = tuple(sorted({id_ for id_ in learnt.people.values() if isinstance(id_, str)}))

        def ready(upload: Upload) -> Upload:
            return replace(
                upload,
                state=UploadState.READY,
                sites=sites,
                vendors=vendors,
                technicians=technicians,
                remarks=tuple(sheet.remarks),
            )

        return await self._moved(upload.id, UploadState.READING, ready)

    async def fail_upload(self, upload: Upload, fault: RowFault) -> Upload:
        """It cannot be read; what was read of it is let go."""

        def failed(upload: Upload) -> Upload:
            return replace(upload, state=UploadState.FAILED, fault=fault, settled_at=self.now())

        return await self._moved(upload.id, UploadState.READING, failed)

    async def wrong_rows(self, upload: Upload) -> AsyncIterator[BadRow]:
        """The rows that were not taken, in the order of the file, with the codes that stood in them."""
        for number in range(upload.parts):
            part = await self.store.get(UploadPart, f"{upload.id}/{number:05d}")
            for row in part.bad if part else ():
                yield replace(row, code=self.unwrapped(str(row.number), row.code)) if row.code else row

    # -------------------------------------------------------------- one piece

    async def _weigh(self, piece: Piece, learnt: _Learnt) -> _Weighed:
        known = await self.store.get_many(Device, [row.mac for row in piece.rows])
        rows: list[SheetRow] = []
        bad = [self._sealed(row, learnt.code_at) for row in piece.bad]
        standings = Counter[Standing]()
        differing: list[tuple[str, str, str]] = []
        for row in piece.rows:
            device = known.get(row.mac)
            taken = await self._taken(row, device, learnt)
            if isinstance(taken, RowFault):
                code = self._wrapped(str(row.number), row.code)
                bad.append(BadRow(row.number, _cells(row, learnt.columns), taken, code))
                continue
            standing = standing_of(taken, device)
            if standing is Standing.DIFFERENT and device and taken.location not in ("", device.location):
                differing.append((row.mac, device.location, taken.location))
            standings[standing] += 1
            learnt.sites[site_of(taken.location or (device.location if device else ""))] += 1
            if maker := vendor(row.mac):
                learnt.vendors[maker] += 1
            if row.code:
                wanted = not (device and self.has_code(device, row.code))
                taken = replace(taken, code=self._wrapped(row.mac, row.code) if wanted else "")
            rows.append(taken)
        return _Weighed(tuple(rows), tuple(sorted(bad, key=lambda row: row.number)), standings, tuple(differing))

    async def _taken(self, row: SheetRow, device: Device | None, learnt: _Learnt) -> SheetRow | RowFault:
        """The row with its technician's id in the place of a name; or why it cannot be taken."""
        listed = device is not None and not device.removed
        if not row.location and not listed:
            return RowFault.of("location_needed", {})
        if row.code and device and listed and device.provisioned:
            return RowFault.of("provisioned", {"place": device.place})
        if row.tags and len(_tags(row, device if listed else None)) > MOST_TAGS:
            return RowFault.of("tags", {"limit": MOST_TAGS})
        if not row.technician:
            return row
        if row.technician not in learnt.people:
            learnt.people[row.technician] = await self._installer(row.technician)
        found = learnt.people[row.technician]
        return found if isinstance(found, RowFault) else replace(row, technician=found)

    async def _installer(self, text: str) -> str | RowFault:
        try:
            person: Person = await self.person(text)
        except (PersonNotFound, Ambiguous) as error:
            several = isinstance(error, Ambiguous) and len(error.choices) > 1
            return RowFault.of("persons" if several else "person", {"text": text})
        if Role.TECHNICIAN not in self.roles_of(person):
            return RowFault.of("no_technician", {"text": text})
        return person.id

    def has_code(self, device: Device, code: str) -> bool:
        """This very code came before, used or not: the same file again changes nothing."""
        return self.keys.received(device.mac, device.code, code)

    def unwrapped(self, bound: str, sealed: str) -> str:
        """A code that waited in an upload; empty where its key left CODE_KEYS meanwhile: it has to be sent again."""
        try:
            return self.keys.unwrap(bound, sealed)
        except ValueError:
            return ""

    def _wrapped(self, bound: str, code: str) -> str:
        return self.keys.wrap(bound, code) if code else ""

    def _sealed(self, row: BadRow, codes_in: int | None) -> BadRow:
        """No code lies about in clear, not even one in a row that is wrong."""
        if codes_in is None or codes_in >= len(row.cells) or not row.cells[codes_in]:
            return row
        cells = (*row.cells[:codes_in], "", *row.cells[codes_in + 1 :])
        return replace(row, cells=cells, code=self._wrapped(str(row.number), row.cells[codes_in]))

    async def _keep(self, upload: Upload, header: Sequence[str], weighed: _Weighed) -> Upload:
        def grown(upload: Upload) -> Upload:
            of = weighed.standings
            return replace(
                upload,
                header=tuple(header),
                total=upload.total + len(weighed.rows) + len(weighed.bad),
                new=upload.new + of[Standing.NEW],
                same=upload.same + of[Standing.SAME],
                different=upload.different + of[Standing.DIFFERENT],
                wrong=upload.wrong + len(weighed.bad),
                codes=upload.codes + sum(bool(row.code) for row in weighed.rows),
                faults=(*upload.faults, *((row.number, row.fault) for row in weighed.bad))[:PREVIEWED],
                differing=(*upload.differing, *weighed.differing)[:PREVIEWED],
                parts=upload.parts + len(parts),
            )

        parts = _parts(upload, weighed)
        return await self._moved(upload.id, UploadState.READING, grown, *parts)

    # -------------------------------------------------------------- its record

    async def _moved(self, key: str, state: UploadState, change: Callable[[Upload], Upload], *beside: Record) -> Upload:
        """The upload changed and saved, its message redrawn: at once in another state, else now and then.

        Errors: `UploadOver` where it is not in `state` any more.
        """

        async def decide() -> tuple[Change, Upload]:
            former = await self.store.get(Upload, key)
            if former is None or former.state is not state:
                raise UploadOver
            return await self.step_of(former, change(former), *beside)

        return await self.quietly(decide)

    async def step_of(self, former: Upload, fresh: Upload, *beside: Record) -> tuple[Change, Upload]:
        """The change that takes an upload on, with whatever else is to be saved in the same piece."""
        now = self.now()
        over = fresh.state is not former.state
        told: tuple[OutboxMessage, ...] = ()
        if over or former.progress_at is None or now - former.progress_at >= PROGRESS_EVERY:
            fresh, told = replace(fresh, progress_at=now), await self.redrawn(fresh.id, now)
        return Change(puts=(fresh, *beside, *told)), stored(fresh)


def _parts(upload: Upload, weighed: _Weighed) -> list[UploadPart]:
    """The rows in small parts; those that are wrong stand in the first of them."""
    rows, bad = weighed.rows, weighed.bad
    starts = range(0, max(len(rows), 1), PART)
    return [
        UploadPart(upload=upload.id, number=upload.parts + at, rows=rows[start : start + PART], bad=() if at else bad)
        for at, start in enumerate(starts)
    ]


def standing_of(row: SheetRow, device: Device | None) -> Standing:
    if device is None or device.removed:
        return Standing.NEW
    return Standing.DIFFERENT if changed_columns(row, device) else Standing.SAME


def changed_columns(row: SheetRow, device: Device) -> tuple[str, ...]:
    """What the row says otherwise. Columns it leaves empty say nothing; tags come on top of those there are."""
    columns = [name for name in TEXTS if getattr(row, name) and getattr(row, name) != getattr(device, name)]
    had = {tag.casefold() for tag in device.tags}
    return (*columns, *(["tags"] if any(tag.casefold() not in had for tag in row.tags) else []))


def values_of(row: SheetRow, device: Device | None = None) -> Mapping[str, object]:
    """The fields of a device that the row gives; beside what the device has."""
    given: dict[str, object] = {name: getattr(row, name) for name in TEXTS if getattr(row, name)}
    return {**given, "tags": _tags(row, device)}


def _tags(row: SheetRow, device: Device | None) -> tuple[str, ...]:
    """Those of the row come on top of those there are, each once."""
    tags = {tag.casefold(): tag for tag in (*row.tags, *(device.tags if device else ()))}
    return tuple(sorted(tags.values(), key=str.casefold))


DEFAULT: Mapping[Column, int] = {Column.MAC: 0, Column.LOCATION: 1}  # of a sheet without a header


def _cells(row: SheetRow, columns: Mapping[Column, int]) -> tuple[str, ...]:
    """A row that read well, but cannot be taken, as it stood under its header; the code's cell stays empty."""
    at = columns or DEFAULT
    values = {
        Column.MAC: "-".join(row.mac[i : i + 2] for i in range(0, len(row.mac), 2)),
        Column.LOCATION: row.location,
        Column.TYPE: row.type,
        Column.ACCOUNT: row.account,
        Column.TECHNICIAN: row.technician,
        Column.TAG: ", ".join(row.tags),
        Column.ASSET_TAG: row.asset_tag,
        Column.NOTES: row.notes,
    }
    if Column.LOCATION not in at:  # its levels stand in columns of their own: read again, the whole is the same
        first = next((level for level in LEVELS if level in at), None)
        values |= {level: row.location if level is first else "" for level in LEVELS}
    by_place = {place: values.get(column, "") for column, place in at.items()}
    return tuple(by_place.get(place, "") for place in range(max(by_place, default=-1) + 1))
