"""The compiled reader and the careful one give one answer: what plain `json` and a check by hand would say."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from app.contract.problems import Rejected
from app.contract.schema import Row
from app.errors import ContractViolationError, MalformedBodyError, ServiceError
from tests.unit.contract.wire import SCHEMA, body, pairs, written


class _Pairs(list[tuple[str, Any]]):
    """An object as `json` saw it, repeated keys and all."""


def by_hand(content: bytes) -> Row | type[ServiceError]:
    """The row in `content`, or the error there must be: written without a line of the code under test."""
    try:
        text = content.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_Pairs, parse_int=float)
    except (ValueError, RecursionError):
        return MalformedBodyError
    if _repeats(document):
        return MalformedBodyError
    if not isinstance(document, _Pairs):
        return ContractViolationError
    reading = dict(document)
    if set(reading) != {feature.name for feature in SCHEMA.features}:
        return ContractViolationError
    row = []
    for feature in SCHEMA.features:
        value = reading[feature.name]
        if type(value) is not float or math.isnan(value) or value < feature.low or value > feature.high:
            return ContractViolationError
        row.append(value)
    return tuple(row)


def _repeats(value: object) -> bool:
    if isinstance(value, _Pairs):
        return len({key for key, _ in value}) != len(value) or any(_repeats(inner) for _, inner in value)
    return isinstance(value, list) and any(_repeats(inner) for inner in value)


def parsed(content: bytes) -> Row | type[ServiceError]:
    """What the code under test makes of `content`."""
    try:
        return SCHEMA.parse_row(content)
    except (MalformedBodyError, ContractViolationError) as error:
        return type(error)


good_values = [
    st.floats(feature.low, feature.high).map(repr) | st.integers(math.ceil(feature.low), int(feature.high)).map(str)
    for feature in SCHEMA.features
]
odd_literals = st.sampled_from(
    ["0", "-0", "-0.0", "1e0", "1E+0", "10e-1", "1e-400", "5e-324", "-5e-324", "1.0000000000000000000000001", "2.5",
     "2.5000000000000004", "9007199254740993", "1e400", "NaN", "Infinity", "-Infinity", "true", "false", "null",
     '"1"', '""', "[]", "[1]", "{}", '{"a": 1}', '{"a": 1, "a": 1}', '"\\ud800"', '"\\""', "01", "1.", ".5", "+1",
     "1_0", "0x1", "1" * 20, "1" * 310, "1" * 5_000, "", "1 1", "nan", "-", "1e", "--1"]
)  # fmt: skip
white_space = st.sampled_from(["", "", " ", "\n", "\t\r\n", "\x0c", "\xa0", "\ufeff", "\x00"])


@st.composite
def good_members(draw: st.DrawFn) -> list[tuple[str, str]]:
    """A reading of the contract in any key order, some keys spelled with escapes."""
    members = []
    for feature, values in zip(SCHEMA.features, good_values, strict=True):
        name = feature.name
        if draw(st.integers(0, 5)) == 0:
            place = draw(st.integers(0, len(name) - 1))
            name = f"{name[:place]}\\u{ord(name[place]):04x}{name[place + 1 :]}"
        members.append((f'"{name}"', draw(values)))
    return draw(st.permutations(members))


@st.composite
def mutated_members(draw: st.DrawFn) -> list[tuple[str, str]]:
    """A good reading with one to three members dropped, repeated, added or given an odd value."""
    members = list(draw(good_members()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(members) - 1))
        key, value = members[place]
        match draw(st.sampled_from(["drop", "repeat", "add", "odd", "odd"])):
            case "drop":
                del members[place]
            case "repeat":
                members.insert(draw(st.integers(0, len(members))), (key, draw(odd_literals | st.just(value))))
            case "add":
                members.insert(place, (json.dumps(draw(st.text(max_size=4)), ensure_ascii=draw(st.booleans())), "1"))
            case _:
                members[place] = (key, draw(odd_literals))
    return members


@st.composite
def damaged_bytes(draw: st.DrawFn) -> bytes:
    """A good reading whose bytes were cut, replaced or surrounded."""
    content = bytearray(written(draw(good_members())))
    for _ in range(draw(st.integers(0, 2))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    end = draw(st.integers(0, len(content)) | st.just(len(content)))
    return draw(white_space).encode() + bytes(content[:end]) + draw(white_space).encode()


REPEATED = [*pairs(), ('"lag_1"', "1498.0")]


@settings(max_examples=500, deadline=None)
@given(good_members().map(written) | mutated_members().map(written) | damaged_bytes() | st.binary(max_size=30))
@example(written(REPEATED))
@example(written(REPEATED[1:]))
@example(body(metric_value="1" * 400))
@example(body(metric_value="-0"))
@example(body(is_weekend="-1e-400"))
@example(body(lag_1="NaN"))
@example(body()[:-1])
@example(body() + b"{}")
@example(b"\xef\xbb\xbf" + body())
@example(body().decode().encode("utf-16"))
@example(body().replace(b'"lag_1"', b'"\\"', 1))
def test_a_row_is_what_json_and_a_check_by_hand_say(content: bytes) -> None:
    """The very same values, or the very same kind of error."""
    expected = by_hand(content)
    event("accepted" if isinstance(expected, tuple) else expected.__name__)
    assert parsed(content) == expected


@settings(max_examples=100, deadline=None)
@given(good_members())
def test_every_reading_of_the_contract_is_accepted(members: list[tuple[str, str]]) -> None:
    """In any key order and spelling; the values are those of `float`, bit for bit."""
    by_name = {json.loads(key): float(value) for key, value in members}
    assert [value.hex() for value in SCHEMA.parse_row(written(members))] == [
        by_name[name].hex() for name in SCHEMA.names
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(good_members().map(written) | mutated_members().map(written), max_size=4))
def test_a_batch_says_of_each_row_what_the_row_alone_gets(rows: list[bytes]) -> None:
    """In order; a row that is no JSON makes the whole batch none."""
    alone: list[Row | Rejected] = []
    malformed = False
    for content in rows:
        try:
            alone.append(SCHEMA.parse_row(content))
        except ContractViolationError as error:
            alone.append(error.rejected)
        except MalformedBodyError:
            malformed = True
    try:
        found = SCHEMA.parse_batch(b'{"instances": [' + b",".join(rows) + b"]}")
    except MalformedBodyError:
        assert malformed
    else:
        assert not malformed
        in_order = map(tuple, found.rows.tolist())
        assert [found.rejected.get(place) or next(in_order) for place in range(found.count)] == alone


@settings(max_examples=100, deadline=None)
@given(mutated_members())
def test_the_message_tells_every_problem_and_does_not_depend_on_the_key_order(members: list[tuple[str, str]]) -> None:
    """Reversing a reading reverses unexpected names only."""

    def problems(content: bytes) -> list[tuple[str, str]] | None:
        try:
            SCHEMA.parse_row(content)
        except ContractViolationError as error:
            return [(problem.code, problem.message) for problem in error.rejected.problems]
        except MalformedBodyError:
            return None
        return []

    forward, backward = problems(written(members)), problems(written(reversed(members)))
    if forward is None or backward is None:
        assert forward is backward
        return
    known, strangers = [item for item in forward if item[0] != "unexpected"], forward
    assert known == [item for item in backward if item[0] != "unexpected"]
    assert sorted(strangers) == sorted(backward)
