"""Peers are compared on equal terms, and only while they give the model's own answers."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from benchmarks.peer_models import Case
from benchmarks.peer_servers import OWN, SERVERS, ServerError
from benchmarks.peer_sites import PEERS, Site

ROOT = PEERS.parents[1]
SCORES = np.array([0.25, 0.5, 0.75])


class ScoreServer(BaseHTTPRequestHandler):
    """Answers in FastAPI's format with what `reply` holds, one after the other."""

    replies: list[object]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(self.replies.pop(0)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ScoreServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def site(schema: FeatureSchema, tmp_path: Path) -> Site:
    case = Case("trees", tmp_path, tmp_path, tmp_path, tmp_path, schema.sample(len(SCORES)), SCORES)
    return Site("fastapi", case, tmp_path)


def test_answers_as_the_model_gives_them_pass(site: Site, port: int) -> None:
    """Up to what a decimal point loses on the way."""
    ScoreServer.replies = [{"score": 0.25}, {"score": 0.5 + 9e-10}, {"score": 0.75}]
    site.check_answers(port)
    assert ScoreServer.replies == []


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param({"score": 0.5 + 2e-9}, r"scores 0\.500000002 where the model says 0\.5", id="slightly off"),
        pytest.param({"score": float("nan")}, "scores nan", id="no number"),
        pytest.param({"detail": "wrong"}, 'gives no score: b\'{"detail"', id="no score"),
        pytest.param([0.5], "gives no score", id="another shape"),
    ],
)
def test_any_other_answer_is_an_error(site: Site, port: int, reply: object, message: str) -> None:
    """A quick wrong answer must not win."""
    ScoreServer.replies = [{"score": 0.25}, reply]
    with pytest.raises(ServerError, match=message):
        site.check_answers(port)


def test_a_peer_without_its_environment_is_named_as_such(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make` could not install it; the others are measured all the same."""
    monkeypatch.setattr("benchmarks.peer_sites.PEERS", site.folder / "elsewhere")
    with pytest.raises(ServerError, match="is not installed"):
        site.lay_out()


def test_the_peers_check_the_contract_of_the_service(schema: FeatureSchema) -> None:
    """The pydantic model they share has the same names, order and ranges."""
    spec = importlib.util.spec_from_file_location("reading", PEERS / "common" / "reading.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    properties = module.Reading.model_json_schema()["properties"]
    spans = [(name, entry["minimum"], entry["maximum"]) for name, entry in properties.items()]
    assert spans == [(feature.name, feature.low, feature.high) for feature in schema.features]
    values = schema.example()
    backwards = module.Reading.model_validate(dict(reversed(values.items())))
    assert backwards.matrix().tolist() == [list(values.values())]


@pytest.mark.parametrize("name", [name for name in SERVERS if name != OWN])
def test_every_peer_loads_models_under_the_versions_of_the_service(name: str) -> None:
    """Another scikit-learn or numpy would be another race."""
    assert _pins(PEERS / name / "requirements.txt") == _pins(ROOT / "requirements.txt")


def _pins(path: Path) -> dict[str, str]:
    found = dict(re.findall(r"^(scikit-learn|numpy|scipy|joblib)==([\w.]+)", path.read_text(), re.MULTILINE))
    assert len(found) == 4
    return found
