"""Tree ensembles through treelite, one thread.

treelite's own Python entry spends more time on preparing a one-row call than its C function takes; here the
configuration is prepared once and the C function called directly.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, ClassVar

import numpy as np
import treelite
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from treelite.core import _LIB, _check_call
from treelite.gtil.gtil import GTILConfig

from app.contract.schema import Matrix, Row
from app.model.scorer import NotCompilableError, Scores

_ONE = ctypes.c_uint64(1)


class TreeScorer:
    """A fitted tree ensemble; the last of its outputs is the score."""

    inline_rows: ClassVar[float] = math.inf

    def __init__(self, estimator: Any) -> None:
        try:
            self._model = treelite.sklearn.import_model(estimator)
        except Exception as error:
            raise NotCompilableError(f"treelite cannot read it: {type(error).__name__}: {error}") from error
        if (self._model.input_type, self._model.output_type) != ("float64", "float64"):
            raise NotCompilableError(f"treelite reads it as {self._model.input_type}")
        self._config = GTILConfig(predict_type="default", nthread=1)
        # All but the histogram-based ensembles compare single-precision values with their thresholds.
        self._narrow = not isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor)
        columns = self._model.num_feature
        self._outputs = treelite.gtil.predict(self._model, np.zeros((1, columns)), nthread=1).size
        self._row_type = ctypes.c_double * columns
        self._narrow_type = ctypes.c_float * columns
        self._output_type = ctypes.c_double * self._outputs
        self._predict, self._handle, self._settings = _LIB.TreeliteGTILPredict, self._model.handle, self._config.handle

    def score(self, rows: Matrix) -> Scores:
        """Scores of rows, shape (n, columns) to shape (n,)."""
        if self._narrow:
            rows = rows.astype(np.float32)
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        outputs = np.empty((len(rows), self._outputs))
        _check_call(
            self._predict(
                self._handle,
                rows.ctypes.data_as(ctypes.c_void_p),
                b"float64",
                ctypes.c_uint64(len(rows)),
                outputs.ctypes.data_as(ctypes.c_void_p),
                self._settings,
            )
        )
        return outputs[:, -1]

    def score_one(self, row: Row) -> float:
        """The score of one row."""
        # The buffers are made anew: the self-test may score at the same time, on another thread.
        values = self._row_type(*self._narrow_type(*row)) if self._narrow else self._row_type(*row)
        outputs = self._output_type()
        _check_call(self._predict(self._handle, values, b"float64", _ONE, outputs, self._settings))
        score: float = outputs[-1]
        return score
