"""Convert values of third-party tools to JSON that can be written and read again."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads

# The JSON writer supports 254 levels, and these values are nested in others.
MAX_LEVELS: Final = 200


def to_plain(value: Any) -> Any:
    """Return a copy of the value after a round trip through JSON.

    Replaces what JSON cannot hold: lone surrogates by question marks, objects by their text, values
    that are nested too deeply by dots.
    """
    try:
        return json_loads(json_bytes(value))
    except TypeError:
        return _replaced(value, MAX_LEVELS)


def _replaced(value: Any, levels: int) -> Any:
    """Return a copy with at most this many levels."""
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
