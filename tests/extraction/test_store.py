"""The feature store: what it returns is what was put, for that content and extractor, whatever befalls the file."""

from __future__ import annotations

import ast
import inspect
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit import features  # noqa: F401 - augment: its steps are registered by it
from ser_kit.audio import transforms
from ser_kit.core.errors import DamagedStoreWarning, FeatureError, StoreError
from ser_kit.extraction import Store
from ser_kit.extraction.store import TEMPORARY, content_of, extractor_key
from ser_kit.features import FrameFeatures, LogMel

LOGMEL = LogMel(seconds=0.5)


def some(seed=0, extractor=LOGMEL):
    return np.random.default_rng(seed).normal(size=extractor.shape).astype(np.float32)


def fetched(store, content, extractor=LOGMEL):
    out = np.full(extractor.shape, np.nan, np.float32)
    found = store.fetch(extractor, content, out)
    return None if found is None else (out, *found)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as opened:
        yield opened


@pytest.fixture
def clip(tmp_path):
    """A file that has not changed for a while, so that its content is remembered."""
    path = tmp_path / "clip.wav"
    path.write_bytes(b"the first content")
    return path


@pytest.fixture(autouse=True)
def _settled_at_once(monkeypatch):
    monkeypatch.setattr("ser_kit.extraction.store._SETTLED", -1)


def spoil(store, statement="UPDATE entries SET array = zeroblob(LENGTH(array))"):
    store.flush()
    with sqlite3.connect(store.path) as database:
        database.execute(statement)
    database.close()


# Entries -------------------------------------------------------------------------------------------------------------


def test_what_is_put_is_fetched(store):
    values = some()
    store.put(LOGMEL, b"a", values, 17, (("TruncatedAudioWarning", "it ends early"),))
    out, length, warned = fetched(store, b"a")
    np.testing.assert_array_equal(out, values)
    assert (length, warned) == (17, (("TruncatedAudioWarning", "it ends early"),))
    assert fetched(store, b"b") is None and store.has(LOGMEL, b"a") and not store.has(LOGMEL, b"b")


def test_it_outlives_the_process_that_put_it(tmp_path):
    with Store(tmp_path) as first:
        first.put(LOGMEL, b"a", some())
    with Store(tmp_path) as second:
        np.testing.assert_array_equal(fetched(second, b"a")[0], some())


@settings(max_examples=60)
@given(
    rows=st.integers(1, 9),
    width=st.integers(1, 3),
    bits=st.lists(st.sampled_from([0, 1 << 31, 0x7FC00000, 0x7FC00001, 0x3F800000]), min_size=27, max_size=27),
)
def test_every_bit_is_kept_however_the_array_ends(rows, width, bits):
    """Repeated rows at the end are stored once: zeros of either sign and any NaN must come back as they were."""
    values = np.array(bits[: rows * width], np.uint32).view(np.float32).reshape(rows, width)
    out = np.empty_like(values)
    with Store(TEMPORARY) as store:
        store.put(LOGMEL, b"a", values)
        store.fetch(LOGMEL, b"a", out)
    assert out.tobytes() == values.tobytes()


def test_padding_costs_no_room(store):
    padded = np.zeros(FrameFeatures().shape, np.float32)
    padded[:50] = 1 + some(extractor=FrameFeatures())[:50]
    store.put(FrameFeatures(), b"a", padded)
    assert store.holdings()[0].bytes == 51 * 154 * 4
    np.testing.assert_array_equal(fetched(store, b"a", FrameFeatures())[0], padded)


@pytest.mark.parametrize("name", features.names())
def test_any_other_parameter_or_version_is_another_entry(store, name):
    cls = features.get(name)
    made = cls(blocks=(2, 3)) if name == "speech_encoder" else cls()  # blocks that its other encoder has, too
    store.put(made, b"a", np.zeros((2, 2)))
    for parameter, value in made.parameters.items():
        others = {
            type(None): 2048, tuple: value[:1] if isinstance(value, tuple) else None, str: "whisper_tiny_en",
            bool: value is not True,
        }  # fmt: skip
        try:
            other = cls(**made.parameters | {parameter: others[type(value)] if type(value) in others else value + 1})
        except FeatureError:
            assert parameter == "sr" and name in ("yamnet", "trillsson", "speech_encoder"), "they take one rate only"
            continue
        assert not store.has(other, b"a"), parameter
    later = type(cls.__name__, (cls,), {"version": cls.version + 1, "__module__": cls.__module__})
    assert not store.has(later(**made.parameters), b"a")
    assert store.has(made, b"a")


def test_classes_of_one_name_and_libraries_of_other_versions_are_kept_apart(monkeypatch):
    elsewhere = type("LogMel", (LogMel,), {"__module__": "somebody.elses"})
    assert extractor_key(elsewhere()) != extractor_key(LogMel())
    before = extractor_key(LogMel())
    monkeypatch.setattr("ser_kit.extraction.store.metadata.version", lambda name: "0.0")
    assert extractor_key(LogMel()) != before


# Contents ------------------------------------------------------------------------------------------------------------


def test_content_is_that_of_the_bytes(store, clip, tmp_path):
    copy = tmp_path / "copy.wav"
    shutil.copy(clip, copy)
    assert store.content(str(clip)) == store.content(str(copy)) == content_of(str(clip))
    copy.write_bytes(b"another one")
    assert store.content(str(copy)) != store.content(str(clip))


def test_a_remembered_file_is_not_read_again(store, clip, monkeypatch):
    content = store.content(str(clip))
    monkeypatch.setattr("ser_kit.extraction.store.content_of", lambda path: pytest.fail("it was read again"))
    assert store.content(str(clip)) == content
    store.flush()
    assert store.content(str(clip)) == content


def test_a_file_that_changed_is_read_again(store, clip):
    before = store.content(str(clip))
    times = clip.stat()
    clip.write_bytes(b"a later content!!")  # of the same length, and
    os.utime(clip, ns=(times.st_atime_ns, times.st_mtime_ns))  # as old as before, by what it says itself
    assert store.content(str(clip)) != before


def test_a_file_that_changed_just_now_is_not_remembered(store, clip, monkeypatch):
    """Within one tick of the file system's clock it might change once more without showing it."""
    monkeypatch.setattr("ser_kit.extraction.store._SETTLED", 2_000_000_000)
    store.content(str(clip))
    reads = []
    monkeypatch.setattr("ser_kit.extraction.store.content_of", lambda path: reads.append(path) or b"")
    store.content(str(clip))
    assert reads


def test_recall_needs_file_and_entry(store, clip):
    assert store.recall(LOGMEL, str(clip)) is None
    content = store.content(str(clip))
    store.flush()
    assert store.recall(LOGMEL, str(clip)) is None
    store.put(LOGMEL, content, some())
    store.flush()
    assert store.recall(LOGMEL, str(clip)) == content
    assert store.recall(LogMel(seconds=1), str(clip)) is None
    clip.write_bytes(b"something else")
    assert store.recall(LOGMEL, str(clip)) is None
    clip.unlink()
    assert store.recall(LOGMEL, str(clip)) is None
    assert store.recall(LOGMEL, "no\0name") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_has_no_content_and_is_not_waited_for(store, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(OSError, match="not a regular file"):
        store.content(str(tmp_path / "pipe.wav"))


# Damage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET array = zeroblob(LENGTH(array))",
        "UPDATE entries SET array = SUBSTR(array, 1, 9)",
        "UPDATE entries SET array = NULL WHERE 0; UPDATE entries SET array = 'text'",
        "UPDATE entries SET length = length + 1",
        "UPDATE entries SET warned = '[[1]'",
        "UPDATE entries SET checksum = checksum + 1",
        "UPDATE entries SET content = x'62'",
    ],
)
def test_a_spoiled_entry_is_never_returned(store, statement):
    store.put(LOGMEL, b"a", some())
    store.put(FrameFeatures(), b"a", some(1, FrameFeatures()))
    for part in statement.split(";"):
        spoil(store, f"{part} {'AND' if 'WHERE' in part else 'WHERE'} extractor = 1")
    assert fetched(store, b"a") is None and fetched(store, b"b") is None
    assert fetched(store, b"a", FrameFeatures()) is not None


def test_check_finds_and_removes_what_is_spoiled(store):
    for i in range(5):
        store.put(LOGMEL, bytes([i]), some(i))
    spoil(store, "UPDATE entries SET array = zeroblob(9) WHERE content IN (x'01', x'03')")
    seen = []
    assert store.check(seen.append) == (5, 2)
    assert seen == [1, 2, 3, 4, 5]
    assert store.check() == (3, 0)
    assert [store.has(LOGMEL, bytes([i])) for i in range(5)] == [True, False, True, False, True]


@pytest.mark.parametrize("how", ["not a database", "overwritten in the middle", "cut short"])
def test_a_spoiled_file_is_set_aside_and_a_new_one_begun(tmp_path, how):
    with Store(tmp_path) as store:
        for i in range(40):
            store.put(FrameFeatures(), bytes([i]), some(i, FrameFeatures()))
    path = store.path
    spoiled = bytearray(path.read_bytes())
    if how == "not a database":
        spoiled[:100] = b"?" * 100
    elif how == "overwritten in the middle":
        spoiled[4096 : len(spoiled) // 2] = os.urandom(len(spoiled) // 2 - 4096)
    else:
        del spoiled[5000:]
    path.write_bytes(spoiled)
    with pytest.warns(DamagedStoreWarning, match="set aside"), Store(tmp_path) as store:
        store.check()
        store.put(LOGMEL, b"new", some())
        assert fetched(store, b"new") is not None
    aside = [entry for entry in tmp_path.iterdir() if "damaged" in entry.name]
    assert len(aside) == 1 and aside[0].read_bytes()[:100] == bytes(spoiled[:100])
    with Store(tmp_path) as store:
        assert fetched(store, b"new") is not None


# The whole -----------------------------------------------------------------------------------------------------------


def test_holdings_and_clear(store):
    for i in range(3):
        store.put(FrameFeatures(), bytes([i]), some(i, FrameFeatures()))
    store.put(LOGMEL, b"a", some())
    assert {holding.extractor.partition("/")[0]: holding.clips for holding in store.holdings()} == {
        "ser_kit.FrameFeatures": 3,
        "ser_kit.LogMel": 1,
    }
    before = store.size()
    assert store.clear("FrameFeatures") == 3
    assert store.size() < before and store.has(LOGMEL, b"a")
    assert store.clear() == 1 and store.holdings() == []
    assert store.clear() == 0


def test_threads_share_a_store(store):
    def work(thread):
        for i in range(50):
            store.put(LOGMEL, bytes([thread, i]), some(i))
            assert store.has(LOGMEL, bytes([thread, i]))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.holdings()[0].clips == 200


WRITER = """
import sys
import numpy as np
from ser_kit.extraction import Store
from ser_kit.features import LogMel
with Store(sys.argv[1]) as store:
    for i in range(200):
        store.put(LogMel(seconds=0.5), bytes([i]), np.full((51, 64), i))
        store.has(LogMel(seconds=0.5), bytes([i]))
"""


def test_processes_share_a_store(tmp_path):
    """All at once, from the moment in which none of them finds a file."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with Store(tmp_path) as store:
        assert store.check() == (200, 0)


def test_a_closed_store(tmp_path):
    store = Store(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.has(LOGMEL, b"a")


def test_its_place_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_KIT_STORE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SER_KIT_CACHE", str(tmp_path / "cache"))
    with Store() as store:
        assert store.path.parent == tmp_path / "elsewhere"
    monkeypatch.delenv("SER_KIT_STORE")
    with Store() as store:
        assert store.path.parent == tmp_path / "cache"


def test_a_temporary_store_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Store(TEMPORARY) as store:
        store.put(LOGMEL, b"a", some())
        assert fetched(store, b"a") is not None and store.size() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="SER_KIT_STORE"):
        Store(tmp_path / "file" / "store")
    assert Path(tmp_path / "file").read_text() == "in the way"


def _imported(function, module) -> set[str]:
    """Packages that a class or function imports, itself or by functions of ser_kit that it names."""
    found, seen, waiting = set(), set(), [(function, module)]
    while waiting:
        thing, module = waiting.pop()
        if thing in seen:
            continue
        seen.add(thing)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(thing)))):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Name):
                named = getattr(module, node.id, None)
                if inspect.isfunction(named) and named.__module__.startswith("ser_kit."):
                    waiting.append((named, sys.modules[named.__module__]))
    return found - {"numpy", "kagglehub"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("kind", [*transforms.STEPS.values(), *map(features.get, features.names())])
def test_each_step_and_extractor_declares_the_packages_that_its_numbers_come_from(kind):
    distributions = {"parselmouth": "praat-parselmouth", "pywt": "PyWavelets", "webrtcvad": "webrtcvad-wheels"}
    imported = {name for each in kind.__mro__ if each.__module__.startswith("ser_kit.") and each is not object
                and each.__name__ not in ("Extractor", "Step", "Settings", "Variation")
                for name in _imported(each, sys.modules[each.__module__])}  # fmt: skip
    read = {"av", "soundfile", "soxr"} if issubclass(kind, features.Extractor) else set()
    assert {distributions.get(name, name) for name in imported} <= read | set(kind.packages), kind


def test_a_step_s_package_makes_another_key(monkeypatch):
    plain, gated = LogMel(), LogMel(preprocess=(transforms.step({"name": "sometimes", "step": "pitch_shift"}),))
    assert gated.dependencies == plain.dependencies | {"librosa", "scipy"}
    before = extractor_key(plain), extractor_key(gated)
    version = metadata.version
    monkeypatch.setattr(
        "ser_kit.extraction.store.metadata.version", lambda name: "0.0" if name == "librosa" else version(name)
    )
    assert extractor_key(plain) == before[0] and extractor_key(gated) != before[1]
