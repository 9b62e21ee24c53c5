"""What happened to an account. Events are recorded for ever."""

from typing import Annotated

from annals_sdk import event


@event
class AccountOpened:
    """The account exists from here on."""

    owner: Annotated[str, "Who it belongs to."]
    initial_cents: Annotated[int, "What was on it at once."]


@event
class FundsDeposited:
    """Money was paid in."""

    cents: Annotated[int, "How much."]


@event
class FundsWithdrawn:
    """Money was taken out."""

    cents: Annotated[int, "How much."]


@event
class AccountClosed:
    """The account was closed."""


@event
class DebitedForTransfer:
    """Money was taken out for a transfer."""

    transfer: Annotated[str, "Id of the transfer."]
    cents: Annotated[int, "How much."]


@event
class CreditedForTransfer:
    """Money of a transfer was paid in."""

    transfer: Annotated[str, "Id of the transfer."]
    cents: Annotated[int, "How much."]


@event
class TransferRefunded:
    """Money taken out for a transfer came back."""

    transfer: Annotated[str, "Id of the transfer."]
    cents: Annotated[int, "How much."]
