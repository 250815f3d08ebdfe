"""A replay as a page of text, within 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from app.replay.results import Example, Replay, Side
from app.reporting.answers import moment, percent
from app.reporting.table import clean, table

_WIDTH = 96
_INDENT = " " * 4


def render_text(replay: Replay) -> str:
    """The page, without a last line break."""
    return "\n\n".join(_parts(replay))


def _parts(replay: Replay) -> Iterator[str]:
    yield "\n".join(textwrap.fill(sentence, _WIDTH) for sentence in _about(replay))
    changes, shift = replay.changes, replay.shift
    yield textwrap.fill(
        f"Decisions: {changes.changed:,} of {changes.compared:,} change ({percent(changes.share)}), "
        f"{changes.to_anomaly:,} to anomaly, {changes.to_normal:,} to normal.",
        _WIDTH,
    )
    if shift is not None:
        header = ["score shift", "mean", "absolute", *shift.percentiles, "least", "most"]
        figures = [shift.mean, shift.mean_absolute, *shift.percentiles.values(), shift.least, shift.most]
        yield table(header, [["candidate - active", *(f"{round(figure, 4) + 0.0:.4f}" for figure in figures)]])
    yield _sides(replay)
    if changes.examples:
        examples = [_example(example, example.candidate >= replay.candidate.threshold) for example in changes.examples]
        yield "Examples, largest shifts first:\n" + "\n".join(examples)


def _about(replay: Replay) -> Iterator[str]:
    traffic = replay.traffic
    span = f", {moment(traffic.first)} to {moment(traffic.last)} UTC" if traffic.first and traffic.last else ""
    yield (
        f"{replay.candidate.version} beside the active {replay.active.version}: {traffic.rows:,} rows{span} "
        f"({traffic.files:,} files in {clean(traffic.folder)}), {traffic.labelled:,} of them with feedback."
    )
    if traffic.answered_otherwise:
        others = traffic.answered_otherwise
        named = ", ".join(f"{clean(other.stage)} of {clean(other.version or '-')} {other.rows:,}" for other in others)
        count = sum(other.rows for other in others)
        yield f"{count:,} of the rows were answered otherwise at the time ({named}); both versions score all rows now."
    if traffic.other_features:
        yield f"{traffic.other_features:,} rows of another contract were left out."
    if traffic.unreadable_lines:
        yield f"{traffic.unreadable_lines:,} lines are torn or not the service's."
    for file in traffic.unreadable_files:
        yield f"{clean(file.file)} could not be read to its end: {clean(file.problem)}."
    for side in (replay.active, replay.candidate):
        if side.failed:
            yield f"{side.version} gave {side.failed:,} rows no score: {clean(side.failure)}."


def _sides(replay: Replay) -> str:
    header = [
        "", "threshold", "anomalies", "accuracy", "precision", "recall", "one row", "row in batch",
        f"{replay.largest_batch_rows:,} rows",
    ]  # fmt: skip
    return table(header, [_side("active", replay.active), _side("candidate", replay.candidate)])


def _side(name: str, side: Side) -> list[str]:
    latency, quality = side.latency, side.quality
    times = ["-"] * 3
    if latency is not None:
        times = [
            f"{latency.one_row_us:,.1f} us", f"{latency.row_in_batch_us:,.2f} us", f"{latency.largest_batch_ms:,.1f} ms"
        ]  # fmt: skip
    figures = map(percent, (quality.accuracy, quality.precision, quality.recall))
    return [name, f"{side.threshold:.4g}", f"{side.anomalies:,}", *figures, *times]


def _example(example: Example, to_anomaly: bool) -> str:
    change = "normal -> anomaly" if to_anomaly else "anomaly -> normal"
    actual = "" if example.actual is None else f", really {'an anomaly' if example.actual else 'normal'}"
    head = f"  {change}, {example.active:.4f} -> {example.candidate:.4f}{actual}"
    features = ", ".join(f"{clean(name)} {value:g}" for name, value in example.features.items())
    about = f"{clean(example.prediction_id)}, request {clean(example.request_id)}: {features}"
    return head + "\n" + textwrap.fill(about, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
