"""What can be wrong with a reading, in the contract's own words."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LISTED = {"missing": "Missing features", "unexpected": "Unexpected features"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a reading breaks the contract."""

    code: str
    """A stable name: `not_an_object`, `not_a_batch`, `missing`, `unexpected`, `not_numeric`, `nan`, `out_of_range`; of
    feedback `malformed_id`, `not_binary`, `unknown`, `repeated`; of a line in a file `malformed`."""
    message: str
    feature: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A reading that breaks the contract, with every problem."""

    problems: tuple[Problem, ...]

    @property
    def message(self) -> str:
        """All problems in one line; missing features together, and unexpected ones."""
        sentences = []
        for code, sentence in _LISTED.items():
            names = [problem.feature for problem in self.problems if problem.code == code]
            if names:
                sentences.append(f"{sentence}: {names}")
        sentences += [problem.message for problem in self.problems if problem.code not in _LISTED]
        return "; ".join(sentences)


def listed(code: str, name: str) -> Problem:
    """A feature that is `missing` or `unexpected`."""
    return Problem(code, f"{_LISTED[code]}: {[name]}", name)


def value_problems(name: str, value: object, low: float, high: float) -> list[Problem]:
    """What is wrong with one feature's value; empty where nothing is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [Problem("not_numeric", f"{name} must be numeric, got {type_name(value)}", name)]
    if math.isnan(value):
        return [Problem("nan", f"{name} cannot be NaN", name)]
    if not low <= value <= high:
        allowed = f"[{number_text(low)}, {number_text(high)}]"
        return [Problem("out_of_range", f"{name}={number_text(value)} out of range {allowed}", name)]
    return []


def type_name(value: object) -> str:
    """Python's name of a decoded JSON value's type, as the contract's messages use it: `str`, `bool`, `NoneType`."""
    return type(value).__name__


def number_text(value: float) -> str:
    """A number as a person writes it: whole numbers without a point, all others in full."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
