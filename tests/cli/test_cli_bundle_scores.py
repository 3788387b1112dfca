"""``ser-kit evaluate BUNDLE``: a trained bundle tested on a corpus, without training."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from made_bundles import untrained

from ser_kit import corpora, recipes
from ser_kit.core.labels import EMOTIONS
from ser_kit.corpora.demo import synthesise_clip
from ser_kit.evaluation.record import Evaluation
from ser_kit.inference import Predictor, scoring

SAVEE = {"a": "angry", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "sa": "sad", "su": "surprised"}
FIVE = "neutral,happy,sad,angry,fear"


@pytest.fixture(scope="module")
def savee(tmp_path_factory):
    """Synthetic recordings with SAVEE's file names: two speakers, one clip of each of the seven emotions."""
    root = tmp_path_factory.mktemp("savee")
    for speaker, voice in (("DC", "01"), ("KL", "02")):
        for i, letters in enumerate(SAVEE):
            sound = synthesise_clip(f"{voice}_{('angry', 'sad')[i % 2]}_s{1 + i % 2}_t1")
            soundfile.write(root / f"{speaker}_{letters}01.wav", sound, 16000)
    return root


@pytest.fixture
def bundle(quick, tmp_path):
    """An untrained bundle of RAVDESS's eight emotions."""
    trained_on = [{"corpus": "ravdess", "clips": 1440, "speakers": 24, "licence": "CC BY-NC-SA 4.0"}]
    made = untrained(recipes.get("rastogi_mlp"), EMOTIONS[:8], prior=[1 / 8] * 8, trained_on=trained_on)
    return made.save(tmp_path / "bundle")


def test_a_bundle_of_eight_emotions_is_tested_on_the_seven_of_savee(ser_kit, bundle, savee, tmp_path):
    arguments = ("evaluate", bundle, "--corpus", "savee", "--root", savee, "--jobs", 1, "--quiet")
    status, found, _ = ser_kit(*arguments, "--out", tmp_path / "out", "--json")
    (record,) = found["evaluations"]
    assert status == 0 and record["clips"] == 14 and record["speaker_independent"] is True
    assert record["confusion"]["labels"] == [each for each in EMOTIONS[:8] if each != "calm"]
    assert record["merged"]["neutral"] == ["neutral", "calm"] and record["merged"]["sad"] == ["sad"]
    assert (record["not_in_bundle"], record["not_in_corpora"], record["trained_on"]) == ({}, [], [])

    saved = Evaluation.load(record["folder"])
    predictor = Predictor.from_bundle(bundle, "seven")
    for _, row in saved.predictions.iterrows():
        letters = row["clip_id"].split("_")[1].rstrip("01")
        answer = predictor.predict(savee / f"{row['clip_id'].rpartition(':')[2]}.wav")
        assert (row["true"], row["predicted"]) == (SAVEE[letters], answer.emotion)
        assert row["confidence"] == pytest.approx(answer.confidence)
    assert (
        saved.protocol == scoring.PROTOCOL and saved.settings["bundle"] == Predictor.from_bundle(bundle).bundle.identity
    )
    assert record["accuracy"]["pooled"] == pytest.approx(np.mean(saved.correct()))

    status, text, _ = ser_kit(*arguments)
    assert status == 0 and "predictions of neutral and calm count as neutral" in text
    assert "neither the corpora nor their speakers are in the training data" in text


def test_five_of_the_emotions_and_a_recording_that_cannot_be_read(ser_kit, bundle, savee, tmp_path):
    root = tmp_path / "copy"
    root.mkdir()
    for path in savee.glob("*.wav"):
        (root / path.name).symlink_to(path)
    (root / "JE_a01.wav").write_bytes(b"no sound")
    arguments = ("evaluate", bundle, "--corpus", "savee", "--root", root, "--labels", FIVE, "--jobs", 2)
    status, found, err = ser_kit(*arguments, "--json")
    (record,) = found["evaluations"]
    assert status == 0 and record["clips"] == 10 and record["folder"] is None
    assert record["confusion"]["labels"] == FIVE.split(",")
    assert record["not_in_bundle"] == {"disgust": 2, "surprised": 2}
    assert record["not_in_corpora"] == ["disgust", "surprised"]
    assert len(record["failures"]) == 1 and "1 clips cannot be used" in err and "JE_a01" in err


def test_speakers_of_the_training_data_are_not_unseen(bundle, savee):
    table = corpora.load("savee", root=savee)
    known = table.assign(speaker="ravdess:" + table["speaker"].str.rpartition(":")[2])
    found = scoring.score(Predictor.from_bundle(bundle), known)
    assert found.trained_on == ("ravdess",) and not found.evaluation.speaker_independent
    with pytest.raises(ValueError, match="takes two labels in common"):
        scoring.score(Predictor.from_bundle(bundle), table[table["emotion"] == "sad"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--protocol", "random"), "a bundle is tested as it was trained"),
        (("--seeds", 2), "leave out --protocol"),
        (("rastogi_mlp",), "rastogi_mlp is no bundle"),
    ],
)
def test_a_bundle_is_not_trained_again(ser_kit, tmp_path, more, message):
    status, _, err = ser_kit("evaluate", tmp_path, *more, "--corpus", "demo")
    assert status == 2 and message in err


def test_recipes_need_a_folder_for_their_evaluations(ser_kit):
    status, _, err = ser_kit("evaluate", "rastogi_mlp", "--corpus", "demo")
    assert status == 2 and "--out" in err
