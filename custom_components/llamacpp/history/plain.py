"""Values of other people's tools as JSON that can be written and read again."""

from collections.abc import Mapping
from typing import Any

from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads


def to_plain(value: Any) -> Any:
    """Return a copy of the value as it would be if it had been sent as JSON.

    What JSON cannot hold is replaced: half a character by a question mark, an object by its text.
    """
    try:
        return json_loads(json_bytes(value))
    except TypeError:
        pass
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case Mapping():
            return {to_plain(str(name)): to_plain(item) for name, item in value.items()}
        case list() | tuple() | set():
            return [to_plain(item) for item in value]
    return to_plain(str(value))
