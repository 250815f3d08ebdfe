"""`flask models` on a registry of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from app.commands.models import models_group
from app.commands.trials import Trials
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.unit.serving.test_chain import builder

Run = Callable[..., Result]


@pytest.fixture
def group(schema: FeatureSchema, registry: Registry, tmp_path: Path) -> click.Group:
    return models_group(schema, registry, Trials(schema, registry, builder(schema), tmp_path / "audit", 100))


@pytest.fixture
def run(group: click.Group) -> Run:
    """Runs `flask models ...`; only what commands mean to end with counts, a traceback is an error."""

    def run_(*arguments: object) -> Result:
        result = CliRunner().invoke(group, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_
