/** Aggregates through the contract: descriptions, columns, decisions, refusals, snapshots. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Random, Rejection, aggregate, command, decision, ensure, event, int64, integer, log, map, string,
} from "annals-sdk";
import { given, logged } from "annals-sdk/testing";

import { Entity, describe, fnv1a128 } from "../src/entity.js";
import { splitmix64 } from "../src/random.js";

const added = event("item-added", "An item was put in.", { item: string("Which."), cents: int64() },
  (cart, { item, cents }) => cart.items.set(item, (cart.items.get(item) ?? 0n) + cents));
const add = command("add-item", "Puts an item in.", { item: string("Which."), cents: int64() },
  (_, fields) => added(fields));
const decide = (name, run) => command(name, "For tests.", {}, run);
const others = {
  nothing: decide("do-nothing", () => []),
  forget: decide("forget-return", () => {}),
  mutate: decide("mutate-state", (cart) => { cart.items.set("x", 1n); return []; }),
  claim: decide("claim-name", (_, __, ctx) =>
    decision([]).claim("email", ctx.id).claim("phone", "1", 5).release("email", "old")),
  reject: decide("reject-it", () => { throw new Rejection("not-now", "later", { after: 9n }); }),
  chance: decide("take-chance", () => Math.random()),
  uuid: decide("make-uuid", () => crypto.randomUUID()),
  clock: decide("ask-clock", () => Date.now()),
  today: decide("ask-date", () => new Date()),
  random: decide("draw-lot", (_, __, ctx) => added({ item: ctx.random().uuid(), cents: 1 })),
};
const cart = aggregate("cart", {
  state: { items: map(int64()) },
  commands: [add, ...Object.values(others)],
  events: [added],
});
const bytes = (text) => new TextEncoder().encode(text);
const text = (data) => new TextDecoder().decode(data);

test("a description has names, versions and canonical schemas", () => {
  // Guards what a host reads at install.
  const description = describe(cart, { version: "1.2.3", summary: "Carts" });
  const { commands, events, stateSchema, ...rest } = description;
  assert.deepEqual(rest, {
    name: "cart", version: "1.2.3", summary: "Carts", targets: [], tables: [], extensions: [],
  });
  const properties = '"properties":{"cents":{"format":"int64","type":"integer"},"item":{"description":"Which.","type":"string"}}';
  const schema = (closed, doc, title) =>
    `{"$schema":"https://json-schema.org/draft/2020-12/schema",${closed}"description":"${doc}",` +
    `${properties},"required":["item","cents"],"title":"${title}","type":"object"}`;
  const json = { schemaVersion: 1, contentType: "application/json" };
  assert.deepEqual(commands[0], {
    ...json, name: "add-item",
    schema: schema('"additionalProperties":false,', "Puts an item in.", "add-item"),
  });
  assert.deepEqual(events, [
    { ...json, name: "item-added", schema: schema("", "An item was put in.", "item-added") },
  ]);
  assert.match(stateSchema, /^js-1-[0-9a-f]{32}$/);
});

test("events come as columns and snapshots are canonical", () => {
  // Guards the boundaries between events, an event with a field of another version among them.
  const entity = new Entity(cart, "cart/1");
  const data = bytes('{"item":"b","cents":1}{"item":"a","cents":2,"colour":"blue"}');
  entity.evolve({ eventTypes: Uint32Array.of(0, 0), dataEnds: Uint32Array.of(22, data.length), data });
  assert.equal(text(entity.snapshot()), '{"items":{"a":2,"b":1}}');
  const restored = Entity.restore(cart, "cart/1", entity.snapshot());
  assert.deepEqual(restored.state, entity.state);
  assert.throws(() => Entity.restore(cart, "cart/1", bytes('{"items":[]}')));
  const broken = { eventTypes: [0], dataEnds: [2], data: bytes("{}") };
  assert.throws(() => entity.evolve(broken), { message: "data does not fit `item-added`: /item: missing" });
});

test("decisions and refusals are the contract's", () => {
  // Guards accepted, malformed and rejected as a component says them.
  const entity = new Entity(cart, "cart/7");
  const call = { now: 0n, seed: [1n, 2n], extensions: [] };
  const send = (type, json) =>
    entity.decide(call, { commandType: cart.commands.indexOf(type), data: bytes(json) });
  const accepted = send(add, '{"item":"a","cents":9223372036854775807}');
  const [{ eventType, data }] = accepted.val.events;
  assert.deepEqual([accepted.tag, eventType, text(data)],
    ["ok", 0, '{"item":"a","cents":9223372036854775807}']);
  assert.deepEqual(send(others.claim, "").val, {
    events: [],
    claims: [
      { scope: "email", key: "7", expiresAt: undefined }, { scope: "phone", key: "1", expiresAt: 5n },
    ],
    releases: [["email", "old"]],
  });
  assert.deepEqual(send(add, '{"item":1,"cents":1}'), {
    tag: "err",
    val: { tag: "malformed", val: "data does not fit `add-item`: /item: expected a string, found a number" },
  });
  const misspelt = send(add, '{"itm":"a"}').val;
  assert.equal(misspelt.tag, "malformed");
  const { tag, val } = send(others.reject, "").val;
  assert.deepEqual([tag, val.code, val.message, text(val.detail)],
    ["rejected", "not-now", "later", '{"after":9}']);
});

test("a mistake of the plugin is no rejection", () => {
  // Guards traps: a `return` that was forgotten, a clock, chance, an event of somebody else.
  const stranger = event("stranger-came", "?", {}, () => {});
  const other = aggregate("other", { state: {}, commands: [decide("go", () => stranger())], events: [] });
  assert.throws(() => given(cart, []).when(others.forget()), { message: /return one, an array/ });
  assert.throws(() => given(cart, []).when(others.mutate()), { message: /`decide` changed the state/ });
  assert.throws(() => given(cart, []).when(others.chance()), { message: /use `ctx.random\(\)`/ });
  assert.throws(() => given(cart, []).when(others.uuid()), { message: /use `ctx.random\(\)`/ });
  assert.throws(() => given(cart, []).when(others.clock()), { message: /the time is `ctx.nowMs`/ });
  assert.throws(() => given(cart, []).when(others.today()), { message: /the time is `ctx.nowMs`/ });
  assert.throws(() => given(other, []).when(other.commands[0]()), { message: /is no event of `other`/ });
  assert.ok(Date.now() > 0 && Math.random() >= 0 && crypto.randomUUID(), "tests have theirs back");
});

test("the testing kit notices what is not as expected", () => {
  // Guards the kit: a test that cannot fail is none.
  const outcome = given(cart, [added({ item: "a", cents: 1 })]).when(add({ item: "a", cents: 2 }));
  outcome.thenEvents([added({ item: "a", cents: 2 })]);
  outcome.thenState((state) => assert.deepEqual(state.items, new Map([["a", 3n]])));
  assert.throws(() => outcome.thenEvents([]), { message: /other events were recorded/ });
  assert.throws(() => outcome.thenRejected("not-now"), { message: /was not rejected/ });
  const rejected = given(cart, []).when(others.reject()).thenRejected("not-now", "later");
  assert.throws(() => rejected.thenRejected("never"), { message: /for another reason/ });
  assert.throws(() => rejected.thenEvents([]), { message: /not accepted: later/ });
  const claimed = given(cart, []).inStream("cart/9").when(others.claim());
  claimed.thenClaims([["email", "9"], ["phone", "1", 5]]).thenReleases([["email", "old"]]);
  assert.throws(() => added({ item: "a", cent: 2 }), { message: /no such field|missing/ });
});

test("declarations with a mistake are refused", () => {
  // Guards names and lists, which a host would refuse much later.
  const parts = { state: {}, commands: [add], events: [added] };
  assert.throws(() => event("Item-Added", "", {}, () => {}), TypeError);
  assert.throws(() => command("add-item", "", {}), TypeError);
  assert.throws(() => aggregate("Cart", parts), TypeError);
  assert.throws(() => aggregate("cart", { ...parts, commands: [add, add] }), TypeError);
  assert.throws(() => aggregate("cart", { ...parts, events: [add] }), TypeError);
  assert.throws(() => ensure(false, "no", "never"), Rejection);
});

test("the state schema differs by version and by shape", () => {
  // Guards against a snapshot of another build.
  const schema = (fields, stateVersion) => describe(
    aggregate("cart", { state: fields, commands: [], events: [], stateVersion }), { version: "1.0.0" },
  ).stateSchema;
  const schemas = [schema({}), schema({}, 2), schema({ a: integer() })];
  assert.equal(new Set(schemas).size, 3);
  assert.equal(fnv1a128("a"), "d228cb696f1a8caf78912b704e4a8964");
});

test("random numbers are those of the Rust SDK", () => {
  // Guards determinism: recorded decisions were made with these numbers.
  const next = splitmix64(1_234_567n);
  assert.deepEqual([next(), next()], [6_457_827_717_110_365_317n, 3_203_168_211_198_807_973n]);
  const random = new Random([1n, 2n]);
  assert.deepEqual(
    [random.nextU64(), random.below(1_000_000), random.uuid()],
    [12_966_619_160_104_079_557n, 311_119, "ce23ce6d-3dd8-43ad-8f9d-e247da873325"],
  );
  assert.equal(random.below(0), 0);
  given(cart, []).when(others.random()).thenState(({ items }) => assert.equal(items.size, 1));
});

test("log lines are kept for tests", () => {
  // Guards what a test sees of `log`.
  logged();
  log.info("opened");
  log.error("broken");
  assert.deepEqual(logged(), ["info: opened", "error: broken"]);
});
