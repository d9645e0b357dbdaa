"""The cards of uploads and of files to take away, in each of their states; every text of a user's is `user`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import exports, uploads
from provisioning.errors import InvalidMoment
from provisioning.service.uploading import Undecided
from provisioning.sheets.faults import Encrypted, fault_of
from provisioning.uploads import BadRow, RowFault, Upload, UploadState

NOW = datetime(2026, 3, 2, 10, 42, tzinfo=UTC)
UNDO = timedelta(minutes=10)


def sheet_cards(user: str = "Oslo", name: str = "oslo.xlsx") -> dict[str, View]:
    """Named views; `name` is a file's."""
    upload = _upload(user, name)
    some = {**_reading(upload), **_previews(upload, user), **_saving(upload, user), **_files(user)}
    shown = {key: uploads.upload_card(value, NOW, UNDO) for key, value in some.items() if isinstance(value, Upload)}
    return {**{key: value for key, value in some.items() if not isinstance(value, Upload)}, **shown}


def _upload(user: str, name: str) -> Upload:
    site, text = user[:100] or "x", user[:40]
    return Upload(
        id="7f3a90c1d2e4b586",
        by="00000000-0000-4000-8000-00000000da0a",
        by_name=user[:60] or "Dana",
        at=NOW - timedelta(minutes=1),
        name=name[:90],
        total=200,
        new=190,
        same=7,
        wrong=3,
        sites=((site, 150), ("Bergen", 47)),
        vendors=(("Yealink", 180), ("Poly", 17)),
        faults=(
            (17, RowFault.of("mac_length", {"text": text or "805EC01122", "digits": 10})),
            (88, RowFault.of("mac_number", {"text": "1.23E+11"})),
            (141, RowFault.of("same_mac", {"row": 12, "there": site, "here": site})),
        ),
        parts=3,
        batch="b1",
        decided_at=NOW - timedelta(seconds=20),
        settled_at=NOW,
        version=3,
    )


def _reading(upload: Upload) -> dict[str, Upload | View]:
    reading = replace(upload, state=UploadState.READING)
    return {
        "upload-reading": replace(reading, total=0),
        "upload-reading-rows": replace(reading, total=14_000),
        "upload-reading-pasted": replace(reading, name="", total=0),
        "upload-failed": replace(upload, state=UploadState.FAILED, fault=fault_of(Encrypted())),
        "upload-broke-off": replace(upload, state=UploadState.FAILED, fault=RowFault("broke_off")),
        "upload-cancelled": replace(upload, state=UploadState.CANCELLED),
    }


def _previews(upload: Upload, user: str) -> dict[str, Upload | View]:
    ready, site = replace(upload, state=UploadState.READY), user[:200] or "x"
    good = replace(ready, wrong=0, faults=(), total=197)
    elsewhere = tuple((f"805EC01122{n:02X}", site, f"{site[:190]}/{n}") for n in range(5))
    both = replace(ready, different=40, same=0, differing=elsewhere)
    coded = replace(good, codes=190)
    remark = RowFault.of("notes_below", {"rows": "201, 202"})
    large = replace(
        both,
        new=120_000,
        different=19_000,
        wrong=60_000,
        codes=100_000,
        sites=tuple((f"{site[:90]}{n}", 20_000) for n in range(6)),
        vendors=tuple((f"Yealink{n}", 20_000) for n in range(6)),
        faults=tuple((n, upload.faults[0][1]) for n in range(5)),
        remarks=(remark,) * 4,
    )
    return {
        "preview": ready,
        "preview-good": good,
        "preview-remarks": replace(good, remarks=(remark, RowFault.of("no_header", {"mac": "A", "location": "B"}))),
        "preview-same": replace(good, new=0, same=197),
        "preview-same-and-wrong": replace(ready, new=0, same=197),
        "preview-all-wrong": replace(ready, new=0, same=0),
        "preview-nothing": replace(good, new=0, same=0, total=0),
        "preview-different": both,
        "preview-only-different": replace(both, new=0, wrong=0, faults=()),
        "preview-codes": coded,
        "preview-only-codes": replace(coded, new=0, same=197),
        "preview-codes-for-different": replace(coded, new=0, same=0, different=197, differing=elsewhere),
        "preview-large": large,
        "preview-wrong-codes": replace(ready, new=0, same=197, codes=1_900),
        "preview-wrong-different": replace(both, new=0, different=19_000),
        "preview-no-choice": uploads.upload_card(both, NOW, UNDO, Undecided(count=40)),
        "preview-no-time": uploads.upload_card(coded, NOW, UNDO, InvalidMoment(text=user[:40])),
    }


def _saving(upload: Upload, user: str) -> dict[str, Upload | View]:
    adding = replace(upload, state=UploadState.ADDING, parts=2_000, new=200_000)
    added = replace(upload, state=UploadState.ADDED, added=190)
    undone = replace(upload, state=UploadState.UNDONE, added=190, undone=187)
    reasons = ("stays_provisioned", "stays_changed", "stays_problem", "stays_code", "stays_installed")
    kept = tuple((user[:200] or "2.14", RowFault(reason)) for reason in reasons)
    rows = [BadRow(n, (user[:60], user[:200], "", user[:200]), upload.faults[0][1]) for n in range(10)]
    return {
        "adding": replace(adding, written=0),
        "adding-halfway": replace(adding, written=1_000),
        "adding-minutes": replace(adding, written=100, decided_at=NOW - timedelta(minutes=2)),
        "added": added,
        "added-all": replace(added, wrong=0, same=0, new=190),
        "added-large": replace(added, added=140_000, changed=19_000, new=140_000, different=19_000, update=True),
        "added-codes": replace(added, changed=7, codes=197, coded_at=NOW - timedelta(hours=2)),
        "added-nothing": replace(added, new=0, added=0, wrong=0),
        "added-long-ago": replace(added, settled_at=NOW - timedelta(days=2)),
        "undoing": replace(undone, state=UploadState.UNDOING, cursor="x"),
        "undone-upload": replace(undone, cursor=None),
        "undone-some": replace(undone, cursor=None, kept=kept, stayed=40),
        "wrong-rows": uploads.wrong_rows_card(upload, rows, 11, "21"),
        "wrong-rows-none": uploads.wrong_rows_card(upload, [], 1, None),
        "upload-form": uploads.upload_form(),
        "upload-form-refused": uploads.upload_form(InvalidMoment(text=user[:40])),
    }


def _files(user: str) -> dict[str, Upload | View]:
    title, about = user[:100] or "x", {"target": "all"}
    again = {"kind": "codes", "name": "codes Oslo.xlsx", "target": "Oslo", "form": "xlsx"}
    return {
        "export": exports.export_form(title, 20_000, 1_500, "xlsx", about),
        "export-no-codes": exports.export_form(title, 1, 0, "csv", about),
        "export-codes-ask": exports.ask_codes(title, 1_500, "export_codes", about),
        "print-ask": exports.print_form(title, 3, about),
        "print-no-codes": exports.print_form(title, 0, about),
        "template": exports.template_form(),
        "nothing-to-take": exports.nothing_to_take(title),
        "not-handed-over": exports.not_handed_over(f"codes {title}.xlsx", Encrypted().sentence, again),
        "no-sheet": exports.no_sheet_here(f"{title}.xlsx"),
        "no-files": exports.no_files_here(f"codes {title}.xlsx", "codes", "Codes", {"site": "Oslo"}),
    }
