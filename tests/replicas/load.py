"""A steady load of single predictions, whose every answer is looked at."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from typing import Self

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import eventually

CLIENTS = 4
PAUSE_S = 0.003

BODY = json.dumps(FeatureSchema().example()).encode()
HEADERS = {"Content-Type": "application/json"}


class Load:
    """Some clients, each asking one thing after the other on a connection that it keeps; until the block ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        self._lock = threading.Lock()
        self.versions: Counter[str] = Counter()
        """Answers by the model version that gave them."""
        self.failures: list[str] = []
        self.slowest_s = 0.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def answers(self) -> int:
        return self.versions.total()

    def go_on(self, version: str | None = None, more: int = 200) -> None:
        """Waits until so many more were answered, by `version` where one is named."""
        before = self._answered(version)
        eventually(lambda: self._answered(version) >= before + more, f"{more} more predictions are answered")

    def _answered(self, version: str | None) -> int:
        return self.answers if version is None else self.versions[version]

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.wait(PAUSE_S):
            started = time.perf_counter()
            try:
                connection.request("POST", "/predict", BODY, HEADERS)
                response = connection.getresponse()
                status, body = response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._note(None, repr(error), time.perf_counter() - started)
                continue
            version = json.loads(body)["model_version"] if status == 200 else None
            self._note(version, f"{status} {body.decode()[:300]}", time.perf_counter() - started)
        connection.close()

    def _note(self, version: str | None, otherwise: str, took_s: float) -> None:
        with self._lock:
            self.slowest_s = max(self.slowest_s, took_s)
            if version is None:
                self.failures.append(otherwise)
            else:
                self.versions[version] += 1
