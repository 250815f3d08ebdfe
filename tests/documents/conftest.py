"""A reader for each document: a checkout, a service over its models with some traffic behind it, and a shell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.schema import FeatureSchema
from tests.browser.breakable import register_breakable
from tests.commits import commit_all
from tests.documents.checkout import Checkout
from tests.documents.supplies import SUPPLIES, batch
from tests.e2e.conftest import Service

KEY = "a key for the tests"
KEYED = {"X-API-Key": KEY}


class Reader:
    """Reads one document from its beginning, and types what it says."""

    def __init__(self, document: str, checkout: Checkout) -> None:
        self.document = document
        self.checkout = checkout
        self._sections: set[str] = set()

    def enter(self, section: str) -> None:
        """Brings what the section takes for granted, once."""
        supply = SUPPLIES.get((self.document, section))
        if supply is not None and section not in self._sections:
            supply(self.checkout)
        self._sections.add(section)


@pytest.fixture(scope="module")
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The reader of the document that is the parameter."""
    folder = tmp_path_factory.mktemp("reader")
    checkout = Checkout(folder / "checkout")
    models = checkout.folder / "models"
    if request.param == "docs/runbook.md":  # a version to roll back to
        models = folder / "models"
        register_breakable(models)
        checkout.env |= {"MODELS_DIR": str(models)}
    settings = {"AUDIT_DIR": str(checkout.folder / "audit")}
    if request.param == "docs/operations.md":
        register_breakable(models)
        settings["API_KEYS_FILE"] = str(key_file(checkout))
    with Service(folder / "service", models, **settings) as service:
        checkout.url = service.url
        if request.param.startswith("docs/"):
            checkout.env |= {"URL": service.url}
        some_traffic(service)
        commit_all(checkout.folder)
        yield Reader(request.param, checkout)


def key_file(checkout: Checkout) -> Path:
    """A file of one key, which the reader has."""
    path = checkout.folder / "keys.txt"
    path.write_text(f"{hashlib.sha256(KEY.encode()).hexdigest()} pipeline-old\n")
    checkout.env |= {"KEY": KEY}
    return path


def some_traffic(service: Service) -> None:
    """A little of all sorts: answers, refusals, feedback, and more rows than the gate asks for."""
    reading = FeatureSchema().example()
    for number in range(50):
        reply = service.post("/predict", reading if number % 5 else {**reading, "lag_1": -1}, KEYED)
        if reply.status == 200:
            service.post("/feedback", {"prediction_id": reply.json["prediction_id"], "actual": 0}, KEYED)
    assert service.post("/predict/batch", batch(1_200), KEYED).json["rejected"] == 0
