"""Button platform: prefill and unloading of models."""

from typing import TYPE_CHECKING, override

from homeassistant.components.button import ButtonEntity

from .client import LlamaServerError
from .conversation import async_prefill_all
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
    """Add the buttons; only a router can unload its models."""
    async_add_entities([LlamaCppWarmUpButton(entry, "warm_up")])
    if entry.runtime_data.coordinator.data.loads_models:
        async_add_entities([LlamaCppUnloadButton(entry, "unload_model")])


class LlamaCppWarmUpButton(LlamaCppEntity, ButtonEntity):
    """Button to prefill the prompts of a server's agents: the next answers then start at once."""

    @override
    async def async_press(self) -> None:
        try:
            await async_prefill_all(self.hass, self.coordinator.config_entry)
        except LlamaServerError as err:
            raise to_home_assistant_error(err) from err


class LlamaCppUnloadButton(LlamaCppEntity, ButtonEntity):
    """Button to unload the model that is shown; the next request loads one."""

    @property
    @override
    def available(self) -> bool:
        return super().available and self.coordinator.data.model is not None

    @override
    async def async_press(self) -> None:
        try:
            await self.coordinator.async_unload_model()
        except LlamaServerError as err:
            raise to_home_assistant_error(err) from err
