"""`flask train`: from data to a registered model version."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import to_builtins

from app.commands.output import as_json, print_json, reported
from app.contract.schema import FeatureSchema
from app.errors import ContractMismatchError, RegistryError
from app.model.registry import Registry

if TYPE_CHECKING:
    from app.training.run import TrainingData, TrainingRun

# pandas, scikit-learn and matplotlib are imported inside the functions: every `flask` command imports this module.

DEFAULT_SEED = 7


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for on the command line."""

    seed: int
    data: Path | None
    days: int | None
    series: int | None

    @property
    def command(self) -> str:
        """The command line that gives the same model again."""
        words = ["flask", "train", "--seed", str(self.seed)]
        for option, value in (("--data", self.data), ("--days", self.days), ("--series", self.series)):
            if value is not None:
                words += [option, str(value)]
        return shlex.join(words)


def train_command(schema: FeatureSchema, registry: Registry) -> click.Command:
    """`flask train`, writing to `registry`."""

    @click.command("train", short_help="Train and register a new model version.")
    @click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=DEFAULT_SEED, show_default=True,
                  help="Decides everything random; the same seed and data give the same model.")  # fmt: skip
    @click.option("--data", type=click.Path(path_type=Path), help="Your history: metrics.csv, .csv.gz or .parquet with "
                  "timestamp, region_id, product_id, metric_value and, if you have labels, is_anomaly. "
                  "Without it, synthetic data is used.")  # fmt: skip
    @click.option("--days", type=click.IntRange(28, 1000), help="Length of the synthetic history (120).")
    @click.option("--series", type=click.IntRange(1, 200), help="Number of synthetic series (40).")
    @click.option("--activate", is_flag=True, help="Serve the new version at once (always done for the first one).")
    @as_json
    @reported
    def train(seed: int, data: Path | None, days: int | None, series: int | None, activate: bool, json: bool) -> None:
        """Train both models, compare them with the z-score rule on readings they have not seen, and register them.

        Without labels in --data, known anomalies are put into a copy of the history, and the result says so.
        """
        if data is not None and (days is not None or series is not None):
            raise click.UsageError("--days and --series describe synthetic data; leave them out with --data")
        refuse_other_contract(schema)
        begin = time.monotonic()
        source, run = _trained(_Request(seed, data, days, series), schema)
        try:
            version = registry.register(run.draft)
            previous = registry.active()
            if activate or previous is None:
                registry.activate(version)
        except OSError as error:
            raise RegistryError(f"{registry.folder}: {error.strerror or error}") from error
        active = activate or previous is None
        result = _Result(source, run, version, previous, active, time.monotonic() - begin)
        if json:
            print_json(result.document())
        else:
            click.echo(result.text())

    return train


def refuse_other_contract(schema: FeatureSchema) -> None:
    """Raises `ContractMismatchError` where the service serves other features than can be built from a history."""
    known = FeatureSchema()
    if schema.names != known.names:
        raise ContractMismatchError(
            f"{type(schema).__name__} (FEATURE_SCHEMA) serves other features than the {len(known.names)} that this "
            "command can build from a history; build and register your own models instead"
        )


def _trained(request: _Request, schema: FeatureSchema) -> tuple[TrainingData, TrainingRun]:
    from tqdm import tqdm

    from app.training import run as training
    from app.training.synthetic import DAYS, SERIES

    with tqdm(total=training.STEPS + 1, unit="step", bar_format="{l_bar}{bar:20}| {elapsed}") as bar:

        def progress(what: str) -> None:
            bar.update(1)
            bar.set_description(what)

        bar.set_description("reading the history" if request.data else "making synthetic data")
        if request.data is not None:
            data = training.file_data(request.data, request.seed, schema)
        else:
            data = training.synthetic_data(request.seed, request.days or DAYS, request.series or SERIES)
        run = training.train(data, request.seed, request.command, progress, schema)
        progress("done")
    return data, run


@dataclass(frozen=True, slots=True)
class _Result:
    data: TrainingData
    run: TrainingRun
    version: str
    previous: str | None
    active: bool
    duration_s: float

    def document(self) -> dict[str, Any]:
        draft = self.run.draft
        return {
            "version": self.version,
            "active": self.active,
            "previous": self.previous,
            "training": to_builtins(draft.training),
            "labels": self.data.labels,
            "notices": self.data.notices,
            "thresholds": dict(draft.thresholds),
            "metrics": dict(draft.metrics),
            "agreement": dict(draft.agreement),
            "duration_s": round(self.duration_s, 3),
        }

    def text(self) -> str:
        from app.training.card import comparison

        draft = self.run.draft
        header, rows = comparison(draft.metrics, draft.agreement)
        lines = [draft.training.data, self.data.label_note, *self.data.notices, "", *_aligned([header, *rows]), ""]
        if self.active:
            state = "active" + (f", in place of {self.previous}" if self.previous else "")
        else:
            state = f"not active; to serve it: flask models activate {self.version}"
        lines.append(f"version {self.version}: registered, {state} ({self.duration_s:.1f} s)")
        return "\n".join(lines)


def _aligned(table: list[list[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in table
    ]
