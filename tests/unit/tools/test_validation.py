"""Arguments against their schema."""

from __future__ import annotations

import socket

import pytest

from lash_host.errors import ToolStateError
from lash_host.tools.validation import ArgumentsValidator, validate_arguments

SEARCH = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "minLength": 2},
        "limit": {"type": "integer", "minimum": 1, "maximum": 20},
        "order": {"enum": ["asc", "desc"]},
        "page": {"enum": [1, 2]},
        "exact": {"const": True},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "ratio": {"type": "number", "exclusiveMinimum": 0},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "filters": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}}, "required": ["field"]},
        },
    },
    "required": ["query"],
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"query": "ab", "limit": 20, "order": "asc", "note": None, "tags": ["a"], "ratio": 1}, None),
        ({}, "query: required property missing"),
        ({"query": "ab", "x": 1}, "x: unexpected property"),
        ({"query": "ab", "limit": 100}, "limit: expected integer >= 1 <= 20, got 100"),
        ({"query": "ab", "limit": 5.0}, "limit: expected integer >= 1 <= 20, got 5.0"),
        ({"query": "ab", "limit": True}, "limit: expected integer >= 1 <= 20, got true"),
        ({"query": "ab", "ratio": False}, "ratio: expected number > 0, got false"),
        ({"query": "ab", "ratio": 0}, "ratio: expected number > 0, got 0"),
        ({"query": "ab", "order": "up"}, 'order: expected one of "asc", "desc", got "up"'),
        ({"query": "ab", "page": True}, "page: expected one of 1, 2, got true"),
        ({"query": "ab", "page": 1.0}, "page: expected one of 1, 2, got 1.0"),
        ({"query": "ab", "exact": 1}, "exact: expected true, got 1"),
        ({"query": "a"}, "query: expected string of >= 2 characters, got 1 character"),
        ({"query": "ab", "code": "A"}, 'code: expected string matching "^[a-z]+$", got "A"'),
        ({"query": "ab", "tags": ["a", "b", "c"]}, "tags: expected array of >= 1 <= 2 items, got 3 items"),
        ({"query": "ab", "tags": ["a", 2]}, "tags[1]: expected string, got 2"),
        ({"query": "ab", "note": 5}, "note: expected string or null, got 5"),
        ({"query": "ab", "filters": [{"field": "a"}, {}]}, "filters[1].field: required property missing"),
        ({"query": "ab", "filters": [{"field": "a", "op": 1}]}, "filters[0].op: unexpected property"),
        ({"query": 7, "limit": 0, "zz": 1}, "limit: expected integer >= 1 <= 20, got 0"),
    ],
)
def test_problems_by_path(arguments, problem):
    assert validate_arguments(SEARCH, arguments) == problem


@pytest.mark.parametrize(
    ("schema", "arguments", "problem"),
    [
        ({"type": "object"}, {"anything": 1}, None),
        ({"properties": {}}, {"x": 1}, "x: unexpected property"),
        ({"properties": {"a": {}}, "additionalProperties": True}, {"x": 1}, None),
        (
            {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
            {"x": "1"},
            'x: expected integer, got "1"',
        ),
        ({"properties": {"a": {}}, "patternProperties": {"^x-": {}}}, {"x-1": 1, "y": 1}, "y: unexpected property"),
        ({"additionalProperties": {"properties": {"a": {}}}}, {"k": {"b": 1}}, "k.b: unexpected property"),
        ({"properties": {"a": {"not": {"properties": {"b": {"type": "null"}}}}}}, {"a": {"b": 1}}, None),
        ({"minProperties": 1, "type": "object"}, {}, "arguments: expected object of >= 1 properties, got 0 properties"),
    ],
)
def test_unknown_properties_are_refused_where_properties_are_listed_and_others_not_allowed(schema, arguments, problem):
    assert validate_arguments(schema, arguments) == problem


ALL_OF = {"allOf": [{"properties": {"a": {}, "z": {"type": "integer"}}}, {"properties": {"b": {}}}]}
BESIDE = {
    "properties": {"a": {}},
    "anyOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}, {"required": ["a"]}],
}
BASE = {"$defs": {"Base": {"properties": {"a": {}}}}, "$ref": "#/$defs/Base", "properties": {"b": {}}}
CONDITION = {
    "properties": {"kind": {}},
    "if": {"properties": {"kind": {"const": "file"}}},
    "then": {"properties": {"path": {}}, "required": ["path"]},
}


@pytest.mark.parametrize(
    ("schema", "arguments", "problem"),
    [
        (ALL_OF, {"a": 1, "b": 2}, None),
        (ALL_OF, {"a": 1, "c": 2}, "c: unexpected property"),
        (ALL_OF, {"a": 1, "z": "x"}, 'z: expected integer, got "x"'),
        (BESIDE, {"a": 1, "b": 2}, None),
        (BESIDE, {"a": 1, "c": 2}, "c: unexpected property"),
        (BASE, {"a": 1, "b": 2}, None),
        (BASE, {"a": 1, "c": 2}, "c: unexpected property"),
        (CONDITION, {"kind": "file", "path": "x"}, None),
        (CONDITION, {"kind": "url", "path": "x"}, "path: unexpected property"),
    ],
)
def test_parts_of_one_object_do_not_refuse_each_others_properties(schema, arguments, problem):
    assert validate_arguments(schema, arguments) == problem


ZOO = {
    "$defs": {
        "Cat": {
            "type": "object",
            "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}},
            "required": ["kind"],
        },
        "Dog": {
            "type": "object",
            "properties": {"kind": {"const": "dog"}, "friend": {"anyOf": [{"$ref": "#/$defs/Dog"}, {"type": "null"}]}},
            "required": ["kind"],
        },
    },
    "type": "object",
    "properties": {
        "pet": {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
        "first": {"$ref": "#/$defs/Cat"},
    },
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"pet": {"kind": "cat", "lives": 9}}, None),
        ({"pet": {"kind": "cat", "lives": "9"}}, 'pet.lives: expected integer, got "9"'),
        ({"pet": {"kind": "cat", "teeth": 1}}, "pet.teeth: unexpected property"),
        ({"pet": {"kind": "dog", "friend": {"kind": "dog", "x": 1}}}, "pet.friend.x: unexpected property"),
        ({"pet": "cat"}, 'pet: expected object, got "cat"'),
        ({"first": {"kind": "cat", "x": 1}}, "first.x: unexpected property"),
    ],
)
def test_definitions_and_alternatives(arguments, problem):
    assert validate_arguments(ZOO, arguments) == problem


def test_alternatives_that_differ_in_their_properties_are_told_apart_by_them():
    schema = {"oneOf": [{"properties": {"a": {}}}, {"properties": {"a": {}, "b": {}}}]}
    assert validate_arguments(schema, {"a": 1, "b": 2}) is None
    assert validate_arguments(schema, {"a": 1}) == (
        "arguments: fits more than one of 2 alternatives, expected exactly one"
    )


def test_an_older_dialect_is_read_as_the_current_one_at_every_depth():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"Leaf": {"properties": {"n": {"type": "integer"}}}},
        "properties": {"leaf": {"$ref": "#/definitions/Leaf"}, "again": {"$ref": "#"}},
    }
    assert validate_arguments(schema, {"again": {"leaf": {"n": 1.0}}}) == "again.leaf.n: expected integer, got 1.0"
    assert validate_arguments(schema, {"leaf": {"m": 1}}) == "leaf.m: unexpected property"


def test_properties_named_like_keywords_are_properties():
    schema = {"properties": {"properties": {"type": "string"}, "$ref": {"type": "string"}}}
    assert validate_arguments(schema, {"properties": "a", "$ref": "b"}) is None


def test_a_reference_to_elsewhere_is_not_fetched():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        schema = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"}
        with pytest.raises(ToolStateError, match="cannot be evaluated"):
            validate_arguments(schema, {"a": 1})
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": 5}, "not a JSON Schema"),
        ({"properties": {"a": {"pattern": "("}}}, "not a JSON Schema"),
        ({"$ref": "#/$defs/missing"}, "cannot be evaluated"),
        ({"$ref": "#"}, "cannot be evaluated"),
    ],
)
def test_a_broken_schema_is_an_error_of_its_own(schema, problem):
    with pytest.raises(ToolStateError, match=problem):
        validate_arguments(schema, {"a": "x"})


def test_a_schema_is_neither_changed_nor_read_again():
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
    validator = ArgumentsValidator(schema)
    assert "additionalProperties" not in schema
    schema["properties"].clear()
    assert validator.problem({"a": {}}) is None


def test_a_long_value_is_shortened():
    problem = validate_arguments({"properties": {"a": {"type": "integer"}}}, {"a": "x" * 1000})
    assert problem.startswith('a: expected integer, got "xxx')
    assert len(problem) < 120
