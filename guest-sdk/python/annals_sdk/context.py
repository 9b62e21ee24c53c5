"""What a plugin may know of the world outside its input."""

from typing import Any

from .random_numbers import Random


class Context:
    """What is true about the command that is being decided, and not said by it.

    The host records it with the outcome, so deciding again gives the same events. There is no other
    clock and no other randomness.
    """

    def __init__(self, stream_id: str, call: Any) -> None:
        self.stream_id = stream_id
        """The stream the command is for, as `category/id`, e.g. `account/a1`."""
        self.id = stream_id.partition("/")[2]
        """The part of the stream id after the first `/`, e.g. `a1`."""
        self.message_id: str = call.message_id
        """UUID of the command."""
        self.correlation_id: str = call.correlation_id
        """Id shared by everything that one outside request led to."""
        self.now_ms: int = call.now
        """When the host took the command in, in milliseconds since 1970-01-01T00:00:00Z."""
        self.namespace: str = call.namespace
        """The namespace the stream is in."""
        self.principal: str | None = call.principal
        """Who asked, as the host authenticated it."""
        self._call = call

    def random(self) -> Random:
        """A generator that starts the same for this command whenever it is asked for."""
        return Random(self._call.seed)

    def extension(self, key: str) -> bytes | None:
        """A fact of a later host than this SDK, by its key."""
        return next((value for other, value in self._call.extensions if other == key), None)
