"""The anomaly prediction service. `create_app` is the WSGI application's factory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.factory import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    # Forwarded lazily: importing `app.contract` or `app.model` must not import Flask.
    if name == "create_app":
        # Commands score as the service does, on one thread; OpenMP looks at it once, when scikit-learn is imported.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        from app.factory import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
