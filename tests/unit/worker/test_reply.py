"""What the worker writes for a reply: status line, headers, and as many bytes of body as belong there."""

from __future__ import annotations

import re

import pytest

from app.worker.wsgi import Reply, status_line

DATE = b"Mon, 02 Nov 2026 10:00:00 GMT"


def encoded(reply: Reply, *, head: bool = False, keep_alive: bool = True) -> tuple[bytes, list[bytes], bytes]:
    """(status line, header lines, body)."""
    top, _, body = reply.encode(head=head, keep_alive=keep_alive, date=DATE).partition(b"\r\n\r\n")
    line, *headers = top.split(b"\r\n")
    return line, headers, body


def test_a_reply_is_dated_and_measured() -> None:
    """Where the app gives no length, the body has one."""
    line, headers, body = encoded(Reply("200 OK", [("X", "\xe9")], b"abc"))
    assert (line, body) == (b"HTTP/1.1 200 OK", b"abc")
    assert headers == [b"Date: " + DATE, b"X: \xe9", b"Content-Length: 3"]


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_last_reply_says_so(keep_alive: bool) -> None:
    """Only then is there a `Connection` header."""
    _, headers, _ = encoded(Reply("200 OK", [], b""), keep_alive=keep_alive)
    assert (b"Connection: close" in headers) is not keep_alive


def test_the_apps_own_length_stays() -> None:
    """In whatever case; HEAD has the length of GET, and no body."""
    _, headers, body = encoded(Reply("200 OK", [("content-length", "3")], b"abc"), head=True)
    assert [header for header in headers if re.match(b"content-length", header, re.IGNORECASE)] == [
        b"content-length: 3"
    ]
    assert body == b""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_reply_that_has_no_body_by_definition_has_none(status: str) -> None:
    """Bytes behind it would be taken for the next reply."""
    _, headers, body = encoded(Reply(status, [], b"stray"))
    assert headers == [b"Date: " + DATE]
    assert body == b""


def test_unknown_statuses_have_a_reason_too() -> None:
    """The status line needs one."""
    assert (status_line(404), status_line(599)) == ("404 Not Found", "599 Error")
