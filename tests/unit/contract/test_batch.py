"""Many readings in one body: each answered in its place, and a wrong envelope as a whole."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from app.contract.problems import Problem, Rejected
from app.contract.schema import Row
from app.errors import ContractViolationError, MalformedBodyError, TooManyRowsError
from tests.unit.contract.wire import SCHEMA, body, pairs, written


def batch(*instances: bytes) -> bytes:
    return b'{"instances": [' + b", ".join(instances) + b"]}"


EXAMPLE: Row = tuple(SCHEMA.example().values())


@pytest.mark.parametrize("count", [pytest.param(n, id=f"{n} rows") for n in (0, 1, 3, 100)])
def test_a_good_batch_gives_its_rows_in_order(count: int) -> None:
    """As many as were sent, none mixed up."""
    found = SCHEMA.parse_batch(batch(*(body(metric_value=str(number)) for number in range(count))))
    assert found.rows.tolist() == [[float(number), *EXAMPLE[1:]] for number in range(count)]
    assert found.rows.shape == (count, len(EXAMPLE))
    assert (found.rejected, list(found.positions)) == ({}, list(range(count)))


def test_a_bad_row_does_not_sink_the_others() -> None:
    """Each is answered in its own place, with all its problems."""
    content = batch(body(), body(lag_1="NaN", region_id="11"), b"7", body(metric_value="2"), b"{}")
    found = SCHEMA.parse_batch(content)
    assert found.rows.tolist() == [list(EXAMPLE), [2.0, *EXAMPLE[1:]]]
    assert (found.count, list(found.positions)) == (5, [0, 3])
    assert found.rejected == {
        1: SCHEMA.check({**SCHEMA.example(), "lag_1": math.nan, "region_id": 11}),
        2: SCHEMA.check(7),
        4: SCHEMA.check({}),
    }


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param([], 'The body must be an object with the one key "instances"', id="an array"),
        pytest.param({}, 'The body must be an object with the one key "instances"', id="no key"),
        pytest.param({"rows": []}, 'The body must be an object with the one key "instances"', id="another key"),
        pytest.param(
            {"instances": [], "x": 1}, 'The body must be an object with the one key "instances"', id="one key more"
        ),
        pytest.param({"instances": {}}, '"instances" must be an array, got dict', id="an object of rows"),
        pytest.param({"instances": None}, '"instances" must be an array, got NoneType', id="null"),
        pytest.param({"instances": "[]"}, '"instances" must be an array, got str', id="a string"),
    ],
)
def test_a_batch_needs_its_envelope(document: Any, message: str) -> None:
    """Where it is wrong there are no rows to answer one by one."""
    with pytest.raises(ContractViolationError) as caught:
        SCHEMA.parse_batch(json.dumps(document).encode())
    assert caught.value.rejected == Rejected((Problem("not_a_batch", message),))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        pytest.param(batch(body(), written([*pairs(), ('"lag_1"', "1")])), "lag_1", id="inside a row"),
        pytest.param(b'{"instances": [], "instances": []}', "instances", id="the envelope's, both empty"),
        pytest.param(
            b'{"instances": [' + body() + b'], "instances": []}', "instances", id="the envelope's, the last empty"
        ),
        pytest.param(
            b'{"instances": [], "instances": [' + body() + b"]}", "instances", id="the envelope's, the first empty"
        ),
    ],
)
def test_a_repeated_key_spoils_a_batch(content: bytes, key: str) -> None:
    """The document is ambiguous, so nothing of it is answered."""
    with pytest.raises(MalformedBodyError, match=f"^The body repeats the key '{key}'$"):
        SCHEMA.parse_batch(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"metric_value":' + b"[" * 100_000, id="in a value"),
        pytest.param(b'{"a":' * 100_000, id="in unknown names"),
        pytest.param(b"[" * 100_000, id="from the start"),
    ],
)
def test_deep_nesting_is_a_malformed_row_and_batch(content: bytes) -> None:
    """Both ways in survive it."""
    with pytest.raises(MalformedBodyError, match="nested too deep"):
        SCHEMA.parse_row(content)
    with pytest.raises(MalformedBodyError, match="nested too deep"):
        SCHEMA.parse_batch(b'{"instances": [' + content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"instances": [' + b",".join([body()] * 3) + b"]}", id="good rows"),
        pytest.param(b'{"instances": [1, 2, 3]}', id="bad rows"),
    ],
)
def test_the_rows_are_counted_before_they_are_looked_at(content: bytes) -> None:
    """Millions of bad ones fit into a body; each would cost many times its bytes."""
    assert SCHEMA.parse_batch(content, max_rows=3).count == 3
    with pytest.raises(TooManyRowsError, match=r"^3 rows in one batch, at most 2 are allowed"):
        SCHEMA.parse_batch(content, max_rows=2)
