"""JSON in bytes: read strictly, written so that equal values have equal bytes."""

import json
import re
from typing import Any, NoReturn

DEPTH_MAX = 128
"""Most arrays and objects inside of one another, as in the Rust SDK. Python's reader takes stack for
each, and a plugin has little."""

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def parse(data: bytes) -> Any:
    """Reads one JSON value; raises `ValueError` when it is none, or not UTF-8."""
    if data.count(b"[") + data.count(b"{") > DEPTH_MAX:
        _refuse_depth(data)
    return json.loads(data.decode("utf-8"), parse_constant=_refuse)


def encode(value: Any) -> bytes:
    """Writes a value without white space, the keys of objects in the order they have."""
    return _text(value, sort_keys=False).encode("utf-8")


def canonical(value: Any) -> str:
    """The same with the keys of objects in byte order, so that equal values give equal bytes."""
    # Text sorts by code points, as UTF-8 does.
    return _text(value, sort_keys=True)


def _text(value: Any, sort_keys: bool) -> str:
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
    )


def _refuse_depth(data: bytes) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise ValueError(f"more than {DEPTH_MAX} arrays and objects inside of one another")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"`{constant}` is not JSON")
