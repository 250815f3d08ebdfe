"""Feedback by prediction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.replay.labels import UNKNOWN, Labels

IDS = [f"v.primary.0.{number:018x}" for number in range(30)]


@given(st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 1))), st.lists(st.sampled_from(IDS)))
def test_they_are_what_a_dictionary_of_the_first_ones_is(given_: list[tuple[str, int]], wanted: list[str]) -> None:
    """Feedback is counted once, by the service and here."""
    labels = Labels()
    first: dict[str, int] = {}
    for prediction_id, actual in given_:
        labels.add(prediction_id, actual)
        first.setdefault(prediction_id, actual)
    assert labels.of(wanted).tolist() == [first.get(one, UNKNOWN) for one in wanted]


@pytest.mark.parametrize("known", [[], IDS[:1]])
def test_nothing_known_and_nothing_wanted_are_no_special_cases(known: list[str]) -> None:
    """Empty in, empty out."""
    labels = Labels()
    for one in known:
        labels.add(one, 1)
    assert labels.of([]).tolist() == []
    assert labels.of([IDS[-1]]).tolist() == [UNKNOWN]


def test_more_may_be_added_after_a_look() -> None:
    """The order of calls does not matter."""
    labels = Labels()
    labels.add(IDS[0], 1)
    assert labels.of(IDS[:2]).tolist() == [1, UNKNOWN]
    labels.add(IDS[1], 0)
    assert labels.of(IDS[:2]).tolist() == [1, 0]
