"""What a model version is. Knows no HTTP, no metrics, no logs."""

import sys

if "pandas" not in sys.modules and "sklearn" not in sys.modules:
    # scikit-learn imports pandas where it can, only to recognise data frames later. Serving has none, and a third of
    # the start-up time would go into it.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        import sklearn.utils.fixes  # noqa: F401
    finally:
        del sys.modules["pandas"]
