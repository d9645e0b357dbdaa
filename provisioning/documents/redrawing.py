"""A photo is drawn anew, so that nothing else of the file that came is in it: by the process that looks at it alone."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageOps

from provisioning.documents.evidence import SIDE, Evidence
from provisioning.documents.opening import opened
from provisioning.documents.pictures import PictureDamaged
from provisioning.photos import LARGEST

QUALITIES: Final = (85, 75, 65, 55, 45, 35)
SHRINK: Final = 0.75  # where even the lowest quality is too many bytes


def redrawn(content: bytes) -> Evidence:
    """Upright as it was taken, at most 1 024 pixels long. Errors: the `PictureError` tree."""
    with opened(content) as picture:
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)  # first, as all else takes memory by its size
        upright = _on_white(ImageOps.exif_transpose(picture))
    while min(upright.size) >= 1:
        for quality in QUALITIES:
            drawn = io.BytesIO()
            upright.save(drawn, "JPEG", quality=quality, optimize=True, exif=b"", icc_profile=None, comment=b"")
            if drawn.tell() <= LARGEST:
                return Evidence(drawn.getvalue(), *upright.size)
        upright = upright.resize((int(upright.width * SHRINK), int(upright.height * SHRINK)))
    raise PictureDamaged


def _on_white(picture: Image.Image) -> Image.Image:
    """Pixels alone: a new picture takes nothing else along."""
    bare = Image.new("RGB", picture.size, "white")
    if picture.has_transparency_data:
        whole = picture.convert("RGBA")
        bare.paste(whole, mask=whole.getchannel("A"))
    else:
        bare.paste(picture.convert("RGB"))
    return bare
