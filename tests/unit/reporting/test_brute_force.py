"""The report beside a plain count in Python over the same random lines, old and new, torn and whole."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.reporting.period import Period
from app.reporting.report import build_report
from tests.unit.reporting.crafting import VERSION, Line, batch, failed, feedback, rejected, served, write

STAGES = ("primary", "fallback", "baseline")
CAUSES = ("All prediction methods failed", "The prediction could not be recorded")


def random_lines(dice: random.Random, schema: FeatureSchema, count: int) -> list[Line]:
    """Everything the service writes, in any order; some feedback is on predictions that never were."""
    rows = iter(schema.sample(8 * count, seed=dice.randrange(1000)).tolist())
    ids = [f"{VERSION}.primary.0.never"]
    lines: list[Line] = []

    def features() -> dict[str, float]:
        return dict(zip(schema.names, next(rows), strict=True))

    for number in range(count):
        at = f"{dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}"
        stage, ms = dice.choice(STAGES), round(dice.lognormvariate(0, 1), 3)
        kind = dice.randrange(7)
        if kind == 0:
            made = served(at, f"u{number}", stage, anomaly=dice.randrange(2), ms=ms, features=features())
            lines.append(made)
            ids.append(made["prediction_id"])
        elif kind == 1:  # a batch as it was written before: one line a row
            for row in range(dice.randrange(1, 4)):
                made = served(at, f"o{number}r{row}", stage, ms=ms, features=features(), row=row)
                lines.append(made)
                ids.append(made["prediction_id"])
        elif kind == 2:
            decisions = [dice.randrange(2) for _ in range(dice.randrange(1, 5))]
            positions = sorted(dice.sample(range(8), len(decisions)))
            columns = [features() for _ in decisions]
            more = {"positions": positions} if dice.randrange(2) else {}
            lines.append(batch(at, f"b{number}", decisions, stage, ms=ms, **more,
                               features={name: [row[name] for row in columns] for name in schema.names}))  # fmt: skip
            for place, decision in zip(more.get("positions", range(len(decisions))), decisions, strict=True):
                ids.append(f"{VERSION}.{stage}.{decision}.b{number}-{place}")
        elif kind == 3:
            names = dice.sample(schema.names, dice.randrange(3))
            lines.append(rejected(at, *((name, dice.choice(("nan", "missing"))) for name in names)))
        elif kind == 4:
            lines.append(failed(at, dice.choice(CAUSES), ms=ms, features=features()))
        else:
            lines.append(feedback(at, dice.choice(ids), dice.randrange(2)))
    return [*lines, feedback("12:00:00", ids[0], 1)]


class Count:
    """What the lines say, row by row, without any database."""

    def __init__(self, lines: list[Line]) -> None:
        self.outcomes: Counter[tuple[str, str, str | None]] = Counter()
        self.problems: Counter[tuple[str | None, str | None]] = Counter()
        self.causes: Counter[str] = Counter()
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self.hours: dict[str, Counter[str]] = defaultdict(Counter)
        self.made: dict[str, str] = {}
        self.values: dict[str, list[float]] = defaultdict(list)
        for entry in lines:
            if entry["event"] != "feedback.received":
                self._add(entry)
        self.right: dict[str | None, list[bool]] = defaultdict(list)
        self.by_stage: Counter[tuple[str, int, int]] = Counter()
        for entry in lines:
            if entry["event"] == "feedback.received":
                hour = self.made.get(entry["prediction_id"])
                self.right[hour].append(entry["predicted"] == entry["actual"])
                self.by_stage[entry["model_used"], entry["predicted"], entry["actual"]] += 1

    def _add(self, entry: Line) -> None:
        hour, (kind, outcome) = entry["timestamp"][11:13], entry["event"].split(".")
        rows = entry["count"] if kind == "batch" else 1
        stage = entry["model_used"]
        self.outcomes[outcome, stage, entry["model_version"]] += rows
        self.hours[hour]["rows"] += rows
        self.hours[hour][stage if outcome == "served" else outcome] += rows
        if outcome == "rejected":
            self.problems.update([(p["feature"], p["code"]) for p in entry.get("errors", [])] or [(None, None)])
            return
        if outcome == "failed":
            self.causes[entry["error"]] += rows
        if entry.get("row", 0) == 0:
            self.latencies[hour].append(entry["latency_ms"])
            self.latencies["all"].append(entry["latency_ms"])
        for name, value in entry["features"].items():
            self.values[name] += value if kind == "batch" else [value]
        if kind == "batch":
            for k, position in enumerate(entry.get("positions", range(rows))):
                self.made[f"{VERSION}.{stage}.{int(entry['is_anomaly'][k])}.{entry['batch_id']}-{position}"] = hour
        elif outcome == "served":
            self.made[entry["prediction_id"]] = hour


def nearest_ranks(values: list[float]) -> tuple[int, float, float, float, float]:
    ordered = sorted(values)
    at = [ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.9, 0.99)]
    return len(ordered), at[0], at[1], at[2], ordered[-1]


def figures(latency: Any) -> tuple[int, float, float, float, float]:
    return latency.requests, latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms


@pytest.mark.parametrize("seed", range(6))
def test_every_figure_is_that_of_a_plain_count(
    seed: int, tmp_path: Path, registry: Registry, version: str, schema: FeatureSchema
) -> None:
    """Over three files, one packed, each with a torn last line."""
    dice = random.Random(seed)  # noqa: S311 - the same lines for a seed
    lines = random_lines(dice, schema, count=400)
    dice.shuffle(lines)
    names = ("predictions-20261120-7.jsonl", "predictions-20261120-7-1.jsonl.gz", "predictions-20261121-9.jsonl")
    for place, name in enumerate(names):
        write(tmp_path / "audit", lines[place::3], name, torn=json.dumps(lines[0]).encode()[: dice.randrange(1, 100)])
    count = Count(lines)

    found = build_report(tmp_path / "audit", Period(), registry)

    assert found.coverage.unreadable_lines == 3
    assert found.coverage.lines == len(lines)
    assert {(o.outcome, o.stage, o.version): o.rows for o in found.outcomes} == dict(count.outcomes)
    assert {(r.feature, r.code): r.problems for r in found.rejections} == dict(count.problems)
    assert {f.error: f.rows for f in found.failures} == dict(count.causes)
    assert figures(found.latency) == nearest_ranks(count.latencies["all"])
    assert found.period.bucket_s == 3600
    for bucket in found.timeline:
        hour = f"{bucket.start:%H}"
        for name in ("rows", *STAGES, "rejected", "failed"):
            assert getattr(bucket, name) == count.hours[hour][name]
        if bucket.latency.requests:
            assert figures(bucket.latency) == nearest_ranks(count.latencies[hour])
        assert (bucket.quality.feedback, bucket.quality.accuracy or 0) == (
            len(count.right[hour]), sum(count.right[hour]) / max(1, len(count.right[hour])),
        )  # fmt: skip
    assert found.quality.feedback - found.feedback_placed == len(count.right[None]) > 0
    for part in found.quality_by_stage:
        q = part.quality
        assert (q.true_positives, q.false_positives, q.false_negatives, q.true_negatives) == tuple(
            count.by_stage[part.stage, predicted, actual] for predicted, actual in ((1, 1), (1, 0), (0, 1), (0, 0))
        )
    reference = registry.manifest(version).reference
    for drift in found.drift.features:
        bins = np.searchsorted(reference[drift.feature].edges[1:-1], count.values[drift.feature], side="right")
        counts = np.bincount(bins, minlength=len(drift.reference))
        assert drift.rows == len(bins) > 0
        assert drift.live == (counts / len(bins)).tolist()
