"""Augmentation of spectrograms inside the network, while it trains."""

from __future__ import annotations

import numpy as np

from ...core.backend import import_keras
from ...features import spectra

keras = import_keras()
ops = keras.ops


class _Warp(keras.layers.Layer):
    """Spectra warped by a random amount, another for every clip and step; unchanged outside of training."""

    def __init__(self, most, **kwargs):
        super().__init__(**kwargs)
        self.most = most
        self.generator = keras.random.SeedGenerator()

    def call(self, x, training=False):
        if not training or not self.most:
            return x
        drawn = keras.random.uniform((ops.shape(x)[0], 1), -self.most, self.most, seed=self.generator)
        return self._warped(x, drawn)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"most": self.most}


def _read(bands, places, corners):
    """Spectra at ``[batch, n]`` places, linearly interpolated; beyond the edges, the value at the edge.

    Bands lie at all corners but the first and the last.
    """
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    places = ops.expand_dims(ops.clip(places, centre[0], centre[-1]), 2)
    shares = ops.maximum(0, ops.minimum((places - low) / (centre - low), (high - places) / (high - centre)))
    return ops.einsum("bnc,bfc->bfn", shares, bands)


@keras.saving.register_keras_serializable("ser_kit")
class Vtlp(_Warp):
    """Vocal tract length perturbation in mel bands, ``[batch, frames, bands]``: formants are moved.

    Up to 4.8 kHz frequencies are divided by a factor; those above are squeezed or stretched to fit. Only in
    training, with another factor for every clip and step. Source: N. Jaitly and G. E. Hinton, "Vocal tract
    length perturbation (VTLP) improves speech recognition", ICML 2013 workshop.

    Args:
        most: factors lie within 1 ± this, in [0, 0.4].
        rate: of the waveform, in Hz.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(2, 100, 64)).astype("float32")
        >>> bool((Vtlp(0.1)(x) == x).numpy().all()), Vtlp(0.1)(x, training=True).shape == x.shape
        (True, True)
    """

    _BEND = 4800.0  # Hz

    def __init__(self, most=0.1, rate=16000, **kwargs):
        super().__init__(most, **kwargs)
        self.rate = rate

    def _warped(self, x, drawn):
        corners = spectra.mel_corners(self.rate, x.shape[2]).astype("float32")
        centres = corners[1:-1]
        factor, top = 1 + drawn, self.rate / 2
        to = self._BEND * ops.minimum(factor, 1)
        bend = to / factor
        above = top - (top - to) / (top - bend) * (top - centres)
        return _read(x, ops.where(centres <= bend, centres * factor, above), corners)

    def get_config(self):
        return super().get_config() | {"rate": self.rate}


@keras.saving.register_keras_serializable("ser_kit")
class BandShift(_Warp):
    """Spectra shifted by bands, ``[batch, frames, bands]``; on a logarithmic scale that changes the pitch.

    Beyond an edge, the band at the edge is repeated. Only in training, by another distance for every clip and
    step.

    Args:
        most: bands to move by, up or down.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.tile(np.arange(64, dtype="float32"), (1, 10, 1))
        >>> moved = BandShift(2)(x, training=True).numpy() - x
        >>> bool(np.ptp(moved[..., 2:-2]) < 1e-4 and abs(moved).max() <= 2)
        True
    """

    def __init__(self, most=2.0, **kwargs):
        super().__init__(most, **kwargs)

    def _warped(self, x, drawn):
        corners = np.arange(-1, x.shape[2] + 1, dtype="float32")
        return _read(x, corners[1:-1] - drawn, corners)


@keras.saving.register_keras_serializable("ser_kit")
class Tempo(_Warp):
    """Slower or faster speech of the same pitch, ``[batch, frames, bands]``, with zeros at the end.

    Only in training, by another factor for every clip and step.

    Args:
        most: factors lie within 1 ± this, in [0, 0.5].
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.tile(np.arange(100, dtype="float32")[:, None], (1, 1, 4))
        >>> faster = Tempo(0.1)(x, training=True).numpy()[0, :, 0]
        >>> bool(0.9 <= faster[10] / 10 <= 1.1)
        True
    """

    def __init__(self, most=0.1, **kwargs):
        super().__init__(most, **kwargs)

    def _warped(self, x, drawn):
        frames = ops.arange(ops.shape(x)[1], dtype="float32")
        distance = ops.abs(ops.expand_dims(frames * (1 + drawn), 2) - frames)
        return ops.matmul(ops.maximum(0, 1 - distance), x)


@keras.saving.register_keras_serializable("ser_kit")
class SpecMask(keras.layers.Layer):
    """:class:`ser_kit.training.batches.SpecAugment` inside a network: zeros in stretches of time and bands.

    Only in training, with other masks for every clip and step. Widths and positions are distributed as in
    ``SpecAugment``, but are drawn by Keras, which NumPy's generator cannot replace in a compiled step.

    Args:
        time_masks: masks in time per clip.
        time_width: most frames that one hides.
        band_masks: masks in frequency per clip.
        band_width: most neighbouring bands that one hides.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.ones((2, 200, 64), "float32")
        >>> hidden = keras.ops.convert_to_numpy(SpecMask()(x, training=True))
        >>> sorted(set(hidden.ravel().tolist())), bool((SpecMask()(x) == x).numpy().all())
        ([0.0, 1.0], True)
    """

    def __init__(self, time_masks=2, time_width=30, band_masks=2, band_width=10, **kwargs):
        super().__init__(**kwargs)
        self.time_masks, self.time_width = time_masks, time_width
        self.band_masks, self.band_width = band_masks, band_width
        self.generator = keras.random.SeedGenerator()

    def call(self, x, training=False):
        if not training:
            return x
        batch, frames, bands = ops.shape(x)
        hidden = ops.expand_dims(self._masks(batch, frames, self.time_masks, self.time_width), 2)
        hidden = ops.logical_or(
            hidden, ops.expand_dims(self._masks(batch, bands, self.band_masks, self.band_width), 1)
        )
        return ops.where(hidden, ops.zeros_like(x), x)

    def _masks(self, batch, length, masks, width):
        """Where any of the masks lies: bool ``[batch, length]``."""
        drawn = keras.random.uniform((2, batch, masks, 1), seed=self.generator)
        length = ops.cast(length, drawn.dtype)
        widths = ops.floor(drawn[0] * (ops.minimum(width, length) + 1))
        starts = ops.floor(drawn[1] * (length - widths + 1))
        places = ops.arange(length, dtype=drawn.dtype)
        return ops.any(ops.logical_and(places >= starts, places < starts + widths), axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("time_masks", "time_width", "band_masks", "band_width")
        return super().get_config() | {name: getattr(self, name) for name in names}
