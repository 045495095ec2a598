"""JSON schemas for the answers of tasks, within what the server's grammar enforces.

llama-server enforces types, enums, patterns, lengths of texts and lists, and ranges of integers. It
does not enforce ranges of other numbers, and its times need a time zone.
"""

import importlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.components.sensor import SensorStateClass
from homeassistant.generated.countries import COUNTRIES
from homeassistant.helpers import selector

from .arguments import misfits
from .names import clipped
from .tools import DATE, TIMES, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .arguments import Schema

type Serializer = Callable[[Any], Any] | None

_DOMAIN = "[a-z]{2,12}(_[a-z]{2,12}){0,2}"
# Maximum number of steps in a range that becomes an enum.
MAX_STEPS = 200
# Number of steps for a range without any, used after an answer was out of range.
N_PARTS = 100
# Maximum number of conditions or triggers.
MAX_RULES = 2
DURATION_ENDS = {"days": 999, "hours": 999, "minutes": 9999, "seconds": 99999, "milliseconds": 999}
# The ends of a range, the smaller one first.
ENDS = ("value_min", "value_max")
# Key in our schemas: a free-form object is a list of its entries.
ENTRIES = "entries"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum sizes of an answer.

    text, item, name: letters of a text, of a text in a list, and of a name or id. words: of an
    entity id. items: of a list. is_free: whether objects without fields may hold anything.
    is_stepped: whether ranges without steps get `N_PARTS` steps.
    """

    text: int = 2000
    item: int = 500
    name: int = 255
    words: int = 10
    items: int = 50
    is_free: bool = True
    is_stepped: bool = False


# For the retry after a model did not finish its answer.
SHORT = Bounds(text=100, item=40, name=40, words=3, items=3, is_free=False, is_stepped=True)
STEPPED = Bounds(is_stepped=True)


def answer_schema(
    structure: probatio.Schema, serializer: Serializer, bounds: Bounds
) -> dict[str, Any]:
    """Return the JSON schema of the answers to a structure.

    serializer: for all but selectors. Imports Home Assistant modules: not for the event loop.
    """

    def serialize(value: Any) -> Any:
        if isinstance(value, selector.Selector):
            return _Selected(bounds, serializer).schema(value)
        return serializer(value) if serializer else probatio.UNSUPPORTED

    schema = probatio.to_openapi(structure, custom_serializer=serialize, openapi_version="3.1.0")
    return _bounded(schema, bounds)


def answer_data(data: Any, schema: Schema) -> Any:
    """Convert an answer for Home Assistant: entries to objects, each choice once."""
    if isinstance(data, list):
        if ENTRIES in schema:
            return {one["name"]: one["value"] for one in data}
        found = [answer_data(one, schema.get("items", {})) for one in data]
        return list(dict.fromkeys(found)) if schema.get("uniqueItems") else found
    if isinstance(data, dict):
        options = [schema, *schema.get("anyOf", ())]
        ways: list[Mapping[str, Any]] = [one.get("properties", {}) for one in options]
        properties = next((one for one in ways if one.keys() >= data.keys()), {})
        return _in_order(
            {key: answer_data(one, properties.get(key, {})) for key, one in data.items()}
        )
    return data


def _in_order(data: dict[str, Any]) -> dict[str, Any]:
    """Swap the ends of a range if the first is larger: a grammar cannot ensure the order."""
    first, last = (data.get(name) for name in ENDS)
    if not (isinstance(first, dict) and isinstance(last, dict)):
        return data
    least, most = first.get("number"), last.get("number")
    if isinstance(least, (int, float)) and isinstance(most, (int, float)) and least > most:
        return data | dict(zip(ENDS, (last, first), strict=True))
    return data


def problem_of(words: str, schema: Schema, err: Exception) -> str:
    """Describe what is wrong with an answer, with the valid ranges of its numbers.

    words: the answer as text. err: the error of Home Assistant or of the JSON parser.
    """
    if isinstance(err, json.JSONDecodeError):
        return str(err)
    data = json.loads(words)
    properties = schema.get("properties", {}) if isinstance(data, dict) else {}
    wrong = [
        f"'{where}' must be {wanted}, not {clipped(str(one))}"
        for key, part in properties.items()
        if key in data
        for where, one, wanted in misfits(data[key], part, key)
    ]
    return "; ".join(wrong) or str(err)


def hints(structure: probatio.Schema) -> str:
    """Return the fields' descriptions and labels of choices, a line per field; may be empty.

    The grammar does not show these to the model.
    """
    fields = structure.schema if isinstance(structure.schema, dict) else {}
    told = []
    for marker, value in fields.items():
        labels = labels_of(value) if isinstance(value, selector.SelectSelector) else {}
        choices = ", ".join(f"{one} = {label}" for one, label in labels.items())
        text = "; ".join(filter(None, (getattr(marker, "description", None), choices)))
        if text:
            told.append(f"{marker}: {text}")
    return "\n".join(told)


def to_response_format(name: str, schema: Schema) -> dict[str, Any]:
    """Return the `response_format` that constrains the answer to the schema."""
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}


class _Selected:
    """Makes schemas of selectors."""

    def __init__(self, bounds: Bounds, serializer: Serializer) -> None:
        self._bounds = bounds
        self._serializer = serializer
        self._by_type: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "backup_location": lambda _: _pattern("(/backup|[A-Za-z0-9_]{1,64})"),
            "choose": self._choose,
            "color_rgb": lambda _: _list_of(_whole(0, 255), 3, 3),
            "color_temp": _color_temperature,
            "condition": self._conditions,
            "constant": lambda config: {"enum": [config["value"]]},
            "country": _country,
            "date": lambda _: _pattern(DATE),
            "datetime": lambda _: _pattern(TIMES["date-time"]),
            "device_class": _device_class,
            "duration": _duration,
            "entity": self._entity,
            "file": lambda _: {"type": "string", "format": "uuid"},
            "icon": lambda _: _pattern("[a-z]{2,10}:[a-z0-9-]{1,60}"),
            "language": _language,
            "media": self._media,
            "number": self._number,
            "numeric_threshold": self._threshold,
            "object": self._object,
            "qr_code": lambda config: {"enum": [config["data"]]},
            "select": self._select,
            "state_class": lambda config: _choice(
                config.get("state_classes") or [one.value for one in SensorStateClass]
            ),
            "target": self._target,
            "text": self._text,
            "time": lambda _: _pattern(TIMES["time"]),
            "trigger": self._triggers,
        }

    def schema(self, one: selector.Selector[Any]) -> dict[str, Any]:
        """Return the schema of the values that a selector takes."""
        config: Mapping[str, Any] = one.config
        if one.selector_type == "automation_behavior":
            return _choice([value for value in selector.AutomationBehavior if _takes(one, value)])
        make = self._by_type.get(one.selector_type)
        if make is None:
            schema = self._serializer(one) if self._serializer else {"type": "string"}
            return self._name() if schema == _TEXT else schema
        schema = make(config)
        if not config.get("multiple"):
            return schema
        choices = schema.get("enum")
        n_most = min(len(choices), self._bounds.items) if choices else self._bounds.items
        several = _list_of(schema, n_most)
        return {**several, "uniqueItems": True} if choices else several

    def _of(self, given: Any) -> dict[str, Any]:
        """Return the schema of a nested selector, given as an object or as its configuration."""
        is_made = isinstance(given, selector.Selector)
        return self.schema(given if is_made else selector.selector(given))

    def _name(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self._bounds.name}

    def _text(self, config: Mapping[str, Any]) -> dict[str, Any]:
        n_most = self._bounds.item if config.get("multiple") else self._bounds.text
        return {"type": "string", "maxLength": n_most}

    def _choose(self, config: Mapping[str, Any]) -> dict[str, Any]:
        ways = [
            _object({"active_choice": _choice([name]), name: self._of(one["selector"])})
            for name, one in config["choices"].items()
        ]
        return {"anyOf": ways}

    def _media(self, config: Mapping[str, Any]) -> dict[str, Any]:
        of_player = {} if "accept" in config else {"entity_id": self._entity(_PLAYERS)}
        about = {"media_content_id": self._name(), "media_content_type": self._name()}
        return _object({**of_player, **about})

    def _number(self, config: Mapping[str, Any]) -> dict[str, Any]:
        least, most, step = config.get("min"), config.get("max"), config.get("step", 1)
        if least is None or most is None:
            ends = {"minimum": least, "maximum": most}
            known = {name: one for name, one in ends.items() if one is not None}
            return {"type": "number", **known}
        number = {"type": "number", "minimum": least, "maximum": most}
        if step == "any" and self._bounds.is_stepped:
            step = (most - least) / N_PARTS or 1
        if step == "any":
            return number
        are_whole = float(step).is_integer() and float(least).is_integer()
        if are_whole and (step == 1 or (most - least) / step > MAX_STEPS):
            return _whole(int(least), math.floor(most))
        if (most - least) / step > MAX_STEPS:
            return number
        return {**number, "enum": _steps(least, most, step)}

    def _threshold(self, config: Mapping[str, Any]) -> dict[str, Any]:
        units = config.get("unit_of_measurement")
        of_unit = {"unit_of_measurement": _choice(units)} if units else {}
        entry = _object({"number": self._number(config.get("number", {})), **of_unit})
        ends = _object({"type": _choice(["between", "outside"]), **dict.fromkeys(ENDS, entry)})
        return {"anyOf": [_object({"type": _choice(["above", "below"]), "value": entry}), ends]}

    def _object(self, config: Mapping[str, Any]) -> dict[str, Any]:
        fields = config.get("fields")
        if fields:
            properties = {name: self._of(one["selector"]) for name, one in fields.items()}
            return _object(properties, [name for name in fields if fields[name].get("required")])
        bounds = self._bounds
        text = {"type": "string", "maxLength": bounds.item}
        value = {"anyOf": [text, {"type": "number"}, {"type": "boolean"}]}
        if bounds.is_free:
            return {"type": "object", "additionalProperties": True}
        entry = _object({"name": {"type": "string", "maxLength": bounds.item}, "value": value})
        return {**_list_of(entry, bounds.items), ENTRIES: True}

    def _select(self, config: Mapping[str, Any]) -> dict[str, Any]:
        options = [one["value"] if isinstance(one, dict) else one for one in config["options"]]
        schema = _choice(options)
        if config.get("custom_value") or not options:
            return {"anyOf": [schema, self._name()]} if options else self._name()
        return schema

    def _entity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the pattern of entity ids in the selector's domains, or its listed entities."""
        if allowed := config.get("include_entities"):
            return _choice(allowed)
        domains = config.get("domain") or ()
        domains = [domains] if isinstance(domains, str) else domains
        more = f"(_[a-z0-9]{{1,12}}){{0,{self._bounds.words - 1}}}"
        return _pattern(rf"({'|'.join(domains) or _DOMAIN})\.[a-z0-9]{{1,12}}{more}")

    def _conditions(self, _config: Mapping[str, Any]) -> dict[str, Any]:
        one = {"entity_id": self._entity({})}
        ways = [
            _object({"condition": _choice(["state"]), **one, "state": self._name()}),
            _object({"condition": _choice(["numeric_state"]), **one, "above": {"type": "integer"}}),
            _object({"condition": _choice(["time"]), "after": _pattern(TIMES["time"])}),
        ]
        return _list_of({"anyOf": ways}, MAX_RULES)

    def _triggers(self, _config: Mapping[str, Any]) -> dict[str, Any]:
        one = {"entity_id": self._entity({})}
        ways = [
            _object({"trigger": _choice(["state"]), **one, "to": self._name()}),
            _object({"trigger": _choice(["time"]), "at": _pattern(TIMES["time"])}),
        ]
        return _list_of({"anyOf": ways}, MAX_RULES)

    def _target(self, _config: Mapping[str, Any]) -> dict[str, Any]:
        names = _list_of(self._name(), self._bounds.items, 1)
        ids = _list_of(self._entity({}), self._bounds.items, 1)
        parts = ("device_id", "area_id", "floor_id", "label_id")
        return {"anyOf": [_object({"entity_id": ids}), *(_object({one: names}) for one in parts)]}


_TEXT = {"type": "string"}
_PLAYERS = {"domain": "media_player"}


def _pattern(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$"}


def _choice(values: Iterable[Any]) -> dict[str, Any]:
    return {"enum": [*values]}


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _steps(least: float, most: float, step: float) -> list[float]:
    """Return the numbers in a range, a step apart."""
    count = int((most - least) / step + 1e-9)
    found = [round(least + index * step, 9) for index in range(count + 1)]
    return [int(one) if float(one).is_integer() else one for one in found]


def _list_of(items: Mapping[str, Any], n_most: int, n_least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": n_least, "maxItems": n_most}


def _object(properties: Mapping[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties] if required is None else required,
        "additionalProperties": False,
    }


def _takes(one: selector.Selector[Any], value: Any) -> bool:
    """Return whether a selector accepts a value."""
    try:
        probatio.Schema(one)(value)
    except probatio.Invalid:
        return False
    return True


def _color_temperature(config: Mapping[str, Any]) -> dict[str, Any]:
    is_kelvin = config.get("unit") == selector.ColorTempSelectorUnit.KELVIN
    usual = (2000, 6500) if is_kelvin else (153, 500)
    least = config.get("min", config.get("min_mireds", usual[0]))
    return _whole(least, config.get("max", config.get("max_mireds", max(least, usual[1]))))


def _country(config: Mapping[str, Any]) -> dict[str, Any]:
    allowed = config.get("countries") or COUNTRIES
    return _choice(sorted(one for one in allowed if one in COUNTRIES))


def _language(config: Mapping[str, Any]) -> dict[str, Any]:
    if languages := config.get("languages"):
        return _choice(languages)
    return _pattern("[a-z]{2,3}(-[A-Za-z]{2,4})?")


def _device_class(config: Mapping[str, Any]) -> dict[str, Any]:
    domain = config["domain"]
    name = selector.DeviceClassSelector.SUPPORTED_PLATFORMS[domain]
    module = importlib.import_module(f"homeassistant.components.{domain}")
    return _choice([one.value for one in getattr(module, name)])


def _duration(config: Mapping[str, Any]) -> dict[str, Any]:
    units = ["days"] if config.get("enable_day") else []
    units += ["hours", "minutes"]
    units += ["seconds"] if config.get("enable_second", True) else []
    units += ["milliseconds"] if config.get("enable_millisecond") else []
    can_be_less = config.get("allow_negative")
    ends = {one: DURATION_ENDS[one] for one in units}
    return _object({one: _whole(-most if can_be_less else 0, most) for one, most in ends.items()})


def _bounded(schema: dict[str, Any], bounds: Bounds, *, is_item: bool = False) -> dict[str, Any]:
    """Return a schema in which every text and list has a maximum length."""
    found = dict(schema)
    for name in ("anyOf", "oneOf", "allOf"):
        if name in found:
            found[name] = [_bounded(one, bounds, is_item=is_item) for one in found[name]]
    match found.get("type"):
        case "string" if found.get("format") in TIMES:
            found.update(_pattern(TIMES[found["format"]]))
        case "string" if not found.keys() & {"enum", "pattern", "maxLength"}:
            if found.get("format") not in ("date", "uuid"):
                found["maxLength"] = bounds.item if is_item else bounds.text
        case "array":
            found.setdefault("maxItems", bounds.items)
            found["items"] = _bounded(found.get("items", {}), bounds, is_item=True)
        case "object" if "properties" in found:
            found["properties"] = {
                key: _bounded(one, bounds, is_item=is_item)
                for key, one in found["properties"].items()
            }
    return found
