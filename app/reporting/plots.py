"""The page's plots as SVG that takes its text colour from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from app.reporting.results import Report
from app.telemetry.drift import DRIFTED_FROM, MOVING_FROM

_INK = "#010203"
"""Stands for the page's own text colour: matplotlib knows no `currentColor`."""
_COLOURS = {
    "primary": "#3b82c4", "fallback": "#e0a030", "baseline": "#c86a1e", "rejected": "#8a8a8a", "failed": "#d03a3a",
}  # fmt: skip
_STYLE: dict[str, object] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": _INK, "axes.edgecolor": _INK,
    "axes.labelcolor": _INK, "xtick.color": _INK, "ytick.color": _INK, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False,
    "text.parse_math": False,
}  # fmt: skip


def stages(report: Report) -> str:
    """Shares of the rows over time, by the stage that answered or the reason why none did."""

    def draw(axes: Axes) -> None:
        starts, width_days = [bucket.start for bucket in report.timeline], report.period.bucket_s / 86_400
        floor = [0.0] * len(starts)
        for name, colour in _COLOURS.items():
            shares = [getattr(b, name) / b.rows * 100 if b.rows else 0.0 for b in report.timeline]
            axes.bar(starts, shares, width_days, floor, align="edge", color=colour, label=name)  # type: ignore[arg-type]
            floor = [low + share for low, share in zip(floor, shares, strict=True)]
        axes.set(ylabel="% of rows", ylim=(0, 100))

    return _svg("stages", draw) if report.timeline else ""


def latency(report: Report) -> str:
    """Percentiles over time, on a logarithmic scale."""
    figures = {"p50_ms": "p50", "p90_ms": "p90", "p99_ms": "p99", "max_ms": "longest"}
    series = {label: [getattr(b.latency, name) for b in report.timeline] for name, label in figures.items()}

    def draw(axes: Axes) -> None:
        _lines(axes, report, series)
        axes.set(ylabel="ms", yscale="log")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")

    return _svg("latency", draw) if report.latency.requests else ""


def quality(report: Report) -> str:
    """Accuracy, precision and recall of the predictions made in each bucket."""
    series = {name: [getattr(b.quality, name) for b in report.timeline] for name in ("accuracy", "precision", "recall")}

    def draw(axes: Axes) -> None:
        _lines(axes, report, series)
        axes.set(ylim=(-0.02, 1.02))

    return _svg("quality", draw) if report.feedback_placed else ""


def drift(report: Report) -> str:
    """PSI by feature, with the limits of moderate and large drift."""
    known = [entry for entry in reversed(report.drift.features) if entry.psi is not None]

    def draw(axes: Axes) -> None:
        axes.barh([entry.feature for entry in known], [entry.psi or 0.0 for entry in known], color=_COLOURS["primary"])
        for limit in (MOVING_FROM, DRIFTED_FROM):
            axes.axvline(limit, color=_COLOURS["failed"], linestyle=":", linewidth=1)
        axes.set(xlabel=f"PSI (dotted: moderate from {MOVING_FROM}, large from {DRIFTED_FROM})")

    return _svg("drift", draw, legend=False) if known else ""


def _lines(axes: Axes, report: Report, series: Mapping[str, Sequence[float | None]]) -> None:
    starts = [bucket.start for bucket in report.timeline]
    for label, values in series.items():
        heights = [float("nan") if value is None else value for value in values]
        axes.plot(starts, heights, marker="o", markersize=3, linewidth=1.2, label=label)  # type: ignore[arg-type]


def _svg(name: str, draw: Callable[[Axes], None], *, legend: bool = True) -> str:
    style: Any = {**_STYLE, "svg.hashsalt": name}  # the same plot has the same ids every time
    with mpl.rc_context(style):
        figure = Figure(figsize=(7, 3.2), layout="tight")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        axes.tick_params(axis="x", labelrotation=20)
        axes.grid(color="#8888", linewidth=0.4)
        axes.set_axisbelow(True)
        if legend:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, fontsize=8)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML header, which names a document type on another host
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows them
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg.replace("xlink:href", "href"))  # once on a page
    return svg.replace(_INK, "currentColor").replace("<svg", f'<svg role="img" aria-label="{name}"', 1)
