"""Ensembles of recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from ..audio.transforms import Step
from ..bundles.member import Member
from ..core.config import listed
from ..core.errors import RecipeError
from ..features import Extractor
from ..training.seeds import sequence, subseed
from .prepared import Split
from .single import Recipe
from .system import System

_SMALLEST_ERROR = 1e-3  # of a boosted member: with an error of 0 its weight would be infinite


@dataclass(frozen=True, kw_only=True)
class Ensemble(System):
    """Ensemble of recipes trained on the same clips.

    * ``"soft"``: soft voting, the mean of the probabilities;
    * ``"hard"``: hard voting, the share of votes;
    * ``"bagging"``: each member is trained on a bootstrap sample of the training clips (as weights; copies go
      with their clip), then soft voting (Breiman 1996);
    * ``"boosting"``: training clips that earlier members misclassified get a larger weight, and members with
      fewer errors a larger vote (SAMME: Zhu, Zou, Rosset & Hastie, "Multi-class AdaBoost", 2009);
    * ``"seeds"``: members with different initial weights and order of clips, then soft voting
      (Lakshminarayanan, Pritzel & Blundell, "Simple and scalable predictive uncertainty estimation using deep
      ensembles", NIPS 30, 2017).

    Args:
        members: the recipes, with the same labels, copies and augmentation.
        method: one of the above.
        rounds: number of members for bagging, boosting and seeds, 1 to 100; the recipes are used in turn.

    Examples:
        >>> from ser_kit import recipes
        >>> both = recipes.Ensemble.of(recipes.get("rastogi_mlp"), recipes.get("rastogi_cnn_lstm"))
        >>> both.name
        'rastogi_mlp&rastogi_cnn_lstm'
    """

    METHODS: ClassVar[tuple[str, ...]] = ("soft", "hard", "bagging", "boosting", "seeds")

    members: tuple[Recipe, ...]
    method: str = "soft"
    rounds: int = 5

    valid: ClassVar = System.valid | {"method": frozenset(METHODS), "rounds": range(1, 101)}

    def __post_init__(self):
        super().__post_init__()
        members = listed("members", self.members, RecipeError)
        if not members or not all(isinstance(member, Recipe) for member in members):
            raise RecipeError(f"members={members!r} must be recipes, at least one")
        if len({member.name for member in self.members}) < len(self.members):
            raise RecipeError(
                "the members of an ensemble need different names; see Recipe.with_settings(..., name)"
            )
        if len({(member.copies, member.augmentation) for member in self.members}) > 1:
            raise RecipeError("the members of an ensemble share copies and augmentation; these differ")

    @classmethod
    def of(cls, *members: Recipe, method: str = "soft", rounds: int = 5) -> Ensemble:
        """Create an ensemble of recipes, named after them."""
        first = members[0]
        return cls(
            name="&".join(member.name for member in members),
            title=f"{method} ensemble: {'; '.join(member.title for member in members)}",
            reference="; ".join(dict.fromkeys(member.reference for member in members)),
            labels=first.labels,
            published=replace(first.published, accuracy=(), others={}, classes={}, parameters=None),
            members=members,
            method=method,
            rounds=rounds,
        )

    def with_settings(self, changes: Mapping[str, Any], name: str = "") -> Self:
        """As :meth:`System.with_settings`; settings that the ensemble does not have are changed in each
        member.

        Examples:
            >>> from ser_kit import recipes
            >>> recipes.get("voting_soft").with_settings({"training.epochs": 3}).members[0].training.epochs
            3
        """
        own = {key: value for key, value in changes.items() if key.split(".")[0] in self.__dataclass_fields__}
        others = {key: value for key, value in changes.items() if key not in own}
        if others:
            own["members"] = tuple(
                member.with_settings(others) for member in own.get("members", self.members)
            )
        return super().with_settings(own, name)

    def check(self, temperature: float) -> None:
        for member in self.members:
            member.check(temperature)

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        return tuple(dict.fromkeys(member.extractor for member in self.members))

    @property
    def augmentation(self) -> tuple[Step, ...]:
        return self.members[0].augmentation

    @property
    def copies(self) -> int:
        return self.members[0].copies

    @property
    def parts(self) -> tuple[str, ...]:
        if self.method in ("soft", "hard"):
            return tuple(part for member in self.members for part in member.parts)
        turns = (self.members[i % len(self.members)].name for i in range(self.rounds))
        return tuple(f"{name}-{self.method}-{i}" for i, name in enumerate(turns))

    @property
    def combine(self) -> str:
        return "hard" if self.method in ("hard", "boosting") else "soft"

    def train(
        self, split: Split, weights: np.ndarray | None = None
    ) -> tuple[list[Member], list[pd.DataFrame]]:
        if self.method == "seeds":
            return self._in_rounds(split, lambda i: weights)
        given = np.ones(len(split.train)) if weights is None else weights
        if self.method == "boosting":
            return self._boost(split, given)
        if self.method == "bagging":
            return self._in_rounds(split, lambda i: given * self._drawn(split, i))
        parts = [member.train(split, weights) for member in self.members]
        return [m for members, _ in parts for m in members], [h for _, histories in parts for h in histories]

    def _in_rounds(
        self, split: Split, weigh: Callable[[int], np.ndarray | None], after=lambda member, i: member
    ) -> tuple[list[Member], list[pd.DataFrame]]:
        """Train the recipes in turn, with different clip weights in each round."""
        members, histories = [], []
        for i in range(self.rounds):
            recipe = replace(self.members[i % len(self.members)], name=self.parts[i])
            # Not seed + i: ensembles with consecutive seeds would share members.
            seed, title = (
                subseed(split.seed, "member", i),
                f"{split.title} {self.method} {i + 1}/{self.rounds}",
            )
            turn = replace(split, seed=seed, title=title)
            found, epochs = recipe.train(turn, weigh(i))
            members += [after(member, i) for member in found]
            histories += epochs
        return members, histories

    @staticmethod
    def _drawn(split: Split, i: int) -> np.ndarray:
        """Number of times that each training row is in the i-th bootstrap sample; copies follow their
        clip."""
        table = split.prepared.table.iloc[split.train]
        clips = table["clip_id"].to_numpy()
        if "parent" in table:
            clips = np.where(table["parent"] == "", clips, table["parent"])
        codes, known = pd.factorize(clips)
        rng = np.random.default_rng(sequence(split.seed, "bootstrap", i))
        drawn = rng.multinomial(len(known), np.full(len(known), 1 / len(known)))
        return drawn[codes].astype(float)

    def _boost(self, split: Split, given: np.ndarray):
        true, n_classes = split.prepared.y[split.train], len(split.prepared.labels)
        now = given / given.mean()

        def weighted(member: Member, i: int) -> Member:
            nonlocal now
            probabilities = member.probabilities(
                split.prepared.features[member.extractor].values[split.train]
            )
            wrong = probabilities.argmax(axis=1) != true
            error = np.clip((now * wrong).sum() / now.sum(), _SMALLEST_ERROR, 1 - _SMALLEST_ERROR)
            # No better than chance: SAMME gives the member no vote, and the clip weights stay the same.
            vote = max(0.0, np.log((1 - error) / error) + np.log(n_classes - 1))
            now = now * np.exp(vote * wrong)
            now = now / now.mean()
            return replace(member, weight=max(vote, 1e-9))

        return self._in_rounds(split, lambda i: now, weighted)
