"""From readings to the stability index that Prometheus works out: bins, counters and rule speak of the same thing."""

from __future__ import annotations

from pathlib import Path

from app.contract.schema import FeatureSchema
from tests.browser.breakable import REFERENCE_ROWS, REFERENCE_SEED
from tests.e2e.conftest import eventually
from tests.observability.conftest import Watched
from tests.observability.monitoring import prometheus, query

WITHIN_S = 120.0
"""The rule works once a minute."""


def test_one_shifted_feature_drifts_and_the_others_do_not(watched: Watched, tmp_path: Path) -> None:
    """The version's own reference rows, with the largest value there is in one column."""
    schema = FeatureSchema()
    rows = schema.sample(REFERENCE_ROWS, REFERENCE_SEED)
    rows[:, schema.names.index("lag_1")] = 1e6
    with prometheus(tmp_path, watched.target) as url:
        eventually(lambda: query(url, "feature_rows_total == 0"), "the bins were seen empty")
        body = {"instances": [dict(zip(schema.names, row, strict=True)) for row in rows.tolist()]}
        assert watched.service.post("/predict/batch", body).json["rejected"] == 0
        eventually(lambda: query(url, "job_feature:feature_drift:psi1d"), "there is an index", WITHIN_S)
        found = {
            entry["metric"]["feature"]: float(entry["value"][1])
            for entry in query(url, "job_feature:feature_drift:psi1d")
        }
    assert found.keys() == set(schema.names)
    assert found.pop("lag_1") > 0.25
    assert max(found.values()) < 0.01
