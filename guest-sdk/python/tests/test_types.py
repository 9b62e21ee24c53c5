"""What data looks like: schemas as the Rust SDK has them, and values that fit or do not."""

import unittest
from typing import Annotated, Any, Literal

from annals_sdk import Maximum, Minimum, data
from annals_sdk.canonical import canonical, encode, parse
from annals_sdk.types import INT64_MAX, Mismatch, type_of


@data
class Place:
    city: str
    floor: int | None


NAMED_PLACE = Place(city="Athens", floor=None)


class Types(unittest.TestCase):
    def test_schemas_say_what_schemars_says_of_the_same_types(self) -> None:
        # Guards the descriptor: one shape, whatever the language.
        integer = {"type": "integer", "format": "int64"}
        cases: list[tuple[Any, dict[str, Any]]] = [
            (Annotated[str, "Who."], {"type": "string", "description": "Who."}),
            (bool, {"type": "boolean"}),
            (int, integer),
            (Annotated[int, Minimum(1), Maximum(9)], integer | {"minimum": 1, "maximum": 9}),
            (float, {"type": "number", "format": "double"}),
            (Literal["red", "blue"], {"type": "string", "enum": ["red", "blue"]}),
            (
                Annotated[int | None, "Cents."],
                integer | {"type": ["integer", "null"], "description": "Cents."},
            ),
            (
                Literal["red"] | None,
                {"anyOf": [{"type": "string", "enum": ["red"]}, {"type": "null"}]},
            ),
            (list[str], {"type": "array", "items": {"type": "string"}}),
            (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
            (
                Place,
                {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string"},
                        "floor": integer | {"type": ["integer", "null"]},
                    },
                    "required": ["city"],
                },
            ),
        ]
        for hint, expected in cases:
            self.assertEqual(type_of(hint).schema, expected, hint)

    def test_values_that_fit_come_back_as_they_went(self) -> None:
        # Guards reading and writing: exact integers, absent optional fields.
        cases: list[tuple[Any, Any, Any]] = [
            (int, INT64_MAX, INT64_MAX),
            (int, 3.0, 3),
            (float, 2, 2.0),
            (int | None, None, None),
            (dict[str, int], {"__proto__": 1}, {"__proto__": 1}),
            (list[Place], [{"city": "Athens"}], [NAMED_PLACE]),
        ]
        for hint, json, expected in cases:
            found = type_of(hint).read(json, "", True)
            self.assertEqual(found, expected)
            self.assertEqual(type_of(hint).read(type_of(hint).write(found, ""), "", True), expected)
        self.assertEqual(type_of(Place).write(NAMED_PLACE, ""), {"city": "Athens", "floor": None})

    def test_values_that_do_not_fit_are_refused_with_their_place(self) -> None:
        # Guards `malformed`: the text says where and what was expected.
        cases: list[tuple[Any, Any, str]] = [
            (str, 1, ": expected a string, found an integer"),
            (str, "\ud800", ": half a surrogate pair is no text"),
            (bool, None, ": expected true or false, found null"),
            (int, True, ": expected an integer, found a boolean"),
            (int, 1.5, ": expected an integer, found a number"),
            (int, 1e300, ": expected an integer, found a number"),
            (int, INT64_MAX + 1, f": {INT64_MAX + 1} is out of range"),
            (Annotated[int, Minimum(1)], 0, ": 0 is less than 1"),
            (Annotated[int, Maximum(1)], 2, ": 2 is more than 1"),
            (float, 10**400, ": expected a finite number, found an integer"),
            (Literal["red", "blue"], "green", ": expected one of red, blue, found a string"),
            (list[str], ["a", 1], "/1: expected a string, found an integer"),
            (dict[str, str], {"a/b~": 1}, "/a~1b~0: expected a string, found an integer"),
            (list[Place], [{}], "/0/city: missing"),
            (Place, {"city": "", "town": ""}, "/town: no such field; there are: city, floor"),
            (Place, [], ": expected an object, found an array"),
        ]
        for hint, value, message in cases:
            with self.assertRaises(Mismatch) as caught:
                type_of(hint).read(value, "", True)
            self.assertEqual(str(caught.exception), message)
        # Events skip what they do not know.
        with_more = {"city": "Athens", "town": ""}
        self.assertEqual(type_of(Place).read(with_more, "", False), NAMED_PLACE)

    def test_a_type_that_json_has_nothing_for_is_refused(self) -> None:
        # Guards against a hint that fails at the first command only.
        for hint in (set[str], dict[int, str], int | str, object, bytes):
            with self.assertRaises(TypeError):
                type_of(hint)

    def test_a_state_begins_with_the_empty_value_of_each_field(self) -> None:
        # Guards the state before the first event.
        @data
        class State:
            text: str
            count: Annotated[int, Minimum(3)]
            items: list[str]
            place: Place
            word: Literal["a", "b"]
            given: int = 7

        expected = State(text="", count=3, items=[], place=Place("", None), word="a", given=7)
        self.assertEqual(State(), expected)
        self.assertIsNot(State().items, State().items)


class Json(unittest.TestCase):
    def test_canonical_json_has_the_keys_in_byte_order(self) -> None:
        # Guards snapshots: equal states give equal bytes.
        value = {"\U0001f600": 1, "\ufb01": 2, "b": {"z": 1, "a": 2}, "a": None}
        expected = '{"a":null,"b":{"a":2,"z":1},"\ufb01":2,"\U0001f600":1}'
        self.assertEqual(canonical(value), expected)

    def test_events_keep_the_order_of_their_fields(self) -> None:
        # Guards recorded bytes: they are those of the Rust SDK.
        expected = '{"b":1,"a":["\\u0001é\\n"]}'.encode()
        self.assertEqual(encode({"b": 1, "a": ["\x01é\n"]}), expected)

    def test_what_is_not_json_is_refused(self) -> None:
        # Guards against what Python's reader takes and JSON does not have.
        for text in (b"", b"{", b"NaN", b"-Infinity", b'"\xff"', '"ä"'.encode("utf-16")):
            with self.assertRaises(ValueError):
                parse(text)
        self.assertEqual(parse(b"12345678901234567890"), 12345678901234567890)

    def test_what_is_nested_too_deep_is_refused(self) -> None:
        # Guards the stack of a component, which a command could exhaust.
        nested = lambda depth: b"[" * depth + b"]" * depth
        self.assertIsInstance(parse(nested(128)), list)
        self.assertEqual(len(parse(b'["' + b"[" * 200 + b'\\"["' + b",[]" * 200 + b"]")), 201)
        for deep in (nested(129), b'{"a":' * 129 + b"1" + b"}" * 129, nested(100_000)):
            with self.assertRaisesRegex(ValueError, "more than 128 arrays and objects"):
                parse(deep)
