"""Flask without what a JSON API never uses, and a lane past all of it for the one endpoint that must be quick."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from app.api.exchange import Environ, Reply, request_context
from app.telemetry.current import current_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

DirectView = Callable[[Environ], Reply]
"""A view that needs nothing of Flask: the request's WSGI environment in, a finished reply out."""


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url_map.merge_slashes = False  # else `/health//live` is redirected, to no host at all
        self._direct: dict[str, DirectView] = {}
        self.gate: Callable[[Environ], None] | None = None
        """Asked before anything else; what it raises is the answer."""

    def post_directly(self, path: str, view: DirectView) -> None:
        """Registers `view` for POST `path`, and calls it without Flask's contexts, routing, hooks and signals.

        They cost several times what a prediction does. What the view raises, and every other method, is Flask's.
        """
        self.add_url_rule(path, path.strip("/"), lambda: view(request.environ), methods=["POST"])
        self._direct[path] = view

    def wsgi_app(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            if self.gate is not None:
                try:
                    self.gate(environ)
                except HTTPException as refusal:
                    return self._error_reply(refusal, environ)(environ, start_response)
            view = self._direct.get(environ["PATH_INFO"])
            if view is None or environ["REQUEST_METHOD"] != "POST":
                request_context(environ)  # whatever is logged from here on tells whose request it is about
                return super().wsgi_app(environ, start_response)
            reply: Reply | Response
            try:
                reply = view(environ)
            except Exception as error:  # noqa: BLE001 - Flask knows the handlers of all of them
                reply = self._error_reply(error, environ)
            return reply(environ, start_response)
        finally:
            current_request.set(None)

    def _error_reply(self, error: Exception, environ: Environ) -> Response:
        request_context(environ)  # its view may not have come to that
        with self.request_context(environ):
            try:
                return self.make_response(self.handle_user_exception(error))
            except Exception as unhandled:  # noqa: BLE001 - what has no handler of its own is a 500
                return self.handle_exception(unhandled)

    def make_default_options_response(self) -> Response:
        response = super().make_default_options_response()
        response.headers["X-Request-ID"] = request_context(request.environ).request_id
        return response

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        environ = request.environ
        return MapAdapter(
            self.url_map, "", "/", "", "http", request.path, environ["REQUEST_METHOD"], environ.get("QUERY_STRING")
        )
