"""Takes in all connections that wait: the event loop's own server takes one a turn, and a busy worker's turns are long.

Without it an overload would queue in the kernel, unseen, and a probe on a connection of its own behind it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from functools import partial

from app.worker.endpoint import Endpoint
from app.worker.protocol import Connection


class Acceptor:
    """Works beside the event loop's servers of the same sockets, which share evenly while nothing has to queue."""

    def __init__(self, listeners: Sequence[socket.socket], endpoint: Endpoint, workers: int = 1) -> None:
        self._listeners = list(listeners)
        self._workers = workers
        self._endpoint = endpoint
        self._starting: set[asyncio.Task[object]] = set()

    def accept(self, most: int) -> int:
        """Takes this worker's share of what waits, and says how many that were; what is beyond all limits is cut."""
        taken = 0
        for listener in self._listeners:
            share = -(-_waiting(listener) // self._workers)
            for _ in range(min(most, share)):
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


def _waiting(listener: socket.socket) -> int:
    """Connections that the kernel holds until they are accepted: `tcpi_unacked` of a listening socket's `tcp_info`."""
    if listener.family == socket.AF_UNIX:
        return 1
    return int(struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0])
