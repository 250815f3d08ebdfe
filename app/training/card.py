"""The model card and its plots: what a person should know before trusting a version."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from app.model.manifest import Training, current_environment
from app.model.stages import BASELINE, FALLBACK, MODEL_STAGES, PRIMARY
from app.training.evaluate import Evaluation
from app.training.fit import HELD_OUT_SHARE, TREES, VALIDATION_SHARE, WARM_UP_DAYS

CALIBRATION_FILE = "calibration.png"
PRECISION_RECALL_FILE = "precision_recall.png"
CARD_FILE = "MODEL_CARD.md"

_TITLES = {PRIMARY: "primary (boosted trees)", FALLBACK: "fallback (logistic regression)", BASELINE: "z-score rule"}
_SHARES = {
    "accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1",
    "pr_auc": "area under precision-recall curve",
}  # fmt: skip
_COUNTS = {
    "true_positives": "anomalies found", "false_negatives": "anomalies missed",
    "false_positives": "false alarms", "true_negatives": "calm readings left alone",
}  # fmt: skip


def comparison(
    metrics: Mapping[str, Mapping[str, float]], agreement: Mapping[str, float]
) -> tuple[list[str], list[list[str]]]:
    """The stages side by side as text: (header, rows), one column a stage."""
    header = ["held-out readings", *(_TITLES[name] for name in metrics)]
    rows = [[title, *(f"{stage[key]:.4f}" for stage in metrics.values())] for key, title in _SHARES.items()]
    rows += [[title, *(f"{stage[key]:,.0f}" for stage in metrics.values())] for key, title in _COUNTS.items()]
    rows.append(["decides as the primary", *(f"{agreement.get(name, 1.0):.2%}" for name in metrics)])
    return header, rows


def card_files(
    evaluation: Evaluation, thresholds: Mapping[str, float], training: Training, label_note: str
) -> dict[str, bytes]:
    """The card and its two plots by file name. The same arguments give the same bytes."""
    return {
        CARD_FILE: _card(evaluation, thresholds, training, label_note).encode(),
        CALIBRATION_FILE: _calibration_plot(evaluation),
        PRECISION_RECALL_FILE: _precision_recall_plot(evaluation, thresholds),
    }


def _card(evaluation: Evaluation, thresholds: Mapping[str, float], training: Training, label_note: str) -> str:
    header, rows = comparison(evaluation.metrics, evaluation.agreement)
    environment = ", ".join(f"{name} {version}" for name, version in current_environment().items())
    table = [header, ["---", *("---:" for _ in header[1:])], *rows]
    limits = ", ".join(f"{name} {value:g}" for name, value in thresholds.items())
    return f"""# Model card

## What

Scores one reading of a business metric: the probability that it is an anomaly, from 12 features that describe the
reading and its past. Metrics of any size share one model, since it sees ratios only; region and product are not
looked at.

- primary: {TREES} gradient-boosted trees
- fallback: a logistic regression on the same ratios, used when the primary fails
- a score of at least the stage's threshold is called an anomaly: {limits}

## Data

{training.data}

{label_note}

SHA-256 of the table: `{training.data_digest}`

## How it was trained

```
{training.command}
```

Environment: {environment}.

Fitted on {training.rows:,} readings. The first {WARM_UP_DAYS} days are left out, since they have no past to be compared
with. The split is by time: the last {HELD_OUT_SHARE:.0%} of the span were held out, and only the table below has seen
them; the last {VALIDATION_SHARE:.0%} of the rest chose the thresholds (highest F1), after which both stages were fitted
again on all of it. Every feature uses its own reading and earlier ones only.

## What it is worth

{chr(10).join("| " + " | ".join(line) + " |" for line in table)}

The z-score rule is `abs(metric_value - moving_average_7d) / (volatility_7d + 1) > 3`: it needs no model, and answers
when both models fail.

![Calibration]({CALIBRATION_FILE})
![Precision and recall]({PRECISION_RECALL_FILE})

## Limits

- Figures hold for data like the above. Retrain on your own history: `flask train --data metrics.csv`.
- A series needs about {WARM_UP_DAYS} days of history before its features mean what they meant in training.
- After a lasting change of level, readings look unusual until the 7-day average has followed.
- A slow drift is no anomaly to this model: each reading is compared with the weeks just before it.
- Features must be computed as in training: `flask features` does.
"""


def _calibration_plot(evaluation: Evaluation) -> bytes:
    figure, axes = _figure("Calibration on held-out readings", "mean score", "share of anomalies")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="ideal")
    for name in MODEL_STAGES:
        scores = evaluation.scores[name]
        bins = np.minimum((scores * 10).astype(np.int64), 9)
        count = np.bincount(bins, minlength=10)
        filled = count > 0
        mean_score = np.bincount(bins, weights=scores, minlength=10)[filled] / count[filled]
        share = np.bincount(bins, weights=evaluation.labels, minlength=10)[filled] / count[filled]
        axes.plot(mean_score, share, marker="o", markersize=4, label=name)
    return _png(figure, axes)


def _precision_recall_plot(evaluation: Evaluation, thresholds: Mapping[str, float]) -> bytes:
    figure, axes = _figure("Precision and recall on held-out readings", "recall", "precision")
    for name in MODEL_STAGES:
        precision, recall, _ = precision_recall_curve(evaluation.labels, evaluation.scores[name])
        axes.plot(recall, precision, linewidth=1.2, label=f"{name} (dot: threshold {thresholds[name]:g})")
        stage = evaluation.metrics[name]
        axes.plot(stage["recall"], stage["precision"], "o", color=axes.lines[-1].get_color())
    rule = evaluation.metrics[BASELINE]
    axes.plot(rule["recall"], rule["precision"], "s", color="0.4", label="z-score rule")
    return _png(figure, axes)


def _figure(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 4), dpi=100, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x_label, ylabel=y_label, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(color="0.9", linewidth=0.6)
    return figure, axes


def _png(figure: Figure, axes: Axes) -> bytes:
    axes.legend(loc="best", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
