"""What every endpoint answers, member by member: the views are typed by it, `/openapi.json` is generated from it."""

from __future__ import annotations

from typing import is_typeddict

from app.api.replies import feedback, health, inference, predictions, problems

KINDS: dict[str, type] = {
    name: kind
    for module in (problems, predictions, feedback, health, inference)
    for name, kind in vars(module).items()
    if is_typeddict(kind)
}
"""Every reply by its name."""
