"""Transcripts: `$ command` and what it printed, compared with what it prints now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.documents.blocks import PROMPT, Block

CUT = "..."
"""Stands for lines that are left out where it stands alone, else for some text within a line."""

_VERSION = re.compile(r"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b")
_VARIABLE = (
    (re.compile(r"\b(?:\d{4}-)?\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s)\b"), "<duration>"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "<digest>"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and the output that the document shows below it."""

    command: str
    output: str


def steps(block: Block) -> list[Step]:
    """The commands of a transcript with their output."""
    found: list[Step] = []
    for part in re.split(r"^" + re.escape(PROMPT), block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        found.append(Step(" ".join(command.split()), output))
    return found


def versions_of(texts: Sequence[str]) -> list[str]:
    """All model versions that the texts name, oldest first."""
    return sorted({version for text in texts for version in _VERSION.findall(text)})


def renamed(text: str, versions: Sequence[str], others: Sequence[str]) -> str:
    """The text with each of the `versions` replaced by that of the `others` in the same place."""
    for version, other in zip(versions, others, strict=True):
        text = text.replace(version, other)
    return text


def normal(text: str, versions: Sequence[str]) -> str:
    """The text without what differs from one night to the next: a version becomes its place among `versions`."""
    text = renamed(text, versions, [f"<version {place}>" for place in range(len(versions))])
    for pattern, name in _VARIABLE:
        text = pattern.sub(name, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def agrees(shown: str, printed: str) -> bool:
    """Whether the output that is `shown`, normal and perhaps cut, is that which was `printed`."""
    lines = [_line(line) for line in shown.splitlines()]
    return re.fullmatch("".join(lines), printed + "\n") is not None


def _line(line: str) -> str:
    if line == CUT:
        return r"(?:.*\n)*?"
    return ".*?".join(re.escape(part) for part in line.split(CUT)) + r"\n"
