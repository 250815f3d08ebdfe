"""`flask models export`: a stage in a form that other tools load."""

from __future__ import annotations

from pathlib import Path

import click

from app.commands.output import as_json, named_or_active, print_json, reported
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.model.stages import MODEL_STAGES, PRIMARY


def export_command(schema: FeatureSchema, registry: Registry) -> click.Command:
    """`flask models export` out of `registry`."""

    @click.command("export", short_help="Write a stage as an MLflow model directory.")
    @click.option("--mlflow", type=click.Path(path_type=Path), required=True, help="The directory; new or empty.")
    @click.option("--version", help="The version (default: the active one).")
    @click.option("--stage", type=click.Choice(MODEL_STAGES), default=PRIMARY, show_default=True)
    @as_json
    @reported
    def export(mlflow: Path, version: str | None, stage: str, json: bool) -> None:
        """Write a stage as a model directory for 'mlflow models serve' and mlflow.pyfunc.load_model.

        It gives what predict_proba gives: the score is the second number of each row. Signature, input example, pinned
        requirements and the code that the model needs are included.
        """
        from app.model.mlflow_export import export_mlflow

        name = named_or_active(registry, version)
        export_mlflow(registry.load(name), stage, schema, mlflow)
        if json:
            files = sorted(str(path.relative_to(mlflow)) for path in mlflow.rglob("*") if path.is_file())
            print_json({"version": name, "stage": stage, "folder": str(mlflow), "files": files})
        else:
            click.echo(f"wrote the {stage} of {name} to {mlflow}")

    return export
