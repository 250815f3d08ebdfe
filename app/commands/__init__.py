"""`flask ...`: the command line, one file a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from app.contract.schema import FeatureSchema
    from app.model.registry import Registry


def all_commands(schema: FeatureSchema, registry: Registry, audit_dir: Path | None) -> list[click.Command]:
    """Every command of the service."""
    from app.commands.features import features_command
    from app.commands.models import models_group
    from app.commands.report import report_command
    from app.commands.train import train_command

    return [
        train_command(schema, registry),
        features_command(schema),
        models_group(schema, registry),
        report_command(schema, registry, audit_dir),
    ]
