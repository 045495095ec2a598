"""Scenes of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.scene import Scene
from homeassistant.const import (
    ATTR_ENTITY_ID,
    SERVICE_CLOSE_VALVE,
    SERVICE_OPEN_VALVE,
    SERVICE_SET_VALVE_POSITION,
    Platform,
)
from homeassistant.core import State
from homeassistant.helpers.state import async_reproduce_state

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's scenes."""
    add_entities(entry, async_add_entities, Platform.SCENE, VirtualScene)


class VirtualScene(VirtualEntity, Scene):
    """A scene that sets the states of its entities."""

    @override
    async def async_activate(self, **kwargs: Any) -> None:
        """Call the actions that set the states."""
        states = []
        for entity_id, target in self.item.settings.get("entities", {}).items():
            attributes = {key: value for key, value in target.items() if key != "state"}
            attributes |= attributes.pop("attributes", None) or {}
            states.append(State(entity_id, target["state"], attributes))
        # Valves are the one domain here whose states Home Assistant cannot reproduce itself.
        valves = [state for state in states if state.domain == Platform.VALVE]
        rest = [state for state in states if state.domain != Platform.VALVE]
        await async_reproduce_state(self.hass, rest, context=self._context)
        for state in valves:
            await self._move_valve(state)

    async def _move_valve(self, state: State) -> None:
        data: dict[str, Any] = {ATTR_ENTITY_ID: state.entity_id}
        if "current_position" in state.attributes:
            service = SERVICE_SET_VALVE_POSITION
            data["position"] = state.attributes["current_position"]
        else:
            service = SERVICE_OPEN_VALVE if state.state == "open" else SERVICE_CLOSE_VALVE
        await self.hass.services.async_call(
            Platform.VALVE, service, data, blocking=True, context=self._context
        )
