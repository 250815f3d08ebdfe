"""`flask ...`: the command line, one file a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from app.commands.trials import Trials
    from app.settings import Settings


def all_commands(trials: Trials, settings: Settings) -> list[click.Command]:
    """Every command of the service."""
    from app.commands.features import features_command
    from app.commands.models import models_group
    from app.commands.readiness import readiness_command
    from app.commands.replay import replay_command
    from app.commands.report import report_command
    from app.commands.score import score_command
    from app.commands.train import train_command

    schema, registry = trials.schema, trials.registry
    return [
        train_command(schema, registry),
        features_command(schema),
        models_group(schema, registry, trials),
        replay_command(trials),
        score_command(trials),
        report_command(schema, registry, trials.audit_dir),
        readiness_command(settings, schema, registry),
    ]
