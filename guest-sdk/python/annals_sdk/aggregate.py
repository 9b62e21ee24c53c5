"""Aggregates: the rule-keepers of one stream."""

from dataclasses import dataclass, field
from typing import Any, Callable, Sequence, TypeVar, dataclass_transform

from .message import MessageType, is_kebab_case, type_of_message
from .types import Type, data, object_type

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Aggregate:
    """What is known about an aggregate's class."""

    name: str
    """Kebab-case; also the category of its streams."""
    state: Type
    """What the class's fields must be."""
    state_version: int
    """Counted up when events change the state in another way."""
    commands: Sequence[MessageType]
    """What it decides; the order defines type indexes."""
    events: Sequence[MessageType]
    """What it records; the order defines type indexes."""


@dataclass_transform()
def aggregate(
    name: str, *, commands: Sequence[type], events: Sequence[type], state_version: int = 1
) -> Callable[[Class], Class]:
    """Makes a class an aggregate, which keeps the rules of one kind of stream: `account` those of
    `account/a1`. Its fields are the state: what the rules must know, and nothing else.

    The class has two methods:

    - `decide(self, command, ctx)` says what happens: it returns an event, a list of them, `[]` for
      acceptance without change, or a `Decision`. It raises `Rejection` when the rules forbid the
      command. It sees the state and does not change it.
    - `evolve(self, event)` changes the state by an event. Total: it happened, so there is nothing to
      refuse.

    A field without a default begins as the empty value of its type. Count `state_version` up when
    `evolve` starts to compute something else from the same events while the fields stay the same.
    """
    if not is_kebab_case(name):
        raise TypeError(f"`{name}` is not a kebab-case name")
    known = [_types("command", commands), _types("event", events)]

    def decorate(cls: Any) -> Any:
        for method in ("decide", "evolve"):
            if not callable(getattr(cls, method, None)):
                raise TypeError(f"the aggregate `{name}` lacks `{method}`")
        made = data(cls)
        made.__annals_aggregate__ = Aggregate(name, object_type(made), state_version, *known)
        return made

    return decorate


def aggregate_of(cls: Any) -> Aggregate:
    """What is known about an aggregate's class; raises `TypeError` when it is none."""
    found = getattr(cls, "__annals_aggregate__", None)
    if not isinstance(found, Aggregate):
        raise TypeError(f"`{cls!r}` is no aggregate: decorate it with `@aggregate(…)`")
    return found


@dataclass
class Decision:
    """What an accepted command leads to: events, and names taken or given up. All of it happens or
    nothing does.

        return Decision([UserRegistered(email)]).claim("email", email)
    """

    events: list[Any] = field(default_factory=list)
    """In order."""
    claims: list[tuple[str, str, int | None]] = field(default_factory=list)
    """Names taken, as scope, name and when they are free again."""
    releases: list[tuple[str, str]] = field(default_factory=list)
    """Names given up, as scope and name."""

    def claim(self, scope: str, key: str, expires_at_ms: int | None = None) -> "Decision":
        """Takes a name for this stream until it is released, or until a time (exclusive) in
        milliseconds since 1970-01-01T00:00:00Z. The command is refused when another stream of the
        namespace holds it; holding it already is fine."""
        self.claims.append((scope, key, expires_at_ms))
        return self

    def release(self, scope: str, key: str) -> "Decision":
        """Gives a name up; one that this stream does not hold is ignored."""
        self.releases.append((scope, key))
        return self


def decision_of(answer: Any) -> Decision:
    """The decision that `decide` meant by what it returned."""
    if isinstance(answer, Decision):
        return answer
    if answer is None:
        # A `return` or a `case` that was forgotten, more often than it is meant.
        raise TypeError("a command must lead to events: return one, a list of them, or `[]`")
    return Decision(list(answer) if isinstance(answer, (list, tuple)) else [answer])


def _types(kind: str, classes: Sequence[type]) -> list[MessageType]:
    types = [type_of_message(cls) for cls in classes]
    for index, message_type in enumerate(types):
        if message_type.kind != kind:
            raise TypeError(f"`{message_type.name}` is no {kind}")
        if any(other.name == message_type.name for other in types[:index]):
            raise TypeError(f"two {kind}s are named `{message_type.name}`")
    return types
