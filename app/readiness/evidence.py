"""How an item of the checklist is judged: by facts that were seen, that lack, or that could not be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.errors import OutOfReachError
from app.readiness.results import Finding, Status

if TYPE_CHECKING:
    from app.readiness.scene import Scene


@dataclass(slots=True)
class Evidence:
    """What one check has found so far."""

    seen: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def expect(self, holds: object, seen: str, lacking: str) -> None:
        """Notes what was `seen` where it holds, and what is `lacking` where it does not."""
        if holds:
            self.seen.append(seen)
        else:
            self.lacking.append(lacking)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """For a part of a check: where it is out of reach, the other parts are looked at all the same."""
        try:
            yield
        except OutOfReachError as reason:
            self.unchecked.append(str(reason))

    @property
    def status(self) -> Status:
        """A check that saw nothing has not passed."""
        if self.lacking:
            return "fail"
        if self.unchecked:
            return "not checked"
        return "pass" if self.seen else "fail"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist."""

    section: str
    name: str
    check: Callable[[Scene, Evidence], None]


def judge(item: Item, scene: Scene) -> Finding:
    """Runs one check; whatever it meets is in the finding."""
    found = Evidence()
    try:
        with found.reaching():
            item.check(scene, found)
    except OSError as error:
        found.lacking.append(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:  # noqa: BLE001 - what breaks its check has not passed it, and the others must be seen
        found.lacking.append(f"{type(error).__name__}: {error}")
    return Finding(item.section, item.name, found.status, found.seen, found.lacking, found.unchecked)
