"""`flask report`: what the audit files say about a period."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from app.commands.output import as_json, print_json, reported, write_page
from app.contract.schema import FeatureSchema
from app.errors import ReportError
from app.model.registry import Registry

if TYPE_CHECKING:
    from app.reporting.period import Period
    from app.reporting.sql import Answer

# app.reporting is imported inside the functions: every `flask` command imports this module, and DuckDB is large.

_ROWS_SHOWN = 1000

_EPILOG = """\b
Views for --sql (DuckDB's dialect; times are UTC; a feature is features.NAME):
  audit      one row per prediction, those of batches too: timestamp, outcome
             (served, rejected, failed), event, request_id, trace_id,
             prediction_id, batch_id, position, model_used, model_version,
             prediction, is_anomaly, latency_ms, warning, error, errors,
             features, pid
  requests   one row per request: timestamp, outcome, event, request_id,
             trace_id, batch_id, model_used, model_version, rows, latency_ms,
             warning, error, pid
  feedback   timestamp, request_id, prediction_id, model_used, model_version,
             predicted, actual

\b
flask report --since 24h
flask report --since 2026-11-20 --until 2026-11-21 --html report.html
flask report --since 7d --sql "SELECT model_used, count(*) FROM audit GROUP BY ALL"
"""


def report_command(schema: FeatureSchema, registry: Registry, audit_dir: Path | None) -> click.Command:
    """`flask report` on the files in `audit_dir`."""

    @click.command("report", short_help="Failures, accuracy, latency, degradation and drift, from the audit.",
                   epilog=_EPILOG)  # fmt: skip
    @click.option("--since", help="90m, 24h, 7d, 2026-11-20 or 2026-11-20T14:30 (UTC). Default: the oldest line.")
    @click.option(
        "--until", help="The same; the moment itself does not belong to the period. Default: the newest line."
    )
    @click.option(
        "--audit",
        type=click.Path(path_type=Path),
        help="Folder of the audit files, or of replicas' such folders (default: AUDIT_DIR).",
    )
    @click.option("--html", type=click.Path(), help="Write one self-contained page there instead; - is stdout.")
    @click.option("--sql", help="Ask a question of your own: one SELECT over the views below.")
    @as_json
    @reported
    def report(
        since: str | None, until: str | None, audit: Path | None, html: str | None, sql: str | None, json: bool
    ) -> None:
        """Answer from the audit files: how many predictions failed and why, when did accuracy drop, how slow was it,
        what share is degraded, which inputs drift.

        Files may be rotated and packed with gzip. Lines that cannot be read are counted and named.
        """
        folder = audit_folder(audit, audit_dir)
        if html is not None and (json or sql is not None):
            raise click.UsageError("--html goes with neither --json nor --sql")
        period = period_of(since, until)
        if sql is not None:
            _query(sql, folder, period, schema, json)
        else:
            _report(folder, period, registry, html, json)

    return report


def audit_folder(named: Path | None, audit_dir: Path | None) -> Path:
    """The audit to read. Raises `ReportError`."""
    folder = named or audit_dir
    if folder is None:
        raise ReportError("AUDIT_DIR is empty, so there is no audit here; name a folder with --audit")
    return folder


def period_of(since: str | None, until: str | None) -> Period:
    """What was written on the command line. Raises `ReportError`."""
    from app.reporting.period import Period, parse_time

    now = datetime.now(UTC)
    first, last = (None if text is None else parse_time(text, now) for text in (since, until))
    return Period(first, last)


def _report(folder: Path, period: Period, registry: Registry, html: str | None, json: bool) -> None:
    from app.reporting.report import build_report

    report = build_report(folder, period, registry)
    if html is not None:
        from app.reporting.page import render_page

        write_page(render_page(report), html)
        click.echo(f"{report.rows:,} predictions reported in {html}", err=True)
    elif json:
        print_json(msgspec.to_builtins(report))
    else:
        from app.reporting.text import render_text

        click.echo(render_text(report))


def _query(sql: str, folder: Path, period: Period, schema: FeatureSchema, json: bool) -> None:
    from app.reporting.sql import answer

    with answer(sql, folder, period, schema.names) as found:
        if json:
            _print_rows_json(found)
        else:
            _print_rows(found)
        for file, problem in found.loaded.unreadable:
            click.echo(f"{file.path.name} was left out: {problem}", err=True)


def _print_rows(found: Answer) -> None:
    from itertools import islice

    from app.reporting.table import cell, table

    rows = [[cell(value) for value in row] for row in islice(found.rows, _ROWS_SHOWN)]
    click.echo(table([cell(name) for name in found.columns], rows, left=len(found.columns)))
    if next(found.rows, None) is not None:
        click.echo(f"the first {_ROWS_SHOWN:,} rows; --json gives all", err=True)


def _print_rows_json(found: Answer) -> None:
    """One document, written as the rows come, however many there are."""
    encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode
    click.echo(f'{{"columns": {encode(found.columns).decode()},\n"rows": [', nl=False)
    for index, row in enumerate(found.rows):
        click.echo(("," if index else "") + "\n" + encode(row).decode(), nl=False)
    click.echo("]}")
