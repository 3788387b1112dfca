"""A card that anyone may have written is refused with the field that is wrong, or works: in answers and on the page."""

from __future__ import annotations

import copy
import json
import os
import warnings

import numpy as np
import pytest

from ser_kit.app import html
from ser_kit.audio import Recording
from ser_kit.bundles import card as cards
from ser_kit.bundles import card_page
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.member import Member
from ser_kit.bundles.presets import PRESETS, preset_names
from ser_kit.core.errors import BundleError, SerKitError
from ser_kit.inference.prediction import Prediction
from ser_kit.inference.predictor import Predictor

WRONG = (None, True, "", "x" * 30_000, "\x1b[2J", "\ud800", 0, -1, 1.5, 10**9, 1e300, 1e999, [], {}, [[]], {"a": None})
"""Put in the place of each value of a card, one at a time; 1e999 is infinite."""
TONE = Recording(np.sin(np.arange(16000) / 20).astype(np.float32) / 4, 16000, 16000, 1, "tone")

SOFT = Recording(TONE.samples[::-1] / 2, 16000, 16000, 1, "a softer tone")


@pytest.fixture(scope="module")
def card(demo_bundle):
    found = json.loads((demo_bundle / "card.json").read_text())
    return found | {"typical": {key: found["typical"][key] for key in ("all", "neutral")}}


def leaves(value, place=()):
    """Places of all values of a card: of those that are like each other, such as columns, the first two."""
    yield place
    if isinstance(value, dict):
        alike = place[:1] == ("typical",) or place[:2] == ("evaluation", "classes")
        for key in list(value)[: 2 if alike else None]:
            yield from leaves(value[key], (*place, key))
    elif isinstance(value, list):
        for i in range(min(2, len(value))):
            yield from leaves(value[i], (*place, i))


def changed(card, place, value):
    found = copy.deepcopy(card)
    holder = found
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return found


def use(bundle, field):
    """All that a field of a card decides about."""
    html.about(bundle).encode()
    card_page.markdown({**bundle.card, "members": []}).encode()
    if field in ("trained_on", "evaluation", "versions", "training"):
        return
    predictor = Predictor(bundle)
    answer = predictor.predict(TONE)
    assert isinstance(answer, Prediction) and np.isfinite(list(answer.probabilities.values())).all()
    html.verdict(answer, bundle.card).encode()
    html.features(answer, predictor.measure(TONE), bundle.card).encode()
    if bundle.card.get("baseline"):
        said = predictor.enroll([TONE]).predict(TONE).probabilities.values()
        assert np.isfinite(list(said)).all()
    if bundle.card.get("voices"):
        said = predictor.adapt([TONE, SOFT]).predict(TONE).probabilities.values()
        assert np.isfinite(list(said)).all()


@pytest.mark.slow
def test_every_wrong_value_is_refused_or_works(demo_bundle, card, monkeypatch):
    members = Bundle.load(demo_bundle).members
    # What does not depend on the card is worked out once.
    functionals = Predictor(Bundle(card, members))._functionals
    measured = functionals.measure(TONE)
    monkeypatch.setattr(type(functionals), "measure", lambda *_: measured)
    monkeypatch.setattr("ser_kit.inference.speech_check.against", lambda *_: [])  # a tone is taken for speech
    refused = used = 0
    for place in leaves(card):
        if not place or place[0] == "members":
            continue
        for value in WRONG:
            written = cards.parsed(json.dumps(changed(card, place, value)))
            try:
                cards.check(written)
            except BundleError as error:
                assert len(str(error)) < 300 and "\n" not in str(error) and str(error).isprintable()
                assert place[0] in str(error) or place[0] == "format"
                refused += 1
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that are very large
                use(Bundle({key: each for key, each in written.items() if key != "members"}, members), place[0])
            used += 1
    assert refused > 500 and used > 100


@pytest.mark.slow
def test_every_wrong_value_of_a_member_is_refused_or_works(demo_bundle, card, tmp_path, eagerly, monkeypatch):
    monkeypatch.setattr("ser_kit.inference.speech_check.against", lambda *_: [])
    for file in demo_bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    refused = used = 0
    for place in leaves(card["members"], ("members",)):
        if len(place) < 3:
            continue
        for value in WRONG:
            (tmp_path / "card.json").write_text(json.dumps(changed(card, place, value)))
            try:
                bundle = Bundle.load(tmp_path)
            except BundleError as error:
                assert "\n" not in str(error)
                refused += 1
                continue
            use(bundle, "members")
            used += 1
    assert refused > 200 and used


@pytest.mark.parametrize("name", preset_names())
def test_the_cards_of_presets_pass(name):
    cards.check(cards.parsed((PRESETS / name / "card.json").read_bytes()))


@pytest.mark.parametrize("kind", ["a pipe", "no end"])
def test_only_a_regular_file_is_read(demo_bundle, tmp_path, kind):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes or devices here")
    for name in ("card.json", "model.keras"):
        folder = tmp_path / name
        folder.mkdir()
        for file in demo_bundle.iterdir():
            if file.name != name:
                (folder / file.name).write_bytes(file.read_bytes())
        os.mkfifo(folder / name) if kind == "a pipe" else (folder / name).symlink_to("/dev/zero")
        with pytest.raises(BundleError, match="regular file"):
            Bundle.load(folder)


def test_the_size_of_weights_is_looked_at_before_their_hash(demo_bundle, tmp_path):
    for file in demo_bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "model.keras").open("wb") as file:
        file.truncate(30 << 30)  # sparse: it takes no room
    with pytest.raises(BundleError, match="larger than its network's weights"):
        Bundle.load(tmp_path)


def member(extractor, shape, columns, builder, hyperparameters):
    return {
        "extractor": extractor, "columns": list(range(columns)), "weight": 1.0, "sha256": "",
        "model": {"builder": builder, "input_shape": shape, "hyperparameters": hyperparameters, "parameters": 1000},
        "scaler": {"mean": [0.0] * columns, "scale": [1.0] * columns},
    }  # fmt: skip


def logmel(**parameters):
    return {"name": "logmel", "version": 1, "parameters": parameters}


HOUSE = {"name": "waveform", "version": 1, "parameters": {"seconds": 8.0}}
EXPENSIVE = {
    "mel bands": (logmel(n_mels=1_000_000, seconds=1.0), [101, 30], 30, "mlp", {}),
    "a transform": (logmel(n_fft=10**9), [None, 30], 30, "mlp", {}),
    "a spectrogram": (logmel(n_fft=65_536, hop=1), [None, 30], 30, "mlp", {}),
    "an hour": (logmel(hop=1, seconds=10_800.0), [172_800_001, 30], 30, "mlp", {}),
    "a sample rate": (logmel(rate=10**9), [None, 30], 30, "mlp", {}),
    "filled up": (logmel(preprocess=[{"name": "fix_length", "seconds": 10_800}]), [None, 30], 30, "mlp", {}),
    "made longer": (logmel(preprocess=[{"name": "time_stretch"}] * 9), [None, 30], 30, "mlp", {}),
    "many steps": (logmel(preprocess=["trim"] * 1000), [None, 30], 30, "mlp", {}),
    "a committee": (HOUSE, [None, 1], 1, "committee", {"builder": "dual_view_cnn", "members": 1_000_000}),
    "committees": (HOUSE, [None, 1], 1, "committee", {"builder": "committee", "members": 9, "hyperparameters": {}}),
    "many layers": (HOUSE, [None, 1], 1, "committee", {"members": 30, "hyperparameters": {"units": [1] * 90}}),
    "wide layers": (logmel(seconds=8.0), [801, 30], 30, "cnn2d", {"filters": [4000], "kernel_size": 1}),
    "deep trees": (HOUSE, [None, 1], 1, "forest", {"trees": 1, "nodes": 3, "depth": 10**6}),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_what_would_take_memory_or_time_is_not_built(name):
    """The first that would be is made with a limit on its size: what is refused is refused before."""
    extractor, shape, columns, builder, hyperparameters = EXPENSIVE[name]
    described = member(extractor, shape, columns, builder, hyperparameters)
    with pytest.raises(SerKitError, match="must|expected|more than 500 settings"):
        Member.from_card(described, 6)
