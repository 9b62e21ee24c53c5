/** What data looks like: schemas as the Rust SDK has them, and values that fit or do not. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  boolean, choice, int64, integer, list, map, number, object, optional, string,
} from "annals-sdk";

const INT64_MAX = 2n ** 63n - 1n;

test("schemas say what schemars says of the same types", () => {
  // Guards the descriptor: one shape, whatever the language.
  const cases = [
    [string("Who."), { type: "string", description: "Who." }],
    [boolean(), { type: "boolean" }],
    [int64("Cents."), { type: "integer", format: "int64", description: "Cents." }],
    [integer({ minimum: 1, maximum: 9 }, "How many."),
      { type: "integer", minimum: 1, maximum: 9, description: "How many." }],
    [integer("How many."), { type: "integer", description: "How many." }],
    [number(), { type: "number", format: "double" }],
    [choice(["red", "blue"]), { type: "string", enum: ["red", "blue"] }],
    [optional(int64("Cents.")), { type: ["integer", "null"], format: "int64", description: "Cents." }],
    [optional(choice(["red"])), { anyOf: [{ type: "string", enum: ["red"] }, { type: "null" }] }],
    [list(string()), { type: "array", items: { type: "string" } }],
    [map(boolean()), { type: "object", additionalProperties: { type: "boolean" } }],
    [object({ a: string(), b: optional(string()) }), {
      type: "object",
      properties: { a: { type: "string" }, b: { type: ["string", "null"] } },
      required: ["a"],
    }],
    [object({}), { type: "object" }],
  ];
  for (const [type, expected] of cases) assert.deepEqual(type.schema, expected);
});

test("values that fit are read as the rules see them", () => {
  // Guards reading: exact integers, maps that any key fits into, absent optional fields.
  const cases = [
    [int64(), 7, 7n],
    [int64(), INT64_MAX, INT64_MAX],
    [integer({ minimum: 1 }), 1, 1],
    [number(), 2n ** 60n, 2 ** 60],
    [map(integer()), JSON.parse('{"__proto__":1}'), new Map([["__proto__", 1]])],
    [object({ a: optional(string()) }), {}, { a: null }],
    [list(int64()), [1, 2], [1n, 2n]],
  ];
  for (const [type, json, expected] of cases) {
    assert.deepEqual(type.read(json, "", true), expected);
    assert.deepEqual(type.read(expected, "", true), expected, "and reads itself");
  }
});

test("values that do not fit are refused with their place", () => {
  // Guards `malformed`: the text says where and what was expected.
  const cases = [
    [string(), 1, ": expected a string, found a number"],
    [string(), "\ud800", ": half a surrogate pair is no text"],
    [boolean(), null, ": expected true or false, found null"],
    [integer(), 1.5, ": expected an integer, found a number"],
    [integer(), 2n ** 60n, `: ${2n ** 60n} is out of range`],
    [integer({ minimum: 1 }), 0, ": 0 is less than 1"],
    [integer({ maximum: 1 }), 2, ": 2 is more than 1"],
    [int64(), 2 ** 53, ": expected an integer, found a number"],
    [int64(), INT64_MAX + 1n, `: ${INT64_MAX + 1n} is out of range`],
    [number(), Infinity, ": expected a number, found a number"],
    [choice(["red", "blue"]), "green", ": expected one of red, blue, found a string"],
    [list(string()), ["a", 1], "/1: expected a string, found a number"],
    [map(string()), { "a/b~": 1 }, "/a~1b~0: expected a string, found a number"],
    [object({ a: object({ b: string() }) }), { a: {} }, "/a/b: missing"],
    [object({ a: string() }), { a: "", c: 1 }, "/c: no such field; there are: a"],
    [object({}), [], ": expected an object, found an array"],
  ];
  for (const [type, value, message] of cases) {
    assert.throws(() => type.read(value, "", true), { message });
  }
  assert.deepEqual(object({}).read({ c: 1 }, "", false), {}, "events skip what they do not know");
});

test("a state begins with the empty value of each field", () => {
  // Guards the state before the first event.
  const type = object({
    text: string(), flag: boolean(), count: integer(), least: integer({ minimum: 3 }),
    most: integer({ maximum: -2 }), cents: int64(), share: number(), word: choice(["a", "b"]),
    note: optional(string()), items: list(string()), names: map(string()),
  });
  assert.deepEqual(type.initial(), {
    text: "", flag: false, count: 0, least: 3, most: -2, cents: 0n, share: 0, word: "a",
    note: null, items: [], names: new Map(),
  });
  assert.notEqual(type.initial().items, type.initial().items);
});
