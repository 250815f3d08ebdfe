"""Who scores the partitions: this process, others on this machine, or a Dask cluster. The results are the same."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any

from app.errors import ScoringError
from app.scoring import processes
from app.scoring.job import Job
from app.scoring.plan import Partition, Receipt

LOCAL = "local"
"""The scheduler of a Dask cluster that is made here, and goes when the work is done."""

Done = Iterator[tuple[Partition, Receipt]]
Engine = Callable[[Job, Iterable[Partition]], Done]
"""Scores partitions, and gives each with its receipt as it is done. Raises `ScoringError`."""

CONNECT_S = 15


@contextmanager
def engine(workers: int, scheduler: str | None) -> Iterator[Engine]:
    """The engine that was asked for; what it needs is gone afterwards."""
    if scheduler is not None:
        with _dask(scheduler, workers) as found:
            yield found
    elif workers > 1:
        with _pool(workers) as found:
            yield found
    else:
        yield _here


def _here(job: Job, partitions: Iterable[Partition]) -> Done:
    for partition in partitions:
        yield partition, job.run(partition)


@contextmanager
def _pool(workers: int) -> Iterator[Engine]:
    # A fork would inherit OpenMP's threads as they are, which is as none at all.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=processes.begin)
    try:
        yield lambda job, partitions: _bounded(partitions, workers + 1, lambda one: pool.submit(job.run, one))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _dask(scheduler: str, workers: int) -> Iterator[Engine]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ScoringError("--scheduler needs dask[distributed]; install the extra 'scale'") from None
    with ExitStack() as stack:
        try:
            where: Any = scheduler
            if scheduler == LOCAL:
                cluster = LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR
                )
                where = stack.enter_context(cluster)
            client = stack.enter_context(Client(where, timeout=CONNECT_S, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise ScoringError(f"no Dask scheduler at {scheduler}: {error}") from None
        threads = sum(client.nthreads().values())
        if not threads:
            raise ScoringError(f"the Dask scheduler at {scheduler} has no workers")
        executor = client.get_executor(pure=False)

        def submit(job: Job, partition: Partition) -> Future[Receipt]:
            # By way of a worker, since the scheduler is no place for a file's content.
            given = client.scatter(partition, hash=False) if partition.data is not None else partition
            future: Future[Receipt] = executor.submit(job.run, given)
            return future

        yield lambda job, partitions: _bounded(partitions, 2 * threads, lambda one: submit(job, one))


def _bounded(partitions: Iterable[Partition], most: int, submit: Callable[[Partition], Future[Receipt]]) -> Done:
    """Never more than so many at a time, so that neither a plan nor data of a whole file ever waits in memory."""
    waiting: dict[Future[Receipt], Partition] = {}
    try:
        for partition in partitions:
            waiting[submit(partition)] = partition
            if len(waiting) >= most:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)
    except BrokenExecutor:
        raise ScoringError(
            "a worker process ended, perhaps for want of memory; the same command goes on where this one stopped"
        ) from None
    finally:
        for future in waiting:
            future.cancel()


def _finished(waiting: dict[Future[Receipt], Partition]) -> Done:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()
