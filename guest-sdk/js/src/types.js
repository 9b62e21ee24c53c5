/**
 * What data looks like: each type knows its JSON Schema, checks values, and has a value to begin
 * with.
 *
 * Every function takes what the value is for as its last argument; it becomes part of the schema.
 *
 * @module
 */

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A value does not fit its type. */
export class Mismatch extends Error {}

/**
 * @typedef {object} Type
 * @property {Record<string, unknown>} schema JSON Schema 2020-12.
 * @property {(value: unknown, at: string, strict: boolean) => any} read The value as the rules see
 *   it, from JSON or from the rules themselves. `at` is a JSON pointer to it; `strict` refuses
 *   fields that nobody declared. Throws {@link Mismatch}.
 * @property {() => any} initial The value in a state before any event.
 * @property {boolean} [isOptional] Whether it may be absent.
 */

/**
 * Text.
 *
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function string(doc) {
  return {
    schema: described({ type: "string" }, doc),
    read(value, at) {
      if (typeof value !== "string") refuse(at, "a string", value);
      if (!value.isWellFormed()) throw new Mismatch(`${at}: half a surrogate pair is no text`);
      return value;
    },
    initial: () => "",
  };
}

/**
 * True or false.
 *
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function boolean(doc) {
  return {
    schema: described({ type: "boolean" }, doc),
    read: (value, at) => (typeof value === "boolean" ? value : refuse(at, "true or false", value)),
    initial: () => false,
  };
}

/**
 * A whole number as a `number`, so of at most 2^53 - 1 in size. For more, see {@link int64}.
 *
 * @param {{ minimum?: number, maximum?: number } | string} [bounds] Both inclusive.
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function integer(bounds = {}, doc) {
  if (typeof bounds === "string") return integer({}, bounds);
  return {
    schema: described({ type: "integer", ...bounds }, doc),
    read(value, at) {
      if (typeof value === "bigint") throw new Mismatch(`${at}: ${value} is out of range`);
      if (!Number.isInteger(value)) refuse(at, "an integer", value);
      if (!Number.isSafeInteger(value)) throw new Mismatch(`${at}: ${value} is out of range`);
      return within(bounds, value, at);
    },
    initial: () => nearestToZero(bounds),
  };
}

/**
 * A whole number from -2^63 to 2^63 - 1, as a `bigint`: what `i64` is in Rust. For money, say.
 *
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function int64(doc) {
  return {
    schema: described({ type: "integer", format: "int64" }, doc),
    read(value, at) {
      // A larger `number` may be rounded already.
      if (typeof value !== "bigint" && !Number.isSafeInteger(value)) refuse(at, "an integer", value);
      const exact = BigInt(value);
      if (exact < INT64_MIN || exact > INT64_MAX) {
        throw new Mismatch(`${at}: ${exact} is out of range`);
      }
      return exact;
    },
    initial: () => 0n,
  };
}

/**
 * A number with a fraction. Not for money.
 *
 * @param {{ minimum?: number, maximum?: number } | string} [bounds] Both inclusive.
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function number(bounds = {}, doc) {
  if (typeof bounds === "string") return number({}, bounds);
  return {
    schema: described({ type: "number", format: "double", ...bounds }, doc),
    read(value, at) {
      const rounded = typeof value === "bigint" ? Number(value) : value;
      if (!Number.isFinite(rounded)) refuse(at, "a number", value);
      return within(bounds, rounded, at);
    },
    initial: () => nearestToZero(bounds),
  };
}

/**
 * One of several words; a state begins with the first.
 *
 * @param {string[]} words
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function choice(words, doc) {
  return {
    schema: described({ type: "string", enum: words }, doc),
    read: (value, at) =>
      words.includes(value) ? value : refuse(at, `one of ${words.join(", ")}`, value),
    initial: () => words[0],
  };
}

/**
 * A value or `null`; may be absent, which is `null`.
 *
 * @param {Type} type
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function optional(type, doc) {
  const { type: plain, description, ...rest } = type.schema;
  // A word of an enumeration is never `null`, whatever its type says.
  const isPlain = typeof plain === "string" && !("enum" in rest);
  const schema = isPlain
    ? { ...rest, type: [plain, "null"] }
    : { anyOf: [type.schema, { type: "null" }] };
  return {
    schema: described(schema, doc ?? description),
    read: (value, at, strict) =>
      value === null || value === undefined ? null : type.read(value, at, strict),
    initial: () => null,
    isOptional: true,
  };
}

/**
 * Values in order, as an array.
 *
 * @param {Type} type
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function list(type, doc) {
  return {
    schema: described({ type: "array", items: type.schema }, doc),
    read(values, at, strict) {
      if (!Array.isArray(values)) refuse(at, "an array", values);
      return values.map((value, index) => type.read(value, `${at}/${index}`, strict));
    },
    initial: () => [],
  };
}

/**
 * Values by names that are not known before, as a `Map`. In JSON it is an object.
 *
 * @param {Type} type
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function map(type, doc) {
  const name = string();
  return {
    schema: described({ type: "object", additionalProperties: type.schema }, doc),
    read(value, at, strict) {
      const entries = value instanceof Map ? [...value] : Object.entries(mustBeObject(value, at));
      const entry = ([key, item]) => {
        const place = `${at}/${pointer(String(key))}`;
        return [name.read(key, place), type.read(item, place, strict)];
      };
      return new Map(entries.map(entry));
    },
    initial: () => new Map(),
  };
}

/**
 * Values by names that are known, as an object.
 *
 * @param {Record<string, Type>} fields
 * @param {string} [doc] What it is.
 * @returns {Type}
 */
export function object(fields, doc) {
  const names = Object.keys(fields);
  return {
    schema: described(objectSchema(fields), doc),
    read(value, at, strict) {
      mustBeObject(value, at);
      const field = (name) => {
        const there = Object.hasOwn(value, name) ? value[name] : undefined;
        const place = `${at}/${pointer(name)}`;
        if (there === undefined && !fields[name].isOptional) throw new Mismatch(`${place}: missing`);
        return [name, fields[name].read(there, place, strict)];
      };
      const unknown = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
      if (strict && unknown !== undefined) {
        throw new Mismatch(`${at}/${pointer(unknown)}: no such field; there are: ${names.join(", ")}`);
      }
      return Object.fromEntries(names.map(field));
    },
    initial: () => Object.fromEntries(names.map((name) => [name, fields[name].initial()])),
  };
}

function objectSchema(fields) {
  const names = Object.keys(fields);
  const required = names.filter((name) => !fields[name].isOptional);
  const schema = { type: "object" };
  if (names.length > 0) {
    schema.properties = Object.fromEntries(names.map((name) => [name, fields[name].schema]));
  }
  if (required.length > 0) schema.required = required;
  return schema;
}

function described(schema, doc) {
  return doc === undefined ? schema : { ...schema, description: doc };
}

function within({ minimum, maximum }, value, at) {
  if (value < minimum) throw new Mismatch(`${at}: ${value} is less than ${minimum}`);
  if (value > maximum) throw new Mismatch(`${at}: ${value} is more than ${maximum}`);
  return value;
}

function nearestToZero({ minimum = 0, maximum = 0 }) {
  return maximum < 0 ? maximum : Math.max(0, minimum);
}

function mustBeObject(value, at) {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? value : refuse(at, "an object", value);
}

/** @returns {never} */
function refuse(at, expected, value) {
  throw new Mismatch(`${at}: expected ${expected}, found ${kind(value)}`);
}

function kind(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** A name as a part of a JSON pointer. */
function pointer(name) {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
