"""A Dask cluster as one more way to spread work (`edge/workers.py`): `--scheduler ADDRESS`."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ..edge import __version__
from ..edge.errors import installing
from ..edge.workers import Workers, flow
from .errors import ClusterError

A = TypeVar("A")
T = TypeVar("T")
RETRIES = 3
"""Of an item whose worker has died."""
AHEAD = 8
"""Items that a cluster has at a time, per worker; the rest waits here, where it costs nothing."""
WAIT_S = 30.0
"""For a scheduler to answer, and for its first worker."""
BY_ITSELF = 10_000_000
"""Bytes of work above which it is laid down on the workers once, not sent with each item; one that comes later
gets it from another."""


@contextmanager
def connect(address: str) -> Iterator[Workers]:
    """Connect to a scheduler.

    Args:
        address: such as tcp://10.0.0.1:8786.

    Raises:
        ClusterError: it is no address, none answers there, it has no worker, or a worker has another version of
            stibium or none.
    """
    try:
        import distributed
    except ImportError as error:
        raise ClusterError(f"--scheduler needs Dask: {installing('train,cluster')}") from error
    # What it says on its own account, as of every worker that goes, is said here in one line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask: Any = distributed
    try:
        # Looked at first, as a client that was given no address tries for a minute to close what it never had.
        dask.comm.get_address_host_port(address)
    except ValueError as error:
        raise ClusterError(f"{address}: is no scheduler's address; write tcp://HOST:PORT") from error
    try:
        client = dask.Client(address, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"{address}: no Dask scheduler answers there; start one with `dask scheduler`") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_S)
        except TimeoutError as error:
            raise ClusterError(f"{address}: has no worker; start some with `dask worker {address}`") from error
        _check(address, client)
        yield _Cluster(address, client, dask)


def _check(address: str, client: Any) -> None:
    try:
        versions = client.run(_version)
    except Exception as error:
        raise ClusterError(f"{address}: a worker cannot load stibium ({error}); install {__version__} there") from error
    for worker, version in versions.items():
        if version != __version__:
            raise ClusterError(f"{address}: the worker {worker} has stibium {version}; install {__version__} there")


def _version() -> str:
    return __version__


@dataclass(frozen=True)
class _Cluster:
    """See `edge.workers.Workers`."""

    address: str
    client: Any
    dask: Any

    @property
    def width(self) -> int:
        """Workers that there are."""
        return max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))

    def __call__(self, work: Callable[[A], T], items: Iterable[A], *, in_order: bool = True) -> Iterator[T]:
        packed: Any = pickle.dumps(work)
        if len(packed) > BY_ITSELF:
            packed = self.client.scatter(packed, broadcast=True, hash=False)
        executor = self.client.get_executor(pure=False, retries=RETRIES)
        here = os.getcwd()
        try:
            yield from flow(lambda item: executor.submit(_do, packed, here, item), items, AHEAD * self.width, in_order)
        except self.dask.KilledWorker as error:
            raise ClusterError(
                f"{self.address}: several workers died one after the other at the same task, perhaps for want of "
                "memory; what is done is kept: the same command goes on"
            ) from error
        except (CancelledError, self.dask.client.FutureCancelledError, self.dask.core.CommClosedError) as error:
            raise ClusterError(
                f"{self.address}: the scheduler has gone; what is done is kept: the same command goes on"
            ) from error
        finally:
            executor.shutdown(wait=False)


_ONE_AT_A_TIME = threading.Lock()
"""In a worker process. Neither a TFLite interpreter nor Keras' seeds bear two threads."""


def _do(packed: bytes, folder: str, item: Any) -> Any:
    # On one thread, as every process that work is spread over: only a worker that a nanny began has one by itself.
    with _ONE_AT_A_TIME, threadpool_limits(1):
        before = os.getcwd()
        try:
            os.chdir(folder)
        except OSError as error:
            raise ClusterError(
                f"{folder}: a worker has no such folder ({error.strerror}); it has to see the same files under the "
                "same names"
            ) from error
        try:
            return _unpacked(packed)(item)
        finally:
            os.chdir(before)


@lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> Callable[[Any], Any]:
    work: Callable[[Any], Any] = pickle.loads(packed)
    return work
