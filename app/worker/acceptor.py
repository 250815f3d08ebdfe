"""Takes in all connections that wait: the event loop's own server takes one a turn, and a busy worker's turns are long.

Without it an overload would queue in the kernel, unseen, and a probe on a connection of its own behind it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial

from app.worker.endpoint import Endpoint
from app.worker.protocol import Connection


class Acceptor:
    """Works beside the event loop's servers of the same sockets, which share evenly while nothing has to queue."""

    def __init__(self, listeners: Sequence[socket.socket], endpoint: Endpoint) -> None:
        self._listeners = list(listeners)
        self._endpoint = endpoint
        self._starting: set[asyncio.Task[object]] = set()

    def accept(self, most: int) -> int:
        """Takes what waits, and says how many that were; what is too much even to be refused in words is cut."""
        taken = 0
        for listener in self._listeners:
            for _ in range(most):
                try:
                    client, _ = listener.accept()
                except OSError:  # none waits any more, or there is no descriptor left
                    break
                taken += 1
                if self._endpoint.room <= len(self._starting):
                    client.close()
                else:
                    self._start(client)
        return taken

    def close(self) -> None:
        """From now on whoever connects is another worker's business."""
        self._listeners.clear()

    def _start(self, client: socket.socket) -> None:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(partial(Connection, self._endpoint), client))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
