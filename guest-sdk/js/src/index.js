/**
 * Write Annals plugins in JavaScript.
 *
 * An aggregate keeps the rules of one kind of stream. It *decides* commands, which gives events or
 * a rejection, and *evolves* its state from events. You declare what commands, events and state
 * look like; names, JSON Schemas, checks and snapshots come from here.
 *
 * ```js
 * import { aggregate, boolean, command, ensure, event, int64 } from "annals-sdk";
 *
 * const opened = event("account-opened", "The account exists from here on.", {}, (account) => {
 *   account.is_open = true;
 * });
 * const deposited = event("funds-deposited", "Money was paid in.", { cents: int64() },
 *   (account, { cents }) => { account.balance_cents += cents; });
 *
 * const open = command("open-account", "Opens the account.", {}, (account) => {
 *   ensure(!account.is_open, "already-open", "the account is open");
 *   return opened();
 * });
 * const deposit = command("deposit-funds", "Pays money in.", { cents: int64("More than 0.") },
 *   (account, { cents }) => {
 *     ensure(account.is_open, "not-open", "the account is not open");
 *     ensure(cents > 0n, "invalid-amount", `${cents} is not more than 0`);
 *     return deposited({ cents });
 *   });
 *
 * export default aggregate("account", {
 *   state: { is_open: boolean(), balance_cents: int64() },
 *   commands: [open, deposit],
 *   events: [opened, deposited],
 * });
 * ```
 *
 * `annals-sdk/testing` tests it without WebAssembly, `annals plugin build` makes a component of it.
 *
 * There is no clock, no randomness, no file and no network in a plugin: what is true about the
 * outside comes in with the {@link Context}.
 *
 * @module annals-sdk
 */

export { Decision, aggregate, decision } from "./aggregate.js";
export { Context } from "./context.js";
export * as log from "./log.js";
export { command, event } from "./message.js";
export { Random } from "./random.js";
export { Rejection, ensure } from "./rejection.js";
export {
  boolean, choice, int64, integer, list, map, number, object, optional, string,
} from "./types.js";
