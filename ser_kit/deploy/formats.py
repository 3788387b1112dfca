"""Formats of exported files, and how closely they must match the bundle."""

from __future__ import annotations

import re
from pathlib import Path

FORMATS = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
"""Name -> suffix of the file; a SavedModel is a folder."""
QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
"""``float16`` stores half-precision weights, ``dynamic`` 8-bit integer weights; ``int8`` also computes in
integers, whose range is calibrated on clips. Spectrograms stay floats; with ``int8`` also the statistics over
time and the last layer."""
AGREEMENT = {"none": 1.0, "float16": 0.99, "dynamic": 0.97, "int8": 0.97}
"""Minimum label agreement with the bundle, 0..1."""
LARGEST_DIFFERENCE = 1e-4
"""Maximum difference of probabilities without quantisation."""
NETWORK = r"^(?!.*(spectrogram|trim)).*$"
"""Names in the graph of everything but feature extraction."""
INTEGERS = r"^(?!.*(spectrogram|trim|statistics|emotion)).*$"
"""Names of the operations that compute in integers: no variances, which are small differences of large
numbers, and not the last layer."""
ASIDE = Path("assets.extra", "ser_kit.json")  # of a SavedModel
OWN = re.compile(r"saved_model\.pb|fingerprint\.pb|ser_kit\.json|variables\.(index|data-\d+-of-\d+)")
OPSET = 18
"""ONNX operator set of the files."""
