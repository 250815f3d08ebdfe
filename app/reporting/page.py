"""The report as one HTML file that needs nothing beside itself, in light and dark."""

from __future__ import annotations

from html import escape

from app.reporting import plots, tables
from app.reporting.answers import answers, headline
from app.reporting.results import Report
from app.reporting.tables import Table

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; }
dt { font-weight: 600; } dd { margin: 0; }
section { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; margin: 2rem 0; }
h2 { flex-basis: 100%; font-size: 1.1rem; margin: 0; }
figure { flex: 1 1 30rem; margin: 0; max-width: 44rem; } svg { width: 100%; height: auto; }
.table { flex: 1 1 24rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { padding: .15rem .7rem .15rem 0; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
.word { text-align: left; }
"""


def render_page(report: Report) -> str:
    """The whole document."""
    head = escape(headline(report))
    facts = "".join(f"<dt>{topic}</dt><dd>{escape(sentence)}</dd>" for topic, sentence in answers(report))
    sections = [
        _section("What became of the predictions", plots.stages(report), tables.stages_timeline(report)),
        _section("Latency", plots.latency(report), tables.latency_timeline(report)),
        _section("Accuracy", plots.quality(report), tables.quality_timeline(report)),
        _section("Drift of the inputs", plots.drift(report), tables.drift(report)),
        _section("In figures", "", tables.outcomes(report), tables.failures(report), tables.rejections(report),
                 tables.quality(report)),
    ]  # fmt: skip
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Report of the audit</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Report of the audit</h1>
<p>{head}</p>
<dl>{facts}</dl>
{"".join(sections)}
</body>
</html>
"""


def _section(title: str, plot: str, *made: Table) -> str:
    filled = [table for table in made if table.rows]
    if not filled:
        return ""
    figure = f"<figure>{plot}</figure>" if plot else ""
    return f"<section><h2>{title}</h2>{figure}{''.join(map(_table, filled))}</section>\n"


def _table(table: Table) -> str:
    head = "".join(_cell("th", word, place < table.left) for place, word in enumerate(table.header))
    body = "".join(
        "<tr>" + "".join(_cell("td", word, place < table.left) for place, word in enumerate(row)) + "</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="table"><table><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(tag: str, word: str, is_word: bool) -> str:
    kind = ' class="word"' if is_word else ""
    return f"<{tag}{kind}>{escape(word)}</{tag}>"
