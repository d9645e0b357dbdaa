"""Every fault has a sentence, every sentence a fault, in every place that makes one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import provisioning
from provisioning import errors
from provisioning.errors import InvalidMac, MacWrongLength, MovedOn, ProvisioningError
from provisioning.mac import normalise
from provisioning.sheets import faults
from provisioning.sheets.faults import REMARKS, ROWS, SheetError, fault_of, say, say_row, sentences, sheet_error
from provisioning.uploads import RowFault

HOUSE = Path(provisioning.__file__).parent


def _calls() -> Iterator[tuple[str, str]]:
    """What is called with a text first, and that text, everywhere in the business."""
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                yield ast.unparse(node.func).rpartition("says.")[2], str(node.args[0].value)


def test_every_fault_that_is_made_has_a_sentence() -> None:
    made = {text for name, text in _calls() if name in ("refused", "RowFault", "RowFault.of")}
    assert made <= set(sentences())
    assert {"mac_missing", "same_mac", "notes_below"} <= made  # they are really found


def test_every_sentence_is_said_by_something() -> None:
    others = "".join(p.read_text(encoding="utf-8") for p in HOUSE.rglob("*.py") if p != Path(faults.__file__))
    from_errors = {"mac", "mac_length", "mac_kind", "mac_number", "location"}
    assert [code for code in {*ROWS, *REMARKS} - from_errors if f'"{code}"' not in others] == []


def _errors(root: type[ProvisioningError]) -> set[type[ProvisioningError]]:
    return {root}.union(*(_errors(kind) for kind in root.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(_errors(SheetError), key=lambda kind: kind.code), ids=lambda kind: kind.code)
def test_every_error_of_a_sheet_can_be_kept_and_said_later(kind: type[SheetError]) -> None:
    values = dict.fromkeys(re.findall(r"\{(\w+)\}", kind.message), "7")
    error = kind(**values)
    assert say(fault_of(error)) == error.sentence
    assert sheet_error(kind.code) is kind
    assert error.sentence.endswith((".", "?"))
    assert "{" not in error.sentence


def test_no_two_errors_of_a_sheet_share_a_code() -> None:
    kinds = _errors(SheetError)
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_error_of_any_kind_is_said_as_itself() -> None:
    error = MovedOn(titles="Oslo/2/2.14")
    assert say(fault_of(error)) == error.sentence
    assert {kind.code for kind in _errors(ProvisioningError)} <= set(sentences())
    assert errors.ProvisioningError.code in sentences()


def test_a_mac_is_told_shorter_in_a_list_of_rows() -> None:
    with pytest.raises(MacWrongLength) as refused:
        normalise("805EC01122")
    fault = fault_of(refused.value)
    assert fault == RowFault("mac_length", (("text", "805EC01122"), ("digits", "10")))
    assert say_row(17, fault) == 'Row 17 "805EC01122": 10 digits, a MAC has 12.'
    assert issubclass(MacWrongLength, InvalidMac)


def test_a_sentence_without_a_quotation_stands_behind_a_colon() -> None:
    fault = RowFault.of("same_mac", {"row": 12, "there": "Oslo/2F", "here": "Oslo/3F"})
    assert say_row(141, fault) == "Row 141: same MAC as row 12 (Oslo/2F), here Oslo/3F."


def test_braces_in_a_cell_are_text() -> None:
    assert say(RowFault.of("mac", {"text": "{0}{text!r}"})).startswith('"{0}{text!r}"')
