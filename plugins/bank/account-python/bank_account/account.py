"""The state of an account, and its rules.

Amounts are whole cents, so that nothing is ever rounded.

An account takes part in transfers: it is debited, credited, and refunded when the other end refuses.
Messages may arrive twice, so it remembers the transfers it has seen and accepts what it did already
without doing it again. It does not hear how a transfer ends, so it may be closed while a refund could
still come: the refund is taken, and opens the account again for its owner.
"""

from typing import Annotated, Any

from annals_sdk import Context, Rejection, aggregate, data, ensure

from . import commands, events

CENTS_MAX = 2**63 - 1
"""The most that an account can hold."""


@data
class Transfer:
    """This account's part in a transfer. It may be both ends."""

    debited_cents: Annotated[int | None, "Taken from the balance for it, once."]
    credited_cents: Annotated[int | None, "Added to the balance for it, once."]
    is_refunded: Annotated[bool, "Whether what was taken came back."]


@aggregate(
    "account",
    commands=[
        commands.OpenAccount,
        commands.DepositFunds,
        commands.WithdrawFunds,
        commands.CloseAccount,
        commands.DebitForTransfer,
        commands.CreditForTransfer,
        commands.RefundTransfer,
    ],
    events=[
        events.AccountOpened,
        events.FundsDeposited,
        events.FundsWithdrawn,
        events.AccountClosed,
        events.DebitedForTransfer,
        events.CreditedForTransfer,
        events.TransferRefunded,
    ],
)
class Account:
    """What the rules must know about an account."""

    owner: Annotated[str, "Who it belongs to."]
    balance_cents: Annotated[int, "What is on it."]
    # An account does not hear how a transfer ends, so this includes those that succeeded.
    in_transfers_cents: Annotated[int, "What was taken out for transfers and did not come back."]
    is_open: Annotated[bool, "Whether it was opened and not closed."]
    transfers: Annotated[dict[str, Transfer], "By transfer: what this account had to do with it."]

    def evolve(self, event: Any) -> None:
        """What an event changes."""
        match event:
            case events.AccountOpened(owner, initial_cents):
                self.owner = owner
                self.is_open = True
                self.balance_cents += initial_cents
            case events.FundsDeposited(cents):
                self.balance_cents += cents
            case events.FundsWithdrawn(cents):
                self.balance_cents -= cents
            case events.AccountClosed():
                self.is_open = False
            case events.DebitedForTransfer(transfer, cents):
                self.balance_cents -= cents
                self.in_transfers_cents += cents
                self.part_in(transfer).debited_cents = cents
            case events.CreditedForTransfer(transfer, cents):
                self.balance_cents += cents
                self.part_in(transfer).credited_cents = cents
            case events.TransferRefunded(transfer, cents):
                self.balance_cents += cents
                self.in_transfers_cents -= cents
                self.part_in(transfer).is_refunded = True

    def decide(self, command: Any, _: Context) -> Any:
        """The rules: what a command leads to, or why not."""
        match command:
            case commands.OpenAccount(owner, initial_cents):
                return self.open(owner, initial_cents)
            case commands.DepositFunds(cents):
                self.must_be_open()
                self.must_have_room_for(cents)
                return events.FundsDeposited(cents)
            case commands.WithdrawFunds(cents):
                self.must_be_open()
                self.must_have(cents)
                return events.FundsWithdrawn(cents)
            case commands.CloseAccount():
                return self.close()
            case commands.DebitForTransfer(transfer, cents):
                return self.debit(transfer, cents)
            case commands.CreditForTransfer(transfer, cents):
                return self.credit(transfer, cents)
            case commands.RefundTransfer(transfer):
                return self.refund(transfer)

    def open(self, owner: str, initial_cents: int) -> Any:
        """Opens an account that is not open."""
        ensure(not self.is_open, "already-open", f"the account belongs to {self.owner}")
        ensure(initial_cents >= 0, "invalid-amount", f"{initial_cents} is less than 0")
        return events.AccountOpened(owner, initial_cents)

    def close(self) -> Any:
        """Closes an account that is empty."""
        self.must_be_open()
        balance = self.balance_cents
        ensure(balance == 0, "balance-not-zero", f"the balance is {balance}")
        return events.AccountClosed()

    def debit(self, transfer: str, cents: int) -> Any:
        """Takes money out for a transfer, once."""
        seen = self.transfers.get(transfer)
        if seen and seen.debited_cents is not None:
            return []
        self.must_be_open()
        self.must_have(cents)
        return events.DebitedForTransfer(transfer, cents)

    def credit(self, transfer: str, cents: int) -> Any:
        """Pays money of a transfer in, once."""
        seen = self.transfers.get(transfer)
        if seen and seen.credited_cents is not None:
            return []
        self.must_be_open()
        self.must_have_room_for(cents)
        return events.CreditedForTransfer(transfer, cents)

    def refund(self, transfer: str) -> Any:
        """Gives back what was taken out for a transfer, once."""
        seen = self.transfers.get(transfer)
        if seen and seen.is_refunded:
            return []
        if seen is None or seen.debited_cents is None:
            message = f"nothing was debited for transfer {transfer}"
            raise Rejection("unknown-transfer", message)
        refunded = events.TransferRefunded(transfer, seen.debited_cents)
        if self.is_open:
            return refunded
        # The money must go to somebody who can take it out.
        return [events.AccountOpened(self.owner, 0), refunded]

    def part_in(self, transfer: str) -> Transfer:
        """What the account has to do with a transfer, from here on."""
        return self.transfers.setdefault(transfer, Transfer())

    def must_be_open(self) -> None:
        """Rejects what only an open account does."""
        ensure(self.is_open, "not-open", "the account is not open")

    def must_have(self, cents: int) -> None:
        """Rejects what cannot be taken out."""
        must_be_amount(cents)
        ensure(
            cents <= self.balance_cents,
            "insufficient-funds",
            f"the balance is {self.balance_cents}",
        )

    def must_have_room_for(self, cents: int) -> None:
        """Rejects what cannot be paid in, with room for every refund that could still come."""
        must_be_amount(cents)
        total = self.balance_cents + self.in_transfers_cents + cents
        ensure(
            total <= CENTS_MAX, "invalid-amount", f"{cents} is more than an account can hold"
        )


def must_be_amount(cents: int) -> None:
    """Rejects what is no amount of money."""
    ensure(cents > 0, "invalid-amount", f"{cents} is not more than 0")
