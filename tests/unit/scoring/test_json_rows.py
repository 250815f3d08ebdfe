"""JSON lines to rows: what the service says of a body, this says of a line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.problems import Rejected
from app.contract.schema import FeatureSchema
from app.scoring.block import Block
from app.scoring.json_rows import JsonRows
from app.scoring.records import cut

SCHEMA = FeatureSchema()
GOOD = json.dumps(SCHEMA.example())


def block(*lines: str | bytes, keep: tuple[str, ...] = ()) -> Block:
    data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    return JsonRows(SCHEMA, keep).block(data, cut(data, quoted=False))


def changed(**values: Any) -> str:
    return json.dumps({**SCHEMA.example(), **values})


def message(line: str | bytes) -> str | None:
    """What is said of a line between good ones."""
    found = block(GOOD, line, GOOD).readings(SCHEMA)
    assert found.rejected.keys() <= {1}
    return found.rejected[1].message if found.rejected else None


@pytest.mark.parametrize("extra", [{}, {"id": "x", "n": [1], "t": True, "q": 'say "a"'}], ids=["exact", "with others"])
def test_members_that_are_no_features_are_passed_over(extra: dict[str, Any]) -> None:
    """Unlike in a request, a file may hold more."""
    found = block(*[changed(**extra)] * 3).readings(SCHEMA)
    assert found.rows.tolist() == [list(SCHEMA.example().values())] * 3


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(changed(lag_1="abc"), "lag_1 must be numeric, got str", id="text"),
        pytest.param(changed(lag_1="12"), "lag_1 must be numeric, got str", id="a number as text"),
        pytest.param(changed(lag_1=None), "lag_1 must be numeric, got NoneType", id="null"),
        pytest.param(changed(is_weekend=True), "is_weekend must be numeric, got bool", id="a boolean"),
        pytest.param(changed(lag_1=[1]), "lag_1 must be numeric, got list", id="nested"),
        pytest.param(changed(lag_1=float("nan")), "lag_1 cannot be NaN", id="nan"),
        pytest.param(changed(lag_1=-1), "lag_1=-1 out of range [0, 1000000]", id="out of range"),
        pytest.param(changed(lag_1=10**400), "lag_1=inf out of range [0, 1000000]", id="400 digits"),
        pytest.param(changed(lag_1=10**250), f"lag_1={10**250} out of range [0, 1000000]", id="250 digits"),
        pytest.param(
            GOOD.replace("1498.0", "1e400"), "lag_1=inf out of range [0, 1000000]", id="too large for a float"
        ),
        pytest.param('{"lag_1": 1}', f"Missing features: {[*SCHEMA.names[:-1]]}", id="missing"),
        pytest.param("[1]", "A reading must be a JSON object with 12 features, got list", id="no object"),
        pytest.param("oops", "The line is not JSON: Expecting value (line 1, column 1)", id="no json"),
        pytest.param("  ", "The line is empty; send one JSON object", id="blanks"),
        pytest.param(b'{"id": "\xff"}', "The line is not UTF-8 (byte 8)", id="not utf-8"),
        pytest.param(GOOD[:-1] + ', "lag_1": 2}', "The line repeats the key 'lag_1'", id="a repeated feature"),
        pytest.param(GOOD[:-1] + ', "i": "a", "i": "b"}', "The line repeats the key 'i'", id="a repeated member"),
        pytest.param(GOOD + " " + GOOD, "The line is not JSON: Extra data", id="two documents"),
        pytest.param("[" * 20_000, "The line is nested too deep", id="nested too deep"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(line: str | bytes, expected: str) -> None:
    """In the contract's words, and it spoils no other."""
    found = message(line)
    assert found is not None
    assert found.startswith(expected)


def test_kept_members_are_text() -> None:
    """A string as it is, anything else as JSON; nothing where there is none, or no JSON."""
    lines = [changed(id="a"), changed(id=7), changed(id=None), GOOD, changed(id={"é": 1}), "oops", '{"id": "z"}']
    assert block(*lines, keep=("id",)).kept["id"].tolist() == ["a", "7", None, None, '{"é": 1}', None, "z"]


MEMBERS = st.one_of(
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.none(),
    st.text('a"\\', max_size=3),
    st.just([1, "b"]),
)


@given(st.lists(st.dictionaries(st.sampled_from(["lag_1", "is_weekend", "id", "x"]), MEMBERS), min_size=1, max_size=8))
def test_every_line_is_judged_as_the_service_judges_its_features(changes: list[dict[str, Any]]) -> None:
    """Whatever else the lines hold, and whichever reader takes them."""
    documents: list[dict[str, Any]] = [{**SCHEMA.example(), **change} for change in changes]
    found = block(*map(json.dumps, documents)).readings(SCHEMA)
    expected = [SCHEMA.check({name: document[name] for name in SCHEMA.names}) for document in documents]
    assert found.rows.tolist() == [list(row) for row in expected if not isinstance(row, Rejected)]
    assert found.rejected == {place: row for place, row in enumerate(expected) if isinstance(row, Rejected)}
