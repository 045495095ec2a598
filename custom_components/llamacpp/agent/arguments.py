"""Arguments of calls in the types that a tool's schema wants."""

import json
import math
import re
from typing import TYPE_CHECKING, Any

from .named import meant_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

type Schema = Mapping[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}
# A comma before three digits may stand between thousands.
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+|,\d{1,2}|,\d{4,})?)\s*(?:%|°|percent)?", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False}
EMPTY: tuple[Any, ...] = (None, "", [], {})


def converted_arguments(arguments: Mapping[str, Any], parameters: Schema) -> dict[str, Any]:
    """Return a call's arguments in the types of the tool's parameters, as far as that is no guess.

    What is empty is left out, unless the tool knows it and it may be empty.
    """
    properties = parameters.get("properties", {})
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        schema = properties.get(name)
        if schema is None:
            if value not in EMPTY:
                given[name] = value
        elif value is not None or fits(None, schema):
            given[name] = converted(value, schema)
    return given


def fits(value: Any, schema: Schema) -> bool:
    """Tell whether a value is of a schema's type, and one of its choices if there are any."""
    if "enum" in schema and value not in schema["enum"]:
        return False
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return any(fits(value, option) for option in options)
    if not all(fits(value, option) for option in schema.get("allOf", ())):
        return False
    types = _types(schema)
    if types and not any(_is_of(value, one) for one in types):
        return False
    if isinstance(value, list) and (items := schema.get("items")):
        return all(fits(one, items) for one in value)
    return True


def converted(value: Any, schema: Schema) -> Any:
    """Return a value as a schema wants it, the value itself if there is no way or more than one."""
    if fits(value, schema):
        return _with_properties(value, schema)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        ways = [one for option in options if fits(one := converted(value, option), option)]
        return ways[0] if ways and all(one == ways[0] for one in ways) else value
    for option in schema.get("allOf", ()):
        value = converted(value, option)
    for way in _ways(value, schema):
        if fits(way, schema):
            return _with_properties(way, schema)
    return value


def _with_properties(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict) and "properties" in schema:
        return converted_arguments(value, schema)
    return value


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _is_of(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES.get(name, object))


def _ways(value: Any, schema: Schema) -> Iterator[Any]:
    """Yield what a value of a wrong type can be meant to be."""
    types = _types(schema)
    if "array" in types:
        yield from _ways_to_list(value, schema.get("items", {}))
    if isinstance(value, list):
        if len(value) == 1 and not isinstance(value[0], list):
            yield converted(value[0], schema)
        return
    if "object" in types:
        yield _of_json(value)
    if "integer" in types or "number" in types:
        yield _number(value)
    if "boolean" in types and isinstance(value, str):
        yield _BOOLEANS.get(value.strip().casefold())
    if isinstance(value, str) and "enum" in schema:
        choices = [(one, (one,)) for one in schema["enum"] if isinstance(one, str)]
        meant = meant_by(value, choices).all
        yield meant[0] if len(meant) == 1 else None
    if "string" in types and isinstance(value, int | float):
        yield json.dumps(value)


def _ways_to_list(value: Any, items: Schema) -> Iterator[Any]:
    whole = value if isinstance(value, list) else _of_json(value)
    if isinstance(whole, list):
        yield [converted(one, items) for one in whole]
    elif value not in EMPTY:
        yield [converted(value, items)]


def _number(value: Any) -> Any:
    """Return the number that a text or a fraction without a rest stands for, None for others."""
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value.strip())):
        value = float(match.group(1).replace(",", "."))
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _of_json(value: Any) -> Any:
    """Return what a text says in JSON, None if it says nothing."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError, RecursionError:
            return None
    return None
