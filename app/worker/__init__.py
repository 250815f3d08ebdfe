"""The gunicorn worker class: an event loop that reads whole requests and calls the WSGI app inline."""

from app.worker.worker import InlineWorker

__all__ = ["InlineWorker"]
