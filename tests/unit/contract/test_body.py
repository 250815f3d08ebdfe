"""Strict JSON: one document, UTF-8, no duplicate keys, bounded depth; and every refusal says why."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.body import strict_json
from app.errors import MalformedBodyError

DEEP = 100_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(json_values, st.booleans())
def test_reads_what_python_wrote(value: object, ascii_only: bool) -> None:
    """Every JSON value survives the way through bytes, with escapes or without; infinities as Python spells them."""
    encoded = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert strict_json(encoded) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_read_or_refused(content: bytes) -> None:
    """Nothing but the documented error ever comes out, and what is read is what `json` reads."""
    try:
        value = strict_json(content)
    except MalformedBodyError as error:
        message = str(error)
    else:
        message = "The body was read"
        assert repr(value) == repr(json.loads(content.decode("utf-8")))
    assert message.startswith("The body ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "The body is empty; send one JSON object", id="empty"),
        pytest.param(b" \t\r\n", "The body is empty; send one JSON object", id="white space only"),
        pytest.param(
            b'{"a": 1', "The body is not JSON: Expecting ',' delimiter (line 1, column 8)", id="cut after a value"
        ),
        pytest.param(b'{"a"', "The body is not JSON: Expecting ':' delimiter (line 1, column 5)", id="cut after a key"),
        pytest.param(
            b'{"a": 1}\n{"b": 2}', "The body is not JSON: Extra data (line 2, column 1)", id="a second document"
        ),
        pytest.param(b"{} x", "The body is not JSON: Extra data (line 1, column 4)", id="text after the document"),
        pytest.param(b'{"a": "\xff"}', "The body is not UTF-8 (byte 7)", id="not UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "The body is not UTF-8 (byte 7)", id="a surrogate in raw bytes"),
        pytest.param(b'{"a": 1, "b": 2, "a": 1}', "The body repeats the key 'a'", id="a repeated key"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', "The body repeats the key 'a'", id="a repeated key, once escaped"),
        pytest.param(b'[{"x": {"a": 1, "a": 2}}]', "The body repeats the key 'a'", id="a repeated key deep inside"),
        pytest.param(
            b'\xef\xbb\xbf{"a": 1}', "The body starts with a byte order mark; send plain UTF-8", id="UTF-8 with a mark"
        ),
        pytest.param(
            '{"a": 1}'.encode("utf-16"), "The body starts with a byte order mark; send plain UTF-8", id="UTF-16"
        ),
        pytest.param(
            '{"a": 1}'.encode("utf-32"), "The body starts with a byte order mark; send plain UTF-8", id="UTF-32"
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(content: bytes, message: str) -> None:
    """One sentence, with the place where there is one."""
    with pytest.raises(MalformedBodyError) as caught:
        strict_json(content)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"a": 1}'.encode("utf-16-le"), id="UTF-16 without a mark, little endian"),
        pytest.param('{"a": 1}'.encode("utf-16-be"), id="UTF-16 without a mark, big endian"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a": 1,}', id="a trailing comma"),
        pytest.param(b'{"a": 01}', id="a leading zero"),
        pytest.param(b'{"a": +1}', id="a plus sign"),
        pytest.param(b'{"a": .5}', id="no digit before the point"),
        pytest.param(b'{"a": 1.}', id="no digit after the point"),
        pytest.param(b'{"a": 0x10}', id="hexadecimal"),
        pytest.param(b'{"a": "\n"}', id="a raw line break in a string"),
        pytest.param(b"\x0c{}", id="a form feed before"),
        pytest.param(b"{}\x00", id="a zero byte after"),
        pytest.param(b"// why\n{}", id="a comment"),
        pytest.param(b'{"a": nan}', id="nan in lower case"),
        pytest.param(b"{a: 1}", id="a bare key"),
    ],
)
def test_what_looks_like_json_but_is_none_is_refused(content: bytes) -> None:
    """No leniency: a body means the same to every reader, or it is not read."""
    with pytest.raises(MalformedBodyError, match=r"^The body is not JSON: "):
        strict_json(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[" * DEEP, id="arrays, left open"),
        pytest.param(b"[" * DEEP + b"]" * DEEP, id="arrays, closed"),
        pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, id="objects"),
        pytest.param(b'[{"a":' * DEEP, id="both by turns"),
    ],
)
def test_deep_nesting_is_refused(content: bytes) -> None:
    """A hundred thousand levels are a bad request, neither a crash nor a RecursionError."""
    with pytest.raises(MalformedBodyError, match=r"^The body is nested too deep$"):
        strict_json(content)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        pytest.param(b"Infinity", math.inf, id="Infinity"),
        pytest.param(b"-Infinity", -math.inf, id="minus Infinity"),
        pytest.param(b"1e400", math.inf, id="1e400"),
        pytest.param(b"-1e400", -math.inf, id="-1e400"),
        pytest.param(b"9" * 300, int("9" * 300), id="300 digits"),
        pytest.param(b"9" * 400, math.inf, id="400 digits"),
        pytest.param(b"9" * 5_000, math.inf, id="5,000 digits"),
        pytest.param(b"-" + b"9" * 5_000, -math.inf, id="minus 5,000 digits"),
        pytest.param(b"1" * 20, int("1" * 20), id="20 digits"),
        pytest.param(b"1e-400", 0.0, id="too small for a float"),
    ],
)
def test_numbers_beyond_a_float_are_read_as_what_they_mean(literal: bytes, value: float) -> None:
    """So that the contract can name the feature that is out of range."""
    assert strict_json(b"[" + literal + b"]") == [value]


def test_a_bare_nan_is_read_as_nan() -> None:
    """Python clients send it; the contract, not the reader, refuses it."""
    (value,) = strict_json(b"[NaN]")
    assert math.isnan(value)


def test_a_very_long_repeated_key_is_cut_in_the_message() -> None:
    """A client decides the key's length, not the log line's."""
    key = b'"' + b"k" * 100_000 + b'"'
    with pytest.raises(MalformedBodyError) as caught:
        strict_json(b"{" + key + b": 1, " + key + b": 2}")
    assert str(caught.value) == f"The body repeats the key '{'k' * 100}'"


def test_a_repeated_key_with_a_lone_surrogate_can_be_reported() -> None:
    """The message goes into a UTF-8 reply and a log line, whatever the key."""
    with pytest.raises(MalformedBodyError) as caught:
        strict_json(b'{"\\ud800": 1, "\\ud800": 2}')
    assert str(caught.value).encode() == b"The body repeats the key '\\ud800'"


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=100, deadline=None)
def test_floats_keep_every_bit(value: float) -> None:
    """The shortest spelling of a float comes back as that very float."""
    (found,) = strict_json(f"[{value!r}]".encode())
    assert struct.pack("<d", found) == struct.pack("<d", value)
