"""Read fields of JSON that we wrote: raise if one is missing or has the wrong type."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum


class FormatError(ValueError):
    """The JSON is not a valid conversation; the message names the wrong field."""


def mapping(value: object) -> dict[str, Any]:
    """Return the value if it is an object; raises FormatError otherwise."""
    if not isinstance(value, dict):
        raise FormatError(f"an object was expected, not {type(value).__name__}")
    return value


def optional[T](source: dict[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a field, None if it is missing or null; raises FormatError for another type."""
    value = source.get(name)
    # JSON's true is an int in Python.
    if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    raise FormatError(f"{name}: {kind.__name__} was expected, not {type(value).__name__}")


def required[T](source: dict[str, Any], name: str, kind: type[T]) -> T:
    """Return a field; raises FormatError if it is missing or has another type."""
    value = optional(source, name, kind)
    if value is None:
        raise FormatError(f"{name}: is missing")
    return value


def flag(source: dict[str, Any], name: str) -> bool:
    """Return whether a field is true, False if it is missing; raises FormatError."""
    value = source.get(name, False)
    if not isinstance(value, bool):
        raise FormatError(f"{name}: bool was expected, not {type(value).__name__}")
    return value


def moment(source: dict[str, Any], name: str) -> datetime:
    """Return a time with time zone; raises FormatError."""
    text = required(source, name, str)
    try:
        value = datetime.fromisoformat(text)
    except ValueError as err:
        raise FormatError(f"{name}: {err}") from err
    if value.tzinfo is None:
        raise FormatError(f"{name}: {text} has no time zone")
    return value


def choice[E: StrEnum](source: dict[str, Any], name: str, kind: type[E]) -> E:
    """Return a field as a member of an enumeration; raises FormatError."""
    text = required(source, name, str)
    try:
        return kind(text)
    except ValueError as err:
        raise FormatError(f"{name}: {err}") from err


def each[T](source: dict[str, Any], name: str, read: Callable[[object], T]) -> tuple[T, ...]:
    """Return a list parsed by `read`, empty if it is missing; raises FormatError."""
    items = optional(source, name, list) or []
    read_items = []
    for index, item in enumerate(items):
        try:
            read_items.append(read(item))
        except FormatError as err:
            raise FormatError(f"{name}[{index}]: {err}") from err
    return tuple(read_items)
