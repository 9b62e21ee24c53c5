/**
 * Commands and events: a name, fields, and what they do.
 *
 * @module
 */

import { encode, parse } from "./json.js";
import { Mismatch, object } from "./types.js";

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Data is not the message it is said to be. */
export class Malformed extends Error {}

/** One command or event: its kind and its data. Make one by calling what {@link command} gives. */
export class Message {
  /**
   * @param {MessageType} type
   * @param {object} data
   */
  constructor(type, data) {
    /** The kebab-case name. @readonly */
    this.name = type.messageName;
    /** The fields. @readonly */
    this.data = data;
  }
}

/**
 * A kind of command or event. Call it with the fields to make one.
 *
 * @typedef {((data?: object) => Message) & {
 *   kind: "command" | "event", messageName: string, schemaVersion: number, schema: object,
 *   run: Function, encode: (data: object) => Uint8Array, decode: (bytes: Uint8Array) => object,
 * }} MessageType
 */

/**
 * Declares what can be asked: imperative, e.g. `open-account`.
 *
 * A field that the command does not have is refused: it is a misspelling.
 *
 * @param {string} name Kebab-case.
 * @param {string} doc What it asks for.
 * @param {Record<string, import("./types.js").Type>} fields
 * @param {(state: any, data: any, ctx: import("./context.js").Context) => any} decide Says what
 *   happens: an event, an array of them, `[]` for acceptance without change, or a `decision`.
 *   Throws a `Rejection` when the rules forbid it. Sees the state and does not change it.
 * @param {{ schemaVersion?: number }} [options]
 * @returns {MessageType}
 */
export function command(name, doc, fields, decide, options) {
  return messageType("command", name, object(fields, doc), decide, options);
}

/**
 * Declares what happened: past tense, e.g. `account-opened`. Recorded for ever, so choose fields
 * with care.
 *
 * Fields that the event does not have are skipped when it is read: it was recorded by some version
 * of its aggregate and is taken as it is.
 *
 * @param {string} name Kebab-case.
 * @param {string} doc What happened.
 * @param {Record<string, import("./types.js").Type>} fields
 * @param {(state: any, data: any) => void} evolve Changes the state. Total: it happened, so there
 *   is nothing to refuse.
 * @param {{ schemaVersion?: number }} [options]
 * @returns {MessageType}
 */
export function event(name, doc, fields, evolve, options) {
  return messageType("event", name, object(fields, doc), evolve, options);
}

function messageType(kind, name, data, run, { schemaVersion = 1 } = {}) {
  if (!isKebabCase(name)) throw new TypeError(`\`${name}\` is not a kebab-case name`);
  if (typeof run !== "function") throw new TypeError(`${kind} \`${name}\` lacks its function`);
  const isCommand = kind === "command";
  const type = (fields = {}) => new Message(type, checked(type, data, fields));
  return Object.assign(type, {
    kind,
    messageName: name,
    schemaVersion,
    schema: schemaOf(name, data.schema, isCommand),
    run,
    encode: (fields) => encode(checked(type, data, fields)),
    decode: (bytes) => decoded(name, data, bytes, isCommand),
  });
}

/** Data of our own rules, so a field too much is a mistake to report. */
function checked(type, data, fields) {
  try {
    return data.read(fields, "", true);
  } catch (error) {
    throw error instanceof Mismatch
      ? new TypeError(`data does not fit \`${type.messageName}\`: ${error.message}`)
      : error;
  }
}

/** Data from outside. No bytes at all are an empty object. */
function decoded(name, data, bytes, strict) {
  try {
    return data.read(bytes.length === 0 ? {} : parse(bytes), "", strict);
  } catch (error) {
    throw new Malformed(`data does not fit \`${name}\`: ${error.message}`);
  }
}

/**
 * JSON Schema of a whole document.
 *
 * @param {string} title
 * @param {object} schema
 * @param {boolean} isClosed Whether other fields are refused.
 */
export function schemaOf(title, schema, isClosed) {
  const root = { $schema: "https://json-schema.org/draft/2020-12/schema", title, ...schema };
  return isClosed ? { ...root, additionalProperties: false } : root;
}

/** Whether `name` is what the contract calls kebab-case. @param {string} name */
export function isKebabCase(name) {
  return NAME.test(name) && name.length <= 64;
}
