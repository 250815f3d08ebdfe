"""Models that are well until a file says what is wrong with them."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from app.contract.schema import Matrix
from app.model.rule import z_score_rule


class FaultyModel:
    """An estimator that scores as `estimator` does, or fails as the content of `flag` says. Never compiled."""

    leaked: ClassVar[list[Any]] = []
    struck: ClassVar[str] = ""
    """The fault this process took for itself alone, if it did."""

    def __init__(self, estimator: Any, flag: Path) -> None:
        self.estimator = estimator
        self.flag = flag

    def predict_proba(self, X: Matrix) -> Matrix:
        scores: Matrix = self.estimator.predict_proba(X)
        fault = self.struck or self._ordered()
        return getattr(self, f"_{fault}")(scores) if fault else scores

    def _ordered(self) -> str:
        try:
            return self.flag.read_text()
        except FileNotFoundError:
            return ""

    def _raise(self, scores: Matrix) -> Matrix:
        raise RuntimeError("the model is broken")

    def _nan(self, scores: Matrix) -> Matrix:
        return scores * np.nan

    def _shape(self, scores: Matrix) -> Matrix:
        return scores[:, :, np.newaxis].repeat(3, axis=2)

    def _dtype(self, scores: Matrix) -> Any:
        return np.full(scores.shape, "high")

    def _hang(self, scores: Matrix) -> Matrix:
        """Releases the interpreter lock while it does; ends when the fault does."""
        while self.flag.exists():
            time.sleep(0.05)
        return scores

    def _hold(self, scores: Matrix) -> Matrix:
        """Holds the interpreter lock for ever, in the one process that is first to come."""
        if self._claimed("hold"):
            ctypes.PyDLL(None).sleep(3600)
        return scores

    def _leak(self, scores: Matrix) -> Matrix:
        """A megabyte a call, in every process."""
        self.leaked.append(np.ones(2**17))
        return scores

    def _allocate(self, scores: Matrix) -> Matrix:
        """All there is, within one call, in the one process that is first to come."""
        while self._claimed("allocate"):
            self.leaked.append(np.ones(2**20))
        return scores

    def _odd(self, scores: Matrix) -> Matrix:
        """Raises in the one process that is first to come, and goes on doing so."""
        if self._claimed("odd"):
            raise RuntimeError("the model is broken in this process")
        return scores

    def _slow(self, scores: Matrix) -> Matrix:
        time.sleep(0.01)
        return scores

    def _die_soon(self, scores: Matrix) -> Matrix:
        """Kills its process half a second after it was first asked: when it has been proven, and serves."""
        if not self.leaked:
            self.leaked.append(None)
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return scores

    def _claimed(self, fault: str) -> bool:
        """Whether this process is the one that has the fault: the first that comes takes the order away."""
        if not self.struck:
            try:
                self.flag.unlink()
            except FileNotFoundError:
                return False
            FaultyModel.struck = fault
        return True


def breakable_rule(rows: Matrix) -> Matrix:
    """The z-score rule while there is nothing at the path in the environment's CHAOS_RULE_BROKEN."""
    if Path(os.environ["CHAOS_RULE_BROKEN"]).exists():
        raise RuntimeError("the rule is broken")
    return z_score_rule(rows)
