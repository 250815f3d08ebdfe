"""What the documents tell people to type: fenced blocks, and commands within a sentence.

`bash` blocks are run as they stand, one after the other, by `tests/documents`. `console` blocks hold what a test cannot
run as it stands, since it needs a cluster, an engine or the network, or serves for ever; or, with `$ ` before a command
and what it printed below, an incident that is played again.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMPT = "$ "

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_MAKE = re.compile(r"(?:^|[\s;&|(])make ((?:[\w-]+|\w+=\S+)(?: (?:[a-z][\w-]*|[A-Z]+=(?:\"[^\"]*\"|\S+)))*)")
_FLASK = re.compile(r"(?:^|[\s;&|(])(?:\.venv/bin/)?flask ([a-z][^;&|)<>]*)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `section` is the heading that it stands under."""

    document: str
    line: int
    section: str
    language: str
    text: str

    @property
    def id(self) -> str:
        """For people to find it again."""
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """What is typed, without comments, a command a line."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.is_transcript:
            lines = [line.removeprefix(PROMPT) for line in lines if line.startswith(PROMPT)]
        plain = (" ".join(_COMMENT.sub("", line).split()) for line in lines)
        return [command for command in plain if command]

    @property
    def is_transcript(self) -> bool:
        """Whether what the commands printed is shown too."""
        return self.language == "console" and self.text.startswith(PROMPT)


def documents() -> list[str]:
    """Every document, as paths from the project's root."""
    patterns = ("*.md", "docs/*.md", "benchmarks/*.md", "tests/*/*.md")
    return sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern))


def blocks(document: str, *languages: str) -> list[Block]:
    """The document's blocks in one of `languages`, in order."""
    text = (ROOT / document).read_text()
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        headings: list[str] = re.findall(r"^#+ (.+)$", _FENCE.sub("", before), re.MULTILINE)
        section = headings[-1] if headings else ""
        found.append(Block(document, before.count("\n") + 1, section, match[1], match[2]))
    return [block for block in found if block.language in languages]


def inline(document: str) -> list[str]:
    """Everything set as code within the document's sentences and tables, on one line each."""
    prose = _FENCE.sub("", (ROOT / document).read_text())
    return [" ".join(code.split()) for code in _INLINE.findall(prose)]


def make_arguments(line: str) -> list[list[str]]:
    """What every `make ...` in a line is given: targets and variables."""
    return [shlex.split(given) for given in _MAKE.findall(line)]


def flask_arguments(line: str) -> list[list[str]]:
    """What every `flask ...` in a line is given."""
    return [shlex.split(given) for given in _FLASK.findall(line)]
