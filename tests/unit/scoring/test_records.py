"""Where records begin and end."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError
from app.scoring.records import MOST_LINES, Stretch, cut, stretches


def texts(data: bytes, *, quoted: bool = True) -> list[bytes]:
    found = cut(data, quoted=quoted)
    return [data[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"a\nb", [b"a\n", b"b"], id="no last line break"),
        pytest.param(b"a\r\nb\r\n", [b"a\r\n", b"b\r\n"], id="Windows"),
        pytest.param(b"\n\r\na\n\n\n", [b"a\n"], id="blank lines are none"),
        pytest.param(b" \n", [b" \n"], id="a space is something"),
        pytest.param(b'"a\nb",1\nc\n', [b'"a\nb",1\n', b"c\n"], id="a line break in quotes"),
        pytest.param(b'"a\n\nb",1\nc\n', [b'"a\n\nb",1\n', b"c\n"], id="a blank line in quotes"),
        pytest.param(b'"a""\n""b",1\nc\n', [b'"a""\n""b",1\n', b"c\n"], id="quotes in quotes"),
        pytest.param(b'"a\nb\nc\n', [b'"a\n', b"b\n", b"c\n"], id="a quote that is never closed"),
    ],
)
def test_a_record_is_a_line_unless_a_quoted_cell_goes_on(data: bytes, expected: list[bytes]) -> None:
    """Blank lines between records are none."""
    assert texts(data) == expected


def test_a_stray_quote_spoils_its_own_line_only() -> None:
    """The next one may be megabytes away."""
    data = b'1,"2\n' + b"1,2\n" * (MOST_LINES + 1) + b'3,"4\n5",6\n7,8\n'
    found = texts(data)
    assert found[0] == b'1,"2\n'
    assert found[-2:] == [b'3,"4\n5",6\n', b"7,8\n"]
    assert len(found) == MOST_LINES + 4


def test_json_lines_have_no_quoted_line_breaks() -> None:
    """There a line is a line."""
    assert texts(b'{"a\n"}\n', quoted=False) == [b'{"a\n', b'"}\n']


@given(st.lists(st.lists(st.text('ab,"\n\r é', max_size=6), min_size=2, max_size=3), min_size=1, max_size=30))
def test_what_a_csv_writer_wrote_comes_back(rows: list[list[str]]) -> None:
    """Record by record, whatever is in the cells."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    found = texts(out.getvalue().encode())
    assert [next(csv.reader(io.StringIO(record.decode(), newline=""))) for record in found] == rows


PIECES = st.sampled_from([b"a,b", b'"', b"\n", b"\r\n", b'""', b"\n\n", b"x" * 30, b"1,2\n" * 120])


@given(st.lists(PIECES, max_size=40).map(b"".join), st.integers(1, 40), st.integers(1, 5), st.booleans(), st.booleans())
def test_stretches_of_a_stream_are_those_of_its_whole(
    data: bytes, chunk: int, count: int, quoted: bool, keep: bool
) -> None:
    """However the stream comes in pieces, and wherever records are cut again."""
    whole = cut(data, quoted=quoted)
    found = list(stretches(io.BytesIO(data), 0, count, quoted=quoted, keep=keep, chunk_bytes=chunk))
    assert [stretch.records for stretch in found[:-1]] == [count] * (len(found) - 1)
    assert sum(stretch.records for stretch in found) == len(whole)
    assert all(before.end == after.start for before, after in pairwise(found))
    again = [record for stretch in found for record in texts(data[stretch.start : stretch.end], quoted=quoted)]
    assert again == texts(data, quoted=quoted)
    for stretch in found:
        assert stretch.data == (data[stretch.start : stretch.end] if keep else None)


def test_a_stretch_begins_where_it_is_told() -> None:
    """After a header."""
    assert list(stretches(io.BytesIO(b"head\na\nb\n"), 5, 1, quoted=True, keep=False)) == [
        Stretch(5, 7, 1, None),
        Stretch(7, 9, 1, None),
    ]


def test_a_line_without_end_is_no_text_file() -> None:
    """It must not fill the memory."""
    stream = io.BytesIO(b"a\n" + b"x" * 100)
    with pytest.raises(DataError, match="the line at byte 2 is longer than 50 bytes"):
        list(stretches(stream, 0, 1, quoted=True, keep=False, chunk_bytes=10, longest_bytes=50))
