/** The rules of the bank's accounts, row by row, as `plugins/bank/account/tests/rules.rs` has them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { given as givenOf } from "annals-sdk/testing";

import account from "../src/account.js";
import {
  closeAccount, creditForTransfer, debitForTransfer, depositFunds, openAccount, refundTransfer,
  withdrawFunds,
} from "../src/commands.js";
import {
  accountClosed, accountOpened, creditedForTransfer, debitedForTransfer, fundsDeposited,
  fundsWithdrawn, transferRefunded,
} from "../src/events.js";

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

const given = (...events) => givenOf(account, events);
const opened = (initial_cents) => accountOpened({ owner: "Athena", initial_cents });
const open = (initial_cents) => openAccount({ owner: "Athena", initial_cents });
const deposit = (cents) => depositFunds({ cents });
const withdraw = (cents) => withdrawFunds({ cents });
const debited = (cents) => debitedForTransfer({ transfer: "t1", cents });
const debit = (cents) => debitForTransfer({ transfer: "t1", cents });
const credited = (cents) => creditedForTransfer({ transfer: "t1", cents });
const credit = (cents) => creditForTransfer({ transfer: "t1", cents });
const refunded = (cents) => transferRefunded({ transfer: "t1", cents });
const refund = () => refundTransfer({ transfer: "t1" });
const balance = (cents) => (state) => assert.equal(state.balance_cents, cents);

test("opens an account once", () => {
  // Guards B4.
  given().when(open(10)).thenEvents([opened(10)]).thenState((state) => {
    assert.deepEqual(state, {
      owner: "Athena", balance_cents: 10n, in_transfers_cents: 0n, is_open: true, transfers: new Map(),
    });
  });
  given().when(open(0)).thenEvents([opened(0)]);
  const twice = given(opened(10)).when(open(5));
  twice.thenRejected("already-open", "the account belongs to Athena").thenState(balance(10n));
});

test("does not open an account with a debt", () => {
  // Guards the amount of `open-account`.
  given().when(open(-1)).thenRejected("invalid-amount", "-1 is less than 0");
});

test("opens a closed account again", () => {
  // Guards "accepted when not open", which a closed account is.
  given(opened(0), accountClosed()).when(open(7)).thenEvents([opened(7)]).thenState(balance(7n));
});

test("deposits funds into an open account", () => {
  // Guards B1: the deposit.
  const outcome = given(opened(10)).when(deposit(190));
  outcome.thenEvents([fundsDeposited({ cents: 190 })]).thenState(balance(200n));
  given().when(deposit(190)).thenRejected("not-open", "the account is not open");
  given(opened(0), accountClosed()).when(deposit(1)).thenRejected("not-open");
  for (const cents of [0, -1, INT64_MIN, INT64_MAX]) {
    given(opened(10)).when(deposit(cents)).thenRejected("invalid-amount");
  }
});

test("withdraws what is there and not more", () => {
  // Guards B1: both withdrawals.
  const outcome = given(opened(200)).when(withdraw(100));
  outcome.thenEvents([fundsWithdrawn({ cents: 100 })]).thenState(balance(100n));
  given(opened(10)).when(withdraw(10)).thenState(balance(0n));
  const refused = given(opened(10)).when(withdraw(11));
  refused.thenRejected("insufficient-funds", "the balance is 10").thenState(balance(10n));
  given().when(withdraw(1)).thenRejected("not-open");
  for (const cents of [0, -1, INT64_MIN]) {
    given(opened(10)).when(withdraw(cents)).thenRejected("invalid-amount");
  }
});

test("closes an account with nothing on it", () => {
  // Guards `close-account`.
  given(opened(0))
    .when(closeAccount())
    .thenEvents([accountClosed()])
    .thenState((state) => assert.equal(state.is_open, false))
    .when(closeAccount())
    .thenRejected("not-open");
  given().when(closeAccount()).thenRejected("not-open");
  given(opened(1)).when(closeAccount()).thenRejected("balance-not-zero", "the balance is 1");
});

test("a refund opens a closed account again", () => {
  // Guards the money of a transfer that fails after its source was closed: the owner can have it.
  given(opened(10), debited(10))
    .when(closeAccount())
    .thenEvents([accountClosed()])
    .when(refund())
    .thenEvents([opened(0), refunded(10)])
    .thenState(balance(10n))
    .when(withdraw(10))
    .when(closeAccount())
    .thenEvents([accountClosed()]);
});

test("debits once per transfer", () => {
  // Guards B5.
  const once = given(opened(10)).when(debit(10)).thenEvents([debited(10)]);
  once.when(debit(10)).thenEvents([]).thenState(balance(0n));
  given().when(debit(10)).thenRejected("not-open");
  given(opened(10)).when(debit(11)).thenRejected("insufficient-funds");
  given(opened(10)).when(debit(-1)).thenRejected("invalid-amount");
});

test("accepts a debit that was refunded without debiting again", () => {
  // Guards a debit that arrives once more after the transfer failed.
  const outcome = given(opened(10), debited(10), refunded(10)).when(debit(10));
  outcome.thenEvents([]).thenState(balance(10n));
});

test("credits once per transfer", () => {
  // Guards the other end of B5.
  const once = given(opened(10)).when(credit(10)).thenEvents([credited(10)]);
  once.when(credit(10)).thenEvents([]).thenState(balance(20n));
  given().when(credit(10)).thenRejected("not-open");
  for (const cents of [-1, 0, INT64_MAX]) {
    given(opened(10)).when(credit(cents)).thenRejected("invalid-amount");
  }
});

test("accepts a credit that was made even when closed since", () => {
  // Guards a credit that arrives once more, late.
  given(opened(0), credited(10), fundsWithdrawn({ cents: 10 }), accountClosed())
    .when(credit(10))
    .thenEvents([]);
});

test("refunds once what was debited", () => {
  // Guards B2: the source has its money back, once.
  given(opened(10), debited(4))
    .when(refund())
    .thenEvents([refunded(4)])
    .when(refund())
    .thenEvents([])
    .thenState((state) => {
      const transfer = { debited_cents: 4n, credited_cents: null, is_refunded: true };
      assert.deepEqual(state, {
        owner: "Athena", balance_cents: 10n, in_transfers_cents: 0n, is_open: true,
        transfers: new Map([["t1", transfer]]),
      });
    });
  const unknown = "nothing was debited for transfer t1";
  given(opened(10)).when(refund()).thenRejected("unknown-transfer", unknown);
  given(opened(10), credited(4)).when(refund()).thenRejected("unknown-transfer");
});

test("leaves room for refunds when it takes deposits", () => {
  // Guards the sum of cents: a refund that does not fit could never be paid.
  given(opened(INT64_MAX), debited(INT64_MAX))
    .when(deposit(1))
    .thenRejected("invalid-amount", "1 is more than an account can hold")
    .when(refund())
    .thenEvents([refunded(INT64_MAX)]);
});

test("a transfer may have any name", () => {
  // Guards ids that mean something in JavaScript.
  for (const transfer of ["constructor", "__proto__", ""]) {
    given(opened(10)).when(refundTransfer({ transfer })).thenRejected("unknown-transfer");
    given(opened(10), debitedForTransfer({ transfer, cents: 4 }))
      .when(refundTransfer({ transfer }))
      .thenEvents([transferRefunded({ transfer, cents: 4 })]);
  }
});
