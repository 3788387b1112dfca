"""Formats of exported files, and how near their answers must be to the bundle's."""

from __future__ import annotations

import re
from pathlib import Path

FORMATS = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
"""Name -> how the file's name ends; a SavedModel is a folder."""
QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
"""What is made smaller: ``float16`` the weights, to half; ``dynamic`` the weights, to eight-bit integers; ``int8`` also
what flows between layers, to integers whose range is measured on clips. Spectrograms stay floats; with ``int8`` also
the statistics over time and the last layer."""
AGREEMENT = {"none": 1.0, "float16": 0.99, "dynamic": 0.97, "int8": 0.97}
"""Least share of the clips that must be named as the bundle names them."""
LARGEST_DIFFERENCE = 1e-4
"""Between two probabilities, where nothing is quantised."""
NETWORK = r"^(?!.*(spectrogram|trim)).*$"
"""Names in the graph of all but what makes the networks' input."""
INTEGERS = r"^(?!.*(spectrogram|trim|statistics|emotion)).*$"
"""Of what computes in integers: neither variances, small differences of large numbers, nor the last layer."""
ASIDE = Path("assets.extra", "ser_kit.json")  # of a SavedModel
OWN = re.compile(r"saved_model\.pb|fingerprint\.pb|ser_kit\.json|variables\.(index|data-\d+-of-\d+)")
OPSET = 18
"""Of the ONNX files."""
