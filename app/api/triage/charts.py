"""Charts as geometry: numbers in, paths of an SVG out. The template only draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320.0, 96.0
"""The plot's own size; the template leaves room around it for labels."""

_GAP = 0.8
"""Between two bars."""

_NEXT_TO_NOTHING = 1e-300
"""Below it, powers of ten are not exact any more, and at last 0."""

_ROUND = (1, 2, 3, 4, 6, 8)
"""An axis that ends at one of these has a middle that reads well."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One series: its name (also how it is drawn), its path, and what it comes to."""

    name: str
    path: str
    figure: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A small picture with its legend. `summary` says in words what it shows."""

    title: str
    unit: str
    summary: str
    layers: tuple[Layer, ...]
    levels: tuple[Tick, ...]
    times: tuple[Tick, ...]
    lines: bool = False


def nice_ceiling(value: float) -> float:
    """The least round number (one digit of `_ROUND`, then zeros) that is not below `value`; 1 for next to nothing."""
    if value < _NEXT_TO_NOTHING:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in _ROUND if step * power >= value), 10 * power)


def levels(ceiling: float) -> tuple[Tick, ...]:
    """Bottom, middle and top of an axis that ends at `ceiling`."""
    return tuple(Tick(HEIGHT * (1 - part), f"{ceiling * part:g}") for part in (0.0, 0.5, 1.0))


def stacked_bars(series: Sequence[Sequence[float]], ceiling: float) -> list[str]:
    """A path per series, all of the same length: a bar at each place, on top of those of the series before it."""
    places = len(series[0])
    step, floors = WIDTH / places, [HEIGHT] * places
    width = step - _GAP
    paths = []
    for values in series:
        bars = []
        for place, value in enumerate(values):
            if value > 0:
                height = HEIGHT * value / ceiling
                floors[place] -= height
                left = place * step + _GAP / 2
                bars.append(f"M{left:.2f} {floors[place]:.3f}h{width:.2f}v{height:.3f}h{-width:.2f}z")
        paths.append("".join(bars))
    return paths


def line(values: Sequence[float | None], ceiling: float) -> str:
    """A path through the values that are known; one that stands alone becomes a dot."""
    step = WIDTH / len(values)
    path, pen_down = [], False
    for place, value in enumerate(values):
        if value is not None:
            at = f"{(place + 0.5) * step:.2f} {HEIGHT * (1 - min(value, ceiling) / ceiling):.2f}"
            path.append(f"L{at}" if pen_down else f"M{at}h0")
        pen_down = value is not None
    return "".join(path)


def percentages(series: Sequence[Sequence[float]]) -> list[list[float]]:
    """The series as percentages of their sum at each place; all 0 where the sum is."""
    totals = [sum(column) or 1.0 for column in zip(*series, strict=True)]
    return [[100 * value / total for value, total in zip(row, totals, strict=True)] for row in series]


def highest(values: Iterable[float | None]) -> float:
    """The largest of the known values, 0 without any."""
    return max((value for value in values if value is not None), default=0.0)
