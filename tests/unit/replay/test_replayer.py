"""Whole replays: audit files in, two registered versions beside each other out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema, Matrix
from app.errors import ReplayError
from app.model.registry import Registry
from app.replay.contender import contender
from app.replay.replayer import Replayer
from app.replay.results import Answerer, Changes, Replay
from app.replay.text import render_text
from app.reporting.period import Period
from tests.conftest import draft_of, fitted_logistic
from tests.fakes import ConstantModel
from tests.unit.reporting.crafting import VERSION, Line, batch, feedback, served, write
from tests.unit.serving.test_chain import builder

SCHEMA = FeatureSchema()


def lines_of(rows: Matrix, *, batches_of: int = 3) -> list[Line]:
    """Rows in turn as a single prediction and a batch."""
    lines: list[Line] = []
    left = rows.tolist()
    while left:
        alone, together, left = left[0], left[1 : 1 + batches_of], left[1 + batches_of :]
        features: dict[str, Any] = dict(zip(SCHEMA.names, alone, strict=True))
        lines.append(served("10:00:00", f"{len(lines):018x}", features=features))
        if together:
            columns = dict(zip(SCHEMA.names, map(list, zip(*together, strict=True)), strict=True))
            lines.append(batch("10:00:01", f"{len(lines):018x}", [1] * len(together), features=columns))
    return lines


@pytest.fixture
def replayer(registry: Registry, version: str) -> Replayer:
    return Replayer(SCHEMA, registry, builder(SCHEMA), max_batch_rows=20)


def replayed(replayer: Replayer, candidate: str, folder: Path, **more: Any) -> Replay:
    return replayer.replay(candidate, folder, Period(), **more)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_the_active_version_beside_itself_changes_nothing(
    replayer: Replayer, version: str, tmp_path_factory: pytest.TempPathFactory, seed: int, count: int
) -> None:
    """Whatever was audited, one by one or in batches."""
    folder = tmp_path_factory.mktemp("audit")
    write(folder, lines_of(SCHEMA.sample(count, seed)))
    found = replayed(replayer, version, folder)
    assert found.changes == Changes(compared=count, changed=0, share=0.0, to_anomaly=0, to_normal=0, examples=[])
    assert found.shift is not None
    assert (found.shift.least, found.shift.most) == (0.0, 0.0)
    assert found.active.anomalies == found.candidate.anomalies


def test_both_versions_score_as_they_would_serve(
    replayer: Replayer, registry: Registry, version: str, tmp_path: Path
) -> None:
    """Every changed decision is one that the two chains give differently."""
    rows = SCHEMA.sample(200, seed=5)
    write(tmp_path, lines_of(rows))
    candidate = registry.register(draft_of(SCHEMA, primary=fitted_logistic(SCHEMA, seed=9)))
    found = replayed(replayer, candidate, tmp_path)
    ours, theirs = (
        builder(SCHEMA).build(registry.load(name)).answer(rows).scored >= 0.5 for name in (version, candidate)
    )
    assert found.changes.to_anomaly == int(np.count_nonzero(~ours & theirs))
    assert found.changes.to_normal == int(np.count_nonzero(ours & ~theirs))
    assert found.changes.changed > 0
    assert found.active.scorer.startswith("compiled")
    assert (found.active.version, found.candidate.version) == (version, candidate)
    assert found.largest_batch_rows == 20
    assert found.active.latency is not None


def test_what_answered_otherwise_at_the_time_is_said(replayer: Replayer, version: str, tmp_path: Path) -> None:
    """The active version's primary scores again, whatever the audit holds."""
    features = SCHEMA.example()
    write(tmp_path, [
        served("10:00:00", "a", features=features),
        served("10:00:01", "b", "baseline", features=features),
        {**served("10:00:02", "c", features=features), "model_version": version},
        {**served("10:00:03", "d", "fallback", features=features), "model_version": version},
        feedback("10:00:04", f"{VERSION}.primary.0.a", 1),
    ])  # fmt: skip
    traffic = replayed(replayer, version, tmp_path).traffic
    assert (traffic.rows, traffic.labelled) == (4, 1)
    assert sorted(traffic.answered_otherwise, key=str) == sorted(
        [Answerer(stage="primary", version=VERSION, rows=1), Answerer(stage="baseline", version=VERSION, rows=1),
         Answerer(stage="fallback", version=version, rows=1)], key=str,
    )  # fmt: skip


def test_nothing_to_replay_is_an_error_that_says_what_there_was(
    replayer: Replayer, version: str, tmp_path: Path
) -> None:
    """Not a page of noughts."""
    write(tmp_path, [served("10:00:00")], torn=b"{")
    expected = r"no audited rows of the period in .* \(1 files\); left out: 1 rows of another contract, 1 unreadable"
    with pytest.raises(ReplayError, match=expected):
        replayed(replayer, version, tmp_path)


def test_without_an_active_version_there_is_nothing_to_compare_with(
    registry: Registry, schema: FeatureSchema, tmp_path: Path
) -> None:
    """A first version needs no gate."""
    candidate = registry.register(draft_of(schema, primary=ConstantModel()))
    with pytest.raises(ReplayError, match="no version is active"):
        replayed(Replayer(schema, registry, builder(schema), 20), candidate, tmp_path)


@pytest.mark.parametrize("broken", ["active", "candidate"])
def test_a_version_that_would_not_serve_cannot_be_replayed(
    replayer: Replayer, registry: Registry, version: str, tmp_path: Path, broken: str
) -> None:
    """It is named, with the reason."""
    write(tmp_path, lines_of(SCHEMA.sample(5)))
    candidate = registry.register(draft_of(SCHEMA, primary=ConstantModel()))
    name = version if broken == "active" else candidate
    (registry.folder / name / "primary.joblib").write_bytes(b"")
    with pytest.raises(ReplayError, match=f"{name} cannot score: .*SHA-256"):
        replayed(replayer, candidate, tmp_path)


def test_patience_is_the_replays_own(registry: Registry, version: str, schema: FeatureSchema) -> None:
    """The service's deadlines and breakers are about requests that wait."""
    hasty = replace(builder(schema), primary_deadline_s=1e-9, breaker_failures=1)
    one = contender(version, registry, hasty)
    assert one.stage.deadline_s >= 60
    assert one.stage.breaker_failures > 1_000_000
    assert hasty.primary_deadline_s == 1e-9


def test_the_page_says_it_all_within_100_columns(replayer: Replayer, registry: Registry, tmp_path: Path) -> None:
    """And no client's words can do anything to a terminal."""
    row = SCHEMA.example()
    evil = {**served("10:00:00", "a", features=row), "request_id": "\x1b[31m"}
    write(tmp_path, [evil, *lines_of(SCHEMA.sample(30)), feedback("10:00:09", evil["prediction_id"], 1)], torn=b"{")
    candidate = registry.register(draft_of(SCHEMA, primary=ConstantModel(0.9)))
    page = render_text(replayed(replayer, candidate, tmp_path))
    assert "\x1b" not in page
    assert max(map(len, page.splitlines())) <= 100
    for part in (
        "31 rows", "1 of them with feedback", "31 of the rows were answered otherwise at the time",
        "1 lines are torn", " change (", "normal -> anomaly", "candidate - active", "20 rows",
    ):  # fmt: skip
        assert part in page
