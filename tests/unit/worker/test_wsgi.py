"""The WSGI side of the worker, held against PEP 3333 by the standard library's own validator."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.factory import EXTENSION, create_app
from app.settings import Settings
from app.worker.wsgi import Environ, Request, build_environ, call_app, split_url

StartResponse = Callable[..., Any]


def request(
    method: bytes = b"GET", url: bytes = b"/", headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b""
) -> Request:
    return Request(method, url, "1.1", list(headers), body, ("192.0.2.7", 4711), ("192.0.2.1", 5000))


# --- conformance --------------------------------------------------------------------------------------------


def test_the_demo_app_runs_under_the_validator() -> None:
    """An environ and a `start_response` as PEP 3333 has them."""
    reply = call_app(validator(demo_app), build_environ(request(url=b"/a%20b?c=d")))
    assert reply.status == "200 OK"
    assert b"PATH_INFO = '/a b'" in reply.body


@pytest.fixture
def flask_app(settings: Settings) -> Iterator[Flask]:
    """The real app, without a model."""
    app = create_app(settings)
    yield app
    app.extensions[EXTENSION].background.stop()


@pytest.mark.parametrize(
    ("made", "status"),
    [
        pytest.param(request(url=b"/health/live"), 200, id="a probe"),
        pytest.param(request(b"HEAD", b"/health/live"), 200, id="HEAD"),
        pytest.param(request(url=b"/nowhere"), 404, id="nothing there"),
        pytest.param(request(b"DELETE", b"/predict"), 405, id="not allowed"),
        pytest.param(request(b"POST", b"/predict", [(b"content-length", b"2")], b"{}"), 422, id="no reading"),
        pytest.param(request(b"POST", b"/predict", [(b"content-length", b"0")]), 400, id="an empty body"),
        pytest.param(request(b"POST", b"/predict", [(b"transfer-encoding", b"chunked")], b"{}"), 422, id="chunks"),
    ],
)
def test_the_service_runs_under_the_validator(flask_app: Flask, made: Request, status: int) -> None:
    """The service keeps its side of PEP 3333 too."""
    reply = call_app(validator(flask_app), build_environ(made))
    assert int(reply.status[:3]) == status


def test_the_environ_says_who_asked_for_what() -> None:
    """The CGI names, with the body ready to be read."""
    headers = [(b"host", b"a"), (b"content-type", b"text/x"), (b"content-length", b"3"), (b"x-y-z", b"\xe9")]
    environ = build_environ(request(b"POST", b"/p/%C3%A9?q=%20", headers, b"abc"))
    assert environ["REQUEST_METHOD"] == "POST"
    assert environ["PATH_INFO"].encode("latin-1") == "/p/é".encode()
    assert (environ["QUERY_STRING"], environ["RAW_URI"]) == ("q=%20", "/p/%C3%A9?q=%20")
    assert (environ["HTTP_HOST"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("a", "text/x", "3")
    assert environ["HTTP_X_Y_Z"] == "\xe9"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"]) == (
        "192.0.2.1", "5000", "HTTP/1.1",
    )  # fmt: skip
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.7", "4711")
    assert environ["wsgi.input"].read() == b"abc"
    assert environ["wsgi.errors"] is sys.stderr


def test_a_repeated_header_is_one_list() -> None:
    """RFC 9110, section 5.3: its values joined by commas, in order."""
    environ = build_environ(request(headers=[(b"accept", b"a"), (b"x", b"-"), (b"accept", b"b")]))
    assert environ["HTTP_ACCEPT"] == "a,b"


def test_headers_that_could_be_taken_for_others_are_dropped() -> None:
    """An underscore in a name, and what framed the body: the body is whole already."""
    headers = [(b"x_y", b"1"), (b"content_length", b"9"), (b"transfer-encoding", b"chunked")]
    environ = build_environ(request(b"POST", headers=headers, body=b"abc"))
    assert environ["CONTENT_LENGTH"] == "3"
    assert not {"HTTP_X_Y", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"} & environ.keys()


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        pytest.param(b"/", "/", "", id="the root"),
        pytest.param(b"/a?b?c", "/a", "b?c", id="two question marks"),
        pytest.param(b"/a%3Fb%2Fc", "/a?b/c", "", id="escaped delimiters"),
        pytest.param(b"/a#b?c", "/a", "", id="a fragment"),
        pytest.param(b"//a/b", "//a/b", "", id="two slashes"),
        pytest.param(b"/%zz%", "/%zz%", "", id="a broken escape"),
        pytest.param(b"http://h:1/a?b", "/a", "b", id="absolute"),
        pytest.param(b"http://h", "/", "", id="absolute without a path"),
        pytest.param(b"http://h?b", "/", "b", id="absolute with a query only"),
        pytest.param(b"*", "*", "", id="the server itself"),
    ],
)
def test_a_target_is_path_and_query(url: bytes, path: str, query: str) -> None:
    """All forms of RFC 9112, section 3.2, that are not for proxies."""
    assert split_url(url) == (path, query)


_token = st.binary(min_size=1, max_size=20).map(bytes.lower)


@given(
    st.binary(max_size=80) | st.binary(max_size=80).map(b"/".__add__) | st.binary(max_size=40).map(b"http://".__add__),
    st.lists(st.tuples(_token, st.binary(max_size=30)), max_size=10),
    st.binary(max_size=20),
)
def test_any_bytes_make_an_environ_or_a_value_error(
    url: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """What the parser lets through can be no surprise: every value is a string of latin-1, as PEP 3333 asks."""
    try:
        environ = build_environ(request(b"POST", url, headers, body))
    except ValueError:
        return
    for name, value in environ.items():
        if not name.startswith("wsgi."):
            assert isinstance(value, str), name
            value.encode("latin-1")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#?%"), max_size=30))
def test_any_path_reaches_the_app_as_it_was(path: str) -> None:
    """A path without escapes comes out as it went in."""
    assert split_url(b"/" + path.encode()) == ("/" + path, "")


# --- calling ------------------------------------------------------------------------------------------------


class Chunks:
    """An iterable that notices whether it was closed."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed += 1


def app_of(chunks: Iterable[bytes], *written: bytes) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("X", "y")])
        for data in written:
            write(data)
        return chunks

    return app


@pytest.mark.parametrize(
    ("chunks", "written", "body"),
    [
        pytest.param((), (), b"", id="nothing"),
        pytest.param((b"a", b"", b"b"), (), b"ab", id="chunks"),
        pytest.param((), (b"a", b"b"), b"ab", id="write"),
        pytest.param((b"c",), (b"a", b"b"), b"abc", id="write, then chunks"),
    ],
)
def test_all_that_the_app_gives_is_the_body(chunks: tuple[bytes, ...], written: tuple[bytes, ...], body: bytes) -> None:
    """What is written comes before what is returned."""
    iterable = Chunks(*chunks)
    reply = call_app(app_of(iterable, *written), {})
    assert (reply.status, reply.headers, reply.body) == ("200 OK", [("X", "y")], body)
    assert iterable.closed == 1


def test_the_iterable_is_closed_even_if_it_raises() -> None:
    """The app may hold a file or a lock until then."""
    iterable = Chunks(b"a", error=RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        call_app(app_of(iterable), {})
    assert iterable.closed == 1


def test_a_generator_may_start_its_response_late() -> None:
    """PEP 3333 asks for it before the first chunk only."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"late"

    assert call_app(app, {}).body == b"late"


@pytest.mark.parametrize("partial", [b"", b"half a page"], ids=["before", "after"])
def test_an_error_page_replaces_what_was_begun(partial: bytes) -> None:
    """`exc_info`: nothing has been sent yet, so nothing of the failed page may be in the error's."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X", "y")])(partial)
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    reply = call_app(app, {})
    assert (reply.status, reply.headers, reply.body) == ("500 Oops", [], b"sorry")


def test_an_app_that_starts_twice_or_never_is_wrong() -> None:
    """A second `start_response` without `exc_info`, or none at all, is a bug of the app and is raised as one."""

    def twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(AssertionError, match="twice"):
        call_app(twice, {})
    with pytest.raises(AssertionError, match="did not call start_response"):
        call_app(lambda environ, start_response: [b"x"], {})


def test_replies_are_json_of_the_service(flask_app: Flask) -> None:
    """The way of one request, but for the socket."""
    reply = call_app(flask_app, build_environ(request(url=b"/health/live")))
    assert json.loads(reply.body) == {"status": "alive"}
