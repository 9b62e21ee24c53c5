/**
 * What a plugin may know of the world outside its input.
 *
 * @module
 */

import { Random } from "./random.js";

/**
 * What is true about the command that is being decided, and not said by it.
 *
 * The host records it with the outcome, so deciding again gives the same events. There is no other
 * clock and no other randomness.
 */
export class Context {
  #call;

  /**
   * @param {string} streamId
   * @param {object} call The contract's `context`.
   */
  constructor(streamId, call) {
    /** The stream the command is for, as `category/id`, e.g. `account/a1`. @readonly */
    this.streamId = streamId;
    /** The part of the stream id after the first `/`, e.g. `a1`. @readonly */
    this.id = streamId.slice(streamId.indexOf("/") + 1);
    /** UUID of the command. @readonly */
    this.messageId = call.messageId;
    /** Id shared by everything that one outside request led to. @readonly */
    this.correlationId = call.correlationId;
    /** When the host took the command in, in milliseconds since 1970-01-01T00:00:00Z. @readonly */
    this.nowMs = Number(call.now);
    /** The namespace the stream is in. @readonly */
    this.namespace = call.namespace;
    /** Who asked, as the host authenticated it; `null` when nobody was. @readonly */
    this.principal = call.principal ?? null;
    this.#call = call;
  }

  /** A generator that starts the same for this command whenever it is asked for. */
  random() {
    return new Random(this.#call.seed);
  }

  /**
   * A fact of a later host than this SDK, by its key; `null` when there is none.
   *
   * @param {string} key
   * @returns {Uint8Array | null}
   */
  extension(key) {
    return this.#call.extensions.find(([other]) => other === key)?.[1] ?? null;
  }
}
