"""The rules of the bank's accounts, row by row, as `plugins/bank/account/tests/rules.rs` has them."""

import unittest
from typing import Any

from annals_sdk import testing

from bank_account.account import CENTS_MAX, Account, Transfer
from bank_account.commands import (
    CloseAccount,
    CreditForTransfer,
    DebitForTransfer,
    DepositFunds,
    OpenAccount,
    RefundTransfer,
    WithdrawFunds,
)
from bank_account.events import (
    AccountClosed,
    AccountOpened,
    CreditedForTransfer,
    DebitedForTransfer,
    FundsDeposited,
    FundsWithdrawn,
    TransferRefunded,
)

CENTS_MIN = -(2**63)


def given(*events: Any) -> testing.Given:
    return testing.given(Account, *events)


def opened(initial_cents: int) -> AccountOpened:
    return AccountOpened("Athena", initial_cents)


def open_with(initial_cents: int) -> OpenAccount:
    return OpenAccount("Athena", initial_cents)


def debited(cents: int) -> DebitedForTransfer:
    return DebitedForTransfer("t1", cents)


def debit(cents: int) -> DebitForTransfer:
    return DebitForTransfer("t1", cents)


def credited(cents: int) -> CreditedForTransfer:
    return CreditedForTransfer("t1", cents)


def credit(cents: int) -> CreditForTransfer:
    return CreditForTransfer("t1", cents)


REFUND = RefundTransfer("t1")


class Rules(unittest.TestCase):
    def test_opens_an_account_once(self) -> None:
        # Guards B4.
        outcome = given().when(open_with(10)).then(opened(10))
        self.assertEqual(outcome.state, Account(owner="Athena", balance_cents=10, is_open=True))
        given().when(open_with(0)).then(opened(0))
        twice = given(opened(10)).when(open_with(5))
        twice.then_rejected("already-open", "the account belongs to Athena")
        twice.then_state(balance_cents=10)

    def test_does_not_open_an_account_with_a_debt(self) -> None:
        # Guards the amount of `open-account`.
        given().when(open_with(-1)).then_rejected("invalid-amount", "-1 is less than 0")

    def test_opens_a_closed_account_again(self) -> None:
        # Guards "accepted when not open", which a closed account is.
        outcome = given(opened(0), AccountClosed()).when(open_with(7))
        outcome.then(opened(7)).then_state(balance_cents=7)

    def test_deposits_funds_into_an_open_account(self) -> None:
        # Guards B1: the deposit.
        outcome = given(opened(10)).when(DepositFunds(190))
        outcome.then(FundsDeposited(190)).then_state(balance_cents=200)
        given().when(DepositFunds(190)).then_rejected("not-open", "the account is not open")
        given(opened(0), AccountClosed()).when(DepositFunds(1)).then_rejected("not-open")
        for cents in (0, -1, CENTS_MIN, CENTS_MAX):
            given(opened(10)).when(DepositFunds(cents)).then_rejected("invalid-amount")

    def test_withdraws_what_is_there_and_not_more(self) -> None:
        # Guards B1: both withdrawals.
        outcome = given(opened(200)).when(WithdrawFunds(100))
        outcome.then(FundsWithdrawn(100)).then_state(balance_cents=100)
        given(opened(10)).when(WithdrawFunds(10)).then_state(balance_cents=0)
        refused = given(opened(10)).when(WithdrawFunds(11))
        refused.then_rejected("insufficient-funds", "the balance is 10")
        refused.then_state(balance_cents=10)
        given().when(WithdrawFunds(1)).then_rejected("not-open")
        for cents in (0, -1, CENTS_MIN):
            given(opened(10)).when(WithdrawFunds(cents)).then_rejected("invalid-amount")

    def test_closes_an_account_with_nothing_on_it(self) -> None:
        # Guards `close-account`.
        closed = given(opened(0)).when(CloseAccount()).then(AccountClosed())
        closed.then_state(is_open=False).when(CloseAccount()).then_rejected("not-open")
        given().when(CloseAccount()).then_rejected("not-open")
        refused = given(opened(1)).when(CloseAccount())
        refused.then_rejected("balance-not-zero", "the balance is 1")

    def test_a_refund_opens_a_closed_account_again(self) -> None:
        # Guards the money of a transfer that fails after its source was closed: the owner can have it.
        closed = given(opened(10), debited(10)).when(CloseAccount()).then(AccountClosed())
        refunded = closed.when(REFUND).then(opened(0), TransferRefunded("t1", 10))
        refunded.then_state(balance_cents=10, is_open=True)
        refunded.when(WithdrawFunds(10)).when(CloseAccount()).then(AccountClosed())

    def test_debits_once_per_transfer(self) -> None:
        # Guards B5.
        once = given(opened(10)).when(debit(10)).then(debited(10))
        once.when(debit(10)).then().then_state(balance_cents=0)
        given().when(debit(10)).then_rejected("not-open")
        given(opened(10)).when(debit(11)).then_rejected("insufficient-funds")
        given(opened(10)).when(debit(-1)).then_rejected("invalid-amount")

    def test_accepts_a_debit_that_was_refunded_without_debiting_again(self) -> None:
        # Guards a debit that arrives once more after the transfer failed.
        refunded = given(opened(10), debited(10), TransferRefunded("t1", 10))
        refunded.when(debit(10)).then().then_state(balance_cents=10)

    def test_credits_once_per_transfer(self) -> None:
        # Guards the other end of B5.
        once = given(opened(10)).when(credit(10)).then(credited(10))
        once.when(credit(10)).then().then_state(balance_cents=20)
        given().when(credit(10)).then_rejected("not-open")
        for cents in (-1, 0, CENTS_MAX):
            given(opened(10)).when(credit(cents)).then_rejected("invalid-amount")

    def test_accepts_a_credit_that_was_made_even_when_closed_since(self) -> None:
        # Guards a credit that arrives once more, late.
        closed = given(opened(0), credited(10), FundsWithdrawn(10), AccountClosed())
        closed.when(credit(10)).then()

    def test_refunds_once_what_was_debited(self) -> None:
        # Guards B2: the source has its money back, once.
        once = given(opened(10), debited(4)).when(REFUND).then(TransferRefunded("t1", 4))
        transfers = {"t1": Transfer(debited_cents=4, is_refunded=True)}
        expected = Account(owner="Athena", balance_cents=10, is_open=True, transfers=transfers)
        self.assertEqual(once.when(REFUND).then().state, expected)
        unknown = "nothing was debited for transfer t1"
        given(opened(10)).when(REFUND).then_rejected("unknown-transfer", unknown)
        given(opened(10), credited(4)).when(REFUND).then_rejected("unknown-transfer")

    def test_leaves_room_for_refunds_when_it_takes_deposits(self) -> None:
        # Guards the sum of cents: a refund that does not fit could never be paid.
        refused = given(opened(CENTS_MAX), debited(CENTS_MAX)).when(DepositFunds(1))
        refused.then_rejected("invalid-amount", "1 is more than an account can hold")
        refused.when(REFUND).then(TransferRefunded("t1", CENTS_MAX))


if __name__ == "__main__":
    unittest.main()
