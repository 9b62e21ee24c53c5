"""Test plugins without WebAssembly: given, when, then.

Everything goes the way it goes in the host, through JSON and columns, so a test also notices a
decision that changes the state, and a state that does not come back from its snapshot. What is not
as expected raises `AssertionError`.

    outcome = given(Account, AccountOpened()).when(DepositFunds(190))
    outcome.then(FundsDeposited(190)).then_state(balance_cents=190)
    outcome.when(DepositFunds(0)).then_rejected("invalid-amount")
"""

from types import SimpleNamespace
from typing import Any

from . import log
from .entity import Lowered, Stream, index_of
from .message import Malformed, type_of_message
from .rejection import Rejection

NOW_MS = 1_735_689_600_000
"""When tests take place, unless they say otherwise: 2025-01-01T00:00:00Z."""

logged = log.take
"""Log lines since the last call, as `level: message`."""


def given(aggregate: type, *events: Any) -> "Given":
    """A stream in which `events` happened."""
    return Given(aggregate, events)


class Given:
    """A stream to ask something of, and what became of the last command."""

    def __init__(self, aggregate: type, events: tuple[Any, ...]) -> None:
        self._class = aggregate
        self._events = events
        self._result: Lowered | Rejection | Malformed | None = None
        self._call = SimpleNamespace(
            message_id="00000000-0000-4000-8000-000000000001",
            correlation_id="00000000-0000-4000-8000-000000000002",
            now=NOW_MS,
            seed=(1, 2),
            namespace="default",
            principal=None,
            extensions=[],
        )
        self._stream = Stream(aggregate, "")
        self.in_stream(f"{self._stream.aggregate.name}/1")

    def in_stream(self, stream_id: str) -> "Given":
        """The stream, as `category/id`; without this the id is `1`."""
        self._stream = Stream(self._class, stream_id)
        self._evolve(list(self._events))
        return self

    def at_ms(self, now_ms: int) -> "Given":
        """The time of the next commands; without this 2025-01-01T00:00:00Z."""
        self._call.now = now_ms
        return self

    def by(self, principal: str) -> "Given":
        """Who sends the next commands; without this nobody."""
        self._call.principal = principal
        return self

    def with_seed(self, seed: tuple[int, int]) -> "Given":
        """What the next commands seed their random numbers with."""
        self._call.seed = seed
        return self

    def when(self, command: Any) -> "Given":
        """Sends a command, as a client would: in JSON."""
        message_type = type_of_message(command)
        type_index = index_of(self._stream.aggregate.commands, message_type)
        before = self._stream.snapshot()
        try:
            data = message_type.encode(command)
            self._result = self._stream.decide(self._call, type_index, data)
        except (Rejection, Malformed) as refusal:
            self._result = refusal
        _equal(self._stream.snapshot(), before, "`decide` changed the state")
        if isinstance(self._result, Lowered):
            self._evolve(self._result.decision.events)
        return self

    def then(self, *events: Any) -> "Given":
        """The command was accepted with exactly these events, which may be none."""
        _equal(self._accepted().decision.events, list(events), "other events were recorded")
        return self

    def then_rejected(self, code: str, message: str | None = None) -> "Given":
        """The command was rejected with this code and, when given, this message."""
        if not isinstance(self._result, Rejection):
            raise AssertionError(f"the command was not rejected: {self._result}")
        _equal(self._result.code, code, "the command was rejected for another reason")
        if message is not None:
            _equal(self._result.message, message, "the message is another")
        return self

    def then_claims(self, *claims: tuple[str, str, int | None]) -> "Given":
        """The names the command took, exactly, as scope, name and when they are free again."""
        _equal(self._accepted().decision.claims, list(claims), "other names were taken")
        return self

    def then_releases(self, *releases: tuple[str, str]) -> "Given":
        """The names the command gave up, exactly, as scope and name."""
        _equal(self._accepted().decision.releases, list(releases), "other names were given up")
        return self

    def then_state(self, **fields: Any) -> "Given":
        """These fields of the state are so; a rejection leaves it as it was."""
        found = {name: getattr(self.state, name) for name in fields}
        _equal(found, fields, "the state is another")
        return self

    @property
    def state(self) -> Any:
        """The state after the last command."""
        return self._stream.state

    def _accepted(self) -> Lowered:
        if not isinstance(self._result, Lowered):
            raise AssertionError(f"the command was not accepted: {self._result}")
        return self._result

    def _evolve(self, events: list[Any]) -> None:
        """Passes events as the host does, and checks that the state survives a snapshot."""
        event_types, data_ends, data = [], [], b""
        for event in events:
            message_type = type_of_message(event)
            event_types.append(index_of(self._stream.aggregate.events, message_type))
            encoded = message_type.encode(event)
            _equal(message_type.decode(encoded), event, "the event changes on its way through JSON")
            data += encoded
            data_ends.append(len(data))
        self._stream.evolve(event_types, data_ends, data)
        snapshot = self._stream.snapshot()
        self._stream = Stream.restore(self._class, self._stream.stream_id, snapshot)
        _equal(self._stream.snapshot(), snapshot, "the state changes on its way through a snapshot")


def _equal(found: Any, expected: Any, otherwise: str) -> None:
    if found != expected:
        raise AssertionError(f"{otherwise}\n  expected: {expected}\n  found:    {found}")
