"""Figures that several documents have. Each function returns what a :class:`Picture` draws with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ... import plots, recipes
from ...core.errors import TableError
from ...core.labels import label_set
from .document import UNSEEN, Material

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Make = Callable[[Material], "Figure"]
_TITLES = {"f1": "F1", "precision": "Precision", "recall": "Recall"}


def class_distribution(material: Material) -> Figure:
    """Clips by emotion and sex."""
    return plots.class_distribution(material.clips)


def portrait(emotion: str, panels: Sequence[str], **fields: str) -> Make:
    """One recording of an emotion, as several features.

    Args:
        emotion: emotion of the recording.
        panels: see :func:`ser_kit.plots.portrait`.
        fields: other columns of the clip table, such as ``intensity="strong"``. The first such clip is drawn,
            or the first of the emotion.
    """

    def make(material: Material) -> Figure:
        clips = material.clips
        some = clips[clips["emotion"] == emotion]
        if not len(some):
            raise TableError(f"there is no {emotion} clip")
        wanted = some[(some[list(fields)] == pd.Series(fields)).all(axis=1)]
        return plots.portrait((wanted if len(wanted) else some)["path"].iloc[0], panels)

    return make


def curves(system: str, protocol: str = "") -> Make:
    """Training and validation curves of a system."""
    return lambda material: plots.training_curves(material.histories(system, protocol))


def confusion(system: str, protocol: str = "") -> Make:
    """Confusion matrix of a system over all folds and seeds."""

    def make(material: Material) -> Figure:
        counts = material.confusion(system, protocol)
        runs = material.runs(system, protocol)
        title = f"{system}, {runs['protocol'].iloc[0]}, {runs['corpora'].iloc[0]}"
        return plots.confusion(counts, title=title)

    return make


def layers(system: str) -> Make:
    """The layers of a system's network, built for the document's labels."""

    def make(material: Material) -> Figure:
        network = recipes.get(system).build(len(label_set(material.document.labels)))
        return plots.layer_flow(layer_table(network), f"{system}: {network.count_params():,} parameters")

    return make


def layer_table(network) -> pd.DataFrame:
    """Layers of a Keras model: kind, output shape and parameters.

    Args:
        network: a built ``keras.Model``.

    Returns:
        DataFrame with the columns ``layer``, ``output`` and ``parameters``.
    """
    rows = []
    for layer in network.layers:
        shape = layer.output.shape if not isinstance(layer.output, list) else layer.output[0].shape
        rows.append(
            {
                "layer": type(layer).__name__,
                "output": " x ".join("any" if size is None else str(size) for size in shape[1:]),
                "parameters": layer.count_params(),
            }
        )
    return pd.DataFrame(rows)


def class_scores(system: str, metric: str, reported: Mapping[str, float], protocol: str = "") -> Make:
    """A score of each emotion: reported, as documented, and on unseen speakers.

    Args:
        system: name of a recipe.
        metric: ``precision``, ``recall`` or ``f1``.
        reported: emotion -> reported fraction, as far as given.
        protocol: protocol of the document; by default that of the system's authors.
    """

    def make(material: Material) -> Figure:
        columns = {"reported": pd.Series(reported, dtype=float)}
        for name, each in (("here, as documented", protocol), ("here, unseen speakers", UNSEEN)):
            try:
                runs = material.runs(system, each)
            except TableError:
                continue
            scores = [{k: v[metric] for k, v in run.items() if v["support"]} for run in runs["per_class"]]
            columns[name] = pd.DataFrame(scores).mean()
        if len(columns) == 1:
            raise TableError(f"there is no record of {system}")
        title = f"{_TITLES[metric]} by emotion: {system}"
        return plots.scores_by_class(pd.DataFrame(columns), title)

    return make
