"""``ser-kit predict`` answers for whatever it is given: an emotion with its confidence, or a clear error."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import coded
import numpy as np
import pytest
import soundfile
import soxr
import torture
from torture import ANSWERED, AS_THE_CLIP, EITHER, NAMES, REFUSED, UNCERTAIN

from ser_kit.audio import read_audio
from ser_kit.core.errors import AudioError, TruncatedAudioWarning

pytestmark = pytest.mark.slow

if not hasattr(os, "mkfifo"):
    pytest.skip("pipes, sockets and links as POSIX has them", allow_module_level=True)
GIGABYTE = 1 << 30

# All in one process, a recording at a time; what it takes is beyond what the clip alone takes, which is TensorFlow.
COMMAND = """
import contextlib, io, json, resource, sys
from ser_kit import cli

def run(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = cli.main(["predict", *arguments, "--json", "--quiet", "--jobs", "1"])
    return status, json.loads(said.getvalue()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

clip, *paths = sys.argv[1:]
_, _, before = run(clip)
status, answers, peak = run(*paths)
json.dump({"status": status, "answers": answers, "before": before << 10, "peak": peak << 10}, sys.stdout)
"""
LIMIT_SECONDS = 900  # so that a hang ends, on a slow machine too


def predict(clip: Path, *paths: str | Path) -> dict:
    """Exit status, answers by path, and resident bytes before and at the worst moment."""
    command = [sys.executable, "-c", COMMAND, str(clip), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
    assert b"Traceback" not in done.stderr
    found = json.loads(done.stdout)
    found["answers"] = {Path(answer["path"]): answer for answer in found["answers"]}
    return found


def check_answer(answer: dict) -> None:
    assert "error" not in answer
    assert answer["emotion"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert answer["confidence"] == answer["probabilities"][answer["emotion"]]
    assert all(0 <= p <= 1 for p in answer["probabilities"].values())
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert answer["uncertain"] is bool(answer["reason"])


def check_error(answer: dict) -> None:
    assert set(answer) == {"path", "error"}
    assert answer["error"].isprintable() and "Error" not in answer["error"]


@pytest.fixture(scope="module", params=["synthetic", pytest.param("real", marks=pytest.mark.realdata)])
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def clips(request, kind) -> list[Path]:
    """One of each of six speakers."""
    from ser_kit import corpora

    if kind == "real":
        table = corpora.load("ravdess", root=request.getfixturevalue("real_data"))
    else:
        table = request.getfixturevalue("demo_table")
    return [Path(path) for path in table.drop_duplicates("speaker")["path"].iloc[:6]]


@pytest.fixture(scope="module")
def originals(request, kind) -> list[Path]:
    """Corpora's own files, where real recordings are at hand."""
    folder = request.getfixturevalue("real_data") / "originals" if kind == "real" else None
    return [path for path in folder.rglob("*") if path.suffix.lower() in (".wav", ".mp3", ".flac")] if folder else []


@pytest.fixture(scope="module")
def tortured(clips, kind, originals, tmp_path_factory):
    """All of them through one process of the command."""
    folder = tmp_path_factory.mktemp("odd")
    made = torture.make(clips[0], clips, folder, hour=kind == "synthetic")
    yield predict(folder / "clip.wav", *made.paths, *originals) | {"made": made}
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def answers(tortured, originals):
    """By file name, those to the corpora's own files left out."""
    return {path.name: answer for path, answer in tortured["answers"].items() if path not in originals}


@pytest.fixture
def answer_to(tortured, answers):
    def answer(name: str) -> dict:
        if name in tortured["made"].missing:
            pytest.skip(tortured["made"].missing[name])
        return answers[name]

    return answer


def test_there_are_thirty_kinds_and_more():
    kinds = [*ANSWERED, *UNCERTAIN, *EITHER, *REFUSED]
    assert len(set(kinds)) == len(kinds) >= 30


@pytest.mark.parametrize("what", ANSWERED)
def test_an_odd_recording_is_answered(answer_to, what):
    check_answer(answer_to(ANSWERED[what]))


@pytest.mark.parametrize("what", UNCERTAIN)
def test_what_is_no_speech_is_uncertain(answer_to, what):
    answer = answer_to(UNCERTAIN[what])
    check_answer(answer)
    assert answer["uncertain"]


@pytest.mark.parametrize("what", EITHER)
def test_damage_is_answered_for_or_refused(answer_to, what):
    answer = answer_to(EITHER[what])
    if "error" in answer:
        check_error(answer)
    else:
        check_answer(answer)
        assert answer["uncertain"] or "click" not in what


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_judged_gets_a_clear_error(answer_to, what):
    name, reason = REFUSED[what]
    answer = answer_to(name)
    check_error(answer)
    assert re.search(reason, answer["error"])


@pytest.mark.parametrize("what", AS_THE_CLIP)
def test_how_a_clip_is_stored_does_not_change_its_answer(answer_to, what):
    answer, clip = answer_to(ANSWERED[what]), answer_to("clip.wav")
    assert answer["emotion"] == clip["emotion"]
    assert answer["probabilities"] == pytest.approx(clip["probabilities"], abs=AS_THE_CLIP[what])


@pytest.mark.parametrize("script", NAMES)
def test_nor_does_its_name(answer_to, script):
    answer = answer_to(NAMES[script])
    assert Path(answer["path"]).name == NAMES[script]
    assert answer["probabilities"] == answer_to("clip.wav")["probabilities"]


def test_a_folder_is_walked_but_not_in_circles(tortured, answers):
    names = {Path(path).name for path in tortured["made"].paths} - {"walked"}
    assert set(answers) == names | {"walked.wav"}
    check_answer(answers["walked.wav"])


def test_some_failed_and_the_command_says_so(tortured):
    assert tortured["status"] == 1


def test_an_hour_is_heard_to_its_end(answer_to):
    assert answer_to("hour.flac")["duration"] == pytest.approx(torture.HOUR)


def test_a_bomb_is_small(tortured):
    assert max(os.path.getsize(path) for path in tortured["made"].paths if "bomb" in path) < 1 << 20


def test_nothing_takes_a_gigabyte_of_memory(tortured, record_property):
    taken = tortured["peak"] - tortured["before"]
    record_property("bytes_for_the_clip", tortured["before"])
    record_property("bytes_more_for_all", taken)
    assert taken < GIGABYTE


def test_every_original_is_answered(tortured, originals):
    if not originals:
        pytest.skip("there is no originals/ beside the clips")
    for path in originals:
        check_answer(tortured["answers"][path])
        assert tortured["answers"][path]["duration"] == pytest.approx(read_audio(path).duration, abs=0.001)


# ------------------------------------------------------------------------------------------------------------ formats

# How like the clip a decoded one is, as a correlation, by what it is stored with; what is not named loses next to
# nothing.
LIKENESS = {
    "GSM610": 0.85, "IMA_ADPCM": 0.97, "MS_ADPCM": 0.97, "NMS_ADPCM_16": 0.9, "NMS_ADPCM_24": 0.97, "DPCM_8": 0.97,
    "G723_24": 0.97, "VORBIS": 0.95, "OPUS": 0.9, "MPEG_LAYER_III": 0.95,
    "aac": 0.95, "libopus": 0.9, "libopus -b:a 6k": 0.6, "libopus -b:a 8k": 0.6, "vorbis": 0.95,
    "libopencore_amrnb": 0.7, "ac3": 0.95, "eac3": 0.95, "mp2": 0.95,
    "libmp3lame": 0.9, "wmav1": 0.95, "wmav2": 0.95, "adpcm_ms": 0.97, "adpcm_ima_wav": 0.97, "adpcm_yamaha": 0.97,
    "g722": 0.95, "g726": 0.85, "g723_1": 0.7, "nellymoser": 0.8,
}  # fmt: skip
PADDED = 0.35  # s that codecs may add, which work in blocks: two or three of them, at 8 kHz
FORMATS = [
    (form, subtype)
    for form in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(form)
    if form != "RAW"  # which is no container: it says nothing of what it holds
]
# What PyAV encodes. It brings no encoder for Speex, Opus in CAF, WMA Pro and lossless, Monkey's Audio or RealAudio; DTS
# and TrueHD have files in tests/data.
BY_PYAV = [
    *[("m4a", codec) for codec in ("aac", "alac")],
    *[("wav", codec) for codec in (
        "adpcm_ms", "adpcm_ima_wav", "adpcm_yamaha", "pcm_alaw", "pcm_mulaw", "pcm_s64le", "g722", "g726 -b:a 32k",
        "g723_1 -b:a 6.3k", "mp2", "libmp3lame", "ac3", "wmav2", "pcm_s16le -rf64 always",
    )],
    *[("opus", f"libopus -b:a {rate}") for rate in ("6k", "8k", "32k")],
    *[("webm", codec) for codec in ("libopus", "vorbis -strict -2", "libopus FILM")],
    *[("ogg", codec) for codec in ("flac", "vorbis -strict -2", "libopus")],
    *[("mka", codec) for codec in ("flac", "pcm_s16le", "aac")],
    *[("mov", codec) for codec in ("pcm_s16le", "pcm_mulaw", "aac FILM")],
    *[("mp4", codec) for codec in ("aac", "aac FILM", "aac -movflags +frag_keyframe+empty_moov")],
    *[("avi", codec) for codec in ("pcm_s16le FILM", "libmp3lame FILM")],
    *[("ts", codec) for codec in ("mp2", "aac FILM")],
    *[("flv", codec) for codec in ("nellymoser", "aac FILM")],
    *[("caf", codec) for codec in ("alac", "pcm_s16le")],
    *[("aiff", "pcm_s16be"), ("aif", "pcm_s16le"), ("au", "pcm_mulaw"), ("w64", "pcm_s16le"), ("voc", "pcm_u8")],
    *[("3gp", "aac"), ("3gp", "libopencore_amrnb"), ("3g2", "aac"), ("aac", "aac"), ("amr", "libopencore_amrnb")],
    *[("mp2", "mp2"), ("mp3", "libmp3lame"), ("mp3", "libmp3lame -write_xing 0"), ("mpg", "mp2 FILM")],
    *[("wma", "wmav1"), ("wma", "wmav2"), ("asf", "wmav2"), ("ac3", "ac3"), ("eac3", "eac3"), ("rm", "ac3")],
    *[("mxf", "pcm_s16le"), ("sox", "pcm_s32le"), ("flac", "flac"), ("tta", "tta"), ("wv", "wavpack")],
]  # fmt: skip
RATES = {"mxf": 48_000, "mpg": 48_000, "ts": 48_000, "rm": 48_000, "ac3": 48_000, "eac3": 48_000, "flv": 8000}
RATES |= {"XI": 44_100, "wav ac3": 48_000} | dict.fromkeys(("mp2 mp2", "wav mp2", "wav wmav2"), 16_000)
RATES |= dict.fromkeys(("wma wmav1", "wma wmav2", "asf wmav2"), 16_000)  # the others take any


@pytest.fixture(scope="module")
def spoken(demo_table):
    """A rate -> a clip's samples at that rate; below 8 kHz, since 8 kHz is the only rate that all codecs take."""
    narrow = read_audio(demo_table["path"].iloc[0], sr=8000).samples.astype(float)
    return lambda rate: 0.9 * soxr.resample(narrow, 8000, rate)


def check_decoded(path: Path, samples: np.ndarray, rate: int, likeness: float, padded: float) -> None:
    """Whether a file holds the samples, with some padding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some encoders leave headers that say a little too much
        found = read_audio(path, sr=rate)
    assert found.duration == pytest.approx(len(samples) / rate, abs=padded + 1e-3)
    size = 1 << (len(samples) + len(found.samples)).bit_length()
    alike = np.fft.irfft(np.fft.rfft(samples, size).conj() * np.fft.rfft(found.samples, size))
    assert alike.max() / np.linalg.norm(samples) / np.linalg.norm(found.samples) > likeness


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_what_libsndfile_writes_is_read(tmp_path, spoken, form, subtype):
    rate = RATES.get(form, 8000)
    path, samples = tmp_path / f"clip.{form.lower()}", spoken(rate)
    try:
        soundfile.write(path, samples, rate, format=form, subtype=subtype)
    except soundfile.LibsndfileError as error:
        pytest.skip(f"this libsndfile does not write it: {error.error_string}")
    exact = subtype.startswith(("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW"))
    check_decoded(path, samples, rate, LIKENESS.get(subtype, 0.99), 0 if exact else PADDED)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_mp3_in_a_wav_file_is_cut_short_only_where_it_is(tmp_path, spoken, rate):
    path = coded.encode(tmp_path / "whole.wav", spoken(rate), rate, "libmp3lame")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_audio(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.warns(TruncatedAudioWarning, match="cut short"):
        read_audio(path)


@pytest.mark.parametrize(("suffix", "codec"), BY_PYAV)
def test_what_ffmpeg_s_libraries_write_is_read(tmp_path, spoken, suffix, codec):
    rate = RATES.get(f"{suffix} {codec}", RATES.get(suffix, 8000))
    samples, name = spoken(rate), codec.split()[0]
    stereo = np.stack([samples] * 2, axis=1)  # all that this encoder takes
    path = coded.encode(tmp_path / f"coded.{suffix}", stereo if name == "vorbis" else samples, rate, codec)
    check_decoded(path, samples, rate, LIKENESS.get(codec, LIKENESS.get(name, 0.99)), PADDED)


@pytest.mark.parametrize("name", ["chirp.dts", "chirp.thd"])
def test_what_has_an_encoder_elsewhere_is_read(name):
    """A chirp that grows louder, made by a formula and encoded by the ffmpeg command."""
    time = np.arange(12_000) / 48_000
    chirp = 0.4 * np.sin(2 * np.pi * time) * np.sin(2 * np.pi * (300 * time + 700 * time**2))
    check_decoded(Path(__file__).parents[1] / "data" / name, chirp, 48_000, 0.95, 0.01)


# ------------------------------------------------------------------------------------------------------------- change


@pytest.mark.filterwarnings("ignore::ser_kit.core.errors.TruncatedAudioWarning")
def test_files_that_change_while_they_are_read_are_answered_for_or_refused(predictor, clips, tmp_path):
    samples, rate = soundfile.read(clips[0])
    stereo = np.stack([samples, -1.0005 * samples], axis=1)  # channels that cancel are read twice
    contents = [clips[0].read_bytes(), b"", b"text\n" * 99]
    for name, given in {"long.flac": np.resize(samples, 30 * rate), "stereo.wav": stereo, "clip.ogg": samples}.items():
        soundfile.write(tmp_path / name, given, rate)
        contents.append((tmp_path / name).read_bytes())
    path, stop = tmp_path / "changing.wav", threading.Event()
    path.write_bytes(contents[0])

    def change():
        rng = np.random.default_rng(0)
        while not stop.wait(rng.uniform(0, 0.01)):
            content = contents[rng.integers(len(contents))]
            match rng.integers(4):
                case 0:
                    path.write_bytes(content)  # empty for a moment
                case 1:
                    os.truncate(path, rng.integers(path.stat().st_size + 1))
                case 2:
                    (tmp_path / "new.wav").write_bytes(content)
                    os.replace(tmp_path / "new.wav", path)
                case 3:
                    path.unlink()
                    path.write_bytes(content)

    outcomes = set()
    thread = threading.Thread(target=change)
    thread.start()
    try:
        tries = 0
        while tries < 100 or (len(outcomes) < 2 and tries < 2000):
            tries += 1
            try:
                answer = predictor.predict(path)
                assert np.isfinite(list(answer.probabilities.values())).all()
                outcomes.add("answered")
            except AudioError as error:
                assert str(error).isprintable()
                outcomes.add("refused")
    finally:
        stop.set()
        thread.join()
    assert outcomes == {"answered", "refused"}


# ------------------------------------------------------------------------------------------------------------- damage

ROOT = Path(__file__).parents[2]
needs_benchmarks = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are not beside an installed package"
)


@needs_benchmarks
def test_damaged_files_are_answered_for_or_refused(tmp_path, capsys, monkeypatch):
    """A small sample; ``python -m benchmarks.fuzz`` does ten thousand."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import fuzz

    assert fuzz.main(["--files", "150", "--jobs", "1", "--keep", str(tmp_path / "failed")]) == 0, capsys.readouterr()
    told = capsys.readouterr().out
    refused, answered = (int(re.search(rf"([0-9]+) {what}", told)[1]) for what in ("refused", "answered"))
    assert refused + answered == 150 and min(refused, answered) > 20
    assert not (tmp_path / "failed").exists()


@needs_benchmarks
def test_what_goes_wrong_with_a_damaged_file_is_told_and_kept(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import fuzz

    monkeypatch.setattr(fuzz, "_outcomes", lambda folder, options: [(0, "answered"), (7, "ValueError: oh")])
    assert fuzz.main(["--files", "2", "--keep", str(tmp_path / "failed")]) == 1
    assert "1 answered, 1 failed" in (told := capsys.readouterr().out) and "failed/7: ValueError: oh" in told
    kept = (tmp_path / "failed" / "7").read_bytes()

    class Odd:
        def predict(self, source):
            raise ValueError("oh")

    assert fuzz.outcome(Odd(), kept) == "ValueError: oh"


DAMAGING = """
import os, signal, sys, time
start, stop = map(int, sys.argv[2:])
print("ready", flush=True)
for number in range(start, stop):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        time.sleep(600)
    print("answered", flush=True)
"""


@needs_benchmarks
def test_a_file_that_ends_or_hangs_its_process_is_told_and_the_others_are_judged(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import fuzz

    monkeypatch.setattr(fuzz, "_COMMAND", (sys.executable, "-c", DAMAGING))
    monkeypatch.setattr(fuzz, "_SECONDS", 2.0)
    told = queue.SimpleQueue()
    fuzz._watch(tmp_path, 0, 5, told)
    found = dict(told.get() for _ in range(5))
    assert found == {0: "answered", 1: "ended the process (-9)", 2: "answered", 3: "took too long", 4: "answered"}


@needs_benchmarks
def test_a_damaged_file_is_its_number(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import fuzz

    files = [bytes(range(256)) * 9, b"RIFF" + bytes(900)]
    made = [fuzz.mutated(files, number) for number in range(50)]
    assert made == [fuzz.mutated(files, number) for number in range(50)] and len(set(made)) > 45
