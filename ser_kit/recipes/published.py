"""What a document reports of its system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PUBLISHED = "published"
"""Name that stands for the protocol that a system's authors used."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Results that a document reports of its system.

    Args:
        document: title or authors, as far as given.
        corpora: names of the corpora that it was trained and tested on.
        protocol: name of the protocol in :mod:`ser_kit.protocols`.
        also: other protocols that the document names, or that its results imply.
        accuracy: reported accuracy, as fractions: one value, or the lowest and the highest.
        others: other reported metrics, such as ``{"macro_f1": (0.65,)}``: one value, or the lowest and the
            highest. Metrics are those of :data:`ser_kit.evaluation.METRICS` and ``training_accuracy``;
            averages with unspecified class weights are taken as macro averages.
        classes: reported metrics of single emotions: emotion -> ``precision``, ``recall``, ``f1``, as far as
            given.
        parameters: reported number of parameters.
        variants: reported accuracy of those variants of the recipe that are the document's too: another
            reading, another corpus, or a shorter training.
    """

    document: str
    corpora: tuple[str, ...]
    protocol: str
    also: tuple[str, ...] = ()
    accuracy: tuple[float, ...] = ()
    others: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parameters: int | None = None
    variants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def accuracies(self) -> dict[str, tuple[float, ...]]:
        """Reported accuracy of the system (``""``) and of each of its variants."""
        return {"": self.accuracy, **self.variants}


OURS = Published(document="ser_kit", corpora=("ravdess",), protocol="speaker")
"""For ser_kit's own systems, without published results."""
