"""Draws color.png and outline.png from their SVG sources, with the browser that the browser tests use.

make chromium && .venv/bin/python manifest/draw_icons.py
"""

import shutil
import struct
import zlib
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

RASTERISE = """async ([svg, size]) => {
    const image = new Image(size, size);
    image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(svg);
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: size, height: size });
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0, size, size);
    return Array.from(pen.getImageData(0, 0, size, size).data);
}"""


def png(size: int, rgba: bytes) -> bytes:
    """The smallest honest PNG: 8 bits, RGBA, no filter, no date and so the same bytes each time."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgba[i : i + size * 4] for i in range(0, len(rgba), size * 4))
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def white_only(rgba: bytes) -> bytes:
    """Teams refuses an outline with a grey pixel: shades belong into the transparency alone."""
    return b"".join(b"\xff\xff\xff" + rgba[i + 3 : i + 4] for i in range(0, len(rgba), 4))


def main() -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        for name, size in (("color", 192), ("outline", 32)):
            svg = (HERE / f"{name}.svg").read_text(encoding="utf-8")
            rgba = bytes(page.evaluate(RASTERISE, [svg, size]))
            (HERE / f"{name}.png").write_bytes(png(size, white_only(rgba) if name == "outline" else rgba))
            print(f"{name}.png: {size} × {size}")


if __name__ == "__main__":
    main()
