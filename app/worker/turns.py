"""One connection does not hold up the others: what a client sent at once is parsed, and answered, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PIECE_BYTES = 2048
"""As much is parsed, and so answered, before others have their turn."""


class Turns:
    """Gives `parse` what came, in order; it tells whether it answered anything, after which others are served first.

    Reading pauses while something waits for its turn, or for a client that does not read its replies.
    """

    def __init__(
        self,
        parse: Callable[[memoryview], bool],
        call_soon: Callable[[Callable[[], None]], object],
        transport: asyncio.Transport,
    ) -> None:
        self._parse = parse
        self._call_soon = call_soon
        self._transport = transport
        self._unparsed = memoryview(b"")
        self._awaited = False
        self._client_reads = True

    @property
    def waiting(self) -> bool:
        """Whether some of what came is not parsed yet."""
        return len(self._unparsed) > 0

    def take(self, data: bytes) -> None:
        """Takes what came; nothing else is waiting then, since reading pauses while something is."""
        self._unparsed = memoryview(data)
        self._go_on()

    def pause(self) -> None:
        """The client does not read: no more is answered."""
        self._client_reads = False
        self._transport.pause_reading()

    def resume(self) -> None:
        self._client_reads = True
        self._await()

    def _go_on(self) -> None:
        self._awaited = False
        while self._unparsed and self._client_reads:
            piece, self._unparsed = self._unparsed[:PIECE_BYTES], self._unparsed[PIECE_BYTES:]
            if self._parse(piece) and self._unparsed:
                self._transport.pause_reading()
                self._await()
                return
        if self._client_reads:
            self._transport.resume_reading()

    def _await(self) -> None:
        if not self._awaited:
            self._awaited = True
            self._call_soon(self._go_on)
