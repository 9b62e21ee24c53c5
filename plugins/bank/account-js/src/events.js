/**
 * What happened to an account, and what it changes. Events are recorded for ever.
 *
 * @module
 */

import { event, int64, string } from "annals-sdk";

const transferId = string("Id of the transfer.");
const howMuch = int64("How much.");

/** The account exists. */
export const accountOpened = event(
  "account-opened",
  "The account exists from here on.",
  { owner: string("Who it belongs to."), initial_cents: int64("What was on it at once.") },
  (account, { owner, initial_cents }) => {
    account.owner = owner;
    account.is_open = true;
    account.balance_cents += initial_cents;
  },
);

/** Money was paid in. */
export const fundsDeposited = event(
  "funds-deposited",
  "Money was paid in.",
  { cents: howMuch },
  (account, { cents }) => {
    account.balance_cents += cents;
  },
);

/** Money was taken out. */
export const fundsWithdrawn = event(
  "funds-withdrawn",
  "Money was taken out.",
  { cents: howMuch },
  (account, { cents }) => {
    account.balance_cents -= cents;
  },
);

/** The account was closed. */
export const accountClosed = event("account-closed", "The account was closed.", {}, (account) => {
  account.is_open = false;
});

/** Money was taken out for a transfer. */
export const debitedForTransfer = event(
  "debited-for-transfer",
  "Money was taken out for a transfer.",
  { transfer: transferId, cents: howMuch },
  (account, { transfer, cents }) => {
    account.balance_cents -= cents;
    account.in_transfers_cents += cents;
    partIn(account, transfer).debited_cents = cents;
  },
);

/** Money of a transfer was paid in. */
export const creditedForTransfer = event(
  "credited-for-transfer",
  "Money of a transfer was paid in.",
  { transfer: transferId, cents: howMuch },
  (account, { transfer, cents }) => {
    account.balance_cents += cents;
    partIn(account, transfer).credited_cents = cents;
  },
);

/** Money taken out for a transfer came back. */
export const transferRefunded = event(
  "transfer-refunded",
  "Money taken out for a transfer came back.",
  { transfer: transferId, cents: howMuch },
  (account, { transfer, cents }) => {
    account.balance_cents += cents;
    account.in_transfers_cents -= cents;
    partIn(account, transfer).is_refunded = true;
  },
);

/** What the account has to do with a transfer, from here on. */
function partIn(account, transfer) {
  if (!account.transfers.has(transfer)) {
    const nothing = { debited_cents: null, credited_cents: null, is_refunded: false };
    account.transfers.set(transfer, nothing);
  }
  return account.transfers.get(transfer);
}
