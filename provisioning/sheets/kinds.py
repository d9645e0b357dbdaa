"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import codecs

from provisioning.sheets import faults

LOOKED_AT = 64 * 1024

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of .xls, and of workbooks with a password
ZIP = b"PK\x03\x04"

_BEGINNINGS: tuple[tuple[bytes, type[faults.SheetError]], ...] = (
    (b"%PDF", faults.Pdf),
    (b"\x89PNG", faults.Picture),
    (b"\xff\xd8\xff", faults.Picture),  # JPEG
    (b"GIF8", faults.Picture),
    (b"II*\0", faults.Picture),  # TIFF
    (b"MM\0*", faults.Picture),
    (b"\x1f\x8b", faults.Archive),  # gzip
    (b"7z\xbc\xaf", faults.Archive),
    (b"Rar!", faults.Archive),
    (b"BZh", faults.Archive),
    (b"\xfd7zXZ", faults.Archive),
    (b"PK\x05\x06", faults.EmptySheet),  # a zip without a member
    (b"\x09\x08", faults.OldWorkbook),  # .xls of the years before containers
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(set(range(32)) - {9, 10, 11, 12, 13}) + b"\x7f"


def is_workbook(content: bytes) -> bool:
    """Whether it is a zip, as XLSX files are. Errors: what else it is, with the cure."""
    if not content.strip(b"\0\t\r\n ") and len(content) < LOOKED_AT:
        raise faults.EmptySheet
    if content.startswith(_OLE):
        encrypted = "EncryptedPackage".encode("utf-16-le") in content
        raise faults.Encrypted if encrypted else faults.OldWorkbook
    for beginning, error in _BEGINNINGS:
        if content.startswith(beginning):
            raise error
    if content[8:12] == b"WEBP" or content[4:8] == b"ftyp" or (content[:2] == b"BM" and content[6:10] == b"\0" * 4):
        raise faults.Picture
    return content.startswith(ZIP)


def encoding_of(content: bytes) -> tuple[str, int]:
    """The encoding of a text and how many bytes of it are its mark. Errors: `NotASheet`."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _checked(content, encoding, len(mark)), len(mark)
    head = content[:LOOKED_AT]
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if max(zeros) * 4 > len(head):  # half of every second byte: Latin text in two bytes a character
        return _checked(content, "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be", 0), 0
    if len(head.translate(None, _CONTROLS)) < len(head) or 0 in content:
        raise faults.NotASheet
    try:
        return _checked(content, "utf-8", 0), 0
    except faults.NotASheet:
        return _checked(content, "cp1252", 0), 0


def _checked(content: bytes, encoding: str, begin: int) -> str:
    """The encoding, once all of the text was read with it; in steps, so that it never stands there as a whole."""
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(content)
    try:
        for start in range(begin, len(content), LOOKED_AT):
            if "\0" in decoder.decode(view[start : start + LOOKED_AT]):
                raise faults.NotASheet
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise faults.NotASheet from None
    return encoding
