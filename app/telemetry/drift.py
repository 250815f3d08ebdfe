"""Drift: how far live values of each feature lie from those the model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import Matrix

Counts = NDArray[np.float64]

MOVING_FROM, DRIFTED_FROM = 0.1, 0.25
"""Below the first a distribution counts as unchanged, from the second on as another one (Siddiqi, Credit Risk
Scorecards, 2006)."""

SHARE_FLOOR = 1e-4
"""Stands for the share of an empty bin, whose logarithm would be infinite."""


@dataclass(frozen=True, slots=True)
class FeatureBins:
    """The reference distribution of a model version: per feature its bins and their shares in training."""

    version: str
    names: tuple[str, ...]
    inner_edges: tuple[NDArray[np.float64], ...]
    """Per feature the edges between its bins, ascending; a value on an edge belongs above it."""
    ratios: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls, version: str, edges: Mapping[str, Sequence[float]], ratios: Mapping[str, Sequence[float]]
    ) -> FeatureBins:
        """From a manifest's reference: all edges, the outermost too, and the share of training rows between them."""
        inner = tuple(np.array(ends[1:-1], dtype=np.float64) for ends in edges.values())
        return cls(version, tuple(edges), inner, tuple(tuple(ratios[name]) for name in edges))

    def count(self, rows: Matrix) -> list[Counts]:
        """Per feature how many of `rows`, shape (n, number of features), fall into each of its bins."""
        # For a handful of edges, counting who is beyond each is several times quicker than searching for each row.
        columns = np.ascontiguousarray(rows.T)
        beyond = (
            [len(rows), *(np.count_nonzero(column >= edge) for edge in edges), 0]
            for edges, column in zip(self.inner_edges, columns, strict=True)
        )
        return [-np.diff(np.array(counts, dtype=np.float64)) for counts in beyond]


def population_stability_index(counts: Sequence[float], ratios: Sequence[float]) -> float:
    """PSI of live counts against reference shares: `(live - reference) * ln(live / reference)` summed over the bins.

    0 where nothing was counted.
    """
    total = sum(counts)
    if not total:
        return 0.0
    live = np.maximum(np.asarray(counts) / total, SHARE_FLOOR)
    reference = np.maximum(np.asarray(ratios), SHARE_FLOOR)
    return float(np.sum((live - reference) * np.log(live / reference)))
