"""Folds divide a table without overlap, are repeatable, and what leaks is refused."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ser_kit import protocols
from ser_kit.errors import LeakageError, TableError, UnknownNameError
from ser_kit.protocols import Fold, audit

EMOTIONS = ("neutral", "happy", "sad", "angry")


def make_table(speakers: int = 10, emotions=EMOTIONS, takes: int = 3) -> pd.DataFrame:
    rows = [
        (f"c:{s:02d}-{emotion}-{take}", "c", f"c:{s:02d}", ("female", "male")[s % 2], emotion)
        for s in range(speakers)
        for emotion in emotions
        for take in range(takes)
    ]
    return pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "sex", "emotion"])


@st.composite
def tables(draw) -> pd.DataFrame:
    """Tables as uneven as real ones: speakers who lack emotions, speakers with one clip, shuffled rows, odd indexes."""
    speakers = draw(st.integers(3, 14))
    emotions = EMOTIONS[: draw(st.integers(2, 4))]
    counts = draw(st.lists(st.integers(0, 6), min_size=speakers * len(emotions), max_size=speakers * len(emotions)))
    rows = [
        (f"c:{s}", ("female", "male", "")[s % 3], emotion)
        for (s, emotion), count in zip(((s, e) for s in range(speakers) for e in emotions), counts, strict=True)
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["speaker", "sex", "emotion"], dtype="str")
    table = table.sample(frac=1, random_state=draw(st.integers(0, 99)))
    return table.assign(clip_id=[f"c:{i}" for i in range(len(table))])


def check_folds(table: pd.DataFrame, folds: list[Fold], protocol: protocols.Protocol) -> None:
    labels = table["emotion"].to_numpy()
    for number, fold in enumerate(folds):
        assert (fold.protocol, fold.index, fold.name) == (protocol.name, number, f"{protocol.name}/{number}")
        assert fold.speaker_independent == protocol.speaker_independent
        everything = np.concatenate([fold.train, fold.validation, fold.test])
        assert sorted(everything) == list(range(len(table)))  # disjoint, and nothing is lost
        assert all(len(rows) for rows in fold.sides().values())
        assert set(labels[fold.train]) == set(labels)
    audit(table, folds, fingerprints=table["clip_id"])
    if len(folds) > 1:
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(table)))


@pytest.mark.parametrize("name", protocols.names())
class TestEveryProtocol:
    def test_divides_a_balanced_table(self, name):
        table, protocol = make_table(), protocols.get(name)
        check_folds(table, protocol(table, seed=3), protocol)
        assert protocol.name == name and protocol.description

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(table=tables(), seed=st.integers(0, 2**32 - 1))
    def test_divides_any_table_or_says_why_not(self, name, table, seed):
        protocol = protocols.get(name)
        try:
            folds = protocol(table, seed=seed)
        except TableError as error:
            event("refused")
            assert "np." not in str(error)
        else:
            event("divided")
            check_folds(table, folds, protocol)

    def test_same_seed_same_folds(self, name):
        table, protocol = make_table(), protocols.get(name)
        for first, again in zip(protocol(table, seed=7), protocol(table, seed=7), strict=True):
            for side in ("train", "validation", "test"):
                assert np.array_equal(getattr(first, side), getattr(again, side))

    def test_another_seed_other_folds(self, name):
        table, protocol = make_table(), protocols.get(name)
        drawn = {tuple(protocol(table, seed=seed)[0].train) for seed in range(6)}
        assert len(drawn) > 1

    def test_prefers_the_column_label(self, name):
        table = make_table().assign(emotion="unused")
        with pytest.raises(TableError, match="at least two classes"):
            protocols.get(name)(table)
        assert protocols.get(name)(table.assign(label=make_table()["emotion"]))

    def test_positions_do_not_depend_on_the_index(self, name):
        table = make_table()
        plain = protocols.get(name)(table)
        odd = protocols.get(name)(table.set_index(np.arange(len(table))[::-1] * 5))
        assert all(np.array_equal(a.test, b.test) for a, b in zip(plain, odd, strict=True))

    def test_refuses_an_empty_table(self, name):
        with pytest.raises(TableError, match="empty"):
            protocols.get(name)(make_table().iloc[:0])

    def test_refuses_clips_without_an_emotion(self, name):
        table = make_table()
        table.loc[4, "emotion"] = ""
        with pytest.raises(TableError, match="1 of 120 clips have no emotion; the first is row 4"):
            protocols.get(name)(table)


INDEPENDENT = [name for name in protocols.names() if protocols.get(name).speaker_independent]


@pytest.mark.parametrize("name", INDEPENDENT)
class TestUnseenSpeakers:
    def test_one_speaker_cannot_be_divided(self, name):
        table = make_table().assign(speaker="folder:unknown")
        with pytest.raises(TableError, match=r"only 1 speaker \('folder:unknown'\).*'random'"):
            protocols.get(name)(table)

    def test_two_speakers_cannot_be_divided(self, name):
        with pytest.raises(TableError, match="only 2 speakers.*three or more"):
            protocols.get(name)(make_table(speakers=2))

    def test_a_class_of_one_speaker_is_named(self, name):
        table = make_table()
        table.loc[table.index[table["speaker"] == "c:03"][0], "emotion"] = "boredom"
        with pytest.raises(TableError, match="'boredom' is spoken only by c:03"):
            protocols.get(name)(table)

    def test_validation_hears_every_emotion_and_both_sexes(self, name):
        table = make_table(speakers=20)
        for fold in protocols.get(name)(table):
            heard = table.iloc[fold.validation]
            assert set(heard["emotion"]) == set(EMOTIONS)
            assert set(heard["sex"]) == {"female", "male"}
            assert 0.1 <= len(fold.validation) / (len(fold.train) + len(fold.validation)) <= 0.2

    def test_needs_the_column_speaker(self, name):
        with pytest.raises(TableError, match="no column 'speaker'"):
            protocols.get(name)(make_table().drop(columns="speaker"))


@pytest.mark.parametrize(("speakers", "folds"), [(3, 3), (4, 4), (5, 5), (24, 5)])
def test_speaker_makes_five_folds_or_as_many_as_speakers(speakers, folds):
    assert len(protocols.get("speaker")(make_table(speakers))) == folds


def test_speaker_balances_the_sexes():
    table = make_table(speakers=20)
    for fold in protocols.get("speaker")(table):
        assert table.iloc[fold.test].drop_duplicates("speaker")["sex"].value_counts().to_dict() == {
            "female": 2,
            "male": 2,
        }


def test_speaker_spreads_corpora():
    other = make_table(speakers=10).assign(corpus="d")
    other["speaker"], other["clip_id"] = "d:" + other["speaker"], "d:" + other["clip_id"]
    table = pd.concat([make_table(speakers=10), other], ignore_index=True)
    for fold in protocols.get("speaker")(table):
        assert set(table.iloc[fold.test]["corpus"]) == {"c", "d"}


def test_speakers_who_share_no_emotion_still_fill_every_fold():
    rows = [(f"c:{s}", emotion) for s in range(6) for emotion in EMOTIONS[s % 2 :: 2] for _ in range(1 + 9 * (s == 0))]
    table = pd.DataFrame(rows, columns=["speaker", "emotion"])
    table["clip_id"] = [f"c:{i}" for i in range(len(table))]
    protocol = protocols.get("speaker")
    check_folds(table, protocol(table), protocol)


def test_loso_tests_every_speaker_once():
    table = make_table(speakers=7)
    tested = [set(table["speaker"].iloc[fold.test]) for fold in protocols.get("loso")(table)]
    assert sorted(tested, key=min) == [{f"c:{s:02d}"} for s in range(7)]


def test_random_is_stratified_and_leaks_speakers():
    table = make_table(speakers=10, takes=5)
    for fold in protocols.get("random")(table):
        for rows in fold.sides().values():
            shares = table.iloc[rows]["emotion"].value_counts(normalize=True)
            assert shares.max() - shares.min() < 0.05
        assert set(table["speaker"].iloc[fold.test]) & set(table["speaker"].iloc[fold.train])


def test_random_works_without_speakers():
    table = make_table().drop(columns="speaker")
    assert len(protocols.get("random")(table)) == 5


def test_random_names_the_classes_that_are_too_rare():
    table = make_table()
    table.loc[[0, 12, 24], "emotion"] = "disgust"
    with pytest.raises(TableError, match=r"at least 5 clips of each class; too few of 'disgust' \(3\)"):
        protocols.get("random")(table)


@pytest.mark.parametrize("name", ["random_80_20", "speaker_80_20"])
def test_80_20_tests_a_fifth(name):
    table = make_table(speakers=20)
    (fold,) = protocols.get(name)(table)
    assert len(fold.test) == len(table) // 5


def test_unknown_protocol():
    with pytest.raises(UnknownNameError, match="did you mean 'speaker'"):
        protocols.get("speakers")


def test_a_fold_cannot_be_changed_by_accident():
    rows = np.array([2, 0])
    fold = Fold("mine", 0, 0, rows, [1], [3], False)
    assert fold.train.tolist() == [0, 2]
    with pytest.raises(ValueError, match="read-only"):
        fold.test[0] = 0
    rows[0] = 9
    assert fold.train.tolist() == [0, 2]


class TestAudit:
    """A leak planted in an honest fold is found, whatever its kind and wherever it is."""

    @pytest.fixture
    def table(self):
        return make_table()

    @staticmethod
    def plant(fold: Fold, source: str, target: str) -> tuple[Fold, int]:
        """The fold with one row of ``source`` also in ``target``."""
        sides = {**fold.sides()}
        row = int(sides[source][0])
        sides[target] = np.append(sides[target], row)
        return Fold(fold.protocol, fold.index, fold.seed, **sides, speaker_independent=fold.speaker_independent), row

    PAIRS = [("train", "test"), ("test", "train"), ("validation", "test"), ("train", "validation")]

    @pytest.mark.parametrize("name", protocols.names())
    @pytest.mark.parametrize(("source", "target"), PAIRS)
    def test_a_row_on_two_sides(self, table, name, source, target):
        fold, row = self.plant(protocols.get(name)(table)[0], source, target)
        with pytest.raises(LeakageError, match="the same row is in") as caught:
            audit(table, fold, fingerprints=table["clip_id"])
        assert caught.value.offenders == [table["clip_id"][row]]

    @pytest.mark.parametrize(("column", "what"), [("clip_id", "clip"), ("path", "file")])
    def test_two_rows_of_one_clip_or_file(self, table, column, what):
        table["path"] = table["clip_id"] + ".wav"
        (fold,) = protocols.get("random_80_20")(table)
        one, other = fold.train[0], fold.test[0]
        table.loc[one, column] = table.loc[other, column]
        with pytest.raises(LeakageError, match=f"the same {what} is in train and in test") as caught:
            audit(table, fold, fingerprints=np.arange(len(table)))
        assert set(caught.value.offenders) == set(table["clip_id"][[one, other]])

    def test_augmented_copies_share_a_fingerprint(self, table):
        (fold,) = protocols.get("random_80_20")(table)
        content = table["clip_id"].to_numpy(dtype=object)
        content[fold.validation[0]] = content[fold.test[-1]]
        with pytest.raises(LeakageError, match="the same sound is in validation and in test"):
            audit(table, fold, fingerprints=content)

    def test_copies_on_one_side_are_no_leak(self, table):
        (fold,) = protocols.get("random_80_20")(table)
        content = table["clip_id"].to_numpy(dtype=object)
        content[fold.train[0]] = content[fold.train[1]]
        audit(table, fold, fingerprints=content)

    @pytest.mark.parametrize(("source", "target"), PAIRS)
    def test_a_speaker_who_crosses(self, table, source, target):
        fold = protocols.get("speaker")(table)[1]
        row = fold.sides()[source][0]
        sides = {side: np.setdiff1d(rows, row) for side, rows in fold.sides().items()}
        sides[target] = np.append(sides[target], row)
        crossed = Fold("speaker", 1, 0, **sides, speaker_independent=True)
        with pytest.raises(LeakageError, match="fold speaker/1: the same speaker") as caught:
            audit(table, [protocols.get("speaker")(table)[0], crossed], fingerprints=table["clip_id"])
        assert caught.value.offenders == [table["speaker"][row]]
        audit(table, Fold("mine", 0, 0, **sides, speaker_independent=False), fingerprints=table["clip_id"])

    def test_every_offender_is_listed(self, table):
        half = np.arange(len(table))
        fold = Fold("mine", 0, 0, half[:60], [], half[45:], speaker_independent=False)
        with pytest.raises(LeakageError, match="and 5 more") as caught:
            audit(table, fold, fingerprints=half)
        assert caught.value.offenders == sorted(table["clip_id"][45:60])

    def test_a_fold_of_another_table(self, table):
        fold = protocols.get("random")(table)[0]
        with pytest.raises(TableError, match="points outside the table of 60 clips"):
            audit(table.iloc[:60], fold, fingerprints=np.arange(60))

    def test_one_fingerprint_per_row(self, table):
        with pytest.raises(TableError, match="2 fingerprints for a table of 120 clips"):
            audit(table, protocols.get("random")(table), fingerprints=["a", "b"])


class TestAuditOfRecordings:
    @pytest.fixture
    def recorded(self, tmp_path):
        """Three speakers with three clips each, as files."""
        rng, rows = np.random.default_rng(0), []
        for i in range(9):
            path = tmp_path / f"{i}.wav"
            soundfile.write(path, rng.normal(0, 0.1, 1600), 16000)
            rows.append((f"c:{i}", str(path), f"c:{i // 3}", "happy"))
        return pd.DataFrame(rows, columns=["clip_id", "path", "speaker", "emotion"])

    FOLD = Fold("mine", 0, 0, [0, 1, 2], [3, 4, 5], [6, 7, 8], speaker_independent=True)

    def test_different_recordings_pass(self, recorded):
        audit(recorded, self.FOLD)

    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    def test_the_same_sound_under_two_names(self, recorded, tmp_path, suffix):
        samples, rate = soundfile.read(recorded["path"][1], dtype="int16")
        copy = tmp_path / f"another name{suffix}"
        soundfile.write(copy, samples, rate)
        recorded.loc[7, "path"] = str(copy)
        with pytest.raises(LeakageError, match="the same sound is in train and in test: c:1, c:7"):
            audit(recorded, self.FOLD)

    def test_a_file_is_hashed_once_and_again_when_it_changes(self, recorded, monkeypatch):
        hashed = []
        original = protocols.fingerprint
        monkeypatch.setattr(protocols, "fingerprint", lambda path: hashed.append(path) or original(path))
        audit(recorded, [self.FOLD] * 3)
        audit(recorded, self.FOLD)
        assert sorted(hashed) == sorted(recorded["path"])
        path = recorded["path"][0]
        samples, rate = soundfile.read(recorded["path"][8], dtype="int16")
        soundfile.write(path, samples, rate)
        os.utime(path, ns=(1, 1))
        with pytest.raises(LeakageError, match="c:0, c:8"):
            audit(recorded, self.FOLD)
        assert hashed[9:] == [path]

    def test_what_cannot_be_read_is_said(self, recorded, tmp_path):
        (tmp_path / "3.wav").unlink()
        (tmp_path / "4.wav").write_bytes(b"not a sound")
        with pytest.warns(UserWarning, match="2 of 9 recordings cannot be read"):
            audit(recorded, self.FOLD)


@pytest.mark.realdata
def test_no_ravdess_clip_is_another(real_data):
    files = sorted((real_data / "ravdess-emotional-speech-audio").glob("Actor_0[1-5]/*.wav"))
    names = [file.stem.split("-") for file in files]
    table = pd.DataFrame(
        {
            "clip_id": [file.stem for file in files],
            "path": [str(file) for file in files],
            "speaker": [name[6] for name in names],
            "emotion": [name[2] for name in names],
        }
    )
    audit(table, protocols.get("speaker")(table))
    audit(table, protocols.get("random")(table))


def test_copies_of_a_recording_stay_on_one_side_of_a_random_split(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        path = tmp_path / f"{i:02d}.wav"
        source = path if i % 4 else tmp_path / "copied.wav"
        if i % 4 or not source.exists():
            soundfile.write(source, rng.uniform(-0.5, 0.5, 800), 16000)
        if source != path:
            path.write_bytes(source.read_bytes())
        rows.append((f"c{i}", str(path), f"s{i % 5}", ["happy", "sad"][i % 2]))
    table = pd.DataFrame(rows, columns=["clip_id", "path", "speaker", "emotion"])
    folds = protocols.get("random")(table, seed=0)
    audit(table, folds)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(40))
    torn = Fold("random", 0, 0, np.arange(20), [20], np.arange(21, 40), speaker_independent=False)
    with pytest.raises(LeakageError, match="same sound"):
        audit(table, torn)
