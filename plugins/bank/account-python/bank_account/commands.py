"""What can be asked of an account."""

from typing import Annotated

from annals_sdk import command


@command
class OpenAccount:
    """Opens the account, with money on it if `initial_cents` is more than 0."""

    owner: Annotated[str, "Who it belongs to."]
    initial_cents: Annotated[int, "At least 0."]


@command
class DepositFunds:
    """Pays money in."""

    cents: Annotated[int, "More than 0."]


@command
class WithdrawFunds:
    """Takes money out."""

    cents: Annotated[int, "More than 0, and at most the balance."]


@command
class CloseAccount:
    """Closes an account with nothing on it; money that comes back opens it again."""


@command
class DebitForTransfer:
    """Takes money out for a transfer, once per transfer."""

    transfer: Annotated[str, "Id of the transfer."]
    cents: Annotated[int, "More than 0, and at most the balance."]


@command
class CreditForTransfer:
    """Pays money of a transfer in, once per transfer."""

    transfer: Annotated[str, "Id of the transfer."]
    cents: Annotated[int, "More than 0."]


@command
class RefundTransfer:
    """Gives back what was taken out for a transfer, once per transfer."""

    transfer: Annotated[str, "Id of the transfer."]
