"""Extraction by a Dask cluster of separate processes: the same as here, whatever becomes of its workers."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clips import assert_same, clip, module_of, table_of

from ser_kit import cli, extraction
from ser_kit.core.errors import FeatureError, MissingDependencyError
from ser_kit.extraction import Store, dask
from ser_kit.features import Functionals

distributed = pytest.importorskip("distributed", reason="Dask: pip install 'ser-kit[dask]'")
import joblib  # noqa: E402 - Dask's backend of it, without which there is nothing to test

HELPER = '''
import os, signal, time
from dataclasses import dataclass
import numpy as np
from ser_kit.features import Extractor

@dataclass(frozen=True, kw_only=True)
class Odd(Extractor):
    """Does to its processes what the name of the clip says, and else measures the clip, slowly."""
    name = "odd"
    sr: int = 16000
    pause: float = 0.001
    shape = (2,)
    feature_names = ("highest", "lowest")

    def _extract(self, recording):
        if "PIDS" in os.environ:
            with open(os.environ["PIDS"], "a") as pids:
                print(os.getpid(), os.getppid(), file=pids, flush=True)
        if recording.name.startswith("die"):
            os._exit(1)
        if recording.name.startswith("kill"):
            os.kill(os.getppid(), signal.SIGKILL)
        if recording.name.startswith("hang"):
            time.sleep(600)
        time.sleep(self.pause)
        return np.array([recording.samples.max(), recording.samples.min()]), 1

@dataclass(frozen=True, kw_only=True)
class Traced(Odd):
    """Tells which Dask worker had it."""
    def _extract(self, recording):
        return np.array([os.getppid(), 0]), 1
'''

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]


def run(table, extractor, store, **settings):
    return extraction.extract(table, extractor, cache=store, progress=False, **settings)


def kept(store) -> int:
    with Store(store) as found:
        return sum(holding.clips for holding in found.holdings())


def wait_until(true, seconds=20.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def is_alive(pid) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A module of extractors, in a folder where the workers look for modules too."""
    folder = tmp_path_factory.mktemp("helper")
    with module_of(folder, "odd_extractors", HELPER) as module, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield module


@pytest.fixture(scope="module")
def cluster(odd):
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as made:
        yield made


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as made:
        made.wait_for_workers(2)
        yield made


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A hundred and twenty clips that work."""
    folder = tmp_path_factory.mktemp("clips") / "happy"
    folder.mkdir()
    return table_of(clip(folder / f"{i:03d}.wav", i) for i in range(120))


@pytest.fixture(scope="module")
def alone(clips, odd):
    return run(clips, odd.Odd(pause=0.01), False, jobs=0, backend="local")


def test_rows_and_failures_are_those_of_this_machine(clips, client, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    bad = [tmp_path / "text.wav", tmp_path / "missing.wav"]
    table = table_of([*clips["path"][:10], *bad, *clips["path"][10:24], clips["path"][0]])
    expected = run(table, Functionals(), False, jobs=1, backend="local")
    assert list(expected.failures["error"]) == ["NotAudioError", "AudioNotFoundError"]
    assert_same(run(table, Functionals(), False), expected)
    # A part of them is in the store already.
    run(table.iloc[5:20], Functionals(), tmp_path, backend="local")
    with joblib.parallel_config(backend="dask"):
        assert_same(run(table, Functionals(), tmp_path, backend="dask"), expected)


def test_an_active_client_is_taken_and_never_this_process(clips, odd, client):
    assert set(run(clips, odd.Traced(), False).values[:, 0]) <= set(client.run(os.getpid).values())
    assert set(run(clips[:20], odd.Traced(), False, jobs=1, backend="local").values[:, 0]) == {os.getpid()}


def test_the_only_worker_is_no_reason_to_work_here(clips, odd, tmp_path):
    made = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with made, distributed.Client(made) as client:
        assert set(run(clips[:20], odd.Traced(), tmp_path).values[:, 0]) == set(client.run(os.getpid).values())


def test_clips_that_crash_and_hang(clips, odd, client, tmp_path):
    paths = [clip(tmp_path / f"{name}.wav") for name in ("a", "die", "b", "hang", "c")]
    found = run(table_of(paths), odd.Odd(), False, timeout=1)
    assert [Path(path).stem for path in found.table["path"]] == ["a", "b", "c"]
    assert list(found.failures["error"]) == ["WorkerDied", "TimeoutError"]
    assert list(found.failures["reason"]) == [
        "the worker process died on this clip (exit status 1)", "took longer than 1 s (timeout)",
    ]  # fmt: skip


def test_a_worker_killed_in_mid_run_costs_nothing(clips, odd, alone, client, tmp_path):
    workers = client.run(os.getpid)
    at = []

    def kill():
        wait_until(lambda: kept(tmp_path) > 0)
        os.kill(min(workers.values()), signal.SIGKILL)
        at.append(kept(tmp_path))

    killer = threading.Thread(target=kill)
    killer.start()
    found = run(clips, odd.Odd(pause=0.01), tmp_path)
    killer.join()
    assert 0 < at[0] < len(clips)
    assert set(client.run(os.getpid)) != set(workers)
    assert_same(found, alone)


def test_a_clip_that_keeps_killing_workers_is_set_aside(clips, odd, client, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    paths = [*clips["path"][:3], clip(tmp_path / "kill.wav"), *clips["path"][3:6]]
    found = run(table_of(paths), odd.Odd(), tmp_path)
    assert list(found.table["path"]) == [*paths[:3], *paths[4:]]
    assert list(found.failures["error"]) == ["WorkerDied"]


def test_interrupt_keeps_what_is_finished(clips, odd, alone, client, cluster, tmp_path):
    clips.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "script.py").write_text(
        "import pandas, distributed, odd_extractors; from ser_kit import extraction, features\n"
        "table = pandas.read_csv('table.csv', keep_default_na=False)\n"
        f"client = distributed.Client({cluster.scheduler_address!r})\n"
        "extraction.extract(table, odd_extractors.Odd(pause=0.01), cache='store', progress=False)\n"
    )
    script = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: kept(tmp_path / "store") > 0)
        script.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, said = script.communicate(timeout=20)
    finally:
        script.kill()
    assert b"KeyboardInterrupt" in said and time.monotonic() - started < 2
    assert 0 < kept(tmp_path / "store") < 120
    wait_until(lambda: not cluster.scheduler.tasks, 5)
    assert_same(run(clips, odd.Odd(pause=0.01), tmp_path / "store"), alone)


def test_a_lost_cluster_is_told_and_leaves_nobody_behind(clips, odd, alone, tmp_path):
    paths, before = [*clips["path"], clip(tmp_path / "hang.wav")], 112  # the clips in batches that do not hang
    pids = tmp_path / "pids"
    (tmp_path / "script.py").write_text(
        "import distributed\n"
        "if __name__ == '__main__':\n"
        "    made = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=':0')\n"
        "    print(made.scheduler_address, flush=True)\n"
        "    input()\n"
    )
    script = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PIDS": str(pids)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )

    def kill():
        wait_until(lambda: kept(tmp_path) == before)
        script.kill()

    killer = threading.Thread(target=kill)
    try:
        with distributed.Client(script.stdout.readline().decode().strip()):
            killer.start()
            with pytest.raises(FeatureError, match="the Dask cluster gave up"):
                run(table_of(paths), odd.Odd(pause=0.01), tmp_path)
    finally:
        killer.join()
        script.kill()
        script.communicate()
    assert kept(tmp_path) == before
    workers = set(map(int, pids.read_text().split()))
    assert len(workers) == 4
    wait_until(lambda: not any(map(is_alive, workers)), 10)


def test_paths_mean_here_what_they_mean_to_the_workers(clips, odd, client, monkeypatch):
    monkeypatch.chdir(Path(clips["path"][0]).parent)
    relative = clips.assign(path=clips["path"].map(os.path.basename))
    assert len(run(relative, odd.Odd(), False)) == len(clips)


def test_the_command(clips, cluster, tmp_path):
    arguments = ["extract", "folder", "--root", str(Path(clips["path"][0]).parents[1]), "--no-cache", "--quiet"]
    assert cli.main([*arguments, "--out", str(tmp_path / "dask.csv"), "--dask", cluster.scheduler_address]) == 0
    assert cli.main([*arguments, "--out", str(tmp_path / "here.csv"), "--jobs", "1"]) == 0
    assert (tmp_path / "dask.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_an_extractor_that_the_workers_lack(clips, client, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    with pytest.raises(FeatureError, match="gave up.*only_here"):
        run(clips, only_here.Odd(), False)
    del sys.modules["only_here"]


def test_workers_with_other_packages_are_refused():
    with pytest.raises(FeatureError, match="a worker has .*Functionals.*, not another"):
        dask._remote([], pickle.dumps(Functionals()), "another", 1.0)


def test_no_client(clips):
    with pytest.raises(FeatureError, match="needs a cluster: make a client first"):
        run(clips, Functionals(), False, backend="dask")


def test_without_dask(clips, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"ser-kit\[dask\]"):
        run(clips, Functionals(), False, backend="dask")
