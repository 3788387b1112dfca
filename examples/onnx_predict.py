"""Predict the emotion of recordings with ONNX Runtime, without TensorFlow and ser_kit.

pip install onnxruntime numpy soundfile soxr
ser-kit export from_scratch --format onnx --out from_scratch.onnx
python onnx_predict.py from_scratch.onnx clip.wav
"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile
import soxr

model, *paths = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
facts = session.get_modelmeta().custom_metadata_map  # the metadata of the file
labels, rate = json.loads(facts["labels"]), int(facts["rate"])

for path in paths:
    samples, native_rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = soxr.resample(samples.mean(axis=1), native_rate, rate)
    (probabilities,) = session.run(["probabilities"], {"samples": samples[None].astype(np.float32)})[0]
    best = int(np.argmax(probabilities))
    print(f"{path}\t{labels[best]}\t{probabilities[best]:.3f}")
