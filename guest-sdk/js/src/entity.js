/**
 * Between the contract and the rules: events as columns, data as JSON, decisions as records.
 *
 * It knows the contract's shapes as a component of `componentize-js` has them, and nothing of the
 * component: tests run it as well.
 *
 * @module
 */

import { decisionOf } from "./aggregate.js";
import { Context } from "./context.js";
import { canonical, encode, encodeCanonical, parse } from "./json.js";
import { Malformed, schemaOf } from "./message.js";
import { Rejection } from "./rejection.js";

/**
 * The plugin in its own words, as the contract's `description`.
 *
 * @param {import("./aggregate.js").Aggregate} aggregate
 * @param {{ version: string, summary: string }} plugin From its `package.json`.
 */
export function describe(aggregate, { version, summary }) {
  return {
    name: aggregate.name,
    version,
    summary,
    commands: aggregate.commands.map(described),
    events: aggregate.events.map(described),
    targets: [],
    tables: [],
    stateSchema: stateSchema(aggregate),
    extensions: [],
  };
}

function described(type) {
  return {
    name: type.messageName,
    schemaVersion: type.schemaVersion,
    contentType: "application/json",
    schema: canonical(type.schema),
  };
}

/**
 * Names the shape of a state: what wrote it, its version and a fingerprint of its JSON Schema. A
 * snapshot of another SDK is not read, whatever it looks like.
 */
function stateSchema({ name, state, stateVersion }) {
  const schema = canonical(schemaOf(name, state.schema, false));
  return `js-${stateVersion}-${fnv1a128(schema)}`;
}

/** FNV-1a with 128 bits: a few lines, stable for ever. @param {string} text */
export function fnv1a128(text) {
  let hash = 0x6c62272e07bb014262b821756295c58dn;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(128, (hash ^ BigInt(byte)) * 0x0000000001000000000000000000013bn);
  }
  return hash.toString(16).padStart(32, "0");
}

/** One stream's state. */
export class Entity {
  /**
   * @param {import("./aggregate.js").Aggregate} aggregate
   * @param {string} streamId
   * @param {object} [state] The one before any event when absent.
   */
  constructor(aggregate, streamId, state = aggregate.state.initial()) {
    this.aggregate = aggregate;
    this.streamId = streamId;
    this.state = state;
  }

  /** The entity of a snapshot. Throws what makes the host read the history instead. */
  static restore(aggregate, streamId, snapshot) {
    return new Entity(aggregate, streamId, aggregate.state.read(parse(snapshot), "", false));
  }

  /** @param {object} history The contract's `history`. */
  evolve({ eventTypes, dataEnds, data }) {
    let start = 0;
    eventTypes.forEach((typeIndex, index) => {
      const type = typeAt(this.aggregate.events, typeIndex, "event");
      const end = dataEnds[index];
      // The event happened and cannot be skipped, so data that does not fit ends the call.
      type.run(this.state, type.decode(data.subarray(start, end)));
      start = end;
    });
  }

  /**
   * @param {object} call The contract's `context`.
   * @param {object} command The contract's `command`.
   * @returns The contract's `result<decision, refusal>`.
   */
  decide(call, { commandType, data }) {
    const type = typeAt(this.aggregate.commands, commandType, "command");
    let answer;
    try {
      const fields = type.decode(data);
      answer = type.run(this.state, fields, new Context(this.streamId, call));
    } catch (error) {
      return { tag: "err", val: refusal(error) };
    }
    return { tag: "ok", val: this.#lowered(decisionOf(answer)) };
  }

  /** The state as canonical JSON. */
  snapshot() {
    return encodeCanonical(this.aggregate.state.read(this.state, "", true));
  }

  #lowered({ events, claims, releases }) {
    const { aggregate } = this;
    const lowered = ({ name, data }) => {
      const eventType = aggregate.events.findIndex((type) => type.messageName === name);
      if (eventType < 0) throw new TypeError(`\`${name}\` is no event of \`${aggregate.name}\``);
      return { eventType, data: aggregate.events[eventType].encode(data) };
    };
    const claim = ({ scope, key, expiresAtMs }) => ({
      scope,
      key,
      expiresAt: expiresAtMs === null ? undefined : BigInt(expiresAtMs),
    });
    return {
      events: events.map(lowered),
      claims: claims.map(claim),
      releases: releases.map(({ scope, key }) => [scope, key]),
    };
  }
}

function typeAt(types, index, kind) {
  if (types[index] === undefined) throw new RangeError(`no ${kind} type ${index}`);
  return types[index];
}

/** What an error of `decide` says to the caller; any other is a mistake of the plugin. */
function refusal(error) {
  if (error instanceof Malformed) return { tag: "malformed", val: error.message };
  if (!(error instanceof Rejection)) throw error;
  const { code, message, detail } = error;
  return {
    tag: "rejected",
    val: { code, message, detail: detail === undefined ? undefined : encode(detail) },
  };
}
