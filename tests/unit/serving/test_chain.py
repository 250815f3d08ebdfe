"""Primary, fallback, rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.contract.schema import FeatureSchema, Matrix
from app.errors import AllStagesFailedError
from app.model.registry import Registry
from app.model.rule import z_score_rule
from app.serving.chain import ChainBuilder
from tests.conftest import draft_of
from tests.fakes import ConstantModel, NanModel, RaisingModel


def builder(schema: FeatureSchema, rule: Any = z_score_rule) -> ChainBuilder:
    return ChainBuilder(
        schema,
        rule,
        primary_deadline_s=1,
        fallback_deadline_s=1,
        breaker_failures=2,
        max_abandoned_threads=2,
    )


class BreakableModel(ConstantModel):
    """An estimator that works until it is broken: as if its memory went bad after it was proven."""

    broken: Exception | float | None = None

    def predict_proba(self, X: Matrix) -> Matrix:
        if isinstance(self.broken, Exception):
            raise self.broken
        if self.broken is not None:
            return np.full((len(X), 2), self.broken)
        return super().predict_proba(X)


@pytest.fixture
def rows(schema: FeatureSchema) -> Matrix:
    return schema.sample(4, seed=5)


def test_the_primary_answers_while_it_can(
    registry: Registry, version: str, schema: FeatureSchema, rows: Matrix
) -> None:
    """The ordinary case."""
    chain = builder(schema).build(registry.load(version))
    answer = chain.answer(rows)
    assert (chain.version, answer.stage.name, answer.failures) == (version, "primary", ())
    assert len(answer.scored) == 4


def test_proven_models_are_compiled(registry: Registry, version: str, schema: FeatureSchema) -> None:
    """Scaler and logistic regression have an exact compiled form."""
    chain = builder(schema).build(registry.load(version))
    assert [(stage.name, stage.scorer.inline_rows >= 1, stage.note) for stage in chain.stages] == [
        ("primary", True, None),
        ("fallback", True, None),
        ("baseline", True, None),
    ]


@pytest.mark.parametrize(
    "broken", [pytest.param(RuntimeError("no"), id="raises"), pytest.param(float("nan"), id="nan")]
)
def test_falls_back_when_the_primary_breaks(
    registry: Registry, schema: FeatureSchema, logistic: Any, rows: Matrix, broken: Exception | float
) -> None:
    """The next stage answers, and the failure before it is reported."""
    model = BreakableModel()
    version = registry.register(draft_of(schema, primary=model, fallback=logistic))
    chain = builder(schema).build(registry.load(version))
    chain.stages[0].scorer.estimator.broken = broken  # type: ignore[attr-defined]
    answer = chain.answer(rows)
    assert answer.stage.name == "fallback"
    assert [failure.stage for failure in answer.failures] == ["primary"]
    chain.close()


def test_the_rule_answers_when_both_models_break(registry: Registry, schema: FeatureSchema, rows: Matrix) -> None:
    """The rule needs no model file."""
    version = registry.register(draft_of(schema, primary=BreakableModel(), fallback=BreakableModel(0.1)))
    chain = builder(schema).build(registry.load(version))
    for stage in chain.stages[:2]:
        stage.scorer.estimator.broken = RuntimeError("no")  # type: ignore[attr-defined]
    answer = chain.answer(rows)
    assert answer.stage.name == "baseline"
    assert answer.scored.tolist() == z_score_rule(rows).tolist()
    chain.close()


def test_says_so_when_nothing_answers(schema: FeatureSchema, rows: Matrix) -> None:
    """A graceful error that carries why each stage failed."""

    def broken_rule(rows: Matrix) -> Matrix:
        raise ZeroDivisionError

    chain = builder(schema, broken_rule).build(None)
    with pytest.raises(AllStagesFailedError, match="All prediction methods failed") as error:
        chain.answer(rows)
    assert [failure.stage for failure in error.value.failures] == ["baseline"]


@pytest.mark.parametrize("model", [pytest.param(RaisingModel, id="raises"), pytest.param(NanModel, id="nan")])
def test_a_model_that_cannot_reproduce_its_golden_rows_is_not_served(
    registry: Registry, schema: FeatureSchema, logistic: Any, model: Any, rows: Matrix
) -> None:
    """It is absent from the start, and the chain says why."""
    version = registry.register(draft_of(schema, primary=ConstantModel(), fallback=logistic))
    bundle = registry.load(version)
    bundle.estimators["primary"].__class__ = model
    chain = builder(schema).build(bundle)
    assert [stage.name for stage in chain.stages] == ["fallback", "baseline"]
    assert "primary" in chain.absent
    assert chain.answer(rows).stage.name == "fallback"


def test_a_model_without_compiled_form_serves_itself_and_says_why(registry: Registry, schema: FeatureSchema) -> None:
    """Slower, but right."""
    version = registry.register(draft_of(schema, primary=ConstantModel()))
    stage = builder(schema).build(registry.load(version)).stages[0]
    assert (stage.scorer.inline_rows, stage.note) == (0, "no compiled form for ConstantModel")


def test_without_a_bundle_the_rule_serves_and_the_refusal_is_named(schema: FeatureSchema) -> None:
    """Health needs the reason."""
    chain = builder(schema).build(None, "the disk ate it")
    assert [stage.name for stage in chain.stages] == ["baseline"]
    assert chain.absent == {"primary": "the disk ate it", "fallback": "the disk ate it"}


def test_a_version_without_fallback_is_whole(registry: Registry, schema: FeatureSchema, logistic: Any) -> None:
    """A stage that was never part of a version is not missing from it."""
    chain = builder(schema).build(registry.load(registry.register(draft_of(schema, primary=logistic))))
    assert [stage.name for stage in chain.stages] == ["primary", "baseline"]
    assert chain.absent == {}
