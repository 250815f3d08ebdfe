"""Which inputs drift: the period's rows beside the training rows of the active version, by PSI.

The index, and its limits, are those of health and the triage page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from app.model.manifest import Bins
from app.reporting.lines import HAS_FEATURES, IN_PERIOD, feature_values, features_type, quoted, source
from app.reporting.results import Drift
from app.telemetry.drift import DRIFTED_FROM, MOVING_FROM, population_stability_index

_FEWEST_ROWS = 500
"""Chance alone gives about (bins - 1) / rows."""


class DriftCount:
    """Counts the rows of every bin of `reference` while the files are read, so that no feature is ever kept."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, reference: Mapping[str, Bins]) -> None:
        self._connection = connection
        self._reference = reference
        if reference:
            columns = ", ".join(f"{quoted(name)} BIGINT[]" for name in reference)
            connection.execute(f"CREATE TABLE inputs ({columns})")

    @property
    def statements(self) -> list[str]:
        """What to run over each group of files."""
        if not self._reference:
            return []
        columns = {"event": "VARCHAR", "timestamp": "VARCHAR", "features": features_type(self._reference)}
        rows = ", ".join(f"unnest({feature_values(name)}) AS {quoted(name)}" for name in self._reference)
        counts = ", ".join(_counts(quoted(name), bins) for name, bins in self._reference.items())
        return [
            f"INSERT INTO inputs SELECT {counts} "
            f"FROM (SELECT {rows} FROM {source(columns)} WHERE {HAS_FEATURES} AND {IN_PERIOD})"
        ]

    def results(self) -> list[Drift]:
        """All features, most drifted first."""
        if not self._reference:
            return []
        groups = self._connection.execute("FROM inputs").fetchall()
        sums = [
            [sum(map(int, filter(None, counts))) for counts in zip(*column, strict=True)]
            for column in zip(*groups, strict=True)
        ]
        found = [
            _drift(name, bins, at_least)
            for (name, bins), at_least in zip(
                self._reference.items(), sums or [[0] * len(bins.ratios) for bins in self._reference.values()],
                strict=True,
            )
        ]  # fmt: skip
        return sorted(found, key=lambda drift: (-(drift.psi if drift.psi is not None else -1), drift.feature))


def _counts(column: str, bins: Bins) -> str:
    """A list: all rows, and for every inner edge those that reach it, which then belong to the bin above."""
    inner = [f"count_if({column} >= '{edge!r}'::DOUBLE)" for edge in bins.edges[1:-1]]
    return "[" + ", ".join([f"count({column})", *inner]) + "]"


def _drift(name: str, bins: Bins, at_least: Sequence[int]) -> Drift:
    rows = at_least[0]
    counts = [here - above for here, above in zip(at_least, [*at_least[1:], 0], strict=True)]
    live = [count / rows for count in counts] if rows else []
    psi = population_stability_index(counts, bins.ratios) if rows else None
    return Drift(
        feature=name, rows=rows, psi=psi, verdict=_verdict(rows, psi),
        edges=bins.edges, reference=bins.ratios, live=live,
    )  # fmt: skip


def _verdict(rows: int, psi: float | None) -> str:
    if psi is None or rows < _FEWEST_ROWS:
        return "too few rows"
    return "large" if psi >= DRIFTED_FROM else "moderate" if psi >= MOVING_FROM else "stable"
