"""Tables and foreign words on a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

_LONGEST = 60


def clean(value: object, longest: int = 200) -> str:
    """Text that cannot do anything to a terminal, whatever a client put into it, on one line."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value)[: longest + 1])
    return text if len(text) <= longest else text[:longest] + "..."


def cell(value: object) -> str:
    """A value of a query's result."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return clean(json.dumps(value, default=str), _LONGEST)
    return clean(value, _LONGEST)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns aligned by spaces; the first `left` to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            word.ljust(width) if place < left else word.rjust(width)
            for place, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (header, *rows)
    ]
    return "\n".join(lines)
