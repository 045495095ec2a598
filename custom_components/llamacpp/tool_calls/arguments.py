"""Convert the arguments of calls to the types in a tool's schema."""

import json
import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from .names import match_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
_NUMERIC = frozenset(("integer", "number"))
# A comma before three digits may separate thousands.
_NUMBER = re.compile(
    r"(?P<number>[+-]?\d+(?:\.\d+|,\d{1,2}|,\d{4,})?)"
    r"\s*(?:(?P<percent>%|per ?cent)|°?\s*(?:[cfk]|celsius|fahrenheit|kelvin)|°|deg(?:rees?)?"
    r"|degrees? (?:celsius|fahrenheit|kelvin))?",
    re.IGNORECASE,
)
# Kelvin values have thousands.
_KELVINS = re.compile(r"(\d+)[.,](\d{3})\s*(?:k|kelvin)", re.IGNORECASE)
# Characters typed instead of the degree sign.
_DEGREES = str.maketrans("º˚", "°°")
# A time of day; drop fractions of a second and the time zone.
_TIME = re.compile(r"(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
PERCENT = 100
# Key in a schema with choices: their display names.
LABELS = "labels"
_BOOLEANS = {"true": True, "false": False}
EMPTY: tuple[Any, ...] = (None, "", [], {})


def converted_arguments(arguments: Mapping[str, Any], parameters: Schema) -> dict[str, Any]:
    """Return the arguments in the types of the tool's parameters, where that takes no guess.

    Drops empty values, except those of known parameters that may be empty.
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
    """Return whether the value has the schema's type, is in its range and among its choices."""
    schema = _whole(schema)
    if "enum" in schema and value not in schema["enum"]:
        return False
    if options := _options(schema):
        return any(fits(value, option) for option in options)
    types = _types(schema)
    if types and not any(_is_of(value, one) for one in types):
        return False
    if isinstance(value, int | float) and not _is_in_range(value, schema):
        return False
    if isinstance(value, list) and (items := schema.get("items")):
        return all(fits(one, items) for one in value)
    return True


def converted(value: Any, schema: Schema) -> Any:
    """Convert a value to the schema; return it unchanged if that is impossible or ambiguous."""
    schema = _whole(schema)
    if isinstance(value, str) and schema.get("format") == "time":
        match = _TIME.fullmatch(value.strip())
        value = match.group(1) if match else value
    if fits(value, schema):
        return _with_parts(value, schema)
    if options := _options(schema):
        ways = [one for option in options if fits(one := converted(value, option), option)]
        return ways[0] if ways and all(one == ways[0] for one in ways) else value
    for way in _ways(value, schema):
        if fits(way, schema):
            return _with_parts(way, schema)
    return _with_parts(value, schema)


def misfits(value: Any, schema: Schema, name: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the numbers in a value that are not numbers or out of range.

    name: of the argument. Yields the path, the value and a description of valid values.
    """
    schema = _whole(schema)
    if isinstance(value, dict):
        for key, one in schema.get("properties", {}).items():
            if key in value:
                yield from misfits(value[key], one, f"{name}.{key}")
    elif isinstance(value, list) and (items := schema.get("items")):
        for one in value:
            yield from misfits(one, items, name)
    elif _is_numeric(schema) and not fits(value, schema):
        yield name, value, _wanted(schema)


def _is_numeric(schema: Schema) -> bool:
    """Return whether a schema takes numbers only, or numbers and words from an enum."""
    if options := _options(schema):
        return any(map(_is_numeric, options)) and all(
            _is_numeric(one) or "enum" in one or _types(one) == ["null"] for one in options
        )
    types = set(_types(schema))
    return bool(types & _NUMERIC) and types <= _NUMERIC | {"null"}


def _wanted(schema: Schema) -> str:
    """Return a description of the numbers that a schema takes."""
    if options := _options(schema):
        return " or ".join(_wanted(_whole(one)) for one in options)
    if "enum" in schema and not _NUMERIC.intersection(_types(schema)):
        return ", ".join(map(str, schema["enum"]))
    wanted = "a number" if "number" in _types(schema) else "a whole number"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None and most is None:
        return wanted
    if least is None or most is None:
        end = f"{_plain(most)} at most" if least is None else f"{_plain(least)} at least"
        return f"{wanted}, {end}"
    return f"{wanted} from {_plain(least)} to {_plain(most)}"


def _plain(number: Any) -> Any:
    """Return a whole number without its decimal point."""
    return int(number) if float(number).is_integer() else number


def _with_parts(value: Any, schema: Schema) -> Any:
    """Convert the entries of an object or a list to the schema."""
    if isinstance(value, dict) and "properties" in schema:
        return converted_arguments(value, schema)
    if isinstance(value, list) and (items := schema.get("items")):
        return [converted(one, items) for one in value]
    return value


def _options(schema: Schema) -> Sequence[Schema]:
    return schema.get("anyOf") or schema.get("oneOf") or ()


def _whole(schema: Schema) -> Schema:
    """Merge the parts of `allOf` into the schema; the narrowest range wins."""
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    for part in map(_whole, schema.get("allOf", ())):
        for name, value in part.items():
            known = whole.get(name, value)
            match name:
                case "minimum":
                    whole[name] = max(value, known)
                case "maximum":
                    whole[name] = min(value, known)
                case "type":
                    whole[name] = "integer" if "integer" in (value, known) else known
                case _:
                    whole[name] = known
    return whole if "allOf" in schema else schema


def _is_in_range(value: float, schema: Schema) -> bool:
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _is_of(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES.get(name, object))


def _ways(value: Any, schema: Schema) -> Iterator[Any]:
    """Yield candidates for a value of the wrong type, converted to the schema's types."""
    types = _types(schema)
    if "array" in types:
        yield from _ways_to_list(value, schema.get("items", {}))
    if isinstance(value, list):
        if len(value) == 1 and not isinstance(value[0], list):
            yield converted(value[0], schema)
        return
    if "object" in types:
        yield _of_json(value)
    if _NUMERIC.intersection(types):
        number, is_percent = _number(value)
        yield number
        if isinstance(number, float) and not is_percent and _is_of_hundred(schema):
            yield round(number * PERCENT if abs(number) < 1 else number)
    if "boolean" in types and isinstance(value, str):
        yield _BOOLEANS.get(value.strip().casefold())
    if isinstance(value, str) and "enum" in schema:
        labels = schema.get(LABELS, {})
        choices = [
            (one, (one, labels.get(one, one))) for one in schema["enum"] if isinstance(one, str)
        ]
        meant = match_name(value, choices).all
        yield meant[0] if len(meant) == 1 else None
    if "string" in types and isinstance(value, int | float):
        yield json.dumps(value)


def _ways_to_list(value: Any, items: Schema) -> Iterator[Any]:
    whole = value if isinstance(value, list) else _of_json(value)
    if isinstance(whole, list):
        yield [converted(one, items) for one in whole]
    elif value not in EMPTY:
        yield [converted(value, items)]


def _is_of_hundred(schema: Schema) -> bool:
    """Return whether the schema takes whole percent; models also write a fraction of one."""
    return (
        "integer" in _types(schema)
        and schema.get("maximum") == PERCENT
        and schema.get("minimum") in (0, -PERCENT)
    )


def _number(value: Any) -> tuple[int | float | None, bool]:
    """Return the number in a text or fraction, and whether it is in percent.

    The number is None if there is none.
    """
    is_percent = False
    if isinstance(value, str):
        text = unicodedata.normalize("NFKC", value.translate(_DEGREES)).strip()
        if match := _NUMBER.fullmatch(_KELVINS.sub(r"\1\2 K", text)):
            value = float(match["number"].replace(",", "."))
            is_percent = match["percent"] is not None
    if not isinstance(value, float) or not math.isfinite(value):
        return None, is_percent
    return int(value) if value.is_integer() else value, is_percent


def _of_json(value: Any) -> Any:
    """Parse a JSON list or object; return None for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError, RecursionError:
            return None
    return None
