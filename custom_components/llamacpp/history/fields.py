"""Reads fields of JSON that we wrote: what is missing or of a wrong type is an error."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum


class FormatError(ValueError):
    """JSON that is no conversation; the message names the field that is wrong."""


def mapping(value: object) -> dict[str, Any]:
    """Return an object; raises FormatError if it is something else."""
    if not isinstance(value, dict):
        raise FormatError(f"an object was expected, not {type(value).__name__}")
    return value


def optional[T](source: dict[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a field, None if it is missing or null; raises FormatError."""
    value = source.get(name)
    # JSON's true is an int to Python.
    if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
        return value
    raise FormatError(f"{name}: {kind.__name__} was expected, not {type(value).__name__}")


def required[T](source: dict[str, Any], name: str, kind: type[T]) -> T:
    """Return a field; raises FormatError if it is missing or something else."""
    value = optional(source, name, kind)
    if value is None:
        raise FormatError(f"{name}: is missing")
    return value


def flag(source: dict[str, Any], name: str) -> bool:
    """Return whether a field is true; one that is missing is not. Raises FormatError."""
    value = source.get(name, False)
    if not isinstance(value, bool):
        raise FormatError(f"{name}: bool was expected, not {type(value).__name__}")
    return value


def moment(source: dict[str, Any], name: str) -> datetime:
    """Return a time with its zone; raises FormatError."""
    text = required(source, name, str)
    try:
        value = datetime.fromisoformat(text)
    except ValueError as err:
        raise FormatError(f"{name}: {err}") from err
    if value.tzinfo is None:
        raise FormatError(f"{name}: {text} has no time zone")
    return value


def choice[E: StrEnum](source: dict[str, Any], name: str, kind: type[E]) -> E:
    """Return the member of an enumeration that a field names; raises FormatError."""
    text = required(source, name, str)
    try:
        return kind(text)
    except ValueError as err:
        raise FormatError(f"{name}: {err}") from err


def each[T](source: dict[str, Any], name: str, read: Callable[[object], T]) -> tuple[T, ...]:
    """Return a list, none if it is missing, of what `read` reads; raises FormatError."""
    items = optional(source, name, list) or []
    read_items = []
    for index, item in enumerate(items):
        try:
            read_items.append(read(item))
        except FormatError as err:
            raise FormatError(f"{name}[{index}]: {err}") from err
    return tuple(read_items)
