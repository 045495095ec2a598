"""Select platform: the model that a router has in memory."""

from typing import TYPE_CHECKING, override

from homeassistant.components.select import SelectEntity

from .client import LlamaServerError
from .entity import LlamaCppEntity
from .error_messages import to_home_assistant_error

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import LlamaCppConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the select entity if the server is a router."""
    if entry.runtime_data.coordinator.data.loads_models:
        async_add_entities([LlamaCppModelSelect(entry, "model")])


class LlamaCppModelSelect(LlamaCppEntity, SelectEntity):
    """Select entity that loads a model into a router's memory.

    The router's `--models-max` limits the number of loaded models. An agent's own option selects
    the model for its requests.
    """

    @property
    @override
    def options(self) -> list[str]:
        return [model.id for model in self.coordinator.data.models]

    @property
    @override
    def current_option(self) -> str | None:
        return self.coordinator.data.model_name

    @override
    async def async_select_option(self, option: str) -> None:
        try:
            await self.coordinator.async_load_model(option)
        except LlamaServerError as err:
            raise to_home_assistant_error(err) from err
