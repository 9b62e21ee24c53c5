/**
 * JSON that keeps every integer exact, and JSON whose equal values have equal bytes.
 *
 * An integer of 16 digits or more is a `bigint` here, since a `number` rounds it.
 *
 * @module
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Where a `number` may be rounded; a string with such digits only costs time. */
const LONG_NUMBER = /\d{16}/;
/** The tokens of valid JSON: strings, punctuation, and all else up to the next of them. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},:]|[^\s[\]{},:"]+/g;
/** Most arrays and objects inside of one another, as in the Rust SDK. */
const DEPTH_MAX = 128;
const LONG_INTEGER = /^-?\d{16,}$/;

/**
 * Reads one JSON value.
 *
 * @param {Uint8Array} bytes UTF-8.
 * @returns {unknown}
 * @throws {SyntaxError | TypeError} When it is not JSON, not UTF-8, or nested too deep.
 */
export function parse(bytes) {
  const text = decoder.decode(bytes);
  const value = JSON.parse(text);
  refuseDepth(value, DEPTH_MAX);
  return LONG_NUMBER.test(text) ? exact(text) : value;
}

/**
 * Writes a value as JSON without white space, object keys in the order they have.
 *
 * @param {unknown} value
 * @returns {Uint8Array}
 */
export function encode(value) {
  return encoder.encode(text(value, (keys) => keys));
}

/**
 * The same with object keys in byte order, so that equal values give equal bytes.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function canonical(value) {
  return text(value, (keys) => [...keys].sort(inByteOrder));
}

/**
 * As {@link canonical}, in UTF-8.
 *
 * @param {unknown} value
 * @returns {Uint8Array}
 */
export function encodeCanonical(value) {
  return encoder.encode(canonical(value));
}

function text(value, ordered) {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Map) value = Object.fromEntries(value);
  if (Array.isArray(value)) return `[${value.map((item) => text(item, ordered)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entry = (key) => `${JSON.stringify(key)}:${text(value[key], ordered)}`;
    return `{${ordered(Object.keys(value)).map(entry).join(",")}}`;
  }
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`JSON has no ${typeof value}`);
  return json;
}

/** UTF-8 sorts as code points do; strings compare by UTF-16, where a surrogate is below U+E000. */
function inByteOrder(one, other) {
  const [left, right] = [[...one], [...other]];
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const difference = left[index].codePointAt(0) - right[index].codePointAt(0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** What follows takes stack for each, and a plugin has little. */
function refuseDepth(value, left) {
  if (value === null || typeof value !== "object") return;
  if (left === 0) {
    throw new SyntaxError(`more than ${DEPTH_MAX} arrays and objects inside of one another`);
  }
  for (const inner of Object.values(value)) refuseDepth(inner, left - 1);
}

/** Reads text that is known to be JSON, with long integers as `bigint`. */
function exact(text) {
  const tokens = text.match(TOKEN);
  let next = 0;
  const items = (close, item) => {
    const found = [];
    if (tokens[next] === close) {
      next += 1;
      return found;
    }
    do found.push(item());
    while (tokens[next++] === ",");
    return found;
  };
  const property = () => {
    const key = JSON.parse(tokens[next]);
    next += 2;
    return [key, value()];
  };
  const value = () => {
    const token = tokens[next++];
    if (token === "[") return items("]", value);
    // `fromEntries` makes a key `__proto__` a key like any other.
    if (token === "{") return Object.fromEntries(items("}", property));
    return LONG_INTEGER.test(token) ? BigInt(token) : JSON.parse(token);
  };
  return value();
}
