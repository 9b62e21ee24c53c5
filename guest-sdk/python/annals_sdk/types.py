"""What data looks like, from type hints: each type knows its JSON Schema and checks values.

| hint | in JSON |
| --- | --- |
| `str`, `bool` | a string, `true` or `false` |
| `int` | an integer from -2^63 to 2^63 - 1 |
| `float` | a number; not for money |
| `Literal["a", "b"]` | one of these strings |
| `list[X]`, `dict[str, X]` | an array, an object |
| `X | None` | X or `null`; may be absent |
| a class with `@data` | an object |
| `Annotated[X, "what it is", Minimum(0)]` | X, described and bounded |
"""

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Annotated, Any, Callable, Literal, NoReturn, TypeVar, Union, dataclass_transform

Class = TypeVar("Class", bound=type)

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
# Larger numbers with a fraction or an exponent may be rounded already.
EXACT_FLOAT_MAX = 2**53 - 1


class Mismatch(ValueError):
    """A value does not fit its type."""


@dataclass(frozen=True)
class Minimum:
    """The least that a number may be."""

    value: float


@dataclass(frozen=True)
class Maximum:
    """The most that a number may be."""

    value: float


@dataclass(frozen=True)
class Type:
    """What a type hint means."""

    schema: dict[str, Any]
    """JSON Schema 2020-12."""
    read: Callable[[Any, str, bool], Any]
    """The Python value of a JSON value. The text is a JSON pointer to it; the last argument refuses
    fields that nobody declared. Raises `Mismatch`."""
    write: Callable[[Any, str], Any]
    """The JSON value of a Python value. Raises `Mismatch`."""
    initial: Callable[[], Any]
    """The value in a state before any event."""
    is_optional: bool = False
    """Whether it may be absent."""


@dataclass_transform()
def data(cls: Class) -> Class:
    """Makes a class part of commands, events or state: a dataclass with a type for each field.

    A field without a default has the empty value of its type: `""`, `False`, `0`, `None`, `[]`, `{}`.
    """
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        if not hasattr(cls, name):
            setattr(cls, name, field(default_factory=type_of(hint).initial))
    return dataclass(cls)


def object_type(cls: type) -> Type:
    """The type of a dataclass: an object of its fields."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {item.name: (item, type_of(hints[item.name])) for item in dataclasses.fields(cls)}
    # A field of a state has a value to begin with, and must be in a snapshot all the same.
    is_required = lambda item, of: not of.is_optional and item.default is dataclasses.MISSING
    required = [name for name, (item, of) in fields.items() if is_required(item, of)]
    nullable = [name for name, (item, of) in fields.items() if of.is_optional and not has_default(item)]
    schema: dict[str, Any] = {"type": "object"}
    if fields:
        schema["properties"] = {name: of.schema for name, (_, of) in fields.items()}
    if required:
        schema["required"] = required

    def read(value: Any, at: str, strict: bool) -> Any:
        if not isinstance(value, dict):
            refuse(at, "an object", value)
        unknown = [name for name in value if name not in fields] if strict else []
        if unknown:
            known = ", ".join(fields)
            raise Mismatch(f"{at}/{pointer(unknown[0])}: no such field; there are: {known}")
        for name in required:
            if name not in value:
                raise Mismatch(f"{at}/{name}: missing")
        values = {name: None for name in nullable if name not in value}
        for name in (name for name in fields if name in value):
            values[name] = fields[name][1].read(value[name], f"{at}/{name}", strict)
        return cls(**values)

    def write(value: Any, at: str) -> Any:
        if not isinstance(value, cls):
            refuse(at, f"a {cls.__name__}", value)
        return {name: of.write(getattr(value, name), f"{at}/{name}") for name, (_, of) in fields.items()}

    return Type(schema, read, write, cls)


def has_default(item: dataclasses.Field) -> bool:
    """Whether a dataclass can be made without the field."""
    missing = dataclasses.MISSING
    return item.default is not missing or item.default_factory is not missing


def type_of(hint: Any) -> Type:
    """What a type hint means; raises `TypeError` for one that JSON has nothing for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _annotated(type_of(arguments[0]), arguments[1:])
    if origin in (Union, types.UnionType) and len(arguments) == 2 and arguments[1] is type(None):
        return _optional(type_of(arguments[0]))
    if origin is Literal and all(isinstance(word, str) for word in arguments):
        return _choice(arguments)
    if origin is list:
        return _list(type_of(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _map(type_of(arguments[1]))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return object_type(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    raise TypeError(f"`{hint}` cannot be part of JSON; what can is in `annals_sdk.types`")


def _simple(schema: dict[str, Any], check: Callable[[Any, str], Any], initial: Any) -> Type:
    return Type(schema, lambda value, at, _: check(value, at), check, lambda: initial)


def _string(value: Any, at: str) -> str:
    if not isinstance(value, str):
        refuse(at, "a string", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Mismatch(f"{at}: half a surrogate pair is no text") from None
    return value


def _boolean(value: Any, at: str) -> bool:
    return value if isinstance(value, bool) else refuse(at, "true or false", value)


def _integer(value: Any, at: str) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_FLOAT_MAX:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(at, "an integer", value)
    if not INT64_MIN <= value <= INT64_MAX:
        raise Mismatch(f"{at}: {value} is out of range")
    return value


def _number(value: Any, at: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        refuse(at, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else refuse(at, "a finite number", value)


SIMPLE: dict[Any, Type] = {
    str: _simple({"type": "string"}, _string, ""),
    bool: _simple({"type": "boolean"}, _boolean, False),
    int: _simple({"type": "integer", "format": "int64"}, _integer, 0),
    float: _simple({"type": "number", "format": "double"}, _number, 0.0),
}


def _choice(words: tuple[str, ...]) -> Type:
    def check(value: Any, at: str) -> str:
        return value if value in words else refuse(at, f"one of {', '.join(words)}", value)

    return _simple({"type": "string", "enum": list(words)}, check, words[0])


def _optional(of: Type) -> Type:
    plain, description = of.schema.get("type"), of.schema.get("description")
    # A word of an enumeration is never `null`, whatever its type says.
    if isinstance(plain, str) and "enum" not in of.schema:
        schema = of.schema | {"type": [plain, "null"]}
    else:
        schema = {"anyOf": [of.schema, {"type": "null"}]}
        schema |= {"description": description} if description else {}
    return Type(
        schema,
        lambda value, at, strict: None if value is None else of.read(value, at, strict),
        lambda value, at: None if value is None else of.write(value, at),
        lambda: None,
        is_optional=True,
    )


def _list(of: Type) -> Type:
    def each(value: Any, at: str, take: Callable[[Any, str], Any]) -> list[Any]:
        if not isinstance(value, list):
            refuse(at, "an array", value)
        return [take(item, f"{at}/{index}") for index, item in enumerate(value)]

    return Type(
        {"type": "array", "items": of.schema},
        lambda value, at, strict: each(value, at, lambda item, place: of.read(item, place, strict)),
        lambda value, at: each(value, at, of.write),
        list,
    )


def _map(of: Type) -> Type:
    def each(value: Any, at: str, take: Callable[[Any, str], Any]) -> dict[str, Any]:
        if not isinstance(value, dict):
            refuse(at, "an object", value)
        place = lambda key: f"{at}/{pointer(str(key))}"
        return {_string(key, place(key)): take(item, place(key)) for key, item in value.items()}

    return Type(
        {"type": "object", "additionalProperties": of.schema},
        lambda value, at, strict: each(value, at, lambda item, place: of.read(item, place, strict)),
        lambda value, at: each(value, at, of.write),
        dict,
    )


def _annotated(of: Type, notes: tuple[Any, ...]) -> Type:
    for note in notes:
        match note:
            case str():
                of = dataclasses.replace(of, schema=of.schema | {"description": note})
            case Minimum(least):
                of = _bounded(of, {"minimum": least}, lambda value, m=least: value >= m, "less than")
            case Maximum(most):
                of = _bounded(of, {"maximum": most}, lambda value, m=most: value <= m, "more than")
    return of


def _bounded(of: Type, bound: dict[str, float], fits: Callable[[Any], bool], word: str) -> Type:
    (limit,) = bound.values()

    def check(value: Any, at: str) -> Any:
        if value is not None and not fits(value):
            raise Mismatch(f"{at}: {value} is {word} {limit}")
        return value

    initial = of.initial() if fits(of.initial()) else limit
    return dataclasses.replace(
        of,
        schema=of.schema | bound,
        read=lambda value, at, strict: check(of.read(value, at, strict), at),
        write=lambda value, at: check(of.write(value, at), at),
        initial=lambda: initial,
    )


def refuse(at: str, expected: str, value: Any) -> NoReturn:
    """Raises the `Mismatch` of a value of another kind."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    kinds |= {int: "an integer", float: "a number", type(None): "null"}
    raise Mismatch(f"{at}: expected {expected}, found {kinds.get(type(value), repr(value))}")


def pointer(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
