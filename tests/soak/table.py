"""The table: what was held at the start, in the middle and at the end."""

from __future__ import annotations

from pathlib import Path

from tests.measured import put_between, setting
from tests.soak.growth import noise_of
from tests.soak.samples import Sample
from tests.soak.soak import Report

BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"
_HEADER = ("| of | what | start | middle | end | change | noise |", "|---|---|--:|--:|--:|--:|--:|")


def markdown(report: Report) -> str:
    """What was sent, what was held, and what must not be."""
    sent = ", ".join(f"{count:,} x {kind}" for kind, count in report.tally.requests.most_common())
    return "\n".join(
        [
            f"{report.tally.requests.total():,} requests in {report.seconds / 60:.1f} minutes: {sent}. "
            f"{report.activated:,} activations of a good version, {report.refused:,} of one that is refused. "
            f"{report.tally.wrong:,} wrong replies, {report.tally.shed:,} requests refused because of overload.",
            "", *_HEADER, *_rows(report), "",
            *([f"- **{finding}**" for finding in report.findings] or ["Nothing has grown beyond noise."]),
        ]
    )  # fmt: skip


def csv_line(sample: Sample) -> str:
    """One sample, seconds first."""
    return ",".join([f"{sample.at_s:.0f}", *(f"{value:g}" for value in sample.figures.values())])


def csv_header(sample: Sample) -> str:
    """The names of its columns."""
    return ",".join(["seconds", *(" ".join(figure).replace(",", "") for figure in sample.figures)])


def write(report: Report, document: Path) -> None:
    """Puts machine and table between their markers."""
    put_between(BEGIN, END, f"{setting()}\n\n{markdown(report)}", document)


def _rows(report: Report) -> list[str]:
    rows = []
    for figure, last in report.end.figures.items():
        first, between = report.start.figures[figure], report.middle.figures[figure]
        digits = ".1f" if "MB" in figure[1] else "g"
        held = " | ".join(f"{value:{digits}}" for value in (first, between, last))
        noise = noise_of(figure)
        limit = "" if noise is None else f"{noise:g}"
        rows.append(f"| {figure[0]} | {figure[1]} | {held} | {last - first:+{digits}} | {limit} |")
    return rows
