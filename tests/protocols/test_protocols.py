"""Folds divide a table without overlap, are repeatable, and what leaks is refused."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ser_kit import corpora, protocols
from ser_kit.core.errors import LeakageError, TableError, UnknownNameError
from ser_kit.protocols import Fold, audit, cross_corpus, inner, inner_corpora, leave_out, table

EMOTIONS = ("neutral", "happy", "sad", "angry")
ACROSS = ("corpus", "cross_corpus", "cross_corpus_pairs")
"""Protocols that test corpora which were not learned from."""


def make_table(speakers: int = 10, emotions=EMOTIONS, takes: int = 3) -> pd.DataFrame:
    rows = [
        (f"c:{s:02d}-{emotion}-{take}", "c", f"c:{s:02d}", ("female", "male")[s % 2], emotion, f"t{take}")
        for s in range(speakers)
        for emotion in emotions
        for take in range(takes)
    ]
    return pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "sex", "emotion", "text_id"])


def suited(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the corpora that a protocol asks for."""
    number = table["speaker"].str.extract(r"(\d+)$")[0].astype(float).fillna(0).astype(int)
    if name == "emobox":
        return table.assign(corpus="ravdess", speaker=[f"ravdess:{s + 1:02d}" for s in number])
    if name in ACROSS:
        return table.assign(corpus=[f"corpus {s % 3}" for s in number])
    return table


def with_copies(table: pd.DataFrame, copies: int = 2) -> pd.DataFrame:
    """The table and, behind it, augmented copies of each clip."""
    parts = [table.assign(parent="")]
    for i in range(copies):
        parts.append(table.assign(clip_id=table["clip_id"] + f"#{i + 1}", parent=table["clip_id"]))
    return pd.concat(parts, ignore_index=True)


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
    texts = draw(st.integers(1, 7))
    return table.assign(
        clip_id=[f"c:{i}" for i in range(len(table))], text_id=[f"t{i % texts}" for i in range(len(table))]
    )


def check_folds(table: pd.DataFrame, folds: list[Fold], protocol: protocols.Protocol) -> None:
    labels = table["emotion"].to_numpy()
    copy = table["parent"].to_numpy() != "" if "parent" in table else np.zeros(len(table), dtype=bool)
    for number, fold in enumerate(folds):
        assert (fold.protocol, fold.index, fold.name) == (protocol.name, number, f"{protocol.name}/{number}")
        assert (fold.independent_of, fold.leaks) == (protocol.independent_of, protocol.leaks)
        assert fold.label == protocol.label
        assert all(len(rows) for rows in fold.sides().values())
        sides = [fold.train, fold.test]
        if "test as validation" in fold.leaks:
            assert np.array_equal(fold.validation, fold.test)
        else:
            sides.append(fold.validation)
        everything = np.concatenate(sides)
        assert len(set(everything)) == len(everything)  # disjoint
        if protocol.splits_copies:
            assert len(everything) == len(table)
        else:
            assert not copy[[*fold.validation, *fold.test]].any()
            if protocol.name not in ACROSS:
                assert set(everything) >= set(np.flatnonzero(~copy))  # nothing is lost
        assert set(labels[fold.train]) >= set(labels[everything])
        for column in protocol.independent_of:
            values = table[column].to_numpy()
            assert not set(values[fold.test]) & set(values[fold.train])
            assert not set(values[fold.test]) & set(values[fold.validation])
    audit(table, folds, fingerprints=table["clip_id"])
    if len(folds) > 1 and protocol.name not in ACROSS:
        assert sorted(np.concatenate([fold.test for fold in folds])) == np.flatnonzero(~copy).tolist()


FIXED = ("temporal_80_10_10",)
"""Protocols that draw nothing."""

SHARES = {
    "random_70_15_15": (0.15, 0.15), "random_76_12_12": (0.12, 0.12), "random_80_10_10": (0.1, 0.1),
    "random_80_10_10_copies": (0.1, 0.1), "temporal_80_10_10": (0.1, 0.1),
}  # fmt: skip
"""Shares of the clips that validate and that are tested."""


@pytest.mark.parametrize("name", protocols.names())
class TestEveryProtocol:
    def test_divides_a_balanced_table(self, name):
        table, protocol = suited(name, make_table()), protocols.get(name)
        check_folds(table, protocol(table, seed=3), protocol)
        assert protocol.name == name and protocol.description
        assert protocol.speaker_independent == ("speaker" in protocol.independent_of)
        assert protocol.speaker_independent == ("speaker" not in protocol.leaks)

    @settings(max_examples=25)
    @given(table=tables(), seed=st.integers(0, 2**32 - 1), copies=st.integers(0, 2))
    def test_divides_any_table_or_says_why_not(self, name, table, seed, copies):
        protocol, table = protocols.get(name), suited(name, table)
        if copies:
            table = with_copies(table, copies).sample(frac=1, random_state=0)
        try:
            folds = protocol(table, seed=seed)
        except TableError as error:
            event("refused")
            assert "np." not in str(error)
        else:
            event("divided")
            check_folds(table, folds, protocol)

    def test_same_seed_same_folds(self, name):
        table, protocol = suited(name, make_table()), protocols.get(name)
        for first, again in zip(protocol(table, seed=7), protocol(table, seed=7), strict=True):
            for side in ("train", "validation", "test"):
                assert np.array_equal(getattr(first, side), getattr(again, side))

    def test_another_seed_other_folds(self, name):
        table, protocol = suited(name, make_table()), protocols.get(name)
        drawn = {tuple(protocol(table, seed=seed)[0].train) for seed in range(6)}
        assert (len(drawn) == 1) == (name in FIXED)

    def test_prefers_the_column_label(self, name):
        table = suited(name, make_table()).assign(emotion="unused")
        with pytest.raises(TableError, match="at least two classes"):
            protocols.get(name)(table)
        assert protocols.get(name)(table.assign(label=make_table()["emotion"]))

    def test_positions_do_not_depend_on_the_index(self, name):
        table = with_copies(suited(name, make_table()))
        plain = protocols.get(name)(table)
        odd = protocols.get(name)(table.set_index(np.arange(len(table))[::-1] * 5))
        assert all(np.array_equal(a.test, b.test) for a, b in zip(plain, odd, strict=True))

    def test_copies_are_trained_on_where_their_original_is(self, name):
        table, protocol = with_copies(suited(name, make_table())), protocols.get(name)
        folds = protocol(table, seed=1)
        check_folds(table, folds, protocol)
        copy = table["parent"].to_numpy() != ""
        clips, parents = table["clip_id"].to_numpy(), table["parent"].to_numpy()
        for fold in folds:
            taught = {clips[row] for row in fold.train if not copy[row]}
            if protocol.splits_copies:
                assert {parents[row] for row in fold.train if copy[row]} & set(clips[fold.test])
            else:
                assert set(fold.train[copy[fold.train]]) == set(np.flatnonzero(np.isin(parents, list(taught))))
        if not protocol.splits_copies:
            plain = protocol(suited(name, make_table()), seed=1)
            assert all(np.array_equal(a.test, b.test) for a, b in zip(folds, plain, strict=True))

    def test_refuses_copies_of_nothing(self, name):
        table = with_copies(suited(name, make_table())).drop(index=[0]).reset_index(drop=True)
        if protocols.get(name).splits_copies:
            assert protocols.get(name)(table)
        else:
            with pytest.raises(TableError, match="2 augmented copies have no original.*'c:00-neutral-0#1'"):
                protocols.get(name)(table)

    def test_refuses_an_empty_table(self, name):
        with pytest.raises(TableError, match="empty"):
            protocols.get(name)(make_table().iloc[:0])

    def test_refuses_clips_without_an_emotion(self, name):
        table = make_table()
        table.loc[4, "emotion"] = ""
        with pytest.raises(TableError, match="1 of 120 clips have no emotion; the first is row 4"):
            protocols.get(name)(table)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SHARES, "loso", "emobox", *ACROSS])
@settings(max_examples=15)
@given(table=tables(), seed=st.integers(0, 99), order=st.integers(0, 99))
def test_the_order_of_the_table_does_not_matter(name, table, seed, order):
    table = suited(name, table)
    moved = table.sample(frac=1, random_state=order)
    try:
        folds = protocols.get(name)(table, seed)
    except TableError:
        return
    for one, other in zip(folds, protocols.get(name)(moved, seed), strict=True):
        assert set(table["clip_id"].iloc[one.test]) == set(moved["clip_id"].iloc[other.test])


INDEPENDENT = [each for each in protocols.names() if protocols.get(each).speaker_independent and each not in ACROSS]


@pytest.mark.parametrize("name", INDEPENDENT)
class TestUnseenSpeakers:
    def test_one_speaker_cannot_be_divided(self, name):
        table = suited(name, make_table()).assign(speaker="folder:unknown")
        with pytest.raises(TableError, match=r"only 1 speaker \('folder:unknown'\).*'random'"):
            protocols.get(name)(table)

    def test_two_speakers_cannot_be_divided(self, name):
        with pytest.raises(TableError, match="only 2 speakers.*three or more"):
            protocols.get(name)(suited(name, make_table(speakers=2)))

    def test_a_class_of_one_speaker_is_named(self, name):
        table = suited(name, make_table())
        who = table["speaker"].iloc[50]
        table.loc[50, "emotion"] = "boredom"
        with pytest.raises(TableError, match=f"'boredom' is spoken only by {who}"):
            protocols.get(name)(table)

    def test_validation_hears_every_emotion_and_both_sexes(self, name):
        table = suited(name, make_table(speakers=20))
        for fold in protocols.get(name)(table):
            heard = table.iloc[fold.validation]
            assert set(heard["emotion"]) == set(EMOTIONS)
            assert set(heard["sex"]) == {"female", "male"}
            assert 0.1 <= len(fold.validation) / (len(fold.train) + len(fold.validation)) <= 0.2

    def test_needs_the_column_speaker(self, name):
        with pytest.raises(TableError, match="no column 'speaker'"):
            protocols.get(name)(suited(name, make_table()).drop(columns="speaker"))


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
    fold = Fold("mine", 0, 0, rows, [1], [3])
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
        return dataclasses.replace(fold, **sides), row

    PAIRS = [("train", "test"), ("test", "train"), ("validation", "test"), ("train", "validation")]

    @pytest.mark.parametrize("name", protocols.names())
    @pytest.mark.parametrize(("source", "target"), PAIRS)
    def test_a_row_on_two_sides(self, table, name, source, target):
        table = suited(name, table)
        fold, row = self.plant(protocols.get(name)(table)[0], source, target)
        if "test as validation" in fold.leaks and "train" not in (source, target):
            return audit(table, fold, fingerprints=table["clip_id"])
        with pytest.raises(LeakageError, match="the same row is in") as caught:
            audit(table, fold, fingerprints=table["clip_id"])
        assert caught.value.offenders == [table["clip_id"][row]]
        return None

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
        crossed = Fold("speaker", 1, 0, **sides, independent_of=("speaker",))
        with pytest.raises(LeakageError, match="fold speaker/1: the same speaker") as caught:
            audit(table, [protocols.get("speaker")(table)[0], crossed], fingerprints=table["clip_id"])
        assert caught.value.offenders == [table["speaker"][row]]
        audit(table, Fold("mine", 0, 0, **sides), fingerprints=table["clip_id"])

    def test_every_offender_is_listed(self, table):
        half = np.arange(len(table))
        fold = Fold("mine", 0, 0, half[:60], [], half[45:])
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

    FOLD = Fold("mine", 0, 0, [0, 1, 2], [3, 4, 5], [6, 7, 8], independent_of=("speaker",))

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
        original = table.fingerprint
        monkeypatch.setattr(table, "fingerprint", lambda path: hashed.append(path) or original(path))
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
    torn = Fold("random", 0, 0, np.arange(20), [20], np.arange(21, 40))
    with pytest.raises(LeakageError, match="same sound"):
        audit(table, torn)


class TestShares:
    @pytest.mark.parametrize("name", SHARES)
    @pytest.mark.parametrize(("speakers", "takes"), [(24, 8), (10, 3), (7, 5), (24, 1)])
    def test_are_those_published_to_within_rounding(self, name, speakers, takes):
        table = make_table(speakers, takes=takes)
        (fold,) = protocols.get(name)(table)
        for rows, share in zip((fold.validation, fold.test), SHARES[name], strict=True):
            assert abs(len(rows) - share * len(table)) <= 0.5
            counts = table["emotion"].iloc[rows].value_counts()
            assert (abs(counts - share * table["emotion"].value_counts()) <= 1).all()

    @pytest.mark.slow
    @pytest.mark.parametrize("name", SHARES)
    @settings(max_examples=25)
    @given(counts=st.lists(st.integers(3, 60), min_size=2, max_size=4), seed=st.integers(0, 99))
    def test_every_class_of_three_clips_is_in_each_part(self, name, counts, seed):
        rows = [(f"{e}{i}", f"s{i % 4}", e) for e, n in zip(EMOTIONS, counts, strict=False) for i in range(n)]
        table = pd.DataFrame(rows, columns=["clip_id", "speaker", "emotion"])
        (fold,) = protocols.get(name)(table, seed)
        for side in fold.sides().values():
            assert set(table["emotion"].iloc[side]) == set(table["emotion"])

    @pytest.mark.parametrize("name", SHARES)
    def test_a_class_of_two_clips_is_named(self, name):
        table = make_table()
        table.loc[[0, 12], "emotion"] = "disgust"
        with pytest.raises(TableError, match=r"at least 3 clips of each class; too few of 'disgust' \(2\)"):
            protocols.get(name)(table)


SPEAKER_PROMISES = [each for each in protocols.names() if protocols.get(each).speaker_independent]


class TestSpeakersHalfNamed:
    """Clips without a named speaker may be of anybody in their corpus, also of those who are tested."""

    @pytest.fixture
    def table(self):
        return self.half_named(make_table(12))

    def half_named(self, table):
        nameless = table["speaker"].str.replace(r"\w+$", "unknown", regex=True)
        return table.assign(speaker=table["speaker"].where(np.arange(len(table)) % 3 > 0, nameless))

    @pytest.mark.parametrize("name", SPEAKER_PROMISES)
    def test_no_protocol_promises_unseen_speakers_then(self, name):
        table = self.half_named(suited(name, make_table(12)))
        with pytest.raises(
            TableError, match=r"the speaker of \d+ of 144 clips of '(c|ravdess)' is not known.*'random'"
        ):
            protocols.get(name)(table)

    def test_those_that_promise_nothing_divide_it(self, table):
        assert len(protocols.get("random")(table)) == 5

    def test_the_audit_refuses_folds_made_by_hand(self, table):
        half = Fold("mine", 0, 0, [1, 4], [], [12, 13], ("speaker",))
        with pytest.raises(TableError, match="fold mine/0 cannot promise unseen speakers"):
            audit(table, half, fingerprints=np.arange(len(table)))

    def test_a_corpus_without_names_can_be_tested_by_others(self, table):
        named = make_table(12).assign(corpus="d", speaker=make_table(12)["speaker"].str.replace("c:", "d:"))
        named["clip_id"] = "d" + named["clip_id"]
        both = pd.concat([table.assign(speaker="c:unknown"), named], ignore_index=True)
        (fold,) = cross_corpus(both, train=["d"], test=["c"])
        audit(both, fold, fingerprints=np.arange(len(both)))
        with pytest.raises(TableError, match="has only one speaker"):
            cross_corpus(both, train=["c"], test=["d"])


def test_speakers_whose_names_look_alike_are_pointed_out():
    table = make_table(12)
    spellings = {"c:01": "c:1", "c:02": "c:01", "c:03": "c:Actor_01", "c:04": "c:Anna", "c:05": "c:anna "}
    with pytest.warns(UserWarning, match="'c:01', 'c:1', 'c:Actor_01'; 'c:Anna', 'c:anna '. If they are the same"):
        protocols.get("speaker")(table.replace({"speaker": spellings}))


@pytest.mark.parametrize(
    "names",
    [["f01", "m01"], ["Ses01F", "Ses01M"], ["a:1", "b:1"], ["1", "10", "100"], ["s1e2", "s12"], ["speaker", "actor"]],
)
def test_people_with_names_of_their_own_are_not(names):
    assert corpora.alike(names) == []


def test_temporal_tests_what_was_said_last():
    table = make_table(speakers=4, takes=20)
    table["clip_id"] = [f"{i:04d}" for i in range(len(table))]
    (fold,) = protocols.get("temporal_80_10_10")(table.sample(frac=1, random_state=1).sort_index())
    for _, rows in table.groupby(["speaker", "emotion"]):
        assert [list(rows.index).index(i) for i in rows.index if i in fold.validation] == [16, 17]
        assert [list(rows.index).index(i) for i in rows.index if i in fold.test] == [18, 19]


def test_peeking_tests_the_clips_of_its_namesake():
    table = make_table()
    (honest,), (peeking,) = protocols.get("random_80_20")(table), protocols.get("random_80_20_peeking")(table)
    assert np.array_equal(honest.test, peeking.test)
    assert len(peeking.train) == len(honest.train) + len(honest.validation)


class TestEmoBox:
    @pytest.mark.parametrize(
        ("corpus", "tested"),
        [
            ("savee", [{"JE"}, {"KL"}, {"DC"}, {"JK"}]),
            ("iemocap", [{f"Ses0{i}F", f"Ses0{i}M"} for i in range(1, 6)]),
        ],
    )
    def test_tests_the_published_speakers(self, corpus, tested):
        speakers = sorted(set().union(*tested))
        table = make_table(len(speakers))
        table = table.assign(corpus=corpus, speaker=[f"{corpus}:{speakers[i // 12]}" for i in range(len(table))])
        folds = protocols.get("emobox")(table)
        assert [set(table["speaker"].iloc[f.test].str.split(":").str[1]) for f in folds] == tested

    def test_covers_every_actor_of_ravdess_once(self):
        table = suited("emobox", make_table(24))
        folds = protocols.get("emobox")(table)
        assert len(folds) == 6
        assert set(table["speaker"].iloc[folds[5].test]) == {f"ravdess:{i:02d}" for i in (6, 13, 17, 22)}

    @pytest.mark.parametrize("corpora", [["emodb"], ["ravdess", "savee"]])
    def test_other_corpora_are_refused_with_what_is_right(self, corpora):
        table = make_table().assign(corpus=lambda t: [corpora[i % len(corpora)] for i in range(len(t))])
        with pytest.raises(TableError, match="one corpus of 'ravdess', 'savee', 'iemocap', not .*use 'speaker'"):
            protocols.get("emobox")(table)

    def test_what_stands_beside_is_learned_from_and_never_tested(self):
        alone, beside = suited("emobox", make_table(24)), make_table(6).assign(corpus="emodb")
        beside["clip_id"], beside["speaker"] = "emodb" + beside["clip_id"], "emodb" + beside["speaker"]
        both = pd.concat([alone, beside], ignore_index=True)
        for one, two in zip(protocols.get("emobox")(alone), protocols.get("emobox")(both), strict=True):
            np.testing.assert_array_equal(one.test, two.test)
            assert set(np.flatnonzero(both["corpus"] == "emodb")) <= {*two.train, *two.validation}

    def test_actors_of_one_fold_only_cannot_be_divided(self):
        table = make_table(3).assign(corpus="ravdess")
        table["speaker"] = table["speaker"].map({"c:00": "ravdess:01", "c:01": "ravdess:11", "c:02": "ravdess:20"})
        with pytest.raises(TableError, match="0 speakers cannot be divided"):
            protocols.get("emobox")(table)


class TestText:
    def test_two_texts_are_two_folds(self):
        table = make_table(takes=4).assign(text_id=lambda t: ["kids", "dogs"] * (len(t) // 2))
        folds = protocols.get("text")(table)
        assert [set(table["text_id"].iloc[f.test]) for f in folds] in ([{"kids"}, {"dogs"}], [{"dogs"}, {"kids"}])
        for fold in folds:
            assert len(fold.validation) == round((len(table) - len(fold.test)) / 6)
            assert set(table["emotion"].iloc[fold.validation]) == set(EMOTIONS)

    @pytest.mark.parametrize(("takes", "count"), [(3, 3), (10, 5), (90, 5)])
    def test_more_texts_are_balanced_and_validation_has_its_own(self, takes, count):
        table = make_table(speakers=3, takes=takes)
        folds = protocols.get("text")(table)
        assert len(folds) == count
        for fold in folds:
            assert abs(len(fold.test) - len(table) / count) <= 12
            texts = [set(table["text_id"].iloc[rows]) for rows in fold.sides().values()]
            assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])

    def test_one_text_cannot_be_divided(self):
        with pytest.raises(TableError, match="1 text cannot be divided; two or more"):
            protocols.get("text")(make_table().assign(text_id="t"))

    def test_a_class_said_in_one_text_is_named(self):
        table = make_table().assign(text_id=lambda t: np.where(t["emotion"] == "sad", "s", t["text_id"]))
        with pytest.raises(TableError, match="no clip of 'sad'.* of another text"):
            protocols.get("text")(table)


class TestCrossCorpus:
    @pytest.fixture
    def table(self):
        table = suited("cross_corpus", make_table(9))
        return table[(table["corpus"] != "corpus 2") | (table["emotion"] != "sad")].reset_index(drop=True)

    def test_each_corpus_is_tested_over_the_classes_in_common(self, table):
        folds = protocols.get("cross_corpus")(table)
        for i, fold in enumerate(folds):
            used = table.iloc[np.concatenate([fold.train, fold.validation])]
            assert set(table["corpus"].iloc[fold.test]) == {f"corpus {i}"}
            assert set(used["corpus"]) == {"corpus 0", "corpus 1", "corpus 2"} - {f"corpus {i}"}
            wanted = set(EMOTIONS) - ({"sad"} if i == 2 else set())
            assert set(used["emotion"]) == set(table["emotion"].iloc[fold.test]) == wanted
        assert "text_id" not in folds[0].independent_of

    def test_each_pair_of_corpora_is_a_fold(self, table):
        folds = protocols.get("cross_corpus_pairs")(table)
        pairs = []
        for fold in folds:
            (taught,) = set(table["corpus"].iloc[np.concatenate([fold.train, fold.validation])])
            (tested,) = set(table["corpus"].iloc[fold.test])
            pairs.append((taught[-1], tested[-1]))
            assert ("sad" in set(table["emotion"].iloc[fold.test])) == ("2" not in pairs[-1])
        assert pairs == [("0", "1"), ("0", "2"), ("1", "0"), ("1", "2"), ("2", "0"), ("2", "1")]

    def test_chosen_corpora(self, table):
        (fold,) = cross_corpus(table, train=["corpus 0"], test=["corpus 1"])
        audit(table, fold, fingerprints=table["clip_id"])
        assert set(table["corpus"].iloc[np.concatenate([fold.train, fold.validation])]) == {"corpus 0"}
        assert (table["corpus"].iloc[fold.test] == "corpus 1").all()
        assert fold.name == "cross_corpus/0" and fold.label == "speaker-independent"

    @pytest.mark.parametrize(
        ("train", "test", "message"),
        [
            (["corpus 0"], ["corpus 9"], "not in the table: 'corpus 9'"),
            (["corpus 0", "corpus 1"], ["corpus 1"], "on both sides: 'corpus 1'"),
            ([], ["corpus 1"], "none"),
        ],
    )
    def test_wrong_corpora_are_named(self, table, train, test, message):
        with pytest.raises(TableError, match=message):
            cross_corpus(table, train, test)

    def test_one_corpus_is_refused(self):
        with pytest.raises(TableError, match="all clips are from corpus 'c'"):
            protocols.get("cross_corpus")(make_table())

    def test_nothing_in_common_is_refused(self, table):
        table["label"] = np.where(table["corpus"] == "corpus 1", "other", table["emotion"])
        with pytest.raises(TableError, match="no classes in common.*labels='four'"):
            cross_corpus(table, ["corpus 0"], ["corpus 1"])

    def test_one_training_speaker_is_refused(self, table):
        with pytest.raises(TableError, match="has only one speaker"):
            cross_corpus(table.assign(speaker=table["corpus"]), ["corpus 0"], ["corpus 1"])

    def test_a_corpus_that_crosses_is_caught(self, table):
        fold = protocols.get("cross_corpus")(table)[0]
        row = fold.test[0]
        torn = dataclasses.replace(fold, train=[*fold.train, row], test=np.setdiff1d(fold.test, row))
        with pytest.raises(LeakageError, match="the same corpus is in train and in test: corpus 0"):
            audit(table, torn, fingerprints=table["clip_id"])


class TestCorpus:
    """Corpora ``a`` to ``d``, of which ``songs`` shares the speakers of ``a``."""

    @pytest.fixture
    def table(self):
        parts = []
        for name, speakers, emotions in (
            ("a", 6, (*EMOTIONS, "fear")), ("b", 4, EMOTIONS), ("c", 3, EMOTIONS[:3]), ("d", 4, (*EMOTIONS, "disgust")),
        ):  # fmt: skip
            part = make_table(speakers, emotions)
            parts.append(part.assign(corpus=name, speaker=part["speaker"].str.replace("c:", f"{name}:")))
        parts.append(parts[0].query("emotion != 'fear'").assign(corpus="songs"))
        table = pd.concat(parts, ignore_index=True)
        return table.assign(clip_id=table["corpus"] + table["clip_id"])

    def test_learns_from_all_emotions_of_the_others_and_from_no_tested_speaker(self, table):
        folds = protocols.get("corpus")(table)
        assert [set(table["corpus"].iloc[fold.test]) for fold in folds] == [{"a"}, {"b"}, {"c"}, {"d"}]
        used = [table.iloc[np.union1d(fold.train, fold.validation)] for fold in folds]
        assert [set(each["corpus"]) for each in used] == [
            {"b", "c", "d"}, {"a", "c", "d", "songs"}, {"a", "b", "d", "songs"}, {"a", "b", "c", "songs"},
        ]  # fmt: skip
        assert set(used[2]["emotion"]) == {*EMOTIONS, "fear", "disgust"}  # though c has three of them
        assert set(table["emotion"].iloc[folds[0].test]) == set(EMOTIONS)  # fear is in no other corpus
        audit(table, folds, fingerprints=table["clip_id"])

    def test_songs_are_tested_where_the_speech_of_their_singers_is_not_there(self, table):
        folds = protocols.get("corpus")(table[table["corpus"] != "a"].reset_index(drop=True))
        assert len(folds) == 4

    def test_inner_folds_leave_each_other_corpus_out_besides(self, table):
        fold = protocols.get("corpus")(table)[1]
        divided = inner_corpora(table, fold)
        assert [set(table["corpus"].iloc[each.test]) for each in divided] == [{"a"}, {"c"}, {"d"}]
        for each in divided:
            assert "b" not in set(table["corpus"].iloc[np.concatenate(list(each.sides().values()))])
            assert set(each.train) <= {*fold.train, *fold.validation}
        turned = next(each for each in inner_corpora(table, leave_out(table, ["c"])) if each.index == 1)
        assert set(table["corpus"].iloc[turned.test]) == {"b"}
        assert np.array_equal(turned.train, divided[1].train) and np.array_equal(
            turned.validation, divided[1].validation
        )
        both = leave_out(table, ["c", "b"])
        assert np.array_equal(both.train, turned.train) and set(table["corpus"].iloc[both.test]) == {"b", "c"}

    @pytest.mark.parametrize("what", ["scaler", "early stopping", "threshold", "temperature"])
    @pytest.mark.parametrize(("query", "message"), [
        ("corpus == 'a' and emotion == 'sad'", "the {} was fitted on test clips"),
        ("corpus == 'a' and emotion == 'fear'", "the {} was fitted on clips that share their corpus with test clips"),
        ("corpus == 'songs'", "the {} was fitted on clips that share their speaker with test clips"),
    ])  # fmt: skip
    def test_a_planted_clip_of_the_corpus_left_out_is_refused(self, table, what, query, message):
        fold = leave_out(table, ["a"])
        fitted = {"scaler": fold.train, "early stopping": fold.validation, "threshold": fold.train}
        audit(table, fold, fingerprints=table["clip_id"], fitted=fitted)
        fitted[what] = [*fold.validation, table.query(query).index[0]]
        with pytest.raises(LeakageError, match=message.format(what)):
            audit(table, fold, fingerprints=table["clip_id"], fitted=fitted)

    @pytest.mark.parametrize("side", ["train", "validation"])
    def test_a_planted_clip_in_training_is_refused(self, table, side):
        fold = leave_out(table, ["a"])
        for row in table.query("corpus in ['a', 'songs']").groupby("corpus").head(1).index:
            planted = dataclasses.replace(fold, **{side: [*getattr(fold, side), row]})
            with pytest.raises(LeakageError, match=f"{side} and in"):
                audit(table, planted, fingerprints=table["clip_id"])

    @pytest.mark.parametrize(
        ("corpora_left", "message"),
        [
            (["a", "songs"], "without 'a' and corpora that share speakers with it, nothing is left to train on"),
            (["b"], "all clips are from corpus 'b'"),
        ],
    )
    def test_too_little_to_learn_from_is_refused(self, table, corpora_left, message):
        with pytest.raises(TableError, match=message):
            protocols.get("corpus")(table[table["corpus"].isin(corpora_left)].reset_index(drop=True))

    def test_wrong_corpora_are_named(self, table):
        with pytest.raises(TableError, match="'x'.* must be some of 'a', 'b'"):
            leave_out(table, ["x"])
        with pytest.raises(TableError, match="every tested corpus must be left out"):
            leave_out(table, ["a"], tested=["b"])
        with pytest.raises(TableError, match="only one speaker is left|nothing is left"):
            inner_corpora(table, leave_out(table, ["a", "b", "c"]))

    def test_no_emotion_in_common_is_refused(self, table):
        table["label"] = np.where(table["corpus"] == "b", "other", table["emotion"])
        with pytest.raises(TableError, match="of which 'b' has none; at least two"):
            leave_out(table, ["b"])


class TestInner:
    @settings(max_examples=40)
    @given(table=tables(), copies=st.integers(0, 2), seed=st.integers(0, 99), data=st.data())
    def test_divides_rows_by_speaker_where_it_can(self, table, copies, seed, data):
        table = with_copies(table, copies)
        rows = np.array(data.draw(st.lists(st.integers(0, max(len(table) - 1, 0)), unique=True)), dtype=int)
        rows = rows[rows < len(table)]
        try:
            train, validation = inner(table, rows, seed)
        except TableError:
            return
        assert len(validation) and not set(train) & set(validation) and {*train, *validation} <= set(rows)
        kinds, speakers = table["emotion"].to_numpy(), table["speaker"].to_numpy()
        assert set(kinds[train]) == set(kinds[rows])
        event("by speaker" if not set(speakers[train]) & set(speakers[validation]) else "by clip")
        assert not set(table["parent"].iloc[train]) & set(table["clip_id"].iloc[validation])

    def test_holds_back_whole_speakers(self):
        table = with_copies(make_table())
        fold = protocols.get("speaker")(table)[0]
        train, validation = inner(table, fold.train, 3)
        speakers = table["speaker"]
        assert not set(speakers.iloc[train]) & set(speakers.iloc[validation])
        assert (table["parent"].iloc[validation] == "").all() and (table["parent"].iloc[train] != "").any()
        assert np.array_equal(inner(table, fold.train[::-1], 3)[1], validation)

    def test_holds_back_clips_where_it_must_or_may(self):
        table = make_table(1)
        assert [len(rows) for rows in inner(table, np.arange(12))] == [8, 4]
        train, validation = inner(make_table(), np.arange(120), speaker_independent=False)
        assert [len(train), len(validation)] == [100, 20]
        assert set(make_table()["speaker"].iloc[train]) == set(make_table()["speaker"])

    def test_divides_copies_of_what_is_tested(self):
        table = with_copies(make_table())
        (fold,) = protocols.get("random_80_20_copies")(table)
        train, validation = inner(table, fold.train)
        assert len(train) and len(validation)

    def test_too_few_clips_are_refused(self):
        with pytest.raises(TableError, match="2 clips of 'happy', 'neutral' are too few"):
            inner(make_table(1), [0, 3])


class TestAuditOfCopiesAndFits:
    """What is planted is found; what a protocol admits to passes, for it alone."""

    @pytest.fixture
    def table(self):
        return with_copies(make_table())

    @pytest.fixture
    def content(self, table):
        return np.where(table["parent"] == "", table["clip_id"], table["parent"])

    def test_a_copy_of_a_tested_clip_in_training(self, table):
        for name in ("speaker", "random", "text"):
            fold = protocols.get(name)(table)[0]
            copy = np.flatnonzero(table["parent"] == table["clip_id"].iloc[fold.test[0]])[:1]
            planted = dataclasses.replace(fold, train=[*fold.train, *copy])
            with pytest.raises(LeakageError, match="the same recording is in train and in test") as caught:
                audit(table, planted, fingerprints=np.arange(len(table)))
            assert caught.value.offenders == sorted(table["clip_id"].iloc[[fold.test[0], *copy]])

    @pytest.mark.parametrize("name", ["random_80_20_copies", "random_80_10_10_copies"])
    def test_admitted_copies_pass_for_their_protocol_only(self, table, content, name):
        table["path"] = content
        (fold,) = protocols.get(name)(table)
        audit(table, fold, fingerprints=content, fitted={"scaler": fold.train, "selection": fold.validation})
        with pytest.raises(LeakageError, match="the same recording"):
            audit(table, dataclasses.replace(fold, leaks=()), fingerprints=content)
        with pytest.raises(LeakageError, match="the scaler was fitted on test clips"):
            audit(table, fold, fingerprints=content, fitted={"scaler": [*fold.train, fold.test[0]]})

    def test_a_protocol_that_admits_copies_may_not_tear_doubles(self, table, content):
        (fold,) = protocols.get("random_80_20_copies")(table)
        originals = [rows[(table["parent"].iloc[rows] == "").to_numpy()] for rows in (fold.train, fold.test)]
        content[originals[0][0]] = content[originals[1][0]]
        with pytest.raises(LeakageError, match="the same sound is in train and in test"):
            audit(table, fold, fingerprints=content)

    def test_admitted_validation_on_the_test_passes_for_its_protocol_only(self, table, content):
        (fold,) = protocols.get("random_80_20_peeking")(table)
        audit(table, fold, fingerprints=content, fitted={"scaler": fold.train, "selection": fold.validation})
        with pytest.raises(LeakageError, match="the same row is in validation and in test"):
            audit(table, dataclasses.replace(fold, leaks=()), fingerprints=content)
        with pytest.raises(LeakageError, match="the scaler was fitted on test clips"):
            audit(table, fold, fingerprints=content, fitted={"scaler": [*fold.train, *fold.test]})

    def test_what_was_fitted_on_test_clips(self, table, content):
        fold = protocols.get("speaker")(table)[0]
        fits = {"scaler": fold.train, "tuner": np.union1d(fold.train, fold.validation), "selection": fold.validation}
        audit(table, fold, fingerprints=content, fitted=fits)
        for what in fits:
            planted = {**fits, what: [*fits[what], fold.test[0]]}
            with pytest.raises(LeakageError, match=f"fold speaker/0: the {what} was fitted on test clips") as caught:
                audit(table, fold, fingerprints=content, fitted=planted)
            assert caught.value.offenders == [table["clip_id"].iloc[fold.test[0]]]

    def test_what_was_fitted_on_copies_of_test_clips(self, table):
        (fold,) = protocols.get("random_80_20")(table)
        copy = np.flatnonzero(table["parent"] == table["clip_id"].iloc[fold.test[0]])
        with pytest.raises(LeakageError, match="the augmentation was fitted on test clips"):
            audit(table, fold, fingerprints=np.arange(len(table)), fitted={"augmentation": copy})

    @pytest.mark.parametrize(("name", "column"), [("speaker", "speaker"), ("text", "text_id")])
    def test_what_was_fitted_on_tested_speakers_or_texts(self, content, table, name, column):
        fold = protocols.get(name)(table)[0]
        left_out = fold.test[table[column].iloc[fold.test] == table[column].iloc[fold.test[0]]][0]
        smaller = dataclasses.replace(fold, test=np.setdiff1d(fold.test, left_out))
        message = f"the scaler was fitted on clips that share their {column.removesuffix('_id')} with test clips"
        with pytest.raises(LeakageError, match=message) as caught:
            audit(table, smaller, fingerprints=content, fitted={"scaler": [*fold.train, left_out]})
        assert caught.value.offenders == [table[column].iloc[left_out]]
        promising_nothing = dataclasses.replace(smaller, independent_of=())
        audit(table, promising_nothing, fingerprints=content, fitted={"scaler": [left_out]})

    def test_a_text_that_crosses(self, table, content):
        fold = protocols.get("text")(table)[0]
        row = fold.test[0]
        torn = dataclasses.replace(fold, train=[*fold.train, row], test=np.setdiff1d(fold.test, row))
        with pytest.raises(LeakageError, match="fold text/0: the same text is in train and in test: t"):
            audit(table, torn, fingerprints=table["clip_id"])

    def test_rows_that_are_not_there(self, table, content):
        fold = protocols.get("speaker")(table)[0]
        with pytest.raises(TableError, match="fold speaker/0: scaler points outside the table of 360 clips"):
            audit(table, fold, fingerprints=content, fitted={"scaler": [360]})


def test_leaks_follow_from_the_promise_and_have_fixed_names():
    fold = Fold("mine", 0, 0, [0], [1], [2], ("speaker",), ("speaker", "augmented copies"))
    assert fold.leaks == ("augmented copies",) and fold.label == "speaker-independent"
    assert dataclasses.replace(fold, independent_of=()).leaks == ("speaker", "augmented copies")
    with pytest.raises(UnknownNameError, match="unknown leak 'copies'"):
        Fold("mine", 0, 0, [0], [1], [2], leaks=("copies",))


@pytest.mark.realdata
def test_every_protocol_keeps_its_promise_on_ravdess(real_data):
    table = corpora.load("ravdess", root=real_data)
    for name in protocols.names():
        if name not in ACROSS:
            audit(table, protocols.get(name)(table))
    actors = [set(table["speaker"].iloc[f.test].str[-2:].astype(int)) for f in protocols.get("emobox")(table)]
    named = [{1, 11, 20, 21}, {4, 10, 12, 14}, {8, 9, 19, 23}, {3, 5, 7, 24}, {2, 15, 16, 18}, {6, 13, 17, 22}]
    there = set(table["speaker"].str[-2:].astype(int))
    assert actors == [fold & there for fold in named if fold & there]
    assert len(protocols.get("text")(table)) == 2
