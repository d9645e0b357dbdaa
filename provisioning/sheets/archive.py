"""What the directory of a zip betrays, before anything in it is unpacked."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from provisioning.sheets import faults

MEMBERS = 2_000
UNPACKED = 256 * 1024 * 1024
RATIO, FROM = 250, 1024 * 1024  # XML of a sheet shrinks to a tenth, of an empty one to a hundredth
STEP = 256 * 1024

_INNER = re.compile(r"\.(zip|xlsx|xlsm|docx|pptx|gz|7z|rar|jar)$", re.IGNORECASE)
_EMBEDDED = "xl/embeddings/"  # documents that were put into the sheet; nobody unpacks them
_ENCRYPTED = 0x1
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_OVERLAP = 16  # of two steps, so that nothing is missed between them

# What a zip without xl/workbook.xml is, by the first member that says so.
_OTHERS: tuple[tuple[re.Pattern[str], type[faults.SheetError]], ...] = (
    (re.compile(r"xl/workbook\.bin"), faults.BinaryWorkbook),
    (re.compile(r"Index/.*\.iwa|Index\.zip"), faults.Numbers),
    (re.compile(r"content\.xml"), faults.OpenDocument),
    (re.compile(r"(word|ppt)/.*"), faults.NotASheet),
)


def opened(content: bytes) -> zipfile.ZipFile:
    """The workbook, once its directory was found to be an honest one's. Errors: the `SheetError` tree."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError):
        raise faults.Damaged from None
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(members) > MEMBERS or sum(member.file_size for member in members) > UNPACKED:
        raise faults.TooMuchInside
    if any(member.file_size > FROM and member.file_size > RATIO * member.compress_size for member in members):
        raise faults.TooMuchInside
    if "xl/workbook.xml" not in names:
        raise _other(names)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise faults.Encrypted
    inner = any(_INNER.search(name) and not name.startswith(_EMBEDDED) for name in names)
    if inner or len(set(map(str.casefold, names))) < len(names):
        raise faults.Suspicious
    return archive


def _other(names: list[str]) -> faults.SheetError:
    found = (error for pattern, error in _OTHERS for name in names if pattern.fullmatch(name))
    return next(found, faults.Archive)()


def rows_in(archive: zipfile.ZipFile, name: str) -> int:
    """How many rows this sheet really has. Errors: `Damaged` where its size is not the stated one, `Suspicious`."""
    return _walked(archive, name, _ROW)


def checked(archive: zipfile.ZipFile) -> None:
    """Unpacks every part that holds text once, in small steps. Errors: `Damaged`, `Suspicious`."""
    for name in archive.namelist():
        if name.endswith((".xml", ".rels")) and not name.startswith("xl/worksheets/"):
            _walked(archive, name, None)


def _walked(archive: zipfile.ZipFile, name: str, counted: re.Pattern[bytes] | None) -> int:
    count, end = 0, b""
    try:
        with archive.open(name) as part:
            while step := part.read(STEP):
                window = end + step
                if _DECLARATION.search(window):
                    raise faults.Suspicious
                end = window[-_OVERLAP:]
                if counted:  # a match that lies whole in the overlap was counted with the last step
                    count += sum(1 for match in counted.finditer(window) if match.end() > len(window) - len(step))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError):
        raise faults.Damaged from None
    return count
