"""Write Annals plugins in Python.

An aggregate keeps the rules of one kind of stream. It *decides* commands, which gives events or a
rejection, and *evolves* its state from events. Commands, events and state are classes with type
hints; names, JSON Schemas, checks and snapshots come from here.

    from typing import Annotated

    from annals_sdk import aggregate, command, ensure, event


    @command
    class OpenAccount:
        "Opens the account."

    @command
    class DepositFunds:
        "Pays money in."
        cents: Annotated[int, "More than 0."]

    @event
    class AccountOpened:
        "The account exists from here on."

    @event
    class FundsDeposited:
        "Money was paid in."
        cents: int

    @aggregate("account", commands=[OpenAccount, DepositFunds], events=[AccountOpened, FundsDeposited])
    class Account:
        is_open: bool
        balance_cents: int

        def evolve(self, event):
            match event:
                case AccountOpened():
                    self.is_open = True
                case FundsDeposited(cents):
                    self.balance_cents += cents

        def decide(self, command, ctx):
            match command:
                case OpenAccount():
                    ensure(not self.is_open, "already-open", "the account is open")
                    return AccountOpened()
                case DepositFunds(cents):
                    ensure(self.is_open, "not-open", "the account is not open")
                    ensure(cents > 0, "invalid-amount", f"{cents} is not more than 0")
                    return FundsDeposited(cents)

`annals_sdk.testing` tests it without WebAssembly, `annals plugin build` makes a component of it.

There is no clock, no randomness, no file and no network in a plugin: what is true about the outside
comes in with the `Context`.
"""

from . import log
from .aggregate import Decision, aggregate
from .context import Context
from .message import command, event
from .random_numbers import Random
from .rejection import Rejection, ensure
from .types import Maximum, Minimum, data

__all__ = [
    "Context",
    "Decision",
    "Maximum",
    "Minimum",
    "Random",
    "Rejection",
    "aggregate",
    "command",
    "data",
    "ensure",
    "event",
    "log",
]
