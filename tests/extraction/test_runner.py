"""Extraction over a clip table: every clip ends as a row or as a failure, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import soundfile
from clips import RATE, clip, module_of, table_of

from ser_kit import extraction, features
from ser_kit.core.errors import FeatureError, MissingDependencyError, TableError, TruncatedAudioWarning
from ser_kit.extraction.workers import WorkerProcess

HELPER = '''
import os, signal, sys, time
from dataclasses import dataclass
import numpy as np
from ser_kit.features import Extractor

@dataclass(frozen=True, kw_only=True)
class Probe(Extractor):
    """Does to a worker what the name of the clip says, and else reports on it."""
    name = "probe"
    sr: int = 16000
    shape = (2,)
    feature_names = ("has_tensorflow", "threads")

    def _extract(self, recording):
        print("noise on the standard output")
        if recording.name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if recording.name.startswith("exit"):
            os._exit(3)
        if recording.name.startswith("raise"):
            raise ZeroDivisionError("as the clip asked")
        if recording.name.startswith("sleep"):
            with open(os.environ["PIDS"], "a") as pids:
                print(os.getpid(), file=pids, flush=True)
            time.sleep(600)
        return np.array(["tensorflow" in sys.modules, int(os.environ.get("OMP_NUM_THREADS", 0))]), 1
'''


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Nine clips that work and, among them, five that do not."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [clip(folder / f"good{i}.wav", i, 0.4 + 0.1 * i) for i in range(9)]
    (folder / "text.wav").write_text("no sound at all")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE)
    bad = [
        clip(folder / "short.wav", 0, 0.05),
        folder / "silent.wav",
        folder / "text.wav",
        folder / "missing.wav",
        folder / "empty.wav",
    ]
    for i, path in enumerate(bad):
        paths.insert(2 * i, path)
    found = table_of(paths)
    found.attrs["excluded"] = [{"clip_id": "x", "path": "x", "corpus": "folder", "reason": "known to be bad"}]
    return found


@pytest.fixture(scope="module")
def alone(table):
    return extraction.extract(table, features.Functionals(), jobs=0, cache=False, progress=False)


@pytest.fixture
def probe(tmp_path):
    with module_of(tmp_path, "probe_extractor", HELPER) as module:
        yield module.Probe()


def test_rows_and_failures_are_the_clips(table, alone):
    assert len(alone) == 9 and alone.values.shape == (9, 46) and alone.values.dtype == np.float32
    assert sorted([*alone.table["clip_id"], *alone.failures["clip_id"]]) == sorted(table["clip_id"])
    assert list(alone.table["clip_id"]) == [c for c in table["clip_id"] if c in set(alone.table["clip_id"])]
    assert list(alone.table.index) == list(range(9))
    assert alone.table.attrs == table.attrs
    assert list(alone.table.columns) == list(table.columns)


def test_rows_are_those_of_their_clips(alone):
    expected = [alone.extractor.extract(path) for path in alone.table["path"]]
    np.testing.assert_array_equal(alone.values, expected)


def test_failures_have_their_reason(table, alone):
    failures = alone.failures.assign(file=alone.failures["path"].map(os.path.basename)).set_index("file")
    assert list(alone.failures.columns) == ["clip_id", "path", "error", "reason"]
    assert dict(failures["error"]) == {
        "short.wav": "TooShortError",
        "silent.wav": "SilentAudioWarning",
        "text.wav": "NotAudioError",
        "missing.wav": "AudioNotFoundError",
        "empty.wav": "EmptyAudioError",
    }
    assert failures.loc["silent.wav", "reason"] == "silent"
    assert "0.050 s" in failures.loc["short.wav", "reason"]
    assert "missing.wav" in failures.loc["missing.wav", "reason"]


def test_workers_change_nothing(table, alone):
    crew = extraction.extract(table, features.Functionals(), jobs=2, cache=False, progress=False)
    np.testing.assert_array_equal(crew.values, alone.values)
    pd.testing.assert_frame_equal(crew.table, alone.table)
    pd.testing.assert_frame_equal(crew.failures, alone.failures)


def test_frame_features_have_lengths(alone):
    found = extraction.extract(alone.table, features.FrameFeatures(), jobs=1, progress=False)
    assert found.values.shape == (9, 300, 154)
    seconds = [soundfile.info(path).duration for path in found.table["path"]]
    assert list(found.lengths) == [1 + int(s * 22050) // 512 for s in seconds]
    with pytest.raises(FeatureError, match="no table row"):
        found.to_frame()


def test_workers_are_clean_single_threaded_and_never_hold_tensorflow(table, probe, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    found = extraction.extract(table, probe, jobs=2, cache=False, progress=False)
    assert found.values.tolist() == [[0, 1]] * 9


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_an_extractor_that_fails(tmp_path, probe, jobs):
    paths = [clip(tmp_path / f"{name}.wav", 1) for name in ("a", "raise", "b")]
    found = extraction.extract(table_of(paths), probe, jobs=jobs, cache=False, progress=False)
    assert list(found.table["path"]) == [str(paths[0]), str(paths[2])]
    assert found.failures[["error", "reason"]].values.tolist() == [["ZeroDivisionError", "as the clip asked"]]


def test_a_worker_that_dies_costs_its_clip_only(tmp_path, probe):
    names = ["a", "kill1", "b", "c", "kill2", "exit", "d", "e"]
    table = table_of(clip(tmp_path / f"{name}.wav", 1) for name in names)
    found = extraction.extract(table, probe, jobs=2, cache=False, progress=False)
    assert list(found.table["clip_id"]) == [f"folder:{i}" for i in (0, 2, 3, 6, 7)]
    assert set(found.failures["error"]) == {"WorkerDied"}
    assert ["SIGKILL" in r for r in found.failures["reason"]] == [True, True, False]
    assert "exit status 3" in found.failures["reason"].iloc[2]


def test_a_worker_that_dies_between_two_batches_costs_nothing(tmp_path, probe):
    clips = [(i, str(clip(tmp_path / f"{i}.wav", i))) for i in range(4)]
    worker = WorkerProcess(probe, timeout=60)
    try:
        assert [outcome.error for outcome in worker.outcomes(clips[:2])] == [None, None]
        worker._process.kill()
        worker._process.wait()
        assert [outcome.error for outcome in worker.outcomes(clips[2:])] == [None, None]
    finally:
        worker.close()


def test_an_extractor_that_workers_cannot_have(table, probe, tmp_path):
    (tmp_path / "probe_extractor.py").unlink()
    with pytest.raises(FeatureError, match=r"cannot run Probe.*probe_extractor.*jobs=0"):
        extraction.extract(table, probe, jobs=2, cache=False, progress=False)


def test_an_extractor_of_the_main_module_stays_in_this_process(table, probe, monkeypatch):
    monkeypatch.setattr(type(probe), "__module__", "__main__")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert extraction.extract(table, probe, jobs=2, cache=False, progress=False).values[0, 1] == 7


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_interrupt_leaves_nobody_behind(tmp_path, probe, jobs):
    paths = [clip(tmp_path / f"sleep{i}.wav", i) for i in range(4)]
    table_of(paths).to_csv(tmp_path / "table.csv", index=False)
    pids = tmp_path / "pids"
    # No "if __name__ == '__main__'": a user's script need not have one.
    (tmp_path / "script.py").write_text(
        "import pandas, probe_extractor; from ser_kit import extraction, features\n"
        "table = pandas.read_csv('table.csv', keep_default_na=False)\n"
        f"extraction.extract(table, probe_extractor.Probe(), jobs={jobs}, progress=False)\n"
    )
    script = subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, env=os.environ | {"PIDS": str(pids)}, stderr=subprocess.PIPE
    )
    try:
        for _ in range(600):
            if pids.exists() and len(pids.read_text().split()) == max(1, jobs):
                break
            assert script.poll() is None, script.stderr.read()
            time.sleep(0.1)
        script.send_signal(signal.SIGINT)
        _, said = script.communicate(timeout=60)
    finally:
        script.kill()
    assert b"KeyboardInterrupt" in said
    workers = [int(pid) for pid in pids.read_text().split()]
    assert len(workers) == max(1, jobs)
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_truncated_clip_counts_and_is_told(tmp_path):
    path = clip(tmp_path / "cut.wav", 3)
    path.write_bytes(path.read_bytes()[:-6000])
    with pytest.warns(TruncatedAudioWarning, match=r"cut\.wav"):
        found = extraction.extract(table_of([path]), features.Functionals(), progress=False)
    assert len(found) == 1


def test_progress_ends_in_a_summary(table, capsys):
    extraction.extract(table, features.LogMel(seconds=0.5), progress=True)
    out, err = capsys.readouterr()
    assert "14 clips, 5 failed" in out and "clips/s" in out
    assert "14/14" in err
    extraction.extract(table, features.LogMel(seconds=0.5), progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("extractor", [features.Waveform(), features.LogMel()], ids=["waveform", "logmel"])
def test_clips_of_their_own_lengths_end_in_zeros(table, extractor, tmp_path):
    found = extraction.extract(table, extractor, jobs=0, progress=False)
    mapped = extraction.extract(table, extractor, jobs=0, mmap=tmp_path / "values.npy", progress=False)
    np.testing.assert_array_equal(mapped.values, found.values)
    assert found.values.shape == (9, found.lengths.max(), extractor.shape[1]) and len(set(found.lengths)) == 9
    for path, values, length in zip(found.table["path"], found.values, found.lengths, strict=True):
        np.testing.assert_array_equal(values[:length], extractor.extract(path))
        assert not values[length:].any()
    assert extraction.extract(table.iloc[:0], extractor, progress=False).values.shape == (0, 0, extractor.shape[1])


def test_an_empty_table(table):
    found = extraction.extract(table.iloc[:0], features.Functionals(), progress=False)
    assert len(found) == len(found.failures) == len(found.to_frame()) == 0


def test_what_cannot_be_asked(table):
    with pytest.raises(TableError, match="lacks path, speaker"):
        extraction.extract(table.drop(columns=["path", "speaker"]), features.Functionals(), progress=False)
    with pytest.raises(FeatureError, match="jobs=-1"):
        extraction.extract(table, features.Functionals(), jobs=-1, progress=False)


# What comes back -----------------------------------------------------------------------------------------------------


def test_subset(alone):
    part = alone.subset([4, 0])
    assert len(part) == 2 and list(part.table["clip_id"]) == [alone.table["clip_id"][4], alone.table["clip_id"][0]]
    np.testing.assert_array_equal(part.values, alone.values[[4, 0]])
    assert list(part.table.index) == [0, 1] and len(part.failures) == 0
    mask = (alone.table["emotion"] == "sad").to_numpy()
    assert set(alone.subset(mask).table["emotion"]) == {"sad"} and len(alone.subset(mask)) == mask.sum()


def test_frame(alone):
    frame = alone.to_frame()
    names = list(alone.extractor.feature_names)
    assert list(frame.columns) == ["clip_id", "corpus", "speaker", "sex", "emotion", *names]
    np.testing.assert_array_equal(frame[names].to_numpy(), alone.values)


@pytest.mark.parametrize(
    ("suffix", "read"), [(".parquet", pd.read_parquet), (".csv", pd.read_csv), (".xlsx", pd.read_excel)]
)
def test_saved_and_read_again(alone, tmp_path, suffix, read):
    path = tmp_path / "new folder" / f"features{suffix}"
    path.parent.mkdir()
    path.write_text("an older file")
    assert alone.save(str(path)) == path
    found = read(path)
    assert list(found.columns) == list(alone.to_frame().columns)
    assert list(found["clip_id"]) == list(alone.table["clip_id"])
    np.testing.assert_allclose(found[list(alone.extractor.feature_names)], alone.values, rtol=1e-6)
    assert os.listdir(path.parent) == [path.name]


def test_a_save_that_fails_leaves_the_old_file(alone, tmp_path, monkeypatch):
    path = tmp_path / "features.csv"
    path.write_text("an older file")

    def full(self, target, **_):
        target.write("half a fi")
        raise OSError("no space left")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="no space"):
        alone.save(path)
    assert path.read_text() == "an older file" and os.listdir(tmp_path) == ["features.csv"]


def test_unknown_suffix(alone, tmp_path):
    with pytest.raises(FeatureError, match=r"\.parquet, \.csv, \.xlsx"):
        alone.save(tmp_path / "features.json")


def test_xlsx_without_openpyxl(alone, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError, match=r"ser-kit\[xlsx\]"):
        alone.save(tmp_path / "features.xlsx")


def test_arrays_of_any_shape_are_saved_at_once_or_not_at_all(alone, tmp_path, monkeypatch):
    path = alone.save(tmp_path / "features.npz")
    with np.load(path, allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["values"], alone.values)
        assert saved["clip_id"].tolist() == alone.table["clip_id"].tolist()
        assert tuple(saved["feature_names"]) == alone.extractor.feature_names
    before = path.read_bytes()

    def half(file, **arrays):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="no space"):
        alone.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.npz"]
