"""One partition from file to file: what a process does for another, with nothing else to know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.contract.schema import Readings
from app.errors import ScoringError, ServiceError
from app.model.scorer import Scores
from app.scoring.block import Block, Column, as_objects
from app.scoring.bulk import BulkScorer, Model, scorer_of
from app.scoring.output import Output, Table
from app.scoring.plan import Format, Partition, Receipt
from app.scoring.sources import SourceFile
from app.scoring.storage import storage_of

RESERVED = frozenset(
    {"source", "row", "prediction", "is_anomaly", "model_used", "model_version", "feature", "code", "reason"}
)
"""Columns of the results, which no kept column may be called."""


@dataclass(frozen=True, slots=True)
class Job:
    """How to score a partition. It travels to other processes: everything in it is a value or importable."""

    model: Model
    stages: tuple[str, ...]
    """Those that answer; a process that cannot prove one of them would give other results."""
    keep: tuple[str, ...]
    output: str
    output_format: Format

    def run(self, partition: Partition) -> Receipt:
        """Scores a partition and writes its files. Raises `ScoringError`, as one sentence that can be sent anywhere."""
        try:
            scorer = scorer_of(self.model)
            if scorer.stages != self.stages:
                raise ScoringError(f"this worker proved {', '.join(scorer.stages)}, not {', '.join(self.stages)}")
            return self._run(partition, scorer)
        except ServiceError as error:
            raise ScoringError(str(error)) from None
        except OSError as error:
            raise ScoringError(f"{error.filename or self.output}: {error.strerror or error}") from None

    def _run(self, partition: Partition, scorer: BulkScorer) -> Receipt:
        source = SourceFile(partition.source, storage_of(partition.source.path), scorer.schema, self.keep)
        results = _Results(partition.source.path, self.model.version, self.keep)
        row = partition.first_row
        for block in source.blocks(partition):
            results.add(row, block, block.readings(scorer.schema), scorer)
            row += len(block.matrix)
        receipt = results.receipt(row - partition.first_row)
        Output(self.output).write(partition, self.output_format, results.scored(), results.rejected(), receipt)
        return receipt


@dataclass(slots=True)
class _Results:
    """What became of a partition's rows."""

    source: str
    version: str
    keep: tuple[str, ...]
    blocks: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    stages: Counter[str] = field(default_factory=Counter)
    anomalies: int = 0
    problems: list[tuple[Any, ...]] = field(default_factory=list)
    rejected_rows: int = 0
    counts: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    failure: str | None = None

    def add(self, first_row: int, block: Block, readings: Readings, scorer: BulkScorer) -> None:
        """A block's rows, scored or rejected."""
        for place, rejected in readings.rejected.items():
            about = (first_row + place, *(block.kept[name][place] for name in self.keep))
            self.problems += [(*about, problem.feature, problem.code, problem.message) for problem in rejected.problems]
            self.counts.update({(problem.feature, problem.code) for problem in rejected.problems})
        self.rejected_rows += len(readings.rejected)
        if len(readings.rows):
            scores, stage, failures = scorer.answer(readings.rows)
            self.failure = self.failure or (str(failures[0]) if failures else None)
            places = np.array(readings.positions, dtype=np.int64)
            kept = {name: block.kept[name][places] for name in self.keep}
            self.blocks.append(_scored(first_row + places, kept, scores, stage.threshold, stage.name))
            self.stages[stage.name] += len(places)
            self.anomalies += int(np.count_nonzero(self.blocks[-1]["is_anomaly"]))

    def scored(self) -> Table:
        """A line per scored row; the names are those of the service's replies."""
        nothing = np.empty(0, dtype=np.int64), dict.fromkeys(self.keep, as_objects([])), np.empty(0)
        blocks = [_scored(*nothing, 0.0, ""), *self.blocks]  # a partition without any has the same columns
        columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        return {"source": self.source, **columns, "model_version": self.version}

    def rejected(self) -> Table:
        """A line per problem."""
        rows, *texts = zip(*self.problems, strict=True) if self.problems else ((),) * (len(self.keep) + 4)
        names = (*self.keep, "feature", "code", "reason")
        columns = {name: as_objects(column) for name, column in zip(names, texts, strict=True)}
        return {"source": self.source, "row": np.array(rows, dtype=np.int64), **columns}

    def receipt(self, rows: int) -> Receipt:
        """Counts of all that was added."""
        problems = [(feature, code, count) for (feature, code), count in sorted(self.counts.items(), key=str)]
        return Receipt(rows, self.anomalies, dict(self.stages), self.rejected_rows, problems, self.failure)


def _scored(
    rows: NDArray[np.int64], kept: dict[str, Column], scores: Scores, threshold: float, stage: str
) -> dict[str, NDArray[Any]]:
    used = as_objects([stage] * len(rows))
    return {"row": rows, **kept, "prediction": scores, "is_anomaly": scores >= threshold, "model_used": used}
