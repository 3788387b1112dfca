"""Labels that are no known emotions: as they are, mapped, or offered a map; and the summary of a table."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_kit import corpora
from ser_kit.core import synonyms
from ser_kit.core.errors import LabelError, TableError, TargetError
from ser_kit.core.labels import COLOURS, EMOTIONS, canonical, colours, label_set, merged, ordered
from ser_kit.corpora.cells import read, seconds
from ser_kit.corpora.naming import Naming, map_text, read_map

LABELS = ("Wut", "Freude", "tense", "anger_high", "Neutral")


@pytest.fixture
def listed(tmp_path) -> Path:
    """A German Excel's list of ten clips of two speakers with labels of its own, and of one that is not there."""
    rows = ["Datei;file;label;speaker;gender"]
    for i, label in enumerate(LABELS * 2):
        (tmp_path / "clips").mkdir(exist_ok=True)
        (tmp_path / "clips" / f"{i}.wav").write_bytes(b"RIFF")
        rows.append(f"{i};clips\\{i}.WAV;{label};{'Jörg' if i < 5 else 'Ute'};{'m' if i < 5 else 'w'}")
    rows.append("10;clips\\10.wav;Wut;Ute;w")
    file = tmp_path / "liste.csv"
    file.write_bytes("\r\n".join(rows).encode("cp1252"))
    return file


def test_own_labels_are_taken_as_they_are(listed):
    table = corpora.load(f"mine:{listed}", labels="own")
    assert Counter(table["label"]) == dict.fromkeys(LABELS, 2)
    assert table["label"].tolist() == table["emotion"].tolist() == table["native_emotion"].tolist()
    assert table.attrs["labels"] == ["Neutral", "anger_high", "Freude", "tense", "Wut"]


def test_own_labels_join_the_canonical_ones_of_published_corpora(listed):
    table = corpora.load([f"mine:{listed}", "demo"], labels="own")
    assert {"angry", "neutral", "Neutral", "Wut"} <= set(table["label"])
    joined = corpora.load([f"mine:{listed}", "demo"], labels="own", map={"angry": "Wut", "neutral": "Neutral"})
    assert not {"angry", "neutral"} & set(joined["label"]) and len(joined) == len(table)


def test_folders_of_own_labels(tmp_path):
    for label in ("tense", "At ease"):
        (tmp_path / label / "anna").mkdir(parents=True)
        (tmp_path / label / "anna" / "1.wav").write_bytes(b"RIFF")
    table = corpora.load("folder", tmp_path, labels="own")
    assert table[["label", "speaker"]].values.tolist() == [["At ease", "folder:anna"], ["tense", "folder:anna"]]


def test_without_it_one_sentence_names_the_ways(listed):
    listed.write_bytes(listed.read_bytes().replace(b"Neutral", b"tense"))
    with pytest.raises(LabelError) as error:
        corpora.load(f"mine:{listed}")
    said = str(error.value)
    assert "\n" not in said and "'tense' (4)" in said and "lines that may fit: Wut,angry" in said
    assert "--labels own" in said and "--map FILE" in said and f"validate mine:{listed} --write-map FILE" in said


def test_labels_that_are_known_are_used_and_the_others_named(listed):
    with pytest.warns(UserWarning, match="the labels of 8 of 11 clips are no known emotions"):
        table = corpora.load(f"mine:{listed}")
    assert table["emotion"].tolist() == ["neutral"] * 2


def test_a_map_file(listed, tmp_path):
    file = tmp_path / "map.csv"
    file.write_bytes("sep=;\nEmotion;Label\nangry;wut\nJoy;Freude\n;tense\nanger;anger_high\n".encode("utf-16"))
    table = corpora.load(f"mine:{listed}", labels="six", map=file)
    assert Counter(table["label"]) == {"angry": 4, "happy": 2, "neutral": 2}
    assert "the map leaves its label out: tense" in corpora.exclusion_counts(table)["reason"].tolist()
    assert table.attrs["failed"] == ["mine:clips/10.wav"]  # what a map leaves out is no failure
    own = corpora.load(f"mine:{listed}", labels="own", map=file)
    assert Counter(own["label"]) == {"angry": 2, "Joy": 2, "anger": 2, "Neutral": 2}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            "label;emotion\nWut;angry\nFreud;hapy\n;sad\n",
            "line 3: unknown emotion 'hapy'.*line 4: it has no label",
        ),
        ("label,emotion\nWut,angry\nWut,sad\n", "line 3: 'Wut' is mapped to 'angry' and to 'sad'"),
        ("Wut,angry\n", "has the columns Wut, angry; expected label and emotion"),
        ("label,emotion\n", "maps no label"),
        ("", "it is empty"),
    ],
)
def test_rows_of_a_map_that_are_wrong_are_named(tmp_path, content, why):
    file = tmp_path / "map.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TableError, match=why):
        corpora.load("demo", map=file)


def test_a_map_of_labels_that_no_clip_has(listed):
    with pytest.warns(UserWarning, match=r"no clip has: 'Freud' \(did you mean 'Freude'\?\)"):
        corpora.load(f"mine:{listed}", labels="own", map={"Freud": "happy"})


def test_a_map_is_written_to_be_checked(listed, tmp_path):
    out = corpora.write_map(f"mine:{listed}", tmp_path / "map.csv")
    assert out.read_text("utf-8") == (
        "label,emotion\nFreude,happy\nNeutral,neutral\nWut,angry\nanger_high,angry\ntense,tense\n"
    )
    with pytest.raises(TargetError, match="is there already"):
        corpora.write_map(f"mine:{listed}", out)
    with pytest.raises(TableError, match="line 6: unknown emotion 'tense'.*--labels own"):
        corpora.load(f"mine:{listed}", map=out)
    assert set(corpora.load(f"mine:{listed}", labels="own", map=out)["label"]) == {"happy", "neutral", "angry", "tense"}


def test_a_summary_of_the_table_comes_first(listed, caplog):
    with caplog.at_level(logging.INFO, "ser_kit"):
        corpora.load(f"mine:{listed}", labels="own")
    said = caplog.text
    assert "liste.csv: 11 rows, semicolon, Windows-1252; columns: file as path, label as emotion, speaker" in said
    assert "gender as sex; not used: Datei" in said and "labels: Wut 2, Freude 2" in said
    assert "speakers: 2 (Jörg, Ute); missing files: 1" in said and "line 12 not used: there is no file" in said


def test_labels_in_two_cases_are_pointed_out(listed, caplog):
    listed.write_bytes(listed.read_bytes().replace(b"0.WAV;Wut", b"0.WAV;wut"))
    with caplog.at_level(logging.INFO, "ser_kit"):
        table = corpora.load(f"mine:{listed}", labels="own")
    assert {"Wut", "wut"} <= set(table["label"]) and "differ in case alone: wut, Wut" in caplog.text


@pytest.mark.parametrize("label", ["x" * 101, "a\tb", "red\x1b[31m"])
def test_labels_that_no_model_can_have(label):
    with pytest.raises(LabelError, match="expected 1 to 100 printable characters"):
        Naming(own=True).emotion(label)


def test_a_column_of_numbers_is_no_column_of_labels(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    rows = "".join(f"a.wav,{i / 7},{i},{i + 1}\n" for i in range(101))
    (tmp_path / "list.csv").write_text("path,emotion,start,end\n" + rows)
    with pytest.raises(LabelError, match="101 different labels"):
        corpora.load(f"mine:{tmp_path / 'list.csv'}", labels="own")


def test_start_and_duration_stand_for_an_end(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "list.csv").write_text("file;label;start;duration\na.wav;tense;1,5;0,25\na.wav;calm;4;\n")
    table = corpora.load(f"mine:{tmp_path / 'list.csv'}", labels="own")
    assert table[["start", "end"]].values.tolist() == [["1.5", "1.75"], ["4.0", ""]]


def test_colours_are_stable_and_differ():
    labels = ["tense", "Wut", "bored", "anger_high", "Freude", "sad", "生气"]
    found = colours(labels)
    assert len(set(found.values())) == len(labels) and list(found) == ordered(labels)
    assert found["sad"] == COLOURS["sad"] and found["Wut"] != found["anger_high"]
    assert colours(reversed(labels)) == found
    assert colours(EMOTIONS) == COLOURS


def test_models_of_own_labels_answer_in_some_of_them():
    labels = ("Neutral", "tense", "Wut")
    assert merged(labels, ["Wut", "tense"]) == {"Wut": ("Wut",), "tense": ("tense",)}
    assert label_set("own", labels).labels == labels
    with pytest.raises(LabelError, match="cannot answer in neutral, happy"):
        merged(labels, "six")


def test_words_of_eleven_languages_name_one_emotion_each():
    owners: dict[str, set[str]] = {}
    for emotion, lines in synonyms._WORDS.items():
        languages = lines.strip().splitlines()
        assert len(languages) == len(synonyms.LANGUAGES) and all(map(str.strip, languages)), emotion
        for word in lines.split():
            owners.setdefault(synonyms.bare(word), set()).add(emotion)
    assert not {word: found for word, found in owners.items() if len(found) > 1}
    assert set(synonyms._WORDS) == set(EMOTIONS) - {"other"}
    examples = ["生气", "ग़ुस्सा", "enojada", "colere", "غضب", "রাগ", "raiva", "гнев", "غصہ", "WÜTEND"]
    assert {synonyms.meaning(word) for word in examples} == {"angry"}
    assert synonyms.meaning("not angry") is synonyms.meaning("angry or sad") is synonyms.meaning("") is None
    with pytest.raises(LabelError):
        canonical("Wut")  # offered, never applied


texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=20)


@given(st.lists(texts, min_size=1, max_size=6))
def test_every_map_that_is_written_is_read(tmp_path_factory, labels):
    file = tmp_path_factory.getbasetemp() / "written.csv"
    file.write_text(map_text(labels), encoding="utf-8")
    assert len(read_map(file, own=True)) <= len(set(labels))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_map_or_an_error(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(b"label,emotion\n" + content)
    try:
        assert read_map(file, own=True)
    except TableError as error:
        assert str(file) in str(error)


@given(st.floats(0, 1e6), st.sampled_from(["{}", "{}s", "{} sec", "0 days 00:00:{}"]))
def test_times_are_read(number, form):
    number = round(number % 60 if "days" in form else number, 3)
    assert seconds(form.format(f"{number:.3f}")) == pytest.approx(number)


def test_bars_separate_too(tmp_path):
    (tmp_path / "list.csv").write_text("path|emotion\na, b.wav|sad\n")
    table = read(tmp_path / "list.csv")
    assert (table.separator, table.rows) == ("bar", [["a, b.wav", "sad"]])
