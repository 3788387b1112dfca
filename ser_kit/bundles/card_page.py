"""What a trained model is, what it is worth and what it must not be used for, as a page for people.

Source: M. Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..evaluation.intervals import FEWEST_SPEAKERS, percent, with_interval
from ..evaluation.record import to_markdown


def markdown(card: Mapping[str, Any]) -> str:
    """A model card.

    Args:
        card: of a bundle, :attr:`ser_kit.bundles.bundle.Bundle.card`, with its ``members``; what it does not tell is left out.

    Returns:
        Markdown. All figures are those of the card: measured on speakers who were not trained on, where it says so.
    """
    made = card.get("training")
    card = _plain(card)
    if made:  # shown as code, in which there is no other markup
        card["training"]["command"] = " ".join((made["command"] or "").replace("`", "'").split())
    parts = [_head(card), _data(card), _worth(card), _left_out(card), _use(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(value: Any) -> Any:
    """A card whose texts are nothing but text in Markdown, and in the HTML that may stand in it."""
    if isinstance(value, str):
        return re.sub(r"([\\`*\[\]<>])", r"\\\1", " ".join(value.split())).replace("&", "&amp;")
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _head(card: Mapping[str, Any]) -> str:
    members = card.get("members", ())
    parameters = sum(member["model"]["parameters"] for member in members)
    count = sum(member["model"]["hyperparameters"].get("members", 1) for member in members)
    networks = f"{count} networks that vote" if count > 1 else "one network"
    return "\n\n".join(
        [
            f"# {card['name']}",
            f"{card.get('title', '')}. Answers with one of {len(card['labels'])} emotions: "
            f"{', '.join(card['labels'])}; {networks}, {parameters:,} parameters.",
            f"Source: {card['reference']}" if card.get("reference") else "",
        ]
    ).strip()


def _data(card: Mapping[str, Any]) -> str:
    used = card.get("trained_on")
    if not used:
        return ""
    rows = [(each["corpus"], f"{each['clips']:,}", each["speakers"], each["licence"]) for each in used]
    return "## Trained on\n\n" + _table(("corpus", "clips", "speakers", "licence"), rows)


def _worth(card: Mapping[str, Any]) -> str:
    found = card.get("evaluation")
    if not found:
        return ""
    scores, protocol = found["scores"], found["protocol"]
    speakers = (
        "no tested speaker was in training" if found["speaker_independent"] else "tested speakers were also in training"
    )
    lines = [
        "## What it is worth",
        f"Protocol `{protocol}`, seed {found['seed']}: {speakers}{_tested(found)}. In percent; in brackets the 95 % "
        "interval from drawing whole speakers, without the draws in which an emotion has no clip. Where fewer than "
        f"{FEWEST_SPEAKERS} speakers are drawn from, the interval is too narrow, and their number stands beside it.",
        _table(
            ("", "all clips together", "mean of folds", "deviation"),
            [
                (name, with_interval(each["pooled"], each), percent(each["mean"]), percent(each["std"]))
                for name, each in scores.items()
            ],
        ),
    ]
    if "pruned" in card:
        share = 100 * card["pruned"]["share"]
        lines.insert(1, f"**All of this was measured before {share:g} % of the weights were taken away.**")
    if "folds" in found:
        lines.append(f"UAR of each fold: {', '.join(map(percent, found['folds']))}.")
    if "classes" in found:
        rows = [
            (label, with_interval(each["recall"], each), percent(each["precision"]), each["support"])
            for label, each in found["classes"].items()
        ]
        lines += ["### By emotion", _table(("emotion", "recall", "precision", "clips"), rows)]
        rows = [(label, *counts) for label, counts in zip(card["labels"], found["confusion"], strict=True)]
        lines += ["Clips by their emotion (rows) and by the answer (columns):", _table(("", *card["labels"]), rows)]
    if "sexes" in found:
        rows = [(sex, with_interval(each["uar"], each), each["clips"]) for sex, each in found["sexes"].items()]
        lines += ["### By sex of the speaker", _table(("sex", "UAR", "clips"), rows)]
    if "reliability" in found:
        rows = [
            (f"{percent(each['low'])} to {percent(each['high'])}", percent(each["confidence"]),
             percent(each["accuracy"]), each["clips"])
            for each in found["reliability"]
        ]  # fmt: skip
        lines += [
            "### Whether its confidence can be believed",
            f"Expected calibration error {percent(found['expected_calibration_error'])} (15 bins). Of the half of the "
            f"clips that it is surest of, {percent(found['confident_half'])} are right.",
            _table(("confidence", "mean confidence", "accuracy", "clips"), rows),
        ]
    return "\n\n".join(lines)


def _left_out(card: Mapping[str, Any]) -> str:
    found = card.get("left_out")
    if not found:
        return ""
    rows = [
        (each["corpus"], f"{each['clips']:,}", with_interval(each["uar"], each),
         percent(each["expected_calibration_error"]), percent(each["answered"]), percent(each["right"]))
        for each in found
    ]  # fmt: skip
    recalls = [(each["corpus"], *(percent(each["recall"].get(label)) for label in card["labels"])) for each in found]
    return "\n\n".join(
        [
            "### On corpora that were left out",
            "Each corpus was answered for, among the emotions that it has, by a model that learned from the others. In "
            "percent. Temperature and the confidence from which on an answer is certain are those that fit the other "
            "corpora left out.",
            _table(("left out", "clips", "UAR", "calibration error", "certain", "of these right"), rows),
            "Recall of each emotion:",
            _table(("left out", *card["labels"]), recalls),
        ]
    )


def _tested(found: Mapping[str, Any]) -> str:
    parts = [
        f"{each['clips']:,} clips of {each['corpus']} ({each['speakers']} speakers)" for each in found.get("tested", ())
    ]
    return f"; tested on {' and '.join(parts)}" if parts else ""


def _use(card: Mapping[str, Any]) -> str:
    lines = ["## Limits", card["limits"]] if card.get("limits") else []
    if card.get("licence"):
        lines += ["## Licence", f"Those of the corpora bind the weights: {card['licence']}."]
    if answers := card.get("runtime"):
        said = f"No `model.onnx`, so TensorFlow answers: {answers.get('none_since')}"
        if "difference" in answers:
            said = (
                "`model.onnx` answers, without TensorFlow; on recordings of several lengths, "
                f"{answers['recordings']} in all, its probabilities differ from the network's by "
                f"{answers['difference']:.1g} at most."
            )
        lines += ["## What answers", said]
    if made := card.get("training"):
        data = made["data"]
        lines += [
            "## How it was made",
            f"`{made['command']}`" if made["command"] else "",
            f"Protocol `{made['protocol']}`, seed {made['seed']}; {data['clips']:,} clips of {data['speakers']} "
            f"speakers, whose names, emotions and sound have the digest `{data['digest']}`. All settings are in "
            "`card.json`, under `training`.",
        ]
    if card.get("versions"):
        lines += ["## Made with", ", ".join(f"{name} {version}" for name, version in card["versions"].items()) + "."]
    return "\n\n".join(filter(None, lines))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return to_markdown(pd.DataFrame(list(rows), columns=list(columns)))
