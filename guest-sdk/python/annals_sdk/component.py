"""An aggregate as the exports of the world `aggregate-plugin`.

Only in a component are there bindings to import, so nothing else imports this module:
`annals plugin build` writes the modules that do.
"""

import importlib
import random
import sys
import time
from typing import Any, Callable, NoReturn

from componentize_py_types import Err
from wit_world.exports import annals_entity as contract
from wit_world.exports import descriptor
from wit_world.imports import log as host_log
from wit_world.imports import types

from . import log
from .aggregate import aggregate_of
from .canonical import canonical, encode
from .entity import Lowered, Stream, state_schema
from .message import Malformed, MessageType
from .rejection import Rejection


class _Plugin:
    """The plugin of this component."""

    cls: type
    version: str
    summary: str


def export(path: str, version: str, summary: str) -> None:
    """Makes the class at a path such as `account:Account` the aggregate of this component."""
    log.connect(lambda level, message: host_log.write(host_log.Level[level.upper()], message))
    _forbid_what_is_outside()
    module, _, name = path.partition(":")
    _Plugin.cls = getattr(importlib.import_module(module), name)
    _Plugin.version, _Plugin.summary = version, summary
    aggregate_of(_Plugin.cls)


class Descriptor:
    """Exports `annals:plugin/descriptor`."""

    def describe(self) -> descriptor.Description:
        """The plugin in its own words."""
        return _reported(_description)


class Entity:
    """Exports the resource `entity` of `annals:plugin/aggregate`."""

    def __init__(self, stream_id: str) -> None:
        self._stream = _reported(lambda: Stream(_Plugin.cls, stream_id))

    @classmethod
    def restore(cls, stream_id: str, snapshot: bytes) -> "Entity":
        """The state that a snapshot holds."""
        try:
            stream = Stream.restore(_Plugin.cls, stream_id, snapshot)
        except ValueError as error:
            raise Err(str(error)) from error
        entity = cls.__new__(cls)
        entity._stream = stream
        return entity

    def evolve(self, events: types.History) -> None:
        """Changes the state by events that happened."""
        _reported(lambda: self._stream.evolve(events.event_types, events.data_ends, events.data))

    def decide(self, ctx: types.Context, command: types.Command) -> contract.Decision:
        """Decides one command."""

        def decide() -> contract.Decision:
            try:
                return _decision(self._stream.decide(ctx, command.command_type, command.data))
            except Malformed as malformed:
                raise Err(contract.Refusal_Malformed(str(malformed))) from malformed
            except Rejection as rejection:
                raise Err(contract.Refusal_Rejected(_rejection(rejection))) from rejection

        return _reported(decide)

    def snapshot(self) -> bytes:
        """The state as canonical JSON."""
        return _reported(self._stream.snapshot)


def _description() -> descriptor.Description:
    aggregate = aggregate_of(_Plugin.cls)

    def described(message: MessageType) -> descriptor.MessageType:
        schema = canonical(message.schema)
        return descriptor.MessageType(
            message.name, message.schema_version, "application/json", schema
        )

    return descriptor.Description(
        name=aggregate.name,
        version=_Plugin.version,
        summary=_Plugin.summary,
        commands=[described(message) for message in aggregate.commands],
        events=[described(message) for message in aggregate.events],
        targets=[],
        tables=[],
        state_schema=state_schema(aggregate),
        extensions=[],
    )


def _decision(lowered: Lowered) -> contract.Decision:
    decision = lowered.decision
    return contract.Decision(
        events=[types.NewEvent(type_index, data) for type_index, data in lowered.events],
        claims=[contract.Claim(*claim) for claim in decision.claims],
        releases=decision.releases,
    )


def _rejection(rejection: Rejection) -> types.Rejection:
    detail = None if rejection.detail is None else encode(rejection.detail)
    return types.Rejection(rejection.code, rejection.message, detail)


def _reported(run: Callable[[], Any]) -> Any:
    """A trap has no text, so the reason of one goes to the log."""
    try:
        return run()
    except Err:
        raise
    except Exception as error:
        log.error(_trace(error))
        raise


def _trace(error: BaseException) -> str:
    """Where an error comes from, without its source lines: there are no files to read them from."""
    lines, frame = [f"{type(error).__name__}: {error}"], error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        lines.append(f"{code.co_qualname} ({code.co_filename}:{frame.tb_lineno})")
        frame = frame.tb_next
    return "\n  ".join(lines)


class _Lines:
    """What a developer prints shall not be lost."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._line = write, ""

    def write(self, text: str) -> int:
        """Writes the lines that are whole."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._write(line)
        return len(text)

    def flush(self) -> None:
        """Lines go as they come."""


def _forbid_what_is_outside() -> None:
    """A clock would end the call without a reason; a random number depends on the build, and on what
    this instance did before."""

    def no_randomness(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("a plugin has no randomness of its own: use `ctx.random()`")

    def no_clock(*_: Any) -> NoReturn:
        raise RuntimeError("a plugin has no clock: the time is `ctx.now_ms`")

    for name in random.__all__:
        # The functions are methods of one hidden generator; the classes have seeds of their own.
        if not isinstance(getattr(random, name), type):
            setattr(random, name, no_randomness)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"):
        setattr(time, name, no_clock)


# A component has no standard output: a write to it would end the call.
sys.stdout, sys.stderr = _Lines(log.info), _Lines(log.warn)
