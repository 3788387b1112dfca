"""``ser-kit predict`` answers for whatever it is given: an emotion with its confidence, or a clear error."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ser_kit import cli
from ser_kit.audio import read_audio

ANSWERED = {
    "4 kHz": "rate_4000.wav",
    "8 kHz telephone": "rate_8000.wav",
    "384 kHz": "rate_384000.wav",
    "8 bit": "depth_8.wav",
    "24 bit": "depth_24.wav",
    "double precision": "depth_64.wav",
    "stereo": "stereo.wav",
    "stereo, one channel dead": "one_dead.wav",
    "six channels, extensible header": "six.wav",
    "FLAC": "clip.flac",
    "Ogg Vorbis": "clip.ogg",
    "MP3": "clip.mp3",
    "M4A": "clip.m4a",
    "WebM": "clip.webm",
    "0.3 s": "short.wav",
    "10 min": "long.flac",
    "noise": "noise.wav",
    "truncated": "truncated.wav",
}
REFUSED = {
    "0.05 s": ("too_short.wav", r"lasts 0\.050 s; expected 0\.1 s or more"),
    "silence": ("silence.wav", r"is silent"),
    "truncated within the header": ("header.wav", r"damaged|no samples|not a sound file|can decode"),
    "zero bytes": ("empty.wav", r"is empty"),
    "text": ("text.wav", r"is not a sound file but text"),
}
BY_FFMPEG = (".m4a", ".webm")
AS_GOOD_AS_THE_CLIP = ("24 bit", "double precision", "stereo", "six channels, extensible header", "FLAC")


def make_odd(clip: Path, folder: Path) -> None:
    """The recordings named above, made of one 16-bit clip."""
    samples, rate = soundfile.read(clip, always_2d=True)
    samples = samples[:, 0]

    def write(name: str, samples, rate=rate, **how) -> None:
        soundfile.write(folder / name, samples, rate, **how)

    write("clip.wav", samples)
    for new_rate in (4_000, 8_000, 384_000):
        write(f"rate_{new_rate}.wav", soxr.resample(samples, rate, new_rate), new_rate)
    write("depth_8.wav", samples, subtype="PCM_U8")
    write("depth_24.wav", samples, subtype="PCM_24")
    write("depth_64.wav", samples, subtype="DOUBLE")
    write("stereo.wav", np.stack([samples] * 2, axis=1))
    write("one_dead.wav", np.stack([samples, 0 * samples], axis=1))
    write("six.wav", np.stack([samples] * 6, axis=1), format="WAVEX")
    for name in ("clip.flac", "clip.ogg", "clip.mp3"):
        write(name, samples)
    if shutil.which("ffmpeg"):
        for suffix in BY_FFMPEG:
            command = ["ffmpeg", "-v", "error", "-i", str(folder / "clip.wav"), str(folder / f"clip{suffix}")]
            subprocess.run(command, check=True)
    middle = len(samples) // 2
    write("short.wav", samples[middle : middle + int(0.3 * rate)])
    write("too_short.wav", samples[middle : middle + int(0.05 * rate)])
    write("long.flac", np.resize(samples, 600 * rate))
    write("silence.wav", np.zeros(2 * rate))
    write("noise.wav", 0.1 * np.random.default_rng(0).standard_normal(2 * rate))
    whole = (folder / "clip.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[: 2 * len(whole) // 3])
    (folder / "header.wav").write_bytes(whole[:30])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("these are words\n")


def predict(*arguments: str | Path) -> tuple[int, dict[str, dict]]:
    """Exit status and answers of ``ser-kit predict``, by file name."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = cli.main(["predict", *map(str, arguments), "--json", "--quiet"])
    return status, {Path(answer["path"]).name: answer for answer in json.loads(said.getvalue())}


def check_answer(answer: dict) -> None:
    assert "error" not in answer
    assert answer["emotion"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert answer["confidence"] == answer["probabilities"][answer["emotion"]]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert answer["uncertain"] is bool(answer["reason"])


@pytest.fixture(scope="module", params=["synthetic", pytest.param("real", marks=pytest.mark.realdata)])
def answers(request, demo_bundle, tmp_path_factory):
    from ser_kit import corpora

    if request.param == "real":
        table = corpora.load("ravdess", root=request.getfixturevalue("real_data"))
    else:
        table = request.getfixturevalue("demo_table")
    folder = tmp_path_factory.mktemp("odd")
    make_odd(Path(table["path"].iloc[0]), folder)
    status, found = predict(folder, "--bundle", demo_bundle)
    assert status == 1  # some of them cannot be judged
    assert len(found) == len(list(folder.iterdir()))
    return found


@pytest.mark.parametrize("what", ANSWERED)
def test_an_odd_recording_is_answered(answers, what):
    name = ANSWERED[what]
    if name.endswith(BY_FFMPEG) and not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    check_answer(answers[name])


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_judged_gets_a_clear_error(answers, what):
    name, reason = REFUSED[what]
    assert set(answers[name]) == {"path", "error"}
    assert answers[name]["error"].splitlines() == [answers[name]["error"]]
    assert re.search(reason, answers[name]["error"])


@pytest.mark.parametrize("what", AS_GOOD_AS_THE_CLIP)
def test_the_container_does_not_change_the_answer(answers, what):
    assert answers[ANSWERED[what]]["probabilities"] == pytest.approx(answers["clip.wav"]["probabilities"], abs=1e-3)


def test_noise_is_not_taken_for_a_voice(answers):
    assert answers["noise.wav"]["uncertain"]


def test_a_long_recording_is_heard_to_its_end(answers):
    assert answers["long.flac"]["duration"] == pytest.approx(600)


@pytest.mark.realdata
def test_every_original_is_answered(real_data, demo_bundle):
    originals = real_data / "originals"
    if not originals.is_dir():
        pytest.skip(f"there is no originals/ in {real_data}")
    status, found = predict(originals, "--bundle", demo_bundle)
    sound_files = [path for path in originals.rglob("*") if path.suffix.lower() in (".wav", ".mp3", ".flac")]
    assert status == 0 and len(found) == len({path.name for path in sound_files}) > 0
    for path in sound_files:
        check_answer(found[path.name])
        assert found[path.name]["duration"] == pytest.approx(read_audio(path).duration, abs=0.001)


# ------------------------------------------------------------------------------------------------------------- damage

ROOT = Path(__file__).parent.parent
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


@needs_benchmarks
def test_a_damaged_file_is_its_number(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import fuzz

    files = [bytes(range(256)) * 9, b"RIFF" + bytes(900)]
    made = [fuzz.mutated(files, number) for number in range(50)]
    assert made == [fuzz.mutated(files, number) for number in range(50)] and len(set(made)) > 45
