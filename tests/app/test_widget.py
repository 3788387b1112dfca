"""The page without a browser: what it says and shows for each kind of upload, under ipywidgets 7 and 8."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from html import escape, unescape
from types import ModuleType

import ipywidgets as widgets
import numpy as np
import pytest
import soundfile
import traitlets
from hypothesis import given
from hypothesis import strategies as st

from ser_kit import app
from ser_kit.app import answer as answering
from ser_kit.app import html as said_in_html
from ser_kit.app import page as page_module
from ser_kit.app.controls import Controls
from ser_kit.app.picture import joined, picture, ribbon, stretches
from ser_kit.audio import read_audio
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.presets import preset_names
from ser_kit.core.errors import SerKitError
from ser_kit.core.formats import portion
from ser_kit.inference.answers import NO_SPEECH
from ser_kit.inference.prediction import Failure, Prediction
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.stream import Moment, timeline
from ser_kit.plots import tracks

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
    return re.sub(r"\s+", " ", unescape(plain))


def upload(page: app.UploadWidget, **files: bytes) -> None:
    """As ipywidgets 8 hands files over; until all are answered."""
    (button,) = inside(page, widgets.FileUpload)
    button.value = tuple(
        {"name": name, "type": "audio/wav", "size": len(content), "last_modified": NOW, "content": memoryview(content)}
        for name, content in files.items()
    )
    page.wait(300)


def send(page: app.UploadWidget, *messages: dict, part: bytes = b"") -> None:
    """What the browser's part of the page says."""
    (controls,) = inside(page, Controls)
    for message in messages:
        controls._handle_custom_msg(message, [memoryview(part)] if part else [])


def name(panel) -> str:
    return re.search(r'<h3 class="sk-name">(.*?)</h3>', html(panel))[1]


def press(page: app.UploadWidget, description: str) -> None:
    (button,) = [one for one in inside(page, widgets.Button) if one.description == description]
    button.click()
    page.wait(300)


def shown(page: app.UploadWidget, description: str) -> bool:
    (button,) = [one for one in inside(page, widgets.Button) if one.description == description]
    return button.layout.display != "none"


def panels(page: app.UploadWidget) -> list[widgets.VBox]:
    return [box for box in inside(page, widgets.VBox) if "sk-card" in box._dom_classes]


class FileUpload7(widgets.VBox):
    """``FileUpload`` of ipywidgets 7.7 as far as Python sees it: a dict of names, which is not for us to write."""

    value = traitlets.Dict(read_only=True)
    disabled = traitlets.Bool()

    def __init__(self, accept, multiple, description):
        super().__init__()


class Stub(Predictor):
    """Answers what it is told to."""

    def __init__(self, bundle: Bundle, **changes):
        super().__init__(bundle)
        self.changes = changes

    def predict(self, source, watch=None):
        return replace(super().predict(source, watch=watch), **self.changes)


# ------------------------------------------------------------------------------------------------------------- answers


def test_a_recording_gets_its_emotion_its_sound_its_picture_and_its_features(predictor, clip):
    page = app.UploadWidget(predictor)
    upload(page, **{"my clip.wav": clip})
    (answer,) = page.results
    (panel,) = panels(page)
    assert answer.path == "my clip.wav" and answer.emotion in predictor.labels
    assert answer.emotion in text(panel) and f"{portion(answer.confidence)}" in text(panel)
    assert all(f"{label} {portion(p)}" in text(panel) for label, p in answer.probabilities.items())
    (player,) = inside(panel, widgets.Audio)
    heard, rate = soundfile.read(io.BytesIO(player.value), dtype="float32")
    judged = read_audio(clip, sr=rate)
    assert not player.autoplay
    np.testing.assert_allclose(heard, judged.samples, atol=2**-15)
    assert re.search(
        r'<img alt="Waveform and mel spectrogram of my clip.wav[^"]*" src="data:image/png;base64,', html(panel)
    )
    mean, std = predictor.bundle.card["typical"]["all"]["pitch_mean"]
    pitch = predictor.measure(clip)["pitch_mean"]
    z = abs(pitch - mean) / std
    assert f"Pitch {pitch:.0f} Hz {mean:.0f} ± {std:.0f} " in text(panel)
    assert f"{z:.1f} sd {'above' if pitch > mean else 'below'}" in text(panel)
    assert "Done: 1 recording." in text(page)


def test_the_answer_is_the_one_that_the_file_gets(predictor, demo_table):
    path = demo_table["path"].iloc[7]
    with open(path, "rb") as file:
        page = app.UploadWidget(predictor)
        upload(page, clip=file.read())
    assert page.results == [replace(predictor.predict(path), path="clip")]


def test_a_broken_file_stands_among_good_ones(predictor, clip):
    page = app.UploadWidget(predictor)
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


def test_uploads_stay_the_newest_above_until_the_page_is_cleared(predictor, clip):
    page = app.UploadWidget(predictor)
    upload(page, one=clip, two=PNG)
    upload(page, one=clip)
    assert [name(panel) for panel in panels(page)] == ["one", "one", "two"]
    assert [type(result) for result in page.results] == [Prediction, Failure, Prediction]
    assert inside(page, widgets.FileUpload)[0].value == ()  # the same file can be chosen again
    old = panels(page)
    parts = [part for panel in old for part in inside(panel, widgets.Widget)]
    press(page, "Clear the page")
    assert panels(page) == page.results == [] and not shown(page, "Clear the page")
    assert all(part.comm is None for part in parts)  # closed: the browser forgets them too
    assert "Ready" in text(page) and "Save all answers" not in text(page)


def alive() -> set[str]:
    """Widgets that the page's server holds: those that were made and not closed."""
    known = getattr(widgets.widget, "_instances", None)  # of ipywidgets 8
    return set(widgets.Widget.widgets if known is None else known)


def test_no_widget_of_a_recording_outlives_it(predictor, clip, talk, monkeypatch):
    monkeypatch.setattr(page_module, "portrait_png", lambda answer: PNG)  # which takes long
    at_first = alive()
    page = app.UploadWidget(predictor)
    empty = alive()
    for _ in range(2):
        upload(page, one=clip, talk=wav(talk), two=PNG)
        press(page, "Clear the page")
        assert alive() == empty
    upload(page, one=clip, two=clip, three=clip)
    first, second = inside(page, widgets.Dropdown)
    first.value, second.value = first.options[1][1], second.options[2][1]  # the third has its card, too
    page.close()
    assert alive() == at_first
    with pytest.raises(TypeError):
        app.UploadWidget(predictor, preset="from_scratch")  # not built, and yet closed when Python forgets it


def test_a_page_keeps_a_bounded_amount_of_sound(predictor, clip, monkeypatch):
    monkeypatch.setattr(page_module, "portrait_png", lambda answer: PNG)
    sound = 2 * len(read_audio(clip, sr=predictor.bundle.rate).samples)
    monkeypatch.setattr(page_module, "_KEPT_BYTES", int(1.5 * sound))
    page = app.UploadWidget(predictor)
    upload(page, **{f"{i}.wav": clip for i in range(4)})
    assert [bool(inside(panel, widgets.Audio)) for panel in panels(page)] == [False, False, True, True]
    assert ["Its player was removed" in text(panel) for panel in panels(page)] == [True, True, False, False]
    assert all("Save the picture" in text(panel) and "Pitch" in text(panel) for panel in panels(page))
    upload(page, last=clip)
    assert [name(panel) for panel in panels(page) if inside(panel, widgets.Audio)] == ["last", "3.wav"]
    assert all(card.answer.played is None for card in page._cards)  # what is drawn is let go


def test_names_of_files_cannot_smuggle_html_or_mathematics(predictor, clip):
    name = '<img src=x onerror=alert(1)>"$\\bad$.wav'
    page = app.UploadWidget(predictor)
    said = []
    for box in inside(page, widgets.HTML):
        box.observe(lambda change: said.append(change["new"]), names="value")
    for content, kind in ((clip, Prediction), (PNG, Failure)):
        upload(page, **{name: content})
        assert isinstance(page.results[-1], kind)
        said.append(html(page))
    assert any("Working" in message for message in said)
    assert not any("<img src=x" in shown for shown in said)


def test_progress_counts_the_files(predictor):
    page = app.UploadWidget(predictor)
    said = []
    inside(page, Controls)[0].observe(lambda change: said.append(change["new"]), names="status")
    upload(page, a=PNG, b=PNG, c=PNG)
    assert [re.search(r"(\d of \d|Done)", message)[0] for message in said] == ["1 of 3", "2 of 3", "3 of 3", "Done"]


def test_an_uncertain_answer_says_not_sure_and_why(predictor, clip):
    page = app.UploadWidget(Stub(predictor.bundle, uncertain=True, reason="no emotion stands out"))
    upload(page, clip=clip)
    (answer,) = page.results
    nearest = f"The most probable is {answer.emotion} , {100 * answer.confidence:.0f} %"
    assert f"Not sure No emotion stands out. {nearest}" in text(page)
    assert "confident" not in text(page) and 'class="sk-emotion"' not in html(page)


def test_what_is_no_speech_has_no_bars(predictor, clip):
    page = app.UploadWidget(Stub(predictor.bundle, uncertain=True, reason=f"{NO_SPEECH} (hardly any voice)"))
    upload(page, clip=clip)
    assert "Not sure It does not sound like speech (hardly any voice)." in text(page)
    assert 'class="sk-bars"' not in html(page) and "most probable" not in text(page)


def test_a_card_says_for_which_languages_the_answer_is_known(predictor, clip):
    page = app.UploadWidget(predictor)
    upload(page, clip=clip)
    assert "Tested on adults who acted emotions in English" in text(page)


def test_what_needs_a_voice_is_not_measured_without_one(predictor, clip, monkeypatch):
    unvoiced = predictor.measure(clip) | {"voiced_ratio": 0.0, "pitch_mean": 0.0}
    monkeypatch.setattr(Predictor, "measure", lambda self, source, watch=None: unvoiced)
    page = app.UploadWidget(predictor)
    upload(page, hum=clip)
    assert "Pitch not measurable" in text(page) and "Pitch 0 Hz" not in text(page)
    (told,) = re.findall(r'<p class="sk-traits">(.*?)</p>', html(page))
    assert "pitch" not in told.lower() and "jitter" not in told.lower()


def test_a_truncated_file_is_judged_with_a_warning(predictor, clip):
    page = app.UploadWidget(predictor)
    upload(page, cut=clip[: len(clip) * 2 // 3])
    assert isinstance(page.results[0], Prediction)
    assert "the file is cut short" in text(page)


def test_what_begins_with_more_silence_than_is_played_is_answered(predictor, clip, monkeypatch):
    samples, rate = soundfile.read(io.BytesIO(clip), dtype="float32")
    late = io.BytesIO()
    soundfile.write(late, np.concatenate([np.zeros(9 * rate, np.float32), samples]), rate, format="WAV")
    monkeypatch.setattr(answering, "PLAYED_SECONDS", 3)
    page = app.UploadWidget(predictor)
    upload(page, late=late.getvalue())
    assert isinstance(page.results[0], Prediction) and "Pitch variation" in text(page)


def test_an_upload_beyond_the_limit_is_refused(predictor, clip, monkeypatch):
    monkeypatch.setattr(answering, "LARGEST_UPLOAD", 1000)
    page = app.UploadWidget(predictor)
    upload(page, large=clip)
    assert isinstance(page.results[0], Failure) and "split it, or save it" in text(page)


def test_a_fault_inside_is_said_plainly_and_logged(predictor, clip, caplog):
    class Broken(Predictor):
        def predict(self, source, watch=None):
            raise RuntimeError("no <such> thing")

    page = app.UploadWidget(Broken(predictor.bundle))
    upload(page, clip=clip)
    assert "RuntimeError: no &lt;such&gt; thing" in html(page) and "Traceback" not in html(page)
    assert "Traceback" in caplog.text


# ----------------------------------------------------------------------------------------------------- long recordings


@pytest.fixture(scope="module")
def talk(clip) -> np.ndarray:
    """Eight seconds of speech, eight of silence, and a little speech again, at 16 kHz."""
    speech = read_audio(clip, sr=16000).samples
    return np.concatenate([np.tile(speech, 6)[: 8 * 16000], np.zeros(8 * 16000), speech])


def test_a_recording_of_more_than_a_few_seconds_shows_its_emotion_over_time(predictor, clip, talk):
    page = app.UploadWidget(predictor)
    upload(page, talk=wav(talk))
    shown_of = html(page)
    (stored,) = re.findall(r'data-moments="([^"]*)"', shown_of)
    moments = json.loads(unescape(stored))
    heard = timeline(predictor, (talk, 16000), smoothing=0)
    assert [moment[2] for moment in moments] == [moment.emotion for moment in heard if moment.emotion]
    assert [moment[3] for moment in moments] == [round(100 * m.confidence) for m in heard if m.emotion]
    covered = sum(float(width) for width in re.findall(r'<span style="left:[^"]*width:([\d.]+)%', shown_of))
    assert covered == pytest.approx(100 * sum(b - a for a, b, *_ in moments) / (len(talk) / 16000), abs=0.2)
    assert covered < 85  # the silence stays empty
    upload(page, short=clip)
    assert "over time" not in text(panels(page)[0])


def test_the_player_of_a_very_long_recording_is_bounded(predictor, clip, monkeypatch):
    monkeypatch.setattr(answering, "PLAYED_SECONDS", 1)
    page = app.UploadWidget(predictor)
    upload(page, clip=clip)
    (player,) = inside(page, widgets.Audio)
    assert soundfile.info(io.BytesIO(player.value)).duration == 1
    assert page.results[0].duration > 1.2


WINDOWS = st.lists(st.sampled_from(["happy", "sad", ""]), min_size=1, max_size=20)


@given(WINDOWS, st.sampled_from([0.5, 1.0, 3.0]))
def test_stretches_cover_the_recording_around_the_middles_of_their_windows(emotions, hop):
    moments = [Moment(hop * i, hop * i + 3, emotion, 0.5) for i, emotion in enumerate(emotions)]
    duration = moments[-1].end
    parts = stretches(moments, duration)
    assert [part.emotion for part in parts] == [emotion for emotion in emotions if emotion]
    spoken = [moment for moment in moments if moment.emotion]
    assert all(part.start <= (m.start + m.end) / 2 <= part.end for part, m in zip(parts, spoken, strict=True))
    if all(emotions):
        assert parts[0].start == 0 and parts[-1].end == duration
        assert all(before.end == after.start for before, after in zip(parts, parts[1:], strict=False))


@given(WINDOWS)
def test_joined_stretches_hold_every_second_once_in_order(emotions):
    moments = [Moment(float(i), i + 3.0, emotion, 0.5) for i, emotion in enumerate(emotions)]
    parts = stretches(moments, moments[-1].end)
    together = list(joined(parts))
    assert sum(p.end - p.start for p in together) == pytest.approx(sum(p.end - p.start for p in parts))
    for before, after in zip(together, together[1:], strict=False):
        assert before.emotion != after.emotion or before.end < after.start


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.3])
def test_a_picture_of_very_little_sound(seconds):
    samples = np.sin(np.arange(int(16000 * seconds)) / 20).astype(np.float32)
    assert "of hum, with" in picture("hum", read_audio((samples, 16000)))


def test_the_picture_draws_pitch_and_intensity_where_they_are(clip):
    recording = read_audio(clip, sr=16000)
    drawn = picture("clip", recording)
    for style, (times, values), (low, high) in (
        ("sk-pitch", tracks.pitch(recording), tracks.PITCH_RANGE),
        ("sk-intensity", tracks.intensity(recording), tracks.INTENSITY_RANGE),
    ):
        (path,) = re.findall(rf'<path class="{style}" d="([^"]*)"', drawn)
        points = np.array(
            [[float(number) for number in pair.split(",")] for pair in re.findall(r"[\d.]+,[\d.]+", path)]
        )
        there = np.isfinite(values)
        np.testing.assert_allclose(
            points[:, 0] / 1000 * recording.duration, times[there], atol=recording.duration / 1000
        )
        np.testing.assert_allclose(high - points[:, 1] / 100 * (high - low), values[there], atol=(high - low) / 1000)


def measured_at(card: dict, **distances: float) -> dict[str, float]:
    """Features as far from the mean of the neutral clips as is said, in standard deviations."""
    usual = card["typical"]["neutral"]
    at_mean = {name: mean for name, (mean, _) in usual.items()} | {"voiced_ratio": usual["voiced_ratio"][0]}
    return at_mean | {name: usual[name][0] + z * usual[name][1] for name, z in distances.items()}


def told(measured: dict, card: dict) -> str:
    prediction = Prediction("sad", 0.5, {"sad": 0.5}, False, "", (), 1.0)
    return re.findall(r'<p class="sk-traits">(.*?)</p>', said_in_html.features(prediction, measured, card))[0]


def test_the_most_telling_features_are_said_in_words(predictor):
    card = predictor.bundle.card
    measured = measured_at(card, pitch_mean=1.4, intensity_mean=-0.9, tempo=2.0, centroid_mean=0.52, jitter_local=0.1)
    of_all = "neutral speech in the training recordings."
    assert told(measured, card) == f"The voice is higher, quieter and brighter than {of_all}"
    assert told(measured_at(card, pitch_variation=-0.6), card) == f"The voice is more even than {of_all}"
    assert told(measured_at(card), card) == f"The voice is much the same as {of_all}"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_comparing_says_how_far_and_on_which_side(value, mean, std):
    said = str(said_in_html._compared(value, (mean, std))).replace("&nbsp;", " ")
    if said == "as typical":
        assert abs(value - mean) <= 0.051 * std
    else:
        z, side = re.fullmatch(r"([\d.]+) sd (above|below)", said).groups()
        assert float(z) * (1 if side == "above" else -1) == pytest.approx((value - mean) / std, abs=0.051)


@pytest.mark.parametrize("numbers", [None, (), (3.0, 0.0)])
def test_without_a_spread_there_is_nothing_to_compare_with(numbers):
    assert said_in_html._compared(1.0, numbers) == "&ndash;"


# ----------------------------------------------------------------------------------------------- versions and loading


def test_ipywidgets_7_hands_over_a_dict_that_cannot_be_written(predictor, clip, monkeypatch):
    monkeypatch.setattr(widgets, "FileUpload", FileUpload7)
    page = app.UploadWidget(predictor)
    (button,) = inside(page, FileUpload7)
    button.set_trait(
        "value",
        {
            "a.wav": {"metadata": {"name": "a.wav", "size": len(clip)}, "content": clip},
            "b.wav": {"metadata": {"name": "b.wav", "size": len(PNG)}, "content": PNG},
        },
    )
    page.wait(300)
    assert [(type(r), r.path) for r in page.results] == [(Prediction, "a.wav"), (Failure, "b.wav")]
    assert "Done: 2 recordings, 1 without an answer." in text(page)


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_is_loaded_and_answers(name, clip, monkeypatch):
    monkeypatch.setenv(app.BUNDLE_VARIABLE, name)
    page = app.UploadWidget()
    upload(page, clip=clip)
    (answer,) = page.results
    assert isinstance(answer, Prediction) and answer == replace(Predictor.from_preset(name).predict(clip), path="clip")


def test_an_upload_waits_for_the_model_that_is_being_loaded(demo_bundle, clip):
    page = app.UploadWidget(preset=demo_bundle)
    upload(page, clip=clip)
    assert isinstance(page.results[0], Prediction)
    assert "Done: 1 recording." in text(page) and "Trained on" in text(page)


def test_the_environment_names_the_bundle(demo_bundle, monkeypatch):
    monkeypatch.setenv(app.BUNDLE_VARIABLE, str(demo_bundle))
    page = app.UploadWidget()
    page.wait(60)
    assert "speakers of the corpus demo" in text(page) and "Ready" in text(page)


def test_a_model_that_cannot_be_loaded_is_said_and_uploads_are_closed(tmp_path, clip):
    page = app.UploadWidget(preset=tmp_path)
    page.wait(60)
    assert "The model cannot be loaded" in text(page) and "card.json" in text(page)
    assert inside(page, widgets.FileUpload)[0].disabled
    assert inside(page, Controls)[0].closed
    upload(page, clip=clip)
    assert page.results == [] and "The model cannot be loaded" in text(page)
    assert not shown(page, "Cancel")


def test_a_predictor_and_a_preset_are_one_too_many(predictor):
    with pytest.raises(TypeError, match="not both"):
        app.UploadWidget(predictor, preset="from_scratch")


# ------------------------------------------------------------------------------------------------ about, Colab, the app


def test_the_page_says_what_the_model_is_worth_and_what_it_is_not_for(predictor):
    said = text(app.UploadWidget(predictor))
    card = predictor.bundle.card
    assert f"{card['trained_on'][0]['clips']} clips by {card['trained_on'][0]['speakers']} speakers" in said
    pooled = f"{100 * card['evaluation']['scores']['uar']['pooled']:.0f} %"
    assert f"(UAR) on speakers not in training (corpora: demo): {pooled}" in said and "guessing gives 17 %" in said
    assert "interval" in said and "too narrow with only 2 speakers" in said
    assert "Do not use it to decide about people" in said and escape(card["trained_on"][0]["licence"]) in said


def test_corpora_that_were_left_out_are_named_one_by_one(predictor):
    left_out = [{"corpus": "north", "uar": 0.512}, {"corpus": "west", "uar": 0.33}]
    card = dict(predictor.bundle.card) | {"left_out": left_out}
    said = text(app.UploadWidget(Predictor(Bundle(card, predictor.bundle.members))))
    assert "on corpora left out of training: 51 % on north, 33 % on west" in said and "guessing gives 17 %" in said


def test_a_score_on_known_speakers_is_not_passed_off_as_one_on_new_ones(predictor):
    scores = {"uar": {"mean": 0.7, "pooled": 0.9, "low": float("nan"), "high": float("nan")}}
    card = dict(predictor.bundle.card) | {"evaluation": {"speaker_independent": False, "scores": scores}}
    said = text(app.UploadWidget(Predictor(Bundle(card, predictor.bundle.members))))
    assert "on speakers also in training: 90 %" in said and "Expect lower accuracy on new speakers" in said
    assert "nan" not in said and "interval" not in said


def test_a_card_with_nothing_for_people_still_shows(predictor, clip):
    card = {k: v for k, v in predictor.bundle.card.items() if k not in ("evaluation", "trained_on", "title")}
    page = app.UploadWidget(Predictor(Bundle(card, predictor.bundle.members)))
    upload(page, clip=clip)
    assert isinstance(page.results[0], Prediction) and "was not measured" in text(page)


def test_colab_s_own_upload_gets_the_same_answers(predictor, clip, monkeypatch, capsys):
    colab = ModuleType("google.colab")
    colab.files = ModuleType("google.colab.files")
    colab.files.upload = lambda: {"clip.wav": clip, "<b>.wav": PNG}
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    results = app.upload_in_colab(predictor)
    assert results[0] == replace(predictor.predict(clip), path="clip.wav") and isinstance(results[1], Failure)
    kinds = [type(item).__name__ for item in shown]
    assert kinds.count("Audio") == 1
    everything = "".join(item.data for item in shown if type(item).__name__ == "HTML")
    assert results[0].emotion in everything and "<b>.wav" not in everything and "About this model" in everything


@pytest.mark.parametrize("one", [app.upload_in_colab, app.record_in_colab])
def test_colab_s_own_elsewhere_points_to_the_widget(one, predictor):
    with pytest.raises(SerKitError, match="Colab only"):
        one(predictor)


def test_a_recording_by_colab_s_own_means_gets_its_answer(predictor, clip, monkeypatch):
    colab = ModuleType("google.colab")
    colab.output = ModuleType("google.colab.output")
    colab.output.eval_js = lambda script: base64.b64encode(clip).decode() if "recordButton" in script else ""
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr("IPython.display.display", lambda thing: None)
    answer = app.record_in_colab(predictor)
    assert answer == replace(predictor.predict(clip), path=answer.path) and answer.path.startswith("recording at ")


def test_show_displays_one_widget(predictor, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert app.show(predictor) is None
    assert [type(item) for item in shown] == [app.UploadWidget]


# --------------------------------------------------------------------------------------------- parts, cancel, compare


class Gate(Predictor):
    """Judges windows only while it is open."""

    def __init__(self, bundle: Bundle):
        super().__init__(bundle)
        self.reached, self.open = threading.Event(), threading.Event()

    def predict_window(self, piece):
        self.reached.set()
        assert self.open.wait(60)
        return super().predict_window(piece)


def begin(page: app.UploadWidget, **sizes: int) -> None:
    files = [{"id": name, "name": name, "size": size} for name, size in sizes.items()]
    send(page, {"kind": "files", "files": files})


def test_a_file_comes_in_parts_and_each_is_acknowledged(predictor, clip):
    page = app.UploadWidget(predictor)
    (controls,) = inside(page, Controls)
    sent = []
    controls.send = lambda content, buffers=None: sent.append(content)
    begin(page, talk=len(clip), other=len(clip))
    half = len(clip) // 2
    send(page, {"kind": "part", "id": "talk"}, part=clip[:half])
    assert "Uploading talk" in text(page) and "<progress" in html(page) and shown(page, "Cancel")
    send(page, {"kind": "part", "id": "talk"}, part=clip[half:])
    send(page, {"kind": "lost", "id": "other", "error": "it was moved"})
    page.wait(300)
    assert sent == 2 * [{"kind": "more", "id": "talk"}]
    assert page.results[0] == replace(predictor.predict(clip), path="talk")
    assert page.results[1] == Failure("other", "the browser cannot read other: it was moved")
    assert "<progress" not in html(page) and not shown(page, "Cancel")


def test_empty_and_huge_files_are_answered_without_a_part(predictor):
    page = app.UploadWidget(predictor)
    begin(page, empty=0, huge=2 << 30)
    page.wait(300)
    assert all(isinstance(result, Failure) for result in page.results) and "2,048 MiB" in page.results[1].error


def test_cancel_stops_within_a_file_and_keeps_what_is_done(demo_bundle, clip, talk):
    predictor = Gate(Bundle.load(demo_bundle))
    predictor.open.set()
    page = app.UploadWidget(predictor)
    upload(page, first=clip)
    predictor.open.clear()
    predictor.reached.clear()
    begin(page, long=len(wav(talk)), next=len(clip), coming=len(clip))
    send(page, {"kind": "part", "id": "long"}, part=wav(talk))
    send(page, {"kind": "part", "id": "next"}, part=clip)
    assert predictor.reached.wait(60)
    assert [name(panel) for panel in panels(page)] == ["long", "first"]
    assert inside(panels(page)[0], widgets.Audio)  # what is uploaded can be heard before it is judged
    [one for one in inside(page, widgets.Button) if one.description == "Cancel"][0].click()
    predictor.open.set()
    page.wait(300)
    assert [result.path for result in page.results] == ["first"]
    assert [name(panel) for panel in panels(page)] == ["first"]
    assert "Cancelled: 0 of 3 recordings have an answer." in text(page)
    send(page, {"kind": "part", "id": "coming"}, part=clip)  # it was on its way
    page.wait(300)
    assert len(page.results) == 1
    upload(page, again=clip)
    assert [result.path for result in page.results] == ["first", "again"] and "Done: 1 recording." in text(page)


def test_cancel_after_the_verdict_keeps_it(predictor, talk):
    page = app.UploadWidget(predictor)
    (cancel,) = [one for one in inside(page, widgets.Button) if one.description == "Cancel"]
    original = answering.timeline
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            answering, "timeline", lambda *given, **settings: (cancel.click(), original(*given, **settings))[1]
        )
        upload(page, talk=wav(talk))
    assert isinstance(page.results[0], Prediction) and "Cancelled: 1 of 1" in text(page)
    assert page.results[0].emotion in text(panels(page)[0]) and "over time" not in text(panels(page)[0])


def test_what_is_uploaded_while_others_are_judged_is_next(demo_bundle, clip):
    predictor = Gate(Bundle.load(demo_bundle))
    page = app.UploadWidget(predictor)
    for each in ("one", "two"):
        begin(page, **{each: len(clip)})
        send(page, {"kind": "part", "id": each}, part=clip)
    predictor.open.set()
    page.wait(300)
    assert [result.path for result in page.results] == ["one", "two"] and "Done: 2 recordings." in text(page)


def test_two_recordings_are_set_side_by_side(predictor, clip):
    page = app.UploadWidget(predictor)
    first, second = inside(page, widgets.Dropdown)
    upload(page, one=clip)
    assert first.options == second.options and len(first.options) == 2  # nobody, and one
    upload(page, two=clip, broken=PNG, three=clip)
    assert [label for label, _ in first.options] == ["–", "1. two", "2. three", "3. one"]
    first.value, second.value = first.options[3][1], second.options[2][1]
    assert [name(panel) for panel in panels(page)] == ["one", "three"] and "sk-comparing" in page._dom_classes
    second.value = None
    assert len(panels(page)) == 4 and "sk-comparing" not in page._dom_classes


def test_the_answers_can_be_saved(predictor, clip, talk):
    page = app.UploadWidget(predictor)
    upload(page, **{"a.wav": clip, "b": wav(talk), "<c>": PNG})
    files = {
        unescape(file): base64.b64decode(content)
        for file, content in re.findall(r'download="([^"]*)" href="data:[^;]*;base64,([^"]*)"', html(page))
    }
    assert list(files) == ["a.png", "b.png", "ser_kit.csv", "ser_kit.json"]
    rows = list(csv.DictReader(io.StringIO(files["ser_kit.csv"].decode())))
    assert [(row["path"], row["emotion"]) for row in rows] == [
        (result.path, getattr(result, "emotion", "")) for result in page.results
    ]
    assert rows[2]["error"] == page.results[2].error
    told_in_json = json.loads(files["ser_kit.json"])
    assert [each["path"] for each in told_in_json] == ["a.wav", "b", "<c>"]
    assert ["timeline" in each for each in told_in_json] == [False, True, False]
    assert told_in_json[0]["probabilities"] == page.results[0].to_dict()["probabilities"]
    assert files["a.png"].startswith(b"\x89PNG")


def test_on_kaggle_the_script_is_left_out(predictor, clip, monkeypatch):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    page = app.UploadWidget(predictor)
    assert not inside(page, Controls)
    upload(page, clip=clip)
    assert isinstance(page.results[0], Prediction) and 'role="status"' in html(page)


HOSTILE = """<img src=x onerror="alert(1)">'&"""


def test_nothing_from_a_bundle_or_a_file_name_is_markup(predictor, clip):
    """Whatever a stranger can write is shown as the text it is."""
    bundle = predictor.bundle
    corpus = {key: HOSTILE for key in ("corpus", "speakers", "licence")} | {"clips": 3}
    evaluation = bundle.card["evaluation"] | {"tested": [corpus]}
    card = bundle.card | {"title": HOSTILE, "licence": HOSTILE, "trained_on": [corpus], "evaluation": evaluation}
    card["labels"] = [HOSTILE, *bundle.labels[1:]]
    recording = read_audio(io.BytesIO(clip))
    moments = [Moment(0, 1, HOSTILE, 0.9, {HOSTILE: 0.9}), Moment(1, 2, "sad", 0.9, {"sad": 0.9})]
    said = {"probabilities": {HOSTILE: 0.9, "sad": 0.1}, "segments": (), "duration": 9.0, "path": HOSTILE}
    prediction = Prediction(HOSTILE, 0.9, uncertain=True, reason=HOSTILE, **said)
    pages = [
        said_in_html.about(Bundle(card, bundle.members)),
        said_in_html.head(HOSTILE, recording, [HOSTILE], 1.0),
        said_in_html.failure(Failure(HOSTILE, HOSTILE)),
        said_in_html.verdict(prediction, card),
        said_in_html.verdict(replace(prediction, uncertain=False, reason=""), card),
        said_in_html.features(prediction, predictor.measure(recording), card | {"typical": {}}),
        picture(HOSTILE, recording),
        ribbon(replace(prediction, segments=()), moments, 2.0),
    ]
    for page in pages:
        assert "&lt;img src=x onerror=" in page and "<img src=x" not in page
    assert said_in_html.shown(HOSTILE) == escape(HOSTILE).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def test_what_the_page_says_is_text(predictor, monkeypatch):
    def broken(preset):
        raise SerKitError(HOSTILE)

    monkeypatch.setattr("ser_kit.app.page.opened", broken)
    page = app.UploadWidget()
    page.wait(30)
    assert "<img" not in page._status.value and "&lt;img" in page._status.value
