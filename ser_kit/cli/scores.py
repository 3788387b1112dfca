"""Scores of evaluations as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from ..evaluation.record import Evaluation


def print_confusion(console: Console, evaluation: Evaluation, title: str) -> None:
    """Print the confusion matrix of an evaluation, with precision, recall and F1 of each label."""
    counts, scores = evaluation.confusion(), evaluation.per_class()
    percent = (100 * scores[["precision", "recall", "f1"]]).map("{:.1f}".format)
    rows = [(label, *counts.loc[label], *percent.loc[label]) for label in evaluation.labels]
    columns = ("true \\ predicted", *evaluation.labels, "precision", "recall", "F1")
    print_table(console, columns, rows, title=title, numbers=columns[1:])
