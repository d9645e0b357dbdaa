"""What of a fact goes out of the house: every kind of fact is decided on here, and what goes out is CloudEvents 1.0."""

import json
import re
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as Parsed

from provisioning.cloudevents import PREFIX, PUBLISHED, cloud_event, published, source_of
from provisioning.events import DeviceAdded, DeviceMoved, DeviceProvisioned, Event, ImportFinished
from provisioning.model import Change
from storage.records import decode_event, encode_event
from tests.cards.samples import HOSTILE

AT = datetime(2026, 3, 2, 7, 30, 0, 250_000, tzinfo=UTC)
SOURCE = source_of("6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001")

# Facts that stay inside, and why. A new kind of fact has to be put here or into PUBLISHED, and be looked at.
STAYS_INSIDE = {
    "AccessAsked": "a person who waits for an answer is nobody else's business",
    "AccessRefused": "so too",
    "AuditExported": "who took facts away is for the audit",
    "CodeReceived": "holds only once its import is finished, and comes by the thousand",
    "CodeShown": "who looked at a code is for the audit",
    "CodesExported": "so too",
    "CodeStrayed": "names a device that may be somebody else's, and where it called from",
    "DeviceFreed": "`access.revoked` tells of all of them",
    "FactsRedacted": "is about the audit itself",
    "ImportCancelled": "nobody ever saw what it had prepared",
    "MessagesMuted": "what somebody wants to hear is nobody else's business",
    "MessagesUnmuted": "so too",
    "PersonForgotten": "would tell others of whom they are to know nothing any more",
    "NetworkAllowed": "an address that devices call from, or attackers",
    "NetworkDenied": "so too",
    "PhotoShown": "who looked at a picture is for the audit",
    "PhotoSkipped": "of no use to others",
    "ProvisionRefused": "strangers could fill the stream with it",
    "ProvisionRepeated": "of no use to others",
    "SheetMade": "who carries a sheet is for the audit",
    "SignInCodeShown": "who looked at a code is for the audit",
    "SignInTroubled": "how the identity provider does is not a fact about a device",
    "StartChosen": "of no use to others",
    "StoreRestored": "is told by a command while the service stands still; state went back, not on",
    "StrayAnswered": "names a device that may be somebody else's",
    "StrayAsked": "so too",
    "StrayDismissed": "so too",
    "StrayFollowed": "so too",
    "TechniciansReminded": "who was written to is for the audit",
    "TellingChosen": "what somebody wants to hear is nobody else's business",
    "WebhookReplayed": "would follow itself in a circle",
}
# Words that people or devices type, and what could help a stranger: never in a published field.
NEVER = {"source", "detail", "room", "note", "text", "batch", "digest", "sheet", "reader", "command_id", "account_id"}


def fact(kind: type[Event], text: str = "x") -> Event:
    """One of this kind, every field filled."""
    hints = get_type_hints(kind)
    samples: dict[Any, Any] = {str: text, int: 7, bool: True, datetime: AT, tuple[str, ...]: (text, "y")}
    given = {f.name: samples.get(hints[f.name], None if f.default is MISSING else f.default) for f in fields(kind)}
    return kind(**given | {"subject": "805EC0112233", "at": AT})


def test_every_kind_of_fact_is_decided_on() -> None:
    out = {kind.__name__ for kind in PUBLISHED}
    assert not out & STAYS_INSIDE.keys()
    assert Event.registry.keys() == out | STAYS_INSIDE.keys()


@pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.__name__)
def test_only_the_fields_of_the_table_go_out(kind: type[Event]) -> None:
    _type, names = PUBLISHED[kind]
    assert set(names) <= set(kind.__dataclass_fields__) - NEVER
    event = fact(kind)
    if isinstance(event, DeviceAdded):
        event = replace(event, batch="")
    made = cloud_event(event, SOURCE)
    assert made
    body = json.loads(made.json)
    assert set(body["data"]) == {"actor", *names}
    assert set(body) == {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"}


@pytest.mark.parametrize("name", STAYS_INSIDE)
def test_what_stays_inside_stays_inside(name: str) -> None:
    kind = Event.registry[name]
    assert cloud_event(fact(kind), SOURCE) is None and not published(fact(kind))


def test_the_table_is_one_name_a_kind_and_names_read_alike() -> None:
    types = [type_ for type_, _names in PUBLISHED.values()]
    assert len(set(types)) == len(types)
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", type_) for type_ in types)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_typed_breaks_no_event(text: str) -> None:
    text = text.encode(errors="ignore").decode()  # half a surrogate pair is in no store
    made = cloud_event(DeviceMoved(at=AT, actor="dana", subject="805EC0112233", before=text, after="Oslo"), SOURCE)
    assert made
    parsed = parse(made.json)
    assert parsed.get_data() == {"actor": "dana", "before": text, "after": "Oslo"}


def parse(text: str) -> BaseCloudEvent:
    """As the CloudEvents library reads it, which checks the attributes."""
    return JSONFormat().read(Parsed, text.encode())


def test_others_read_it_as_cloudevents() -> None:
    made = cloud_event(
        DeviceProvisioned(at=AT, actor="device", subject="805EC0112233", life=1, source="1.2.3.4"), SOURCE
    )
    assert made
    event = parse(made.json)
    assert (event.get_specversion(), event.get_type()) == ("1.0", "provisioning.device.provisioned")
    assert (event.get_source(), event.get_subject()) == (SOURCE, "805EC0112233")
    assert (event.get_id(), event.get_time()) == (made.id, AT)
    assert (event.get_datacontenttype(), event.get_data()) == ("application/json", {"actor": "device", "life": 1})
    assert "1.2.3.4" not in made.json


def test_an_import_is_one_event() -> None:
    added = DeviceAdded(at=AT, actor="dana", subject="805EC0112233", location="Oslo", batch="b1")
    assert cloud_event(added, SOURCE) is None
    assert cloud_event(replace(added, batch=""), SOURCE)
    done = cloud_event(ImportFinished(at=AT, actor="dana", subject="b1", added=20_000, changed=3), SOURCE)
    assert done and parse(done.json).get_data() == {"actor": "dana", "added": 20_000, "changed": 3}


@pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.__name__)
def test_a_fact_read_back_from_the_store_has_the_id_it_had(kind: type[Event]) -> None:
    event = fact(kind)
    if isinstance(event, DeviceAdded):
        event = replace(event, batch="")
    assert cloud_event(decode_event(json.loads(json.dumps(encode_event(event)))), SOURCE) == cloud_event(event, SOURCE)


def test_another_fact_has_another_id_and_so_has_another_tenants() -> None:
    event = DeviceProvisioned(at=AT, actor="device", subject="805EC0112233", life=1, source="1.2.3.4")
    ids = {
        made.id
        for each in (event, replace(event, life=2), replace(event, subject="805EC0112234"), replace(event, actor="x"))
        for made in [cloud_event(each, SOURCE), cloud_event(each, source_of("other tenant/ä"))]
        if made
    }
    assert len(ids) == 8
    assert re.fullmatch(r"/provisioning-bot/[\w%.-]+", source_of("other tenant/ä"))


def test_a_type_begins_with_whose_it_is() -> None:
    made = cloud_event(fact(DeviceMoved), SOURCE)
    assert made and made.type.startswith(PREFIX) and Change(events=(fact(DeviceMoved),))
