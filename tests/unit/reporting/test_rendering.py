"""The page of text and the page of HTML: answers first, figures as they are, and nothing that a client can inject."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.reporting.answers import percent
from app.reporting.page import render_page
from app.reporting.period import Period
from app.reporting.report import build_report
from app.reporting.results import Report
from app.reporting.text import render_text
from tests.unit.reporting.crafting import VERSION, failed, feedback, rejected, served, write

EVIL = "<script>alert(1)</script>\x1b[2J\u202e"


@pytest.fixture
def report(tmp_path: Path, registry: Registry, version: str, schema: FeatureSchema) -> Report:
    """A bad night: from 7 to 9 the fallback answers, half of it wrong; from 18 on much fails; a client is evil."""
    lines: list[dict[str, Any]] = []
    for hour in range(20):
        bad = hour in (7, 8)
        for number in range(60):
            unique = f"{hour}x{number}"
            lines.append(served(f"{hour:02}:10:00", unique, "fallback" if bad else "primary", ms=90.0 if bad else 2.0,
                                features=schema.example()))  # fmt: skip
            wrong = number % 2 if bad else number == 0
            lines.append(feedback("20:00:00", f"{VERSION}.primary.0.{unique}", int(wrong)))
        lines += [failed(f"{hour:02}:30:00", ms=3.0, features=schema.example())] * (40 if hour >= 18 else 0)
    lines += [rejected("03:00:00", (EVIL, "unexpected")), rejected("03:00:01", ("lag_1", "nan"))]
    write(tmp_path / "audit", lines, torn=b"{")
    return build_report(tmp_path / "audit", Period(), registry)


@pytest.fixture
def empty(tmp_path: Path, registry: Registry) -> Report:
    (tmp_path / "nothing").mkdir()
    return build_report(tmp_path / "nothing", Period(), registry)


def test_the_first_lines_answer_the_questions(report: Report, version: str) -> None:
    """With figures and hours."""
    _, answers, *_ = render_text(report).split("\n\n")
    text = " ".join(answers.split())
    assert "Failed 80 of 1,282 predictions (6.24 %) failed: All prediction methods failed (80)." in text
    assert "Worst from 2026-11-20 18:00 to 20:00: 40.00 %; 0.00 % otherwise." in text
    assert "Rejected 2 of 1,282 rows (0.16 %) were refused for their input, mostly" in text
    assert "Accuracy 93.50 % of 1,200 predictions with feedback were right (precision -, recall 0.00 %)." in text
    assert "It dropped to 50.00 % from 2026-11-20 07:00 to 09:00; 98.33 % otherwise." in text
    assert "Latency p50 2 ms, p90 3 ms, p99 90 ms, longest 90 ms." in text
    assert "Degraded 120 of 1,200 answers (10.00 %) were degraded: fallback 10.00 %." in text
    assert f"Drift {len(report.drift.features)} of 12 inputs drift from the training of {version}: " in text
    assert "Unread 1 lines are torn or not the service's." in text


def test_the_slowest_hour_is_named_where_it_stands_out(tmp_path: Path, registry: Registry) -> None:
    """Where all are alike there is none."""
    lines = [served("01:00:00", ms=1.0)] * 500 + [served("15:00:00", ms=250.0)] * 2
    write(tmp_path, lines)
    text = " ".join(render_text(build_report(tmp_path, Period(), registry)).split())
    assert "longest 250 ms. Slowest from 2026-11-20 15:00 to 16:00: p99 250 ms." in text


def test_the_text_fits_a_terminal_and_cannot_command_it(report: Report) -> None:
    """100 columns; a client's own words are shown, not obeyed."""
    text = render_text(report)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>\\x1b[2J\\u202e unexpected" in text


def test_every_table_has_its_figures(report: Report) -> None:
    """The worst hour, line by line."""
    text = render_text(report)
    assert re.search(r"^11-20 07:00 +60 +0.00 % +0.00 % +100.00 % +90 ms +90 ms +90 ms +50.00 %$", text, re.MULTILINE)
    assert re.search(rf"^served +fallback +{VERSION} +120 +9.36 %$", text, re.MULTILINE)
    assert re.search(r"^All prediction methods failed +80$", text, re.MULTILINE)


def test_nothing_is_a_page_too(empty: Report) -> None:
    """No figure is made up."""
    text = render_text(empty)
    assert text.startswith("0 predictions, the whole audit (0 lines of 0 files in ")
    assert "None of 0 predictions failed." in text
    assert "Unknown: no feedback was received." in text
    assert "<svg" not in render_page(empty)


@pytest.mark.parametrize(
    ("part", "expected"),
    [(None, "-"), (0.0, "0.00 %"), (0.00001, "<0.01 %"), (0.5, "50.00 %"), (0.99999, ">99.99 %"), (1.0, "100.00 %")],
)
def test_what_is_more_than_nothing_never_reads_as_nothing(part: float | None, expected: str) -> None:
    """Nor what is less than all as all."""
    assert percent(part) == expected


class Page(HTMLParser):
    """Checks that elements nest, and collects what a browser would fetch."""

    VOID = frozenset({"meta", "br", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_refers_to_nothing_outside(report: Report) -> None:
    """One file: no host, no script, ids used once, references only within the page."""
    page = render_page(report)
    parsed = Page(page)
    assert parsed.open == []
    assert "http" not in page
    assert {link[0] for link in parsed.links} <= {"#"}
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert "script" not in parsed.tags
    assert "&lt;script&gt;" in page


def test_the_page_has_its_plots_in_the_pages_own_colour(report: Report) -> None:
    """So that they are read in the dark as well; each one is sound XML, with a table beside it."""
    page = render_page(report)
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 4
    for plot in plots:
        ElementTree.fromstring(plot)  # noqa: S314 - our own
        assert "currentColor" in plot
        assert "#010203" not in plot
    assert page.count("<table>") >= 4
    assert "color-scheme: light dark" in page


def test_the_same_report_is_the_same_page(report: Report) -> None:
    """No dates of its making, no random ids."""
    assert render_page(report) == render_page(report)
