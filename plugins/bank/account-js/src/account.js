/**
 * The aggregate `account` of the bank, in JavaScript: it keeps the rules of one bank account.
 *
 * It is the same as `plugins/bank/account` is in Rust: the same commands and events, the same
 * answers, so that either can go on with the streams of the other. It has three parts:
 *
 * - This file: the state, which is what the rules need to know and nothing else.
 * - `commands.js`: what can be asked, and the rules, which turn it into events or a rejection.
 * - `events.js`: what happened, and what it changes.
 *
 * Amounts are whole cents, so that nothing is ever rounded.
 *
 * An account takes part in transfers: it is debited, credited, and refunded when the other end
 * refuses. Messages may arrive twice, so it remembers the transfers it has seen and accepts what it
 * did already without doing it again. It does not hear how a transfer ends, so it may be closed while
 * a refund could still come: the refund is taken, and opens the account again for its owner.
 *
 * @module
 */

import { aggregate, boolean, int64, map, object, optional, string } from "annals-sdk";

import * as commands from "./commands.js";
import * as events from "./events.js";

/** This account's part in a transfer. It may be both ends. */
const transfer = object({
  debited_cents: optional(int64("Taken from the balance for it, once.")),
  credited_cents: optional(int64("Added to the balance for it, once.")),
  is_refunded: boolean("Whether what was taken came back."),
});

/** The rules of an account. */
export default aggregate("account", {
  state: {
    owner: string("Who it belongs to."),
    balance_cents: int64("What is on it."),
    // An account does not hear how a transfer ends, so this includes those that succeeded.
    in_transfers_cents: int64("What was taken out for transfers and did not come back."),
    is_open: boolean("Whether it was opened and not closed."),
    transfers: map(transfer, "By transfer: what this account had to do with it."),
  },
  commands: [
    commands.openAccount,
    commands.depositFunds,
    commands.withdrawFunds,
    commands.closeAccount,
    commands.debitForTransfer,
    commands.creditForTransfer,
    commands.refundTransfer,
  ],
  events: [
    events.accountOpened,
    events.fundsDeposited,
    events.fundsWithdrawn,
    events.accountClosed,
    events.debitedForTransfer,
    events.creditedForTransfer,
    events.transferRefunded,
  ],
});
