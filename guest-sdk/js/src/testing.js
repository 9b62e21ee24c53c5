/**
 * Test plugins without WebAssembly: given, when, then.
 *
 * Everything goes the way it goes in the host, through JSON and columns, so a test also notices a
 * decision that changes the state, and a state that does not come back from its snapshot. What is
 * not as expected throws, as assertions do.
 *
 * ```js
 * given(account, [opened()])
 *   .when(deposit({ cents: 190n }))
 *   .thenEvents([deposited({ cents: 190n })])
 *   .thenState((account) => assert.equal(account.balance_cents, 190n))
 *   .when(deposit({ cents: 0n }))
 *   .thenRejected("invalid-amount");
 * ```
 *
 * @module
 */

import assert from "node:assert/strict";

import { Entity } from "./entity.js";
import { take } from "./log.js";
import { purely } from "./pure.js";

/** When tests take place, unless they say otherwise: 2025-01-01T00:00:00Z. */
const NOW_MS = 1_735_689_600_000;

/** Log lines since the last call of this function, as `level: message`. @returns {string[]} */
export const logged = take;

/**
 * A stream in which `events` happened.
 *
 * @param {import("./aggregate.js").Aggregate} aggregate
 * @param {import("./message.js").Message[]} events
 */
export function given(aggregate, events) {
  return new Given(aggregate, events);
}

/** A stream to ask something of, and what became of the last command. */
class Given {
  #aggregate;
  #entity;
  #events;
  #result = null;
  #call = {
    messageId: "00000000-0000-4000-8000-000000000001",
    correlationId: "00000000-0000-4000-8000-000000000002",
    now: BigInt(NOW_MS),
    seed: [1n, 2n],
    namespace: "default",
    principal: undefined,
    extensions: [],
  };

  constructor(aggregate, events) {
    this.#aggregate = aggregate;
    this.#events = events;
    this.inStream(`${aggregate.name}/1`);
  }

  /** The stream, as `category/id`; without this the id is `1`. @param {string} streamId */
  inStream(streamId) {
    this.#entity = new Entity(this.#aggregate, streamId);
    this.#evolve(this.#events);
    return this;
  }

  /** The time of the next commands; without this 2025-01-01T00:00:00Z. @param {number} nowMs */
  atMs(nowMs) {
    this.#call.now = BigInt(nowMs);
    return this;
  }

  /** Who sends the next commands; without this nobody. @param {string} principal */
  by(principal) {
    this.#call.principal = principal;
    return this;
  }

  /** What the next commands seed their random numbers with. @param {[bigint, bigint]} seed */
  withSeed(seed) {
    this.#call.seed = seed;
    return this;
  }

  /** Sends a command, as a client would: in JSON. @param {import("./message.js").Message} command */
  when({ name, data }) {
    const commandType = indexOf(this.#aggregate.commands, name, "command");
    const bytes = this.#aggregate.commands[commandType].encode(data);
    const before = text(this.#entity.snapshot());
    this.#result = purely(() => this.#entity.decide(this.#call, { commandType, data: bytes }));
    assert.equal(text(this.#entity.snapshot()), before, "`decide` changed the state");
    if (this.#result.tag === "ok") this.#evolve(this.#recorded());
    return this;
  }

  /** The command was accepted with exactly these events, which may be none. */
  thenEvents(events) {
    assert.deepEqual(this.#recorded().map(plain), events.map(plain), "other events were recorded");
    return this;
  }

  /** The command was rejected with this code and, when given, this message. */
  thenRejected(code, message = undefined) {
    assert.equal(this.#result?.tag, "err", "the command was not rejected");
    const { tag, val } = this.#result.val;
    assert.equal(tag, "rejected", `the command is malformed: ${val}`);
    assert.equal(val.code, code, "the command was rejected for another reason");
    if (message !== undefined) assert.equal(val.message, message);
    return this;
  }

  /** The names the command took, exactly, as `[scope, key]` or `[scope, key, expiresAtMs]`. */
  thenClaims(claims) {
    const taken = this.#decision().claims.map(({ scope, key, expiresAt }) =>
      expiresAt === undefined ? [scope, key] : [scope, key, Number(expiresAt)]);
    assert.deepEqual(taken, claims, "other names were taken");
    return this;
  }

  /** The names the command gave up, exactly, as `[scope, key]`. */
  thenReleases(releases) {
    assert.deepEqual(this.#decision().releases, releases, "other names were given up");
    return this;
  }

  /** Looks at the state, which a rejection leaves as it was. @param {(state: any) => void} look */
  thenState(look) {
    look(this.#entity.state);
    return this;
  }

  #decision() {
    const { tag, val } = this.#result ?? { tag: "none" };
    assert.equal(tag, "ok", `the command was not accepted: ${val?.val?.message ?? val?.val}`);
    return val;
  }

  #recorded() {
    return this.#decision().events.map(({ eventType, data }) => {
      const type = this.#aggregate.events[eventType];
      return type(type.decode(data));
    });
  }

  /** Passes events as the host does, and checks that the state survives a snapshot. */
  #evolve(events) {
    const types = this.#aggregate.events;
    const eventTypes = events.map(({ name }) => indexOf(types, name, "event"));
    const payloads = events.map(({ data }, index) => types[eventTypes[index]].encode(data));
    let end = 0;
    const dataEnds = payloads.map((payload) => (end += payload.length));
    const data = new Uint8Array(payloads.flatMap((payload) => [...payload]));
    purely(() => this.#entity.evolve({ eventTypes, dataEnds, data }));

    const snapshot = this.#entity.snapshot();
    const { streamId } = this.#entity;
    this.#entity = Entity.restore(this.#aggregate, streamId, snapshot);
    assert.equal(text(this.#entity.snapshot()), text(snapshot), "a snapshot changes the state");
  }
}

function indexOf(types, name, kind) {
  const index = types.findIndex((type) => type.messageName === name);
  assert.notEqual(index, -1, `\`${name}\` is no ${kind} of the aggregate`);
  return index;
}

const plain = ({ name, data }) => ({ name, data });
const text = (bytes) => new TextDecoder().decode(bytes);
