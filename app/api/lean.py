"""Flask without what a JSON API never uses: host names, subdomains, URL building, sessions, header fix-ups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _NoSession(SessionInterface):
    """Nothing is kept between requests."""

    _nothing = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._nothing

    def is_null_session(self, obj: object) -> bool:
        return True


class LeanFlask(Flask):
    """Matches paths only: it serves any host name, has no subdomains, and builds no URLs."""

    session_interface = _NoSession()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        environ = request.environ
        return MapAdapter(
            self.url_map, "", "/", "", "http", request.path, environ["REQUEST_METHOD"], environ.get("QUERY_STRING")
        )


class FinishedReply(Response):
    """A reply whose bytes and headers are final, so that nothing needs to look through them again."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[str, str]]) -> None:
        super().__init__([body], status, Headers([*headers, ("Content-Length", str(len(body)))]))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        body: Any = self.response
        return body  # type: ignore[no-any-return]
