"""A record with some other values is what `dataclasses.replace` makes of it."""

from dataclasses import FrozenInstanceError, replace

import pytest

from provisioning.making import changed
from provisioning.model import Device, Record, stored
from tests.storage.samples import NOW, device, of_imports, of_installs, of_remote, of_rollouts, one_of_each

RECORDS = (*one_of_each(), *of_imports(), *of_installs(), *of_remote(), *of_rollouts())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_that_was_stored_is_the_same_with_the_next_version(record: Record) -> None:
    made = stored(record)
    assert made == replace(record, version=record.version + 1)
    assert type(made) is type(record)
    assert record.version == made.version - 1
    with pytest.raises(FrozenInstanceError):
        made.version = 0  # type: ignore[misc]


def test_only_what_is_named_is_changed() -> None:
    before = device(1, notes="by the door")
    assert changed(before, location="Oslo/3", removed_at=NOW) == replace(before, location="Oslo/3", removed_at=NOW)
    assert changed(before) == before


def test_a_field_that_there_is_not_is_no_field() -> None:
    with pytest.raises(KeyError):
        changed(Device(mac="805EC0112233", location="Oslo", added_at=NOW, added_by="dana"), place="Oslo/3")
