"""What all entities of a server share, and how a turn is made."""

from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.const import CONF_MODEL
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .agent.images import AttachmentError, image_url
from .agent.turn import Turn, TurnSettings
from .const import DOMAIN
from .coordinator import LlamaCppCoordinator
from .issues import async_create_context_issue, async_delete_context_issue
from .server import ContextExceededError, LlamaServerError
from .state import AnswerStats

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from homeassistant.config_entries import ConfigSubentry

    from .agent.deltas import AnswerDeltas
    from .agent.turn import Outcome
    from .coordinator import LlamaCppConfigEntry


class LlamaCppEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity of a server, on the server's device."""

    _attr_has_entity_name = True

    def __init__(self, entry: LlamaCppConfigEntry, key: str) -> None:
        """Make the entity; key: what it is among the entities of one server."""
        super().__init__(entry.runtime_data)
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_translation_key = key
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, entry.entry_id)},
            name=entry.title,
            manufacturer="llama.cpp",
            model="llama-server",
            sw_version=self.coordinator.data.build_info,
            configuration_url=self.coordinator.client.base_url,
            entry_type=dr.DeviceEntryType.SERVICE,
        )


class LlamaCppAgentEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity that has a language model at work, on a device of its own."""

    _attr_has_entity_name = True
    _attr_name = None

    def __init__(self, entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> None:
        """Make the entity for one subentry of a server."""
        super().__init__(entry.runtime_data)
        self.subentry = subentry
        props = self.coordinator.data
        self._attr_unique_id = subentry.subentry_id
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, subentry.subentry_id)},
            name=subentry.title,
            manufacturer="llama.cpp",
            model=subentry.data.get(CONF_MODEL) or props.model_name,
            sw_version=props.build_info,
            entry_type=dr.DeviceEntryType.SERVICE,
        )

    async def _async_answer(
        self,
        chat_log: conversation.ChatLog,
        *,
        overrides: Mapping[str, Any] | None = None,
        response_format: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Have the model answer the chat log, running the tools that it calls, until it speaks.

        overrides: options for this turn only. response_format: what the answer must look like.
        Raises LlamaServerError, and HomeAssistantError for an attachment that cannot be shown to
        the model.
        """
        settings = TurnSettings(
            options={**self.subentry.data, **(overrides or {})},
            model=self.subentry.data.get(CONF_MODEL),
            images=await self._async_images(chat_log),
            response_format=response_format,
        )
        turn = Turn(self.coordinator.client, chat_log, self.entity_id, settings, self._async_record)
        try:
            outcome = await turn.run()
        except ContextExceededError as err:
            async_create_context_issue(self.hass, self.coordinator.config_entry, err)
            raise
        except LlamaServerError:
            self.coordinator.async_check_soon()
            raise
        async_delete_context_issue(self.hass, self.coordinator.config_entry)
        return outcome

    @callback
    def _async_record(self, deltas: AnswerDeltas) -> None:
        self.coordinator.async_record_answer(
            AnswerStats(self.entity_id, deltas.completion, deltas.first_text_seconds)
        )

    async def _async_images(self, chat_log: conversation.ChatLog) -> dict[Path, str]:
        """Return the pictures that the newest words of the user come with.

        Those of earlier turns were temporary files.
        """
        said = next(
            (
                content
                for content in reversed(chat_log.content)
                if isinstance(content, conversation.UserContent)
            ),
            None,
        )
        if said is None or not said.attachments:
            return {}
        props = self.coordinator.data
        if not (props.is_router or props.modalities.vision):
            # Of a router's models it is not known: there the server refuses the request.
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="model_is_blind")
        try:
            return {
                one.path: await self.hass.async_add_executor_job(image_url, one.path, one.mime_type)
                for one in said.attachments
            }
        except AttachmentError as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.placeholders,
            ) from err
