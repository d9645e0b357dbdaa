"""Whatever picture is sent, it ends in what was seen or in one sentence, in time, and nothing of it stays behind."""

import asyncio
import io
import struct
import time
import zlib

import pytest
import zxingcpp
from PIL import Image

from bot import confined
from bot.files import Files, Patience
from bot.turn import Picture
from bot.viewing import Pictures, read_labels, redraw
from provisioning.documents import pictures
from provisioning.documents.labels import macs_of
from provisioning.documents.pictures import PictureError
from provisioning.photos import LARGEST
from tests.file_host import FileHost
from tests.labels import encoded, jpeg_with_place, mac_of, photo, sheet_of

A = "805EC0112233"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(500)


def png_of(width: int, height: int) -> bytes:
    """The header of a picture of that size, with some rows of nothing, in few bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * min(height, 2_000)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# ------------------------------------------------------------------ what people send


async def test_a_photo_of_a_label_is_read_by_the_other_process() -> None:
    assert macs_of(await read_labels(photo("Code 128", 1))) == (mac_of(1),)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO"])
async def test_every_form_of_picture_is_read_and_redrawn(form: str) -> None:
    content = encoded(sheet_of(A), form)
    assert macs_of(await read_labels(content)) == (A,)
    kept = await redraw(content)
    assert Image.open(io.BytesIO(kept.content)).format == "JPEG"


async def test_what_is_transparent_is_paper() -> None:
    label = sheet_of(A)
    clear = Image.new("RGBA", label.size, (0, 0, 0, 0))
    clear.putalpha(label.point(lambda v: 255 - v))  # black bars on nothing
    assert macs_of(await read_labels(encoded(clear, "PNG"))) == (A,)
    assert max(Image.open(io.BytesIO((await redraw(encoded(clear, "PNG"))).content)).convert("L").getextrema()) > 240


async def test_large_pictures_with_transparency_are_read_or_told_to_be_too_large() -> None:
    for side, mode in ((5_400, "RGBA"), (5_400, "LA"), (5_400, "P")):
        clear = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        clear.paste(sheet_of(A).convert("RGBA"), (1_000, 1_000))
        content = encoded(clear.convert(mode) if mode != "RGBA" else clear, "PNG")
        assert await read_labels(content) is not None
        assert len((await redraw(content)).content) <= LARGEST
    content = encoded(Image.new("RGBA", (7_000, 7_000), (0, 0, 0, 0)), "PNG")
    for look in (read_labels, redraw):
        with pytest.raises(pictures.TooManyPixels, match="30 million"):
            await look(content)


@pytest.mark.parametrize("path", ["/silent", "/stalls", "/drips", "/status/403", "/status/503", "/short"])
async def test_a_picture_that_does_not_come_is_given_up_in_time(path: str) -> None:
    async with FileHost() as host:
        coming = Pictures(Files(local=True, patience=Patience(idle=0.3, total=1.0)))
        began = time.monotonic()
        with pytest.raises(pictures.PictureNotFetched):
            await coming.labels(Picture(host.address(path), needs_token=True))
        assert time.monotonic() - began < 20


async def test_what_a_host_sends_without_end_is_too_large() -> None:
    async with FileHost() as host:
        for path in ("/endless", "/bomb"):
            with pytest.raises(pictures.PictureTooLarge, match="20 MiB"):
                await Pictures(Files(local=True)).evidence(Picture(host.address(path)))
            with pytest.raises(pictures.PictureTooLarge, match="20 MiB"):  # also where tables may be larger
                await Pictures(Files(local=True, limit=100)).labels(Picture(host.address(path)))


# ------------------------------------------------------------------ what is kept


async def test_a_kept_photo_is_upright_small_and_holds_no_place() -> None:
    sent = jpeg_with_place(4_000, 3_000)
    assert b"GPS-PROOF" in sent and Image.open(io.BytesIO(sent)).getexif().get_ifd(0x8825)
    kept = await redraw(sent)
    drawn = Image.open(io.BytesIO(kept.content))
    assert (drawn.width, drawn.height) == (kept.width, kept.height) == (768, 1024)  # it was taken upright
    assert len(kept.content) <= LARGEST
    assert not drawn.getexif() and not set(drawn.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"GPS-PROOF" not in kept.content and b"Exif" not in kept.content and b"Photoshop" not in kept.content


async def test_the_noisiest_photo_is_small_enough_too() -> None:
    noisy = Image.effect_noise((3_000, 2_000), 200).convert("RGB")
    assert len((await redraw(encoded(noisy, "PNG"))).content) <= LARGEST


# ------------------------------------------------------------------ what nobody should send


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", pictures.EmptyPicture),
        (b"MAC id,Location\n80-5E-C0-11-22-33,Oslo\n", pictures.NotAPicture),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", pictures.NotAPicture),
        (b"%PDF-1.7\n", pictures.NotAPicture),
        (HEIC, pictures.HeicPicture),
        (bytes(20 * 1024 * 1024 + 1), pictures.PictureTooLarge),
        (png_of(30_000, 30_000), pictures.TooManyPixels),
        (png_of(8_000, 6_400), pictures.TooManyPixels),
        (b"\x89PNG\r\n\x1a\n", pictures.NotAPicture),
        (b"\xff\xd8\xff\xe0" + bytes(100), pictures.NotAPicture),
        (b"GIF89a" + bytes(20), pictures.NotAPicture),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{len(value)} bytes",
)
async def test_it_ends_in_one_sentence(content: bytes, error: type[PictureError]) -> None:
    for look in (read_labels, redraw):
        began = time.monotonic()
        with pytest.raises(PictureError) as told:
            await look(content)
        assert type(told.value) is error
        assert "{" not in told.value.sentence and told.value.sentence.endswith(".")
        assert time.monotonic() - began < 20


async def test_half_a_photo_is_damaged() -> None:
    whole = photo("QR", 1)
    for share in (3, 2):
        with pytest.raises(pictures.PictureDamaged):
            await read_labels(whole[: len(whole) // share])
        with pytest.raises(pictures.PictureDamaged):
            await redraw(whole[: len(whole) // share])


async def test_fifty_million_pixels_fit() -> None:
    large = Image.new("RGB", (8_000, 6_200), "white")
    large.paste(sheet_of(A).convert("RGB"), (3_000, 2_000))
    content = encoded(large, "PNG")
    assert await read_labels(content) is not None
    assert (await redraw(content)).width == 1_024


async def test_bytes_that_were_turned_around_end_in_a_sentence_or_in_barcodes() -> None:
    whole = bytearray(photo("QR", 2))
    for at in range(2, 400, 37):
        whole[at] ^= 0xFF
        try:
            await read_labels(bytes(whole))
        except PictureError as error:
            assert error.sentence


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{}",
        "[1]",
        '{"seen": {}}',
        '{"seen": {"barcodes": [["x"]]}}',
        '{"seen": {"barcodes": [["x", "../"]]}}',
        '{"seen": {"barcodes": [[1, "QRCode"]]}}',
        '{"seen": {"barcodes": "x"}}',
        '{"seen": {"barcodes": [["%s", "QRCode"]]}}' % ("x" * 1001),
        '{"error": ["nothing", {}]}',
        '{"error": ["picture_pixels", {}]}',
        '{"error": ["picture_pixels", {"limit": 1}]}',
        '{"broke": "KeyError at labels.py:1"}',
        "x" * 2_000_000,
    ],
    ids=lambda said: said[:40],
)
async def test_nothing_the_process_says_is_believed(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(
        confined,
        "START",
        f"import sys; sys.stdin.buffer.read(); sys.stdout.write({said[:60]!r} * {len(said) // 60 + 1})"
        if len(said) > 10_000
        else f"import sys; sys.stdin.buffer.read(); sys.stdout.write({said!r})",
    )
    with pytest.raises(pictures.PictureDamaged):
        await read_labels(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "said",
    [
        '{"seen": {"jpeg": "eA==", "width": 1, "height": 1}}',
        '{"seen": {"jpeg": "/9j/", "width": 1025, "height": 1}}',
        '{"seen": {"jpeg": "/9j/", "width": true, "height": 1}}',
        '{"seen": {"jpeg": "%s", "width": 1, "height": 1}}' % ("/9j/" + "AAAA" * 30_000),
    ],
    ids=lambda said: said[:50],
)
async def test_nor_is_a_picture_of_its_own(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(confined, "START", f"import sys; sys.stdin.buffer.read(); sys.stdout.write({said!r})")
    with pytest.raises(pictures.PictureDamaged):
        await redraw(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "does",
    [
        "open('/etc/passwd')",
        "__import__('socket').socket()",
        "open('/tmp/x', 'w').write('x')",
    ],
)
async def test_the_process_can_do_nothing_but_look(monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    start = (
        "import sys; sys.path += sys.argv[3:]\nimport provisioning.documents.viewer as v\nv._load()\n"
        f'v.confine(v.MEMORY)\ntry: {does}\nexcept OSError: print(\'{{"seen": {{"barcodes": []}}}}\')'
    )
    monkeypatch.setattr(confined, "START", start)
    assert await read_labels(b"\xff\xd8\xff") == ()


@pytest.mark.parametrize("does", ["bytearray(2 * 1024 ** 3)", "sum(iter(int, 1))"])
async def test_memory_and_time_end(monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    start = (
        "import sys; sys.path += sys.argv[3:]\nimport provisioning.documents.viewer as v\n"
        f"v.SECONDS = 1\nv.LOOKS = {{'labels': lambda content: {does}}}\nv.main('labels')"
    )
    monkeypatch.setattr(confined, "START", start)
    with pytest.raises(pictures.PictureTookTooLong):
        await asyncio.wait_for(read_labels(b"\xff\xd8\xff"), 60)


async def test_time_that_ended_is_told_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    start = (
        "import sys; sys.path += sys.argv[3:]\nimport provisioning.documents.viewer as v\n"
        "v.SECONDS = 1\nv.LOOKS = {'labels': lambda content: sum(iter(int, 1))}\nv.main('labels')"
    )
    monkeypatch.setattr(confined, "START", start)
    async with confined.confined("provisioning.documents.viewer", "labels", b"", longest_line=100) as process:
        await asyncio.wait_for(process.wait(), 60)
        assert confined.end_of(process) is confined.End.TIME


def test_the_reader_that_is_installed_reads_what_we_ask_of_it() -> None:
    for kind in ("Code128", "Code39", "QRCode", "DataMatrix", "PDF417", "Aztec"):
        assert hasattr(zxingcpp.BarcodeFormat, kind)
