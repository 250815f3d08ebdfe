"""The requests that the load test sends: good ones are good, bad ones are bad, by the contract itself."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.problem import error_items
from app.contract.feedback import Feedback, parse_feedback
from app.contract.inference import InferenceReader
from app.contract.problems import Problem, Rejected
from app.contract.schema import FeatureSchema, Row
from app.errors import ContractViolationError
from benchmarks.loadtest import exchanges

SCHEMA = FeatureSchema()

rows = st.tuples(*(st.floats(feature.low, feature.high) for feature in SCHEMA.features))


@given(row=rows)
def test_a_good_reading_arrives_as_it_is(row: Row) -> None:
    """To the last bit."""
    assert SCHEMA.parse_row(exchanges.predict(row).body or b"") == row


@given(many=st.lists(rows, min_size=1, max_size=5))
def test_many_readings_arrive_as_they_are(many: list[Row]) -> None:
    """As a batch and as a tensor."""
    batch = SCHEMA.parse_batch(exchanges.predict_batch(many).body or b"")
    tensor = InferenceReader(SCHEMA, max_rows=5).read(exchanges.infer(many, "anomaly").body or b"")
    assert not batch.rejected
    assert list(map(tuple, batch.rows.tolist())) == list(map(tuple, tensor.rows.tolist())) == many


@given(row=rows, rng=st.randoms(use_true_random=False))
def test_a_bad_reading_is_refused(row: Row, rng: random.Random) -> None:
    """And for just what the check of the reply will look for."""
    exchange = exchanges.predict_bad(row, rng)
    with pytest.raises(ContractViolationError) as error:
        SCHEMA.parse_row(exchange.body or b"")
    problems = error.value.rejected.problems
    assert exchange.check(422, _refusal(problems)) is None
    assert exchange.check(422, _refusal(problems[1:])) is not None


def test_every_mistake_is_made() -> None:
    """Each code that the contract has for a value or a name comes up."""
    rng, codes = random.Random(0), set()  # noqa: S311
    for _ in range(100):
        verdict = SCHEMA.check(exchanges.spoiled(SCHEMA.example(), rng))
        assert isinstance(verdict, Rejected)
        codes |= {problem.code for problem in verdict.problems}
    assert codes == {"missing", "unexpected", "not_numeric", "nan", "out_of_range"}


def test_feedback_names_its_prediction() -> None:
    """And says what was."""
    named = "20261123T062814Z-e00128.primary.0.26ce8f72eeda91b30f"
    (entry,), many = parse_feedback(exchanges.feedback(named, 1).body or b"")
    assert isinstance(entry, Feedback)
    assert (entry.prediction_id, entry.actual, many) == (named, 1, False)


def _refusal(problems: Sequence[Problem]) -> bytes:
    """The service's reply, as far as the check reads it."""
    members = {"success": False, "type": "", "title": "", "status": 422, "instance": "", "request_id": "a"}
    return msgspec.json.encode({**members, "error": "a", "detail": "a", "errors": error_items(problems, "")})
