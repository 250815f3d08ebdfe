"""The tables that `make bench-peers` prints and writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peer_report import BEGIN, END, Absence, Report, Run, markdown, ratios, write
from benchmarks.peer_servers import OWN


def run(server: str, number: int, requests_per_s: float, failures: int = 0) -> Run:
    return Run("trees", server, number, requests_per_s, 2.0, 4.0, 100.0, 200.0, 1.0, failures, out_of_range=422)


@pytest.fixture
def report() -> Report:
    """A machine that is half as quick in its second round; one peer got lost on the way, one never came."""
    return Report(
        "Some machine.",
        {"fastapi": "1.2.3", "kserve": "4.5.6"},
        [
            run(OWN, 1, 8000), run("fastapi", 1, 1000), run("kserve", 1, 500, failures=3),
            run(OWN, 2, 4000), run("fastapi", 2, 400),
        ],
        [Absence("trees", "mlflow", 1, "is not installed"), Absence("trees", "kserve", 2, "did not start:\na | b\nc")],
    )  # fmt: skip


def row(report: Report, title: str) -> list[str]:
    """The cells of the one line that begins with `title`."""
    (line,) = (line for line in markdown(report).splitlines() if line.startswith(f"| {title}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_are_taken_within_a_round(report: Report) -> None:
    """8,000 over 1,000 and 4,000 over 400: the machine's drift is not in them."""
    assert ratios(report, "trees", "fastapi") == [8.0, 10.0]


def test_a_figure_is_the_median_with_the_least_and_the_most(report: Report) -> None:
    """The spread tells how far to trust the middle."""
    assert row(report, "FastAPI 1.2.3")[1:3] == ["700 (400-1,000)", "9.0 (8.0-10.0)"]


def test_a_server_that_got_lost_keeps_its_rounds_and_gets_its_reason(report: Report) -> None:
    """Half the data is shown as what it is, in one cell that cannot break the table."""
    cells = row(report, "KServe 4.5.6")
    assert cells[0] == "KServe 4.5.6 (left out from round 2: did not start: c)"
    assert cells[1:3] == ["500", "16.0"]
    assert cells[-2:] == ["3", "422"]


def test_a_server_that_never_came_is_named(report: Report) -> None:
    """A missing row would look like a peer that was never asked."""
    assert row(report, "MLflow") == ["MLflow (left out from round 1: is not installed)", *["-"] * 9]


def test_without_this_service_there_are_figures_but_no_ratios(report: Report) -> None:
    """Then the rounds have nothing to compare with."""
    alone = Report("", {}, [entry for entry in report.runs if entry.server != OWN], [])
    assert row(alone, "FastAPI")[1:3] == ["700 (400-1,000)", "-"]


def test_writing_again_replaces_what_was_written(report: Report, tmp_path: Path) -> None:
    """Only the text between the markers changes, and the same report gives the same files."""
    readme, plot = tmp_path / "README.md", tmp_path / "peers.svg"
    readme.write_text(f"before\n{BEGIN}\nformer\n{END}\nafter\n")
    write(report, readme, plot)
    first = readme.read_text(), plot.read_bytes()
    assert first[0].startswith(f"before\n{BEGIN}\n\nSome machine.\n")
    assert first[0].endswith(f"(peers.svg)\n\n{END}\nafter\n")
    assert "former" not in first[0]
    write(report, readme, plot)
    assert (readme.read_text(), plot.read_bytes()) == first


def test_a_readme_without_the_markers_is_left_alone(report: Report, tmp_path: Path) -> None:
    """Nothing is guessed about where the tables belong."""
    readme = tmp_path / "README.md"
    readme.write_text("mine")
    with pytest.raises(ValueError, match="no text between"):
        write(report, readme, tmp_path / "peers.svg")
    assert readme.read_text() == "mine"
