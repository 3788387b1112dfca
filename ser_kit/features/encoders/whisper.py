"""The encoder of Whisper as Keras layers, from samples at 16 kHz to what each of its blocks gives.

Source: A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. Whisper
sees 30 s at a time, filled up with silence; these layers take a recording of any length as it is, for a clip
of 3 s in a tenth of the time. They are made of ``keras.ops`` only, Fourier transform included, and run on
every Keras backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...core.backend import import_keras
from .. import spectra

keras = import_keras()
ops = keras.ops

RATE = 16000
"""Of the samples, in hertz."""
HOP = 160
"""Samples between frames of the spectrogram; two of them make a frame of the blocks."""
_N_FFT, _BANDS = 400, 80
_HEAD = 64  # width of an attention head, in Whisper's models of any size
_EPSILON = 1e-5


@keras.saving.register_keras_serializable("ser_kit")
def gelu(x):
    """The exact GELU by ``erf``, which ONNX has too, unlike the ``erfc`` of TensorFlow's own.

    Examples:
        >>> [round(float(y), 4) for y in gelu(np.array([-1.0, 0.0, 1.0], "float32"))]
        [-0.1587, 0.0, 0.8413]
    """
    return 0.5 * x * (1.0 + ops.erf(x * np.sqrt(0.5).astype("float32")))


@keras.saving.register_keras_serializable("ser_kit")
class WhisperSpectrogram(keras.layers.Layer):
    """Samples to Whisper's log-mel spectrogram: ``[batch, n]`` -> ``[batch, n // 160, 80]``.

    Powers of a short-time Fourier transform (Hann window of 400 samples, hop 160, reflected edges), summed in
    Slaney's 80 mel bands, as logarithms to the base of 10, of at least 1e-10 and no lower than the clip's
    maximum less 8, plus 4, divided by 4. Float32 whatever the precision policy; no weights.

    Args:
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> tuple(WhisperSpectrogram()(np.zeros((2, 16000), "float32")).shape)
        (2, 100, 80)
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        angles = 2 * np.pi / _N_FFT * (np.outer(np.arange(_N_FFT), np.arange(_N_FFT // 2 + 1)) % _N_FFT)
        waves = np.hstack([np.cos(angles), np.sin(angles)]) * spectra.hann(_N_FFT, _N_FFT)[:, None]
        self.waves = waves.astype("float32")
        self.filters = spectra.mel_filters(RATE, _N_FFT, _BANDS).astype("float32")

    def call(self, samples):
        frames = ops.shape(samples)[1] // HOP
        whole = -(-_N_FFT // HOP)  # rows of a hop each, of which neighbours make up a frame
        padded = ops.pad(samples, [[0, 0], [_N_FFT // 2, _N_FFT // 2]], mode="reflect")
        rows = ops.reshape(padded[:, : (frames + whole - 1) * HOP], (-1, frames + whole - 1, HOP))
        parts = [rows[:, i : i + frames, : _N_FFT - i * HOP] for i in range(whole)]
        squared = ops.square(ops.matmul(ops.concatenate(parts, axis=2), self.waves))
        bins = _N_FFT // 2 + 1
        mel = ops.matmul(squared[:, :, :bins] + squared[:, :, bins:], self.filters)
        levels = ops.log10(ops.maximum(mel, 1e-10))
        return (ops.maximum(levels, ops.max(levels, axis=(1, 2), keepdims=True) - 8.0) + 4.0) / 4.0

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return batch, None if samples is None else samples // HOP, _BANDS


@keras.saving.register_keras_serializable("ser_kit")
class SinusoidalPositions(keras.layers.Layer):
    """Adds sinusoidal position embeddings, not learned: ``[batch, frames, width]``.

    Args:
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> found = SinusoidalPositions()(np.zeros((1, 3, 4), "float32"))
        >>> np.asarray(found)[0, 0].tolist()
        [0.0, 0.0, 1.0, 1.0]
    """

    def call(self, x):
        half = x.shape[-1] // 2
        speeds = np.exp(-np.log(10000) / (half - 1) * np.arange(half)).astype("float32")
        angles = ops.expand_dims(ops.arange(ops.shape(x)[1], dtype="float32"), 1) * speeds
        return x + ops.cast(ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=1), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("ser_kit")
class EncoderBlock(keras.layers.Layer):
    """A pre-norm transformer block: ``[batch, frames, width]``.

    Args:
        width: of a frame, a multiple of 64, the width of an attention head.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> tuple(EncoderBlock(128)(np.zeros((2, 50, 128), "float32")).shape)
        (2, 50, 128)
    """

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        layers, within = keras.layers, {"dtype": self.dtype_policy}
        self.attention_norm = layers.LayerNormalization(epsilon=_EPSILON, **within)
        self.projections = layers.Dense(3 * width, **within)
        self.attended = layers.Dense(width, **within)
        self.dense_norm = layers.LayerNormalization(epsilon=_EPSILON, **within)
        self.wide = layers.Dense(4 * width, activation=gelu, **within)
        self.narrow = layers.Dense(width, **within)

    @property
    def parts(self) -> dict[str, keras.layers.Layer]:
        """Its layers by the names of their weights in :mod:`ser_kit.features.encoders`."""
        return {
            "self_attention.layer_norm": self.attention_norm,
            "self_attention.linear_0": self.projections,
            "self_attention.linear_1": self.attended,
            "ffn.layer_norm": self.dense_norm,
            "ffn.linear_0": self.wide,
            "ffn.linear_1": self.narrow,
        }

    def build(self, input_shape):
        for layer in self.parts.values():
            layer.build((*input_shape[:-1], 4 * self.width) if layer is self.narrow else input_shape)
        self.built = True

    def call(self, x):
        x = x + self.attended(self._attention(self.projections(self.attention_norm(x))))
        return x + self.narrow(self.wide(self.dense_norm(x)))

    def _attention(self, projected):
        shape = ops.shape(projected)
        heads = ops.reshape(projected, (shape[0], shape[1], 3, self.width // _HEAD, _HEAD))
        heads = ops.transpose(heads, (2, 0, 3, 1, 4))
        queries, keys, values = heads[0] / np.sqrt(_HEAD).astype("float32"), heads[1], heads[2]
        shares = ops.softmax(ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))))
        found = ops.transpose(ops.matmul(shares, values), (0, 2, 1, 3))
        return ops.reshape(found, (shape[0], shape[1], self.width))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"width": self.width}


class Network:
    """The layers of one encoder, frozen, of which models are made that share them.

    Args:
        width: of a frame.
        blocks: how many transformer blocks there are.
        weights: float32 arrays, with the names and shapes of :func:`ser_kit.features.encoders.shapes`.
    """

    def __init__(self, width: int, blocks: int, weights: Mapping[str, np.ndarray]):
        layers = keras.layers
        first = layers.Conv1D(width, 3, padding="same", activation=gelu, name="conv1")
        second = layers.Conv1D(width, 3, strides=2, activation=gelu, name="conv2")
        padding = layers.ZeroPadding1D(1, name="padding")
        self.front = [
            WhisperSpectrogram(name="spectrogram"),
            first,
            padding,
            second,
            SinusoidalPositions(name="positions"),
        ]
        self.blocks = [EncoderBlock(width, name=f"block_{number}") for number in range(1, blocks + 1)]
        self.model(range(1, blocks + 1))  # gives every layer its variables
        for layer in (first, second):
            kernel, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
            layer.set_weights([kernel.transpose(2, 1, 0), bias])
        for i, block in enumerate(self.blocks):
            for name, layer in block.parts.items():
                if isinstance(layer, layers.Dense):
                    kernel, bias = weights[f"layer_{i}.{name}.weight"], weights[f"layer_{i}.{name}.bias"]
                    layer.set_weights([kernel.T, bias])
                else:
                    layer.set_weights([weights[f"layer_{i}.{name}.gamma"], weights[f"layer_{i}.{name}.beta"]])
        for layer in (*self.front, *self.blocks):
            layer.trainable = False

    def model(self, blocks: Sequence[int]) -> keras.Model:
        """Samples ``[batch, n]`` to what these blocks, from 1, give: ``[batch, frames, blocks, width]``."""
        inputs = keras.Input((None,), name="samples")
        x = inputs
        for layer in self.front:
            x = layer(x)
        given = []
        for block in self.blocks[: max(blocks)]:
            x = block(x)
            given.append(x)
        return keras.Model(
            inputs, ops.stack([given[number - 1] for number in blocks], axis=2), name="encoder"
        )
