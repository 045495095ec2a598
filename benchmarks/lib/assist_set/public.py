"""Converts the public data sets to the format of our virtual home.

Their own home accepts almost anything. Values with the same meaning are translated; entities and
attributes that a virtual home cannot have are left out, with a message. The virtual home refuses
contradictions.
"""

from typing import TYPE_CHECKING, Any

from homeassistant.util import slugify

from dev.custom_components.virtual_home.domains import DOMAINS
from dev.custom_components.virtual_home.home import INFO_KEYS

from ..command import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VOLUME, PERCENT = "volume_level", 100
# Domains whose state the virtual home derives.
NO_STATE = {"todo", "calendar", "scene", "button", "notify"}


def home_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a home's file in the format of our virtual home.

    Areas and devices without an id get one, entities without a name the one of their device.
    Content in our format is not changed.
    """
    areas = [_with_id(one) for one in content.get("areas") or ()]
    ids = {str(one["name"]): one["id"] for one in areas if "name" in one}
    known = {one["id"] for one in areas}
    devices = [_device(_placed(_with_id(one), ids, known)) for one in content.get("devices") or ()]
    names = {one["id"]: one.get("name") for one in devices}
    entities = [
        _entity(_placed(one, ids, known), names) for one in content["entities"] if _is_shown(one)
    ]
    parts = {"areas": areas, "devices": devices, "entities": entities}
    return {**content, **{name: part for name, part in parts.items() if part}}


def _with_id(thing: Any) -> Any:
    if isinstance(thing, dict) and "id" not in thing and "name" in thing:
        return {**thing, "id": slugify(str(thing["name"]))}
    return thing


def _placed(thing: Any, ids: Mapping[str, str], known: set[str]) -> Any:
    """Return a thing with the id of its area, where the name is given."""
    if isinstance(thing, dict) and thing.get("area") not in known and thing.get("area") in ids:
        return {**thing, "area": ids[thing["area"]]}
    return thing


def _device(device: Any) -> Any:
    if isinstance(device, dict) and isinstance(device.get("info"), dict):
        info = {key: value for key, value in device["info"].items() if key in INFO_KEYS}
        return {**device, "info": info}
    return device


def _is_shown(entity: Mapping[str, Any]) -> bool:
    """Return whether virtual homes support the entity's domain; prints a message if not."""
    if (entity_id := str(entity["id"]).lower()).partition(".")[0] in DOMAINS:
        return True
    say(f"{entity_id} is left out: virtual homes have none of its domain")
    return False


def _entity(entity: Mapping[str, Any], devices: Mapping[str, Any]) -> dict[str, Any]:
    entity_id = str(entity["id"]).lower()
    device = entity.get("device")
    name = entity.get("name") or devices.get(str(device)) or _title(entity_id)
    fields = state_fields(entity_id, entity)
    rest = {key: one for key, one in entity.items() if key not in ("state", "attributes")}
    return {**rest, "id": entity_id, "name": name, **fields}


def _title(entity_id: str) -> str:
    return entity_id.partition(".")[2].replace("_", " ").title()


def state_fields(entity_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given state and attributes of an entity in the format of our virtual home."""
    domain = entity_id.partition(".")[0]
    found: dict[str, Any] = {}
    if fields.get("state") is not None and domain not in NO_STATE:
        found["state"] = _state(fields["state"])
    attributes = fields.get("attributes")
    if isinstance(attributes, dict):
        found["attributes"] = _attributes(entity_id, attributes)
    elif attributes is not None:
        found["attributes"] = attributes
    return found


def _state(state: Any) -> Any:
    """Return a state, which can have `in`, the spoken word, and `out`, Home Assistant's."""
    return state["out"] if isinstance(state, dict) and "out" in state else state


def _attributes(entity_id: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    domain = DOMAINS.get(entity_id.partition(".")[0])
    for name, value in attributes.items():
        if domain is not None and name not in {
            *domain.settings,
            *domain.values,
            *domain.synonyms,
        }:
            say(f"{entity_id}: the attribute {name} is left out, virtual homes have none of it")
            continue
        change = CHANGES.get(name)
        found[name] = value if change is None else change(value)
    return found


def volume(value: Any) -> Any:
    """Return a volume of 0 to 1; accepts percent, too."""
    try:
        number = float(value)
    except TypeError, ValueError:
        return value
    return number / PERCENT if number > 1 else value


CHANGES: Mapping[str, Callable[[Any], Any]] = {VOLUME: volume}
