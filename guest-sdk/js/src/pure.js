/**
 * Takes away what would make a decision depend on more than its events, its command and its
 * context: the clock and randomness.
 *
 * @module
 */

const RealDate = Date;
const realRandom = Math.random;
const CRYPTO_RANDOM = ["getRandomValues", "randomUUID"];

/** Dates of given times, and no date of now. */
class DateWithoutNow extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) noClock();
    super(...parts);
  }

  static now() {
    noClock();
  }
}

/** @returns {never} */
function noClock() {
  throw new Error("a plugin has no clock: the time is `ctx.nowMs`");
}

/** @returns {never} */
function noRandom() {
  throw new Error("a plugin has no randomness of its own: use `ctx.random()`");
}

/** Takes both away for good. */
export function forbid() {
  globalThis.Date = DateWithoutNow;
  Math.random = noRandom;
  // A component's generator is as it was when the component was built, and goes on from there.
  for (const name of CRYPTO_RANDOM) if (globalThis.crypto) crypto[name] = noRandom;
}

/**
 * Runs a function without them.
 *
 * @template T
 * @param {() => T} run
 * @returns {T}
 */
export function purely(run) {
  forbid();
  try {
    return run();
  } finally {
    globalThis.Date = RealDate;
    Math.random = realRandom;
    // What is below are the methods of all instances.
    for (const name of CRYPTO_RANDOM) if (globalThis.crypto) delete crypto[name];
  }
}
