"""Ideas for corpora that were not learned from, each a recipe with one thing changed, for ``benchmarks.unheard``.

What they are worth is in ``docs/results/unheard.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ser_kit import models, recipes
from ser_kit.features import Functionals
from ser_kit.recipes import Recipe, System
from ser_kit.training.linear import Linear

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class WorstCorpora(Linear):
    """A corpus counts the more, the greater its cross-entropy is.

    Args:
        rounds: fits, of which each multiplies the corpora's weights by ``exp(loss)`` of the one before.

    Source:
        Sagawa, Koh, Hashimoto & Liang (2020), Distributionally robust neural networks for group shifts, ICLR.
    """

    rounds: int = 5

    def _for_all(self, views, y, corpus, weights, excluded):
        shares, found = np.ones(len(excluded)), None
        for _ in range(self.rounds):
            found = super()._for_all(views, y, corpus, weights * shares[corpus], excluded)
            logits = views[0][1] @ found[0] + found[1] + excluded[corpus]
            logits -= logits.max(axis=1, keepdims=True)
            losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]
            # The weights of each corpus's clips add up to 1 / len(excluded).
            shares *= np.exp(np.bincount(corpus, weights * losses) * len(excluded))
            shares *= len(shares) / shares.sum()
        return found


@dataclass(frozen=True, kw_only=True)
class LeftOutInTurn(Linear):
    """The classifier for all corpora is the average of those that each leave one corpus out."""

    def _for_all(self, views, y, corpus, weights, excluded):
        found = []
        for left_out in range(len(excluded)):
            rows = corpus != left_out
            parts = [(share, values[rows], components) for share, values, components in views]
            part = weights[rows] / weights[rows].sum()
            found.append(super()._for_all(parts, y[rows], corpus[rows], part, excluded))
        return tuple(np.mean(values, axis=0) for values in zip(*found, strict=True))


@dataclass(frozen=True, kw_only=True)
class Contrastive(Recipe):
    """A perceptron whose hidden layer is also to bring clips of one emotion from different corpora together.

    Args:
        strength: weight of the contrastive loss beside the cross-entropy.
        heat: the temperature of the cosines of clips.

    Source:
        Khosla et al. (2020), Supervised contrastive learning, NeurIPS 33; pairs here are of different corpora.
    """

    strength: float = 0.5
    heat: float = 0.1

    def _fit(self, model, scaler, split, training, *others):
        import keras

        (x, y, _), how = training, self.training
        emotion = np.eye(len(split.prepared.labels))[y]
        corpus = pd.factorize(split.prepared.table["corpus"].iloc[split.train])[0]
        rarity = len(y) / (np.count_nonzero(emotion.any(axis=0)) * np.maximum(emotion.sum(axis=0), 1))
        steps = how.epochs * -(-len(x) // how.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - steps // 10, warmup_target=how.learning_rate, warmup_steps=steps // 10
        )
        place = keras.layers.Dense(64, name="place")(model.get_layer("emotion").input)
        outputs = {"emotion": model.output, "place": keras.layers.UnitNormalization()(place)}
        both = keras.Model(model.input, outputs)
        both.compile(
            keras.optimizers.AdamW(rate, weight_decay=how.weight_decay),
            loss={
                "emotion": keras.losses.CategoricalCrossentropy(label_smoothing=how.label_smoothing),
                "place": self._apart,
            },
            loss_weights={"emotion": 1.0, "place": self.strength},
        )
        wanted = {"emotion": emotion, "place": np.stack([y, corpus], axis=1)}
        counts = {"emotion": rarity[y], "place": np.ones(len(y))}
        history = both.fit(x, wanted, how.batch_size, how.epochs, sample_weight=counts, verbose=0)
        return pd.DataFrame(history.history).assign(seconds=0.0)

    def _apart(self, wanted, places):
        """Mean over the clips of the same emotion from other corpora of their share of a clip's likeness to all."""
        from keras import ops

        same = wanted[:, None] == wanted[None]  # emotion, corpus
        pairs = ops.cast(same[..., 0] & ~same[..., 1], places.dtype)
        alike = ops.matmul(places, ops.transpose(places)) / self.heat - 1e9 * ops.eye(ops.shape(places)[0])
        shares = ops.log_softmax(alike, axis=1)
        return -ops.sum(pairs * shares, axis=1) / ops.maximum(ops.sum(pairs, axis=1), 1)


@dataclass(frozen=True, kw_only=True)
class Attentive(Recipe):
    """A perceptron on the average of the encoder's blocks, weighted for each clip by what is in all of them."""

    def build(self, n_classes: int) -> keras.Model:
        from keras import Model, layers

        inputs, blocks = layers.Input(self.input_shape), len(self.extractor.blocks)
        weights = layers.Dense(blocks, activation="softmax", name="blocks")(inputs)
        average = layers.Dot(axes=1)([weights, layers.Reshape((blocks, -1))(inputs)])
        head = models.get(self.model)(average.shape[1:], n_classes, **self.hyperparameters)
        return Model(inputs, head(average), name="attentive")


_LINEAR = recipes.get("whisper_base_linear")
_FOR_ALL = _LINEAR.variant("no classifiers of single corpora")
_MLP = recipes.get("whisper_base_mlp+absent classes wrong")


def _other(recipe: Recipe, name: str, kind: type[Recipe] = Recipe, **settings) -> Recipe:
    """A recipe with other settings, and of another kind."""
    return kind(**vars(recipe) | {"name": f"{recipe.name}+{name}", "ablations": {}} | settings)


SYSTEMS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _other(_FOR_ALL, "worst corpora count more", training=WorstCorpora(**vars(_FOR_ALL.training))),
        _other(_FOR_ALL, "corpora left out in turn", training=LeftOutInTurn(**vars(_FOR_ALL.training))),
        _other(_MLP, "contrastive", Contrastive),
        _other(_MLP, "attention over blocks", Attentive, extractor=_LINEAR.extractor),
        replace(
            _LINEAR, name="functionals_linear", extractor=Functionals(preprocess=_LINEAR.extractor.preprocess),
            training=Linear(), ablations={},
        ),
    )
}  # fmt: skip
"""By name."""


def get(name: str) -> System:
    """An idea, or else the recipe of that name."""
    return SYSTEMS[name] if name in SYSTEMS else recipes.get(name)
