"""Log lines. They go to the host's log with the plugin's name and the message id; a plugin cannot
observe what becomes of them, so they change nothing. In tests `annals_sdk.testing.logged` has them."""

from typing import Callable

_lines: list[str] = []


def _keep(level: str, message: str) -> None:
    _lines.append(f"{level}: {message}")


_write: Callable[[str, str], None] = _keep


def trace(message: object) -> None:
    """What only someone who follows every step wants to see."""
    _write("trace", str(message))


def debug(message: object) -> None:
    """Why something was decided."""
    _write("debug", str(message))


def info(message: object) -> None:
    """What is worth a line in daily operation."""
    _write("info", str(message))


def warn(message: object) -> None:
    """Something is not as it should be, and we go on."""
    _write("warn", str(message))


def error(message: object) -> None:
    """A human must act."""
    _write("error", str(message))


def connect(write: Callable[[str, str], None]) -> None:
    """Lets lines go to a host."""
    global _write
    _write = write


def take() -> list[str]:
    """Lines since the last call."""
    taken = _lines.copy()
    _lines.clear()
    return taken
