"""Speech encoders: against plain NumPy, against what the weights gave before they were rounded, and as an extractor."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from ser_kit import extraction, features
from ser_kit.core.errors import EncoderError, FeatureError, UnknownNameError
from ser_kit.features import SpeechEncoder, encoders

RATE = 16000
TINY = {"encoder": "whisper_tiny_en", "blocks": (2, 3)}


def sweep(seconds: float, rate: int = RATE) -> np.ndarray:
    """A voice-like sound whose pitch, loudness and noise change: harmonics of 110 to 250 Hz, and some hiss."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(180 + 70 * np.sin(2 * np.pi * 0.7 * time)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.clip(np.sin(2 * np.pi * 2.3 * time), 0, None)
    hiss = np.random.default_rng(0).normal(size=len(time)) * np.clip(np.sin(2 * np.pi * 2.3 * time + np.pi), 0, None)
    return (0.2 * voice + 0.01 * hiss).astype(np.float32)


# Layers --------------------------------------------------------------------------------------------------------------


def small_weights(width=128, blocks=2, seed=1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (1.0 if name.endswith("gamma") else 0.0)
        + rng.normal(size=shape, scale=0.1 if len(shape) == 1 else np.prod(shape[1:]) ** -0.5)
        for name, shape in encoders.shapes(width, blocks).items()
    }


def plain(samples, weights, blocks):
    """Whisper's encoder, written down once more in float64, from Librosa's spectrogram on."""
    import librosa
    from scipy.special import erf

    def gelu(x):
        return x * 0.5 * (1 + erf(x / np.sqrt(2)))

    def normalised(x, name):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return x * weights[f"{name}.gamma"] + weights[f"{name}.beta"]

    def dense(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def convolved(x, name, stride):
        padded = np.pad(x, ((1, 1), (0, 0)))
        steps = range(0, len(x), stride)
        found = [np.einsum("oik,ki->o", weights[f"{name}.weight"], padded[t : t + 3]) for t in steps]
        return gelu(np.array(found) + weights[f"{name}.bias"])

    mel = spectrogram(samples, librosa)
    x = convolved(convolved(mel, "conv1", 1), "conv2", 2)
    width = x.shape[1]
    speeds = np.exp(-np.log(10000) * np.arange(width // 2) / (width // 2 - 1))
    angles = np.arange(len(x))[:, None] * speeds
    x = x + np.hstack([np.sin(angles), np.cos(angles)])
    found = []
    for i in range(blocks):
        here = f"layer_{i}.self_attention"
        queries, keys, values = np.split(dense(normalised(x, f"{here}.layer_norm"), f"{here}.linear_0"), 3, axis=1)
        heads = []
        for h in range(0, width, 64):
            scores = queries[:, h : h + 64] @ keys[:, h : h + 64].T / 8
            shares = np.exp(scores - scores.max(1, keepdims=True))
            heads.append(shares / shares.sum(1, keepdims=True) @ values[:, h : h + 64])
        x = x + dense(np.hstack(heads), f"{here}.linear_1")
        here = f"layer_{i}.ffn"
        x = x + dense(gelu(dense(normalised(x, f"{here}.layer_norm"), f"{here}.linear_0")), f"{here}.linear_1")
        found.append(x)
    return np.stack(found, axis=1)


def spectrogram(samples, librosa):
    mel = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=RATE,
        n_fft=400,
        hop_length=160,
        n_mels=80,
        pad_mode="reflect",
        dtype=np.float64,
    )
    levels = np.log10(np.maximum(mel[:, :-1], 1e-10)).T
    return (np.maximum(levels, levels.max() - 8) + 4) / 4


@pytest.fixture(scope="module")
def whisper():
    return importlib.import_module("ser_kit.features.encoders.whisper")


@pytest.mark.parametrize("samples", [1600, 1601, 16000, 16159])
def test_the_spectrogram_is_librosa_s(whisper, samples):
    import librosa

    sound = sweep(2.0)[-samples:]
    expected = spectrogram(sound, librosa)[: samples // 160]
    found = np.asarray(whisper.WhisperSpectrogram()(sound[None]))[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_network_is_that_of_plain_numpy(whisper):
    weights, sound = small_weights(), sweep(0.6)
    network = whisper.Network(128, 2, weights)
    expected = plain(sound, weights, 2)
    both = np.asarray(network.model((1, 2))(sound[None]))[0]
    np.testing.assert_allclose(both, expected, atol=2e-4)
    first = network.model((1,))
    np.testing.assert_allclose(np.asarray(first(sound[None]))[0, :, 0], expected[:, 0], atol=2e-4)
    assert [layer.name for layer in first.layers if layer.name.startswith("block")] == ["block_1"]
    assert not first.trainable_variables


def test_layers_are_saved_with_their_model(whisper, tmp_path):
    model = whisper.Network(128, 1, small_weights(blocks=1)).model((1,))
    model.save(tmp_path / "encoder.keras")
    again = whisper.keras.models.load_model(tmp_path / "encoder.keras", safe_mode=True)
    sound = sweep(0.5)[None]
    np.testing.assert_allclose(np.asarray(again(sound)), np.asarray(model(sound)), atol=1e-6)


# Weights -------------------------------------------------------------------------------------------------------------


def test_weights_come_back_to_within_half_a_step_and_the_file_is_the_same_each_time():
    weights = small_weights()
    weights["conv1.weight"][3] = 0
    content = encoders.packed(weights)
    assert content == encoders.packed(dict(reversed(weights.items())))
    found = encoders.unpacked(content)
    assert found.keys() == weights.keys()
    for name, values in weights.items():
        rows, theirs = values.reshape(len(values), -1), found[name].reshape(len(values), -1)
        step = np.abs(rows).max(axis=1) / 127 if values.ndim > 1 else 1e-3 * np.abs(values)
        assert found[name].dtype == np.float32
        assert (np.abs(rows - theirs) <= 0.5001 * step[:, None] + 1e-7).all()


def test_every_encoder_has_its_file_and_its_notice():
    packaged = encoders.names(packaged=True)
    assert packaged == ["whisper_base", "whisper_tiny_en"]
    assert {path.name for path in encoders.FOLDER.iterdir()} == {"NOTICE", *(f"{n}.npz" for n in packaged)}
    notice = (encoders.FOLDER / "NOTICE").read_text()
    for name in packaged:
        encoder = encoders.get(name)
        found = {key: value.shape for key, value in encoder.weights().items()}
        assert found == encoders.shapes(encoder.width, encoder.blocks) and name in notice
    assert "Copyright (c) 2022 OpenAI" in notice


def test_new_weights_are_a_new_version_of_the_extractor():
    """Bundles hold the version only; raise it when a digest changes, or the version that is fetched."""
    digests = "".join(encoders.get(name).sha256 for name in encoders.names(packaged=True))
    handles = {name: encoders.get(name).handle for name in encoders.names() if encoders.get(name).handle}
    assert (SpeechEncoder.version, hashlib.sha256(digests.encode()).hexdigest()[:16]) == (2, "4308d29f1c0bbaff")
    assert handles == {
        "whisper_small": "keras/whisper/keras/whisper_small_multi/4",
        "whisper_medium": "keras/whisper/keras/whisper_medium_multi/4",
        "whisper_large_v2": "keras/whisper/keras/whisper_large_multi_v2/4",
    }


def test_weights_that_are_missing_or_changed_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "FOLDER", tmp_path)
    encoder = encoders.get("whisper_tiny_en")
    with pytest.raises(EncoderError, match="whisper_tiny_en cannot be read: .*No such file.*install ser-kit again"):
        encoder.weights()
    encoder.path.write_bytes(b"something else")
    with pytest.raises(EncoderError, match=f"whisper_tiny_en were changed: .*expected {encoder.sha256}"):
        encoder.weights()
    with pytest.raises(FeatureError, match="were changed"):
        SpeechEncoder(**TINY).ready()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((), "must be one or more numbers"),
        ((1, 1), "none of them twice"),
        ((4,), "from 1 to 3"),
        ((0,), "from 1 to 3"),
        ((True,), "from 1 to 3"),
        (3, "must be a list"),
    ],
)
def test_blocks_that_are_not_there_are_refused(blocks, message):
    with pytest.raises(EncoderError, match=message):
        encoders.load("whisper_tiny_en", blocks)
    with pytest.raises(FeatureError, match=message):
        SpeechEncoder(encoder="whisper_tiny_en", blocks=blocks)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'whisper_base'"):
        encoders.load("whisper_bass")


REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "encoders.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", encoders.names(packaged=True))
def test_rounded_weights_give_what_the_published_ones_give(name):
    """The first 16 numbers of each block of :func:`sweep` of 3 s, averaged over time.

    The reference was computed once by the same layers with the published float16 weights, next to another
    implementation (plain TensorFlow, 3e-3 of the largest value apart at most). ``length`` is that of the whole mean
    vector, ``distance`` the root mean square over its numbers by which int8 was away from it then.
    """
    found = encoders.forward(name)(sweep(3.0)[None])[0].mean(axis=0)
    for block, (expected, length, distance) in enumerate(zip(*REFERENCE[name].values(), strict=True)):
        assert np.linalg.norm(found[block]) == pytest.approx(length, rel=0.01)
        assert np.abs(found[block, :16] - expected).max() < 5 * distance


@pytest.mark.slow
def test_threads_share_one_encoder():
    from concurrent.futures import ThreadPoolExecutor

    sound = sweep(0.5)[None]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: encoders.forward("whisper_tiny_en", (1, 2))(sound), range(8)))
        models = set(map(id, pool.map(lambda _: encoders.load("whisper_tiny_en", (2, 1)), range(8))))
    assert len(models) == 1
    for each in found:
        np.testing.assert_allclose(each, found[0], atol=1e-3)


@pytest.mark.parametrize("seconds", [0.1, 0.4137, 2.0, 30.0])
def test_any_length_and_a_batch_gives_what_each_clip_gives(seconds):
    encode = encoders.forward("whisper_tiny_en", blocks=[1])
    one, other = sweep(seconds), np.roll(sweep(seconds), 700)[::-1]
    both = encode(np.stack([one, other]))
    assert both.shape == (2, -(-(len(one) // 160) // 2), 1, 384) and np.isfinite(both).all()
    np.testing.assert_allclose(both[1], encode(other[None])[0], atol=2e-3)


# Extractor -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_row_is_statistics_over_frames():
    extractor = SpeechEncoder(**TINY)
    sound = sweep(1.3)
    row, length = extractor.extract_with_length((sound, RATE))
    given = encoders.forward("whisper_tiny_en", [2, 3])(sound[None])[0].astype(np.float64)
    expected = np.stack([given.mean(axis=0), given.std(axis=0)], axis=1).ravel()  # block, statistic, width
    np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
    assert row.dtype == np.float32 and length == 1 and row.shape == extractor.shape == (2 * 2 * 384,)
    names = extractor.feature_names
    assert len(set(names)) == len(names) == len(row)
    assert names[0] == "whisper_tiny_en_b2_mean_001" and names[-1] == "whisper_tiny_en_b3_std_384"
    only = SpeechEncoder(encoder="whisper_tiny_en", blocks=[3], statistics=["std"])
    np.testing.assert_allclose(only.extract((sound, RATE)), row[-384:], atol=1e-4)
    assert SpeechEncoder().shape == (3072,)


@pytest.mark.slow
def test_a_long_clip_is_encoded_in_equal_windows():
    sound = sweep(61.0)
    encode = encoders.forward("whisper_tiny_en", [3])
    extractor = SpeechEncoder(encoder="whisper_tiny_en", blocks=(3,))
    size, starts = extractor.windows(len(sound))
    # All of it, in windows of one length that overlap by no more than their number of samples.
    assert len(starts) == 3 and starts[0] == 0 and starts[-1] + size == len(sound)
    assert 0 <= 3 * size - len(sound) <= 3 and (np.diff(starts) <= size).all()
    given = np.concatenate([encode(sound[None, start : start + size])[0, :, 0] for start in starts]).astype(np.float64)
    row = extractor.extract((sound, RATE))
    np.testing.assert_allclose(row, np.concatenate([given.mean(axis=0), given.std(axis=0)]), rtol=1e-4, atol=1e-4)


def test_a_short_clip_is_followed_by_silence():
    sound, extractor = sweep(0.4)[-2000:], SpeechEncoder(**TINY)
    np.testing.assert_array_equal(extractor.extract((sound, RATE)), extractor.extract((np.pad(sound, (0, 6000)), RATE)))
    for extreme in (1e-4 * np.ones(RATE), np.ones(RATE), 1e9 * sweep(1.0), 1e-30 * sweep(1.0), np.eye(1, 4000)[0]):
        assert np.isfinite(extractor.extract((extreme.astype(np.float32), RATE))).all()


def test_parameters_and_weights_make_the_identity(monkeypatch):
    extractor = SpeechEncoder(preprocess=("trim",), blocks=[5, 3])
    twin = features.get("speech_encoder")(**json.loads(json.dumps(extractor.parameters)))
    assert twin == extractor and twin.identity == extractor.identity and hash(twin) == hash(extractor)
    others = [extractor, SpeechEncoder(), SpeechEncoder(statistics=("mean",)), SpeechEncoder(blocks=(3,))]
    others.append(SpeechEncoder(encoder="whisper_tiny_en", blocks=(3,)))
    identities = {each.identity for each in others}
    monkeypatch.setitem(encoders.ENCODERS, "whisper_base", encoders.get("whisper_tiny_en"))
    assert len(identities) == len(others) and SpeechEncoder(blocks=(3,)).identity not in identities


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sr": 8000}, "sr=8000; the encoder takes 16000 Hz"),
        ({"encoder": "whisper_bas"}, "did you mean 'whisper_base'"),
        ({"encoder": None}, "unknown encoder None"),
        ({"encoder": ["whisper_base"]}, "unknown encoder"),
        ({"statistics": ()}, "must be some of mean, std"),
        ({"statistics": ("mean", "mean")}, "none twice"),
        ({"statistics": ("median",)}, "must be some of mean, std"),
        ({"statistics": "mean"}, "must be a list"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters, message):
    with pytest.raises(FeatureError, match=message):
        SpeechEncoder(**parameters)


@pytest.mark.slow
def test_a_table_is_extracted_in_a_worker_process(demo_few):
    few = demo_few.head(4)
    few.attrs = demo_few.attrs
    extractor = SpeechEncoder(encoder="whisper_tiny_en", blocks=(1,))
    found = extraction.extract(few, extractor, jobs=1, cache=False, progress=False)
    assert found.values.shape == (4, 768) and len(found.failures) == 0
    np.testing.assert_allclose(found.values[2], extractor.extract(few["path"].iloc[2]), rtol=1e-3, atol=1e-3)


# Larger encoders, of keras_hub ----------------------------------------------------------------------------------------


LARGER = [name for name in encoders.names() if encoders.get(name).handle]


@pytest.fixture(scope="module")
def backbone():
    """``keras_hub``'s Whisper with the first two blocks of base in it, positions included."""
    keras_hub = pytest.importorskip("keras_hub", reason='keras_hub is not installed: pip install "ser-kit[hub]"')
    width, blocks, weights = 512, 2, encoders.get("whisper_base").weights()
    sizes = {"num_layers": blocks, "num_heads": width // 64, "hidden_dim": width, "intermediate_dim": 4 * width}
    made = keras_hub.models.WhisperBackbone(vocabulary_size=2, max_decoder_sequence_length=2, **sizes)

    def dense(name):
        return weights[f"{name}.weight"].T, weights[f"{name}.bias"]

    for layer, name in ((made.encoder_conv_layer_1, "conv1"), (made.encoder_conv_layer_2, "conv2")):
        layer.set_weights([weights[f"{name}.weight"].transpose(2, 1, 0), weights[f"{name}.bias"]])
    speeds = np.exp(-np.log(10000) * np.arange(width // 2) / (width // 2 - 1))
    angles = np.arange(1500)[:, None] * speeds
    made.encoder_position_embedding.set_weights([np.hstack([np.sin(angles), np.cos(angles)])])
    for i, layer in enumerate(made.encoder_transformer_layers):
        here, wide = f"layer_{i}.self_attention", f"layer_{i}.ffn"
        norms = [[weights[f"{name}.layer_norm.{part}"] for part in ("gamma", "beta")] for name in (here, wide)]
        kernels, biases = (np.split(each, 3, axis=-1) for each in dense(f"{here}.linear_0"))
        heads = (width // 64, 64)
        query, key, value = (each.reshape(width, *heads) for each in kernels)
        for_queries, for_keys, for_values = (each.reshape(heads) for each in biases)
        assert not for_keys.any()  # keras_hub has none
        out, out_bias = dense(f"{here}.linear_1")
        attention = [query, for_queries, key, value, for_values, out.reshape(*heads, width), out_bias]
        layer.set_weights([*attention, *norms[0], *norms[1], *dense(f"{wide}.linear_0"), *dense(f"{wide}.linear_1")])
    return made


def test_keras_hub_s_layers_give_what_ours_give(backbone, whisper):
    from ser_kit.features.encoders.hub import HubNetwork

    sound = sweep(2.0)[None]
    model = HubNetwork(backbone).model((1, 2))
    found, ours = np.asarray(model(sound)), encoders.forward("whisper_base", (1, 2))(sound)
    assert not model.trainable_variables
    np.testing.assert_allclose(found, ours, atol=1e-4)
    inputs = {"encoder_features": whisper.WhisperSpectrogram()(sound)}
    for name in ("decoder_token_ids", "decoder_padding_mask"):
        inputs[name] = whisper.ops.ones((1, 1), "int32")
    whole = backbone(inputs)["encoder_sequence_output"]
    np.testing.assert_allclose(backbone.encoder_layer_norm(found[:, :, 1]), whole, atol=1e-4)


def test_a_fetched_encoder_is_used_like_one_of_the_package(backbone, tmp_path, monkeypatch):
    handle = "keras/whisper/keras/stand_in/4"
    folder = tmp_path / "models" / handle
    backbone.save_to_preset(str(folder))
    folder.with_name(f"{folder.name}.complete").touch()
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    encoder = encoders.Encoder(name="stand_in", title="A stand-in", width=512, blocks=2, handle=handle)
    monkeypatch.setitem(encoders.ENCODERS, "stand_in", encoder)
    extractor = SpeechEncoder(encoder="stand_in", blocks=(1, 2))
    extractor.ready()
    assert extractor.identity.endswith(f"weights {handle}")
    expected = SpeechEncoder(blocks=(1, 2)).extract((sweep(1.3), RATE))
    np.testing.assert_allclose(extractor.extract((sweep(1.3), RATE)), expected, atol=1e-4)


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_encoder_without_keras_hub_or_a_network_is_one_clear_error(name, monkeypatch):
    import kagglehub

    def refused(handle):
        raise OSError("no route")

    extractor = SpeechEncoder(encoder=name, blocks=(1, encoders.get(name).blocks))
    assert extractor.shape == (4 * encoders.get(name).width,) == (len(extractor.feature_names),)
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(FeatureError, match=rf'{name} needs the package keras_hub; .*pip install "ser-kit\[hub\]"'):
        extractor.ready()
    with pytest.raises(EncoderError, match="needs the package keras_hub"):
        encoders.load(name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(kagglehub, "model_download", refused)
    with pytest.raises(FeatureError, match=rf"{encoders.get(name).handle} cannot be had: no route\. .*models/keras"):
        extractor.ready()


# Conversion ----------------------------------------------------------------------------------------------------------


def named(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def model_bin(weights: dict[str, np.ndarray], version=6) -> bytes:
    parts = [struct.pack("<I", version), named("WhisperSpec"), struct.pack("<II", 3, len(weights) + 1)]
    for name, values in {**weights, "decoder.alibi": np.zeros((), np.int8)}.items():
        theirs = name.replace(".", "/") if name.startswith("decoder") else "encoder/" + name.replace(".", "/")
        kind = {"float32": 0, "int8": 1, "float16": 4}[values.dtype.name]
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        parts += [named(theirs), shape, struct.pack("<BI", kind, values.nbytes), values.tobytes()]
    return b"".join(parts) + struct.pack("<I", 0)


@pytest.fixture
def convert():
    if not (Path(__file__).parents[2] / "tools").is_dir():
        pytest.skip("the project's files are not beside an installed package")
    return importlib.import_module("tools.convert_whisper")


def test_a_conversion_holds_the_encoder_s_first_blocks(convert):
    weights = {name: values.astype(np.float16) for name, values in small_weights(64, 2).items()}
    made = convert.converted(model_bin(weights), 64, 1)
    expected = {name: weights[name] for name in encoders.shapes(64, 1)}
    assert made == encoders.packed(expected)


def test_a_file_that_is_cut_off_or_makes_no_sense_is_refused(convert):
    weights = {name: values.astype(np.float16) for name, values in small_weights(64, 1).items()}
    whole = model_bin(weights)
    for end in (0, 3, 5, 20, 30, 60, 1000, len(whole) // 2):
        with pytest.raises(ValueError, match="the file ends at byte"):
            convert.converted(whole[:end], 64, 1)
    for other, message in (
        (model_bin(weights, version=5), "expected version 6"),
        (model_bin({name: weights[name] for name in list(weights)[1:]}), "conv1/weight is missing"),
        (model_bin(weights | {"conv1.bias": np.zeros(64, np.int8)}), "must hold finite floating-point numbers"),
        (model_bin(weights | {"conv1.bias": np.full(64, np.nan, np.float16)}), "must hold finite"),
        (model_bin(weights | {"conv1.bias": np.zeros(63, np.float16)}), "expected the shape"),
        (whole.replace(struct.pack("<BI", 4, 128), struct.pack("<BI", 9, 128)), "unknown type 9"),
        (whole.replace(struct.pack("<BI", 4, 128), struct.pack("<BI", 4, 126)), "not what an array of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            convert.converted(other, 64, 1)


def test_the_command_refuses_another_file(convert, tmp_path, capsys):
    (tmp_path / "model.bin").write_bytes(b"nothing")
    assert convert.main([str(tmp_path / "model.bin"), "whisper_base", str(tmp_path / "out.npz")]) == 2
    assert "expected d01c3014881c" in capsys.readouterr().err and not (tmp_path / "out.npz").exists()
