"""Pictures that people send, before anything of them is believed: which are read, how large they may be, what is wrong.

Whatever opens them (see `opening`) is loaded by a process of its own (see `viewer`): decoders of pictures are where
trouble comes in, and the service spares their 4 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from provisioning.errors import ProvisioningError
from provisioning.texts import N_

BYTES: Final = 20 * 1024 * 1024
_HEIF_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")


class PictureError(ProvisioningError):
    """A picture cannot be used; the sentence says what to do instead."""

    code: ClassVar[str] = "picture"
    message = N_("This picture cannot be read. Take it again with the camera in this chat.")


class NotAPicture(PictureError):
    code = "not_a_picture"
    message = N_("This is not a picture that I can read. Send a photo as JPEG or PNG, or use the camera in this chat.")


class EmptyPicture(PictureError):
    code = "picture_empty"
    message = N_("This picture is empty. Take it again with the camera in this chat.")


class HeicPicture(PictureError):
    code = "picture_heic"
    message = N_(
        "This picture is in the HEIC format, which I cannot read. Use the camera in this chat, or send it as JPEG."
    )


class PictureTooLarge(PictureError):
    code = "picture_too_large"
    message = N_("This picture is larger than {limit} MiB. Use the camera in this chat: its pictures are smaller.")


class TooManyPixels(PictureError):
    code = "picture_pixels"
    message = N_(
        "This picture has more than {limit} million pixels. Use the camera in this chat: its pictures are smaller."
    )


class PictureDamaged(PictureError):
    code = "picture_damaged"
    message = N_("This picture is damaged or did not arrive whole. Please send it again.")


class PictureTookTooLong(PictureError):
    code = "picture_too_long"
    message = N_("This picture takes too long to read. Take it again, a little closer and with more light.")


class PictureNotFetched(PictureError):
    code = "picture_not_fetched"
    message = N_("The picture did not reach me. Please send it again, or type what stands on the label.")


class PictureElsewhere(PictureError):
    code = "picture_elsewhere"
    message = N_("This picture is not kept where Teams keeps pictures. Send it with the camera in this chat.")


ERRORS: Final[Mapping[str, type[PictureError]]] = {
    kind.code: kind
    for kind in (
        PictureError,
        NotAPicture,
        EmptyPicture,
        HeicPicture,
        PictureTooLarge,
        TooManyPixels,
        PictureDamaged,
        PictureTookTooLong,
    )
}


def check(content: bytes) -> None:
    """What its first bytes and its size tell. Errors: the `PictureError` tree."""
    if not content:
        raise EmptyPicture
    if len(content) > BYTES:
        raise PictureTooLarge(limit=BYTES // 1024 // 1024)
    if content[4:8] == b"ftyp" and content[8:12].lower() in _HEIF_BRANDS:
        raise HeicPicture
