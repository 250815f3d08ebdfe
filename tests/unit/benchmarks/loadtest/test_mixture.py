"""The mixture is what the documentation says it is."""

from __future__ import annotations

from pathlib import Path

from benchmarks.loadtest import mixture
from benchmarks.loadtest.exchanges import HEALTH, LIVE, READY, SCRAPE

TEXT = " ".join((Path(__file__).parents[4] / "benchmarks" / "README.md").read_text().split())


def test_shares_are_percentages() -> None:
    """They add up."""
    assert sum(mixture.SHARES.values()) == 100
    assert sum(mixture.CAUGHT_UP_HOURS.values()) == 100


def test_the_readme_gives_every_share() -> None:
    """As the users send them."""
    lines = {
        "predict": "a reading to `/predict`",
        "infer": "a reading to `/v2/models/anomaly/infer`",
        "feedback": "feedback on an earlier prediction",
        "batch": "a batch",
        "bad": "a bad reading",
    }
    assert lines.keys() == mixture.SHARES.keys()
    assert [name for name, share in mixture.SHARES.items() if f"| {share} % | {lines[name]}" not in TEXT] == []


def test_the_readme_gives_sizes_and_paces() -> None:
    """Batches, requests a second, probes, and how long a reply may take."""
    (day, some), (week, few), (month, rare) = mixture.CAUGHT_UP_HOURS.items()
    assert f"{day} rows ({some} %), {week} ({few} %) or {month} ({rare} %)" in TEXT
    assert f"{mixture.PIPELINE_RATE:g} requests a second" in TEXT
    assert f"within {mixture.TIMEOUT_S:g} s" in TEXT
    every_s = mixture.PROBES_EVERY_S
    assert f"readiness every {every_s[READY]} s, liveness and `/health` every {every_s[LIVE]} s" in TEXT
    assert every_s[HEALTH] == every_s[LIVE]
    assert f"`/metrics` every {every_s[SCRAPE]} s" in TEXT


def test_a_run_waits_longer_than_its_users() -> None:
    """Else requests that hang at the end would not be counted."""
    assert mixture.STOP_TIMEOUT_S > mixture.TIMEOUT_S
