"""An audit as one HTML file that needs nothing beside itself, in light and dark."""

from __future__ import annotations

from html import escape
from itertools import groupby

from app.readiness.results import Finding, Readiness

_STYLE = """
:root { color-scheme: light dark; --good: light-dark(#1a7f37, #4ac26b); --poor: light-dark(#b42318, #ff8a80);
  --fair: light-dark(#7a5c00, #e3b341); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; margin: 0; }
article { display: grid; grid-template-columns: 7rem 1fr; gap: 0 1rem; padding: .6rem 0; border-top: 1px solid #8884; }
.status { font-weight: 600; } .pass { color: var(--good); } .fail { color: var(--poor); } .not { color: var(--fair); }
ul { margin: .2rem 0 0; padding-left: 1.1rem; overflow-wrap: anywhere; } .score { font-size: 1.6rem; font-weight: 600; }
"""


def render_page(readiness: Readiness) -> str:
    """The whole document."""
    sections = "".join(
        f"<section><h2>{escape(section)}</h2>{''.join(map(_article, findings))}</section>\n"
        for section, findings in groupby(readiness.findings, lambda finding: finding.section)
    )
    drills = "with drills" if readiness.drilled else "without drills"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Production readiness</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Production readiness</h1>
<p class="score">Production Readiness Score: {readiness.score}%</p>
<p>{escape(readiness.verdict)}</p>
<p>{escape(readiness.subject)}, {drills}, {escape(readiness.at)}</p>
{sections}</main>
</body>
</html>
"""


def _article(finding: Finding) -> str:
    facts = [
        *(f"<strong>lacks:</strong> {escape(fact)}" for fact in finding.lacking),
        *(f"<strong>not checked:</strong> {escape(fact)}" for fact in finding.unchecked),
        *map(escape, finding.seen),
    ]
    kind = finding.status.split()[0]
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return (
        f'<article><p class="status {kind}">{escape(finding.status)}</p>'
        f"<div><h3>{escape(finding.item)}</h3><ul>{items}</ul></div></article>\n"
    )
