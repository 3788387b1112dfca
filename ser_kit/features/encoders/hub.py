"""Whisper's larger encoders: the layers are those of ``keras_hub``, the weights are fetched from Kaggle.

They take a recording as the encoders in the package do: its spectrogram as it is, not filled up with silence
to 30 s, and positions that are computed. Weights are float32. ``keras_hub`` loads the decoder too, which is
never run: both take 1.0 GB in Whisper small, 3.1 in medium and 6.2 in large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fetch import encoder_folder
from .whisper import Network, SinusoidalPositions, WhisperSpectrogram, gelu, keras

if TYPE_CHECKING:
    from . import Encoder


class HubNetwork(Network):
    """The frozen encoder of a ``keras_hub.models.WhisperBackbone``; models made of it share its layers.

    Args:
        backbone: the whole model, for 80 mel bands.
    """

    def __init__(self, backbone):
        backbone.trainable = False
        self.front = [
            WhisperSpectrogram(name="spectrogram"),
            backbone.encoder_conv_layer_1,
            keras.layers.Activation(gelu),
            backbone.encoder_padder,
            backbone.encoder_conv_layer_2,
            keras.layers.Activation(gelu),
            SinusoidalPositions(name="positions"),
        ]
        self.blocks = backbone.encoder_transformer_layers


def loaded(encoder: Encoder) -> HubNetwork:
    """An encoder of ``keras_hub`` with its weights, which are fetched where they are not there yet.

    Args:
        encoder: one whose weights are fetched.

    Raises:
        EncoderError: ``keras_hub`` is not installed, or the weights cannot be had.
    """
    folder = encoder_folder(encoder)
    from keras_hub.models import WhisperBackbone

    return HubNetwork(WhisperBackbone.from_preset(folder))
