/** JSON with exact integers and with equal bytes for equal values. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { canonical, encode, parse } from "../src/json.js";

const bytes = (text) => new TextEncoder().encode(text);
const text = (encoded) => new TextDecoder().decode(encoded);

test("long integers are exact, and all else is as JSON.parse has it", () => {
  // Guards amounts near 2^63, which a number would round.
  const cases = [
    '{"cents":9223372036854775807}',
    '[ -9223372036854775808 , {"a":[],"b":{},"c":"1234567890123456 \\" ]"},true,null,1.5e3 ]',
    '"1234567890123456"',
    '{"__proto__":{"n":12345678901234567890}}',
  ];
  const expected = [
    { cents: 9223372036854775807n },
    [-9223372036854775808n, { a: [], b: {}, c: '1234567890123456 " ]' }, true, null, 1500],
    "1234567890123456",
    JSON.parse('{"__proto__":{"n":0}}'),
  ];
  expected[3]["__proto__"].n = 12345678901234567890n;
  assert.deepEqual(cases.map((json) => parse(bytes(json))), expected);
});

test("what is not JSON is refused", () => {
  // Guards against a lenient reader, also where there is a long number.
  for (const json of ["", "{", "1234567890123456,", '{"a":1234567890123456 2}', "NaN"]) {
    assert.throws(() => parse(bytes(json)), SyntaxError, json);
  }
  assert.throws(() => parse(new Uint8Array([0x22, 0xff, 0x22])), TypeError);
});

test("what is nested too deep is refused", () => {
  // Guards the stack of a component, which a command could exhaust.
  const nested = (depth) => bytes("[".repeat(depth) + "]".repeat(depth));
  assert.ok(Array.isArray(parse(nested(128))));
  assert.equal(parse(bytes(`[${"[],".repeat(200)}1]`)).length, 201);
  for (const deep of [nested(129), bytes(`${'{"a":'.repeat(129)}1${"}".repeat(129)}`), nested(5_000)]) {
    assert.throws(() => parse(deep), { name: "SyntaxError", message: /more than 128/ });
  }
});

test("events keep the order of their fields", () => {
  // Guards recorded bytes: they are those of the Rust SDK.
  assert.equal(text(encode({ b: 1n, a: [new Map([["k", "\u0001é\n"]])] })), '{"b":1,"a":[{"k":"\\u0001é\\n"}]}');
});

test("canonical JSON has the keys in byte order", () => {
  // Guards snapshots: UTF-16 would put the surrogates of U+1F600 before U+FB01.
  const value = new Map([["\u{1F600}", 1], ["\uFB01", 2], ["b", { z: 1, a: 2 }], ["a", null], ["ab", 0]]);
  assert.equal(canonical(value), '{"a":null,"ab":0,"b":{"a":2,"z":1},"\uFB01":2,"\u{1F600}":1}');
  assert.throws(() => canonical({ a: undefined }), TypeError);
});
