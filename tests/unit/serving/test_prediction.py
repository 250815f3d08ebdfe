"""The values that a prediction is made of."""

from __future__ import annotations

import os

import numpy as np
import pytest

from app.contract.problems import Rejected
from app.contract.schema import Readings
from app.serving.chain import Answer
from app.serving.prediction import PredictedBatch, predict_many, predict_one, random_hex
from tests.fakes import ConstantScorer
from tests.unit.serving.test_stage import ROW, make_stage


@pytest.mark.parametrize(
    ("score", "is_anomaly"),
    [
        pytest.param(0.49999, False, id="below the threshold"),
        pytest.param(0.5, True, id="at the threshold"),
        pytest.param(0.9, True, id="above"),
    ],
)
def test_the_decision_is_the_stages_threshold(score: float, is_anomaly: bool) -> None:
    """From the threshold on, a reading is an anomaly."""
    stage = make_stage(ConstantScorer())
    prediction = predict_one(ROW, Answer(score, stage, ()), "v1", 1.5)
    assert (prediction.score, prediction.is_anomaly, prediction.row) == (score, is_anomaly, ROW)
    batch = predict_many(Readings(np.array([ROW])), Answer(np.array([score]), stage, ()), "v1", 1.5)
    assert (batch.scores, batch.decisions) == ([score], [is_anomaly])


def test_the_id_says_version_stage_and_decision() -> None:
    """Any replica can score feedback on it without a look-up."""
    stage = make_stage(ConstantScorer())
    assert predict_one(ROW, Answer(0.9, stage, ()), "v1", 1.5).prediction_id.rpartition(".")[0] == "v1.primary.1"
    assert predict_one(ROW, Answer(0.1, stage, ()), "v1", 1.5).prediction_id.rpartition(".")[0] == "v1.primary.0"


def test_without_a_version_the_id_has_a_dash_in_its_place() -> None:
    """The rule alone has no version."""
    answer = Answer(0.0, make_stage(ConstantScorer()), ())
    assert predict_one(ROW, answer, None, 1.5).prediction_id.startswith("-.primary.0.")


def test_ids_of_a_batch_name_the_batch_and_the_place_of_the_row() -> None:
    """One record of the batch is enough to find each row again; rejected rows leave a gap."""
    readings = Readings(np.array([ROW, ROW]), {1: Rejected(())})
    answer = Answer(np.array([0.9, 0.1]), make_stage(ConstantScorer()), ())
    batch = predict_many(readings, answer, "v1", 1.5)
    assert batch.prediction_ids() == [f"v1.primary.1.{batch.batch_id}-0", f"v1.primary.0.{batch.batch_id}-2"]


def test_a_batch_without_a_good_row_is_answered_by_no_stage() -> None:
    """There was nothing to ask."""
    batch: PredictedBatch = predict_many(Readings(np.empty((0, 12)), {0: Rejected(())}), None, "v1", 1.5)
    assert (batch.scores, batch.model_used, batch.prediction_ids()) == ([], "none", [])


def test_ids_differ_even_between_forked_children() -> None:
    """Two workers of one master must never give the same id."""
    reading, writing = os.pipe()
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os.write(writing, f"{random_hex(72)}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        names = lines.read().split()
    assert len(set(names)) == 2
    assert {len(name) for name in names} == {18}
