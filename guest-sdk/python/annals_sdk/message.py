"""Commands and events: classes whose names and fields are those on the wire."""

import re
from dataclasses import dataclass
from typing import Any, Callable, TypeVar, dataclass_transform

from .canonical import encode, parse
from .types import Mismatch, Type, object_type

Class = TypeVar("Class", bound=type)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


class Malformed(ValueError):
    """Data is not the message it is said to be."""


@dataclass(frozen=True)
class MessageType:
    """One kind of command or event."""

    kind: str
    """`command` or `event`."""
    name: str
    """Kebab-case name on the wire."""
    schema_version: int
    """Shape of the data: 1, 2, 3 …"""
    schema: dict[str, Any]
    """JSON Schema 2020-12 of the data."""
    fields: Type
    """What the data must be."""

    def encode(self, message: Any) -> bytes:
        """The fields of a message as JSON; raises `TypeError` when they are not what is declared."""
        try:
            return encode(self.fields.write(message, ""))
        except Mismatch as error:
            raise TypeError(f"data does not fit `{self.name}`: {error}") from error

    def decode(self, data: bytes) -> Any:
        """The message of JSON; no bytes at all are an empty object. Raises `Malformed`."""
        # Commands come from outside, where a misspelt field is a mistake to report. Events are
        # history: a field that another version recorded is none of our business.
        is_strict = self.kind == "command"
        try:
            return self.fields.read(parse(data) if data else {}, "", is_strict)
        except ValueError as error:
            raise Malformed(f"data does not fit `{self.name}`: {error}") from error


@dataclass_transform(frozen_default=True)
def command(cls: Class | None = None, /, *, name: str = "", schema_version: int = 1) -> Any:
    """Makes a class a command: imperative, e.g. `OpenAccount`, which is `open-account` on the wire.

    Its documentation and its fields become the JSON Schema. A field that the command does not have
    is refused: it is a misspelling.
    """
    return _message("command", cls, name, schema_version)


@dataclass_transform(frozen_default=True)
def event(cls: Class | None = None, /, *, name: str = "", schema_version: int = 1) -> Any:
    """Makes a class an event: past tense, e.g. `AccountOpened`. Recorded for ever, so choose fields
    with care.

    Fields that the event does not have are skipped when it is read: it was recorded by some version
    of its aggregate and is taken as it is.
    """
    return _message("event", cls, name, schema_version)


def type_of_message(message_or_class: Any) -> MessageType:
    """The kind of a message or of its class; raises `TypeError` when it is none."""
    found = getattr(message_or_class, "__annals_message__", None)
    if not isinstance(found, MessageType):
        raise TypeError(f"`{message_or_class!r}` is neither a command nor an event")
    return found


def _message(kind: str, cls: Any, name: str, schema_version: int) -> Any:
    def decorate(cls: Any) -> Any:
        # A dataclass without documentation gets its signature as one, which is for nobody.
        doc = cls.__doc__
        made = dataclass(frozen=True)(cls)
        wire_name = name or kebab_case(cls.__name__)
        if not is_kebab_case(wire_name):
            raise TypeError(f"`{wire_name}` is not a kebab-case name")
        fields = object_type(made)
        schema = schema_of(wire_name, fields.schema, doc, is_closed=kind == "command")
        made.__annals_message__ = MessageType(kind, wire_name, schema_version, schema, fields)
        return made

    return decorate if cls is None else decorate(cls)


def schema_of(title: str, schema: dict[str, Any], doc: str | None, is_closed: bool) -> dict[str, Any]:
    """JSON Schema of a whole document; a closed one refuses other fields."""
    root = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title} | schema
    root |= {"description": " ".join(doc.split())} if doc else {}
    return root | {"additionalProperties": False} if is_closed else root


def kebab_case(name: str) -> str:
    """`open-account` of `OpenAccount`, as the Rust SDK names its messages."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    return words.replace("_", "-").lower()


def is_kebab_case(name: str) -> bool:
    """Whether a name is what the contract calls kebab-case."""
    return len(name) <= 64 and _NAME.match(name) is not None
