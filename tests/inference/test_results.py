"""Files of answers: nothing is lost, taken for something else, or run by a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ser_kit.core.errors import TableError
from ser_kit.inference.prediction import Failure, Prediction
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.results import Results, csv_text
from ser_kit.inference.stream import Moment

NAMES = [
    "plain", "line\nfeed", "bare\rreturn", "next\u0085line", "line\u2028separator", "paragraph\u2029",
    'a "quoted", one', "=1+1", "+1", "-1", "@cell", "\ttab", "'apostrophe", "bad\udcff",
]  # fmt: skip


@pytest.fixture(scope="module")
def predictor(demo_bundle):
    return Predictor.from_bundle(demo_bundle)


@pytest.fixture
def recordings(demo_table, tmp_path, monkeypatch) -> list[str]:
    """Copies of a clip under every name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        shutil.copyfile(demo_table["path"].iloc[0], f"{name}.wav")
    return [f"{name}.wav" for name in NAMES]


def answer(predictor: Predictor, path: str) -> Prediction:
    share = 1 / len(predictor.labels)
    each = dict.fromkeys(predictor.labels, share)
    return Prediction(predictor.labels[0], share, each, True, "no emotion stands out", (), 1.0, path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_recordings_of_any_name_are_found_again(predictor, recordings, tmp_path, suffix):
    out = tmp_path / f"answers.{suffix}"
    with Results(out, predictor) as file:
        assert file.missing(recordings) == recordings
        for path in recordings:
            file.add(answer(predictor, path))
    with Results(out, predictor) as file:
        assert file.missing([*recordings, "new.wav"]) == ["new.wav"]
    whole = out.read_bytes()
    for end in range(len(whole) - 300, len(whole), 13):  # killed while the last ones were written
        out.write_bytes(whole[:end])
        with Results(out, predictor) as file:
            missing = file.missing(recordings)
            assert recordings[-1] in missing and len(missing) < len(recordings)


def test_no_cell_is_a_formula(predictor, recordings, tmp_path):
    with Results(tmp_path / "answers.csv", predictor) as file:
        for path in recordings:
            file.add(Failure(path, "=HYPERLINK(1)"))
    text = (tmp_path / "answers.csv").read_bytes().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["path"].removeprefix("'") for row in rows] == recordings
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row.values())
    assert csv_text([{"a": -1.5}], ["a"]) == "a\n-1.5\n"  # a number stays one


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_failures_and_changed_recordings_are_tried_again(predictor, recordings, demo_table, tmp_path, suffix):
    out, (first, second, third) = tmp_path / f"answers.{suffix}", recordings[:3]
    with Results(out, predictor) as file:
        for path in (first, second, third):
            file.add(Failure(path, "broken") if path == second else answer(predictor, path))
    shutil.copyfile(demo_table["path"].iloc[1], third)
    with Results(out, predictor) as file:
        assert file.missing([first]) == []
        assert file.missing([first, second, third]) == [second, third]
        for path in (second, third):
            file.add(answer(predictor, path))
    with Results(out, predictor) as file:
        assert file.missing(recordings[:3]) == []
    lines = out.read_bytes().split(b"\n")
    assert sum(b"plain" in line for line in lines) == sum(b"return" in line for line in lines) == 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_belongs_to_one_bundle_and_its_settings(predictor, recordings, tmp_path, suffix):
    out = tmp_path / f"answers.{suffix}"
    with Results(out, predictor, timeline=True, settings={"window": 2.0}) as file:
        file.add(answer(predictor, recordings[0]), [])
        file.add(Failure(recordings[1], "broken"))
    before = out.read_bytes()
    warmer = replace(predictor.bundle, card=predictor.bundle.card | {"temperature": 3.0})
    for other, settings in [(predictor, None), (predictor, {"window": 3.0}), (Predictor(warmer), {"window": 2.0})]:
        with pytest.raises(TableError, match="another bundle, or with other settings"):
            Results(out, other, timeline=True, settings=settings)
    assert out.read_bytes() == before
    Results(out, predictor, timeline=True, settings={"window": 2.0, "hop": 1.0}).__exit__()  # hop is the default


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_is_written_by_one_process_at_a_time(predictor, recordings, tmp_path, suffix):
    pytest.importorskip("fcntl", reason="files are not locked on Windows")
    out = tmp_path / f"answers.{suffix}"
    with Results(out, predictor) as file:
        file.add(Failure(recordings[0], "broken"))
        with pytest.raises(TableError, match="is being written by another process"):
            Results(out, predictor)
    with Results(out, predictor) as file:
        assert file.missing(recordings[:1]) == recordings[:1]  # the file is replaced, and still the one process's own
        with pytest.raises(TableError, match="is being written by another process"):
            Results(out, predictor)
        file.add(answer(predictor, recordings[0]))
    if suffix == "jsonl":
        (line,) = out.read_text().splitlines()
        assert json.loads(line)["path"] == recordings[0]
    else:
        assert list(pd.read_csv(out)["path"]) == [recordings[0]]


def test_moments_count_when_all_of_them_are_there(predictor, recordings, tmp_path):
    out, (first, second) = tmp_path / "answers.csv", recordings[:2]
    moments = [Moment(i, i + 3, predictor.labels[0], 1, answer(predictor, "").probabilities) for i in range(4)]
    with Results(out, predictor, timeline=True) as file:
        for path in (first, second):
            file.add(answer(predictor, path), moments)
    whole = out.read_bytes()
    out.write_bytes(whole[: whole.rindex(b"line\nfeed") - 1])  # three of the second one's four rows, whole lines
    with Results(out, predictor, timeline=True) as file:
        assert file.missing([first, second]) == [second]
        file.add(answer(predictor, second), moments)
    assert out.read_bytes() == whole


def test_a_file_that_is_replaced_stays_a_link_and_private(predictor, recordings, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out, target = tmp_path / "answers.csv", tmp_path / "elsewhere" / "real.csv"
    out.symlink_to(target)
    with Results(out, predictor) as file:
        file.add(Failure(recordings[0], "broken"))
    target.chmod(0o600)
    with Results(out, predictor) as file:
        assert file.missing(recordings[:1]) == recordings[:1]
        file.add(answer(predictor, recordings[0]))
    assert out.is_symlink() and target.stat().st_mode & 0o777 == 0o600
    assert list(pd.read_csv(target)["path"]) == [recordings[0]]
    assert [path.name for path in target.parent.iterdir()] == ["real.csv"]


def test_what_a_kill_left_of_the_first_line_is_written_anew(predictor, recordings, tmp_path):
    for suffix in ("csv", "jsonl"):
        out = tmp_path / f"answers.{suffix}"
        with Results(out, predictor) as file:
            file.add(answer(predictor, recordings[0]))
        whole = out.read_bytes()
        for size in (0, 5, 60):
            out.write_bytes(whole[:size])
            with Results(out, predictor) as file:
                assert file.missing(recordings[:1]) == recordings[:1]
                file.add(answer(predictor, recordings[0]))
            assert out.read_bytes() == whole


def test_the_file_of_another_program_is_left_alone(predictor, tmp_path):
    foreign = [("a.csv", "path,emotion\nx.wav,happy\n"), ("b.jsonl", '{"path": "x.wav"}\n'), ("c.csv", "é;\n")]
    foreign += [("d.csv", "notes, without a line's end"), ("e.jsonl", "notes"), ("f.jsonl", '{"name": 1}')]
    for name, text in foreign:
        Path(tmp_path / name).write_text(text)
        with pytest.raises(TableError, match="does not hold answers"):
            Results(tmp_path / name, predictor)
        assert (tmp_path / name).read_text() == text
