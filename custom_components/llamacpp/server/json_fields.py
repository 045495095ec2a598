"""Reads fields of JSON that another program wrote: what is missing or of a wrong type is None."""

from collections.abc import Mapping
from typing import Any

type JsonObject = Mapping[str, Any]


def text(source: JsonObject, name: str) -> str | None:
    """Return a string field, or None."""
    value = source.get(name)
    return value if isinstance(value, str) else None


def integer(source: JsonObject, name: str) -> int | None:
    """Return a field with a whole number, or None."""
    value = source.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(source: JsonObject, name: str) -> float | None:
    """Return a field with any number, or None."""
    value = source.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None


def flag(source: JsonObject, name: str) -> bool:
    """Return whether a field is true; one that is missing is not."""
    return source.get(name) is True


def child(source: JsonObject, name: str) -> JsonObject:
    """Return a field with an object, or an empty one."""
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def items(source: JsonObject, name: str) -> list[Any] | None:
    """Return a field with a list, or None."""
    value = source.get(name)
    return value if isinstance(value, list) else None
