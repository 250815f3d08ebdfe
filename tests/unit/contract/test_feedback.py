"""Feedback as clients write it."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.feedback import Feedback, parse_feedback
from app.contract.problems import Rejected
from app.errors import ContractViolationError, MalformedBodyError, TooManyRowsError

GOOD_ID = "20261123T062814Z-e00128.primary.1.26ce8f72eeda91b30f"


def test_one_entry_says_what_was_predicted_and_what_was() -> None:
    """Everything else stands in the id."""
    body = json.dumps({"prediction_id": GOOD_ID, "actual": 0}).encode()
    assert parse_feedback(body) == ([Feedback(GOOD_ID, "20261123T062814Z-e00128", "primary", 1, 0)], False)


@pytest.mark.parametrize(
    ("prediction_id", "version", "stage"),
    [
        pytest.param("-.baseline.0.26ce8f72eeda91b30f", "-", "baseline", id="the rule without a model"),
        pytest.param("v1.2-rc.fallback.0.26ce8f72eeda91b30f-17", "v1.2-rc", "fallback", id="a row of a batch"),
    ],
)
def test_every_id_that_the_service_gives_is_read(prediction_id: str, version: str, stage: str) -> None:
    """Versions may have points and dashes."""
    (entry,), _ = parse_feedback(json.dumps({"prediction_id": prediction_id, "actual": 1}).encode())
    assert entry == Feedback(prediction_id, version, stage, 0, 1)


@pytest.mark.parametrize(
    "prediction_id",
    ["", "abc", GOOD_ID + "x", GOOD_ID.upper(), GOOD_ID.replace(".1.", ".2."), GOOD_ID.replace("primary", "none"),
     "../etc.primary.1.26ce8f72eeda91b30f", GOOD_ID + "\n", GOOD_ID + "-", 7, None, [GOOD_ID]],
)  # fmt: skip
def test_an_id_of_another_form_is_malformed(prediction_id: Any) -> None:
    """It is told what an id looks like."""
    (entry,), _ = parse_feedback(json.dumps({"prediction_id": prediction_id, "actual": 1}).encode())
    assert isinstance(entry, Rejected)
    assert [problem.code for problem in entry.problems] == ["malformed_id"]


@pytest.mark.parametrize("actual", [2, -1, 0.5, 1.0, True, False, None, "1", [1]])
def test_what_really_was_is_0_or_1(actual: Any) -> None:
    """Nothing that has to be guessed."""
    (entry,), _ = parse_feedback(json.dumps({"prediction_id": GOOD_ID, "actual": actual}).encode())
    assert isinstance(entry, Rejected)
    assert [problem.code for problem in entry.problems] == ["not_binary"]


def test_all_problems_of_an_entry_come_at_once() -> None:
    """As everywhere."""
    (entry,), _ = parse_feedback(b'{"prediction_id": "x", "actual": 7}')
    assert isinstance(entry, Rejected)
    assert len(entry.problems) == 2


def test_a_list_is_answered_entry_by_entry() -> None:
    """A bad one does not sink the others."""
    good = {"prediction_id": GOOD_ID, "actual": 1}
    entries, many = parse_feedback(json.dumps({"feedback": [good, {}, "x", {**good, "more": 1}, good]}).encode())
    assert many
    assert [isinstance(entry, Feedback) for entry in entries] == [True, False, False, False, True]


@pytest.mark.parametrize("body", [b"[]", b"7", b'{"feedback": 7}', b'{"feedback": {}}'])
def test_a_wrong_envelope_is_a_violation(body: bytes) -> None:
    """There is no entry to answer."""
    with pytest.raises(ContractViolationError):
        parse_feedback(body)


def test_the_entries_are_counted_before_they_are_looked_at() -> None:
    """Millions of bad ones fit into a body."""
    entries, _ = parse_feedback(b'{"feedback": [1, 2, 3]}', max_entries=3)
    assert len(entries) == 3
    with pytest.raises(TooManyRowsError):
        parse_feedback(b'{"feedback": [1, 2, 3]}', max_entries=2)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_feedback_raise_nothing_else(body: bytes) -> None:
    """Whatever a client sends."""
    with contextlib.suppress(MalformedBodyError, ContractViolationError):
        parse_feedback(body)
