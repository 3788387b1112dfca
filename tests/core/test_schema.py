"""What values read from JSON may be."""

from __future__ import annotations

import pytest

from ser_kit.core.schema import WrongValueError, check

WRONG = [
    ({"type": "number"}, "a", "x='a' must be a number"),
    ({"type": "number"}, True, "x=True must be a number"),
    ({"type": ["number", "null"]}, "a", "x='a' must be a number or null"),
    ({"type": "integer"}, 1.5, "x=1.5 must be a whole number"),
    ({"type": "array"}, {}, "x={} must be a list"),
    ({"type": "object"}, [], r"x=\[\] must be an object"),
    ({"type": "boolean"}, 0, "x=0 must be true or false"),
    ({"type": "string"}, None, "x=None must be text"),
    ({"minimum": 1}, 0.5, "x=0.5 must be 1 or more"),
    ({"minimum": 1}, float("nan"), "x=nan must be 1 or more"),
    ({"maximum": 1}, 2, "x=2 must be 1 or less"),
    ({"const": 3}, 4, "x=4 must be 3"),
    ({"enum": ["a", "b"]}, "c", "x='c' must be one of 'a', 'b'"),
    ({"minLength": 2}, "a", "x='a' must have 2 characters or more"),
    ({"maxLength": 2}, "abc", "x='abc' must have 2 characters or fewer"),
    ({"pattern": "^[ab]+$"}, "abc", "x='abc' must match"),
    ({"minItems": 1}, [], r"x=\[\] must have 1 entries or more"),
    ({"maxItems": 1}, [1, 2], r"x=\[1, 2\] must have 1 entries or fewer"),
    ({"uniqueItems": True}, [[1], [2], [1]], "must have no entry twice"),
    ({"items": {"type": "number"}}, [1, "a"], r"x\[1\]='a' must be a number"),
    ({"items": [{"type": "number"}, {"minimum": 0}]}, [-1, -1], r"x\[1\]=-1 must be 0 or more"),
    ({"required": ["a", "b"]}, {"a": 1}, "x lacks b"),
    ({"dependencies": {"a": ["b"]}}, {"a": 1}, "x has a and lacks b"),
    ({"properties": {"a": {"type": "string"}}}, {"a": 1}, "x.a=1 must be text"),
    ({"additionalProperties": {"minimum": 0}}, {"a": 1, "b": -1}, "x.b=-1 must be 0 or more"),
]


@pytest.mark.parametrize(("schema", "value", "message"), WRONG)
def test_what_a_schema_does_not_allow_is_named(schema, value, message):
    with pytest.raises(WrongValueError, match=message):
        check(schema, value, "x")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": ["number", "null"], "minimum": 0}, None),
        ({"type": "integer"}, 2.0),
        ({"minimum": 1, "maximum": 1}, 1),
        ({"items": [{"type": "number"}]}, [1, "more than the schema speaks of"]),
        ({"uniqueItems": True}, [1, 2, "1"]),
        ({"dependencies": {"a": ["b"]}}, {"c": 1}),
        ({"properties": {"a": {"type": "string"}}}, {"b": 1}),
        ({"properties": {"a": {"minimum": 5}}, "additionalProperties": {"minimum": 0}}, {"a": 6, "b": 1}),
        ({}, object()),
    ],
)
def test_what_a_schema_allows_passes(schema, value):
    check(schema, value)
