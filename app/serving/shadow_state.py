"""What is known of the shadow version, for whoever looks at health."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class ShadowState(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of the shadow version, or all workers together."""

    version: str
    loaded: bool
    refused: str | None
    """Why it does not score."""
    rows: int
    disagreements: int
    dropped: int
    failures: int


def together(states: Iterable[ShadowState | None]) -> ShadowState | None:
    """All workers' shadows as one; None where there is none."""
    known = [state for state in states if state is not None]
    if not known:
        return None
    return ShadowState(
        version=known[0].version,
        loaded=all(state.loaded for state in known),
        refused="; ".join(dict.fromkeys(state.refused for state in known if state.refused)) or None,
        rows=sum(state.rows for state in known),
        disagreements=sum(state.disagreements for state in known),
        dropped=sum(state.dropped for state in known),
        failures=sum(state.failures for state in known),
    )
