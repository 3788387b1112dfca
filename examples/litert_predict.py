"""Predict the emotion of recordings with LiteRT, as on a phone or a small board, without TensorFlow and ser_kit.

pip install ai-edge-litert numpy soundfile soxr
ser-kit export from_scratch --format litert --quantize dynamic --out from_scratch.tflite
python litert_predict.py from_scratch.tflite clip.wav
"""

import json
import sys
import zipfile

import numpy as np
import soundfile
import soxr
from ai_edge_litert.interpreter import Interpreter

model, *paths = sys.argv[1:]
with zipfile.ZipFile(model) as attached:  # the metadata of the file
    facts = json.loads(attached.read("ser_kit.json"))
answer = Interpreter(model).get_signature_runner("serving_default")

for path in paths:
    samples, native_rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = soxr.resample(samples.mean(axis=1), native_rate, facts["rate"])
    (probabilities,) = answer(samples=samples[None].astype(np.float32))["probabilities"]
    best = int(np.argmax(probabilities))
    print(f"{path}\t{facts['labels'][best]}\t{probabilities[best]:.3f}")
