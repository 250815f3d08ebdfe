"""`flask score`: files of any size, scored with a version."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from app.commands.output import Share, as_json, print_json, reported
from app.commands.trials import Trials
from app.errors import ScoringError

if TYPE_CHECKING:
    from app.scoring.results import Summary

# app.scoring is imported inside the functions: every `flask` command imports this module, and DuckDB is large.

_REASONS_SHOWN = 20


_EPILOG = """\b
flask score --input 'readings/*.parquet' --output scores
flask score --input readings.csv.gz --output scores --keep id --format csv
flask score --input 's3://bucket/*.parquet' --output s3://bucket/scores --scheduler tcp://scheduler:8786
"""


def score_command(trials: Trials) -> click.Command:
    """`flask score` with the versions of `trials`."""

    @click.command("score", short_help="Score CSV, JSON lines or Parquet files of any size.", epilog=_EPILOG)
    @click.option("--input", "pattern", required=True,
                  help="A file, a quoted pattern such as 'day=*/*.parquet', or an fsspec URL of either.")  # fmt: skip
    @click.option("--output", required=True, help="Folder or URL of the results; an unfinished one is gone on with.")
    @click.option("--version", help="The version to score with (default: the active one).")
    @click.option("--format", "output_format", type=click.Choice(["parquet", "csv"]), default="parquet",
                  show_default=True, help="Of the results.")  # fmt: skip
    @click.option("--keep", multiple=True, metavar="COLUMNS",
                  help="Columns to carry through as text, such as an id; commas between names.")  # fmt: skip
    @click.option("--max-rejected", type=Share(), help="Fail where a larger share of the rows is rejected.")
    @click.option("--overwrite", is_flag=True, help="Begin anew where the folder holds another scoring.")
    @click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes on this machine.")
    @click.option("--scheduler", help="Use a Dask cluster: tcp://HOST:PORT, or 'local' for one of --workers processes.")
    @click.option("--partition-rows", type=click.IntRange(1), default=131_072, show_default=True,
                  help="Rows written together, in whole blocks of 8,192. The results do not depend on it.")  # fmt: skip
    @as_json
    @reported
    def score(pattern: str, output: str, keep: tuple[str, ...], max_rejected: float | None, json: bool,
              **options: Any) -> None:  # fmt: skip
        """Score every row of the files, each by the contract and the chain that answer requests.

        The results lie in OUTPUT/scored, a file per partition: source, row (from 1), the kept columns, prediction,
        is_anomaly, model_used, model_version. Rows that break the contract are in OUTPUT/rejected, with feature, code
        and reason. A run that was stopped goes on where it was when the same command is given again.
        """
        names = tuple(name.strip() for text in keep for name in text.split(",") if name.strip())
        with _interruptible():
            summary = trials.score(input=pattern, output=output, keep=names, **options)
        if json:
            print_json(msgspec.to_builtins(summary))
        else:
            click.echo("\n".join(_lines(summary)))
        if max_rejected is not None and summary.rejected_share > max_rejected:
            share = f"{summary.rejected_share:.4%}"
            raise ScoringError(f"{summary.rejected:,} of {summary.rows:,} rows were rejected ({share})")

    return score


def _lines(summary: Summary) -> Iterator[str]:
    resumed = f", {summary.resumed:,} of them done before" if summary.resumed else ""
    yield (
        f"{summary.rows:,} rows of {summary.files:,} files with {summary.version}, "
        f"in {summary.partitions:,} partitions{resumed}"
    )
    by = ", ".join(f"{stage} {rows:,}" for stage, rows in summary.stages.items()) or "none"
    yield f"scored    {summary.scored:,} ({by}), {summary.anomalies:,} of them anomalies"
    yield f"rejected  {summary.rejected:,}" + (f" ({summary.rejected_share:.2%})" if summary.rejected else "")
    for reason in summary.reasons[:_REASONS_SHOWN]:
        yield f"  {reason.rows:,}  {reason.feature or 'the whole row'}: {reason.code}"
    if len(summary.reasons) > _REASONS_SHOWN:
        yield f"  and {len(summary.reasons) - _REASONS_SHOWN} more kinds"
    for stage, why in summary.absent.items():
        yield f"WARNING   {stage} could not be used: {why}"
    if summary.failure is not None:
        yield f"WARNING   a stage failed, and the next one answered: {summary.failure}"
    yield f"results   {summary.output}"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM let what is being written be finished or undone, and say how to go on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise ScoringError("interrupted; the same command goes on from here") from None
    finally:
        signal.signal(signal.SIGTERM, before)
