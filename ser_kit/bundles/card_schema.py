"""JSON schema of a bundle's card. Unknown fields are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

COMBINATIONS = ("soft", "hard")
"""How members are combined: mean of probabilities (soft) or share of votes (hard)."""
MOST_MEMBERS = 100
"""Maximum number of networks in a bundle, and of rounds of an ensemble."""
VOICES = ("classes", "within", "speakers")
"""The matrices of :class:`ser_kit.bundles.adaptation.Voices`."""


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties}


def _list(of: Mapping[str, Any], least: int = 0, most: int = 100_000, **others) -> dict:
    return {"type": "array", "items": of, "minItems": least, "maxItems": most, **others}


def _number(least: float = -1e12, most: float = 1e12, **others) -> dict:
    return {"type": "number", "minimum": least, "maximum": most, **others}


def _or_none(schema: Mapping[str, Any]) -> dict:
    return {**schema, "type": [schema["type"], "null"]}


def _by_name(of: Mapping[str, Any]) -> dict:
    return {"type": "object", "additionalProperties": of}


_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 100}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**12}
_KNOWN = _or_none(_number())
_SHARE = _number(0, 1)
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ABOVE_0 = _number(1e-12)
_CORPUS = {"corpus": _TEXT, "clips": _COUNT, "speakers": _COUNT}
_INTERVAL = {"low": _KNOWN, "high": _KNOWN, "speakers": _COUNT}


def _evaluation() -> dict:
    scores = _object({"mean": _number(), "pooled": _number()}, {"std": _KNOWN, **_INTERVAL})
    found = _object(
        {
            "protocol": _TEXT,
            "seed": _COUNT,
            "speaker_independent": {"type": "boolean"},
            "scores": _by_name(scores),
        },
        {
            "tested": _list(_object(_CORPUS)),
            "folds": _list(_KNOWN),
            "classes": _by_name(
                _object({"recall": _KNOWN, "precision": _KNOWN, "support": _COUNT}, _INTERVAL)
            ),
            "confusion": _list(_list(_COUNT)),
            "sexes": _by_name(_object({"uar": _KNOWN, "clips": _COUNT}, _INTERVAL)),
            "reliability": _list(
                _object(
                    {"low": _SHARE, "high": _SHARE, "confidence": _KNOWN, "accuracy": _KNOWN, "clips": _COUNT}
                )
            ),
            "expected_calibration_error": _KNOWN,
            "confident_half": _KNOWN,
        },
    )
    found["dependencies"] = {
        "classes": ["confusion"],
        "reliability": ["expected_calibration_error", "confident_half"],
    }
    return found


def _member() -> dict:
    return _object(
        {
            "extractor": _object({"name": _NAME, "version": _COUNT, "parameters": {"type": "object"}}),
            "columns": _list(_COUNT, 1, uniqueItems=True),
            "model": _object(
                {
                    "builder": _NAME,
                    "input_shape": _list(_or_none({**_COUNT, "minimum": 1}), 1, 4),
                    "hyperparameters": {"type": "object"},
                    "parameters": _COUNT,
                },
                {"version": _COUNT},
            ),
            "scaler": _object({"mean": _list(_number()), "scale": _list(_ABOVE_0)}),
            "weight": _ABOVE_0,
            "sha256": _DIGEST,
        },
        {"weights": {"type": "string", "pattern": "^[0-9a-f]{32}$"}},
    )


def _voices() -> dict:
    def matrix(most: float) -> dict:
        return _list(_list(_number(-most, most), 2, 100), 2, 100)

    return _object(
        {**dict.fromkeys(VOICES, matrix(1000)), "classes": matrix(10), "spread": _list(_number(0), 2, 2)}
    )


def _left_out() -> dict:
    shares = dict.fromkeys(("uar", "threshold", "expected_calibration_error", "answered"), _SHARE)
    measured = {"low": _KNOWN, "high": _KNOWN, "recall": _by_name(_SHARE), "right": _or_none(_SHARE)}
    return _object({**_CORPUS, **shares, **measured})


def _started_from() -> dict:
    return _object(
        {"name": _NAME, "identity": _TEXT, "held_out": _TEXT, "own": _SHARE, "start": _SHARE},
        {
            "labels": _list(_NAME, 2, 100),
            "trained_on": _list(_object(_CORPUS)),
            "low": _KNOWN,
            "high": _KNOWN,
            "over": {"enum": ["speakers", "clips"]},
            "groups": _COUNT,
            "same_labels": {"type": "boolean"},
            "share": _number(0),
            "blocks": _list(_COUNT, 0, 100),
        },
    )


@cache
def schema() -> dict[str, Any]:
    """JSON schema of a card, for :func:`ser_kit.core.schema.check`."""
    spread = {"type": "array", "items": [_number(), _number(0)], "minItems": 2, "maxItems": 2}
    return _object(
        {
            # The default name of an exported file.
            "name": {**_NAME, "pattern": r"^[^./\\][^/\\]*$"},
            "labels": _list(_NAME, 2, 100, uniqueItems=True),
            "members": _list(_member(), 1, MOST_MEMBERS),
            "combine": {"enum": list(COMBINATIONS)},
            "temperature": _number(0.01, 100),
            "uncertain_below": _SHARE,
            "typical": _by_name(_by_name(spread)),
        },
        {
            **dict.fromkeys(("title", "reference", "licence", "limits"), _TEXT),
            "prior": _list(_number(1e-12, 1)),
            "strange_above": _or_none(_number(0)),
            "baseline": _by_name(_number(-1000, 0)),
            "voices": _voices(),
            "trained_on": _list(_object({**_CORPUS, "licence": _TEXT})),
            "evaluation": _evaluation(),
            "left_out": _list(_left_out(), 0, 100),
            "started_from": _started_from(),
            "versions": _by_name(_TEXT),
            "pruned": _object({"share": _SHARE}),
            "runtime": _object(
                {}, {"sha256": _DIGEST, "difference": _SHARE, "recordings": _COUNT, "none_since": _TEXT}
            ),
            "training": _object(
                {
                    "protocol": _TEXT,
                    "seed": _COUNT,
                    "command": _or_none(_TEXT),
                    "data": _object({"clips": _COUNT, "speakers": _COUNT, "digest": _TEXT}),
                }
            ),
        },
    )
