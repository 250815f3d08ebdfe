"""Strict JSON from bytes: one document, UTF-8, no duplicate keys, bounded depth.

This is the careful reader. It runs only on bodies that the compiled decoder of `app.contract.schema` did not
accept, so that it can take its time to say what is wrong.
"""

from __future__ import annotations

import codecs
import json
import math
from typing import Any

from app.errors import MalformedBodyError

_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def strict_json(body: bytes) -> Any:
    """The one JSON value that `body` holds.

    A bare `NaN`, `Infinity` or `-Infinity` is no JSON, but is read as the float it means: Python clients send
    them, and the contract can then name the feature. A number too large for a float becomes an infinity.

    Raises `MalformedBodyError`.
    """
    if not body.strip(b" \t\r\n"):
        raise MalformedBodyError("The body is empty; send one JSON object")
    if body.startswith(_BOMS):
        raise MalformedBodyError("The body starts with a byte order mark; send plain UTF-8")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The body is not UTF-8 (byte {error.start})") from None
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise MalformedBodyError(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise MalformedBodyError("The body is nested too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedBodyError(f"The body repeats the key {key[:100]!r}")
            seen.add(key)
    return found


def _integer(literal: str) -> int | float:
    # Python refuses to convert thousands of digits, by design; such a number is beyond every range anyway.
    if len(literal) <= 300:
        return int(literal)
    return -math.inf if literal.startswith("-") else math.inf
