/**
 * Log lines. They go to the host's log with the plugin's name and the message id; a plugin cannot
 * observe what becomes of them, so they change nothing. In tests `logged` of `annals-sdk/testing`
 * has them.
 *
 * @module
 */

/** Where lines go outside of a host. */
let lines = [];
let sink = (level, message) => lines.push(`${level}: ${message}`);

/** What only someone who follows every step wants to see. @param {string} message */
export const trace = (message) => sink("trace", String(message));
/** Why something was decided. @param {string} message */
export const debug = (message) => sink("debug", String(message));
/** What is worth a line in daily operation. @param {string} message */
export const info = (message) => sink("info", String(message));
/** Something is not as it should be, and we go on. @param {string} message */
export const warn = (message) => sink("warn", String(message));
/** A human must act. @param {string} message */
export const error = (message) => sink("error", String(message));

/**
 * Lets lines go to a host.
 *
 * @param {(level: string, message: string) => void} write
 * @package
 */
export function connect(write) {
  sink = write;
}

/** Lines since the last call. @returns {string[]} @package */
export function take() {
  const taken = lines;
  lines = [];
  return taken;
}
