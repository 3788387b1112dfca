"""The process that decodes by FFmpeg's libraries: what it costs, and how it ends."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import threading
import warnings

import coded
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from waves import M4A_HEAD, WAV, babble, calls_until, encode, read_or_refuse, tone

from ser_kit.audio import blocks, decode, ffmpeg, load_audio, read_audio
from ser_kit.core.errors import (
    AudioError,
    EmptyAudioError,
    NotAudioError,
    TruncatedAudioWarning,
)

# In between, since a child's peak begins with the memory of the process that starts it.
MEASURED = """
import resource, subprocess, sys
process = subprocess.run([sys.executable, "-P", *sys.argv[1:]], stdout=subprocess.DEVNULL)
print(process.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)
"""


def decoded(content: bytes, demuxer: str) -> tuple[int, int]:
    """How the process ends, and bytes of memory that it took."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        command = [sys.executable, "-c", MEASURED, ffmpeg.__file__, demuxer]
        done = subprocess.run(command, stdin=file, capture_output=True, check=True)
    status, memory = map(int, done.stdout.split())
    return status, memory


def atom(content: bytearray, name: bytes) -> int:
    """Where the fields of an MP4 file's atom begin, behind its version and flags."""
    return content.index(name) + 8


def test_an_index_of_millions_takes_no_memory(tmp_path):
    content = bytearray(coded.encode(tmp_path / "x.m4a", tone(), 16_000).read_bytes())
    samples = 89_000_000
    struct.pack_into(">2I", content, atom(content, b"stsz"), 1, samples)
    struct.pack_into(">4I", content, atom(content, b"stsc"), 1, 1, samples, 1)
    struct.pack_into(">3I", content, atom(content, b"stts"), 1, samples, 1024)
    assert len(content) < 20_000
    with pytest.raises(AudioError, match="may be damaged|takes more memory"):
        read_audio(bytes(content))
    if sys.platform == "linux":  # macOS does not enforce the limit
        assert decoded(bytes(content), "mov")[1] < 300 << 20


def test_what_never_decodes_is_given_up_and_some_damage_is_not(tmp_path):
    good = coded.encode(tmp_path / "x.aac", tone(), 16_000).read_bytes()
    for payload in b"\xff" * 2, bytes(30):  # no sound, and no sense
        size = 7 + len(payload)
        bad = good[:3] + bytes([good[3] & 0xFC, size >> 3, (size & 7) << 5 | 0x1F, 0xFC]) + payload
        with pytest.raises(NotAudioError, match="neither libsndfile nor FFmpeg can decode it"):
            read_audio(bad * 2000 + good)
    with pytest.warns(TruncatedAudioWarning, match="cut short or damaged"):
        assert read_audio(bad * 100 + good).duration == pytest.approx(1, abs=0.2)


@pytest.mark.skipif(not ffmpeg.resource, reason="no limits here")
def test_the_process_has_limits():
    code = (
        "import resource as r, runpy, sys; d = runpy.run_path(sys.argv[1]); d['_limit']();"
        "print(*(r.getrlimit(k)[0] for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE)))"
    )
    done = subprocess.run([sys.executable, "-c", code, ffmpeg.__file__], capture_output=True, check=True)
    memory, seconds, *others = map(int, done.stdout.split())
    assert others == [0, 0] and memory == ffmpeg.MEMORY
    assert ffmpeg.IDLE_SECONDS <= seconds <= ffmpeg.IDLE_SECONDS + 2


@pytest.mark.skipif(os.name == "nt", reason="no limits to measure by")
def test_a_list_of_other_files_opens_none_of_them(tmp_path):
    (tmp_path / "secret.wav").write_bytes(WAV)
    lists = {
        "concat": f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n",
    }
    for demuxer, text in lists.items():
        with pytest.raises(NotAudioError, match="but text"):
            read_audio(text.encode())
        assert decoded(text.encode(), demuxer)[0] == ffmpeg.UNREADABLE  # even if it were taken for one
    content = bytearray(coded.encode(tmp_path / "x.m4a", tone(), 16_000).read_bytes())
    whole = load_audio(bytes(content))
    at, path = content.index(b"dref"), f"file://{tmp_path}/secret.wav\0".encode()
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref", b"url "):
        start = content.index(name, 0 if name != b"url " else at) - 4
        struct.pack_into(">I", content, start, struct.unpack_from(">I", content, start)[0] + len(path))
    end = content.index(b"url ", at) + 8
    content[end - 4 : end] = bytes(4)  # the flag that the samples are in this file
    content[end:end] = path
    np.testing.assert_array_equal(load_audio(bytes(content)), whole)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Something else in place of the process that decodes; the processes that were started."""
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            started.append(self)

    def put(code: str) -> list[subprocess.Popen]:
        (tmp_path / "broken.py").write_text(code)
        monkeypatch.setattr(ffmpeg, "__file__", str(tmp_path / "broken.py"))
        monkeypatch.setattr(decode.subprocess, "Popen", Popen)
        return started

    return put


HEADER = "import os, resource, signal, struct, sys, time\nsys.stdout.buffer.write(struct.pack('<II', 16000, 1))\n"
SECOND = "sys.stdout.buffer.write(bytes(64000) + struct.pack('<f', 0.5))\nsys.stdout.buffer.flush()\n"


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("import os; os.abort()", NotAudioError, "neither libsndfile nor FFmpeg can decode it"),
        ("import nothing_of_that_name", AudioError, "PyAV, which should decode it, does not work here"),
        (
            "raise SystemExit(14)",
            AudioError,
            r"takes more memory than decoding may \(512 MiB\); save it as a WAV",
        ),
        ("raise SystemExit(12)", EmptyAudioError, "holds no samples"),
        (
            f"{HEADER}{SECOND}os.kill(0 or os.getpid(), signal.SIGXCPU)",
            AudioError,
            "takes longer than decoding may",
        ),
        (f"{HEADER}{SECOND}os.kill(os.getpid(), signal.SIGKILL)", AudioError, "takes more memory"),
    ],
)
def test_the_end_of_the_process_has_its_sentence(stand_in, code, error, words):
    stand_in(code)
    with pytest.raises(error, match=words):
        read_audio(M4A_HEAD)


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_what_came_before_a_crash_is_kept(stand_in):
    stand_in(f"{HEADER}{SECOND}os.abort()")
    with pytest.warns(TruncatedAudioWarning, match="not all of it could be decoded; 1.00 s"):
        assert len(read_audio(M4A_HEAD).samples) == 16_001


@pytest.mark.parametrize("code", ["import time; time.sleep(600)", f"{HEADER}{SECOND}time.sleep(600)"])
def test_who_watches_can_end_the_decoding_and_nothing_is_left(stand_in, code):
    started = stand_in(code)
    with pytest.raises(KeyError):
        read_audio(M4A_HEAD, watch=calls_until(KeyError, 4))
    assert len(started) == 1 and started[0].poll() is not None
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name and thread.is_alive()]


def test_who_watches_is_called_where_libsndfile_reads(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    with pytest.raises(KeyError):
        read_audio(WAV, watch=calls_until(KeyError, 9))


DAMAGEABLE = {
    form: encode(babble(6000), 16_000, form, subtype)
    for form, subtype in (
        ("WAV", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", None),
    )
}


@settings(max_examples=80)
@given(st.data(), st.sampled_from(sorted(DAMAGEABLE)))
def test_damaged_files_never_raise_anything_else(data, form):
    content = bytearray(DAMAGEABLE[form])
    for _ in range(data.draw(st.integers(1, 8))):
        reach = data.draw(st.sampled_from([64, len(content)]))  # half of the damage hits the header
        content[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(content))


@settings(max_examples=100)
@given(
    hnp.arrays(
        st.sampled_from([np.int8, np.uint8, np.int16, np.int32, np.float16, np.float32, np.float64, np.int64, bool]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=40),
    ),
    st.one_of(st.integers(0, 500_000), st.sampled_from([8000, 44_100.0, None])),
    st.sampled_from([None, 4000, 16_000, 384_000]),
)
def test_any_array_is_read_or_refused(array, native, rate):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            recording = read_audio((array, native), sr=rate)
        except AudioError:
            return
    assert recording.samples.dtype == np.float32 and recording.samples.ndim == 1
    assert recording.rate == (rate or native) and recording.native_rate == native
    assert recording.channels == (1 if array.ndim == 1 else min(array.shape))
    expected = max(array.shape) * recording.rate / native
    assert abs(len(recording.samples) - expected) <= 1 and np.isfinite(recording.samples).all()
