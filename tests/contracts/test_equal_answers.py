"""However a recording comes in, and wherever its bundle runs, the answer is the same: the contract of all ways in."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import soundfile
from clips import rows_of

from ser_kit import cli, corpora, deploy
from ser_kit.app import UploadWidget
from ser_kit.audio import read_audio
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.presets import preset_path
from ser_kit.inference.prediction import Failure, Prediction
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.stream import RATE, StreamPredictor, timeline

pytestmark = pytest.mark.slow

EXACTLY, WRITTEN, EXPORTED = 0.0, 1e-6, deploy.LARGEST_DIFFERENCE
"""How far a probability may be off: not at all in Python, as far as JSON is rounded, and as other runtimes compute."""


@dataclass(frozen=True)
class Case:
    """A bundle and a clip for it.

    Args:
        folder: of the bundle.
        predictor: that judges with it.
        clip: an utterance, shorter than what is judged in windows.
        neighbours: other clips.
        place: for files that a way writes.
        exports: for exported files, which stay for the next clip.
    """

    folder: Path
    predictor: Predictor
    clip: Path
    neighbours: list[Path]
    place: Path
    exports: Path


Answer = Mapping[str, float]


def single(*answers: Prediction | Failure) -> Answer:
    (answer,) = answers
    return answer.probabilities


def path(case: Case) -> Answer:
    return case.predictor.predict(case.clip).probabilities


def text(case: Case) -> Answer:
    return case.predictor.predict(str(case.clip)).probabilities


def content(case: Case) -> Answer:
    return case.predictor.predict(case.clip.read_bytes()).probabilities


def file_object(case: Case) -> Answer:
    with case.clip.open("rb") as file:
        return case.predictor.predict(file).probabilities


def array(case: Case) -> Answer:
    return case.predictor.predict(soundfile.read(case.clip, dtype="float32")).probabilities


def integers(case: Case) -> Answer:
    return case.predictor.predict(soundfile.read(case.clip, dtype="int16")).probabilities


def channels(case: Case) -> Answer:
    samples, rate = soundfile.read(case.clip, dtype="float32", always_2d=True)
    return case.predictor.predict((samples[:, [0, 0]], rate)).probabilities


def recording(case: Case) -> Answer:
    return case.predictor.predict(read_audio(case.clip)).probabilities


def another_container(case: Case) -> Answer:
    samples, rate = soundfile.read(case.clip, dtype="int16")
    soundfile.write(case.place / "clip.flac", samples, rate)
    return case.predictor.predict(case.place / "clip.flac").probabilities


def batch(case: Case) -> Answer:
    first, *others = case.neighbours
    return list(case.predictor.predict_many([first, case.clip, *others]))[1].probabilities


def batch_in_threads(case: Case) -> Answer:
    sources = [*case.neighbours, case.clip, *case.neighbours, b"no sound", case.clip]
    answers = list(case.predictor.predict_many(sources, jobs=3))
    assert isinstance(answers[-2], Failure)
    assert answers[-1].probabilities == answers[len(case.neighbours)].probabilities
    return answers[-1].probabilities


def stream_window(case: Case) -> Answer:
    """What a window that holds just the clip says, fed in blocks that are no whole numbers of anything."""
    samples, rate = soundfile.read(case.clip, dtype="int16")
    seconds = read_audio(case.clip, sr=case.predictor.bundle.rate).duration
    stream = StreamPredictor(case.predictor, sr=rate, window=seconds, hop=seconds, smoothing=0)
    blocks = np.array_split(samples, 37)
    return single(*[moment for block in blocks for moment in stream.feed(block)], *stream.flush())


def whole_timeline(case: Case) -> Answer:
    return single(*timeline(case.predictor, case.clip, window=8, hop=8))


def widget(case: Case) -> Answer:
    page = UploadWidget(case.predictor)
    (button,) = [w for w in _inside(page) if isinstance(w, ipywidgets.FileUpload)]
    sound, now = case.clip.read_bytes(), datetime.now(UTC)
    upload = {"name": "x.wav", "type": "audio/wav", "size": len(sound), "last_modified": now}
    button.value = ({**upload, "content": memoryview(sound)},)
    page.wait(300)
    return single(*page.results)


def _inside(box: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield box
    for child in getattr(box, "children", ()):
        yield from _inside(child)


def command(case: Case) -> Answer:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert not cli.main(["predict", str(case.clip), "--bundle", str(case.folder), "--json", "--quiet"])
    (answer,) = json.loads(said.getvalue())
    return answer["probabilities"]


def networks(case: Case) -> Answer:
    """By TensorFlow, whether the bundle has a ``model.onnx`` or not."""
    slow = Predictor(Bundle.load(case.folder, networks=True)).with_adaptation(case.predictor.adaptation)
    return slow.predict(case.clip).probabilities


def exported(format: str) -> Callable[[Case], Answer]:
    def run(case: Case) -> Answer:
        """Samples in where the file takes these, else the features that its metadata names; probabilities out."""
        if format == "onnx":
            pytest.importorskip("tf2onnx", reason="the extra export is not installed")
        bundle, out = case.predictor.bundle, case.exports / f"{case.folder.name}{deploy.FORMATS[format]}"
        if not out.exists():
            table = corpora.load("demo")
            deploy.export(bundle, out, rows_of(table, table["path"].isin(map(str, case.neighbours))))
        facts, sound = deploy.metadata(bundle), read_audio(case.clip, sr=bundle.rate)
        given = sound.samples if facts["input"] == "samples" else bundle.extractors[0].extract(sound)
        return dict(zip(facts["labels"], deploy.runner(out)(given).tolist(), strict=True))

    return run


WAYS: dict[str, tuple[Callable[[Case], Answer], float]] = {
    "path": (path, EXACTLY),
    "path as text": (text, EXACTLY),
    "bytes": (content, EXACTLY),
    "file object": (file_object, EXACTLY),
    "array of floats": (array, EXACTLY),
    "array of integers": (integers, EXACTLY),
    "array of two equal channels": (channels, EXACTLY),
    "recording": (recording, EXACTLY),
    "another container": (another_container, EXACTLY),
    "batch": (batch, EXACTLY),
    "batch in threads": (batch_in_threads, EXACTLY),
    "stream window": (stream_window, EXACTLY),
    "timeline": (whole_timeline, EXACTLY),
    "widget": (widget, EXACTLY),
    "command": (command, WRITTEN),
    "networks": (networks, EXPORTED),
    "ONNX": (exported("onnx"), EXPORTED),
    "LiteRT": (exported("litert"), EXPORTED),
}


@pytest.fixture(scope="module")
def expected() -> dict[tuple[Path, Path], Answer]:
    """What the path gives, once for each bundle and clip."""
    return {}


@pytest.fixture(
    scope="module",
    params=[
        "demo, synthetic",
        "demo at 48 kHz, synthetic",
        "from_scratch, synthetic",
        pytest.param("from_scratch, real", marks=pytest.mark.realdata),
    ],
)
def asked(request) -> tuple[str, str]:
    """Which bundle, and what kind of clip."""
    bundle, kind = request.param.split(", ")
    return bundle, kind


@pytest.fixture(scope="module")
def folder(request, asked, tmp_path_factory) -> Path:
    if asked[0] == "from_scratch":
        return preset_path("from_scratch")
    folder = request.getfixturevalue("demo_bundle")
    if asked[0] == "demo":
        return folder
    bundle = Bundle.load(folder)  # the same numbers, of features at another rate
    members = tuple(replace(each, extractor=replace(each.extractor, sr=48_000)) for each in bundle.members)
    return replace(bundle, members=members).save(tmp_path_factory.mktemp("wide") / "bundle")


@pytest.fixture(scope="module")
def predictor(folder) -> Predictor:
    return Predictor.from_bundle(folder)


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def clip(request, asked, demo_table, tmp_path_factory) -> Path:
    if "48 kHz" in asked[0]:
        samples = read_audio(demo_table["path"].iloc[3], sr=48_000).samples
        hiss = np.random.default_rng(0).normal(size=len(samples)) / 200  # above what 16 kHz can hold, too
        path = tmp_path_factory.mktemp("wide") / "clip.wav"
        soundfile.write(path, samples + hiss, 48_000)
        return path
    if asked[1] == "synthetic":
        return Path(demo_table["path"].iloc[3])
    return Path(corpora.load("ravdess", root=request.getfixturevalue("real_data"))["path"].iloc[3])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_gives_the_same_answer(folder, predictor, clip, exports, expected, demo_few, tmp_path, way):
    neighbours = [Path(name) for name in demo_few["path"].iloc[:3]]
    case = Case(folder, predictor, clip, neighbours, tmp_path, exports)
    if (folder, clip) not in expected:
        expected[folder, clip] = path(case)
        assert sum(expected[folder, clip].values()) == pytest.approx(1)
    ask, tolerance = WAYS[way]
    assert dict(ask(case)) == pytest.approx(expected[folder, clip], abs=tolerance, rel=0)


def test_the_windows_of_a_long_recording_are_those_of_a_stream(predictor, demo_few, tmp_path):
    spoken = np.concatenate([soundfile.read(name, dtype="int16")[0] for name in demo_few["path"]])[: 12 * RATE]
    soundfile.write(tmp_path / "talk.wav", spoken, RATE)
    answer = predictor.predict(tmp_path / "talk.wav")
    moments = timeline(predictor, tmp_path / "talk.wav", window=4, hop=4, smoothing=0)
    assert [(m.start, m.end, m.probabilities) for m in moments] == [
        (s.start, s.end, s.probabilities) for s in answer.segments
    ]
    assert len(moments) == 3
    for source in ((tmp_path / "talk.wav").read_bytes(), (spoken, RATE), read_audio(tmp_path / "talk.wav")):
        assert predictor.predict(source) == replace(answer, path="")


def test_every_way_in_gives_the_same_answer_to_an_adapted_speaker(asked, folder, clip, exports, demo_few, tmp_path):
    if asked[0] != "demo":
        pytest.skip("one bundle that knows how voices differ is enough")
    neighbours = [Path(name) for name in demo_few["path"].iloc[:3]]
    case = Case(folder, Predictor.from_bundle(folder).adapt(neighbours), clip, neighbours, tmp_path, exports)
    expected, plain = path(case), Predictor.from_bundle(folder).predict(clip).probabilities
    assert expected != plain
    for way in WAYS.keys() - {"command", "ONNX", "LiteRT"}:  # tests/cli/test_cli.py has the command; files know nobody
        ask, _ = WAYS[way]
        assert dict(ask(case)) == expected, way
