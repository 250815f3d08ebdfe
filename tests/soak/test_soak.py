"""What a long soak would find."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from tests.chaos.judge import Judge
from tests.conftest import fitted_logistic
from tests.e2e.conftest import Answer, Service
from tests.measured import put_between
from tests.soak.client import Client, ShedError, Tally, WrongAnswerError, expect_served
from tests.soak.growth import creep, growth
from tests.soak.kinds import MIX
from tests.soak.samples import DESCRIPTORS, FILES, MEMORY, PRIVATE, PROPORTIONAL, THREADS, Figure, Sample
from tests.soak.soak import logged_errors, shed_too_often

HELD: Mapping[Figure, float] = {
    ("worker 1", MEMORY): 140.0, ("worker 1", PRIVATE): 60.0, ("worker 1", DESCRIPTORS): 23,
    ("worker 1", THREADS): 3, ("AUDIT_DIR", FILES): 4, ("RUNTIME_DIR", FILES): 8,
}  # fmt: skip
ASKED = ("a reading", "a reading in gzip", "a batch of 1 to 64 readings", "a batch of 500 to 2,000 readings",
         "Open Inference Protocol, JSON", "Open Inference Protocol, binary")  # fmt: skip


# --- growth -------------------------------------------------------------------------------------------------


def held(**more: float) -> Sample:
    """What is usual, and so much more memory, descriptors, threads, audit or runtime files."""
    names = dict(zip(("memory", "private", "descriptors", "threads", "audit", "runtime"), HELD, strict=True))
    return Sample(0.0, {**HELD, **{names[name]: HELD[names[name]] + count for name, count in more.items()}})


def test_what_stays_as_it_was_has_not_grown() -> None:
    """Nor has what became less."""
    assert growth(held(), held()) == []
    assert growth(held(memory=50, threads=2), held()) == []


def test_noise_is_no_growth() -> None:
    """An allocator's whims, and audit files that are about to be removed."""
    assert growth(held(), held(memory=24, private=24, audit=8)) == []


def test_what_other_processes_change_is_not_judged() -> None:
    """A library's pages count for less the more of them load it."""
    start, end = (Sample(0.0, {("master", PROPORTIONAL): size}) for size in (50, 100))
    assert growth(start, end) == creep([start], [end]) == []


@pytest.mark.parametrize("what", ["memory", "private", "descriptors", "threads", "audit", "runtime"])
def test_growth_is_found(what: str) -> None:
    """Whatever it is that grows."""
    (found,) = growth(held(), held(**{what: 31}))
    assert "grew" in found


@pytest.mark.parametrize("what", ["descriptors", "threads", "runtime"])
def test_of_files_and_threads_one_is_too_many(what: str) -> None:
    """Nothing about them is noise when there is no traffic."""
    assert len(growth(held(), held(**{what: 1}))) == 1


def test_a_warm_up_is_no_leak() -> None:
    """It comes to an end, and then memory is given back now and then."""
    assert creep([held(memory=0), held(memory=20), held(memory=2)], [held(memory=21), held(memory=20)]) == []


@pytest.mark.parametrize("what", ["memory", "private"])
def test_memory_that_goes_on_growing_is_a_leak(what: str) -> None:
    """Though it is not much yet."""
    first, second = [held(), held(**{what: 6})], [held(**{what: 13}), held(**{what: 19})]
    assert growth(first[0], second[-1]) == []
    (found,) = creep(first, second)
    assert "still grew" in found


# --- replies ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told(Client):
    """A client whose requests are all answered the same way."""

    reply: Callable[[], Answer] = field(default=lambda: Answer(200, {}, b"{}"))

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        return self.reply()


@pytest.fixture
def judge(schema: FeatureSchema) -> Judge:
    """It knows one version."""
    judge = Judge(schema)
    judge.learn("1", {"primary": fitted_logistic(schema), "fallback": fitted_logistic(schema, 100)})
    return judge


def told(judge: Judge, status: int, document: Any) -> Told:
    answer = Answer(status, {}, json.dumps(document).encode())
    return Told(1, judge, [], Random(1), reply=lambda: answer)  # noqa: S311 - the same requests each time


@pytest.mark.parametrize("status", [500, 503, 404, 200])
@pytest.mark.parametrize("kind", [*ASKED, "feedback", "health, metrics, pages"])
def test_a_reply_with_another_status_is_wrong(judge: Judge, kind: str, status: int) -> None:
    """Each kind has one that is right."""
    client = told(judge, status, {})
    client.prediction_ids.append("1.primary.0.x")
    if kind == "health, metrics, pages" and status == 200:
        MIX[kind].send(client)
        return
    with pytest.raises((WrongAnswerError, KeyError)):
        MIX[kind].send(client)


@pytest.mark.parametrize(("stage", "score"), [("primary", 0.123), ("fallback", None), ("baseline", None)])
def test_a_wrong_score_and_a_lower_stage_are_wrong(judge: Judge, stage: str, score: float | None) -> None:
    """The primary is well here, so nobody else may answer, however rightly."""
    expected = judge.expected("1", stage, 0)
    assert expected is not None
    given = expected if score is None else score
    document = {"model_used": stage, "model_version": "1", "prediction": given, "is_anomaly": given >= 0.5,
                "success": True, "error": None, "prediction_id": f"1.{stage}.{int(given >= 0.5)}.x",
                "warning": "Primary model unavailable"}  # fmt: skip
    client = told(judge, 200, document)
    client.judge.bodies = client.judge.bodies[:1]
    with pytest.raises(WrongAnswerError):
        MIX["a reading"].send(client)


@pytest.mark.parametrize("off_by", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["Open Inference Protocol, JSON", "Open Inference Protocol, binary"])
def test_a_wrong_score_in_a_tensor_is_wrong(judge: Judge, kind: str, off_by: float) -> None:
    """A right one is right."""
    judge.bodies = judge.bodies[:1]
    rows, expected = Random(1).randint(1, 32), judge.expected("1", "primary", 0)  # noqa: S311 - what the client draws
    assert expected is not None
    outputs = [
        {"name": "prediction", "data": [expected] * (rows - 1) + [expected + off_by]},
        {"name": "model_used", "data": ["primary"] * rows},
    ]
    client = told(judge, 200, {"model_version": "1", "outputs": outputs})
    if off_by:
        with pytest.raises(WrongAnswerError):
            MIX[kind].send(client)
    else:
        MIX[kind].send(client)


def test_a_batch_that_lacks_rows_is_wrong(judge: Judge) -> None:
    """What is not there cannot be wrong otherwise."""
    with pytest.raises(WrongAnswerError, match="0 rows"):
        MIX["a batch of 500 to 2,000 readings"].send(told(judge, 200, {"count": 0, "rejected": 0, "predictions": []}))


def test_a_wrong_reply_is_counted_and_shown(judge: Judge) -> None:
    """Without an end to the traffic."""
    client = told(judge, 500, {"error": "broken"})
    for _ in range(30):
        client.one("a reading", MIX["a reading"])
    assert client.tally.wrong == client.tally.requests["a reading"] == 30
    assert len(client.tally.shown) == 20
    assert "broken" in client.tally.shown[0]


@pytest.mark.parametrize("lacks", ["", "type", "header"])
def test_a_request_that_is_shed_is_counted_apart(lacks: str) -> None:
    """Only in the way that an overload is told: any other 503 is wrong."""
    kind = "internal" if lacks == "type" else "overloaded"
    headers = {} if lacks == "header" else {"retry-after": "1"}
    answer = Answer(503, headers, json.dumps({"type": f"urn:problem-type:{kind}"}).encode())
    if lacks:
        expect_served(answer)
    else:
        with pytest.raises(ShedError):
            expect_served(answer)


def test_overload_is_an_incident_or_a_finding() -> None:
    """One request in a thousand may be shed."""
    assert shed_too_often(Tally(Counter({"a reading": 1000}), shed=1)) == []
    assert len(shed_too_often(Tally(Counter({"a reading": 1000}), shed=2))) == 1


# --- log and table ------------------------------------------------------------------------------------------


def test_an_error_in_the_log_is_found(tmp_path: Path) -> None:
    """So is a line that is no event; what the soak itself brings about is not."""
    service = Service(tmp_path, tmp_path)
    lines = [{"level": "info", "event": "x"}, {"level": "error", "event": "bundle.refused", "reason": "bad-1: cut off"}]
    (tmp_path / "stdout").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (tmp_path / "stderr").write_text("")
    assert logged_errors(service, expected="bad-1") == []
    assert len(logged_errors(service, expected="bad-2")) == 1
    (tmp_path / "stderr").write_text("Traceback (most recent call last):\n")
    assert logged_errors(service, expected="bad-1") == ["stderr: Traceback (most recent call last):"]


def test_figures_replace_those_between_the_markers(tmp_path: Path) -> None:
    """And nothing else; a document without a place for them is left as it is."""
    document = tmp_path / "page.md"
    document.write_text("before <!-- a -->\nold\n<!-- b --> after")
    put_between("<!-- a -->", "<!-- b -->", "new", document)
    assert document.read_text() == "before <!-- a -->\n\nnew\n\n<!-- b --> after"
    with pytest.raises(ValueError, match="not both there"):
        put_between("<!-- c -->", "<!-- b -->", "newer", document)
    assert "newer" not in document.read_text()
