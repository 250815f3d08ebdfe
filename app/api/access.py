"""Who may ask: API keys from a file that is read again when it changes, and how often each may.

The file holds a SHA-256 hash and a name per line, so that it is worth nothing to whoever reads it. The names go into
logs and the audit, the keys nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from pathlib import Path

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from structlog.typing import FilteringBoundLogger
from werkzeug.exceptions import TooManyRequests, Unauthorized

from app.api.exchange import CLIENT, HEADERS, Environ
from app.errors import SettingsError

_LINE = re.compile(r"([0-9a-fA-F]{64})\s+([A-Za-z0-9._@-]{1,64})", re.ASCII)
_READS = frozenset({"/", "/metrics", "/health/detailed"})
"""What tells more of the service than a probe needs."""

_LOOK_INTERVAL_S = 1.0


class KeyRing:
    """The keys in a file, followed while the service runs. A file that became unreadable changes nothing.

    Raises `SettingsError` where it cannot be read at the start.
    """

    def __init__(self, path: Path, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._next_look = clock() + _LOOK_INTERVAL_S
        try:
            self._stamp = self._current_stamp()
            self._names = _read(path)
        except (OSError, ValueError) as error:
            raise SettingsError([f"API_KEYS_FILE: {path}: {error}"]) from None

    def name_of(self, key: str) -> str | None:
        """Whose key it is; None where it is nobody's. Takes the same time whichever it is, and however close."""
        self._follow()
        sent = key.encode("latin-1", "replace")  # as it came: WSGI decodes headers that way
        digest, found = hashlib.sha256(sent).hexdigest(), None
        for known, name in self._names.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _follow(self) -> None:
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + _LOOK_INTERVAL_S
        try:
            stamp = self._current_stamp()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._names = _read(self._path)
        except (OSError, ValueError) as error:
            self._log.error("keys.refused", file=str(self._path), error=str(error))
            return
        self._log.info("keys.loaded", file=str(self._path), names=sorted(set(self._names.values())))

    def _current_stamp(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.partition("#")[0].strip()
        match = _LINE.fullmatch(text) if text else None
        if match:
            names[match[1].lower()] = match[2]
        elif text:
            raise ValueError(f"line {number} is not a SHA-256 hash and a name")
    return names


class Gate:
    """Lets a request through, or raises `Unauthorized` or `TooManyRequests`.

    Guards every POST, and with `protect_reads` the pages that tell most. Health and readiness stay open.
    """

    def __init__(
        self, keys: KeyRing, *, protect_reads: bool, rate: str | None = None, rate_storage: str = "memory://"
    ) -> None:
        self._keys = keys
        self._protect_reads = protect_reads
        self._rate = parse(rate) if rate is not None else None
        self._rate_storage = rate_storage
        self._limiter: SlidingWindowCounterRateLimiter | None = None

    def guards(self, method: str, path: str) -> bool:
        """Whether such a request needs a key."""
        return method == "POST" or (self._protect_reads and path in _READS)

    def counts(self, method: str) -> bool:
        """Whether such a request is counted against its key's rate."""
        return self._rate is not None and method == "POST"

    def __call__(self, environ: Environ) -> None:
        method = environ["REQUEST_METHOD"]
        if not self.guards(method, environ["PATH_INFO"]):
            return
        key = _sent_key(environ)
        name = self._keys.name_of(key) if key else None
        if name is None:
            said = "The API key is not known" if key else "An API key is needed"
            raise Unauthorized(f"{said}; send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")
        environ[CLIENT] = name
        if self._rate is not None and self.counts(method):
            self._count(self._rate, name, environ)

    def _count(self, rate: RateLimitItem, name: str, environ: Environ) -> None:
        if self._limiter is None:  # after the fork: its storage owns a thread
            self._limiter = SlidingWindowCounterRateLimiter(storage_from_string(self._rate_storage))
        allowed = self._limiter.hit(rate, name)
        window = self._limiter.get_window_stats(rate, name)
        reset_s = max(0, round(window.reset_time - time.time()))
        # As in the IETF's draft "RateLimit header fields for HTTP" before it became one structured field.
        environ[HEADERS] = [
            ("RateLimit-Limit", str(rate.amount)),
            ("RateLimit-Remaining", str(window.remaining)),
            ("RateLimit-Reset", str(reset_s)),
        ]
        if not allowed:
            raise TooManyRequests(f"More than {rate} with this key (RATE_LIMIT)", retry_after=max(1, reset_s))


def _sent_key(environ: Environ) -> str | None:
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else environ.get("HTTP_X_API_KEY")
