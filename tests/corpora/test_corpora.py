"""Corpora: every published file name, the contract of each registered corpus, and joining them."""

from __future__ import annotations

import csv
import logging
import lzma
import re
import shutil
import unicodedata
import warnings
import zipfile
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_kit import corpora
from ser_kit.audio import Excerpt
from ser_kit.core.errors import (
    CorpusNotFoundError,
    FileNameError,
    IncompleteCorpusWarning,
    LabelError,
    TableError,
    UnknownNameError,
)
from ser_kit.core.labels import EMOTIONS, LabelSet, canonical, label_set, merged
from ser_kit.corpora import iemocap, nemo

pytestmark = pytest.mark.filterwarnings("ignore::ser_kit.core.errors.IncompleteCorpusWarning")

COLUMNS = [
    "clip_id", "path", "corpus", "speaker", "sex", "emotion", "native_emotion", "intensity", "text_id", "language",
]  # fmt: skip
SAVEE_LETTERS = {
    "a": "angry", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "sa": "sad", "su": "surprised",
}  # fmt: skip
EVALUATION = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def published() -> list[dict[str, str]]:
    """Corpus, path, emotion (as the lists name it) and, for CREMA-D, sex of 18,228 published recordings."""
    with lzma.open(Path(__file__).parents[1] / "data" / "filelists.tsv.xz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


PUBLISHED = published()
PUBLISHED_NAMES = {name: [r["path"] for r in PUBLISHED if r["corpus"] == name] for name in corpora.names()}
SPEAKERS = {
    name: {corpora.get(name).parse(path)["speaker"] for path in PUBLISHED_NAMES[name]} for name in PUBLISHED_NAMES
}


def write_wav(path: Path, seed: int = 0, rate: int = 16000) -> Path:
    """A tenth of a second of quiet noise; another seed gives other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, rate // 10)
    soundfile.write(path, noise, rate, format="WAV", subtype="PCM_16")
    return path


def example_of(name: str) -> str:
    """The right file name that the corpus's own error message holds."""
    with pytest.raises(FileNameError) as caught:
        corpora.get(name).parse("?")
    for quoted in re.findall(r"'([^'\s]+)'", str(caught.value)):
        try:
            corpora.get(name).parse(quoted)
        except FileNameError:
            continue
        return quoted
    raise AssertionError(f"no right file name in: {caught.value}")


def write_evaluation(root: Path, utterances: dict[str, str]) -> None:
    """IEMOCAP's label file of one dialogue."""
    folder = root / "Session1" / "dialog" / "EmoEvaluation"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(
        f"[{i}.2901 - {i + 1}.2357]\t{u}\t{code}\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"
        for i, (u, code) in enumerate(utterances.items())
    )
    (folder / "Ses01F_impro01.txt").write_text(EVALUATION + lines, encoding="utf-8")
    (folder / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07")


@pytest.fixture(autouse=True)
def no_data_elsewhere(monkeypatch, tmp_path_factory):
    """No test finds recordings of this machine by accident."""
    monkeypatch.delenv("SER_KIT_DATA", raising=False)
    monkeypatch.setenv("KAGGLE_CACHE_MOUNT_FOLDER", str(tmp_path_factory.mktemp("mount")))


@pytest.fixture(params=corpora.names())
def corpus(request):
    return corpora.get(request.param)


@pytest.fixture
def tree(corpus, tmp_path):
    """A parent folder with one clip of the corpus, in a copy too, beside files that are none of it."""
    root = tmp_path / corpus.slug
    example = example_of(corpus.name)
    clip = write_wav(root / example)
    write_wav(root / "nested" / "copy" / example)
    write_wav(root / Path(example).with_name("._" + Path(example).name))
    write_wav(root / "__MACOSX" / example)
    write_wav(root / "holiday.wav")
    (root / "README.txt").write_text("not sound")
    if corpus.name == "iemocap":
        write_evaluation(root, {clip.stem: "ang"})
    return tmp_path


# Contract of every registered corpus


def test_constants(corpus):
    module = corpus.module
    assert corpus.name == module.NAME
    assert module.__doc__.strip()
    assert corpus.slug and corpus.license
    assert set(corpus.expected) <= set(EMOTIONS)
    assert all(n > 0 for n in corpus.expected.values())
    assert corpus.bibtex.startswith("@") or corpus.name == "folder"
    if corpus.kaggle_handle:
        assert re.fullmatch(rf"[\w-]+/{re.escape(corpus.slug)}/versions/1", corpus.kaggle_handle)
        assert corpus.homepage.startswith("http")


def test_known_clips_are_published_ones(corpus):
    known = {*corpus.known_bad, *corpus.known_duplicates, *corpus.known_duplicates.values()}
    assert known <= corpus.index()
    assert all(corpus.known_bad.values())


def test_a_wrong_name_is_answered_with_a_right_one(corpus):
    fields = corpus.parse(example_of(corpus.name))
    assert set(fields) <= set(COLUMNS)
    assert all(isinstance(value, str) for value in fields.values())
    assert fields["speaker"] or corpus.name == "folder"


@pytest.mark.slow
@given(name=st.text())
@pytest.mark.parametrize("corpus_name", corpora.names())
def test_any_text_is_parsed_or_refused(corpus_name, name):
    try:
        fields = corpora.get(corpus_name).parse(name)
    except FileNameError:
        return
    assert fields["speaker"] or corpus_name == "folder"


def test_index_agrees_with_counts(corpus):
    names = corpus.index()
    if names:
        assert Counter(corpus.parse(f"{name}.wav")["emotion"] for name in names) == corpus.expected


def test_copies_hidden_files_and_strangers(corpus, tree):
    table = corpora_load(corpus.name, root=tree)
    assert list(table.columns) == COLUMNS
    assert isinstance(table.index, pd.RangeIndex)
    assert len(table) == 1
    row = table.iloc[0]
    assert all(isinstance(value, str) for value in row)
    assert row["clip_id"].startswith(f"{corpus.name}:") and row["speaker"].startswith(f"{corpus.speakers_of}:")
    assert row["clip_id"].count(f"{corpus.name}:") == 1 and row["speaker"].count(f"{corpus.speakers_of}:") == 1
    assert row["emotion"] in EMOTIONS
    assert row["sex"] in ("female", "male", "")
    assert row["path"] == str(tree / corpus.slug / example_of(corpus.name))
    strangers = [clip for clip in table.attrs["excluded"] if Path(clip["path"]).name == "holiday.wav"]
    assert [set(clip) for clip in strangers] == [{"clip_id", "path", "corpus", "reason"}]
    assert not any("__MACOSX" in c["path"] or "._" in c["path"] for c in table.attrs["excluded"])
    losses = corpora.exclusion_counts(table)
    assert losses["clips"].sum() == len(table.attrs["excluded"])
    assert "file name not understood" in set(losses["reason"])


def test_the_four_ways_to_local_data(corpus, tree, monkeypatch):
    expected = corpora_load(corpus.name, root=tree)
    pd.testing.assert_frame_equal(corpora_load(corpus.name, root=tree / corpus.slug), expected)

    monkeypatch.setenv("SER_KIT_DATA", str(tree))
    pd.testing.assert_frame_equal(corpora_load(corpus.name), expected)
    (tree / corpus.slug).rename(tree / corpus.name)
    assert len(corpora_load(corpus.name)) == 1

    monkeypatch.delenv("SER_KIT_DATA")
    monkeypatch.setenv("KAGGLE_CACHE_MOUNT_FOLDER", str(tree))
    (tree / corpus.name).rename(tree / corpus.slug)
    pd.testing.assert_frame_equal(corpora_load(corpus.name), expected)
    if corpus.kaggle_handle:
        newer = tree / "datasets" / corpus.kaggle_handle.split("/")[0]
        newer.mkdir(parents=True)
        (tree / corpus.slug).rename(newer / corpus.slug)
        assert len(corpora_load(corpus.name)) == 1


def test_a_folder_without_the_corpus(corpus, tmp_path):
    write_wav(tmp_path / "holiday.wav")
    with pytest.raises(CorpusNotFoundError, match="(?s)holds none of them.*SER_KIT_DATA") as caught:
        corpora.load(corpus.name, root=tmp_path)
    assert corpus.slug in str(caught.value)
    assert corpus.homepage in str(caught.value)
    with pytest.raises(CorpusNotFoundError, match="is not a folder"):
        corpora.load(corpus.name, root=tmp_path / "nowhere")


def corpora_load(name: str, **arguments) -> pd.DataFrame:
    """Loads without the warning that the folder corpus gives about unknown speakers (it has a test of its own)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*the speaker of .* is not known")
        return corpora.load(name, **arguments)


# Every published file name


def test_the_fixture_is_complete():
    counts = Counter(row["corpus"] for row in PUBLISHED)
    assert counts == {"ravdess": 1440, "cremad": 7442, "tess": 2800, "savee": 480, "emodb": 535, "iemocap": 5531}


def test_eight_emotions_become_six_or_four_by_adding_up():
    six = merged(EMOTIONS[:8], "six")
    assert list(six) == ["neutral", "happy", "sad", "angry", "fear", "disgust"]
    assert six["neutral"] == ("neutral", "calm") and six["fear"] == ("fear",)
    assert label_set("seven").label("calm") == "neutral" and label_set("six").label("calm") is None
    assert sorted(sum(six.values(), ())) == sorted(set(EMOTIONS[:8]) - {"surprised"})
    assert merged(["neutral", "happy", "excited", "sad"], "four")["happy"] == ("happy", "excited")
    assert merged(EMOTIONS[:8], ["calm", "neutral"]) == {"calm": ("calm",), "neutral": ("neutral",)}
    with pytest.raises(LabelError, match="cannot answer in boredom, neutral"):
        merged(["happy", "neutral"], ["boredom", "neutral"])


@pytest.mark.parametrize("name", ["ravdess", "cremad", "tess", "savee", "emodb"])
def test_published_names_give_the_published_labels(name):
    corpus = corpora.get(name)
    counts, clips = Counter(), set()
    for row in (row for row in PUBLISHED if row["corpus"] == name):
        fields = corpus.parse(row["path"])
        native = {"boredem": "bored"}.get(row["emotion"], row["emotion"])  # as misspelt in the list
        assert fields["emotion"] == (SAVEE_LETTERS[native] if name == "savee" else canonical(native)), row
        assert (
            fields["sex"] in ("female", "male") and fields["speaker"] and fields["text_id"] and fields["native_emotion"]
        )
        assert not row["sex"] or fields["sex"] == row["sex"], row
        counts[fields["emotion"]] += 1
        clips.add(fields.get("clip_id", Path(row["path"]).stem))
    assert counts == corpus.expected
    assert clips == corpus.index()


def test_published_names_of_iemocap():
    rows = [row for row in PUBLISHED if row["corpus"] == "iemocap"]
    speakers = set()
    for row in rows:
        fields = iemocap.parse(row["path"])
        assert fields["speaker"][3:5] == row["path"][7].zfill(2)  # Session1/...
        assert fields["sex"] == {"F": "female", "M": "male"}[row["path"].rsplit("_", 1)[1][0]]
        assert fields["text_id"] in row["path"] and fields["text_id"].startswith(("impro", "script"))
        speakers.add(fields["speaker"])
    assert len(speakers) == 10
    counts = Counter(canonical(row["emotion"]) for row in rows)
    assert counts.items() <= iemocap.EXPECTED.items()


def test_iemocap_labels_come_from_the_evaluation_files(tmp_path):
    rows = [row for row in PUBLISHED if "/Ses01F_impro01/" in row["path"]]
    for row in rows:
        (tmp_path / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / row["path"]).touch()
    unlabelled = write_wav(tmp_path / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F099.wav")
    write_wav(tmp_path / "Session1/dialog/wav/Ses01F_impro01.wav")
    write_evaluation(tmp_path, {Path(row["path"]).stem: row["emotion"] for row in rows})
    table = corpora.load("iemocap", root=tmp_path)
    native = dict(zip(table["clip_id"], table["native_emotion"], strict=True))
    assert native == {f"iemocap:{Path(row['path']).stem}": row["emotion"] for row in rows}
    assert len(rows) == 8 and list(table["emotion"]) == [canonical(code) for code in table["native_emotion"]]
    assert [clip["path"] for clip in table.attrs["excluded"]] == [str(unlabelled)]


@given(data=st.data())
@pytest.mark.parametrize("name", ["ravdess", "cremad", "tess", "savee", "emodb", "iemocap"])
def test_damaged_names_never_crash(name, data):
    """A published name with one character changed is parsed as another clip of the corpus, or refused."""
    path = data.draw(st.sampled_from(PUBLISHED_NAMES[name]))
    stem = Path(path).stem
    at = data.draw(st.integers(0, len(stem) - 1))
    damaged = stem[:at] + data.draw(st.text(max_size=2)) + stem[at + 1 :]
    corpus = corpora.get(name)
    try:
        fields = corpus.parse(damaged)
    except FileNameError as error:
        assert repr(damaged) in str(error)
    else:
        assert fields["speaker"] in SPEAKERS[name]


@pytest.mark.parametrize(
    ("name", "filename", "why"),
    [
        ("ravdess", "03-02-05-01-02-01-12.wav", "vocal channel 02 is not 01, speech"),
        ("ravdess", "01-01-05-01-02-01-12.wav", "modality 01 is not 03"),
        ("ravdess", "03-01-01-02-02-01-12.wav", "neutral does not have"),
        ("ravdess", "03-01-09-01-02-01-12.wav", "emotion 09"),
        ("ravdess", "03-01-05-01-02-01-25.wav", "actor 25"),
        ("ravdess", "03-01-05-01-02-01-1٢.wav", "two-digit numbers"),
        ("ravdess_song", "03-02-07-01-02-01-12.wav", "emotion 07 is not one of 01 to 06"),
        ("cremad", "1092_IEO_ANG_HI.wav", "actor 1092"),
        ("cremad", "1001_ABC_ANG_HI.wav", "sentence ABC"),
        ("emodb", "04a01Fa.wav", "speaker 04"),
        ("savee", "DC_a16.wav", "01 to 15"),
        ("emospeech", "House/help-safe-None-20190701193438-016294ed23b0c5a7.wav", "emotion none is not one of angry"),
        ("emospeech", "House/background-safe-None-20190701193438-016294ed23b0c5a7.wav", "keyword background"),
        ("emospeech", "House/help-safe-calm-20190709085906-d14a028c2a3a2bc9.wav", "publisher does not know"),
        ("folder", "take1.wav", "folder named after its emotion"),
    ],
)
def test_errors_say_what_is_wrong(name, filename, why):
    with pytest.raises(FileNameError, match=re.escape(why)):
        corpora.get(name).parse(filename)


def test_odd_names_of_older_copies():
    assert corpora.get("cremad").parse("1040_ITH_SAD_X.wav") == corpora.get("cremad").parse("1040_ITH_SAD_XX.wav")
    assert corpora.get("tess").parse("OA_bite_neutral.wav") == corpora.get("tess").parse("OAF_bite_neutral.wav")
    assert corpora.get("savee").parse("JE/sa15.wav") == corpora.get("savee").parse("JE_sa15.wav")


# Whole corpora, by name only


def lay_out(root: Path, names: list[str]) -> None:
    """Empty files: loading reads names, not sound."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.slow
def test_nested_second_copies_do_not_double_a_corpus(tmp_path):
    names = PUBLISHED_NAMES["ravdess"]
    lay_out(tmp_path, [f"audio_speech_actors_01-24/{name}" for name in names])
    alone = corpora.load("ravdess", root=tmp_path)
    lay_out(tmp_path, names)
    table = corpora.load("ravdess", root=tmp_path)
    assert len(table) == len(alone) == 1440
    assert not table["path"].str.contains("audio_speech_actors").any()
    assert table["clip_id"].is_unique
    assert table["speaker"].nunique() == 24
    assert dict(table.groupby("speaker")["sex"].first())["ravdess:02"] == "female"
    assert Counter(table["emotion"]) == corpora.get("ravdess").expected
    assert table.attrs["excluded"] == []


@pytest.mark.slow
def test_joined_corpora_tell_what_each_lost(tmp_path, caplog):
    for name in ("ravdess", "cremad", "tess"):
        lay_out(tmp_path / corpora.get(name).slug, PUBLISHED_NAMES[name])
    with caplog.at_level(logging.INFO, logger="ser_kit"):
        table = corpora.load(["ravdess", "cremad", "tess"], root=tmp_path, labels="six")
    assert list(table.columns) == [*COLUMNS, "label"]
    assert table.attrs["labels"] == ["neutral", "happy", "sad", "angry", "fear", "disgust"]
    assert Counter(table["corpus"]) == {"ravdess": 1440 - 384, "cremad": 7442 - 7, "tess": 2800 - 400}
    assert (table["label"] == table["emotion"]).all()
    lost = {(row.corpus, row.reason): row.clips for row in corpora.exclusion_counts(table).itertuples()}
    assert lost == {
        ("cremad", "silence throughout"): 1,
        ("cremad", "the same recording stands under two emotions, so its label is not known"): 6,
        ("ravdess", "label set 'six' has no place for calm"): 192,
        ("ravdess", "label set 'six' has no place for surprised"): 192,
        ("tess", "label set 'six' has no place for surprised"): 400,
    }
    assert len(table) + len(table.attrs["excluded"]) == 1440 + 7442 + 2800
    assert {"cremad:1076_MTI_SAD_XX", "cremad:1006_TIE_NEU_XX"} <= {c["clip_id"] for c in table.attrs["excluded"]}
    assert "label set 'six' has no place for calm" in caplog.text and "silence throughout" in caplog.text
    assert table.copy().attrs == table.attrs


def test_a_copy_that_is_far_from_whole_is_warned_of(tmp_path):
    names = PUBLISHED_NAMES["ravdess"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lay_out(tmp_path / "most", names[:1300])
        corpora.load(f"ravdess:{tmp_path}/most")
        lay_out(
            tmp_path / "cremad", PUBLISHED_NAMES["cremad"]
        )  # those that are known to be bad do not count as lacking
        corpora.load("cremad", root=tmp_path)
    lay_out(tmp_path / "few", names[:5])
    with pytest.warns(IncompleteCorpusWarning, match="few holds 5 of 1,440 published.*ser-kit validate ravdess:/"):
        corpora.load(f"ravdess:{tmp_path}/few")
    lay_out(tmp_path / "joyless", [name for name in PUBLISHED_NAMES["emodb"] if name[-6] != "E"])
    with pytest.warns(IncompleteCorpusWarning, match="holds 489 of 535 published clips, none of disgust"):
        corpora.load(f"emodb:{tmp_path}/joyless")


def test_label_sets_merge_and_drop(tmp_path):
    lay_out(tmp_path, PUBLISHED_NAMES["ravdess"])
    calm_is_neutral = LabelSet("mine", ("neutral", "sad"), {"calm": "neutral"})
    table = corpora.load("ravdess", root=tmp_path, labels=calm_is_neutral)
    assert Counter(table["label"]) == {"neutral": 96 + 192, "sad": 192}
    assert Counter(table["emotion"]) == {"neutral": 96, "calm": 192, "sad": 192}
    assert isinstance(table.index, pd.RangeIndex) and table.index[-1] == len(table) - 1
    with pytest.raises(TableError, match="no clip has one of the labels boredom, excited"):
        corpora.load("ravdess", root=tmp_path, labels=["boredom", "excited"])


def test_names_are_checked_first(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'ravdess'"):
        corpora.load(["cremad", "ravdes"], root=tmp_path / "nowhere")
    with pytest.raises(TableError, match="at least one corpus"):
        corpora.load([])


def test_wav_is_preferred_to_other_formats(tmp_path):
    lay_out(tmp_path, ["AudioMP3/1001_DFA_ANG_XX.mp3", "deeper/down/AudioWAV/1001_DFA_ANG_XX.wav"])
    assert corpora.load("cremad", root=tmp_path)["path"].tolist() == [
        str(tmp_path / "deeper/down/AudioWAV/1001_DFA_ANG_XX.wav")
    ]


def test_nothing_is_written_beside_the_data(tmp_path):
    lay_out(tmp_path, PUBLISHED_NAMES["emodb"])
    tmp_path.chmod(0o555)
    (tmp_path / "wav").chmod(0o555)
    before = sorted(tmp_path.rglob("*"))
    try:
        corpora.load("emodb", root=tmp_path)
        corpora.validate("emodb", root=tmp_path, progress=False)
        assert sorted(tmp_path.rglob("*")) == before
    finally:
        (tmp_path / "wav").chmod(0o755)
        tmp_path.chmod(0o755)


# Your own recordings


def test_own_folder(tmp_path):
    lay_out(tmp_path, ["Happy/1.wav", "happy/sub.m4a", "anger/anna/1.wav", "anger/ben/1.flac", "misc/x.wav", "top.ogg"])
    with pytest.warns(UserWarning, match="speaker of 2 of 4 clips is not known"):
        table = corpora.load("folder", root=tmp_path)
    assert table.set_index("clip_id")[["emotion", "speaker"]].T.to_dict("list") == {
        "folder:Happy/1.wav": ["happy", "folder:unknown"],
        "folder:happy/sub.m4a": ["happy", "folder:unknown"],
        "folder:anger/anna/1.wav": ["angry", "folder:anna"],
        "folder:anger/ben/1.flac": ["angry", "folder:ben"],
    }
    assert len(table.attrs["excluded"]) == 2


def test_a_name_in_two_forms_of_its_accents_is_one_speaker(tmp_path):
    lay_out(tmp_path, ["sad/Jörg/1.wav", unicodedata.normalize("NFD", "angry/Jörg/1.wav")])
    table = corpora.load("folder", root=tmp_path)
    assert table["speaker"].tolist() == ["folder:Jörg"] * 2 and all(Path(path).is_file() for path in table["path"])


def test_own_csv(tmp_path):
    lay_out(tmp_path, ["a.wav", "sub/b.mp3", "c.wav", "elsewhere/d.wav"])
    listed = tmp_path / "list" / "mine.csv"
    listed.parent.mkdir()
    listed.write_text(
        "\ufeffPath, Emotion ,speaker,sex,text_id,note\n"
        "../a.wav,Anger,anna,F,s1,\n"
        "../sub/b.mp3, joy ,ben,male,s2,loud\n"
        "../c.wav,wrath,ben,male,s2,\n"
        "../gone.wav,sad,ben,male,s2,\n"
        f"{tmp_path / 'elsewhere/d.wav'},ps,anna,,,\n"
        "../a.wav,Anger,anna,F,s1,\n",
        encoding="utf-8",
    )
    table = corpora.load("folder", root=listed, labels="seven")
    assert table[["emotion", "native_emotion", "speaker", "sex", "text_id"]].values.tolist() == [
        ["angry", "Anger", "folder:anna", "female", "s1"],
        ["happy", "joy", "folder:ben", "male", "s2"],
        ["surprised", "ps", "folder:anna", "", ""],
    ]
    assert all(Path(path).is_file() for path in table["path"])
    reasons = [clip["reason"] for clip in table.attrs["excluded"]]
    assert "unknown emotion 'wrath'" in reasons[0] and reasons[1] == f"there is no file {listed.parent / '../gone.wav'}"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("clip,emotion\na.wav,sad\n", "lacks the column path"),
        ("path,emotion\na.wav,sad\na.wav,happy\n", "'a.wav' with more than one emotion"),
        ("path,emotion,speaker\na.wav,sad,anna\na.wav,sad,ben\n", "'a.wav' with more than one speaker"),
        (
            "path,emotion,onset\na.wav,sad,0\na.wav,sad,2\n",
            "'a.wav' with more than one onset .lines 2 and 3.; parts of a file are",
        ),
        ("path,emotion,start\na.wav,sad,1\na.wav,happy,1\n", "'a.wav' with more than one emotion"),
        ("", "not a CSV file: it is empty"),
        (b"\0\0\0", "not a CSV file in UTF-8, UTF-16 or Windows-1252"),
        ("path,emotion\na, b.wav,sad\n", "more cells than columns in 'a,b.wav,sad'"),
        ("path,path,emotion\na.wav,b.wav,sad\n", "more than one column path"),
        (b"path,emotion\n\x81,sad\n", "not a CSV file in UTF-8, UTF-16 or Windows-1252"),
    ],
)
def test_own_csv_errors(tmp_path, content, why):
    listed = tmp_path / "mine.csv"
    listed.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TableError, match=why):
        corpora.load("folder", root=listed)


def listing(tmp_path: Path, content: str | bytes) -> pd.DataFrame:
    """What is loaded of a CSV file."""
    listed = tmp_path / "mine.csv"
    listed.write_bytes(content if isinstance(content, bytes) else content.encode())
    return corpora_load("folder", root=listed)


LIST = "path,emotion,speaker\ngrüße/ja ä.wav,angry,Jörg\ntwo.wav,sad,Jörg\n"


@pytest.mark.parametrize(
    "content",
    [
        LIST,
        LIST.replace(",", ";"),
        LIST.replace(",", "\t"),
        "sep=;\n" + LIST.replace(",", ";"),
        "\ufeff" + LIST.replace("\n", "\r\n"),
        LIST.encode("utf-16"),
        LIST.encode("utf-16-be"),
        LIST.replace(",", "\t").encode("utf-16"),
        LIST.encode("cp1252"),
        LIST.replace(",", ";").encode("cp1252"),
        LIST.replace("/", "\\"),
        LIST.replace(".wav", ".WAV"),
        LIST.replace("grü", "Grü"),
        unicodedata.normalize("NFD", LIST),
        LIST.replace("path", "file"),
        LIST.replace("Jörg\n", "Jörg,\n"),
    ],
    ids=[
        "plain", "semicolons", "tabs", "Excel's note", "BOM", "UTF-16", "no BOM", "Excel's Unicode text", "cp1252",
        "German Excel", "backslashes", "suffix", "case", "NFD", "file", "trailing comma",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_csv_files_as_people_have_them(tmp_path, content, form):
    lay_out(tmp_path, [unicodedata.normalize(form, "grüße/ja ä.wav"), "two.wav"])
    table = listing(tmp_path, content)
    assert table[["emotion", "speaker"]].values.tolist() == [["angry", "folder:Jörg"], ["sad", "folder:Jörg"]]
    assert all(Path(path).is_file() for path in table["path"]) and table.attrs["excluded"] == []


def test_of_two_files_that_differ_in_case_none_is_guessed(tmp_path):
    lay_out(tmp_path, ["A.wav", "a.WAV", "b.wav"])
    table = listing(tmp_path, "path,emotion\na.wav,sad\nA.wav,sad\nB.wav,sad\n")
    assert [Path(path).name for path in table["path"]] == ["A.wav", "b.wav"]
    assert [clip["reason"] for clip in table.attrs["excluded"]] == [f"there is no file {tmp_path / 'a.wav'}"]


def test_each_corpus_at_a_place_of_its_own(tmp_path):
    lay_out(tmp_path / "somewhere", PUBLISHED_NAMES["emodb"][:2])
    lay_out(tmp_path / "mine", ["sad/anna/1.wav"])
    lay_out(tmp_path, ["calls/a.wav"])
    (tmp_path / "calls" / "list.csv").write_text("path,emotion,speaker\na.wav,happy,anna\n")
    named = [f"emodb:{tmp_path}/somewhere", f"folder:{tmp_path}/mine", f"calls:{tmp_path}/calls/list.csv"]
    table = corpora.load(named)
    assert Counter(table["corpus"]) == {"emodb": 2, "folder": 1, "calls": 1}
    assert table["clip_id"].iloc[-1] == "calls:a.wav" and table["speaker"].iloc[-1] == "calls:anna"
    assert [corpus.name for corpus in corpora.of(table)] == ["calls", "emodb", "folder"]
    assert {corpus.license for corpus in corpora.of(table)} == {"CC BY 4.0", "that of your recordings"}
    # A place that a name gives counts more than a root for all.
    pd.testing.assert_frame_equal(corpora.load(named, root=tmp_path / "nowhere"), table)
    assert corpora.get("folder:~/mine").root == Path.home() / "mine"


def test_one_root_for_several_corpora_must_hold_them_all(tmp_path):
    lay_out(tmp_path, ["sad/anna/1.wav"])
    lay_out(tmp_path / "ravdess", PUBLISHED_NAMES["ravdess"][:1])
    with pytest.raises(CorpusNotFoundError, match="given for 2 corpora, holds no folder 'folder'.*folder:PATH"):
        corpora.load(["ravdess", "folder"], root=tmp_path)
    assert len(corpora.load(["ravdess", f"folder:{tmp_path}"], root=tmp_path)) == 2


@pytest.mark.parametrize("name", ["calls", "calls:", "ravdess:", "two words:x", ":x", "ravdes"])
def test_names_without_a_place_are_of_the_registry(name):
    with pytest.raises(UnknownNameError, match="unknown corpus"):
        corpora.get(name)


def test_a_corpus_is_named_once(tmp_path):
    with pytest.raises(TableError, match="'folder' is named 2 times"):
        corpora.load([f"folder:{tmp_path}/a", f"folder:{tmp_path}/b"])


def test_rows_for_one_clip_in_other_spellings_are_one(tmp_path):
    lay_out(tmp_path, ["a.wav"])
    rows = "a.wav,sad,1,2\nA.wav,sad,1.0,2\n./a.wav,sad,0 days 00:00:01,2.00\na.wav,sad,2,\n"
    assert len(listing(tmp_path, "path,emotion,start,end\n" + rows)) == 2
    with pytest.raises(TableError, match="'a.wav' with more than one emotion"):
        listing(tmp_path, "path,emotion,start,end\n" + rows + "a.wav,happy,2.0,\n")


def test_a_list_of_nothing(tmp_path):
    with pytest.raises(CorpusNotFoundError, match="mine.csv holds none of them"):
        listing(tmp_path, "path,emotion\n")


def test_names_too_long_for_the_disk_are_not_there(tmp_path):
    lay_out(tmp_path, ["a.wav"])
    table = listing(tmp_path, f"path,emotion\na.wav,sad\n{'b' * 300}.wav,sad\n,sad\n")
    assert len(table) == 1 and len(table.attrs["excluded"]) == 2


def test_one_row_that_cannot_be_used_is_set_aside(tmp_path):
    lay_out(tmp_path, [f"{i}.wav" for i in range(6)])
    times = "0.wav,sad,f,,\n1.wav,sad,alien,,\n2.wav,sad,,2,1\n3.wav,sad,,soon,\n4.wav,sad,w,-1,\n5.wav,sad,m,,2\n"
    table = listing(tmp_path, "path,emotion,sex,start,end\n" + times)
    assert table[["clip_id", "sex"]].values.tolist() == [["folder:0.wav", "female"], ["folder:5.wav#t=0,2", "male"]]
    reasons = [clip["reason"] for clip in table.attrs["excluded"]]
    assert "its sex is 'alien'" in reasons[0] and "2.wav: a part of it from 2.0 to 1.0 s" in reasons[1]
    assert "its start or end is 'soon'" in reasons[2] and "its start or end is '-1'" in reasons[3]


@pytest.mark.parametrize(
    "content",
    [
        "path,emotion,speaker,start,end\ntalk.wav,sad,anna,,2.5\ntalk.wav,joy,ben,2.5,4\ntalk.wav,joy,anna,4,\n",
        "path;emotion;speaker;start;end\ntalk.wav;sad;anna;0;2,5\ntalk.wav;joy;ben;2,5;4\ntalk.wav;joy;anna;4;\n",
        "file,start,end,emotion,speaker\ntalk.wav,0 days,0 days 00:00:02.500000,sad,anna\n"
        "talk.wav,0 days 00:00:02.500000,0 days 00:00:04,joy,ben\ntalk.wav,0 days 00:00:04,NaT,joy,anna\n",
    ],
    ids=["seconds", "German Excel", "audformat"],
)
def test_parts_of_a_file(tmp_path, content):
    lay_out(tmp_path, ["talk.wav"])
    table = listing(tmp_path, content)
    assert list(table.columns) == [*COLUMNS, "start", "end"]
    assert table[["clip_id", "speaker", "emotion", "start", "end"]].values.tolist() == [
        ["folder:talk.wav#t=0,2.5", "folder:anna", "sad", "", "2.5"],
        ["folder:talk.wav#t=2.5,4", "folder:ben", "happy", "2.5", "4.0"],
        ["folder:talk.wav#t=4", "folder:anna", "happy", "4.0", ""],
    ]
    path = str(tmp_path / "talk.wav")
    assert corpora.exclusion_counts(table).empty
    assert corpora.sources(table) == [Excerpt(path, 0, 2.5), Excerpt(path, 2.5, 4), Excerpt(path, 4)]
    six = corpora.load("folder", root=tmp_path / "mine.csv", labels="six")
    assert list(six.columns) == [*COLUMNS, "start", "end", "label"]


# nEMO's own download


@pytest.fixture
def nemo_repository(tmp_path, monkeypatch):
    """A loopback server with the archive of a tiny nEMO; returns its folder, where tests change the archive."""
    content, served = tmp_path / f"nEMO-{nemo._COMMIT}", tmp_path / "served" / "archive"
    write_wav(content / "samples" / "KS0_surprised_3.wav", rate=24000)
    served.mkdir(parents=True)
    with zipfile.ZipFile(served / f"{nemo._COMMIT}.zip", "w") as archive:
        for path in content.rglob("*.wav"):
            archive.write(path, path.relative_to(tmp_path))
    shutil.rmtree(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served"))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(nemo, "EXPECTED", {"surprised": 1})
    monkeypatch.setattr(nemo, "HOMEPAGE", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("SER_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()


def test_nemo_is_downloaded_once(nemo_repository, tmp_path):
    table = corpora.load("nemo")
    assert table[["clip_id", "sex", "language"]].values.tolist() == [["nemo:KS0_surprised_3", "male", "pl"]]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [f"nEMO-{nemo._COMMIT}"]
    shutil.rmtree(nemo_repository)
    pd.testing.assert_frame_equal(corpora.load("nemo"), table)


@pytest.mark.parametrize("damage", ["missing", "cut", "spoiled", "clips missing"])
def test_a_failed_nemo_download_leaves_no_corpus(nemo_repository, tmp_path, monkeypatch, damage):
    archive = nemo_repository / f"{nemo._COMMIT}.zip"
    content = archive.read_bytes()
    if damage == "missing":
        archive.unlink()
    elif damage == "cut":
        archive.write_bytes(content[: len(content) // 2])
    elif damage == "spoiled":
        archive.write_bytes(content[:200] + bytes(100) + content[300:])
    with monkeypatch.context() as patched:
        if damage == "clips missing":
            patched.setattr(nemo, "EXPECTED", {"surprised": 1, "angry": 749})
        with pytest.raises(CorpusNotFoundError, match="the download failed"):
            corpora.load("nemo")
    assert list((tmp_path / "cache").iterdir()) == []
    archive.write_bytes(content)
    assert len(corpora.load("nemo")) == 1


def test_an_incomplete_nemo_of_old_is_replaced(nemo_repository, tmp_path):
    (tmp_path / "cache" / f"nEMO-{nemo._COMMIT}" / "samples").mkdir(parents=True)
    assert len(corpora.load("nemo")) == 1


# Real recordings


def recordings_there(real_data: Path, name: str) -> list[Path]:
    """Every WAV file that the folder of real recordings holds of a corpus; the test skips where there is none."""
    found = sorted((real_data / corpora.get(name).slug).rglob("*.wav"))
    return found or pytest.skip(f"no recordings of {name} beside the others")


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["ravdess", "ravdess_song", "tess", "emodb", "nemo", "emospeech"])
def test_real_recordings(real_data, monkeypatch, name):
    there = recordings_there(real_data, name)
    monkeypatch.setenv("SER_KIT_DATA", str(real_data))
    table = corpora.load(name)
    assert set(table["path"]) == {str(path) for path in there} and table["clip_id"].is_unique
    assert table.attrs["excluded"] == []
    speaker = {"tess": "[A-Z]+", "emodb": "..", "nemo": "...", "emospeech": "[0-9a-f]+"}.get(name, r"..$")
    named = {re.search(speaker, path.stem)[0] for path in there} - {"OA"}  # TESS has one misnamed clip
    assert set(table["speaker"].str.partition(":")[2]) == named
    assert set(table["sex"]) <= ({""} if name == "emospeech" else {"female", "male"})
    assert set(table["language"]) <= ({"en", "hi", ""} if name == "emospeech" else {corpora.get(name).language})
    assert set(table["emotion"]) <= set(corpora.get(name).expected or ("angry", "calm", "fear", "happy"))


@pytest.mark.realdata
def test_nemo_names_agree_with_its_table(real_data):
    there = recordings_there(real_data, "nemo")
    labels = nemo.read_labels(real_data / "nEMO")
    assert {path.stem for path in there} <= labels.keys()
    for clip, fields in labels.items():
        assert nemo.parse(clip).items() >= fields.items()


@pytest.mark.realdata
def test_published_files_load_as_they_are(real_data):
    if not (real_data / "originals").is_dir():
        pytest.skip("no originals/ beside the recordings")
    assert len(corpora.load("ravdess", root=real_data / "originals")) == 4


class TestSample:
    def table(self, speakers=24, emotions=8, takes=8):
        """As RAVDESS: by name, the speaker changes last."""
        rows = [(f"s{s:02d}", f"e{e}", f"{s}-{e}-{t}") for e in range(emotions) for t in range(takes)
                for s in range(speakers)]  # fmt: skip
        table = pd.DataFrame(rows, columns=["speaker", "emotion", "clip_id"])
        table.attrs["labels"] = ["of the whole"]
        return table

    @given(st.integers(1, 200), st.integers(0, 3))
    def test_speakers_and_emotions_are_drawn_alike(self, clips, seed):
        table = self.table()
        found = corpora.sample(table, clips, seed)
        assert len(found) == clips == found["clip_id"].nunique()
        for column, values in (("speaker", 24), ("emotion", 8)):
            counts = found[column].value_counts().reindex(table[column].unique(), fill_value=0)
            assert counts.max() - counts.min() <= 1, f"{clips} clips of {values}"
        assert found.equals(corpora.sample(table, clips, seed)) and found.attrs == table.attrs
        places = table["clip_id"].tolist()
        assert [places.index(c) for c in found["clip_id"]] == sorted(places.index(c) for c in found["clip_id"])

    def test_all_are_taken_where_there_are_no_more(self):
        table = self.table(3, 2, 1).drop(index=[0]).reset_index(drop=True)
        assert corpora.sample(table, 100).equals(table)
        assert len(corpora.sample(table, len(table))) == len(table)

    def test_another_seed_draws_others(self):
        assert not corpora.sample(self.table(), 60, 0).equals(corpora.sample(self.table(), 60, 1))
