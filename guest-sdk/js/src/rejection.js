/**
 * The domain says no.
 *
 * @module
 */

/**
 * Why an aggregate does not accept a command: a code for programs, a message for people and, where
 * it helps, detail for programs. Throw it in `decide`. It is recorded and given to the caller.
 */
export class Rejection extends Error {
  /**
   * @param {string} code Stable and kebab-case.
   * @param {string} message A sentence.
   * @param {unknown} [detail] JSON that a caller can use more than a sentence.
   */
  constructor(code, message, detail) {
    super(message);
    /** @readonly */
    this.code = code;
    /** @readonly */
    this.detail = detail;
  }
}

/**
 * Rejects the command unless a condition holds.
 *
 * @param {boolean} condition
 * @param {string} code Stable and kebab-case.
 * @param {string} message A sentence.
 * @throws {Rejection}
 */
export function ensure(condition, code, message) {
  if (!condition) throw new Rejection(code, message);
}
