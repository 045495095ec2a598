"""What all entities of a virtual home share: their device, their values, how these are kept."""

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
    """An entity that is what the home's file says and keeps what is done to it.

    Home Assistant's entity classes read `_attr_...`: the settings and values are put there under
    their own names, or those that `renamed` gives. `state` is left to `_show_state`.
    """

    _attr_should_poll = False
    _attr_has_entity_name = False

    renamed: ClassVar[Mapping[str, str]] = {}

    def __init__(self, item: HomeEntity) -> None:
        """Take everything from the file's description."""
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
        """Bring back what was kept, unless the file has changed its mind since."""
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
            # It was kept by an older version of this component: the file's state is good, too.
            return

    @property
    @override
    def extra_restore_state_data(self) -> RestoredExtraData:
        """Return what must be kept over a restart."""
        return RestoredExtraData({"initial": plain(self.item.values), "values": plain(self.values)})

    @callback
    def change(self, **changes: Any) -> None:
        """Change values, with all that follows from it. Raises ValueError."""
        self._put(self.spec.complete(changes, self.item.settings, self.values))
        self.async_write_ha_state()

    @callback
    def set_state(self, state: Any, attributes: Mapping[Any, Any]) -> None:
        """Bring the entity into a state from outside. Raises ValueError."""
        self.change(**self.spec.check(state, attributes))

    @callback
    def reset(self) -> None:
        """Go back to the state that the file gives."""
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
        """Translate the state into what the entity class reads."""


class OnOffEntity(VirtualEntity):
    """An entity that is on or off."""

    _attr_is_on: bool | None

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_is_on = state == "on"
