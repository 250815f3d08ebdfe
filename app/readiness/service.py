"""A running service as its callers meet it: over HTTP, and by what it writes down."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.errors import ReadinessError

Found = TypeVar("Found")

TIMEOUT_S = 10.0

_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, read to its end; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str = ""
    """The one that was sent."""

    @property
    def json(self) -> Any:
        """Raises `ValueError` where it is no JSON."""
        return json.loads(self.body)


class Service(ABC):
    """Whatever answers requests; `audit_dir` is where its audit can be read, if it can."""

    name: str
    audit_dir: Path | None
    own: bool = False
    """Whether the audit started it itself, so that nobody else asks it, and its audit can be nowhere else."""
    settled_within_s: float = 5.0
    """How long a line may take to the disk, a count from one worker to a scrape of another, a fault to `/health`."""

    @abstractmethod
    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request. Raises `OSError` or `http.client.HTTPException` where nobody answers."""

    @contextmanager
    def kept(self) -> Iterator[Service]:
        """The same service, asked by one caller on a connection that is kept until the block ends."""
        yield self

    def get(self, path: str) -> Reply:
        """A page."""
        return self.ask("GET", path)

    def post(self, path: str, document: object, **headers: str) -> Reply:
        """A document as JSON, under a request id of its own by which it is found again."""
        return self.send(path, json.dumps(document).encode(), **headers)

    def send(self, path: str, body: bytes, media_type: str = "application/json") -> Reply:
        """Any bytes, in the same way."""
        request_id = f"readiness-{uuid.uuid4().hex}"
        reply = self.ask("POST", path, body, {"Content-Type": media_type, "X-Request-ID": request_id})
        return Reply(reply.status, reply.headers, reply.body, request_id)

    def detailed(self) -> dict[str, Any]:
        """`/health/detailed`. Raises `ReadinessError` where that is not what answers."""
        reply = self.get("/health/detailed")
        if reply.status == 401:
            raise ReadinessError(f"{self.name} needs a key; set API_KEY")
        try:
            document = dict(reply.json)
            if document.keys() >= {"status", "environment", "workers"}:
                return document
        except (ValueError, TypeError):
            pass
        raise ReadinessError(f"{self.name} is another service: /health/detailed answers {reply.status}")

    def metrics(self) -> dict[str, Metric]:
        """What it counts, by family."""
        text = self.get("/metrics").body.decode()
        return {family.name: family for family in text_string_to_metric_families(text)}

    def count(self, sample: str, **labels: str) -> float:
        """The sum of a metric's samples that bear these labels."""
        return sum(
            found.value
            for family in self.metrics().values()
            for found in family.samples
            if found.name == sample and labels.items() <= found.labels.items()
        )

    def settles(self, condition: Callable[[], Found]) -> Found:
        """What `eventually` finds, soon."""
        return eventually(condition, self.settled_within_s)

    def audited_since(self, at: float) -> list[Path]:
        """The audit's files that were written since that Unix time; a month of others need not be read."""
        assert self.audit_dir is not None  # noqa: S101 - the checks ask before
        return [path for path in self.audit_dir.glob("*.jsonl") if path.stat().st_mtime >= at]

    def audit_line(self, request_id: str, since: float) -> dict[str, Any] | None:
        """What the audit says of a request sent at that time; None where it says nothing.

        Raises `OSError` where there is no audit to be read.
        """
        marker = request_id.encode()
        for path in self.audited_since(since):
            with path.open("rb") as file:
                for line in file:
                    if marker in line:
                        return dict(json.loads(line))
        return None


class HttpService(Service):
    """A service at a URL; each request has a connection of its own, or all have the same one in turn.

    Raises `ReadinessError` for what is no such URL.
    """

    def __init__(self, url: str, audit_dir: Path | None, api_key: str | None = None, *, keep: bool = False) -> None:
        self.name = url
        self.audit_dir = audit_dir
        self._api_key, self._keep = api_key, keep
        try:
            address = urlsplit(url)
            kind = _CONNECTIONS[address.scheme]
            self._connection = kind(address.hostname or "", address.port, timeout=TIMEOUT_S)
        except (KeyError, ValueError):
            raise ReadinessError(f"{url!r} is no URL of a service; write for instance http://localhost:5000") from None
        self._prefix = address.path.rstrip("/")

    @contextmanager
    def kept(self) -> Iterator[Service]:
        """The same service, asked by one caller on a connection that is kept until the block ends."""
        service = HttpService(self.name, self.audit_dir, self._api_key, keep=True)
        try:
            yield service
        finally:
            service._connection.close()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request. A connection that has ended opens again with the next."""
        key = {"X-API-Key": self._api_key} if self._api_key else {}
        answered = False
        try:
            self._connection.request(method, self._prefix + path, body or None, {**(headers or {}), **key})
            response = self._connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            reply = Reply(response.status, fields, response.read())
            answered = True
            return reply
        finally:
            if not (self._keep and answered):
                self._connection.close()


def eventually(condition: Callable[[], Found], within_s: float) -> Found:
    """What the condition gives once it holds, or at last where it does not in time."""
    give_up = time.monotonic() + within_s
    while not (found := condition()) and time.monotonic() < give_up:
        time.sleep(0.05)
    return found
