"""A home of any size, in the format of the virtual home."""

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

ROOMS = (
    *("Kitchen", "Living Room", "Garage", "Bedroom", "Bathroom", "Garden", "Office", "Attic"),
    *("Cellar", "Hall"),
)
ENTITIES_PER_AREA = 50
DOMAINS = ("light", "switch", "sensor", "cover", "binary_sensor", "fan")
POSITIONS = ("left", "right", "old", "new", "small", "large", "upper", "lower")
PLACES = ("ceiling", "wall", "floor", "desk", "window", "corner", "table", "shelf", "mirror")
N_SATELLITES = 3


def write_large_home(path: Path, n_entities: int) -> None:
    """Write a home with this many exposed entities and three satellites, the same each time.

    Creates the folder, too. Raises OSError.
    """
    n_areas = max(len(ROOMS), n_entities // ENTITIES_PER_AREA)
    areas = [{"id": f"area_{number}", "name": room_name(number)} for number in range(n_areas)]
    entities = [_entity(number, n_areas) for number in range(n_entities)]
    satellites: list[dict[str, Any]] = [
        {
            "id": f"assist_satellite.satellite_{number}",
            "name": f"Satellite {number}",
            "device": f"satellite_{number}",
            "expose": False,
        }
        for number in range(N_SATELLITES)
    ]
    devices = [
        {"id": f"satellite_{number}", "name": f"Satellite {number}", "area": f"area_{number}"}
        for number in range(N_SATELLITES)
    ]
    home = {"areas": areas, "devices": devices, "entities": [*entities, *satellites]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(home))


def room_name(number: int) -> str:
    """Return the name of an area, by number."""
    floor, room = divmod(number, len(ROOMS))
    return f"{ROOMS[room]} {floor}" if floor else ROOMS[room]


def entity_name(number: int) -> str:
    """Return the name of an entity, by number; every sixth is a light."""
    domain = DOMAINS[number % len(DOMAINS)]
    position = POSITIONS[number // len(DOMAINS) % len(POSITIONS)]
    return f"{position.title()} {_place(number)} {domain.replace('_', ' ')} {number}"


def _place(number: int) -> str:
    return PLACES[number // 7 % len(PLACES)]


def _entity(number: int, n_areas: int) -> dict[str, Any]:
    domain = DOMAINS[number % len(DOMAINS)]
    entity: dict[str, Any] = {
        "id": f"{domain}.entity_{number}",
        "name": entity_name(number),
        "area": f"area_{number % n_areas}",
    }
    if domain == "light":
        entity["attributes"] = {"supported_color_modes": ["brightness"]}
    if number % len(ROOMS) == 0:
        entity["aliases"] = [f"{_place(number)} thing {number}"]
    return entity
