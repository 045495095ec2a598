"""The base of all entities of a virtual home: device, values, and their restoration."""

import json
from typing import TYPE_CHECKING, Any, ClassVar, override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.restore_state import RestoredExtraData, RestoreEntity

from .const import DOMAIN
from .domains import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .home import HomeEntity


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they come back from JSON."""
    result: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return result


class VirtualEntity(RestoreEntity):
    """An entity with the settings and values of the home's file; changes are stored.

    Home Assistant's entity classes read `_attr_...`: settings and values go there under their own
    names, or those in `renamed`. `_show_state` handles `state`.
    """

    _attr_should_poll = False
    _attr_has_entity_name = False

    renamed: ClassVar[Mapping[str, str]] = {}

    def __init__(self, item: HomeEntity) -> None:
        """Initialize from the file."""
        self.item = item
        self.spec = DOMAINS[item.domain]
        self.values: dict[str, Any] = {}
        self._attr_unique_id = item.entity_id
        self._attr_name = item.name
        if item.device is not None:
            self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, item.device)})
        for name, value in item.settings.items():
            self._show(name, value)
        self._put(item.values)

    @override
    async def async_added_to_hass(self) -> None:
        """Restore the stored values, unless the file has changed since."""
        await super().async_added_to_hass()
        kept = await self.async_get_last_extra_data()
        if kept is None:
            return
        data = kept.as_dict()
        if data.get("initial") != plain(self.item.values):
            return
        values = dict(data.get("values") or {})
        try:
            self._put(self.spec.check(values.pop("state", None), values))
        except ValueError:
            # An older version of this component stored it: use the file's state.
            return

    @property
    @override
    def extra_restore_state_data(self) -> RestoredExtraData:
        """Return the data to restore after a restart."""
        return RestoredExtraData({"initial": plain(self.item.values), "values": plain(self.values)})

    @callback
    def change(self, **changes: Any) -> None:
        """Change values, with all consequences. Raises ValueError."""
        self._put(self.spec.complete(changes, self.item.settings, self.values))
        self.async_write_ha_state()

    @callback
    def set_state(self, state: Any, attributes: Mapping[Any, Any]) -> None:
        """Set a state from outside. Raises ValueError."""
        self.change(**self.spec.check(state, attributes))

    @callback
    def reset(self) -> None:
        """Reset the entity to the state of the file."""
        forgotten = dict.fromkeys(self.values)
        self._put(forgotten | dict(self.item.values))
        self.async_write_ha_state()

    def _put(self, changes: Mapping[str, Any]) -> None:
        self.values.update(changes)
        for name in changes:
            if name != "state":
                self._show(name, self.values[name])
        if "state" in self.values:
            self._show_state(self.values["state"])

    def _show(self, name: str, value: Any) -> None:
        setattr(self, f"_attr_{self.renamed.get(name, name)}", value)

    def _show_state(self, state: str | None) -> None:
        """Set the attributes of the entity class from the state."""


class OnOffEntity(VirtualEntity):
    """An entity that is on or off."""

    _attr_is_on: bool | None

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_is_on = state == "on"
