"""The same extraction on the workers of a Dask cluster, through joblib."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ..errors import FeatureError, MissingDependencyError
from ._base import Extractor
from ._pool import Clip, Job, Outcome, WorkerProcess

_READERS = 16  # files that are read at once to know their contents; a shared file system answers late, but many
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
    """The outcomes of all clips, in the order they are ready, computed by the workers of the active Dask client.

    Each clip's file must be found under the same path on every worker. A Dask worker that is lost costs nothing: its
    clips go to the others.

    Raises:
        MissingDependencyError: ``dask.distributed`` is not installed.
        FeatureError: there is no active client, or clips keep killing the workers.
    """
    try:
        import distributed
    except ImportError:
        raise MissingDependencyError("dask.distributed", "dask", 'backend="dask"') from None
    from joblib import Parallel, delayed, parallel_config

    if not client_is_active():
        raise FeatureError(
            'backend="dask" needs a cluster: make a client first, such as dask.distributed.Client("scheduler:8786"), '
            "or dask.distributed.Client() for this machine"
        )
    threads = sum(distributed.default_client().nthreads().values())
    rest = []
    with ThreadPoolExecutor(_READERS) as readers:
        try:
            for settled, unsettled in readers.map(job.settle, job.batches(workers or max(1, threads))):
                yield from settled
                if unsettled:
                    rest.append(unsettled)
        finally:
            readers.shutdown(cancel_futures=True)
    with parallel_config(backend="dask"):
        parallel = Parallel(n_jobs=workers or -1, return_as="generator_unordered", batch_size=1)
        try:
            for outcomes in parallel(delayed(_remote)(batch, job.extractor, job.timeout) for batch in rest):
                yield from outcomes
        except distributed.KilledWorker as error:
            raise FeatureError(f"the Dask workers died again and again: {error}") from error


def _remote(batch: list[Clip], extractor: Extractor, timeout: float | None) -> list[Outcome]:
    """What a Dask worker runs: one batch, in a process beside its own, which a clip may crash or hang in."""
    wanted = extractor, timeout
    if getattr(_here, "wanted", None) != wanted:
        if hasattr(_here, "worker"):
            _here.worker.close()
        _here.wanted, _here.worker = wanted, WorkerProcess(extractor, timeout)
    return list(_here.worker.outcomes(batch))
