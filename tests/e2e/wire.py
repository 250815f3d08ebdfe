"""A client that sends any bytes at all, and reads replies strictly."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any, Self

from tests.e2e.conftest import Answer

ENVELOPE = {"success", "error", "type", "title", "status", "detail", "instance", "request_id", "errors"}


class Wire:
    """One TCP connection to the service."""

    def __init__(self, port: int, timeout_s: float = 15.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> Self:
        self._socket.sendall(data)
        return self

    def offer(self, data: bytes) -> Self:
        """Sends as much as the service takes: it may hang up before it has all."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)
        return self

    def half_close(self) -> Self:
        """Says that nothing more will be sent, and goes on reading."""
        with contextlib.suppress(OSError):  # the service has hung up already
            self._socket.shutdown(socket.SHUT_WR)
        return self

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next reply."""
        head = self._until(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        pairs = [field.split(": ", 1) for field in fields]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), f"a header came twice: {pairs}"
        return int(status), headers

    def reply(self, *, bodiless: bool = False) -> Answer:
        """The next reply; `bodiless` where it answers HEAD."""
        status, headers = self.head()
        return Answer(status, headers, b"" if bodiless else self._exactly(int(headers["content-length"])))

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while self._receive():
            pass
        data, self._unread = self._unread, b""
        return data

    def _until(self, end: bytes) -> bytes:
        while end not in self._unread:
            assert self._receive(), f"the connection ended after {self._unread!r}"
        head, _, self._unread = self._unread.partition(end)
        return head

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            assert self._receive(), f"the connection ended after {self._unread!r}"
        body, self._unread = self._unread[:size], self._unread[size:]
        return body

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:  # an end too, where the service did not read all that was sent
            return False
        self._unread += data
        return bool(data)


def exchange(port: int, data: bytes) -> Answer:
    """One request and its reply."""
    with Wire(port) as wire:
        return wire.send(data).reply()


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """The error envelope of a refusal with this status; fails where a member is missing or contradicts another."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(answer.body)
    assert document.keys() >= ENVELOPE
    assert document["success"] is False
    assert document["error"]
    assert isinstance(document["error"], str)
    assert document["detail"] == document["error"]
    assert document["status"] == status
    assert document["errors"] == []
    assert document["request_id"] == answer.headers["x-request-id"]
    return document
