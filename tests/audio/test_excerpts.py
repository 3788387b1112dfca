"""Parts of a file are clips like any others: cut wherever a clip is read, from the list to the answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import soundfile
from clips import RATE

from ser_kit import corpora, extraction, features, protocols
from ser_kit.audio import Excerpt, fingerprint, read_audio
from ser_kit.core.errors import AudioError, LeakageError, TableError, TruncatedAudioWarning
from ser_kit.corpora import sources
from ser_kit.protocols import Fold, audit

TURNS = ((0.0, 0.4), (0.4, 1.0), (1.0, 1.25), (1.5, 2.0))


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Two seconds of noise that changes all the time."""
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.normal(scale=np.linspace(0.02, 0.2, 2 * RATE)), RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def table(talk):
    """The clip table of its turns, as it is loaded from a list."""
    turns = [f"talk.wav,{('sad', 'happy')[i % 2]},{'ab'[i % 2]},{start},{end}" for i, (start, end) in enumerate(TURNS)]
    listed = talk.with_name("turns.csv")
    listed.write_text("\n".join(["path,emotion,speaker,start,end", *turns]))
    return corpora.load("folder", root=listed)


@pytest.fixture(scope="module")
def cut(talk):
    """The same turns as files of their own."""
    samples = soundfile.read(talk, dtype="int16")[0]
    paths = [talk.with_name(f"turn{i}.wav") for i in range(len(TURNS))]
    for path, (start, end) in zip(paths, TURNS, strict=True):
        soundfile.write(path, samples[round(start * RATE) : round(end * RATE)], RATE, subtype="PCM_16")
    return paths


def test_an_excerpt_is_what_a_file_of_it_would_be(table, cut):
    for source, path in zip(sources(table), cut, strict=True):
        part, whole = read_audio(source), read_audio(path)
        np.testing.assert_array_equal(part.samples, whole.samples)
        np.testing.assert_array_equal(read_audio(source, sr=8000).samples, read_audio(path, sr=8000).samples)
        assert fingerprint(source) == fingerprint(path)
        assert part.name == f"talk.wav#{str(source).partition('#')[2]}"


def test_in_whatever_format_the_file_is(talk, cut):
    flac = talk.with_suffix(".flac")
    soundfile.write(flac, soundfile.read(talk, dtype="int16")[0], RATE, subtype="PCM_16")
    for (start, end), path in zip(TURNS, cut, strict=True):
        np.testing.assert_array_equal(read_audio(Excerpt(flac, start, end)).samples, read_audio(path).samples)


def test_what_lies_beyond_the_end(talk):
    with pytest.warns(TruncatedAudioWarning, match="talk.wav#t=1.5,9: the file ends before this part of it does"):
        assert read_audio(Excerpt(talk, 1.5, 9)).duration == 0.5
    assert read_audio(Excerpt(talk, 1.5)).duration == 0.5
    with pytest.raises(AudioError, match="begins where nothing is; the recording lasts 2.00 s"):
        read_audio(Excerpt(talk, 2, 3))
    for start, end in ((1, 1), (2, 1), (-1, 1), (np.nan, 1), (0, np.nan), (0, np.inf)):
        with pytest.raises(AudioError, match="expected 0 <= start < end"):
            Excerpt(talk, start, end)


@pytest.mark.parametrize("jobs", [0, 1])
def test_features_are_those_of_the_cut_files(table, cut, tmp_path, jobs):
    settings = {"jobs": jobs, "cache": tmp_path, "progress": False}
    extractor = features.get("functionals")()
    whole = table.drop(columns=["start", "end"]).assign(path=[str(path) for path in cut])
    expected = extraction.extract(whole, extractor, jobs=0, cache=False, progress=False)
    assert len(np.unique(expected.values, axis=0)) == len(TURNS)
    for _ in ("computed", "from the store"):
        found = extraction.extract(table, extractor, **settings)
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.table[["start", "end"]].equals(table[["start", "end"]])
    # The whole file is another clip than its parts.
    alone = extraction.extract(table.iloc[:1].assign(start="", end=""), extractor, **settings)
    assert not np.isclose(alone.values, expected.values).all(axis=1).any()


def test_a_part_that_fails_has_its_reason(table):
    beyond = table.assign(start="3", end="4").iloc[:1]
    found = extraction.extract(beyond, features.get("functionals")(), jobs=0, cache=False, progress=False)
    assert found.failures[["clip_id", "path"]].values.tolist() == beyond[["clip_id", "path"]].values.tolist()
    assert "the recording lasts 2.00 s" in found.failures["reason"][0]


def test_a_table_made_by_hand(talk):
    table = pd.DataFrame({"path": [talk, talk, talk], "start": [0.5, np.nan, 0], "end": [1, 0.5, None]})
    assert sources(table) == [Excerpt(str(talk), 0.5, 1), Excerpt(str(talk), 0, 0.5), str(talk)]
    with pytest.raises(TableError, match="'start' must hold seconds"):
        sources(table.assign(start="soon"))


class TestLeakage:
    def test_two_speakers_of_one_file_may_be_on_two_sides(self, table):
        fold = Fold("mine", 0, 0, [0], [], [1], ("speaker",))
        audit(table, fold)

    def test_rounded_times_are_no_overlap(self, table):
        table = table.copy()
        table.loc[1, "start"] = "0.3999995"
        audit(table, Fold("mine", 0, 0, [0], [], [1], ("speaker",)))

    @pytest.mark.parametrize("span", [("0.3", "0.6"), ("", ""), ("0.1", "0.2")])
    def test_parts_that_overlap_may_not(self, table, span):
        table = table.copy()
        table.loc[1, ["start", "end"]] = span
        with pytest.raises(LeakageError, match="the same part of a file is in train and in test"):
            audit(table, Fold("mine", 0, 0, [0], [], [1]))

    def test_a_random_split_keeps_them_together(self, talk):
        # Twenty parts, of which each second one reaches into the next.
        spans = [(i / 10, i / 10 + (0.15 if i % 2 else 0.1)) for i in range(20)]
        table = pd.DataFrame(
            {
                "clip_id": [f"c{i:02d}" for i in range(20)], "path": str(talk), "speaker": "x",
                "emotion": ["sad", "happy"] * 10, "start": [start for start, _ in spans],
                "end": [min(end, 2.0) for _, end in spans],
            }
        )  # fmt: skip
        folds = protocols.get("random")(table)
        audit(table, folds)
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(20))


def test_an_answer_to_a_part_is_that_to_its_file(predictor, demo_table, tmp_path):
    clip = read_audio(demo_table["path"].iloc[0])
    both = np.concatenate([clip.samples, read_audio(demo_table["path"].iloc[7], sr=clip.rate).samples])
    soundfile.write(tmp_path / "both.wav", both, clip.rate, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", clip.samples, clip.rate, subtype="FLOAT")
    answer = predictor.predict(Excerpt(tmp_path / "both.wav", 0, clip.duration))
    assert answer.probabilities == predictor.predict(tmp_path / "one.wav").probabilities
    assert answer.path == f"{tmp_path / 'both.wav'}#t=0,{clip.duration}"
