"""The device API keeps what its document says, whatever it is sent: status, type, headers and body."""

from collections.abc import Iterator
from copy import deepcopy
from random import randrange
from typing import Any

import pytest

from tests.contract.playing import Played, document, play
from tests.contract.service import Served, served
from tests.profiles import PROFILE, examples

# By night requests get as large as they come; what is printed of them is cut by whoever prints.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

CALLS = {
    "POST /api/v1/provision": {200, 400, 405, 415, 422},
    "GET /api/v1/device": {200, 400, 401, 405},
    "POST /api/v1/device/commands/{id}": {204, 400, 401, 404, 405, 415},
    "POST /api/v1/device/factory-reset": {204, 401, 405},
    "GET /api/v1/events": {200, 400, 401, 405},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("contract")) as running:
        yield running


@pytest.fixture(scope="module")
def played(service: Served) -> Played:
    seed = randrange(2**32) if PROFILE == "nightly" else 8
    print(f"seed {seed}")  # which pytest shows beside what it finds
    return play(service, document(service), seed=seed, examples=examples(40))


@pytest.mark.hypothesis
def test_whatever_is_sent_the_answer_is_one_that_the_document_describes(played: Played) -> None:
    assert played.findings == {}


@pytest.mark.hypothesis
@pytest.mark.parametrize("call", CALLS)
def test_every_call_was_answered_well_and_refused_in_many_ways(call: str, played: Played) -> None:
    assert CALLS[call] <= {status for label, status in played.answers if label == call}


def without_a_status(described: dict[str, Any]) -> None:
    del described["paths"]["/api/v1/device"]["get"]["responses"]["401"]


def with_a_field_that_never_comes(described: dict[str, Any]) -> None:
    described["components"]["schemas"]["DeviceStatus"]["required"].append("colour")


def with_a_header_that_never_comes(described: dict[str, Any]) -> None:
    described["components"]["headers"]["Cache-Control"]["required"] = True
    described["components"]["headers"]["Cache-Control"]["schema"] = {"const": "public"}


def with_another_type(described: dict[str, Any]) -> None:
    answer = described["paths"]["/api/v1/device"]["get"]["responses"]["200"]
    answer["content"] = {"text/plain": answer["content"]["application/json"]}


def with_a_narrower_field(described: dict[str, Any]) -> None:
    described["components"]["schemas"]["ProvisionRequest"]["properties"]["model"]["maxLength"] = 3


@pytest.mark.parametrize(
    "crooked",
    [
        without_a_status,
        with_a_field_that_never_comes,
        with_a_header_that_never_comes,
        with_another_type,
        with_a_narrower_field,
    ],
    ids=lambda crooked: crooked.__name__,
)
def test_a_document_that_is_wrong_is_found_out(crooked: Any, service: Served) -> None:
    described = deepcopy(document(service))
    crooked(described)
    keep = "/api/v1/provision" if crooked is with_a_narrower_field else "/api/v1/device"
    described["paths"] = {path: calls for path, calls in described["paths"].items() if path == keep}
    assert play(service, described, seed=8, examples=20).findings
