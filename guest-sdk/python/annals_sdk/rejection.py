"""The domain says no."""

from typing import Any


class Rejection(Exception):
    """Why an aggregate does not accept a command: a code for programs, a message for people and,
    where it helps, detail for programs. Raise it in `decide`. It is recorded and given to the
    caller."""

    def __init__(self, code: str, message: str, detail: Any = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """Stable and kebab-case."""
        self.message = message
        """A sentence."""
        self.detail = detail
        """JSON that a caller can use more than a sentence."""


def ensure(condition: bool, code: str, message: str) -> None:
    """Rejects the command unless a condition holds."""
    if not condition:
        raise Rejection(code, message)
