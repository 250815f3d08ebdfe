"""An estimator out of a file that was made elsewhere: joblib and pickles, which run what they hold, and skops."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import joblib
from sklearn.base import BaseEstimator

from app.contract.schema import FeatureSchema
from app.errors import BundleError, ContractMismatchError, UnpickleError, UntrustedTypesError

SKOPS_SUFFIX = ".skops"


def read_estimator(path: Path, schema: FeatureSchema, trusted: Collection[str] = ()) -> Any:
    """The estimator in `path`, which takes the contract's columns as a matrix.

    A skops file is built only of types that skops knows or that are `trusted`, and of nothing before that is
    certain. Anything else is unpickled, cloudpickle's files too: trusted as far as whoever runs the command trusts it.

    Raises `BundleError`.
    """
    read = _read_skops if path.suffix == SKOPS_SUFFIX else _unpickle
    try:
        estimator = read(path, trusted)
        names = getattr(estimator, "feature_names_in_", None)
    except BundleError:
        raise
    except Exception as error:
        verb = "read" if read is _read_skops else "unpickled"
        raise UnpickleError(f"{path}: cannot be {verb}: {type(error).__name__}: {error}") from error
    if names is not None and tuple(names) != schema.names:
        raise ContractMismatchError(
            f"{path}: fitted on the columns {list(names)}, the contract is {list(schema.names)}"
        )
    _forget_names(estimator)
    return estimator


def _unpickle(path: Path, trusted: Collection[str]) -> Any:
    return joblib.load(path)


def _read_skops(path: Path, trusted: Collection[str]) -> Any:
    try:
        import skops.io as skops
    except ImportError:
        raise BundleError(f"{path}: reading it needs the package skops: pip install skops") from None
    content = path.read_bytes()  # once: what was looked through is what is built
    unknown = skops.get_untrusted_types(data=content)
    refused = [name for name in unknown if name not in trusted]
    if refused:
        raise UntrustedTypesError(path, refused)
    return skops.loads(content, trusted=unknown)


def _forget_names(part: Any) -> None:
    """Takes the columns' names, compared by now, from an estimator and all within it.

    Rows come as matrices, and scikit-learn would warn at every one of them.
    """
    if isinstance(part, list | tuple):
        for item in part:
            _forget_names(item)
    elif isinstance(part, dict):
        _forget_names(list(part.values()))
    elif isinstance(part, BaseEstimator) or (_of_sklearn(part) and hasattr(part, "__dict__")):
        vars(part).pop("feature_names_in_", None)
        _forget_names(list(vars(part).values()))


def _of_sklearn(part: object) -> bool:
    """Some of its estimators keep others in plain objects, such as each fold of a calibration."""
    return type(part).__module__.startswith("sklearn.")
