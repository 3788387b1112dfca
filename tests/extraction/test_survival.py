"""Extraction that is killed, starved, interrupted or misled: nothing is lost, and the end is always the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import assert_same, clip, module_of, table_of

from ser_kit import extraction
from ser_kit.core.errors import DamagedStoreWarning, FeatureError, StoreError, TruncatedAudioWarning
from ser_kit.extraction import Store
from ser_kit.features import Functionals, LogMel

pytestmark = pytest.mark.slow

LOGMEL = LogMel(seconds=0.5)
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

HELPER = '''
import os, sys, time
from dataclasses import dataclass
import numpy as np
from ser_kit.features import Extractor, Functionals

@dataclass(frozen=True, kw_only=True)
class Logged(Functionals):
    """Functionals that write down each clip they are computed for."""
    def _extract(self, recording):
        with open(os.environ["LOG"], "a") as log:
            print(recording.name, file=log, flush=True)
        time.sleep(0.005)
        return super()._extract(recording)

@dataclass(frozen=True, kw_only=True)
class Hangs(Extractor):
    """Hangs, dies or changes the file, as the name of the clip says."""
    name = "hangs"
    sr: int = 16000
    shape = (2,)
    feature_names = ("one", "two")

    def _extract(self, recording):
        if recording.name.startswith("hang"):
            time.sleep(600)
        if recording.name.startswith("die"):
            os._exit(1)
        if recording.name.startswith("change"):
            with open(os.path.join(os.environ["CLIPS"], recording.name), "ab") as file:
                file.write(b"more")
        return recording.samples[:2].astype(float), 1

@dataclass(frozen=True, kw_only=True)
class Peak(Extractor):
    """As cheap as can be."""
    name = "peak"
    sr: int = 16000
    shape = (2,)
    feature_names = ("highest", "lowest")

    def _extract(self, recording):
        return np.array([recording.samples.max(), recording.samples.min()]), 1
'''


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """A folder with a module of extractors that other processes find too."""
    with module_of(tmp_path_factory.mktemp("helper"), "survivors", HELPER) as module:
        yield module


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Sixty clips that work and three that do not."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [clip(folder / f"{i:03d}.wav", i) for i in range(60)]
    (folder / "directory.wav").mkdir()
    (folder / "text.wav").write_text("no sound")
    paths[7:7] = [folder / "directory.wav", folder / "text.wav", folder / "missing.wav"]
    return table_of(paths)


def run(table, store, extractor=LOGMEL, **settings):
    return extraction.extract(table, extractor, cache=store, progress=settings.pop("progress", False), **settings)


# What the store saves ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first(clips, tmp_path_factory):
    """A run into an empty store, and the folder of that store."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ser_kit.extraction.store._SETTLED", -1)  # else files so new are looked into once more
        return run(clips, folder, jobs=2), folder


@pytest.fixture
def forbidden(monkeypatch):
    """Any extraction at all fails."""
    for name in ("in_workers", "in_process"):
        monkeypatch.setattr(
            f"ser_kit.extraction.runner.{name}",
            lambda job, *_: (pytest.fail("something was computed again") for _ in job.clips),
        )


def test_rows_and_failures_are_the_clips(clips, first):
    found, _ = first
    assert len(found) == 60 and sorted(found.failures["error"]) == [
        "AudioNotFoundError", "NotAudioError", "NotAudioError"
    ]  # fmt: skip
    assert sorted([*found.table["clip_id"], *found.failures["clip_id"]]) == sorted(clips["clip_id"])


def test_a_second_run_computes_nothing_and_finds_the_same(clips, first, forbidden):
    found, folder = first
    sound = clips[clips["clip_id"].isin(found.table["clip_id"])].reset_index(drop=True)
    again = run(sound, folder)
    np.testing.assert_array_equal(again.values, found.values)


@pytest.mark.parametrize("jobs", [0, 1, 2, 3])
def test_nothing_depends_on_the_number_of_processes_or_on_the_store(clips, first, jobs, tmp_path):
    found, folder = first
    assert_same(run(clips, False, jobs=jobs), found)
    assert_same(run(clips, tmp_path, jobs=jobs), found)
    assert_same(run(clips, folder, jobs=jobs), found)


def test_renamed_and_moved_clips_are_known(first, tmp_path, monkeypatch):
    found, folder = first
    moved = []
    for i, path in enumerate(found.table["path"]):
        moved.append(tmp_path / f"another name {i}.wav")
        shutil.copy(path, moved[-1])
    monkeypatch.setattr("ser_kit.extraction.workers._outcome", lambda *_: pytest.fail("something was computed again"))
    again = run(table_of(moved), folder, jobs=0)
    np.testing.assert_array_equal(again.values, found.values)


def test_another_parameter_is_never_answered_from_the_store(clips, first):
    _, folder = first
    sound = clips.iloc[:5]
    other = LogMel(seconds=0.5, hop_length=80)
    np.testing.assert_array_equal(run(sound, folder, other).values, run(sound, False, other).values)


def test_spoiled_entries_are_told_and_computed_anew(first, tmp_path):
    found, _ = first
    run(found.table, tmp_path / "store")
    with Store(tmp_path / "store") as store, store._guarded():
        store._database.execute("UPDATE entries SET array = zeroblob(LENGTH(array)) WHERE rowid % 3 = 0")
    with pytest.warns(DamagedStoreWarning, match="20 entries .* damaged or gone"):
        again = run(found.table, tmp_path / "store")
    np.testing.assert_array_equal(again.values, found.values)
    with Store(tmp_path / "store") as store:
        assert store.check() == (60, 0)


def test_a_spoiled_entry_of_a_clip_that_is_broken_now(first, tmp_path):
    """The store forgets the array, and the file holds it no more: a failure, not an invention."""
    paths = [shutil.copy(path, tmp_path) for path in first[0].table["path"][:4]]
    run(table_of(paths), tmp_path / "store")
    with Store(tmp_path / "store") as store, store._guarded():
        store._database.execute("UPDATE entries SET array = zeroblob(LENGTH(array)) WHERE rowid = 2")
        stat = os.stat(paths[1])
        content = store.content(paths[1])
        Path(paths[1]).write_text("no sound any more")
        store._stamps[paths[1]] = "", b""
        store._stamps.clear()
    Path(paths[1]).write_bytes(b"no sound any more")
    assert stat.st_size != os.stat(paths[1]).st_size and content
    found = run(table_of(paths), tmp_path / "store")
    assert len(found) == 3 and list(found.failures["error"]) == ["NotAudioError"]


def test_warnings_are_told_again_under_the_name_of_today(tmp_path):
    path = clip(tmp_path / "cut.wav", 1, 2.0)
    path.write_bytes(path.read_bytes()[:-6000])
    with pytest.warns(TruncatedAudioWarning, match=r"cut\.wav"):
        run(table_of([path]), tmp_path / "store")
    path = path.rename(tmp_path / "today.wav")
    with pytest.warns(TruncatedAudioWarning, match=r"today\.wav: the file is cut short"):
        run(table_of([path]), tmp_path / "store")


def test_streamed_and_saved_tables_are_byte_for_byte_the_same(clips, tmp_path, monkeypatch):
    for module in ("runner", "results"):
        monkeypatch.setattr(f"ser_kit.extraction.{module}.ROWS", 13)
    for suffix in ("parquet", "csv"):
        done = extraction.extract_to(tmp_path / f"a.{suffix}", clips, Functionals(), cache=tmp_path, progress=False)
        found = run(clips, tmp_path, Functionals())
        found.save(tmp_path / f"b.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
        assert (done.clips, done.path) == (60, tmp_path / f"a.{suffix}")
        pd.testing.assert_frame_equal(done.failures, found.failures)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), found.to_frame())


def test_what_cannot_be_streamed(clips, tmp_path):
    with pytest.raises(FeatureError, match=r"\.parquet, \.csv"):
        extraction.extract_to(tmp_path / "a.xlsx", clips, Functionals())
    with pytest.raises(FeatureError, match="no table row"):
        extraction.extract_to(tmp_path / "a.csv", clips, LOGMEL)
    assert list(tmp_path.iterdir()) == []


def test_values_can_be_mapped_from_a_file(clips, first, tmp_path):
    found = run(clips, first[1], mmap=tmp_path / "values.npy")
    assert isinstance(found.values, np.memmap)
    assert_same(found, first[0])
    found.values[:] = 0
    np.testing.assert_array_equal(np.load(tmp_path / "values.npy"), first[0].values)


def test_the_summary_counts_what_came_from_the_store(clips, first, capsys):
    run(clips, first[1], progress=True)
    assert "63 clips, 3 failed" in (out := capsys.readouterr().out) and "60 from the feature store" in out


# Clips that misbehave ------------------------------------------------------------------------------------------------


def test_clips_that_hang_die_or_change_are_set_aside(helper, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPS", str(tmp_path))
    names = ["a", "hang1", "b", "die", "c", "change", "hang2", "d"]
    table = table_of(clip(tmp_path / f"{name}.wav", i) for i, name in enumerate(names))
    found = run(table, tmp_path / "store", helper.Hangs(), jobs=2, timeout=1.0)
    assert [Path(path).stem for path in found.table["path"]] == ["a", "b", "c", "d"]
    assert list(found.failures["error"]) == ["TimeoutError", "WorkerDied", "ChangedFile", "TimeoutError"]
    assert found.failures["reason"][0] == "took longer than 1 s (timeout)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_nobody_writes_to(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    found = run(table_of([clip(tmp_path / "a.wav", 1), tmp_path / "pipe.wav"]), tmp_path / "store", timeout=30.0)
    assert len(found) == 1 and list(found.failures["error"]) == ["EmptyAudioError"]


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_time_limit_that_is_none(clips, timeout):
    with pytest.raises(FeatureError, match="timeout"):
        run(clips, False, timeout=timeout)


def path_to(helper) -> str:
    """Where another process finds the helper too."""
    return os.pathsep.join([str(Path(helper.__file__).parent), os.environ.get("PYTHONPATH", "")])


# Runs that end early -------------------------------------------------------------------------------------------------

# A process that has imported everything forks a child for each life, so that each life is spent on extraction.
LIVES = """
import os, random, signal, sys, time
import pandas, survivors
from ser_kit import extraction, features
from ser_kit.extraction import runner  # with all that a life needs
table = pandas.read_csv("table.csv", keep_default_na=False)
random.seed(0)

def computed():
    with open(os.environ["LOG"]) as log:
        return sum(1 for line in log)

kills = 0
while kills < int(sys.argv[1]):
    child = os.fork()
    if not child:
        extraction.extract_to("features.parquet", table, survivors.Logged(), jobs=2, cache="store", progress=False)
        os._exit(0)
    # Now at some moment of some clip, now at any moment at all: at the start, or when all is read and written.
    clips = computed() + random.randrange(1, 30) if kills % 2 else 0
    moment = time.monotonic() + random.uniform(0, 0.01 if clips else 0.4)
    while computed() < clips or time.monotonic() < moment:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            sys.exit("all was computed before the last life: expected more clips, or shorter lives")
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
"""


@posix
def test_a_run_killed_at_25_moments_ends_as_one_left_alone(helper, tmp_path):
    for i in range(300):
        clip(tmp_path / f"{i:03d}.wav", i)
    table = table_of(sorted(tmp_path.glob("*.wav")))
    table.to_csv(tmp_path / "table.csv", index=False)
    log = tmp_path / "log"
    log.touch()
    environment = os.environ | {"LOG": str(log), "PYTHONPATH": path_to(helper)}
    lives = subprocess.run(
        [sys.executable, "-c", LIVES, "25"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert lives.stderr == b""
    assert len(set(log.read_text().split())) > 30, "the lives were too short to compute anything"

    script = LIVES.partition("random.seed")[0] + (
        'extraction.extract_to("features.parquet", table, survivors.Logged(), jobs=2, cache=sys.argv[1], '
        "progress=False)"
    )
    for store in ("store", "undisturbed"):
        subprocess.run([sys.executable, "-c", script, store], cwd=tmp_path, env=environment, check=True)
        (tmp_path / "features.parquet").rename(tmp_path / f"{store}.parquet")
    assert (tmp_path / "store.parquet").read_bytes() == (tmp_path / "undisturbed.parquet").read_bytes()
    computed = log.read_text().split()
    assert len(computed) - 300 <= 300 + 25 * 2 * 16, "more was computed again than the batches in flight"
    with Store(tmp_path / "store") as store:
        assert store.check() == (300, 0)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".saving")]


@posix
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(helper, tmp_path):
    for i in range(400):
        clip(tmp_path / f"{i:03d}.wav", i)
    table_of(sorted(tmp_path.glob("*.wav"))).to_csv(tmp_path / "table.csv", index=False)
    log = tmp_path / "log"
    script = LIVES.partition("random.seed")[0] + (
        'extraction.extract(table, survivors.Logged(), jobs=2, cache="store", progress=True)'
    )
    environment = os.environ | {"LOG": str(log), "PYTHONPATH": path_to(helper)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not log.exists() or len(log.read_text().split()) < 50:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert b"what is finished is kept, and the same call goes on from there" in out
    assert err.rstrip().endswith(b"KeyboardInterrupt")
    computed = len(log.read_text().split())
    with Store(tmp_path / "store") as store:
        kept = store.holdings()[0].clips
    assert computed < 400 and computed - kept <= 2 * 16


# Full disks and folders that cannot be written -----------------------------------------------------------------------

NARROW = """
import contextlib, io, os, subprocess, sys
from pathlib import Path
from ser_kit import cli
from ser_kit.extraction import Store

def ser_kit(*arguments):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main([*arguments, "--quiet"])
    return status, said.getvalue()

def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", "narrow"], check=True)

extract = ("extract", "folder", "--root", "clips", "--jobs", "2")
frames = (*extract, "--features", "frames", "--out", "frames.npz")
os.mkdir("narrow")

# A full disk under the store.
mount("-o", "size=1500k")
os.environ["SER_KIT_STORE"] = "narrow"
status, said = ser_kit(*frames)
assert status == 2, said
assert said.startswith("ser-kit: the feature store narrow") and said.count("\\n") == 1, said
assert "full" in said and "SER_KIT_STORE" in said and "--no-cache" in said, said
assert not Path("frames.npz").exists()
with Store("narrow") as store:
    checked, damaged = store.check()
assert damaged == 0 and checked > 0, (checked, damaged)

# The same run with more room goes on, and with none at all does without.
subprocess.run(["mount", "-o", "remount,size=64m", "narrow"], check=True)
assert ser_kit(*frames) == (0, "")
assert Path("frames.npz").exists()

# A store that can only be read.
subprocess.run(["mount", "-o", "remount,ro", "narrow"], check=True)
before = {path: path.read_bytes() for path in Path("narrow").iterdir()}
status, said = ser_kit(*extract, "--out", "new.parquet")
assert status == 2 and said.startswith("ser-kit: the feature store") and said.count("\\n") == 1, said
assert {path: path.read_bytes() for path in Path("narrow").iterdir()} == before
assert ser_kit(*extract, "--out", "new.parquet", "--no-cache")[0] == 0
subprocess.run(["umount", "narrow"], check=True)

# A full disk under the result.
mount("-o", "size=16k")
os.environ["SER_KIT_STORE"] = "store"
Path("narrow/old.csv").write_text("an older file")
for name in ("old.csv", "new.parquet", "new.xlsx"):
    status, said = ser_kit(*extract, "--out", f"narrow/{name}")
    assert status == 2 and "No space left" in said and said.count("\\n") == 1, (name, said)
assert os.listdir("narrow") == ["old.csv"] and Path("narrow/old.csv").read_text() == "an older file"
subprocess.run(["umount", "narrow"], check=True)
"""


def test_full_disks_and_read_only_folders_give_one_error_and_spoil_nothing(tmp_path):
    """On real file systems of a few kilobytes, mounted in a namespace of their own."""
    unshare = shutil.which("unshare")
    spaces = [["-m"], ["-Urm"]] if unshare else []
    for space in spaces:
        probe = f"mkdir -p {tmp_path}/probe && mount -t tmpfs tmpfs {tmp_path}/probe"
        if subprocess.run([unshare, *space, "sh", "-c", probe], capture_output=True).returncode == 0:
            break
    else:
        pytest.skip("file systems cannot be mounted here (needs Linux and user namespaces, or root)")
    for i in range(24):
        emotion = tmp_path / "clips" / ("happy" if i % 2 else "sad")
        emotion.mkdir(parents=True, exist_ok=True)
        clip(emotion / f"{i:02d}.wav", i, seconds=2.5)
    (tmp_path / "probe").rmdir()
    done = subprocess.run(
        [unshare, *space, sys.executable, "-c", NARROW], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_store_that_fills_up_in_mid_run_stops_it_with_one_error(clips, tmp_path, monkeypatch):
    """Everywhere, also where nothing can be mounted: SQLite itself is told how large its file may grow."""
    opened = Store._connect

    def narrow(self):
        opened(self)
        self._database.execute("PRAGMA max_page_count = 40")

    monkeypatch.setattr(Store, "_connect", narrow)
    with pytest.raises(StoreError, match="database or disk is full"):
        run(clips, tmp_path, jobs=2)
    monkeypatch.undo()
    with Store(tmp_path) as store:
        assert store.check()[1] == 0
    assert len(run(clips, tmp_path)) == 60


# Memory --------------------------------------------------------------------------------------------------------------

PEAK = """
import re, sys
import pandas, survivors
from ser_kit import extraction, features
# Reading the table, which is not extraction's own, costs both runs the same.
table = pandas.read_parquet(sys.argv[1]).iloc[: int(sys.argv[3])].reset_index(drop=True)
extraction.extract_to(sys.argv[2], table, survivors.Peak(), jobs=2, cache="store", progress=False)
# Not getrusage, whose peak a process inherits from the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_clips(helper, tmp_path):
    environment = os.environ | {"PYTHONPATH": path_to(helper)}
    real = [clip(tmp_path / f"real{i:03d}.wav", i, 0.1) for i in range(100)]
    folder = tmp_path / "clips"
    folder.mkdir()
    names = [folder / f"{i:05d}.wav" for i in range(20_000)]
    for i, name in enumerate(names):
        os.link(real[i % 100], name)
    table_of(names).to_parquet(folder / "table.parquet")
    peaks = {}
    for number in (20_000, 1_000):
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, folder / "table.parquet", folder / "features.parquet", str(number)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[number] = int(done.stdout)
        assert len(pd.read_parquet(folder / "features.parquet")) == number
    assert peaks[20_000] < 1.15 * peaks[1_000], peaks


def test_no_order_of_answers_changes_the_result(clips, first, monkeypatch):
    """Workers answer in any order; here they answer in the worst one."""
    from ser_kit.extraction import runner

    def shuffled(job, workers):
        outcomes = list(runner.in_process(job))
        random.Random(1).shuffle(outcomes)
        yield from outcomes

    monkeypatch.setattr(runner, "in_workers", shuffled)
    assert_same(run(clips, False, jobs=2), first[0])
