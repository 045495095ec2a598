"""Reads from Home Assistant what is exposed to Assist."""

from operator import attrgetter
from typing import TYPE_CHECKING

from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.const import ATTR_DEVICE_CLASS, ATTR_SUPPORTED_FEATURES
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import intent

from .home import Home, Place, Thing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from homeassistant.core import HomeAssistant, State

# These have tools of their own.
WITHOUT = frozenset(("calendar", "script"))
COLORFUL = frozenset(("hs", "rgb", "rgbw", "rgbww", "xy"))
# Of a domain, the bit of `supported_features` that gives an ability. From the `EntityFeature`
# classes of cover, fan, valve and vacuum.
_FEATURES: Mapping[tuple[str, str], int] = {
    ("cover", "position"): 4,
    ("fan", "speed"): 1,
    ("vacuum", "clean_area"): 16384,
    ("valve", "position"): 4,
}


def exposed_home(hass: HomeAssistant, assistant: str, without: Collection[str] = WITHOUT) -> Home:
    """Return what an assistant, such as `conversation`, may know of the home.

    without: domains that are left out.
    """
    areas = ar.async_get(hass)
    floors = fr.async_get(hass)
    return Home(
        things=tuple(
            _thing(hass, state)
            for state in sorted(hass.states.async_all(), key=attrgetter("name", "entity_id"))
            if state.domain not in without and async_should_expose(hass, assistant, state.entity_id)
        ),
        areas={
            area.id: Place(_names(area.name, area.aliases), area.floor_id)
            for area in areas.async_list_areas()
        },
        floors={
            floor.floor_id: Place(_names(floor.name, floor.aliases))
            for floor in floors.async_list_floors()
        },
    )


def area_of_device(hass: HomeAssistant, device_id: str | None) -> str | None:
    """Return the id of the area that a device is in."""
    device = dr.async_get(hass).async_get(device_id) if device_id else None
    return dr.async_get_effective_area_id(hass, device) if device else None


def _names(name: str, aliases: set[str]) -> tuple[str, ...]:
    return (name, *sorted(aliases))


def _thing(hass: HomeAssistant, state: State) -> Thing:
    entry = er.async_get(hass).async_get(state.entity_id)
    area = entry.area_id if entry else None
    if entry and not area:
        area = area_of_device(hass, entry.device_id)
    names = intent.async_get_entity_aliases(hass, entry, state=state)
    return Thing(
        entity_id=state.entity_id,
        names=tuple(names) or (state.name,),
        device_class=state.attributes.get(ATTR_DEVICE_CLASS),
        area=area,
        abilities=_abilities(state),
    )


def _abilities(state: State) -> frozenset[str]:
    """Return what can be set of an entity."""
    features = int(state.attributes.get(ATTR_SUPPORTED_FEATURES) or 0)
    found = {
        ability
        for (domain, ability), bit in _FEATURES.items()
        if domain == state.domain and features & bit
    }
    modes = set(state.attributes.get("supported_color_modes") or ())
    if modes - {"onoff"}:
        found.add("brightness")
    if modes & COLORFUL:
        found.add("color")
    if "color_temp" in modes:
        found.add("color_temp")
    return frozenset(found)
