/**
 * Aggregates: the rule-keepers of one stream.
 *
 * @module
 */

import { Message, isKebabCase } from "./message.js";
import { object } from "./types.js";

/**
 * @typedef {object} Aggregate
 * @property {string} name
 * @property {import("./types.js").Type} state
 * @property {number} stateVersion
 * @property {import("./message.js").MessageType[]} commands
 * @property {import("./message.js").MessageType[]} events
 */

/**
 * Declares an aggregate, which keeps the rules of one kind of stream. Make it the default export
 * of the plugin.
 *
 * The state begins with the empty value of each field: `""`, `false`, `0`, `null`, `[]`, a `Map`.
 *
 * @param {string} name Kebab-case; also the category of the streams: `account` has `account/a1`.
 * @param {object} parts
 * @param {Record<string, import("./types.js").Type>} parts.state What the rules must know, and
 *   nothing else.
 * @param {import("./message.js").MessageType[]} parts.commands In an order that is yours.
 * @param {import("./message.js").MessageType[]} parts.events The same.
 * @param {number} [parts.stateVersion] Count this up when events change the state in another way
 *   while its fields stay the same. A change of the fields is noticed without it.
 * @returns {Aggregate}
 */
export function aggregate(name, { state, commands, events, stateVersion = 1 }) {
  if (!isKebabCase(name)) throw new TypeError(`\`${name}\` is not a kebab-case name`);
  mustBe("command", commands);
  mustBe("event", events);
  return { name, state: object(state), stateVersion, commands, events };
}

function mustBe(kind, types) {
  const names = new Set();
  for (const type of types) {
    if (type?.kind !== kind) throw new TypeError(`\`${type?.messageName ?? type}\` is no ${kind}`);
    if (names.has(type.messageName)) {
      throw new TypeError(`two ${kind}s are named \`${type.messageName}\``);
    }
    names.add(type.messageName);
  }
}

/**
 * What an accepted command leads to: events, and names taken or given up. All of it happens or
 * nothing does.
 */
export class Decision {
  /** @param {Message[]} events */
  constructor(events) {
    /** In order. @type {Message[]} */
    this.events = events;
    /** Names taken. @type {{ scope: string, key: string, expiresAtMs: number | null }[]} */
    this.claims = [];
    /** Names given up. @type {{ scope: string, key: string }[]} */
    this.releases = [];
  }

  /**
   * Takes a name for this stream. The command is refused when another stream of the namespace
   * holds it; holding it already is fine.
   *
   * @param {string} scope What kind of name it is, kebab-case.
   * @param {string} key The name.
   * @param {number | null} [expiresAtMs] When it is free again (exclusive), in milliseconds since
   *   1970-01-01T00:00:00Z; when it is released if absent.
   */
  claim(scope, key, expiresAtMs = null) {
    this.claims.push({ scope, key, expiresAtMs });
    return this;
  }

  /**
   * Gives a name up; one that this stream does not hold is ignored.
   *
   * @param {string} scope What kind of name it is, kebab-case.
   * @param {string} key The name.
   */
  release(scope, key) {
    this.releases.push({ scope, key });
    return this;
  }
}

/**
 * A decision to take or give up names with: `decision([registered(…)]).claim("email", address)`.
 *
 * @param {Message | Message[]} events
 */
export function decision(events) {
  return new Decision([events].flat());
}

/**
 * The decision that `decide` meant by what it returned.
 *
 * @param {unknown} answer
 * @returns {Decision}
 * @package
 */
export function decisionOf(answer) {
  const whole = answer instanceof Decision ? answer : decision(answer);
  if (whole.events.every((event) => event instanceof Message)) return whole;
  // Nothing at all is a `return` that was forgotten more often than it is meant.
  throw new TypeError("a command must lead to events: return one, an array of them, or `[]`");
}
