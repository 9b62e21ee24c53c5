/**
 * A random number generator that gives the same numbers on every replay, and those that the Rust
 * SDK gives.
 *
 * @module
 */

const u64 = (value) => BigInt.asUintN(64, value);
const rotated = (value, bits) => u64((value << bits) | (value >> (64n - bits)));

/**
 * Numbers that look random and depend on nothing but the seed: xoshiro256**, seeded through
 * splitmix64. Not for secrets, since who knows the message id knows the numbers.
 */
export class Random {
  #state;

  /** @param {[bigint, bigint]} seed See {@link Context.random}. */
  constructor([low, high]) {
    const [first, second] = [splitmix64(low), splitmix64(high)];
    this.#state = [first(), first(), second(), second()];
  }

  /** The next of 2^64 numbers, every one of them equally likely. */
  nextU64() {
    const [first, second, third, fourth] = this.#state;
    const [mixedThird, mixedFourth] = [third ^ first, fourth ^ second];
    this.#state = [
      first ^ mixedFourth,
      second ^ mixedThird,
      u64(mixedThird ^ (second << 17n)),
      rotated(mixedFourth, 45n),
    ];
    return u64(rotated(u64(second * 5n), 7n) * 9n);
  }

  /**
   * A whole number from 0 to `bound`, exclusive; 0 when `bound` is 0.
   *
   * @param {number} bound
   */
  below(bound) {
    return Number((this.nextU64() * BigInt(bound)) >> 64n);
  }

  /** A UUID of version 4, for an id that must not repeat. */
  uuid() {
    const high = (this.nextU64() & ~0xf000n) | 0x4000n;
    const low = (this.nextU64() & ~(0b11n << 62n)) | (0b10n << 62n);
    const digits = u64(high).toString(16).padStart(16, "0") + u64(low).toString(16).padStart(16, "0");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
}

/** @param {bigint} seed */
export function splitmix64(seed) {
  let state = u64(seed);
  return () => {
    state = u64(state + 0x9e3779b97f4a7c15n);
    let mixed = u64((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = u64((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return mixed ^ (mixed >> 31n);
  };
}
