"""Pruning: set the smallest weights of each kernel to zero, and train the others further.

Half of the weights can usually be removed (S. Han et al., "Learning both weights and connections for
efficient neural networks", NIPS 28, 2015). Zeros compress well, so downloads get smaller. Inference with
dense matrix products does not get faster.

Examples:
    >>> from ser_kit import corpora
    >>> from ser_kit.recipes import pruning
    >>> from ser_kit.bundles import Bundle, preset_path
    >>> table = corpora.load(["ravdess", "emodb", "nemo"], labels="eight")           # doctest: +SKIP
    >>> pruned = pruning.prune(Bundle.load(preset_path("from_scratch")), table)  # doctest: +SKIP
    >>> pruning.zeros(pruned)                                                        # doctest: +SKIP
    0.5
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import models, recipes
from ..bundles.bundle import Bundle
from ..bundles.member import Member
from ..core.errors import RecipeError, TableError, TrainingError
from ..models import kernels
from ..training.seeds import seed_everything, subseed
from ..training.settings import Training
from . import Ensemble, PreparedData, Recipe, Split, System

if TYPE_CHECKING:
    import keras

ROUNDS = 3
"""Number of pruning rounds, each followed by training."""


def prune(
    bundle: Bundle,
    data: pd.DataFrame | PreparedData,
    *,
    share: float = 0.5,
    epochs: int = 6,
    system: System | None = None,
    seed: int = 0,
    out: str | os.PathLike | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> Bundle:
    """Prune the networks of a bundle: set the smallest weights of each kernel to zero.

    Weights are removed in rounds, and after each round the networks are trained further as in their recipe.
    The calibration is not changed: all speakers were trained on, so there are no held-out clips to calibrate
    on.

    Args:
        bundle: the bundle; it is not modified.
        data: the clips that the bundle was trained on, as a clip table or prepared data. Test clips must not
            be among them, since they would be trained on.
        share: share of the weights of each kernel to set to zero, above 0 and below 1.
        epochs: number of training epochs over all rounds, at least 1.
        system: the system that trained the bundle; by default the one that its card names.
        seed: random seed of the order of clips and of augmentation.
        out: folder for checkpoints; interrupted pruning resumes from there.
        jobs: number of processes for extraction.
        progress: show progress bars.

    Returns:
        The pruned copy of the bundle.

    Raises:
        TrainingError: if the share is not valid, or the bundle has nothing to prune.
        RecipeError: if no system of the card's name is known, or the system did not train the bundle.
        TableError: if a clip has an emotion that is not among the bundle's labels.
    """
    if not 0 < share < 1 or epochs < 1:
        raise TrainingError(
            f"share={share}, epochs={epochs}; expected a share between 0 and 1, and at least one epoch"
        )
    system = system or recipes.get(bundle.card["name"])
    trained_by = _recipes(system, bundle)
    prepared = _for(bundle, system.prepare(data, jobs=jobs, progress=progress))
    seed_everything(seed)
    members, networks = [], []
    for recipe, member in zip(trained_by, bundle.members, strict=True):
        members.append(replace(member, model=member.stripped()))
        networks += [(recipe, replace(members[-1], model=network)) for network in _networks(members[-1])]
    for number, (recipe, part) in enumerate(networks, start=1):
        rounds = min(ROUNDS, epochs)
        for turn in range(1, rounds + 1):
            # Schedule of M. Zhu and S. Gupta, "To prune, or not to prune", 2017 (arXiv 1710.01878).
            _cut(part.model, share * (1 - (1 - turn / rounds) ** 3))
            length = epochs * turn // rounds - epochs * (turn - 1) // rounds
            place = (
                None if out is None else Path(out) / f"pruned-{share:g}-{seed}-network-{number}-round-{turn}"
            )
            split = Split(
                prepared=prepared,
                train=np.arange(len(prepared.y)),
                validation=np.array([], int),
                seed=subseed(seed, "network", number),
                progress=progress,
                checkpoint=lambda name, place=place: place,
                title=f"network {number} of {len(networks)}, round {turn} of {rounds}",
            )
            _shortly(recipe, length).refine(part, split)
    facts = {"share": share, "epochs": epochs, "clips": len(prepared.originals)}
    return replace(bundle, card={**bundle.card, "pruned": facts}, members=tuple(members))


def forget(out: str | Path) -> None:
    """Remove the checkpoints of :func:`prune`.

    Args:
        out: folder for checkpoints; it is removed too if nothing else is in it.
    """
    for folder in Path(out).glob("pruned-*-network-*-round-*"):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # something else is in it
        Path(out).rmdir()


def zeros(bundle: Bundle) -> float:
    """Share of zero weights in all kernels, 0 to 1."""
    found = np.concatenate(
        [np.ravel(kernel) for member in bundle.members for kernel in kernels(member.model)]
    )
    return float(np.mean(found == 0))


def _recipes(system: System, bundle: Bundle) -> list[Recipe]:
    """The recipe of each member."""
    found = list(system.members) if isinstance(system, Ensemble) else [system]
    found = [found[i % len(found)] for i in range(len(bundle.members))]
    for recipe, member in zip(found, bundle.members, strict=True):
        if not isinstance(recipe.training, Training) or not kernels(member.model):
            raise TrainingError(
                f"{bundle.card['name']} has nothing to prune: {member.builder} is not a trained network"
            )
        builder = member.hyperparameters.get("builder", member.builder)  # the first is of a committee
        if (recipe.extractor, recipe.model) != (member.extractor, models.RENAMED.get(builder, builder)):
            raise RecipeError(f"{system.name} did not train this bundle; expected {bundle.card['name']}")
    return found


def _networks(member: Member) -> list[keras.Model]:
    """Separately trained networks: the members of a committee, or the single network."""
    if member.builder != "committee":
        return [member.model]
    return [member.model.get_layer(f"member_{i + 1}") for i in range(member.hyperparameters["members"])]


def _for(bundle: Bundle, prepared: PreparedData) -> PreparedData:
    """Map the classes of the data to the labels of the bundle."""
    strange = sorted(set(prepared.labels) - set(bundle.labels))
    if strange:
        raise TableError(
            f"there are clips of {', '.join(strange)}; the bundle knows {', '.join(bundle.labels)}"
        )
    places = np.array([bundle.labels.index(label) for label in prepared.labels])
    return replace(prepared, labels=bundle.labels, y=places[prepared.y])


def _shortly(recipe: Recipe, epochs: int) -> Recipe:
    """Recipe for further training, with a learning rate that decays to 0."""
    changes = {"epochs": epochs, "cosine": True, "patience": None, "halve_after": None}
    changes |= {"speaker_penalty": 0.0, "pretrain": None}
    return recipe.with_settings({f"training.{name}": value for name, value in changes.items()})


def _cut(network: keras.Model, share: float) -> None:
    """Set the smallest weights of each kernel to zero."""
    for kernel in kernels(network):
        values = np.asarray(kernel).copy()
        order = np.argsort(np.abs(values), axis=None, kind="stable")
        values.reshape(-1)[order[: round(share * values.size)]] = 0
        kernel.assign(values)
