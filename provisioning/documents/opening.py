"""A picture that somebody sent, opened: for the process that looks at it alone (see `viewer`)."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PIL import Image, ImageFile, UnidentifiedImageError

from provisioning.documents.pictures import NotAPicture, PictureDamaged, TooManyPixels, check

MEGAPIXELS: Final = 50
CLEAR: Final = 30  # of a picture with transparency: Pillow copies it whole before it makes it smaller
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


@contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """The picture, or the first one of several, not decoded yet. Errors, also while it is decoded: `PictureError`s."""
    check(content)
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = MEGAPIXELS * 1_000_000
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow's own error comes at twice as many
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                limit = CLEAR if picture.has_transparency_data else MEGAPIXELS
                if picture.width * picture.height > limit * 1_000_000:
                    raise TooManyPixels(limit=limit)
                yield picture
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise TooManyPixels(limit=MEGAPIXELS) from None
        except UnidentifiedImageError:
            raise NotAPicture from None
        except (OSError, SyntaxError, ValueError, EOFError, struct.error):
            raise PictureDamaged from None  # what decoders raise differs with the format
