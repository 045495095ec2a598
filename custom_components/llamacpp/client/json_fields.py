"""Read fields of untrusted JSON: None if a field is missing or has the wrong type."""

import math
from collections.abc import Mapping
from typing import Any

type JsonObject = Mapping[str, Any]

# JSON numbers are exact up to here, and sums of a few thousand of them fit into 64 bits.
MAX_INTEGER = 2**53 - 1


def text(source: JsonObject, name: str) -> str | None:
    """Return a string field, or None.

    Replaces lone surrogates, which cannot be encoded, by U+FFFD.
    """
    value = source.get(name)
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def integer(source: JsonObject, name: str) -> int | None:
    """Return an integer field, or None; also None beyond `MAX_INTEGER`."""
    value = source.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_INTEGER:
        return None
    return value


def number(source: JsonObject, name: str) -> float | None:
    """Return a numeric field, or None; also None if it is not finite."""
    value = source.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def flag(source: JsonObject, name: str) -> bool:
    """Return whether a field is true; a missing field is false."""
    return source.get(name) is True


def child(source: JsonObject, name: str) -> JsonObject:
    """Return an object field, or an empty object."""
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def items(source: JsonObject, name: str) -> list[Any] | None:
    """Return a list field, or None."""
    value = source.get(name)
    return value if isinstance(value, list) else None
