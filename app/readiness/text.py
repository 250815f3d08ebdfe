"""An audit as lines for a terminal."""

from __future__ import annotations

from app.readiness.results import Finding, Readiness

_WIDTH = 20
_MARKS = {"pass": "pass", "fail": "FAIL", "not checked": "----"}


def finding_lines(finding: Finding) -> list[str]:
    """One item: what lacks first, then what was not checked, then what was seen."""
    facts = [
        *(f"lacks: {fact}" for fact in finding.lacking), *(f"not checked: {fact}" for fact in finding.unchecked),
        *finding.seen,
    ]  # fmt: skip
    head, *rest = facts or ["nothing was seen"]
    return [
        f"  {_MARKS[finding.status]}  {finding.item:{_WIDTH}}  {head}",
        *(f"  {'':4}  {'':{_WIDTH}}  {fact}" for fact in rest),
    ]


def summary_lines(readiness: Readiness) -> list[str]:
    """The score, the verdict, and what keeps it from 100."""
    counts = {status: sum(finding.status == status for finding in readiness.findings) for status in _MARKS}
    lines = [
        f"{counts['pass']} passed, {counts['fail']} failed, {counts['not checked']} not checked, of "
        f"{len(readiness.findings)}; {readiness.subject}; {readiness.at}",
        f"Production Readiness Score: {readiness.score}%",
        readiness.verdict,
    ]
    if counts["not checked"] and not readiness.drilled:
        lines.append("Drills were not asked for: --drill breaks an instance of its own, and looks.")
    return lines
