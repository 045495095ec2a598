"""Values of other people's tools as JSON that can be written and read again."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads

# The writer of JSON takes 254 levels, and what is given here becomes a part of something else.
MAX_LEVELS: Final = 200


def to_plain(value: Any) -> Any:
    """Return a copy of the value as it would be if it had been sent as JSON.

    What JSON cannot hold is replaced: half a character by a question mark, an object by its text,
    what is nested too deeply by dots.
    """
    try:
        return json_loads(json_bytes(value))
    except TypeError:
        return _replaced(value, MAX_LEVELS)


def _replaced(value: Any, levels: int) -> Any:
    """Return a copy with at most so many levels."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case Mapping() | list() | tuple() | set() if levels == 0:
            return "..."
        case Mapping():
            return {
                _replaced(str(name), 0): _replaced(item, levels - 1) for name, item in value.items()
            }
        case list() | tuple() | set():
            return [_replaced(item, levels - 1) for item in value]
    try:
        return json_loads(json_bytes(value))
    except TypeError:
        return _replaced(str(value), 0)
