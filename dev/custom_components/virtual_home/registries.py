"""Writes a home to Home Assistant's registries, and removes what the file no longer has.

Changes by the user stay until the file changes. To know that, the config entry stores what was
applied last.
"""

from typing import TYPE_CHECKING, Any

from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.core import callback
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr

from .const import ASSISTANT, CONF_APPLIED, DOMAIN
from .home import HomeFileError

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .home import Area, Floor, HomeDevice, HomeEntity, VirtualHome
    from .runtime import VirtualHomeConfigEntry


@callback
def apply_home(hass: HomeAssistant, entry: VirtualHomeConfigEntry, home: VirtualHome) -> None:
    """Update all registries from the home. Raises HomeFileError."""
    writer = _Writer(hass, entry, home)
    writer.write()
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_APPLIED: writer.applied})


class _Writer:
    """One pass over the registries."""

    def __init__(
        self, hass: HomeAssistant, entry: VirtualHomeConfigEntry, home: VirtualHome
    ) -> None:
        self.hass = hass
        self.entry = entry
        self.home = home
        self.applied: dict[str, dict[str, Any]] = {}
        self._before: dict[str, dict[str, Any]] = entry.data.get(CONF_APPLIED, {})
        self._floors: dict[str, str] = {}
        self._areas: dict[str, str] = {}
        self._devices: dict[str, str] = {}

    def write(self) -> None:
        for floor in self.home.floors.values():
            self._write_floor(floor)
        for area in self.home.areas.values():
            self._write_area(area)
        for device in self.home.devices.values():
            self._write_device(device)
        self._remove_entities()
        for item in self.home.entities.values():
            self._write_entity(item)
        self._remove_devices()
        for entity_id in self.home.expose:
            if self._changes(f"expose {entity_id}", {"expose": True}):
                async_expose_entity(self.hass, ASSISTANT, entity_id, True)  # noqa: FBT003 - its signature

    def _changes(self, key: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return what has changed in the file since the last start."""
        before = self._before.get(key, {})
        self.applied[key] = wanted
        return {
            name: value
            for name, value in wanted.items()
            if name not in before or before[name] != value
        }

    def _write_floor(self, floor: Floor) -> None:
        registry = fr.async_get(self.hass)
        found = registry.async_get_floor_by_name(floor.name) or registry.async_create(floor.name)
        self._floors[floor.id] = found.floor_id
        changes = self._changes(
            f"floor {floor.id}", {"level": floor.level, "aliases": list(floor.aliases)}
        )
        if "level" in changes:
            # `level` may be None, which its signature has forgotten.
            registry.async_update(found.floor_id, level=floor.level)  # type: ignore[arg-type]
        if "aliases" in changes:
            registry.async_update(found.floor_id, aliases=set(floor.aliases))

    def _write_area(self, area: Area) -> None:
        registry = ar.async_get(self.hass)
        found = registry.async_get_or_create(area.name)
        self._areas[area.id] = found.id
        floor = None if area.floor is None else self._floors[area.floor]
        changes = self._changes(f"area {area.id}", {"floor": floor, "aliases": list(area.aliases)})
        if "floor" in changes:
            registry.async_update(found.id, floor_id=floor)
        if "aliases" in changes:
            registry.async_update(found.id, aliases=set(area.aliases))

    def _write_device(self, device: HomeDevice) -> None:
        registry = dr.async_get(self.hass)
        found = registry.async_get_or_create(
            config_entry_id=self.entry.entry_id,
            identifiers={(DOMAIN, device.id)},
            name=device.name,
            manufacturer=device.info.get("manufacturer"),
            model=device.info.get("model"),
            model_id=device.info.get("model_id"),
            sw_version=device.info.get("sw_version"),
            hw_version=device.info.get("hw_version"),
            serial_number=device.info.get("serial_number"),
        )
        self._devices[device.id] = found.id
        if device.timers:
            self.entry.async_on_unload(
                async_register_timer_handler(self.hass, found.id, lambda _event, _timer: None)
            )
        area = None if device.area is None else self._areas[device.area]
        if self._changes(f"device {device.id}", {"area": area}):
            registry.async_update_device(found.id, area_id=area)

    def _write_entity(self, item: HomeEntity) -> None:
        registry = er.async_get(self.hass)
        known = registry.async_get_entity_id(item.domain, DOMAIN, item.entity_id) is not None
        found = registry.async_get_or_create(
            item.domain,
            DOMAIN,
            item.entity_id,
            config_entry=self.entry,
            device_id=None if item.device is None else self._devices[item.device],
            original_name=item.name,
            # Registered ahead of its platform so that the file's id wins over one that Home
            # Assistant would make of area, device and name.
            suggested_object_id=item.entity_id.partition(".")[2],
        )
        if not known and found.entity_id != item.entity_id:
            registry.async_remove(found.entity_id)
            raise HomeFileError(f"entity {item.entity_id}: another integration has this entity id")
        # An entity without an area of its own is where its device is.
        device = None if item.device is None else self.home.devices[item.device]
        own = item.area if device is None or device.area != item.area else None
        area = None if own is None else self._areas[own]
        changes = self._changes(
            f"entity {item.entity_id}",
            {"area": area, "aliases": list(item.aliases), "expose": item.expose},
        )
        if "area" in changes:
            registry.async_update_entity(found.entity_id, area_id=area)
        if "aliases" in changes:
            registry.async_update_entity(found.entity_id, aliases=[er.COMPUTED_NAME, *item.aliases])
        if "expose" in changes:
            async_expose_entity(self.hass, ASSISTANT, found.entity_id, item.expose)

    def _remove_entities(self) -> None:
        registry = er.async_get(self.hass)
        for found in er.async_entries_for_config_entry(registry, self.entry.entry_id):
            if found.unique_id not in self.home.entities:
                registry.async_remove(found.entity_id)

    def _remove_devices(self) -> None:
        registry = dr.async_get(self.hass)
        wanted = set(self._devices.values())
        for found in dr.async_entries_for_config_entry(registry, self.entry.entry_id):
            if found.id not in wanted:
                registry.async_remove_device(found.id)
