"""What a program that uses ser_kit looks like to a type checker; :mod:`test_types` has mypy read it."""

from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd

import ser_kit
from ser_kit import corpora, evaluation, extraction, features, protocols, recipes, training
from ser_kit.bundles import Bundle
from ser_kit.evaluation import Evaluation
from ser_kit.inference import Failure, Prediction, Predictor

predictor = Predictor.from_preset()
answer = predictor.predict("clip.wav")
assert_type(answer, Prediction)
assert_type(answer.emotion, str)
assert_type(answer.confidence, float)
for each in predictor.predict_many(["a.wav", Path("b.wav"), (np.zeros(16000, np.float32), 16000)]):
    if isinstance(each, Failure):
        assert_type(each.error, str)
assert_type(predictor.adapt(["a.wav", "b.wav"]), Predictor)

table = ser_kit.load(["ravdess", "emodb"], labels="six")
assert_type(table, pd.DataFrame)
assert_type(corpora.names(), tuple[str, ...])
found = ser_kit.extract(table, features.Functionals())
assert_type(found, extraction.Features)
assert_type(found.values, np.ndarray)
assert_type(protocols.get("speaker")(table, 0), list[protocols.Fold])

recipe = ser_kit.recipe("rastogi_mlp")
assert_type(recipe, recipes.System)
assert_type(recipe.run(table), Evaluation)
bundle = recipe.fit(table)
assert_type(bundle, Bundle)
assert_type(bundle.save("bundle"), Path)
assert_type(evaluation.metrics(["sad"], ["sad"], ["sad", "happy"]), dict[str, float])
assert_type(training.Training(epochs=3).epochs, int)
