"""What `make bench-peers` measured, as Markdown tables, as a plot, and in benchmarks/README.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peer_models import TITLES
from benchmarks.peer_servers import OWN, SERVERS

BEGIN, END = "<!-- peers: written by benchmarks/peers.py --write -->", "<!-- /peers -->"


@dataclass(frozen=True, slots=True)
class Run:
    """One server with one model, from its start to its stop, in one round."""

    model: str
    server: str
    round: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """User and system time of all its processes per request."""
    pss_mb: float
    """Memory of all its processes after the load, shared pages counted once."""
    cold_start_s: float
    failures: int
    out_of_range: int
    """HTTP status of the answer to a row that breaks the contract."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A server that was left out from some round on, and why."""

    model: str
    server: str
    round: int
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of one execution."""

    setting: str
    """Machine, versions, date, rounds: one paragraph."""
    versions: dict[str, str]
    runs: list[Run]
    absences: list[Absence]

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(entry.model for entry in self._entries))

    @property
    def servers(self) -> list[str]:
        return list(dict.fromkeys(entry.server for entry in self._entries))

    @property
    def _entries(self) -> list[Run | Absence]:
        """Without a server's place in a round lost to its absence: the order is that of the rounds."""
        return [*self.runs, *self.absences]

    def of(self, model: str, server: str) -> list[Run]:
        """The runs of a server with a model, by round."""
        return [run for run in self.runs if (run.model, run.server) == (model, server)]


COLUMNS: dict[str, tuple[Callable[[Run], float], str]] = {
    "req/s": (lambda run: run.requests_per_s, ",.0f"),
    "p50 ms": (lambda run: run.p50_ms, ".3g"),
    "p99 ms": (lambda run: run.p99_ms, ".3g"),
    "CPU us/request": (lambda run: run.cpu_us, ",.0f"),
    "PSS MB": (lambda run: run.pss_mb, ",.0f"),
    "cold start s": (lambda run: run.cold_start_s, ".2f"),
}


def markdown(report: Report) -> str:
    """A table per model; each figure is the median of the rounds and, in brackets, the least and the most."""
    return "\n\n".join([report.setting, *(_table(report, model) for model in report.models)])


def ratios(report: Report, model: str, server: str) -> list[float]:
    """How many times the requests per second of the server this service did, in each round that has both."""
    own = {run.round: run.requests_per_s for run in report.of(model, OWN)}
    return [own[run.round] / run.requests_per_s for run in report.of(model, server) if run.round in own]


def _table(report: Report, model: str) -> str:
    header = ["server", "req/s", "times slower", *list(COLUMNS)[1:], "failures", "row out of range"]
    lines = [f"**{TITLES[model]}**", "", f"| {' | '.join(header)} |", f"|---{'|---:' * (len(header) - 1)}|"]
    for server in report.servers:
        why = [f"round {entry.round}: {entry.why}" for entry in report.absences
               if (entry.model, entry.server) == (model, server)]  # fmt: skip
        title = f"{SERVERS[server].title} {report.versions.get(server, '')}".strip()
        runs = report.of(model, server)
        cells = _cells(report, model, server, runs) if runs else ["-"] * (len(header) - 1)
        lines.append(
            f"| {' | '.join([title + ''.join(f' (left out from {_one_line(text)})' for text in why), *cells])} |"
        )
    return "\n".join(lines)


def _cells(report: Report, model: str, server: str, runs: Sequence[Run]) -> list[str]:
    figures = [_spread([value(run) for run in runs], form) for value, form in COLUMNS.values()]
    slower = _spread(ratios(report, model, server), ".1f") if server != OWN else "1"
    statuses = " ".join(str(status) for status in sorted({run.out_of_range for run in runs}))
    return [figures[0], slower, *figures[1:], str(sum(run.failures for run in runs)), statuses]


def _spread(values: Sequence[float], form: str) -> str:
    """`median (least-most)`; the median alone where there is but one value, a dash where there is none."""
    if not values:
        return "-"
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({format(min(values), form)}-{format(max(values), form)})"


def _one_line(text: str) -> str:
    """Fit for a table's cell: its last line says most of a log."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = lines[0] if len(lines) < 2 else f"{lines[0]} {lines[-1]}"
    return shown.replace("|", "/")[:200]


def write(report: Report, readme: Path, plot: Path) -> None:
    """Puts the tables between the two markers of `readme`, and the plot into the SVG file `plot`."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme}: no text between {BEGIN} and {END} to replace")
    picture = f"![Requests per second and p99 of every server]({plot.name})"
    readme.write_text(f"{before}{BEGIN}\n\n{markdown(report)}\n\n{picture}\n\n{END}{after}")
    with rc_context({"svg.hashsalt": "peers", "svg.fonttype": "none", "font.size": 9}):
        _plotted(report).savefig(plot, format="svg", metadata={"Date": None})


def _plotted(report: Report) -> Figure:
    figure = Figure(figsize=(10, 0.6 + len(report.models) * (0.7 + 0.25 * len(report.servers))), layout="constrained")
    grid = figure.subplots(len(report.models), 2, squeeze=False, sharey=True)
    for (left, right), model in zip(grid, report.models, strict=True):
        _bars(left, report, model, "req/s")
        _bars(right, report, model, "p99 ms")
        right.set_xscale("log")
        right.set_xlim(left=1)  # bars have no natural beginning on this scale
        left.set_title(TITLES[model], loc="left")
    grid[-1][0].set_xlabel("requests per second")
    grid[-1][1].set_xlabel("p99, ms (logarithmic)")
    return figure


def _bars(axes: Axes, report: Report, model: str, column: str) -> None:
    """Medians as bars, least and most as whiskers; the first server on top, one without runs has no bar."""
    value, form = COLUMNS[column]
    for place, server in enumerate(report.servers):
        values = [value(run) for run in report.of(model, server)]
        if values:
            middle = statistics.median(values)
            reach = [[middle - min(values)], [max(values) - middle]]
            axes.barh(place, middle, xerr=reach, color="tab:orange" if server == OWN else "tab:blue", ecolor="0.3")
            axes.annotate(f" {format(middle, form)}", (max(values), place), va="center")
    axes.set_yticks(range(len(report.servers)), [SERVERS[server].title.strip("*") for server in report.servers])
    axes.set_ylim(len(report.servers) - 0.5, -0.5)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
