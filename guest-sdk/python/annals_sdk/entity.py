"""Between the contract and the rules: events as columns, data as JSON.

It knows no binding of the contract, so tests run it as well.
"""

from dataclasses import dataclass
from typing import Any, Sequence

from .aggregate import Aggregate, Decision, aggregate_of, decision_of
from .canonical import canonical, parse
from .context import Context
from .message import MessageType, schema_of, type_of_message


@dataclass(frozen=True)
class Lowered:
    """A decision with its events as type indexes and JSON."""

    events: list[tuple[int, bytes]]
    """Type index and data of each."""
    decision: Decision
    """Where they are from."""


class Stream:
    """One stream's state."""

    def __init__(self, cls: type, stream_id: str, state: Any = None) -> None:
        self.aggregate: Aggregate = aggregate_of(cls)
        self.stream_id = stream_id
        self.state = cls() if state is None else state

    @staticmethod
    def restore(cls: type, stream_id: str, snapshot: bytes) -> "Stream":
        """The stream of a snapshot. Raises what makes the host read the history instead."""
        state = aggregate_of(cls).state.read(parse(snapshot), "", False)
        return Stream(cls, stream_id, state)

    def evolve(self, event_types: Sequence[int], data_ends: Sequence[int], data: bytes) -> None:
        """Changes the state by events, as columns."""
        start = 0
        for type_index, end in zip(event_types, data_ends, strict=True):
            # The event happened and cannot be skipped, so data that does not fit ends the call.
            self.state.evolve(self.aggregate.events[type_index].decode(data[start:end]))
            start = end

    def decide(self, call: Any, type_index: int, data: bytes) -> Lowered:
        """Decides a command. Raises `Malformed` and `Rejection`."""
        command = self.aggregate.commands[type_index].decode(data)
        decision = decision_of(self.state.decide(command, Context(self.stream_id, call)))
        return Lowered([self._lowered(event) for event in decision.events], decision)

    def snapshot(self) -> bytes:
        """The state as canonical JSON."""
        return canonical(self.aggregate.state.write(self.state, "")).encode("utf-8")

    def _lowered(self, event: Any) -> tuple[int, bytes]:
        message_type = type_of_message(event)
        return index_of(self.aggregate.events, message_type), message_type.encode(event)


def index_of(types: Sequence[MessageType], message_type: MessageType) -> int:
    """The type index of a kind of message; raises `TypeError` when the aggregate has it not."""
    for index, known in enumerate(types):
        if known is message_type:
            return index
    raise TypeError(f"`{message_type.name}` is no {message_type.kind} of the aggregate")


def state_schema(aggregate: Aggregate) -> str:
    """Names the shape of a state: what wrote it, its version and a fingerprint of its JSON Schema.
    A snapshot of another SDK is not read, whatever it looks like."""
    schema = canonical(schema_of(aggregate.name, aggregate.state.schema, None, is_closed=False))
    return f"python-{aggregate.state_version}-{fnv1a_128(schema.encode('utf-8')):032x}"


def fnv1a_128(data: bytes) -> int:
    """FNV-1a with 128 bits: a few lines, and stable for ever."""
    result = 0x6C62272E07BB014262B821756295C58D
    for byte in data:
        result = (result ^ byte) * 0x0000000001000000000000000000013B & 2**128 - 1
    return result
