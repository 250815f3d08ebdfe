"""Sends mutated requests to a running service, several connections at a time, and keeps what must not have happened."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.cases import reading
from tests.fuzz.mutations import Mutator, post
from tests.fuzz.replies import Reply, UnacceptableError, read_replies

CONNECTIONS = 8
PROBE_EVERY = 25
"""Connections between two valid requests."""
ANSWER_WITHIN_S = 20.0
LEAVE_EVERY = 20
"""Connections between two that are dropped without reading."""

PROBE = post(b"/predict", reading({}), b"Connection: close\r\n")


@dataclass(frozen=True, slots=True)
class Finding:
    """What must not happen, and the bytes that made it happen."""

    what: str
    sent: bytes = b""


@dataclass(slots=True)
class Seen:
    """What a campaign has sent and seen so far."""

    sent: int = 0
    connections: int = 0
    probes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return self.statuses.total() - self.statuses[100]


async def attack(port: int, mutator: Mutator, numbers: Iterator[int], requests: int, seen: Seen) -> None:
    """Sends batches until `requests` have been answered in all; `numbers` gives each its own.

    More are sent: what is pipelined behind a request that breaks the framing is not read.
    """

    async def client() -> None:
        while seen.answered < requests:
            number = next(numbers)
            batch = mutator.batch(number)
            seen.sent += len(batch)
            seen.connections += 1
            await _send(port, batch, seen, leaves=number % LEAVE_EVERY == 0)
            if number % PROBE_EVERY == 0:
                await _probe(port, seen)

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


def run(port: int, mutator: Mutator, numbers: Iterator[int], requests: int, seen: Seen) -> None:
    """The same, to its end."""
    asyncio.run(attack(port, mutator, numbers, requests, seen))


async def _send(port: int, batch: list[bytes], seen: Seen, *, leaves: bool) -> None:
    sent = b"".join(batch)
    try:
        received = await asyncio.wait_for(_exchange(port, sent, leaves=leaves), ANSWER_WITHIN_S)
        replies = read_replies(received)
    except TimeoutError:
        seen.findings.append(Finding(f"no end of the connection within {ANSWER_WITHIN_S:g} s", sent))
    except (OSError, UnacceptableError) as error:
        seen.findings.append(Finding(f"{type(error).__name__}: {error}", sent))
    else:
        seen.statuses.update(reply.status for reply in replies)
        if not replies and not leaves and sent.strip(b"\r\n"):
            seen.findings.append(Finding("no reply at all", sent))


async def _probe(port: int, seen: Seen) -> None:
    seen.probes += 1
    try:
        replies = read_replies(await asyncio.wait_for(_exchange(port, PROBE), ANSWER_WITHIN_S))
    except (TimeoutError, OSError, UnacceptableError) as error:
        replies = [Reply(0, repr(error).encode())]
    if [reply.status for reply in replies] != [200] or b'"model_used":"primary"' not in replies[0].body:
        seen.findings.append(Finding(f"a valid request was not answered: {replies}"))


async def _exchange(port: int, data: bytes, *, leaves: bool = False) -> bytes:
    """Sends, says that this was all, and reads to the end; or leaves at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        if leaves:
            writer.transport.abort()
            return b""
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


def numbers() -> Iterator[int]:
    """0, 1, 2, ..."""
    return itertools.count()
