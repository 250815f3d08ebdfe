"""Whether what is held has grown: from the start to the end, and still from the first half to the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tests.footprint import NOISE_MB
from tests.soak.samples import DESCRIPTORS, FILES, MEMORY, PRIVATE, SIZE, THREADS, Figure, Sample

NOISE: Mapping[str, float] = MappingProxyType(
    {MEMORY: NOISE_MB, PRIVATE: NOISE_MB, DESCRIPTORS: 0, THREADS: 0, FILES: 0, SIZE: 0}
)
"""How much more there may be at the end than at the start; 20 MB are given back to the system at one time, and not at
another. PSS is not judged: it falls when any other process of the machine loads the same library."""

AUDIT_NOISE: Mapping[str, float] = MappingProxyType({FILES: 8, SIZE: 64})
"""The same in AUDIT_DIR: old files are removed once a minute, so that there may be as many more as a minute writes."""

CREEP_MB = 12.0
"""How much higher memory may rise in the second half than in the first: a leak goes on, a warm-up does not."""


def noise_of(figure: Figure) -> float | None:
    """What of it is noise; None of what is not judged."""
    whose, what = figure
    return (AUDIT_NOISE if whose == "AUDIT_DIR" else NOISE).get(what)


def growth(start: Sample, end: Sample) -> list[str]:
    """Every figure that has grown beyond noise, in words."""
    return [
        f"{', '.join(figure)}: grew from {start.figures[figure]:.4g} to {last:.4g}, noise is {noise:g}"
        for figure, last in end.figures.items()
        if (noise := noise_of(figure)) is not None and last - start.figures[figure] > noise
    ]


def creep(first: Sequence[Sample], second: Sequence[Sample]) -> list[str]:
    """All memory that rose higher in the second half than ever in the first, beyond noise, in words."""
    return [
        f"{', '.join(figure)}: still grew, from {before:.4g} at most in the first half to {after:.4g} in the second, "
        f"noise is {CREEP_MB:g}"
        for figure in first[0].figures
        if figure[1] in (MEMORY, PRIVATE)
        and (after := _highest(figure, second)) - (before := _highest(figure, first)) > CREEP_MB
    ]


def _highest(figure: Figure, samples: Sequence[Sample]) -> float:
    return max(sample.figures[figure] for sample in samples)
