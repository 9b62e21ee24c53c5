/**
 * An aggregate as the exports of the world `aggregate-plugin`.
 *
 * `annals plugin build` writes the module that calls {@link component}; only there is a host to
 * import `log` from, so it is passed in.
 *
 * @module
 */

import { Entity as Stream, describe } from "./entity.js";
import { connect, debug, error, info, warn } from "./log.js";
import { forbid } from "./pure.js";

forbid();

/**
 * The exports of the component.
 *
 * @param {import("./aggregate.js").Aggregate} plugin What the plugin's module exports by default.
 * @param {{ version: string, description?: string }} manifest Its `package.json`.
 * @param {(level: string, message: string) => void} write The host's `log.write`.
 */
export function component(plugin, manifest, write) {
  connect(write);
  // What a developer reaches for first shall not be lost.
  const line = (log) => (...parts) => log(parts.map(String).join(" "));
  Object.assign(console, {
    debug: line(debug), error: line(error), info: line(info), log: line(info), warn: line(warn),
  });
  const { version, description: summary = "" } = manifest;

  class Entity {
    #stream;

    constructor(streamId, stream = new Stream(plugin, streamId)) {
      this.#stream = stream;
    }

    static restore(streamId, snapshot) {
      try {
        return new Entity(streamId, Stream.restore(plugin, streamId, snapshot));
      } catch (reason) {
        throw failed(reason.message);
      }
    }

    evolve(events) {
      reported(() => this.#stream.evolve(events));
    }

    decide(ctx, command) {
      const result = reported(() => this.#stream.decide(ctx, command));
      if (result.tag === "err") throw failed(result.val);
      return result.val;
    }

    snapshot() {
      return reported(() => this.#stream.snapshot());
    }
  }

  return {
    descriptor: { describe: () => reported(() => describe(plugin, { version, summary })) },
    aggregate: { Entity },
  };
}

/** How `componentize-js` says `err`; any other error is a trap. */
function failed(payload) {
  return Object.assign(new Error("refused"), { payload });
}

/** A trap has no text, so the reason of one goes to the log. */
function reported(run) {
  try {
    return run();
  } catch (reason) {
    error(`${reason}\n${reason?.stack ?? ""}`.trimEnd());
    throw reason;
  }
}
