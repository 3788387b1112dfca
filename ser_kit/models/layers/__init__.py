"""Layers that Keras lacks, of ``keras.ops`` only, so that they run on TensorFlow and JAX alike.

All are registered for loading as soon as this package is imported.
"""

from .augmentation import BandShift, SpecMask, Tempo, Vtlp
from .classical import DecisionForest, SupportVectors
from .pooling import AttentionPooling, AttentiveStatistics, Chunks, MeanOfSound
from .spectrogram import (
    HarmonicSpectrogram,
    LogMelSpectrogram,
    Loudness,
    WholeFrames,
    decibels,
    fourier_as_products,
    powers,
)

__all__ = [
    "AttentionPooling", "AttentiveStatistics", "BandShift", "Chunks", "DecisionForest",
    "HarmonicSpectrogram", "LogMelSpectrogram", "Loudness", "MeanOfSound", "SpecMask", "SupportVectors",
    "Tempo", "Vtlp", "WholeFrames", "decibels", "fourier_as_products", "powers",
]  # fmt: skip
