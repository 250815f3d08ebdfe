"""Calls that may hang."""

from __future__ import annotations

import threading

import pytest

from app.serving.deadline import DeadlineCaller, TooManyAbandonedError


@pytest.fixture
def hanging() -> threading.Event:
    """What a hanging call waits for."""
    return threading.Event()


def test_gives_the_result() -> None:
    """A call in time is as good as a plain one."""
    caller = DeadlineCaller("test", 2)
    assert caller.call(lambda: 42, 5) == 42
    caller.close()


def test_raises_what_the_call_raises() -> None:
    """An error crosses the threads as it is."""
    caller = DeadlineCaller("test", 2)
    empty: dict[str, int] = {}
    with pytest.raises(KeyError, match="x"):
        caller.call(lambda: empty["x"], 5)
    caller.close()


def test_uses_one_thread_for_calls_that_follow_each_other() -> None:
    """Threads are started for overlap, not for every call."""
    caller = DeadlineCaller("test", 2)
    used = {caller.call(threading.get_ident, 5) for _ in range(20)}
    assert len(used) == 1
    caller.close()


def test_a_missed_deadline_abandons_the_thread_and_the_next_call_gets_another(hanging: threading.Event) -> None:
    """One hung call does not stand in the way of the next."""
    caller = DeadlineCaller("test", 2)
    with pytest.raises(TimeoutError):
        caller.call(hanging.wait, 0.01)
    assert caller.abandoned == 1
    assert caller.call(lambda: "still here", 5) == "still here"
    hanging.set()
    caller.close()


def test_abandoned_threads_end_when_their_calls_do(hanging: threading.Event) -> None:
    """Nothing is left behind once a hung call comes back."""
    caller = DeadlineCaller("test", 2)
    with pytest.raises(TimeoutError):
        caller.call(hanging.wait, 0.01)
    left = [thread for thread in threading.enumerate() if thread.name == "test"]
    hanging.set()
    for thread in left:
        thread.join(10)
    assert caller.abandoned == 0


def test_refuses_further_calls_when_too_many_hang(hanging: threading.Event) -> None:
    """Abandoned threads are bounded; beyond the bound a call fails at once."""
    caller = DeadlineCaller("test", 2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            caller.call(hanging.wait, 0.01)
    assert caller.exhausted
    with pytest.raises(TooManyAbandonedError):
        caller.call(lambda: 42, 5)
    hanging.set()


def test_callers_do_not_wait_for_each_other(hanging: threading.Event) -> None:
    """Two calls at once run on two threads."""
    caller = DeadlineCaller("test", 2)
    slow = threading.Thread(target=lambda: caller.call(hanging.wait, 30))
    slow.start()
    assert caller.call(lambda: "quick", 5) == "quick"
    hanging.set()
    slow.join(10)
    caller.close()


def test_a_thread_that_is_busy_when_it_is_closed_ends_with_its_call(hanging: threading.Event) -> None:
    """A version is swapped while a request is still with the old one; its threads must not stay for ever."""
    caller = DeadlineCaller("test", 2)
    under_way, used = threading.Event(), []

    def call() -> None:
        used.append(threading.current_thread())
        under_way.set()
        hanging.wait(30)

    request = threading.Thread(target=lambda: caller.call(call, 30))
    request.start()
    under_way.wait(30)
    caller.close()
    hanging.set()
    for thread in (request, *used):
        thread.join(10)
        assert not thread.is_alive()


def test_a_call_after_the_end_leaves_no_thread() -> None:
    """A request may come to the old version just after the swap."""
    caller = DeadlineCaller("test", 2)
    caller.close()
    used = caller.call(threading.current_thread, 5)
    used.join(10)
    assert not used.is_alive()
