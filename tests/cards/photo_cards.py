"""The cards of pictures in each of their states; every text of a user's, or of a barcode, is `user`."""

from __future__ import annotations

from cards.view import View
from cards.views import photos
from cards.views.common import question
from provisioning.documents.labels import Barcode
from provisioning.documents.pictures import HeicPicture
from provisioning.errors import Choice
from provisioning.model import Device
from provisioning.service.photographing import PhotoNotKept


def photo_cards(device: Device, installed: Device, user: str = "left of the door") -> dict[str, View]:
    """Named views."""
    codes = [Barcode(user or "x", "Code 128"), Barcode("4006381333931", "EAN-13")] * 4
    choices = (Choice("805EC0112233", "2.14, ends 22:33"), Choice("805EC0112234", "2.16, ends 22:34"))
    return {
        "photo-reading": photos.reading(),
        "photo-kept": photos.kept(device),
        "photo-send": photos.send_now(device),
        "photo-send-again": photos.send_now(installed),
        "photo-missing": photos.none_came(device),
        "photo-not-kept": photos.not_kept(HeicPicture().sentence, device.mac),
        "photo-over": photos.over(PhotoNotKept(place=device.place).sentence),
        "label-nothing": photos.nothing_read(on_site=True),
        "label-no-mac": photos.no_mac(codes),
        "label-unlisted": photos.unlisted("805EC0447710", admin=False),
        "label-unlisted-admin": photos.unlisted("805EC0447710", admin=True),
        "label-which": question(photos.which(2, 5), "code", "device", choices, {}),
    }
