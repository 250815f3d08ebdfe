"""The incident of docs/operations.md: a retraining job activates what only its own environment can load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.documents.checkout import Checkout
from tests.documents.supplies import sample
from tests.e2e.conftest import Service, clean_environment, eventually

ALERT = "PrimaryUnavailable"
"""What wakes somebody."""

NIGHTLY = '''"""Features of the nightly retraining."""

from sklearn.base import BaseEstimator, TransformerMixin


class Shares(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X / (1 + abs(X).sum(axis=1, keepdims=True))
'''

FIT = """
import joblib
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from app.contract.schema import FeatureSchema
from nightly import Shares

X = FeatureSchema().sample(300)
y = X[:, 0] > X[:, 6]
joblib.dump(make_pipeline(Shares(), LogisticRegression()).fit(X, y), "primary.joblib")
joblib.dump(LogisticRegression(max_iter=1_000).fit(X, y), "fallback.joblib")
"""

REGISTER = (
    "models",
    "register",
    "--primary",
    "primary.joblib",
    "--fallback",
    "fallback.joblib",
    "--golden",
    "sample.csv",
    "--activate",
)


class Night:
    """A service of two workers in a checkout, and what happens to it while somebody reads the walk-through."""

    def __init__(self, folder: Path) -> None:
        self.checkout = Checkout(folder / "checkout")
        self.job = folder / "job"
        self.service = Service(folder / "service", Path("models"), AUDIT_DIR="audit", WEB_CONCURRENCY="2")
        self.service.project = self.checkout.folder
        self.checkout.env |= {"URL": self.service.url}

    @contextmanager
    def begun(self) -> Iterator[Self]:
        """The night up to the alert: a good evening, a retraining, a restart."""
        with self.service:
            self.traffic(200)
            self._retraining()
            self.traffic(100)
            self._restart()
            self.traffic(60)
            yield self

    def versions(self) -> list[str]:
        """All that are registered, oldest first."""
        return Registry(self.checkout.folder / "models", FeatureSchema()).versions()

    def settle(self, status: str) -> None:
        """Waits until all workers have found out how they are."""
        eventually(lambda: self._health()["status"] == status, f"it is {status}")

    def traffic(self, count: int) -> None:
        """Readings, each answered."""
        for _ in range(count):
            assert self.service.post("/predict", FeatureSchema().example()).status == 200

    def _retraining(self) -> None:
        """The job trains and activates, with its module on its own path; nobody asks the gate."""
        self.job.mkdir()
        (self.job / "nightly.py").write_text(NIGHTLY)
        sample(self.job / "sample.csv", FeatureSchema())
        self._in_the_job(sys.executable, "-c", FIT)
        self._in_the_job(sys.executable, "-m", "flask", *REGISTER)
        self.settle("degraded")

    def _restart(self) -> None:
        """Whoever starts anew has no version from before to serve on with."""
        self.service.stop()
        self.service.start()
        self.settle("degraded")

    def _health(self) -> dict[str, object]:
        return dict(self.service.request("GET", "/health").json)

    def _in_the_job(self, *command: str) -> None:
        folders = {
            "PYTHONPATH": f"{self.job}:{self.checkout.folder}",
            "MODELS_DIR": str(self.checkout.folder / "models"),
        }
        env = {**clean_environment(), **folders, "FLASK_APP": "app"}
        done = subprocess.run(command, cwd=self.job, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
