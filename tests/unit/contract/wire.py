"""Bodies as clients write them, literal by literal: what `json.dumps` cannot spell, these tests must send."""

from __future__ import annotations

from collections.abc import Iterable

from app.contract.schema import FeatureSchema

SCHEMA = FeatureSchema()


def pairs(**literals: str) -> list[tuple[str, str]]:
    """The example reading as (key literal, value literal), in contract order, with some values replaced."""
    return [(f'"{name}"', literals.get(name, repr(value))) for name, value in SCHEMA.example().items()]


def written(members: Iterable[tuple[str, str]]) -> bytes:
    """An object of the given literals."""
    return ("{" + ", ".join(f"{key}: {value}" for key, value in members) + "}").encode("utf-8", "surrogatepass")


def body(**literals: str) -> bytes:
    """The example reading with some of its value literals replaced."""
    return written(pairs(**literals))
