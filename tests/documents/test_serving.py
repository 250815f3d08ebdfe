"""Commands of `console` blocks that serve until they are stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.blocks import blocks, documents
from tests.documents.checkout import SERVES, Checkout

COMMANDS = sorted(
    {
        command
        for document in documents()
        for block in blocks(document, "console")
        for command in block.commands
        if SERVES.fullmatch(command)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_serves_for_ever_is_ready(command: str, tmp_path: Path) -> None:
    """Typed into a fresh checkout; then it is stopped."""
    said = Checkout(tmp_path / "checkout").run(command)
    assert "service.started" in said
    assert "service.stopping" in said


def test_there_are_such_commands() -> None:
    """The README's first one at least."""
    assert "make serve" in COMMANDS
