"""Model card of a bundle in Markdown: training data, evaluation, limits.

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
    """Write a model card.

    Args:
        card: card of a bundle with its ``members``, as in ``card.json``; missing fields are left out.

    Returns:
        Markdown, with the figures of the card.
    """
    made = card.get("training")
    card = _plain(card)
    if made:  # shown as code, where only backticks are special
        card["training"]["command"] = " ".join((made["command"] or "").replace("`", "'").split())
    parts = [_head(card), _data(card), _start(card), _worth(card), _left_out(card), _use(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(value: Any) -> Any:
    """A copy of a card with its texts escaped for Markdown and HTML."""
    if isinstance(value, str):
        return re.sub(r"([\\`*\[\]<>])", r"\\\1", " ".join(value.split())).replace("&", "&amp;")
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _head(card: Mapping[str, Any]) -> str:
    members = card.get("members", ())
    parameters = sum(member["model"]["parameters"] for member in members)
    count = sum(member["model"]["hyperparameters"].get("members", 1) for member in members)
    networks = f"ensemble of {count} networks" if count > 1 else "one network"
    return "\n\n".join(
        [
            f"# {card['name']}",
            f"{card.get('title', '')}. Predicts one of {len(card['labels'])} emotions: "
            f"{', '.join(card['labels'])}; {networks}, {parameters:,} parameters.",
            f"Source: {card['reference']}" if card.get("reference") else "",
        ]
    ).strip()


def _data(card: Mapping[str, Any]) -> str:
    used = card.get("trained_on")
    if not used:
        return ""
    rows = [(each["corpus"], f"{each['clips']:,}", each["speakers"], each["licence"]) for each in used]
    return "## Training data\n\n" + _table(("corpus", "clips", "speakers", "licence"), rows)


def _start(card: Mapping[str, Any]) -> str:
    found = card.get("started_from")
    if not found:
        return ""
    given = {"low": found.get("low"), "high": found.get("high")}
    change = with_interval(found["own"] - found["start"], given)
    corpora = ", ".join(each["corpus"] for each in found.get("trained_on", ()))
    other = " Its labels are others; each counts as those with whose training clips it occurs."
    labels = "" if found.get("same_labels", True) else other
    blocks = ", ".join(map(str, found.get("blocks", ())))
    return "\n\n".join(
        [
            "## Started from",
            f"`{found['name']}`{f', trained on {corpora}' if corpora else ''}. Its network is unchanged; a "
            f"linear head beside it was trained"
            f"{f' on blocks {blocks} of its encoder' if blocks else ''}.{labels}",
            f"Tested on {found['held_out']}. UAR {percent(found['own'])}, of the start alone "
            f"{percent(found['start'])}; difference {change} (95 % interval over {found.get('groups')} "
            f"{found.get('over')}).",
        ]
    )


def _worth(card: Mapping[str, Any]) -> str:
    found = card.get("evaluation")
    if not found:
        return ""
    scores, protocol = found["scores"], found["protocol"]
    speakers = f"test speakers were {'not' if found['speaker_independent'] else 'also'} in training"
    lines = [
        "## Evaluation",
        f"Protocol `{protocol}`, seed {found['seed']}: {speakers}{_tested(found)}. In percent; in "
        "brackets the 95 % interval from a bootstrap over speakers, without the draws in which an emotion "
        f"has no clip. With fewer than {FEWEST_SPEAKERS} speakers the interval is too narrow, and their "
        "number is given.",
        _table(
            ("", "all clips", "mean of folds", "standard deviation"),
            [
                (name, with_interval(each["pooled"], each), percent(each["mean"]), percent(each["std"]))
                for name, each in scores.items()
            ],
        ),
    ]
    if "pruned" in card:
        share = 100 * card["pruned"]["share"]
        lines.insert(1, f"**Measured before {share:g} % of the weights were pruned.**")
    if "folds" in found:
        lines.append(f"UAR of each fold: {', '.join(map(percent, found['folds']))}.")
    if "classes" in found:
        rows = [
            (label, with_interval(each["recall"], each), percent(each["precision"]), each["support"])
            for label, each in found["classes"].items()
        ]
        lines += ["### By emotion", _table(("emotion", "recall", "precision", "clips"), rows)]
        rows = [(label, *counts) for label, counts in zip(card["labels"], found["confusion"], strict=True)]
        lines += [
            "Confusion matrix: true emotion (rows), prediction (columns), in clips.",
            _table(("", *card["labels"]), rows),
        ]
    if "sexes" in found:
        rows = [
            (sex, with_interval(each["uar"], each), each["clips"]) for sex, each in found["sexes"].items()
        ]
        lines += ["### By sex of the speaker", _table(("sex", "UAR", "clips"), rows)]
    if "reliability" in found:
        rows = [
            (f"{percent(each['low'])} to {percent(each['high'])}", percent(each["confidence"]),
             percent(each["accuracy"]), each["clips"])
            for each in found["reliability"]
        ]  # fmt: skip
        lines += [
            "### Calibration",
            f"Expected calibration error {percent(found['expected_calibration_error'])} (15 bins). Accuracy "
            f"on the most confident 50 % of the clips: {percent(found['confident_half'])}.",
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
    recalls = [
        (each["corpus"], *(percent(each["recall"].get(label)) for label in card["labels"])) for each in found
    ]
    return "\n\n".join(
        [
            "### Held-out corpora",
            "Each corpus was predicted, among its own emotions, by a model trained on the other corpora. In "
            "percent. The temperature, and the threshold from which a prediction is certain, were fitted on "
            "the other held-out corpora.",
            _table(("held out", "clips", "UAR", "calibration error", "certain", "accuracy of these"), rows),
            "Recall of each emotion:",
            _table(("held out", *card["labels"]), recalls),
        ]
    )


def _tested(found: Mapping[str, Any]) -> str:
    parts = [
        f"{each['clips']:,} clips of {each['corpus']} ({each['speakers']} speakers)"
        for each in found.get("tested", ())
    ]
    return f"; tested on {' and '.join(parts)}" if parts else ""


def _use(card: Mapping[str, Any]) -> str:
    lines = ["## Limits", card["limits"]] if card.get("limits") else []
    if card.get("licence"):
        lines += ["## Licence", f"The licences of the corpora apply to the weights: {card['licence']}."]
    if answers := card.get("runtime"):
        text = f"No `model.onnx`; predictions need TensorFlow. Reason: {answers.get('none_since')}"
        if "difference" in answers:
            text = (
                "Predictions use `model.onnx`, without TensorFlow. Its probabilities differ from the "
                f"network's by {answers['difference']:.1g} at most, on {answers['recordings']} recordings "
                "of several lengths."
            )
        lines += ["## Runtime", text]
    if made := card.get("training"):
        data = made["data"]
        lines += [
            "## Training",
            f"`{made['command']}`" if made["command"] else "",
            f"Protocol `{made['protocol']}`, seed {made['seed']}; {data['clips']:,} clips of "
            f"{data['speakers']} speakers. Digest of names, emotions and audio: `{data['digest']}`. All "
            "settings are in `card.json`, under `training`.",
        ]
    if card.get("versions"):
        lines += [
            "## Versions",
            ", ".join(f"{name} {version}" for name, version in card["versions"].items()) + ".",
        ]
    return "\n\n".join(filter(None, lines))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return to_markdown(pd.DataFrame(list(rows), columns=list(columns)))
