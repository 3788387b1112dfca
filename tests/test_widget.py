"""The upload widget without a browser: what it says and shows for each kind of upload, under ipywidgets 7 and 8."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from importlib.resources import files as package_files
from types import ModuleType

import ipywidgets as widgets
import numpy as np
import pytest
import soundfile
import traitlets
from hypothesis import given
from hypothesis import strategies as st

from ser_kit import widget
from ser_kit.audio import read_audio
from ser_kit.bundle import Bundle, preset_names
from ser_kit.errors import SerKitError
from ser_kit.predictor import Failure, Prediction, Predictor, Segment

NOW = datetime.now(UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture(scope="module")
def predictor(demo_bundle) -> Predictor:
    return Predictor.from_bundle(demo_bundle)


@pytest.fixture(scope="module")
def clip(demo_table) -> bytes:
    """A recording of the demo corpus, as a file's bytes."""
    with open(demo_table["path"].iloc[0], "rb") as file:
        return file.read()


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


def inside(box, kind: type) -> list:
    """All widgets of a kind, in the order of the page."""
    found = [box] if isinstance(box, kind) else []
    return found + [w for child in getattr(box, "children", ()) for w in inside(child, kind)]


def html(box) -> str:
    return "\n".join(w.value for w in inside(box, widgets.HTML))


def text(box) -> str:
    """What a reader sees, near enough."""
    plain = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html(box), flags=re.DOTALL)
    return re.sub(r"\s+", " ", plain.replace("&nbsp;", " "))


def upload(page: widget.UploadWidget, **files: bytes) -> None:
    """As ipywidgets 8 hands files over; until all are answered."""
    (button,) = inside(page, widgets.FileUpload)
    button.value = tuple(
        {"name": name, "type": "audio/wav", "size": len(content), "last_modified": NOW, "content": memoryview(content)}
        for name, content in files.items()
    )
    page.wait(300)


def send(page: widget.UploadWidget, *messages: dict, part: bytes = b"") -> None:
    """What the browser's part of the page says."""
    (controls,) = inside(page, Controls)
    for message in messages:
        controls._handle_custom_msg(message, [memoryview(part)] if part else [])


def panels(page: widget.UploadWidget) -> list[widgets.VBox]:
    return [box for box in inside(page, widgets.VBox) if "sk-card" in box._dom_classes]


class FileUpload7(widgets.VBox):
    """``FileUpload`` of ipywidgets 7.7 as far as Python sees it: a dict of names, which is not for us to write."""

    value = traitlets.Dict(read_only=True)
    disabled = traitlets.Bool()

    def __init__(self, accept, multiple, description, button_style, layout):
        super().__init__(layout=layout)


class Stub(Predictor):
    """Answers what it is told to."""

    def __init__(self, bundle: Bundle, **changes):
        super().__init__(bundle)
        self.changes = changes

    def predict(self, source):
        return replace(super().predict(source), **self.changes)


# ------------------------------------------------------------------------------------------------------------- answers


def test_a_recording_gets_its_emotion_its_sound_its_picture_and_its_features(predictor, clip):
    page = widget.UploadWidget(predictor)
    upload(page, **{"my clip.wav": clip})
    (answer,) = page.results
    (panel,) = panels(page)
    assert answer.path == "my clip.wav" and answer.emotion in predictor.labels
    assert answer.emotion in text(panel) and f"{100 * answer.confidence:.0f} %" in text(panel)
    assert all(f"{label} {100 * p:.0f} %" in text(panel) for label, p in answer.probabilities.items())
    (player,) = inside(panel, widgets.Audio)
    heard, rate = soundfile.read(io.BytesIO(player.value), dtype="float32")
    judged = read_audio(clip, rate=rate)
    assert not player.autoplay
    np.testing.assert_allclose(heard, judged.samples, atol=2**-15)
    assert re.search(
        r'<img [^>]*alt="Waveform and mel spectrogram of my clip.wav[^"]*" src="data:image/png;base64,', html(panel)
    )
    mean, std = predictor.bundle.card["typical"]["all"]["pitch_mean"]
    pitch = predictor.measure(clip)["pitch_mean"]
    z = abs(pitch - mean) / std
    assert f"Pitch {pitch:.0f} Hz {mean:.0f} &plusmn; {std:.0f} " in text(panel)
    assert f"{z:.1f} sd {'above' if pitch > mean else 'below'}" in text(panel)
    assert "Done: 1 recording." in text(page)


def test_the_answer_is_the_one_that_the_file_gets(predictor, demo_table):
    path = demo_table["path"].iloc[7]
    with open(path, "rb") as file:
        page = widget.UploadWidget(predictor)
        upload(page, clip=file.read())
    assert page.results == [replace(predictor.predict(path), path="clip")]


def test_a_broken_file_stands_among_good_ones(predictor, clip):
    page = widget.UploadWidget(predictor)
    upload(
        page, **{"a.wav": clip, "holiday.wav": PNG, "empty.wav": b"", "silent.wav": wav(np.zeros(16000)), "b.wav": clip}
    )
    kinds = [type(answer) for answer in page.results]
    assert kinds == [Prediction, Failure, Failure, Failure, Prediction]
    for panel, answer in zip(panels(page), page.results, strict=True):
        assert answer.path in text(panel)
        assert len(inside(panel, widgets.Audio)) == isinstance(answer, Prediction)
        assert "Traceback" not in text(panel)
        if isinstance(answer, Failure):
            assert "No answer" in text(panel) and escape(answer.error) in html(panel)
    assert "picture" in page.results[1].error and "silent" in page.results[3].error
    assert "Done: 5 recordings, 3 without an answer." in text(page)


def test_a_new_upload_replaces_the_old_one_and_the_same_file_can_be_chosen_again(predictor, clip):
    page = widget.UploadWidget(predictor)
    upload(page, one=PNG, two=PNG)
    old = panels(page)
    upload(page, one=clip)
    upload(page, one=clip)
    assert len(panels(page)) == len(page.results) == 1 and isinstance(page.results[0], Prediction)
    assert all(panel.comm is None for panel in old)  # closed: the browser forgets them too
    assert inside(page, widgets.FileUpload)[0].value == ()


def test_names_of_files_cannot_smuggle_html_or_mathematics(predictor, clip):
    name = '<img src=x onerror=alert(1)>"$\\bad$.wav'
    page = widget.UploadWidget(predictor)
    said = []
    page._status.observe(lambda change: said.append(change["new"]), names="value")
    for content, kind in ((clip, Prediction), (PNG, Failure)):
        upload(page, **{name: content})
        assert isinstance(page.results[0], kind)
        said.append(html(page))
    assert any("Working" in message for message in said)
    assert not any("<img src=x" in shown for shown in said)


def test_progress_counts_the_files(predictor):
    page = widget.UploadWidget(predictor)
    said = []
    page._status.observe(lambda change: said.append(change["new"]), names="value")
    upload(page, a=PNG, b=PNG, c=PNG)
    assert [re.search(r"(\d of \d|Done)", message)[0] for message in said] == ["1 of 3", "2 of 3", "3 of 3", "Done"]


def test_an_uncertain_answer_says_not_sure_and_why(predictor, clip):
    page = widget.UploadWidget(Stub(predictor.bundle, uncertain=True, reason="no emotion stands out"))
    upload(page, clip=clip)
    (answer,) = page.results
    assert f"Not sure No emotion stands out. The nearest is {answer.emotion} , {100 * answer.confidence:.0f} %" in text(
        page
    )
    assert "confident" not in text(page)


def test_what_needs_a_voice_is_not_measured_without_one(predictor, clip, monkeypatch):
    unvoiced = predictor.measure(clip) | {"voiced_ratio": 0.0, "pitch_mean": 0.0}
    monkeypatch.setattr(Predictor, "measure", lambda self, source: unvoiced)
    page = widget.UploadWidget(predictor)
    upload(page, hum=clip)
    assert "Pitch not measurable" in text(page) and "no pitch was found" in html(page)
    assert "Pitch 0 Hz" not in text(page)


def test_a_truncated_file_is_judged_with_a_warning(predictor, clip):
    page = widget.UploadWidget(predictor)
    upload(page, cut=clip[: len(clip) * 2 // 3])
    assert isinstance(page.results[0], Prediction)
    assert "the file is cut short" in text(page)


def test_what_begins_with_more_silence_than_is_played_is_answered(predictor, clip, monkeypatch):
    samples, rate = soundfile.read(io.BytesIO(clip), dtype="float32")
    late = io.BytesIO()
    soundfile.write(late, np.concatenate([np.zeros(9 * rate, np.float32), samples]), rate, format="WAV")
    monkeypatch.setattr(widget, "PLAYED_SECONDS", 3)
    page = widget.UploadWidget(predictor)
    upload(page, late=late.getvalue())
    assert isinstance(page.results[0], Prediction) and "Pitch variation" in text(page)


def test_an_upload_beyond_the_limit_is_refused(predictor, clip, monkeypatch):
    monkeypatch.setattr(widget, "LARGEST_UPLOAD", 1000)
    page = widget.UploadWidget(predictor)
    upload(page, large=clip)
    assert isinstance(page.results[0], Failure) and "cut it into parts" in text(page)


def test_a_fault_inside_is_said_plainly_and_logged(predictor, clip, caplog):
    class Broken(Predictor):
        def predict(self, source):
            raise RuntimeError("no <such> thing")

    page = widget.UploadWidget(Broken(predictor.bundle))
    upload(page, clip=clip)
    assert "RuntimeError: no &lt;such&gt; thing" in html(page) and "Traceback" not in html(page)
    assert "Traceback" in caplog.text


# ----------------------------------------------------------------------------------------------------- long recordings


def test_a_long_recording_shows_its_emotions_over_time(predictor, clip):
    speech = read_audio(clip, rate=16000).samples
    long = np.concatenate([np.tile(speech, 6)[: 8 * 16000], np.zeros(8 * 16000), speech])
    page = widget.UploadWidget(predictor)
    upload(page, talk=wav(long))
    (answer,) = page.results
    assert f"{len(answer.segments)} segments" in text(page)
    assert all(f"{100 * s.confidence:.0f} %" in text(page) for s in answer.segments)
    covered = sum(float(width) for width in re.findall(r'<span style="left:[^"]*width:([\d.]+)%', html(page)))
    assert covered == pytest.approx(100 * sum(s.end - s.start for s in answer.segments) / answer.duration, abs=0.1)
    assert covered < 85  # the silence stays empty
    upload(page, short=clip)
    assert "over time" not in text(page)


def test_the_player_of_a_very_long_recording_is_bounded(predictor, clip, monkeypatch):
    monkeypatch.setattr(widget, "PLAYED_SECONDS", 1)
    page = widget.UploadWidget(predictor)
    upload(page, clip=clip)
    (player,) = inside(page, widgets.Audio)
    assert soundfile.info(io.BytesIO(player.value)).duration == 1
    assert page.results[0].duration > 1.2


@given(st.lists(st.tuples(st.sampled_from(["happy", "sad"]), st.booleans()), max_size=20))
def test_stretches_hold_every_segment_once_in_order(windows):
    segments = [
        Segment(4.0 * i, 4.0 * (i + 1), emotion, 0.5, {}) for i, (emotion, silent) in enumerate(windows) if not silent
    ]
    runs = list(widget._runs(segments))
    assert sum(last.end - first.start for first, last in runs) == pytest.approx(4.0 * len(segments))
    assert all(first.emotion == last.emotion for first, last in runs)
    for (_, before), (after, _) in zip(runs, runs[1:], strict=False):
        assert before.emotion != after.emotion or before.end < after.start


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_comparing_says_how_far_and_on_which_side(value, mean, std):
    said = widget._compared(value, (mean, std)).replace("&nbsp;", " ")
    if said == "as typical":
        assert abs(value - mean) <= 0.051 * std
    else:
        z, side = re.fullmatch(r"([\d.]+) sd (above|below)", said).groups()
        assert float(z) * (1 if side == "above" else -1) == pytest.approx((value - mean) / std, abs=0.051)


@pytest.mark.parametrize("numbers", [None, (), (3.0, 0.0)])
def test_without_a_spread_there_is_nothing_to_compare_with(numbers):
    assert widget._compared(1.0, numbers) == "&ndash;"


# ----------------------------------------------------------------------------------------------- versions and loading


def test_ipywidgets_7_hands_over_a_dict_that_cannot_be_written(predictor, clip, monkeypatch):
    monkeypatch.setattr(widgets, "FileUpload", FileUpload7)
    page = widget.UploadWidget(predictor)
    (button,) = inside(page, FileUpload7)
    button.set_trait(
        "value",
        {
            "a.wav": {"metadata": {"name": "a.wav", "size": len(clip)}, "content": clip},
            "b.wav": {"metadata": {"name": "b.wav", "size": len(PNG)}, "content": PNG},
        },
    )
    assert [(type(r), r.path) for r in page.results] == [(Prediction, "a.wav"), (Failure, "b.wav")]
    assert "Done: 2 recordings, 1 without an answer." in text(page)


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_is_loaded_and_answers(name, clip, monkeypatch):
    monkeypatch.setenv(widget.BUNDLE_VARIABLE, name)
    page = widget.UploadWidget()
    upload(page, clip=clip)
    (answer,) = page.results
    assert isinstance(answer, Prediction) and answer == replace(Predictor.from_preset(name).predict(clip), path="clip")


def test_an_upload_waits_for_the_model_that_is_being_loaded(demo_bundle, clip):
    page = widget.UploadWidget(preset=demo_bundle)
    upload(page, clip=clip)
    assert isinstance(page.results[0], Prediction)
    assert "Done: 1 recording." in text(page) and "Trained on" in text(page)


def test_the_environment_names_the_bundle(demo_bundle, monkeypatch):
    monkeypatch.setenv(widget.BUNDLE_VARIABLE, str(demo_bundle))
    page = widget.UploadWidget()
    assert page._predictor.result(60).bundle.card["trained_on"][0]["corpus"] == "demo"
    assert "Ready" in text(page)


def test_a_model_that_cannot_be_loaded_is_said_and_uploads_are_closed(tmp_path, clip):
    page = widget.UploadWidget(preset=tmp_path)
    assert page._predictor.exception(60) is not None
    assert "The model cannot be loaded" in text(page) and "card.json" in text(page)
    assert inside(page, widgets.FileUpload)[0].disabled
    upload(page, clip=clip)
    assert page.results == [] and "The model cannot be loaded" in text(page)


def test_a_predictor_and_a_preset_are_one_too_many(predictor):
    with pytest.raises(TypeError, match="not both"):
        widget.UploadWidget(predictor, preset="house")


# ------------------------------------------------------------------------------------------------ about, Colab, the app


def test_the_page_says_what_the_model_is_worth_and_what_it_is_not_for(predictor):
    said = text(widget.UploadWidget(predictor))
    card = predictor.bundle.card
    assert f"{card['trained_on'][0]['clips']} clips by {card['trained_on'][0]['speakers']} speakers" in said
    assert f"{100 * card['evaluation']['scores']['uar']['mean']:.0f} % of the clips of demo rightly" in said
    assert "On speakers it had never heard" in said and "guessing: 17 %" in said
    assert "Do not use it to decide about people" in said and escape(card["trained_on"][0]["licence"]) in said


def test_a_score_on_known_speakers_is_not_passed_off_as_one_on_new_ones(predictor):
    scores = {"uar": {"mean": 0.9, "low": float("nan"), "high": float("nan")}}
    card = dict(predictor.bundle.card) | {"evaluation": {"speaker_independent": False, "scores": scores}}
    said = text(widget.UploadWidget(Predictor(Bundle(card, predictor.bundle.members))))
    assert "speakers it had also heard in training it named 90 %" in said and "Expect less of a new voice" in said
    assert "nan" not in said and "interval" not in said


def test_a_card_with_nothing_for_people_still_shows(predictor, clip):
    card = {k: v for k, v in predictor.bundle.card.items() if k not in ("evaluation", "trained_on", "title")}
    page = widget.UploadWidget(Predictor(Bundle(card, predictor.bundle.members)))
    upload(page, clip=clip)
    assert isinstance(page.results[0], Prediction) and "was not measured" in text(page)


def test_colab_s_own_upload_gets_the_same_answers(predictor, clip, monkeypatch, capsys):
    colab = ModuleType("google.colab")
    colab.files = ModuleType("google.colab.files")
    colab.files.upload = lambda: {"clip.wav": clip, "<b>.wav": PNG}
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    results = widget.upload_in_colab(predictor)
    assert results[0] == replace(predictor.predict(clip), path="clip.wav") and isinstance(results[1], Failure)
    kinds = [type(item).__name__ for item in shown]
    assert kinds.count("Audio") == 1
    everything = "".join(item.data for item in shown if type(item).__name__ == "HTML")
    assert results[0].emotion in everything and "<b>.wav" not in everything and "About this model" in everything


def test_colab_s_upload_elsewhere_points_to_the_widget(predictor):
    with pytest.raises(SerKitError, match="Colab only"):
        widget.upload_in_colab(predictor)


def test_show_displays_one_widget(predictor, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert widget.show(predictor) is None
    assert [type(item) for item in shown] == [widget.UploadWidget]


def test_the_app_is_a_clean_notebook_that_shows_the_widget(monkeypatch):
    notebook = json.loads((package_files("ser_kit") / "app.ipynb").read_text(encoding="utf-8"))
    assert not any(cell["outputs"] or cell["execution_count"] for cell in notebook["cells"])
    shown, names = [], {}
    monkeypatch.setattr(widget, "show", lambda: shown.append(True))
    for cell in notebook["cells"]:
        exec("".join(cell["source"]), names)
    assert shown == [True]
