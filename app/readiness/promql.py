"""Which metrics a Prometheus expression asks for."""

from __future__ import annotations

import re

_NO_METRICS = re.compile(
    r"""(?x) "[^"]*" | '[^']*' | \{[^}]*\} | \[[^\]]*\]
    | \b(?:by|without|on|ignoring|group_left|group_right) \s* \([^)]*\)"""
)
_NAME = re.compile(r"(?<![\w:.])[A-Za-z_:][\w:]*(?!\s*\(|[\w:])")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring"})


def metric_names(expression: str) -> set[str]:
    """The names of all series in it; functions, labels and durations are none."""
    return {name for name in _NAME.findall(_NO_METRICS.sub(" ", expression)) if name.lower() not in _WORDS}
