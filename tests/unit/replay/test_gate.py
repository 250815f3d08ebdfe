"""The gate's criteria at and beyond their limits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.contract.schema import FeatureSchema
from app.errors import RegistryError, ReplayError
from app.model.registry import Registry
from app.replay.gate import Limits, Verdict, judge
from app.replay.results import Changes, Latency, Replay, Side, Traffic
from app.reporting.questions import quality
from tests.conftest import draft_of

LIMITS = Limits(max_changed=0.01, max_accuracy_drop=0.005, min_rows=1_000, deadline_ms=250)


def side(wrong: int = 10, labelled: int = 1_000, **more: Any) -> Side:
    members: dict[str, Any] = {
        "version": "v", "threshold": 0.5, "scorer": "compiled", "anomalies": 3, "failed": 0, "failure": None,
        "quality": quality(labelled - wrong, wrong, 0, 0),
        "latency": Latency(one_row_us=50.0, row_in_batch_us=3.0, largest_batch_ms=30.0),
    }  # fmt: skip
    return Side(**members | more)


def replay(rows: int = 1_000, changed: int = 0, candidate: Side | None = None, active: Side | None = None) -> Replay:
    traffic = Traffic(
        folder="audit", since=None, until=None, first=None, last=None, files=1, rows=rows, labelled=0,
        answered_otherwise=[], other_features=0, unreadable_lines=0, unreadable_files=[],
    )  # fmt: skip
    changes = Changes(
        compared=rows, changed=changed, share=changed / rows, to_anomaly=changed, to_normal=0, examples=[]
    )
    return Replay(
        traffic=traffic, active=active or side(), candidate=candidate or side(), changes=changes, shift=None,
        batch_rows=1_000, largest_batch_rows=10_000,
    )  # fmt: skip


def judged(registry: Registry, version: str, found: Replay, **limits: Any) -> Verdict:
    return judge(version, registry, lambda: found, msgspec.structs.replace(LIMITS, **limits))


def failed(verdict: Verdict) -> dict[str, str]:
    return {criterion.name: criterion.figures for criterion in verdict.failed}


def test_what_is_within_every_limit_passes(registry: Registry, version: str) -> None:
    """At the limits too."""
    candidate = side(wrong=15, latency=Latency(one_row_us=250_000.0, row_in_batch_us=25.0, largest_batch_ms=250.0))
    verdict = judged(registry, version, replay(changed=10, candidate=candidate))
    assert failed(verdict) == {}
    assert [criterion.name for criterion in verdict.criteria] == [
        "golden rows", "traffic", "answers", "decisions", "accuracy", "deadline, one row", "deadline, 10,000 rows",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "name", "figures"),
    [
        pytest.param(replay(rows=999), "traffic", "999 audited rows, at least 1,000 needed", id="too few rows"),
        pytest.param(
            replay(changed=11), "decisions", "11 of 1,000 changed (1.10 %), at most 1.00 % allowed", id="decisions"
        ),
        pytest.param(
            replay(candidate=side(failed=2, failure="primary: range")), "answers", "2 rows without a score: "
            "primary: range", id="rows without a score",
        ),
        pytest.param(
            replay(candidate=side(wrong=16)), "accuracy", "98.40 % beside 99.00 % on 1,000 labelled rows, at most "
            "0.50 % less allowed", id="accuracy",
        ),
        pytest.param(
            replay(candidate=side(latency=Latency(one_row_us=251_000.0, row_in_batch_us=1.0, largest_batch_ms=1.0))),
            "deadline, one row", "251 ms, at most 250 ms allowed (PRIMARY_DEADLINE_MS)", id="one row too slow",
        ),
        pytest.param(
            replay(candidate=side(latency=Latency(one_row_us=1.0, row_in_batch_us=1.0, largest_batch_ms=251.0))),
            "deadline, 10,000 rows", "251 ms, at most 250 ms allowed (PRIMARY_DEADLINE_MS)", id="batch too slow",
        ),
        pytest.param(
            replay(candidate=side(latency=None)), "deadline", "not measured: there is no row that both versions score",
            id="not measured",
        ),
    ],
)  # fmt: skip
def test_each_criterion_fails_alone_and_says_by_how_much(
    registry: Registry, version: str, found: Replay, name: str, figures: str
) -> None:
    """And may be overridden."""
    verdict = judged(registry, version, found)
    assert failed(verdict) == {name: figures}
    assert verdict.sound


def test_without_feedback_accuracy_is_not_judged(registry: Registry, version: str) -> None:
    """It is said, not passed over."""
    none = side(wrong=0, labelled=0)
    verdict = judged(registry, version, replay(candidate=none, active=none))
    assert failed(verdict) == {}
    assert "not judged: no feedback on these rows" in [criterion.figures for criterion in verdict.criteria]


def test_a_better_candidate_passes_with_no_drop_allowed(registry: Registry, version: str) -> None:
    """The drop is of the candidate."""
    assert not failed(judged(registry, version, replay(candidate=side(wrong=9)), max_accuracy_drop=0.0))
    assert failed(judged(registry, version, replay(candidate=side(wrong=11)), max_accuracy_drop=0.0))


def test_no_traffic_is_a_failed_criterion(registry: Registry, version: str) -> None:
    """With the replay's own words."""

    def none() -> Replay:
        raise ReplayError("no audited rows")

    verdict = judge(version, registry, none, LIMITS)
    assert (failed(verdict), verdict.sound, verdict.replay) == ({"traffic": "no audited rows"}, True, None)


def test_a_version_that_is_not_what_it_was_is_not_replayed(
    registry: Registry, version: str, schema: FeatureSchema
) -> None:
    """Nor can it be forced."""
    (registry.folder / version / "primary.joblib").write_bytes(b"")
    verdict = judge(version, registry, lambda: pytest.fail("it was replayed"), LIMITS)
    assert "SHA-256 is" in failed(verdict)["golden rows"]
    assert not verdict.sound


def test_an_unknown_version_is_an_error(registry: Registry, schema: FeatureSchema) -> None:
    """There is nothing to judge."""
    registry.register(draft_of(schema))
    with pytest.raises(RegistryError, match="no version 'v9'"):
        judge("v9", registry, replay, LIMITS)
