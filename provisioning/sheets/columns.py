"""What the columns of a sheet mean: the words that people put above them, and what to do where they put none."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from provisioning.sheets.faults import NoMacColumn, TwoColumns


class Column(StrEnum):
    """The values are the headers of our own template."""

    MAC = "MAC id"
    LOCATION = "Location"
    SITE = "Site"
    BUILDING = "Building"
    FLOOR = "Floor"
    ROOM = "Room"
    TYPE = "Type"
    ACCOUNT = "Account"
    TECHNICIAN = "Technician"
    TAG = "Tag"
    ASSET_TAG = "Asset tag"
    NOTES = "Notes"
    CODE = "Verification code"
    REASON = "Reason"  # of our own error file: passed over without a word


LEVELS = (Column.SITE, Column.BUILDING, Column.FLOOR, Column.ROOM)  # of a location that stands in several columns

# Compared by `key`: case, accents, spaces and punctuation do not count.
SYNONYMS: Mapping[Column, tuple[str, ...]] = MappingProxyType(
    {
        Column.MAC: (
            *("MAC id", "MAC", "MAC ids", "MACs", "MAC address", "MAC addresses", "MAC addr", "MAC no", "MAC number"),
            *("Device MAC", "Device MAC address", "Device MAC id", "Phone MAC", "Phone MAC address", "LAN MAC"),
            *("LAN MAC address", "Ethernet MAC", "Ethernet MAC address", "Wired MAC", "Wired MAC address"),
            *("Hardware address", "Physical address", "Ethernet address", "MAC (LAN)", "Network MAC"),
            *("MAC-Adresse", "MAC-Adressen", "Geräte-MAC", "Hardware-Adresse", "Hardwareadresse"),
            *("Adresse MAC", "Adresses MAC", "Adresse physique", "Identifiant MAC", "ID MAC"),
            *("Dirección MAC", "Direcciones MAC", "Dirección física", "MAC del dispositivo"),
        ),
        Column.LOCATION: (
            *("Location", "Locations", "Device location", "Place", "Position", "Site/Floor/Room", "Install location"),
            *("Installation location", "Where", "Physical location", "Location path", "Location name"),
            *("Standort", "Ort", "Aufstellort", "Aufstellungsort", "Gerätestandort", "Einbauort"),
            *("Emplacement", "Lieu", "Localisation", "Emplacement de l'appareil"),
            *("Ubicación", "Lugar", "Localización", "Ubicación del dispositivo"),
        ),
        Column.SITE: (
            *("Site", "Site name", "Office", "City", "Campus", "Branch", "Niederlassung", "Stadt", "Liegenschaft"),
            *("Ville", "Agence", "Ciudad", "Sede", "Oficina"),
        ),
        Column.BUILDING: ("Building", "Building name", "Bldg", "Gebäude", "Haus", "Bâtiment", "Edificio"),
        Column.FLOOR: (
            *("Floor", "Floor number", "Level", "Storey", "Story", "Etage", "Stock", "Stockwerk", "Geschoss", "Ebene"),
            *("Étage", "Niveau", "Planta", "Piso", "Nivel"),
        ),
        Column.ROOM: (
            *("Room", "Room name", "Room number", "Room no", "Desk", "Raum", "Zimmer", "Raumnummer", "Raum-Nr."),
            *("Arbeitsplatz", "Salle", "Pièce", "Bureau", "Sala", "Habitación", "Despacho"),
        ),
        Column.TYPE: (
            *("Type", "Device type", "Kind", "Category", "Device category", "Typ", "Gerätetyp", "Geräteart", "Art"),
            *("Type d'appareil", "Tipo", "Tipo de dispositivo"),
        ),
        Column.ACCOUNT: (
            *("Account", "UPN", "User principal name", "User", "Username", "User name", "E-mail", "Email", "Mail"),
            *("Sign-in account", "Sign-in name", "Resource account", "Room account", "Konto", "Benutzer"),
            *("Benutzername", "Anmeldename", "Compte", "Utilisateur", "Cuenta", "Usuario", "Correo"),
        ),
        Column.TECHNICIAN: (
            *("Technician", "Installer", "Installed by", "Engineer", "Field technician", "Assigned to", "Assignee"),
            *("Techniker", "Monteur", "Installateur", "Technicien", "Técnico", "Instalador"),
        ),
        Column.TAG: ("Tag", "Tags", "Label", "Labels", "Group", "Schlagwort", "Étiquette", "Etiqueta", "Etiquetas"),
        Column.ASSET_TAG: (
            *("Asset tag", "Asset", "Asset no", "Asset number", "Asset id", "Inventory number", "Inventory no"),
            *("Inventarnummer", "Inventar-Nr.", "Anlagennummer", "Numéro d'inventaire", "Número de inventario"),
        ),
        Column.NOTES: (
            *("Notes", "Note", "Remark", "Remarks", "Comment", "Comments", "Notiz", "Notizen", "Bemerkung"),
            *("Bemerkungen", "Kommentar", "Remarque", "Remarques", "Commentaire", "Nota", "Notas", "Comentario"),
        ),
        Column.CODE: (
            *("Verification code", "Verification codes", "Activation code", "Provisioning code", "Code"),
            *("One-time code", "Pass code", "Passcode", "PIN", "Prüfcode", "Überprüfungscode", "Aktivierungscode"),
            *("Bestätigungscode", "Verifizierungscode", "Code de vérification", "Code d'activation"),
            *("Código de verificación", "Código de activación", "Código"),
        ),
        Column.REASON: ("Reason", "Grund", "Raison", "Motivo"),
    }
)


@cache
def key(text: str) -> str:
    """What two headers are compared by: letters and digits alone, without case and accents."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in folded if c.isalnum())


KNOWN: Mapping[str, Column] = MappingProxyType(
    {key(word): column for column, words in SYNONYMS.items() for word in words}
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column stands where; what of the header is passed over."""

    header: tuple[str, ...]
    at: Mapping[Column, int]
    unknown: tuple[str, ...] = ()

    @property
    def levels(self) -> tuple[int, ...]:
        """The columns whose cells make up the location, the site first."""
        if Column.LOCATION in self.at:
            return (self.at[Column.LOCATION],)
        return tuple(self.at[level] for level in LEVELS if level in self.at)


def recognised(cells: Sequence[str]) -> dict[Column, int]:
    """The columns that these headers name. Errors: `TwoColumns`."""
    at: dict[Column, int] = {}
    for index, cell in enumerate(cells):
        column = KNOWN.get(key(cell)) if len(cell) <= 60 else None
        if column in at:
            raise TwoColumns(first=cells[at[column]].strip(), second=cell.strip(), column=column.value)
        if column:
            at[column] = index
    return at


def layout_of(cells: Sequence[str], mac: int | None = None) -> Layout | None:
    """The layout under this header; None where it names no MAC column, unless the rows below showed which it is."""
    at = recognised(cells) if mac is not None or any(KNOWN.get(key(c[:60])) is Column.MAC for c in cells) else {}
    if mac is not None and at:
        at = {column: index for column, index in at.items() if index != mac} | {Column.MAC: mac}
    if Column.MAC not in at:
        return None
    passed = set(at.values())
    if Column.LOCATION in at:
        passed -= {at[level] for level in LEVELS if level in at}
        at = {column: index for column, index in at.items() if column not in LEVELS}
    unknown = tuple(cell.strip() for index, cell in enumerate(cells) if cell.strip() and index not in passed)
    return Layout(tuple(cells), MappingProxyType(at), unknown)


def layout_without_header(rows: Sequence[Sequence[str]], mac: int) -> Layout:
    """MACs in this column; the next column with text is the location. Errors: `NoMacColumn`."""
    width = max(map(len, rows), default=0)
    if mac >= width:
        raise NoMacColumn
    others = [index for index in (*range(mac + 1, width), *range(mac)) if any(_text(row, index) for row in rows)]
    at = dict(zip((Column.MAC, Column.LOCATION), (mac, *others), strict=False))
    return Layout((), MappingProxyType(at))


def _text(row: Sequence[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""
