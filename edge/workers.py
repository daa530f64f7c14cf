"""Work on many items, spread over this process, several, or what else takes tasks: decided once, here.

What comes out is what one process gives. A cluster is one more way (`train/cluster.py`), found under its entry point.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any, Protocol, TypeVar

from .errors import JobsError

A = TypeVar("A")
T = TypeVar("T")
AHEAD = 4
"""Items per process that wait or are done; memory does not grow with their number."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Workers(Protocol):
    """A way of doing the same work on many items."""

    @property
    def width(self) -> int:
        """Items that are worked on at a time."""

    def __call__(self, work: Callable[[A], T], items: Iterable[A], *, in_order: bool = True) -> Iterator[T]:
        """Do the work, and give what it returns.

        Args:
            work: can be pickled; with all that it holds it travels once to each process.
            items: can be pickled; taken as they are needed.
            in_order: give results in the order of the items; otherwise each as soon as it is done.

        Raises:
            JobsError: whoever worked on an item has died. Whatever `work` raises comes out too.
        """


@dataclass(frozen=True)
class OneProcess:
    """This one; see `Workers`."""

    width: int = 1

    def __call__(self, work: Callable[[A], T], items: Iterable[A], *, in_order: bool = True) -> Iterator[T]:
        """Do the work here; see `Workers`."""
        return map(work, items)


@dataclass(frozen=True)
class Processes:
    """Several on this machine; see `Workers`."""

    width: int

    def __call__(self, work: Callable[[A], T], items: Iterable[A], *, in_order: bool = True) -> Iterator[T]:
        """Do the work in other processes; see `Workers`."""
        # A fork would take threads of the runtime with it that do not survive one.
        pool = ProcessPoolExecutor(self.width, get_context("spawn"), _begin, (pickle.dumps(work),))
        try:
            with one_thread_each():
                yield from flow(lambda item: pool.submit(_do, item), items, AHEAD * self.width, in_order)
        except BrokenProcessPool as error:
            raise JobsError(
                "a process of --jobs was killed, perhaps for want of memory; what is done is kept: run the same "
                "command again, with fewer jobs"
            ) from error
        finally:
            running = list((getattr(pool, "_processes", None) or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            # What is begun for nobody is not worth waiting for.
            for process in running:
                process.terminate()


def workers_for(jobs: int | None) -> Workers:
    """Give the way of doing work in so many processes; None for as many as there are processors to run on."""
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Processes(jobs) if jobs > 1 else OneProcess()


def flow(submit: Callable[[A], Future[T]], items: Iterable[A], ahead: int, in_order: bool) -> Iterator[T]:
    """Submit items as there is room for them, and give what comes back."""
    waiting: deque[Future[T]] = deque()

    def given() -> Iterator[T]:
        if in_order:
            yield waiting.popleft().result()
            return
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            waiting.remove(future)
            yield future.result()

    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= ahead:
            yield from given()
    while waiting:
        yield from given()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes that begin within compute on one thread each: they are the parallel part."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_work: Callable[[Any], Any] | None = None


def _begin(packed: bytes) -> None:
    """Take up the work, in a process that ends with its parent and, at Ctrl-C, without a word."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = pickle.loads(packed)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)
