"""Service level objectives: `p99=50ms,success=99.9` as values, and what was measured held against them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from app.errors import ServiceError

Unit: TypeAlias = Literal["ms", "s", "%"]

EXAMPLE = "p99=50ms,success=99.9"
MAX = "max"
SUCCESS = "success"

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,6})?)")
_LIMIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([a-zA-Z%]*)")
_PER_UNIT = {"ms": 1e3, "s": 1.0, "%": 1e2}
"""How many of the unit are one second, or the whole."""
_DECIMALS: dict[Unit, int] = {"ms": 1, "s": 3, "%": 2}
"""Digits behind the point that a person wants to see."""
_MOST_DECIMALS = 14


class SloError(ServiceError):
    """Objectives that say nothing, or nothing clear; `problems` holds one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("invalid SLO:\n  " + "\n  ".join(problems))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective and what was seen of it, in words for a table."""

    objective: str
    """`p99`, `max` or `success`."""
    limit: str
    """`at most 50 ms` or `at least 99.9 %`."""
    seen: str
    """In the limit's unit, with as many digits as it takes to see on which side of the limit it is; or `nothing`."""
    met: bool


@dataclass(frozen=True, slots=True)
class Objective:
    """A percentile of the latency that may be `limit` at most, or the share of success that is the least."""

    name: str
    limit: Decimal
    """In `unit`; a decimal, so that 999 of 1,000 are 99.9 %."""
    unit: Unit

    def __str__(self) -> str:
        return f"{self.name}={self.limit:f}{'' if self.unit == '%' else self.unit}"

    @property
    def share(self) -> float:
        """Of the requests that the limit is about: 0.99 for `p99`, 1 for `max` and `success`."""
        return 1.0 if self.name in (MAX, SUCCESS) else float(Decimal(self.name[1:]).scaleb(-2))

    def judge(self, seen: float) -> Verdict:
        """`seen` in seconds, or as a share; NaN where there is nothing to see, which meets no objective."""
        if self.unit == "%":
            met = seen >= float(self.limit.scaleb(-2))
        else:
            met = seen <= float(self.limit.scaleb(-3) if self.unit == "ms" else self.limit)
        bound = "at least" if self.unit == "%" else "at most"
        return Verdict(self.name, f"{bound} {self.limit:f} {self.unit}", self._text(seen, met), met)

    def _text(self, seen: float, met: bool) -> str:
        if seen != seen:
            return "nothing"
        value, limit = seen * _PER_UNIT[self.unit], float(self.limit)
        text = ""
        for decimals in range(_DECIMALS[self.unit], _MOST_DECIMALS):
            text = f"{value:.{decimals}f}"
            if met == (float(text) >= limit if self.unit == "%" else float(text) <= limit):
                break
        return f"{text} {self.unit}"


@dataclass(frozen=True, slots=True)
class Slo:
    """Objectives that all have to be met."""

    objectives: tuple[Objective, ...]

    @classmethod
    def parse(cls, text: str) -> Slo:
        """The objectives in a text such as `p50=5ms,p99.9=0.2s,max=1s,success=99.95%`, in its order.

        Raises `SloError` with every problem.
        """
        if not text.strip():
            raise SloError([f"it is empty; write for instance {EXAMPLE}"])
        objectives: list[Objective] = []
        problems: list[str] = []
        for part in text.split(","):
            try:
                objective = _objective(part.strip())
            except SloError as error:
                problems += error.problems
                continue
            if any(objective.name == other.name for other in objectives):
                problems.append(f"{objective.name} is given twice; once is enough")
            objectives.append(objective)
        if problems:
            raise SloError(problems)
        return cls(tuple(objectives))

    def __str__(self) -> str:
        return ",".join(map(str, self.objectives))

    def judge(self, percentile: Callable[[float], float], success: float) -> list[Verdict]:
        """One verdict for each objective, in their order.

        `percentile` gives the latency, in seconds, that a share (0 to 1) of the requests did not exceed; `success` is
        the share of requests that went well. Both are NaN where there were no requests: then nothing is met.
        """
        return [
            objective.judge(success if objective.name == SUCCESS else percentile(objective.share))
            for objective in self.objectives
        ]


def _objective(text: str) -> Objective:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise SloError([f"{text!r} is no objective; write name=limit, for instance {EXAMPLE}"])
    name, limit = _name(key), _LIMIT.fullmatch(value)
    if name is None:
        raise SloError([f"{key!r} is unknown; there are percentiles such as p50, p99 and p99.9, max, and success"])
    if limit is None:
        example = "success=99.9" if name == SUCCESS else f"{key}=50ms"
        raise SloError([f"{text}: the limit is no number; write for instance {example}"])
    return (_success if name == SUCCESS else _latency)(name, Decimal(limit[1]), limit[2], text)


def _name(key: str) -> str | None:
    """The key in its shortest spelling: `p99` for `p99.0`."""
    if key in (MAX, SUCCESS):
        return key
    match = _PERCENTILE.fullmatch(key)
    if match is None or not Decimal(match[1]):
        return None
    return f"p{Decimal(match[1]).normalize():f}"


def _success(name: str, limit: Decimal, unit: str, text: str) -> Objective:
    if unit not in ("", "%"):
        raise SloError([f"{text}: success is in percent; write for instance success=99.9"])
    if not 0 < limit <= 100:
        raise SloError([f"{text}: percent must be above 0 and at most 100; write for instance success=99.9"])
    return Objective(name, limit, "%")


def _latency(name: str, limit: Decimal, unit: str, text: str) -> Objective:
    if unit not in ("ms", "s"):
        problem = f"{unit!r} is no unit of time here" if unit else "the unit is missing"
        raise SloError([f"{text}: {problem}; write {name}={limit:f}ms or {name}={limit:f}s"])
    if not limit:
        raise SloError([f"{text}: no request takes no time; write for instance {name}=50ms"])
    return Objective(name, limit, "ms" if unit == "ms" else "s")
