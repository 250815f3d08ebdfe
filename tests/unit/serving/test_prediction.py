"""The values that a prediction is made of."""

from __future__ import annotations

import os

import pytest

from app.serving.chain import Answer
from app.serving.prediction import predictions, random_hex
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
    answer = Answer([score], make_stage(ConstantScorer()), ())
    (prediction,) = predictions([ROW], answer, "v1", 1.5)
    assert (prediction.score, prediction.is_anomaly, prediction.row) == (score, is_anomaly, ROW)


def test_the_id_says_version_stage_and_decision() -> None:
    """Any replica can score feedback on it without a look-up."""
    answer = Answer([0.9, 0.1], make_stage(ConstantScorer()), ())
    first, second = predictions([ROW, ROW], answer, "v1", 1.5)
    assert first.prediction_id.rpartition(".")[0] == "v1.primary.1"
    assert second.prediction_id.rpartition(".")[0] == "v1.primary.0"


def test_without_a_version_the_id_has_a_dash_in_its_place() -> None:
    """The rule alone has no version."""
    answer = Answer([0.0], make_stage(ConstantScorer()), ())
    assert predictions([ROW], answer, None, 1.5)[0].prediction_id.startswith("-.primary.0.")


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
