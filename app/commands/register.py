"""`flask models register`: a version out of what was trained elsewhere."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from app.commands.output import as_json, print_json, reported
from app.contract.schema import FeatureSchema
from app.model.bundle import BundleDraft
from app.model.registration import draft_from_files, read_sample
from app.model.registry import Registry
from app.model.stages import FALLBACK, PRIMARY

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class _Probability(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        return self.fail(f"{value} is no number", param, ctx) if math.isnan(number) else number


def register_command(schema: FeatureSchema, registry: Registry) -> click.Command:
    """`flask models register` into `registry`."""

    @click.command("register", short_help="Add a version made of joblib or skops files, or of an MLflow model.")
    @click.option("--primary", type=_FILE, help="Main estimator, a joblib or .skops file.")
    @click.option("--mlflow", type=_FOLDER, help="Main estimator, an MLflow model directory (scikit-learn flavor).")
    @click.option("--fallback", type=_FILE, help="Simpler, faster estimator, a joblib or .skops file.")
    @click.option("--golden", type=_FILE, help="CSV of valid rows, one column per feature.")
    @click.option("--threshold", type=_Probability(0, 1), help="Score from which a reading is an anomaly.")
    @click.option("--trust", multiple=True, metavar="TYPE", help="A type to build from .skops files; repeatable.")
    @click.option("--activate", is_flag=True, help="Serve it at once.")
    @as_json
    @reported
    def register(activate: bool, json: bool, **given: Any) -> None:
        """Add a version of estimators trained elsewhere; golden rows and reference come from a CSV sample.

        An MLflow model's signature must fit the contract, and its requirements this environment. Its input example
        stands in for --golden where it has 50 valid rows.

        Joblib files and pickles, MLflow's among them, run code when they are loaded: register only what you trust. A
        .skops file does not, and is refused with the names of the types that skops does not know.
        """
        version = registry.register(_draft(schema, **given))
        activated = activate or registry.active() is None
        if activated:
            registry.activate(version)
        if json:
            print_json({"version": version, "active": activated})
        else:
            click.echo(f"registered {version}" + (", now active" if activated else ""))

    return register


def _draft(
    schema: FeatureSchema,
    *,
    primary: Path | None,
    mlflow: Path | None,
    fallback: Path | None,
    golden: Path | None,
    threshold: float | None,
    trust: tuple[str, ...],
) -> BundleDraft:
    if (primary is None) == (mlflow is None):
        raise click.UsageError("name the main estimator with either --primary or --mlflow")
    files: dict[str, Path] = {FALLBACK: fallback} if fallback else {}
    thresholds: dict[str, float] = {}
    if mlflow is not None:
        from app.model.mlflow_import import read_mlflow

        model = read_mlflow(mlflow, schema)
        files = {PRIMARY: model.estimator, **files}
        thresholds = {} if model.threshold is None else {PRIMARY: model.threshold}
        sample = read_sample(golden, schema) if golden else model.sample(schema)
    elif primary is not None and golden is not None:
        files, sample = {PRIMARY: primary, **files}, read_sample(golden, schema)
    else:
        raise click.UsageError("name a CSV of valid rows with --golden")
    if threshold is not None:
        thresholds = dict.fromkeys(files, threshold)
    return draft_from_files(files, sample, schema, thresholds, shlex.join(["flask", *sys.argv[1:]]), trust)
