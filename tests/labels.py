"""Photos of labels as they stand on cartons: at any angle, from near and far, blurred, unevenly lit, noisy. Seeded.

photo(LABELS["Code 128"], 7) is always the same picture of the same label.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping

import zxingcpp
from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1_600, 1_200
Symbol = Callable[[str], Image.Image]


def mac_of(seed: int) -> str:
    return f"805EC0{random.Random(seed).randrange(2**24):06X}"


def code128(mac: str) -> Image.Image:
    return _symbol(mac, zxingcpp.BarcodeFormat.Code128, height=14)


def qr(mac: str) -> Image.Image:
    return _symbol(f"install {'-'.join(mac[i : i + 2] for i in range(0, 12, 2))}", zxingcpp.BarcodeFormat.QRCode)


def data_matrix(mac: str) -> Image.Image:
    return _symbol(f"MAC:{mac};SN:3105C0{mac[-4:]}", zxingcpp.BarcodeFormat.DataMatrix)


LABELS: Mapping[str, Symbol] = {"Code 128": code128, "QR": qr, "Data Matrix": data_matrix}
MODULE = {"Code 128": (2.2, 4.5), "QR": (3.4, 9.0), "Data Matrix": (3.4, 9.0)}  # pixels, from far and from near


def _symbol(text: str, kind: zxingcpp.BarcodeFormat, height: int = 0) -> Image.Image:
    """Black on white, four pixels a module, with the quiet zone; a bar code is `height` millimetres of 0.33."""
    view = memoryview(zxingcpp.write_barcode_to_image(zxingcpp.create_barcode(text, kind), scale=4))
    drawn = Image.frombytes("L", (view.shape[1], view.shape[0]), bytes(view))
    return drawn.resize((drawn.width, height * 12)) if height else drawn


def label(symbol: Image.Image, mac: str) -> Image.Image:
    """The symbol on white paper, with what is printed around it."""
    paper = Image.new("L", (symbol.width + 160, symbol.height + 150), 250)
    paper.paste(symbol, (80, 70))
    pen = ImageDraw.Draw(paper)
    pen.text((90, 20), "SIP phone  MP56  Made in X", fill=20, font_size=30)
    pen.text((90, symbol.height + 85), f"MAC: {mac}", fill=20, font_size=34)
    pen.rectangle((0, 0, paper.width - 1, paper.height - 1), outline=120, width=3)
    return paper


def photo(name: str, seed: int) -> bytes:
    """A JPEG, as a phone sends it."""
    chance, mac = random.Random(seed), mac_of(seed)
    paper = label(LABELS[name](mac), mac)
    scale = chance.uniform(*MODULE[name]) / 4
    paper = paper.resize((int(paper.width * scale), int(paper.height * scale)), Image.Resampling.BICUBIC)
    picture = _carton(chance)
    angle = chance.uniform(0, 360)
    turned = paper.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", paper.size, 255).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    room = (max(1, WIDTH - turned.width), max(1, HEIGHT - turned.height))
    picture.paste(turned, (chance.randrange(room[0]), chance.randrange(room[1])), mask)
    picture = ImageChops.multiply(picture, _light(chance))
    picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0.2, 0.5) * scale * 4))
    picture = Image.blend(picture, _noise(chance), chance.uniform(0.02, 0.08))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=chance.randrange(60, 90))
    return content.getvalue()


def _carton(chance: random.Random) -> Image.Image:
    """Brown paper with stripes and other print on it."""
    carton = Image.blend(Image.new("L", (WIDTH, HEIGHT), 150), _noise(chance), 0.12)
    pen = ImageDraw.Draw(carton)
    for _ in range(14):
        x, y = chance.randrange(WIDTH), chance.randrange(HEIGHT)
        pen.line((x, y, x + chance.randrange(-500, 500), y + chance.randrange(-400, 400)), chance.randrange(60, 140), 3)
        pen.text(
            (y, x % HEIGHT), "FRAGILE  THIS SIDE UP", fill=chance.randrange(50, 110), font_size=chance.randrange(16, 50)
        )
    return carton


def _light(chance: random.Random) -> Image.Image:
    """From a window at one side: as little as 45 % of it at the other."""
    ramp = Image.linear_gradient("L").resize((WIDTH * 2, HEIGHT * 2)).rotate(chance.uniform(0, 360))
    left, top = WIDTH // 2, HEIGHT // 2
    dark = chance.uniform(0.45, 0.8)
    return ramp.crop((left, top, left + WIDTH, top + HEIGHT)).point(lambda v: int(255 * (dark + (1 - dark) * v / 255)))


def _noise(chance: random.Random) -> Image.Image:
    return Image.frombytes("L", (WIDTH, HEIGHT), chance.randbytes(WIDTH * HEIGHT))


# ---------------------------------------------------------------------- pictures of other kinds


def sheet_of(*texts: str, kind: str = "QRCode") -> Image.Image:
    """Barcodes beside each other, as a scanner sees them."""
    symbols = [_symbol(text, getattr(zxingcpp.BarcodeFormat, kind)) for text in texts]
    paper = Image.new("L", (sum(s.width + 60 for s in symbols) + 60, max(s.height for s in symbols) + 120), 255)
    left = 60
    for symbol in symbols:
        paper.paste(symbol, (left, 60))
        left += symbol.width + 60
    return paper


def encoded(picture: Image.Image, form: str = "JPEG") -> bytes:
    content = io.BytesIO()
    how = {"MPO": {"save_all": True, "append_images": [picture]}, "PNG": {"compress_level": 1}}
    picture.save(content, form, **how.get(form, {}))
    return content.getvalue()


def scanned(*texts: str, kind: str = "QRCode") -> bytes:
    return encoded(sheet_of(*texts, kind=kind))


def view_of_a_wall(width: int = 1_600, height: int = 1_200) -> Image.Image:
    """A picture without any barcode."""
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


def jpeg_with_place(width: int, height: int) -> bytes:
    """Taken upright by a phone that lay on its side, and knew where it was; with comments here and there."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    exif[0x010E] = "GPS-PROOF"
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", (59.0, 54.0, 50.0), "E", (10.0, 45.0, 8.0)
    content = io.BytesIO()
    view_of_a_wall(width, height).save(content, "JPEG", exif=exif, comment=b"GPS-PROOF Photoshop")
    return content.getvalue()
