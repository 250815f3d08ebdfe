"""CSV text to rows: the contract's words for every bad cell, and one reading whichever way a block is parsed."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.schema import Feature, FeatureSchema, Readings
from app.scoring.block import Block
from app.scoring.csv_rows import CsvRows
from app.scoring.records import cut


class TwoSchema(FeatureSchema):
    """Two features of any size."""

    features = (Feature("a", -1.7e308, 1.7e308, "A.", 1), Feature("b", 0, 10, "B.", 1))


SCHEMA = TwoSchema()
HEADER = ("id", "b", "x", "a")
"""Another order, and columns that are passed over."""


def block(text: str | bytes, keep: tuple[str, ...] = ()) -> Block:
    data = text if isinstance(text, bytes) else text.encode()
    return CsvRows(HEADER, SCHEMA.names, keep).block(data, cut(data, quoted=True))


def readings(text: str | bytes) -> Readings:
    return block(text).readings(SCHEMA)


def messages(text: str | bytes) -> dict[int, str]:
    return {row: rejected.message for row, rejected in readings(text).rejected.items()}


def test_cells_go_to_their_columns() -> None:
    """By name, whatever their order."""
    found = readings("i,1,x,2\nj,3,,4.5\n")
    assert found.rows.tolist() == [[2, 1], [4.5, 3]]
    assert not found.rejected


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        pytest.param("abc", "b must be numeric, got str", id="text"),
        pytest.param("", "b must be numeric, got NoneType", id="empty"),
        pytest.param("NaN", "b cannot be NaN", id="nan"),
        pytest.param("1e400", "b=inf out of range [0, 10]", id="too large for a float"),
        pytest.param("-inf", "b=-inf out of range [0, 10]", id="infinity"),
        pytest.param("11", "b=11 out of range [0, 10]", id="out of range"),
        pytest.param("true", "b must be numeric, got str", id="a boolean"),
        pytest.param("1_0", "b must be numeric, got str", id="a Python literal"),
        pytest.param("0x1", "b must be numeric, got str", id="hexadecimal"),
        pytest.param("1 2", "b must be numeric, got str", id="two numbers"),
        pytest.param("\uff11", "b must be numeric, got str", id="a digit of another script"),
        pytest.param("NA", "b must be numeric, got str", id="another program's null"),
        pytest.param("  ", "b must be numeric, got str", id="blanks"),
    ],
)
@pytest.mark.parametrize("others", ["", "i,1,x,1\n", 'i,1,"x",1\n'], ids=["alone", "among good ones", "among quotes"])
def test_a_bad_cell_is_named_with_its_reason(cell: str, message: str, others: str) -> None:
    """And spoils its own row only, alone in its block or not."""
    count = len(others.splitlines())
    found = readings(f"{others}i,{cell},x,1\n{others}")
    assert {row: rejected.message for row, rejected in found.rejected.items()} == {count: message}
    assert found.rows.tolist() == [[1, 1]] * (2 * count)


def test_every_problem_of_a_row_is_named() -> None:
    """Not only the first."""
    assert messages("i,abc,x,\ni,12,x,nan\n") == {
        0: "a must be numeric, got NoneType; b must be numeric, got str",
        1: "a cannot be NaN; b=12 out of range [0, 10]",
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(b"i,1,x", "The line has 3 cells, the header 4", id="short"),
        pytest.param(b"i,1,x,2,3", "The line has 5 cells, the header 4", id="long"),
        pytest.param(b'i,1,"x,2', "The line has 3 cells, the header 4", id="an open quote"),
        pytest.param(b"\xff,1,x,2", "The line is not UTF-8 (byte 0)", id="not utf-8"),
        pytest.param(b"i,1\r,x,2", "The line is no CSV: new-line character seen in unquoted field", id="a bare return"),
        pytest.param(b"i,1,x,2" + b"9" * 140_000, "a=inf out of range", id="a very long number"),
        pytest.param(b"i,1," + b"x" * 140_000 + b'",2', "The line is no CSV: field larger than", id="a very long cell"),
        pytest.param(b"garbage", "The line has 1 cells, the header 4", id="garbage"),
        pytest.param(b"i,1,x,\x002", "a must be numeric, got str", id="a nul byte"),
    ],
)
def test_a_malformed_line_spoils_no_other(line: bytes, message: str) -> None:
    """Whatever is wrong with it, the lines around it are read."""
    found = messages(b"i,1,x,1\n" + line + b"\ni,1,x,1\n")
    assert list(found) == [1]
    assert found[1].startswith(message)


def test_kept_columns_are_text_as_it_stands() -> None:
    """An empty one is nothing; rejected rows have theirs too, unless they have no cells."""
    found = block('007,1,x,1\n"a,""b",1,x,1\n,1,x,abc\ni,1\nNA,1,x,1\n', keep=("id", "a"))
    assert found.kept["id"].tolist() == ["007", 'a,"b', None, None, "NA"]
    assert found.kept["a"].tolist() == ["1", "1", "abc", None, "1"]
    plain = block("007,1,x,1\n,1,x,abc\ni,1\nNA,1,x,1\n", keep=("id", "a"))
    assert plain.kept["id"].tolist() == ["007", None, None, "NA"]


def _float_text(bits: int) -> str:
    return repr(struct.unpack("d", struct.pack("Q", bits))[0])


NUMBERS = st.one_of(
    st.integers(0, 2**64 - 1).map(_float_text),
    st.decimals(allow_nan=False, allow_infinity=False, places=25).map(str),
    st.from_regex(r"[+-]?[0-9]{1,25}(\.[0-9]{0,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(st.lists(NUMBERS.filter(lambda text: abs(float(text)) <= 1.7e308), min_size=1, max_size=20))
def test_every_number_is_the_nearest_float(texts: list[str]) -> None:
    """To the last bit, as Python reads it."""
    found = readings("".join(f"i,1,x,{text}\n" for text in texts))
    assert found.rows[:, 0].tolist() == [float(text) for text in texts]


CELLS = st.one_of(
    NUMBERS,
    st.text("0123456789.eE+-_ nNaAiIfFtTrRuU", max_size=6),
    st.sampled_from(["", "true", "nan", "9" * 400, "é"]),
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=5).map(",".join), min_size=1, max_size=12))
def test_both_ways_of_parsing_read_the_same(lines: list[str]) -> None:
    """The quick one, for lines without quotes, and the careful one, which a quoted line in the block asks for."""
    lines = [line for line in lines if line]
    quick = block("".join(f"{line}\n" for line in lines) + "i,1,x,1\n", keep=("id",))
    careful = block("".join(f"{line}\n" for line in lines) + 'i,1,"x",1\n', keep=("id",))

    def seen(found: Block) -> Any:
        judged = found.readings(SCHEMA)
        return judged.rows.tolist(), judged.rejected, found.kept["id"].tolist()

    assert seen(quick) == seen(careful)
