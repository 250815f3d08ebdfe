"""Calls that may hang, on threads that may be left behind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class TooManyAbandonedError(RuntimeError):
    """So many calls hang that no further one is started."""


class _Call(Generic[Result]):
    """One function call and, once `done`, what came of it."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self.done = threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - carried over to the waiting thread, which raises it
            self._error = error
        self.done.set()

    def outcome(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class _CallThread(threading.Thread):
    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)  # a hung call must not keep the process from exiting
        self.calls: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            call.run()
            del call  # an idle thread must not keep the last rows and scores alive


class DeadlineCaller:
    """Runs calls on threads of its own and waits for each no longer than its deadline.

    A call that misses its deadline cannot be stopped: its thread is abandoned and ends when the call does. Idle
    threads are used again, so that callers never wait for each other.
    """

    def __init__(self, name: str, max_abandoned: int) -> None:
        self._name = name
        self._max_abandoned = max_abandoned
        self._idle: deque[_CallThread] = deque()
        self._abandoned: list[_CallThread] = []
        self._closed = False

    @property
    def abandoned(self) -> int:
        """Threads still busy with a call that nobody waits for."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return len(self._abandoned)

    @property
    def exhausted(self) -> bool:
        return bool(self._abandoned) and self.abandoned >= self._max_abandoned

    def call(self, function: Callable[[], Result], deadline_s: float) -> Result:
        """The function's result. Raises what it raises, `TimeoutError`, or `TooManyAbandonedError`."""
        if self.exhausted:
            raise TooManyAbandonedError(f"{self.abandoned} calls hang")
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = _CallThread(self._name)
        call = _Call(function)
        thread.calls.put(call)
        if not call.done.wait(deadline_s):
            thread.calls.put(None)
            self._abandoned.append(thread)
            raise TimeoutError(f"no answer within {deadline_s * 1000:g} ms")
        self._idle.append(thread)
        if self._closed:  # while the call was under way
            self.close()
        return call.outcome()

    def close(self) -> None:
        """Lets the idle threads end, and every other one when its call does; calls may still be made."""
        self._closed = True
        with suppress(IndexError):  # not by asking whether it is empty: a call may close at the same time
            while True:
                self._idle.pop().calls.put(None)
