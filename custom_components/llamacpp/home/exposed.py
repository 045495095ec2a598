"""Read the entities exposed to Assist from Home Assistant once, then only what changes."""

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from homeassistant.components.homeassistant.exposed_entities import (
    async_listen_entity_updates,
    async_should_expose,
)
from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    ATTR_FRIENDLY_NAME,
    ATTR_SUPPORTED_FEATURES,
    EVENT_COMPONENT_LOADED,
    EVENT_SERVICE_REGISTERED,
    EVENT_SERVICE_REMOVED,
    EVENT_STATE_CHANGED,
)
from homeassistant.core import callback
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import intent
from homeassistant.util.hass_dict import HassKey

from .things import Device, ExposedEntity, Home, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State

# Domains with tools of their own.
WITHOUT = frozenset(("calendar", "script"))
COLORFUL = frozenset(("hs", "rgb", "rgbw", "rgbww", "xy"))
ATTR_COLOR_MODES = "supported_color_modes"
# Bit in `supported_features` for an ability of a domain. From the `EntityFeature` classes of
# cover, fan, valve and vacuum.
_FEATURES: Mapping[tuple[str, str], int] = {
    ("cover", "position"): 4,
    ("fan", "speed"): 1,
    ("vacuum", "clean_area"): 16384,
    ("valve", "position"): 4,
}
# Attributes that describe an entity, beside its registry entry. All others are only its state.
_ATTRIBUTES = (
    ATTR_FRIENDLY_NAME,
    ATTR_DEVICE_CLASS,
    ATTR_SUPPORTED_FEATURES,
    ATTR_COLOR_MODES,
)
# Device fields that affect the name or the area of an entity.
_DEVICE_FIELDS = frozenset(("area_id", "name", "name_by_user", "parent_device_id"))
# Entities per step when reading: some two milliseconds on the event loop.
CHUNK = 50
_DATA: HassKey[dict[str, ExposedHome]] = HassKey("llamacpp_exposed_homes")


def exposed_home(hass: HomeAssistant, assistant: str, without: Collection[str] = WITHOUT) -> Home:
    """Return the home as exposed to an assistant, such as `conversation`.

    without: domains to leave out. Returns the same object until something of it changes.
    """
    return async_exposed(hass, assistant).home(frozenset(without))


@callback
def async_exposed(hass: HomeAssistant, assistant: str) -> ExposedHome:
    """Return the tracker of the home exposed to an assistant; creates one for each."""
    homes = hass.data.setdefault(_DATA, {})
    if assistant not in homes:
        homes[assistant] = ExposedHome(hass, assistant)
    return homes[assistant]


@callback
def async_forget_exposed(hass: HomeAssistant) -> None:
    """Drop all trackers and stop listening."""
    for one in hass.data.pop(_DATA, {}).values():
        one.close()


def area_of_device(hass: HomeAssistant, device_id: str | None) -> str | None:
    """Return the id of a device's area."""
    device = dr.async_get(hass).async_get(device_id) if device_id else None
    return dr.async_get_effective_area_id(hass, device) if device else None


class ExposedHome:
    """The home exposed to one assistant, kept up to date by Home Assistant's events.

    version: changes whenever Home Assistant's description of the home for a model, or its tools,
    may have changed.
    """

    def __init__(self, hass: HomeAssistant, assistant: str) -> None:
        """Start listening without reading anything."""
        self._hass = hass
        self._assistant = assistant
        self.version = 0
        # By entity id: the name to sort by, and the entity.
        self._things: dict[str, tuple[str, ExposedEntity]] = {}
        self._unread: dict[str, None] = dict.fromkeys(hass.states.async_entity_ids())
        self._areas: dict[str, Place] = {}
        self._floors: dict[str, Place] = {}
        self._are_places_unread = True
        # By the domains that are left out.
        self._homes: dict[frozenset[str], Home] = {}
        self._ends = self._listen()

    def _listen(self) -> list[Callable[[], None]]:
        listeners: dict[Any, Callable[[Event[Any]], None]] = {
            ar.EVENT_AREA_REGISTRY_UPDATED: self._places_changed,
            fr.EVENT_FLOOR_REGISTRY_UPDATED: self._places_changed,
            dr.EVENT_DEVICE_REGISTRY_UPDATED: self._device_changed,
            er.EVENT_ENTITY_REGISTRY_UPDATED: self._entry_changed,
            EVENT_COMPONENT_LOADED: self._tools_changed,
            EVENT_SERVICE_REGISTERED: self._tools_changed,
            EVENT_SERVICE_REMOVED: self._tools_changed,
        }
        listen = self._hass.bus.async_listen
        return [
            *(listen(event, listener) for event, listener in listeners.items()),
            listen(EVENT_STATE_CHANGED, self._state_changed, event_filter=changes_a_thing),
            async_listen_entity_updates(self._hass, self._assistant, self._exposure_changed),
        ]

    def close(self) -> None:
        """Stop listening."""
        for end in self._ends:
            end()

    async def async_read(self) -> None:
        """Read the changes in small steps that leave the event loop free in between."""
        while self._read(CHUNK):  # noqa: ASYNC110 - nothing is waited for
            await asyncio.sleep(0)

    def home(self, without: frozenset[str]) -> Home:
        """Return the current home. without: domains to leave out."""
        while self._read(CHUNK):
            pass
        if without not in self._homes:
            wanted = (
                (name, entity_id, thing)
                for entity_id, (name, thing) in self._things.items()
                if not without or thing.domain not in without
            )
            self._homes[without] = Home(
                things=tuple(thing for _, _, thing in sorted(wanted, key=itemgetter(0, 1))),
                areas=self._areas,
                floors=self._floors,
            )
        return self._homes[without]

    def _read(self, n_most: int) -> bool:
        """Read up to `n_most` changed entities; return whether there are more."""
        if self._are_places_unread:
            self._are_places_unread = False
            self._read_places()
        for _ in range(min(n_most, len(self._unread))):
            self._read_thing(next(reversed(self._unread)))
        return bool(self._unread)

    def _read_places(self) -> None:
        areas = {
            area.id: Place(_names(area.name, area.aliases), area.floor_id)
            for area in ar.async_get(self._hass).async_list_areas()
        }
        floors = {
            floor.floor_id: Place(_names(floor.name, floor.aliases))
            for floor in fr.async_get(self._hass).async_list_floors()
        }
        if (areas, floors) != (self._areas, self._floors):
            self._areas, self._floors = areas, floors
            self._homes.clear()

    def _read_thing(self, entity_id: str) -> None:
        state = self._hass.states.get(entity_id)
        is_exposed = state and async_should_expose(self._hass, self._assistant, entity_id)
        # `async_should_expose` may just have set, and announced, the default exposure.
        self._unread.pop(entity_id, None)
        found = (state.name, _thing(self._hass, state)) if state and is_exposed else None
        if found == self._things.get(entity_id):
            return
        if found:
            self._things[entity_id] = found
        else:
            del self._things[entity_id]
        self._homes.clear()

    @callback
    def _tools_changed(self, _event: Event[Any]) -> None:
        self.version += 1

    @callback
    def _places_changed(self, _event: Event[Any]) -> None:
        self.version += 1
        self._are_places_unread = True

    @callback
    def _state_changed(self, event: Event[EventStateChangedData]) -> None:
        self.version += 1
        self._unread[event.data["entity_id"]] = None

    @callback
    def _entry_changed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        self.version += 1
        data = event.data
        self._unread[data["entity_id"]] = None
        if data["action"] == "update" and "old_entity_id" in data:
            self._unread[data["old_entity_id"]] = None

    @callback
    def _device_changed(self, event: Event[dr.EventDeviceRegistryUpdatedData]) -> None:
        self.version += 1
        data = event.data
        if data["action"] != "update" or not _DEVICE_FIELDS.intersection(data["changes"]):
            return
        entities, devices = er.async_get(self._hass), dr.async_get(self._hass)
        for entity_id in self._things:
            entry = entities.async_get(entity_id)
            if not entry or not entry.device_id:
                continue
            device = devices.async_get(entry.device_id)
            if data["device_id"] in (entry.device_id, getattr(device, "parent_device_id", None)):
                self._unread[entity_id] = None

    @callback
    def _exposure_changed(self) -> None:
        # For entities in the registry, an event of the registry names the entity.
        self.version += 1
        registry = er.async_get(self._hass)
        for entity_id in self._hass.states.async_entity_ids():
            if entity_id not in registry.entities:
                self._unread[entity_id] = None


@callback
def changes_a_thing(data: EventStateChangedData) -> bool:
    """Return whether an entity was added or removed, or its description has changed."""
    before, now = data["old_state"], data["new_state"]
    if before is None or now is None:
        return True
    old, new = before.attributes, now.attributes
    return old is not new and any(old.get(name) != new.get(name) for name in _ATTRIBUTES)


def _names(name: str, aliases: set[str]) -> tuple[str, ...]:
    return (name, *sorted(aliases))


def _thing(hass: HomeAssistant, state: State) -> ExposedEntity:
    entry = er.async_get(hass).async_get(state.entity_id)
    area = entry.area_id if entry else None
    if entry and not area:
        area = area_of_device(hass, entry.device_id)
    device = dr.async_get(hass).async_get(entry.device_id) if entry and entry.device_id else None
    device_name = (device.name_by_user or device.name) if device else None
    names = intent.async_get_entity_aliases(hass, entry, state=state)
    return ExposedEntity(
        entity_id=state.entity_id,
        names=tuple(names) or (state.name,),
        device_class=state.attributes.get(ATTR_DEVICE_CLASS),
        area=area,
        abilities=_abilities(state),
        device=Device(device.id, device_name) if device and device_name else None,
    )


def _abilities(state: State) -> frozenset[str]:
    """Return the settable properties of an entity."""
    features = int(state.attributes.get(ATTR_SUPPORTED_FEATURES) or 0)
    found = {
        ability
        for (domain, ability), bit in _FEATURES.items()
        if domain == state.domain and features & bit
    }
    modes = set(state.attributes.get(ATTR_COLOR_MODES) or ())
    if modes - {"onoff"}:
        found.add("brightness")
    if modes & COLORFUL:
        found.add("color")
    if "color_temp" in modes:
        found.add("color_temp")
    return frozenset(found)
