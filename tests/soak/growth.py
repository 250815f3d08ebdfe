"""Whether what is held has grown: from the start to the end, and still from the middle to the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.soak.samples import DESCRIPTORS, FILES, MEMORY, PROPORTIONAL, SIZE, THREADS, Figure, Sample


@dataclass(frozen=True, slots=True)
class Noise:
    """How much more there may be without anything being wrong."""

    in_all: float
    """At the end than at the start."""
    in_the_second_half: float
    """At the end than in the middle: a leak goes on, a warm-up does not."""


NOISE: Mapping[str, Noise] = MappingProxyType(
    {
        MEMORY: Noise(25, 12),
        PROPORTIONAL: Noise(25, 12),
        DESCRIPTORS: Noise(0, 0),
        THREADS: Noise(0, 0),
        FILES: Noise(0, 0),
        SIZE: Noise(0, 0),
    }
)

AUDIT_NOISE: Mapping[str, Noise] = MappingProxyType({FILES: Noise(8, 8), SIZE: Noise(64, 64)})
"""Old files are removed once a minute, so that there may be as many more as a minute writes."""


def noise_of(figure: Figure) -> Noise:
    """What of it is noise."""
    whose, what = figure
    return AUDIT_NOISE[what] if whose == "AUDIT_DIR" else NOISE[what]


def growth(start: Sample, middle: Sample, end: Sample) -> list[str]:
    """Every figure that has grown beyond noise, in words."""
    found = []
    for figure, last in end.figures.items():
        noise, name = noise_of(figure), ", ".join(figure)
        first, between = start.figures[figure], middle.figures[figure]
        if last - first > noise.in_all:
            found.append(f"{name}: grew from {first:.4g} to {last:.4g}, noise is {noise.in_all:g}")
        elif last - between > noise.in_the_second_half:
            found.append(f"{name}: still grew from {between:.4g} to {last:.4g}, noise is {noise.in_the_second_half:g}")
    return found
