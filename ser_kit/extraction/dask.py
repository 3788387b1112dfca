"""The same extraction on the workers of a Dask cluster, through joblib's Dask backend.

Batches go straight to that backend and not by ``joblib.Parallel``, which works in this process while the
cluster has one worker, keeps as few tasks under way as there were workers at the start, lets results pile up
that the store has no time for, and waits for ever for a task that killed its workers.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pkgutil import resolve_name
from queue import SimpleQueue
from typing import Any

from .._version import __version__
from ..core.errors import FeatureError, MissingDependencyError, SerKitError
from .store import absolute, extractor_key
from .workers import Clip, Job, Outcome, WorkerProcess

_READERS = 16  # batches of files that are read at once to know their contents; a shared file system answers late
_RECOUNT = 2.0  # seconds after which the cluster, which may grow, is asked again for its size
_here = threading.local()  # of a Dask worker: a process of its own for each of its threads


def client_is_active() -> bool:
    """Whether a Dask client was made in this process and is still connected."""
    if "distributed" not in sys.modules:
        return False
    import distributed

    try:
        return distributed.default_client() is not None
    except ValueError:
        return False


def in_dask(job: Job, workers: int | None) -> Iterator[Outcome]:
    """The outcomes of all clips, as they are ready, computed by the active Dask client's workers.

    Each clip's file must be found under the same path on every worker. A Dask worker that is lost costs
    nothing: its clips go to the others. Closing the iterator cancels what the cluster has not begun.

    Args:
        job: what is to be done.
        workers: batches that are under way at once; ``None`` for two per thread of the cluster and some to
            read.

    Raises:
        MissingDependencyError: ``dask.distributed`` is not installed.
        FeatureError: there is no active client, the cluster has no worker, cannot run the extractor, or is
            lost.
    """
    backend, threads = _backend()
    counted = time.monotonic()
    from distributed import CancelledError, KilledWorker
    from joblib.parallel import BatchedCalls

    wanted = pickle.dumps(job.extractor), extractor_key(job.extractor), job.timeout
    readers = ThreadPoolExecutor(_READERS)
    # Functions that return outcomes, and clips that the cluster is to compute.
    ready: SimpleQueue = SimpleQueue()
    suspects: list[Clip] = []  # of batches that workers died with again and again

    def settled(found: Future) -> tuple[list[Outcome], list[Clip]]:
        outcomes, rest = found.result()
        # A worker's working folder is another.
        return outcomes, [(index, absolute(source)) for index, source in rest]

    def computed(found: Future, clips: list[Clip], alone: bool) -> tuple[list[Outcome], list[Clip]]:
        try:
            return backend.retrieve_result_callback(found.result())[0], []
        except KilledWorker as error:
            if alone:
                return [Outcome(clips[0][0], error=("WorkerDied", str(error)))], []
            suspects.extend(clips)
            return [], []
        except SerKitError:
            raise
        except (Exception, CancelledError) as error:
            raise FeatureError(f"the Dask cluster gave up: {error}") from error

    def compute(clips: list[Clip], alone: bool = False) -> None:
        call = _remote, (clips, *wanted), {}
        future = backend.submit(BatchedCalls([call], (None, None)), lambda _: None)
        future.add_done_callback(lambda found: ready.put(lambda: computed(found, clips, alone)))

    batches, under_way = iter(job.batches(threads)), 0
    backend.start_call()
    try:
        while True:
            if time.monotonic() - counted > _RECOUNT:
                with suppress(OSError):  # of a lost scheduler, which the tasks that are under way will tell of
                    threads, counted = sum(backend.client.ncores().values()), time.monotonic()
            for batch in islice(batches, max(0, (workers or 2 * threads + _READERS) - under_way)):
                readers.submit(job.settle, batch).add_done_callback(lambda found: ready.put(lambda: settled(found)))
                under_way += 1
            if not under_way and suspects:  # whatever worker dies now, it was this clip
                compute([suspects.pop()], alone=True)
                under_way = 1
            if not under_way:
                return
            outcomes, rest = ready.get()()
            if rest:
                compute(rest)
            else:
                under_way -= 1
            yield from outcomes
    finally:
        readers.shutdown(wait=False, cancel_futures=True)
        backend.client.cancel(list(backend.waiting_futures.futures))
        backend.stop_call()


def _backend() -> tuple[Any, int]:
    """joblib's Dask backend, and the threads of the cluster, which is fit for us."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise MissingDependencyError("dask.distributed", "dask", 'backend="dask"') from None
    from joblib import parallel_config

    if not client_is_active():
        raise FeatureError(
            'backend="dask" needs a cluster: make a client first, such as dask.distributed.Client("scheduler:8786"), '
            "or dask.distributed.Client() for this machine"
        )
    with parallel_config(backend="dask") as config:
        backend = config["backend"]
    try:
        threads = backend.effective_n_jobs(-1)
        # Asked beforehand, because a worker that cannot unpickle its task ends without a word to us.
        versions = backend.client.run(resolve_name, "ser_kit:__version__", on_error="return")
    except TimeoutError:
        raise FeatureError("the Dask cluster has no worker; client.wait_for_workers(1) waits for the first") from None
    except OSError as error:
        raise FeatureError(f"the Dask cluster is lost: {error}") from error
    for worker, version in versions.items():
        if version != __version__ and not isinstance(version, OSError):  # that of a worker just being lost
            raise FeatureError(f"the Dask workers must have ser_kit {__version__}; {worker} has {version}")
    return backend, threads


def _remote(clips: list[Clip], pickled: bytes, key: str, timeout: float | None) -> list[Outcome]:
    """What a Dask worker runs: one batch, in a process beside its own, which a clip may crash or hang in."""
    wanted = pickle.loads(pickled), timeout
    if getattr(_here, "wanted", None) != wanted:
        if extractor_key(wanted[0]) != key:
            raise FeatureError(f"a worker has {extractor_key(wanted[0])}, not {key}; install the same there")
        if hasattr(_here, "worker"):
            _here.worker.close()
        _here.wanted, _here.worker = wanted, WorkerProcess(*wanted)
    return list(_here.worker.outcomes(clips))
