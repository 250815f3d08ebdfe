"""The report as a page of text: answers first, then the tables behind them, within 100 columns."""

from __future__ import annotations

import textwrap

from app.reporting import tables
from app.reporting.answers import answers, headline
from app.reporting.results import Report
from app.reporting.table import table

_WIDTH = 96
_TOPIC = 10


def render_text(report: Report) -> str:
    """The page, without a last line break."""
    parts = [textwrap.fill(headline(report), _WIDTH), "\n".join(_answer(*entry) for entry in answers(report))]
    makers = (tables.timeline, tables.outcomes, tables.failures, tables.rejections, tables.quality, tables.drift)
    made = [make(report) for make in makers]
    parts += [f"{one.title}\n{table(one.header, one.rows, one.left)}" for one in made if one.rows]
    return "\n\n".join(parts)


def _answer(topic: str, sentence: str) -> str:
    return textwrap.fill(f"{topic:{_TOPIC}}{sentence}", _WIDTH, subsequent_indent=" " * _TOPIC)
