"""Adaptation to a speaker: a voice is learned from clips of several emotions, and none from clips of one."""

from __future__ import annotations

import dataclasses
import json
import pickle
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import soundfile

from ser_kit.app import UploadWidget
from ser_kit.app.html import voice
from ser_kit.audio import read_audio
from ser_kit.bundles import card as cards
from ser_kit.bundles.adaptation import MOST_CLIPS, Adaptation, Voices, offset
from ser_kit.core.errors import AdaptationError, AudioError, BundleError, LabelError, TableError, TargetError
from ser_kit.core.probabilities import without_habit
from ser_kit.inference.prediction import Observation
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.stream import StreamPredictor, timeline

LABELS = ["neutral", "happy", "sad", "angry"]
RATE = 16000


def answers(emotions, voice, seed):
    """Made probabilities: clips of these emotions by a speaker whose voice adds something to each logit."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * np.eye(len(LABELS))[emotions] + voice + rng.normal(0, 0.7, (len(emotions), len(LABELS)))
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def made():
    """Probabilities, labels and speakers of 30 made speakers, of whom some lack emotions."""
    rng = np.random.default_rng(0)
    parts = []
    for speaker in range(30):
        kinds = [0, 1, 2, 3] if speaker % 3 else [0, 2, 3]
        emotions = np.repeat(kinds, rng.integers(3, 9))
        parts.append((answers(emotions, rng.normal(0, 1, 4), speaker), emotions, np.full(len(emotions), speaker)))
    values, emotions, speakers = (np.concatenate(each) for each in zip(*parts, strict=True))
    return values, np.array(LABELS)[emotions], speakers


@pytest.fixture(scope="module")
def voices(made):
    return Voices.fit(*made, LABELS)


def share_right(values, emotions, taken_off):
    return np.mean(without_habit(values, taken_off).argmax(axis=1) == emotions)


def gains(voices, emotions, count):
    """By how much the share of right answers grows, on average over made voices."""
    rng, found = np.random.default_rng(1), []
    for speaker in range(60):
        voice = rng.normal(0, 1, 4)
        values = answers(emotions, voice, 1000 + speaker)
        learned = offset(voices, values[rng.permutation(len(values))[:count]])
        found.append(share_right(values, emotions, learned) - share_right(values, emotions, np.zeros(4)))
    return np.mean(found)


def test_a_speaker_of_several_emotions_gains(voices):
    mixed = np.tile(np.arange(4), 10)
    assert gains(voices, mixed, 5) > 0 and gains(voices, mixed, 40) > 0.08


@pytest.mark.parametrize("emotion", range(4))
def test_a_speaker_of_one_emotion_is_hardly_harmed(voices, emotion):
    for count in (1, 5, 20, 40):
        assert gains(voices, np.full(40, emotion), count) > -0.03


def test_nothing_is_learned_of_nothing_and_hardly_anything_of_one_clip(voices, made):
    assert not offset(voices, np.zeros((0, 4))).any()
    assert np.abs(offset(voices, made[0][:1])).max() < 0.2
    assert offset(voices, made[0][:9]).sum() == pytest.approx(0, abs=1e-5)


def test_voices_count_speakers_and_emotions_alike(made, voices):
    values, true, speakers = made
    twice = np.r_[np.arange(len(true)), np.flatnonzero(speakers == 3)]  # one speaker has all clips twice
    again = Voices.fit(values[twice], true[twice], speakers[twice], LABELS)
    assert np.allclose(again.classes, voices.classes) and np.allclose(again.speakers, voices.speakers)
    assert np.argmax(voices.classes, axis=1).tolist() == [0, 1, 2, 3]


def test_voices_go_through_json_and_into_a_card(voices):
    written = json.loads(json.dumps(voices.to_dict()))
    assert Voices.from_dict(written, LABELS) == voices
    assert set(cards.VOICES) | {"spread"} == set(written)


def test_voices_need_clips_that_fit(made):
    values, true, speakers = made
    with pytest.raises(TableError, match="do not match"):
        Voices.fit(values[:-1], true, speakers, LABELS)
    with pytest.raises(TableError, match="at least one clip"):
        Voices.fit(np.zeros((0, 4)), [], [], LABELS)
    with pytest.raises(LabelError, match="'angry' are not among"):
        Voices.fit(values[:, :3], true, speakers, LABELS[:3])


def test_few_clips_of_one_speaker_make_voices_that_learn_nothing(made):
    values, true, speakers = made
    for rows in (np.arange(1), np.flatnonzero(speakers == 0)[:2]):
        few = Voices.fit(values[rows], true[rows], speakers[rows], LABELS)
        assert np.isfinite(offset(few, values)).all()


# ----------------------------------------------------------------------------------------------------------- predictor


@pytest.fixture(scope="module")
def predictor(demo_bundle):
    return Predictor.from_bundle(demo_bundle)


@pytest.fixture(scope="module")
def clips(demo_table):
    """Of one speaker in six emotions."""
    rows = demo_table[demo_table["speaker"] == demo_table["speaker"].iloc[0]]
    return rows.groupby("label")["path"].first().tolist()


@pytest.fixture(scope="module")
def adapted(predictor, clips):
    return predictor.adapt(clips)


def test_training_writes_into_the_card_how_voices_differ(predictor):
    assert predictor.voices.labels == predictor.labels
    assert np.shape(predictor.voices.within) == (6, 6)


def test_an_adapted_predictor_takes_the_offset_off(predictor, adapted, clips):
    before = [list(predictor.predict(clip).probabilities.values()) for clip in clips]
    known = adapted.adaptation
    assert known.clips == len(clips) and known.left_out == () and predictor.adaptation is None
    assert known.offset == pytest.approx(offset(predictor.voices, before), abs=1e-5) and any(known.offset)
    for clip, each in zip(clips, before, strict=True):
        expected = without_habit(each, known.offset)
        assert list(adapted.predict(clip).probabilities.values()) == pytest.approx(expected, abs=1e-6)
    assert [list(predictor.predict(clip).probabilities.values()) for clip in clips] == before


def test_adapting_goes_on_where_it_was_and_counts_no_clip_twice(predictor, adapted, clips):
    step = predictor.adapt(clips[:3]).adapt(clips[2:])
    assert step.adaptation.offset == pytest.approx(adapted.adaptation.offset) and step.identity == adapted.identity
    with pytest.raises(AudioError, match="0 of 2 clips can be used"):
        adapted.adapt(clips[:2])


def test_adapting_and_enrolling_replace_each_other(predictor, adapted, clips):
    enrolled = predictor.enroll(clips[:1])
    assert enrolled.adapt(clips).predict(clips[0]) == adapted.predict(clips[0])
    assert adapted.enroll(clips[:1]).predict(clips[0]) == enrolled.predict(clips[0])
    assert adapted.enroll(clips[:1]).adaptation is None
    assert adapted.with_adaptation(None).predict(clips[0]) == predictor.predict(clips[0])
    assert adapted.with_adaptation(None).identity == predictor.identity
    identities = {each.identity for each in (predictor, adapted, enrolled, predictor.adapt(clips[:2]))}
    assert len(identities) == 4


def test_what_cannot_be_used_is_left_out_and_named(predictor, clips, tmp_path):
    silent, text = tmp_path / "silent.wav", tmp_path / "text.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    text.write_text("no sound")
    noise = (np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32) / 10, RATE)
    known = predictor.adapt([silent, clips[0], text, noise, tmp_path / "none.wav", clips[1]]).adaptation
    assert known.clips == 2
    assert [path for path, _ in known.left_out] == [str(silent), str(text), "clip 4", str(tmp_path / "none.wav")]
    for (_, reason), expected in zip(
        known.left_out, ("silent", "text.wav", "not sound like speech", "no"), strict=True
    ):
        assert expected in reason
    with pytest.raises(AudioError, match="1 of 2 clips can be used.*at least two different clips.*is silent"):
        predictor.adapt([clips[0], silent])
    with pytest.raises(AudioError, match="0 of 0 clips"):
        predictor.adapt([])


def test_rates_and_long_recordings(predictor, clips, tmp_path):
    parts = [soundfile.read(clip, dtype="float32")[0] for clip in clips] * 2
    soundfile.write(tmp_path / "long.wav", np.concatenate(parts), RATE)
    samples = read_audio(clips[1], sr=44_100).samples
    seconds = sum(map(len, parts)) / RATE
    known = predictor.adapt([tmp_path / "long.wav", (samples, 44_100)]).adaptation
    assert known.clips > 2 and known.clips <= np.ceil(seconds / 4) + 1
    alone = predictor.adapt([tmp_path / "long.wav"]).adaptation
    assert alone.clips == known.clips - 1


def test_no_more_clips_are_read_than_count(predictor, monkeypatch):
    read = []

    def observe(self, source, watch=None):
        read.append(source)
        return [Observation(np.full(6, 1 / 6), f"{source:032x}")]

    monkeypatch.setattr(Predictor, "observe", observe)
    known = predictor.adapt(range(1000)).adaptation
    assert known.clips == len(read) == MOST_CLIPS and read[0] == 0 and read[-1] == 999


def test_whoever_watches_an_adaptation_can_end_it(predictor, clips):
    told = []
    predictor.adapt(clips[:3], watch=told.append)
    assert told == sorted(told) and told[0] == 0 and max(told) < 1

    def end(share):
        if share > 0:
            raise CancelledError

    with pytest.raises(CancelledError):
        predictor.adapt(clips, watch=end)


def test_a_bundle_that_does_not_know_how_voices_differ_says_so(predictor, clips):
    card = {key: value for key, value in predictor.bundle.card.items() if key != "voices"}
    with pytest.raises(BundleError, match="no speaker statistics.*train it again"):
        Predictor(dataclasses.replace(predictor.bundle, card=card)).adapt(clips)


def test_an_adapted_predictor_answers_in_other_labels_and_processes(predictor, adapted, clips):
    few = Predictor(predictor.bundle, "four").with_adaptation(adapted.adaptation)
    assert few.predict(clips[0]).probabilities.keys() == set(few.labels)
    again = pickle.loads(pickle.dumps(adapted))
    assert again.predict(clips[0]) == adapted.predict(clips[0])
    assert again.identity == adapted.identity and again.adaptation == adapted.adaptation
    one, many = (list(adapted.predict_many(clips, jobs=jobs)) for jobs in (1, 3))
    assert one == many == [adapted.predict(clip) for clip in clips]


# ---------------------------------------------------------------------------------------------------------------- files


def test_an_adaptation_is_kept_as_json(predictor, adapted, clips, tmp_path):
    adapted.adaptation.save(tmp_path / "ann.json")
    known = Adaptation.load(tmp_path / "ann.json")
    assert known == adapted.adaptation
    assert (tmp_path / "ann.json").stat().st_size < 5000 and clips[0] not in (tmp_path / "ann.json").read_text()
    again = predictor.with_adaptation(known)
    assert again.predict(clips[0]) == adapted.predict(clips[0]) and again.identity == adapted.identity
    known.save(tmp_path / "ann.json")  # in the place of the old one
    assert [path.name for path in tmp_path.iterdir()] == ["ann.json"]
    with pytest.raises(TargetError, match="is a folder"):
        known.save(tmp_path)


def test_the_adaptation_of_another_bundle_is_refused(predictor, adapted):
    card = {**predictor.bundle.card, "temperature": predictor.bundle.card["temperature"] * 1.1}
    other = Predictor(dataclasses.replace(predictor.bundle, card=card))
    with pytest.raises(AdaptationError, match="of another bundle"):
        other.with_adaptation(adapted.adaptation)
    with pytest.raises(AdaptationError, match="of another bundle"):
        predictor.with_adaptation(dataclasses.replace(adapted.adaptation, labels=tuple("abcdef")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("bundle", "x"),
        ("bundle", None),
        ("labels", ["happy"]),
        ("labels", "happy"),
        ("offset", [0.0] * 5),
        ("offset", [1e300] * 6),
        ("offset", [None] * 6),
        ("probabilities", []),
        ("probabilities", [[2.0] * 6] * 6),
        ("probabilities", [[0.1] * 5] * 6),
        ("sounds", ["x"] * 6),
        ("sounds", ["0" * 32] * 6),
        ("sounds", [f"{i:032x}" for i in range(MOST_CLIPS + 1)]),
    ],
)
def test_wrong_values_in_a_file_are_refused(adapted, tmp_path, field, value):
    place = tmp_path / "ann.json"
    adapted.adaptation.save(place)
    place.write_text(json.dumps(json.loads(place.read_text()) | {field: value}))
    with pytest.raises(AdaptationError, match=rf"ann.json is not a saved adaptation: .*{field}") as caught:
        Adaptation.load(place)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 1}', "\x00\xff", " " * (17 << 20)])
def test_what_is_no_adaptation_is_refused(tmp_path, text):
    (tmp_path / "ann.json").write_text(text)
    with pytest.raises(AdaptationError, match="is not a saved adaptation"):
        Adaptation.load(tmp_path / "ann.json")
    with pytest.raises(AdaptationError, match="does not exist"):
        Adaptation.load(tmp_path / "none.json")
    with pytest.raises(AdaptationError, match="is not a saved adaptation"):
        Adaptation.load(tmp_path)


def test_the_latest_clips_count(voices):
    rng = np.random.default_rng(0)
    values = rng.dirichlet(np.ones(4), MOST_CLIPS + 50)
    known = Adaptation.begin("0" * 32, LABELS)
    for place, row in enumerate(values):
        known = known.more(voices, [row], [f"{place:032x}"])
    assert known.clips == MOST_CLIPS and known.sounds[0] == f"{50:032x}"
    assert known.offset == pytest.approx(offset(voices, values[50:]), abs=1e-5)


# --------------------------------------------------------------------------------------------------------------- stream


@pytest.fixture(scope="module")
def talk(clips):
    """Half a minute or so of one speaker, with a pause."""
    parts = [soundfile.read(clip, dtype="float32")[0] for clip in clips]
    return np.concatenate([*parts[:3], np.zeros(4 * RATE, np.float32), *parts[3:], *parts])


@pytest.mark.slow
def test_a_stream_gets_used_to_the_voice_on_the_way(predictor, talk):
    plain = timeline(predictor, (talk, RATE), smoothing=0)
    moments = timeline(predictor, (talk, RATE), smoothing=0, adapt=True)
    assert [(m.start, m.reason) for m in moments] == [(m.start, m.reason) for m in plain]
    assert moments[0].probabilities == pytest.approx(dict(plain[0].probabilities), abs=0.05)  # one clip says little
    assert moments[-1].probabilities != plain[-1].probabilities

    stream = StreamPredictor(predictor, smoothing=0, adapt=True)
    assert stream.adaptation.clips == 0
    found = [moment for block in np.array_split(talk, 37) for moment in stream.feed(block)] + stream.flush()
    assert found == moments
    known = stream.adaptation
    heard = [m for m in plain if m.probabilities]
    assert 2 < known.clips <= len(talk) / RATE / 3 and known.clips < len(heard)  # no sound counts twice
    after = timeline(predictor.with_adaptation(known), (talk, RATE), smoothing=0)
    assert after[-2].probabilities == pytest.approx(dict(moments[-2].probabilities), abs=1e-6)
    for block in np.array_split(talk, 5):  # the same person goes on, with what was said before
        stream.feed(block)
    assert stream.adaptation == known and predictor.adaptation is None


def test_a_stream_goes_on_from_what_its_predictor_was_adapted_to(predictor, adapted, talk):
    assert StreamPredictor(adapted, adapt=True).adaptation == adapted.adaptation
    assert StreamPredictor(adapted).adaptation == adapted.adaptation
    assert StreamPredictor(predictor).adaptation is None
    card = {key: value for key, value in predictor.bundle.card.items() if key != "voices"}
    with pytest.raises(BundleError, match="no speaker statistics"):
        StreamPredictor(Predictor(dataclasses.replace(predictor.bundle, card=card)), adapt=True)


# ----------------------------------------------------------------------------------------------------------------- page


def on_page(page: UploadWidget, kind: type) -> list:
    def inside(box):
        return [box] * isinstance(box, kind) + [one for child in getattr(box, "children", ()) for one in inside(child)]

    return inside(page)


def upload(page: UploadWidget, *paths: str) -> None:
    (button,) = on_page(page, ipywidgets.FileUpload)
    contents = [Path(path).read_bytes() for path in paths]
    button.value = tuple(
        {"name": Path(path).name, "type": "audio/wav", "size": len(content), "last_modified": datetime.now(UTC),
         "content": memoryview(content)}
        for path, content in zip(paths, contents, strict=True)
    )  # fmt: skip
    page.wait(300)


def shown(page: UploadWidget) -> str:
    return " ".join(one.value for one in on_page(page, ipywidgets.HTML))


@pytest.mark.slow
def test_the_page_gets_used_to_a_voice_while_it_is_asked_to(predictor, clips, tmp_path):
    page = UploadWidget(predictor)
    (switch,) = on_page(page, ipywidgets.Checkbox)
    (reset,) = [one for one in on_page(page, ipywidgets.Button) if one.description == "Forget the voice"]
    assert not switch.value and reset.layout.display == "none"
    upload(page, clips[0])
    assert page.results[-1].probabilities == predictor.predict(clips[0]).probabilities
    switch.value = True
    assert "Adapting to this voice: 0 of 10 clips" in shown(page) and reset.layout.display is None
    (tmp_path / "broken.wav").write_text("no sound")
    upload(page, *clips, str(tmp_path / "broken.wav"))
    assert "Adapting to this voice: 6 of 10 clips" in shown(page)
    assert page.results[-2].probabilities == predictor.adapt(clips).predict(clips[-1]).probabilities
    switch.value = False
    upload(page, clips[0])
    assert "Adapting to" not in shown(page) and page.results[-1].probabilities == page.results[0].probabilities
    switch.value = True
    reset.click()
    page.wait(300)
    assert "Adapting to this voice: 0 of 10 clips" in shown(page)
    page.close()


def test_a_page_with_an_adapted_predictor_answers_as_it_does(adapted, clips):
    page = UploadWidget(adapted)
    upload(page, clips[0])
    assert page.results[0].probabilities == adapted.predict(clips[0]).probabilities
    page.close()


def test_the_page_offers_no_adaptation_that_its_model_cannot_do(predictor):
    card = {key: value for key, value in predictor.bundle.card.items() if key != "voices"}
    for bundle, display in ((predictor.bundle, None), (dataclasses.replace(predictor.bundle, card=card), "none")):
        page = UploadWidget(Predictor(bundle))
        assert page._voice.layout.display == display
        page.close()
    assert "Adapted to this voice (10 clips)." in voice(10)
