"""Networks with fewer weights: the smallest of each kernel become zero, and the others learn to do without
them.

Every second weight can usually go (S. Han et al., "Learning both weights and connections for efficient neural
networks", NIPS 28, 2015). Zeros compress well, so what is downloaded gets smaller; runtimes that multiply
whole matrices do not get faster.

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

from .. import recipes
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
"""Times that weights are taken away, fewer each time, with the network trained in between."""


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
    """A copy of a bundle whose networks have zeros for the smallest weights of each kernel.

    Weights are taken away in rounds, and after each the networks are trained further as their recipe trains
    them. Calibration stays as it was: all speakers at hand were learned from, and none is left whose clips
    could tell how sure the networks may be of strangers.

    Args:
        bundle: stays as it is.
        data: the clips that it learned from, no others: those of test speakers would be learned from, too. A
            table, or what the system prepared of one.
        share: of each kernel's weights, above 0 and below 1.
        epochs: of training, shared among the rounds; at least one each.
        system: that trained the bundle; by default the one that its card names.
        seed: order of the clips, and what augmentation draws.
        out: folder for checkpoints; pruning that was interrupted goes on from there when it is called again.
        jobs: processes for extraction.
        progress: show progress bars.

    Raises:
        TrainingError: the share makes no sense, or the bundle has nothing to prune.
        RecipeError: no system of the card's name is known, or it is not the bundle's.
        TableError: a clip has an emotion that the bundle does not know.
    """
    if not 0 < share < 1 or epochs < 1:
        raise TrainingError(
            f"share={share}, epochs={epochs}; expected a share between 0 and 1, and an epoch at least"
        )
    system = system or recipes.get(bundle.card["name"])
    trained_by = _recipes(system, bundle)
    material = _for(bundle, system.prepare(data, jobs=jobs, progress=progress))
    seed_everything(seed)
    members, networks = [], []
    for recipe, member in zip(trained_by, bundle.members, strict=True):
        members.append(replace(member, model=member.stripped()))
        networks += [(recipe, replace(members[-1], model=network)) for network in _networks(members[-1])]
    for number, (recipe, part) in enumerate(networks, start=1):
        rounds = min(ROUNDS, epochs)
        for turn in range(1, rounds + 1):
            # Fewer each time, as M. Zhu and S. Gupta do: "To prune, or not to prune", 2017 (arXiv
            # 1710.01878).
            _cut(part.model, share * (1 - (1 - turn / rounds) ** 3))
            length = epochs * turn // rounds - epochs * (turn - 1) // rounds
            place = (
                None if out is None else Path(out) / f"pruned-{share:g}-{seed}-network-{number}-round-{turn}"
            )
            split = Split(
                material=material,
                train=np.arange(len(material.y)),
                validation=np.array([], int),
                seed=subseed(seed, "network", number),
                progress=progress,
                checkpoint=lambda name, place=place: place,
                title=f"network {number} of {len(networks)}, round {turn} of {rounds}",
            )
            _shortly(recipe, length).refine(part, split)
    facts = {"share": share, "epochs": epochs, "clips": len(material.originals)}
    return replace(bundle, card={**bundle.card, "pruned": facts}, members=tuple(members))


def forget(out: str | Path) -> None:
    """Remove the checkpoints that :func:`prune` has left.

    Args:
        out: folder for checkpoints; it is removed too when nothing else is in it.
    """
    for folder in Path(out).glob("pruned-*-network-*-round-*"):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # something else is in it
        Path(out).rmdir()


def zeros(bundle: Bundle) -> float:
    """Share of the weights of all kernels that are zero."""
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
                f"{bundle.card['name']} has nothing to prune: {member.builder} is no trained network"
            )
        if recipe.extractor != member.extractor or recipe.model not in (
            member.builder,
            member.hyperparameters.get("builder"),  # of a committee
        ):
            raise RecipeError(
                f"{system.name} is not what trained this bundle; expected {bundle.card['name']}"
            )
    return found


def _networks(member: Member) -> list[keras.Model]:
    """Those that were trained on their own: a committee's members, or the one network."""
    if member.builder != "committee":
        return [member.model]
    return [member.model.get_layer(f"member_{i + 1}") for i in range(member.hyperparameters["members"])]


def _for(bundle: Bundle, material: PreparedData) -> PreparedData:
    """The material with the bundle's labels."""
    strange = sorted(set(material.labels) - set(bundle.labels))
    if strange:
        raise TableError(
            f"there are clips of {', '.join(strange)}; the bundle knows {', '.join(bundle.labels)}"
        )
    places = np.array([bundle.labels.index(label) for label in material.labels])
    return replace(material, labels=bundle.labels, y=places[material.y])


def _shortly(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe for a few more epochs, at whose end the learning rate is nought."""
    changes = {"epochs": epochs, "cosine": True, "patience": None, "halve_after": None}
    changes |= {"speaker_penalty": 0.0, "pretrain": None}
    return recipe.with_settings({f"training.{name}": value for name, value in changes.items()})


def _cut(network: keras.Model, share: float) -> None:
    """Make the smallest weights of each kernel zero."""
    for kernel in kernels(network):
        values = np.asarray(kernel).copy()
        order = np.argsort(np.abs(values), axis=None, kind="stable")
        values.reshape(-1)[order[: round(share * values.size)]] = 0
        kernel.assign(values)
