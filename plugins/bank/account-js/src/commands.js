/**
 * What can be asked of an account, and the rules: each command says what it leads to or why not.
 *
 * @module
 */

import { Rejection, command, ensure, int64, string } from "annals-sdk";

import {
  accountClosed, accountOpened, creditedForTransfer, debitedForTransfer, fundsDeposited,
  fundsWithdrawn, transferRefunded,
} from "./events.js";

/** The most that an account can hold. */
const CENTS_MAX = 2n ** 63n - 1n;

const transferId = string("Id of the transfer.");

/** Opens the account. */
export const openAccount = command(
  "open-account",
  "Opens the account, with money on it if `initial_cents` is more than 0.",
  { owner: string("Who it belongs to."), initial_cents: int64("At least 0.") },
  (account, { owner, initial_cents }) => {
    ensure(!account.is_open, "already-open", `the account belongs to ${account.owner}`);
    ensure(initial_cents >= 0n, "invalid-amount", `${initial_cents} is less than 0`);
    return accountOpened({ owner, initial_cents });
  },
);

/** Pays money in. */
export const depositFunds = command(
  "deposit-funds",
  "Pays money in.",
  { cents: int64("More than 0.") },
  (account, { cents }) => {
    mustBeOpen(account);
    mustHaveRoomFor(account, cents);
    return fundsDeposited({ cents });
  },
);

/** Takes money out. */
export const withdrawFunds = command(
  "withdraw-funds",
  "Takes money out.",
  { cents: int64("More than 0, and at most the balance.") },
  (account, { cents }) => {
    mustBeOpen(account);
    mustHave(account, cents);
    return fundsWithdrawn({ cents });
  },
);

/** Closes the account. */
export const closeAccount = command(
  "close-account",
  "Closes an account with nothing on it; money that comes back opens it again.",
  {},
  (account) => {
    mustBeOpen(account);
    const { balance_cents: balance } = account;
    ensure(balance === 0n, "balance-not-zero", `the balance is ${balance}`);
    return accountClosed();
  },
);

/** Takes money out for a transfer. */
export const debitForTransfer = command(
  "debit-for-transfer",
  "Takes money out for a transfer, once per transfer.",
  { transfer: transferId, cents: int64("More than 0, and at most the balance.") },
  (account, { transfer, cents }) => {
    const isDebited = (account.transfers.get(transfer)?.debited_cents ?? null) !== null;
    if (isDebited) return [];
    mustBeOpen(account);
    mustHave(account, cents);
    return debitedForTransfer({ transfer, cents });
  },
);

/** Pays money of a transfer in. */
export const creditForTransfer = command(
  "credit-for-transfer",
  "Pays money of a transfer in, once per transfer.",
  { transfer: transferId, cents: int64("More than 0.") },
  (account, { transfer, cents }) => {
    const isCredited = (account.transfers.get(transfer)?.credited_cents ?? null) !== null;
    if (isCredited) return [];
    mustBeOpen(account);
    mustHaveRoomFor(account, cents);
    return creditedForTransfer({ transfer, cents });
  },
);

/** Gives back what was taken out for a transfer. */
export const refundTransfer = command(
  "refund-transfer",
  "Gives back what was taken out for a transfer, once per transfer.",
  { transfer: transferId },
  (account, { transfer }) => {
    const seen = account.transfers.get(transfer);
    if (seen?.is_refunded) return [];
    const cents = seen?.debited_cents ?? null;
    if (cents === null) {
      throw new Rejection("unknown-transfer", `nothing was debited for transfer ${transfer}`);
    }
    const refunded = transferRefunded({ transfer, cents });
    if (account.is_open) return refunded;
    // The money must go to somebody who can take it out.
    return [accountOpened({ owner: account.owner, initial_cents: 0n }), refunded];
  },
);

function mustBeOpen(account) {
  ensure(account.is_open, "not-open", "the account is not open");
}

/** `cents` can be taken out. */
function mustHave({ balance_cents }, cents) {
  mustBeAmount(cents);
  ensure(cents <= balance_cents, "insufficient-funds", `the balance is ${balance_cents}`);
}

/** `cents` can be paid in, with room for every refund that could still come. */
function mustHaveRoomFor({ balance_cents, in_transfers_cents }, cents) {
  mustBeAmount(cents);
  const total = balance_cents + in_transfers_cents + cents;
  ensure(total <= CENTS_MAX, "invalid-amount", `${cents} is more than an account can hold`);
}

function mustBeAmount(cents) {
  ensure(cents > 0n, "invalid-amount", `${cents} is not more than 0`);
}
